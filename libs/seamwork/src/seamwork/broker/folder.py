"""
Keep what one broker of ours needs on disk: data, ports, secrets, set-up, logs.

The broker may see the folder elsewhere than we do, in a container; *seen_at* says where.
"""

import base64
import json
import secrets
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seamwork.broker.configuration import (
    HOST,
    Node,
    Ports,
    argument_file,
    as_properties,
    jvm_options,
    log4j_properties,
    server_properties,
)
from seamwork.broker.secret import Credential, CredentialStore, new_password, read_private, write_private
from seamwork.errors import MisconfiguredError

_FREE_BYTES = 200 * 1024 * 1024  # what a first start writes, and some room to work
_BROKER_USER = "broker"
_FORMAT_HEAP_MB = 128
_PORTS = range(1, 65536)
# What Kafka's format writes before meta.properties, each under a name of its own until it is whole.
_FORMATS_OWN = frozenset({"bootstrap.checkpoint", "bootstrap.checkpoint.tmp", "meta.properties.tmp"})


@dataclass(frozen=True)
class Folder:
    """Where one broker keeps its things, below a platform's home."""

    home: Path

    @property
    def root(self) -> Path:
        """The broker's own folder."""
        return self.home / "broker"

    @property
    def data(self) -> Path:
        """Kafka's log directory."""
        return self.root / "data"

    @property
    def log(self) -> Path:
        """What Kafka logs."""
        return self.root / "logs" / "broker.log"

    @property
    def console(self) -> Path:
        """What the JVM prints, when it has something to say."""
        return self.root / "logs" / "console.log"

    @property
    def arguments(self) -> Path:
        """The launcher's arguments; the file's path marks the process as ours."""
        return self.root / "broker.args"

    @property
    def properties(self) -> Path:
        """How the broker is set up, with passwords in it."""
        return self.root / "server.properties"

    @property
    def format(self) -> Path:
        """The launcher's arguments that format the data folder; there only while that is done."""
        return self.root / "format.args"

    @property
    def pid(self) -> Path:
        """The id of the JVM's process."""
        return self.root / "broker.pid"

    @property
    def kafka(self) -> Path:
        """Which Kafka wrote the data last."""
        return self.root / "kafka.version"

    @property
    def ports(self) -> Path:
        """The ports, remembered over restarts."""
        return self.root / "ports.json"

    @property
    def secret(self) -> Path:
        """The broker's own password, with which it meets its controller."""
        return self.root / "secret.json"

    @property
    def credentials(self) -> CredentialStore:
        """The passwords of the platform's principals."""
        return CredentialStore(self.home / "credentials")

    def make(self) -> None:
        """
        Make the folder, and see that there is room in it.

        Raises:
            MisconfiguredError: It cannot be made, or the disk is full.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.log.parent.mkdir(exist_ok=True)
            free = shutil.disk_usage(self.root).free
        except OSError as error:
            raise MisconfiguredError(
                f"the broker's folder {self.root} cannot be made ({error.strerror}); point SEAMWORK_HOME to a "
                "folder that you may write"
            ) from error
        if free < _FREE_BYTES:
            raise MisconfiguredError(
                f"the disk of {self.root} has {free // 1024**2} MB left and the broker needs "
                f"{_FREE_BYTES // 1024**2} (disk-full); free some space, or point SEAMWORK_HOME to another disk"
            )

    def node(self, admin: str, port: int | None, *, seen_at: Path | None = None, bind: str = HOST) -> Node:
        """
        Choose what makes this broker itself: ports as before where they are free, passwords as before.

        Args:
            admin: The super user's name.
            port: For clients, if a certain one is wanted.
            seen_at: Where the broker sees this folder; here unless given.
            bind: The address that clients' connections arrive at.
        """
        (credential,) = self.credentials.ensure([admin])
        kept = read_private(self.secret)
        if kept is None:
            kept = {"password": new_password()}
            write_private(self.secret, json.dumps(kept) + "\n")
        return Node(
            ports=self._choose_ports(port),
            data=(seen_at or self.root) / "data",
            admin=credential,
            broker=Credential(_BROKER_USER, str(kept["password"])),
            bind=bind,
        )

    def write_set_up(
        self, node: Node, classpath: str, *, seen_at: Path | None = None, options: Sequence[str] = ()
    ) -> None:
        """
        Write what the broker reads when it starts, and set the last start's log aside.

        *options* are further ones of its JVM.
        """
        place = seen_at or self.root
        # Kept for who comes to look; the cause of a failure is read from this start's alone.
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.before"))
        write_private(self.properties, as_properties(server_properties(node)))
        logging = log4j_properties(place / "logs" / "broker.log")
        (self.root / "log4j2.properties").write_text(logging, encoding="utf-8")
        arguments = (
            *jvm_options(),
            *options,
            f"-Dlog4j2.configurationFile={(place / 'log4j2.properties').as_uri()}",
            "-cp",
            classpath,
            "kafka.Kafka",
            str(place / "server.properties"),
        )
        self.arguments.write_text(argument_file(arguments), encoding="utf-8")

    def take_for(self, kafka: str) -> None:
        """
        Note that the Kafka of this version is about to run on the data.

        Its ``metadata.version`` is never raised unasked, so a newer Kafka runs on older data. The other way
        round it may find what it cannot read.

        Raises:
            MisconfiguredError: A newer Kafka has run on them.
        """
        kept = self.kafka.read_text(encoding="ascii").strip() if self.kafka.exists() else ""
        if self.data.exists() and _numbers(kept) > _numbers(kafka):
            raise MisconfiguredError(
                f"Kafka {kept} wrote {self.data}, and this release brings Kafka {kafka} (newer-data): use the "
                "Seamwork that ran on it, or a later one, or restore a backup from before"
            )
        if kept != kafka:
            self.kafka.write_text(f"{kafka}\n", encoding="ascii")

    def needs_format(self) -> bool:
        """
        Whether there are no data yet; what an interrupted format left behind is removed.

        Raises:
            MisconfiguredError: There are files that are no broker's.
        """
        if (self.data / "meta.properties").exists():
            self.format.unlink(missing_ok=True)  # a crash may have left it, and there are passwords in it
            return False
        if self.data.exists():
            # meta.properties is written last: without one, nothing was ever stored but the format's own files.
            strangers = [path.name for path in self.data.iterdir() if path.name not in _FORMATS_OWN]
            if strangers:
                raise MisconfiguredError(
                    f"{self.data} holds files but no meta.properties, so it is no broker's data (foreign-data); "
                    "move it away, or point SEAMWORK_HOME to another folder"
                )
            shutil.rmtree(self.data)
        return True

    def write_format(
        self, node: Node, classpath: str, *, seen_at: Path | None = None, options: Sequence[str] = ()
    ) -> Path:
        """Write the launcher's arguments that format the data folder, passwords included; remove them after."""
        cluster = cluster_id(secrets.token_bytes(16))
        arguments = [
            *jvm_options(heap_mb=_FORMAT_HEAP_MB),
            *options,
            "-cp",
            classpath,
            "kafka.tools.StorageTool",
            "format",
        ]
        arguments += ["--config", str((seen_at or self.root) / "server.properties"), "--cluster-id", cluster]
        for user in (node.admin, node.broker):
            arguments += ["--add-scram", f"SCRAM-SHA-512=[name={user.username},password={user.password}]"]
        write_private(self.format, argument_file(tuple(arguments)))
        return self.format

    def kept_ports(self) -> Ports | None:
        """Return the ports of the last start; a lost or damaged note costs only their constancy."""
        try:
            kept = json.loads(self.ports.read_text(encoding="ascii"))
            client, controller = int(kept["client"]), int(kept["controller"])
        except (FileNotFoundError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None
        return Ports(client, controller) if client in _PORTS and controller in _PORTS else None

    def _choose_ports(self, asked: int | None) -> Ports:
        if asked is not None and not _is_free(asked):
            raise MisconfiguredError(
                f"port {asked} on {HOST} is taken by another program (port-taken); give another, or none to have "
                "one chosen"
            )
        kept = self.kept_ports()
        client = asked or (kept.client if kept and _is_free(kept.client) else _free_port())
        free = kept is not None and kept.controller != client and _is_free(kept.controller)
        controller = kept.controller if kept is not None and free else _free_port(other_than=client)
        note = json.dumps({"client": client, "controller": controller}) + "\n"
        self.ports.write_text(note, encoding="ascii")
        return Ports(client, controller)


def cluster_id(random: bytes) -> str:
    """
    Name a cluster, as Kafka writes its ids: 16 bytes in base64 for URLs, without padding.

    The first bit is cleared, so that no id begins with a hyphen, which the format tool takes for another option.
    """
    return base64.urlsafe_b64encode(bytes([random[0] & 0x7F]) + random[1:]).decode("ascii").rstrip("=")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port(other_than: int | None = None) -> int:
    while True:
        with socket.socket() as tried:
            tried.bind((HOST, 0))
            port = int(tried.getsockname()[1])
        if port != other_than:
            return port
