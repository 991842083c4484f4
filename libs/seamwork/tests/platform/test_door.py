"""The way into a platform is found wherever it runs, and whoever cannot go it is told why and what to do."""

from pathlib import Path

import pytest

from seamwork.broker.principal import agent
from seamwork.broker.secret import Credential
from seamwork.errors import MisconfiguredError
from seamwork.platform.audit import Audit
from seamwork.platform.door import Door
from seamwork.platform.founded import Founded, read_founded, write_founded
from seamwork.platform.home import PlatformHome
from seamwork.testing.clock import SettableClock

FOUNDED = Founded(
    bootstrap="kafka.example:9094", protocol="SASL_SSL", mechanism="SCRAM-SHA-512", ca_file="/etc/ca.crt",
    replication=3, furnished=False,
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformHome:
    """Make a platform that was founded at another Kafka, in an environment that names none."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "SEAMWORK_AUDIT_URL"):
        monkeypatch.delenv(name, raising=False)
    made = PlatformHome(tmp_path / "prod")
    made.ensure(SettableClock(), prefix="seamwork", partitions=12)
    write_founded(made.founded_file, FOUNDED)
    return made


def test_a_founded_platform_is_spoken_to_where_it_was_founded(home: PlatformHome) -> None:
    """Nothing runs here, and each principal has the password that was kept for it."""
    home.credentials.keep(Credential("seamwork-people", "old"))
    home.credentials.keep(Credential("seamwork-people", "secret"))
    door = Door.of(home)
    access = door.access("people")

    assert FOUNDED == door.founded
    assert (12, 3) == (door.identity.partitions, door.replication)
    assert ("kafka.example:9094", "seamwork-people", "secret") == (
        access.bootstrap, access.username, access.password,
    )  # fmt: skip
    assert ("SASL_SSL", Path("/etc/ca.crt")) == (access.protocol, access.ca_file)


def test_what_this_machine_runs_needs_no_note(tmp_path: Path) -> None:
    """And whoever asks for it before it runs is told to start it."""
    home = PlatformHome(tmp_path / "default")
    home.ensure(SettableClock(), prefix="seamwork", partitions=1)

    assert read_founded(home.founded_file) is None
    with pytest.raises(MisconfiguredError, match="start it with `seamwork up`"):
        Door.of(home)


def test_a_password_that_is_not_here_is_asked_for(home: PlatformHome) -> None:
    """By the command that keeps it, with the user's name as the cluster knows it."""
    door = Door.of(home)

    with pytest.raises(
        MisconfiguredError,
        match=r"`seamwork deploy credential people --platform prod`.* user seamwork-people",
    ):
        door.access("people")
    with pytest.raises(MisconfiguredError, match="credential agent-operator"):
        door.agent_settings("operator")


async def test_who_makes_topics_is_named_or_nothing_is_made(home: PlatformHome) -> None:
    """Where they are ours to make the registrar must be given; where they are not, only agents are looked for."""
    ours = Founded(
        **{name: getattr(FOUNDED, name) for name in FOUNDED.__struct_fields__} | {"furnished": True}
    )
    write_founded(home.founded_file, ours)

    with pytest.raises(
        MisconfiguredError, match=r"kafka\.example:9094.*KAFKA_BOOTSTRAP_SERVERS.*deploy found"
    ):
        await Door.of(home).furnish([agent("parser")])

    write_founded(home.founded_file, FOUNDED)
    with pytest.raises(MisconfiguredError, match="credential agent-parser"):
        await Door.of(home).furnish([agent("parser")])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"bootstrap": 1}', "{" * 100_000])
def test_a_damaged_note_is_no_platform_of_this_machine(home: PlatformHome, text: str) -> None:
    """Else `up` would begin a second one under the same keys."""
    home.founded_file.write_text(text, encoding="utf-8")

    with pytest.raises(MisconfiguredError, match=r"founded\.json"):
        Door.of(home)


def test_the_record_of_a_founded_platform_is_where_somebody_says(
    home: PlatformHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can guess it."""
    door = Door.of(home)
    with pytest.raises(MisconfiguredError, match="port-forward"):
        Audit.of(door)
    monkeypatch.setenv("SEAMWORK_AUDIT_URL", "localhost:8080")
    with pytest.raises(MisconfiguredError, match="no address"):
        Audit.of(door)
    monkeypatch.setenv("SEAMWORK_AUDIT_URL", "http://127.0.0.1:1/")
    with pytest.raises(MisconfiguredError, match="does not answer"):
        Audit.of(door).positions()
