"""What people agree to, proved by their own signatures."""

from typing import Any

import msgspec
import pytest

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Activation
from seamwork.ids import request_id
from seamwork.records.envelope import encode
from seamwork.records.people import Reply
from seamwork.records.verdict import SignedRecord
from seamwork.records.wire import signed_bytes
from seamwork.testing.builders import PLATFORM, received
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of

Bench = Any  # the class of conftest; importlib mode cannot import it
TWO_LAWYERS = [{"roles": ["lawyer"], "count": 2}]


def held(bench: Bench, approvers: Any = TWO_LAWYERS, **fields: Any) -> Any:
    """Bring a root handoff to the point where people are asked; return the decision."""
    crossing = bench.send("handoff")
    bench.vote(crossing, "contract-validator")
    bench.vote(crossing, "cost-cap")
    bench.vote(crossing, "policy-engine", "REQUIRE_APPROVAL", approvers=approvers, **fields)
    return crossing, bench.decisions[-1]


def yes(decision: Any, person: str, signer: str | None = None, **changes: Any) -> dict[str, Any]:
    """Sign one person's answer to what is held."""
    subject = decision.subject
    reply = Reply(
        id=f"y-{person}", request=request_id(subject.partition, subject.offset, decision.action_sha256), task="t-1",
        action_sha256=decision.action_sha256, person=person, answer="approve", answered_at=1,
    )  # fmt: skip
    envelope = encode(msgspec.structs.replace(reply, **changes))
    key = key_of(signer or f"person:{person}")
    signature = key.sign(signed_bytes(PLATFORM, "answers.v1", b"t-1", envelope))
    record = SignedRecord(
        topic="answers.v1", key="t-1", envelope=envelope.decode(), kid=key.kid, sig=signature
    )
    made: dict[str, Any] = msgspec.to_builtins(record)
    return made


def test_what_enough_people_agree_to_is_dispatched(bench: Bench) -> None:
    """Two lawyers said yes to this receiver, authority and constraints."""
    crossing, decision = held(bench)
    bench.vote(crossing, "approval-workflow", evidence=[yes(decision, "ada"), yes(decision, "bob")])

    assert "dispatched: admitted" == bench.said[-1]


@pytest.mark.parametrize(
    ("answers", "rule"),
    [
        ([("ada", {})], "approval-incomplete"),
        ([("ada", {}), ("ada", {})], "approval-incomplete"),
        ([("ada", {}), ("eve", {})], "approval-incomplete"),
        ([("ada", {}), ("bob", {"signer": "person:ada"})], "evidence-invalid"),
        ([("ada", {}), ("bob", {"signer": "service:router"})], "evidence-invalid"),
        ([("ada", {}), ("bob", {"answer": "reject"})], "evidence-invalid"),
        ([("ada", {}), ("bob", {"action_sha256": "another"})], "evidence-invalid"),
        ([("ada", {}), ("bob", {"request": "another"})], "evidence-invalid"),
        ([("ada", {}), ("bob", {"task": "t-2"})], "evidence-invalid"),
        ([("ada", {}), ("mallory", {})], "evidence-invalid"),
    ],
)
def test_evidence_that_proves_too_little_refuses(bench: Bench, answers: Any, rule: str) -> None:
    """The workflow's word alone is worth nothing."""
    crossing, decision = held(bench)
    evidence = [yes(decision, person, **how) for person, how in answers]
    bench.vote(crossing, "approval-workflow", evidence=evidence)

    assert f"refused: {rule}" in bench.said
    assert [] == bench.works


def test_a_key_that_was_taken_back_proves_nothing_any_more(bench: Bench) -> None:
    """Ada is somebody still, under another key; what is signed with the one of her revoked document is not hers."""
    crossing, decision = held(bench, [{"roles": ["lawyer"], "count": 1}])
    new = key_of("person:ada.2")
    bench.publish(
        document("Person", "ada", "2.0.0", roles=["lawyer"], key={"kid": new.kid, "public": new.public})
    )
    told = {
        ("Person", "ada", "1.0.0"): (Activation("active", None, 0), Activation("revoked", None, bench.now, 1))
    }
    bench.catalog = Catalog.of(bench.documents, told, bench.catalog.revision)
    bench.vote(crossing, "approval-workflow", evidence=[yes(decision, "ada")])

    assert "refused: evidence-invalid" in bench.said
    assert [] == bench.works


def test_an_agreement_survives_being_judged_again(bench: Bench) -> None:
    """A throttle after the hold asks the gates once more, and people not at all."""
    crossing, decision = held(bench, not_before=None)
    bench.vote(crossing, "approval-workflow", evidence=[yes(decision, "ada"), yes(decision, "bob")])
    first = bench.works[-1]
    bench.pass_time(60_000)

    assert first.dispatch == bench.works[-1].dispatch
    assert 1 == sum(said.startswith("held") for said in bench.said)


def test_a_policy_that_changed_under_the_question_is_asked_again(bench: Bench) -> None:
    """The yes stands, but what the policy said then may not be what it says now."""
    old = document("Policy", "four-eyes", "1.0.0")
    bench.publish(old)
    ref = {"kind": "Policy", "name": "four-eyes", "version": "1.0.0"}
    crossing, decision = held(bench, consulted=[ref])
    bench.publish(document("Policy", "four-eyes", "2.0.0"))
    bench.vote(crossing, "approval-workflow", evidence=[yes(decision, "ada"), yes(decision, "bob")])

    assert "judge-again: release" == bench.said[-1]
    assert ("policy-engine", "cost-cap") == tuple(sorted(bench.decisions[-1].gates, reverse=True))
    ref["version"] = "2.0.0"
    bench.vote(crossing, "cost-cap", attempt=2)
    bench.vote(
        crossing, "policy-engine", "REQUIRE_APPROVAL", attempt=2, approvers=TWO_LAWYERS, consulted=[ref]
    )
    assert "dispatched: admitted" == bench.said[-1]


def test_other_approvers_are_asked_anew(bench: Bench) -> None:
    """An agreement counts for the people whom it was asked of."""
    bench.publish(document("Policy", "four-eyes", "1.0.0"))
    ref = {"kind": "Policy", "name": "four-eyes", "version": "1.0.0"}
    crossing, decision = held(bench, consulted=[ref])
    bench.publish(document("Policy", "four-eyes", "2.0.0"))
    bench.vote(crossing, "approval-workflow", evidence=[yes(decision, "ada"), yes(decision, "bob")])
    bench.vote(crossing, "cost-cap", attempt=2)
    bench.vote(crossing, "policy-engine", "REQUIRE_APPROVAL", attempt=2, approvers=[{"roles": ["cook"]}])

    assert bench.said[-1].startswith("held")
    assert [] == bench.works


@pytest.mark.parametrize(("how", "rule"), [("lost", "stamp-closed"), ("cancelled", "task-over")])
def test_an_answer_is_held_no_longer_than_its_dispatch_is_open(bench: Bench, how: str, rule: str) -> None:
    """People need not be asked any more, and its sender is told why: no gate was silent."""
    work = bench.begin()
    child = bench.delegate(work)
    answer = bench.result(child)
    bench.vote(answer, "contract-validator")
    bench.vote(answer, "policy-engine", "REQUIRE_APPROVAL", approvers=TWO_LAWYERS)
    if how == "lost":
        bench.publish(revoke=("Agent", "reader", "1.0.0"))
    else:
        bench.step(received("command", appended_at=bench.now))
    bench.pass_time(0)

    assert ["held", "refused"] == [
        one.__struct_config__.tag
        for one in bench.decisions
        if one.subject is not None and one.subject.offset == answer.raw.offset
    ]
    assert ("reader", "refused", rule) in bench.told


def test_people_have_until_the_deadline_to_look_at_an_answer(bench: Bench) -> None:
    """That its sender was nearly out of time when it answered is none of theirs."""
    work = bench.begin()
    bench.pass_time(59_000)
    answer = bench.result(work)
    bench.vote(answer, "contract-validator")
    bench.vote(answer, "policy-engine", "REQUIRE_APPROVAL", approvers=TWO_LAWYERS)
    asked = bench.decisions[-1]
    bench.pass_time(120_000)
    bench.vote(answer, "approval-workflow", evidence=[yes(asked, "ada"), yes(asked, "bob")])

    assert asked.decided_at + 600_000 == asked.expires_at
    assert "task-ended: task-complete" == bench.said[-1]


def wary(bench: Bench, **terms: Any) -> None:
    """Let a contract want the lawyers of its owners asked, whoever they are."""
    owners = {"escalation": ["lawyer"]}
    bench.publish(
        document("Contract", "licence-facts", limits={"timeSeconds": 600}, owners=owners, escalateWhen=terms)
    )


def agree(bench: Bench, crossing: Any, *gates: str) -> list[tuple[str, ...]]:
    """Let a lawyer join while *crossing* is held, and the first who was asked agree; return who was asked."""
    first = bench.decisions[-1]
    bench.publish(document("Person", "cid", roles=["lawyer"]))
    bench.vote(crossing, "approval-workflow", evidence=[yes(first, "ada")])
    for gate in gates:
        bench.vote(crossing, gate, attempt=2)
    bench.pass_time(0)
    second = bench.decisions[-1]
    bench.vote(crossing, "approval-workflow", attempt=2, evidence=[yes(second, "ada")])
    return [one.approvers[0].people for one in (first, second)]


def test_who_joins_the_owners_while_people_are_asked_is_asked_too(bench: Bench) -> None:
    """Under an attempt of its own, for of each attempt one answer counts; what they agree to then goes on."""
    wary(bench, irreversible=["send-mail"])
    authority = {"effects": ["send-mail"], "depth": 2}
    bench.publish(document("Agent", "planner", "1.0.1", initiator=True, authority=authority))
    crossing = bench.send("handoff", source="planner@1.0.1", authority=authority)
    bench.admit(crossing)

    assert [("ada", "bob"), ("ada", "bob", "cid")] == agree(bench, crossing, "cost-cap")
    assert "dispatched: admitted" == bench.said[-1]


def test_who_joins_the_owners_while_a_plan_is_held_is_asked_too(bench: Bench) -> None:
    """No gate is asked again about it."""
    wary(bench, planGrowth={"steps": 1})
    work = bench.begin()
    bench.adopt(work, {"step": "a"})
    plan = bench.plan(bench.delegate(work, "a"), {"step": "a"}, {"step": "b"})
    bench.admit(plan)

    assert [("ada", "bob"), ("ada", "bob", "cid")] == agree(bench, plan)
    assert "noted: plan-adopted" == bench.said[-1]


def test_a_workflow_that_stays_silent_holds_nothing_for_ever(bench: Bench) -> None:
    """Some time after the request's expiry the router gives up and names the gate."""
    held(bench)
    bench.pass_time(700_000)

    assert ("planner", "refused", "gate-silent") == bench.told[-1]
    assert "approval-workflow" == bench.notices[-1].gate
