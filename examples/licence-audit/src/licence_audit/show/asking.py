"""Ask the person at the terminal a question that does not wait for ever."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from licence_audit.show.screen import Screen
from seamwork.clock import SystemClock
from seamwork.records.people import ApprovalRequest

if sys.platform != "win32":
    import termios
    import tty

_TICK_S = 0.2
_ANSWERS: dict[str, Literal["approve", "reject"]] = {"y": "approve", "n": "reject"}


def can_ask() -> bool:
    """Whether somebody sits at a keyboard."""
    return sys.platform != "win32" and sys.stdin.isatty() and sys.stdout.isatty()


async def ask_at_terminal(request: ApprovalRequest, screen: Screen) -> Literal["approve", "reject"] | None:
    """
    Show a request with its countdown, and return the answer that was typed in time.

    A single key is enough; what was typed before the question was there does not count.
    """
    clock = SystemClock()
    typed: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    with _single_keys():
        loop.add_reader(
            sys.stdin, lambda: typed.put_nowait(os.read(sys.stdin.fileno(), 1).decode(errors="replace"))
        )
        try:
            while (left := request.expires_at - clock.now_ms()) > 0:
                screen.question = (
                    f"    {request.state}\n    {request.proposed}\n    {request.asked}\n"
                    f"    y: {request.on_approve}\n    n: {request.on_reject}\n"
                    f"    answer y or n, {left / 1000:.0f} s left > "
                )
                with suppress(TimeoutError):
                    key = await asyncio.wait_for(typed.get(), _TICK_S)
                    if key.lower() in _ANSWERS:
                        return _ANSWERS[key.lower()]
            return None
        finally:
            loop.remove_reader(sys.stdin)
            screen.question = None


@contextmanager
def _single_keys() -> Iterator[None]:
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)  # Ctrl-C still means Ctrl-C
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
