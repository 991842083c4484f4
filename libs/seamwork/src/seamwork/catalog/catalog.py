"""
Answer what is in force: one immutable view of all documents at one revision.

Contracts and agents live side by side in several versions. Of policies, budgets, flows, gates, people and teams one
version of a name is in force: the one that was activated last.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Literal, Protocol, TypeVar, cast

from seamwork.catalog.consenting import HeldBack, held_back
from seamwork.catalog.entries import (
    Activation,
    AgentEntry,
    Entry,
    GateInForce,
    GateMode,
    KeyEntry,
    PersonEntry,
    PolicyEntry,
    Status,
    listed_by,
)
from seamwork.catalog.soundness import first_fault
from seamwork.documents.agent import Agent
from seamwork.documents.budget import Budget
from seamwork.documents.canonical import digest
from seamwork.documents.contract import Contract, Party
from seamwork.documents.flow import Edge, Flow
from seamwork.documents.gate import Gate
from seamwork.documents.key import Key
from seamwork.documents.kinds import AnyDocument
from seamwork.documents.person import Person
from seamwork.documents.policy import Policy
from seamwork.documents.problems import Problem
from seamwork.documents.team import Team
from seamwork.documents.versions import lies_in, parse_version
from seamwork.errors import UnprocessableError
from seamwork.records.parties import AgentRef, ContractRef, DocumentRef, Revision, Target

MAX_CANDIDATES = 32
_WHENEVER = 0  # for what no instant changes
_MOST_CHARACTERS = 100  # of a name, a version or a range of versions
_MOST_KNOWN = 10_000  # answers kept; what is asked is what agents write, so there is an end to it

_AFTER_ALL = 1 << 62
"""The order of an activation that counts more than any in a topic."""

Name = tuple[str, str]
"""Kind and name of a document."""

D = TypeVar("D")
T = TypeVar("T")


class Aimed(Protocol):
    """What says whom it is for: a ``Handoff``, or what a machine remembers of one."""

    @property
    def target(self) -> Target:
        """The agent or the capability."""

    @property
    def contract(self) -> ContractRef:
        """The contract that the receiver must take."""


class Catalog:
    """
    All documents and activations at the offsets of *revision*.

    Args:
        revision: How far the three document topics were read.
        entries: Kind and name → version → entry.
        compiled: Where compiled documents are kept, by digest; shared by all views, because a digest never changes
            its meaning.
        platform: The platform's id, over which consents are signed; empty where documents come from no topic.
    """

    def __init__(
        self,
        revision: Revision,
        entries: Mapping[Name, Mapping[str, Entry]],
        compiled: dict[tuple[str, str], object] | None = None,
        platform: str = "",
    ) -> None:
        self.revision = revision
        self._entries = entries
        self._compiled: dict[tuple[str, str], object] = {} if compiled is None else compiled
        self._known: dict[tuple[object, ...], object] = {}
        self._platform = platform
        self._held_back: dict[tuple[str, str], Entry] = {}
        self._lines: dict[str, HeldBack] = {}

    @classmethod
    def of(
        cls,
        documents: Iterable[AnyDocument],
        activations: Mapping[tuple[str, str, str], Iterable[Activation]] | None = None,
        revision: Revision | None = None,
    ) -> "Catalog":
        """
        Make a catalog from documents alone, for tests and offline checks.

        Every version is active from the start, in the order given, unless *activations* says otherwise for its
        (kind, name, version).
        """
        from_start = (Activation("active", "enforce", 0),)
        entries: dict[Name, dict[str, Entry]] = {}
        for document in documents:
            key = (document.kind, document.name, document.version)
            told = tuple((activations or {}).get(key, from_start))
            versions = entries.setdefault((document.kind, document.name), {})
            versions[document.version] = Entry(document, digest(document), told)
        return cls(revision or Revision(contracts=1, registry=1, policies=1), MappingProxyType(entries))

    def with_in_force(self, documents: Iterable[AnyDocument]) -> "Catalog":
        """
        Return a view in which *documents* were in force all along, whatever was said of them or of other versions.

        Of a kind of which one version is in force it is the highest of them, as if they were published together.

        Raises:
            UnprocessableError: A version is there with other content.
        """
        entries = {name: dict(versions) for name, versions in self._entries.items()}
        in_order = sorted(documents, key=lambda one: parse_version(one.version))
        for order, document in enumerate(in_order, _AFTER_ALL):
            versions = entries.setdefault((document.kind, document.name), {})
            known, mine = versions.get(document.version), digest(document)
            if known is not None and known.digest != mine:
                raise UnprocessableError(
                    f"{document.title} was published before with other content. Versions never change: raise "
                    "metadata.version"
                )
            entry = known or Entry(document, mine)
            always = Activation("active", "enforce", 0, order)
            versions[document.version] = replace(entry, activations=(*entry.activations, always))
        return Catalog(self.revision, entries, platform=self._platform)

    # ── contracts ────────────────────────────────────────────────────────────────────

    def contract(self, ref: ContractRef) -> Contract | None:
        """
        Return the contract of this name and version, in whatever status, or None.

        One that should never have been published (``contract_fault``) is as good as none.
        """
        if ref.version not in self._entries.get(("Contract", ref.name), ()):
            return None
        return self.once(("contract", ref), _WHENEVER, lambda: self._sound(ref))

    def _sound(self, ref: ContractRef) -> Contract | None:
        entry = self._entry("Contract", ref.name, ref.version)
        if entry is None or self.contract_fault(ref) is not None:
            return None
        return cast("Contract", entry.document)

    def contract_fault(self, ref: ContractRef) -> Problem | None:
        """Return what forbids to use a contract that was published all the same; None also where there is none."""
        entry = self._entry("Contract", ref.name, ref.version)
        return None if entry is None else first_fault(cast("Contract", entry.document), entry.digest)

    def contract_status(self, ref: ContractRef, at: int) -> Status | None:
        """Return the contract's status at *at* (ms), None where it is unknown or was never activated."""
        entry = self._entry("Contract", ref.name, ref.version)
        return entry.status(at) if entry else None

    def contract_waits(self, ref: ContractRef, at: int) -> bool:
        """Say whether a version that was activated is not in force because its consumers have not agreed yet."""
        asked = self._entries.get(("Contract", ref.name), {}).get(ref.version)
        held = self._entry("Contract", ref.name, ref.version)
        return asked is not None and held is not None and asked.in_force(at) and not held.in_force(at)

    def successor(self, ref: ContractRef, at: int) -> str | None:
        """Return the version that takes the place of *ref*, as its last deprecation said, or None."""
        entry = self._entry("Contract", ref.name, ref.version)
        told = () if entry is None else [a for a in entry.activations if a.from_at <= at and a.successor]
        return told[-1].successor if told else None

    def contract_versions(self, name: str) -> tuple[str, ...]:
        """Return all versions of a contract that are known, lowest first."""
        versions = self._entries.get(("Contract", name))
        if versions is None:
            return ()
        return self.once(("versions", name), _WHENEVER, lambda: tuple(sorted(versions, key=parse_version)))

    def compiled(self, what: str, document: AnyDocument, make: Callable[[], T]) -> T:
        """Return what *make* makes of *document*, made once for each digest. *what* tells several makers apart."""
        entry = self._entry(document.kind, document.name, document.version)
        key = (what, entry.digest if entry else digest(document))
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = make()
        return cast("T", found)

    # ── agents ───────────────────────────────────────────────────────────────────────

    def agent(self, ref: AgentRef) -> Agent | None:
        """Return the agent of this name and version, in whatever status, or None."""
        entry = self._entry("Agent", ref.agent, ref.version)
        return cast("Agent", entry.document) if entry else None

    def agent_status(self, ref: AgentRef, at: int) -> Status | None:
        """Return the agent version's status at *at* (ms), None where it is unknown or was never activated."""
        entry = self._entry("Agent", ref.agent, ref.version)
        return entry.status(at) if entry else None

    def agent_breaker(self, ref: AgentRef, at: int) -> Literal["open", "closed"] | None:
        """Return how a person has set the breaker of an agent version, None where it is left to what is counted."""
        entry = self._entry("Agent", ref.agent, ref.version)
        activation = entry.activation(at) if entry else None
        match activation.mode if activation else None:
            case "breaker-open":
                return "open"
            case "breaker-closed":
                return "closed"
            case _:
                return None

    def paused(self, at: int) -> frozenset[DocumentRef]:
        """Return the agent versions and flows in force for which work waits at *at*."""
        return self.once(("paused",), at, lambda: self._paused(at))

    def _paused(self, at: int) -> frozenset[DocumentRef]:
        agents = [self._entry("Agent", one.ref.agent, one.ref.version) for one in self.agents(at)]
        flows = [self._current("Flow", name, at) for name, _ in self._named("Flow")]
        return frozenset(
            entry.ref
            for entry in (*agents, *flows)
            if entry is not None and (told := entry.activation(at)) is not None and told.mode == "paused"
        )

    def agent_paused(self, ref: AgentRef, at: int) -> bool:
        """Say whether work for an agent version waits."""
        return any(
            (one.kind, one.name, one.version) == ("Agent", ref.agent, ref.version) for one in self.paused(at)
        )

    def flow_paused(
        self, source: str, receivers: Sequence[AgentRef], contract: ContractRef, at: int
    ) -> str | None:
        """
        Return the name of a paused flow if work from *source* waits on every way to one of *receivers*, else None.

        What stands in another flow too, that is not paused, goes on along that one.
        """
        paused = {one.name for one in self.paused(at) if one.kind == "Flow"}
        if not paused:
            return None
        along = [
            flow.name for receiver in receivers for flow, _ in self._drawn(source, receiver, contract, at)
        ]
        return next(iter(along), None) if paused.issuperset(along) else None

    def agents(self, at: int) -> tuple[AgentEntry, ...]:
        """Return every agent version in force, by name, the highest version first."""
        return self.once(("agents",), at, lambda: self._agents(at))

    def _agents(self, at: int) -> tuple[AgentEntry, ...]:
        found = [
            AgentEntry(AgentRef(agent=name, version=version), cast("Agent", entry.document), entry.digest)
            for name, versions in self._named("Agent")
            for version, entry in sorted(
                versions.items(), key=lambda item: parse_version(item[0]), reverse=True
            )
            if entry.in_force(at)
        ]
        return tuple(found)

    def agent_names(self) -> tuple[str, ...]:
        """Return the names of all agents that were ever published, in order."""
        return tuple(name for name, _ in self._named("Agent"))

    def desk(self, team: str, at: int) -> AgentRef | None:
        """Return where people take work: the team's own desk, else the first by name; None where there is none."""
        desks = [entry for entry in self.agents(at) if entry.document.spec.desk]
        own = [entry for entry in desks if entry.document.spec.team == team]
        return next((entry.ref for entry in (*own, *desks)), None)

    def asked_as(self, name: str, at: int) -> tuple[str, ...]:
        """Return the people whom *name* means: that person, else the team's members, else all with that role."""
        person = self.person(name, at)
        if person is not None:
            return (person.name,)
        team = self.team(name, at)
        if team is not None:
            return tuple(one for one in team.spec.members if self.person(one, at) is not None)
        return tuple(entry.document.name for entry in self.persons_with(name, at))

    def owners_people(self, contract: Contract, at: int) -> tuple[str, ...]:
        """Return everybody whom a contract's escalation chain means, the first asked first."""
        chain = contract.spec.owners.escalation
        return tuple(dict.fromkeys(one for name in chain for one in self.asked_as(name, at)))

    def primary(self, handoff: Aimed, at: int) -> tuple[AgentRef, ...]:
        """
        Return whom the handoff is meant for: the named agent, or every agent offering the capability.

        Of each agent the highest version in force that takes the contract's version, and itself offers the
        capability; in the order of names.
        """
        target, contract = handoff.target, handoff.contract
        if _fits_nothing(target, contract):
            return ()
        return self.once(("primary", target, contract), at, lambda: self._primary(target, contract, at))

    def _primary(self, target: Target, contract: ContractRef, at: int) -> tuple[AgentRef, ...]:
        if (target.agent is None) == (target.capability is None):
            return ()
        if target.agent is not None:
            names: tuple[str, ...] = (target.agent,)
        else:
            names = self._offering.get(target.capability or "", ())
        picked = (self._highest(name, target.versions, contract, at, target.capability) for name in names)
        return tuple(ref for ref in picked if ref is not None)

    def fallbacks(self, contract: ContractRef, at: int) -> tuple[AgentRef, ...]:
        """Return the agents that the contract falls back to, in its order, as far as they are in force."""
        document = self.contract(contract)
        if document is None:
            return ()
        parties = document.spec.fallbacks
        return self.once(("fallbacks", contract), at, lambda: self._fallbacks(parties, contract, at))

    def _fallbacks(self, parties: Sequence[Party], contract: ContractRef, at: int) -> tuple[AgentRef, ...]:
        picked = (self._highest(party.agent, party.versions, contract, at, None) for party in parties)
        return tuple(ref for ref in picked if ref is not None)

    def candidates(self, handoff: Aimed, at: int) -> tuple[AgentRef, ...]:
        """Return everybody who may get the handoff: whom it is meant for, then the fallbacks; 32 at most."""
        if _fits_nothing(handoff.target, handoff.contract):
            return self._candidates(handoff, at)
        return self.once(
            ("candidates", handoff.target, handoff.contract), at, lambda: self._candidates(handoff, at)
        )

    def _candidates(self, handoff: Aimed, at: int) -> tuple[AgentRef, ...]:
        primary, fallbacks = self.primary(handoff, at), self.fallbacks(handoff.contract, at)
        # A contract names at most eight fallbacks; however many offer the capability, these have their places.
        return tuple(dict.fromkeys((*primary[: MAX_CANDIDATES - len(fallbacks)], *fallbacks)))

    # ── people and keys ──────────────────────────────────────────────────────────────

    def person(self, name: str, at: int | None = None) -> Person | None:
        """Return the person as the version in force at *at* (ms; null: the last one) has them, or None."""
        entry = self._current("Person", name, at)
        return cast("Person", entry.document) if entry else None

    def team(self, name: str, at: int) -> Team | None:
        """Return the team as the version in force at *at* (ms) has it, or None."""
        entry = self._current("Team", name, at)
        return cast("Team", entry.document) if entry else None

    def persons_with(self, role: str, at: int) -> tuple[PersonEntry, ...]:
        """Return everybody who has *role* at *at*, by name."""
        found = [self._current("Person", name, at) for name, _ in self._named("Person")]
        return tuple(
            PersonEntry(person, entry.digest)
            for entry in found
            if entry is not None and role in (person := cast("Person", entry.document)).spec.roles
        )

    def key(self, kid: str) -> KeyEntry | None:
        """Return the key that signatures call *kid*, or None. A revoked key is returned, too."""
        return self._keys.get(kid)

    def all_keys(self) -> tuple[KeyEntry, ...]:
        """Return every key there ever was, by its id."""
        return tuple(self._keys[kid] for kid in sorted(self._keys))

    def public_of(self, kid: str, holder: str, at: int) -> str | None:
        """
        Return the public half of *kid* if *holder* holds it and it is valid at *at*, else None.

        Of a person the version in force must list it: whoever gets another key signs with the former one no more.
        """
        entry = self._keys.get(kid)
        if entry is None or entry.holder != holder or not entry.valid_at(at):
            return None
        kind, _, name = holder.partition(":")
        if kind == "person":
            person = self.person(name, at)
            if person is None or person.spec.key.kid != kid:
                return None
        return entry.public

    # ── gates, policies, budgets, flows ──────────────────────────────────────────────

    def gates(self, at: int) -> tuple[GateInForce, ...]:
        """
        Return the gates that judge at *at*, by name.

        A gate in ``enforce`` that replaces another retires it. Of two that replace each other the one activated
        last stands, and none replaces itself: a promotion never leaves a role without a gate. For which tasks a
        gate in ``canary`` counts, and who does not count for them, is told by ``seated``.
        """
        return self.once(("gates",), at, lambda: self._gates(at))

    def _gates(self, at: int) -> tuple[GateInForce, ...]:
        found: list[GateInForce] = []
        claims: list[tuple[int, str, str, GateMode]] = []
        for name, _ in self._named("Gate"):
            entry = self._current("Gate", name, at)
            if entry is None:
                continue
            gate, activation = cast("Gate", entry.document), entry.activation(at)
            said = None if activation is None else activation.mode
            mode: GateMode = said if said in {"shadow", "canary"} else "enforce"
            if mode != "shadow" and gate.spec.replaces is not None:
                claims.append((0 if activation is None else activation.order, name, gate.spec.replaces, mode))
            found.append(
                GateInForce(
                    name=name,
                    version=gate.version,
                    role=gate.spec.role,
                    mode=mode,
                    required_for=gate.spec.required_for,
                    deadline_ms=gate.spec.deadline_seconds * 1000,
                    ref=entry.ref,
                    replaces=gate.spec.replaces,
                    share=None if activation is None else activation.share,
                )
            )
        retired = _retired(claims)
        return tuple(gate for gate in found if gate.name not in retired)

    def canaries(self, at: int) -> tuple[GateInForce, ...]:
        """Return the gates that count for a share of all tasks at *at*, by name."""
        return self.once(
            ("canaries",), at, lambda: tuple(gate for gate in self.gates(at) if gate.mode == "canary")
        )

    def gate_names(self) -> tuple[str, ...]:
        """Return the names of all gates that were ever published, in order: their verdict topics exist."""
        return tuple(name for name, _ in self._named("Gate"))

    def policies(self, at: int) -> tuple[PolicyEntry, ...]:
        """Return the policies in force at *at*, by name."""
        return self.once(("policies",), at, lambda: self._policies(at))

    def _policies(self, at: int) -> tuple[PolicyEntry, ...]:
        found = [self._current("Policy", name, at) for name, _ in self._named("Policy")]
        return tuple(
            PolicyEntry(cast("Policy", entry.document), entry.ref) for entry in found if entry is not None
        )

    def budget(self, name: str, at: int | None = None) -> Budget | None:
        """Return the budget as the version in force at *at* (ms; null: the last one) has it, or None."""
        entry = self._current("Budget", name, at)
        return cast("Budget", entry.document) if entry else None

    def flows(self, at: int) -> tuple[Flow, ...]:
        """Return the flows in force at *at*, by name."""
        return self.once(("flows",), at, lambda: self._flows(at))

    def _flows(self, at: int) -> tuple[Flow, ...]:
        found = [self._current("Flow", name, at) for name, _ in self._named("Flow")]
        return tuple(cast("Flow", entry.document) for entry in found if entry is not None)

    def edges(self, source: str, contract: str, at: int) -> Sequence[tuple[Flow, Edge]]:
        """Return the edges in force from *source* under a contract of this name, with their flows."""
        return self.once(("edges",), at, lambda: self._edges(at)).get((source, contract), ())

    def _edges(self, at: int) -> Mapping[tuple[str, str], Sequence[tuple[Flow, Edge]]]:
        found: dict[tuple[str, str], list[tuple[Flow, Edge]]] = {}
        for flow in self.flows(at):
            for edge in flow.spec.edges:
                found.setdefault((edge.source, edge.contract), []).append((flow, edge))
        return found

    def has_lenient_flows(self, at: int) -> bool:
        """Say whether any flow in force at *at* is not enforced; where none is, no seam need be asked for."""
        return self.once(
            ("lenient",), at, lambda: any(flow.spec.mode != "enforce" for flow in self.flows(at))
        )

    def at_most(self, source: str, receiver: AgentRef, contract: ContractRef, at: int) -> int | None:
        """Return how often one task may come from *source* to *receiver* under *contract*, None where unbounded."""
        if (source, contract.name) not in self._bounded:
            return None
        bounds = [edge.at_most for _, edge in self._drawn(source, receiver, contract, at)]
        return (
            max((bound for bound in bounds if bound is not None), default=None)
            if None not in bounds
            else None
        )

    # ── any document ─────────────────────────────────────────────────────────────────

    def _drawn(
        self, source: str, receiver: AgentRef, contract: ContractRef, at: int
    ) -> list[tuple[Flow, Edge]]:
        """Return the edges in force that lead from *source* to *receiver* under *contract*, with their flows."""
        agent = self.agent(receiver)
        offers = agent.spec.offers if agent is not None else ()
        return [
            (flow, edge)
            for flow, edge in self.edges(source, contract.name, at)
            if lies_in(contract.version, edge.versions)
            and (edge.to == receiver.agent or edge.capability in offers)
        ]

    def reference(self, document: AnyDocument) -> DocumentRef:
        """Return the name, with digest, by which a verdict says that it consulted *document*."""
        entry = self._entry(document.kind, document.name, document.version)
        if entry is None:
            return DocumentRef(kind=document.kind, name=document.name, version=document.version)
        return entry.ref

    def documents(self) -> tuple[AnyDocument, ...]:
        """Return every version of every document, in whatever status."""
        return tuple(entry.document for versions in self._entries.values() for entry in versions.values())

    def entries(self, kind: str) -> tuple[Entry, ...]:
        """Return every version of every document of *kind*, by name and version."""
        return tuple(
            entry
            for _, versions in self._named(kind)
            for _, entry in sorted(versions.items(), key=lambda item: parse_version(item[0]))
        )

    def current(self, kind: str, name: str, at: int) -> Entry | None:
        """Return the version of *name* that was activated last and is in force at *at*, or None."""
        return self._current(kind, name, at)

    def entry(self, kind: str, name: str, version: str) -> Entry | None:
        """Return one version of one document, or None."""
        return self._entry(kind, name, version)

    # ── how it is looked up ──────────────────────────────────────────────────────────

    def once(self, what: tuple[object, ...], at: int, find: Callable[[], T]) -> T:
        """
        Return what *find* finds for *at*, found once for as long as no activation begins.

        *what* names the answer among all that are asked of a catalog; it must hang on nothing else.
        """
        key = (*what, bisect_right(self._turns, at))
        try:
            return cast("T", self._known[key])
        except KeyError:
            pass
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        found = find()
        self._known[key] = found
        return found

    def next_turn(self, at: int) -> int | None:
        """Return the instant after *at* (ms) at which an activation begins next, or None where none is to come."""
        later = bisect_right(self._turns, at)
        return self._turns[later] if later < len(self._turns) else None

    @cached_property
    def _turns(self) -> list[int]:
        """The instants at which an activation begins: between two of them nothing changes."""
        return sorted(
            {
                activation.from_at
                for versions in self._entries.values()
                for entry in versions.values()
                for activation in entry.activations
            }
        )

    def _entry(self, kind: str, name: str, version: str) -> Entry | None:
        versions = self._entries.get((kind, name))
        if versions is None:
            return None
        entry = versions.get(version)
        # Most contracts have one version, and nobody to wait for.
        if entry is None or kind != "Contract" or len(versions) == 1 or not self._platform:
            return entry
        found = self._held_back.get((name, version))
        return self._hold_back(name, version) if found is None else found

    def _hold_back(self, name: str, version: str) -> Entry:
        """Hold back a version of a contract, those below it first: each asks for the one before, and so on down."""
        versions, ordered = self._entries["Contract", name], self.contract_versions(name)
        known = self._lines.setdefault(name, HeldBack())
        at = bisect_left(ordered, parse_version(version), key=parse_version)
        for number in range(len(known), at + 1):
            entry = held_back(self, versions[ordered[number]], number, known, self._platform)
            self._held_back[name, ordered[number]] = entry
            known.put(number, entry)
        return self._held_back[name, version]

    def _named(self, kind: str) -> list[tuple[str, Mapping[str, Entry]]]:
        return self._by_kind.get(kind, [])

    @cached_property
    def _by_kind(self) -> dict[str, list[tuple[str, Mapping[str, Entry]]]]:
        found: dict[str, list[tuple[str, Mapping[str, Entry]]]] = {}
        for (kind, name), versions in sorted(self._entries.items(), key=lambda item: item[0]):
            found.setdefault(kind, []).append((name, versions))
        return found

    @cached_property
    def _offering(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, set[str]] = {}
        for name, versions in self._named("Agent"):
            for entry in versions.values():
                for capability in cast("Agent", entry.document).spec.offers:
                    found.setdefault(capability, set()).add(name)
        return {capability: tuple(sorted(names)) for capability, names in found.items()}

    @cached_property
    def _bounded(self) -> frozenset[tuple[str, str]]:
        """Sources and contracts of the edges that say ``atMost``, so that all others cost nothing to ask about."""
        return frozenset(
            (edge.source, edge.contract)
            for entry in self.entries("Flow")
            for edge in cast("Flow", entry.document).spec.edges
            if edge.at_most is not None
        )

    @cached_property
    def _keys(self) -> dict[str, KeyEntry]:
        found: dict[str, KeyEntry] = {}
        for entry in _as_published(self.entries("Key")):
            kid = cast("Key", entry.document).spec.kid
            found[kid] = listed_by(entry, found.get(kid))
        for entry in _as_published((*self.entries("Person"), *self.entries("Agent"))):
            match entry.document:
                case Person() as person:
                    key = person.spec.key
                    self._add(found, key.kid, key.public, f"person:{person.name}", None, entry)
                case Agent() as agent:
                    for key in agent.spec.keys:
                        self._add(found, key.kid, key.public, f"agent:{agent.name}", agent.version, entry)
        return found

    @staticmethod
    def _add(
        found: dict[str, KeyEntry], kid: str, public: str, holder: str, version: str | None, entry: Entry
    ) -> None:
        """
        Take down a key that a document lists.

        The first holder of a kid keeps it: a document that is published later cannot take over another's key id,
        nor give it another public half; but what the root signed goes first. A key that several versions list
        counts until all of them are revoked.
        """
        known = found.get(kid)
        versions = () if version is None else (version,)
        if known is None:
            found[kid] = KeyEntry(kid=kid, public=public, holder=holder, versions=versions, listed=(entry,))
        elif known.holder == holder and known.public == public:
            found[kid] = replace(known, versions=(*known.versions, *versions), listed=(*known.listed, entry))

    def _current(self, kind: str, name: str, at: int | None) -> Entry | None:
        versions = self._entries.get((kind, name))
        if not versions:
            return None
        best: tuple[tuple[int, int], Entry] | None = None
        for entry in versions.values():
            activation = entry.activations[-1] if at is None and entry.activations else None
            if at is not None:
                activation = entry.activation(at)
            if activation is None or activation.status not in {"active", "deprecated"}:
                continue
            rank = (activation.order, activation.from_at)
            if best is None or rank >= best[0]:
                best = (rank, entry)
        return best[1] if best else None

    def _highest(
        self, name: str, versions: str | None, contract: ContractRef, at: int, capability: str | None
    ) -> AgentRef | None:
        """Return the highest version of an agent that may take *contract*, and offers *capability*, or None."""
        document = self.contract(contract)
        fitting: list[str] = []
        for version, entry in self._entries.get(("Agent", name), {}).items():
            agent = cast("Agent", entry.document)
            taken = agent.accepted_range(contract.name)
            if taken is None or not entry.in_force(at) or not _lies_in(contract.version, taken):
                continue
            if versions is not None and not _lies_in(version, versions):
                continue
            if capability is not None and capability not in agent.spec.offers:
                continue
            if document is not None and document.spec.consumers:
                parties = (*document.spec.consumers, *document.spec.fallbacks)
                if not any(p.agent == name and _lies_in(version, p.versions) for p in parties):
                    continue
            fitting.append(version)
        if not fitting:
            return None
        return AgentRef(agent=name, version=max(fitting, key=parse_version))


def _fits_nothing(target: Target, contract: ContractRef) -> bool:
    """Say whether nobody can be meant: an answer is kept with its question, which an agent may make very long."""
    asked = (target.agent, target.versions, target.capability, contract.name, contract.version)
    return any(one is not None and len(one) > _MOST_CHARACTERS for one in asked)


@lru_cache(maxsize=4096)
def _lies_in(version: str, wanted: str) -> bool:
    """Say whether a version lies in a range; thousands of agents that offer the same are asked the same."""
    return lies_in(version, wanted)


def _retired(claims: Iterable[tuple[int, str, str, GateMode]]) -> frozenset[str]:
    """Return which gates are retired; of each claim its place, whose it is, to whose place, and in which mode."""
    above: dict[str, list[str]] = {}
    retired: set[str] = set()
    for _, name, gone, mode in sorted(claims, reverse=True):
        if gone in _all_above(name, above):
            continue  # nobody's place is taken by whom it has taken the place of itself
        above.setdefault(gone, []).append(name)
        if mode == "enforce":
            retired.add(gone)
    return frozenset(retired)


def _all_above(name: str, above: Mapping[str, Sequence[str]]) -> set[str]:
    """Return *name*, whoever takes its place, and whoever takes theirs."""
    found: set[str] = set()
    rest = [name]
    while rest:
        one = rest.pop()
        if one not in found:
            found.add(one)
            rest += above.get(one, ())
    return found


def _as_published(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries of one topic in the order in which they were published."""
    return sorted(entries, key=lambda entry: entry.order)
