"""What a policy asks for is done before anybody works, and only a person's own signature is that person's word."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from seamwork.agent import Expired, Task
from seamwork.agent import Refused as SenderRefused
from seamwork.platform.members import person_kid
from seamwork.records.authority import Authority, Constraint
from seamwork.records.decision import Closed, Dispatched, Held, JudgeAgain, Refused
from seamwork.records.people import ApprovalEnd, ApprovalRequest, Command, Reply
from seamwork.records.verdict import Verdict
from seamwork.records.wire import compose
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, Sent, new_id, now_ms
from seamwork.testing.stage import Stage
from seamwork.testing.troupe import Troupe

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASKED, TWICE, SLOWED, BOUND, FORBIDDEN = (
    f"{name}/1.0.0" for name in ("asked", "twice", "slowed", "bound", "forbidden")
)
CONTRACTS = (ASKED, TWICE, SLOWED, BOUND, FORBIDDEN)
MOST = {"tools": ["read", "write"], "depth": 2}


@dataclass
class Court:
    """An initiator, an agent that works at once, two lawyers and a clerk who is asked for nothing."""

    stage: Stage
    troupe: Troupe

    async def begin(self, contract: str, **order: Any) -> Sent:
        """Begin a task for *worker*, who answers with what came."""

        async def echo(payload: dict[str, Any], task: Task) -> dict[str, Any]:
            return {
                "constraints": [[one.name, one.value] for one in task.constraints],
                "tools": task.authority.tools,
            }

        return await self.troupe.begin(
            self.troupe.play(**{"court-worker": echo}), contract, "court-worker", **order
        )

    async def request(self, sent: Sent) -> ApprovalRequest:
        """Wait for the question."""
        return await self.stage.said("approvals.v1", ApprovalRequest, key=sent.crossing.task)

    async def end(self, sent: Sent) -> ApprovalEnd:
        """Wait for how the question ended."""
        return await self.stage.said("approvals.v1", ApprovalEnd, key=sent.crossing.task)

    def reply(self, asked: ApprovalRequest, person: str, **says: Any) -> Reply:
        """Write an answer."""
        return Reply(
            **{
                "id": new_id(),
                "request": asked.id,
                "task": asked.task,
                "action_sha256": asked.action_sha256,
                "person": person,
                "answer": "approve",
                "answered_at": now_ms(),
                **says,
            }
        )

    async def answer(self, reply: Reply, signed_by: str | None = None) -> None:
        """Publish an answer, signed with the key of the person it names unless another is given."""
        key = self.stage.door.home.key(person_kid(signed_by or reply.person))
        await self.stage.send(
            "people", compose(self.stage.platform, "answers.v1", reply.task, reply, payload=b"", signer=key)
        )

    async def outcome(self, sent: Sent) -> str:
        """Wait for the end of the task."""
        return (await self.stage.ended(sent.crossing.task)).outcome


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def court(stage: Stage) -> AsyncIterator[Court]:
    """Bring everybody in, with a policy for each effect."""
    accepts = [{"contract": contract.split("/")[0], "versions": "*"} for contract in CONTRACTS]
    lawyers = {"effect": "require-approval", "when": "true", "message": "a lawyer must agree"}

    def policy(name: str, **rule: Any) -> Any:
        return document(
            "Policy",
            f"court-{name}",
            match={"contracts": [name], "kinds": ["handoff"]},
            rules=[{"name": "rule", **rule}],
        )

    settings = await stage.cast(
        {
            "court-worker": {"accepts": accepts, "authority": MOST},
            "court-second": {"accepts": accepts, "authority": MOST},
            "court-chief": {"accepts": accepts, "authority": MOST, "initiator": True, "budget": "court-budget"},
        },
        document("Budget", "court-budget"),
        *(document(
            "Contract", contract.split("/")[0], masking=["/secret"],
            input={"schema": {"properties": {"secret": {"type": "string"}}}},
            summary={"state": "the secret is {{ this.secret }}"},
        ) for contract in CONTRACTS),
        policy("asked", **lawyers, approvers={"roles": ["lawyer"]}),
        policy("twice", **lawyers, approvers={"roles": ["lawyer"], "count": 2}),
        policy("slowed", effect="throttle", when="true", message="not so fast", delaySeconds=1),
        policy("bound", effect="constrain", when="true", message="inside the region",
               constraints=[{"name": "region", "value": "eu"}], authority={"tools": ["read"], "depth": 2}),
        policy("forbidden", effect="deny", when="this.secret == 'open'", message="that may not go out"),
        document("Flow", "court", edges=[
            {"from": one, "to": to, "contract": contract.split("/")[0]}
            for contract in CONTRACTS
            for one, to in (("court-chief", "court-worker"), ("court-worker", "court-second"))
        ]),
    )  # fmt: skip
    for person, role in (("lena", "lawyer"), ("luca", "lawyer"), ("cora", "clerk")):
        await stage.person(person, role)
    troupe = Troupe(stage, Puppet(stage, settings["court-chief"]), CONTRACTS)
    await troupe.enlist(settings["court-worker"])
    yield Court(stage, troupe)
    await troupe.disband()


# ── The five verdicts ────────────────────────────────────────────────────────────────────


async def test_who_waits_for_a_result_is_told_that_people_are_asked(court: Court) -> None:
    """Nothing else comes for as long as they take, and whoever asked could take the platform for dead."""
    home = court.stage.door.home
    waiting = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "seamwork.cli", "submit", "asked@1.0.0", "--to", "court-worker",
        "--as", "court-chief", "--intent", "ask somebody", "--timeout", "60", "--wait",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "SEAMWORK_HOME": str(home.root.parent), "SEAMWORK_PLATFORM": home.name},
    )  # fmt: skip
    assert waiting.stdin is not None
    assert waiting.stderr is not None
    waiting.stdin.write(b"{}")
    waiting.stdin.close()
    told = (await asyncio.wait_for(waiting.stderr.readline(), 60)).decode()
    waiting.terminate()
    await waiting.wait()

    assert (
        "root: court-chief@1.0.0 → court-worker is held until people agree; see `seamwork approvals list`"
        in told
    )


async def test_a_team_of_somebody_who_is_nobody_is_told_so(court: Court) -> None:
    """A name that is misspelt would be found out when the team is asked."""
    home = court.stage.door.home
    added = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "seamwork.cli", "teams", "add", "bench", "--member", "lena", "--member", "lenna",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "SEAMWORK_HOME": str(home.root.parent), "SEAMWORK_PLATFORM": home.name},
    )  # fmt: skip
    said, told = (out.decode() for out in await asyncio.wait_for(added.communicate(), 60))

    assert "bench 1.0.0 is in force\n" == said
    assert "lenna is nobody in force yet: `seamwork people add lenna --role ROLE`\n" == told


async def test_what_a_policy_forbids_does_not_go_out(court: Court) -> None:
    """The refusal names policy and rule, and no value."""
    sent = await court.begin(FORBIDDEN, more={"secret": "open"})
    notice = await court.stage.told("court-chief", sent.crossing.id, "refused")

    assert ("policy-engine", "court-forbidden/rule") == (notice.gate, notice.rule)
    assert "open" not in (notice.reason or "").replace("this.secret == 'open'", "")
    assert "failed" == await court.outcome(sent)


async def test_what_it_says_nothing_of_goes_out(court: Court) -> None:
    """The same contract, another payload."""
    assert "complete" == await court.outcome(await court.begin(FORBIDDEN, more={"secret": "kept"}))


async def test_a_rule_that_cannot_be_evaluated_denies(court: Court) -> None:
    """A payload without the field that the rule asks for is not admitted."""
    sent = await court.begin(FORBIDDEN)

    assert "policy-engine" == (await court.stage.refused(sent.at)).gate
    assert "failed" == await court.outcome(sent)


async def test_constraints_and_less_authority_come_with_the_work(court: Court) -> None:
    """What the policy binds is bound in the stamp, and the agent has it at hand."""
    sent = await court.begin(BOUND, more={"secret": ""})
    dispatched = await court.stage.decided(sent.crossing.task, Dispatched)
    answer = await court.troupe.answer(sent.crossing.task)

    assert (Constraint(name="region", value="eu"),) == dispatched.constraints
    assert Authority(tools=("read",), depth=2) == dispatched.authority
    assert {"constraints": [["region", "eu"]], "tools": ["read"]} == answer


async def test_a_throttle_postpones_once(court: Court) -> None:
    """It goes out after the delay, judged once more, and not before."""
    sent = await court.begin(SLOWED, more={"secret": ""})
    task = sent.crossing.task
    dispatched = await court.stage.decided(task, Dispatched)
    again = [one for one in await court.stage.decisions(task) if isinstance(one, JudgeAgain)]
    first = await court.stage.said(
        "verdicts.policy-engine.v1", Verdict, lambda verdict: verdict.outcome == "THROTTLE", key=task
    )

    assert ["throttle"] == [one.why for one in again]
    assert first.not_before is not None
    assert dispatched.decided_at >= first.not_before
    assert "complete" == await court.outcome(sent)


# ── People ───────────────────────────────────────────────────────────────────────────────


async def test_approved_work_goes_out_and_not_before(court: Court) -> None:
    """The question is readable, masked, and the answer lets exactly this action go."""
    sent = await court.begin(ASKED, more={"secret": "Rosebud"})
    request = await court.request(sent)
    before = [type(one) for one in await court.stage.decisions(sent.crossing.task)]
    await court.answer(court.reply(request, "lena"))

    assert "complete" == await court.outcome(sent)
    assert [Held] == before
    assert ("lena",) == (await court.end(sent)).people
    assert "Rosebud" not in request.state
    assert request.state.startswith("the secret is ")
    assert (await court.stage.decided(sent.crossing.task, Held)).action_sha256 == request.action_sha256


async def test_rejected_work_does_not_go_out(court: Court) -> None:
    """Whoever asked is told that a person said no."""
    sent = await court.begin(ASKED, more={"secret": ""})
    await court.answer(court.reply(await court.request(sent), "lena", answer="reject"))
    notice = await court.stage.told("court-chief", sent.crossing.id, "refused")

    assert ("approval-workflow", "approval-rejected") == (notice.gate, notice.rule)
    assert "failed" == await court.outcome(sent)
    assert [] == await court.stage.records("inbox.court-worker.v1", key=sent.crossing.task)


async def test_a_question_that_nobody_answers_expires(court: Court) -> None:
    """Whoever asked hears that it expired, which is no rejection, and may go on without it."""

    async def ask(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        with pytest.raises((SenderRefused, Expired)) as late:
            await task.delegate(
                contract=ASKED, to="court-second", payload=payload, step="may-i", timeout_s=2.5
            )
        return {"rule": late.value.rule}

    play = court.troupe.play(**{"court-worker": ask})
    sent = await court.troupe.begin(play, FORBIDDEN, "court-worker", more={"secret": "kept"})
    answer = await court.troupe.answer(sent.crossing.task)

    assert "complete" == await court.outcome(sent)
    assert {"rule": "approval-expired"} == answer
    assert "expired" == (await court.end(sent)).how
    assert [] == await court.stage.records("inbox.court-second.v1", key=sent.crossing.task)


async def test_answers_that_are_not_the_persons_do_not_count(court: Court) -> None:
    """Another's name, another action, another role, no role, an agent's key: held, until the right one says yes."""
    sent = await court.begin(ASKED, more={"secret": ""})
    request = await court.request(sent)
    await court.answer(court.reply(request, "lena"), signed_by="cora")
    await court.answer(court.reply(request, "lena", action_sha256="0" * 64))
    await court.answer(court.reply(request, "lena", request=new_id()))
    await court.answer(court.reply(request, "cora"))
    agent = court.stage.key("court-worker")
    forged = court.reply(request, "lena")
    await court.stage.send(
        "people", compose(court.stage.platform, "answers.v1", request.task, forged, payload=b"", signer=agent)
    )
    unsigned = compose(court.stage.platform, "answers.v1", request.task, forged, payload=b"")
    await court.stage.send("people", unsigned)
    await court.answer(court.reply(request, "luca"))

    assert "complete" == await court.outcome(sent)
    assert ("luca",) == (await court.end(sent)).people


async def test_two_must_be_two(court: Court) -> None:
    """One person twice is one person."""
    sent = await court.begin(TWICE, more={"secret": ""})
    request = await court.request(sent)
    await court.answer(court.reply(request, "lena"))
    await court.answer(court.reply(request, "lena"))
    await court.answer(court.reply(request, "cora"))
    await court.answer(court.reply(request, "luca"))

    assert "complete" == await court.outcome(sent)
    assert ("lena", "luca") == tuple(sorted((await court.end(sent)).people))


async def typed(court: Court, *words: str) -> tuple[int, str, str]:
    """Type a command on the machine of the people; return its exit status and what it printed."""
    home = court.stage.door.home
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "seamwork.cli", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "SEAMWORK_HOME": str(home.root.parent), "SEAMWORK_PLATFORM": home.name},
    )  # fmt: skip
    said, told = (out.decode() for out in await asyncio.wait_for(command.communicate(), 60))
    return command.returncode or 0, said, told


async def test_whoever_is_asked_sees_who_has_agreed_and_who_is_waited_for(court: Court) -> None:
    """Two must agree, and neither knew of the other; a yes that was said is not taken a second time."""
    sent = await court.begin(TWICE, more={"secret": ""})
    request = (await court.request(sent)).id
    await court.answer(court.reply(await court.request(sent), "cora"))
    first = await typed(court, "approvals", "approve", request, "--by", "lena", "--note", "mine")
    again = await typed(court, "approvals", "approve", request, "--by", "lena")
    shown = (await typed(court, "approvals", "show", request))[1].splitlines()
    listed = json.loads((await typed(court, "approvals", "list", "--json"))[1])
    waiting = {
        person: [
            one["id"]
            for one in json.loads((await typed(court, "approvals", "list", "--for", person, "--json"))[1])
        ]
        for person in ("lena", "luca", "cora")
    }
    last = await typed(court, "approvals", "approve", request, "--by", "luca")
    assert "complete" == await court.outcome(sent)
    over = (await typed(court, "approvals", "show", request))[1].splitlines()
    followed = (await typed(court, "watch", sent.crossing.task))[1]

    assert (0, f"lena: approve ({request}); missing: 1 of lawyer (luca)\n", "") == first
    assert 1 == again[0]
    assert "lena has said approve already, and it counts; missing: 1 of lawyer (luca)" in again[2]
    assert shown[2].startswith("agreed    lena, ")
    assert shown[2].endswith(": mine")
    assert "missing   1 of lawyer (luca)" == shown[3]
    (one,) = [one for one in listed if one["id"] == request]
    assert ["lena"] == [said["person"] for said in one["said"]]
    assert [{"of": "lawyer", "more": 1, "people": ["luca"]}] == one["missing"]
    assert request in waiting["luca"]
    assert request not in [*waiting["lena"], *waiting["cora"]]
    assert (0, f"luca: approve ({request})\n", "") == last
    assert ["lena", "luca"] == [line.split()[1].strip(",") for line in over if line.startswith("agreed")]
    assert not any(line.startswith("missing") for line in over)
    assert "approved    by lena, luca" in followed


async def test_an_approval_without_the_peoples_signatures_lets_nothing_through(court: Court) -> None:
    """Even the workflow itself cannot answer for a person: the router verifies the signatures."""
    sent = await court.begin(ASKED, more={"secret": ""})
    held = await court.stage.decided(sent.crossing.task, Held)
    assert held.subject is not None
    verdict = Verdict(
        gate="approval-workflow", gate_version="1.0.0", subject=held.subject, task=held.task,
        crossing=held.crossing, outcome="ALLOW", rule="approved", reason="trust me",
        revision=held.revision, judged_at=now_ms(),
    )  # fmt: skip
    await court.stage.send(
        "approval-workflow",
        compose(
            court.stage.platform, "verdicts.approval-workflow.v1", sent.crossing.task, verdict, payload=b"",
            partition=sent.at.partition,
        ),
    )  # fmt: skip
    refused = await court.stage.decided(sent.crossing.task, Refused)

    assert "approval-incomplete" == refused.rule
    assert [] == await court.stage.records("inbox.court-worker.v1", key=sent.crossing.task)


async def test_what_is_held_can_be_cancelled(court: Court) -> None:
    """The question is withdrawn; an answer that comes later changes nothing. Only a person may order it."""
    sent = await court.begin(ASKED, more={"secret": ""})
    task = sent.crossing.task
    request = await court.request(sent)
    stage = court.stage

    def cancel(person: str) -> Command:
        return Command(id=new_id(), task=task, person=person, action="cancel", ordered_at=now_ms())

    await stage.send(
        "people",
        compose(
            stage.platform, "commands.v1", task, cancel("cora"), payload=b"", signer=stage.key("court-worker")
        ),
    )
    assert "complete" == await court.outcome(await court.begin(FORBIDDEN, more={"secret": "kept"}))
    before = [type(one) for one in await stage.decisions(task)]
    await stage.say("cora", "commands.v1", task, cancel)

    assert [Held] == before
    assert "cancelled" == await court.outcome(sent)
    assert "withdrawn" == (await court.end(sent)).how
    await court.answer(court.reply(request, "lena"))
    assert "complete" == await court.outcome(await court.begin(FORBIDDEN, more={"secret": "kept"}))
    assert [Held, Closed] == [type(one) for one in await stage.decisions(task)][:2]
    assert [] == await stage.records("inbox.court-worker.v1", key=task)
