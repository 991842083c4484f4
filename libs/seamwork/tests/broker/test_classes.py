"""Which options a broker gets, and what is kept of what one leaves."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from seamwork.broker.classes import Classes, keep_classes


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return a jar, a broker's folder and the cache, which is not there yet."""
    jar, folder = tmp_path / "a.jar", tmp_path / "broker"
    jar.touch()
    folder.mkdir()
    return jar, folder, tmp_path / "cache" / "classes"


def of(places: tuple[Path, Path, Path]) -> Classes:
    """Return what a Java, which is the jar as well, makes of the jar."""
    jar, folder, cache = places
    return Classes.of(jar, [jar], cache=cache, folder=folder)


def test_the_first_broker_leaves_what_the_next_ones_use(places: tuple[Path, Path, Path]) -> None:
    """A tool that is soon over leaves nothing."""
    _, folder, cache = places
    first = of(places)
    assert f"-XX:ArchiveClassesAtExit={first.left}" in first.for_broker()
    assert () == first.for_tool()

    first.left.write_bytes(b"archive")
    keep_classes(folder, cache)

    assert b"archive" == first.archive.read_bytes()
    assert not first.left.exists()
    assert f"-XX:SharedArchiveFile={first.archive}" in of(places).for_broker()
    assert of(places).for_broker() == of(places).for_tool()


def test_a_full_disk_costs_what_was_left_and_nothing_else(
    places: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a cache: a broker that has ended in order has ended in order, and no half of a copy stays."""
    _, folder, cache = places
    of(places).left.write_bytes(b"archive")

    def full(_: Path, to: str) -> None:
        Path(to).write_bytes(b"arch")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)
    keep_classes(folder, cache)

    assert [] == list(cache.iterdir())


def test_jars_that_were_fetched_again_want_another_archive(places: tuple[Path, Path, Path]) -> None:
    """A JVM would hold their times against those it knows, and go on without."""
    jar, *_ = places
    before = of(places).archive
    os.utime(jar, ns=(1, 1))

    assert before != of(places).archive


def test_half_of_one_is_thrown_away_before_the_next_start(places: tuple[Path, Path, Path]) -> None:
    """A broker that was killed while it wrote may have left anything."""
    one = of(places)
    one.left.write_bytes(b"arch")
    one.for_broker()

    assert not one.left.exists()


def test_the_first_that_is_kept_stays_and_older_ones_go(places: tuple[Path, Path, Path]) -> None:
    """There are as many as one upgrade needs."""
    jar, folder, cache = places
    kept = []
    for at in (1, 2, 3):
        os.utime(jar, ns=(at, at))
        one = of(places)
        for content in (b"first", b"second"):
            one.left.write_bytes(content)
            keep_classes(folder, cache)
        os.utime(one.archive, ns=(at, at))
        kept.append(one.archive)

    assert {kept[1]: b"first", kept[2]: b"first"} == {file: file.read_bytes() for file in cache.iterdir()}
