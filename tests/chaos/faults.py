"""Break one part of a running platform, and mend it again: each fault is one coroutine that leaves it whole."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random  # noqa: TID251  # a seed makes a run

from tests.chaos.agent import BOSS, CHIEF, WORKER
from tests.chaos.cluster import Broker, Cluster
from tests.chaos.load import Load
from tests.chaos.next_release import CHANGES, next_service
from tests.chaos.readings import Whole

from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Confirmed, Partition
from seamwork.platform.replay import Replay, Trusted
from seamwork.platform.services import service_environ
from seamwork.platform.supervisor import Supervisor, free_ports, service_modules
from seamwork.records.wire import Outgoing
from seamwork.runtime import MachineSpec, Site
from seamwork.runtime.exits import MISCONFIGURED
from seamwork.settings.environment import read_settings
from seamwork.testing.puppet import new_id
from seamwork.testing.stage import Stage

# An owner's session ends after 10 s without a sign of life, an agent's likewise.
PAST_SESSION_S = 14.0
_OVER_S = 20.0
# A task is eight crossings, some 25 tasks a second are done on two cores: ten times as many are begun.
_FLOOD_S = 6
_FLOOD_PER_TENTH = 25
_FLOOD_WITHIN_S = 900.0
_MOST_MB = 400
_READY_S = 240.0  # a machine may be overbooked, and nothing is promised of how soon
_UPGRADED_WITHIN_S = 180.0
SHARED = ("contract-validator", "policy-engine", "router", "approval-workflow", "cost-cap")
"""Services of which several instances may run; the audit sink and the notifier keep a file."""


@dataclass
class Scene:
    """What can be broken."""

    stage: Stage
    cluster: Cluster
    load: Load
    dice: Random
    whole: Whole
    upgraded: set[str] = field(default_factory=set)

    async def read(self) -> None:
        """Read the log as far as it goes, before any of it is deleted."""
        prefix = self.stage.door.identity.prefix
        await asyncio.to_thread(self.whole.read_on, self.cluster.inner.confluent(), prefix)

    @property
    def services(self) -> Supervisor:
        """The services' processes."""
        return self.stage.running.supervisor

    def broker(self) -> Broker:
        """Choose a broker."""
        return self.dice.choice(self.cluster.brokers)

    async def add_service(self, name: str) -> str:
        """Start a second instance of a service; returns its name among the processes."""
        known = f"{name}-2"
        if known not in self.services.processes:
            (port,) = free_ports(1)
            environ = partial(service_environ, self.stage.door, name, port)
            logs = self.stage.door.home.logs / f"{known}.log"
            self.services.add(known, service_modules()[name], environ, logs, port)
        if name in self.upgraded:
            self.services.processes[known].command = next_release(name)
        await self.services.start(known)
        return known


Fault = Callable[[Scene], Awaitable[str]]


def _signal(supervisor: Supervisor, name: str, number: signal.Signals) -> int | None:
    pid = supervisor.processes[name].pid
    if pid is not None:
        os.kill(pid, number)
    return pid


async def kill_service(scene: Scene) -> str:
    """Kill one service; its supervisor starts it again."""
    name = scene.dice.choice(sorted(scene.services.processes))
    _signal(scene.services, name, signal.SIGKILL)
    return name


async def kill_all_services(scene: Scene) -> str:
    """Kill every service at one instant."""
    for name in scene.services.processes:
        _signal(scene.services, name, signal.SIGKILL)
    return "all"


async def kill_agent(scene: Scene) -> str:
    """Kill one agent in the middle of its work."""
    name = scene.dice.choice(sorted(scene.load.agents.processes))
    _signal(scene.load.agents, name, signal.SIGKILL)
    return name


async def kill_audit_sink(scene: Scene) -> str:
    """Kill the audit sink three times, at instants of no meaning."""
    for _ in range(3):
        _signal(scene.services, "audit-sink", signal.SIGKILL)
        await asyncio.sleep(0.5 + 3 * scene.dice.random())
    return "audit-sink, three times"


async def _zombie(supervisor: Supervisor, name: str) -> None:
    pid = _signal(supervisor, name, signal.SIGSTOP)
    await asyncio.sleep(PAST_SESSION_S)
    if pid is not None and supervisor.processes[name].pid == pid:
        os.kill(pid, signal.SIGCONT)


async def zombie_service(scene: Scene) -> str:
    """Stop one instance past its session while another takes over, and let it go on as a zombie."""
    name = scene.dice.choice(SHARED)
    second = await scene.add_service(name)
    await _zombie(scene.services, name)
    await scene.services.stop(second)
    return name


async def zombie_agent(scene: Scene) -> str:
    """Stop one replica of an agent past its session while another takes over, and let it go on."""
    name = scene.dice.choice((BOSS, WORKER))
    second = await scene.load.add_agent(name, 2)
    await _zombie(scene.load.agents, name)
    await scene.load.agents.stop(second)
    return name


async def scale_service(scene: Scene) -> str:
    """Bring a second instance in, and take it out again."""
    name = scene.dice.choice(SHARED)
    second = await scene.add_service(name)
    await asyncio.sleep(4 + 4 * scene.dice.random())
    await scene.services.stop(second)
    return name


async def scale_agent(scene: Scene) -> str:
    """Bring a second replica of an agent in, and take it out again."""
    name = scene.dice.choice((BOSS, WORKER))
    second = await scene.load.add_agent(name, 2)
    await asyncio.sleep(4 + 4 * scene.dice.random())
    await scene.load.agents.stop(second)
    return name


async def kill_broker(scene: Scene) -> str:
    """Kill a broker and start it again on the same data."""
    broker = scene.broker()
    await scene.cluster.end(broker, signal.SIGKILL)
    await scene.cluster.again(broker)
    return f"node {broker.number}"


async def restart_broker(scene: Scene) -> str:
    """Stop a broker in order and start it again."""
    broker = scene.broker()
    await scene.cluster.end(broker, signal.SIGTERM)
    await scene.cluster.again(broker)
    return f"node {broker.number}"


async def freeze_broker(scene: Scene) -> str:
    """Stop a broker's process for some seconds: nobody knows what became of what was under way."""
    broker = scene.broker()
    os.kill(broker.pid, signal.SIGSTOP)
    await asyncio.sleep(6)
    os.kill(broker.pid, signal.SIGCONT)
    return f"node {broker.number}"


async def cut_connections(scene: Scene) -> str:
    """Cut every connection to every broker, five times in two seconds."""
    for _ in range(5):
        for broker in scene.cluster.brokers:
            broker.proxy.cut()
        await asyncio.sleep(0.4)
    return "all"


async def hold_connections(scene: Scene) -> str:
    """Swallow every byte to and from one broker for seconds, with connections that look whole."""
    broker = scene.broker()
    broker.proxy.hold()
    await asyncio.sleep(5)
    broker.proxy.heal()
    return f"node {broker.number}"


async def delay_connections(scene: Scene) -> str:
    """Let every piece take a third of a second longer."""
    for broker in scene.cluster.brokers:
        broker.proxy.delay_s = 0.3
    await asyncio.sleep(6)
    for broker in scene.cluster.brokers:
        broker.proxy.heal()
    return "all"


async def fill_disk(scene: Scene) -> str:
    """Leave a broker no room on its disk until it gives up, then make room and start it again."""
    broker = scene.broker()
    make_room = scene.cluster.fill(broker)
    assert broker.process is not None
    try:
        await asyncio.wait_for(asyncio.to_thread(broker.process.wait), 30)
    except TimeoutError:
        await scene.cluster.end(broker, signal.SIGKILL)
    make_room()
    await scene.cluster.again(broker)
    return f"node {broker.number}, {'a full file system' if broker.on_tmpfs else 'a limit on its files'}"


async def isolate_broker(scene: Scene) -> str:
    """Keep one broker of three away from every client for longer than it is believed."""
    broker = scene.broker()
    broker.proxy.refuse()
    await asyncio.sleep(8)
    broker.proxy.heal()
    return f"node {broker.number}"


async def poison(scene: Scene) -> str:
    """Publish what no gate can read: not JSON, no envelope, no key's owner, a tombstone."""
    key = new_id().encode()
    records = [
        Outgoing("handoffs.v1", key, b"\xff\xfe not a crossing", (("sw_envelope", b"\xff{"),)),
        Outgoing("handoffs.v1", key, b"{}"),
        Outgoing("handoffs.v1", key, None),
        Outgoing("handoffs.v1", b"\xff\xff", b"{}", (("sw_envelope", b'{"type":"handoff"}'),)),
    ]
    answers = await (await scene.stage.log(f"agent-{CHIEF}")).publish(records)
    assert all(isinstance(answer, Confirmed) for answer in answers), answers
    return f"{len(records)} records"


async def tidy(scene: Scene) -> str:
    """Trim the journals as `up` does every ten minutes, once everything in them was read."""
    await scene.read()
    home = scene.stage.door.home.root
    environ = {**os.environ, "SEAMWORK_HOME": str(home.parent), "SEAMWORK_PLATFORM": home.name}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "seamwork.cli", "tidy", "--json", env=environ, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return f"{sum(one['gone'] for one in json.loads(said))} offsets"


async def upgrade(scene: Scene) -> str:
    """
    Replace every service by its next release, one after the other, two of them at work at once where possible.

    Afterwards the new code replays what the old wrote and decides it again, and the old code refuses to start.
    """
    names = sorted(service_modules())
    for name in names:
        scene.upgraded.add(name)
        second = await scene.add_service(name) if name in SHARED else None
        if second is not None:
            await scene.services.ready([second], _READY_S)
        await scene.services.stop(name)
        scene.services.processes[name].command = next_release(name)
        await scene.services.start(name)
        await scene.services.ready([name], _READY_S)
        if second is not None:
            await scene.services.stop(second)
    # Of every fifth a person must agree first, so each machine has something to write.
    tasks = set(await asyncio.gather(*(scene.load.begin() for _ in range(5))))
    left = await scene.load.until_ended(tasks, _UPGRADED_WITHIN_S)
    commits = await replayed(scene)
    await refused(scene, (*CHANGES, "audit-sink"))
    if left:
        raise RuntimeError(f"{len(left)} of 5 tasks have not ended after the upgrade")
    return f"{len(names)} services, {commits} commits replayed"


async def replayed(scene: Scene) -> int:
    """Decide every journal again by the next release's code; return how many commits there were."""
    commits = 0
    door = scene.stage.door
    log = await scene.stage.log("tools")
    site = Site(platform=door.identity.id, partitions=door.identity.partitions)
    trusted = Trusted(platform=door.identity.id, root_public=door.identity.root_public)
    for name in CHANGES:
        shape = next_service(name)
        spec = shape.build(read_settings(shape.settings, name, {}), site)
        assert isinstance(spec, MachineSpec)
        for number in range(await log.partitions_of(spec.journal) or 0):
            found = await Replay(log, spec, number, trusted).run(verify=True)
            # What retention has deleted cannot be decided again; what it came to is in the journal.
            wrong = [one.what for one in found.differences if "not in its topic any more" not in one.what]
            wrong += [f"the snapshot at {one.next_offset}" for one in found.snapshots if not one.equal]
            if wrong:
                raise RuntimeError(f"{found.place}, replayed by the next release: {wrong[:3]}")
            commits += found.commits
    return commits


async def refused(scene: Scene, names: Sequence[str]) -> None:
    """Let the releases before start on what the present ones wrote: each must refuse, by its name for that."""
    await scene.services.stop_all(names)
    try:
        codes = await asyncio.gather(*(_run_old(scene, name) for name in names))
    finally:
        for name in names:
            await scene.services.start(name)
    await scene.services.ready(names, _READY_S)
    wrong = {name: code for name, code in zip(names, codes, strict=True) if code != MISCONFIGURED}
    if wrong:
        raise RuntimeError(f"releases that did not refuse what a newer one had written: {wrong}")


async def _run_old(scene: Scene, name: str) -> int:
    (port,) = free_ports(1)
    with (scene.stage.door.home.logs / f"{name}-old.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", service_modules()[name], stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            env=service_environ(scene.stage.door, name, port),
        )  # fmt: skip
        try:
            async with asyncio.timeout(_READY_S):
                return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def next_release(name: str) -> tuple[str, ...]:
    """Return the command of a service's next release."""
    return (sys.executable, "-m", "tests.chaos.next_release", name)


async def delete_old(scene: Scene) -> str:
    """Delete from the topics of the path of work what retention may: what was over for a while and is audited."""
    await asyncio.sleep(_OVER_S)
    await scene.read()
    kept = await asyncio.to_thread(scene.stage.audit.positions)
    gone = 0
    prefix = scene.stage.door.identity.prefix
    async with KafkaLog(scene.cluster.inner, prefix, client_id="chaos-retention") as log:
        for (topic, number), before in scene.whole.over(_OVER_S).items():
            place = Partition(topic, number)
            until = min(before, kept.get(f"{topic}/{number}", 0))
            start = (await log.start_offsets([place]))[place]
            if until > start:
                await log.trim(place, until)
                gone += until - start
    return f"{gone} records"


async def flood(scene: Scene) -> str:
    """Begin ten times as many tasks as can be done in that time, and wait until every one has ended."""
    peaks: dict[str, int] = {}
    looking = asyncio.create_task(look_at_memory(scene, peaks))
    try:
        tasks: set[str] = set()
        for _ in range(_FLOOD_S * 10):
            began = asyncio.get_running_loop().time()
            tasks |= set(await asyncio.gather(*(scene.load.begin() for _ in range(_FLOOD_PER_TENTH))))
            await asyncio.sleep(max(0.0, began + 0.1 - asyncio.get_running_loop().time()))
        left = await scene.load.until_ended(tasks, _FLOOD_WITHIN_S)
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    name, most = max(peaks.items(), key=lambda one: one[1])
    if most > _MOST_MB:
        raise RuntimeError(f"{name} took {most} MB while it was flooded")
    return f"{len(tasks)} tasks, {len(left)} not ended, at most {most} MB ({name})"


async def look_at_memory(scene: Scene, peaks: dict[str, int]) -> None:
    """Note the most that each service takes (MB), until cancelled."""
    while True:
        for name, process in scene.services.processes.items():
            if process.pid is not None:
                peaks[name] = max(peaks.get(name, 0), _rss_mb(process.pid))
        await asyncio.sleep(1)


def _rss_mb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0  # it has just ended
    line = next((line for line in status.splitlines() if line.startswith("VmRSS:")), "VmRSS: 0 kB")
    return int(line.split()[1]) // 1024


FAULTS: dict[str, Fault] = {
    one.__name__.replace("_", "-"): one
    for one in (
        kill_service, zombie_service, kill_broker, kill_agent, cut_connections, fill_disk, poison, zombie_agent,
        scale_service, kill_audit_sink, delay_connections, restart_broker, scale_agent, hold_connections,
        freeze_broker, kill_all_services, tidy, delete_old, flood,
    )
}  # fmt: skip
ALONE: dict[str, Fault] = {"upgrade": upgrade}
"""What takes minutes of its own: ``--only upgrade``."""
WITH_THREE: dict[str, Fault] = {"isolate-broker": isolate_broker}
"""What needs brokers that can do without one."""
