"""Hold one simulated process: its turn on the loop, its clock, and how it ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from seamwork.testing.clock import SettableClock
from seamwork.testing.simlog import SimCrash
from seamwork.testing.simulation.loop import Lane, SimLoop

START_MS = 1_767_225_590_000
"""Ten seconds before the year 2026, and with it an hour, a day and a month, begins (UTC)."""


class LoopClock(SettableClock):
    """
    A clock that goes with the simulated time, and is wrong by as much as it was set wrong.

    Args:
        loop: Whose time it tells.
    """

    def __init__(self, loop: SimLoop) -> None:
        super().__init__(START_MS)
        self.wrong_ms = 0
        self._loop = loop

    def now_ms(self) -> int:
        """Return the milliseconds since 1970 (UTC), as this clock has them."""
        return START_MS + int(self._loop.time() * 1000) + self.wrong_ms


class Process:
    """
    One life of one simulated program.

    Args:
        name: The program's: ``router.1``.
        life: How many lives it had before this one.
        loop: Where it runs.
        clock: The clock of its machine, which outlives it.
    """

    def __init__(self, name: str, life: int, loop: SimLoop, clock: LoopClock) -> None:
        self.name = name
        self.instance = f"{name}-{life}"
        self.lane = Lane(self.instance)
        loop.add(self.lane)
        self.clock = clock
        self.alive = True
        self.expelled = False
        self.seats: list[Any] = []
        self._loop = loop

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self.lane.paused

    @property
    def responsive(self) -> bool:
        """Whether its heartbeats reach the broker."""
        return self.alive and not self.lane.paused

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work* as the program."""
        return self._loop.create_task(work, name=self.instance, context=self.lane.context.copy())

    def pause(self) -> None:
        """Stop it as SIGSTOP does."""
        if self.alive:
            self._loop.pause(self.lane)

    def resume(self) -> None:
        """Let it go on as SIGCONT does."""
        self._loop.resume(self.lane)

    def kill(self) -> None:
        """
        End it as SIGKILL does.

        Its tasks are cancelled only so that Python lets go of them: whatever they try on the way out, the log
        answers a dead process with ``SimCrash`` and does nothing.
        """
        self.alive = False
        for task in list(self.lane.tasks):
            task.cancel()
        self._loop.resume(self.lane)

    def require_alive(self) -> None:
        """
        Refuse a dead process.

        Raises:
            SimCrash: It is dead.
        """
        if not self.alive:
            raise SimCrash
