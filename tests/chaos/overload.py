"""
Begin ten times as many tasks as can be done, for minutes: ``make overload [MINUTES=3]``.

First the load runs with a bounded number of tasks under way, which says how many a second can be done. Then ten
times as many are begun, whatever becomes of them. Who is flooded has said how much may wait for it
(``mostTasks``), so the router refuses what is more, by a name that says to come again. All that was admitted must
end whole; the checker reads the whole log afterwards, as after a chaos run.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251  # the scene of the faults wants one
from typing import Any, Never

from tests.chaos.agent import CHIEF
from tests.chaos.checker import Found, check
from tests.chaos.cluster import Cluster
from tests.chaos.faults import Scene, look_at_memory
from tests.chaos.harness import audited, given
from tests.chaos.load import Load, lines, loaded
from tests.chaos.readings import Whole
from tests.chaos.telling import between

from seamwork.clock import SystemClock
from seamwork.platform.home import PlatformHome
from seamwork.platform.up import bring_up
from seamwork.records.wire import rfc3339
from seamwork.testing.stage import SEVERAL, Stage

HERE = Path(__file__).parent
KEPT = HERE / "overload.json"
MARKS = ("<!-- overload: begin -->", "<!-- overload: end -->")
TIMES = 10
RULE = "too-many-tasks"
_WITHIN_S = 1800.0
_AT_ONCE = 32
_TURN_S = 0.1
_WARM = 20
Say = Callable[[str], None]


@dataclass
class Overload:
    """What one run found; rates are of tasks a second."""

    minutes: float
    sustained: float = 0.0
    offered: int = 0
    offered_a_second: float = 0.0
    refused: int = 0
    refused_otherwise: dict[str, int] = field(default_factory=dict)
    slowest_answer_s: float = 0.0
    worked_off_s: float = 0.0
    not_ended: int = 0
    most_mb: dict[str, int] = field(default_factory=dict)
    most_mb_before: dict[str, int] = field(default_factory=dict)
    found: Found = field(default_factory=Found)

    @property
    def violations(self) -> list[str]:
        """Every sentence about what must not be."""
        found = list(self.found.violations)
        ended = self.found.outcomes
        if self.not_ended:
            found.append(f"{self.not_ended} tasks were neither refused nor have ended")
        if ended.get("complete", 0) != self.found.tasks - self.refused - sum(self.refused_otherwise.values()):
            found.append(f"of what was admitted not all is complete: {ended}")
        if self.refused_otherwise:
            found.append(f"refused for other reasons than how much there is: {self.refused_otherwise}")
        return found


async def run(folder: Path, minutes: float, most_tasks: int, steady_s: float, say: Say) -> Overload:
    """Start everything in *folder*, measure, flood, wait, and check."""
    report = Overload(minutes)
    cluster = Cluster(folder, 1)
    try:
        await cluster.start()
        with given(cluster):
            home = PlatformHome(folder / "platform")
            stage = Stage(await bring_up(home, layout="apart", partitions=SEVERAL))
            whole = Whole()
            try:
                async with loaded(
                    stage, cluster.inner, _WITHIN_S + 60 * minutes, most_tasks=most_tasks
                ) as load:
                    scene = Scene(stage, cluster, load, Random(0), whole)
                    async with _watched(scene, report.most_mb_before):
                        report.sustained = await _steady(load, steady_s)
                    say(f"{report.sustained:.1f} tasks a second can be done")
                    async with _watched(scene, report.most_mb):
                        await _flood(load, report, say)
                    await audited(stage, cluster)
            finally:
                await stage.close()
        prefix = stage.door.identity.prefix
        await asyncio.to_thread(whole.read_on, cluster.inner.confluent(), prefix)
        begun = set(load.sent.values())
        report.found = check(whole, stage.door.home.audit, begun, lines(load.notes), CHIEF)
    finally:
        await cluster.stop()
    return report


@contextlib.asynccontextmanager
async def _watched(scene: Scene, peaks: dict[str, int]) -> AsyncIterator[None]:
    looking = asyncio.create_task(look_at_memory(scene, peaks))
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _steady(load: Load, for_s: float) -> float:
    """Keep so many tasks under way, and return how many ended a second."""
    await load.until_ended({await load.begin() for _ in range(_WARM)}, _WITHIN_S)
    before, began = len(load.ended), time.monotonic()
    while time.monotonic() < began + for_s:
        if len(load.sent) - len(load.over) < _AT_ONCE:
            await load.begin()
        else:
            async with load.told:
                await load.told.wait()
    done = len(load.ended) - before
    rate = done / (time.monotonic() - began)
    await load.until_ended(set(load.sent), _WITHIN_S)
    return rate


async def _flood(load: Load, report: Overload, say: Say) -> None:
    rate, for_s = TIMES * report.sustained, 60 * report.minutes
    known, loop = set(load.sent), asyncio.get_running_loop()
    began = loop.time()
    posting: set[asyncio.Task[str]] = set()
    while (now := loop.time() - began) < for_s:
        wanted = int(rate * now) - len(load.sent) - len(posting) + len(known)
        for _ in range(max(0, wanted)):
            one = asyncio.create_task(load.begin())
            posting.add(one)
            one.add_done_callback(posting.discard)
        await asyncio.sleep(_TURN_S)
    await asyncio.gather(*posting)
    flooded_s = loop.time() - began
    tasks = set(load.sent) - known
    report.offered, report.offered_a_second = len(tasks), len(tasks) / flooded_s
    say(f"{len(tasks)} tasks were begun in {flooded_s:.0f} s, {len(load.over & tasks)} are over")
    report.not_ended = len(await load.until_ended(tasks, _WITHIN_S))
    report.worked_off_s = loop.time() - began - flooded_s
    rules = Counter(load.refused[task] for task in tasks & load.refused.keys())
    report.refused = rules.pop(RULE, 0)
    report.refused_otherwise = dict(rules)
    report.slowest_answer_s = max((load.answered_s[t] for t in tasks & load.answered_s.keys()), default=0.0)


def table(result: dict[str, Any]) -> str:
    """Return the table of the page on reliability."""
    found, otherwise = result["found"], sum(result["refused_otherwise"].values())
    rows = {
        "done a second before, with 32 under way": f"{result['sustained']:.1f}",
        "begun a second": f"{result['offered_a_second']:.1f}",
        "begun": result["offered"],
        "admitted": result["offered"] - result["refused"] - otherwise,
        f"refused at once as `{RULE}`": result["refused"],
        "refused otherwise": otherwise,
        "neither refused nor ended": result["not_ended"],
        "of all that were admitted, before and then: ended whole": found["outcomes"].get("complete", 0),
        "longest until a task was admitted or refused, s": f"{result['slowest_answer_s']:.1f}",
        "until all was worked off, after the last was begun, s": f"{result['worked_off_s']:.0f}",
        "crossings in the log": found["in_log"],
        "crossings lost": len(found["lost"]),
        "effects repeated": len(found["repeated"]),
        "deliveries without admission": len(found["unadmitted"]),
        "audit records missing, other or twice": len(found["unaudited"]),
    }
    lines = [
        f"Run of {result['at'][:10]}: {result['minutes']:g} minutes, load average {result['load']:.0f}.",
        "",
    ]
    lines += ["| | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows.items()), ""]
    lines += ["| memory, MB at most | before | flooded |", "|---|---:|---:|"]
    before = result["most_mb_before"]
    lines += [f"| {name} | {before.get(name, 0)} | {mb} |" for name, mb in sorted(result["most_mb"].items())]
    return "\n".join(lines)


def main() -> Never:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.overload", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument(
        "--most-tasks", type=int, default=100, help="waiting for the flooded one, a partition"
    )
    parser.add_argument("--steady", type=float, default=20.0, help="how long to measure before, in seconds")
    parser.add_argument("--page", type=Path, help="the page whose table is to be written anew")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="seamwork-overload-"))
    print(f"logs: {folder}", flush=True)
    report = asyncio.run(
        run(folder, options.minutes, options.most_tasks, options.steady, lambda text: print(text, flush=True))
    )
    at = rfc3339(SystemClock().now_ms())
    result = {"at": at, "load": _load_average(), **asdict(report), "violations": report.violations}
    print(table(result))
    for each in report.violations[:40]:
        print(f"VIOLATION {each}")
    if options.page:
        KEPT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        between(options.page, MARKS, table(result))
    sys.exit(1 if report.violations else 0)


def _load_average() -> float:
    return float(Path("/proc/loadavg").read_text(encoding="ascii").split()[1])


if __name__ == "__main__":
    main()
