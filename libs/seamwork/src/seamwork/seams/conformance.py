"""Compare a flow's document with what ran: edges, versions, owners, exceptions, re-entries."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from seamwork.contracts.shelf import Shelf
from seamwork.documents.agent import Agent
from seamwork.documents.contract import Contract, Handling
from seamwork.documents.flow import Flow
from seamwork.documents.versions import lies_in
from seamwork.seams.measured import Measured, SeamMeasure
from seamwork.seams.seam import Seam, belongs, seams_of

DESK = "desk"
_FOLLOWS = {
    "retry": {"retry"},
    "fallback": {"reroute"},
    "degrade": {"degrade"},
    "escalate": {"escalate"},
    "fail": {"fail"},
    "correct": {"correct"},
}


@dataclass(frozen=True)
class Difference:
    """One way in which what ran is not what is written; a *note* is no contradiction."""

    code: str
    seam: str
    text: str
    severity: Literal["error", "note"] = "error"


def conformance(flow: Flow, shelf: Shelf, measured: Measured) -> tuple[Difference, ...]:
    """
    Return where *flow* and what was measured differ, contradictions first.

    Looked at is what crossed under the flow's contracts or between its agents; what people put back from the desk
    is work of theirs and no edge.
    """
    seams = seams_of(flow, shelf, measured)
    desks = {agent.name for agent in shelf.all(Agent) if agent.spec.desk} | {DESK}
    found = [*_edges(flow, shelf, seams, measured, desks)]
    for seam in seams:
        found += [*_versions(seam, desks), *_owners(seam), *_exceptions(seam), *_again(seam)]
        if not seam.total("handoffs"):
            found.append(Difference("edge-not-run", str(seam), "nothing came this way", "note"))
    return tuple(sorted(found, key=lambda one: one.severity != "error"))


def _edges(
    flow: Flow, shelf: Shelf, seams: tuple[Seam, ...], measured: Measured, desks: set[str]
) -> Iterator[Difference]:
    contracts = {edge.contract for edge in flow.spec.edges}
    agents = {seam.edge.source for seam in seams} | {agent.name for seam in seams for agent in seam.receivers}
    others = [f for f in shelf.all(Flow) if f.name != flow.name]
    for measure in measured.seams:
        if (
            not measure.handoffs
            or measure.source in desks
            or not (measure.contract in contracts or (measure.source in agents and measure.to in agents))
        ):
            continue
        if any(_is_of(measure, s.edge.source, s) for s in seams):
            continue
        elsewhere = [
            f.title for f in others if any(_is_of(measure, s.edge.source, s) for s in seams_of(f, shelf))
        ]
        if elsewhere:
            yield Difference(
                "edge-of-another-flow", written(measure), f"it belongs to {elsewhere[0]}", "note"
            )
            continue
        if measure.dispatched:
            text = f"{measure.dispatched} handoffs came this way, and no edge leads there"
            yield Difference("edge-not-written", written(measure), text)
        else:
            text = f"{measure.refused} handoffs were tried, and all refused"
            yield Difference("edge-refused", written(measure), text, "note")


def _is_of(measure: SeamMeasure, source: str, seam: Seam) -> bool:
    return source == measure.source and belongs(seam.edge, {a.name for a in seam.receivers}, measure)


def _versions(seam: Seam, desks: set[str]) -> Iterator[Difference]:
    for measure in seam.measures:
        if measure.dispatched and not lies_in(measure.version, seam.edge.versions):
            text = f"{measure.dispatched} crossed under {measure.version}, written is {seam.edge.versions}"
            yield Difference("version-not-written", str(seam), text)
        for receiver in measure.receivers:
            name = receiver.partition("@")[0]
            fallbacks = {p.agent for c in seam.contracts for p in c.spec.fallbacks}
            if seam.receivers and name not in {a.name for a in seam.receivers} | fallbacks | desks:
                text = f"{receiver} worked on it, and the documents do not lead there"
                yield Difference("receiver-not-written", str(seam), text)


def _owners(seam: Seam) -> Iterator[Difference]:
    contracts = {contract.version: contract for contract in seam.contracts}
    for measure in seam.measures:
        contract = contracts.get(measure.version)
        if contract is None:
            continue
        owners = contract.spec.owners
        handlings = (contract.spec.on_violation, contract.spec.on_timeout, contract.spec.on_error)
        known = {owners.team, owners.contact, *owners.escalation, *(h.to for h in handlings if h.to)}
        for asked in measure.escalated_to:
            if asked not in known:
                text = f"{asked} was asked, the owners are {', '.join((owners.team, *owners.escalation))}"
                yield Difference("owner-differs", str(seam), text)


def _exceptions(seam: Seam) -> Iterator[Difference]:
    contracts = {contract.version: contract for contract in seam.contracts}
    for measure in seam.measures:
        contract = contracts.get(measure.version)
        if contract is None:
            continue
        for followed in measure.followed:
            handling = _handling(contract, followed.why)
            if handling is None:
                continue
            allowed = _FOLLOWS[handling.action] | _FOLLOWS[handling.otherwise] | {"fail"}
            if followed.what not in allowed:
                text = (
                    f"{followed.times} times {followed.why} was followed by {followed.what}, written is "
                    f"{handling.action}, then {handling.otherwise}"
                )
                yield Difference("exception-differs", str(seam), text)


def _handling(contract: Contract, why: str) -> Handling | None:
    spec = contract.spec
    return {"violation": spec.on_violation, "timeout": spec.on_timeout, "error": spec.on_error}.get(why)


def _again(seam: Seam) -> Iterator[Difference]:
    bound = seam.edge.at_most
    most = max((measure.most_per_task for measure in seam.measures), default=0)
    if bound is not None and most > bound:
        yield Difference(
            "re-entry-past-bound", str(seam), f"one task came this way {most} times, {bound} are written"
        )
    again = seam.total("reentries")
    if again and bound is None:
        text = f"work came back {again} times to an agent that stood above it, and no bound is written"
        yield Difference("re-entry-not-written", str(seam), text)


def written(measure: SeamMeasure) -> str:
    """Write where something crossed, as seams are written."""
    target = measure.to or f"[{measure.capability}]"
    return f"{measure.source} → {target} under {measure.contract}"
