"""
Describe what a journal and its snapshots hold: claims, commits, snapshots.

Values are JSON, without headers. Every record carries its version *v*: a reader that does not know it refuses to
start, and a release reads version n+1 before any release writes it.
"""

from typing import Literal

import msgspec

from seamwork.decider.inputs import Bodied
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.records.base import Wire
from seamwork.records.parties import Position, Revision

VERSION = 1

Mark = tuple[int, int]
"""``(epoch, seq)`` of a commit; marks of one journal partition sort as its valid commits do."""

NOT_HERE = msgspec.Raw(b"null")
"""Stands in a snapshot for a state that lies in pieces."""

NEVER: Mark = (-1, -1)
"""The mark before the first commit: epochs are offsets, so none is negative."""


class JournalRecord(Wire, frozen=True, kw_only=True, tag_field="type"):
    """What every record of a journal says."""

    v: int = VERSION


class Claim(JournalRecord, frozen=True, kw_only=True, tag="claim"):
    """
    *owner* takes the partition; the epoch is this record's offset.

    *journal_id* is made with the journal's first claim and repeated by all others: a journal that was deleted and
    made again is told from the one that snapshots speak of.
    """

    nonce: str
    owner: str
    code_version: str
    journal_id: str


class Taken(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """
    One input of a commit, by position and digest; *body* where it comes from no topic.

    *crossing* is the position of the crossing that was read again to go with it. *too_much* is how many bytes of
    events and outputs it would have led to, where those did not fit and the machine was told that in its place.
    """

    topic: str = ""
    partition: int = 0
    offset: int = 0
    digest: str = ""
    body: Bodied | None = None
    crossing: Position | None = None
    too_much: int = 0


class Aside(Wire, frozen=True, kw_only=True):
    """The dead letter to be made of the record at *source* of *topic*; its bytes stay where they are."""

    topic: str
    source: Position
    digest: str
    gate: str
    rule: str
    reason: str
    set_aside_at: int


class Emitted(Wire, frozen=True, kw_only=True):
    """
    One output, resolved: everything that publishing it again needs, but for bytes that lie in another topic.

    *forward* is the position in ``handoffs`` of the crossing carried on, *children* the exact text that goes with
    it; *aside* stands for a dead letter, whose envelope is made from the record it speaks of.
    """

    topic: str
    key: str
    partition: int | None = None
    envelope: str = ""
    payload: bytes = b""
    sig: str | None = None
    kid: str | None = None
    traceparent: str | None = None
    forward: Position | None = None
    children: str | None = None
    aside: Aside | None = None


class Commit(JournalRecord, frozen=True, kw_only=True, tag="commit"):
    """
    One batch of inputs and all that followed from it, in one record.

    Valid if and only if *epoch* is that of the latest claim before it and *seq* follows the last valid commit's.
    *positions* maps ``topic/partition`` to the next offset; *published* is the mark up to which every output was
    confirmed when this was written; *machine_version* is that of the events.
    """

    epoch: int
    seq: int
    now: int
    catalog: Revision
    inputs: tuple[Taken, ...]
    positions: dict[str, int]
    events: tuple[msgspec.Raw, ...] = ()
    outputs: tuple[Emitted, ...] = ()
    published: Mark = NEVER
    code_version: str = ""
    machine_version: int = 1

    @property
    def mark(self) -> Mark:
        """Where it stands among the journal's commits."""
        return (self.epoch, self.seq)


class Snapshot(JournalRecord, frozen=True, kw_only=True, tag="snapshot"):
    """
    The state after all valid records before *next_offset*.

    *state* holds it where it fits into one record; else *chunks* records hold it in pieces, *packed* as that
    says. *sha256* is that of what the pieces add up to.
    """

    journal_id: str
    epoch: int
    seq: int
    next_offset: int
    now: int
    catalog: Revision
    positions: dict[str, int]
    machine_version: int
    sha256: str
    chunks: int = 0
    packed: Literal["", "zlib", "shares"] = ""
    state: msgspec.Raw = NOT_HERE


class SnapshotChunk(JournalRecord, frozen=True, kw_only=True, tag="snapshot-chunk"):
    """One piece of a state; counts only with the manifest whose digest the pieces add up to."""

    number: int
    data: bytes


class _Version(msgspec.Struct):
    v: int
    type: Literal["claim", "commit", "snapshot", "snapshot-chunk"]


_encoder = msgspec.json.Encoder()
_journal: msgspec.json.Decoder[Claim | Commit] = msgspec.json.Decoder(Claim | Commit)
_snapshots: msgspec.json.Decoder[Snapshot | SnapshotChunk] = msgspec.json.Decoder(Snapshot | SnapshotChunk)
_version = msgspec.json.Decoder(_Version)


def encode(record: JournalRecord) -> bytes:
    """Return the JSON of a record."""
    return _encoder.encode(record)


def decode(value: bytes | None, where: str) -> Claim | Commit:
    """
    Read a record of a journal.

    Raises:
        MisconfiguredError: Its version is newer than this release reads.
        UnprocessableError: It is no record of a journal; nothing may be skipped, so the reader stops.
    """
    try:
        record = _journal.decode(value or b"")
    except msgspec.DecodeError as error:
        raise _unreadable(value, where, error) from error
    _require(record.v, where)
    return record


def decode_snapshot(value: bytes, where: str) -> Snapshot | SnapshotChunk:
    """
    Read a record of a topic of snapshots.

    Raises:
        MisconfiguredError: Its version is newer than this release reads.
        UnprocessableError: It is no snapshot.
    """
    try:
        record = _snapshots.decode(value)
    except msgspec.DecodeError as error:
        raise _unreadable(value, where, error) from error
    _require(record.v, where)
    return record


def _unreadable(value: bytes | None, where: str, error: msgspec.DecodeError) -> Exception:
    try:
        _require(_version.decode(value or b"").v, where)
    except msgspec.DecodeError:
        pass  # not even a version: the sentence below says what there is to say
    except MisconfiguredError as newer:
        return newer
    return UnprocessableError(
        f"{where} is no record of a journal ({error}); only its owner may write there, look for who else did"
    )


def _require(version: int, where: str) -> None:
    if version > VERSION:
        raise MisconfiguredError(
            f"{where} has record version {version}, this release reads up to {VERSION}; start a newer release"
        )
