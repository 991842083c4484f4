"""Rows and positions change together or not at all."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from seamwork.bus.port import LogGapError, Partition
from seamwork.errors import FencedError, MisconfiguredError, RetryableError
from seamwork.records.wire import RawRecord
from seamwork.testing.builders import PLATFORM, handoff, received
from seamwork_audit_sink import schema
from seamwork_audit_sink.archive import Archive
from seamwork_audit_sink.merkle import leaf_hash, root_of
from seamwork_audit_sink.rows import entry_of, raw_of
from seamwork_audit_sink.store import DuplicateRecordError, Store

HANDOFFS = Partition("handoffs.v1", 0)
KEEP = 1_000_000


def handoffs(offsets: Iterable[int], partition: int = 0) -> list[RawRecord]:
    """Make a run of handoffs."""
    return [handoff(id=f"h-{partition}-{n}", at=f"{partition}/{n}").raw for n in offsets]


def opened(path: Path, owner: str = "one") -> Store:
    """Open a store and take it over."""
    store = Store(path, PLATFORM, "log-1")
    store.take_over(owner)
    return store


def test_a_batch_is_there_with_its_position(database: Path) -> None:
    """What was read and how far go into one transaction."""
    records = handoffs(range(3))
    with opened(database) as store:
        store.watch({HANDOFFS: 0}, 1)
        store.append([records], KEEP)

    with opened(database) as store:
        assert {HANDOFFS: 3} == store.take_over("two")
    rows, _ = Archive(database).task_records("t-1", 10, -1)
    assert records == [raw_of(row) for _, row in rows]


def test_what_was_decided_before_the_sink_was_started_again_counts_once(database: Path) -> None:
    """Whoever died with it publishes again what it cannot know to have published."""
    verdicts = Partition("verdicts.cost-cap.v1", 0)
    for number in range(2):
        with opened(database) as store:
            if not number:
                store.watch({verdicts: 0}, 1)
            store.append([[received("verdict", at=f"0/{number}", gate="cost-cap").raw]], KEEP)

    counts = {(what, name): records for what, name, _, records in Archive(database).counts()}
    assert 1 == counts["verdict", "cost-cap"]
    assert 2 == counts["topic", verdicts.topic]


def test_a_batch_that_fails_leaves_nothing(database: Path) -> None:
    """The good half of a bad batch is not kept either."""
    with opened(database) as store:
        store.watch({HANDOFFS: 0, Partition("handoffs.v1", 1): 0}, 1)
        with pytest.raises(LogGapError, match=r"handoffs\.v1/1 continues at offset 5, 0 was expected"):
            store.append([handoffs(range(3)), handoffs([5], partition=1)], KEEP)

        assert 0 == store.tree.size
        assert {HANDOFFS: 0, Partition("handoffs.v1", 1): 0} == store.take_over("one")
    assert [] == list(Archive(database).rows())


def test_a_hole_within_a_run_is_an_error(database: Path) -> None:
    """Nothing is skipped, not even by a reader that does not know better."""
    with opened(database) as store:
        store.watch({HANDOFFS: 0}, 1)
        with pytest.raises(LogGapError, match=r"handoffs\.v1/0 has nothing at offset 1"):
            store.append([handoffs([0, 2])], KEEP)


def test_a_record_that_comes_twice_is_an_error(database: Path) -> None:
    """A duplicate is a bug to be noticed, not swallowed."""
    with opened(database) as store:
        store.watch({HANDOFFS: 0}, 1)
        store.append([handoffs(range(2))], KEEP)
        with pytest.raises(DuplicateRecordError, match="comes from offset 1 again, 2 was expected"):
            store.append([handoffs([1, 2])], KEEP)


def test_the_table_itself_refuses_a_second_record_at_a_place(database: Path) -> None:
    """Even if a position were wrong, no place holds two records."""
    with opened(database) as store:
        store.watch({HANDOFFS: 0}, 1)
        store.append([handoffs(range(2))], KEEP)
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("UPDATE positions SET next = 1")
        with pytest.raises(DuplicateRecordError, match="is there already"):
            store.append([handoffs([1])], KEEP)


def test_who_was_taken_over_writes_nothing_more(database: Path) -> None:
    """Two processes on one file: the second one's word ends the first one's."""
    with opened(database) as first, Store(database, PLATFORM, "log-2") as second:
        first.watch({HANDOFFS: 0}, 1)
        second.take_over("two")
        with pytest.raises(FencedError):
            first.append([handoffs(range(2))], KEEP)
        second.append([handoffs(range(2))], KEEP)

    assert 2 == len(list(Archive(database).rows()))
    assert "log-1" == second.log_id


def test_who_was_taken_over_complains_of_no_gap(database: Path) -> None:
    """The owner may have kept what is gone since, and had it trimmed; whoever owns nothing knows of neither."""
    with opened(database) as first, Store(database, PLATFORM, "log-2") as second:
        second.take_over("two")
        second.watch({HANDOFFS: 0}, 1)
        second.append([handoffs(range(2))], KEEP)

        with pytest.raises(FencedError):
            first.watch({HANDOFFS: 2}, 1)
        with pytest.raises(
            LogGapError, match=r"handoffs\.v1/1 begins at offset 2, and nothing of it was ever kept"
        ):
            second.watch({Partition("handoffs.v1", 1): 2}, 1)


def test_the_tree_is_over_the_rows_as_they_stand(database: Path) -> None:
    """Whoever has the database can compute the root that was signed, through a restart too."""
    with opened(database) as store:
        store.watch({HANDOFFS: 0}, 1)
        store.append([handoffs(range(5))], KEEP)
    with opened(database) as store:
        store.append([handoffs(range(5, 8))], KEEP)
        root = store.tree.root

    log_id, tree = Archive(database).tree()
    assert ("log-1", 8, root) == (log_id, tree.size, tree.root)
    assert root == root_of([leaf_hash(entry_of(row)) for row in Archive(database).rows()])


def test_rows_stand_in_the_order_of_the_log(database: Path) -> None:
    """Partitions are merged by append time; within one the offsets win over a clock that steps back."""
    early = [RawRecord("a.v1", 0, n, at, b"k", b"") for n, at in enumerate((10, 5, 30))]
    late = [RawRecord("b.v1", 0, 0, 20, b"k", b"")]
    with opened(database) as store:
        store.watch({Partition("a.v1", 0): 0, Partition("b.v1", 0): 0}, 1)
        store.append([early, late], KEEP)

    assert [10, 5, 20, 30] == [row.appended_at for row in Archive(database).rows()]


def test_only_its_owner_can_read_the_database(database: Path) -> None:
    """It holds every payload."""
    with opened(database) as store:
        store.watch({HANDOFFS: 0}, 1)
        modes = {path.name: path.stat().st_mode & 0o777 for path in database.parent.iterdir()}

    assert {"audit.db": 0o600, "audit.db-wal": 0o600, "audit.db-shm": 0o600} == modes
    assert 0o700 == database.parent.stat().st_mode & 0o777


def test_a_database_that_others_can_read_is_refused(database: Path) -> None:
    """Somebody loosened it; nobody tightens it unasked."""
    opened(database).close()
    database.chmod(0o644)

    with pytest.raises(MisconfiguredError, match="others can read it; run `chmod 600"):
        Store(database, PLATFORM, "log-1")


def test_the_database_of_another_platform_is_refused(database: Path) -> None:
    """Two platforms in one file would be two truths under one tree."""
    opened(database).close()

    with pytest.raises(MisconfiguredError, match="holds the records of another platform"):
        Store(database, "other", "log-1")


def test_a_file_that_is_no_database_is_refused(database: Path) -> None:
    """It is not overwritten."""
    database.parent.mkdir()
    database.write_bytes(b"not a database" * 100)
    database.chmod(0o600)

    with pytest.raises(MisconfiguredError, match="cannot be used as a database"):
        Store(database, PLATFORM, "log-1")


def test_a_database_that_another_holds_is_tried_again(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody looks at it, or copies it: the next start may find it free, and so there must be one."""
    opened(database).close()
    monkeypatch.setattr("seamwork_audit_sink.store._BUSY_MS", 50)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryableError, match=r"cannot be opened just now \(database is locked\)"):
            Store(database, PLATFORM, "log-1")
        other.execute("ROLLBACK")

    opened(database).close()


def test_a_folder_that_cannot_be_is_named_by_its_variable(tmp_path: Path) -> None:
    """Starting again would not make it."""
    (tmp_path / "file").touch()

    with pytest.raises(MisconfiguredError, match="SEAMWORK_AUDIT_SINK_DATABASE names cannot be made"):
        Store(tmp_path / "file" / "audit.db", PLATFORM, "log-1")


def test_a_folder_in_its_place_is_refused(database: Path) -> None:
    """It will not become a file."""
    database.mkdir(parents=True)

    with pytest.raises(MisconfiguredError, match="it must be a file that this user may write"):
        Store(database, PLATFORM, "log-1")


def test_a_layout_of_a_later_release_is_refused(database: Path) -> None:
    """A release that does not know it would misread it."""
    opened(database).close()
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 99")

    with pytest.raises(MisconfiguredError, match=f"has the layout 99, this release knows {schema.VERSION}"):
        Store(database, PLATFORM, "log-1")


def test_a_layout_of_an_older_release_is_brought_up_to_date(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step by step, with what it holds; a release that knows no way refuses it."""
    with opened(database) as store:
        store.watch({HANDOFFS: 0}, 1)
        store.append([handoffs(range(3))], KEEP)
    now = schema.VERSION
    monkeypatch.setattr(schema, "VERSION", now + 2)
    with pytest.raises(MisconfiguredError, match=f"has the layout {now}, this release knows {now + 2}"):
        Store(database, PLATFORM, "log-1")
    monkeypatch.setattr(
        schema,
        "MIGRATIONS",
        {
            now: "ALTER TABLE about ADD COLUMN said TEXT NOT NULL DEFAULT '';",
            now + 1: "UPDATE about SET said = 'so';",
        },
    )
    Store(database, PLATFORM, "log-1").close()

    with closing(sqlite3.connect(database)) as db:
        assert [(now + 2,)] == db.execute("PRAGMA user_version").fetchall()
        assert [("so",)] == db.execute("SELECT DISTINCT said FROM about").fetchall()
        assert [(3,)] == db.execute("SELECT count(*) FROM records").fetchall()


def test_the_first_layout_is_brought_up_to_date(database: Path) -> None:
    """It had an index of all crossings; the rows stay where they are."""
    with opened(database) as store:
        store.watch({HANDOFFS: 0}, 1)
        store.append([handoffs(range(3))], KEEP)
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        layout = "SELECT name FROM sqlite_schema ORDER BY name"
        wanted = db.execute(layout).fetchall()
        db.execute("CREATE INDEX records_by_crossing ON records (crossing) WHERE crossing IS NOT NULL")
        db.execute("PRAGMA user_version = 1")
    with opened(database) as store:
        store.append([handoffs(range(3, 5))], KEEP)

    with closing(sqlite3.connect(database)) as db:
        assert wanted == db.execute(layout).fetchall()
        assert [(schema.VERSION,)] == db.execute("PRAGMA user_version").fetchall()
        assert [(5,)] == db.execute("SELECT count(*) FROM records").fetchall()


def test_a_new_file_has_large_pages(database: Path) -> None:
    """SQLite says nothing when it is asked too late."""
    opened(database).close()

    with closing(sqlite3.connect(database)) as db:
        assert [(schema.PAGE_BYTES,)] == db.execute("PRAGMA page_size").fetchall()


def test_what_is_measured_is_read_in_pages_by_type(database: Path) -> None:
    """From one place to before another, each record once and in order, however many pages that takes."""
    first = handoffs([0])[0]
    with opened(database) as store:
        store.watch({HANDOFFS: 0}, 1)
        store.append([[replace(first, offset=number) for number in range(2_500)]], KEEP)
    archive = Archive(database)

    assert 2_500 == archive.size
    assert list(range(100, 2_400)) == [row.offset for row in archive.between(100, 2_400, ["plan", "handoff"])]
    assert list(range(2_000)) == [row.offset for row in archive.between(0, 2_000, ["handoff"])]
    assert [] == list(archive.between(0, 2_500, ["plan"]))


def test_the_last_head_that_was_published_is_known_after_a_restart(database: Path) -> None:
    """Else each start would sign again what was signed; one that is said twice stands as it was said first."""
    with opened(database) as store:
        assert (0, 0) == store.last_head()
        store.published(3, "a", 10)
        store.published(7, "b", 20)
        store.published(7, "b", 30)

    with opened(database, "two") as store:
        assert (7, 20) == store.last_head()


def test_only_who_writes_says_what_was_published(database: Path) -> None:
    """Another has taken the database over, and signs by itself."""
    with opened(database) as old, opened(database, "two") as new:
        with pytest.raises(FencedError):
            old.published(3, "a", 10)

        assert (0, 0) == new.last_head()
