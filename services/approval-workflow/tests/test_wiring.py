from dataclasses import replace

import pytest

from seamwork.grants.action import action_sha256
from seamwork.records.authority import Authority
from seamwork.records.parties import AgentRef, Subject
from seamwork.records.people import ApprovalEnd, ApprovalRequest
from seamwork.records.verdict import Verdict
from seamwork.runtime import MachineSpec, Site
from seamwork.testing.bench import MachineBench
from seamwork.testing.builders import NOW, PLATFORM, envelope, handoff
from seamwork.testing.documents import document
from seamwork_approval_workflow.settings import Settings
from seamwork_approval_workflow.wiring import build

VERDICTS, APPROVALS = "verdicts.approval-workflow.v1", "approvals.v1"
BODY = b'{"package": "numpy"}'


@pytest.fixture
def bench() -> MachineBench:
    """The gate on a simulated log of two partitions; people have a minute."""
    spec = build(Settings(wait_s=60), Site(platform=PLATFORM, partitions=2))
    assert isinstance(spec, MachineSpec)
    documents = [
        document("Agent", "planner", initiator=True),
        document("Agent", "extractor"),
        document("Person", "ada"),
        document(
            "Contract",
            "licence-facts",
            input={"schema": {"properties": {"package": {"type": "string"}}}},
            summary={"state": "{{ this.package }}"},
        ),
    ]
    return MachineBench(spec, documents, topics=[VERDICTS, APPROVALS])


async def held(bench: MachineBench, number: int = 1) -> ApprovalRequest:
    """Hold a handoff, the one with this *number* (from 1), and wait for the question."""
    sent = bench.write(handoff(id=f"h-{number}", payload=BODY).record, body=BODY)
    receiver, authority = AgentRef(agent="extractor", version="1.0.0"), Authority(depth=5)
    digest = action_sha256(sent.digest, receiver, authority, ())
    subject = Subject(partition=0, offset=sent.raw.offset, digest=sent.digest)
    bench.write(envelope("held", subject=subject, action_sha256=digest))
    request = await bench.next_record(APPROVALS, number, partition=0)
    assert isinstance(request, ApprovalRequest)
    return request


async def test_what_is_held_is_read_by_its_position_and_a_signed_answer_ends_it(bench: MachineBench) -> None:
    """Question, answer, verdict: each in its topic, in the partition of the subject."""
    async with bench.running() as machine:
        request = await held(bench)
        answer = {"request": request.id, "action_sha256": request.action_sha256}
        bench.write(envelope("reply", person="ada", **answer))
        verdict = await bench.next_record(VERDICTS, 1)
        end = await bench.next_record(APPROVALS, 2)

        assert "numpy" == request.state
        assert isinstance(verdict, Verdict)
        assert ("ALLOW", request.subject) == (verdict.outcome, verdict.subject)
        assert ["person:ada"] == [evidence.kid for evidence in verdict.evidence]
        assert isinstance(end, ApprovalEnd)
        assert "approved" == end.how
        assert [] == bench.violations(machine, VERDICTS, APPROVALS)


async def test_a_question_expires_after_a_restart_too(bench: MachineBench) -> None:
    """The deadline stands in the journal, not in a process."""
    async with bench.running():
        request = await held(bench)
    bench.clock.set(request.expires_at)
    async with bench.running() as machine:
        verdict = await bench.next_record(VERDICTS, 1)

        assert NOW + 60_000 == request.expires_at
        assert isinstance(verdict, Verdict)
        assert ("DENY", "approval-expired") == (verdict.outcome, verdict.rule)
        assert [] == bench.violations(machine, VERDICTS, APPROVALS)


async def test_questions_expire_one_by_one_where_they_fit_into_no_commit_together(bench: MachineBench) -> None:
    """A task's id may be long. What is too much at once is too much for ever, and no other question would expire."""
    bench.spec = replace(bench.spec, max_commit_bytes=8_000)
    async with bench.running() as machine:
        requests = [await held(bench, number) for number in range(1, 13)]
        bench.clock.set(requests[-1].expires_at)
        verdicts = [await bench.next_record(VERDICTS, number) for number in range(1, 13)]

        assert {"approval-expired"} == {getattr(verdict, "rule", None) for verdict in verdicts}
        assert [] == bench.violations(machine, VERDICTS, APPROVALS)
