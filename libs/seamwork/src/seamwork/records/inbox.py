"""
Describe what the router writes into inboxes: work, answers, notices.

**The stamp is the envelope of the ``work`` record.** The router signs that record as it signs every record of an
inbox, over platform, topic, key and envelope; an agent carries the envelope and the signature along in what it
writes, and whoever reads it can verify the one signature offline. The crossing that is dispatched travels beside it
unchanged: its envelope and signature in headers of their own, its payload as the body.
"""

from typing import Literal

import msgspec

from seamwork.records.authority import Authority, Constraint
from seamwork.records.base import Envelope, Wire
from seamwork.records.crossing import Gap, Mode, Outcome
from seamwork.records.delivery import Delivered
from seamwork.records.enforcement import Enforcement
from seamwork.records.parties import AgentRef, ContractRef, DocumentRef, Position, Revision

LAPSED = frozenset({"stamp-closed", "stamp-ran-out", "stopping", "expired"})
"""Refusals for how things stood with a dispatch, or when a record came: under the next one it is judged anew."""


class Child(Wire, frozen=True, kw_only=True):
    """A finished child of the crossing that is dispatched again: its answer follows as a record of its own."""

    step: str
    ordinal: int
    id: str
    outcome: Outcome
    digest: str


class Work(Envelope, frozen=True, kw_only=True, tag="work"):
    """
    The stamp: what the receiver may do, for which crossing, until when. It opens a dispatch.

    *position* and *digest* are those of the crossing in ``handoffs``. *contract* judges what the receiver sends
    back; *return_contracts* are those of the places it took over by transfers, which its result must satisfy too.
    *lineage* holds the agents above it, the initiator first. *tenant*, *team*, *labels* and *budgets* come from the
    initiator's document. *in_place_of* is the sender of escalated work that a desk got, in whose place it puts the
    work back. *children_sha256* binds the list in the header ``sw_children``, null where there is none. *delivered*
    is what the body is, where the contract strips fields or counts context; else the body is the crossing's own.
    *enforcement* other than ``enforce`` marks ungoverned work: it may have crossed although its contract or a
    policy refuses it, and what the receiver sends back is judged in the same mode.
    """

    platform: str
    task: str
    crossing: str
    position: Position
    digest: str
    dispatch: str
    attempt: int
    mode: Mode
    agent: str
    version: str
    contract: ContractRef
    return_contracts: tuple[ContractRef, ...] = ()
    authority: Authority
    constraints: tuple[Constraint, ...] = ()
    ceiling_micro_usd: int
    issued_at: int
    not_after: int
    intent_sha256: str
    parent: str | None = None
    initiator: AgentRef
    lineage: tuple[str, ...]
    tenant: str | None = None
    team: str | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    budgets: tuple[str, ...] = ()
    in_place_of: AgentRef | None = None
    children_sha256: str | None = None
    enforcement: Enforcement = "enforce"
    delivered: Delivered | None = None


class Answer(Envelope, frozen=True, kw_only=True, tag="answer"):
    """
    An accepted result on its way to whoever waits for it. It opens nothing.

    *dispatch* is the waiting agent's (null for an initiator), *child* the handoff answered, *result* the crossing
    that answers it, at *position* with *digest*; its envelope and signature travel in headers, its payload as body.
    *outcome* is what the result counts as, which may be less than it says: *gaps* are what is missing below it.
    *delivered* is as in ``work``.
    """

    task: str
    agent: str
    version: str
    dispatch: str | None = None
    child: str
    step: str
    ordinal: int
    result: str
    position: Position
    digest: str
    outcome: Outcome
    contract: ContractRef
    issued_at: int
    gaps: tuple[Gap, ...] = ()
    delivered: Delivered | None = None


class Notice(Envelope, frozen=True, kw_only=True, tag="notice"):
    """
    Word of what became of something the agent sent or holds; no crossing.

    *about* is the crossing spoken of, *dispatch* the receiver's dispatch it concerns. After a refused result
    *corrections_left* says how many further answers the contract allows.
    """

    id: str
    task: str
    agent: str
    version: str
    what: Literal["accepted", "refused", "failed", "cancelled", "expired"]
    about: str
    dispatch: str | None = None
    step: str | None = None
    ordinal: int | None = None
    gate: str | None = None
    rule: str | None = None
    reason: str | None = None
    consulted: tuple[DocumentRef, ...] = ()
    corrections_left: int = 0
    revision: Revision = Revision()
    issued_at: int
