"""
Put the whole platform up in one thread: broker, services, agents, people, and a supervisor who starts them again.

Every service is built by its own entry point and run by the shipped runtime; only its log and its clock are ours.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import structlog

from seamwork.broker.principal import agent, gate, standing
from seamwork.broker.topics import Sizing, TopicSpec, load_topic_specs, topics
from seamwork.bus.port import Log
from seamwork.bus.sharing import SharingLog
from seamwork.bus.shelf import Shelf
from seamwork.catalog.follower import CatalogFollower
from seamwork.errors import SeamworkError
from seamwork.platform.publisher import Publisher
from seamwork.runtime import MachineSpec, Service, Site
from seamwork.runtime.agents_health import AgentsHealth
from seamwork.runtime.exits import exit_code
from seamwork.runtime.gate import Gate
from seamwork.runtime.machine import Identity, Machine
from seamwork.runtime.metrics import Metrics
from seamwork.runtime.spec import GateSpec, Host, LoopSpec, Part, as_gate
from seamwork.settings.environment import read_settings
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimCrash
from seamwork.testing.simulation import scenery
from seamwork.testing.simulation.capricious import capricious, remembering
from seamwork.testing.simulation.cast import PLATFORM, Desk, Initiator, Person, Player, Rogue
from seamwork.testing.simulation.cluster import Cluster
from seamwork.testing.simulation.dice import dice_of
from seamwork.testing.simulation.loop import SimLoop
from seamwork.testing.simulation.plan import SERVICES, TRIALS, Plan, TimedFault
from seamwork.testing.simulation.process import LoopClock, Process
from seamwork.testing.simulation.wire import Wire

_PREFIX = "sim"
_FIRST_PAUSE_S = 0.5
_SHARED_EVERY, _SHARE, _AT_ONCE = 8, 2_000, 8_000_000
_AMORTIZED_EVERY = 1000
_SHARING = 4  # every fourth history is one of services that share what they read: the 3rd, the 7th, ...
_INBOXES = ("operator", "desk", "planner", "worker", "helper", "rogue")


@lru_cache(maxsize=1)
def services() -> dict[str, Service[Any]]:
    """Return the six services, found as every supervisor finds them."""
    points = {point.name: point for point in entry_points(group="seamwork.services")}
    return {name: points[name].load() for name in SERVICES}


@lru_cache(maxsize=1)
def _specs() -> tuple[TopicSpec, ...]:
    return load_topic_specs()


@lru_cache(maxsize=10)
def _metrics(name: str) -> Metrics:
    return Metrics(name)


@dataclass
class Program:
    """Something that runs, ends, and is started again."""

    name: str
    body: Callable[[Process], Awaitable[None]]
    clock: LoopClock
    process: Process | None = None
    lives: int = 0
    held_back: float = 0.0
    machine: Machine | None = None


@dataclass
class Ended:
    """How one life ended that nobody killed."""

    instance: str
    why: str
    error: BaseException | None


@dataclass
class Town:
    """
    One simulated platform.

    Attributes:
        programs: Everybody who runs, by name.
        shelves: What services share that are in one process, by the number in their names.
        ended: Lives that ended by themselves.
        began: Told of every function that begins: dispatch, instance.
        heard: Told of every answer that a function is given: agent, task, value.
    """

    plan: Plan
    loop: SimLoop
    cluster: Cluster
    database: Path | None
    programs: dict[str, Program] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)
    sent: set[int] = field(default_factory=set)
    crashed: set[str] = field(default_factory=set)
    publisher: Publisher | None = None
    shelves: dict[str, Shelf] = field(default_factory=dict)
    began: Callable[[str, str], None] = lambda _dispatch, _instance: None
    heard: Callable[[str, str, Any], None] = lambda _agent, _task, _value: None

    def __post_init__(self) -> None:
        """Hear of crashes."""
        self.cluster.crash = self.crash
        if self.plan.seed % _SHARING == _SHARING - 1:
            self.shelves = {"1": Shelf(), "2": Shelf()}

    async def set_up(self) -> None:
        """Make the topics, publish the documents, start everybody."""
        sizing = Sizing(crossing_partitions=self.plan.partitions)
        remembers = self.plan.trial == "remembering"
        further = (
            gate("onlooker", like="policy-engine"),
            gate(scenery.NEXT, like="policy-engine", memory=remembers),
        )
        everybody = (*standing(), *map(agent, _INBOXES), *further)
        for topic in topics(_specs(), everybody, prefix=_PREFIX, sizing=sizing):
            self.cluster.create_topic(topic.name.removeprefix(f"{_PREFIX}."), topic.partitions)
        outside = Process("publisher", 0, self.loop, LoopClock(self.loop))
        trust = scenery.trust()
        self.publisher = Publisher(
            Wire(self.cluster, outside),
            PLATFORM,
            scenery.ROOT.public,
            trust.publisher,
            outside.clock,
            scenery.ROOT,
        )
        await self.publisher.publish(scenery.keys())
        await self.publisher.publish(scenery.first(paying=self.plan.paying, by_hour=self.plan.by_hour))
        for name in services():
            if name == "audit-sink" and self.database is None:
                continue
            for number in (1, 2):
                self._add(f"{name}.{number}", self._service(name))
        if any(isinstance(one, TimedFault) and one.whom in TRIALS for one in self.plan.faults):
            for number in (1, 2):
                self._add(f"{scenery.NEXT}.{number}", self._service("policy-engine", scenery.NEXT))
        for name, version in (("planner", "1.0.0"), ("worker", "1.0.0"), ("helper", "1.0.0")):
            for number in (1, 2):
                self._add(f"{name}.{number}", self._agent(name, version))
        self._add("worker.3", self._agent("worker", "2.0.0"))
        self._add("operator.1", self._initiator)
        self._add("rogue.1", self._rogue)
        self._add("desk.1", self._desk)
        for number, name in enumerate((*scenery.PEOPLE, scenery.CLERK)):
            roots = self.plan.roots if number == 0 else ()
            self._add(f"{name}.1", self._person(name, roots))
        for program in self.programs.values():
            self.begin(program)

    # ── Lives ────────────────────────────────────────────────────────────────────────────

    def begin(self, program: Program) -> None:
        """Start a program."""
        program.lives += 1
        process = Process(program.name, program.lives, self.loop, program.clock)
        program.process = process
        process.start(self._live(program, process))

    def crash(self, process: Process) -> None:
        """Kill a process; its supervisor notices after a while."""
        if not process.alive:
            return
        program = self.programs.get(process.name)
        process.kill()
        self.cluster.counts.crashes += 1
        self.cluster.coordinator.silent(process)
        if program is not None and program.process is process:
            self._again(program)

    def _again(self, program: Program) -> None:
        pause_s = max(_FIRST_PAUSE_S * (1 + self.cluster.dice.random()), program.held_back - self.loop.time())
        before = program.process

        def start() -> None:
            if program.process is before:
                self.begin(program)

        self.cluster.later(pause_s, start)

    async def _live(self, program: Program, process: Process) -> None:
        error: BaseException | None = None
        try:
            await program.body(process)
        except (asyncio.CancelledError, SimCrash):
            return
        except Exception as failure:  # noqa: BLE001  # whatever it is becomes an exit, as in a real process
            error = failure
        if not process.alive:
            return
        _, why = exit_code(error)
        self.ended.append(Ended(process.instance, why, error))
        process.kill()
        self.cluster.coordinator.silent(process)
        self._again(program)

    def _add(self, name: str, body: Callable[[Process], Awaitable[None]]) -> None:
        self.programs[name] = Program(name, body, LoopClock(self.loop))

    # ── Bodies ───────────────────────────────────────────────────────────────────────────

    def _service(self, name: str, gate: str | None = None) -> Callable[[Process], Awaitable[None]]:
        service = services()[name]

        async def body(process: Process) -> None:
            log = self._log(process)
            follower = CatalogFollower(log, PLATFORM, scenery.ROOT.public)
            await follower.start()
            part = self._part(service) if gate is None else self._trial(service, gate)
            if isinstance(part, LoopSpec):
                await part.run(self._host(service, process, log, follower))
                return
            identity = Identity(
                platform=PLATFORM,
                instance=process.instance,
                version=service.version,
                signer=key_of(f"service:{gate or name}"),
            )
            if isinstance(part, GateSpec):
                running: Gate | Machine = Gate(
                    part,
                    log=log,
                    follower=follower,
                    identity=identity,
                    clock=process.clock,
                    metrics=_metrics(name),
                )
            else:
                running = Machine(
                    part,
                    log=log,
                    follower=follower,
                    identity=identity,
                    clock=process.clock,
                    metrics=_metrics(name),
                )
                self.programs[process.name].machine = running
            await running.start()
            if isinstance(running, Machine) and running.spec.health:
                health = AgentsHealth(log, PLATFORM, lambda: follower.catalog, process.clock, running.health)
                helper = asyncio.create_task(health.run())
                both = {helper, asyncio.create_task(running.wait())}
                done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            await running.wait()

        return body

    def _log(self, process: Process) -> Log:
        # Those with the same number share what they read, as in one process; but here each of them dies alone.
        shelf = self.shelves.get(process.name.rpartition(".")[2])
        wire = Wire(self.cluster, process)
        return wire if shelf is None else SharingLog(wire, shelf)

    def _part(self, service: Service[Any]) -> Part:
        environ = {}
        if service.name == "audit-sink":
            environ = {"SEAMWORK_AUDIT_SINK_DATABASE": str(self.database)}
        settings = read_settings(service.settings, service.name, environ)
        part = service.build(settings, Site(platform=PLATFORM, partitions=self.plan.partitions))
        if isinstance(part, MachineSpec):
            # Small batches and frequent snapshots, so that a minute sees many.
            part = _resized(part, self.plan)
        return part

    def _trial(self, service: Service[Any], gate: str) -> Part:
        """Return what may take a service's place: itself under another name, or somebody's of another mind."""
        site = Site(platform=PLATFORM, partitions=self.plan.partitions)
        match self.plan.trial:
            case "ours":
                return as_gate(self._part(service), gate)
            case "capricious":
                return capricious(gate).part(site)
            case "remembering":
                part = remembering(gate).part(site)
                assert isinstance(part, MachineSpec)  # noqa: S101  # it has a journal
                return _resized(part, self.plan)

    def _host(self, service: Service[Any], process: Process, log: Log, follower: CatalogFollower) -> Host:
        return Host(
            name=service.name,
            version=service.version,
            instance=process.instance,
            platform=PLATFORM,
            log=log,
            catalog=follower,
            clock=process.clock,
            settings=None,  # type: ignore[arg-type]  # the sink has settings of its own and asks for no others
            signing_key=key_of(f"service:{service.name}"),
            stopping=asyncio.Event(),
            progressed=lambda _left: None,
            ready=lambda: None,
            hinders=lambda _obstacles: None,
            metrics=_metrics(service.name),
            logger=structlog.get_logger(service.name),
        )

    def _agent(self, name: str, version: str) -> Callable[[Process], Awaitable[None]]:
        async def body(process: Process) -> None:
            log = Wire(self.cluster, process)
            player = Player(
                name,
                version,
                log,
                process.clock,
                lambda: self.crash(process),
                self.crashed,
                lambda dispatch: self.began(dispatch, process.instance),
                lambda task, value: self.heard(name, task, value),
            )
            await player.run()

        return body

    async def _initiator(self, process: Process) -> None:
        await Initiator(Wire(self.cluster, process), process.clock, self.plan.roots, self.sent).run()

    async def _rogue(self, process: Process) -> None:
        dice = dice_of("rogue", self.plan.seed)
        await Rogue(Wire(self.cluster, process), process.clock, dice).run()

    async def _desk(self, process: Process) -> None:
        dice = dice_of("desk", self.plan.seed)
        await Desk(Wire(self.cluster, process), process.clock, dice).run()

    def _person(self, name: str, roots: Any) -> Callable[[Process], Awaitable[None]]:
        async def body(process: Process) -> None:
            dice = dice_of(name, self.plan.seed)
            await Person(name, Wire(self.cluster, process), process.clock, dice, roots).run()

        return body

    # ── Documents ────────────────────────────────────────────────────────────────────────

    async def change(self, name: str) -> None:
        """Publish or activate what a plan calls *name*."""
        wanted = scenery.change(name)
        assert self.publisher is not None  # noqa: S101  # set up
        try:
            if wanted.documents:
                await self.publisher.publish(wanted.documents, mode=wanted.mode)
            else:
                await self.publisher.activate(
                    wanted.kind,
                    wanted.name,
                    wanted.version,
                    wanted.status,
                    wanted.mode,
                    share=wanted.share,
                )
        except SeamworkError:
            return  # a broker that stands still: nothing changed, or not all of it


def _resized(part: MachineSpec, plan: Plan) -> MachineSpec:
    fields = {name: getattr(part, name) for name in part.__dataclass_fields__}
    # Some write a snapshot over many commits, some at once: the checker looks at what is of the last commit.
    share = _SHARE if plan.snapshot_every == _SHARED_EVERY else _AT_ONCE
    sizes: dict[str, Any] = {
        "max_batch": plan.max_batch,
        "snapshot_every": plan.snapshot_every,
        "snapshot_share": share,
    }
    if plan.snapshot_every != _AMORTIZED_EVERY:
        sizes["snapshot_tail"] = 0.0  # as often as may be, whatever it costs
    if plan.max_commit_bytes:
        sizes["max_commit_bytes"] = plan.max_commit_bytes
    return MachineSpec(**{**fields, **sizes})
