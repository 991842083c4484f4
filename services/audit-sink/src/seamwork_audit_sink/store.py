"""
Keep rows in SQLite: every record once, and what was read together with how far.

Rule 1: rows, positions, counts and tree change in one transaction, or none of them does.
Rule 2: positions come from here alone; what the log's group remembers is for graphs.
Rule 3: a record that comes twice, or out of turn, is an error and never passed over.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from seamwork.bus.port import LogGapError, Partition
from seamwork.errors import FencedError, MisconfiguredError, SeamworkError
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.wire import RawRecord, Received
from seamwork.runtime.database import make_private, opening
from seamwork_audit_sink import schema
from seamwork_audit_sink.counts import DECIDED, count
from seamwork_audit_sink.merkle import Frontier, leaf_hash
from seamwork_audit_sink.order import Lately, in_order
from seamwork_audit_sink.rows import Mark, Row, entry_of, row_of
from seamwork_audit_sink.schema import ADDED, SCHEMA

_INSERT = f"INSERT INTO records VALUES ({', '.join('?' * (1 + len(Row._fields)))})"  # noqa: S608  # places alone
_MOVE = 'UPDATE positions SET next = ? WHERE topic = ? AND "partition" = ? AND next = ?'
_MARK_AT = (
    'SELECT appended_at, key, value_sha256 FROM records WHERE topic = ? AND "partition" = ? AND "offset" = ?'
)
_COUNT = (
    "INSERT INTO counts VALUES (?, ?, ?, ?) "
    "ON CONFLICT (what, name, detail) DO UPDATE SET records = records + excluded.records"
)


_LATELY = 20_000
_LOOKED_BACK = 5 * _LATELY
"""What commits of a batch or two decided is published again, and lies among these latest of all records."""
_BUSY_MS = 10_000
"""So long another may hold the file, who looks at it with tools of their own, before this one gives up."""


class DuplicateRecordError(SeamworkError):
    """A record was to be taken in a second time; the reader or the database is not what it should be."""


class Store:
    """
    The one writer of one database. Use it on one thread at a time.

    Args:
        path: The file; it and its folder are made for the owner's eyes only.
        platform: The platform's id; a database belongs to one platform.
        log_id: The id that a new database gets; an old one keeps its own.

    Raises:
        RetryableError: It cannot be opened just now.
        MisconfiguredError: It cannot be opened, or is not what it should be.
    """

    def __init__(self, path: Path, platform: str, log_id: str) -> None:
        _make_ours(path)
        self._path = path
        self._platform = platform
        with opening(path, "restore it from a copy"):
            self._db = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000
            )
            try:
                self._configure()
                self._create(log_id)
                self.log_id = self._about("log")
                self._tree = self._stored_tree()
            except BaseException:
                self._db.close()
                raise
        self._owner = ""
        self._lately = Lately(_LATELY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def tree(self) -> Frontier:
        """The tree over all rows, as of the last transaction."""
        return self._tree

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def take_over(self, owner: str) -> dict[Partition, int]:
        """
        Become the one that writes, and return the positions.

        Whoever wrote before fails with `FencedError` at its next transaction, and so does nothing twice.
        """
        with _Transaction(self._db):
            self._db.execute("INSERT OR REPLACE INTO about VALUES ('owner', ?)", (owner,))
        self._owner = owner
        self._tree = self._stored_tree()
        self._lately = self._decided_lately()
        rows = self._db.execute('SELECT topic, "partition", next FROM positions')
        return {Partition(topic, number): position for topic, number, position in rows}

    def require_owner(self) -> None:
        """
        See that no other process took the database over.

        Raises:
            FencedError: One did.
        """
        if self._about("owner") != self._owner:
            raise FencedError(f"another process took {self._path} over; this one writes nothing more")

    def watch(self, starts: Mapping[Partition, int], noted_at: int, *, accept_gaps: bool = False) -> None:
        """
        Begin partitions that were never read; one that begins past 0 leaves a gap on record.

        Raises:
            LogGapError: There is such a gap, and it is not accepted.
            FencedError: Another process writes by now; what is gone, it may well have kept.
        """
        with _Transaction(self._db):
            self.require_owner()
            if not accept_gaps and (gaps := {at: start for at, start in starts.items() if start}):
                at, start = min(gaps.items())
                raise LogGapError(
                    f"{at.name} begins at offset {start}, and nothing of it was ever kept: what "
                    "lies before is gone. Restore the database, or set "
                    "SEAMWORK_AUDIT_SINK_ACCEPT_TRIMMED_START=true to go on without it; the database notes the gap"
                )
            for at, start in starts.items():
                self._db.execute("INSERT INTO positions VALUES (?, ?, ?)", (*at, start))
                if start:
                    self._db.execute("INSERT INTO gaps VALUES (?, ?, 0, ?, ?)", (*at, start, noted_at))

    def append(
        self,
        batch: Iterable[Sequence[RawRecord]],
        keep_value_bytes: int,
        follow: Callable[[Sequence[Received[AnyEnvelope]]], None] | None = None,
    ) -> Counter[tuple[str, str]]:
        """
        Take in records, whole partitions' runs at a time, all or none.

        Args:
            batch: For each partition its records from its position on, without a hole.
            keep_value_bytes: Larger bodies are kept as a digest alone.
            follow: Given the readable ones in the order in which they are kept, once they are.

        Returns:
            How many there were, by topic and type.

        Raises:
            LogGapError: A run does not begin at its position, or has a hole.
            DuplicateRecordError: A record was taken in before.
            FencedError: Another process writes by now.
        """
        runs = [run for run in batch if run]
        rows: list[Row] = []
        readable: list[Received[AnyEnvelope]] = []
        for raw in in_order(runs):
            row, found = row_of(raw, self._platform, keep_value_bytes)
            rows.append(row)
            if isinstance(found, Received):
                readable.append(found)
        kinds = Counter((row.topic, row.type) for row in rows)
        counted = count(kinds, (found.record for found in readable if self._counts(found)))
        size = self._tree.size
        tree = self._tree.extended(leaf_hash(entry_of(row)) for row in rows)
        with _Transaction(self._db):
            self.require_owner()
            for run in runs:
                self._move(run)
            try:
                self._db.executemany(_INSERT, ((size + number, *row) for number, row in enumerate(rows)))
            except sqlite3.IntegrityError as error:
                raise DuplicateRecordError(
                    f"{self._path}: a record of this batch is there already ({error}); nothing of the batch was "
                    "taken in. Compare the database with the log before starting again"
                ) from error
            self._db.executemany(_COUNT, ((*name, number) for name, number in counted.items()))
            self._db.execute("UPDATE tree SET size = ?, peaks = ?", (tree.size, tree.packed()))
        self._tree = tree
        if follow is not None:
            follow(readable)
        return kinds

    def require_same(self, lying: Iterable[tuple[Partition, int, Mark]]) -> None:
        """
        See that at these places of the log lies what was kept from there, as far as anything was.

        Raises:
            LogGapError: At one lies another record.
        """
        for at, offset, mark in lying:
            kept = self._db.execute(_MARK_AT, (*at, offset)).fetchone()
            if kept is not None and kept != mark:
                raise LogGapError(
                    f"{at.name} holds another record at offset {offset} than was kept from there: the topic was "
                    "made anew or lost its end, and has grown since. Compare it with the database before starting "
                    "again"
                )

    def published(self, size: int, root_sha256: str, signed_at: int) -> None:
        """Take down that a head of the tree was published."""
        with _Transaction(self._db):
            self.require_owner()
            self._db.execute("INSERT OR IGNORE INTO heads VALUES (?, ?, ?)", (size, root_sha256, signed_at))

    def last_head(self) -> tuple[int, int]:
        """Return size and instant of the last head that was published; zeros where there is none."""
        query = "SELECT size, signed_at FROM heads ORDER BY size DESC LIMIT 1"
        row: tuple[int, int] | None = self._db.execute(query).fetchone()
        return row or (0, 0)

    def _move(self, run: Sequence[RawRecord]) -> None:
        first = run[0]
        at = (first.topic, first.partition)
        for expected, raw in enumerate(run, first.offset):
            if raw.offset != expected:
                raise LogGapError(
                    f"{at[0]}/{at[1]} has nothing at offset {expected}; the sink stops and skips nothing"
                )
        end = run[-1].offset + 1
        if self._db.execute(_MOVE, (end, *at, first.offset)).rowcount == 1:
            return
        row = self._db.execute(
            'SELECT next FROM positions WHERE topic = ? AND "partition" = ?', at
        ).fetchone()
        position = None if row is None else row[0]
        if position is not None and first.offset > position:
            raise LogGapError(
                f"{at[0]}/{at[1]} continues at offset {first.offset}, {position} was expected; the sink stops and "
                "skips nothing"
            )
        raise DuplicateRecordError(
            f"{at[0]}/{at[1]} comes from offset {first.offset} again, {position} was expected; nothing was taken in"
        )

    def _counts(self, found: Received[AnyEnvelope]) -> bool:
        return type(found.record) not in DECIDED or self._lately.is_new(found.digest)

    def _decided_lately(self) -> Lately:
        lately, kinds = Lately(_LATELY), [str(kind.__struct_config__.tag) for kind in DECIDED]
        query = (
            f"SELECT digest FROM records WHERE leaf >= ? AND type IN ({', '.join('?' * len(kinds))}) "  # noqa: S608
            "ORDER BY leaf"
        )
        for (digest,) in self._db.execute(query, (self._tree.size - _LOOKED_BACK, *kinds)):
            lately.is_new(digest)
        return lately

    def _stored_tree(self) -> Frontier:
        size, peaks = self._db.execute("SELECT size, peaks FROM tree").fetchone()
        return Frontier.unpacked(size, peaks)

    def _about(self, name: str) -> str:
        row = self._db.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return "" if row is None else str(row[0])

    def _configure(self) -> None:
        self._db.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")  # before the file has its first page
        self._db.execute("PRAGMA journal_mode = WAL")
        # Journals are trimmed once they are here, so a commit must survive a power cut.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "PRAGMA journal_size_limit = 67108864"
        )  # 64 MiB, after a reader held up a checkpoint
        # 16 MiB: what is written lies at the ends of table and indexes, whatever their size.
        self._db.execute("PRAGMA cache_size = -16384")

    def _create(self, log_id: str) -> None:
        with _Transaction(self._db):
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _statements(SCHEMA):
                    self._db.execute(statement)
                about = (("platform", self._platform), ("log", log_id))
                self._db.executemany("INSERT INTO about VALUES (?, ?)", about)
                self._db.execute(f"PRAGMA user_version = {schema.VERSION}")
            else:
                self._migrate(version)
            self._db.execute(ADDED)
        if self._about("platform") != self._platform:
            raise MisconfiguredError(
                f"{self._path} holds the records of another platform; set SEAMWORK_AUDIT_SINK_DATABASE to a "
                "file of this one's own"
            )

    def _migrate(self, version: int) -> None:
        """Bring the file of an older release to the layout of this one."""
        wanted = range(version, schema.VERSION)
        if version > schema.VERSION or any(number not in schema.MIGRATIONS for number in wanted):
            raise MisconfiguredError(
                f"{self._path} has the layout {version}, this release knows {schema.VERSION}; start the release "
                "that made it"
            )
        for number in wanted:
            for statement in _statements(schema.MIGRATIONS[number]):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {number + 1}")


class _Transaction:
    """One transaction: all of it is there afterwards, or nothing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._db.execute("COMMIT")
        elif self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _statements(script: str) -> Iterable[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _make_ours(path: Path) -> None:
    """
    Make the file, and its folder, if they are not there; see `make_private`.

    Raises:
        MisconfiguredError: Others can read the file.
    """
    make_private(path, "SEAMWORK_AUDIT_SINK_DATABASE")
    if os.name == "posix" and path.is_file() and path.stat().st_mode & 0o077:
        raise MisconfiguredError(f"{path} holds every record and others can read it; run `chmod 600 {path}`")
