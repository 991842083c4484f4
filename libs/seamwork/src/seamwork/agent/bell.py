"""
Ring the last bell: an agent that has stopped is gone soon after, whatever a function of its author's does.

A loop waits for every task before it closes, and a coroutine that swallows its cancellation never ends. Leaving
hard loses nothing: what is not committed is delivered again. Services have such a bell in ``seamwork.runtime``,
which an agent's environment need not be able to load.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any

import structlog

_LAST_BELL_S = 5.0
"""With the grace (20 s) less than the 30 s after which a supervisor kills, so that the log says who ended it."""
_EX_OSERR = 71


def run_to_the_end(main: Coroutine[Any, Any, None], after_s: float = _LAST_BELL_S) -> None:
    """Run *main* in a loop of its own; *after_s* after its end this process ends if the loop cannot."""
    bell = threading.Timer(after_s, _ring)
    bell.daemon = True  # it must not keep alive what it is there to end
    try:
        asyncio.run(_then(main, bell))
    finally:
        bell.cancel()


async def _then(main: Coroutine[Any, Any, None], bell: threading.Timer) -> None:
    try:
        await main
    finally:
        bell.start()


def _ring() -> None:
    structlog.get_logger("agent").error(
        "ended", why="stop-timeout", code=_EX_OSERR, error="a function would not be cancelled; left hard"
    )
    os._exit(_EX_OSERR)
