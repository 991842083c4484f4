"""The janitor on a real broker: what restore and audit need stays, the rest goes, and nobody else may do it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from seamwork.bus.kafka import KafkaLog
from seamwork.clock import SystemClock
from seamwork.errors import MisconfiguredError
from seamwork.journal import Journal, Ownership, Place, SnapshotStore, Trimmed
from seamwork.platform.janitor import tidy
from seamwork.records.parties import Revision, Subject
from seamwork.runtime import MachineSpec
from seamwork.testing.counter import AnyEvent, Counted, Counts, counter
from seamwork.testing.testbed import KafkaPlatform

NAME = "policy-engine"
SPEC = MachineSpec(decider=counter(NAME))
PLACE = Place(SPEC.journal, SPEC.snapshots, 0)


@asynccontextmanager
async def log_of(platform: KafkaPlatform, name: str) -> AsyncIterator[KafkaLog]:
    """Open the log as the principal *name* sees it."""
    async with KafkaLog(platform.access(name), platform.prefix, client_id=f"test-{name}") as log:
        yield log


async def owned(log: KafkaLog, owner: str) -> Journal[Counts, AnyEvent]:
    """Take the journal over."""
    return await Journal.own(log, SPEC.decider, PLACE, Ownership(owner, "test", SystemClock().now_ms))


async def live(journal: Journal[Counts, AnyEvent], snapshots: int) -> None:
    """Commit twice before each of so many snapshots."""
    for number in range(2 * snapshots):
        event = Counted(
            task=f"t-{number}", subject=Subject(partition=0, offset=0, digest=""), at=0, revision=(0, 0, 0)
        )
        journal.state = SPEC.decider.evolve(journal.state, event)
        await journal.commit(
            now=journal.now + 1,
            catalog=Revision(),
            inputs=(),
            positions={},
            events=(msgspec.Raw(msgspec.json.encode(event)),),
            outputs=(),
        )
        journal.published = journal.mark
        if number % 2:
            await journal.snapshot()


async def test_what_restore_and_audit_need_stays(platform: KafkaPlatform) -> None:
    """
    A claim, and four snapshots after two commits each: the third one, at offset 7, and all behind it must stay.

    While the audit has the journal up to 4 alone, no more than that goes.
    """
    async with (
        log_of(platform, NAME) as own,
        log_of(platform, "tools") as tools,
        log_of(platform, "audit-sink") as audit,
    ):
        journal = await owned(own, "one")
        await live(journal, 4)
        places = [PLACE.journal, PLACE.snapshots]
        never_asked = await tidy(tools, [SPEC], {})
        behind = await tidy(tools, [SPEC], {str(PLACE): 4})
        caught_up = await tidy(tools, [SPEC], {str(PLACE): 9})
        again = await tidy(tools, [SPEC], {str(PLACE): 9})
        starts = await tools.start_offsets(places)
        left = await SnapshotStore(tools, PLACE.snapshots).whole()
        with pytest.raises(MisconfiguredError):
            await own.trim(PLACE.journal, 8)
        with pytest.raises(MisconfiguredError):
            await audit.trim(PLACE.journal, 8)
        heir = await owned(own, "two")
        await live(heir, 1)

    # Snapshots go at once, for nobody but a restore needs them; the third is their offset 2.
    assert [Trimmed(place=str(PLACE), journal_from=0, snapshots_from=2, gone=2)] == never_asked
    assert [Trimmed(place=str(PLACE), journal_from=4, snapshots_from=2, gone=4)] == behind
    assert [Trimmed(place=str(PLACE), journal_from=7, snapshots_from=2, gone=3)] == caught_up
    assert [] == again
    assert {PLACE.journal: 7, PLACE.snapshots: 2} == starts
    assert [9, 7] == [snapshot.next_offset for snapshot, _ in left]
    assert {f"t-{number}": 1 + (number < 2) for number in range(8)} == heir.state.tasks
