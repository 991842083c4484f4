"""
Watch what the services hold in memory while many crossings go through, and whether it grows with them.

The count is an argument (``--crossings``), because a million takes an hour and more; the page says how many it was.
Held against each other are the thirds of the run after the first: caches fill up at the beginning, and that is no
leak.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.governed import GovernedRoad, governed_road, payload_of
from benchmarks.machine import ROOT, described
from benchmarks.processes import broker_pid, service_pids, taken
from benchmarks.scale import BASE_BYTES, Scale
from benchmarks.stages import ports_of, remembered

from seamwork.testing.stage import staged

_POINTS = 120
_MB = 1_000_000
_QUIET_WITHIN_S = 60


async def memory(folder: Path, scale: Scale) -> dict[str, Any]:
    """Carry the crossings through, and return what each process held meanwhile."""
    load_before = os.getloadavg()[0]
    tasks = scale.crossings // 2
    async with (
        staged(folder / "memory") as stage,
        governed_road(stage, payload_of(BASE_BYTES), ROOT) as (road, _),
    ):
        services = service_pids(stage)
        pids = services | {"kafka": broker_pid(stage.door.home.root)}
        began = time.monotonic()
        series: list[dict[str, Any]] = []
        for point in range(_POINTS):
            upto = tasks * (point + 1) // _POINTS
            await _carry(road, upto - tasks * point // _POINTS, scale.in_flight)
            held = {name: taken(pid).resident_bytes for name, pid in pids.items()}
            series.append({"crossings": 2 * upto, "s": round(time.monotonic() - began, 1), "bytes": held})
        took_s = time.monotonic() - began
        after = await _remembered(ports_of(stage))
    return {
        **described(load_before),
        "scale": scale.name,
        "crossings": 2 * tasks,
        "took_s": round(took_s, 1),
        "services": sorted(services),
        "series": series,
        "all_services_bytes": sum(series[-1]["bytes"][name] for name in services),
        "grown_bytes": grown(series, sorted(services)),
        "remembered": after,
    }


def grown(series: Sequence[dict[str, Any]], services: Sequence[str]) -> int:
    """Return by how much the last third's median lies over that of the third before it."""
    totals: list[int] = [sum(point["bytes"][name] for name in services) for point in series]
    third = len(totals) // 3
    return int(statistics.median(totals[-third:]) - statistics.median(totals[third : 2 * third]))


async def _carry(road: GovernedRoad, tasks: int, in_flight: int) -> None:
    left = iter(range(tasks))

    async def lane() -> None:
        for _ in left:
            await road.carry()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(tasks, in_flight)):
            group.create_task(lane())


async def _remembered(ports: dict[str, int]) -> dict[str, float]:
    """Return how many tasks the router still holds, once it has had the time to let go of them."""
    deadline = time.monotonic() + _QUIET_WITHIN_S
    while True:
        held = await remembered(ports["router"])
        if held.get("tasks", 0.0) == 0 or time.monotonic() > deadline:
            return held
        await asyncio.sleep(1)
