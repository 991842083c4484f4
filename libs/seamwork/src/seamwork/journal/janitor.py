"""
Trim a journal and its snapshots, after proving that what is left restores to the same state.

Rule 1: nothing goes that a restore needs: the last but one snapshot stays, and all of the journal behind it.
Rule 2: nothing goes that the audit has not got: *kept* says up to where it has.
Rule 3: nothing goes before that snapshot, replayed, has come out as the last one.
"""

from dataclasses import dataclass
from typing import Any

from seamwork.bus.port import Log, Partition
from seamwork.decider import Decider
from seamwork.errors import UnprocessableError
from seamwork.journal.journal import WINDOW_BYTES
from seamwork.journal.place import Place
from seamwork.journal.records import Commit, Snapshot, decode
from seamwork.journal.rule import ReaderRule
from seamwork.journal.snapshots import SnapshotStore, state_sha256
from seamwork.journal.versions import VersionedReader


@dataclass(frozen=True, kw_only=True)
class Trimmed:
    """Where a journal and its snapshots begin now, and how many offsets went."""

    place: str
    journal_from: int
    snapshots_from: int
    gone: int


async def trim(
    log: Log, decider: Decider[Any, Any, Any, Any], place: Place, kept: int | None = None
) -> Trimmed | None:
    """
    Delete what lies before the last but one snapshot, and the snapshots before that.

    Args:
        log: The log, as whoever may trim sees it.
        decider: The machine's core.
        place: The journal partition.
        kept: The offset before which the audit has all of the journal; null where no audit is asked.

    Returns:
        Where it begins now, or None where there are no two snapshots yet or nothing was there to go.

    Raises:
        UnprocessableError: The states differ; nothing was deleted.
    """
    store = SnapshotStore(log, place.snapshots)
    snapshots = await store.whole_manifests()
    if len(snapshots) < 2:  # noqa: PLR2004  # the last and the last but one
        return None
    last, before = snapshots[:2]
    until = before.next_offset if kept is None else min(before.next_offset, kept)
    pieces = store.begins_at(last, before)
    starts = await log.start_offsets([place.journal, place.snapshots])
    gone = max(0, until - starts[place.journal]) + max(0, pieces - starts[place.snapshots])
    if not gone:
        return None
    await _prove(log, decider, place, store, (before, last))
    await _delete(log, place.journal, starts[place.journal], until)
    await _delete(log, place.snapshots, starts[place.snapshots], pieces)
    return Trimmed(
        place=str(place),
        journal_from=max(until, starts[place.journal]),
        snapshots_from=max(pieces, starts[place.snapshots]),
        gone=gone,
    )


async def _delete(log: Log, partition: Partition, start: int, until: int) -> None:
    if until > start:
        await log.trim(partition, until)


async def _prove(
    log: Log,
    decider: Decider[Any, Any, Any, Any],
    place: Place,
    store: SnapshotStore,
    snapshots: tuple[Snapshot, Snapshot],
) -> None:
    """Restore the first snapshot, replay it up to the second, and hold the two states together by their digests."""
    before, last = snapshots
    reader = VersionedReader(decider)
    state = reader.state(before, store.take(before))
    rule = ReaderRule(before.epoch, before.seq)
    at = before.next_offset
    while at < last.next_offset:
        found = await log.read(place.journal, at, last.next_offset, most_bytes=WINDOW_BYTES)
        at = found[-1].offset + 1 if found else last.next_offset
        for raw in found:
            record = decode(raw.value, f"{place} offset {raw.offset}")
            if rule.accepts(raw.offset, record) and isinstance(record, Commit):
                state = decider.fold(reader.events(record), state)
    replayed = state_sha256(state)
    del state  # one of them at a time: a job has room for two, and to write one down is to have it twice
    if replayed != state_sha256(reader.state(last, store.take(last))):
        raise UnprocessableError(
            f"{place}: the snapshot at {before.next_offset}, replayed to {last.next_offset}, is not the snapshot "
            "there; nothing was trimmed. Keep the journal and look for what changes state outside of events"
        )
