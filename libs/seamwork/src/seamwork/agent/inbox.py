"""
Examine what lies in an agent's inbox: believed is only what the router signed for exactly this agent.

Pure. Whatever is wrong with a record comes back as ``Suspect`` with a stable rule; it is never run and never stops
those behind it.
"""

from dataclasses import dataclass

import msgspec

from seamwork.agent.keyring import KeyRing
from seamwork.grants.keys import record_verifies
from seamwork.ids import sha256_hex
from seamwork.records.crossing import CarriedStamp, Handoff, Result
from seamwork.records.delivery import Delivered
from seamwork.records.envelope import AnyEnvelope, EnvelopeError, decode
from seamwork.records.inbox import Answer, Child, Notice, Work
from seamwork.records.parties import AgentRef
from seamwork.records.wire import (
    SW_CHILDREN,
    SW_CROSSING,
    Malformed,
    RawRecord,
    Received,
    read,
    record_digest,
)

HANDOFFS = "handoffs.v1"

_children = msgspec.json.Decoder(tuple[Child, ...])


@dataclass(frozen=True, slots=True)
class Offer:
    """Work that was admitted for this agent: it may act on it, under *stamp*."""

    work: Work
    stamp: CarriedStamp
    handoff: Handoff
    payload: bytes
    children: tuple[Child, ...]
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The accepted result of a handoff that this agent made."""

    answer: Answer
    result: Result
    payload: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """Word of what became of something."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A sound record for another version of this agent."""

    version: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """A record that must not be believed: the stable name of why, and a sentence."""

    rule: str
    reason: str


Examined = Offer | Answered | Told | Elsewhere | Suspect


class _SuspectError(Exception):
    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(rule)
        self.suspect = Suspect(rule, reason)


def examine(raw: RawRecord, platform: str, me: AgentRef, ring: KeyRing) -> Examined:
    """
    Say what a record of the inbox is.

    Args:
        raw: The record.
        platform: The platform's id; a signature made for another one does not count.
        me: Whose inbox it is.
        ring: Finds the router's keys.
    """
    received = read(raw, platform)
    if isinstance(received, Malformed):
        return Suspect(received.rule, received.reason)
    try:
        return _examined(received, platform, me, ring)
    except _SuspectError as error:
        return error.suspect


def _examined(received: Received[AnyEnvelope], platform: str, me: AgentRef, ring: KeyRing) -> Examined:
    if received.sig is None or received.kid is None:
        raise _SuspectError("unsigned", "the record carries no signature; the router signs what it writes")
    public = ring.public_of(received.kid, received.raw.appended_at)
    if public is None:
        raise _SuspectError("not-the-routers-key", f"the key {received.kid} is not known as the router's")
    if not record_verifies(received, platform, lambda _: public):
        raise _SuspectError("bad-signature", f"the signature is not that of {received.kid} over this record")
    record = received.record
    if not isinstance(record, Work | Answer | Notice):
        raise _SuspectError("not-for-an-inbox", "the record is neither work nor an answer nor a notice")
    if record.agent != me.agent:
        raise _SuspectError("not-for-this-agent", "the field agent names another agent than this inbox's")
    if record.task != received.key:
        raise _SuspectError("key-not-the-task", "the record's key is not the task it names")
    if isinstance(record, Work) and record.platform != platform:
        raise _SuspectError("another-platform", "the stamp was made for another platform")
    if record.version != me.version:
        return Elsewhere(record.version)
    match record:
        case Work():
            return _offer(received, record, platform)
        case Answer():
            return _answered(received, record, platform)
        case Notice():
            return Told(record)


def _offer(received: Received[AnyEnvelope], work: Work, platform: str) -> Offer:
    crossing = _crossing(received, work.digest, platform)
    if not isinstance(crossing, Handoff):
        raise _SuspectError("crossing-not-a-handoff", "the crossing that is dispatched is not a handoff")
    if crossing.id != work.crossing or crossing.task != work.task:
        raise _SuspectError("crossing-not-the-stamps", "the stamp names another crossing than it carries")
    _bind_payload(received, crossing.payload_sha256, work.delivered)
    if sha256_hex(crossing.intent.encode()) != work.intent_sha256:
        raise _SuspectError("intent-changed", "the crossing's intent is not the one that the stamp holds")
    return Offer(
        work=work,
        stamp=CarriedStamp(
            envelope=received.envelope.decode("ascii"), kid=received.kid or "", sig=received.sig or ""
        ),
        handoff=crossing,
        payload=received.payload,
        children=_finished_children(received, work),
        traceparent=received.traceparent,
    )


def _answered(received: Received[AnyEnvelope], answer: Answer, platform: str) -> Answered:
    crossing = _crossing(received, answer.digest, platform)
    if not isinstance(crossing, Result):
        raise _SuspectError("crossing-not-a-result", "the crossing that answers is not a result")
    # Its parent need not be the child asked for: after a transfer it answers the handoff that took over.
    if crossing.id != answer.result or crossing.task != answer.task:
        raise _SuspectError("crossing-not-the-answer", "the answer names another result than it carries")
    _bind_payload(received, crossing.payload_sha256, answer.delivered)
    return Answered(answer, crossing, received.payload)


def _crossing(received: Received[AnyEnvelope], digest: str, platform: str) -> AnyEnvelope:
    envelope = _header(received, SW_CROSSING)
    if envelope is None:
        raise _SuspectError("no-crossing", f"the record has no header {SW_CROSSING}")
    if record_digest(platform, HANDOFFS, received.raw.key or b"", envelope) != digest:
        raise _SuspectError(
            "crossing-digest", "the crossing's bytes are not those that the router decided on"
        )
    try:
        return decode(envelope)
    except EnvelopeError as error:
        raise _SuspectError(error.rule, f"the crossing cannot be read: {error}") from error


def _bind_payload(
    received: Received[AnyEnvelope], sent_sha256: str, delivered: Delivered | None = None
) -> None:
    """Hold the body against what was sent, or against what the router says is left of it."""
    if delivered is not None and delivered.sent_sha256 != sent_sha256:
        raise _SuspectError(
            "payload-digest", "delivered.sent_sha256 is not the payload that the crossing was sent with"
        )
    whole = delivered is None or not delivered.projection
    wanted = sent_sha256 if delivered is None or whole else delivered.sha256
    if sha256_hex(received.payload) != wanted:
        raise _SuspectError("payload-digest", "the body is not the payload that is delivered")


def _finished_children(received: Received[AnyEnvelope], work: Work) -> tuple[Child, ...]:
    text = _header(received, SW_CHILDREN)
    if text is None and work.children_sha256 is None:
        return ()
    if text is None or sha256_hex(text) != work.children_sha256:
        raise _SuspectError(
            "children-digest", f"the header {SW_CHILDREN} is not the list that the stamp binds"
        )
    try:
        return _children.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _SuspectError("children-malformed", f"the header {SW_CHILDREN} cannot be read") from error


def _header(received: Received[AnyEnvelope], name: str) -> bytes | None:
    return dict(received.raw.headers).get(name)
