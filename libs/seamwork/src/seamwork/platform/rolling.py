"""
Keep the logs of a running platform within bounds, as log4j keeps the broker's.

A service writes to what it was given at its start and knows nothing of files. So a log that has grown is copied
aside and cut, while whoever writes to it goes on: it was opened to append, and the next line is the first of the
cut file. A line that comes between copy and cut is lost; logs are for people, the record is the audit sink's.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path

EVERY_S = 10.0
ROLL_AT_BYTES = 20 * 1024 * 1024
KEPT = 3
"""Rolled files of each log: ``router.log.1`` is the youngest."""


async def keep_small(folder: Path, every_s: float = EVERY_S, at_bytes: int = ROLL_AT_BYTES) -> None:
    """Look after the logs in *folder* until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        # Where a disk is full, admission closes by itself and says so; a log that is whole can wait.
        with contextlib.suppress(OSError):
            await asyncio.to_thread(lambda: roll(sorted(folder.glob("*.log")), at_bytes))


def roll(logs: Iterable[Path], at_bytes: int = ROLL_AT_BYTES, kept: int = KEPT) -> tuple[Path, ...]:
    """
    Roll each log that has reached *at_bytes*, and return those.

    Raises:
        OSError: One of them could not be; the others were. It stays whole.
    """
    rolled: list[Path] = []
    failed: OSError | None = None
    for log in logs:
        try:
            if log.stat().st_size >= at_bytes:
                _roll_one(log, kept)
                rolled.append(log)
        except FileNotFoundError:
            continue  # nobody has written to it yet, or its platform is being removed
        except OSError as error:
            failed = error
    if failed is not None:
        raise failed
    return tuple(rolled)


def _roll_one(log: Path, kept: int) -> None:
    _rolled(log, kept).unlink(missing_ok=True)  # before the copy, which may need its room
    for number in range(kept - 1, 0, -1):
        if _rolled(log, number).exists():
            _rolled(log, number).rename(_rolled(log, number + 1))
    aside = _rolled(log, 1)
    try:
        with log.open("r+b") as grown:
            with aside.open("wb") as copy:
                shutil.copymode(log, aside)
                shutil.copyfileobj(grown, copy)
            grown.truncate(0)
    except OSError:
        aside.unlink(missing_ok=True)  # half a copy beside the whole would be read twice
        raise


def _rolled(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
