"""Bound how many functions compute at once, without counting those that wait for somebody else."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class Seats:
    """
    As many seats as functions may compute at once.

    Args:
        count: How many.
        freed: Called whenever one is given back.
    """

    def __init__(self, count: int, freed: Callable[[], None]) -> None:
        self._free = asyncio.Semaphore(count)
        self._freed = freed

    @property
    def is_full(self) -> bool:
        """Whether nobody can sit down at once."""
        return self._free.locked()

    async def take(self) -> None:
        """Wait for a seat."""
        await self._free.acquire()

    def give_back(self) -> None:
        """Leave a seat."""
        self._free.release()
        self._freed()


class Seat:
    """
    One function's seat.

    A function that waits for a handoff leaves it: an agent whose every function waits for another of the same agent
    would otherwise stand still. While a part of it still computes beside the waiting (``asyncio.gather``), the bound
    is exceeded by that part.
    """

    def __init__(self, seats: Seats) -> None:
        self._seats = seats
        self._waiting = 0
        self._held = False
        self._sitting_down = False

    async def sit_down(self) -> None:
        """Wait for the seat."""
        self._sitting_down = True
        try:
            await self._seats.take()
            self._held = True
        finally:
            self._sitting_down = False

    def leave(self) -> None:
        """Give the seat back; leaving twice changes nothing."""
        if self._held:
            self._held = False
            self._seats.give_back()

    async def while_waiting(self, awaited: Awaitable[T]) -> T:
        """Wait for *awaited* without occupying the seat."""
        self._waiting += 1
        self.leave()
        try:
            value = await awaited
        finally:
            self._waiting -= 1
        if self._waiting == 0 and not (self._held or self._sitting_down):
            await self.sit_down()
        return value
