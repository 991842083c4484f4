"""
A next release of each machine takes over what this one wrote.

The chaos run replaces whole services under load; here is what they read, with a history of each machine.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.chaos.next_release import CHANGES, next_core

from seamwork.decider import written
from seamwork.errors import MisconfiguredError
from seamwork.journal import VersionedReader, state_sha256
from seamwork.journal.records import Snapshot
from seamwork.records.parties import Revision
from seamwork.testing.journal_check import commits, folded
from seamwork.testing.recorded import read
from seamwork.testing.simulation.run import deciders

RECORDED = Path(__file__).parents[1] / "recorded" / version("seamwork")


def journals(name: str) -> list[Any]:
    """Return the journals that this release has recorded of a machine."""
    return [read(file) for file in sorted(RECORDED.glob(f"*/{name}.*.jsonl"))]


def snapshot(of_version: int) -> Snapshot:
    """Return a manifest."""
    return Snapshot(
        journal_id="j", epoch=0, seq=1, next_offset=2, now=0, catalog=Revision(), positions={},
        machine_version=of_version, sha256="",
    )  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_next_release_takes_over_what_this_one_wrote(name: str) -> None:
    """From the beginning or from a snapshot the state is the same; events and state have another shape."""
    now = deciders(1)[name]
    later, change = next_core(now, CHANGES[name]), CHANGES[name]
    changed = 0
    for journal in journals(name):
        ours = b"".join(written(folded(now, journal)))
        replayed = folded(later, journal)
        restored = VersionedReader(later).state(snapshot(now.version), ours)
        theirs = b"".join(written(replayed))

        assert state_sha256(replayed) == state_sha256(restored)
        assert set(change.of_state) == set(msgspec.json.decode(ours)) ^ set(msgspec.json.decode(theirs))
        for commit in commits(journal):
            for event in VersionedReader(later).events(commit):
                changed += change.of_event[1] in msgspec.to_builtins(event)
    assert changed


@pytest.mark.parametrize("name", CHANGES)
def test_this_release_refuses_what_a_next_one_wrote(name: str) -> None:
    """By its name for that; nothing is guessed."""
    now = deciders(1)[name]

    with pytest.raises(MisconfiguredError, match="start a newer release"):
        VersionedReader(now).state(snapshot(now.version + 1), b"{}")
