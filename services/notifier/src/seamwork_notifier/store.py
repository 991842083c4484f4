"""
Keep what has to be told until it was told, in SQLite.

Rule 1: notifications and the positions they come from change in one transaction, so each record is taken in once.
Rule 2: a notification leaves only when its receiver took it or it was given up; it may be sent twice, never lost.
Rule 3: nobody who shares the event loop waits for the disk.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from seamwork.bus.port import Partition
from seamwork.errors import MisconfiguredError
from seamwork.runtime.database import make_private, opening, using
from seamwork_notifier.state import Notified

_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS positions (
    topic TEXT NOT NULL, "partition" INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, "partition")
) STRICT;
CREATE TABLE IF NOT EXISTS waiting (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, body TEXT NOT NULL, since INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL, error TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS told_once (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS taken (digest TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS burned (
    contract TEXT NOT NULL, what TEXT NOT NULL, since INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (contract, what, since)
) STRICT;
CREATE TABLE IF NOT EXISTS delivered (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, outcome TEXT NOT NULL, tries INTEGER NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS by_owner ON waiting (owner, next_at, since);
CREATE INDEX IF NOT EXISTS by_time ON delivered (at);
"""
_MOVE = (
    "INSERT INTO positions VALUES (?, ?, ?) "
    'ON CONFLICT (topic, "partition") DO UPDATE SET next = excluded.next'
)
_IN_USE = "INSERT OR REPLACE INTO about VALUES ('in use', ?)"
_GO_ON = (
    "UPDATE waiting SET since = MIN(?, since + ? - last.at) "
    "FROM (SELECT CAST(value AS INTEGER) AS at FROM about WHERE name = 'in use') AS last WHERE last.at < ?"
)
"""Whoever did not run tried nothing, and gives nothing up for it."""
_LOCK_S = 5.0
_KEPT_MS = 40 * 86_400_000
"""Longer than a month, the longest period of an error budget."""
_MOST_TAKEN = 20_000
"""More than routers and machines publish again as they start: what the commits of a batch or two said."""

Account = tuple[str, str, int]
"""The contract's name, what is counted, and since when (ms)."""

_Change = tuple[str, Sequence[tuple[Any, ...]]]
"""A statement, and the rows for which it is run."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """
    A notification that waits for its next try at *next_at* (ms).

    It waits since *since*, later by the time in which nobody could try.
    """

    notified: Notified
    since: int
    tries: int
    next_at: int


class Store:
    """
    The notifications of one platform that wait.

    What changes them is done on a thread of the store's own, one transaction after the other; what is asked of them
    is read at once, on a connection that no write holds up.

    Args:
        path: The file; it and its folder are made for the owner's eyes only.
        platform: The platform's id; a database belongs to one platform.
        now: When it is opened (ms). The time since it was last in use counts for nothing that waits in it.

    Raises:
        RetryableError: It cannot be opened, or later read or written, just now.
        MisconfiguredError: It cannot be opened, or belongs to another platform.
    """

    def __init__(self, path: Path, platform: str, now: int) -> None:
        make_private(path, "SEAMWORK_NOTIFIER_DATABASE")
        self._path = path
        with ExitStack() as opened, opening(path, "restore or remove it"):
            self._db = opened.enter_context(_connected(path))
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(_SCHEMA)
            self._db.execute("INSERT OR IGNORE INTO about VALUES ('platform', ?)", (platform,))
            self._db.execute("INSERT OR IGNORE INTO about VALUES ('since', ?)", (str(now),))
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute(_GO_ON, (now, now, now))
                self._db.execute(_IN_USE, (str(now),))
            self._reading = opened.enter_context(_connected(path))
            self._reading.execute("PRAGMA query_only = ON")
            if self._about("platform") != platform:
                raise MisconfiguredError(
                    f"{path} holds the notifications of another platform; name another file"
                )
            self._opened = opened.pop_all()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="notifier-store")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back, behind what is being written."""
        self._thread.shutdown()
        self._opened.close()

    @cached_property
    def begun_at(self) -> int:
        """When this database was made (ms)."""
        return int(self._about("since"))

    def positions(self) -> dict[Partition, int]:
        """Return how far each partition was read."""
        rows = self._asked('SELECT topic, "partition", next FROM positions')
        return {Partition(topic, number): position for topic, number, position in rows}

    def was_told(self, name: str) -> bool:
        """Say whether what is told once under *name* was told."""
        return bool(self._asked("SELECT 1 FROM told_once WHERE name = ?", name))

    def was_taken(self, digest: str) -> bool:
        """Say whether the record with this digest has led to something, and so is one that was published again."""
        return bool(self._asked("SELECT 1 FROM taken WHERE digest = ?", digest))

    def burned(self, account: Account) -> int:
        """Return how much of an error budget is used up."""
        rows = self._asked("SELECT count FROM burned WHERE contract = ? AND what = ? AND since = ?", *account)
        return int(rows[0][0]) if rows else 0

    async def take(
        self,
        notified: Sequence[Notified],
        positions: Mapping[Partition, int],
        now: int,
        *,
        once: Iterable[str] = (),
        burned: Mapping[Account, int] | None = None,
        taken: Iterable[str] = (),
    ) -> None:
        """
        Keep what is to be delivered, and how far was read.

        Args:
            notified: What is to be delivered.
            positions: How far was read.
            now: The time (ms).
            once: Names of what is not told again.
            burned: How much of each error budget is used up by now.
            taken: The digests of the records that led to all this.
        """
        await self._change(
            (
                "INSERT OR IGNORE INTO waiting (id, owner, body, since, next_at) VALUES (?, ?, ?, ?, ?)",
                [(one.id, one.owner, msgspec.json.encode(one).decode(), now, now) for one in notified],
            ),
            (
                _MOVE,
                [(at.topic, at.partition, position) for at, position in positions.items()],
            ),
            ("INSERT OR IGNORE INTO told_once VALUES (?, ?)", [(name, now) for name in once]),
            ("DELETE FROM told_once WHERE at < ?", [(now - _KEPT_MS,)]),
            (
                "INSERT OR REPLACE INTO burned VALUES (?, ?, ?, ?)",
                [(*account, count) for account, count in (burned or {}).items()],
            ),
            ("DELETE FROM burned WHERE since < ?", [(now - _KEPT_MS,)]),
            (_IN_USE, [(str(now),)]),
            ("INSERT OR IGNORE INTO taken VALUES (?)", [(digest,) for digest in taken]),
            (
                "DELETE FROM taken WHERE rowid <= (SELECT max(rowid) FROM taken) - ?",
                [(_MOST_TAKEN,)],
            ),
        )

    async def note_use(self, now: int) -> None:
        """Take down that what waits is tried as late as *now* (ms)."""
        await self._change((_IN_USE, [(str(now),)]))

    def next_of(self, owner: str) -> Waiting | None:
        """Return what *owner* is to be told next, whether its time has come or not."""
        rows = self._asked(
            "SELECT body, since, tries, next_at FROM waiting WHERE owner = ? "
            "ORDER BY next_at, since, rowid LIMIT 1",
            owner,
        )
        if not rows:
            return None
        body, *when = rows[0]
        return Waiting(msgspec.json.decode(body, type=Notified), *when)

    def owners(self) -> dict[str, int]:
        """Return who is to be told something, and of how much."""
        return dict(self._asked("SELECT owner, count(*) FROM waiting GROUP BY owner"))

    async def again(self, identity: str, next_at: int, error: str) -> None:
        """Try it again at *next_at*."""
        await self._change(
            (
                "UPDATE waiting SET tries = tries + 1, next_at = ?, error = ? WHERE id = ?",
                [(next_at, error, identity)],
            )
        )

    async def put_off(self, owner: str, next_at: int) -> None:
        """Try nothing of *owner* before *next_at*."""
        await self._change(
            ("UPDATE waiting SET next_at = ? WHERE owner = ? AND next_at < ?", [(next_at, owner, next_at)])
        )

    async def done(self, identity: str, outcome: Literal["delivered", "given-up"], at: int) -> None:
        """Let what was told, or given up, wait no more, and keep for a while how it ended and when (ms)."""
        await self._change(
            (
                "INSERT OR REPLACE INTO delivered SELECT id, owner, ?, tries + 1, ? FROM waiting WHERE id = ?",
                [(outcome, at, identity)],
            ),
            ("DELETE FROM waiting WHERE id = ?", [(identity,)]),
            ("DELETE FROM delivered WHERE at < ?", [(at - _KEPT_MS,)]),
        )

    async def _change(self, *changes: _Change) -> None:
        """Make *changes*, all of them or none."""

        def make() -> None:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                for statement, rows in changes:
                    self._db.executemany(statement, rows)

        with using(self._path):
            await asyncio.get_running_loop().run_in_executor(self._thread, make)

    def _asked(self, query: str, *given: str | int) -> list[Any]:
        with using(self._path):
            return self._reading.execute(query, given).fetchall()

    def _about(self, name: str) -> str:
        ((value,),) = self._asked("SELECT value FROM about WHERE name = ?", name)
        return str(value)


def _connected(path: Path) -> "closing[sqlite3.Connection]":
    return closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_LOCK_S))
