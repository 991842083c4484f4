"""What an older version of a machine wrote is read by the present one; what a newer one wrote is refused."""

from dataclasses import replace

import msgspec
import pytest

from seamwork.decider import Upcast
from seamwork.errors import MisconfiguredError
from seamwork.journal import Commit, VersionedReader
from seamwork.journal.records import Snapshot
from seamwork.records.parties import Revision, Subject
from seamwork.testing.counter import Counted, Counts, Tallied, Tallies, Tally, counter, next_counter

FIRST, NEXT = counter("counter"), next_counter("counter")
EVENT = Counted(task="t-1", subject=Subject(partition=0, offset=0, digest=""), at=0, revision=(0, 0, 0))


def commit(version: int) -> Commit:
    """Return a commit with one event, as a version wrote it."""
    event = msgspec.Raw(msgspec.json.encode(EVENT))
    return Commit(
        epoch=0, seq=1, now=0, catalog=Revision(), inputs=(), positions={}, events=(event,), machine_version=version
    )  # fmt: skip


def snapshot(version: int) -> Snapshot:
    """Return a manifest that a version wrote."""
    return Snapshot(
        journal_id="j", epoch=0, seq=1, next_offset=2, now=0, catalog=Revision(), positions={},
        machine_version=version, sha256="",
    )  # fmt: skip


def test_events_and_snapshots_of_an_older_version_are_brought_up_to_date() -> None:
    """Replayed from the beginning or from a snapshot, the state is the same."""
    reader = VersionedReader(NEXT)
    older = msgspec.json.encode(Counts(tasks={"t-1": 1}))
    (event,) = reader.events(commit(1))

    assert isinstance(event, Tallied)
    assert 1 == event.weight
    assert Tallies(tasks={"t-1": Tally(handoffs=1, weight=1)}) == NEXT.fold([event])
    assert NEXT.fold([event]) == reader.state(snapshot(1), older)


def test_what_the_present_version_wrote_is_read_as_it_is() -> None:
    """Nothing goes through an upcast twice."""
    state = Counts(tasks={"t-1": 3})

    assert [EVENT] == list(VersionedReader(FIRST).events(commit(1)))
    assert state == VersionedReader(FIRST).state(snapshot(1), msgspec.json.encode(state))


def test_what_a_newer_version_wrote_is_refused() -> None:
    """With what to do; nothing is guessed."""
    with pytest.raises(MisconfiguredError, match="start a newer release"):
        VersionedReader(FIRST).events(commit(2))
    with pytest.raises(MisconfiguredError, match="start a newer release"):
        VersionedReader(FIRST).state(snapshot(2), b"{}")


def test_a_version_that_was_left_out_is_refused() -> None:
    """From 1 to 3 there is no way but over 2."""
    third = replace(NEXT, version=3, upcasts={2: Upcast()})

    with pytest.raises(MisconfiguredError, match="no way from 1; start a release in between first"):
        VersionedReader(third).events(commit(1))


def test_an_upcast_that_makes_nothing_known_is_refused() -> None:
    """A release that cannot read what it says it can is not the one to start."""
    broken = replace(NEXT, upcasts={1: Upcast()})

    with pytest.raises(MisconfiguredError, match="this release is broken"):
        list(VersionedReader(broken).events(commit(1)))
