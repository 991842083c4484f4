"""Run a load, break things from a seed, read everything afterwards, and say what was found."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251  # a seed makes a run
from typing import Any

from tests.chaos.agent import CHIEF
from tests.chaos.audits import Audited, auditing
from tests.chaos.checker import Found, check
from tests.chaos.cluster import Cluster
from tests.chaos.faults import ALONE, FAULTS, WITH_THREE, Scene
from tests.chaos.load import Load, lines, loaded
from tests.chaos.readings import Whole

from seamwork.bus.port import Partition
from seamwork.platform.home import PlatformHome
from seamwork.platform.up import bring_up
from seamwork.testing.stage import SEVERAL, Stage

_RECOVERY_S = 180.0
_KEPT_S = 900.0
_POLL_S = 0.2
Say = Callable[[str], None]


@dataclass
class Happened:
    """One fault: what it was, whom it met, and how long afterwards a new task took to its end (s)."""

    fault: str
    whom: str
    lasted_s: float
    recovered_s: float | None


@dataclass
class Report:
    """What one run found."""

    seed: int
    brokers: int
    seconds: float = 0.0
    happened: list[Happened] = field(default_factory=list)
    exits: dict[str, int] = field(default_factory=dict)
    found: Found = field(default_factory=Found)
    unfinished: list[str] = field(default_factory=list)
    audits: Audited = field(default_factory=Audited)

    @property
    def violations(self) -> list[str]:
        """Every sentence about what must not be."""
        bugs = [f"{n} exits that nobody means: {name}" for name, n in self.exits.items() if "nobody" in name]
        late = [f"{one.fault}: not recovered in time" for one in self.happened if one.recovered_s is None]
        wrong = self.audits.wrong
        return [
            *self.found.violations,
            *wrong,
            *bugs,
            *late,
            *(f"task {t} has not ended" for t in self.unfinished),
        ]

    def as_json(self) -> dict[str, Any]:
        """Return it for a file."""
        return {**asdict(self), "violations": self.violations}


async def run(  # what whoever starts it may choose
    folder: Path,
    seed: int,
    faults: Sequence[str],
    brokers: int,
    say: Say,
    calm_s: float,
    *,
    audits: bool = False,
) -> Report:
    """
    Start everything in *folder*, let the faults happen in this order, and check.

    Args:
        folder: Where brokers and platform keep their things.
        seed: Chooses whom faults meet, and when.
        faults: Their names.
        brokers: One or three.
        say: Told of each step.
        calm_s: How long nothing is broken between two faults, at most.
        audits: Whether licences are audited beside the load.
    """
    began = time.monotonic()
    report = Report(seed, brokers)
    cluster = Cluster(folder, brokers)
    try:
        say(f"starting {brokers} broker(s)")
        await cluster.start()
        with given(cluster):
            say("starting the platform")
            home = PlatformHome(folder / "platform")
            stage = Stage(await bring_up(home, layout="apart", partitions=SEVERAL))
            whole = Whole()
            try:
                async with loaded(stage, cluster.inner, 1800.0) as load:
                    scene = Scene(stage, cluster, load, Random(seed), whole)
                    watch = _Exits(scene)
                    async with AsyncExitStack() as stack:
                        if audits:
                            report.audits = (
                                await stack.enter_async_context(auditing(stage, load.until_ended))
                            ).found
                        await _break(scene, faults, report, say, calm_s)
                    report.exits = watch.counted()
                # Once the agents have left, which routers take down: the sink stops together with them.
                await audited(stage, cluster)
            finally:
                await stage.close()
        say("reading the whole log")
        prefix = stage.door.identity.prefix
        await asyncio.to_thread(whole.read_on, cluster.inner.confluent(), prefix)
        report.found = check(whole, stage.door.home.audit, set(load.sent.values()), lines(load.notes), CHIEF)
    finally:
        await cluster.stop()
    report.seconds = time.monotonic() - began
    return report


async def _break(scene: Scene, faults: Sequence[str], report: Report, say: Say, calm_s: float) -> None:
    load = scene.load
    known = {**FAULTS, **WITH_THREE, **ALONE}
    if await load.recovered(_RECOVERY_S) is None:
        raise RuntimeError(f"not even the first task came to its end; see {scene.stage.door.home.logs}")
    beginning = asyncio.create_task(load.keep_beginning(0.3, 40))
    try:
        for number, name in enumerate(faults, 1):
            await asyncio.sleep(scene.dice.random() * calm_s)
            start = time.monotonic()
            whom = await known[name](scene)
            lasted = time.monotonic() - start
            recovered = await load.recovered(_RECOVERY_S)
            report.happened.append(Happened(name, whom, lasted, recovered))
            took = "not in time" if recovered is None else f"{recovered:.1f} s"
            say(f"{number:3}/{len(faults)} {name} ({whom}): lasted {lasted:.1f} s, recovered in {took}")
    finally:
        beginning.cancel()
        (ended,) = await asyncio.gather(beginning, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended
    say(f"the last fault is over; {len(load.sent)} tasks were begun")
    report.unfinished = sorted(await load.until_ended(set(load.sent), _RECOVERY_S))


async def audited(stage: Stage, cluster: Cluster) -> None:
    """Wait until nothing is published any more and the audit sink stands at the end of every topic."""
    log = await stage.log("audit-sink")
    before: dict[Partition, int] = {}
    quiet_since = time.monotonic()
    async with asyncio.timeout(_RECOVERY_S):
        while time.monotonic() - quiet_since < 3:  # longer than a group's lazy second
            counts = {topic: await log.partitions_of(topic) or 0 for topic in _TOPICS}
            places = [Partition(topic, n) for topic, count in counts.items() for n in range(count)]
            ends = await log.end_offsets(places)
            if ends != before:
                before, quiet_since = ends, time.monotonic()
            await asyncio.sleep(_POLL_S)
    await stage.recorded(_KEPT_S)  # after a flood it has much to read
    await stage.audited(_RECOVERY_S)


_TOPICS = (
    "handoffs.v1",
    "decisions.v1",
    "journal.router.v1",
    "journal.cost-cap.v1",
    "journal.policy-engine.v1",
)


_EXITS = {
    0: "stopped",
    -9: "killed",
    -15: "stopped",
    69: "unreachable",
    70: "outcome-unknown",
    71: "stop-timeout",
    75: "fenced",
}
"""The ways out that a run may show, and the two that are done to a service. No run may show ``log-gap``."""


class _Exits:
    """Count how services ended: by the harness, by a name of theirs, or by one that no run may show."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._seen: dict[tuple[str, int], int] = {}
        scene.services.on_change(self._look)

    def _look(self) -> None:
        for process in self._scene.services.processes.values():
            if process.pid is None and process.exit_code is not None:
                self._seen[process.name, process.restarts] = process.exit_code

    def counted(self) -> dict[str, int]:
        """Return how often each way was taken."""
        found: dict[str, int] = {}
        for (process, _), code in self._seen.items():
            name = _EXITS.get(code, f"nobody means {code} ({process})")
            found[name] = found.get(name, 0) + 1
        return found


@contextmanager
def given(cluster: Cluster) -> Iterator[None]:
    """Tell the platform of the cluster as an operator would."""
    access = cluster.access
    told = {
        "KAFKA_BOOTSTRAP_SERVERS": access.bootstrap,
        "SEAMWORK_KAFKA_SASL_USERNAME": access.username,
        "SEAMWORK_KAFKA_SASL_PASSWORD": access.password,
        "SEAMWORK_KAFKA_SECURITY_PROTOCOL": access.protocol,
    }
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


__all__ = ["Happened", "Load", "Report", "run"]
