"""Run many seeds on several cores, and sum up what they came to."""

import multiprocessing
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from seamwork.testing.simulation.plan import plan_of
from seamwork.testing.simulation.run import Report, simulate

_CRITICAL = 50
_HAPPENED = ("crashes", "zombie writes", "duplicates", "unanswered writes", "rebalances", "stalls", "trims")


@dataclass
class Sum:
    """What many histories came to."""

    seeds: int = 0
    failed: list[int] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)
    simulated_s: float = 0.0

    def add(self, report: Report) -> None:
        """Take a history in."""
        self.seeds += 1
        if report.violations:
            self.failed.append(report.plan.seed)
        counts = report.counts
        self.numbers.update(
            {
                "crashes": counts.crashes,
                "zombie writes": counts.zombie_writes,
                "duplicates": counts.duplicates,
                "unanswered writes": counts.lost_acks,
                "rebalances": counts.rebalances,
                "stalls": counts.stalls,
                "trims": counts.trims,
                "records": report.records,
                "commits": report.commits,
                "snapshots": report.snapshots,
            }
        )
        self.faults.update(counts.faults)
        self.ends.update(report.ends)
        self.exits.update(report.exits)
        self.simulated_s += report.simulated_s

    def lines(self, took_s: float) -> list[str]:
        """Return the closing lines."""
        checked = _listed(self.numbers, "records", "commits", "snapshots")
        happened = _listed(self.numbers, *_HAPPENED)
        return [
            f"tasks: {_listed(self.ends, *sorted(self.ends))}",
            f"exits by themselves: {_listed(self.exits, *sorted(self.exits)) or 'none'}",
            f"{checked} checked, {self.simulated_s / 3600:.1f} simulated hours in {took_s:.0f} s",
            f"{self.seeds} seeds, {len(self.failed)} violations, {happened}",
        ]


def _listed(numbers: Counter[str], *names: str) -> str:
    return ", ".join(f"{numbers[name]} {name}" for name in names)


def run_seed(seed: int) -> Report:
    """Run one seed."""
    return simulate(plan_of(seed))


def quiet() -> None:
    """Say nothing: of what the services tell of thousands of histories, nobody reads a line."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_CRITICAL))


def reports(seeds: Iterable[int], jobs: int) -> Iterable[Report]:
    """Run *seeds* and yield what became of each, as it comes."""
    if jobs == 1:
        yield from map(run_seed, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, quiet) as pool:
        yield from pool.imap_unordered(run_seed, seeds, chunksize=4)
