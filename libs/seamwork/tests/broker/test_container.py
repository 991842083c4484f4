"""The container runs the embedded broker's set-up, seen from inside; its request is data."""

from pathlib import Path

import pytest

from seamwork.broker.configuration import server_properties
from seamwork.broker.container import IMAGE, ContainerSpec, container_name, container_spec
from seamwork.broker.folder import Folder

INSIDE = Path("/seamwork-broker")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Make a folder in a fresh home."""
    made = Folder(tmp_path / "home")
    made.make()
    return made


@pytest.fixture
def spec(folder: Folder) -> ContainerSpec:
    """Ask for the folder's container."""
    return container_spec(folder, folder.node("admin", None, seen_at=INSIDE, bind="0.0.0.0"))


def test_the_image_is_the_version_of_the_jars() -> None:
    """One Kafka, whichever rung: the data are the same."""
    assert "apache/kafka:4.1.1" == IMAGE


def test_the_port_is_published_on_the_loopback_interface_alone(folder: Folder, spec: ContainerSpec) -> None:
    """The same number inside and outside, because the broker calls itself there."""
    ports = folder.kept_ports()

    assert ports is not None
    assert ("127.0.0.1", ports.client) == spec.publish


def test_clients_arrive_inside_and_the_controller_stays_there(folder: Folder) -> None:
    """Only the clients' listener is bound to all of the container."""
    properties = server_properties(folder.node("admin", None, seen_at=INSIDE, bind="0.0.0.0"))
    ports = folder.kept_ports()

    assert ports is not None
    expected = f"CLIENT://0.0.0.0:{ports.client},CONTROLLER://127.0.0.1:{ports.controller}"
    assert expected == properties["listeners"]
    assert f"CLIENT://127.0.0.1:{ports.client}" == properties["advertised.listeners"]
    assert "/seamwork-broker/data" == properties["log.dirs"]


def test_the_folder_is_mounted_and_read_as_its_owner(folder: Folder, spec: ContainerSpec) -> None:
    """Nobody else could read it."""
    owner = folder.root.stat()

    assert (str(folder.root), str(INSIDE)) == spec.mount
    assert f"{owner.st_uid}:{owner.st_gid}" == spec.user


def test_no_password_is_in_the_request(folder: Folder, spec: ContainerSpec) -> None:
    """`docker inspect` shows the command to whoever may ask the daemon."""
    node = folder.node("admin", None)

    assert node.admin.password not in repr(spec)
    assert node.broker.password not in repr(spec)


def test_a_folder_has_one_container(tmp_path: Path) -> None:
    """Found again by its name; another folder's has another."""
    one, other = Folder(tmp_path / "one"), Folder(tmp_path / "other")

    assert container_name(one) == container_name(Folder(tmp_path / "one"))
    assert container_name(one) != container_name(other)


def test_the_files_speak_of_the_folder_as_the_container_sees_it(folder: Folder) -> None:
    """No path of this machine is in what the broker reads."""
    node = folder.node("admin", None, seen_at=INSIDE, bind="0.0.0.0")
    folder.write_set_up(node, "/opt/kafka/libs/*", seen_at=INSIDE)
    script = folder.write_format(node, "/opt/kafka/libs/*", seen_at=INSIDE)

    for path in (
        folder.arguments,
        folder.root / "server.properties",
        folder.root / "log4j2.properties",
        script,
    ):
        assert str(folder.home) not in path.read_text()
        assert str(INSIDE) in path.read_text()
