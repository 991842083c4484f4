"""The embedded broker is closed to whoever it does not know, and small."""

from pathlib import Path

import pytest

from seamwork.broker.configuration import (
    Node,
    Ports,
    argument_file,
    as_properties,
    jvm_options,
    log4j_properties,
    server_properties,
)
from seamwork.broker.secret import Credential


@pytest.fixture
def properties() -> dict[str, str]:
    """Configure some node."""
    return server_properties(
        Node(
            Ports(9092, 9093),
            Path("/data"),
            Credential("seamwork-registrar", "p1"),
            Credential("broker", "p2"),
        )
    )


def test_every_listener_authenticates(properties: dict[str, str]) -> None:
    """No listener is plain, and each accepts one mechanism."""
    protocols = dict(pair.split(":") for pair in properties["listener.security.protocol.map"].split(","))
    listeners = {listener.partition("://")[0] for listener in properties["listeners"].split(",")}

    assert {"SASL_PLAINTEXT"} == set(protocols.values())
    assert listeners == set(protocols)
    assert "SCRAM-SHA-512" == properties["listener.name.client.sasl.enabled.mechanisms"]
    assert "PLAIN" == properties["listener.name.controller.sasl.enabled.mechanisms"]


def test_only_the_loopback_interface_is_listened_on(properties: dict[str, str]) -> None:
    """Passwords travel in clear on the controller's listener: they must not leave the machine."""
    for name in ("listeners", "advertised.listeners"):
        for listener in properties[name].split(","):
            assert "127.0.0.1" == listener.split("//")[1].rpartition(":")[0]


def test_what_no_acl_allows_is_denied(properties: dict[str, str]) -> None:
    """An authorizer, two super users by name, and nobody anonymous among them."""
    assert properties["authorizer.class.name"].endswith("StandardAuthorizer")
    assert "false" == properties["allow.everyone.if.no.acl.found"]
    assert "User:seamwork-registrar;User:broker" == properties["super.users"]


def test_nothing_comes_into_being_by_being_named(properties: dict[str, str]) -> None:
    """Topics come from the topic files alone."""
    assert "false" == properties["auto.create.topics.enable"]


def test_the_metadata_version_is_left_alone(properties: dict[str, str]) -> None:
    """Neither the set-up nor a start raises it; the format of a new folder takes Kafka's own."""
    assert not [name for name in properties if "metadata.version" in name or "feature" in name]


def test_a_path_with_a_backslash_survives_java() -> None:
    """In a properties file a backslash escapes; doubled it is itself."""
    assert "log.dirs=C:\\\\data\n" == as_properties({"log.dirs": "C:\\data"})


@pytest.mark.parametrize(
    ("path", "written"),
    [("/josé", "/jos\\u00e9"), ("/默认", "/\\u9ed8\\u8ba4"), ("/😀", "/\\ud83d\\ude00"), ("/a b", "/a b")],
)
def test_a_path_of_any_script_survives_java(path: str, written: str) -> None:
    """It reads these files as Latin-1: what is beyond ASCII would name another folder, and data go there."""
    assert f"log.dirs={written}\n" == as_properties({"log.dirs": path})


def test_arguments_with_spaces_and_quotes_survive_the_launcher() -> None:
    """One quoted argument a line, in their order."""
    assert '"-cp"\n"/a b/\\"c\\".jar"\n' == argument_file(("-cp", '/a b/"c".jar'))


def test_the_log_is_bounded() -> None:
    """A broker that runs for weeks does not fill the disk with its log."""
    text = log4j_properties(Path("/logs/broker.log"))

    assert "appender.file.fileName=/logs/broker.log\n" in text
    assert "appender.file.policies.size.size=20MB\n" in text
    assert "appender.file.strategy.max=3\n" in text


def test_the_heap_is_bounded() -> None:
    """A laptop keeps its memory."""
    assert "-Xmx512m" in jvm_options()
