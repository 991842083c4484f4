"""
Rebuild a machine's state from its journal, and decide everything again that it ever decided.

Applying needs the journal alone: events are folded, nothing is decided. Verifying reads every input again at its
position, holds its digest against the journal's, brings the catalog to the commit's revision, and asks the core:
the events must come out byte for byte, and the outputs with the same envelopes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from seamwork.bus.port import Log, LogGapError, Partition
from seamwork.catalog import Catalog, CatalogBuilder, Context
from seamwork.decider import (
    Alone,
    Decider,
    Input,
    Output,
    Publish,
    SetAside,
    TooMuch,
    WithCrossing,
    set_aside,
    written_out,
)
from seamwork.errors import UnprocessableError
from seamwork.journal import (
    Commit,
    Emitted,
    Place,
    ReaderRule,
    SnapshotStore,
    Taken,
    VersionedReader,
    decode,
    state_sha256,
)
from seamwork.records.parties import Position, Revision
from seamwork.records.wire import RawRecord, read
from seamwork.runtime.spec import HANDOFFS, MachineSpec

_WINDOW = 64
_DOCUMENTS = ("registry.v1", "contracts.v1", "policies.v1")
_MOST_DIFFERENCES = 20
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A snapshot, which is the state that the owner had in memory, and whether the replay had the same there."""

    next_offset: int
    epoch: int
    seq: int
    state_sha256: str
    equal: bool


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A commit that comes out otherwise when it is decided again."""

    offset: int
    epoch: int
    seq: int
    what: str


@dataclass(kw_only=True)
class Replayed:
    """
    What a replay came to.

    Attributes:
        place: The journal partition.
        began_at: 0, or where the journal begins since it was trimmed; a snapshot stands for what was before.
        next_offset: The offset after the last record that was read.
        commits: Those that count; *ignored* are a zombie's or a ghost's.
        state_sha256: The digest of the state.
        verified: How many inputs were decided again; null where that was not asked for.
    """

    place: str
    began_at: int = 0
    next_offset: int = 0
    epoch: int | None = None
    seq: int = 0
    now: int = 0
    commits: int = 0
    claims: int = 0
    ignored: int = 0
    events: int = 0
    state_sha256: str = ""
    snapshots: list[Compared] = field(default_factory=list)
    verified: int | None = None
    differences: list[Difference] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything came out as it was."""
        return not self.differences and all(one.equal for one in self.snapshots)


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """By what signatures are held: the platform's id and its pinned root key."""

    platform: str
    root_public: str


class Replay:
    """
    One partition of one machine, from its journal.

    Args:
        log: The log, as the principal ``tools`` sees it.
        spec: What the machine is.
        number: The partition.
        trusted: The platform.
    """

    def __init__(self, log: Log, spec: MachineSpec, number: int, trusted: Trusted) -> None:
        self.state: Any = spec.decider.initial()
        self._log = log
        self._spec = spec
        self._decider: Decider[Any, Input, Any, Context] = spec.decider
        self._place = Place(spec.journal, spec.snapshots, number)
        self._trusted = trusted
        self._reader: VersionedReader[Any, Any] = VersionedReader(spec.decider)
        self._catalog = CatalogBuilder(trusted.platform, trusted.root_public)
        self._windows: dict[Partition, dict[int, RawRecord]] = {}

    async def run(self, to: int | None = None, *, verify: bool = False) -> Replayed:
        """
        Replay up to the offset *to*, or to the end.

        Raises:
            UnprocessableError: There is no such journal partition, or it is trimmed and no snapshot stands for
                what is gone.
        """
        partition = self._place.journal
        if not 0 <= partition.partition < (await self._log.partitions_of(partition.topic) or 0):
            raise UnprocessableError(
                f"there is no {partition.topic}/{partition.partition}; docs/generated/topology.md lists them"
            )
        start = await self._starts_at()
        while True:
            try:
                return await self._from(start, to, verify=verify)
            except LogGapError:
                # The janitor came by; what is left has a snapshot to begin with.
                began, start = start, await self._starts_at()
                if start <= began:
                    raise

    async def _starts_at(self) -> int:
        return (await self._log.start_offsets([self._place.journal]))[self._place.journal]

    async def _from(self, start: int, to: int | None, *, verify: bool) -> Replayed:
        partition = self._place.journal
        self.state = self._decider.initial()
        end = (await self._log.end_offsets([partition]))[partition]
        end = end if to is None else min(end, to + 1)
        found = Replayed(place=str(self._place), verified=0 if verify else None)
        snapshots = {one.next_offset: (one, state) for one, state in await self._snapshots()}
        rule = ReaderRule()
        if start:
            rule, start = self._begin(found, start, end, snapshots)
        found.began_at = found.next_offset = start
        for at in range(start, end, _WINDOW):
            for raw in await self._log.read(partition, at, min(at + _WINDOW, end)):
                record = decode(raw.value, f"{self._place} offset {raw.offset}")
                if not rule.accepts(raw.offset, record):
                    found.ignored += 1
                elif isinstance(record, Commit):
                    await self._apply(found, raw.offset, record, verify=verify)
                else:
                    found.claims += 1
                found.next_offset, found.epoch, found.seq = raw.offset + 1, rule.epoch, rule.seq
                if raw.offset + 1 in snapshots:
                    self._compare(found, *snapshots[raw.offset + 1])
        found.state_sha256 = state_sha256(self.state)
        return found

    # ── Snapshots ────────────────────────────────────────────────────────────────────────

    async def _snapshots(self) -> Sequence[tuple[Any, bytes]]:
        return await SnapshotStore(self._log, self._place.snapshots).whole()

    def _begin(
        self, found: Replayed, start: int, end: int, snapshots: dict[int, tuple[Any, bytes]]
    ) -> tuple[ReaderRule, int]:
        """Begin with the oldest snapshot that the trimmed journal still follows."""
        fitting = [offset for offset in snapshots if start <= offset <= end]
        if not fitting:
            raise UnprocessableError(
                f"{self._place} begins at offset {start} and no snapshot stands for what was before; "
                "ask for a later offset, or restore the snapshots"
            )
        manifest, state = snapshots[min(fitting)]
        self.state = self._reader.state(manifest, state)
        found.now, found.epoch, found.seq = manifest.now, manifest.epoch, manifest.seq
        return ReaderRule(manifest.epoch, manifest.seq), manifest.next_offset

    def _compare(self, found: Replayed, manifest: Any, state: bytes) -> None:
        if (manifest.epoch, manifest.seq) != (found.epoch, found.seq):
            return  # a zombie's, of a prefix that ended before
        theirs = state_sha256(self._reader.state(manifest, state))
        found.snapshots.append(
            Compared(
                next_offset=manifest.next_offset,
                epoch=manifest.epoch,
                seq=manifest.seq,
                state_sha256=theirs,
                equal=theirs == state_sha256(self.state),
            )
        )

    # ── Commits ──────────────────────────────────────────────────────────────────────────

    async def _apply(self, found: Replayed, offset: int, commit: Commit, *, verify: bool) -> None:
        found.commits += 1
        found.events += len(commit.events)
        found.now = commit.now
        if not verify:
            self.state = self._decider.fold(self._reader.events(commit), self.state)
            return
        found.verified = (found.verified or 0) + len(commit.inputs)
        for what in await self._decided_again(commit):
            if len(found.differences) < _MOST_DIFFERENCES:
                found.differences.append(
                    Difference(offset=offset, epoch=commit.epoch, seq=commit.seq, what=what)
                )

    async def _decided_again(self, commit: Commit) -> list[str]:
        """Decide a commit's inputs again, leave the state as the journal has it, and say what differs."""
        context = Context(commit.now, await self._catalog_at(commit.catalog))
        # Of the present version byte for byte; what an older one wrote has come through its upcasts.
        exact = commit.machine_version == self._decider.version
        recorded = zip(commit.events, self._reader.events(commit), strict=True)
        wanted: list[Output] = []
        for taken in commit.inputs:
            given = await self._given(taken)
            if isinstance(given, str):
                self._rest(recorded)
                return [given]
            for event in tuple(self._decider.decide(self.state, given, context)):
                theirs = next(recorded, None)
                wrote = None if theirs is None else bytes(theirs[0]) if exact else _encoder.encode(theirs[1])
                if theirs is None or wrote != _encoder.encode(event):
                    self._rest(iter(() if theirs is None else (theirs, *recorded)))
                    return [f"{_what(taken)} leads to another {type(event).__name__}"]
                wanted += self._decider.outputs(event)
                self.state = self._decider.evolve(self.state, event)
            aside = set_aside(given, self._decider.name, commit.now) if isinstance(given, TooMuch) else None
            wanted += () if aside is None else (aside,)
        left = list(recorded)
        self._rest(iter(left))
        if left:
            return [f"{len(left)} of its events do not come out again"]
        return list(_other_outputs(wanted, commit.outputs))

    def _rest(self, recorded: Iterator[tuple[msgspec.Raw, Any]]) -> None:
        for _, event in recorded:
            self.state = self._decider.evolve(self.state, event)

    async def _given(self, taken: Taken) -> Input | str:
        given = await self._alone(taken)
        return TooMuch(given, taken.too_much) if taken.too_much and not isinstance(given, str) else given

    async def _alone(self, taken: Taken) -> Alone | str:
        if taken.body is not None:
            return taken.body
        raw = await self._record(Partition(taken.topic, taken.partition), taken.offset)
        if raw is None:
            return f"{_what(taken)} is not in its topic any more, so it cannot be decided again"
        received = read(raw, self._trusted.platform)
        if received.digest != taken.digest:
            return f"{_what(taken)} is another record than the one that was decided on"
        if taken.crossing is None:
            return received
        crossing = await self._crossing(taken.crossing)
        if crossing is None:
            return f"the crossing of {_what(taken)} is not in its topic any more"
        return WithCrossing(received, read(crossing, self._trusted.platform))  # type: ignore[arg-type]  # it was read

    async def _crossing(self, position: Position) -> RawRecord | None:
        return await self._record(Partition(HANDOFFS, position.partition), position.offset)

    async def _record(self, at: Partition, offset: int) -> RawRecord | None:
        window = self._windows.setdefault(at, {})
        if offset not in window:
            start = (await self._log.start_offsets([at]))[at]
            if offset < start:
                return None
            window.clear()
            found = await self._log.read(at, offset, offset + _WINDOW)
            window |= {raw.offset: raw for raw in found}
        return window.get(offset)

    async def _catalog_at(self, revision: Revision) -> Catalog:
        """Fold the document topics up to *revision*, the registry first: keys come before what they signed."""
        ends = {
            "registry.v1": revision.registry,
            "contracts.v1": revision.contracts,
            "policies.v1": revision.policies,
        }
        for topic in _DOCUMENTS:
            at = Partition(topic, 0)
            while (position := self._catalog.positions[topic]) < ends[topic]:
                found = await self._log.read(at, position, min(ends[topic], position + _WINDOW))
                if not found:
                    raise UnprocessableError(
                        f"{self._place} was decided by {topic} up to {ends[topic]}, which ends at {position}: it "
                        "lost its end, or is another platform's"
                    )
                for raw in found:
                    self._catalog.apply(raw)
        return self._catalog.view()


def _other_outputs(wanted: Sequence[Output], recorded: Sequence[Emitted]) -> Iterator[str]:
    if len(wanted) != len(recorded):
        yield f"{len(wanted)} outputs come out instead of {len(recorded)}"
        return
    for index, (output, emitted) in enumerate(zip(wanted, recorded, strict=True)):
        if isinstance(output, SetAside):
            continue  # its envelope is made from the record it speaks of
        if (output.topic, written_out(output.record).decode("ascii")) != (emitted.topic, emitted.envelope):
            yield f"output {index} to {emitted.topic} has another envelope"
        elif isinstance(output, Publish) and output.payload != emitted.payload:
            yield f"output {index} to {emitted.topic} has another body"


def _what(taken: Taken) -> str:
    if taken.body is not None:
        return f"the input {taken.body.__struct_config__.tag}"
    return f"{taken.topic}/{taken.partition} at {taken.offset}"
