"""Describe what a gate says of one attempt of one crossing."""

from typing import Literal

from seamwork.records.authority import Authority, Constraint
from seamwork.records.base import Envelope, Wire
from seamwork.records.delivery import Delivered
from seamwork.records.enforcement import Spared
from seamwork.records.parties import AgentRef, ContractRef, DocumentRef, Revision, Subject

VerdictOutcome = Literal["ALLOW", "ALLOW_WITH_CONSTRAINTS", "THROTTLE", "REQUIRE_APPROVAL", "DENY"]

STRICTNESS: dict[str, int] = {
    "ALLOW": 0,
    "ALLOW_WITH_CONSTRAINTS": 1,
    "THROTTLE": 2,
    "REQUIRE_APPROVAL": 3,
    "DENY": 4,
}
"""How outcomes combine: the strictest of all required gates wins."""


class Approvers(Wire, frozen=True, kw_only=True):
    """Who must say yes: *count* different people, each with one of *roles*, or one of *people* by name."""

    roles: tuple[str, ...] = ()
    count: int = 1
    people: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """How a sentence calls them."""
        return ", ".join((*self.roles, *self.people))


class SignedRecord(Wire, frozen=True, kw_only=True):
    """A record carried as evidence, with all that its signature covers."""

    topic: str
    key: str
    envelope: str
    kid: str
    sig: str


class Warned(Wire, frozen=True, kw_only=True):
    """A rule that did not hold and does not refuse; *would* is what it would demand if its policy were enforced."""

    rule: str
    reason: str
    would: str | None = None


class Verdict(Envelope, frozen=True, kw_only=True, tag="verdict"):
    """
    One gate's vote. The first per (subject, gate) counts; a late or second one is only recorded.

    *outcome* is a plain string on the wire, because an unknown one must count as ``DENY`` and not fail to parse.
    *candidates* are those the gate admits, null where it has no opinion. *authority* and *constraints* narrow what
    the receiver gets; *not_before* postpones it; *approvers* say who must be asked. *evidence* holds the signed
    answers of people. *crossing* and *task* are null for a record that could not be read. *contract* is the version
    that was judged by, where the crossing left a choice. *spared* stands beside a ``DENY`` that is not enforced
    along this flow. *delivered* is what the receiver is to get, where that is not all that was sent, or is counted.
    """

    gate: str
    gate_version: str
    subject: Subject
    task: str | None = None
    crossing: str | None = None
    outcome: str
    rule: str
    reason: str
    candidates: tuple[AgentRef, ...] | None = None
    contract: ContractRef | None = None
    constraints: tuple[Constraint, ...] = ()
    authority: Authority | None = None
    not_before: int | None = None
    approvers: tuple[Approvers, ...] = ()
    warnings: tuple[Warned, ...] = ()
    evidence: tuple[SignedRecord, ...] = ()
    consulted: tuple[DocumentRef, ...] = ()
    revision: Revision
    judged_at: int
    risk: int = 0
    sender_verified: bool = False
    spared: Spared | None = None
    delivered: Delivered | None = None
