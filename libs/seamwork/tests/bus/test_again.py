"""What the log has not answered is asked again, and not for ever."""

from functools import partial

import pytest
import structlog
from structlog.testing import capture_logs

from seamwork.bus.again import again_until_back, again_until_known
from seamwork.errors import MisconfiguredError, OutcomeUnknownError, RetryableError

SECRET = b"s3cr3t-payload"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two tries."""
    monkeypatch.setattr("seamwork.bus.again._PAUSE_S", 0.0)
    monkeypatch.setattr("seamwork.bus.again._LONGEST_PAUSE_AWAY_S", 0.0)


@pytest.mark.parametrize(("unknown", "asked"), [(0, 1), (3, 4), (4, 5), (9, 5)])
async def test_five_times_at_most(unknown: int, asked: int) -> None:
    """And what is logged of it names the try, and nothing of what was to be written."""
    times = 0

    async def ask(payload: bytes = SECRET) -> str:
        nonlocal times
        times += 1
        if times <= unknown:
            raise OutcomeUnknownError("nobody answered")
        return f"{len(payload)} bytes are there"

    with capture_logs() as logs:
        try:
            found = await again_until_known(partial(ask), "publish-unknown", structlog.get_logger())
        except OutcomeUnknownError:
            found = "unknown"

    assert ("unknown" if unknown > asked else "14 bytes are there", asked) == (found, times)
    told = [one["tried"] for one in logs if one["event"] == "publish-unknown"]
    assert list(range(1, asked)) == told
    assert SECRET.decode() not in str(logs)


async def test_what_is_known_to_have_failed_is_not_asked_again() -> None:
    """The log has been patient itself."""
    times = 0

    async def ask() -> None:
        nonlocal times
        times += 1
        raise RetryableError("no broker let us in")

    with pytest.raises(RetryableError):
        await again_until_known(ask, "append-unknown", structlog.get_logger())

    assert 1 == times


async def test_a_log_that_is_away_is_outlasted() -> None:
    """Longer than any bound on tries; each failure is told, with where it was and nothing of what was sent."""
    times = 0

    async def ask(payload: bytes = SECRET) -> int:
        nonlocal times
        times += 1
        if times <= 1100:
            raise (RetryableError, OutcomeUnknownError)[times % 2]("no broker let us in")
        return len(payload)

    with capture_logs() as logs:
        assert len(SECRET) == await again_until_back(
            partial(ask), "away", structlog.get_logger(), topic="handoffs.v1"
        )

    told = [one for one in logs if one["event"] == "away"]
    assert 1100 == len(told)
    assert {("handoffs.v1", "no broker let us in")} == {(one["topic"], one["error"]) for one in told}
    assert SECRET.decode() not in str(logs)


async def test_what_nobody_can_mend_by_waiting_is_raised_at_once() -> None:
    """A topic that may not be written stays one."""

    async def ask() -> None:
        raise MisconfiguredError("may not write")

    with pytest.raises(MisconfiguredError):
        await again_until_back(ask, "away", structlog.get_logger())
