"""
Run one or three real Kafka brokers that may be killed, frozen, cut off and run out of disk.

Set up as the embedded broker is, but for a second listener: clients come through a proxy of ours, brokers and
whoever reads the log afterwards come directly. With three, every record has three copies and two must be written.
"""

import asyncio
import errno
import os
import resource
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.proxy import Proxy

from seamwork.broker.configuration import HOST, Node, Ports, argument_file, as_properties, server_properties
from seamwork.broker.folder import Folder, cluster_id
from seamwork.broker.jars import fetch_jars, jar_cache
from seamwork.broker.java import find_java
from seamwork.broker.probe import AccessDenied, NotReady, probe
from seamwork.broker.secret import Credential, write_private
from seamwork.platform.supervisor import free_ports
from seamwork.settings.kafka import KafkaAccess

ADMIN = "seamwork-registrar"
_DISK_MB = 2_000
_READY_S = 120.0
_POLL_S = 0.1


@dataclass
class Broker:
    """One node: broker and controller."""

    number: int
    folder: Folder
    node: Node
    inner_port: int
    proxy: Proxy
    properties: dict[str, str]
    on_tmpfs: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """The JVM's process."""
        assert self.process is not None
        return self.process.pid


class Cluster:
    """The brokers of one run."""

    def __init__(self, root: Path, brokers: int = 1) -> None:
        self._root = root
        self._java = find_java(os.environ).path
        self._classpath = os.pathsep.join(str(jar) for jar in fetch_jars(jar_cache(os.environ)))
        self._admin = Credential(ADMIN, secrets.token_urlsafe(24))
        self._own = Credential("broker", secrets.token_urlsafe(24))
        ports = iter(free_ports(4 * brokers))
        self.brokers = [
            self._broker(number, Ports(next(ports), next(ports)), next(ports), next(ports))
            for number in range(1, brokers + 1)
        ]
        voters = ",".join(f"{b.number}@{HOST}:{b.node.ports.controller}" for b in self.brokers)
        copies = str(brokers)
        for broker in self.brokers:
            broker.properties |= {
                "controller.quorum.voters": voters,
                "default.replication.factor": copies,
                "offsets.topic.replication.factor": copies,
                "transaction.state.log.replication.factor": copies,
                "share.coordinator.state.topic.replication.factor": copies,
                "min.insync.replicas": "2" if brokers > 1 else "1",
                "unclean.leader.election.enable": "false",
                # A node that is lost is known to be lost within seconds, so that a run of minutes sees many.
                "broker.session.timeout.ms": "4000",
                "broker.heartbeat.interval.ms": "1000",
            }

    def _broker(self, number: int, ports: Ports, inner: int, outer: int) -> Broker:
        folder = Folder(self._root / f"node-{number}")
        folder.make()
        node = Node(ports=ports, data=folder.data, admin=self._admin, broker=self._own)
        properties = server_properties(node)
        logins = {
            name.replace("listener.name.client.", "listener.name.inner."): value
            for name, value in properties.items()
            if name.startswith("listener.name.client.")
        }
        properties |= logins | {
            "node.id": str(number),
            "listeners": f"CLIENT://{HOST}:{ports.client},INNER://{HOST}:{inner},"
            f"CONTROLLER://{HOST}:{ports.controller}",
            "advertised.listeners": f"CLIENT://{HOST}:{outer},INNER://{HOST}:{inner}",
            "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,INNER:SASL_PLAINTEXT,"
            "CONTROLLER:SASL_PLAINTEXT",
            "inter.broker.listener.name": "INNER",
        }
        return Broker(number, folder, node, inner, Proxy(outer, ports.client), properties)

    @property
    def access(self) -> KafkaAccess:
        """The super user's way in through the proxies, as every client of the platform comes."""
        return self._access(broker.proxy.port for broker in self.brokers)

    @property
    def inner(self) -> KafkaAccess:
        """The super user's way in past the proxies."""
        return self._access(broker.inner_port for broker in self.brokers)

    def _access(self, ports: Iterable[int]) -> KafkaAccess:
        addresses = ",".join(f"{HOST}:{port}" for port in ports)
        return KafkaAccess(addresses, self._admin.username, self._admin.password)

    async def start(self) -> None:
        """Format the disks, start all brokers and return when they answer."""
        identity = cluster_id(secrets.token_bytes(16))
        for broker in self.brokers:
            await broker.proxy.start()
            broker.on_tmpfs = await asyncio.to_thread(_mounted, broker.folder.data)
            await asyncio.to_thread(self._format, broker, identity)
        for broker in self.brokers:
            self._spawn(broker)
        for broker in self.brokers:
            await self.ready(broker)

    def _format(self, broker: Broker, identity: str) -> None:
        broker.folder.write_set_up(broker.node, self._classpath)
        write_private(broker.folder.root / "server.properties", as_properties(broker.properties))
        arguments = ["-Xmx128m", "-cp", self._classpath, "kafka.tools.StorageTool", "format", "--config"]
        arguments += [str(broker.folder.root / "server.properties"), "--cluster-id", identity]
        for user in (self._admin, self._own):
            arguments += ["--add-scram", f"SCRAM-SHA-512=[name={user.username},password={user.password}]"]
        script = broker.folder.root / "format.args"
        write_private(script, argument_file(tuple(arguments)))
        subprocess.run([str(self._java), f"@{script}"], check=True, stdout=subprocess.DEVNULL)
        script.unlink()

    def _spawn(self, broker: Broker) -> None:
        with broker.folder.console.open("ab") as console:
            broker.process = subprocess.Popen(
                [str(self._java), f"@{broker.folder.arguments}"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    async def ready(self, broker: Broker, *, alone: bool = False) -> None:
        """
        Wait until a broker answers on its own, and knows of all others unless it is *alone*.

        Raises:
            TimeoutError: It does not.
        """
        own = KafkaAccess(f"{HOST}:{broker.inner_port}", self._admin.username, self._admin.password)
        async with asyncio.timeout(_READY_S):
            while True:
                try:
                    known = await asyncio.to_thread(probe, own)
                except (NotReady, AccessDenied):  # it learns the passwords from the others, a moment later
                    await asyncio.sleep(_POLL_S)
                else:
                    if known >= (1 if alone else len(self.brokers)):
                        return
                    await asyncio.sleep(_POLL_S)

    async def end(self, broker: Broker, number: signal.Signals) -> None:
        """End a broker by a signal and wait until it is gone."""
        process = broker.process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(number)
        try:
            await asyncio.wait_for(asyncio.to_thread(process.wait), 60)
        except TimeoutError:
            process.kill()
            await asyncio.to_thread(process.wait)

    async def again(self, broker: Broker) -> None:
        """Start a broker that has ended, on the same data."""
        self._spawn(broker)
        await self.ready(broker)

    def fill(self, broker: Broker) -> Callable[[], None]:
        """
        Leave no room on a broker's disk, and return what makes room again.

        Where the data lie on a file system of their own, it is filled to the last byte. Where this user may not
        mount one, the process may write no file any further (RLIMIT_FSIZE), which it meets at the same places.
        """
        if not broker.on_tmpfs:
            limits = resource.prlimit(broker.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (1, limits[1]))
            return lambda: None  # the limit goes with the process, which does not survive it
        filler = broker.folder.data / "filler"
        with filler.open("wb", buffering=0) as file:
            block = bytes(1024 * 1024)
            while block:
                try:
                    file.write(block)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    block = block[: len(block) // 2]
        return filler.unlink

    async def stop(self) -> None:
        """Stop everything and give the disks back."""
        for broker in self.brokers:
            if broker.process is not None and broker.process.poll() is None:
                broker.process.send_signal(signal.SIGCONT)
        await asyncio.gather(*(self.end(broker, signal.SIGKILL) for broker in self.brokers))
        for broker in self.brokers:
            await broker.proxy.stop()
            if broker.on_tmpfs:
                await asyncio.to_thread(_unmount, broker.folder.data)


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)


def _mounted(folder: Path) -> bool:
    """Give a folder a small disk of its own, if this user may."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0
