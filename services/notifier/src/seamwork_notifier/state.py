"""What the notifier decides: that somebody is told of something. It remembers nothing to decide by."""

from typing import Literal

import msgspec

from seamwork.records.base import Wire
from seamwork.records.parties import ContractRef

Kind = Literal[
    "refused", "held", "case", "escalated", "case-expired", "dead-letter", "deprecated", "budget-spent"
]


class Notified(Wire, frozen=True, kw_only=True, tag="notified"):
    """
    One *owner* (``team:seams``, ``person:ada``) is told of one record.

    *id* follows from the record's place and the owner, so that whoever gets it twice can tell. No payload and
    nothing of one is in here: rules and reasons name fields, never values. What has *once* is told once under that
    name, however often it happens. *drill* says that it is of a drill, and nobody's work is concerned.
    """

    id: str
    owner: str
    kind: Kind
    at: int
    topic: str
    partition: int
    offset: int
    task: str | None = None
    crossing: str | None = None
    contract: ContractRef | None = None
    gate: str | None = None
    rule: str = ""
    reason: str = ""
    case: str | None = None
    asked: str | None = None
    until: int | None = None
    once: str | None = None
    drill: bool = False


class Nothing(msgspec.Struct):
    """What is remembered."""


def evolve(state: Nothing, event: Notified) -> Nothing:
    """Change nothing."""
    del event
    return state
