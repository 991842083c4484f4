"""Trim a journal, after proving that what is left restores to the same state."""

from typing import Any

import msgspec

from seamwork.bus.port import Log
from seamwork.decider import Decider
from seamwork.errors import UnprocessableError
from seamwork.journal.place import Place
from seamwork.journal.records import Commit, decode
from seamwork.journal.rule import ReaderRule
from seamwork.journal.snapshots import SnapshotStore, state_sha256

_WINDOW = 64


async def trim(log: Log, decider: Decider[Any, Any, Any, Any], place: Place) -> int | None:
    """
    Delete what lies before the last but one snapshot.

    That snapshot is restored first and replayed up to the last one; the two states must have one digest.

    Returns:
        The offset at which the journal starts now, or None where there are no two snapshots yet.

    Raises:
        UnprocessableError: The states differ; nothing was deleted.
    """
    snapshots = await SnapshotStore(log, place.snapshots).whole()
    if len(snapshots) < 2:  # noqa: PLR2004  # the last and the last but one
        return None
    (last, last_state), (before, before_state) = snapshots[:2]
    events: msgspec.json.Decoder[Any] = msgspec.json.Decoder(decider.event_type)
    state = msgspec.json.decode(before_state, type=decider.state_type)
    rule = ReaderRule(before.epoch, before.seq)
    for at in range(before.next_offset, last.next_offset, _WINDOW):
        for raw in await log.read(place.journal, at, min(at + _WINDOW, last.next_offset)):
            record = decode(raw.value, f"{place} offset {raw.offset}")
            if rule.accepts(raw.offset, record) and isinstance(record, Commit):
                state = decider.fold(map(events.decode, record.events), state)
    if state_sha256(state) != state_sha256(msgspec.json.decode(last_state, type=decider.state_type)):
        raise UnprocessableError(
            f"{place}: the snapshot at {before.next_offset}, replayed to {last.next_offset}, is not the snapshot "
            "there; nothing was trimmed. Keep the journal and look for what changes state outside of events"
        )
    await log.trim(place.journal, before.next_offset)
    return before.next_offset
