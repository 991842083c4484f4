"""Describe what keeps the platform itself going: documents, activations, heartbeats, dead letters, tree heads."""

from typing import Literal

from seamwork.records.base import Envelope, Wire
from seamwork.records.parties import Position, Revision

MOST_BETWEEN_BEATS_MS = 60_000
"""Whoever says that it beats less often is taken to beat so often."""


class DocumentRecord(Envelope, frozen=True, kw_only=True, tag="document"):
    """
    One immutable version of a document; its canonical JSON is the body.

    Of two records of one kind, name and version the first wins; another with other bytes is ignored and alarmed.
    """

    kind: str
    name: str
    version: str
    payload_sha256: str
    published_at: int
    publisher: str


class ActivationRecord(Envelope, frozen=True, kw_only=True, tag="activation"):
    """
    Which version is in force, in which *status* or *mode*, from when; the last one wins. The body is empty.

    *from_at* null means at once. Rolling back is another activation. A deprecated contract names the version that
    succeeds it and *ends_at*, the instant (ms) from which nobody may count on it any more. A gate in ``canary``
    counts for a *share* of a hundred tasks.
    """

    id: str
    kind: str
    name: str
    version: str
    status: Literal["draft", "active", "deprecated", "retired", "revoked"] = "active"
    mode: Literal["enforce", "canary", "shadow", "breaker-open", "breaker-closed", "paused"] | None = None
    from_at: int | None = None
    ends_at: int | None = None
    successor: str | None = None
    share: int | None = None
    published_at: int
    publisher: str
    reason: str = ""


class Obstacle(Wire, frozen=True, kw_only=True):
    """
    Why no new task is to be admitted for now: *rule* for programs, *reason* for people.

    The reason names no figure that moves, because every change of it is an input of the router.
    """

    rule: str
    reason: str


class Heartbeat(Envelope, frozen=True, kw_only=True, tag="heartbeat"):
    """
    A sign of life of one instance, signed with its key.

    While a service says *obstacles*, the router begins no task; what an agent says there counts for nothing. Three
    times *every_ms* after the last one whoever sent it counts as gone; ``MOST_BETWEEN_BEATS_MS`` is the most of it.
    """

    instance: str
    name: str
    kind: Literal["agent", "service"]
    version: str
    state: Literal["starting", "ready", "draining", "failed"]
    sent_at: int
    every_ms: int
    in_flight: int = 0
    partitions: tuple[int, ...] = ()
    revision: Revision = Revision()
    detail: str = ""
    obstacles: tuple[Obstacle, ...] = ()


class RawHeader(Wire, frozen=True, kw_only=True):
    """One header as it was, bytes as base64; null stays null."""

    name: str
    value: str | None = None


class DeadLetter(Envelope, frozen=True, kw_only=True, tag="dead-letter"):
    """
    A record that was set aside, with where it came from and why. The body is the record's own bytes.

    *tombstone* says that the record had no body at all, which is not an empty one.
    """

    topic: str
    position: Position
    appended_at: int
    digest: str
    headers: tuple[RawHeader, ...]
    key: str | None = None
    tombstone: bool = False
    gate: str
    rule: str
    reason: str
    set_aside_at: int


class TreeHead(Envelope, frozen=True, kw_only=True, tag="tree-head"):
    """The audit log's Merkle root at one size (RFC 6962), signed by the audit sink."""

    log: str
    size: int
    root_sha256: str
    signed_at: int
