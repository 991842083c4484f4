"""Run many seeds on all cores: ``python -m seamwork.testing.simulation --seeds 1000``."""

import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import click
import structlog

from seamwork.testing.simulation import regressions
from seamwork.testing.simulation.plan import Plan, plan_of
from seamwork.testing.simulation.regressions import Regression
from seamwork.testing.simulation.run import Report, simulate
from seamwork.testing.simulation.shrink import shrink

_CRITICAL = 50
_SHOWN = 3
_HAPPENED = ("crashes", "zombie writes", "duplicates", "unanswered writes", "rebalances", "stalls")


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


def _run_seed(seed: int) -> Report:
    return simulate(plan_of(seed))


def _quiet() -> None:
    # The services say what they do; of thousands of histories nobody reads it.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_CRITICAL))


@click.command()
@click.option("--seeds", default=100, show_default=True, help="How many.")
@click.option("--from", "first", default=0, show_default=True, help="The first one.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="How many at a time.")
@click.option("--keep", type=click.Path(path_type=Path), help="Where a failing history is kept, made small.")
@click.option(
    "--plan", "file", type=click.Path(path_type=Path, exists=True), help="Run one kept history instead."
)
def main(seeds: int, first: int, jobs: int, keep: Path | None, file: Path | None) -> None:
    """Simulate SEEDS histories and say what was found; the exit code is 1 where something was."""
    _quiet()
    if file is not None:
        report = simulate(regressions.read(file).plan)
        _show(report)
        sys.exit(1 if report.violations else 0)
    total, begun = Sum(), time.perf_counter()
    for report in _reports(range(first, first + seeds), jobs):
        total.add(report)
        if report.violations and len(total.failed) <= _SHOWN:
            _show(report)
            _keep(report, keep)
    for line in total.lines(time.perf_counter() - begun):
        click.echo(line)
    sys.exit(1 if total.failed else 0)


def _reports(seeds: Iterable[int], jobs: int) -> Iterable[Report]:
    if jobs == 1:
        yield from map(_run_seed, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, _quiet) as pool:
        yield from pool.imap_unordered(_run_seed, seeds, chunksize=4)


def _show(report: Report) -> None:
    click.echo(
        f"seed {report.plan.seed}, {report.simulated_s:.1f} simulated seconds, log {report.log_sha256[:16]}"
    )
    for line in report.trace if report.violations else ():
        click.echo(f"  {line}")
    for violation in report.violations:
        click.echo(f"  VIOLATION of {violation.invariant} at {violation.at_s} s: {violation.message}")


def _keep(report: Report, folder: Path | None) -> None:
    broken = report.violations[0]

    def fails(plan: Plan) -> bool:
        found = simulate(plan).violations
        return bool(found) and found[0].invariant == broken.invariant

    small = shrink(report.plan, fails)
    found = simulate(small).violations
    kept = Regression(broke=(found or report.violations)[0].message, plan=small)
    text = regressions.written(kept)
    click.echo(f"  shrunk from {report.plan.size} things to {small.size}:")
    click.echo(text)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{broken.invariant.lower()}-{report.plan.seed}.yaml"
        file.write_text(text, encoding="utf-8")
        click.echo(f"  kept in {file}")


if __name__ == "__main__":
    main()
