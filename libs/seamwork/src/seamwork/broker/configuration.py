"""
Say how the embedded broker is set up, as data.

One node is broker and controller. Everybody, the broker itself included, is authenticated: clients by
SCRAM-SHA-512 on the CLIENT listener, the broker towards its own controller by SASL/PLAIN with a password of
its own, which no client listener accepts. Nobody is anonymous, and what no ACL allows is denied. Both
listeners are bound to the loopback interface.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seamwork.broker.secret import Credential

HOST = "127.0.0.1"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


@dataclass(frozen=True)
class Ports:
    """Where clients connect, and where the broker meets its controller."""

    client: int
    controller: int


@dataclass(frozen=True)
class Node:
    """
    All that makes one broker of ours differ from another.

    Attributes:
        ports: Of its two listeners.
        data: Kafka's log directory, as the broker sees it.
        admin: The super user.
        broker: The broker itself, towards its controller and as its own client.
        bind: Where clients' connections arrive: the loopback interface, or all of a container.
    """

    ports: Ports
    data: Path
    admin: Credential
    broker: Credential
    bind: str = HOST


def server_properties(node: Node) -> dict[str, str]:
    """Return the broker's properties. They hold secrets: write them with `write_private`."""
    client = f"{HOST}:{node.ports.client}"
    controller = f"{HOST}:{node.ports.controller}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        # A static voter: the port may be another after a restart, which a recorded one may not.
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"CLIENT://{node.bind}:{node.ports.client},CONTROLLER://{controller}",
        "advertised.listeners": f"CLIENT://{client}",
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENT",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": _login(_SCRAM, node.broker),
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": _login(
            _PLAIN, node.broker, accepts=(node.broker,)
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{node.admin.username};User:{node.broker.username}",
        "auto.create.topics.enable": "false",
        "log.dirs": str(node.data),
        # One node holds every replica there is.
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # A laptop's groups have one member: waiting for more only delays the start.
        "group.initial.rebalance.delay.ms": "0",
        # Lets a test fence an owner within a second or two.
        "group.min.session.timeout.ms": "1000",
        # 4 cleaner buffers of 128 MB would not fit a heap of 512 MB; one of 16 MB serves.
        "log.cleaner.threads": "1",
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        # Index files are mapped at full size: 10 MB for each of hundreds of small partitions is waste.
        "log.index.size.max.bytes": str(1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
        # Positions are kept by journals; those of groups outlive a long holiday.
        "offsets.retention.minutes": str(60 * 24 * 60),
    }


def as_properties(properties: Mapping[str, str]) -> str:
    """
    Write properties as Java reads them.

    A backslash would start an escape, so it is doubled. The file is read as Latin-1, whatever the machine speaks,
    so every other character is escaped (``java.util.Properties.load``).
    """
    return "".join(f"{name}={_escaped(value)}\n" for name, value in properties.items())


def log4j_properties(log_file: Path) -> str:
    """Return the logging set-up: one file, rolled at 20 MB, three kept."""
    return as_properties(
        {
            "status": "ERROR",
            "appender.file.type": "RollingFile",
            "appender.file.name": "file",
            "appender.file.fileName": str(log_file),
            "appender.file.filePattern": f"{log_file}.%i",
            "appender.file.layout.type": "PatternLayout",
            "appender.file.layout.pattern": "%d{ISO8601} %p %m (%c)%n",
            "appender.file.policies.type": "Policies",
            "appender.file.policies.size.type": "SizeBasedTriggeringPolicy",
            "appender.file.policies.size.size": "20MB",
            "appender.file.strategy.type": "DefaultRolloverStrategy",
            "appender.file.strategy.max": "3",
            "rootLogger.level": "INFO",
            "rootLogger.appenderRef.file.ref": "file",
        }
    )


def jvm_options(*, heap_mb: int = 512) -> tuple[str, ...]:
    """Return the options of a JVM that starts fast and stays small on a laptop."""
    return (
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Dfile.encoding=UTF-8",
    )


def argument_file(arguments: tuple[str, ...]) -> str:
    """
    Write a launcher's arguments as an ``@file``, so that a process list never shows a password.

    Args:
        arguments: In their order, the main class among them.
    """
    quoted = (argument.replace("\\", "\\\\").replace('"', '\\"') for argument in arguments)
    return "".join(f'"{argument}"\n' for argument in quoted)


def _escaped(value: str) -> str:
    """Escape a value; beyond the first 65,536 characters an escape names half of one, as UTF-16 does."""
    doubled = value.replace("\\", "\\\\")
    return "".join(one if one.isascii() else _units(one) for one in doubled)


def _units(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2]):04x}" for at in range(0, len(units), 2))


def _login(module: str, credential: Credential, *, accepts: tuple[Credential, ...] = ()) -> str:
    users = "".join(f' user_{user.username}="{user.password}"' for user in accepts)
    return f'{module} required username="{credential.username}" password="{credential.password}"{users};'
