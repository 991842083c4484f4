"""A broker's folder keeps what must stay the same, and gives up what need not."""

import os
import socket
from pathlib import Path

import pytest

from seamwork.broker.configuration import HOST
from seamwork.broker.folder import Folder, cluster_id
from seamwork.errors import MisconfiguredError


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Make a folder in a fresh home."""
    made = Folder(tmp_path / "home")
    made.make()
    return made


def test_the_folder_is_its_owners(folder: Folder) -> None:
    """Data and logs hold what people wrote."""
    assert 0o700 == folder.root.stat().st_mode & 0o777


def test_ports_and_passwords_are_remembered(folder: Folder) -> None:
    """The second start is the first one again."""
    assert folder.node("admin", None) == folder.node("admin", None)


def test_no_cluster_id_reads_as_an_option() -> None:
    """Of random ids one in 64 would begin with a hyphen, and its platform could not be made."""
    ids = [cluster_id(bytes([first]) + bytes(15)) for first in range(256)]

    assert not [each for each in ids if each.startswith("-")]
    assert {22} == {len(each) for each in ids}


def test_a_port_can_be_asked_for(folder: Folder) -> None:
    """And is then remembered, too."""
    asked = folder.node("admin", None).ports.client

    assert asked == folder.node("admin", asked).ports.client
    assert asked == folder.node("admin", None).ports.client


def test_the_two_ports_differ(folder: Folder) -> None:
    """Even if clients ask for the port that the controller had."""
    controller = folder.node("admin", None).ports.controller
    ports = folder.node("admin", controller).ports

    assert controller == ports.client
    assert ports.client != ports.controller


def test_a_port_in_use_is_not_taken(folder: Folder) -> None:
    """A remembered port is replaced, one that was asked for is an error."""
    before = folder.node("admin", None).ports
    with socket.socket() as other:
        other.bind((HOST, before.client))
        other.listen()

        assert before.client != folder.node("admin", None).ports.client
        with pytest.raises(MisconfiguredError, match="port-taken"):
            folder.node("admin", before.client)


@pytest.mark.parametrize(
    "note",
    [
        "", "{", "[]", '{"client": 1}', '{"client": "x", "controller": 2}', '{"client": 70000, "controller": 1}',
        '{"client": 0, "controller": 0}', '{"client": -1, "controller": 2}', '{"client": Infinity, "controller": 1}'
    ],
)  # fmt: skip
def test_a_damaged_note_of_ports_costs_only_the_ports(folder: Folder, note: str) -> None:
    """New ones are chosen; nothing else is lost."""
    folder.ports.write_text(note)

    assert None is folder.kept_ports()
    assert folder.node("admin", None).ports == folder.kept_ports()


@pytest.mark.parametrize(
    "left", [(), ("bootstrap.checkpoint.tmp",), ("bootstrap.checkpoint", "meta.properties.tmp")]
)
def test_an_interrupted_format_is_begun_again(folder: Folder, left: tuple[str, ...]) -> None:
    """A folder without meta.properties holds nothing but the format's own leavings, wherever it was cut off."""
    folder.data.mkdir()
    for name in left:
        (folder.data / name).write_bytes(b"half")

    assert folder.needs_format()
    assert not folder.data.exists()


def test_formatted_data_are_left_alone(folder: Folder) -> None:
    """Their metadata version is never raised by a start."""
    folder.data.mkdir()
    (folder.data / "meta.properties").write_text("version=1\n")

    assert not folder.needs_format()


def test_passwords_that_a_crash_left_behind_are_removed(folder: Folder) -> None:
    """The data were made, and what made them was to be thrown away."""
    folder.write_format(folder.node("admin", None), "/jars/a.jar")
    folder.data.mkdir()
    (folder.data / "meta.properties").write_text("version=1\n")

    assert not folder.needs_format()
    assert not folder.format.exists()


def test_somebody_elses_files_are_left_alone(folder: Folder) -> None:
    """And the operator is told."""
    folder.data.mkdir()
    (folder.data / "thesis.txt").write_text("years of work")

    with pytest.raises(MisconfiguredError, match="foreign-data"):
        folder.needs_format()

    assert (folder.data / "thesis.txt").exists()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_what_holds_passwords_is_its_owners(folder: Folder) -> None:
    """Set-up and format script hold them in clear."""
    node = folder.node("admin", None)
    folder.write_set_up(node, "/jars/a.jar")
    script = folder.write_format(node, "/jars/a.jar")

    for path in (folder.root / "server.properties", script, folder.secret):
        assert 0o600 == path.stat().st_mode & 0o777
        assert node.broker.password in path.read_text()
    assert node.broker.password not in folder.arguments.read_text()


def test_the_last_log_is_set_aside(folder: Folder) -> None:
    """So that a cause is never read from an earlier start."""
    folder.log.write_text("No space left on device")

    folder.write_set_up(folder.node("admin", None), "/jars/a.jar")

    assert not folder.log.exists()
    assert "No space left on device" == folder.log.with_suffix(".log.before").read_text()


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the way is the operator's to move."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(MisconfiguredError, match="SEAMWORK_HOME"):
        Folder(tmp_path / "file").make()


def test_data_of_a_newer_kafka_are_refused_with_the_way_out(folder: Folder) -> None:
    """A newer Kafka may run on older data, never the other way round; what no note is of is taken as it is."""
    folder.data.mkdir()
    folder.take_for("4.1.1")
    folder.take_for("4.10.0")

    with pytest.raises(MisconfiguredError, match=r"newer-data.*use the Seamwork that ran on it"):
        folder.take_for("4.1.1")
    assert "4.10.0\n" == folder.kafka.read_text()
