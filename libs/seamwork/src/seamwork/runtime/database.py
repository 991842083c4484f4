"""
Tell what ails the file in which a service keeps something: what passes by itself, or what somebody must mend.

A disk that is full and a file that is locked are the world's doing. Who is told that they are set up wrongly is not
started again, and the file would stay unread when the disk has long had room.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seamwork.errors import MisconfiguredError, RetryableError, SeamworkError

_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,  # who opens a file lost to others who did, too often in a row
    }
)
_PRIMARY = 0xFF
"""The byte of a code that says what happened; the others say where in SQLite it did."""
_PASSING_ERRNOS = frozenset(
    {errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.ESTALE}
)


def make_private(path: Path, variable: str) -> None:
    """
    Make the file that *variable* names, and its folder, for their owner's eyes only, if they are not there.

    Raises:
        RetryableError: There is no room now, or the disk fails.
        MisconfiguredError: They cannot be there, or not for this user.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            # SQLite gives the files beside it (-wal, -shm) the rights of this one.
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        said = f"the file that {variable} names cannot be made ({error.strerror}): {path}"
        raise (RetryableError if error.errno in _PASSING_ERRNOS else MisconfiguredError)(said) from error


@contextmanager
def opening(path: Path, mend: str) -> Iterator[None]:
    """
    Open a database within the block.

    Args:
        path: The file.
        mend: What to do with one that is none, or is damaged.

    Raises:
        RetryableError: It cannot be opened just now: others hold it, or the disk is full or fails.
        MisconfiguredError: It cannot be opened at all.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _unopened(path, error, mend) from error


@contextmanager
def using(path: Path) -> Iterator[None]:
    """
    Read or write a database within the block.

    Raises:
        RetryableError: That fails for a reason that may pass; nothing was written. Whatever else fails is a bug.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if not _may_pass(error):
            raise
        raise RetryableError(f"{path} cannot be used just now ({error})") from error


def _unopened(path: Path, error: sqlite3.DatabaseError, mend: str) -> SeamworkError:
    if not (path.is_file() and os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK)):
        return MisconfiguredError(
            f"{path} cannot be opened ({error}); it must be a file that this user may write, in a folder in which "
            "it may make others"
        )
    if _may_pass(error):
        return RetryableError(f"{path} cannot be opened just now ({error})")
    return MisconfiguredError(f"{path} cannot be used as a database ({error}); {mend}")


def _may_pass(error: sqlite3.DatabaseError) -> bool:
    # Python raises some of its own, without a code.
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _PASSING
