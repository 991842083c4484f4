"""Read the database: each question on a read-only connection of its own, beside the one writer."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from seamwork_audit_sink.merkle import Frontier
from seamwork_audit_sink.rows import Row

_COLUMNS = ", ".join(f'"{name}"' for name in Row._fields)
_LEAN = ", ".join("NULL" if name == "value" else f'"{name}"' for name in Row._fields)
_SAID = ", ".join({"value": "NULL", "headers": "x'90'"}.get(name, f'"{name}"') for name in Row._fields)
"""Columns of what a record says: no body, and of the headers, an empty list here, its envelope alone."""
_INBOX = ("work", "answer", "notice")
_ROOTS = 256
_PAGE = 1_000
_AGENTS = 1_000
_PAGE_BYTES = 8 * 1024 * 1024
"""Of whole records at once: the sink has a few hundred MiB to live in, and several may ask."""


class Archive:
    """What is in the database at *path*, as of its last transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._uri = f"{path.absolute().as_uri()}?mode=ro"

    @property
    def exists(self) -> bool:
        """Whether there is a database yet."""
        return self._path.exists()

    def task_rows(self, task: str) -> Iterator[Row]:
        """Yield what happened to a task: what all of its records say but those that lie in inboxes."""
        query = (
            f"SELECT leaf, {_SAID} FROM records WHERE task = ? AND type NOT IN (?, ?, ?) AND leaf > ? "  # noqa: S608
            "ORDER BY leaf LIMIT ?"
        )
        return self._paged(query, (task, *_INBOX))

    def task_records(self, task: str, limit: int, after: int) -> tuple[list[tuple[int, Row]], int | None]:
        """
        Return records of a task, whole, with their place in the tree, from behind *after*.

        Returns:
            So many as *limit* allows, or fewer where they are large; and behind which place there may be more.
        """
        query = f"SELECT leaf, {_COLUMNS} FROM records WHERE task = ? AND leaf > ? ORDER BY leaf LIMIT ?"  # noqa: S608
        found: list[tuple[int, Row]] = []
        held = 0
        with self._reading() as db:
            for leaf, *columns in db.execute(query, (task, after, limit)):
                row = Row(*columns)
                found.append((leaf, row))
                held += len(row.value or b"") + len(row.envelope or "") + len(row.headers)
                if len(found) == limit or held >= _PAGE_BYTES:
                    return found, leaf
        return found, None

    def beginnings(self, *, without_end: bool = False) -> Iterator[tuple[Row, Row | None, bool]]:
        """
        Yield what each task's first handoff says, the newest task first.

        Besides, its end if it has one; and whether there are further handoffs that say that they began it. With
        *without_end* those alone that have none.
        """
        unended = (
            "AND NOT EXISTS (SELECT 1 FROM records AS ended WHERE ended.type = 'task-ended' "
            "AND ended.task = begun.task) "
        )
        roots = (
            f"SELECT leaf, {_SAID} FROM records AS begun WHERE root = 1 AND leaf < ? AND NOT EXISTS ("  # noqa: S608
            "SELECT 1 FROM records AS first WHERE first.root = 1 AND first.task = begun.task "
            f"AND first.leaf < begun.leaf) {unended if without_end else ''}ORDER BY leaf DESC LIMIT ?"
        )
        ending = f"SELECT {_SAID} FROM records WHERE task = ? AND type = 'task-ended' ORDER BY leaf LIMIT 1"  # noqa: S608
        further = "SELECT COUNT(*) > 1 FROM records WHERE task = ? AND root = 1"
        before = 1 << 62
        while True:
            page: list[tuple[Row, Row | None, bool]] = []
            with self._reading() as db:
                found = db.execute(roots, (before, _ROOTS)).fetchall()
                for _, *columns in found:
                    row = Row(*columns)
                    ended = db.execute(ending, (row.task,)).fetchone()
                    (more,) = db.execute(further, (row.task,)).fetchone()
                    page.append((row, None if ended is None else Row(*ended), bool(more)))
            yield from page
            if len(found) < _ROOTS:
                return
            before = found[-1][0]

    def begun(self, task: str) -> list[Row]:
        """Return what the handoffs that began a task say, and which of them went on or were refused."""
        query = (
            f"SELECT {_SAID} FROM records WHERE task = ? AND (root = 1 OR "  # noqa: S608
            "(type IN ('dispatched', 'held', 'refused') AND crossing IN "
            "(SELECT crossing FROM records WHERE task = ? AND root = 1))) ORDER BY leaf"
        )
        with self._reading() as db:
            return [Row(*row) for row in db.execute(query, (task, task))]

    def last_of(self, task: str) -> tuple[str, int] | None:
        """Return what was recorded of a task last, its type and its instant, or None."""
        query = "SELECT type, appended_at FROM records WHERE task = ? ORDER BY leaf DESC LIMIT 1"
        with self._reading() as db:
            row: tuple[str, int] | None = db.execute(query, (task,)).fetchone()
            return row

    def asks(self, task: str) -> int:
        """Return how many requests for approval of a task have not ended since they were last made."""
        query = (  # beside MAX, SQLite takes the other column from the same row
            "SELECT COUNT(*) FROM (SELECT type, MAX(leaf) FROM records WHERE task = ? "
            "AND type IN ('approval-request', 'approval-end') GROUP BY json_extract(envelope, '$.id')) "
            "WHERE type = 'approval-request'"
        )
        with self._reading() as db:
            return int(db.execute(query, (task,)).fetchone()[0])

    def counted(self, task: str) -> tuple[int, int]:
        """Return how many crossings of a task there are, and how many were refused, as its trace counts them."""
        query = (
            "SELECT COUNT(DISTINCT IIF(type IN ('handoff', 'result'), type || crossing, NULL)), "
            "COUNT(DISTINCT IIF(type = 'refused' AND json_extract(envelope, '$.rule') IS NOT 'repeat', "
            "IFNULL(crossing, json_extract(envelope, '$.subject')), NULL)) FROM records WHERE task = ?"
        )
        with self._reading() as db:
            crossings, refused = db.execute(query, (task,)).fetchone()
            return int(crossings), int(refused)

    def handed(self, task: str) -> Iterator[Row]:
        """Yield what the handoffs of a task say."""
        query = (
            f"SELECT leaf, {_SAID} FROM records WHERE task = ? AND type = 'handoff' AND leaf > ? "  # noqa: S608
            "ORDER BY leaf LIMIT ?"
        )
        return self._paged(query, (task,))

    def breaker_moves(self, limit: int) -> list[Row]:
        """Return what the last moves of breakers say, the newest first."""
        query = f"SELECT {_SAID} FROM records WHERE type = 'breaker-moved' ORDER BY leaf DESC LIMIT ?"  # noqa: S608
        with self._reading() as db:
            return [Row(*row) for row in db.execute(query, (limit,))]

    @property
    def size(self) -> int:
        """How many records there are."""
        with self._reading() as db:
            (size,) = db.execute("SELECT size FROM tree").fetchone()
            return int(size)

    def between(self, begin: int, end: int, types: Sequence[str]) -> Iterator[Row]:
        """Yield what the records of *types* say, from one place in the tree to before another."""
        marks = ", ".join("?" * len(types))
        query = (
            f"SELECT leaf, {_SAID} FROM records WHERE leaf < ? AND type IN ({marks}) AND leaf > ? "  # noqa: S608
            "ORDER BY leaf LIMIT ?"
        )
        return self._paged(query, (end, *types), begin - 1)

    def _paged(self, query: str, given: Sequence[str | int], after: int = -1) -> Iterator[Row]:
        """
        Yield what *query* finds behind the leaf *after*, page by page.

        Whoever goes over it may take seconds, and so long a reading would hold up the writer's checkpoints.
        """
        while True:
            with self._reading() as db:
                found = db.execute(query, (*given, after, _PAGE)).fetchall()
            for _, *columns in found:
                yield Row(*columns)
            if len(found) < _PAGE:
                return
            after = found[-1][0]

    def crossing(self, partition: int, offset: int) -> Row | None:
        """Return what lies at a place of ``handoffs``, whole, or None where nothing was taken in from there."""
        query = f'SELECT {_COLUMNS} FROM records WHERE topic = ? AND "partition" = ? AND "offset" = ?'  # noqa: S608
        with self._reading() as db:
            row = db.execute(query, ("handoffs.v1", partition, offset)).fetchone()
            return None if row is None else Row(*row)

    def counts(self) -> list[tuple[str, str, str, int]]:
        """
        Return what was counted: what, by which name, divided by which detail, how many.

        Of agents those with the most: whoever may write can make names up.
        """
        query = (
            "SELECT what, name, detail, records FROM counts WHERE what <> 'agent' UNION ALL "
            "SELECT * FROM (SELECT what, name, detail, records FROM counts WHERE what = 'agent' "
            "ORDER BY records DESC, name LIMIT ?) ORDER BY what, name, detail"
        )
        with self._reading() as db:
            return db.execute(query, (_AGENTS,)).fetchall()

    def rows(self, *, bodies: bool = False) -> Iterator[Row]:
        """Return every row in the order of the tree, without bodies unless asked for."""
        with self._reading() as db:
            for row in db.execute(f"SELECT {_COLUMNS if bodies else _LEAN} FROM records ORDER BY leaf"):  # noqa: S608
                yield Row(*row)

    def gaps(self) -> list[tuple[str, int, int, int]]:
        """Return what an operator agreed to go on without: topic, partition, first and next offset."""
        with self._reading() as db:
            return db.execute('SELECT topic, "partition", first, next FROM gaps ORDER BY noted_at').fetchall()

    def tree(self) -> tuple[str, Frontier]:
        """Return the id of the log and the frontier of the tree over all rows."""
        with self._reading() as db:
            (log_id,) = db.execute("SELECT value FROM about WHERE name = 'log'").fetchone()
            return log_id, Frontier.unpacked(*db.execute("SELECT size, peaks FROM tree").fetchone())

    def positions(self) -> dict[tuple[str, int], int]:
        """Return the next offset of every partition that is read."""
        with self._reading() as db:
            return {(topic, number): at for topic, number, at in db.execute("SELECT * FROM positions")}

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._uri, uri=True, check_same_thread=True, timeout=10)) as db:
            db.execute("PRAGMA query_only = ON")
            yield db
