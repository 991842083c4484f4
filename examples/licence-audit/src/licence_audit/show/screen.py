"""
Tell people what happens: live on a terminal, as plain lines anywhere else.

Nothing is told by colour alone. Without a terminal, without colours (``NO_COLOR``) or on a dumb terminal the same
sentences come one after the other.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.live import Live
from rich.text import Text

from licence_audit.show.watching import Course
from seamwork.clock import SystemClock

_EVERY_S = 0.1
_PLAIN_EVERY_S = 3.0
_BAR = 30
_WIDTH = 100


class Screen:
    """Where the story is told."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, markup=False)
        self._clock = SystemClock()
        self._began = self._clock.now_ms()
        self.question: str | None = None

    @property
    def is_live(self) -> bool:
        """Whether lines can be drawn over."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    @property
    def seconds(self) -> float:
        """How long the story has been told."""
        return (self._clock.now_ms() - self._began) / 1000

    def act(self, title: str) -> None:
        """Begin an act."""
        self.console.print()
        self.say(title, "bold")
        self.say("─" * min(len(title), _WIDTH), "dim")

    def say(self, text: str, style: str = "") -> None:
        """Tell one thing; it may hold several lines."""
        self.console.print(Text(text, style), soft_wrap=True)

    def note(self, text: str, style: str = "") -> None:
        """Tell one thing that happens at this moment."""
        self.say(f"{self.seconds:6.1f} s  {text}", style)

    @asynccontextmanager
    async def following(self, course: Course, expected: int) -> AsyncIterator[None]:
        """Show how a task comes along while the caller does something else; *expected* is its number of steps."""
        showing = asyncio.create_task(self._follow(course, expected), name="screen")
        try:
            yield
        finally:
            showing.cancel()
            with suppress(asyncio.CancelledError):
                await showing

    async def _follow(self, course: Course, expected: int) -> None:
        if self.is_live:
            with Live(console=self.console, auto_refresh=False, transient=True) as live:
                while True:
                    frame = Text("\n".join(self._frame(course, expected)), no_wrap=True, overflow="ellipsis")
                    live.update(frame, refresh=True)
                    await asyncio.sleep(_EVERY_S)
        told = ""
        while True:
            await asyncio.sleep(_PLAIN_EVERY_S)
            line = _line(course, expected)
            if line != told:
                self.note(line)
                told = line

    def _frame(self, course: Course, expected: int) -> list[str]:
        done = course.accepted.total() + len(course.refusals)
        filled = min(_BAR, _BAR * done // max(1, expected))
        lines = [
            "",
            f"{self.seconds:6.1f} s  [{'#' * filled}{'.' * (_BAR - filled)}]  {_line(course, expected)}",
        ]
        lines += [
            f"          {name:<18} given {given:>4}   accepted {course.accepted[name]:>4}"
            for name, given in sorted(course.dispatched.items())
        ]
        if self.question is not None:
            lines += ["", self.question]
        return lines


def _line(course: Course, expected: int) -> str:
    parts = [
        f"{course.dispatches} of about {expected} steps dispatched",
        f"{course.accepted.total()} accepted",
    ]
    if course.refusals:
        parts.append(f"{len(course.refusals)} refused")
    if course.open:
        parts.append(f"{course.open} under way")
    if course.held:
        parts.append(f"{len(course.requests) - len(course.ends)} waiting for a person")
    return ", ".join(parts)
