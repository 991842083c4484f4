"""What the flows in force say of a seam: how binding refusals are, how often it is crossed, whether work waits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.catalog import ENFORCED, Catalog, Standing, standing_of_handoff, standing_of_plan
from seamwork.catalog.entries import Activation, Mode, Status
from seamwork.documents import AnyDocument, Flow
from seamwork.records.crossing import Handoff
from seamwork.records.enforcement import LENIENCY, Enforcement
from seamwork.records.parties import AgentRef, ContractRef, DocumentRef, Target
from seamwork.testing.documents import document

AT = 10
ENDS = ("parser", "reader")
TAKES = [{"contract": name, "versions": ">=1 <3"} for name in ("facts", "notes")]
AGENTS = (
    document("Agent", "planner"),
    document("Agent", "parser", accepts=TAKES, offers=["parse"]),
    document("Agent", "reader", accepts=TAKES, offers=["read"]),
)
PLANNER, PARSER, READER = (AgentRef(agent=one.name, version="1.0.0") for one in AGENTS)
CONTRACTS = (document("Contract", "facts"), document("Contract", "notes"))


def edge(
    source: str = "planner", contract: str = "facts", versions: str = "*", **more: object
) -> dict[str, Any]:
    """Write an edge; without an end it leads to the parser."""
    return {
        "from": source,
        "contract": contract,
        "versions": versions,
        **(more if {"to", "capability"} & set(more) else {"to": "parser", **more}),
    }


def flow(name: str, *edges: dict[str, Any], mode: str = "enforce", version: str = "1.0.0") -> AnyDocument:
    """Write a flow."""
    return document("Flow", name, version, mode=mode, edges=list(edges))


def of(*flows: AnyDocument, **told: tuple[Status, Mode | None]) -> Catalog:
    """Make a catalog in which everything is active but what *told* says otherwise of, by its name."""
    documents = (*AGENTS, *CONTRACTS, *flows)
    activations: dict[tuple[str, str, str], tuple[Activation, ...]] = {
        (one.kind, one.name, one.version): (Activation(*told.get(one.name, ("active", None)), 0, order),)
        for order, one in enumerate(documents)
    }
    return Catalog.of(documents, activations)


def handoff(version: str = "1.0.0", contract: str = "facts", **target: str) -> Handoff:
    """Make a handoff of the planner."""
    return Handoff(
        id="h", task="t", source=PLANNER, intent="", intent_sha256="", payload_sha256="", payload_bytes=0,
        sent_at=0, expires_at=0, step="s", deadline_at=0, contract=ContractRef(name=contract, version=version),
        target=Target(**(target or {"agent": "parser"})),
    )  # fmt: skip


def named(*flows: AnyDocument) -> tuple[DocumentRef, ...]:
    """Name flows as a standing does."""
    return tuple(Catalog.of(flows).reference(one) for one in flows)


EDGES = st.builds(
    lambda source, contract, end, bound: edge(
        source, contract, **end, **({} if bound is None else {"atMost": bound})
    ),
    st.sampled_from(("planner", "parser")),
    st.sampled_from(("facts", "notes")),
    st.sampled_from([{"to": "parser"}, {"to": "reader"}, {"capability": "parse"}, {"capability": "read"}]),
    st.sampled_from((None, 2, 3)),
)
FLOWS = st.lists(
    st.tuples(
        st.lists(EDGES, min_size=1, max_size=4),
        st.sampled_from(tuple(LENIENCY)),
        st.sampled_from([("active", None), ("active", "paused"), ("deprecated", None), ("retired", None)]),
    ),
    max_size=4,
)


@given(FLOWS, st.sampled_from(("facts", "notes")), st.sampled_from(ENDS))
def test_a_seam_stands_as_its_edges_say_wherever_they_are_drawn(
    drawn: list[tuple[list[dict[str, Any]], Enforcement, tuple[Status, Mode | None]]], contract: str, end: str
) -> None:
    """As if every edge of every flow were looked at."""
    flows = [flow(f"f-{number}", *edges, mode=mode) for number, (edges, mode, _) in enumerate(drawn)]
    catalog = of(*flows, **{one.name: status for one, (_, _, status) in zip(flows, drawn, strict=True)})
    offered = {"parser": "parse", "reader": "read"}[end]
    alive = [
        (one, status) for one, (_, _, status) in zip(flows, drawn, strict=True) if status[0] != "retired"
    ]
    found = [
        (one, status, leads)
        for one, status in alive
        if isinstance(one, Flow)
        for leads in one.spec.edges
        if (leads.source, leads.contract) == ("planner", contract)
        and (leads.to == end or leads.capability == offered)
    ]
    seam = list({one.name: one for one, _, _ in found}.values())
    modes = [one.spec.mode for one in seam]
    lenient = any(one.spec.mode != "enforce" for one, _ in alive if isinstance(one, Flow))
    bounds = [leads.at_most for _, _, leads in found]
    paused = [one.name for one, status, _ in found if status[1] == "paused"]
    ref = ContractRef(name=contract, version="1.0.0")
    receiver = AgentRef(agent=end, version="1.0.0")

    assert standing_of_handoff(catalog, handoff(contract=contract, agent=end), PLANNER, AT) == (
        Standing(min(modes, key=LENIENCY.__getitem__, default="enforce"), named(*seam))
        if lenient
        else ENFORCED
    )
    assert catalog.at_most("planner", receiver, ref, AT) == (
        None if None in bounds else max((one for one in bounds if one is not None), default=None)
    )
    assert catalog.flow_paused("planner", (receiver,), ref, AT) == (
        paused[0] if found and len(paused) == len(found) else None
    )


def test_a_plan_stands_as_the_strictest_of_its_seams() -> None:
    """And names the flows of all of them."""
    seen, shadowed = flow("seen", edge(), mode="observe"), flow("shadowed", edge(to="reader"), mode="shadow")
    catalog = of(seen, shadowed)
    subtasks = [handoff(), handoff(agent="reader")]

    assert Standing("observe", named(seen)) == standing_of_plan(catalog, PLANNER, subtasks[:1], AT)
    assert Standing("shadow", named(seen, shadowed)) == standing_of_plan(catalog, PLANNER, subtasks, AT)


def test_where_all_flows_are_enforced_none_is_named() -> None:
    """Nobody need look at them."""
    catalog = of(flow("strict", edge()))

    assert not catalog.has_lenient_flows(AT)
    assert ENFORCED == standing_of_handoff(catalog, handoff(), PLANNER, AT)
    assert ENFORCED == standing_of_plan(catalog, PLANNER, [handoff()], AT)


@pytest.mark.parametrize(("version", "bound"), [("1.0.0", 2), ("2.0.0", None)])
def test_a_bound_is_of_the_versions_that_its_edge_takes(version: str, bound: int | None) -> None:
    """Another version goes another way."""
    catalog = of(flow("loop", edge(versions=">=1 <2", atMost=2)))

    assert bound == catalog.at_most("planner", PARSER, ContractRef(name="facts", version=version), AT)


def test_work_for_a_paused_agent_waits_and_for_no_other() -> None:
    """A pause is of the version that it was said of, for as long as that is in force."""
    catalog = of(parser=("active", "paused"), reader=("retired", "paused"))
    other = AgentRef(agent="parser", version="1.1.0")

    assert {("Agent", "parser", "1.0.0")} == {(one.kind, one.name, one.version) for one in catalog.paused(AT)}
    assert [True, False, False, False] == [
        catalog.agent_paused(one, AT) for one in (PARSER, PLANNER, READER, other)
    ]


def test_an_agent_that_is_paused_pauses_no_flow_of_its_name() -> None:
    """Kinds have names of their own, and a flow is often called as the agent at its end."""
    parser = flow("parser", edge())
    paused, active = (Activation("active", "paused", 0),), (Activation("active", None, 0),)
    told = {("Agent", "parser", "1.0.0"): paused, ("Agent", "planner", "1.0.0"): active}
    catalog = Catalog.of((*AGENTS, *CONTRACTS, parser), told)

    assert catalog.agent_paused(PARSER, AT)
    assert None is catalog.flow_paused("planner", (PARSER,), ContractRef(name="facts", version="1.0.0"), AT)


def test_a_flow_is_paused_in_the_version_in_force() -> None:
    """Which is the one that was activated last; that another version of it was paused says nothing."""
    old, new = flow("work", edge()), flow("work", edge(), version="1.1.0")
    paused, active = Activation("active", "paused", 0, 1), Activation("active", None, 5, 2)
    catalog = Catalog.of(
        (*AGENTS, *CONTRACTS, old, new),
        {("Flow", "work", "1.0.0"): (paused,), ("Flow", "work", "1.1.0"): (active,)},
    )
    ref = ContractRef(name="facts", version="1.0.0")

    assert ["work", None] == [catalog.flow_paused("planner", (PARSER,), ref, at) for at in (4, 5)]
