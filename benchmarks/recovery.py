"""
Measure how long a router with 100,000 tasks in hand is away.

``python -m benchmarks.recovery [TASKS]``: one journal partition on the log's double, so that what is measured is
our own work: a state of so many dispatched tasks, each as the router's core makes it; writing its snapshot a share
at a time, as between two batches; taking the partition over again from that snapshot and a tail of commits behind
it as long as any may be; and how large all of it is. The machine is shared, so the processor time of restoring
stands beside that of a fixed piece of work, too.
"""

import asyncio
import gc
import json
import os
import resource
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import msgspec
from benchmarks.reference import reference_s

from seamwork.catalog import Catalog, Context
from seamwork.decider import Decider
from seamwork.journal import Journal, Ownership, Place
from seamwork.platform.interpreter import interpreter
from seamwork.records.parties import Revision
from seamwork.runtime.owned import MAX_TAIL_BYTES
from seamwork.runtime.spec import MachineSpec, Site
from seamwork.testing.builders import HOUR_MS, NOW, PLATFORM, received
from seamwork.testing.clock import SettableClock
from seamwork.testing.documents import document
from seamwork.testing.simlog import SimBroker, SimLog

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "recovery.json"
PAGE = HERE / "RECOVERY.md"
TASKS = 100_000
GOAL_S = 5.0
GATES = {"contract-validator": "validator", "policy-engine": "policy", "cost-cap": "cost"}
TASK, ROOT = "01900000-0000-7000-8000-00000000task", "01900000-0000-7000-8000-00000000root"
PLACE = Place("journal.router.v1", "snapshots.router.v1", 0)
Core = Decider[Any, Any, Any, Any]


def core() -> tuple[Core, int]:
    """Return the router's core, found as every supervisor finds it, and how much it writes down at a time."""
    (point,) = entry_points(group="seamwork.services", name="router")
    service = point.load()
    part = service.build(service.settings(), Site(platform=PLATFORM, partitions=1))
    assert isinstance(part, MachineSpec)  # noqa: S101  # the router is a machine
    return part.decider, part.snapshot_share


def one_task(router: Core) -> tuple[Any, list[bytes]]:
    """Let the core dispatch one task; return its state and the events that led there."""
    gates = [
        document("Gate", name, role=role, requiredFor=["handoff", "result"], deadlineSeconds=30)
        for name, role in GATES.items()
    ]
    accepts = [{"contract": "licence-facts", "versions": "*"}]
    catalog = Catalog.of([
        *gates,
        document("Key", "router-key", purpose="service", holder="router"),
        document("Contract", "licence-facts", limits={"timeSeconds": 3600}),
        document("Agent", "planner", initiator=True, accepts=accepts),
        document("Agent", "extractor", accepts=accepts),
    ])  # fmt: skip
    crossing = received(
        "handoff", at="0/0", task=TASK, id=ROOT, expires_at=NOW + HOUR_MS, deadline_at=NOW + HOUR_MS,
        appended_at=NOW,
    )  # fmt: skip
    verdicts = [
        received(
            "verdict", gate=gate, outcome="ALLOW", subject="0/0#1", task=TASK, crossing=ROOT, rule="fits",
            sender_verified=gate == "contract-validator", judged_at=NOW, appended_at=NOW,
        )
        for gate in GATES
    ]  # fmt: skip
    state, events = router.initial(), []
    for one in (crossing, *verdicts):
        state, happened, _ = router.step(state, one, Context(NOW, catalog))
        events += [msgspec.json.encode(event) for event in happened]
    assert {  # noqa: S101  # or the figures would be of something else
        name: router.sizes(state)[name] for name in ("tasks", "crossings")
    } == {"tasks": 1, "crossings": 1}
    return state, events


def copied(text: bytes, number: int) -> bytes:
    """Return what one task led to, as another task's."""
    there = b"%012x" % number
    return (
        text.replace(TASK.encode(), TASK[:-12].encode() + there)
        .replace(ROOT.encode(), ROOT[:-13].encode() + b"1" + there)
        .replace(b'"offset":0', b'"offset":%d' % number)
    )


def many(router: Core, tasks: int, events: list[bytes]) -> Any:
    """Return a state with so many tasks in hand: the fold of what happened to each."""
    decoder = msgspec.json.Decoder(router.event_type)
    return router.fold(decoder.decode(copied(event, number)) for number in range(tasks) for event in events)


def resident_mb() -> float:
    """Return how much of this process is in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


async def written(journal: Journal[Any, Any], share: int) -> dict[str, float]:
    """Write a snapshot a share at a time; what a machine does not do meanwhile is the longest of them."""
    began, worked, pauses = time.perf_counter(), time.process_time(), []
    journal.begin_snapshot()
    whole, last = False, worked
    while not whole:
        whole = await journal.write_on(share)
        pauses.append(time.process_time() - last)
        last = time.process_time()
    return {
        "writing the snapshot, s": round(time.perf_counter() - began, 2),
        "of which processor s": round(time.process_time() - worked, 2),
        "shares, one between two batches": len(pauses),
        "longest of them, processor ms": round(max(pauses) * 1000, 1),
    }


async def run(tasks: int) -> dict[str, float]:
    """Measure once."""
    router, share = core()
    _, events = one_task(router)
    broker = SimBroker(SettableClock(NOW))
    for topic in (PLACE.journal_topic, PLACE.snapshots_topic):
        broker.create_topic(topic)
    first = await Journal.own(SimLog(broker), router, PLACE, Ownership("one", "b", broker.clock.now_ms))
    empty_mb = resident_mb()
    first.state = many(router, tasks, events)
    made_mb = resident_mb() - empty_mb
    decoder = msgspec.json.Decoder(router.event_type)
    writing = await written(first, share)
    size = sum(len(raw.value or b"") for raw in broker.records(PLACE.snapshots))
    number = tasks
    while first.tail_bytes < MAX_TAIL_BYTES * tasks / TASKS:
        number += 1
        new = [copied(event, number) for event in events]
        first.state = router.fold(map(decoder.decode, new), first.state)
        await first.commit(
            now=NOW, catalog=Revision(), inputs=(), positions={}, events=[msgspec.Raw(one) for one in new],
            outputs=(),
        )  # fmt: skip
    first.published = first.mark
    held, first.state = (
        dict(router.sizes(first.state)),
        router.initial(),
    )  # what is measured next has no company
    piece_s = reference_s()
    gc.collect()
    before_mb = resident_mb()
    began, worked = time.perf_counter(), time.process_time()
    second = await Journal.own(SimLog(broker), router, PLACE, Ownership("two", "b", broker.clock.now_ms))
    restore_s, restore_cpu_s = time.perf_counter() - began, time.process_time() - worked
    restored_mb = resident_mb() - before_mb
    piece_s = (piece_s + reference_s()) / 2
    assert held == router.sizes(second.state)  # noqa: S101  # measured is what it is for
    return {
        "tasks": tasks,
        "commits behind the snapshot": number - tasks,
        "MB of commits behind it": round(first.tail_bytes / 1e6, 1),
        "snapshot MB": round(size / 1e6, 1),
        "records of the snapshot": len(broker.records(PLACE.snapshots)),
        **writing,
        "restored after s": round(restore_s, 2),
        "of that, processor s": round(restore_cpu_s, 2),
        "goal s": GOAL_S,
        "pieces of reference work in that time": round(restore_cpu_s / piece_s),
        "KB of memory a task, as it was made": round(made_mb * 1000 / tasks, 1),
        "KB of memory a task, restored, at most": round(restored_mb * 1000 / tasks, 1),
        "peak MB of this process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def page(found: dict[str, Any]) -> str:
    """Write the page."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in found["figures"].items())
    return (
        "# Recovery\n\nWritten by `python -m benchmarks.recovery`; do not edit.\n\n"
        "A router takes one partition over: its last snapshot, and as many megabytes of commits behind it as\n"
        "there are at most before the next. The log is the double, so the figures are of our own work; a broker\n"
        "adds the reading of as many megabytes. Tasks that are alike pack better than real ones, whose ids and\n"
        "digests all differ. What is restored is read when it is first asked for, so a task that waits takes no\n"
        "more memory than its text.\n\n"
        f"Measured {found['at']}: {found['where']}.\n\n| | |\n|---|---:|\n{rows}\n"
    )


def main() -> None:
    """Measure, print, and keep what was measured at full size."""
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else TASKS
    load = os.getloadavg()[0]
    figures = asyncio.run(run(tasks))
    found = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "where": f"{os.cpu_count()} cores, Python {interpreter()}, load average {load:.1f}",
        "figures": figures,
    }
    for name, value in figures.items():
        print(f"{name:>40}  {value}")
    if tasks == TASKS:
        RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
