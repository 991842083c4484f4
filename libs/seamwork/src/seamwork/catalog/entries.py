"""What the catalog hands out: documents with what their activations make of them."""

from dataclasses import dataclass, field
from typing import Literal, cast

from seamwork.documents.agent import Agent
from seamwork.documents.key import Key
from seamwork.documents.kinds import AnyDocument
from seamwork.documents.person import Person
from seamwork.documents.policy import Policy
from seamwork.documents.shape import instant_ms
from seamwork.records.parties import AgentRef, DocumentRef

Status = Literal["draft", "active", "deprecated", "retired", "revoked"]
GateMode = Literal["enforce", "canary", "shadow"]
Mode = Literal["enforce", "canary", "shadow", "breaker-open", "breaker-closed", "paused"]
"""What an activation sets besides the status: how a gate counts, an agent's breaker by hand, or a pause."""
IN_FORCE: frozenset[str] = frozenset({"active", "deprecated"})
"""The statuses in which a version may be used; a deprecated one is announced besides."""
NOT_YET: frozenset[str | None] = frozenset({None, "draft"})
"""The statuses of a version that nothing ever put in force; one that was taken back is another matter."""


@dataclass(frozen=True, slots=True)
class Activation:
    """
    One change of a version's status. It holds from *from_at* (ms) on; of several that hold the last one wins.

    *order* is the activation's offset in its topic, *appended_at* when it came to lie there (ms; 0 where it comes
    from none). A deprecated version has a *successor* and ends at *ends_at*; a gate in ``canary`` counts for a
    *share* of a hundred tasks.
    """

    status: Status
    mode: Mode | None
    from_at: int
    order: int = 0
    ends_at: int | None = None
    successor: str | None = None
    appended_at: int = 0
    share: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One version of one document, with the digest of its bytes and all its activations in their order.

    *appended_at* is when it was published (ms), *order* its offset in its topic; 0 where it comes from none.
    """

    document: AnyDocument
    digest: str
    activations: tuple[Activation, ...] = ()
    appended_at: int = 0
    order: int = 0

    @property
    def ref(self) -> DocumentRef:
        """The name by which a verdict says that it consulted this document."""
        document = self.document
        return DocumentRef(
            kind=document.kind, name=document.name, version=document.version, digest=self.digest
        )

    def activation(self, at: int) -> Activation | None:
        """Return what holds at *at*, or None where nothing ever made the version hold."""
        for activation in reversed(self.activations):
            if activation.from_at <= at:
                return activation
        return None

    def status(self, at: int) -> Status | None:
        """Return the status at *at*, or None where the version was never activated."""
        activation = self.activation(at)
        return None if activation is None else activation.status

    def in_force(self, at: int) -> bool:
        """Say whether the version may be used at *at*."""
        return self.status(at) in IN_FORCE


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """One version of an agent that is in force."""

    ref: AgentRef
    document: Agent
    digest: str


@dataclass(frozen=True, slots=True)
class PersonEntry:
    """A person as the version in force describes them."""

    document: Person
    digest: str


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A policy as the version in force has it."""

    document: Policy
    ref: DocumentRef


@dataclass(frozen=True, slots=True)
class GateInForce:
    """
    A gate that judges at this instant, in which mode and for how long the router waits for it.

    *replaces* names the gate whose place it takes; in ``canary`` for a *share* of a hundred tasks.
    """

    name: str
    version: str
    role: str
    mode: GateMode
    required_for: tuple[Literal["handoff", "result"], ...]
    deadline_ms: int
    ref: DocumentRef
    replaces: str | None = None
    share: int | None = None

    @property
    def title(self) -> str:
        """Name and version in one: ``policy-engine-2@1.0.0``."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """
    The public half of a key and who holds it.

    *holder* is ``agent:<name>``, ``person:<name>``, ``service:<name>`` or ``publisher:<name>``; *versions* are the
    agent versions that list the key, empty for other holders. It may sign while ``not_before <= at < not_after``
    (ms) and while it is not revoked with the documents that list it, *listed*.
    """

    kid: str
    public: str
    holder: str
    versions: tuple[str, ...] = ()
    not_before: int | None = None
    not_after: int | None = None
    listed: tuple[Entry, ...] = field(default=(), compare=False, repr=False)

    def revoked(self, at: int) -> bool:
        """
        Say whether the key is revoked at *at*: with one document that lists it, while no other one stands for it.

        One that was published and never put in force stands for nothing, or a draft would give a key back.
        """
        revoked = False
        for entry in self.listed:  # each record asks, and an agent's every version may list its key
            told = entry.status(at)
            if told != "revoked" and told not in NOT_YET:
                return False
            revoked = revoked or told == "revoked"
        return revoked

    def valid_at(self, at: int) -> bool:
        """Say whether what was appended at *at* may be signed with this key."""
        if self.not_before is not None and at < self.not_before:
            return False
        if self.not_after is not None and at >= self.not_after:
            return False
        return not self.revoked(at)


def listed_by(entry: Entry, known: KeyEntry | None = None) -> KeyEntry:
    """Return the key that a ``Key`` describes; *known* is what an earlier one has said of the same id."""
    spec = cast("Key", entry.document).spec
    holder = f"{spec.purpose}:{spec.holder}"
    same = known is not None and (known.public, known.holder) == (spec.public, holder)
    return KeyEntry(
        kid=spec.kid,
        public=spec.public,
        holder=holder,
        not_before=instant_ms(spec.not_before) if spec.not_before else None,
        not_after=instant_ms(spec.not_after) if spec.not_after else None,
        listed=(*(known.listed if known is not None and same else ()), entry),
    )
