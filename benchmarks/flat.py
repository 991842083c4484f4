"""
Measure whether a crossing costs the same however large the platform around it is.

Processor time in references (`reference.py`), of every core in one process on a log in memory (`tunnel.py`): what a
catalog, rules, open tasks and partitions cost the code shows there, and neither a disk nor a scheduler does. The
sizes of one thing are up at the same time and take turns. Partitions are measured on a broker as well, where they
cost requests.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.governed import governed_road, payload_of
from benchmarks.load import closed_loop, spread
from benchmarks.machine import ROOT, described
from benchmarks.processes import broker_pid, service_pids, taken
from benchmarks.reference import reference_s
from benchmarks.scale import BASE_BYTES, Scale
from benchmarks.tunnel import Weight, once, tunnel

from seamwork.platform.home import PlatformHome
from seamwork.platform.up import bring_up
from seamwork.runtime.memory import settle_memory
from seamwork.testing.stage import Stage

_BASE = Weight(contracts=10, rules=10)
_LOOK_S = 0.5
_QUIET = 0.1  # of a processor; four platforms that have nothing to do take a sixth of that
_QUIET_TIMES = 4
_REST_WITHIN_S = 600.0


async def flat(folder: Path, scale: Scale) -> dict[str, Any]:
    """Measure each kind of size, and return what was found."""
    load_before = os.getloadavg()[0]
    kinds = {
        "contracts": [replace(_BASE, contracts=count) for count in scale.contracts],
        "rules": [replace(_BASE, rules=count) for count in scale.rules],
        "live": [replace(_BASE, live=count) for count in scale.live],
        "partitions": [replace(_BASE, partitions=count) for count in scale.tunnel_partitions],
    }
    found = {kind: await _tunnels(kind, weights, scale) for kind, weights in kinds.items()}
    if scale.broker_partitions:
        found["partitions, on a broker"] = await _brokers(folder, scale)
    return {
        **described(load_before),
        "scale": scale.name,
        "rounds": scale.tunnel_rounds,
        "tasks_a_round": scale.tunnel_tasks,
        "sizes": found,
    }


async def _tunnels(kind: str, weights: Sequence[Weight], scale: Scale) -> dict[str, Any]:
    ratios: dict[int, list[float]] = {getattr(weight, kind): [] for weight in weights}
    async with AsyncExitStack() as stack:
        made = {getattr(weight, kind): await stack.enter_async_context(tunnel(weight)) for weight in weights}
        settle_memory()
        await _at_rest()
        for _ in range(scale.tunnel_rounds):
            for size, one in made.items():
                took_s, reference = await once(one, scale.tunnel_tasks)
                ratios[size].append(took_s / reference)
    return _told(kind, ratios)


async def _at_rest() -> None:
    """
    Wait until this process does next to nothing.

    A hundred thousand tasks leave the audit sink half a million records to keep and each machine a snapshot to
    write, a little at a time. Whose turn comes meanwhile would pay for it, and it is the smallest that the others
    are held against.
    """
    async with asyncio.timeout(_REST_WITHIN_S):
        quiet = 0
        while quiet < _QUIET_TIMES:
            began = time.process_time()
            await asyncio.sleep(_LOOK_S)
            quiet = quiet + 1 if time.process_time() - began < _QUIET * _LOOK_S else 0


async def _brokers(folder: Path, scale: Scale) -> dict[str, Any]:
    ratios: dict[int, list[float]] = {count: [] for count in scale.broker_partitions}
    async with AsyncExitStack() as stack:
        sides = {}
        for count in scale.broker_partitions:
            stage = Stage(
                await bring_up(PlatformHome(folder / f"p{count}"), partitions=count, layout="apart")
            )
            stack.push_async_callback(stage.close)
            road, _ = await stack.enter_async_context(governed_road(stage, payload_of(BASE_BYTES), ROOT))
            await closed_loop(road.carry, scale.warm_up_s, scale.in_flight)
            sides[count] = (stage, road)
        for _ in range(scale.rounds):
            for count, (stage, road) in sides.items():
                before = reference_s()
                pids = (*service_pids(stage).values(), broker_pid(stage.door.home.root))
                began = sum(taken(pid).cpu_s for pid in pids)
                done, _ = await closed_loop(road.carry, scale.governed_for_s, scale.in_flight)
                took_s = (sum(taken(pid).cpu_s for pid in pids) - began) / (2 * done)
                ratios[count].append(2 * took_s / (before + reference_s()))
    return _told("partitions, on a broker", ratios)


def _told(kind: str, ratios: dict[int, list[float]]) -> dict[str, Any]:
    medians = {size: statistics.median(values) for size, values in ratios.items()}
    said = ", ".join(f"{size}: {median:.1f}" for size, median in medians.items())
    print(f"{kind}: references a crossing at {said}")
    smallest = medians[min(medians)]
    return {
        "references": {str(size): spread(values, 2) for size, values in ratios.items()},
        "most_over_smallest": round(max(medians.values()) / smallest, 3),
    }
