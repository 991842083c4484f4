"""What a contract wants a person to see although it holds."""

from typing import Any

import pytest
from msgspec.structs import replace

from seamwork.documents.kinds import AnyDocument
from seamwork.records.authority import Authority
from seamwork.records.decision import Held, Refused
from seamwork.records.verdict import SignedRecord
from seamwork.testing.documents import document
from seamwork_router.thresholds import growth_of

Bench = Any  # the class of conftest; importlib mode cannot import it

PARTS = [{"step": step} for step in "abcdef"]


def gate() -> AnyDocument:
    """Return the gate that asks people."""
    return document(
        "Gate", "approval-workflow", role="approval", requiredFor=["handoff"], deadlineSeconds=600
    )


def wary(**terms: Any) -> AnyDocument:
    """Return the contract of the bench with thresholds of its own."""
    escalation = terms.pop("escalation", ["ada"])
    return document(
        "Contract", "licence-facts", limits={"timeSeconds": 60}, owners={"escalation": escalation},
        escalateWhen=terms,
    )  # fmt: skip


def held(bench: Bench) -> list[tuple[str, str]]:
    """Return what was held, and for whom."""
    return [(one.rule, one.approvers[0].named) for one in bench.decisions if isinstance(one, Held)]


def test_a_plan_that_grows_past_the_first_is_held(bench: Bench) -> None:
    """The first plan is what the work began with; a plan below it adds to it."""
    bench.publish(gate(), wary(planGrowth={"steps": 2}))
    work = bench.begin()
    bench.adopt(work, *PARTS[:2])
    child = bench.delegate(work, "a")
    bench.admit(bench.plan(child, *PARTS[:2]))

    assert [] == held(bench)

    other = bench.delegate(work, "b")
    bench.admit(bench.plan(other, PARTS[0]))

    assert [("plan-growth", "ada")] == held(bench)


def test_work_that_began_without_a_plan_has_none_to_outgrow(bench: Bench) -> None:
    """Its children may plan as they like."""
    bench.publish(gate(), wary(planGrowth={"steps": 1}))
    child = bench.delegate(bench.begin(), "a")
    bench.admit(bench.plan(child, *PARTS))

    assert [] == held(bench)


def test_growth_counts_all_plans_below(bench: Bench) -> None:
    """What somebody else divides anew counts instead of what it had before."""
    work = bench.begin()
    bench.adopt(work, *PARTS[:2])
    child = bench.delegate(work, "a")
    bench.adopt(child, *PARTS[:3])
    task = bench.state.tasks[work.task]
    whole, below = task.errands[work.crossing], task.errands[child.crossing]

    assert 1 == growth_of(task, whole, below, 1)
    assert 4 == growth_of(task, whole, whole, 3)
    assert 0 == growth_of(task, below, below, 3)


@pytest.mark.parametrize("escalation", [[], ["nobody"]])
def test_what_nobody_can_be_asked_about_is_refused(bench: Bench, escalation: list[str]) -> None:
    """It says what somebody had to see."""
    bench.publish(gate(), wary(irreversible=["send-mail"], escalation=escalation))
    give = document(
        "Agent", "planner", "1.0.1", initiator=True, authority={"effects": ["send-mail"], "depth": 2}
    )
    bench.publish(give)
    bench.admit(bench.send("handoff", source="planner@1.0.1"))
    refused = next(one for one in bench.decisions if isinstance(one, Refused))

    assert ("no-approvers", True) == (refused.rule, "send-mail" in refused.reason)


def test_nobody_stands_for_owners_whom_nobody_knows(bench: Bench) -> None:
    """Those whom a policy wants asked are somebody else; of several contracts each has its own owners."""
    bench.publish(gate(), wary(irreversible=["send-mail"], escalation=["nobody"]))
    crossing = bench.send("handoff")
    bench.vote(crossing, "contract-validator")
    bench.vote(crossing, "cost-cap")
    bench.vote(
        crossing, "policy-engine", "REQUIRE_APPROVAL", rule="four-eyes", approvers=[{"roles": ["lawyer"]}]
    )
    (refused,) = (one for one in bench.decisions if isinstance(one, Refused))

    assert [] == held(bench)
    assert ("no-approvers", True) == (refused.rule, "send-mail" in refused.reason)


def test_each_contract_that_a_plan_outgrows_needs_somebody(bench: Bench) -> None:
    """The one above has an owner, the one below has none."""
    bench.publish(gate(), wary(planGrowth={"steps": 1}))
    lone = document(
        "Contract", "transient", limits={"timeSeconds": 60}, owners={"escalation": ["nobody"]},
        escalateWhen={"planGrowth": {"steps": 1}},
    )  # fmt: skip
    bench.publish(lone)
    work = bench.begin()
    bench.adopt(work, {**PARTS[0], "contract": "transient@1.0.0"})
    child = bench.delegate(work, "a", contract="transient@1.0.0")
    bench.adopt(child, {**PARTS[0], "target": "backup"})
    bench.admit(bench.plan(bench.delegate(child, "a", target="backup"), *PARTS))
    (refused,) = (one for one in bench.decisions if isinstance(one, Refused))

    assert ([], "no-approvers") == (held(bench), refused.rule)


def test_what_a_policy_wants_asked_and_the_contract_too_asks_both(bench: Bench) -> None:
    """Each demand stands by itself."""
    bench.publish(gate(), wary(irreversible=["send-mail"]))
    bench.publish(
        document(
            "Agent", "planner", "1.0.1", initiator=True, authority={"effects": ["send-mail"], "depth": 2}
        )
    )
    crossing = bench.send("handoff", source="planner@1.0.1", authority={"effects": ["send-mail"], "depth": 1})
    bench.vote(crossing, "contract-validator")
    bench.vote(crossing, "cost-cap")
    bench.vote(
        crossing, "policy-engine", "REQUIRE_APPROVAL", rule="four-eyes", approvers=[{"roles": ["lawyer"]}]
    )
    (said,) = (one for one in bench.decisions if isinstance(one, Held))

    assert "four-eyes" == said.rule
    assert ["lawyer", "ada"] == [one.named for one in said.approvers]
    assert Authority(effects=("send-mail",), depth=1) == said.authority


def junk() -> SignedRecord:
    """Return an order that nobody gave."""
    return SignedRecord(topic="x", key="x", envelope="x", kid="x", sig="x")


def test_an_order_that_nobody_gave_spares_no_hold(bench: Bench) -> None:
    """A handoff or a result that is no desk's is refused with one, whatever it says."""
    bench.publish(gate(), wary(irreversible=["send-mail"]))
    bench.admit(bench.send("handoff", order=junk()))
    work = bench.begin(contract="guarded@1.0.0", task="t-2", id="h-2")
    bench.admit(bench.child(work, task="t-2", order=junk()))
    bench.admit(bench.result(work, task="t-2", order=junk()))
    refused = [
        one.crossing for one in bench.decisions if isinstance(one, Refused) and one.rule == "order-invalid"
    ]

    assert (3, [work]) == (len(refused), bench.works)


def test_what_had_entered_with_such_an_order_is_held_all_the_same(bench: Bench) -> None:
    """An older router let it in; only the dispatch of a case says that a person has seen it."""
    bench.publish(gate(), wary(irreversible=["send-mail"]))
    crossing = bench.send("handoff")
    bench.vote(crossing, "contract-validator")
    live = bench.state.live[str(crossing.raw.offset)]
    live.facts = replace(live.facts, order=junk())
    bench.admit(crossing, gates=("policy-engine", "cost-cap"))

    assert [("irreversible-effect", "ada")] == held(bench)
