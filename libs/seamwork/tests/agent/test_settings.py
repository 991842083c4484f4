import base64
from pathlib import Path
from typing import Any

import pytest

from seamwork.agent.settings import AgentSettings, render
from seamwork.errors import MisconfiguredError

SEED = base64.b64encode(bytes(range(32))).decode()
PUBLIC = base64.b64encode(bytes(range(32, 64))).decode()


def write(folder: Path, name: str = "parser", **changes: str) -> Path:
    """Write an agent's files as `seamwork agents add` does."""
    folder.mkdir(parents=True, exist_ok=True)
    given: dict[str, Any] = {
        "name": name, "platform": "p-1", "prefix": "seamwork", "kid": f"{name}-1", "key_file": f"{name}.key",
        "bootstrap": "127.0.0.1:9092", "username": f"seamwork-agent-{name}", "password": 'pass"word\\',
        "protocol": "SASL_PLAINTEXT", "mechanism": "SCRAM-SHA-512", **changes,
    }  # fmt: skip
    text = render(**given, router_keys={"router-1": PUBLIC})
    for path, content in ((folder / f"{name}.key", SEED), (folder / f"{name}.toml", text)):
        path.touch(mode=0o600)
        path.write_text(content)
    return folder / f"{name}.toml"


def test_what_is_rendered_is_read(tmp_path: Path) -> None:
    """The file that `agents add` writes is the file that the SDK reads."""
    settings = AgentSettings.from_file(write(tmp_path))

    assert ("parser", "p-1", "seamwork") == (settings.name, settings.platform, settings.prefix)
    assert ("seamwork-agent-parser", 'pass"word\\') == (settings.kafka.username, settings.kafka.password)
    assert ("parser-1", {"router-1": PUBLIC}) == (settings.key.kid, settings.router_keys)
    assert "pass" not in repr(settings)


def test_settings_are_found_by_the_agents_name(tmp_path: Path) -> None:
    """Under the home, in the one platform that has the agent."""
    write(tmp_path / "demo" / "agents")

    found = AgentSettings.load("parser", {"SEAMWORK_HOME": str(tmp_path), "SEAMWORK_AGENT_CONCURRENCY": "3"})

    assert ("parser", 3) == (found.name, found.concurrency)


def test_a_password_may_lie_in_a_file_of_its_own(tmp_path: Path) -> None:
    """As a mounted secret does, beside the settings; its line's end is not part of it."""
    path = write(tmp_path, password="in the file below")
    (tmp_path / "kafka-password").touch(mode=0o600)
    (tmp_path / "kafka-password").write_text("correct horse\n")
    path.write_text(path.read_text().replace("[kafka]\n", '[kafka]\npassword_file = "kafka-password"\n'))

    assert "correct horse" == AgentSettings.from_file(path).kafka.password


def test_one_of_two_platforms_must_be_named(tmp_path: Path) -> None:
    """Nothing is guessed."""
    write(tmp_path / "blue" / "agents")
    write(tmp_path / "green" / "agents", platform="p-2")
    home = {"SEAMWORK_HOME": str(tmp_path)}

    with pytest.raises(MisconfiguredError, match="takes part in blue, green; set SEAMWORK_PLATFORM"):
        AgentSettings.load("parser", home)
    assert "p-2" == AgentSettings.load("parser", {**home, "SEAMWORK_PLATFORM": "green"}).platform


def test_what_a_restore_has_not_finished_is_no_platform(tmp_path: Path) -> None:
    """It lies beside the platforms, with agents of the same names, while it is filled or after it was killed."""
    write(tmp_path / "blue" / "agents")
    write(tmp_path / ".blue-k3j2x_7a" / "agents", platform="p-2")

    assert "p-1" == AgentSettings.load("parser", {"SEAMWORK_HOME": str(tmp_path)}).platform


def test_settings_come_from_variables_too(tmp_path: Path) -> None:
    """A container has no file but the key."""
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text(SEED + "\n")
    environ = {
        "SEAMWORK_AGENT_KEY_FILE": str(key), "SEAMWORK_AGENT_KID": "parser-1",
        "SEAMWORK_AGENT_ROUTER_KEYS": f"router-1={PUBLIC}, router-2 = {SEED},", "SEAMWORK_PLATFORM_ID": "p-1",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "SEAMWORK_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
    }  # fmt: skip

    settings = AgentSettings.load("parser", environ)

    assert {"router-1": PUBLIC, "router-2": SEED} == settings.router_keys
    assert ("parser", "kafka:9092") == (settings.name, settings.kafka.bootstrap)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"SEAMWORK_AGENT_CONCURENCY": "3"}, "did you mean SEAMWORK_AGENT_CONCURRENCY"),
        ({"SEAMWORK_AGENT_CONCURRENCY": "many"}, "SEAMWORK_AGENT_CONCURRENCY is not a number"),
        ({"SEAMWORK_AGENT_CONCURRENCY": "0"}, "concurrency must be at least 1"),
        ({"SEAMWORK_AGENT_HEARTBEAT_MS": "60001"}, "heartbeat_ms must be at most 60000"),
        ({"SEAMWORK_AGENT_GRACE_S": "nan"}, "grace_s must be at least 0"),
    ],
    ids=["misspelt", "no-number", "too-few", "too-seldom", "not-a-number"],
)
def test_a_variable_that_means_nothing_is_refused(
    tmp_path: Path, environ: dict[str, str], words: str
) -> None:
    """A misspelt setting is an error and never silently nothing."""
    file = write(tmp_path)

    with pytest.raises(MisconfiguredError, match=words):
        AgentSettings.load("parser", {"SEAMWORK_AGENT_SETTINGS": str(file), **environ})


def test_another_agents_settings_are_refused(tmp_path: Path) -> None:
    """One agent never signs as another by mistake."""
    file = write(tmp_path, "extractor")

    with pytest.raises(
        MisconfiguredError, match="the settings of agent extractor, and the program is agent parser"
    ):
        AgentSettings.load("parser", {"SEAMWORK_AGENT_SETTINGS": str(file)})


@pytest.mark.parametrize("name", ["parser.key", "parser.toml"])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, name: str) -> None:
    """The message says how to mend it."""
    file = write(tmp_path)
    (tmp_path / name).chmod(0o644)

    with pytest.raises(MisconfiguredError, match="run `chmod 600"):
        AgentSettings.from_file(file)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("[router_keys]", "[other]", r"the table \[router_keys\] is missing"),
        ("platform = ", "plattform = ", "unknown setting agent.plattform"),
        ('bootstrap = "127.0.0.1:9092"', "", "bootstrap is missing"),
        ("[agent]", "[agent", "is not TOML"),
        ("[agent]", '[agent]\nconcurrency = "16"', "concurrency must be a whole number"),
        ("[agent]", "[agent]\nheartbeat_ms = true", "heartbeat_ms must be a whole number"),
        ("[agent]", '[agent]\ngrace_s = "20"', "grace_s must be a number"),
        ('prefix = "seamwork"', "prefix = 5", "prefix is missing or is not a text"),
        (PUBLIC, PUBLIC[:-4], "the router's key 'router-1' is no public key"),
        (PUBLIC, "none!", "the router's key 'router-1' is no public key"),
    ],
    ids=[
        "no-router-keys",
        "misspelt",
        "no-bootstrap",
        "no-toml",
        "a-number-as-text",
        "a-boolean",
        "seconds-as-text",
        "a-prefix-that-is-none",
        "a-short-key",
        "no-base64",
    ],
)
def test_a_file_that_says_too_little_or_too_much_is_refused(
    tmp_path: Path, before: str, after: str, words: str
) -> None:
    """The message names the file and the setting."""
    file = write(tmp_path)
    file.write_text(file.read_text().replace(before, after))

    with pytest.raises(MisconfiguredError, match=words):
        AgentSettings.from_file(file)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """An editor that writes Latin-1 is named by what it left behind."""
    file = write(tmp_path)
    file.write_bytes(b"# K\xfcche\n" + file.read_bytes())

    with pytest.raises(MisconfiguredError, match=r"parser.toml is not text in UTF-8"):
        AgentSettings.from_file(file)


@pytest.mark.parametrize("content", [b"not a key", bytes(range(224, 256))], ids=["no-base64", "its-bytes"])
def test_a_key_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    """Its content is not shown."""
    file = write(tmp_path)
    (tmp_path / "parser.key").write_bytes(content)

    with pytest.raises(MisconfiguredError, match=r"parser.key is not a private key \(32 bytes as base64\)"):
        AgentSettings.from_file(file)


def test_an_agent_without_settings_is_told_where_they_come_from(tmp_path: Path) -> None:
    """The first thing that a new author sees."""
    with pytest.raises(MisconfiguredError, match="bring it in with `seamwork agents add`"):
        AgentSettings.load("parser", {"SEAMWORK_HOME": str(tmp_path)})
