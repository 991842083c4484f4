"""What the port on Kafka makes of answers that a broker in good health does not give."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.commit import OffsetFetchResponse_v3

from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Confirmed, NotAuthorisedError, Partition
from seamwork.bus.producing import Placed
from seamwork.errors import OutcomeUnknownError
from seamwork.records.wire import Outgoing
from seamwork.settings.kafka import KafkaAccess

AT = Partition("inbox.extractor.v1", 0)
NOTED = ("p.inbox.extractor.v1", [(0, 7, "", 0)])
COORDINATOR_LOADS, NOT_COORDINATOR, TOPIC_DENIED, GROUP_DENIED = 14, 16, 29, 30


def log_with(
    monkeypatch: pytest.MonkeyPatch, answers: Sequence[Any], coordinator_codes: Sequence[int] = ()
) -> KafkaLog:
    """Return a log whose group's coordinator gives these answers, one after the other."""
    log = KafkaLog(KafkaAccess("127.0.0.1:1", "n", "n"), "p", client_id="x")
    left, codes = [*answers], [*coordinator_codes]

    async def anybody(_request: Any) -> Any:
        return SimpleNamespace(error_code=codes.pop(0) if codes else 0, coordinator_id=1)

    async def send(_node: int, _request: Any, *, aside: bool = False) -> Any:
        return left.pop(0)

    monkeypatch.setattr(log._connection, "anybody", anybody)
    monkeypatch.setattr(log._connection, "send", send)
    return log


@pytest.mark.parametrize("code", [COORDINATOR_LOADS, NOT_COORDINATOR])
async def test_a_coordinator_that_is_not_ready_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """It says so of the whole answer, in which no topic stands; that does not mean that nothing is noted."""
    answers = [OffsetFetchResponse_v3(0, [], code), OffsetFetchResponse_v3(0, [NOTED], 0)]
    log = log_with(monkeypatch, answers)

    assert {AT: 7} == await log.committed("g", [AT])


@pytest.mark.parametrize(
    ("answers", "coordinator_codes"),
    [
        ([OffsetFetchResponse_v3(0, [], GROUP_DENIED)], []),
        ([], [GROUP_DENIED]),
        ([OffsetFetchResponse_v3(0, [(NOTED[0], [(0, -1, "", TOPIC_DENIED)])], 0)], []),
    ],
    ids=["the-group", "its-coordinator", "the-topic"],
)
async def test_positions_that_may_not_be_read_are_an_error(
    monkeypatch: pytest.MonkeyPatch, answers: Sequence[Any], coordinator_codes: Sequence[int]
) -> None:
    """Whoever took them for none would begin at the log's start."""
    log = log_with(monkeypatch, answers, coordinator_codes)

    with pytest.raises(NotAuthorisedError, match=r"inbox\.extractor\.v1"):
        await log.committed("g", [AT])


async def test_nothing_is_sent_on_when_a_log_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that comes back then would get it from nobody; whoever waits hears that nobody knows."""
    log = KafkaLog(KafkaAccess("127.0.0.1:1", "n", "n"), "p", client_id="x")
    journal = Partition("journal.router.v1", 0)
    log._connection.leaders._known = {AT.topic: {0: 1}, journal.topic: {0: 1}}

    async def anybody(_request: Any) -> Any:
        return SimpleNamespace(error_code=0, producer_id=1, producer_epoch=0)

    async def ask(*_: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(log._connection, "anybody", anybody)
    monkeypatch.setattr(log._connection, "ask", ask)
    monkeypatch.setattr("seamwork.bus.kafka.GOODBYE_S", 0.05)
    waiting: list[asyncio.Future[Any]] = [
        asyncio.create_task(log.append(journal, b"commit")),
        *(
            asyncio.create_task(log.publish([Outgoing(AT.topic, b"k", b"v", partition=0)]))
            for _ in range(10)  # more than travel at once
        ),
    ]
    await asyncio.sleep(0.01)
    await log.stop()
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert 11 * [OutcomeUnknownError] == [type(answer) for answer in answers]


async def test_what_waits_is_sent_before_a_log_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what had no place yet."""
    log = KafkaLog(KafkaAccess("127.0.0.1:1", "n", "n"), "p", client_id="x")
    log._connection.leaders._known = {AT.topic: {0: 1}}

    async def anybody(_request: Any) -> Any:
        return SimpleNamespace(error_code=0, producer_id=1, producer_epoch=0)

    async def ask(*_: Any) -> dict[Partition, Placed]:
        await asyncio.sleep(0.01)
        return {AT: Placed(5, 1)}

    monkeypatch.setattr(log._connection, "anybody", anybody)
    monkeypatch.setattr(log._connection, "ask", ask)
    one = [Outgoing(AT.topic, b"k", b"v", partition=0)]
    waiting = [asyncio.create_task(log.publish(one)) for _ in range(10)]
    await asyncio.sleep(0)
    await log.stop()
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*waiting)

    assert 10 * [Confirmed] == [type(answer) for (answer,) in answers]
