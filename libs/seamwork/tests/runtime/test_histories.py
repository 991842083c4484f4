"""
Random histories of owners on the simulated log: crashes, zombies, lost and late answers, doubles.

Each ends with an heir who restores, publishes what was promised and drains the inputs; then the checker looks.
The controls take one step of the protocol away and show that the checker notices.
"""

import asyncio
import random  # noqa: TID251  # seeds make histories, and each failing seed is a test of its own
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from seamwork.bus.port import Partition
from seamwork.catalog import Catalog
from seamwork.errors import FencedError, OutcomeUnknownError
from seamwork.journal import Journal, Ownership, Place
from seamwork.journal.records import Snapshot, decode_snapshot
from seamwork.records.wire import compose
from seamwork.runtime import MachineSpec
from seamwork.runtime.cache import RecordCache
from seamwork.runtime.metrics import Metrics
from seamwork.runtime.outgoing import Composer
from seamwork.runtime.owned import Owned
from seamwork.runtime.surroundings import Surroundings
from seamwork.runtime.telling import Teller
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.clock import SettableClock
from seamwork.testing.counter import QUIET, WITH_TIMER, counter
from seamwork.testing.journal_check import folded, violations
from seamwork.testing.simlog import Fault, SimBroker, SimCrash, SimLog

NAME = "counter"
COUNTER = counter(NAME)
JOURNAL = Partition(f"journal.{NAME}.v1", 0)
SNAPSHOTS = Partition(f"snapshots.{NAME}.v1", 0)
VERDICTS = Partition(f"verdicts.{NAME}.v1", 0)
HANDOFFS = Partition("handoffs.v1", 0)
PLACE = Place(JOURNAL.topic, SNAPSHOTS.topic, 0)
CATALOG = Catalog.of([])
METRICS = Metrics(NAME)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Histories do not look at the clock: a snapshot is written without a pause."""
    monkeypatch.setattr("seamwork.runtime.owned._SHARE_PAUSE_S", 0.0)


class World:
    """One partition, its inputs, and everybody who thinks that it is theirs."""

    def __init__(
        self, *, checks: bool = True, republishes: bool = True, snapshot_every: int = 3, **spec: Any
    ) -> None:
        self.clock = SettableClock()
        self.broker = SimBroker(self.clock)
        for partition in (JOURNAL, SNAPSHOTS, VERDICTS, HANDOFFS):
            self.broker.create_topic(partition.topic)
        # Nothing but an output, a full batch or a tick ends the wait: histories do not look at the clock.
        given = {"snapshot_every": snapshot_every, "snapshot_tail": 0.0, **spec}
        self.spec = MachineSpec(decider=COUNTER, max_batch=3, hold_s=3600.0, **given)
        self.checks = checks
        self.republishes = republishes
        self.written = 0

    def write(self, count: int) -> None:
        """Let agents write handoffs, some of which ring later, and some of which nobody answers."""
        for _ in range(count):
            number = self.written
            fields = {"step": WITH_TIMER, "deadline_at": self.clock.now_ms() + 500} if number % 4 == 3 else {}
            fields |= {"step": QUIET} if number % 4 == 2 else {}
            self._write(**fields)

    def say(self, step: str) -> None:
        """Let an agent write one handoff."""
        self._write(step=step)

    def _write(self, **fields: Any) -> None:
        number = self.written
        record = envelope("handoff", id=f"h-{number}", task=f"t-{number % 5}", **fields)
        out = compose(PLATFORM, HANDOFFS.topic, f"t-{number % 5}", record)
        self.broker.write(HANDOFFS, out.key, out.value, out.headers)
        self.written += 1

    async def own(self, owner: str) -> Owned:
        """Take the partition over."""
        log = SimLog(self.broker)
        crossings = RecordCache(log, HANDOFFS.topic)
        around = Surroundings(
            log=log,
            clock=self.clock,
            platform=PLATFORM,
            crossings=crossings,
            composer=Composer(PLATFORM, None, crossings, log),
            catalog=lambda: CATALOG,
            metrics=METRICS,
            teller=Teller(METRICS),
            note_position=lambda _at, _position: None,
        )
        ownership = Ownership(owner, "test", self.clock.now_ms, check_contiguity=self.checks)
        journal = await Journal.own(log, COUNTER, PLACE, ownership)
        owned = Owned(self.spec, journal, around, _feeds)
        if self.republishes:
            await owned.republish()
        journal.pending.clear()
        await owned.open_feeds()
        return owned

    async def step(self, owned: Owned) -> bool:
        """Fetch what lies there and make one commit of it."""
        for at, position in list(owned.wants()):
            _, end = self.broker.bounds(at)
            owned.offer(at, self.broker.look(at, position, min(3, end - position)) if position < end else [])
        return await owned.step()

    async def drain(self, owned: Owned) -> None:
        """Step until nothing is left and no timer is due."""
        while await self.step(owned) or await owned.settle():
            pass

    def wrong(self) -> list[str]:
        """Check everything."""
        return violations(self.broker.records(JOURNAL), [self.broker.records(VERDICTS)])


async def _feeds(_catalog: Catalog) -> list[Partition]:
    return [HANDOFFS]


_CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST_ACK, Fault.STALL)
FAULTS = [
    *((fault, JOURNAL.topic) for fault in (*_CRASHES, Fault.LOST_WRITE, Fault.LATE, Fault.TWICE)),
    *((fault, VERDICTS.topic) for fault in _CRASHES),
]


_TURNS = 60  # more than any step takes that nothing holds up


class Play:
    """One history, made by dice."""

    def __init__(self, seed: int, world: World) -> None:
        self.world = world
        self.dice = random.Random(seed)
        self.owners: list[Owned] = []
        self.working: dict[asyncio.Task[Owned | None], Owned | None] = {}

    async def to_the_end(self) -> World:
        """Play, then let an heir drain what is left."""
        for _ in range(self.dice.randint(10, 40)):
            self.world.write(self.dice.randint(0, 3))
            self.world.clock.advance(self.dice.choice((0, 1, 50, 400)))
            await self.turn(self.dice.random())
        while self.world.broker.fault(JOURNAL.topic) or self.world.broker.fault(VERDICTS.topic):
            pass  # the heir is spared
        await self.release()
        self.world.broker.deliver_late()
        heir = await self.world.own("heir")
        self.world.clock.advance(1_000)
        await self.world.drain(heir)
        assert folded(COUNTER, self.world.broker.records(JOURNAL)) == heir.journal.state
        return self.world

    async def turn(self, luck: float) -> None:
        """Do one thing."""
        if luck < 0.15 or not self.owners:
            await self.settle(asyncio.create_task(self.world.own("owner")), None)
        elif luck < 0.25:
            self.world.broker.deliver_late()
        elif luck < 0.35:
            await self.release()
        elif free := [one for one in self.owners if all(one is not busy for busy in self.working.values())]:
            if luck < 0.6:
                self.world.broker.inject(*self.dice.choice(FAULTS))
            owned = self.dice.choice(free)
            await self.settle(asyncio.create_task(self.stepped(owned)), owned)

    async def stepped(self, owned: Owned) -> None:
        """Step one owner."""
        await self.world.step(owned)

    async def release(self) -> None:
        """Wake everybody who was frozen."""
        while self.working:
            self.world.broker.release()
            for work, owned in list(self.working.items()):
                await self.settle(work, owned)

    async def settle(self, work: "asyncio.Task[Owned | None]", owned: Owned | None) -> None:
        """See what became of some work: done, frozen, or the end of its process."""
        for _ in range(_TURNS):  # the same turns on every run: a seed is one history
            await asyncio.sleep(0)
        if not work.done():
            self.working[work] = owned
            return
        self.working.pop(work, None)
        if isinstance(work.exception(), SimCrash | FencedError | OutcomeUnknownError):
            self.owners = [one for one in self.owners if one is not owned]
        elif (new := work.result()) is not None:
            self.owners.append(new)


async def play(seed: int, world: World) -> World:
    """Play one history."""
    return await Play(seed, world).to_the_end()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resend at once: the simulated log has no reason to make anybody wait."""
    monkeypatch.setattr("seamwork.bus.again._PAUSE_S", 0.0)


@pytest.mark.parametrize("block", range(8))
async def test_no_history_breaks_the_protocol(block: int) -> None:
    """Every input counts once, every output appears once, live state and replay agree."""
    for seed in range(25 * block, 25 * block + 25):
        world = await play(seed, World())
        assert [] == world.wrong(), f"seed {seed}"
        state = folded(COUNTER, world.broker.records(JOURNAL))
        assert world.written == sum(state.tasks.values()), f"seed {seed}"


async def broken(make: Callable[[], World], seeds: int) -> int:
    """Count the histories that the checker, or the machine itself, finds broken."""
    found = 0
    for seed in range(seeds):
        try:
            found += bool((await play(seed, make())).wrong())
        except AssertionError:
            found += 1
    return found


async def test_without_the_contiguity_check_the_checker_finds_outputs_of_invalid_commits() -> None:
    """The control for step 2.4.4: a zombie's outputs appear."""
    assert await broken(lambda: World(checks=False), 60) > 5


async def test_without_republishing_the_checker_finds_lost_outputs() -> None:
    """The control for step 2.3.4: what a crash left unpublished stays so."""
    assert await broken(lambda: World(republishes=False, snapshot_every=1_000), 60) > 5


async def test_a_snapshot_and_the_tail_give_the_state_of_the_whole_journal() -> None:
    """An heir restores from a snapshot what a replay from the start gives."""
    world = World(snapshot_every=2)
    world.write(30)
    first = await world.own("first")
    await world.drain(first)
    replayed = folded(COUNTER, world.broker.records(JOURNAL))
    second = await world.own("second")

    assert replayed == second.journal.state
    assert second.journal.replayed < 5


async def test_a_snapshot_waits_until_much_more_is_committed_than_it_holds() -> None:
    """However large a state is, to write it down costs a part of what changed it; an heir knows how that stands."""
    world = World(snapshot_every=1, snapshot_tail=2.0)
    world.write(300)
    first = await world.own("first")
    await world.drain(first)
    commits = world.broker.records(JOURNAL)
    manifests = [decode_snapshot(raw.value or b"", "here") for raw in world.broker.records(SNAPSHOTS)]
    taken = [(one.next_offset, len(one.state)) for one in manifests if isinstance(one, Snapshot)]
    between = [
        (sum(len(raw.value or b"") for raw in commits[start:end]), size)
        for (start, size), (end, _) in pairwise(taken)
    ]
    second = await world.own("second")

    assert len(between) > 3
    assert all(committed >= 2 * size for committed, size in between)
    assert (first.journal.snapshot_bytes, first.journal.tail_bytes) == (
        second.journal.snapshot_bytes, second.journal.tail_bytes,
    )  # fmt: skip


@pytest.mark.parametrize("snapshot_every", [1, 1_000_000])
async def test_whoever_takes_over_never_reads_more_than_a_bound(
    monkeypatch: pytest.MonkeyPatch, snapshot_every: int
) -> None:
    """However large a state is, and however few the commits that have come to so much."""
    world = World(snapshot_every=snapshot_every, snapshot_tail=1_000.0)
    monkeypatch.setattr("seamwork.runtime.owned.MAX_TAIL_BYTES", 5_000)
    world.write(300)
    first = await world.own("first")
    await world.drain(first)

    assert len(world.broker.records(SNAPSHOTS)) > 3
    assert first.journal.tail_bytes < 5_000


async def test_work_goes_on_between_two_shares_of_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """One share at a time and then a pause, idle or not: other services live in the same process."""
    monkeypatch.setattr("seamwork.runtime.owned._SHARE_PAUSE_S", 3600.0)
    world = World(snapshot_every=1, snapshot_share=1)
    owned = await world.own("first")
    world.write(3)
    await world.step(owned)
    begun, seq, idle = owned.journal.writing, owned.journal.seq, await owned.step()
    world.write(3)
    worked = await world.step(owned)

    assert (True, False, True) == (begun, idle, worked)
    assert (seq + 1, True) == (owned.journal.seq, owned.journal.writing)
    assert not world.broker.records(SNAPSHOTS)


async def test_a_snapshot_becomes_whole_though_nothing_else_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next share is what an idle partition wakes for."""
    monkeypatch.setattr("seamwork.runtime.owned._SHARE_PAUSE_S", 0.005)
    world = World(snapshot_every=1, snapshot_share=1)
    owned = await world.own("first")
    world.write(3)
    await world.step(owned)
    begun = owned.journal.writing
    running = asyncio.create_task(owned.run())
    async with asyncio.timeout(10):
        while owned.journal.writing:  # noqa: ASYNC110  # nothing tells when it is whole
            await asyncio.sleep(0.01)
    owned.stop()
    await running

    assert begun
    assert 1 == len(world.broker.records(SNAPSHOTS))


async def test_a_batch_that_waits_for_company_keeps_its_instant() -> None:
    """What was decided first is decided again at the commit's instant, by whoever replays it."""
    world = World()
    owned = await world.own("first")
    world.write(3)
    await world.drain(owned)
    before, begun = owned.journal.seq, world.clock.now_ms()
    world.say(QUIET)
    await world.step(owned)
    world.clock.advance(1_000)
    world.say("loud")
    await world.step(owned)

    assert before + 1 == owned.journal.seq
    assert begun == owned.journal.now


async def test_snapshots_are_as_many_commits_apart_as_was_said() -> None:
    """However small the state is beside what is committed."""
    world = World(snapshot_every=4)
    owned = await world.own("first")
    for _ in range(12):
        world.say("loud")
        await world.drain(owned)

    assert 12 == owned.journal.seq
    assert 3 == len(world.broker.records(SNAPSHOTS))
