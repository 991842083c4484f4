"""
Watch what the services hold in memory while many crossings go through, and whether it levels off.

What is over is remembered until nobody can send it again. So for a quarter of an hour and more nothing is
forgotten, and whatever was watched for less cannot say that memory is flat: it says how much there was after how
many crossings, and no more. Of what was watched after ``LEVEL_AFTER_S`` the second half is held against the first.

``python -m benchmarks.memory MINUTES`` watches the default layout for as long as it takes to see that, or until
there were as many crossings as ``--crossings`` says. The page takes it over where it is more than
the short run had. What is remembered is the rate of tasks times that quarter of an hour, so a machine that gets
quicker meanwhile needs more: whether memory is flat shows at a steady ``--pace``, and is kept by itself.
"""

import argparse
import asyncio
import itertools
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog
from benchmarks.governed import GovernedRoad, governed_road, payload_of
from benchmarks.machine import ROOT, described
from benchmarks.processes import broker_pid, proportional_bytes, service_pids, taken
from benchmarks.scale import BASE_BYTES, Scale
from benchmarks.stages import behind, ports_of, remembered

from seamwork.platform.up import Layout
from seamwork.testing.stage import staged

DEFAULT: Layout = "together"
LAYOUTS: tuple[Layout, ...] = (DEFAULT, "apart")
ENDURANCE = Path(__file__).parent / "results" / "endurance.json"
STEADY = ENDURANCE.with_name("steady.json")
LEVEL_AFTER_S = 60 * (15 + 1 + 1 + 5)
"""Redelivery, a task's deadline here, a result's minute beyond its stamp, and the lots in which gates forget."""
_JUDGED_FOR_S = 240
_TWO = 2  # halves
_POINTS = 120
_OTHERS_SHARE = 4  # of the crossings; what another layout takes more shows in its first minute
_STEP = 500  # tasks between two readings, where a time is set and no number; and each lane takes some of them
_LANE_STEP = 8
_IN_FLIGHT = 48
_QUIET_WITHIN_S = 60

Telling = Callable[[dict[str, Any]], None]
Dues = Iterator[float]
"""When tasks are due, one after the other, by the event loop's clock."""


async def memory(folder: Path, scale: Scale) -> dict[str, Any]:
    """Carry the crossings through each layout, and return what its processes held meanwhile."""
    load_before = os.getloadavg()[0]
    tasks = {
        layout: scale.crossings // 2 // (1 if layout == DEFAULT else _OTHERS_SHARE) for layout in LAYOUTS
    }
    layouts = {
        layout: await watched(folder / layout, layout, _points(number), scale.in_flight)
        for layout, number in tasks.items()
    }
    return {**described(load_before), "scale": scale.name, "layouts": layouts}


async def watched(
    folder: Path,
    layout: Layout,
    steps: Iterable[int],
    in_flight: int,
    *,
    pace: float = math.inf,
    told: Telling = lambda _: None,
) -> dict[str, Any]:
    """
    Carry *steps* of tasks through a platform, and return what its processes held after each, as *told*.

    At most *in_flight* at a time, and no more crossings a second than *pace*.
    """
    async with (
        staged(folder, layout=layout) as stage,
        governed_road(stage, payload_of(BASE_BYTES), ROOT) as (road, _),
    ):
        services = service_pids(stage)
        pids = services | {"kafka": broker_pid(stage.door.home.root)}
        ports = ports_of(stage)
        began = time.monotonic()
        series: list[dict[str, Any]] = []
        tasks = 0
        dues = schedule(asyncio.get_running_loop().time(), pace)
        for step in steps:
            await _carry(road, step, in_flight, dues)
            tasks += step
            held = {name: taken(pid).resident_bytes for name, pid in pids.items()}
            after_s, unkept = round(time.monotonic() - began, 1), await behind(ports["audit-sink"])
            series.append({"crossings": 2 * tasks, "s": after_s, "bytes": held, "unkept": unkept})
            told(series[-1])
        proportional = {name: proportional_bytes(pid) for name, pid in services.items()}
        after = await _remembered(ports)
    return {
        "crossings": 2 * tasks,
        "in_flight": in_flight,
        "pace": None if math.isinf(pace) else pace,
        "took_s": series[-1]["s"],
        "services": sorted(services),
        "series": series,
        "all_services_bytes": sum(series[-1]["bytes"][name] for name in services),
        "proportional_bytes": proportional,
        "grown_bytes": grown(series, sorted(services)),
        "remembered": after,
    }


def grown(series: Sequence[dict[str, Any]], services: Sequence[str]) -> int | None:
    """
    Return by how much the median of the second half of what was watched late lies over that of the first.

    Null where it was not watched for long enough, or looked at too seldom, to say.
    """
    late = [point for point in series if point["s"] >= LEVEL_AFTER_S]
    if len(late) < _TWO or late[-1]["s"] - LEVEL_AFTER_S < _JUDGED_FOR_S:
        return None
    totals: list[int] = [sum(point["bytes"][name] for name in services) for point in late]
    half = len(totals) // 2
    return int(statistics.median(totals[-half:]) - statistics.median(totals[:half]))


def _points(tasks: int) -> list[int]:
    return [tasks * (point + 1) // _POINTS - tasks * point // _POINTS for point in range(_POINTS)]


def _steps_for(seconds: float, tasks: float, in_flight: int) -> Iterator[int]:
    step = max(_STEP, _LANE_STEP * in_flight)
    until = time.monotonic() + seconds
    while tasks > 0 and time.monotonic() < until:
        yield step
        tasks -= step


def _say(point: dict[str, Any]) -> None:
    """Show who waits for an hour that there is something to wait for."""
    megabytes = sum(held for name, held in point["bytes"].items() if name != "kafka") / 1e6
    print(
        f"{point['s']:.0f} s: {point['crossings']} crossings, {megabytes:.0f} MB, {point['unkept']} records unkept",
        file=sys.stderr,
    )


def schedule(begun: float, pace: float) -> Dues:
    """Return when tasks are due from *begun* on, at *pace* crossings a second, of which a task has two."""
    return (begun + 2 * number / pace for number in itertools.count())


async def _carry(road: GovernedRoad, tasks: int, in_flight: int, dues: Dues) -> None:
    left, loop = iter(range(tasks)), asyncio.get_running_loop()

    async def lane() -> None:
        for _ in left:
            await asyncio.sleep(max(0.0, next(dues) - loop.time()))
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


def main() -> None:
    """Watch one layout for a time, and keep what was seen for the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("minutes", type=float, help="for how long at most")
    parser.add_argument("--crossings", type=float, default=math.inf, help="after how many it is enough")
    parser.add_argument("--in-flight", type=int, default=_IN_FLIGHT, help="how many tasks at a time")
    parser.add_argument("--pace", type=float, default=math.inf, help="how many crossings a second at most")
    told = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="seamwork-bench-") as folder:
        steps = _steps_for(60 * told.minutes, told.crossings / 2, told.in_flight)
        found = asyncio.run(
            watched(Path(folder) / DEFAULT, DEFAULT, steps, told.in_flight, pace=told.pace, told=_say)
        )
    found = {**described(load_before), **found}
    kept = ENDURANCE if math.isinf(told.pace) else STEADY
    kept.write_text(json.dumps(found) + "\n", encoding="utf-8")
    print({name: found[name] for name in ("crossings", "took_s", "all_services_bytes", "grown_bytes")})


if __name__ == "__main__":
    main()
