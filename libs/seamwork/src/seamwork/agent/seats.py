"""Bound how many functions compute at once, without counting those that wait for somebody else."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class Seats:
    """
    As many seats as functions may compute at once. Who had one and comes back goes before who is new.

    Args:
        count: How many.
        freed: Called when one is free that nobody comes back to.
    """

    def __init__(self, count: int, freed: Callable[[], None]) -> None:
        self._free = count
        self._freed = freed
        self._returning: deque[asyncio.Future[None]] = deque()

    def take_at_once(self) -> bool:
        """Take a seat if one is free, and say whether."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def take_anyway(self) -> None:
        """Take a seat, free or not: whoever computes already is counted, and nobody new begins for it."""
        self._free -= 1

    async def take(self) -> None:
        """Wait for a seat."""
        if self.take_at_once():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._returning.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()  # it was ours already
            raise

    def give_back(self) -> None:
        """Leave a seat."""
        if self._free < 0:
            self._free += 1  # it was one too many
            return
        while self._returning:
            turn = self._returning.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
        self._freed()


class Seat:
    """
    One function's seat.

    A function that waits for a handoff leaves it: an agent whose every function waits for another of the same
    agent would otherwise stand still. While a part of it still computes beside the waiting (``asyncio.gather``),
    the bound is exceeded by that part. So it is by a function that gives up waiting (``asyncio.timeout``) while
    nothing is free: it computes on at once, and nobody new begins until there are few enough again.
    """

    def __init__(self, seats: Seats) -> None:
        self._seats = seats
        self._waiting = 0
        self._held = False
        self._sitting_down = False
        self._left = False

    def take_at_once(self) -> bool:
        """Sit down if a seat is free, and say whether."""
        self._held = self._seats.take_at_once()
        return self._held

    async def _sit_down_again(self) -> None:
        self._sitting_down = True
        try:
            await self._seats.take()
            self._held = True
        finally:
            self._sitting_down = False
        if self._left:
            self._stand_up()

    def leave(self) -> None:
        """Give the seat back for good; leaving twice changes nothing."""
        self._left = True
        self._stand_up()

    def _stand_up(self) -> None:
        if self._held:
            self._held = False
            self._seats.give_back()

    async def while_waiting(self, awaited: Awaitable[T]) -> T:
        """Wait for *awaited* without occupying the seat."""
        self._waiting += 1
        self._stand_up()
        try:
            try:
                value = await awaited
            finally:
                self._waiting -= 1
            if self._is_missing:
                await self._sit_down_again()
        except BaseException:
            if self._is_missing:
                self._seats.take_anyway()
                self._held = True
            raise
        return value

    @property
    def _is_missing(self) -> bool:
        """Whether its function computes without one."""
        return self._waiting == 0 and not (self._held or self._sitting_down or self._left)
