"""
Lay a flow out as its seams: who hands to whom under which contract, and by which way work gets there.

Pure: what cannot be laid out is a problem with its place in the flow's file, found before anything is started.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from seamwork.documents import (
    Agent,
    AnyDocument,
    Contract,
    Flow,
    Place,
    Problem,
    accepts,
    highest,
    parse_range,
    parse_version,
)
from seamwork.documents.contract import Party
from seamwork.documents.flow import Edge
from seamwork.documents.problems import DocumentError, did_you_mean, json_path
from seamwork.errors import UnprocessableError
from seamwork.platform.trust import OPERATOR
from seamwork.records.parties import ContractRef

D = TypeVar("D", Agent, Flow)

_FIRST = "1.0.0"
_DEEPEST = 32
_NAME_CHARS = 41


@dataclass(frozen=True)
class Seam:
    """
    One edge of a flow.

    Attributes:
        number: Its place among the flow's edges.
        contract: The highest version that both sides take.
        receiver: Who is given the work; for a capability one of those that offer it.
        path: The numbers of the seams by which work gets to its source, from whoever begins; null where it has to
            pass an agent that decides for itself what it hands on.
        closes_a_cycle: Its receiver stands above its source on every way there is.
    """

    number: int
    edge: Edge
    contract: Contract
    receiver: str
    path: tuple[int, ...] | None
    closes_a_cycle: bool = False

    @property
    def source(self) -> str:
        """Who hands over."""
        return self.edge.source

    def __str__(self) -> str:
        """Write it as people do."""
        return f"{self.source} → {self.edge.to or f'[{self.edge.capability}]'}"


@dataclass(frozen=True)
class Part:
    """
    One agent of the flow.

    Attributes:
        document: What the platform is told of it: as it was given, else made from the flow.
        given: Whether it was given.
        begins: Whether it begins tasks, because nobody hands it work.
    """

    document: Agent
    given: bool
    begins: bool


@dataclass(frozen=True)
class Layout:
    """A flow, laid out."""

    flow: Flow
    seams: tuple[Seam, ...]
    parts: Mapping[str, Part]

    @property
    def contracts(self) -> dict[ContractRef, Contract]:
        """The contracts of its seams, each in the one version that is used."""
        return {ContractRef(name=s.contract.name, version=s.contract.version): s.contract for s in self.seams}


def one_flow(documents: Iterable[AnyDocument], wanted: str | None = None) -> Flow:
    """
    Return the flow called *wanted*, or the only one there is.

    Raises:
        DocumentError: There is none, or there are several and none was named.
    """
    flows = _latest(one for one in documents if isinstance(one, Flow))
    if wanted is not None and wanted in flows:
        return flows[wanted]
    if wanted is None and len(flows) == 1:
        return next(iter(flows.values()))
    known = ", ".join(sorted(flows)) or "none"
    message = f"there is no flow {wanted!r}" if wanted else "it is not clear which flow is meant"
    mend = (did_you_mean(wanted, flows) if wanted else "") or f"there are: {known}"
    raise DocumentError([Problem(Place("the documents"), "$", "no-such-flow", message, mend)])


def lay_out(flow: Flow, documents: Iterable[AnyDocument], own: Iterable[str] = ()) -> Layout:
    """
    Lay *flow* out with the contracts and agents among *documents*.

    Args:
        flow: The flow.
        documents: Contracts, and the agents that have a document already.
        own: Agents that decide for themselves what they hand on, so that no way is laid through them.

    Raises:
        DocumentError: With everything that keeps the flow from being laid out.
    """
    everything = tuple(documents)
    agents = _latest(one for one in everything if isinstance(one, Agent))
    contracts = [one for one in everything if isinstance(one, Contract)]
    problems: list[Problem] = []
    found: list[tuple[Edge, Contract, str]] = []
    for index, edge in enumerate(flow.spec.edges):
        try:
            found.append((edge, *_agreed(edge, contracts, agents)))
        except UnprocessableError as error:
            problems.append(_at(flow, index, "contract", "no-such-contract", str(error)))
    beginners = _beginners(flow, {r for _, _, r in found}, agents)
    for name in beginners:
        if name in agents and not agents[name].spec.initiator:
            index = next(i for i, edge in enumerate(flow.spec.edges) if edge.source == name)
            message = f"nobody hands {name} work, and its document does not let it begin any"
            problems.append(_at(flow, index, "from", "not-an-initiator", message, "say initiator: true"))
    if not beginners and not problems:
        message = "nobody begins: every agent of this flow is handed work by another one"
        mend = f"let an edge come from {OPERATOR}, or mark the agent that begins as initiator"
        problems.append(_at(flow, 0, "from", "nobody-begins", message, mend))
    if problems:
        raise DocumentError(problems)
    seams = tuple(_seam(number, found, beginners, set(own)) for number in range(len(found)))
    for seam in seams:
        if not _ways(found, beginners, seam.source, without=None, own=set()):
            message = f"no way leads from {' or '.join(beginners)} to {seam.source}, so nothing crosses here"
            problems.append(_at(flow, seam.number, "from", "unreachable-edge", message))
    if problems:
        raise DocumentError(problems)
    return Layout(flow, seams, _parts(seams, beginners, agents))


def _at(flow: Flow, index: int, field: str, code: str, message: str, mend: str = "") -> Problem:
    path = ("spec", "edges", index, field)
    return Problem(flow.place(*path), json_path(path), code, message, mend)


def _latest(documents: Iterable[D]) -> dict[str, D]:
    found: dict[str, D] = {}
    for document in documents:
        known = found.get(document.name)
        if known is None or parse_version(known.version) < parse_version(document.version):
            found[document.name] = document
    return found


def _agreed(edge: Edge, contracts: Sequence[Contract], agents: Mapping[str, Agent]) -> tuple[Contract, str]:
    """Return the contract's version and who receives: of those that offer a capability the first that takes it."""
    *others, last = [edge.to] if edge.to is not None else _offering(edge.capability or "", agents)
    for receiver in others:
        try:
            return _contract(edge, contracts, agents.get(receiver)), receiver
        except UnprocessableError:
            continue  # as on a platform, which looks for somebody who takes it
    return _contract(edge, contracts, agents.get(last)), last


def _offering(capability: str, agents: Mapping[str, Agent]) -> list[str]:
    found = [name for name, agent in sorted(agents.items()) if capability in agent.spec.offers]
    return found or [f"standin-{capability}"[:_NAME_CHARS].rstrip("-")]


def _contract(edge: Edge, contracts: Sequence[Contract], receiver: Agent | None) -> Contract:
    named = {one.version: one for one in contracts if one.name == edge.contract}
    if not named:
        known = {one.name for one in contracts}
        mend = did_you_mean(edge.contract, known) or f"there are: {', '.join(sorted(known)) or 'none'}"
        raise UnprocessableError(f"the contract {edge.contract} is not there; {mend}")
    wanted = [edge.versions]
    if receiver is not None:
        accepted = receiver.accepted_range(edge.contract)
        if accepted is None:
            raise UnprocessableError(f"{receiver.name} {receiver.version} does not accept {edge.contract}")
        wanted.append(accepted)
    version = highest(named, *wanted)
    if version is None:
        raise UnprocessableError(
            f"no version of {edge.contract} is in {' and in '.join(wanted)}; there are {', '.join(named)}"
        )
    return named[version]


def _beginners(flow: Flow, handed: set[str], agents: Mapping[str, Agent]) -> tuple[str, ...]:
    def begins(name: str) -> bool:
        initiates = name in agents and agents[name].spec.initiator
        return name not in handed or initiates or name == OPERATOR

    return tuple(dict.fromkeys(edge.source for edge in flow.spec.edges if begins(edge.source)))


_Found = Sequence[tuple[Edge, Contract, str]]


def _seam(number: int, found: _Found, beginners: Sequence[str], own: set[str]) -> Seam:
    edge, contract, receiver = found[number]
    if edge.source in own:
        return Seam(number, edge, contract, receiver, None)
    open_way = _ways(found, beginners, edge.source, without=receiver, own=own)
    if open_way:
        return Seam(number, edge, contract, receiver, open_way[0])
    any_way = _ways(found, beginners, edge.source, without=None, own=own)
    closes = not _ways(found, beginners, edge.source, without=receiver, own=set())
    return Seam(number, edge, contract, receiver, any_way[0] if any_way and closes else None, closes)


def _ways(
    found: _Found, beginners: Sequence[str], to: str, *, without: str | None, own: set[str]
) -> list[tuple[int, ...]]:
    """Return a shortest way from whoever begins to the agent *to*, or nothing: one that passes nobody twice."""
    queue: deque[tuple[str, tuple[int, ...]]] = deque((name, ()) for name in beginners if name != without)
    seen = {name for name, _ in queue}
    while queue:
        name, way = queue.popleft()
        if name == to:
            return [way]
        if name in own:
            continue
        for number, (edge, _, receiver) in enumerate(found):
            if edge.source == name and receiver not in seen and receiver != without:
                seen.add(receiver)
                queue.append((receiver, (*way, number)))
    return []


# ── Who plays ────────────────────────────────────────────────────────────────────────────


def _parts(seams: Sequence[Seam], beginners: Sequence[str], agents: Mapping[str, Agent]) -> dict[str, Part]:
    fallbacks = [party.agent for seam in seams for party in seam.contract.spec.fallbacks]
    names = dict.fromkeys((*(n for s in seams for n in (s.source, s.receiver)), *fallbacks))
    parts = {}
    for name in names:
        given = agents.get(name)
        begins = name in beginners
        parts[name] = Part(given or _stand_in(name, seams, begins=begins), given is not None, begins)
    return parts


def _stand_in(name: str, seams: Sequence[Seam], *, begins: bool) -> Agent:
    into = [seam for seam in seams if seam.receiver == name]
    falls = [s for s in seams if name in {party.agent for party in s.contract.spec.fallbacks}]
    ranges: dict[str, set[str]] = {}
    for seam in (*falls, *into):
        ranges.setdefault(seam.contract.name, set()).add(seam.edge.versions)
    # An agent has one range for each contract: edges that want different ones want a stand-in that takes them all.
    accepted = {contract: wanted.pop() if len(wanted) == 1 else "*" for contract, wanted in ranges.items()}
    spec: dict[str, Any] = {
        "purpose": "Stands in for an agent that is not there yet, in a rehearsal.",
        "accepts": tuple({"contract": contract, "versions": v} for contract, v in accepted.items()),
        "offers": tuple(dict.fromkeys(s.edge.capability for s in into if s.edge.capability)),
        "initiator": begins,
        "authority": {"depth": _DEEPEST},
        "keys": ({"kid": "not-made-yet", "public": "A" * 43 + "="},),
    }
    metadata = {"name": name, "version": _version(name, seams)}
    return Agent.model_validate({"metadata": metadata, "spec": spec})


def _version(name: str, seams: Sequence[Seam]) -> str:
    """Choose a version that the contracts want of this agent; the first one where they agree on none."""
    wanted = [party.versions for party in _parties(name, seams)]
    named = [c.version for r in wanted for c in parse_range(r).comparators]
    tried = [_FIRST, *(str(v) for v in named), *(f"{v.major}.{v.minor}.{v.patch + 1}" for v in named)]
    return next((one for one in tried if all(accepts(r, one) for r in wanted)), _FIRST)


def _parties(name: str, seams: Sequence[Seam]) -> Iterator[Party]:
    for seam in seams:
        spec = seam.contract.spec
        sides = (*(spec.producers if seam.source == name else ()), *spec.fallbacks)
        receiving = spec.consumers if seam.receiver == name else ()
        yield from (party for party in (*sides, *receiving) if party.agent == name)
