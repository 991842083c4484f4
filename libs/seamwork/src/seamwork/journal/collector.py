"""
Keep Python's collector from looking through a large state again and again.

A state is a tree of structs without cycles: nothing in it ever is the collector's to free, and looking through a
hundred thousand tasks takes longer than making them.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_WORTH_SETTING_ASIDE = 10_000


@contextmanager
def uncollected() -> Iterator[None]:
    """Let a state be restored without the collector."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def set_aside(size: int) -> None:
    """Take what has been made so far out of the collector's sight, where a state of so many parts is among it."""
    if size >= _WORTH_SETTING_ASIDE:
        gc.freeze()
