"""
Turn records into rows and back; pure.

A row holds a record whole: whatever was in the log can be made again from it, as long as its body was kept. An
envelope that can be read stands in a column of its own and not in ``headers``.

What a record is believed to be hangs on where it lies, for that says who may have written it: a decision that an
agent put among the crossings is kept, and is none.
"""

from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from seamwork.ids import sha256_hex
from seamwork.records.base import Envelope, tag_of
from seamwork.records.crossing import AnyCrossing, Handoff
from seamwork.records.envelope import AnyEnvelope, decode
from seamwork.records.inbox import Answer, Notice
from seamwork.records.verdict import Verdict
from seamwork.records.wire import (
    SW_ENVELOPE,
    SW_KID,
    SW_SIG,
    TRACEPARENT,
    Malformed,
    RawRecord,
    Received,
    read,
)
from seamwork_audit_sink.topics import RECORDS, family_of

JOURNAL = "journal."
MALFORMED = "malformed"
_BY_DOCUMENT = ("contracts.", "registry.", "policies.")
"""Topics whose key is no task's id."""

HeaderRow = tuple[str, bytes | None] | tuple[str]
"""A header; one without a value is the envelope, which has a column of its own."""

Facts = tuple[str, str | None, str | None, str | None, int, str | None, str | None, str | None]
"""What a row says of its record, from *type* to *reason*."""

Mark = tuple[int, bytes | None, str]
"""When a record was appended, its key, and the digest of its body."""

_WITHOUT: HeaderRow = (SW_ENVELOPE,)
_SHA256_OF_NOTHING = sha256_hex(b"")
_headers = msgspec.msgpack.Encoder()
_read_headers: msgspec.msgpack.Decoder[list[list[Any]]] = msgspec.msgpack.Decoder(list[list[Any]])


class _Tagged(msgspec.Struct):
    type: Literal["claim", "commit"]


_tag = msgspec.json.Decoder(_Tagged)


class Row(NamedTuple):
    """
    One record as it is kept; the order is that of the table's columns.

    *type* is the envelope's tag, for a journal ``claim`` or ``commit``, or ``malformed`` with *rule* and *reason*:
    it cannot be read, or has no place in its topic.
    *task* is the envelope's; where that has none, the key of a topic that is keyed by tasks. *crossing* is the
    crossing spoken of; *root* is 1 for a handoff without a stamp. *headers_sha256* covers the envelope too. *value*
    is null for a tombstone and for a body that was too large to keep; *value_bytes* is null for a tombstone alone.
    """

    topic: str
    partition: int
    offset: int
    appended_at: int
    key: bytes | None
    type: str
    task: str | None
    crossing: str | None
    dispatch: str | None
    root: int
    digest: str | None
    rule: str | None
    reason: str | None
    headers: bytes
    headers_sha256: str
    envelope: str | None
    value: bytes | None
    value_bytes: int | None
    value_sha256: str


def row_of(
    raw: RawRecord, platform: str, keep_value_bytes: int
) -> tuple[Row, Received[AnyEnvelope] | Malformed | None]:
    """Return the row of a record, and the record as it reads; null for a journal's, which are no envelopes."""
    value, headers = raw.value, raw.headers
    size = None if value is None else len(value)
    kept = value if size is not None and size <= keep_value_bytes else None
    found = None if raw.topic.startswith(JOURNAL) else read(raw, platform)
    if isinstance(found, Received):
        envelope = found.envelope
        encoded = _headers.encode([_WITHOUT if one[0] == SW_ENVELOPE else one for one in headers])
        found = _in_place(found)
    else:
        envelope = None
        encoded = _headers.encode(headers)
    # By position: there is one of these for every record of the platform, and names cost as much as the rest.
    return Row(
        raw.topic,
        raw.partition,
        raw.offset,
        raw.appended_at,
        raw.key,
        *(_journal_facts(raw) if found is None else _facts(found)),
        encoded,
        sha256_hex(encoded if envelope is None else encoded + envelope),
        None if envelope is None else envelope.decode("ascii"),
        kept,
        size,
        sha256_hex(value) if value else _SHA256_OF_NOTHING,
    ), found


def mark_of(raw: RawRecord) -> Mark:
    """Return by what a record at its place is told from another, whatever a release reads in either."""
    return raw.appended_at, raw.key, sha256_hex(raw.value) if raw.value else _SHA256_OF_NOTHING


def raw_of(row: Row) -> RawRecord:
    """Make the record that a row was made of; its body is null where it was not kept."""
    headers = tuple(
        (one[0], (row.envelope or "").encode("ascii") if len(one) == 1 else one[1])
        for one in _read_headers.decode(row.headers)
    )
    return RawRecord(row.topic, row.partition, row.offset, row.appended_at, row.key, row.value, headers)


def record_of(row: Row) -> Received[AnyEnvelope] | Malformed:
    """Return the record of a row as it read when it was taken in; a journal's row has no such thing."""
    raw = raw_of(row)
    if row.envelope is None or row.type == MALFORMED:
        return Malformed(raw=raw, digest=row.digest or "", rule=row.rule or "", reason=row.reason or "")
    data = row.envelope.encode("ascii")
    headers = dict(raw.headers)
    return Received(
        raw=raw,
        key=(row.key or b"").decode(),
        envelope=data,
        record=decode(data),
        digest=row.digest or "",
        kid=_text(headers.get(SW_KID)),
        sig=_text(headers.get(SW_SIG)),
        traceparent=_text(headers.get(TRACEPARENT)),
    )


def lean(found: Received[AnyEnvelope]) -> Received[AnyEnvelope]:
    """Return a record without its bytes, for whoever holds many and wants what was read from them."""
    raw = msgspec.structs.replace(found.raw, value=None, headers=())
    return msgspec.structs.replace(found, raw=raw, envelope=b"")


def entry_of(row: Row) -> bytes:
    """
    Return what the tree holds of a row: where it lies, when it came, what it is and the digests of its parts.

    Neither body nor headers are in it, so either may be erased later and every proof still holds.
    """
    # No part before the key can hold a line break, and the key is the rest: no two rows share an entry.
    return b"seamwork-audit-leaf-v1\n%b\n%d\n%d\n%d\n%b\n%b\n%b\n%b" % (
        row.topic.encode(),
        row.partition,
        row.offset,
        row.appended_at,
        row.type.encode(),
        b"-" if row.value_bytes is None else row.value_sha256.encode(),
        row.headers_sha256.encode(),
        b"-" if row.key is None else b"k" + row.key,
    )


def _in_place(found: Received[AnyEnvelope]) -> Received[AnyEnvelope] | Malformed:
    """Return a record as it may be believed: as what it says it is only where such records lie."""
    record, topic = found.record, found.raw.topic
    carried = RECORDS.get(family_of(topic))
    if carried is not None and type(record) not in carried:
        what = tag_of(record)
    elif isinstance(record, Verdict) and topic != f"verdicts.{record.gate}.v1":
        what = f"verdict of {record.gate}"
    else:
        return found
    return Malformed(
        raw=found.raw, digest=found.digest, rule="wrong-type", reason=f"{topic} carries no {what}"
    )


def _facts(found: Received[AnyEnvelope] | Malformed) -> Facts:
    if isinstance(found, Malformed):
        return MALFORMED, _task_by_key(found.raw), None, None, 0, found.digest, found.rule, found.reason
    record = found.record
    field = _crossing_field(type(record))
    return (
        tag_of(record),
        getattr(record, "task", None) or _task_by_key(found.raw),
        None if field is None else getattr(record, field),
        getattr(record, "dispatch", None),
        int(isinstance(record, Handoff) and record.stamp is None),
        found.digest,
        None,
        None,
    )


def _journal_facts(raw: RawRecord) -> Facts:
    try:
        return _tag.decode(raw.value or b"").type, None, None, None, 0, None, None, None
    except msgspec.DecodeError as error:
        reason = f"no record of a journal: {error}"
        return MALFORMED, None, None, None, 0, None, "journal-unreadable", reason


@lru_cache(maxsize=128)  # of the kinds of records, which are fewer
def _crossing_field(kind: type[Envelope]) -> str | None:
    """Name the field in which a record of this kind says of which crossing it speaks."""
    if issubclass(kind, AnyCrossing):
        return "id"
    if issubclass(kind, Answer):
        return "child"
    if issubclass(kind, Notice):
        return "about"
    return "crossing" if "crossing" in kind.__struct_fields__ else None


def _task_by_key(raw: RawRecord) -> str | None:
    if not raw.key or raw.topic.startswith(_BY_DOCUMENT):
        return None
    try:
        return raw.key.decode()
    except UnicodeDecodeError:
        return None


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode()
