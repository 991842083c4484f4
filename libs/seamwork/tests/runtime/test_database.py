"""A file that cannot be used now is tried again; one that never can is named to whoever must mend it."""

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from seamwork.errors import MisconfiguredError, RetryableError, SeamworkError
from seamwork.runtime.database import make_private, opening, using


@pytest.mark.parametrize(
    ("code", "kind"),
    [(errno.ENOSPC, RetryableError), (errno.EIO, RetryableError), (errno.EROFS, MisconfiguredError)],
)
def test_a_file_that_cannot_be_made_is_told_by_its_ground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[SeamworkError]
) -> None:
    """Room may be made; a disk that nobody may write stays one."""

    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(kind, match="the file that SEAMWORK_X names cannot be made"):
        make_private(tmp_path / "kept.db", "SEAMWORK_X")


def test_a_folder_in_the_place_of_the_file_is_nothing_to_wait_for(tmp_path: Path) -> None:
    """SQLite says of it what it says of a process with too many files open."""
    with (
        pytest.raises(MisconfiguredError, match="must be a file that this user may write"),
        opening(tmp_path, "restore it"),
        closing(sqlite3.connect(tmp_path)) as db,
    ):
        db.execute("PRAGMA journal_mode = WAL")


def test_a_disk_that_is_full_is_waited_for(tmp_path: Path) -> None:
    """No room for one more page is what SQLite says of both."""
    with closing(sqlite3.connect(tmp_path / "kept.db", isolation_level=None)) as db:
        db.execute("CREATE TABLE kept (value BLOB)")
        db.execute("PRAGMA max_page_count = 2")
        with (
            pytest.raises(
                RetryableError, match=r"kept\.db cannot be used just now \(database or disk is full\)"
            ),
            using(tmp_path / "kept.db"),
        ):
            db.execute("INSERT INTO kept VALUES (zeroblob(100000))")


def test_a_statement_that_is_wrong_is_a_bug(tmp_path: Path) -> None:
    """Starting again would run it again."""
    with (
        closing(sqlite3.connect(tmp_path / "kept.db")) as db,
        pytest.raises(sqlite3.OperationalError, match="no such table"),
        using(tmp_path / "kept.db"),
    ):
        db.execute("SELECT * FROM kept")
