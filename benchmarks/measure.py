"""Take the measurements: both roads in turn, round by round, so that what disturbs one disturbs the other."""

import asyncio
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.governed import governed_road
from benchmarks.processes import memory_bytes, processor, taken
from benchmarks.raw import raw_road
from benchmarks.stages import Spent, between, spent, together

from seamwork.clock import SystemClock
from seamwork.platform.door import REGISTRAR
from seamwork.records.wire import rfc3339
from seamwork.testing.stage import staged

ROOT = Path(__file__).parents[1]
PAYLOAD_BYTES = 1024
PARTITIONS = 4
ROUNDS = 5
RAW_SAMPLES = 150
GOVERNED_SAMPLES = 40
IN_FLIGHT = 32
RAW_FOR_S = 2.0
GOVERNED_FOR_S = 6.0
_MS = 1_000_000


async def measure(folder: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    """Bring a platform up in *folder*, measure, take it down, and return what was found."""
    # A payload of PAYLOAD_BYTES as it lies on the wire, braces and name included.
    payload = {"weight": "x" * (PAYLOAD_BYTES - len('{"weight":""}'))}
    body = ('{"weight":"' + payload["weight"] + '"}').encode()
    began = time.monotonic()
    load_before = os.getloadavg()[0]
    async with staged(folder) as stage:
        print(f"platform ready after {time.monotonic() - began:.1f} s")
        door = stage.door
        async with (
            raw_road(door.access(REGISTRAR), door.identity.prefix, body, PARTITIONS) as raw,
            governed_road(stage, payload, ROOT) as (governed, agent),
        ):
            ports = {name: p.http_port for name, p in stage.running.supervisor.processes.items()}
            pids = {name: p.pid for name, p in stage.running.supervisor.processes.items() if p.pid}
            pids |= {
                "agent": agent,
                "kafka": _broker(door.home.root),
                "initiator and raw client": os.getpid(),
            }
            found: list[dict[str, Any]] = []
            cpu: dict[str, float] = dict.fromkeys(pids, 0.0)
            stages: Spent = {}
            tasks = 0
            for number in range(rounds):
                one: dict[str, Any] = {}
                one["raw_ns"] = [await raw.carry(n) for n in range(RAW_SAMPLES)]
                begun = await spent(ports)
                carried = [await governed.carry() for _ in range(GOVERNED_SAMPLES)]
                stages = together(stages, between(begun, await spent(ports)))
                one["handed_ns"] = [c.handed for c in carried]
                one["answered_ns"] = [c.answered for c in carried]
                count, took = await _closed_loop(lambda: raw.carry(0), RAW_FOR_S)
                one["raw_per_s"] = count / took
                before = {name: taken(pid).cpu_s for name, pid in pids.items()}
                count, took = await _closed_loop(governed.carry, GOVERNED_FOR_S)
                one["tasks_per_s"] = count / took
                tasks += count
                for name, pid in pids.items():
                    cpu[name] += taken(pid).cpu_s - before[name]
                found.append(one)
                print(_line(number, one))
            memory = {name: taken(pid) for name, pid in pids.items()}
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
            "governed_samples_a_round": GOVERNED_SAMPLES,
            "in_flight": IN_FLIGHT,
        },
        "latency_ms": {
            "raw": _latency([one["raw_ns"] for one in found]),
            "handed": _latency([one["handed_ns"] for one in found]),
            "answered": _latency([one["answered_ns"] for one in found]),
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
            "raw_records": _spread([one["raw_per_s"] for one in found]),
            "governed_crossings": _spread([2 * one["tasks_per_s"] for one in found]),
        },
        "cpu_ms_per_crossing": {name: round(1000 * s / (2 * tasks), 3) for name, s in cpu.items()},
        "memory_bytes": {
            name: {"resident": t.resident_bytes, "peak": t.peak_bytes} for name, t in memory.items()
        },
    }


async def _closed_loop(carry: Callable[[], Awaitable[object]], for_s: float) -> tuple[int, float]:
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


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {"median": round(statistics.median(values), 1), "by_round": [round(v, 1) for v in values]}


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
    raw, handed, answered = (_percentile(one[f"{name}_ns"], 50) for name in ("raw", "handed", "answered"))
    return (
        f"round {number + 1}: raw {raw:.2f} ms, handed {handed:.1f} ms, answered {answered:.1f} ms; "
        f"raw {one['raw_per_s']:.0f}/s, governed {2 * one['tasks_per_s']:.0f} crossings/s"
    )
