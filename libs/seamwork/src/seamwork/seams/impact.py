"""Say what a change or the retirement of a document touches: agents, flows, contracts, policies, running tasks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from seamwork.contracts.shelf import Shelf
from seamwork.documents.agent import Agent
from seamwork.documents.contract import Contract
from seamwork.documents.flow import Edge, Flow
from seamwork.documents.gate import Gate
from seamwork.documents.kinds import AnyDocument
from seamwork.documents.person import Person
from seamwork.documents.policy import Policy
from seamwork.documents.team import Team
from seamwork.documents.versions import accepts, parse_range
from seamwork.seams.measured import Measured, SeamMeasure
from seamwork.seams.seam import one_takes

_Concerns = Callable[[SeamMeasure], bool]


@dataclass(frozen=True, order=True)
class Touched:
    """One thing that is touched, and how; *stops* where the retirement would leave it without what it needs."""

    kind: str
    what: str
    how: str
    stops: bool = False


def impact(
    shelf: Shelf,
    name: str,
    version: str | None = None,
    measured: Measured | None = None,
    kind: str | None = None,
) -> tuple[Touched, ...] | None:
    """
    Return what hangs on the contracts, agents, flows and policies called *name*, or None where there are none.

    Args:
        shelf: The documents.
        name: The document's name; of whatever kind.
        version: One version of it; all of them without it.
        measured: What a platform measured, for its running tasks.
        kind: What alone is meant, where documents of several kinds are called so.
    """
    meant = [
        d
        for d in shelf.everything
        if d.name == name and version in {None, d.version} and kind in {None, d.kind}
    ]
    if not meant:
        return None
    found: set[Touched] = set()
    for document in meant:
        match document:
            case Contract():
                found |= set(_of_contract(document, shelf, _left(document, meant, shelf), measured))
            case Agent():
                found |= set(_of_agent(document, shelf, _left(document, meant, shelf), measured))
            case Flow():
                found |= set(_of_flow(document, shelf, meant, measured))
            case Policy():
                found |= set(_of_policy(document, shelf, meant))
            case Gate():
                found |= set(_of_gate(document, shelf))
            case _:
                found |= set(_by_name(document, shelf, meant))
    return tuple(sorted(found, key=lambda one: (not one.stops, one)))


def _left(document: AnyDocument, meant: list[AnyDocument], shelf: Shelf) -> list[AnyDocument]:
    """Return the other versions that would still be there."""
    return [
        d for d in shelf.everything if d.kind == document.kind and d.name == document.name and d not in meant
    ]


def _of_contract(
    contract: Contract, shelf: Shelf, left: list[AnyDocument], measured: Measured | None
) -> Iterator[Touched]:
    name, version = contract.name, contract.version

    def alone(versions: str) -> bool:
        return not any(accepts(versions, other.version) for other in left)

    for agent in shelf.all(Agent):
        wanted = agent.accepted_range(name)
        if wanted is not None and accepts(wanted, version):
            yield Touched("agent", f"{agent.name} {agent.version}", f"takes {name} {wanted}", alone(wanted))
    for role, parties in (
        ("producer", contract.spec.producers),
        ("consumer", contract.spec.consumers),
        ("fallback", contract.spec.fallbacks),
    ):
        for party in parties:
            yield Touched(
                "agent", party.agent, f"{role} in {party.versions}", not left and role == "producer"
            )
    yield from _along(contract, shelf, left)
    for policy in shelf.all(Policy):
        if name in policy.spec.match.contracts:
            yield Touched("policy", f"{policy.name} {policy.version}", f"judges {name}")
    for other in shelf.all(Contract):
        if any(condition.contract == name for condition in other.spec.preconditions):
            yield Touched("contract", f"{other.name} {other.version}", f"comes after {name}", not left)
    yield from _running(measured, lambda m: m.contract == name and m.version == version)


def _along(contract: Contract, shelf: Shelf, left: list[AnyDocument]) -> Iterator[Touched]:
    name, version = contract.name, contract.version

    def alone(versions: str) -> bool:
        return not any(accepts(versions, other.version) for other in left)

    for flow in shelf.all(Flow):
        for edge in flow.spec.edges:
            if edge.contract == name and accepts(edge.versions, version):
                yield Touched(
                    "flow", f"{flow.name} {flow.version}", f"edge {_written(edge)}", alone(edge.versions)
                )
            for passed in edge.passes_on:
                if passed.contract == name and accepts(passed.versions, version):
                    yield Touched(
                        "flow",
                        f"{flow.name} {flow.version}",
                        f"passed on along {_written(edge)}",
                        alone(passed.versions),
                    )
            if name in edge.transfers:
                yield Touched(
                    "flow", f"{flow.name} {flow.version}", f"given away along {_written(edge)}", not left
                )


def _of_agent(
    agent: Agent, shelf: Shelf, left: list[AnyDocument], measured: Measured | None
) -> Iterator[Touched]:
    mine = [a for a in left if isinstance(a, Agent)]
    for flow in shelf.all(Flow):
        for edge in flow.spec.edges:
            title = f"{flow.name} {flow.version}"
            if edge.source == agent.name:
                yield Touched("flow", title, f"sends along {_written(edge)}", not left)
            if edge.to == agent.name:
                stops = not one_takes(mine, edge, shelf)
                yield Touched("flow", title, f"receives along {_written(edge)}", stops)
            if edge.capability in agent.spec.offers:
                offering = shelf.offering(edge.capability or "")
                stops = not one_takes((a for a in offering if a.name != agent.name or a in mine), edge, shelf)
                yield Touched("flow", title, f"may be chosen along {_written(edge)}", stops)
    for contract in shelf.all(Contract):
        for role, parties in (
            ("producer", contract.spec.producers),
            ("consumer", contract.spec.consumers),
            ("fallback", contract.spec.fallbacks),
        ):
            if any(p.agent == agent.name and accepts(p.versions, agent.version) for p in parties):
                yield Touched("contract", f"{contract.name} {contract.version}", f"names it as {role}")
    for policy in shelf.all(Policy):
        if agent.name in (*policy.spec.match.sources, *policy.spec.match.targets):
            yield Touched("policy", f"{policy.name} {policy.version}", "names it")
    if agent.spec.desk:
        desks = [other for other in shelf.all(Agent) if other.spec.desk and other.name != agent.name]
        stops = not any(other.spec.desk for other in (*mine, *desks))
        yield Touched("role", "desk", "is where people take what was escalated", stops)
    whole = f"{agent.name}@{agent.version}"
    yield from _running(measured, lambda m: whole in m.receivers or (m.source == agent.name and not left))


def _of_flow(
    flow: Flow, shelf: Shelf, meant: list[AnyDocument], measured: Measured | None
) -> Iterator[Touched]:
    others = [edge for other in shelf.all(Flow) if other not in meant for edge in other.spec.edges]
    for edge in flow.spec.edges:
        alone = not any(_covers(other, edge) for other in others)
        yield Touched("agent", edge.source, f"sends along {_written(edge)}", alone)
        if edge.to is not None:
            yield Touched("agent", edge.to, f"receives along {_written(edge)}", alone)
        else:
            yield Touched("capability", edge.capability or "", f"receives along {_written(edge)}", alone)
        yield Touched("contract", f"{edge.contract} {edge.versions}", f"crosses {_written(edge)}")
    seams = {(edge.source, edge.contract) for edge in flow.spec.edges}
    yield from _running(measured, lambda m: (m.source, m.contract) in seams)


def _covers(other: Edge, edge: Edge) -> bool:
    """Say whether whatever may come along *edge* may come along *other* as well."""
    ends = ("source", "to", "capability", "contract")
    return all(getattr(other, end) == getattr(edge, end) for end in ends) and parse_range(
        edge.versions
    ).within(parse_range(other.versions))


def _of_policy(policy: Policy, shelf: Shelf, meant: list[AnyDocument]) -> Iterator[Touched]:
    """Yield the contracts that are judged by a policy; without any policy nothing is admitted."""
    if all(other in meant for other in shelf.all(Policy)):
        yield Touched("role", "policy", "admits nothing where no policy is in force", stops=True)
    named = policy.spec.match.contracts
    for contract in shelf.all(Contract):
        if not named or contract.name in named:
            yield Touched("contract", f"{contract.name} {contract.version}", "is judged by it")


def _of_gate(gate: Gate, shelf: Shelf) -> Iterator[Touched]:
    """Yield the role of a gate with what it judges; it stops where no other gate judges that in this role."""
    others = [o for o in shelf.all(Gate) if o.spec.role == gate.spec.role and o.name != gate.name]
    for what in gate.spec.required_for:
        alone = not any(what in other.spec.required_for for other in others)
        yield Touched("role", gate.spec.role, f"judges each {what}", alone)
    if not gate.spec.required_for:
        yield Touched("role", gate.spec.role, "judges what is held", not others)


def _by_name(document: AnyDocument, shelf: Shelf, meant: list[AnyDocument]) -> Iterator[Touched]:
    """Yield what names a budget, a team or a person, a person by its roles and teams as well."""
    rest = Shelf(other for other in shelf.everything if other not in meant)
    names = {document.name}
    if isinstance(document, Person):
        names.update(document.spec.roles)
        names.update(team.name for team in shelf.all(Team) if document.name in team.spec.members)
    for agent in shelf.all(Agent):
        if document.kind == "Budget" and agent.spec.budget == document.name:
            yield Touched("agent", f"{agent.name} {agent.version}", "draws on it", stops=True)
        if document.kind == "Team" and agent.spec.team == document.name:
            yield Touched("agent", f"{agent.name} {agent.version}", "belongs to it")
    for contract in shelf.all(Contract):
        owners = contract.spec.owners
        spec = contract.spec
        first = [h.to for h in (spec.on_violation, spec.on_timeout, spec.on_error) if h.to is not None]
        chain = {*owners.escalation, *first}
        if document.kind in {"Team", "Person"} and (document.name == owners.team or names & chain):
            stops = bool(_people(chain, shelf)) and not _people(chain, rest)
            yield Touched("contract", f"{contract.name} {contract.version}", "is answered for by it", stops)
    if isinstance(document, Person):
        yield from _asked(document, shelf, rest)


def _people(chain: Iterable[str], shelf: Shelf) -> set[str]:
    """Return everybody whom names mean: a person, else the members of a team, else all with that role."""
    known, teams = set(shelf.names(Person)), {team.name: team for team in shelf.all(Team)}
    found: set[str] = set()
    for name in chain:
        if name in known:
            found.add(name)
        elif name in teams:
            found |= known.intersection(teams[name].spec.members)
        else:
            found |= shelf.people([name])
    return found


def _asked(person: Person, shelf: Shelf, rest: Shelf) -> Iterator[Touched]:
    """Yield what counts on a person: the teams that have it as a member, the policies that ask one of its roles."""
    for team in shelf.all(Team):
        if person.name in team.spec.members:
            stops = not set(rest.names(Person)).intersection(team.spec.members)
            yield Touched("team", f"{team.name} {team.version}", "has it as a member", stops)
    for policy in shelf.all(Policy):
        for rule in policy.spec.rules:
            if rule.approvers is not None and set(rule.approvers.roles) & set(person.spec.roles):
                still = shelf.people(rule.approvers.roles) - {person.name}
                title = f"{policy.name} {policy.version}"
                yield Touched("policy", title, f"asks it by {rule.name}", len(still) < rule.approvers.count)


def _running(measured: Measured | None, concerns: _Concerns) -> Iterator[Touched]:
    for measure in measured.seams if measured is not None else ():
        if concerns(measure):
            for task in measure.running:
                yield Touched(
                    "task", task, f"is under way, by {measure.contract} {measure.version}", stops=True
                )


def _written(edge: Edge) -> str:
    return f"{edge.source} → {edge.to or f'[{edge.capability}]'}"
