"""
Check that a flow fits together.

Each edge has both its ends, what is sent along it is accepted, somebody decided what follows a failure, and no work
can go round for ever.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from seamwork.contracts.acceptance import accepts_version, may_consume, may_produce
from seamwork.contracts.codes import found
from seamwork.contracts.compare import NOTHING, covers
from seamwork.contracts.compiled import promises
from seamwork.contracts.dropped import drops_too_much
from seamwork.contracts.examples import crossing
from seamwork.contracts.shelf import Shelf
from seamwork.contracts.stripped import admitted
from seamwork.documents.agent import Agent
from seamwork.documents.canonical import canonical_json
from seamwork.documents.contract import Contract
from seamwork.documents.flow import Edge, Flow, Passed
from seamwork.documents.problems import Problem, did_you_mean
from seamwork.documents.shape import Outcome

_SHOWN = 300
_MADE_BY_EVERY_PLATFORM = "operator"


def flow_problems(flow: Flow, shelf: Shelf) -> Iterator[Problem]:
    """Yield what does not fit in *flow*, as far as its contracts and agents are on the *shelf*."""
    for index, edge in enumerate(flow.spec.edges):
        seam = _Seam(flow, index, edge, shelf)
        yield from seam.ends()
        yield from seam.sides()
        yield from seam.care()
        yield from seam.fit()
    if flow.spec.mode != "enforce":
        message = f"the flow is in {flow.spec.mode!r}: nothing along it is refused by contract or policy"
        yield found(flow, ("spec", "mode"), "flow-not-enforced", message)
    yield from _cycles(flow, shelf)
    yield from _reasons(flow, shelf)


def is_whole(flow: Flow, shelf: Shelf) -> bool:
    """Say whether all contracts of *flow* are there, so that nothing about it was left unasked."""
    return all(shelf.contracts(edge.contract) for edge in flow.spec.edges)


class _Seam:
    """One edge, with what the shelf has for its two ends."""

    def __init__(self, flow: Flow, index: int, edge: Edge, shelf: Shelf) -> None:
        self._flow = flow
        self._edge = edge
        self._shelf = shelf
        self._path = ("spec", "edges", index)
        self._contracts = shelf.contracts(edge.contract, edge.versions)
        self._receivers = _receivers(edge, shelf)

    def _found(self, code: str, message: str, *at: str | int, mend: str | None = None) -> Problem:
        return found(self._flow, (*self._path, *at), code, message, mend)

    def ends(self) -> Iterator[Problem]:
        """See that both agents and the contract are there."""
        edge, shelf = self._edge, self._shelf
        if shelf.has(Contract) and not self._contracts:
            if not shelf.contracts(edge.contract):
                mend = did_you_mean(edge.contract, shelf.names(Contract)) or None
                message = f"there is no contract {edge.contract!r}"
                yield self._found("unknown-contract", message, "contract", mend=mend)
            else:
                message = f"no version of {edge.contract} lies in {edge.versions}"
                yield self._found("no-such-version", message, "versions")
        if not shelf.has(Agent):
            return
        for field, name in (("from", edge.source), ("to", edge.to)):
            if name is not None and name != _MADE_BY_EVERY_PLATFORM and not shelf.agents(name):
                mend = did_you_mean(name, shelf.names(Agent)) or None
                yield self._found("unknown-agent", f"there is no agent {name!r}", field, mend=mend)
        if edge.capability is not None and not self._receivers:
            mend = did_you_mean(edge.capability, shelf.capabilities()) or None
            message = f"no agent offers {edge.capability!r}"
            yield self._found("unknown-capability", message, "capability", mend=mend)

    def sides(self) -> Iterator[Problem]:
        """See that the contract lets the one send and the other take, in each version."""
        edge = self._edge
        senders = self._shelf.agents(edge.source)
        sendable = [
            c
            for c in self._contracts
            if not senders or any(may_produce(c, a.name, a.version) for a in senders)
        ]
        if self._contracts and not sendable:
            message = f"{edge.contract} does not list {edge.source} among its producers"
            yield self._found("edge-not-a-producer", message, "from")
        if not self._receivers:
            return
        if sendable and not any(_takes(agent, c) for c in sendable for agent in self._receivers):
            who = edge.to or edge.capability
            message = f"nobody at {who} accepts {edge.contract} in a version of this edge and is its consumer"
            yield self._found("edge-not-a-consumer", message, "to" if edge.to else "capability")
            return
        for contract in sendable:
            if not any(_takes(agent, contract) for agent in self._receivers):
                message = f"{contract.name} {contract.version} may be sent, and no receiver accepts it"
                yield self._found("edge-version-unaccepted", message, "versions")

    def care(self) -> Iterator[Problem]:
        """See that somebody decided how long it may take, what follows a failure, and who is asked."""
        for contract in self._contracts[-1:]:
            spec = contract.spec
            title = f"{contract.name} {contract.version}"
            if "time_seconds" not in spec.limits.model_fields_set:
                yield self._found("edge-without-deadline", f"{title} sets no time limit")
            unsaid = [
                name
                for name, field in (
                    ("onViolation", "on_violation"),
                    ("onTimeout", "on_timeout"),
                    ("onError", "on_error"),
                )
                if field not in spec.model_fields_set
            ]
            if unsaid:
                message = f"{title} does not say {', '.join(unsaid)}"
                yield self._found("edge-without-failure-handling", message)
            if not spec.fallbacks:
                yield self._found("edge-without-fallback", f"{title} names nobody to fall back on")
            if not spec.owners.escalation:
                yield self._found("edge-without-escalation", f"{title} names nobody to escalate to")
            teams = {agent.spec.team for agent in self._receivers if agent.spec.team is not None}
            if spec.owners.ownership == "downstream" and teams and spec.owners.team not in teams:
                message = (
                    f"{title} is owned by {spec.owners.team}, its receiver by {', '.join(sorted(teams))}"
                )
                yield self._found("edge-owner-differs", message)

    def fit(self) -> Iterator[Problem]:
        """See that what is handed on, and what comes back of work that was given away, is accepted."""
        for index, passed in enumerate(self._edge.passes_on):
            yield from self._passing(passed, "passesOn", index)
        for index, name in enumerate(self._edge.transfers):
            yield from self._transfer(name, "transfers", index)

    def _passing(self, passed: Passed, *at: str | int) -> Iterator[Problem]:
        sources = self._shelf.contracts(passed.contract, passed.versions)
        if not sources and self._shelf.has(Contract):
            known = self._shelf.contracts(passed.contract)
            code, rest = ("no-such-version", " in this range") if known else ("unknown-contract", "")
            yield self._found(code, f"there is no contract {passed.contract!r}{rest}", *at)
        for source in sources:
            outcomes = passed.outcomes or tuple(o for o in _outcomes(source) if o != "error")
            for outcome in outcomes:
                for target in self._contracts:
                    yield from self._contained(source, outcome, target, "input", *at)

    def _transfer(self, name: str, *at: str | int) -> Iterator[Problem]:
        owed = self._shelf.contracts(name)
        if not owed and self._shelf.has(Contract):
            yield self._found("unknown-contract", f"there is no contract {name!r}", *at)
        for target in owed:
            for source in self._contracts:
                for outcome in _outcomes(source):
                    yield from self._contained(source, outcome, target, outcome, *at)

    def _contained(
        self, source: Contract, outcome: Outcome, target: Contract, on: str, *at: str | int
    ) -> Iterator[Problem]:
        what = f"what {source.name} {source.version} sends as {outcome!r}"
        where = f"{on!r} of {target.name} {target.version}"
        writer, reader = promises(source).get(outcome), promises(target).get(on)
        if writer is None or reader is None:
            lacking = source if writer is None else target
            message = f"{lacking.name} {lacking.version} has no outcome {outcome!r}"
            yield self._found("edge-does-not-fit", message, *at)
            return
        examples = [e.payload for e in source.spec.examples if e.on == outcome and not e.violates]
        # What the target strips is no reason to refuse; where no schema can say that, its own is the strictest.
        takes = admitted(reader.json_schema, target.spec.undeclared) or reader.json_schema
        coverage = covers(takes, writer.json_schema, examples, crossing(source, outcome))
        if coverage.answer == "no":
            message = f"{what} may be refused as {where}{_shown(coverage.refused)}"
            yield self._found("edge-does-not-fit", message, *at)
        elif coverage.answer == "unknown" or (
            target.spec.undeclared == "strip" and drops_too_much(writer.json_schema, reader.json_schema)
        ):
            message = f"that {what} is always accepted as {where} cannot be proved"
            yield self._found("edge-does-not-fit", message, *at)


def _shown(refused: Any) -> str:
    if refused is NOTHING:
        return ""
    text = canonical_json(refused).decode()
    return f", for example {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}"


def _receivers(edge: Edge, shelf: Shelf) -> tuple[Agent, ...]:
    if edge.to is not None:
        return shelf.agents(edge.to)
    return shelf.offering(edge.capability or "")


def _takes(agent: Agent, contract: Contract) -> bool:
    return accepts_version(agent, contract.name, contract.version) and may_consume(
        contract, agent.name, agent.version
    )


def _outcomes(contract: Contract) -> tuple[Outcome, ...]:
    every: tuple[Outcome, ...] = ("success", "partial", "error")
    return tuple(outcome for outcome in every if contract.spec.outputs.promise(outcome) is not None)


End = tuple[Literal["agent", "capability"], str]


def _ends_at(edge: Edge, shelf: Shelf) -> list[End]:
    if edge.to is not None:
        return [("agent", edge.to)]
    receivers, contracts = _receivers(edge, shelf), shelf.contracts(edge.contract, edge.versions)
    # Who offers it under another contract is never picked here.
    takers = [agent for agent in receivers if any(_takes(agent, contract) for contract in contracts)]
    names = sorted({agent.name for agent in takers or receivers})
    return [("agent", name) for name in names] or [("capability", edge.capability or "")]


def _cycles(flow: Flow, shelf: Shelf) -> Iterator[Problem]:
    """Yield the edges that close a cycle on which no edge says how often it may be taken."""
    free: dict[End, set[End]] = {}
    edges: list[tuple[int, End, End]] = []
    for index, edge in enumerate(flow.spec.edges):
        if edge.at_most is not None:
            continue  # a cycle that passes here has its bound
        for end in _ends_at(edge, shelf):
            free.setdefault(("agent", edge.source), set()).add(end)
            edges.append((index, ("agent", edge.source), end))
    told: set[int] = set()
    for index, start, end in edges:
        if index not in told and start in _reached(free, end):
            told.add(index)
            message = f"work can come back from {end[1]} to {start[1]}, and nothing says how often"
            yield found(flow, ("spec", "edges", index), "cycle-without-bound", message)


def _reached(ways: dict[End, set[End]], start: End) -> set[End]:
    seen = {start}
    stack = [start]
    while stack:
        further = ways.get(stack.pop(), set()) - seen
        seen |= further
        stack.extend(further)
    return seen


def _reasons(flow: Flow, shelf: Shelf) -> Iterator[Problem]:
    """Yield the first edge to each agent after the flow's first that no edge gives a reason for."""
    first: End = ("agent", flow.spec.edges[0].source)
    to: dict[End, list[tuple[int, Edge]]] = {}
    for index, edge in enumerate(flow.spec.edges):
        for end in _ends_at(edge, shelf):
            to.setdefault(end, []).append((index, edge))
    for end, leading in to.items():
        if end != first and not _given(leading):
            message = f"no edge to {end[1]} says what kind of reason there is for it"
            yield found(flow, ("spec", "edges", leading[0][0]), "agent-without-reason", message)


def _given(leading: Sequence[tuple[int, Edge]]) -> bool:
    return any(edge.because is not None for _, edge in leading)
