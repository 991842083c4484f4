"""Write again only what we wrote: a mistyped name must not cost somebody's file."""

import tarfile
from collections.abc import Callable
from pathlib import Path

from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.platform.report import FOLDER
from seamwork.seams.page import GENERATOR, WRITTEN


def leave_alone(path: Path, is_ours: Callable[[Path], bool], what: str) -> None:
    """
    See that nothing of somebody else's is lost by writing to *path*; an empty file is nobody's.

    Raises:
        UnprocessableError: It is there, and is not *what* we would write.
        MisconfiguredError: It cannot be a file at all.
    """
    if path.is_dir():
        raise MisconfiguredError(f"{path} is a folder; name a file")
    if not path.parent.is_dir():
        raise MisconfiguredError(f"{path} cannot be read or written: No such folder as {path.parent}")
    if path.is_file() and path.stat().st_size and not is_ours(path):
        raise UnprocessableError(f"{path} is there already and is no {what}; it was not touched")


def is_page(path: Path) -> bool:
    """Say whether a file is an HTML page of ours."""
    return GENERATOR in path.read_text(encoding="utf-8", errors="replace")


def is_text_page(path: Path) -> bool:
    """Say whether a file is a Markdown page of ours."""
    return WRITTEN in path.read_text(encoding="utf-8", errors="replace")


def is_report(path: Path) -> bool:
    """Say whether a file is a report of `seamwork doctor`."""
    try:
        with tarfile.open(path, "r:gz") as tar:
            first = tar.next()
    except (tarfile.TarError, OSError, EOFError):
        return False
    return first is not None and first.name.startswith(f"{FOLDER}/")
