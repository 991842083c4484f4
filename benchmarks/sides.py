"""
Measure side by side: all contestants in turn, round by round, so that what disturbs one disturbs the others.

Each layout of the platform has a run of its own, with every contestant in it: what is compared was measured on the
same broker within the same minutes.
"""

import asyncio
import json
import os
import shutil
import statistics
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.governed import Carried, GovernedRoad, governed_road, payload_of
from benchmarks.hop import POLICIES, hop_roads
from benchmarks.librdkafka import LibrdkafkaRoad
from benchmarks.load import closed_loop, latency, open_loop, percentile_ms, rate, spread
from benchmarks.machine import ROOT, described
from benchmarks.peers import PeerRoad, peer_roads
from benchmarks.peers import topics_of as peer_topics
from benchmarks.port import PortRoad
from benchmarks.processes import broker_pid, service_pids, taken
from benchmarks.raw import RawRoad, make_topics
from benchmarks.reference import reference_s
from benchmarks.scale import BASE_BYTES, LARGE_BYTES, Scale
from benchmarks.stages import Spent, between, path_of, ports_of, spent, together

from seamwork.platform.door import REGISTRAR
from seamwork.platform.up import DEFAULT_PARTITIONS, Layout
from seamwork.testing.stage import Stage, staged

PARTITIONS = DEFAULT_PARTITIONS
SIZES = (BASE_BYTES, LARGE_BYTES)
PLAIN: dict[str, type[RawRoad | LibrdkafkaRoad | PortRoad]] = {
    "raw": RawRoad,
    "librdkafka": LibrdkafkaRoad,
    "port": PortRoad,
}
HOPS = tuple(f"hop_{policy}" for policy in POLICIES)
GOVERNED = ("handed", "answered")
_SETTLE_S = 0.5  # an answer is in our hands before its publisher has counted it
OURS = "initiator and raw clients"


@dataclass(frozen=True)
class Field:
    """The contestants of one payload, on one platform."""

    plain: dict[str, RawRoad | LibrdkafkaRoad | PortRoad]
    hops: dict[str, RawRoad]
    peers: dict[str, PeerRoad]
    governed: GovernedRoad
    payload: Mapping[str, str]

    async def latencies(self, scale: Scale) -> dict[str, list[int]]:
        """Measure each with one in flight, in turn."""
        found: dict[str, list[int]] = {}
        for road, by in self.plain.items():
            found[road] = [await by.carry(number) for number in range(scale.raw_samples)]
        for road, through in self.hops.items():
            found[road] = [await through.carry(number) for number in range(scale.hop_samples)]
        for peer, beside in self.peers.items():
            found[peer] = await beside.samples(scale.hop_samples)
        carried = [await self.governed.carry(payload=self.payload) for _ in range(scale.governed_samples)]
        found["handed"] = [one.handed for one in carried]
        found["answered"] = [one.answered for one in carried]
        return found

    async def rates(self, scale: Scale) -> dict[str, float]:
        """Measure how many a second come through each of those that nobody governs, in turn."""
        found: dict[str, float] = {}
        for road, by in self.plain.items():
            found[road] = await rate(by.carry, scale.raw_for_s, scale.in_flight)
        for road, through in self.hops.items():
            found[road] = await rate(through.carry, scale.hop_for_s, scale.in_flight)
        for peer, beside in self.peers.items():
            found[peer] = await beside.rate(scale.hop_for_s, scale.in_flight)
        return found


async def sides(folder: Path, scale: Scale) -> dict[str, Any]:
    """Bring a platform up in *folder* for each layout, measure, take it down, and return what was found."""
    load_before = os.getloadavg()[0]
    layouts = {}
    for layout in scale.layouts:
        layouts[layout] = await _layout(folder / layout, layout, scale)
        # Fifteen gigabytes lie there, and admission closes before a disk is full.
        await asyncio.to_thread(shutil.rmtree, folder / layout)
    settings = {
        "payload_bytes": BASE_BYTES,
        "large_bytes": LARGE_BYTES,
        "partitions": PARTITIONS,
        "rounds": scale.rounds,
        "raw_samples_a_round": scale.raw_samples,
        "hop_samples_a_round": scale.hop_samples,
        "governed_samples_a_round": scale.governed_samples,
        "in_flight": scale.in_flight,
    }
    return {**described(load_before), "scale": scale.name, "settings": settings, "layouts": layouts}


async def _layout(folder: Path, layout: Layout, scale: Scale) -> dict[str, Any]:
    async with staged(folder, layout=layout) as stage, AsyncExitStack() as stack:
        took_s = stage.running.took_s
        print(f"{layout}: ready after {sum(took_s.values()):.1f} s")
        access, name = stage.door.access(REGISTRAR), f"{stage.door.identity.prefix}.bench"
        governed, agent = await stack.enter_async_context(governed_road(stage, payload_of(BASE_BYTES), ROOT))
        pids = service_pids(stage) | {
            "kafka": broker_pid(stage.door.home.root), OURS: os.getpid(), "agent": agent.pid,
        }  # fmt: skip
        ports = ports_of(stage) | {"agent": agent.port}
        await closed_loop(governed.carry, scale.warm_up_s, scale.in_flight)
        large_scale = scale if layout in scale.large else None
        bodies = {size: json.dumps(payload_of(size), separators=(",", ":")).encode() for size in SIZES}
        await make_topics(access, peer_topics(name), PARTITIONS)
        present = await stack.enter_async_context(peer_roads(access, name, bodies, PARTITIONS, folder))
        pids |= present.pids
        fields: dict[int, Field] = {}
        for size, body in bodies.items():
            topic = f"{name}-{size}"
            ends = [f"{topic}-{policy}-{end}" for policy in POLICIES for end in ("in", "out")]
            await make_topics(access, [*(f"{topic}-{road}" for road in PLAIN), *ends], PARTITIONS)
            plain = {road: kind(access, f"{topic}-{road}", body, PARTITIONS) for road, kind in PLAIN.items()}
            for by in plain.values():
                await by.start()
                stack.push_async_callback(by.stop)
            hops, hop = await stack.enter_async_context(hop_roads(access, topic, body, PARTITIONS, folder))
            if size == BASE_BYTES:
                pids["hop"] = hop
            by_policy = {f"hop_{policy}": through for policy, through in hops.items()}
            fields[size] = Field(plain, by_policy, present.roads[size], governed, payload_of(size))
        base = await _rounds(fields[BASE_BYTES], stage, scale, pids, ports)
        most_per_s = statistics.median(base.pop("tasks_per_s"))
        curve = [await _offered(governed, share, share * most_per_s, scale) for share in scale.shares]
        memory = {process: taken(pid) for process, pid in pids.items()}
        services = list(stage.running.supervisor.processes)
        large = await _rounds(
            fields[LARGE_BYTES], stage, large_scale or scale, {}, {}, 1 if large_scale is None else None
        )
    kept = ("latency_ms", "throughput_per_s")
    return {
        "start_s": {part: round(seconds, 1) for part, seconds in took_s.items()},
        "peers": present.told,
        **base,
        "load": curve,
        "memory_bytes": {
            process: {"resident": t.resident_bytes, "peak": t.peak_bytes, "service": process in services}
            for process, t in memory.items()
        },
        "large": {name: large[name] for name in kept},
    }


async def _rounds(
    field: Field,
    stage: Stage,
    scale: Scale,
    pids: Mapping[str, int],
    ports: Mapping[str, int],
    rounds: int | None = None,
) -> dict[str, Any]:
    found: list[tuple[dict[str, list[int]], dict[str, float]]] = []
    cpu: dict[str, float] = dict.fromkeys(pids, 0.0)
    references, tasks_per_s, late_s = [], [], []
    stages: Spent = {}
    tasks = 0
    rounds = scale.rounds if rounds is None else rounds
    for number in range(rounds):
        await asyncio.sleep(_SETTLE_S)
        references.append(1000 * reference_s())
        begun = await spent(ports)
        latencies = await field.latencies(scale)
        stages = together(stages, between(begun, await spent(ports)))
        rates = await field.rates(scale)
        before = {name: taken(pid).cpu_s for name, pid in pids.items()}
        count, took = await closed_loop(
            lambda: field.governed.carry(payload=field.payload), scale.governed_for_s, scale.in_flight
        )
        late_s.append(await stage.recorded())
        rates["governed_crossings"] = 2 * count / (took + late_s[-1])
        tasks_per_s.append(count / (took + late_s[-1]))
        tasks += count
        for process, pid in pids.items():
            cpu[process] += taken(pid).cpu_s - before[process]
        found.append((latencies, rates))
        print(_line(number, latencies, rates))
    return {
        "reference_ms": spread(references, 3),
        "latency_ms": {road: latency([one[road] for one, _ in found]) for road in found[0][0]},
        "samples_us": {
            road: [sorted(round(ns / 1000) for ns in one[road]) for one, _ in found] for road in found[0][0]
        },
        "throughput_per_s": {road: spread([one[road] for _, one in found]) for road in found[0][1]},
        "stages": _stages(stages, 2 * rounds * scale.governed_samples),
        "path": path_of(stages),
        "cpu_ms_per_crossing": {process: round(1000 * s / (2 * tasks), 3) for process, s in cpu.items()},
        "tasks_per_s": tasks_per_s,
        "record_late_s": spread(late_s, 2),
    }


def _stages(stages: Spent, crossings: int) -> list[dict[str, Any]]:
    return [
        {
            "service": service,
            "stage": stage,
            "ms": round(1000 * seen.seconds / seen.count, 2),
            "per_crossing": round(seen.count / crossings, 2),
        }
        for (service, family, stage), seen in stages.items()
        if family == "stage" and seen.count
    ]


async def _offered(governed: GovernedRoad, share: float, per_s: float, scale: Scale) -> dict[str, Any]:
    carried, took_s = await open_loop(governed.due, per_s, scale.open_for_s)
    return {
        "share": share,
        "offered_tasks_per_s": round(per_s, 1),
        "done_tasks_per_s": round(len(carried) / took_s, 1),
        "tasks": len(carried),
        **_handed(carried),
    }


def _handed(carried: list[Carried]) -> dict[str, float]:
    handed = [one.handed for one in carried]
    return {
        "handed_p50_ms": round(percentile_ms(handed, 50), 2),
        "handed_p99_ms": round(percentile_ms(handed, 99), 2),
    }


def _line(number: int, latencies: Mapping[str, list[int]], rates: Mapping[str, float]) -> str:
    said = ", ".join(f"{road} {percentile_ms(ns, 50):.1f}" for road, ns in latencies.items())
    fast = ", ".join(f"{road} {per_s:.0f}" for road, per_s in rates.items())
    return f"round {number + 1}: ms: {said}; a second: {fast}"
