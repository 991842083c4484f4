"""Logs that have grown are cut while somebody writes to them, and nothing of them is mixed up."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from seamwork.platform.rolling import KEPT, keep_small, roll


def test_who_writes_to_a_log_goes_on_writing_to_it(tmp_path: Path) -> None:
    """The cut file is the same file: no handle is opened anew."""
    log = tmp_path / "router.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"one\n" * 10)
        assert (log,) == roll([log], at_bytes=40)
        writer.write(b"two\n")
    assert b"two\n" == log.read_bytes()
    assert b"one\n" * 10 == (tmp_path / "router.log.1").read_bytes()


def test_a_log_below_the_bound_and_one_that_is_not_there_are_left_alone(tmp_path: Path) -> None:
    """Neither is an error."""
    small = tmp_path / "small.log"
    small.write_bytes(b"x" * 39)
    assert () == roll([small, tmp_path / "none.log"], at_bytes=40)
    assert [small] == list(tmp_path.iterdir())


def test_the_youngest_are_kept_in_their_order(tmp_path: Path) -> None:
    """What is older than the last that is kept goes."""
    log = tmp_path / "router.log"
    for number in range(KEPT + 2):
        log.write_bytes(f"{number}".encode())
        roll([log], at_bytes=1)
    assert b"" == log.read_bytes()
    kept = [(tmp_path / f"router.log.{number}").read_text() for number in range(1, KEPT + 1)]
    assert [str(KEPT + 1 - back) for back in range(KEPT)] == kept
    assert KEPT + 1 == len(list(tmp_path.iterdir()))


def test_what_is_rolled_is_for_the_same_eyes(tmp_path: Path) -> None:
    """Who may not read a log may not read what was cut off it."""
    log = tmp_path / "router.log"
    log.write_bytes(b"x")
    log.chmod(0o600)
    roll([log], at_bytes=1)
    assert 0o600 == (tmp_path / "router.log.1").stat().st_mode & 0o777


def test_a_log_that_cannot_be_copied_stays_whole_and_the_others_are_rolled(tmp_path: Path) -> None:
    """The error is told when the others are done."""
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    first.write_bytes(b"first")
    second.write_bytes(b"second")
    (tmp_path / "first.log.1").mkdir()
    with pytest.raises(OSError, match="first"):
        roll([first, second], at_bytes=1, kept=1)
    assert b"first" == first.read_bytes()
    assert b"" == second.read_bytes()
    assert b"second" == (tmp_path / "second.log.1").read_bytes()


async def test_logs_are_looked_after_though_one_of_them_cannot_be_rolled(tmp_path: Path) -> None:
    """What failed is tried again."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.log").write_bytes(b"x")
    (tmp_path / f"a.log.{KEPT}").mkdir()
    chore = asyncio.create_task(keep_small(tmp_path, every_s=0.01, at_bytes=1))
    await _appears(tmp_path / "b.log.1")
    (tmp_path / f"a.log.{KEPT}").rmdir()
    await _appears(tmp_path / "a.log.1")
    chore.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await chore


async def _appears(path: Path) -> None:
    async with asyncio.timeout(10):
        while not path.exists():  # noqa: ASYNC110, ASYNC240  # a file tells nobody
            await asyncio.sleep(0.01)
