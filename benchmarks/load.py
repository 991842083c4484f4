"""Put load on a road: so many in flight whatever the pace (closed), or a pace whatever becomes of it (open)."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Carry = Callable[[], Awaitable[object]]
_NS = 1_000_000


async def closed_loop(carry: Carry, for_s: float, in_flight: int) -> tuple[int, float]:
    """Keep a fixed number in flight; return how many came through, and in what time."""
    began = time.monotonic()
    done = 0

    async def lane() -> None:
        nonlocal done
        while time.monotonic() - began < for_s:
            await carry()
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(lane())
    return done, time.monotonic() - began


async def rate(carry: Carry, for_s: float, in_flight: int) -> float:
    """Return how many a second come through a closed loop."""
    count, took = await closed_loop(carry, for_s, in_flight)
    return count / took


async def open_loop(
    carry: Callable[[int], Awaitable[T]], per_s: float, for_s: float
) -> tuple[list[T], float]:
    """
    Begin at a fixed pace, whatever becomes of the earlier ones; return each one's figures, and how long all took.

    *carry* is told when it was due. A closed loop waits with what is slow and leaves out how long the next would
    have waited (coordinated omission).
    """
    began = time.monotonic_ns()
    tasks: list[asyncio.Future[T]] = []
    async with asyncio.TaskGroup() as group:
        for number in range(max(1, int(per_s * for_s))):
            due_ns = began + int(number / per_s * 1e9)
            await asyncio.sleep(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
            tasks.append(group.create_task(_awaited(carry(due_ns))))
    return [task.result() for task in tasks], (time.monotonic_ns() - began) / 1e9


async def _awaited(carried: Awaitable[T]) -> T:
    return await carried


def percentile_ms(values: Sequence[int], percent: float) -> float:
    """Return the nearest-rank percentile of nanoseconds, in milliseconds."""
    ordered = sorted(values)
    rank = max(1, -int(-percent * len(ordered) // 100))
    return ordered[rank - 1] / _NS


def latency(rounds: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return medians over the rounds of each round's percentiles, and the percentiles themselves."""
    p50 = [percentile_ms(one, 50) for one in rounds]
    p99 = [percentile_ms(one, 99) for one in rounds]
    return {
        "p50": round(statistics.median(p50), 3),
        "p99": round(statistics.median(p99), 3),
        "p50_by_round": [round(value, 3) for value in p50],
        "p99_by_round": [round(value, 3) for value in p99],
    }


def spread(values: Sequence[float], digits: int = 1) -> dict[str, Any]:
    """Return the median of the rounds, and the rounds."""
    return {
        "median": round(statistics.median(values), digits),
        "by_round": [round(value, digits) for value in values],
    }
