"""What each step of a flow refused, or would have, is told from the decisions on record."""

from typing import Any

from seamwork.catalog import Catalog
from seamwork.records.base import tag_of
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.wire import Received
from seamwork.seams.steps import Step
from seamwork.testing.builders import NOW, received
from seamwork.testing.documents import document
from seamwork_audit_sink.seams import Reading
from seamwork_audit_sink.steps import flow_report

EDGES = [{"from": "planner", "to": "extractor"}]
SHADOW = document("Flow", "line", mode="shadow", edges=EDGES)
ENFORCED = document("Flow", "line", "2.0.0", edges=EDGES)
CATALOG = Catalog.of([SHADOW, ENFORCED])
ALONG_SHADOW, ALONG_ENFORCED = ["Flow/line@1.0.0"], ["Flow/line@2.0.0"]


def reading(*records: Received[AnyEnvelope]) -> Reading:
    """Let records be read by type, as the archive does."""
    return lambda types: [one for one in records if tag_of(one.record) in types]


def vote(rule: str, **fields: Any) -> dict[str, Any]:
    """Write one refusal of a tally."""
    return {"gate": "contract-validator", "gate_version": "1.0.0", "outcome": "DENY", "rule": rule, **fields}


def steps(*records: Any) -> dict[str, Step]:
    """Report the flow."""
    report = flow_report("line", reading(*records), CATALOG, NOW, whole=True)
    assert report is not None
    return {step.version: step for step in report.steps}


def test_what_would_have_been_refused_is_told_apart_from_what_was() -> None:
    """By the version of the flow that was consulted, each rule with its latest crossings."""
    found = steps(
        received("handoff", at="0/0"),
        received("dispatched", at="0/0", consulted=ALONG_SHADOW, votes=[vote("schema", spared="shadow")]),
        received("handoff", at="0/1", id="h-2", task="t-2"),
        received(
            "refused", at="0/1", crossing="h-2", task="t-2", subject="0/1", consulted=ALONG_ENFORCED,
            gate="contract-validator", rule="schema", votes=[vote("schema", reason="/a is missing")],
        ),
    )  # fmt: skip

    shadow, enforced = found["1.0.0"], found["2.0.0"]
    assert (1, 0, 1) == (shadow.judged, shadow.refused, shadow.would_refuse)
    assert (1, 1, 0) == (enforced.judged, enforced.refused, enforced.would_refuse)
    assert ("shadow", False, "enforce", True) == (
        shadow.mode,
        shadow.in_force,
        enforced.mode,
        enforced.in_force,
    )
    (line,) = enforced.refusals
    assert ("handoff", "planner@1.0.0", "extractor", "schema", True) == (
        line.kind, line.agent, line.to, line.rule, line.enforced,
    )  # fmt: skip
    assert [("t-2", "h-2", "0/1", "/a is missing")] == [
        (one.task, one.crossing, one.position, one.reason) for one in line.examples
    ]


def test_an_answer_belongs_to_the_flow_of_its_handoff() -> None:
    """Nobody consults a flow for it, and it is named after who sent it."""
    found = steps(
        received("handoff", at="0/0"),
        received("dispatched", at="0/0", consulted=ALONG_SHADOW, votes=[]),
        received("result", at="0/1", id="r-1", dispatch="w-1", parent="h-1"),
        received(
            "accepted", at="0/1", crossing="r-1", subject="0/1", dispatch="w-1", answers="h-1",
            votes=[vote("rule:whole", spared="shadow")],
        ),
    )  # fmt: skip

    (line,) = found["1.0.0"].refusals
    assert (2, 1) == (found["1.0.0"].judged, found["1.0.0"].would_refuse)
    assert ("result", "extractor@1.0.0", "planner@1.0.0") == (line.kind, line.agent, line.to)


def test_a_plan_belongs_to_the_flow_that_was_consulted_for_it() -> None:
    """It is held against the flow itself; whoever its subtasks are for is no single agent."""
    found = steps(
        received("handoff", at="0/0"),
        received("dispatched", at="0/0", consulted=ALONG_ENFORCED, votes=[]),
        received("plan", at="0/1"),
        received(
            "refused", at="0/1", crossing="pl-1", subject="0/1", kind="plan", gate="policy-engine", rule="off-line",
            consulted=ALONG_SHADOW, votes=[vote("off-line", gate="policy-engine")],
        ),
    )  # fmt: skip

    (line,) = found["1.0.0"].refusals
    assert ("plan", "extractor@1.0.0", "whoever its subtasks are for") == (line.kind, line.agent, line.to)
    assert (1, 2) == (found["1.0.0"].judged, found["2.0.0"].judged)


def test_what_was_said_of_a_crossing_that_is_not_on_record_counts_nowhere() -> None:
    """It lies before what is looked at, or nobody could read it."""
    warned = {"rule": "small/big", "reason": "too big", "would": "deny"}
    found = steps(
        received("verdict", at="0/0", gate="policy-engine", warnings=[warned]),
        received("dispatched", at="0/0", consulted=ALONG_ENFORCED, votes=[vote("schema", spared="shadow")]),
        received("refused", at="0/1", subject=None, crossing="h-9", consulted=ALONG_ENFORCED),
    )

    assert (0, ()) == (found["2.0.0"].judged, found["2.0.0"].refusals)


def test_a_crossing_counts_once_and_a_policy_in_shadow_is_told_too() -> None:
    """However often it was judged; what the policy would demand stands in its place."""
    warned = {"rule": "small/big", "reason": "too big", "would": "require-approval"}
    found = steps(
        received("handoff", at="0/0"),
        received("verdict", at="0/0", gate="policy-engine", warnings=[warned]),
        received("dispatched", at="0/0", consulted=ALONG_ENFORCED, votes=[]),
        received("verdict", at="0/1", gate="policy-engine", subject="0/0#2", warnings=[warned]),
        received("dispatched", at="0/1", consulted=ALONG_ENFORCED, subject="0/0#2", dispatch="w-2", votes=[]),
    )

    (line,) = found["2.0.0"].refusals
    assert (1, 1) == (found["2.0.0"].judged, line.times)
    assert ("small/big", "require-approval", False) == (line.rule, line.effect, line.enforced)


def test_what_another_wrote_under_the_id_of_a_handoff_is_not_that_handoffs() -> None:
    """It is refused along the flow that it was written for; the work, and its answer, belong where they went."""
    denied = [
        {
            "gate": "contract-validator",
            "gate_version": "1.0.0",
            "outcome": "DENY",
            "rule": "schema",
            "reason": "no",
        }
    ]
    found = steps(
        received("handoff", at="0/0", source="mallory"),
        received("handoff", at="0/1"),
        received("result", at="0/2", stamp={}),
        received("refused", at="0/0", rule="schema", votes=denied, consulted=ALONG_ENFORCED),
        received("dispatched", at="0/1", subject="0/1", consulted=ALONG_SHADOW),
        received(
            "refused", at="0/2", crossing="r-1", subject="0/2", kind="result", rule="schema", votes=denied
        ),
    )
    (forged,) = found["2.0.0"].refusals
    (answer,) = found["1.0.0"].refusals

    assert ("handoff", "mallory@1.0.0", 1, 1) == (
        forged.kind, forged.agent, found["2.0.0"].judged, found["2.0.0"].refused,
    )  # fmt: skip
    assert ("result", "planner@1.0.0", 2, 1) == (
        answer.kind, answer.to, found["1.0.0"].judged, found["1.0.0"].refused,
    )  # fmt: skip


def test_what_no_flow_draws_and_what_a_drill_does_belong_to_no_step() -> None:
    """An edge in no flow is refused after every flow was asked; a drill is nobody's work."""
    found = steps(
        received("handoff", at="0/0"),
        received(
            "refused", at="0/0", rule="no-flow-edge", consulted=[*ALONG_SHADOW, *ALONG_ENFORCED], votes=[]
        ),
        received("handoff", at="0/1", id="h-2"),
        received("dispatched", at="0/1", crossing="h-2", subject="0/1", consulted=ALONG_SHADOW, drill=True),
    )

    assert (0, 0) == (found["1.0.0"].judged, found["2.0.0"].judged)
    assert flow_report("another", reading(), CATALOG, NOW, whole=True) is None
