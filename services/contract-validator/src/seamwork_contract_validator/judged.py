"""What the checks answer with, and the platform they stand on."""

from dataclasses import dataclass

import msgspec

from seamwork.records.delivery import Delivered
from seamwork.records.enforcement import Enforcement, Spared
from seamwork.records.parties import AgentRef, ContractRef, DocumentRef
from seamwork.records.verdict import Approvers, Warned


@dataclass(frozen=True, slots=True)
class Platform:
    """The platform's id and how many partitions ``handoffs`` has."""

    id: str
    partitions: int


class Denied(msgspec.Struct, frozen=True):
    """
    A check failed: its stable *rule* and a *reason* that names fields and no values.

    *sender_verified* says that the signature proved who sent it, so that the sender may be told. *sparing* is the
    strictest mode of a flow that would let the crossing go on all the same, null where none does; *spared* says
    that this flow is in such a mode, *candidates* are then whom it may go to, *delivered* what they get,
    and *asks* who must agree first.
    """

    rule: str
    reason: str
    sender_verified: bool = False
    consulted: tuple[DocumentRef, ...] = ()
    warnings: tuple[Warned, ...] = ()
    contract: ContractRef | None = None
    sparing: Enforcement | None = None
    spared: Spared | None = None
    candidates: tuple[AgentRef, ...] | None = None
    delivered: Delivered | None = None
    asks: tuple[Approvers, ...] | None = None


class Allowed(msgspec.Struct, frozen=True):
    """
    All checks hold. *candidates* are those that may get a handoff, null for everything else.

    *contract* is the version judged by, where the sender left a choice; *delivered* what the receiver is to get,
    where that is not all that was sent, or is counted. With *asks* it goes on once these people have agreed.
    """

    rule: str
    reason: str
    candidates: tuple[AgentRef, ...] | None = None
    consulted: tuple[DocumentRef, ...] = ()
    warnings: tuple[Warned, ...] = ()
    contract: ContractRef | None = None
    delivered: Delivered | None = None
    asks: tuple[Approvers, ...] | None = None
