import pytest

from seamwork.records.parties import Subject
from seamwork.records.verdict import Verdict
from seamwork.runtime import MachineSpec, Site
from seamwork.testing.bench import MachineBench
from seamwork.testing.builders import PLATFORM, envelope, handoff
from seamwork.testing.documents import document
from seamwork_policy_engine.settings import Settings
from seamwork_policy_engine.wiring import build

VERDICTS = "verdicts.policy-engine.v1"
BODY = b'{"amount": 5}'


@pytest.fixture
def bench() -> MachineBench:
    """The gate on a simulated log of two partitions, with a policy that throttles once."""
    slow = {
        "name": "wait",
        "when": "this.amount > 1",
        "effect": "throttle",
        "delaySeconds": 60,
        "message": "slowly",
    }
    spec = build(Settings(), Site(platform=PLATFORM, partitions=2))
    assert isinstance(spec, MachineSpec)
    documents = [
        document("Agent", "planner", initiator=True),
        document("Agent", "extractor"),
        document("Flow", "line", edges=[{"from": "planner", "to": "extractor"}]),
        document("Policy", "slow", rules=[slow]),
    ]
    return MachineBench(spec, documents, topics=[VERDICTS])


async def test_a_crossing_is_judged_where_it_lies_and_judged_again_when_asked(bench: MachineBench) -> None:
    """The verdict lies in the subject's partition; for a judge-again the payload is read again by its position."""
    async with bench.running() as machine:
        sent = bench.write(handoff(payload=BODY).record, partition=1, body=BODY)
        first = await bench.next_record(VERDICTS, 1, partition=1)
        bench.clock.advance(60_000)
        again = Subject(partition=1, offset=sent.raw.offset, digest=sent.digest, attempt=2)
        asks = envelope("judge-again", subject=again, why="throttle", gates=["policy-engine", "cost-cap"])
        bench.write(asks, partition=1)
        second = await bench.next_record(VERDICTS, 2, partition=1)

        assert isinstance(first, Verdict)
        assert isinstance(second, Verdict)
        assert ("THROTTLE", "ALLOW") == (first.outcome, second.outcome)
        assert (sent.digest, 2) == (second.subject.digest, second.subject.attempt)
        assert [] == bench.violations(machine, VERDICTS)


async def test_a_restart_remembers_what_was_judged(bench: MachineBench) -> None:
    """Stopped and started, the gate goes on at the next crossing and judges none twice."""
    async with bench.running():
        bench.write(handoff(payload=BODY).record, body=BODY)
        await bench.next_record(VERDICTS, 1)
    async with bench.running() as machine:
        bench.write(handoff(id="h-2", payload=b"{}").record, body=b"{}")
        verdict = await bench.next_record(VERDICTS, 2)

        assert isinstance(verdict, Verdict)
        assert ("DENY", "slow/wait") == (verdict.outcome, verdict.rule)
        assert 2 == len(bench.records(VERDICTS))
        assert [] == bench.violations(machine, VERDICTS)
