"""
Turn envelopes into bytes and back: one ASCII JSON object, read strictly.

Refused besides what JSON itself refuses: bytes that are not ASCII, an unknown ``type``, an unknown field, a wrong
type, a number below 0 or above ``MOST``, more than ``MAX_DEPTH`` levels, and a key that stands twice in one object
(parsers differ in which one they keep, so two readers would see two records under one signature).
"""

import json
import re
from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from seamwork.errors import UnprocessableError
from seamwork.records.base import MOST, Envelope
from seamwork.records.crossing import Handoff, Plan, Progress, Result, ToolOutput, Usage
from seamwork.records.decision import (
    Accepted,
    BreakerMoved,
    Closed,
    Dispatched,
    Escalated,
    Held,
    JudgeAgain,
    Noted,
    Overrun,
    Refused,
    TaskEnded,
)
from seamwork.records.inbox import Answer, Notice, Work
from seamwork.records.known import known_part
from seamwork.records.people import ApprovalEnd, ApprovalRequest, Command, Reply
from seamwork.records.platform import ActivationRecord, DeadLetter, DocumentRecord, Heartbeat, TreeHead
from seamwork.records.verdict import Verdict

AnyEnvelope = (
    Handoff | Result | Plan | Progress | Usage
    | Work | Answer | Notice
    | Verdict
    | Dispatched | Refused | Held | JudgeAgain | Accepted | Noted | Overrun | Escalated | Closed | TaskEnded
    | BreakerMoved
    | ApprovalRequest | ApprovalEnd | Reply | Command
    | DocumentRecord | ActivationRecord | Heartbeat | DeadLetter | TreeHead
)  # fmt: skip

MAX_ENVELOPE_BYTES = 64 * 1024
"""A quarter of the smallest record limit: an envelope is a description, the payload is the body."""

MAX_DEPTH = 128
"""
How deep an envelope is nested at most: what a tool returned may go as deep as a payload, and it lies in something.
How deep Python itself reads hangs on who calls, and writing ends before reading does: two readers would not agree.
"""

_ASTRAL = 0x10000  # from here on JSON escapes a character as two surrogates
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_OUTSIZE = re.compile(rb":\s*(?:-|[0-9]{16})")
"""
What every number of a field looks like that is out of bounds, and texts hardly ever: ``MOST`` has 16 digits. To
look behind commas and brackets as well takes seven times as long; heartbeats alone have a list of numbers.
"""
_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
"""Strings as a whole, so that no bracket in them is met; one without an end goes to the end."""
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEnvelope] = msgspec.json.Decoder(AnyEnvelope)
_TYPES = frozenset(kind.__struct_config__.tag for kind in get_args(AnyEnvelope))


class _Typed(msgspec.Struct):
    type: str


_typed_decoder = msgspec.json.Decoder(_Typed)


class EnvelopeError(UnprocessableError):
    """The bytes are not an envelope. *rule* is the stable name of what is wrong."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def encode(envelope: Envelope) -> bytes:
    """Return the one ASCII encoding of *envelope*: equal structs give equal bytes."""
    return to_ascii(_encoder.encode(envelope))


def to_ascii(encoded: bytes) -> bytes:
    """Escape what is not ASCII in JSON bytes; outside of strings JSON has nothing but ASCII."""
    if encoded.isascii():
        return encoded
    return _NOT_ASCII.sub(_escape, encoded.decode()).encode("ascii")


def decode(data: bytes) -> AnyEnvelope:
    """
    Read an envelope.

    Raises:
        EnvelopeError: With the rule ``envelope-too-large``, ``envelope-not-ascii``, ``envelope-not-json``,
            ``envelope-duplicate-key`` or ``envelope-malformed``.
    """
    _refuse_form(data)
    try:
        envelope = _decoder.decode(data)
    except msgspec.ValidationError as error:
        refuse_duplicate_keys(data)
        raise EnvelopeError("envelope-malformed", f"the envelope does not fit its type: {error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise EnvelopeError("envelope-not-json", f"the envelope is not JSON: {error}") from error
    if _OUTSIZE.search(data) is not None or isinstance(envelope, Heartbeat):
        _refuse_outsize(envelope, "")
    # What we would have written ourselves has no key twice, and comparing bytes is far cheaper than looking.
    if encode(envelope) != data:
        refuse_duplicate_keys(data)
    return envelope


def decode_known(data: bytes) -> AnyEnvelope:
    """
    Read what is known here of an envelope that may say more; only where the router was verified to have signed it.

    Raises:
        EnvelopeError: As ``decode`` does, but for fields that are not known.
    """
    _refuse_form(data)
    refuse_duplicate_keys(data)
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise EnvelopeError("envelope-not-json", f"the envelope is not JSON: {error}") from error
    return decode(to_ascii(_encoder.encode(known_part(said, AnyEnvelope))))


def names_unknown_type(data: bytes) -> bool:
    """Say whether *data* is an envelope of a type that is not known here."""
    try:
        return _typed_decoder.decode(data).type not in _TYPES
    except (msgspec.DecodeError, RecursionError):
        return False


def _refuse_form(data: bytes) -> None:
    if len(data) > MAX_ENVELOPE_BYTES:
        raise EnvelopeError(
            "envelope-too-large", f"the envelope has {len(data)} bytes, {MAX_ENVELOPE_BYTES} are allowed"
        )
    if not data.isascii():
        raise EnvelopeError("envelope-not-ascii", "the envelope holds bytes that are not ASCII; escape them")
    # Depth needs at least as many brackets, and most envelopes have fewer than the limit.
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
        raise EnvelopeError(
            "envelope-malformed",
            f"the envelope does not fit its type: it is nested deeper than {MAX_DEPTH} levels",
        )


def refuse_duplicate_keys(data: bytes) -> None:
    """
    Read *data* as JSON, only to see that no object holds a key twice.

    Raises:
        EnvelopeError: ``envelope-duplicate-key``, naming the key, or ``envelope-not-json``.
    """
    try:
        json.loads(data, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise EnvelopeError("envelope-not-json", "the envelope is not JSON") from error


def _depth(data: bytes) -> int:
    """Say how deep JSON is nested, or what would be JSON."""
    depth = deepest = 0
    for found in _BRACKETS.finditer(data):
        sign = found[0]
        if sign in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in b"]}":
            depth -= 1
    return deepest


def _refuse_outsize(value: object, name: str) -> None:
    """Refuse a number out of bounds, wherever it stands; what a tool returned may hold any."""
    if isinstance(value, int) and not 0 <= value <= MOST:
        raise EnvelopeError(
            "envelope-malformed", f"the envelope does not fit its type: {name} is not from 0 to {MOST}"
        )
    if isinstance(value, msgspec.Struct) and not isinstance(value, ToolOutput):
        for field in value.__struct_fields__:
            _refuse_outsize(getattr(value, field), f"{name}.{field}" if name else field)
    elif isinstance(value, tuple):
        for one in value:
            _refuse_outsize(one, name)
    elif isinstance(value, Mapping):
        for one in value.values():
            _refuse_outsize(one, name)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise EnvelopeError("envelope-duplicate-key", f"the key {name!r} stands twice in one object")
        seen[name] = value
    return seen


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < _ASTRAL:
        return f"\\u{code:04x}"
    code -= _ASTRAL
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
