"""
Measure what each gate costs, and the journals: the platform with each of them taken away in turn.

A gate is taken away as an operator does: its document is retired and its service stopped. The contract validator
cannot be: without one nothing is admitted, which is a promise (fail closed), so its price is read from its process.
Journals cannot be taken away at all; `without_journals/` patches a second platform, beside the first, for no other
purpose than this.
"""

import os
import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.governed import GovernedRoad, governed_road, payload_of
from benchmarks.load import closed_loop, percentile_ms, spread
from benchmarks.machine import ROOT, described
from benchmarks.processes import broker_pid, service_pids, taken
from benchmarks.reference import reference_s
from benchmarks.scale import BASE_BYTES, Scale

from seamwork.platform.known import lagging
from seamwork.testing.stage import Stage, staged

AWAY = ("policy-engine", "cost-cap", "approval-workflow")
VARIANTS = ("all", *(f"without {gate}" for gate in AWAY), "without journals")
_PATCH = Path(__file__).parent / "without_journals"
_WARM_UP = 5  # tasks after each change


async def gates(folder: Path, scale: Scale) -> dict[str, Any]:
    """Measure all variants in turn, round by round, and return what was found."""
    load_before = os.getloadavg()[0]
    found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    async with AsyncExitStack() as stack:
        whole = await stack.enter_async_context(staged(folder / "whole"))
        bare = await stack.enter_async_context(_without_journals(folder / "bare"))
        roads = {
            stage: (await stack.enter_async_context(governed_road(stage, payload_of(BASE_BYTES), ROOT)))[0]
            for stage in (whole, bare)
        }
        for road in roads.values():
            await closed_loop(road.carry, scale.warm_up_s, scale.in_flight)
        for number in range(scale.rounds):
            for variant in VARIANTS:
                stage = bare if variant == "without journals" else whole
                async with _taken_away(stage, variant.removeprefix("without ")):
                    one = await _measured(stage, roads[stage], scale)
                found[variant].append(one)
                said = ", ".join(f"{name} {value:.2f}" for name, value in one.items())
                print(f"round {number + 1}, {variant}: {said}")
    return {
        **described(load_before),
        "scale": scale.name,
        "rounds": scale.rounds,
        "variants": {
            variant: {name: spread([one[name] for one in rounds], 3) for name in rounds[0]}
            for variant, rounds in found.items()
        },
    }


async def _measured(stage: Stage, road: GovernedRoad, scale: Scale) -> dict[str, float]:
    for _ in range(_WARM_UP):
        await road.carry()
    reference = reference_s()
    handed = [(await road.carry()).handed for _ in range(scale.governed_samples)]
    pids = service_pids(stage) | {"kafka": broker_pid(stage.door.home.root)}
    before = sum(taken(pid).cpu_s for pid in pids.values())
    count, took = await closed_loop(road.carry, scale.governed_for_s / 2, scale.in_flight)
    took += await stage.recorded()
    cpu_s = sum(taken(pid).cpu_s for pid in pids.values()) - before
    return {
        "handed_p50_ms": percentile_ms(handed, 50),
        "crossings_per_s": 2 * count / took,
        "cpu_references": cpu_s / (2 * count) / statistics.mean((reference, reference_s())),
    }


@asynccontextmanager
async def _taken_away(stage: Stage, gate: str) -> AsyncIterator[None]:
    if gate not in AWAY:
        yield
        return
    supervisor = stage.running.supervisor
    await _say(stage, gate, "retired")
    await supervisor.stop(gate)
    try:
        yield
    finally:
        await stage.running.start_services([gate])
        await _say(stage, gate, "active")


async def _say(stage: Stage, gate: str, status: Any) -> None:
    async with stage.door.publisher() as publisher:
        revision = await publisher.activate("Gate", gate, "1.0.0", status)
    behind = await lagging(stage.door.home, revision)
    if behind:
        message = f"these do not know that {gate} is {status}: {', '.join(behind)}"
        raise RuntimeError(message)


@asynccontextmanager
async def _without_journals(folder: Path) -> AsyncIterator[Stage]:
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(_PATCH) if before is None else f"{_PATCH}{os.pathsep}{before}"
    async with AsyncExitStack() as stack:
        try:
            stage = await stack.enter_async_context(staged(folder))
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before
        yield stage
