"""One pass over the journals of all machines, on the simulated log."""

import msgspec
import pytest

from seamwork.errors import UnprocessableError
from seamwork.journal import Journal, Ownership, Place
from seamwork.platform.janitor import tidy
from seamwork.records.parties import Revision, Subject
from seamwork.runtime import MachineSpec
from seamwork.testing.clock import SettableClock
from seamwork.testing.counter import Counted, counter
from seamwork.testing.simlog import SimBroker, SimLog

SPEC = MachineSpec(decider=counter("counter"))
PARTITIONS = 3


async def snapshots(broker: SimBroker, number: int, bounced: int = 0) -> Place:
    """Let a partition live up to its third snapshot; *bounced* is in the last one, and in no event."""
    place = Place(SPEC.journal, SPEC.snapshots, number)
    owner = Ownership("one", "test", broker.clock.now_ms)
    journal = await Journal.own(SimLog(broker), SPEC.decider, place, owner)
    for last in (False, False, True):
        event = Counted(
            task="t-1", subject=Subject(partition=0, offset=0, digest=""), at=0, revision=(0, 0, 0)
        )
        journal.state = SPEC.decider.evolve(journal.state, event)
        if last:
            journal.state.bounced = bounced
        events = (msgspec.Raw(msgspec.json.encode(event)),)
        await journal.commit(now=1, catalog=Revision(), inputs=(), positions={}, events=events, outputs=())
        await journal.snapshot()
    return place


async def test_a_journal_that_does_not_come_out_holds_up_no_other() -> None:
    """It stays whole and is named, after the pass; the others would fill the disk because of it."""
    broker = SimBroker(SettableClock())
    for topic in (SPEC.journal, SPEC.snapshots):
        broker.create_topic(topic, PARTITIONS)
    places = [await snapshots(broker, number, bounced=7 * (number == 1)) for number in range(PARTITIONS)]
    kept = {str(place): 100 for place in places}

    with pytest.raises(UnprocessableError, match=r"journal\.counter\.v1/1: .* nothing was trimmed"):
        await tidy(SimLog(broker), [SPEC], kept)
    assert [3, 0, 3] == [broker.bounds(place.journal)[0] for place in places]
