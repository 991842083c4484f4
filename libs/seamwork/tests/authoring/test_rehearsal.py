"""What a rehearsal says of a seam is about that seam, and it says what it did not play."""

from collections.abc import Mapping
from typing import Any

import pytest

from seamwork.agent import Agent as RunningAgent
from seamwork.authoring.own import _range
from seamwork.authoring.rehearsal import crossed, held_for
from seamwork.authoring.scenes import left_out, scenes_of
from seamwork.authoring.seams import Layout, lay_out
from seamwork.authoring.standin import same
from seamwork.contracts.acceptance import accepts_version
from seamwork.documents import AnyDocument, Flow
from seamwork.testing.builders import received
from seamwork.testing.documents import document

ASKED = {"name": "asked", "payload": {"urgent": 1}}
TRULY = {"name": "truly", "payload": {"urgent": True}}
SOON = {"name": "soon", "payload": {}, "now": "2026-03-01T09:00:00Z"}
DONE = {"name": "done", "on": "success", "request": {"urgent": 1}, "payload": {}}


def laid_out(*edges: Mapping[str, Any]) -> Layout:
    """Lay out a flow under one contract, with an agent for each name."""
    flow = document("Flow", "f", edges=[{"contract": "c", "versions": ">=1 <2", **edge} for edge in edges])
    assert isinstance(flow, Flow)
    contract = document("Contract", "c", examples=[ASKED, TRULY, SOON, DONE])
    takes = [{"contract": "c", "versions": ">=1 <2"}]
    agents: list[AnyDocument] = [
        document("Agent", name, accepts=takes, offers=["sorting"] if name == "d" else [])
        for name in ("a", "b", "c", "d", "e")
    ]
    return lay_out(flow, [flow, contract, *agents])


def dispatched(to: str, crossing: str = "h-1", source: str = "a") -> Any:
    """Write that the router sent work of *source* to somebody."""
    return received(
        "dispatched", crossing=crossing, dispatch=f"w-{crossing}", receiver=f"{to}@1.0.0", source=f"{source}@1.0.0",
        contract="c@1.0.0",
    ).record  # fmt: skip


def held(crossing: str, role: str) -> Any:
    """Write that the router put a crossing before people."""
    return received("held", crossing=crossing, approvers=[{"roles": [role]}]).record


def test_a_seam_was_crossed_as_often_as_work_went_along_it() -> None:
    """And not as often as its sender used the contract: another receiver is another seam."""
    layout = laid_out(
        {"from": "operator", "to": "a"}, {"from": "a", "to": "b"}, {"from": "a", "to": "c"},
        {"from": "a", "capability": "sorting"},
    )  # fmt: skip
    decided = [dispatched("b"), dispatched("b", "h-2"), dispatched("d", "h-3")]
    offers = {"d": ("sorting",)}

    assert [0, 2, 0, 1] == [
        crossed(seam, decided, lambda name: offers.get(name, ())) for seam in layout.seams
    ]


@pytest.mark.parametrize(("taken", "receiver"), [("c", "a"), ("other", "b"), (">=2 <3", "b")])
def test_of_those_that_offer_a_capability_one_receives_that_takes_the_contract(
    taken: str, receiver: str
) -> None:
    """As on a platform: who offers it under another contract, or another version, is not asked."""
    versions = {} if taken.isalpha() else {"versions": taken}
    name = taken if taken.isalpha() else "c"
    flow = document(
        "Flow", "f", edges=[{"from": "operator", "capability": "sorting", "contract": "c", "versions": "*"}]
    )
    assert isinstance(flow, Flow)
    first = document(
        "Agent", "a", accepts=[{"contract": name, "versions": ">=1 <2", **versions}], offers=["sorting"]
    )
    second = document("Agent", "b", accepts=[{"contract": "c", "versions": ">=1 <2"}], offers=["sorting"])
    layout = lay_out(flow, [flow, document("Contract", "c"), first, second])

    assert [receiver] == [seam.receiver for seam in layout.seams]


def test_a_stand_in_takes_every_version_that_an_edge_leads_to_it() -> None:
    """Two edges may want two majors of one contract of the same agent."""
    edges = [
        {"from": "operator", "to": "z", "contract": "c", "versions": versions}
        for versions in (">=1 <2", ">=2 <3")
    ]
    flow = document("Flow", "f", edges=edges)
    assert isinstance(flow, Flow)
    layout = lay_out(flow, [flow, document("Contract", "c"), document("Contract", "c", "2.0.0")])

    assert [True, True] == [
        accepts_version(layout.parts["z"].document, "c", seam.contract.version) for seam in layout.seams
    ]


def test_whoever_was_asked_on_the_way_was_not_asked_at_the_seam() -> None:
    """An answer that was held at the seam was."""
    layout = laid_out({"from": "operator", "to": "a"}, {"from": "a", "to": "b"})
    (scene,) = (one for one in scenes_of(layout) if one.way == (0, 1) and one.example == "truly")
    answer = received("accepted", crossing="r-2", dispatch="w-h-2", answers="h-2").record
    way = [held("h-1", "first"), dispatched("a")]
    decided = [*way, held("h-2", "second"), dispatched("b", "h-2"), held("r-2", "third"), answer]

    assert ("second", "third") == held_for(scene, "h-2", decided)


def test_what_is_not_played_is_named() -> None:
    """An example that leans on its record is about more than a stand-in can make."""
    assert ("c 1.0.0: soon",) == left_out(laid_out({"from": "operator", "to": "a"}))


def test_an_example_is_played_though_python_takes_it_for_another() -> None:
    """True and 1 are two payloads."""
    played = [one.example for one in scenes_of(laid_out({"from": "operator", "to": "a"}))]

    assert {"truly", "done"} <= set(played)


@pytest.mark.parametrize(
    ("one", "other", "are"), [(1, True, False), ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True)]
)
def test_payloads_are_the_same_as_json(one: Any, other: Any, *, are: bool) -> None:
    """In whatever order their fields stand."""
    assert are is same(one, other)


def test_an_agent_takes_its_lowest_version_on() -> None:
    """As versions are ordered, and not as texts are."""
    agent = RunningAgent("b", "1.0.0")
    for version in ("10.0.0", "9.0.0"):
        agent.accepts("c", version)(_nothing)

    assert ">=9.0.0" == _range(agent, "c")


async def _nothing(payload: bytes) -> bytes:
    return payload
