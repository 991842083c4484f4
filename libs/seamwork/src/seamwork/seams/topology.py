"""
Draw a flow, name its shape, and hold the answers to three questions against it.

The shape is read off the edges between agents, initiators left out: a **pipeline** is one line; **hierarchical** is
a tree in which whoever hands out waits for what comes back; in **peer-to-peer** every agent can reach every other
one; everything else is **mixed**.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from seamwork.contracts.compiled import promises
from seamwork.contracts.shelf import Shelf
from seamwork.documents.agent import Agent
from seamwork.documents.flow import Flow
from seamwork.seams.seam import Seam, field_count, holds_against_request, one_takes, seams_of

Shape = Literal["hierarchical", "peer-to-peer", "pipeline", "mixed"]
State = Literal["shared", "completed"]
Coordination = Literal["one", "self"]

OPERATOR = "operator"
"""The platform's own initiator, as which people submit; it has no document in anybody's folder."""

MANY_FIELDS = 25
"""So many required fields an agent may be asked to take in before the page remarks on it."""

_FITS: Mapping[Shape, tuple[State | None, Coordination | None]] = {
    "hierarchical": ("completed", "one"),
    "pipeline": ("completed", None),
    "peer-to-peer": ("shared", "self"),
    "mixed": (None, None),
}


@dataclass(frozen=True)
class Line:
    """One way of work in the drawing."""

    source: str
    target: str
    contract: str
    transfers: bool = False


@dataclass(frozen=True)
class Reached:
    """What stops with one agent: the agents that get no work, or no answer, without it."""

    agent: str
    stops: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """One of the three questions: what the documents say, why, and what was said when asked."""

    question: str
    documents: str
    because: str
    stated: str | None = None


@dataclass(frozen=True)
class Remark:
    """A warning, with a stable code."""

    code: str
    text: str


@dataclass(frozen=True)
class Topology:
    """A flow as a drawing, its name, the three answers, and what is to be remarked."""

    flow: str
    shape: Shape
    begins: tuple[str, ...]
    agents: tuple[str, ...]
    lines: tuple[Line, ...]
    questions: tuple[Asked, ...]
    blast: tuple[Reached, ...]
    unverifiable: tuple[str, ...]
    heavy: tuple[str, ...]
    remarks: tuple[Remark, ...]


def topology(
    flow: Flow,
    shelf: Shelf,
    state: State | None = None,
    coordination: Coordination | None = None,
    blast_radius: int | None = None,
    many_fields: int = MANY_FIELDS,
) -> Topology:
    """
    Look at the shape of *flow*.

    Args:
        flow: The flow.
        shelf: Its agents and contracts.
        state: What its team says: agents work on shared, evolving state, or take completed outputs.
        coordination: What its team says: one coordinates, or they organise themselves.
        blast_radius: How many agents one failing agent may stop, as its team says.
        many_fields: From how many required fields on an agent is remarked on.
    """
    lines = tuple(_lines(flow, shelf))
    begins = _begins(flow, shelf)
    inner = {name for line in lines for name in (line.source, line.target)} - set(begins)
    ways: dict[str, set[str]] = {name: set() for name in sorted(inner)}
    for line in lines:
        if line.source in inner and line.target in inner:
            ways[line.source].add(line.target)
    shape = _shape(ways, any(line.transfers for line in lines))
    blast = tuple(_blast(flow, shelf, lines, begins))
    widest = max(blast, key=lambda one: len(one.stops), default=None)
    seen_state, why_state = _state(ways, flow)
    seen_coordination, why_coordination = _coordination(ways)
    unverifiable = tuple(_unverifiable(flow, shelf))
    heavy = tuple(_heavy(flow, shelf, many_fields))
    questions = (
        Asked("Shared, evolving state or completed outputs?", seen_state, why_state, state),
        Asked("One coordinator or self-organising?", seen_coordination, why_coordination, coordination),
        Asked(
            "How far does one failing agent reach?",
            str(len(widest.stops) if widest else 0),
            f"{widest.agent} stops {', '.join(widest.stops) or 'nobody else'}"
            if widest
            else "there is no agent",
            None if blast_radius is None else str(blast_radius),
        ),
    )
    remarks = [
        *_disagreements(shape, questions, blast, blast_radius),
        *(Remark("unverifiable-step", text) for text in unverifiable),
        *(Remark("many-fields", text) for text in heavy),
    ]
    return Topology(
        flow=flow.title,
        shape=shape,
        begins=begins,
        agents=tuple(sorted(inner)),
        lines=lines,
        questions=questions,
        blast=blast,
        unverifiable=unverifiable,
        heavy=heavy,
        remarks=tuple(remarks),
    )


def _lines(flow: Flow, shelf: Shelf) -> Iterator[Line]:
    seen: set[Line] = set()
    for edge in flow.spec.edges:
        if edge.to is not None:
            targets = [edge.to]
        else:
            offering = shelf.offering(edge.capability or "")
            takers = [agent for agent in offering if one_takes([agent], edge, shelf)]
            targets = sorted({agent.name for agent in takers or offering}) or [f"[{edge.capability}]"]
        for target in targets:
            line = Line(edge.source, target, edge.contract, bool(edge.transfers))
            if line not in seen:
                seen.add(line)
                yield line


def _begins(flow: Flow, shelf: Shelf) -> tuple[str, ...]:
    """Return who begins tasks: initiators, and whoever is not known and nobody hands work to."""
    sources = {edge.source for edge in flow.spec.edges}
    targets = {line.target for line in _lines(flow, shelf)}
    initiators = {a.name for a in shelf.all(Agent) if a.spec.initiator} | {OPERATOR}
    unknown = sources - targets - {a.name for a in shelf.all(Agent)}
    begins = (initiators & sources) | unknown
    if begins:
        return tuple(sorted(begins))
    return tuple(sorted(sources - targets)) or (flow.spec.edges[0].source,)


def _shape(ways: Mapping[str, set[str]], transfers: bool) -> Shape:  # noqa: FBT001  # what the lines say
    if not ways:
        return "mixed"
    into = {name: sum(name in targets for targets in ways.values()) for name in ways}
    everywhere = all(set(ways) <= reached(ways, name) for name in ways)
    if len(ways) > 1 and everywhere:
        return "peer-to-peer"
    acyclic = all(name not in reached(ways, name) for name in ways)
    tops = [name for name in ways if into[name] == 0]
    tree = acyclic and len(tops) == 1 and all(count <= 1 for count in into.values())
    widest = max(len(targets) for targets in ways.values())
    if tree and widest > 1:
        return "mixed" if transfers else "hierarchical"
    if tree:
        return "pipeline"
    return "mixed"


def reached(ways: Mapping[str, set[str]], start: str) -> set[str]:
    """Return what can be reached from *start*; itself only where a way leads back."""
    seen: set[str] = set()
    stack = [start]
    while stack:
        further = ways.get(stack.pop(), set()) - seen
        seen |= further
        stack.extend(further)
    return seen


def _state(ways: Mapping[str, set[str]], flow: Flow) -> tuple[State, str]:
    again = sorted(name for name in ways if name in reached(ways, name))
    if again:
        return "shared", f"work can come back to {', '.join(again)} before it is done"
    passed = sum(len(edge.passes_on) for edge in flow.spec.edges)
    kept = f", {passed} of them handed on unchanged" if passed else ""
    return "completed", f"no work comes back to who had it; each seam takes answers that are final{kept}"


def _coordination(ways: Mapping[str, set[str]]) -> tuple[Coordination, str]:
    leading = sorted(name for name, targets in ways.items() if targets)
    if len(leading) <= 1:
        return "one", f"{leading[0] if leading else 'nobody'} alone hands work out"
    return "self", f"{', '.join(leading)} each decide to whom they hand"


def _blast(flow: Flow, shelf: Shelf, lines: tuple[Line, ...], begins: tuple[str, ...]) -> Iterator[Reached]:
    """Yield for each agent who gets no more work, or no more answers, when it fails and nobody stands in for it."""
    names = sorted({name for line in lines for name in (line.source, line.target)} - set(begins))
    replaceable = set(_replaceable(flow, shelf))
    for name in names:
        if name in replaceable:
            yield Reached(name, ())
            continue
        without: dict[str, set[str]] = {}
        for line in lines:
            if name not in (line.source, line.target):
                without.setdefault(line.source, set()).add(line.target)
        still = set().union(*(reached(without, begin) for begin in begins)) if begins else set()
        waiting = {line.source for line in lines if line.target == name} - set(begins)
        stops = (set(names) - still - {name}) | waiting
        yield Reached(name, tuple(sorted(stops)))


def _replaceable(flow: Flow, shelf: Shelf) -> Iterator[str]:
    """Yield agents for which another one stands in on every edge: by the capability, or as a fallback."""
    leading: dict[str, list[Seam]] = {}
    for seam in seams_of(flow, shelf):
        for name in {agent.name for agent in seam.receivers}:
            leading.setdefault(name, []).append(seam)
    for name, edges in leading.items():
        if all(
            one_takes((agent for agent in seam.receivers if agent.name != name), seam.edge, shelf)
            or (seam.contract is not None and {p.agent for p in seam.contract.spec.fallbacks} - {name})
            for seam in edges
        ):
            yield name


def _unverifiable(flow: Flow, shelf: Shelf) -> Iterator[str]:
    told = set()
    for seam in seams_of(flow, shelf):
        contract = seam.contract
        if contract is None or contract.title in told:
            continue
        told.add(contract.title)
        if not holds_against_request(contract.spec.outputs.success):
            rules = promises(contract)["success"].rules
            has = "its rules look at the answer alone" if rules else "it has no rule at all"
            yield f"{seam}: no check can tell a wrong answer from a right one without doing the work again; {has}"


def _heavy(flow: Flow, shelf: Shelf, many: int) -> Iterator[str]:
    needs: dict[str, dict[str, int]] = {}
    for seam in seams_of(flow, shelf):
        if seam.contract is None:
            continue
        count = field_count(seam.contract.spec.input.json_schema, required=True)
        for name in {agent.name for agent in seam.receivers} or ({seam.edge.to} if seam.edge.to else set()):
            needs.setdefault(name, {})[seam.contract.name] = count
    for name, contracts in sorted(needs.items()):
        total = sum(contracts.values())
        if total > many:
            listed = ", ".join(f"{contract} {count}" for contract, count in sorted(contracts.items()))
            yield f"{name} must be given {total} fields before it can work ({listed}); {many} are taken for many"


def _disagreements(
    shape: Shape, questions: tuple[Asked, ...], blast: tuple[Reached, ...], blast_radius: int | None
) -> Iterator[Remark]:
    state, coordination, _ = questions
    fits_state, fits_coordination = _FITS[shape]
    for asked, fits, code in (
        (state, fits_state, "state-and-shape"),
        (coordination, fits_coordination, "coordination-and-shape"),
    ):
        if asked.stated is not None and asked.stated != asked.documents:
            text = f"you say {asked.stated!r}, the documents say {asked.documents!r}: {asked.because}"
            yield Remark(f"{code}-stated", text)
        answer = asked.stated or asked.documents
        if fits is not None and answer != fits:
            text = f"a {shape} flow lives on {fits!r}, the answer is {answer!r}: {asked.because}"
            yield Remark(code, text)
    if blast_radius is not None:
        for one in blast:
            if len(one.stops) > blast_radius:
                others = ", ".join(one.stops)
                text = f"{one.agent} stops {len(one.stops)} others ({others}), you allow {blast_radius}"
                yield Remark("blast-radius", text)
