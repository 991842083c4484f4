"""What holds the audit's database against the log finds whatever of a record is not as it was."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from seamwork.bus.port import Partition
from seamwork.records.parties import Revision, Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import RawRecord, compose
from seamwork.testing.keys import key_of
from seamwork.testing.simulation.audited import behind, differences
from seamwork_audit_sink.store import Store

PLATFORM = "simulated"
PLACE = Partition("decisions.v1", 0)
OTHER = Partition("handoffs.v1", 0)


def record(place: Partition, offset: int) -> RawRecord:
    """Write a signed record with an envelope, as they lie in the log."""
    verdict = Verdict(
        gate="policy-engine", gate_version="0", subject=Subject(partition=0, offset=offset, digest="d"),
        outcome="ALLOW", rule="r", reason="r", revision=Revision(), judged_at=0,
    )  # fmt: skip
    out = compose(PLATFORM, place.topic, "t", verdict, signer=key_of("service:router"))
    return RawRecord(place.topic, place.partition, offset, 1_000 + offset, out.key, b"{}", out.headers)


LOG = {PLACE: [record(PLACE, 0), record(PLACE, 1)], OTHER: [record(OTHER, 0)]}


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Path:
    """Return a database of the sink's that has all of the log."""
    file = tmp_path / "audit.db"
    with Store(file, PLATFORM, "log") as store:
        store.take_over("me")
        store.watch(dict.fromkeys(LOG, 0), 0)
        store.append(LOG.values(), 1_000_000)
    return file


def test_what_is_as_it_was_has_no_difference(database: Path) -> None:
    """And nothing is behind."""
    assert [] == differences(database, LOG)
    assert 0 == behind(database, LOG)


@pytest.mark.parametrize(
    "spoil",
    [
        "DELETE FROM records WHERE leaf = 1",
        "DELETE FROM records WHERE leaf = 2",
        'UPDATE records SET "offset" = 7 WHERE leaf = 2',
        "UPDATE records SET appended_at = 7 WHERE leaf = 1",
        "UPDATE records SET key = x'00' WHERE leaf = 1",
        "UPDATE records SET value = NULL WHERE leaf = 1",
        "UPDATE records SET headers = x'90' WHERE leaf = 1",
        "UPDATE records SET envelope = '{}' WHERE leaf = 1",
        "UPDATE records SET envelope = NULL WHERE leaf = 1",
    ],
)
def test_whatever_is_not_as_it_was_is_found(database: Path, spoil: str) -> None:
    """Lost, moved, or another in any part: the signature lies in the headers, what it covers in the envelope."""
    with closing(sqlite3.connect(database)) as base:
        base.execute(spoil)
        base.commit()

    assert [] != differences(database, LOG)
