"""
Propose contracts for a flow from what crossed along it: schemas that admit all of it, and owners still to be named.

Pure. Only what was dispatched and what was accepted counts, so nobody can write himself into a contract; of what
crossed no payload stands in a proposal, only the values of fields that take very few.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from seamwork.authoring.draft import draft, side_of_traffic
from seamwork.catalog import Catalog
from seamwork.contracts.compiled import compile_contract
from seamwork.contracts.payload import PayloadError, read_payload
from seamwork.documents import Flow, parse_version
from seamwork.records.crossing import Handoff, Result
from seamwork.records.decision import Accepted, Dispatched
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import ContractRef, Position
from seamwork.records.wire import Received

_MOST_SAMPLES = 2_000
"""So many payloads of one side are looked at, the latest ones."""


@dataclass(frozen=True)
class Proposal:
    """A contract that is proposed: its text, and how many handoffs and answers it was made from."""

    contract: str
    version: str
    handoffs: int
    answers: Mapping[str, int]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    yaml: str


@dataclass
class _Seen:
    """What crossed under one contract, whatever its version."""

    versions: set[str] = field(default_factory=set)
    asked: list[Any] = field(default_factory=list)
    answered: dict[str, list[Any]] = field(default_factory=dict)
    producers: set[str] = field(default_factory=set)
    consumers: set[str] = field(default_factory=set)


def proposals(
    flow: Flow, records: Iterable[Received[AnyEnvelope]], catalog: Catalog, now: int, *, every: bool = False
) -> tuple[Proposal, ...]:
    """
    Return a contract for each that the flow names and that is not in force yet.

    Args:
        flow: Whose edges are looked at.
        records: What lies in ``handoffs`` and ``decisions``.
        catalog: Says which contracts are in force.
        now: The instant (ms) at which they are.
        every: Propose contracts that are in force, too.
    """
    return tuple(
        _proposed(name, seen)
        for name, seen in sorted(_crossed(flow, _in_order(records), catalog).items())
        if seen.asked and (every or not _in_force(name, catalog, now))
    )


def _in_order(records: Iterable[Received[AnyEnvelope]]) -> list[Received[AnyEnvelope]]:
    """Return *records* as they were written; they are read partition by partition."""
    return sorted(records, key=lambda one: one.raw.appended_at)


def _in_force(name: str, catalog: Catalog, now: int) -> bool:
    refs = (ContractRef(name=name, version=version) for version in catalog.contract_versions(name))
    return any(catalog.contract_status(ref, now) in {"active", "deprecated"} for ref in refs)


def _crossed(flow: Flow, records: list[Received[AnyEnvelope]], catalog: Catalog) -> dict[str, _Seen]:
    sent = {one.position: one for one in records if isinstance(one.record, Handoff | Result)}
    found: dict[str, _Seen] = {}
    dispatches: dict[str, _Seen] = {}
    counted: set[Position] = set()
    for said in [one.record for one in records if isinstance(one.record, Dispatched)]:
        at = None if said.subject is None else said.subject.position
        if at is None or said.drill or not _drawn(flow, said, catalog):
            continue
        seen = dispatches[said.dispatch] = found.setdefault(said.contract.name, _Seen())
        if at in sent and at not in counted:
            counted.add(at)
            seen.versions.add(said.contract.version)
            seen.producers.add(said.source.agent)
            seen.consumers.add(said.receiver.agent)
            seen.asked += _value(sent[at], said.contract, "input", catalog)
    for answer in [one.record for one in records if isinstance(one.record, Accepted)]:
        at = None if answer.subject is None else answer.subject.position
        if answer.dispatch in dispatches and at in sent and isinstance(result := sent[at].record, Result):
            answers = dispatches[answer.dispatch].answered.setdefault(result.outcome, [])
            answers += _value(sent[at], result.contract, result.outcome, catalog)
    return found


def _drawn(flow: Flow, said: Dispatched, catalog: Catalog) -> bool:
    agent = catalog.agent(said.receiver)
    offers = agent.spec.offers if agent is not None else ()
    return any(
        (edge.source, edge.contract) == (said.source.agent, said.contract.name)
        and (edge.to == said.receiver.agent or edge.capability in offers)
        for edge in flow.spec.edges
    )


def _value(received: Received[AnyEnvelope], ref: ContractRef, on: str, catalog: Catalog) -> Iterator[Any]:
    """Yield the payload without what a known contract marks in it; what is no JSON was never dispatched."""
    contract = catalog.contract(ref)
    try:
        if contract is None:
            yield read_payload(received.payload, len(received.payload))
        else:
            yield compile_contract(contract).masked(received.payload, on)
    except (ValueError, PayloadError):
        return


def _proposed(name: str, seen: _Seen) -> Proposal:
    version = max(seen.versions, key=parse_version)
    sides = {on: side_of_traffic(values[-_MOST_SAMPLES:]) for on, values in seen.answered.items() if values}
    counts = {on: len(values) for on, values in sorted(seen.answered.items())}
    answers = ", ".join(_counted(count, on) for on, count in counts.items()) or "no answer"
    head = (
        f"# Proposed from what crossed: {_counted(len(seen.asked), 'handoffs')}, {answers}. "
        "The examples are made up.\n"
        "# What is listed, and how far numbers and texts go, is what was seen and no more: say what is meant.\n"
        "# Then say who answers for the seam, what may never cross although it is well-formed, and what follows.\n"
    )
    producers, consumers = tuple(sorted(seen.producers)), tuple(sorted(seen.consumers))
    text = draft(
        name,
        side_of_traffic(seen.asked[-_MOST_SAMPLES:]),
        sides.pop("success", None),
        version=version,
        others=sides,
        parties={"producers": producers, "consumers": consumers},
        head=head,
    )
    return Proposal(name, version, len(seen.asked), counts, producers, consumers, text)


def _counted(count: int, of: str) -> str:
    return f"{count} {of}" if count <= _MOST_SAMPLES else f"the latest {_MOST_SAMPLES} of {count} {of}"
