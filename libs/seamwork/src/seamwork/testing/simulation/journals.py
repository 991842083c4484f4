"""
Hold every journal, and everything published from one, against the protocol: record by record, as it is written.

This reads JSON and applies the reader rule by its own few lines; nothing of ``seamwork.journal`` or the runtime is
asked. Invariants of the fact sheet: I2, I3 (a snapshot is the fold of what lies before it), I6, I8, I9.
"""

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from seamwork.bus.port import Partition
from seamwork.decider import Decider, read_all, unpacked
from seamwork.records.wire import Header, RawRecord
from seamwork.testing.simulation.evidence import digest_of, header, parsed

Mark = tuple[int, int]
Complain = Callable[[str, str], None]
Content = tuple[str, bytes | None, bytes | None, tuple[Header, ...]]


class _Events(msgspec.Struct):
    events: tuple[msgspec.Raw, ...] = ()


_events = msgspec.json.Decoder(_Events)


@dataclass(slots=True)
class Committed:
    """One commit that counts."""

    place: Partition
    offset: int
    mark: Mark
    body: dict[str, Any]
    value: bytes
    missing: set[int] = field(default_factory=set)


@dataclass
class Journal:
    """One journal partition, as far as it was written."""

    place: Partition
    decider: Decider[Any, Any, Any, Any]
    state: Any
    epoch: int | None = None
    seq: int = 0
    now: int = 0
    revision: tuple[int, int, int] = (0, 0, 0)
    positions: dict[str, int] = field(default_factory=dict)
    commits: dict[Mark, Committed] = field(default_factory=dict)
    unconfirmed: deque[Committed] = field(default_factory=deque)
    published: Mark = (-1, -1)
    ignored: int = 0
    claims: int = 0

    @cached_property
    def events(self) -> msgspec.json.Decoder[Any]:
        """Reads its events."""
        return msgspec.json.Decoder(self.decider.event_type)

    @property
    def mark(self) -> Mark:
        """The mark of its last commit, or of its last claim where nothing was committed under that."""
        return (self.epoch or 0, self.seq)

    @property
    def decided(self) -> Mark:
        """The mark of the last commit that counts, whatever claims came behind it."""
        return next(reversed(self.commits), (0, 0))


class Journals:
    """
    All journals of one platform.

    Args:
        deciders: The machines' cores, by name; only their ``evolve`` is used.
        complain: Told of every violation: the invariant and a sentence.
        committed: Told of every commit that counts.
        record_at: Finds a record that was written.
    """

    def __init__(
        self,
        deciders: dict[str, Decider[Any, Any, Any, Any]],
        complain: Complain,
        committed: Callable[[str, Committed], None],
        record_at: Callable[[Partition, int], RawRecord | None],
    ) -> None:
        self._deciders = deciders
        self._complain = complain
        self._committed = committed
        self._record_at = record_at
        self.all: dict[Partition, Journal] = {}
        self._seen: dict[str, Content] = {}
        self._marks: dict[tuple[Partition, Partition], tuple[int, int, int]] = {}
        self.duplicates = 0
        self.snapshots = 0

    # ── Journals ─────────────────────────────────────────────────────────────────────────

    def journal(self, place: Partition) -> Journal:
        """Return what is known of one journal partition."""
        known = self.all.get(place)
        if known is None:
            decider = self._deciders[place.topic.split(".")[1]]
            known = self.all[place] = Journal(place, decider, decider.initial())
        return known

    def appended(self, raw: RawRecord) -> None:
        """Take the next record of a journal."""
        journal = self.journal(Partition(raw.topic, raw.partition))
        body = parsed(raw.value or b"")
        if body["type"] == "claim":
            journal.epoch, journal.seq = raw.offset, 0
            journal.claims += 1
            return
        if body["epoch"] != journal.epoch or body["seq"] != journal.seq + 1:
            journal.ignored += 1
            return
        journal.seq += 1
        commit = Committed(journal.place, raw.offset, journal.mark, body, raw.value or b"")
        self._time_and_catalog(journal, commit)
        self._inputs(journal, commit)
        self._watermark(journal, commit)
        self._fold(journal, commit)
        commit.missing = set(range(len(body.get("outputs", ()))))
        journal.commits[commit.mark] = commit
        if commit.missing:
            journal.unconfirmed.append(commit)
        self._committed(journal.decider.name, commit)

    def _time_and_catalog(self, journal: Journal, commit: Committed) -> None:
        now = commit.body["now"]
        if now < journal.now:
            self._complain("time", f"{_at(commit)} has now {now}, after {journal.now}")
        journal.now = now
        catalog = commit.body["catalog"]
        revision = tuple(catalog.get(name, 0) for name in ("contracts", "registry", "policies"))
        if any(new < old for new, old in zip(revision, journal.revision, strict=True)):
            self._complain("catalog", f"{_at(commit)} stands at {revision}, after {journal.revision}")
        journal.revision = revision

    def _inputs(self, journal: Journal, commit: Committed) -> None:
        expected = dict(journal.positions)
        for taken in commit.body["inputs"]:
            topic = taken.get("topic", "")
            if not topic:
                self._tick(journal, commit, taken.get("body") or {})
                continue
            at = Partition(topic, taken.get("partition", 0))
            offset = taken.get("offset", 0)
            name = at.name
            if offset != expected.get(name, 0):
                self._complain("I6", f"{_at(commit)} took {name} at {offset}, not at {expected.get(name, 0)}")
            expected[name] = offset + 1
            raw = self._record_at(at, offset)
            if raw is None:
                self._complain("I6", f"{_at(commit)} took {name} at {offset}, where nothing lies")
            elif digest_of(raw) != taken.get("digest", ""):
                self._complain("I6", f"{_at(commit)} took another record than lies in {name} at {offset}")
        for name, position in commit.body["positions"].items():
            if position != expected.get(name, 0):
                self._complain(
                    "I8", f"{_at(commit)} puts {name} at {position}, not at {expected.get(name, 0)}"
                )
        journal.positions = commit.body["positions"]

    def _tick(self, journal: Journal, commit: Committed, body: dict[str, Any]) -> None:
        """A timer fires only when everything that lay there was read, in every topic."""
        if body.get("type") != "tick":
            return
        read_to = body.get("read_to", {})
        for name, position in journal.positions.items():
            if position < read_to.get(name, position + 1):
                self._complain("time", f"{_at(commit)} is a tick, and {name} was read to {position} alone")

    def _watermark(self, journal: Journal, commit: Committed) -> None:
        published: Mark = tuple(commit.body["published"]) if "published" in commit.body else (-1, -1)
        if published >= commit.mark:
            self._complain("I2", f"{_at(commit)} says that {published} was published")
        for taken in commit.body["inputs"]:
            body = taken.get("body") or {}
            if body.get("type") == "undeliverable":
                given_up = journal.commits.get((body["epoch"], body["seq"]))
                if given_up is not None:
                    given_up.missing.discard(body["index"])
        while journal.unconfirmed and journal.unconfirmed[0].mark <= published:
            one = journal.unconfirmed.popleft()
            if one.missing:
                self._complain(
                    "I2", f"{_at(commit)} says that all up to {published} was published; {_at(one)} was not"
                )
        journal.published = published

    def _fold(self, journal: Journal, commit: Committed) -> None:
        for event in _events.decode(commit.value).events:
            journal.state = journal.decider.evolve(journal.state, journal.events.decode(event))

    # ── Snapshots ────────────────────────────────────────────────────────────────────────

    def snapshot(self, raw: RawRecord) -> None:
        """Hold a snapshot against the fold of the journal; one of an older state is a zombie's, and is let be."""
        if raw.value is None:
            return
        body = parsed(raw.value)
        if body["type"] != "snapshot" or body.get("chunks"):
            return
        machine = raw.topic.split(".")[1]
        journal = self.journal(Partition(f"journal.{machine}.v1", raw.partition))
        if (body["epoch"], body["seq"]) != journal.mark:
            return
        self.snapshots += 1
        decoded = msgspec.convert(unpacked(body["state"]), journal.decider.state_type)
        if state_digest(decoded) != state_digest(journal.state):
            self._complain(
                "I3", f"the snapshot of {journal.place} at {journal.mark} is not the journal's fold"
            )
        if body["positions"] != journal.positions:
            self._complain("I3", f"the snapshot of {journal.place} at {journal.mark} has other positions")

    # ── Outputs ──────────────────────────────────────────────────────────────────────────

    def published(self, raw: RawRecord, src: str) -> None:
        """Take a record that says which commit it comes from."""
        topic, number, epoch, seq, index = src.rsplit("/", 4)
        place, mark = Partition(topic, int(number)), (int(epoch), int(seq), int(index))
        journal = self.journal(place)
        commit = journal.commits.get(mark[:2])
        here = f"{raw.topic}/{raw.partition}@{raw.offset}"
        if commit is None or not mark[2] < len(commit.body.get("outputs", ())):
            self._complain("I9", f"{here} comes from {src}, which no valid commit promises")
            return
        content = (raw.topic, raw.key, raw.value, raw.headers)
        if self._seen.setdefault(src, content) != content:
            self._complain("I2", f"{here}: {src} was published twice with different bytes")
        emitted = commit.body["outputs"][mark[2]]
        if emitted.get("topic") != raw.topic:
            self._complain("I2", f"{here}: {src} belongs to {emitted.get('topic')}")
        promised = emitted.get("envelope")
        if promised and promised.encode() != header(raw, "sw_envelope"):
            self._complain("I2", f"{here}: {src} has another envelope than its commit")
        at = (place, Partition(raw.topic, raw.partition))
        if mark[2] not in commit.missing:
            self.duplicates += 1
        elif mark <= self._marks.get(at, (-1, -1, -1)):
            self._complain("I2", f"{here}: {src} came behind a later output; its readers dropped it")
        commit.missing.discard(mark[2])
        self._marks[at] = max(mark, self._marks.get(at, (-1, -1, -1)))

    def noted(self, group: str, at: Partition, position: int) -> None:
        """Hold a machine's group offset against what its journal says (I8)."""
        if group in self._deciders:
            journal = self.journal(Partition(f"journal.{group}.v1", at.partition))
            applied = journal.positions.get(at.name, 0)
            if position > applied:
                self._complain("I8", f"group {group} committed {position} of {at}, {applied} was applied")

    def unpublished(self) -> list[str]:
        """Name what was promised and never published."""
        return [
            f"{_at(commit)}: outputs {sorted(commit.missing)} were never published"
            for journal in self.all.values()
            for commit in journal.unconfirmed
            if commit.missing
        ]


def state_digest(state: Any) -> str:
    """Return the digest by which two states are compared."""
    read_all(state)
    return hashlib.sha256(msgspec.json.encode(state, order="deterministic")).hexdigest()


def _at(commit: Committed) -> str:
    return f"{commit.place.topic}/{commit.place.partition} {commit.mark}"
