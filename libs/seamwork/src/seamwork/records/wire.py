"""
Read and write whole records: headers, envelope, signature, body.

``read`` never raises and never skips: what cannot be read comes back as ``Malformed`` with a rule, so that a gate
can answer it by its position. ``compose`` is its inverse. Topics are named without the platform's prefix here;
``seamwork.bus`` puts it on and takes it off.
"""

import base64
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

import msgspec
from msgspec.structs import force_setattr

from seamwork.ids import length_prefixed, sha256_hex
from seamwork.records.base import Envelope
from seamwork.records.crossing import AnyCrossing, Handoff, Plan, Result
from seamwork.records.envelope import AnyEnvelope, EnvelopeError, decode, decode_known, encode
from seamwork.records.parties import Position
from seamwork.records.verdict import Verdict

SW_ENVELOPE = "sw_envelope"
SW_SIG = "sw_sig"
SW_KID = "sw_kid"
SW_CROSSING = "sw_crossing"
SW_CROSSING_SIG = "sw_crossing_sig"
SW_CROSSING_KID = "sw_crossing_kid"
SW_CHILDREN = "sw_children"
TRACEPARENT = "traceparent"

_LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z

_SMALL_BYTES = 8 * 1024

_AROUND_HEADER = 100
"""Bytes of objects around the name and the value of a header, which may both be empty."""

_LONGEST_TOPIC = 249  # for a broker

_LONGEST_TRACE = 256
"""The first version of W3C Trace Context has 55 characters, later ones may add to it."""

RECORD_TYPE = b"application/vnd.seamwork.record.v1"

Header = tuple[str, bytes | None]
R_co = TypeVar("R_co", bound=Envelope, covariant=True)


class RawRecord(msgspec.Struct, frozen=True, gc=False):
    """
    A record as the log holds it; nothing of it is decoded.

    *appended_at* is the broker's append time in milliseconds (LogAppendTime). *value* null is a tombstone.

    *weight* is how many bytes it holds, in key, value and headers: of most records the envelope, a header, is the
    larger part; and whoever writes one may make any part large, or half a million headers of nothing at all: what
    Python puts around each of them counts as well. It is counted here, once: a shelf, a cache and every reader that
    gathers ask for it.
    """

    topic: str
    partition: int
    offset: int
    appended_at: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    weight: int = 0

    def __post_init__(self) -> None:
        of_headers = sum([_AROUND_HEADER + len(name) + len(value or b"") for name, value in self.headers])
        force_setattr(self, "weight", len(self.key or b"") + len(self.value or b"") + of_headers)

    @property
    def position(self) -> Position:
        """Where it lies in its topic."""
        return Position(partition=self.partition, offset=self.offset)


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A record to be published. *partition* null means that the key decides."""

    topic: str
    key: bytes
    value: bytes | None
    headers: tuple[Header, ...] = ()
    partition: int | None = None


class Received(msgspec.Struct, Generic[R_co], frozen=True):
    """
    A record that could be read. Nothing is verified yet: not the signature, not the payload's digest.

    *digest* is the digest of the record (``record_digest``).
    """

    raw: RawRecord
    key: str
    envelope: bytes
    record: R_co
    digest: str
    kid: str | None = None
    sig: str | None = None
    traceparent: str | None = None

    @property
    def payload(self) -> bytes:
        """The body; a tombstone never gets here for a crossing."""
        return self.raw.value or b""

    @property
    def position(self) -> Position:
        """Where it lies in its topic."""
        return self.raw.position


class Malformed(msgspec.Struct, frozen=True):
    """A record that could not be read, with the stable name of why. Its digest covers what there was."""

    raw: RawRecord
    digest: str
    rule: str
    reason: str

    @property
    def position(self) -> Position:
        """Where it lies in its topic."""
        return self.raw.position


class Signer(Protocol):
    """Whoever can sign a record (``seamwork.grants.SigningKey``)."""

    @property
    def kid(self) -> str:
        """The key's id."""

    def sign(self, data: bytes) -> str:
        """Return the signature over *data* as base64."""


def signed_bytes(platform: str, topic: str, key: bytes, envelope: bytes) -> bytes:
    """
    Return what a signature covers.

    Args:
        platform: The platform's id, so that no record counts on another platform.
        topic: The topic's name without prefix.
        key: The record's key.
        envelope: The exact bytes of ``sw_envelope``; they hold the payload's SHA-256.
    """
    # A stamp that is not verified yet names the topic, and may name it at any length.
    stem_of = _signed_stem if len(topic) <= _LONGEST_TOPIC else _signed_stem.__wrapped__
    return stem_of(platform, topic) + b" %d %b %d %b" % (len(key), key, len(envelope), envelope)


@lru_cache(maxsize=1024)
def _signed_stem(platform: str, topic: str) -> bytes:
    return length_prefixed(RECORD_TYPE, platform.encode(), topic.encode())


def record_digest(platform: str, topic: str, key: bytes, envelope: bytes) -> str:
    """Return the digest by which verdicts, stamps and journals name a record."""
    return sha256_hex(signed_bytes(platform, topic, key, envelope))


class _Readings:
    """
    What the latest records read as, by the very object that was read; a record is never changed.

    Services that share a process are given the same objects, and each of them reads them. Threads may read at the
    same time: each step here is one call that none of them can come between.
    """

    def __init__(self) -> None:
        self.most = 0
        self._known: OrderedDict[int, tuple[RawRecord, str, Received[AnyEnvelope]]] = OrderedDict()

    def get(self, raw: RawRecord, platform: str) -> "Received[AnyEnvelope] | None":
        known = self._known.get(id(raw))
        # It is kept with what it was read from, so no other object has its place in memory meanwhile.
        return known[2] if known is not None and known[1] == platform else None

    def put(self, raw: RawRecord, platform: str, found: "Received[AnyEnvelope]") -> None:
        if raw.weight > _SMALL_BYTES:
            return  # what is large is large for longer, and reading it is the smaller part of its cost
        self._known[id(raw)] = raw, platform, found
        while len(self._known) > self.most:
            self._known.popitem(last=False)


_readings = _Readings()


def remember_readings(most: int) -> None:
    """Remember what the latest *most* small records read as, in this process, from now on; 0 for none."""
    _readings.most = most


def read(raw: RawRecord, platform: str) -> "Received[AnyEnvelope] | Malformed":
    """Read one record; what is wrong with it is part of the answer, never an exception."""
    if not _readings.most:
        return _read(raw, platform)
    found: Received[AnyEnvelope] | Malformed | None = _readings.get(raw, platform)
    if found is None:
        found = _read(raw, platform)
        if isinstance(found, Received):
            _readings.put(raw, platform, found)
    return found


def read_known(raw: RawRecord, platform: str) -> "Received[AnyEnvelope] | Malformed":
    """
    Read what is known here of a record whose envelope may say more; envelope and digest are of all that it says.

    Only for what the router was verified to have signed.
    """
    return _read(raw, platform, decode_known)


def _read(
    raw: RawRecord, platform: str, reading: Callable[[bytes], AnyEnvelope] = decode
) -> "Received[AnyEnvelope] | Malformed":
    found = dict(raw.headers)
    envelope = b""
    try:
        if len(found) != len(raw.headers):
            raise EnvelopeError("duplicate-header", f"the header {_twice(raw.headers)!r} stands twice")
        envelope = found.get(SW_ENVELOPE) or b""
        if raw.key is None:
            raise EnvelopeError("no-key", "the record has no key; the key is the task's id")
        if not envelope:
            raise EnvelopeError("no-envelope", "the record has no header sw_envelope")
        return Received(
            raw=raw,
            key=_text(raw.key, "key"),
            envelope=envelope,
            record=reading(envelope),
            digest=record_digest(platform, raw.topic, raw.key, envelope),
            kid=_optional(found, SW_KID),
            sig=_optional(found, SW_SIG),
            traceparent=_trace(_optional(found, TRACEPARENT)),
        )
    except EnvelopeError as error:
        digest = record_digest(platform, raw.topic, raw.key or b"", envelope)
        return Malformed(raw=raw, digest=digest, rule=error.rule, reason=str(error))


def _twice(headers: Iterable[Header]) -> str:
    seen: set[str] = set()
    return next(name for name, _ in headers if name in seen or seen.add(name))  # type: ignore[func-returns-value]


def compose(  # noqa: PLR0913  # one argument for each part of a record
    platform: str,
    topic: str,
    key: str,
    record: Envelope,
    *,
    payload: bytes | None = b"",
    partition: int | None = None,
    signer: Signer | None = None,
    traceparent: str | None = None,
    extra: Iterable[Header] = (),
) -> Outgoing:
    """Put a record together; *signer* signs it, null leaves it unsigned (topics that ACLs protect)."""
    envelope = encode(record)
    raw_key = key.encode()
    headers = [*cloud_event(platform, topic, raw_key, envelope, record), (SW_ENVELOPE, envelope)]
    if signer is not None:
        signature = signer.sign(signed_bytes(platform, topic, raw_key, envelope))
        headers += [(SW_SIG, signature.encode()), (SW_KID, signer.kid.encode())]
    if traceparent is not None:
        headers.append((TRACEPARENT, traceparent.encode()))
    headers += extra
    return Outgoing(topic=topic, key=raw_key, value=payload, headers=tuple(headers), partition=partition)


def cloud_event(platform: str, topic: str, key: bytes, envelope: bytes, record: Envelope) -> Sequence[Header]:
    """
    Return the CloudEvents 1.0 attributes (Kafka binding, binary mode) that repeat parts of the envelope.

    ``ce_id`` is the record's own id, or its digest where it has none.
    """
    headers = [("content-type", b"application/json"), *_repeated(platform, topic, key, envelope, record)]
    if isinstance(record, Handoff | Result | Plan):
        headers.append(("ce_time", rfc3339(record.sent_at).encode()))
    return headers


def _repeated(platform: str, topic: str, key: bytes, envelope: bytes, record: Envelope) -> list[Header]:
    """Return the attributes that say what the envelope says: all but the sender's own clock and media type."""
    identity = getattr(record, "id", None) or record_digest(platform, topic, key, envelope)
    headers: list[Header] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", identity.encode()),
        ("ce_source", _source(record).encode()),
        ("ce_type", _ce_type(type(record))),
        ("ce_subject", key),
    ]
    if isinstance(record, Handoff | Result | Plan):
        schema = f"seamwork:contract/{record.contract.name}/{record.contract.version}"
        headers.append(("ce_dataschema", schema.encode()))
    return headers


def cloud_event_difference(received: Received[AnyCrossing]) -> str | None:
    """Name the first ``ce_*`` attribute that is missing or differs from the envelope, or return None."""
    raw = received.raw
    headers = dict(raw.headers)
    for name, value in _repeated("", raw.topic, raw.key or b"", received.envelope, received.record):
        if headers.get(name) != value:
            return name
    return None


def ce_type(record: Envelope) -> str:
    """Return the CloudEvents type of a record: reverse DNS, the envelope's own type, the wire's version."""
    return _ce_type(type(record)).decode()


@lru_cache(maxsize=128)
def _ce_type(kind: type[Envelope]) -> bytes:
    return f"dev.seamwork.{kind.__struct_config__.tag}.v1".encode()


def rfc3339(unix_ms: int) -> str:
    """Write an instant as RFC 3339 in UTC with milliseconds; what lies past the year 9999 as the end of that."""
    seconds, ms = divmod(min(unix_ms, _LAST_MS), 1000)
    return f"{_to_the_second(seconds)}.{ms:03d}Z"


@lru_cache(maxsize=64)
def _to_the_second(unix_s: int) -> str:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=unix_s)
    return instant.isoformat().replace("+00:00", "")


def _source(record: Envelope) -> str:
    if isinstance(record, AnyCrossing):
        return f"/agents/{record.source.agent}/{record.source.version}"
    if isinstance(record, Verdict):
        return f"/gates/{record.gate}/{record.gate_version}"
    return "/seamwork"


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EnvelopeError("not-utf-8", f"the {what} is not UTF-8") from error


def _optional(found: dict[str, bytes | None], name: str) -> str | None:
    value = found.get(name)
    return None if value is None else _text(value, f"header {name}")


def traceparent_of(raw: RawRecord) -> str | None:
    """Return a record's ``traceparent``, readable or not the rest of it, where it has one."""
    for name, value in raw.headers:
        if name == TRACEPARENT:
            return _trace(value.decode("ascii")) if value is not None and value.isascii() else None
    return None


def _trace(traceparent: str | None) -> str | None:
    """Return what goes on to all that follows from a record: what is longer than any trace's name is none."""
    return traceparent if traceparent is not None and len(traceparent) <= _LONGEST_TRACE else None


def base64_text(data: bytes) -> str:
    """Return *data* as standard base64, padded."""
    return base64.b64encode(data).decode("ascii")
