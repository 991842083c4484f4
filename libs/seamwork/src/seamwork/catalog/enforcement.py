"""
Say how binding refusals are along the seam that a crossing takes: what the flows in force say, the strictest first.

Rule 1: a seam of which any flow in force says ``enforce`` is enforced, whatever other flows say of it.
Rule 2: a seam that no flow in force draws is enforced: it is nobody's to be lenient about.
Rule 3: edges are compared by their ends and their contract's name. A version that an enforced edge does not take
is no way around that edge.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from seamwork.catalog.catalog import Aimed, Catalog
from seamwork.documents.flow import Edge
from seamwork.records.enforcement import Enforcement, strictest
from seamwork.records.parties import AgentRef, DocumentRef


@dataclass(frozen=True, slots=True)
class Standing:
    """How a seam stands, and the flows in force that draw it."""

    mode: Enforcement = "enforce"
    flows: tuple[DocumentRef, ...] = ()


ENFORCED = Standing()


def standing_of_handoff(catalog: Catalog, handoff: Aimed, sender: AgentRef, at: int) -> Standing:
    """
    Return how the seam stands that a handoff takes from *sender* to whoever may get it.

    Args:
        catalog: The documents.
        handoff: Whom it is for, under which contract.
        sender: Whose seam it crosses.
        at: The instant (ms) at which flows must be in force.
    """
    if not catalog.has_lenient_flows(at):
        return ENFORCED
    drawn = catalog.edges(sender.agent, handoff.contract.name, at)
    if not drawn:
        return ENFORCED  # before anybody is looked for who may get it
    receivers = catalog.candidates(handoff, at)
    found = {flow.name: flow for flow, edge in drawn if _leads(catalog, edge, receivers)}.values()
    return Standing(strictest(*(flow.spec.mode for flow in found)), tuple(map(catalog.reference, found)))


def standing_of_plan(catalog: Catalog, source: AgentRef, subtasks: Sequence[Aimed], at: int) -> Standing:
    """Return how a plan stands: as the strictest of the seams that its subtasks would take."""
    if not catalog.has_lenient_flows(at):
        return ENFORCED
    ways = [standing_of_handoff(catalog, subtask, source, at) for subtask in subtasks]
    flows = dict.fromkeys(flow for way in ways for flow in way.flows)
    return Standing(strictest(*(way.mode for way in ways)), tuple(flows))


def _leads(catalog: Catalog, edge: Edge, receivers: Sequence[AgentRef]) -> bool:
    return any(edge.to == ref.agent or _offers(catalog, ref, edge.capability) for ref in receivers)


def _offers(catalog: Catalog, ref: AgentRef, capability: str | None) -> bool:
    agent = catalog.agent(ref)
    return capability is not None and agent is not None and capability in agent.spec.offers
