"""A gate without state: verdicts are confirmed before its group's offsets follow."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import msgspec
import pytest

from seamwork.bus.limits import limit_of, record_bytes
from seamwork.bus.port import Partition
from seamwork.catalog import Catalog, Context
from seamwork.decider import Input, Output, Publish, WithCrossing, vote
from seamwork.errors import MisconfiguredError
from seamwork.records.decision import JudgeAgain
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Position, Revision, Subject
from seamwork.records.verdict import Verdict, Warned
from seamwork.records.wire import Malformed, Received, compose, read
from seamwork.runtime import Gate, GateSpec
from seamwork.runtime.machine import Identity
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.clock import SettableClock
from seamwork.testing.simlog import Fault, SimBroker, SimCrash, SimLog

NAME = "contract-validator"
HANDOFFS, DECISIONS, VERDICTS = "handoffs.v1", "decisions.v1", f"verdicts.{NAME}.v1"


class Still:
    """A catalog that never moves."""

    catalog = Catalog.of([], revision=Revision())

    async def changed(self, since: Revision) -> Catalog:  # noqa: ARG002  # a port's
        """Wait for ever."""
        await asyncio.Event().wait()
        return self.catalog

    async def catch_up(self, revision: Revision) -> Catalog:  # noqa: ARG002  # a port's
        """Be there already."""
        return self.catalog


def judge(given: Input, context: Context) -> Sequence[Output]:
    """Answer each handoff, and each crossing that is to be judged again."""
    match given:
        case WithCrossing(decision=Received(record=JudgeAgain(subject=Subject() as subject))):
            return (_verdict(subject, "again", context),)
        case Received() | Malformed() if given.raw.topic == HANDOFFS:
            at = given.position
            subject = Subject(partition=at.partition, offset=at.offset, digest=given.digest)
            return (_verdict(subject, type(given).__name__.lower(), context),)
        case _:
            return ()


def _verdict(subject: Subject, rule: str, context: Context) -> Publish:
    verdict = Verdict(
        gate=NAME, gate_version="1.0.0", subject=subject, outcome="ALLOW", rule=rule, reason="",
        revision=context.catalog.revision, judged_at=context.now,
    )  # fmt: skip
    return vote(verdict)


def needs(received: Received[AnyEnvelope]) -> Position | None:
    """Name the crossing to be judged again."""
    record = received.record
    return record.subject.position if isinstance(record, JudgeAgain) and record.subject else None


SPEC = GateSpec(name=NAME, decide=judge, needs_crossing=needs)


class Bench:
    """A broker with the gate's topics."""

    def __init__(self, step: Callable[[str], Awaitable[None]] | None = None) -> None:
        clock = SettableClock()
        self.broker = SimBroker(clock) if step is None else SimBroker(clock, step=step)
        for topic in (HANDOFFS, DECISIONS, VERDICTS):
            self.broker.create_topic(topic, 2)

    def gate(self, spec: GateSpec = SPEC) -> Gate:
        """Make the gate in a process of its own."""
        identity = Identity(platform=PLATFORM, instance="one")
        return Gate(spec, log=SimLog(self.broker), follower=Still(), identity=identity, clock=SettableClock())

    def write(self, record: AnyEnvelope, topic: str = HANDOFFS, partition: int = 0) -> None:
        """Write a record."""
        out = compose(PLATFORM, topic, "t-1", record)
        self.broker.write(Partition(topic, partition), out.key, out.value, out.headers)

    def verdicts(self, partition: int = 0) -> list[str]:
        """Return the rules of the verdicts."""
        found = [read(raw, PLATFORM) for raw in self.broker.records(Partition(VERDICTS, partition))]
        return [
            one.record.rule for one in found if isinstance(one, Received) and isinstance(one.record, Verdict)
        ]

    def committed(self) -> dict[Partition, int]:
        """Return the group's offsets of ``handoffs``."""
        return self.broker.group(NAME).committed

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds."""
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110  # what it waits for is spread over many objects
                await asyncio.sleep(0)


@pytest.fixture
def bench() -> Bench:
    """Make a bench."""
    return Bench()


async def test_every_record_is_judged_at_its_partition(bench: Bench) -> None:
    """Readable or not; a decision comes with the crossing that it speaks of."""
    bench.broker.write(Partition(HANDOFFS, 0), None, None)
    async with bench.gate().running() as gate:
        bench.write(envelope("handoff"), partition=1)
        await bench.until(lambda: bool(bench.verdicts(0) and bench.verdicts(1)))
        bench.write(envelope("judge-again", subject="1/0#2"), DECISIONS)
        await bench.until(lambda: 2 == len(bench.verdicts(1)))
        await bench.until(lambda: 2 == sum(bench.committed().values()))
        assert gate.ready

    assert ["malformed"] == bench.verdicts(0)
    assert ["received", "again"] == bench.verdicts(1)


async def test_who_waits_for_others_asks_several_at_once_and_answers_in_order(bench: Bench) -> None:
    """What takes longest is said first where it was asked first; no more are asked at a time than it bears."""
    now: list[int] = []
    most = 0

    async def inquire(given: Input, context: Context) -> Sequence[Output]:
        nonlocal most
        assert isinstance(given, Received)
        now.append(given.raw.offset)
        most = max(most, len(now))
        for _ in range(9 - given.raw.offset):
            await asyncio.sleep(0)
        now.remove(given.raw.offset)
        return judge(given, context)

    for _ in range(8):
        bench.write(envelope("handoff"))
    spec = replace(SPEC, inquire=inquire, at_once=3, max_batch=8)
    async with bench.gate(spec).running():
        await bench.until(lambda: 8 == len(bench.verdicts()))
    raws = bench.broker.records(Partition(VERDICTS, 0))
    said = [one.record for one in (read(raw, PLATFORM) for raw in raws) if isinstance(one, Received)]

    assert 3 == most
    assert list(range(8)) == [one.subject.offset for one in said if isinstance(one, Verdict)]


async def test_a_trace_as_long_as_a_record_stops_no_gate(bench: Bench) -> None:
    """Any agent may call anything its trace; a verdict that carried it on would fit into no record."""
    for headers in ((), dict(compose(PLATFORM, HANDOFFS, "t-1", envelope("handoff")).headers).items()):
        room = limit_of(HANDOFFS) - record_bytes(b"t-1", b"", [*headers, ("traceparent", b"")])
        bench.broker.write(Partition(HANDOFFS, 0), b"t-1", b"", (*headers, ("traceparent", b"0" * room)))
    bench.write(envelope("handoff"))
    async with bench.gate().running():
        await bench.until(lambda: 3 == len(bench.verdicts()))

    assert ["malformed", "received", "received"] == bench.verdicts()


async def test_a_gate_far_behind_reads_what_it_lacks_in_stretches() -> None:
    """A hundred decisions on crossings that are not at hand are not a hundred reads."""
    asked: list[str] = []

    async def step(name: str) -> None:
        asked.append(name)

    bench = Bench(step)
    for number in range(100):
        bench.write(envelope("handoff", id=f"h-{number}"))
        bench.write(envelope("judge-again", subject=f"0/{number}#2"), DECISIONS)

    await bench.gate().judge(bench.broker.records(Partition(DECISIONS, 0)))

    assert ["again"] * 100 == bench.verdicts()
    assert 2 * ["read handoffs.v1/0"] == [name for name in asked if name.startswith("read ")]


async def test_a_new_instance_goes_on_from_the_groups_offsets(bench: Bench) -> None:
    """What was confirmed is not judged again after an orderly stop."""
    bench.write(envelope("handoff"))
    async with bench.gate().running():
        await bench.until(lambda: 1 == len(bench.verdicts()))
    bench.write(envelope("handoff", id="h-2"))
    async with bench.gate().running():
        await bench.until(lambda: 2 == len(bench.verdicts()))

    assert {Partition(HANDOFFS, 0): 2} == bench.committed()


async def test_what_a_crossing_stands_on_comes_with_it(bench: Bench) -> None:
    """As far back as the core asks for it, and no further than the log goes."""
    seen: list[tuple[str, ...]] = []

    def one_before(received: Received[AnyEnvelope], context: Context) -> Position | None:  # a port's
        before = received.raw.offset - 1
        return Position(partition=0, offset=before) if before >= 1 else None

    def look(given: Input, context: Context) -> Sequence[Output]:
        if isinstance(given, WithCrossing):
            seen.append(tuple(str(one.record.id) for one in given.behind if isinstance(one, Received)))  # type: ignore[union-attr]  # handoffs
        return judge(given, context)

    for name in ("h-0", "h-1", "h-2", "h-3"):
        bench.write(envelope("handoff", id=name))
    bench.write(envelope("judge-again", subject="0/3#2"), DECISIONS)
    spec = replace(SPEC, decide=look, stands_on=one_before)
    async with bench.gate(spec).running():
        await bench.until(lambda: 1 == len(seen))

    assert [("h-2", "h-1")] == seen


async def test_a_chain_that_bites_its_tail_ends(bench: Bench) -> None:
    """A record that stands on itself is not read for ever."""
    found: list[int] = []

    def look(given: Input, context: Context) -> Sequence[Output]:
        if isinstance(given, WithCrossing):
            found.append(len(given.behind))
        return judge(given, context)

    bench.write(envelope("handoff"))
    bench.write(envelope("judge-again", subject="0/0#2"), DECISIONS)
    spec = replace(SPEC, decide=look, stands_on=lambda received, _: received.position)
    async with bench.gate(spec).running():
        await bench.until(lambda: bool(found))

    assert [64] == found


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
async def test_a_crash_judges_again_and_never_skips(bench: Bench, fault: Fault) -> None:
    """The offset follows the verdict; a repeat is the router's to drop."""
    bench.broker.inject(fault, VERDICTS)
    bench.write(envelope("handoff"))
    gate = bench.gate()
    await gate.start()
    with pytest.raises(SimCrash):
        await gate.wait()
    assert {} == bench.committed()
    await gate.stop()
    async with bench.gate().running():
        await bench.until(lambda: {Partition(HANDOFFS, 0): 1} == bench.committed())

    assert {"received"} == set(bench.verdicts())


async def test_a_verdict_that_cannot_be_written_stops_the_gate(bench: Bench) -> None:
    """Silence is a denial that names the gate; a lost verdict would be worse."""
    bench.broker.deny(VERDICTS)
    bench.write(envelope("handoff"))
    async with bench.gate().running() as gate:
        with pytest.raises(MisconfiguredError, match=r"cannot write to verdicts\.contract-validator"):
            await gate.wait()
    assert {} == bench.committed()


async def test_a_gate_whose_question_to_the_log_is_lost_makes_no_progress() -> None:
    """An idle one does: the log answers with nothing, twice a second."""
    lost = asyncio.Event()

    async def step(call: str) -> None:
        if call == "fetch":
            lost.set()
            await asyncio.Event().wait()

    bench = Bench(step)
    bench.write(envelope("handoff"))
    async with bench.gate().running() as gate:
        await bench.until(lost.is_set)
        before = gate.stalled_s
        await bench.until(lambda: gate.stalled_s > before)


async def test_a_verdict_with_too_much_to_say_says_less_and_is_heard(bench: Bench) -> None:
    """It would otherwise be one that nobody reads, or that the log refuses at every start again."""

    def talkative(given: Input, context: Context) -> Sequence[Output]:
        (said,) = judge(given, context)
        assert isinstance(said, Publish)
        assert isinstance(said.record, Verdict)
        reason = "because" * 300_000
        warnings = tuple(Warned(rule=f"w{n}", reason="mild" * 1_000) for n in range(40))
        return (vote(msgspec.structs.replace(said.record, reason=reason, warnings=warnings)),)

    async with bench.gate(replace(SPEC, decide=talkative)).running():
        bench.write(envelope("handoff"))
        await bench.until(lambda: bool(bench.verdicts(0)))

    (raw,) = bench.broker.records(Partition(VERDICTS, 0))
    found = read(raw, PLATFORM)
    assert isinstance(found, Received)
    assert isinstance(found.record, Verdict)
    assert ("ALLOW", "received", ()) == (found.record.outcome, found.record.rule, found.record.warnings)
    assert "40 warnings" in found.record.reason
    assert len(found.record.reason) < 5_000


async def test_a_gate_that_stood_by_takes_over_what_others_leave(bench: Bench) -> None:
    """Two partitions, three instances: the last has nothing until the others go."""
    first, second, third = (bench.gate() for _ in range(3))
    async with first.running(), second.running():
        await third.start()
        await bench.until(lambda: third.ready and not third.partitions)
    await bench.until(lambda: (0, 1) == third.partitions)
    bench.write(envelope("handoff"), partition=0)
    bench.write(envelope("handoff"), partition=1)
    await bench.until(lambda: bool(bench.verdicts(0) and bench.verdicts(1)))
    await third.stop()
