"""What the runtime gives a core, and does with what the core wants: on the simulated log, without waiting."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from seamwork.bus.limits import limit_of, record_bytes
from seamwork.bus.port import Partition
from seamwork.catalog import Catalog, Context
from seamwork.decider import (
    CatalogChanged,
    Decider,
    Forward,
    HealthChanged,
    Input,
    InstanceHealth,
    Output,
    Publish,
    SetAside,
    Tick,
    TooMuch,
    Undeliverable,
    WithCrossing,
)
from seamwork.errors import FencedError, MisconfiguredError, OutcomeUnknownError, SeamworkError
from seamwork.grants.keys import record_verifies
from seamwork.journal import Commit, Taken
from seamwork.records.crossing import Handoff
from seamwork.records.decision import JudgeAgain
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.inbox import Work
from seamwork.records.parties import Position, Revision
from seamwork.records.platform import DeadLetter, Obstacle
from seamwork.records.wire import Header, Malformed, RawRecord, Received, compose, read
from seamwork.runtime import Machine, MachineSpec
from seamwork.runtime.machine import Identity
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.clock import SettableClock
from seamwork.testing.counter import QUIET, WITH_TIMER, Counts, counter
from seamwork.testing.journal_check import commits, folded, violations
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import Fault, SimBroker, SimCrash, SimLog, SimReader

ROUTER = key_of("service:router")
HANDOFFS, DECISIONS, DEAD = "handoffs.v1", "decisions.v1", "dead-letters.v1"
LATE = "verdicts.late.v1"
JOURNAL = Partition("journal.router.v1", 0)


class Follower:
    """A catalog that the test moves."""

    def __init__(self) -> None:
        self.catalog = Catalog.of([], revision=Revision())
        self._moved = asyncio.Event()

    def move(self, revision: Revision) -> None:
        """Reach *revision*."""
        self.catalog = Catalog.of([], revision=revision)
        self._moved.set()

    async def changed(self, since: Revision) -> Catalog:
        """Wait for the next view."""
        while self.catalog.revision == since:
            self._moved.clear()
            await self._moved.wait()
        return self.catalog

    async def catch_up(self, revision: Revision) -> Catalog:
        """Wait until *revision* is reached."""
        while not self.catalog.revision.reaches(revision):
            await self.changed(self.catalog.revision)
        return self.catalog


class Bench:
    """A broker, a machine's topics, a catalog; and a way to see what came of it."""

    def __init__(self, name: str = "router", partitions: int = 1, journals: int | None = None) -> None:
        self.name = name
        self.clock = SettableClock()
        self.broker = SimBroker(self.clock)
        self.follower = Follower()
        self.watched: asyncio.Future[None] | None = None
        for topic in (HANDOFFS, DECISIONS, DEAD, f"verdicts.{name}.v1"):
            self.broker.create_topic(topic, partitions)
        for topic in (f"journal.{name}.v1", f"snapshots.{name}.v1"):
            self.broker.create_topic(topic, journals or partitions)

    def machine(self, spec: MachineSpec, instance: str = "one") -> Machine:
        """Make the machine in a process of its own."""
        identity = Identity(platform=PLATFORM, instance=instance, version="test", signer=ROUTER)
        return Machine(
            spec, log=SimLog(self.broker), follower=self.follower, identity=identity, clock=self.clock
        )

    @asynccontextmanager
    async def running(self, spec: MachineSpec, instance: str = "one") -> AsyncIterator[Machine]:
        """Run it."""
        async with self.machine(spec, instance).running() as machine:
            self.watched = asyncio.ensure_future(machine.wait())
            await self.until(lambda: machine.ready and bool(machine.owned))
            yield machine
            self.watched.cancel()
            self.watched = None

    def write(
        self, record: AnyEnvelope, topic: str = HANDOFFS, partition: int = 0, payload: bytes = b""
    ) -> RawRecord:
        """Write a record as its sender would."""
        out = compose(PLATFORM, topic, "t-1", record, payload=payload, signer=key_of("agent:planner"))
        return self.broker.write(Partition(topic, partition), out.key, out.value, out.headers)

    def commits(self, partition: int = 0) -> list[Commit]:
        """Return the valid commits."""
        return commits(self.broker.records(Partition(f"journal.{self.name}.v1", partition)))

    def inputs(self, partition: int = 0) -> list[Taken]:
        """Return what was taken in, in order."""
        return [taken for commit in self.commits(partition) for taken in commit.inputs]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds."""
        async with asyncio.timeout(30):
            while not condition():  # what it waits for is spread over many objects
                if self.watched is not None and self.watched.done():
                    self.watched.result()
                await asyncio.sleep(0)


@pytest.fixture
def bench() -> Bench:
    """Make a bench for a machine called ``router``."""
    return Bench()


class Seen(msgspec.Struct, frozen=True, tag="seen"):
    """An input was seen; *what* says which, *at* where it lay."""

    what: str
    at: Position | None = None
    digest: str = ""


class Log(msgspec.Struct):
    """What was seen."""

    seen: list[str] = []


def witness(
    outputs: Callable[[Seen], Sequence[Output]] = lambda _seen: (), name: str = "router"
) -> Decider[Log, Input, Seen, Context]:
    """Make a machine that notes what it is given."""

    def decide(_state: Log, given: Input, _context: Context) -> Sequence[Seen]:
        match given:
            case WithCrossing():
                digest = given.crossing.digest
                return (Seen("with-crossing", given.crossing.position, digest),)
            case Received() | Malformed():
                return (Seen(type(given).__name__.lower(), given.position, given.digest),)
            case HealthChanged():
                return (Seen(f"health {given.instances[0].alive}"),)
            case Undeliverable():
                return (Seen(f"undeliverable {given.error} {given.dispatch}"),)
            case CatalogChanged():
                return (Seen(f"catalog {given.revision.registry}"),)
            case Tick() | TooMuch():
                return ()

    def evolve(state: Log, event: Seen) -> Log:
        state.seen.append(event.what)
        return state

    return Decider(name, Log, decide, evolve, outputs, Seen, Log, timer=lambda _state: None)


def wordy(timers: Sequence[str] = ()) -> Decider[Log, Input, Seen, Context]:
    """Make a machine that says of a handoff as much as its step asks for, and of a tick so much for each timer."""

    def decide(state: Log, given: Input, _context: Context) -> Sequence[Seen]:
        match given:
            case Received(record=Handoff() as handoff):
                return (Seen(int(handoff.step) * "x"),)
            case TooMuch(given=Tick()):
                return (Seen("timer given up"),)
            case TooMuch():
                return (Seen("too much"),)
            case Tick(most=most):
                due = timers[len(state.seen) :]
                return tuple(Seen(int(size) * "t") for size in (due[:most] if most else due))
            case _:
                return ()

    def evolve(state: Log, event: Seen) -> Log:
        state.seen.append(event.what)
        return state

    def due(state: Log) -> int | None:
        return 0 if len(state.seen) < len(timers) else None

    return Decider("router", Log, decide, evolve, lambda _event: (), Seen, Log, timer=due)


BOUNCED = "undeliverable unknown-topic None"


def bouncing() -> Decider[Log, Input, Seen, Context]:
    """Make a machine that answers handoffs into an inbox that is not there, and says much of what comes of it."""
    lost = Publish("inbox.nobody.v1", "t-1", envelope("notice"), signed=True)
    base = witness(lambda seen: (lost,) if seen.what == "received" else ())

    def decide(state: Log, given: Input, context: Context) -> Sequence[Seen]:
        made = base.decide(state, given, context)
        return (
            made
            if isinstance(given, Received)
            else [Seen(seen.what, digest=SMALL // 3 * "x") for seen in made]
        )

    return replace(base, decide=decide)


LARGE = bytes(900_000)
HELD = 10
"""So many large payloads are what a batch may hold, and the one that it ends with."""

SMALL = 4_000
"""What a commit of these tests holds."""


# ── Inputs ───────────────────────────────────────────────────────────────────────────────


async def test_live_state_equals_replay(bench: Bench) -> None:
    """What a machine holds is the fold of its journal, and the checker finds nothing."""
    decider = counter("router")
    async with bench.running(MachineSpec(decider=decider)) as machine:
        for number in range(30):
            bench.write(envelope("handoff", id=f"h-{number}", task=f"t-{number % 3}"))
        await bench.until(lambda: 30 == len(bench.inputs()))
        live = machine.owned[0].journal.state
    journal = bench.broker.records(Partition("journal.router.v1", 0))

    assert Counts(tasks={"t-0": 10, "t-1": 10, "t-2": 10}) == live == folded(decider, journal)
    assert [] == violations(journal, [bench.broker.records(Partition("verdicts.router.v1", 0))])


async def test_a_record_that_cannot_be_read_is_an_input_too(bench: Bench) -> None:
    """Its position advances, its digest is in the commit."""
    bench.broker.write(Partition(HANDOFFS, 0), None, b"\xff", ((("sw_envelope"), b"\xff"),))
    async with bench.running(MachineSpec(decider=witness())) as machine:
        await bench.until(lambda: ["malformed"] == machine.owned[0].journal.state.seen)

    assert {f"{HANDOFFS}/0": 1} == bench.commits()[-1].positions


async def test_what_leads_to_no_output_shares_the_append_of_what_comes_next(bench: Bench) -> None:
    """Nobody waits for it; leaving commits it, and the time and catalog of the batch are one."""
    async with bench.running(MachineSpec(decider=witness(), hold_s=3600.0)) as machine:
        bench.write(envelope("handoff", id="h-0"))
        await bench.until(lambda: 1 == len(machine.owned[0].journal.state.seen))
        bench.write(envelope("handoff", id="h-1"))
        await bench.until(lambda: 2 == len(machine.owned[0].journal.state.seen))
        assert [] == bench.commits()

    assert [[0, 1]] == [[taken.offset for taken in commit.inputs] for commit in bench.commits()]


async def test_what_nobody_waits_for_shares_the_append_of_what_comes_next(bench: Bench) -> None:
    """It is published with the commit that holds it, not before."""
    decider, kinds = counter("router"), frozenset({"verdict"})
    async with bench.running(MachineSpec(decider=decider, hold_s=3600.0, patient=kinds)) as machine:
        bench.write(envelope("handoff", id="h-0"))
        await bench.until(lambda: {"t-1": 1} == machine.owned[0].journal.state.tasks)
        bench.write(envelope("handoff", id="h-1"))
        await bench.until(lambda: {"t-1": 2} == machine.owned[0].journal.state.tasks)
        assert [] == bench.commits()
        assert not bench.broker.records(Partition("verdicts.router.v1", 0))

    assert [[0, 1]] == [[taken.offset for taken in commit.inputs] for commit in bench.commits()]
    assert 2 == len(bench.broker.records(Partition("verdicts.router.v1", 0)))


async def test_what_leads_to_no_output_is_committed_in_a_moment(bench: Bench) -> None:
    """It waits for company, not for ever."""
    async with bench.running(MachineSpec(decider=witness(), hold_s=0.001)):
        bench.write(envelope("handoff"))
        await bench.until(lambda: 1 == len(bench.commits()))


async def test_a_batch_that_waits_ends_with_its_catalog(bench: Bench) -> None:
    """What was decided by one revision is not committed under another."""
    async with bench.running(MachineSpec(decider=witness(), hold_s=3600.0)) as machine:
        bench.write(envelope("handoff"))
        await bench.until(lambda: 1 == len(machine.owned[0].journal.state.seen))
        bench.follower.move(Revision(registry=3))
        await bench.until(lambda: 2 == len(bench.commits()))

    assert [Revision(), Revision(registry=3)] == [commit.catalog for commit in bench.commits()]


async def test_a_crash_while_a_batch_waits_loses_nothing(bench: Bench) -> None:
    """Its inputs are read again by whoever comes next."""
    decider = counter("router")
    crashing = bench.machine(MachineSpec(decider=decider, hold_s=3600.0))
    await crashing.start()
    await bench.until(lambda: bool(crashing.owned))
    bench.write(envelope("handoff", step=QUIET))
    await bench.until(lambda: bool(crashing.owned[0].journal.state.tasks))
    for task in (*crashing._lives.values(), *crashing._helpers):
        task.cancel()  # the process is gone
    await bench.broker.expel(bench.broker.group("router").members[0])
    async with bench.running(MachineSpec(decider=decider), "heir"):
        bench.write(envelope("handoff", id="h-2"))
        await bench.until(lambda: 2 == len(bench.inputs()))
    journal = bench.broker.records(Partition("journal.router.v1", 0))

    assert Counts(tasks={"t-1": 2}) == folded(decider, journal)
    assert [] == violations(journal, [bench.broker.records(Partition("verdicts.router.v1", 0))])


async def test_a_timer_fires_after_everything_before_it_was_read(bench: Bench) -> None:
    """The tick says up to where was read, and nothing unread lies before that."""
    due = bench.clock.now_ms() + 100
    async with bench.running(MachineSpec(decider=counter("router"))):
        bench.write(envelope("handoff", step=WITH_TIMER, deadline_at=due))
        await bench.until(lambda: 1 == len(bench.inputs()))
        bench.clock.advance(200)
        bench.write(envelope("handoff", id="h-2"))
        await bench.until(lambda: 3 == len(bench.inputs()))
    first, second, tick = bench.inputs()

    assert (0, 1) == (first.offset, second.offset)
    assert Tick(read_to={f"{HANDOFFS}/0": 2}) == tick.body
    assert 1 == len(bench.commits()[-1].inputs)


async def test_a_tick_that_changes_nothing_is_not_journalled(bench: Bench) -> None:
    """A timer that does not move must not fill the journal."""
    stuck = replace(witness(), timer=lambda _state: 1)
    async with bench.running(MachineSpec(decider=stuck)) as machine:
        await bench.until(lambda: machine.owned[0]._tick_not_before > 0)

    assert [] == bench.commits()


@pytest.mark.parametrize("due", [10**400, -(10**400), 10**4300], ids=["far", "long-ago", "unwritable"])
async def test_no_number_in_a_timer_ends_a_machine(bench: Bench, due: int) -> None:
    """An agent writes the instants that timers are set by, with as many digits as it likes."""
    timed = replace(witness(), timer=lambda state: due if state.seen else None)
    async with bench.running(MachineSpec(decider=timed)) as machine:
        for number in (1, 2):
            bench.write(envelope("handoff", id=f"h-{number}"))
            await bench.until(lambda: bool(machine.owned[0].journal.state.seen))
            await bench.until(lambda: not machine.owned[0].stepping)

        await bench.until(lambda: 2 == machine.owned[0].journal.state.seen.count("received"))


async def test_a_catalog_that_moved_is_an_input(bench: Bench) -> None:
    """Once per revision; the commit carries the revision that it was decided by."""
    async with bench.running(MachineSpec(decider=witness())) as machine:
        bench.follower.move(Revision(registry=3))
        await bench.until(lambda: ["catalog 3"] == machine.owned[0].journal.state.seen)
        bench.write(envelope("handoff"))
        await bench.until(lambda: 2 == len(bench.inputs()))

    assert [Revision(registry=3)] * 2 == [commit.catalog for commit in bench.commits()]


async def test_word_of_a_catalog_is_not_lost_behind_what_bounced(bench: Bench) -> None:
    """A commit says by which revision it was decided, so the core hears of that one before anything else."""

    async def step(call: str) -> None:
        if call == "publish":
            bench.follower.move(Revision(registry=7))

    bench.broker.step = step
    async with bench.running(MachineSpec(decider=bouncing(), max_commit_bytes=SMALL)) as machine:
        bench.write(envelope("handoff"))
        await bench.until(lambda: bool(machine.owned[0].journal.state.seen[2:]))

        assert ["received", "catalog 7", BOUNCED] == machine.owned[0].journal.state.seen


async def test_the_catalog_never_goes_back(bench: Bench) -> None:
    """A restarted machine waits until its catalog knows what its journal has decided by."""
    bench.follower.move(Revision(registry=5))
    async with bench.running(MachineSpec(decider=witness())):
        await bench.until(lambda: 1 == len(bench.inputs()))
    bench.follower.move(Revision(registry=2))
    async with bench.machine(MachineSpec(decider=witness()), "two").running() as machine:
        await bench.until(lambda: 3 == len(bench.broker.records(Partition("journal.router.v1", 0))))
        assert {} == machine.owned
        bench.follower.move(Revision(registry=5))
        await bench.until(lambda: bool(machine.owned))


async def test_a_gate_is_added_while_the_machine_runs(bench: Bench) -> None:
    """A topic that the catalog names from now on is read from its start; nothing else stops."""
    spec = MachineSpec(
        decider=witness(), also=lambda catalog: ("verdicts.new.v1",) if catalog.revision.registry else ()
    )
    async with bench.running(spec) as machine:
        bench.broker.create_topic("verdicts.new.v1")
        bench.write(envelope("verdict"), "verdicts.new.v1")
        bench.follower.move(Revision(registry=1))
        await bench.until(lambda: "received" in machine.owned[0].journal.state.seen)

    assert 1 == bench.commits()[-1].positions["verdicts.new.v1/0"]


@pytest.mark.parametrize("named", ["from-the-start", "later"])
async def test_a_topic_that_comes_after_its_document_is_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """The registrar of a cluster makes it a moment later, and no other document may be published for weeks."""
    monkeypatch.setattr("seamwork.runtime.machine._TOPIC_RETRY_S", 0.01)
    since = 1 if named == "later" else 0
    spec = MachineSpec(
        decider=witness(),
        also=lambda catalog: (LATE,) if catalog.revision.registry >= since else (),
        hold_s=3600.0,
    )
    async with bench.running(spec) as machine:
        bench.follower.move(Revision(registry=1))
        await bench.until(lambda: ["catalog 1"] == machine.owned[0].journal.state.seen)
        bench.write(envelope("handoff"))
        await bench.until(lambda: 2 == len(machine.owned[0].journal.state.seen))
        bench.broker.create_topic(LATE)
        bench.write(envelope("handoff"), LATE)
        await bench.until(lambda: 3 == len(machine.owned[0].journal.state.seen))

    assert {f"{HANDOFFS}/0": 1, f"{LATE}/0": 1} == bench.commits()[-1].positions
    assert [HANDOFFS, LATE] == [taken.topic for taken in bench.inputs() if taken.topic]


async def test_each_partition_looks_again_for_what_it_lacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The topic came between the looks of two: that the second found it does not help the first."""
    monkeypatch.setattr("seamwork.runtime.machine._TOPIC_RETRY_S", 0.01)
    bench = Bench(partitions=2)
    partitions_of, looks = SimLog.partitions_of, []

    async def looked(log: SimLog, topic: str) -> int | None:
        looks.append(topic)
        if looks.count(LATE) == 3:  # the machine's at its start, one partition's, and now the other's
            bench.broker.create_topic(LATE, 2)
        return await partitions_of(log, topic)

    monkeypatch.setattr(SimLog, "partitions_of", looked)
    async with bench.running(MachineSpec(decider=witness(), also=(LATE,))) as machine:
        await bench.until(lambda: bench.broker.count(LATE) is not None)
        for number in (0, 1):
            bench.write(envelope("handoff"), LATE, number)
        await bench.until(lambda: all(machine.owned[number].journal.state.seen for number in (0, 1)))


async def test_a_decision_comes_with_the_crossing_it_speaks_of(bench: Bench) -> None:
    """Read again by position; where there is none, the decision comes alone."""

    def needs(received: Received[AnyEnvelope]) -> Position | None:
        record = received.record
        return record.subject.position if isinstance(record, JudgeAgain) and record.subject else None

    bench.write(envelope("handoff"))
    spec = MachineSpec(decider=witness(), lead=DECISIONS, needs_crossing=needs)
    async with bench.running(spec) as machine:
        bench.write(envelope("judge-again", subject="0/0#2"), DECISIONS)
        bench.write(envelope("judge-again", subject="7/0#2"), DECISIONS)
        bench.write(envelope("judge-again", subject="0/9#2"), DECISIONS)
        await bench.until(lambda: 3 == len(bench.inputs()))
        assert ["with-crossing", "received", "received"] == machine.owned[0].journal.state.seen
    assert [Position(partition=0, offset=0), None, None] == [taken.crossing for taken in bench.inputs()]


async def test_records_may_come_in_while_a_crossing_is_read_again(bench: Bench) -> None:
    """The batch is what lay there when it was begun; what comes meanwhile is the next one's."""
    written: list[object] = []

    async def others_go_first(call: str) -> None:
        if call == "partitions-of" and len(written) < 3:
            written.append(bench.write(envelope("judge-again", subject="0/9#2"), DECISIONS))
        for _ in range(20):
            await asyncio.sleep(0)

    def needs(received: Received[AnyEnvelope]) -> Position | None:
        return Position(partition=0, offset=9)

    spec = MachineSpec(decider=witness(), lead=DECISIONS, needs_crossing=needs)
    for _ in range(3):
        bench.write(envelope("judge-again", subject="0/9#2"), DECISIONS)
    async with bench.running(spec):
        bench.broker.step = others_go_first
        bench.write(envelope("judge-again", subject="0/9#2"), DECISIONS)
        await bench.until(lambda: 4 + len(written) == len(bench.inputs()))

    assert 3 == len(written)


async def test_large_crossings_are_held_a_few_at_a_time(bench: Bench) -> None:
    """What decisions speak of may be large: a batch takes as much as it may hold, and the next one the rest."""

    def needs(received: Received[AnyEnvelope]) -> Position | None:
        record = received.record
        return record.subject.position if isinstance(record, JudgeAgain) and record.subject else None

    for number in range(40):
        bench.write(envelope("handoff"), payload=LARGE)
        bench.write(envelope("judge-again", subject=f"0/{number}#2"), DECISIONS)
    spec = MachineSpec(decider=witness(), lead=DECISIONS, needs_crossing=needs)
    async with bench.running(spec) as machine:
        await bench.until(lambda: 40 == len(bench.inputs()))
        assert 40 * ["with-crossing"] == machine.owned[0].journal.state.seen

    assert max(len(commit.inputs) for commit in bench.commits()) <= HELD


@pytest.mark.parametrize(
    ("value", "headers"), [(LARGE, ()), (b"{}", (("x-notes", LARGE),))], ids=["payloads", "headers"]
)
async def test_a_buffer_is_full_when_its_records_are_large(
    bench: Bench, value: bytes, headers: tuple[Header, ...]
) -> None:
    """Not only after five hundred of them: a flood waits in the log, whichever part its sender made large."""
    place = Partition(HANDOFFS, 0)
    async with bench.running(MachineSpec(decider=witness())) as machine:
        (owned,) = machine.owned.values()
        owned.stop()
        wanted = []
        for _ in range(5):
            owned.offer(place, [bench.broker.write(place, b"t-1", value, headers)])
            wanted.append(place in dict(owned.wants()))

    assert [True, True, False, False, False] == wanted


async def test_health_reaches_every_partition(bench: Bench) -> None:
    """Also one that is restored later."""
    spec = MachineSpec(decider=witness())
    health = HealthChanged(instances=(InstanceHealth(agent="a", version="1.0.0", alive=2),))
    machine = bench.machine(spec)
    machine.health(health)
    async with machine.running():
        await bench.until(lambda: bool(machine.owned) and ["health 2"] == machine.owned[0].journal.state.seen)

    assert health == bench.inputs()[0].body


# ── Outputs ──────────────────────────────────────────────────────────────────────────────


def forwards(seen: Seen) -> Sequence[Output]:
    """Carry every readable crossing on into an inbox, set the others aside."""
    match seen:
        case Seen(what="received", at=Position() as at):
            work = envelope("work", position=f"{at.partition}/{at.offset}", digest=seen.digest)
            assert isinstance(work, Work)
            return (Forward("inbox.extractor.v1", "t-1", work, at, children="[]"),)
        case Seen(what="malformed", at=Position() as at):
            return (
                SetAside(HANDOFFS, at, seen.digest, "contract-validator", "no-envelope", "it has none", 5),
            )
        case _:
            return ()


async def test_a_crossing_is_carried_on_unchanged_and_signed(bench: Bench) -> None:
    """The router's signature over the stamp, the crossing's own beside it, the body as it was."""
    bench.broker.create_topic("inbox.extractor.v1")
    raw = bench.write(envelope("handoff"), payload=b'{"a": 1}')
    async with bench.running(MachineSpec(decider=witness(forwards))):
        await bench.until(lambda: bool(bench.broker.records(Partition("inbox.extractor.v1", 0))))
    (sent,) = bench.broker.records(Partition("inbox.extractor.v1", 0))
    received = read(sent, PLATFORM)
    headers, crossing = dict(sent.headers), dict(raw.headers)

    assert isinstance(received, Received)
    assert record_verifies(received, PLATFORM, {ROUTER.kid: ROUTER.public}.get)
    assert b'{"a": 1}' == sent.value
    assert (crossing["sw_envelope"], crossing["sw_sig"]) == (
        headers["sw_crossing"],
        headers["sw_crossing_sig"],
    )
    assert b"[]" == headers["sw_children"]
    assert b"journal.router.v1/0/0/1/0" == headers["sw_src"]
    assert "payload" not in str(bench.commits()[0].outputs[0].payload)


async def test_large_outputs_are_published_a_few_at_a_time(bench: Bench) -> None:
    """One commit, several publishes, each output once and in its order."""
    bench.broker.create_topic("inbox.extractor.v1")
    asked: list[str] = []

    async def step(name: str) -> None:
        asked.append(name)

    for _ in range(40):
        bench.write(envelope("handoff"), payload=LARGE)
    bench.broker.step = step
    place = Partition("inbox.extractor.v1", 0)
    async with bench.running(MachineSpec(decider=witness(forwards))):
        await bench.until(lambda: 40 <= len(bench.broker.records(place)))

    sources = [dict(raw.headers)["sw_src"] for raw in bench.broker.records(place)]
    assert [f"journal.router.v1/0/0/1/{index}".encode() for index in range(40)] == sources
    assert 40 // HELD == asked.count("publish")


async def test_a_dead_letter_keeps_bytes_headers_and_provenance(bench: Bench) -> None:
    """What was wrong stays exactly as it was."""
    bench.broker.write(Partition(HANDOFFS, 0), b"k", b"\xff\x00", (("odd", b"\xfe"), ("none", None)))
    async with bench.running(MachineSpec(decider=witness(forwards))):
        await bench.until(lambda: bool(bench.broker.records(Partition(DEAD, 0))))
    (sent,) = bench.broker.records(Partition(DEAD, 0))
    letter = read(sent, PLATFORM)

    assert isinstance(letter, Received)
    assert isinstance(letter.record, DeadLetter)
    assert (b"k", b"\xff\x00") == (sent.key, sent.value)
    assert [("odd", "/g=="), ("none", None)] == [
        (header.name, header.value) for header in letter.record.headers
    ]
    assert ("k", "no-envelope", 5) == (letter.record.key, letter.record.rule, letter.record.set_aside_at)


@pytest.mark.parametrize(
    "headers",
    [
        (("x" * 70_000, b"1"), ("y", b"2")),
        (("x" * 70_000, b"1"), ("x" * 70_000, b"1")),
        tuple((f"{number:>3000}", b"1") for number in range(64)),
        tuple((f"{number}" + 200 * "🎉", b"1") for number in range(64)),
        (("x" * 31_000, b""), ("y" * 31_000, b"1" * 400), ("z", b"1" * 90_000)),
    ],
    ids=["long", "long and twice", "many", "many beyond ASCII", "with large values"],
)
async def test_a_dead_letter_can_be_read_whatever_its_headers_are_called(
    bench: Bench, headers: tuple[tuple[str, bytes], ...]
) -> None:
    """Any agent may write a record whose headers have names without end; what no room is left for is left out."""
    bench.broker.write(Partition(HANDOFFS, 0), b"k", b"x", headers)
    async with bench.running(MachineSpec(decider=witness(forwards))):
        await bench.until(lambda: bool(bench.broker.records(Partition(DEAD, 0))))
    (sent,) = bench.broker.records(Partition(DEAD, 0))
    letter = read(sent, PLATFORM)

    assert isinstance(letter, Received)
    assert isinstance(letter.record, DeadLetter)
    assert headers[0][0][:3] == letter.record.headers[0].name[:3]


async def test_a_dead_letter_has_room_for_a_key_as_large_as_a_record(bench: Bench) -> None:
    """Its topic takes a record of full size and its provenance, of which the key is a part."""
    key = bytes(limit_of(HANDOFFS) - record_bytes(b"", b""))
    bench.broker.write(Partition(HANDOFFS, 0), key, b"")
    async with bench.running(MachineSpec(decider=witness(forwards))):
        await bench.until(lambda: bool(bench.broker.records(Partition(DEAD, 0))))
    (sent,) = bench.broker.records(Partition(DEAD, 0))

    assert key == sent.key
    assert isinstance(read(sent, PLATFORM), Received)


async def test_an_inbox_that_is_not_there_becomes_an_input(bench: Bench) -> None:
    """One bad inbox does not stop the partition."""
    bench.write(envelope("handoff"))
    async with bench.running(MachineSpec(decider=witness(forwards))) as machine:
        await bench.until(lambda: 2 == len(machine.owned[0].journal.state.seen))
        assert ["received", "undeliverable unknown-topic w-1"] == machine.owned[0].journal.state.seen
    (mark,) = {commit.mark for commit in bench.commits() if commit.outputs}

    assert mark == bench.commits()[-1].published


def long_winded(seen: Seen) -> Sequence[Output]:
    """Say more of a handoff than an envelope may hold, and something short after it."""
    if seen.what != "received":
        return ()
    work = envelope("work", position="0/0", digest=seen.digest, labels={"more": 70_000 * "x"})
    assert isinstance(work, Work)
    short = Publish("inbox.extractor.v1", "t-1", envelope("notice"), signed=True)
    return (Publish("inbox.extractor.v1", "t-1", work, signed=True), short)


async def test_what_nobody_could_read_becomes_an_input(bench: Bench) -> None:
    """It fits into its topic, but it is no envelope: its receiver would pass it over, and nobody would know."""
    bench.broker.create_topic("inbox.extractor.v1")
    bench.write(envelope("handoff"))
    async with bench.running(MachineSpec(decider=witness(long_winded))) as machine:
        await bench.until(lambda: 2 == len(machine.owned[0].journal.state.seen))
        assert ["received", "undeliverable too-large w-1"] == machine.owned[0].journal.state.seen

    assert 1 == len(bench.broker.records(Partition("inbox.extractor.v1", 0)))


async def test_what_nobody_could_read_ends_no_heir(bench: Bench) -> None:
    """Whoever publishes again what was promised makes records of what lies in the journal."""
    bench.broker.create_topic("inbox.extractor.v1")
    crashing = bench.machine(MachineSpec(decider=witness(long_winded)))
    await crashing.start()
    await bench.until(lambda: bool(crashing.owned))
    bench.broker.inject(Fault.CRASH_BEFORE, "inbox.extractor.v1")
    bench.write(envelope("handoff"))
    with pytest.raises(SimCrash):
        await crashing.wait()
    for task in (*crashing._lives.values(), *crashing._helpers):
        task.cancel()  # the process is gone
    await bench.broker.expel(bench.broker.group("router").members[0])
    async with bench.running(MachineSpec(decider=witness(long_winded)), "heir") as heir:
        await bench.until(lambda: bool(heir.owned) and 2 == len(heir.owned[0].journal.state.seen))
        assert ["received", "undeliverable too-large w-1"] == heir.owned[0].journal.state.seen


async def test_a_stream_of_work_for_an_inbox_that_is_not_there_stops_nothing(bench: Bench) -> None:
    """What bounces while others are answered is no answer to them."""
    many = 30
    for number in range(many):
        bench.write(envelope("handoff", id=f"h-{number}"))
    async with bench.running(MachineSpec(decider=witness(forwards), max_batch=1)) as machine:
        await bench.until(lambda: 2 * many == len(machine.owned[0].journal.state.seen))


async def test_a_machine_that_answers_every_bounce_with_another_is_stopped(bench: Bench) -> None:
    """It would fill its journal for ever."""

    def stubborn(_seen: Seen) -> Sequence[Output]:
        notice = envelope("notice")
        return (Publish("inbox.nobody.v1", "t-1", notice, signed=True),)

    bench.write(envelope("handoff"))
    async with bench.machine(MachineSpec(decider=witness(stubborn))).running() as machine:
        with pytest.raises(SeamworkError, match=r"the last to inbox\.nobody\.v1"):
            await machine.wait()


async def test_a_missing_topic_of_the_platform_stops_the_machine() -> None:
    """No verdict may vanish: that is a set-up that is wrong."""
    bench = Bench("counter")
    bench.broker.deny("verdicts.counter.v1")
    bench.write(envelope("handoff"))
    async with bench.machine(MachineSpec(decider=counter("counter"))).running() as machine:
        with pytest.raises(
            MisconfiguredError, match=r"cannot write to verdicts\.counter\.v1 \(not-authorised\)"
        ):
            await machine.wait()


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
@pytest.mark.parametrize("topic", ["journal.router.v1", "verdicts.router.v1"])
async def test_a_crash_at_any_step_loses_and_doubles_nothing(bench: Bench, fault: Fault, topic: str) -> None:
    """Before and after the append, before and after publishing: whoever comes next completes it."""
    decider = counter("router")
    crashing = bench.machine(MachineSpec(decider=decider))
    await crashing.start()
    await bench.until(lambda: bool(crashing.owned))
    bench.broker.inject(fault, topic)
    for number in range(3):
        bench.write(envelope("handoff", id=f"h-{number}"))
    with pytest.raises(SimCrash):
        await crashing.wait()
    for task in (*crashing._lives.values(), *crashing._helpers):
        task.cancel()  # the process is gone
    members = bench.broker.group("router").members
    await bench.broker.expel(members[0])
    async with bench.running(MachineSpec(decider=decider), "heir") as heir:
        await bench.until(lambda: 3 == len(bench.inputs()) and not heir.owned[0].backlog)
    journal = bench.broker.records(Partition("journal.router.v1", 0))

    assert Counts(tasks={"t-1": 3}) == folded(decider, journal)
    assert [] == violations(journal, [bench.broker.records(Partition("verdicts.router.v1", 0))])


async def test_a_zombie_ends_and_none_of_its_outputs_appears(bench: Bench) -> None:
    """Expelled without knowing, it is fenced at its next append."""
    decider = counter("router")
    zombie = bench.machine(MachineSpec(decider=decider), "zombie")
    async with zombie.running():
        await bench.until(lambda: bool(zombie.owned))
        await bench.broker.expel(bench.broker.group("router").members[0])
        async with bench.running(MachineSpec(decider=decider), "heir"):
            bench.write(envelope("handoff"))
            with pytest.raises(FencedError, match="heir"):
                await zombie.wait()
            await bench.until(lambda: 1 == len(bench.inputs()))
    journal = bench.broker.records(Partition("journal.router.v1", 0))

    assert Counts(tasks={"t-1": 1}) == folded(decider, journal)
    assert [] == violations(journal, [bench.broker.records(Partition("verdicts.router.v1", 0))])


# ── Ownership ────────────────────────────────────────────────────────────────────────────


async def test_a_single_owner_reads_all_partitions_into_one_journal() -> None:
    """Whoever has the journal's one partition has everything; the other stands by and takes over."""
    bench = Bench("cost-cap", partitions=4, journals=1)
    spec = MachineSpec(decider=counter("cost-cap"), lead=None, single_owner=True, also=(HANDOFFS, DECISIONS))
    async with bench.running(spec), bench.machine(spec, "two").running() as standby:
        for partition in range(4):
            bench.write(envelope("handoff", id=f"h-{partition}"), partition=partition)
        await bench.until(lambda: 4 == len(bench.inputs()))
        assert standby.ready

    assert {
        f"{topic}/{number}": int(topic == HANDOFFS) for topic in (HANDOFFS, DECISIONS) for number in range(4)
    } == (bench.commits()[-1].positions)


async def test_a_partition_handed_straight_back_keeps_its_state_and_epoch(bench: Bench) -> None:
    """A rebalance takes everything away for a moment; restoring would be waste."""
    async with bench.running(MachineSpec(decider=counter("router"))) as machine:
        bench.write(envelope("handoff"))
        await bench.until(lambda: 1 == len(bench.inputs()))
        await bench.broker.rebalance("router", HANDOFFS)
        await bench.until(lambda: bool(machine.owned))
        bench.write(envelope("handoff", id="h-2"))
        await bench.until(lambda: 2 == len(bench.inputs()))

    assert [(0, 1), (0, 2)] == [commit.mark for commit in bench.commits()]


async def test_what_stands_against_new_tasks_is_shown_while_it_does(bench: Bench) -> None:
    """Whoever is on call is told by it, and when it is over."""
    full = Obstacle(rule="disk-low", reason="the disk is nearly full")
    late = Obstacle(rule="audit-behind", reason="retention could overtake it")

    async with bench.running(MachineSpec(decider=counter("router"))) as machine:

        def shown() -> dict[str, float]:
            samples = [one for family in machine._metrics.collect() for one in family.samples]
            return {one.labels["rule"]: one.value for one in samples if one.name == "seamwork_obstacles"}

        machine.health(HealthChanged(instances=(), obstacles=(full, late)))
        assert {"disk-low": 1.0, "audit-behind": 1.0} == shown()
        machine.health(HealthChanged(instances=(), obstacles=(late,)))
        assert {"audit-behind": 1.0} == shown()
        machine.health(HealthChanged(instances=()))
        assert {} == shown()


async def test_what_was_measured_of_a_partition_goes_with_it() -> None:
    """Else what is remembered counts twice."""
    bench = Bench(partitions=2)
    spec = MachineSpec(decider=replace(counter("router"), sizes=lambda _state: {"inputs": 1}))

    def shown(machine: Machine) -> list[str]:
        return [
            sample.labels["partition"]
            for family in machine._metrics.collect()
            for sample in family.samples
            if sample.name == "seamwork_remembered"
        ]

    async with bench.running(spec) as first:
        for number in (0, 1):
            bench.write(envelope("handoff"), partition=number)
        await bench.until(lambda: 1 == len(bench.inputs(0)) == len(bench.inputs(1)))
        before = set(shown(first))
        async with bench.machine(spec, "two").running() as second:
            await bench.until(lambda: 1 == len(second.owned) == len(first.owned))

            assert {"0", "1"} == before
            assert not {str(number) for number in second.owned} & set(shown(first))


async def test_a_partition_that_ended_with_an_error_is_not_taken_up_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state is ahead of its journal: a rebalance that hands it straight back must not lose the difference."""
    monkeypatch.setattr("seamwork.bus.again._PAUSE_S", 0.0)
    decider = counter("router")
    machine = bench.machine(MachineSpec(decider=decider))
    appending, answer = asyncio.Event(), asyncio.Event()

    async def step(call: str) -> None:
        if call.startswith("append journal."):
            appending.set()
            await answer.wait()

    async with machine.running():
        await bench.until(lambda: bool(machine.owned))
        bench.write(envelope("handoff", id="h-0"))
        await bench.until(lambda: 1 == len(bench.inputs()) and not machine.owned[0].stepping)
        bench.broker.step = step
        for _ in range(5):
            bench.broker.inject(Fault.LOST_WRITE, JOURNAL.topic)
        bench.write(envelope("handoff", id="h-1"))
        await appending.wait()
        rebalanced = asyncio.create_task(bench.broker.rebalance("router", HANDOFFS))
        await bench.until(lambda: not machine.owned)
        answer.set()
        await rebalanced
        bench.write(envelope("handoff", id="h-2"))
        with pytest.raises(OutcomeUnknownError):
            await machine.wait()
        for _ in range(100):
            await asyncio.sleep(0)  # what is left of it has its chance
    async with bench.running(MachineSpec(decider=decider), "heir"):
        await bench.until(lambda: 2 in [taken.offset for taken in bench.inputs()])

    assert [0, 1, 2] == [taken.offset for taken in bench.inputs()]
    assert Counts(tasks={"t-1": 3}) == folded(decider, bench.broker.records(JOURNAL))


async def test_a_partition_that_somebody_had_meanwhile_is_restored(bench: Bench) -> None:
    """The journal's end tells: another claim came, so the parked state is stale."""
    decider = counter("router")
    async with bench.running(MachineSpec(decider=decider)) as first:
        async with bench.machine(MachineSpec(decider=decider), "two").running() as second:
            (mine, yours) = bench.broker.group("router").members
            await bench.broker.assign("router", {mine: frozenset(), yours: frozenset({0})})
            await bench.until(lambda: bool(second.owned))
            bench.write(envelope("handoff"))
            await bench.until(lambda: 1 == len(bench.inputs()))
        await bench.until(lambda: bool(first.owned))
        bench.write(envelope("handoff", id="h-2"))
        await bench.until(lambda: 2 == len(bench.inputs()))

    assert Counts(tasks={"t-1": 2}) == folded(
        decider, bench.broker.records(Partition("journal.router.v1", 0))
    )


async def test_another_partition_count_is_refused(bench: Bench) -> None:
    """A journal is never repartitioned."""
    other = Bench("router", partitions=2, journals=1)
    with pytest.raises(MisconfiguredError, match="never repartitioned"):
        await other.machine(MachineSpec(decider=witness())).start()


async def test_contradictory_options_are_refused() -> None:
    """A machine has a lead topic or a single owner."""
    with pytest.raises(MisconfiguredError, match="single owner"):
        MachineSpec(decider=witness(), single_owner=True)


async def test_a_busy_topic_starves_no_other(bench: Bench) -> None:
    """Each topic that has something gets its share of a batch."""
    for number in range(50):
        bench.write(envelope("handoff", id=f"h-{number}"))
    bench.write(envelope("noted"), DECISIONS)
    spec = MachineSpec(decider=witness(), also=(DECISIONS,), max_batch=10)
    async with bench.running(spec):
        await bench.until(lambda: 51 == len(bench.inputs()))

    assert DECISIONS in [taken.topic for taken in bench.commits()[1].inputs] + [
        t.topic for t in bench.commits()[0].inputs
    ]


async def test_a_machine_whose_question_to_the_log_is_lost_makes_no_progress(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No backlog shows it: what was never answered is in no buffer."""
    async with bench.running(MachineSpec(decider=witness())) as machine:
        lost = asyncio.Event()

        async def step(call: str) -> None:
            if call == "fetch":
                lost.set()
                await asyncio.Event().wait()

        monkeypatch.setattr(bench.broker, "step", step)
        await bench.until(lost.is_set)
        before = machine.stalled_s
        await bench.until(lambda: machine.stalled_s > before)

        assert 0 == sum(owned.backlog for owned in machine.owned.values())


async def test_a_feed_that_hangs_is_seen_beside_one_that_does_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ask the log, each for itself."""
    monkeypatch.setattr("seamwork.runtime.machine._FETCH_WAIT_MS", 1)
    fetch = SimReader.fetch

    async def fetched(reader: SimReader, positions: Mapping[Partition, int], **how: Any) -> Any:
        if any(at.topic == DECISIONS for at in positions):
            await asyncio.Event().wait()
        return await fetch(reader, positions, **how)

    monkeypatch.setattr(SimReader, "fetch", fetched)
    spec = MachineSpec(decider=witness(), also=(DECISIONS,), unhurried=(DECISIONS,))
    async with bench.running(spec) as machine:
        await bench.until(lambda: machine.stalled_s > 0.3)


# ── Too much for one commit ──────────────────────────────────────────────────────────────


async def test_what_no_commit_holds_is_set_aside_and_the_machine_lives_on(bench: Bench) -> None:
    """The record becomes a dead letter, the core hears of it, and what comes after is decided as ever."""
    spec = MachineSpec(decider=wordy(), max_commit_bytes=SMALL)
    for size in (10, SMALL, 20):
        bench.write(envelope("handoff", step=str(size)))
    async with bench.running(spec) as machine:
        await bench.until(lambda: 3 == len(machine.owned[0].journal.state.seen))

    (letter,) = (read(raw, PLATFORM) for raw in bench.broker.records(Partition(DEAD, 0)))
    assert isinstance(letter, Received)
    assert isinstance(letter.record, DeadLetter)
    assert (HANDOFFS, 1, "router", "too-much") == (
        letter.record.topic, letter.record.position.offset, letter.record.gate, letter.record.rule,
    )  # fmt: skip
    assert [0, 1, 0] == [min(taken.too_much, 1) for taken in bench.inputs()]
    assert [10 * "x", "too much", 20 * "x"] == folded(spec.decider, bench.broker.records(JOURNAL)).seen


async def test_what_fits_alone_gets_a_commit_of_its_own(bench: Bench) -> None:
    """Whether something is too much does not depend on what lies beside it."""
    sizes = [SMALL * 2 // 5, SMALL * 4 // 5, SMALL * 2 // 5, SMALL * 4 // 5]
    spec = MachineSpec(decider=wordy(), max_commit_bytes=SMALL)
    for size in sizes:
        bench.write(envelope("handoff", step=str(size)))
    async with bench.running(spec) as machine:
        await bench.until(lambda: len(sizes) == len(machine.owned[0].journal.state.seen))

    assert sizes == [len(what) for what in folded(spec.decider, bench.broker.records(JOURNAL)).seen]
    assert () == bench.broker.records(Partition(DEAD, 0))


async def test_what_bounced_together_is_answered_over_as_many_commits_as_it_takes(bench: Bench) -> None:
    """None is too much because of the others, none answers another, and no mark passes one that is open."""
    spec, many = MachineSpec(decider=bouncing(), max_commit_bytes=SMALL), 25
    for number in range(many):
        bench.write(envelope("handoff", id=f"h-{number}"))
    async with bench.running(spec) as machine:
        await bench.until(lambda: many == machine.owned[0].journal.state.seen.count(BOUNCED))
        bench.broker.write(Partition(HANDOFFS, 0), None, b"", (("sw_envelope", b""),))
        await bench.until(lambda: "malformed" == machine.owned[0].journal.state.seen[-1])

    open_: set[tuple[int, int, int]] = set()
    for commit in bench.commits():
        bodies = [taken.body for taken in commit.inputs if isinstance(taken.body, Undeliverable)]
        open_ -= {(body.epoch, body.seq, body.index) for body in bodies}
        assert all(commit.published < (epoch, seq) for epoch, seq, _ in open_)
        open_ |= {(*commit.mark, index) for index in range(len(commit.outputs))}
    *_, answer, last = bench.commits()
    assert not open_
    assert answer.mark == last.published
    assert [0] * (2 * many + 1) == [taken.too_much for taken in bench.inputs()]


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
async def test_a_crash_between_answers_to_what_bounced_repeats_none(bench: Bench, fault: Fault) -> None:
    """And what the core was told of as lost stays lost, though its inbox has come meanwhile."""
    spec = MachineSpec(decider=bouncing(), max_commit_bytes=SMALL)
    for number in range(3):
        bench.write(envelope("handoff", id=f"h-{number}"))
    appends = []

    async def step(call: str) -> None:
        if call.startswith("append journal."):
            appends.append(call)
            if len(appends) == 3:  # a claim, what bounces, the first answer
                bench.broker.inject(fault, JOURNAL.topic)

    bench.broker.step = step
    with pytest.raises(SimCrash):
        async with bench.running(spec):
            await bench.until(lambda: False)
    given_up = sum(isinstance(taken.body, Undeliverable) for taken in bench.inputs())
    bench.broker.create_topic("inbox.nobody.v1")
    async with bench.running(spec, "two") as machine:
        await bench.until(lambda: not machine.owned[0].backlog)
    told = [taken.body.index for taken in bench.inputs() if isinstance(taken.body, Undeliverable)]
    sent = bench.broker.records(Partition("inbox.nobody.v1", 0))

    assert (0 if fault is Fault.CRASH_BEFORE else 1) == given_up == len(told)
    assert 3 == len(told) + len(sent)


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
async def test_a_crash_over_what_is_too_much_comes_out_the_same(bench: Bench, fault: Fault) -> None:
    """It is decided again, or was: one dead letter, one word of the core's."""
    spec = MachineSpec(decider=wordy(), max_commit_bytes=SMALL)
    bench.write(envelope("handoff", step="5"))
    async with bench.running(spec) as machine:
        await bench.until(lambda: 1 == len(machine.owned[0].journal.state.seen))
        bench.broker.inject(fault, JOURNAL.topic)
        bench.write(envelope("handoff", step=str(SMALL)))
        with pytest.raises(SimCrash):
            await machine.wait()
    async with bench.running(spec, "two") as machine:
        await bench.until(lambda: 2 == len(machine.owned[0].journal.state.seen))

    letters = {dict(raw.headers)["sw_src"] for raw in bench.broker.records(Partition(DEAD, 0))}
    assert 1 == len(letters)
    assert ["xxxxx", "too much"] == folded(spec.decider, bench.broker.records(JOURNAL)).seen


async def test_timers_that_are_too_much_together_are_served_one_by_one(bench: Bench) -> None:
    """And one that is too much alone is given up by the core; the others ring."""
    sizes = (SMALL * 3 // 5, SMALL * 3 // 5, 2 * SMALL, 10)
    spec = MachineSpec(decider=wordy([str(size) for size in sizes]), max_commit_bytes=SMALL)
    async with bench.running(spec) as machine:
        await bench.until(lambda: len(sizes) == len(machine.owned[0].journal.state.seen))

    seen = folded(spec.decider, bench.broker.records(JOURNAL)).seen
    assert [sizes[0], sizes[1], len("timer given up"), sizes[3]] == [len(what) for what in seen]
    assert () == bench.broker.records(Partition(DEAD, 0))
