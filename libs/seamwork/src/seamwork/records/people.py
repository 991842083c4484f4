"""Describe what people are asked and what they say: approval requests, replies, commands."""

from typing import Literal

from seamwork.records.authority import Authority, Constraint
from seamwork.records.base import Envelope
from seamwork.records.parties import AgentRef, ContractRef, Position, Subject, Target
from seamwork.records.verdict import Approvers


class ApprovalRequest(Envelope, frozen=True, kw_only=True, tag="approval-request"):
    """
    A question to named roles about one action, readable and masked.

    *id* binds the crossing's position and *action_sha256*; a reply is signed over both. *state*, *proposed*,
    *asked*, *on_approve* and *on_reject* are the contract's own sentences, filled in.
    """

    id: str
    task: str
    crossing: str
    subject: Subject
    action_sha256: str
    approvers: tuple[Approvers, ...]
    source: AgentRef
    receiver: AgentRef
    contract: ContractRef
    authority: Authority
    constraints: tuple[Constraint, ...] = ()
    intent: str
    state: str
    proposed: str
    asked: str
    on_approve: str
    on_reject: str
    asked_at: int
    expires_at: int


class ApprovalEnd(Envelope, frozen=True, kw_only=True, tag="approval-end"):
    """How a request ended. Expired is not rejected; withdrawn means that nobody needs the answer any more."""

    id: str
    task: str
    how: Literal["approved", "rejected", "expired", "withdrawn"]
    people: tuple[str, ...] = ()
    ended_at: int


class Reply(Envelope, frozen=True, kw_only=True, tag="reply"):
    """One person's signed answer to one request."""

    id: str
    request: str
    task: str
    action_sha256: str
    person: str
    answer: Literal["approve", "reject"]
    note: str = ""
    answered_at: int


How = Literal["retry", "replace", "reroute", "skip", "fail"]
"""How a person resolves a case."""


class Command(Envelope, frozen=True, kw_only=True, tag="command"):
    """
    What a person orders for one task, or did with a dead letter.

    A ``resolve`` travels inside the crossing that it orders (its field *order*), never alone: *case* and *how* say
    what is resolved and in which way, *target* whom the work goes to, *payload_sha256* binds what it carries. A
    ``drill`` travels in the root that it begins. ``put-back`` and ``discard`` order nothing: they mark the *letter*
    at that place of the topic of dead letters, which stands in *task* too, as ``partition/offset``.
    """

    id: str
    task: str
    person: str
    action: Literal["cancel", "resolve", "requeue", "drill", "put-back", "discard"]
    crossing: str | None = None
    reason: str = ""
    case: str | None = None
    how: How | None = None
    target: Target | None = None
    payload_sha256: str | None = None
    letter: Position | None = None
    ordered_at: int
