"""
Run the same Kafka, from the same folder, in a container.

The container is set up as the embedded broker is: same files, same data, same users. It differs in where it
sees the folder, and in that its clients' listener is bound inside the container and published on the loopback
interface alone. The port is the same inside and outside, so that the broker reaches itself at the address that it
tells its clients.
"""

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import docker
from docker.errors import DockerException, NotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from seamwork.broker.configuration import HOST, Node
from seamwork.broker.folder import Folder
from seamwork.broker.probe import AccessDenied, NotReady, probe
from seamwork.errors import MisconfiguredError
from seamwork.settings.kafka import KafkaAccess

IMAGE = "apache/kafka:4.1.1"

_SEEN_AT = Path("/seamwork-broker")
_CLASSPATH = "/opt/kafka/libs/*"
_READY_WITHIN_S = 180  # the first time, the image is fetched before
_POLL_S = 0.2


@dataclass(frozen=True)
class ContainerSpec:
    """
    A container as the daemon is asked for it.

    Attributes:
        name: The same for the same folder, so that a running one is found again.
        user: ``uid:gid`` of whoever runs it, who alone can read the folder.
        command: Formats the folder if need be, then becomes the broker.
        mount: The folder here, and where the container sees it.
        publish: The one port that is published, on the loopback interface.
    """

    name: str
    image: str
    user: str
    command: tuple[str, ...]
    mount: tuple[str, str]
    publish: tuple[str, int]


def container_spec(folder: Folder, node: Node) -> ContainerSpec:
    """Say which container runs the broker of *folder*."""
    place = PurePosixPath(_SEEN_AT)
    script = (
        f"if [ ! -e {place}/data/meta.properties ]; then java @{place}/format.args || exit 1; fi; "
        f"rm -f {place}/format.args; exec java @{place}/broker.args"
    )
    return ContainerSpec(
        name=container_name(folder),
        image=IMAGE,
        user=f"{os.getuid()}:{os.getgid()}",
        command=("sh", "-c", script),
        mount=(str(folder.root), str(place)),
        publish=(HOST, node.ports.client),
    )


def container_name(folder: Folder) -> str:
    """Return the name of the container that runs the broker of *folder*."""
    digest = hashlib.sha256(str(folder.home).encode()).hexdigest()[:12]
    return f"seamwork-broker-{digest}"


def daemon_answers() -> bool:
    """Whether there is a Docker daemon that we may use."""
    try:
        client = docker.from_env(timeout=3)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except DockerException:
        return False


class ContainerBroker:
    """A broker in a container, ready."""

    def __init__(self, admin: KafkaAccess, name: str) -> None:
        self.admin = admin
        self.name = name

    def stop(self) -> None:
        """Stop and remove the container; the folder keeps the data."""
        client = docker.from_env()
        try:
            container = client.containers.get(self.name)
            container.stop(timeout=30)
            container.remove()
        except NotFound:
            return
        finally:
            client.close()


def ensure_container(
    home: Path, *, port: int | None = None, admin: str = "seamwork-registrar", detach: bool = False
) -> ContainerBroker:
    """
    Return the broker of *home* in a container, starting it if it is not running.

    Raises:
        MisconfiguredError: The daemon refuses, or the broker does not become ready.
    """
    folder = Folder(home.resolve())
    folder.make()
    running = running_container(home, admin=admin)
    if running is not None:
        return running
    folder.take_for(IMAGE.rpartition(":")[2])
    node = folder.node(admin, port, seen_at=_SEEN_AT, bind="0.0.0.0")  # noqa: S104 (all of the container)
    folder.write_set_up(node, _CLASSPATH, seen_at=_SEEN_AT)
    if folder.needs_format():
        folder.write_format(node, _CLASSPATH, seen_at=_SEEN_AT)
    spec = container_spec(folder, node)
    try:
        _launch(spec, detach=detach)
    except DockerException as error:
        raise MisconfiguredError(
            f"Docker answers but would not run {spec.image} ({error}); mend that, or set SEAMWORK_BROKER=embedded "
            "to run Kafka without Docker"
        ) from error
    broker = ContainerBroker(_access(folder, admin), spec.name)
    _await_ready(broker, folder)
    return broker


def running_container(home: Path, *, admin: str = "seamwork-registrar") -> ContainerBroker | None:
    """Return the broker of *home* if it runs in a container, once it is ready; None if it does not."""
    folder = Folder(home.resolve())
    client = docker.from_env()
    try:
        container = client.containers.get(container_name(folder))
        if container.status != "running":
            container.remove(force=True)
            return None
    except NotFound:
        return None
    finally:
        client.close()
    broker = ContainerBroker(_access(folder, admin), container_name(folder))
    _await_ready(broker, folder)
    return broker


def _launch(spec: ContainerSpec, *, detach: bool) -> None:
    # A detached broker outlives us: testcontainers' reaper must not take it away.
    testcontainers_config.ryuk_disabled = detach or testcontainers_config.ryuk_disabled
    container = DockerContainer(spec.image).with_name(spec.name).with_command(list(spec.command))
    container.with_volume_mapping(*spec.mount, mode="rw").with_kwargs(user=spec.user)
    # An address beside the port, which Docker's client takes and the wrapper's type does not know.
    ports: dict[str, Any] = {f"{spec.publish[1]}/tcp": spec.publish}
    container.ports = ports
    container.start()


def _access(folder: Folder, admin: str) -> KafkaAccess:
    ports = folder.kept_ports()
    credential = folder.credentials.load(admin)
    if ports is None or credential is None:
        raise MisconfiguredError(
            f"a broker runs in container {container_name(folder)}, but its ports or the password of {admin} are "
            f"gone; remove the container, and restore {folder.root} or move it away"
        )
    return KafkaAccess(f"{HOST}:{ports.client}", credential.username, credential.password)


def _await_ready(broker: ContainerBroker, folder: Folder) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        try:
            probe(broker.admin)
        except NotReady:
            time.sleep(_POLL_S)
        except AccessDenied as error:
            raise MisconfiguredError(
                f"the broker in container {broker.name} refuses the password of {broker.admin.username} "
                f"(wrong-password): {folder.home / 'credentials'} does not belong to {folder.data}"
            ) from error
        else:
            return
    raise MisconfiguredError(
        f"the broker in container {broker.name} was not ready within {_READY_WITHIN_S} s; see "
        f"`docker logs {broker.name}` and {folder.log}"
    )
