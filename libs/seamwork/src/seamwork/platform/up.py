"""
Start a platform: broker, topics and rights, keys and first documents, services; and say when it is ready.

Every step is idempotent, so a start that was cut short is simply started again.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Literal

from seamwork.broker.bar import bar
from seamwork.broker.ladder import Kafka, find_kafka
from seamwork.broker.principal import GATES, standing, user_name
from seamwork.broker.principal import agent as agent_principal
from seamwork.clock import SystemClock
from seamwork.errors import SeamworkError
from seamwork.platform.alone import alone
from seamwork.platform.door import REGISTRAR, Door
from seamwork.platform.first import publish_first
from seamwork.platform.home import PlatformHome
from seamwork.platform.members import follow_platform, write_agent_settings
from seamwork.platform.services import service_environ
from seamwork.platform.state import KafkaState, Phase, RunState, ServiceState, write_state
from seamwork.platform.supervisor import Part, Supervisor, free_ports, service_modules
from seamwork.platform.trust import FIRST_AGENTS, ensure_trust

READY_WITHIN_S = 60.0
DEFAULT_PREFIX = "seamwork"
DEFAULT_PARTITIONS = 1
"""Of a laptop's path of work: one process owns them all, and work in one comes in larger batches (decision 46)."""

TOGETHER = "together"
"""The process that holds all services, and its log."""
JUDGES, OTHERS = "gates", "others"
"""The two processes of the layout ``two``: who judges, and who acts on it. Each takes about half of the work."""

_LOOK_S = 1.0
_LONGEST_PAUSE_S = 30.0

NOT_RUN = 71
"""What the janitor's pass is noted with where it could not be begun (EX_OSERR)."""

Layout = Literal["apart", "two", "together"]
DEFAULT_LAYOUT: Layout = "together"
"""What costs a laptop least; where services have machines of their own, they have processes of their own anyway."""
Tell = Callable[[str], None]


@dataclass
class Running:
    """
    A platform that this process holds.

    Attributes:
        hold: Keeps every other process from starting or copying the platform meanwhile.
        took_s: How long each part of the start took.
        tidied: The exit status of the janitor's last pass, null before the first.
        phase: What the platform is at: a service that ends while it stops makes it no less stopping.
        error: Why the start failed, where it did.
    """

    door: Door
    kafka: Kafka
    supervisor: Supervisor
    hold: IO[bytes] = field(repr=False)
    took_s: dict[str, float] = field(default_factory=dict)
    tidied: int | None = None
    phase: Phase = "starting"
    error: str = ""
    _starting: "asyncio.Task[bool] | None" = field(default=None, repr=False)

    @property
    def home(self) -> PlatformHome:
        """The platform's folder."""
        return self.door.home

    def note_if_possible(self) -> None:
        """Write down what runs, where there is room for it; what is to be done now does not wait for that."""
        with contextlib.suppress(OSError):
            self.note()

    def note(self) -> None:
        """Write down what runs, for `status` and `down`."""
        services = tuple(
            ServiceState(
                name=name,
                pid=p.pid,
                http_port=http_port,
                restarts=p.restarts,
                exit_code=p.exit_code,
                log=str(p.log),
            )
            for p in self.supervisor.processes.values()
            for name, http_port in p.ports.items()
        )
        write_state(
            self.home.state_file,
            RunState(
                supervisor=os.getpid(),
                state=self.phase,
                kafka=KafkaState(
                    rung=self.kafka.rung,
                    bootstrap=self.door.bootstrap,
                    protocol=self.door.protocol,
                    mechanism=self.door.mechanism,
                    ca_file=str(self.door.ca_file) if self.door.ca_file else None,
                    replication=self.kafka.replication,
                    where=self.kafka.where,
                ),
                error=self.error,
                services=services,
                tidied=self.tidied,
            ),
        )

    async def start_services(self, names: Sequence[str], within_s: float = READY_WITHIN_S) -> None:
        """
        Start services and wait until they are ready.

        Raises:
            MisconfiguredError: One is not; names it, its last words and its log.
        """
        for name in names:
            await self.supervisor.start(name)
        await self.supervisor.ready(names, within_s)

    async def keep_kafka(self, tell: Tell) -> None:
        """Start a broker of ours again when it has ended by itself, after a pause that grows while that fails."""
        pause_s = _LOOK_S
        while True:
            await asyncio.sleep(pause_s)
            self._starting = asyncio.create_task(self._kafka_again())
            try:
                ended = await asyncio.shield(self._starting)  # `stop` waits for it
                if ended:
                    tell("Kafka had ended by itself and was started again")
            except (SeamworkError, OSError) as error:
                tell(f"warning: Kafka has ended by itself and does not start again: {error}")
                ended = True
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S) if ended else _LOOK_S

    async def _kafka_again(self) -> bool:
        kafka = await asyncio.to_thread(self.kafka.again)
        if kafka is not None:
            self.kafka = kafka
        return kafka is not None

    async def keep_tidy(self, every_s: float) -> None:
        """Let the janitor make a pass every so often: a process of its own, which ends again."""
        log = self.home.logs / "janitor.log"
        command = (sys.executable, "-m", "seamwork.cli", "tidy", "--platform", self.home.name)
        environ = {**os.environ, "SEAMWORK_HOME": str(self.home.root.parent)}
        while True:
            await asyncio.sleep(every_s)
            try:
                self.tidied = await self._one_pass(command, environ, log)
            except OSError:
                self.tidied = NOT_RUN  # the machine has no room for it now, and may have later
            self.note_if_possible()

    async def _one_pass(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> int:
        with log.open("ab") as out:
            janitor = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out, env=environ
            )
        try:
            return await janitor.wait()
        finally:
            if janitor.returncode is None:
                janitor.terminate()
                await janitor.wait()

    async def stop(self) -> None:
        """Stop the services in order, then the broker."""
        with self.hold:
            self.phase = "stopping"
            self.note_if_possible()
            await self.supervisor.stop_all()
            if self._starting is not None:
                await asyncio.gather(self._starting, return_exceptions=True)
            await asyncio.to_thread(self.kafka.stop)
            self.home.state_file.unlink(missing_ok=True)


async def bring_up(  # what an operator may choose
    home: PlatformHome,
    *,
    prefix: str = DEFAULT_PREFIX,
    partitions: int = DEFAULT_PARTITIONS,
    port: int | None = None,
    services: Sequence[str] | None = None,
    layout: Layout = DEFAULT_LAYOUT,
    tell: Tell = lambda _: None,
    up: Callable[[], None] = lambda: None,
) -> Running:
    """
    Start the platform of *home*, making it if it does not exist, and return when it is ready.

    Args:
        home: The platform's folder.
        prefix: Begins every topic, group and principal; never changes later.
        partitions: Of the topics of the path of work; never changes later.
        port: Of the embedded broker; chosen and remembered unless given.
        services: Which to start; all that are installed unless given.
        layout: A process for each service (``apart``), one for the gates and one for the others (``two``), or one
            for all (``together``).
        tell: Told of each step, in words.
        up: Called when all runs, before the note says so: whoever reads that may want it stopped at once.

    Raises:
        MisconfiguredError: A part could not be started; says which, why, and what to do. Or another process holds
            the platform.
    """
    hold = alone(home)
    try:
        running = await _bring_up(home, hold, prefix, partitions, port, services, layout, tell)
        up()
        running.phase = "ready"
        running.note()
    except BaseException:
        hold.close()
        raise
    return running


async def _bring_up(  # as its caller's, and the hold
    home: PlatformHome,
    hold: IO[bytes],
    prefix: str,
    partitions: int,
    port: int | None,
    services: Sequence[str] | None,
    layout: Layout,
    tell: Tell,
) -> Running:
    installed = service_modules()  # before anything is made or fetched: without them it is all for nothing
    clock = SystemClock()
    identity = home.ensure(clock, prefix=prefix, partitions=partitions)
    took: dict[str, float] = {}
    began = time.monotonic()

    def done(part: str) -> None:
        nonlocal began
        took[part] = time.monotonic() - began
        began = time.monotonic()

    tell("starting Kafka")
    # Known before there is a Kafka: jars may be fetched for minutes, and `down` can end that, too.
    write_state(home.state_file, RunState(supervisor=os.getpid(), state="starting"))
    try:
        kafka = await asyncio.to_thread(
            lambda: find_kafka(
                home.root,
                port=port,
                admin=user_name(prefix, REGISTRAR),
                progress=bar(sys.stderr, "fetching Kafka"),
            )
        )
    except BaseException:
        home.state_file.unlink(missing_ok=True)
        raise
    door = Door.at(home, identity, kafka)
    supervisor = Supervisor()
    running = Running(door, kafka, supervisor, hold, took)
    supervisor.on_change(running.note)
    done("broker")
    try:
        running.note()
        tell("furnishing topics, rights and credentials")
        principals = (*standing(), *map(agent_principal, FIRST_AGENTS))
        await asyncio.to_thread(door.registrar().furnish, principals, home.credentials)
        done("topics")
        tell("publishing keys, gates and the operator")
        await _publish_first(door, home)
        for line in follow_platform(door):
            tell(f"warning: {line}")
        done("documents")
        tell("starting the services")
        wanted = _describe(running, installed, services, layout)
        await running.start_services(wanted)
        done("services")
    except BaseException as error:
        running.phase, running.error = "failed", str(error)
        running.note_if_possible()
        await supervisor.stop_all()
        await asyncio.to_thread(kafka.stop)
        home.state_file.unlink(missing_ok=True)
        raise
    return running


async def _publish_first(door: Door, home: PlatformHome) -> None:
    trust = ensure_trust(home)  # makes the publisher's key, without which there is no publisher
    async with door.publisher() as publisher:
        await publish_first(publisher, trust)
    for name in FIRST_AGENTS:
        write_agent_settings(door, name)


def _describe(
    running: Running, installed: Mapping[str, str], services: Sequence[str] | None, layout: Layout
) -> list[str]:
    home, supervisor = running.home, running.supervisor
    wanted = list(installed) if services is None else list(services)
    given = dict(os.environ)  # a service that starts again later gets what the others were started with
    parts = [
        Part(
            name=name,
            environ=partial(service_environ, running.door, name, http_port, given),
            http_port=http_port,
        )
        for name, http_port in zip(wanted, free_ports(len(wanted)), strict=True)
    ]
    for name, group in grouped(parts, layout).items():
        if layout == "apart":
            (one,) = group
            supervisor.add(name, installed[name], one.environ, home.logs / f"{name}.log", one.http_port)
        else:
            supervisor.add_together(name, group, home.run / f"{name}.json", home.logs / f"{name}.log")
    return list(supervisor.processes)


def grouped(parts: Sequence[Part], layout: Layout) -> dict[str, list[Part]]:
    """Return the processes of a layout, and which services each holds."""
    groups: dict[str, list[Part]] = {}
    for one in parts:
        match layout:
            case "apart":
                name = one.name
            case "two":
                name = JUDGES if one.name in GATES else OTHERS
            case "together":
                name = TOGETHER
        groups.setdefault(name, []).append(one)
    return groups
