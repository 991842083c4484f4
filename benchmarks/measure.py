"""
Take the measurements: all contestants in turn, round by round, so that what disturbs one disturbs the others.

Each layout of the platform has a run of its own, with every contestant in it: what is compared was measured on the
same broker within the same minute.
"""

import asyncio
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, get_args

from benchmarks.governed import Carried, GovernedRoad, governed_road
from benchmarks.hop import POLICIES, hop_roads
from benchmarks.librdkafka import LibrdkafkaRoad
from benchmarks.port import PortRoad
from benchmarks.processes import memory_bytes, processor, taken
from benchmarks.raw import RawRoad, make_topics
from benchmarks.reference import reference_s
from benchmarks.stages import Spent, between, spent, together

from seamwork.clock import SystemClock
from seamwork.platform.door import REGISTRAR
from seamwork.platform.up import Layout
from seamwork.records.wire import rfc3339
from seamwork.testing.stage import Stage, staged

ROOT = Path(__file__).parents[1]
PAYLOAD_BYTES = 1024
PARTITIONS = 4
ROUNDS = 5
RAW_SAMPLES, HOP_SAMPLES, GOVERNED_SAMPLES = 150, 50, 40
IN_FLIGHT = 256
RAW_FOR_S, HOP_FOR_S, GOVERNED_FOR_S, OPEN_FOR_S, WARM_UP_S = 0.6, 1.2, 3.0, 4.0, 4.0
HALF = 0.5
_MS = 1_000_000

PLAIN: dict[str, type[RawRoad | LibrdkafkaRoad | PortRoad]] = {
    "raw": RawRoad,
    "librdkafka": LibrdkafkaRoad,
    "port": PortRoad,
}
Carry = Callable[[], Awaitable[object]]


async def measure(folder: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    """Bring a platform up in *folder* for each layout, measure, take it down, and return what was found."""
    load_before = os.getloadavg()[0]
    layouts: dict[str, Any] = {}
    for layout in get_args(Layout):
        layouts[layout] = await _measured(folder / layout, layout, rounds)
    return {
        "measured_at": rfc3339(SystemClock().now_ms())[:19] + "Z",
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "memory_bytes": memory_bytes(),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "load_before": round(load_before, 2),
            "load_after": round(os.getloadavg()[0], 2),
        },
        "settings": {
            "payload_bytes": PAYLOAD_BYTES,
            "partitions": PARTITIONS,
            "rounds": rounds,
            "raw_samples_a_round": RAW_SAMPLES,
            "hop_samples_a_round": HOP_SAMPLES,
            "governed_samples_a_round": GOVERNED_SAMPLES,
            "in_flight": IN_FLIGHT,
        },
        "layouts": layouts,
    }


async def _measured(folder: Path, layout: Layout, rounds: int) -> dict[str, Any]:
    # A payload of PAYLOAD_BYTES as it lies on the wire, braces and name included.
    payload = {"weight": "x" * (PAYLOAD_BYTES - len('{"weight":""}'))}
    body = ('{"weight":"' + payload["weight"] + '"}').encode()
    async with staged(folder, layout=layout) as stage, AsyncExitStack() as stack:
        took_s = stage.running.took_s
        print(f"{layout}: ready after {sum(took_s.values()):.1f} s")
        access, name = stage.door.access(REGISTRAR), f"{stage.door.identity.prefix}.bench"
        ends = [f"{name}-{policy}-{end}" for policy in POLICIES for end in ("in", "out")]
        plain: dict[str, RawRoad | LibrdkafkaRoad | PortRoad] = {
            road: kind(access, f"{name}-{road}", body, PARTITIONS) for road, kind in PLAIN.items()
        }
        await make_topics(access, [*(f"{name}-{road}" for road in plain), *ends], PARTITIONS)
        for by in plain.values():
            await by.start()
            stack.push_async_callback(by.stop)
        hops, hop = await stack.enter_async_context(hop_roads(access, name, body, PARTITIONS, folder))
        governed, agent = await stack.enter_async_context(governed_road(stage, payload, ROOT))
        pids = _pids(stage) | {"agent": agent, "hop": hop}
        await _closed_loop(governed.carry, WARM_UP_S)
        found: list[dict[str, Any]] = []
        cpu: dict[str, float] = dict.fromkeys(pids, 0.0)
        stages: Spent = {}
        tasks = 0
        ports = {
            service: at
            for p in stage.running.supervisor.processes.values()
            for service, at in p.ports.items()
        }
        for number in range(rounds):
            one: dict[str, Any] = {"reference_ms": 1000 * reference_s()}
            for road, by in plain.items():
                one[f"{road}_ns"] = [await by.carry(n) for n in range(RAW_SAMPLES)]
            for policy, through in hops.items():
                one[f"hop_{policy}_ns"] = [await through.carry(n) for n in range(HOP_SAMPLES)]
            begun = await spent(ports)
            carried = [await governed.carry() for _ in range(GOVERNED_SAMPLES)]
            stages = together(stages, between(begun, await spent(ports)))
            one["handed_ns"] = [c.handed for c in carried]
            one["answered_ns"] = [c.answered for c in carried]
            for road, by in plain.items():
                one[f"{road}_per_s"] = await _rate(by.carry, RAW_FOR_S)
            for policy, through in hops.items():
                one[f"hop_{policy}_per_s"] = await _rate(through.carry, HOP_FOR_S)
            before = {name: taken(pid).cpu_s for name, pid in pids.items()}
            count, took = await _closed_loop(governed.carry, GOVERNED_FOR_S)
            one["tasks_per_s"] = count / took
            tasks += count
            for process, pid in pids.items():
                cpu[process] += taken(pid).cpu_s - before[process]
            found.append(one)
            print(_line(number, one))
        rate = HALF * statistics.median(one["tasks_per_s"] for one in found)
        opened = await _open_loop(governed, rate, OPEN_FOR_S)
        memory = {process: taken(pid) for process, pid in pids.items()}
        services = list(stage.running.supervisor.processes)
    return {
        "start_s": {part: round(seconds, 1) for part, seconds in took_s.items()},
        "reference_ms": _spread([one["reference_ms"] for one in found], 3),
        "latency_ms": {
            road: _latency([one[f"{road}_ns"] for one in found])
            for road in (*PLAIN, *(f"hop_{policy}" for policy in POLICIES), "handed", "answered")
        },
        "open_loop": {
            "tasks_per_s": round(rate, 1),
            "tasks": len(opened),
            "handed_p50_ms": round(_percentile([c.handed for c in opened], 50), 2),
            "handed_p99_ms": round(_percentile([c.handed for c in opened], 99), 2),
        },
        "stages": [
            {
                "service": service,
                "stage": stage_name,
                "ms": round(1000 * seconds / count, 2),
                "per_crossing": round(count / (2 * rounds * GOVERNED_SAMPLES), 2),
            }
            for (service, stage_name), (seconds, count) in stages.items()
            if count
        ],
        "throughput_per_s": {
            **{road: _spread([one[f"{road}_per_s"] for one in found]) for road in PLAIN},
            **{
                f"hop_{policy}": _spread([one[f"hop_{policy}_per_s"] for one in found]) for policy in POLICIES
            },
            "governed_crossings": _spread([2 * one["tasks_per_s"] for one in found]),
        },
        "cpu_ms_per_crossing": {process: round(1000 * s / (2 * tasks), 3) for process, s in cpu.items()},
        "memory_bytes": {
            process: {"resident": t.resident_bytes, "peak": t.peak_bytes, "service": process in services}
            for process, t in memory.items()
        },
    }


def _pids(stage: Stage) -> dict[str, int]:
    pids = {name: p.pid for name, p in stage.running.supervisor.processes.items() if p.pid}
    return pids | {"kafka": _broker(stage.door.home.root), "initiator and raw clients": os.getpid()}


async def _rate(carry: Carry, for_s: float) -> float:
    count, took = await _closed_loop(carry, for_s)
    return count / took


async def _closed_loop(carry: Carry, for_s: float) -> tuple[int, float]:
    """Keep a fixed number in flight; return how many came through, and in what time."""
    began = time.monotonic()
    done = 0

    async def lane() -> None:
        nonlocal done
        while time.monotonic() - began < for_s:
            await carry()
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(lane())
    return done, time.monotonic() - began


async def _open_loop(road: GovernedRoad, per_s: float, for_s: float) -> list[Carried]:
    """
    Begin tasks at a fixed pace, whatever becomes of the earlier ones, each timed from when it was due.

    A closed loop waits with what is slow and leaves out how long the next would have waited (coordinated omission).
    """
    began = time.monotonic_ns()
    tasks: list[asyncio.Task[Carried]] = []
    async with asyncio.TaskGroup() as group:
        for number in range(max(1, int(per_s * for_s))):
            due_ns = began + int(number / per_s * 1e9)
            await asyncio.sleep(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
            tasks.append(group.create_task(road.carry(due_ns)))
    return [task.result() for task in tasks]


def _latency(rounds: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return medians over the rounds of each round's percentiles, and the percentiles themselves."""
    p50 = [_percentile(one, 50) for one in rounds]
    p99 = [_percentile(one, 99) for one in rounds]
    return {
        "p50": round(statistics.median(p50), 3),
        "p99": round(statistics.median(p99), 3),
        "p50_by_round": [round(value, 3) for value in p50],
        "p99_by_round": [round(value, 3) for value in p99],
    }


def _percentile(values: Sequence[int], percent: int) -> float:
    """Return the nearest-rank percentile, in milliseconds."""
    ordered = sorted(values)
    rank = max(1, -(-percent * len(ordered) // 100))
    return ordered[rank - 1] / _MS


def _spread(values: Sequence[float], digits: int = 1) -> dict[str, Any]:
    return {
        "median": round(statistics.median(values), digits),
        "by_round": [round(value, digits) for value in values],
    }


def _broker(home: Path) -> int:
    for listed in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = listed.read_bytes().split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        if words[0].endswith(b"java") and any(str(home).encode() in word for word in words):
            return int(listed.parent.name)
    message = "the broker's process is not to be found; the benchmark measures an embedded one"
    raise LookupError(message)


def _line(number: int, one: dict[str, Any]) -> str:
    p50 = {
        name: _percentile(one[f"{name}_ns"], 50) for name in ("raw", "librdkafka", "hop_default", "handed")
    }
    said = ", ".join(f"{name} {ms:.1f} ms" for name, ms in p50.items())
    return (
        f"round {number + 1}: {said}; raw {one['raw_per_s']:.0f}, hop {one['hop_default_per_s']:.0f} and "
        f"{one['hop_safe_per_s']:.0f}, governed crossings {2 * one['tasks_per_s']:.0f} a second"
    )
