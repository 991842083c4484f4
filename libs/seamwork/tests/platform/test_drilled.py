"""What the notifier has kept is read wherever it lies."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from seamwork.platform.door import Door
from seamwork.platform.drilled import _fates
from seamwork.platform.home import PlatformHome
from seamwork.testing.clock import SettableClock


@pytest.mark.parametrize("folder", ["plain", "#1", "50%20off", "a?b", "josé"])
def test_a_folder_may_have_any_name(tmp_path: Path, folder: str) -> None:
    """SQLite is given an address, in which some characters mean something else."""
    home = PlatformHome(tmp_path / folder / "default")
    identity = home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    home.notifications.parent.mkdir()
    with closing(sqlite3.connect(home.notifications)) as base:
        base.executescript(
            "CREATE TABLE delivered (id, outcome, tries, at); CREATE TABLE waiting (id, tries);"
            "INSERT INTO delivered VALUES ('a', 'delivered', 1, 5); INSERT INTO waiting VALUES ('b', 2);"
        )

    expected = {"a": ("delivered", 1, 5), "b": ("waiting", 2, None)}
    assert expected == _fates(Door(home, identity, "127.0.0.1:1"))
