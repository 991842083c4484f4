"""The simulated log does what its faults say, and lets a scheduler choose who goes first."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from seamwork.bus.port import Confirmed, Partition
from seamwork.errors import OutcomeUnknownError
from seamwork.testing.clock import SettableClock
from seamwork.testing.log_conformance import COUNT, JOURNAL, WORK, Owner, outgoing
from seamwork.testing.simlog import Fault, SimBroker, SimCrash, SimLog

PLACE = Partition(JOURNAL, 0)


def broker(
    step: Callable[[str], Awaitable[None]] | None = None, clock: SettableClock | None = None
) -> SimBroker:
    """Make a broker with a journal and a topic of work."""
    made = SimBroker(clock) if step is None else SimBroker(clock, step=step)
    made.create_topic(JOURNAL, COUNT)
    made.create_topic(WORK, COUNT)
    return made


@pytest.mark.parametrize(
    ("fault", "raised", "written"),
    [
        (Fault.CRASH_BEFORE, SimCrash, 0),
        (Fault.CRASH_AFTER, SimCrash, 1),
        (Fault.LOST_WRITE, OutcomeUnknownError, 0),
        (Fault.LOST_ACK, OutcomeUnknownError, 1),
        (Fault.LATE, OutcomeUnknownError, 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
async def test_a_fault_hits_one_append_and_the_next_is_fine(
    fault: Fault, raised: type[BaseException], written: int
) -> None:
    """It happens to the topic it was meant for, once."""
    sim = broker()
    sim.inject(fault, JOURNAL)
    log = SimLog(sim)
    await log.publish([outgoing(0)])
    with pytest.raises(raised):
        await log.append(PLACE, b"a")

    assert written == len(sim.records(PLACE))
    assert written == (await log.append(PLACE, b"b")).offset


async def test_a_late_write_lands_behind_what_came_since() -> None:
    """The ghost of an append that was given up."""
    sim = broker()
    sim.inject(Fault.LATE, JOURNAL)
    log = SimLog(sim)
    with pytest.raises(OutcomeUnknownError):
        await log.append(PLACE, b"ghost")
    await log.append(PLACE, b"again")

    assert 1 == sim.deliver_late()
    assert [b"again", b"ghost"] == [record.value for record in sim.records(PLACE)]


async def test_a_retry_writes_twice_and_answers_with_the_second() -> None:
    """As a plain producer does."""
    sim = broker()
    sim.inject(Fault.TWICE, JOURNAL)

    assert 1 == (await SimLog(sim).append(PLACE, b"a")).offset
    assert 2 == len(sim.records(PLACE))


async def test_a_zombie_writes_after_its_partitions_went_to_another() -> None:
    """It was held for dead while its append stalled; nobody told it."""
    sim = broker()
    first, second = Owner(), Owner()
    zombie = SimLog(sim)
    place = await zombie.own("router", WORK, first.assigned, first.revoked)
    sim.inject(Fault.STALL, JOURNAL)
    stalled = asyncio.create_task(zombie.append(PLACE, b"stale"))
    await asyncio.sleep(0)
    await sim.expel(place)
    await SimLog(sim).own("router", WORK, second.assigned, second.revoked)
    await SimLog(sim).append(PLACE, b"claim")
    sim.release()

    assert 1 == (await stalled).offset
    assert frozenset(range(COUNT)) == first.owned == second.owned


async def test_a_scheduler_decides_the_order() -> None:
    """Every call waits for its turn."""
    turns: dict[str, asyncio.Event] = {}

    async def step(name: str) -> None:
        await turns.setdefault(name, asyncio.Event()).wait()

    sim = broker(step)
    one = asyncio.create_task(SimLog(sim).append(PLACE, b"one"))
    two = asyncio.create_task(SimLog(sim).publish([outgoing(0)]))
    await asyncio.sleep(0)

    assert {f"append {JOURNAL}/0", "publish"} == turns.keys()
    turns["publish"].set()
    assert [Confirmed(0)] == list(await two)
    assert () == sim.records(PLACE)
    turns[f"append {JOURNAL}/0"].set()
    assert 0 == (await one).offset


async def test_append_times_are_the_clocks() -> None:
    """Time passes when the test says so."""
    clock = SettableClock(1_000)
    sim = broker(clock=clock)
    log = SimLog(sim)
    first = await log.append(PLACE, b"a")
    clock.advance(250)
    second = await log.append(PLACE, b"b")
    clock.set(900)
    third = await log.append(PLACE, b"c")

    assert [1_000, 1_250, 900] == [each.appended_at for each in (first, second, third)]


async def test_compaction_keeps_the_last_of_each_key() -> None:
    """Offsets stay, and readers of a compacted topic find no gap."""
    sim = SimBroker()
    sim.create_topic("snapshots.router.v1")
    place = Partition("snapshots.router.v1", 0)
    log = SimLog(sim)
    for number, key in enumerate((b"0/1", b"0/1", b"0/2")):
        await log.append(place, b"%d" % number, key)
    sim.compact(place)

    assert [1, 2] == [record.offset for record in await log.read(place, 0, 10)]
