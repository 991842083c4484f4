"""
Examine what lies in an agent's inbox: believed is only what the router signed for exactly this agent.

Pure. Whatever is wrong with a record comes back as ``Suspect`` with a stable rule; it is never run and never stops
those behind it. What the router has signed may say more than is known here: that is passed over, field by field and
type by type. What still cannot be read is ``Unreadable``, and nobody's to pass over.
"""

from dataclasses import dataclass

import msgspec

from seamwork.agent.keyring import KeyRing
from seamwork.errors import MisconfiguredError
from seamwork.grants.keys import verifies
from seamwork.ids import sha256_hex
from seamwork.records.crossing import CarriedStamp, Handoff, Result
from seamwork.records.delivery import Delivered
from seamwork.records.envelope import (
    AnyEnvelope,
    EnvelopeError,
    decode,
    decode_known,
    names_unknown_type,
)
from seamwork.records.inbox import Answer, Child, Notice, Work
from seamwork.records.known import known_part
from seamwork.records.parties import AgentRef
from seamwork.records.wire import (
    SW_CHILDREN,
    SW_CROSSING,
    SW_ENVELOPE,
    SW_KID,
    SW_SIG,
    Malformed,
    RawRecord,
    Received,
    ce_type,
    read,
    read_known,
    record_digest,
    signed_bytes,
)

HANDOFFS = "handoffs.v1"

_children = msgspec.json.Decoder(tuple[Child, ...])


@dataclass(frozen=True, slots=True)
class Offer:
    """Work that was admitted for this agent: it may act on it, under *stamp*. *size* is its record's, in bytes."""

    work: Work
    stamp: CarriedStamp
    handoff: Handoff
    payload: bytes
    children: tuple[Child, ...]
    traceparent: str | None
    size: int


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


@dataclass(frozen=True, slots=True)
class Unknown:
    """A record that the router signed, of a type that is not known here: there is nothing to do about it."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that the router signed for this version, and that cannot be read here: a sentence that says why."""

    reason: str

    def error(self, raw: RawRecord) -> MisconfiguredError:
        """Return the error that whoever reads this inbox ends with."""
        return MisconfiguredError(
            f"{raw.topic}/{raw.partition}/{raw.offset} is the router's and cannot be read: {self.reason}. It says "
            "more than this version of seamwork knows; install a newer one and start again"
        )


Examined = Offer | Answered | Told | Elsewhere | Suspect | Unknown | Unreadable


class _Addressee(msgspec.Struct):
    agent: str
    version: str


class _SuspectError(Exception):
    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(rule)
        self.suspect = Suspect(rule, reason)


class _UnreadableError(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.unreadable = Unreadable(reason)


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
    try:
        if isinstance(received, Malformed):
            return _saying_more(received, platform, me, ring)
        _refuse_forged(raw, platform, ring)
        return _examined(received, platform, me)
    except _SuspectError as error:
        return error.suspect
    except _UnreadableError as error:
        return error.unreadable


def _saying_more(malformed: Malformed, platform: str, me: AgentRef, ring: KeyRing) -> Examined:
    """Examine what does not fit the types that are known here, as far as the router may be who says more."""
    raw = malformed.raw
    try:
        if malformed.rule != "envelope-malformed":
            raise _SuspectError(malformed.rule, malformed.reason)
        _refuse_forged(raw, platform, ring)
    except _SuspectError:
        return Suspect(malformed.rule, malformed.reason)
    envelope = dict(raw.headers)[SW_ENVELOPE] or b""
    if names_unknown_type(envelope):
        return Unknown()
    received = read_known(raw, platform)
    if isinstance(received, Received) and _header(received, "ce_type") == ce_type(received.record).encode():
        return _examined(received, platform, me)
    # It cannot be read, or says by its version that passing over what is not known would not be safe.
    try:
        named = msgspec.json.decode(envelope, type=_Addressee)
    except (msgspec.DecodeError, RecursionError):
        named = _Addressee(me.agent, me.version)
    if named.agent != me.agent:
        raise _SuspectError("not-for-this-agent", "the field agent names another agent than this inbox's")
    if named.version != me.version:
        return Elsewhere(named.version)
    raise _UnreadableError(malformed.reason)


def _refuse_forged(raw: RawRecord, platform: str, ring: KeyRing) -> None:
    headers = dict(raw.headers)
    sig, named = headers.get(SW_SIG), headers.get(SW_KID)
    if sig is None or named is None:
        raise _SuspectError("unsigned", "the record carries no signature; the router signs what it writes")
    kid = named.decode(errors="replace")
    public = ring.public_of(kid, raw.appended_at)
    if public is None:
        raise _SuspectError("not-the-routers-key", f"the key {kid} is not known as the router's")
    signed = signed_bytes(platform, raw.topic, raw.key or b"", headers.get(SW_ENVELOPE) or b"")
    if not verifies(public, signed, sig.decode(errors="replace")):
        raise _SuspectError("bad-signature", f"the signature is not that of {kid} over this record")


def _examined(received: Received[AnyEnvelope], platform: str, me: AgentRef) -> Examined:
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
        size=len(received.payload) + sum(len(value or b"") for _, value in received.raw.headers),
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
        if error.rule != "envelope-malformed":
            raise _SuspectError(error.rule, f"the crossing cannot be read: {error}") from error
    try:
        return decode_known(envelope)  # the router's signature binds it, too
    except EnvelopeError as error:
        raise _UnreadableError(f"the crossing cannot be read: {error}") from error


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
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(known_part(msgspec.json.decode(text), tuple[Child, ...]), tuple[Child, ...])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _UnreadableError(f"the header {SW_CHILDREN} cannot be read: {error}") from error


def _header(received: Received[AnyEnvelope], name: str) -> bytes | None:
    return dict(received.raw.headers).get(name)
