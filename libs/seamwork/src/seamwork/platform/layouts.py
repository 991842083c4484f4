"""
Know the layouts of a platform's folder, and bring an older one up to date.

The layout is what the note ``platform.json`` and the folder around it look like. An older one is read as it is and
written anew when the platform is started; one that is newer is refused, and named with the release that wrote it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from seamwork.errors import MisconfiguredError

LAYOUT = 2
Note = dict[str, Any]


def _name_the_release(note: Note) -> Note:
    """Layout 2 says which release wrote it last, so that one which does not know it can name the way out."""
    return {"release": "", **note}


UPGRADES: Mapping[int, Callable[[Note], Note]] = {1: _name_the_release}
"""From each older layout to the next."""


def read_note(note: Note, root: Path) -> tuple[Note, int]:
    """
    Return the note as this release knows it, and the layout that it was found in.

    Raises:
        MisconfiguredError: The layout is newer than this release, or none.
    """
    found = note.get("layout")
    if not isinstance(found, int) or isinstance(found, bool) or found < min(UPGRADES):
        raise MisconfiguredError(
            f"{root} has the layout {found!r}, which no release ever wrote; restore it from a copy"
        )
    if found > LAYOUT:
        raise MisconfiguredError(
            f"{root} has the layout {found} and this release knows up to {LAYOUT}; use {_writer(note)}, restore a "
            "backup that this release made, or begin another platform with --platform"
        )
    for layout in range(found, LAYOUT):
        note = UPGRADES[layout](note)
    return {**note, "layout": LAYOUT}, found


def _writer(note: Mapping[str, Any]) -> str:
    release = note.get("release")
    return (
        f"Seamwork {release} or later, which wrote it"
        if isinstance(release, str) and release
        else ("the release that wrote it, or a later one")
    )
