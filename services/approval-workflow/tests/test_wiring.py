import json
from dataclasses import replace
from typing import Any

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
        *(document("Person", name) for name in ("ada", "bob", "cyd")),
        document("Person", "fay", roles=["finance"]),
        document(
            "Contract",
            "licence-facts",
            input={"schema": {"properties": {"package": {"type": "string"}}}},
            summary={"state": "{{ this.package }}"},
        ),
    ]
    return MachineBench(spec, documents, topics=[VERDICTS, APPROVALS])


async def held(bench: MachineBench, number: int = 1, **fields: Any) -> ApprovalRequest:
    """Hold a handoff, the one with this *number* (from 1), and wait for the question."""
    sent = bench.write(handoff(id=f"h-{number}", payload=BODY).record, body=BODY)
    receiver, authority = AgentRef(agent="extractor", version="1.0.0"), Authority(depth=5)
    digest = action_sha256(sent.digest, receiver, authority, ())
    subject = Subject(partition=0, offset=sent.raw.offset, digest=sent.digest)
    bench.write(envelope("held", subject=subject, action_sha256=digest, **fields))
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


async def test_questions_that_are_too_much_together_expire_one_by_one(bench: MachineBench) -> None:
    """A task's id may be long. What is too much at once is so for ever, and no other question would expire."""
    bench.spec = replace(bench.spec, max_commit_bytes=8_000)
    async with bench.running() as machine:
        requests = [await held(bench, number) for number in range(1, 13)]
        bench.clock.set(requests[-1].expires_at)
        verdicts = [await bench.next_record(VERDICTS, number) for number in range(1, 13)]

        assert {"approval-expired"} == {getattr(verdict, "rule", None) for verdict in verdicts}
        assert [] == bench.violations(machine, VERDICTS, APPROVALS)


def say(bench: MachineBench, request: ApprovalRequest, person: str, note: str, says: str = "approve") -> None:
    """Answer a question, with so much to say about it."""
    about = {"request": request.id, "action_sha256": request.action_sha256}
    number = len(bench.records("answers.v1"))
    bench.write(envelope("reply", id=f"y-{number}", person=person, answer=says, note=note, **about))


async def test_a_yes_that_fits_into_no_verdict_leaves_the_question_open(bench: MachineBench) -> None:
    """It would be lost with the verdict that carries it; with a shorter note the same person may answer again."""
    async with bench.running() as machine:
        request = await held(bench)
        say(bench, request, "ada", "x" * 64_500)
        say(bench, request, "ada", "as above")
        verdict = await bench.next_record(VERDICTS, 1)

        assert isinstance(verdict, Verdict)
        assert "ALLOW" == verdict.outcome
        assert ["as above"] == [json.loads(one.envelope)["note"] for one in verdict.evidence]
        assert [] == bench.violations(machine, VERDICTS, APPROVALS)


async def test_a_no_is_one_however_much_is_said_with_it(bench: MachineBench) -> None:
    """Nobody's yes may come after it; what was said lies among the answers."""
    async with bench.running() as machine:
        request = await held(bench)
        say(bench, request, "ada", "x" * 64_500, "reject")
        verdict = await bench.next_record(VERDICTS, 1)

        assert isinstance(verdict, Verdict)
        assert ("DENY", "approval-rejected", ()) == (verdict.outcome, verdict.rule, verdict.evidence)
        assert [] == bench.violations(machine, VERDICTS, APPROVALS)


async def test_what_people_say_fits_into_one_verdict_however_many_of_them_agree(bench: MachineBench) -> None:
    """Three lawyers have agreed before the one of finance does; two answers are needed, and go with the verdict."""
    asked = [{"roles": ["lawyer"], "count": 1}, {"roles": ["finance"], "count": 1}]
    async with bench.running() as machine:
        request = await held(bench, approvers=asked)
        for person in ("ada", "bob", "cyd", "fay"):
            say(bench, request, person, "x" * 27_000)
        verdict = await bench.next_record(VERDICTS, 1)
        end = await bench.next_record(APPROVALS, 2)

        assert isinstance(verdict, Verdict)
        assert ["person:ada", "person:fay"] == [evidence.kid for evidence in verdict.evidence]
        assert isinstance(end, ApprovalEnd)
        assert ("ada", "bob", "cyd", "fay") == end.people
        assert [] == bench.violations(machine, VERDICTS, APPROVALS)
