"""
Ask the flows who may hand work to whom under which contract.

An edge in no flow in force is refused, and without any flow in force every handoff is: a line of work that nobody
drew is nobody's. Results need no edge; they go back along the one that the work came by.
"""

from collections.abc import Sequence

import msgspec

from seamwork.catalog import Catalog
from seamwork.documents import lies_in
from seamwork.documents.flow import Edge
from seamwork.records.crossing import Handoff
from seamwork.records.parties import AgentRef, DocumentRef


class Drawn(msgspec.Struct, frozen=True):
    """The candidates that an edge leads to, and the flows in which it stands."""

    candidates: tuple[AgentRef, ...]
    consulted: tuple[DocumentRef, ...]


def drawn(
    catalog: Catalog,
    handoff: Handoff,
    sender: AgentRef,
    candidates: Sequence[AgentRef],
    at: int,
) -> Drawn:
    """
    Return which candidates an edge leads *sender* to, whose seam the handoff crosses.

    A fallback stands in for somebody: the contract names it, so it needs no edge of its own where one leads to any
    of those whom the handoff is meant for.
    """
    edges = [
        (flow, edge)
        for flow, edge in catalog.edges(sender.agent, handoff.contract.name, at)
        if lies_in(handoff.contract.version, edge.versions)  # the validator names one that cannot be read
    ]
    primary = set(catalog.primary(handoff, at))
    led: set[AgentRef] = set()
    consulted: dict[DocumentRef, None] = {}
    for flow, edge in edges:
        reached = {ref for ref in candidates if _leads(catalog, edge, handoff, ref)}
        if reached:
            led |= reached
            consulted[catalog.reference(flow)] = None
    if led & primary:
        led |= {ref for ref in candidates if ref not in primary}
    return Drawn(tuple(ref for ref in candidates if ref in led), tuple(consulted))


def _leads(catalog: Catalog, edge: Edge, handoff: Handoff, candidate: AgentRef) -> bool:
    if edge.to is not None:
        return edge.to == candidate.agent
    if edge.capability == handoff.target.capability:
        return True
    agent = catalog.agent(candidate)
    return agent is not None and edge.capability in agent.spec.offers
