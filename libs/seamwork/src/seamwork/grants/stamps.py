"""
Verify a stamp offline: was it the router that let this agent act, on this task, and for how long?

A stamp is the envelope of a ``work`` record, and the router signed that record for the inbox of one agent under the
task's key. So the inbox and the key are not carried along: they follow from the stamp itself, and a stamp moved to
another inbox or task does not verify.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from seamwork.grants.keys import verifies
from seamwork.records.crossing import AnyCrossing, CarriedStamp, Handoff, Plan, Progress, Result, Usage
from seamwork.records.envelope import EnvelopeError, decode
from seamwork.records.inbox import Work
from seamwork.records.parties import AgentRef
from seamwork.records.wire import signed_bytes

ROUTER = "service:router"
_SMALL_BYTES = 8 * 1024
"""Stamps have 1 to 3 KiB. Thousands are remembered, and whoever carries one can make it as large as an envelope."""


class KnownKey(Protocol):
    """A key as the catalog knows it (``seamwork.catalog.KeyEntry``)."""

    @property
    def public(self) -> str:
        """The public key, 32 bytes as base64."""

    @property
    def holder(self) -> str:
        """Whose key it is: ``service:router``, ``agent:extractor``, ``person:ada``."""

    def valid_at(self, at: int) -> bool:
        """Say whether the key counts at the instant *at* (ms)."""


@dataclass(frozen=True, slots=True)
class StampProblem:
    """Why a stamp gives nothing: a stable *rule* and a sentence that names fields and no values of the payload."""

    rule: str
    reason: str


def inbox_topic(agent: str) -> str:
    """Name the inbox of *agent*, without the platform's prefix."""
    return f"inbox.{agent}.v1"


def verify_stamp(
    stamp: CarriedStamp, platform: str, key_of: Callable[[str], KnownKey | None], *, at: int
) -> Work | StampProblem:
    """
    Return the stamp's content if the router signed it, else what is wrong with it.

    It proves who issued the stamp and says nothing of who carries it: ``misfit`` does that. Whether it has run out
    is for the caller (``work.not_after``), because late usage still counts.

    Args:
        stamp: As the crossing carries it.
        platform: The platform's id; a stamp of another platform does not verify.
        key_of: Finds a key by its id.
        at: The instant at which the router's key must count: the append time of the crossing.
    """
    key = key_of(stamp.kid)
    if key is None:
        return StampProblem(
            "stamp-unknown-key", f"no key named {stamp.kid} is known; the router signs stamps"
        )
    if key.holder != ROUTER:
        return StampProblem("stamp-not-the-routers", f"the key {stamp.kid} is not the router's")
    if not key.valid_at(at):
        return StampProblem(
            "stamp-key-not-valid", f"the router's key {stamp.kid} was not valid at append time"
        )
    if not is_small(stamp):
        return _issued.__wrapped__(stamp, platform, key.public)
    return _issued(stamp, platform, key.public)


def is_small(stamp: CarriedStamp) -> bool:
    """Say whether a stamp may be remembered; larger ones are read anew each time."""
    return len(stamp.envelope) + len(stamp.kid) + len(stamp.sig) <= _SMALL_BYTES


@lru_cache(maxsize=2048)  # whatever accompanies a piece of work carries the same stamp, and its result does
def _issued(stamp: CarriedStamp, platform: str, public: str) -> Work | StampProblem:
    try:
        envelope = stamp.envelope.encode("ascii")
        work = decode(envelope)
    except (EnvelopeError, UnicodeEncodeError) as error:
        return StampProblem("stamp-unreadable", f"stamp.envelope cannot be read: {error}")
    if not isinstance(work, Work):
        return StampProblem("stamp-unreadable", "stamp.envelope is not that of a work record")
    data = signed_bytes(platform, inbox_topic(work.agent), work.task.encode(), envelope)
    if not verifies(public, data, stamp.sig):
        return StampProblem("stamp-forged", "stamp.sig is not the router's signature over stamp.envelope")
    if work.platform != platform:
        return StampProblem("stamp-of-another-platform", "the stamp was made for another platform")
    return work


def seam_sender(handoff: Handoff, work: Work | None) -> AgentRef:
    """Return whose seam a handoff crosses: its sender's, a drill's, or that of whose work a desk puts back."""
    if work is None:
        return handoff.source if handoff.drill is None else handoff.drill.in_place_of
    return handoff.source if work.in_place_of is None else work.in_place_of


def misfit(work: Work, crossing: AnyCrossing) -> StampProblem | None:
    """Say why *work* does not entitle the sender of *crossing* to it, or None: the stamp must be its own."""
    if (work.agent, work.version) != (crossing.source.agent, crossing.source.version):
        return StampProblem("stamp-not-yours", "the stamp was issued to another agent or version than source")
    if work.task != crossing.task:
        return StampProblem("stamp-of-another-task", "the stamp belongs to another task than the crossing")
    if work.intent_sha256 != crossing.intent_sha256:
        return StampProblem(
            "intent-changed", "intent_sha256 differs from the initiator's, which the stamp holds"
        )
    match crossing:
        case Handoff():
            if crossing.parent != work.crossing:
                return StampProblem(
                    "parent-not-the-stamps", "parent is not the crossing that the stamp is for"
                )
        case Result() | Plan():
            if crossing.parent != work.crossing:
                return StampProblem(
                    "parent-not-the-stamps", "parent is not the crossing that the stamp is for"
                )
            if crossing.dispatch != work.dispatch:
                return StampProblem(
                    "dispatch-not-the-stamps", "dispatch is not the one that the stamp opened"
                )
        case Progress() | Usage():
            if crossing.dispatch != work.dispatch:
                return StampProblem(
                    "dispatch-not-the-stamps", "dispatch is not the one that the stamp opened"
                )
    return None
