"""A flow is rehearsed through the real gates before any of its agents exists."""

from collections.abc import Iterable
from typing import Any

import pytest

from seamwork.agent import Agent, Task
from seamwork.authoring.own import with_document
from seamwork.authoring.rehearsal import Rehearsed, rehearse
from seamwork.authoring.scenes import scenes_of
from seamwork.authoring.seams import lay_out
from seamwork.documents import AnyDocument, Flow
from seamwork.testing.documents import document
from seamwork.testing.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBER: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
SMALL = {"name": "small", "expr": "this.n < 10", "message": "The number is too large."}
DOUBLE = {"name": "double", "expr": "this.n == 2 * request.n", "message": "The answer is not the double."}
ONE = {"n": 1}
EXAMPLES = [
    {"name": "one", "payload": ONE},
    {"name": "large", "payload": {"n": 99}, "violates": ["small"]},
    {"name": "two", "on": "success", "request": ONE, "payload": {"n": 2}},
    {"name": "half", "on": "partial", "request": ONE, "payload": {"n": 0}},
    {"name": "no", "on": "error", "request": ONE, "payload": {"error": {"type": "no", "message": "not one"}}},
    {"name": "three", "on": "success", "request": ONE, "payload": {"n": 3}, "violates": ["double"]},
]


def contract(name: str, **spec: Any) -> AnyDocument:
    """Return a contract under which numbers below ten are doubled, with an example of everything."""
    whole: dict[str, Any] = {
        "input": {"schema": NUMBER, "rules": [SMALL]},
        "outputs": {"success": {"schema": NUMBER, "rules": [DOUBLE]}},
        "onViolation": {"action": "fail"},
        "examples": EXAMPLES,
    }
    return document("Contract", name, **{**whole, **spec})


def edge(source: str, to: str, by: str, **more: Any) -> dict[str, Any]:
    """Return an edge to an agent, or to a capability where it is written in brackets."""
    aim = {"capability": to[1:-1]} if to.startswith("[") else {"to": to}
    return {"from": source, **aim, "contract": by, **more}


async def played(stage: Stage, flow: AnyDocument, documents: Iterable[AnyDocument], *own: Agent) -> Rehearsed:
    """Rehearse a flow on the stage."""
    assert isinstance(flow, Flow)
    known = tuple(documents)
    for agent in own:
        known = with_document(agent, flow, known)
    names = {agent.name: agent for agent in own}
    layout = lay_out(flow, known, names)
    return await rehearse(stage.door, layout, scenes_of(layout, names), known, names)


def told(rehearsed: Rehearsed) -> dict[str, set[str]]:
    """Return what became of the scenes of each seam, by the words for it and whether that is as it should be."""
    found: dict[str, set[str]] = {}
    for one in rehearsed.shown:
        how = f"{one.scene.example}: {one.rule or one.became}"
        found.setdefault(str(one.scene.seam or "all"), set()).add(how if one.kept else f"OTHERWISE {how}")
    return found


async def test_every_example_of_a_flow_without_agents_comes_out_as_it_says(stage: Stage) -> None:
    """A tree with a join, a capability, preconditions and an approval: whoever is missing is stood in for."""
    documents = [
        contract("re-order"),
        contract("re-pick"),
        contract("re-pack", preconditions=[{"contract": "re-pick"}]),
        contract("re-check", onViolation={"action": "correct", "attempts": 1, "otherwise": "fail"}),
        document(
            "Policy",
            "re-packing-is-approved",
            match={"contracts": ["re-pack"], "kinds": ["handoff"]},
            rules=[
                {
                    "name": "packing", "when": "true", "effect": "require-approval",
                    "message": "Packing is asked for.",
                    "approvers": {"roles": ["re-foreman"], "count": 2},
                }
            ],
        ),
    ]  # fmt: skip
    flow = document(
        "Flow",
        "re-orders",
        edges=[
            edge("operator", "re-desk", "re-order"),
            edge("re-desk", "re-picker", "re-pick"),
            edge("re-desk", "[re-packing]", "re-pack"),
            edge("re-picker", "re-checker", "re-check"),
            edge("standin-re-packing", "re-checker", "re-check"),
        ],
    )

    rehearsed = await played(stage, flow, documents)

    usual = {
        "two: crossed, and came back: success", "half: crossed, and came back: partial",
        "no: crossed, and came back: error", "large: rule:small", "three: rule:double",
    }  # fmt: skip
    assert {
        "operator → re-desk": usual, "re-desk → re-picker": usual, "re-desk → [re-packing]": usual,
        "re-picker → re-checker": usual, "standin-re-packing → re-checker": usual,
        "all": {"one: complete, 5 handoffs"},
    } == told(rehearsed)  # fmt: skip
    assert ("re-desk", "re-picker", "standin-re-packing", "re-checker") == rehearsed.stand_ins
    packed = [one for one in rehearsed.shown if str(one.scene.seam) == "re-desk → [re-packing]"]
    assert {("crosses", ("re-foreman",)), ("answer-refused", ("re-foreman",)), ("input-refused", ())} == {
        (one.scene.tried, one.held_for) for one in packed
    }


async def test_an_edge_that_goes_round_is_shown_to_be_refused(stage: Stage) -> None:
    """The flow allows it and the router does not: that is found before anybody writes an agent."""
    flow = document(
        "Flow",
        "re-rounds",
        edges=[
            edge("operator", "re-writer", "re-write"),
            edge("re-writer", "re-reader", "re-read"),
            edge("re-reader", "re-writer", "re-write"),
        ],
    )
    few = {"examples": EXAMPLES[:1] + EXAMPLES[2:3], "input": {"schema": NUMBER}}

    rehearsed = await played(stage, flow, [contract("re-write", **few), contract("re-read", **few)])

    assert {
        "operator → re-writer": {"two: crossed, and came back: success"},
        "re-writer → re-reader": {"two: crossed, and came back: success"},
        "re-reader → re-writer": {"OTHERWISE two: cycle"},
        "all": {"one: complete, 2 handoffs"},
    } == told(rehearsed)
    assert not rehearsed.kept


async def test_an_agent_of_the_authors_own_plays_itself(stage: Stage) -> None:
    """Among stand-ins: what it answers is judged, and what it hands on is seen; a wrong answer is caught."""
    agent = Agent("re-middle", "1.2.0")

    @agent.accepts("re-outer", "1.0.0")
    async def double(payload: dict[str, int], task: Task) -> Any:
        answer = await task.delegate(to="re-inmost", contract="re-inner/1.0.0", payload=payload, step="ask")
        return answer if payload["n"] == 1 else {"n": 0}

    flow = document(
        "Flow",
        "re-own",
        edges=[edge("operator", "re-middle", "re-outer"), edge("re-middle", "re-inmost", "re-inner")],
    )
    outer = contract("re-outer", examples=[*EXAMPLES, {"name": "four", "payload": {"n": 4}}])
    inner = contract("re-inner", outputs={"success": {"schema": NUMBER}}, examples=EXAMPLES[:4])

    rehearsed = await played(stage, flow, [outer, inner], agent)

    assert {
        "operator → re-middle": {
            "one: re-middle answered: success", "OTHERWISE four: rule:double", "large: rule:small",
        },
        "all": {"one: complete, 2 handoffs"},
    } == told(rehearsed)  # fmt: skip
    ((seam, times),) = rehearsed.led
    assert ("re-middle → re-inmost", 3) == (str(seam), times)
    assert ("re-inmost",) == rehearsed.stand_ins
