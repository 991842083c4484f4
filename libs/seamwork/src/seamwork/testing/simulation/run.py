"""Let one plan happen, and watch it to its end."""

import asyncio
import hashlib
import os
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seamwork.bus.port import Partition
from seamwork.errors import SeamworkError
from seamwork.gate.remembered import memory_spec
from seamwork.journal import Place, trim
from seamwork.platform.replay import Replay, Trusted
from seamwork.records.parties import Revision, Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import SW_ENVELOPE, RawRecord, compose
from seamwork.runtime import MachineSpec, Site
from seamwork.runtime.owned import Owned
from seamwork.testing.keys import key_of
from seamwork.testing.simulation import audited
from seamwork.testing.simulation.cast import PLATFORM
from seamwork.testing.simulation.checker import Checker, Violation
from seamwork.testing.simulation.cluster import Cluster, Counts
from seamwork.testing.simulation.dice import Dice, dice_of
from seamwork.testing.simulation.impostor import Impostor
from seamwork.testing.simulation.journals import Journal, state_digest
from seamwork.testing.simulation.loop import DeadlockError, SimLoop
from seamwork.testing.simulation.plan import DOZE_S, OpFault, Plan, TimedFault
from seamwork.testing.simulation.process import LoopClock, Process
from seamwork.testing.simulation.remembered import remembered
from seamwork.testing.simulation.scenery import NEXT
from seamwork.testing.simulation.town import Town, services
from seamwork.testing.simulation.wire import Wire

_GOOD_EXITS = {"stopped", "fenced", "outcome-unknown", "unreachable"}
_WITHIN_S = 200.0  # of simulated time: more than every deadline that a plan can set
_LOOK_EVERY_S = 1.0
_QUIET_S = 2.0


class _Watch:
    """The observer that hashes what the checker sees."""

    def __init__(self, checker: Checker, besides: Callable[[RawRecord], None] | None) -> None:
        self._checker = checker
        self.besides = [] if besides is None else [besides]
        self._digest = hashlib.sha256()
        self.records = 0

    def written(self, record: RawRecord) -> None:
        self.records += 1
        place = f"{record.topic}/{record.partition}/{record.offset}/{record.appended_at}"
        self._digest.update(repr((place, record.key, record.value, record.headers)).encode())
        self._checker.written(record)
        for told in self.besides:
            told(record)

    def noted(self, group: str, partition: Partition, position: int) -> None:
        self._checker.noted(group, partition, position)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


@dataclass
class Report:
    """What became of one plan."""

    plan: Plan
    log_sha256: str = ""
    records: int = 0
    simulated_s: float = 0.0
    violations: list[Violation] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    outcomes: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)
    trace: list[str] = field(default_factory=list)
    snapshots: int = 0
    commits: int = 0


def simulate(plan: Plan, written: Callable[[RawRecord], None] | None = None) -> Report:
    """Run *plan* to its end and return what was found; *written* is told of every record."""
    with tempfile.TemporaryDirectory(prefix="seamwork-simulation-", dir=_memory()) as folder:
        return _simulate(plan, Path(folder) / "audit.db", written)


def _memory() -> str | None:
    """Return a folder in memory where the machine has one: the audit sink's database is thrown away anyway."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # in a folder of our own in it


def _simulate(plan: Plan, database: Path, written: Callable[[RawRecord], None] | None) -> Report:
    loop = SimLoop(dice_of("turns", plan.seed))  # type: ignore[abstract]  # sockets and processes are for others
    remembers = plan.trial == "remembering"
    checker = Checker(_cores(plan), loop.time, plan.partitions, remembers=remembers, by_hour=plan.by_hour)
    checker.halt = loop.halt
    watch = _Watch(checker, written)
    report = Report(plan)
    with remembered(), _drawn_secrets(dice_of("secrets", plan.seed)), _own_time(loop):
        cluster = Cluster(loop, dice_of("network", plan.seed), watch)
        town = Town(plan, loop, cluster, database, began=checker.runs.began, heard=checker.runs.heard)
        history = History(town, checker)
        watch.besides.append(history.impostor.written)
        try:
            loop.run_until_complete(history.run())
        except DeadlockError as error:
            checker.complain("I10", str(error))
        finally:
            history.look_at_exits()
            loop.put_away()
    report.log_sha256, report.records, report.simulated_s = watch.sha256, watch.records, loop.time()
    report.violations, report.counts, report.trace = checker.violations, cluster.counts, checker.trace()
    report.counts.duplicates += checker.journals.duplicates
    report.outcomes = dict(checker.seams.outcomes)
    for task in checker.seams.tasks.values():
        ended = task.ended or "open"
        report.ends[ended] = report.ends.get(ended, 0) + 1
    for one in town.ended:
        report.exits[one.why] = report.exits.get(one.why, 0) + 1
    report.snapshots = checker.journals.snapshots
    report.commits = sum(len(journal.commits) for journal in checker.journals.all.values())
    return report


def _cores(plan: Plan) -> dict[str, Any]:
    """Return the cores of all machines of a history, by name."""
    found = deciders(plan.partitions)
    # Only their ``evolve`` is used.
    if plan.trial == "ours":
        found[NEXT] = replace(found["policy-engine"], name=NEXT)
    elif plan.trial == "remembering":
        found[NEXT] = memory_spec(NEXT).decider
    return found


def deciders(partitions: int) -> dict[str, Any]:
    """Return the cores of our machines, by name."""
    found = {}
    for name, service in services().items():
        if name != "audit-sink":
            part = service.build(service.settings(), Site(platform=PLATFORM, partitions=partitions))
            if isinstance(part, MachineSpec):
                found[name] = part.decider
    return found


class History:
    """
    One history: the faults when they are due, then calm, then the end.

    Args:
        town: The platform.
        checker: Who watches.

    Attributes:
        impostor: Who forges; to be told of every record.
    """

    def __init__(self, town: Town, checker: Checker) -> None:
        self._town = town
        self._checker = checker
        self._cluster = town.cluster
        self._loop = town.loop
        self.impostor = Impostor(town.cluster, town.plan.partitions)
        self._clocks_touched: set[str] = set()

    async def run(self) -> None:
        """Live through it."""
        plan, town = self._town.plan, self._town
        await town.set_up()
        self._cluster.plan([one for one in plan.faults if isinstance(one, OpFault)])
        timed = [one for one in plan.faults if isinstance(one, TimedFault)]
        for one in timed:
            self._cluster.later(max(0.0, one.at_s - self._loop.time()), lambda one=one: self._happen(one))  # type: ignore[misc]
        last = max((one.at_s + one.seconds for one in timed), default=0.0)
        works = max((max(one.at_s, one.cancel_at_s or 0.0) + 3.0 for one in plan.roots), default=0.0)
        dozing = any(isinstance(one, OpFault) and one.effect == "pause-sent" for one in plan.faults)
        works += DOZE_S if dozing else 0.0
        await asyncio.sleep(max(1.0, last + 0.5, works) - self._loop.time())
        self._calm_down()
        await self._settle()
        self._look_at_audit()
        await self._look_at_states()

    def _happen(self, one: TimedFault) -> None:
        cluster, town = self._cluster, self._town
        self._checker.happened(f"-- {one.what} {one.whom} {one.seconds or one.ms or ''}")
        cluster.counts.count(one.what)
        program = town.programs.get(one.whom)
        process = None if program is None else program.process
        match one.what:
            case "kill" if program is not None and process is not None:
                program.held_back = self._loop.time() + one.seconds
                town.crash(process)
            case "pause" if process is not None:
                cluster.stand_still(process, one.seconds)
            case "hush":
                for number in (1, 2):
                    sleeping = town.programs[f"{one.whom}.{number}"].process
                    if sleeping is not None:
                        cluster.stand_still(sleeping, one.seconds)
            case "stall" | "restart-broker":
                cluster.stall()
                cluster.later(one.seconds, lambda: self._go_on(anew=one.what == "restart-broker"))
            case "rebalance":
                cluster.coordinator.rebalance(one.whom)
            case "clock" if program is not None:
                program.clock.wrong_ms += one.ms
                self._clocks_touched.add(one.whom)
            case "document":
                self._outside(town.change(one.whom))
            case "trim":
                self._outside(self._trim(one.whom))
            case "forge" | "echo" | "impostor":
                self._slip_in(one)

    def _outside(self, work: Any) -> None:
        self._loop.create_task(work, context=self._cluster.outside)

    def _go_on(self, *, anew: bool) -> None:
        self._cluster.go_on()
        if anew:
            for group in self._cluster.coordinator.groups:
                self._cluster.coordinator.rebalance(group)

    async def _trim(self, machine: str) -> None:
        """Trim as the janitor does: the audit sink, where there is one, must have kept what goes."""
        decider = _cores(self._town.plan).get(machine)
        if decider is None:
            return
        log = Wire(self._cluster, Process("janitor", 0, self._loop, LoopClock(self._loop)))
        for number in range(self._cluster.count(f"journal.{machine}.v1") or 0):
            place = Place(f"journal.{machine}.v1", f"snapshots.{machine}.v1", number)
            kept = None if self._town.database is None else kept_of(self._town.database, place)
            try:
                if await trim(log, decider, place, kept) is not None:
                    self._cluster.counts.trims += 1
            except SeamworkError as error:
                if "nothing was trimmed" in str(error):
                    self._checker.complain("I3", str(error))

    def _slip_in(self, one: TimedFault) -> None:
        match one.what:
            case "forge":
                self._forge(one.whom)
            case "impostor":
                self.impostor.wait(one)
            case _:
                self._echo(one.ms)

    def _echo(self, number: int) -> None:
        """
        Let the crossing with this *number*, of all that there are, come once more, by a patient client.

        By every second number it is a transfer, where one was sent: our own agents send none twice, and others may.
        """
        lying = [at for at in self._checker.records if at.topic == "handoffs.v1"]
        sent = [record for at in lying for record in self._checker.records[at]]
        if number % 2:
            sent = [record for record in sent if b'"mode":"transfer"' in _envelope_of(record)] or sent
        if not sent:
            return
        record = sent[number // 2 % len(sent)]
        at = Partition(record.topic, record.partition)
        self._cluster.counts.duplicates += 1
        self._cluster.write(at, record.key, record.value, record.headers)

    def _forge(self, gate: str) -> None:
        """Let a gate vote on the next records before they are there, with a digest that none of them will have."""
        for number in range(self._town.plan.partitions):
            _, end = self._cluster.bounds(Partition("handoffs.v1", number))
            for offset in range(end, end + 4):
                subject = Subject(partition=number, offset=offset, digest="0" * 64)
                verdict = Verdict(
                    gate=gate, gate_version="0", subject=subject, outcome="ALLOW", rule="forged", reason="forged",
                    revision=Revision(), judged_at=0,
                )  # fmt: skip
                out = compose(PLATFORM, f"verdicts.{gate}.v1", "forged", verdict, partition=number)
                self._cluster.write(Partition(out.topic, number), out.key, out.value, out.headers)

    # ── The end ──────────────────────────────────────────────────────────────────────────

    def _calm_down(self) -> None:
        """Let nothing go wrong any more."""
        self._checker.happened("-- calm")
        self._cluster.calm = True
        self.impostor.give_up()
        self._cluster.go_on()
        for program in self._town.programs.values():
            program.held_back = 0.0
            program.clock.wrong_ms = 0
            if program.process is not None and program.process.paused:
                self._cluster.wake(program.process)

    async def _settle(self) -> None:
        """Wait until all that is in flight has ended (I10)."""
        until = self._loop.time() + _WITHIN_S
        quiet = 0.0
        left: list[str] = []
        while self._loop.time() < until:
            await asyncio.sleep(_LOOK_EVERY_S)
            left = [*self._checker.unfinished(), *self._lag(), *self._unsent(), *self._unaudited()]
            # A rebalance may be under way, and what nobody owns right now cannot be looked at.
            quiet = 0.0 if left or self._unowned() else quiet + _LOOK_EVERY_S
            if quiet >= _QUIET_S:
                return
        for one in left[:5]:
            self._checker.complain("I10", f"{one}, {_WITHIN_S:.0f} s after the last fault")

    def _unsent(self) -> list[str]:
        return [
            f"root {root.number} was not sent"
            for root in self._town.plan.roots
            if root.number not in self._town.sent
        ]

    def _unaudited(self) -> list[str]:
        database = self._town.database
        count = 0 if database is None else audited.behind(database, self._checker.records)
        return [f"{count} records are not in the audit"] if count else []

    def _look_at_audit(self) -> None:
        """Hold the audit sink's database against the log (I7)."""
        if self._town.database is not None:
            for one in audited.differences(self._town.database, self._checker.records)[:5]:
                self._checker.complain("I7", one)

    def _lag(self) -> list[str]:
        found = []
        for place, journal in self._checker.journals.all.items():
            for name, position in journal.positions.items():
                _, end = self._cluster.bounds(Partition.named(name))
                if end > position:
                    found.append(
                        f"{place.topic}/{place.partition} has not read {name} from {position} to {end}"
                    )
        return found

    def _states(self) -> Iterator[tuple[MachineSpec, Owned, Journal]]:
        """Yield each partition that somebody owns right now, with its journal as the checker read it."""
        for program in self._town.programs.values():
            machine = program.machine
            if machine is None or program.process is None or not program.process.alive:
                continue
            for number, owned in tuple(machine.owned.items()):  # a rebalance may come while it is read
                journal = self._checker.journals.all.get(Partition(machine.spec.journal, number))
                # A claim that was on its way when a rebalance took it back may come last. Its state is that of
                # whoever owns the partition, who is fenced by it at the next commit and not before.
                if journal is not None and (owned.journal.epoch, owned.journal.seq) >= journal.decided:
                    yield machine.spec, owned, journal

    def _unowned(self) -> list[str]:
        """Name the journals of which nobody owns a partition."""
        seen = {spec.journal for spec, _, _ in self._states()}
        return sorted({place.topic for place in self._checker.journals.all} - seen)

    async def _look_at_states(self) -> None:
        """Hold the live states against the fold of the journals, and every decision against itself (I3)."""
        for topic in self._unowned():
            self._checker.complain("I3", f"nobody's state was there to be held against {topic}")
        for spec, owned, journal in self._states():
            number = owned.journal.place.number
            live, name = state_digest(owned.journal.state), f"{spec.decider.name}/{number}"
            if live != state_digest(journal.state):
                self._checker.complain("I3", f"the live state of {name} is not its journal's fold")
            last = len(self._checker.records[journal.place]) - 1
            await self._decide_again(spec, number, name, live, last)

    async def _decide_again(self, spec: MachineSpec, number: int, name: str, live: str, last: int) -> None:
        """Replay up to *last*, where the journal ended when *live* was taken: a timer may add to it meanwhile."""
        log = Wire(self._cluster, Process("tools", 0, self._loop, LoopClock(self._loop)))
        trusted = Trusted(platform=PLATFORM, root_public=key_of("root").public)
        replayed = await Replay(log, spec, number, trusted).run(last, verify=True)
        for one in replayed.differences:
            self._checker.complain("I3", f"{name} ({one.epoch}, {one.seq}), decided again: {one.what}")
        if replayed.state_sha256 != live:
            self._checker.complain("I3", f"the replay of {name} is not its live state")

    def look_at_exits(self) -> None:
        """Hold every end that nobody caused from outside against the ends there are."""
        for one in self._town.ended:
            name = one.instance.rpartition("-")[0]
            if one.why in _GOOD_EXITS or (one.why == "misconfigured" and name in self._clocks_touched):
                continue
            kind = type(one.error).__name__
            self._checker.violations.append(
                Violation("exit", f"{one.instance} ended: {one.why} ({kind}: {one.error})", self._loop.time())
            )


def kept_of(database: Path, place: Place) -> int:
    """Return the offset before which the audit sink has kept a journal."""
    if not database.exists():
        return 0
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as db:
        row = db.execute(
            'SELECT next FROM positions WHERE topic = ? AND "partition" = ?',
            (place.journal_topic, place.number),
        ).fetchone()
    return 0 if row is None else int(row[0])


# ── What makes it repeatable, and quick ──────────────────────────────────────────────────


@contextmanager
def _drawn_secrets(dice: Dice) -> Iterator[None]:
    """Let what the shipped code draws from the system's randomness come from the seed, too."""
    before = (secrets.token_hex, secrets.token_bytes)
    secrets.token_hex = lambda nbytes=None: dice.randbytes(nbytes or 32).hex()
    secrets.token_bytes = lambda nbytes=None: dice.randbytes(nbytes or 32)
    try:
        yield
    finally:
        secrets.token_hex, secrets.token_bytes = before


@contextmanager
def _own_time(loop: SimLoop) -> Iterator[None]:
    """Let what the shipped code measures by the machine's clock be simulated time, too."""
    before = time.monotonic
    time.monotonic = loop.time
    try:
        yield
    finally:
        time.monotonic = before


__all__ = ["History", "Report", "replace", "simulate"]


def _envelope_of(record: RawRecord) -> bytes:
    return dict(record.headers).get(SW_ENVELOPE) or b""
