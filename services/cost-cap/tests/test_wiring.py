import pytest

from seamwork.documents import AnyDocument
from seamwork.records.parties import Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Received
from seamwork.runtime import MachineSpec, Site
from seamwork.testing.bench import MachineBench
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.documents import document
from seamwork_cost_cap.settings import Settings
from seamwork_cost_cap.wiring import build

VERDICTS = "verdicts.cost-cap.v1"


@pytest.fixture
def documents() -> list[AnyDocument]:
    """One initiator with a budget of 1,000 for each task, and a receiver."""
    return [
        document("Agent", "planner", initiator=True, budget="audit", team="office"),
        document("Agent", "extractor"),
        document("Contract", "licence-facts"),
        document("Budget", "audit", limitMicroUsd=1000),
        document("Budget", "for-office", scope="team", holder="office", limitMicroUsd=1500),
    ]


@pytest.fixture
def bench(documents: list[AnyDocument]) -> MachineBench:
    """The gate on a simulated log of two partitions."""
    spec = build(Settings(), Site(platform=PLATFORM, partitions=2))
    assert isinstance(spec, MachineSpec)
    return MachineBench(spec, documents, topics=[VERDICTS])


async def test_one_owner_keeps_a_teams_money_over_all_partitions(bench: MachineBench) -> None:
    """Two tasks in two partitions draw on one budget, and each verdict lies in its subject's partition."""
    async with bench.running() as machine:
        bench.write(envelope("handoff", id="h-1", task="t-1", ceiling_micro_usd=900), partition=0)
        first = await bench.next_record(VERDICTS, 1, partition=0)
        bench.write(envelope("handoff", id="h-2", task="t-2", ceiling_micro_usd=900), partition=1)
        second = await bench.next_record(VERDICTS, 1, partition=1)

        assert isinstance(first, Verdict)
        assert isinstance(second, Verdict)
        assert ("ALLOW", "DENY") == (first.outcome, second.outcome)
        assert "asks 900 micro-USD, 600 are left of Budget for-office" == second.reason
        assert [0] == list(machine.owned)
        assert [] == bench.violations(machine, VERDICTS)


async def test_a_retry_is_judged_on_the_crossing_read_again(bench: MachineBench) -> None:
    """The decision names a position; the runtime brings the record that lies there."""
    async with bench.running() as machine:
        sent: Received = bench.write(envelope("handoff", id="h-1", ceiling_micro_usd=600))  # type: ignore[type-arg]  # any record
        await bench.next_record(VERDICTS, 1)
        again = Subject(partition=0, offset=sent.raw.offset, digest=sent.digest, attempt=2)
        bench.write(envelope("dispatched", subject=_first(again), dispatch="w-1", ceiling_micro_usd=600))
        bench.write(envelope("closed", dispatch="w-1", why="timeout", final=False))
        bench.write(envelope("judge-again", subject=again, gates=["cost-cap"]))
        verdict = await bench.next_record(VERDICTS, 2)

        assert isinstance(verdict, Verdict)
        assert ("DENY", "over-budget", again) == (verdict.outcome, verdict.rule, verdict.subject)
        assert [] == bench.violations(machine, VERDICTS)


async def test_a_restart_goes_on_where_the_journal_stands(bench: MachineBench) -> None:
    """What was reserved before a stop is reserved after it."""
    async with bench.running():
        bench.write(envelope("handoff", id="h-1", ceiling_micro_usd=900))
        await bench.next_record(VERDICTS, 1)
    async with bench.running() as machine:
        bench.write(envelope("handoff", id="h-2", ceiling_micro_usd=200))
        verdict = await bench.next_record(VERDICTS, 2)

        assert isinstance(verdict, Verdict)
        assert "asks 200 micro-USD, 100 are left of Budget audit" == verdict.reason
        assert [] == bench.violations(machine, VERDICTS)


def _first(subject: Subject) -> Subject:
    return Subject(partition=subject.partition, offset=subject.offset, digest=subject.digest)
