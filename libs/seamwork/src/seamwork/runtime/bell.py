"""
Ring the last bell: a service that was told to stop is gone within half a minute, whatever hangs.

Clients wait for a broker that may be gone as well; a supervisor that was killed took it along. Leaving hard loses
nothing, because a service is built to be killed at any instant.
"""

import os
import threading

import structlog

from seamwork.runtime.exits import STOP_TIMEOUT

LAST_BELL_S = 25.0
"""Less than the 30 s after which a supervisor kills, so that the log says who ended it."""

_LAST_WORD_S = 1.0


def ring_later(after_s: float = LAST_BELL_S) -> None:
    """End this process after *after_s* seconds unless it has ended by itself."""
    bell = threading.Timer(after_s, _ring)
    bell.daemon = True  # it must not keep alive what it is there to end
    bell.start()


def _ring() -> None:
    # The log may be what hangs: a pipe that is full, and a reader that stands.
    leaving = threading.Timer(_LAST_WORD_S, os._exit, (STOP_TIMEOUT,))
    leaving.daemon = True
    leaving.start()
    logger = structlog.get_logger("service")
    logger.error("ended", why="stop-timeout", code=STOP_TIMEOUT, error="stopping took too long; left hard")
    os._exit(STOP_TIMEOUT)
