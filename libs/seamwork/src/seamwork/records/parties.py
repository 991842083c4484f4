"""Name who and what a record speaks of: agents, contracts, targets, positions."""

from seamwork.records.base import Wire


class AgentRef(Wire, frozen=True, kw_only=True, order=True):
    """One version of one agent."""

    agent: str
    version: str


class ContractRef(Wire, frozen=True, kw_only=True, order=True):
    """One version of one contract."""

    name: str
    version: str


class Target(Wire, frozen=True, kw_only=True):
    """
    Whom a handoff is meant for: exactly one of *agent* (with an optional version range) and *capability*.

    A target with both or neither is refused by its gates as ``ambiguous-target`` or ``empty-target``; it is not a
    parse error, because the sender must be told.
    """

    agent: str | None = None
    versions: str | None = None
    capability: str | None = None


class Position(Wire, frozen=True, kw_only=True, order=True):
    """A place in one topic that the context names, mostly ``handoffs``."""

    partition: int
    offset: int


class Subject(Wire, frozen=True, kw_only=True, order=True):
    """What a verdict judges: one attempt of the record at one position, bound to its digest."""

    partition: int
    offset: int
    digest: str
    attempt: int = 1

    @property
    def position(self) -> Position:
        """Where in ``handoffs`` the judged record lies."""
        return Position(partition=self.partition, offset=self.offset)


class Revision(Wire, frozen=True, kw_only=True):
    """
    How far a catalog has read: for each document topic the next offset that it has not seen.

    One catalog *reaches* another's revision when none of its three numbers is smaller.
    """

    contracts: int = 0
    registry: int = 0
    policies: int = 0

    def reaches(self, other: "Revision") -> bool:
        """Say whether a catalog at this revision has seen all that one at *other* had."""
        return (
            self.contracts >= other.contracts
            and self.registry >= other.registry
            and self.policies >= other.policies
        )


class DocumentRef(Wire, frozen=True, kw_only=True, order=True):
    """One version of one document, with the digest of its bytes where a reader should be able to prove it."""

    kind: str
    name: str
    version: str
    digest: str | None = None
