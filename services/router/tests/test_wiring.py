"""The router on a log: what goes in comes out, signed, once, and a restart goes on."""

import pytest

from seamwork.bus.port import Partition
from seamwork.grants.keys import record_verifies
from seamwork.ids import answer_id
from seamwork.records.crossing import CarriedStamp
from seamwork.records.decision import Dispatched, Refused, TaskEnded
from seamwork.records.inbox import Answer, Notice, Work
from seamwork.records.parties import Subject
from seamwork.records.partition import partition_of
from seamwork.records.platform import DeadLetter
from seamwork.records.wire import SW_CROSSING, Received, read
from seamwork.runtime import MachineSpec, Site
from seamwork.testing.bench import MachineBench
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of
from seamwork_router.settings import Settings
from seamwork_router.wiring import build

INBOX, MINE, DECISIONS = "inbox.extractor.v1", "inbox.planner.v1", "decisions.v1"
HOME = partition_of(b"t-1", 2)


@pytest.fixture
def bench() -> MachineBench:
    """The router on a simulated log of two partitions, with one gate."""
    spec = build(Settings(), Site(platform=PLATFORM, partitions=2))
    assert isinstance(spec, MachineSpec)
    documents = [
        document("Gate", "contract-validator", role="validator", requiredFor=["handoff", "result"]),
        document("Key", "router"),
        document("Agent", "planner", initiator=True),
        document("Agent", "extractor"),
        document("Contract", "licence-facts", limits={"timeSeconds": 60}),
    ]
    return MachineBench(spec, documents, topics=[INBOX, MINE, DECISIONS])


def vote(bench: MachineBench, crossing: Received, outcome: str = "ALLOW") -> None:  # type: ignore[type-arg]  # any crossing
    """Let the gate judge what lies there."""
    place = crossing.raw
    subject = Subject(partition=place.partition, offset=place.offset, digest=crossing.digest)
    verdict = envelope("verdict", subject=subject, outcome=outcome, sender_verified=True)
    bench.write(verdict, partition=place.partition)


async def work_of(bench: MachineBench) -> tuple[Work, CarriedStamp]:
    """Begin a task and return what its agent got, with the stamp as the agent carries it."""
    vote(bench, bench.write(envelope("handoff"), partition=HOME, body=b"{}"))
    work = await bench.next_record(INBOX, 1, partition=HOME)
    assert isinstance(work, Work)
    raw = bench.broker.records(Partition(INBOX, HOME))[0]
    found = read(raw, PLATFORM)
    assert isinstance(found, Received)
    return work, CarriedStamp(envelope=found.envelope.decode(), kid=found.kid or "", sig=found.sig or "")


async def test_an_admitted_handoff_lies_in_the_inbox_under_the_routers_signature(bench: MachineBench) -> None:
    """Stamp, crossing unchanged beside it, payload as the body."""
    async with bench.running() as machine:
        work, _ = await work_of(bench)
        raw = bench.broker.records(Partition(INBOX, HOME))[0]
        found = read(raw, PLATFORM)
        decision = await bench.next_record(DECISIONS, 1, partition=HOME)

        assert isinstance(found, Received)
        assert record_verifies(found, PLATFORM, lambda kid: key_of(kid).public)
        assert "service:router" == found.kid
        assert (b"{}", True) == (raw.value, SW_CROSSING in dict(raw.headers))
        assert isinstance(decision, Dispatched)
        assert work.dispatch == decision.dispatch
        assert [] == bench.violations(machine, INBOX, MINE, DECISIONS)


async def test_a_restart_goes_on_in_the_middle_of_a_task(bench: MachineBench) -> None:
    """What was dispatched before is answered after; nothing is said twice."""
    async with bench.running():
        work, stamp = await work_of(bench)
    async with bench.running() as machine:
        identity = answer_id(work.dispatch, 0)
        result = envelope("result", id=identity, dispatch=work.dispatch, stamp=stamp)
        vote(bench, bench.write(result, partition=HOME, body=b"{}"))
        answer = await bench.next_record(MINE, 1, partition=HOME)
        ended = await bench.next_record(DECISIONS, 3, partition=HOME)

        assert isinstance(answer, Answer)
        assert ("h-1", identity) == (answer.child, answer.result)
        assert isinstance(ended, TaskEnded)
        assert "complete" == ended.outcome
        assert [] == bench.violations(machine, INBOX, MINE, DECISIONS)


async def test_a_silent_gate_is_named_when_its_deadline_has_passed(bench: MachineBench) -> None:
    """The timer rings by the clock, after everything unread was read."""
    async with bench.running() as machine:
        bench.write(envelope("handoff"), partition=HOME)
        await bench.until(lambda: bool(machine.owned[HOME].journal.state.live))
        bench.clock.advance(30_000)
        refused = await bench.next_record(DECISIONS, 1, partition=HOME)

        assert isinstance(refused, Refused)
        assert ("gate-silent", "contract-validator") == (refused.rule, refused.gate)
        assert [] == bench.violations(machine, INBOX, MINE, DECISIONS, "dead-letters.v1")


async def test_work_that_is_not_done_in_time_is_taken_back(bench: MachineBench) -> None:
    """The agent is told, the initiator is told, the task has ended."""
    async with bench.running() as machine:
        await work_of(bench)
        bench.clock.advance(60_000)
        told = await bench.next_record(INBOX, 2, partition=HOME)
        waiting = await bench.next_record(MINE, 1, partition=HOME)

        assert isinstance(told, Notice)
        assert isinstance(waiting, Notice)
        assert (("expired", "timeout"), ("failed", "timeout")) == (
            (told.what, told.rule),
            (waiting.what, waiting.rule),
        )
        assert [] == bench.violations(machine, INBOX, MINE, DECISIONS)


async def test_a_record_in_the_wrong_partition_is_refused_there(bench: MachineBench) -> None:
    """By the router of that partition, which knows nothing of the task."""
    async with bench.running():
        vote(bench, bench.write(envelope("handoff"), partition=1 - HOME))
        refused = await bench.next_record(DECISIONS, 1, partition=1 - HOME)

        assert isinstance(refused, Refused)
        assert "wrong-partition" == refused.rule


async def test_nobody_is_told_that_a_copy_of_their_work_is_refused_elsewhere(bench: MachineBench) -> None:
    """Whoever gets work has all that its sender signed, and could else have it told that the work is refused."""
    async with bench.running():
        await work_of(bench)
        vote(bench, bench.write(envelope("handoff"), partition=1 - HOME, body=b"{}"))
        refused = await bench.next_record(DECISIONS, 1, partition=1 - HOME)
        letter = await bench.next_record("dead-letters.v1", 1)

        assert isinstance(refused, Refused)
        assert isinstance(letter, DeadLetter)
        assert ("wrong-partition", None) == (refused.rule, refused.told)
        assert "wrong-partition" == letter.rule
        assert () == bench.broker.records(Partition(MINE, HOME))
