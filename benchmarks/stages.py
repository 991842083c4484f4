"""
Read where the time of a crossing goes: from what the services and the agent show under `/metrics` alone.

Sums and buckets are counters, so what lies between two readings is a difference.
"""

import asyncio
import math
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import generate_latest

from seamwork.testing.stage import Stage

_FAMILIES = {
    "seamwork_stage_seconds": "stage",
    "seamwork_crossing_age_seconds": "age",
    "seamwork_agent_stage_seconds": "agent",
}
_LINE = re.compile(r"^(\w+?)_(sum|count|bucket)\{(.*?)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="(.*?)"')
_REMEMBERED = re.compile(r"^seamwork_remembered\{(.*?)\} (\S+)$", re.MULTILINE)
_BEHIND = re.compile(r"^seamwork_lag_records\{.*?\} (\S+)$", re.MULTILINE)
_WITHIN_S = 10

PATH = (
    ("submitted", "agent's process, until the log has it", ("driver", "agent", "submitted")),
    ("gates in", "contract-validator", ("contract-validator", "age", "in")),
    ("gates in", "policy-engine", ("policy-engine", "age", "in")),
    ("gates in", "cost-cap", ("cost-cap", "age", "in")),
    ("verdicts out", "contract-validator", ("contract-validator", "age", "out")),
    ("verdicts out", "policy-engine", ("policy-engine", "age", "out")),
    ("verdicts out", "cost-cap", ("cost-cap", "age", "out")),
    ("tally", "router", ("router", "age", "decided")),
    ("journal acknowledged", "router", ("router", "age", "journalled")),
    ("dispatched", "router", ("router", "age", "out")),
    ("received", "agent, from the inbox's append", ("agent", "agent", "received")),
)
"""The stages of a crossing's path in their order: what each is called, whose it is, and where it is shown."""


@dataclass
class Seen:
    """What a histogram saw: seconds in all, how often, and how often at most so long."""

    seconds: float = 0.0
    count: float = 0.0
    within: dict[float, float] = field(default_factory=dict)

    def __sub__(self, other: "Seen") -> "Seen":
        within = {bound: count - other.within.get(bound, 0.0) for bound, count in self.within.items()}
        return Seen(self.seconds - other.seconds, self.count - other.count, within)

    def __add__(self, other: "Seen") -> "Seen":
        bounds = sorted({*self.within, *other.within})
        within = {bound: self.within.get(bound, 0.0) + other.within.get(bound, 0.0) for bound in bounds}
        return Seen(self.seconds + other.seconds, self.count + other.count, within)

    def quantile_s(self, share: float) -> float:
        """Return a quantile, as Prometheus does: evenly spread within its bucket."""
        wanted, below, floor = share * self.count, 0.0, 0.0
        for bound, count in sorted(self.within.items()):
            if count >= wanted and count > below:
                if math.isinf(bound):
                    return floor
                return floor + (bound - floor) * (wanted - below) / (count - below)
            below, floor = count, bound
        return floor


Spent = dict[tuple[str, str, str], Seen]
"""Service, family and stage → what was seen."""


def ports_of(stage: Stage) -> dict[str, int]:
    """Return where each service's pages are."""
    return {
        service: at
        for process in stage.running.supervisor.processes.values()
        for service, at in process.ports.items()
    }


async def spent(ports: Mapping[str, int]) -> Spent:
    """Read every service once, and the process that we are: the initiator's."""
    found: Spent = {}
    for service, port in ports.items():
        _read(found, service, await asyncio.to_thread(_page, port))
    if ports:
        _read(found, "driver", generate_latest().decode())
    return found


def between(before: Spent, after: Spent) -> Spent:
    """Return what was spent from one reading to the next."""
    return {at: seen - before.get(at, Seen()) for at, seen in after.items()}


def together(first: Spent, second: Spent) -> Spent:
    """Add two spans up."""
    return {at: first.get(at, Seen()) + seen for at, seen in second.items()}


def path_of(stages: Spent) -> list[dict[str, Any]]:
    """Return the stages of a crossing's path, in order, as far as they were seen."""
    return [
        {
            "stage": name,
            "whose": whose,
            "count": int(seen.count),
            "mean_ms": round(1000 * seen.seconds / seen.count, 2),
            "p50_ms": round(1000 * seen.quantile_s(0.5), 2),
            "p99_ms": round(1000 * seen.quantile_s(0.99), 2),
        }
        for name, whose, at in PATH
        if (seen := stages.get(at)) is not None and seen.count
    ]


def _read(found: Spent, service: str, text: str) -> None:
    for name, part, labels, value in _LINE.findall(text):
        family = _FAMILIES.get(name)
        if family is None:
            continue
        told = dict(_LABEL.findall(labels))
        seen = found.setdefault((service, family, told["stage"]), Seen())
        match part:
            case "sum":
                seen.seconds = float(value)
            case "count":
                seen.count = float(value)
            case _:
                seen.within[float(told["le"])] = float(value)


def _page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_WITHIN_S) as got:
        text: str = got.read().decode()
        return text


async def remembered(port: int) -> dict[str, float]:
    """Return what a machine's state holds, by kind, over all of its partitions."""
    found: dict[str, float] = {}
    for labels, value in _REMEMBERED.findall(await asyncio.to_thread(_page, port)):
        of = dict(_LABEL.findall(labels))["of"]
        found[of] = found.get(of, 0.0) + float(value)
    return found


async def behind(port: int) -> int:
    """Return how many records a service has yet to take in, as of its last look; an audit sink looks every 5 s."""
    return sum(int(float(records)) for records in _BEHIND.findall(await asyncio.to_thread(_page, port)))
