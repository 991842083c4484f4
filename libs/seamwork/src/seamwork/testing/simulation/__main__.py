"""Run many seeds on all cores: ``python -m seamwork.testing.simulation --seeds 1000``."""

import os
import sys
import time
from pathlib import Path

import click

from seamwork.clock import SystemClock
from seamwork.records.wire import rfc3339
from seamwork.testing.simulation import regressions
from seamwork.testing.simulation.many import Sum, quiet, reports
from seamwork.testing.simulation.mutations import hunt, mutations_of, section, write_section
from seamwork.testing.simulation.plan import Plan
from seamwork.testing.simulation.regressions import Regression
from seamwork.testing.simulation.run import Report, simulate
from seamwork.testing.simulation.shrink import shrink

_SHOWN = 3
_FILE = click.Path(path_type=Path, exists=True)


@click.command()
@click.option("--seeds", default=100, show_default=True, help="How many.")
@click.option("--from", "first", default=0, show_default=True, help="The first one.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="How many at a time.")
@click.option("--keep", type=click.Path(path_type=Path), help="Where a failing history is kept, made small.")
@click.option(
    "--plan", "file", type=click.Path(path_type=Path, exists=True), help="Run one kept history instead."
)
@click.option(
    "--mutations", type=_FILE, help="Hunt the defects of this file instead, with SEEDS each at most."
)
@click.option("--page", type=_FILE, help="Write the table of that hunt into this page.")
def main(  # one argument for each option
    seeds: int,
    first: int,
    jobs: int,
    keep: Path | None,
    file: Path | None,
    mutations: Path | None,
    page: Path | None,
) -> None:
    """Simulate SEEDS histories and say what was found; the exit code is 1 where something was."""
    quiet()
    if file is not None:
        report = simulate(regressions.read(file).plan)
        _show(report)
        sys.exit(1 if report.violations else 0)
    if mutations is not None:
        sys.exit(_hunt(mutations, seeds, page))
    total, begun = Sum(), time.perf_counter()
    for report in reports(range(first, first + seeds), jobs):
        total.add(report)
        if report.violations and len(total.failed) <= _SHOWN:
            _show(report)
            _keep(report, keep)
    for line in total.lines(time.perf_counter() - begun):
        click.echo(line)
    sys.exit(1 if total.failed else 0)


def _hunt(file: Path, seeds: int, page: Path | None) -> int:
    found = []
    for mutation in mutations_of(file):
        one = hunt(mutation, range(seeds))
        found.append(one)
        click.echo(
            f"{mutation.name}: {one.invariant or 'NOT FOUND'} after {one.seeds} seeds, {one.took_s:.1f} s"
        )
    if page is not None:
        write_section(page, section(found, rfc3339(SystemClock().now_ms())[:10], seeds))
    return 0 if all(one.invariant for one in found) else 1


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
