"""
Carry work through every core in one process, on a log in memory: what the code itself costs, and nothing else.

No broker, no disk but the audit's, no scheduler: the processor time of a crossing here is the same on a busy
machine as on an idle one but for the processor itself, and that is divided out by a fixed piece of work measured
beside it. So this is what a guard can compare, and where a profiler sees decisions instead of waiting.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import structlog
from benchmarks.reference import reference_s

from seamwork.agent import Agent, AgentSettings, submit
from seamwork.broker.principal import agent as agent_principal
from seamwork.broker.principal import standing
from seamwork.broker.topics import Sizing, load_topic_specs, topics
from seamwork.bus.port import Partition
from seamwork.catalog.follower import CatalogFollower
from seamwork.clock import SystemClock
from seamwork.documents import AnyDocument
from seamwork.grants.keys import SigningKey
from seamwork.grants.stamps import inbox_topic
from seamwork.platform.publisher import Publisher
from seamwork.platform.trust import OPERATOR, first_documents
from seamwork.records.inbox import Answer
from seamwork.records.wire import Received, read
from seamwork.runtime import Service, Site
from seamwork.runtime.gate import Gate
from seamwork.runtime.machine import Identity, Machine
from seamwork.runtime.memory import settle_memory
from seamwork.runtime.metrics import Metrics
from seamwork.runtime.spec import GateSpec, Host, LoopSpec
from seamwork.settings.environment import read_settings
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimBroker, SimLog
from seamwork.testing.simulation import scenery

PLATFORM = "tunnel"
PARTITIONS = 4
CONTRACT, WORKER, SLEEPER = "tunnel-work", "worker", "sleeper"
PAYLOAD_BYTES = 1024
IN_FLIGHT = 64
_PREFIX = "tunnel"
_NOWHERE = KafkaAccess("nowhere:1", "nobody", "none")
_WITHIN_S = 60.0
_LIVE_FOR_S = 12 * 3600.0  # what is open stays open while anything is measured
_RULES_A_POLICY = 10
_AT_ONCE = 1_000
_LEFT_OUT = {"notifier"}  # it is beside the path and keeps a file of its own
_OBJECT: dict[str, Any] = {"type": "object"}


@dataclass(frozen=True)
class Weight:
    """
    What a platform carries besides the work that is measured.

    Attributes:
        partitions: Of the topics of the path of work.
        contracts: Contracts in force, the measured one among them.
        rules: Policy rules in force, ten to a policy, as teams write them for their own seams: those of one policy
            apply to the work that is measured.
        live: Tasks that were handed to an agent which has not answered yet.
    """

    partitions: int = PARTITIONS
    contracts: int = 1
    rules: int = 1
    live: int = 0


class Tunnel:
    """A platform in one process. Made by `tunnel`."""

    def __init__(self, broker: SimBroker) -> None:
        self.broker = broker
        self._log = SimLog(broker)
        self._operator = settings_of(OPERATOR)
        self._payload = {"weight": "x" * (PAYLOAD_BYTES - len('{"weight":""}'))}
        self._answered: dict[str, asyncio.Event] = {}

    async def carry(self) -> None:
        """Begin one task and wait for its answer: two crossings."""
        begun = await submit(
            self._log, self._operator, contract=f"{CONTRACT}/1.0.0", payload=self._payload,
            intent="be measured", to=WORKER, timeout_s=_WITHIN_S,
        )  # fmt: skip
        await self._answered.setdefault(begun.task, asyncio.Event()).wait()
        del self._answered[begun.task]

    async def carry_many(self, tasks: int, in_flight: int = IN_FLIGHT, burden_s: float = 0.0) -> None:
        """Carry *tasks* through, so many at a time; spend *burden_s* for each crossing on nothing."""
        left = iter(range(tasks))

        async def lane() -> None:
            for _ in left:
                await self.carry()
                # This thread's time: what the audit sink's does meanwhile is no part of the burden.
                until = time.thread_time() + 2 * burden_s
                while time.thread_time() < until:
                    pass

        async with asyncio.timeout(_WITHIN_S), asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(lane())

    async def leave_open(self, tasks: int) -> None:
        """
        Begin so many tasks that nobody answers, and wait until all are in their receiver's inbox.

        A log in memory never makes anybody wait: all at once, the last gate would get its turn after its deadline.
        """
        positions = {Partition(inbox_topic(SLEEPER), 0): 0}
        reader = await self._log.reader()
        for begun in range(0, tasks, _AT_ONCE):
            await self._begin(min(_AT_ONCE, tasks - begun))
            while positions[next(iter(positions))] < min(begun + _AT_ONCE, tasks):
                for at, records in (await reader.fetch(positions, max_records=500, max_wait_ms=250)).items():
                    positions[at] += len(records)

    async def _begin(self, tasks: int) -> None:
        left = iter(range(tasks))

        async def lane() -> None:
            for _ in left:
                await submit(
                    self._log, self._operator, contract=f"{CONTRACT}/1.0.0", payload={"weight": ""},
                    intent="stay open", to=SLEEPER, timeout_s=_LIVE_FOR_S,
                )  # fmt: skip

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(lane())

    async def listen(self) -> None:
        """Hear what became of the tasks."""
        place = Partition(inbox_topic(OPERATOR), 0)
        positions = {place: 0}
        reader = await self._log.reader()
        while True:
            for raw in (await reader.fetch(positions, max_records=500, max_wait_ms=250)).get(place, ()):
                positions[place] = raw.offset + 1
                received = read(raw, PLATFORM)
                if isinstance(received, Received) and isinstance(received.record, Answer):
                    self._answered.setdefault(received.record.task, asyncio.Event()).set()


def settings_of(name: str) -> AgentSettings:
    """Return the settings of an agent."""
    router = key_of("service:router")
    return AgentSettings(
        name=name, platform=PLATFORM, key=key_of(f"agent:{name}"), kafka=_NOWHERE,
        router_keys={router.kid: router.public}, concurrency=IN_FLIGHT,
    )  # fmt: skip


@asynccontextmanager
async def tunnel(weight: Weight = Weight(), broker: SimBroker | None = None) -> AsyncIterator[Tunnel]:
    """Put the platform up, carry some tasks so that everything has been used once, and take it down."""
    broker = SimBroker(SystemClock()) if broker is None else broker
    specs = load_topic_specs()
    everybody = (*standing(), *map(agent_principal, (OPERATOR, "desk", WORKER, SLEEPER)))
    sizing = Sizing(crossing_partitions=weight.partitions)
    for topic in topics(specs, everybody, prefix=_PREFIX, sizing=sizing):
        broker.create_topic(topic.name.removeprefix(f"{_PREFIX}."), topic.partitions)
    await _publish(broker, weight)
    async with AsyncExitStack() as stack:
        # One for all of them: what is read once for each process has no part in what a crossing costs.
        follower = CatalogFollower(SimLog(broker), PLATFORM, scenery.ROOT.public)
        await follower.start()
        stack.push_async_callback(follower.stop)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="seamwork-tunnel-"))
        for point in entry_points(group="seamwork.services"):
            if point.name not in _LEFT_OUT:
                await stack.enter_async_context(
                    _running(point.load(), broker, follower, Path(folder), weight)
                )
        worker = Agent(WORKER, "1.0.0")

        @worker.accepts(CONTRACT, "1.0.0")
        async def work(payload: dict[str, str]) -> dict[str, int]:
            return {"length": len(payload["weight"])}

        await worker.start(settings=settings_of(WORKER), log=SimLog(broker), clock=SystemClock())
        stack.push_async_callback(worker.stop)
        made = Tunnel(broker)
        listening = asyncio.create_task(made.listen())
        stack.callback(listening.cancel)
        await made.carry_many(IN_FLIGHT)
        await made.leave_open(weight.live)
        yield made


async def _publish(broker: SimBroker, weight: Weight) -> None:
    trust = scenery.trust()
    publisher = Publisher(
        SimLog(broker), PLATFORM, scenery.ROOT.public, trust.publisher, SystemClock(), scenery.ROOT
    )
    outputs = {outcome: {"schema": _OBJECT} for outcome in ("success", "partial", "error")}
    await publisher.publish(scenery.keys())
    contracts = [CONTRACT, *(f"other-{number}" for number in range(1, weight.contracts))]
    await publisher.publish(
        (
            *first_documents(trust),
            *(document("Contract", name, input={"schema": _OBJECT}, outputs=outputs) for name in contracts),
            *(
                document("Agent", name, accepts=[{"contract": CONTRACT, "versions": "*"}], concurrency=IN_FLIGHT)
                for name in (WORKER, SLEEPER)
            ),
            *(_policy(number, weight) for number in range(-(-weight.rules // _RULES_A_POLICY))),
            document(
                "Flow", "tunnel",
                edges=[{"from": OPERATOR, "to": name, "contract": CONTRACT} for name in (WORKER, SLEEPER)],
            ),
        )
    )  # fmt: skip


def _policy(number: int, weight: Weight) -> AnyDocument:
    """Make one policy: the first for the work that is measured, the others for seams of their own."""
    count = min(_RULES_A_POLICY, weight.rules - number * _RULES_A_POLICY)
    rules = [
        {
            "name": f"not-{each}",
            "when": f"envelope.intent == 'to do {each}'",
            "effect": "deny",
            "message": "no",
        }
        for each in range(count)
    ]
    match = {"contracts": [CONTRACT if number == 0 else f"other-{number}"]}
    return document("Policy", f"tunnel-policy-{number}", match=match, rules=rules)


@asynccontextmanager
async def _running(
    service: Service[Any], broker: SimBroker, follower: CatalogFollower, folder: Path, weight: Weight
) -> AsyncIterator[None]:
    log, clock = SimLog(broker), SystemClock()
    given = {"SEAMWORK_AUDIT_SINK_DATABASE": str(folder / "audit.db")} if service.name == "audit-sink" else {}
    part = service.build(
        read_settings(service.settings, service.name, given),
        Site(platform=PLATFORM, partitions=weight.partitions),
    )
    signer, metrics = key_of(f"service:{service.name}"), Metrics(service.name)
    if isinstance(part, LoopSpec):
        async with _looping(part, _host(service, log, follower, signer, metrics)):
            yield
        return
    identity = Identity(platform=PLATFORM, instance=service.name, version=service.version, signer=signer)
    around: dict[str, Any] = {
        "log": log, "follower": follower, "identity": identity, "clock": clock, "metrics": metrics,
    }  # fmt: skip
    running = Gate(part, **around) if isinstance(part, GateSpec) else Machine(part, **around)
    async with running.running():
        yield


@asynccontextmanager
async def _looping(part: LoopSpec, host: Host) -> AsyncIterator[None]:
    async def body() -> None:
        await part.run(host)

    task = asyncio.create_task(body())
    try:
        yield
    finally:
        host.stopping.set()
        await task


def _host(
    service: Service[Any], log: SimLog, follower: CatalogFollower, key: SigningKey, metrics: Metrics
) -> Host:
    return Host(
        name=service.name, version=service.version, instance=service.name, platform=PLATFORM, log=log,
        catalog=follower, clock=SystemClock(),
        settings=None,  # type: ignore[arg-type]  # the sink has settings of its own and asks for no others
        signing_key=key, stopping=asyncio.Event(), progressed=lambda _left: None, ready=lambda: None,
        hinders=lambda _obstacles: None, metrics=metrics, logger=structlog.get_logger(service.name),
    )  # fmt: skip


async def once(made: Tunnel, tasks: int, burden_s: float = 0.0) -> tuple[float, float]:
    """
    Return the processor time of a crossing, and that of the reference beside it, in seconds.

    *burden_s* is spent on nothing for each crossing, where somebody wants to know whether that is seen.
    """
    before = reference_s()
    began = time.process_time()
    await made.carry_many(tasks, burden_s=burden_s)
    return (time.process_time() - began) / (2 * tasks), (before + reference_s()) / 2


async def cost(rounds: int = 7, tasks: int = 100) -> dict[str, float]:
    """
    Return the processor time of a crossing in ms, and in references: medians of short rounds.

    *burdened* is the same in rounds between them in which each crossing was made to take half as long again, by
    work that has no purpose: what a guard must see when a third of the speed is lost.
    """
    each, ratios, burdened = [], [], []
    async with tunnel() as made:
        settle_memory()
        for _ in range(rounds):
            took_s, reference = await once(made, tasks)
            each.append(1000 * took_s)
            ratios.append(took_s / reference)
            slow_s, reference = await once(made, tasks, burden_s=took_s / 2)
            burdened.append(slow_s / reference)
    return {
        "ms": round(statistics.median(each), 3),
        "references": round(statistics.median(ratios), 2),
        "burdened": round(statistics.median(burdened), 2),
    }


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    print(asyncio.run(cost()))
