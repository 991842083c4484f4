"""A service held together: pages, pulse, the way out; on the simulated log."""

import asyncio
import base64
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seamwork.bus.port import LogGapError, Partition
from seamwork.errors import (
    FencedError,
    MisconfiguredError,
    OutcomeUnknownError,
    RetryableError,
    SeamworkError,
)
from seamwork.records.platform import Heartbeat, Obstacle
from seamwork.records.wire import Received, read
from seamwork.runtime import Host, LoopSpec, MachineSpec, Response, Service, ServiceSettings, exit_code
from seamwork.runtime.frame import Frame
from seamwork.settings.common import CommonSettings
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.clock import SettableClock
from seamwork.testing.counter import counter
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimBroker, SimLog

HEARTBEATS = Partition("heartbeats.v1", 0)


async def until_stopped(host: Host) -> None:
    """Work until told to stop."""
    host.ready()
    await host.stopping.wait()
    host.progressed(0)


FULL = Obstacle(rule="disk-low", reason="it has less than 512 MiB left")


async def until_the_disk_is_full(host: Host) -> None:
    """Find all well, and then an obstacle."""
    host.ready()
    host.hinders(())
    host.hinders((FULL,))
    await host.stopping.wait()


async def at_once(host: Host) -> None:
    """Return, which no loop may."""
    host.ready()


async def never_done(host: Host) -> None:
    """Say that there is work, and do none."""
    host.ready()
    host.progressed(7)
    await host.stopping.wait()


@asynccontextmanager
async def framed(
    tmp_path: Path,
    loop: Callable[[Host], Awaitable[None]] | MachineSpec,
    ended: Callable[[], None] = lambda: None,
    topics: tuple[str, ...] = (),
) -> AsyncIterator[tuple[Frame, SimBroker]]:
    """Run a loop, or a machine, in its frame."""
    broker = SimBroker(SettableClock())
    for topic in ("contracts.v1", "registry.v1", "policies.v1", "heartbeats.v1", *topics):
        broker.create_topic(topic)
    key = tmp_path / "audit-sink-1.key"
    key.write_text(base64.b64encode(bytes(32)).decode(), encoding="ascii")
    key.chmod(0o600)
    common = CommonSettings(
        platform="p-1",
        root_public=key_of("root").public,
        kafka=KafkaAccess("nowhere:1", "", "", protocol="PLAINTEXT"),
        instance="i-1",
        signing_key_file=key,
    )
    routes = {"/v1": lambda request: Response(request.path.encode())}
    part = loop if isinstance(loop, MachineSpec) else LoopSpec(run=loop, routes=routes)
    service = Service(
        name="audit-sink",
        settings=ServiceSettings,
        build=lambda _settings, _site: part,
        reads=(),
        writes=(),
        version="1.2.3",
    )
    frame = Frame(service, part, common, log=SimLog(broker), clock=SettableClock(), ended=ended)
    async with frame.running():
        yield frame, broker


async def page(frame: Frame, path: str) -> tuple[int, bytes]:
    """Ask for a page."""

    def ask() -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{frame.http_port}{path}", timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    return await asyncio.to_thread(ask)


def beats(broker: SimBroker) -> list[Heartbeat]:
    """Return the heartbeats."""
    found = [read(raw, "p-1") for raw in broker.records(HEARTBEATS)]
    return [one.record for one in found if isinstance(one, Received) and isinstance(one.record, Heartbeat)]


async def test_a_loop_has_pages_and_a_pulse(tmp_path: Path) -> None:
    """Its own pages beside the common ones; the last beat says that it ends."""
    async with framed(tmp_path, until_stopped) as (frame, broker):
        while not beats(broker):  # noqa: ASYNC110  # the test's own deadline holds
            await asyncio.sleep(0)
        assert (200, b"/v1/tasks") == await page(frame, "/v1/tasks")
        assert 200 == (await page(frame, "/health/ready"))[0]
        assert (200, b'{"alive":true}\n') == await page(frame, "/health/live")
        assert b"seamwork_catalog_offset" in (await page(frame, "/metrics"))[1]
    first, *_, last = beats(broker)

    assert ("audit-sink", "1.2.3", "i-1") == (first.name, first.version, first.instance)
    assert "draining" == last.state


async def test_what_a_part_has_found_goes_out_with_the_pulse(tmp_path: Path) -> None:
    """The last word, too: who drains has not mended what stands against new tasks."""
    async with framed(tmp_path, until_the_disk_is_full) as (_, broker):
        while not beats(broker):  # noqa: ASYNC110  # the test's own deadline holds
            await asyncio.sleep(0)

    assert (FULL,) == beats(broker)[-1].obstacles


async def test_a_router_says_how_long_the_watch_has_been_silent(tmp_path: Path) -> None:
    """Nobody else can: whoever is silent does not say so, and `status` would not know why no task is begun."""
    machine = MachineSpec(decider=counter("router"), lead="handoffs.v1", health=True)
    topics = ("handoffs.v1", machine.journal, machine.snapshots)
    async with framed(tmp_path, machine, topics=topics) as (frame, broker):
        journal = Partition(machine.journal, 0)
        while len(broker.records(journal)) < 2:  # noqa: ASYNC110  # a claim, and that nobody lives
            await asyncio.sleep(0)
        frame._clock.advance(86_410_000)  # type: ignore[attr-defined]  # it is the one below
        async with asyncio.timeout(10):
            while b'rule="audit-silent"' not in (await page(frame, "/metrics"))[1]:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.05)

    assert () == beats(broker)[0].obstacles
    assert ["audit-silent"] == [one.rule for one in beats(broker)[-1].obstacles]


async def test_what_lies_ahead_of_a_loop_is_on_its_page(tmp_path: Path) -> None:
    """Also while it does nothing: nobody else would say so."""

    async def read_nothing(host: Host) -> None:
        host.ready()
        while not (await host.log.end_offsets([HEARTBEATS]))[HEARTBEATS]:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0)
        host.reading(lambda: {HEARTBEATS: 0})
        await host.stopping.wait()

    async with framed(tmp_path, read_nothing) as (frame, _):
        wanted = b'seamwork_lag_records{partition="0",service="audit-sink"} 1.0'
        async with asyncio.timeout(10):
            while wanted not in (await page(frame, "/metrics"))[1]:  # noqa: ASYNC110  # a page tells nobody
                await asyncio.sleep(0.05)


async def test_a_loop_that_ends_by_itself_ends_the_service(tmp_path: Path) -> None:
    """Nobody may think that it still works."""
    ended = asyncio.Event()
    async with framed(tmp_path, at_once, ended.set) as (frame, _):
        async with asyncio.timeout(30):
            await ended.wait()

    assert "ended by itself" in str(frame.error)


async def test_a_catalog_that_is_followed_no_more_ends_the_service(tmp_path: Path) -> None:
    """Its part may never ask: what is published from then on, a revocation say, it would not hear of."""
    ended = asyncio.Event()

    async def away(call: str) -> None:
        if call == "fetch":
            raise RetryableError("Kafka has not answered for 30 s")

    async with framed(tmp_path, until_stopped, ended.set) as (frame, broker):
        broker.step = away
        async with asyncio.timeout(30):
            await ended.wait()

    assert isinstance(frame.error, RetryableError)


async def test_work_that_lies_there_makes_the_service_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Liveness is progress, not a port that answers."""
    monkeypatch.setattr("seamwork.runtime.frame.STALLED_S", 0.0)
    async with framed(tmp_path, never_done) as (frame, _):
        while not frame.ready:  # noqa: ASYNC110  # the test's own deadline holds
            await asyncio.sleep(0)
        status, said = await page(frame, "/health/live")

    assert 503 == status
    assert b"nothing has come of it" in said


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, (0, "stopped")),
        (FencedError(), (75, "fenced")),
        (OutcomeUnknownError(), (70, "outcome-unknown")),
        (LogGapError(), (74, "log-gap")),
        (MisconfiguredError(), (78, "misconfigured")),
        (RetryableError(), (69, "unreachable")),
        (SeamworkError(), (1, "bug")),
        (ValueError(), (1, "bug")),
    ],
    ids=str,
)
def test_each_way_out_has_a_code_and_a_name(error: BaseException | None, expected: tuple[int, str]) -> None:
    """A supervisor knows by the code whether starting again helps."""
    assert expected == exit_code(error)
