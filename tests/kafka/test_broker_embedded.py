"""The embedded broker starts, stays, stops and fails as it should; these tests have a broker of their own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from seamwork.broker.configuration import HOST
from seamwork.broker.embedded import BrokerHandle, ensure_broker, running_broker
from seamwork.broker.folder import Folder
from seamwork.broker.principal import standing, topic_name
from seamwork.broker.registrar import Registrar
from seamwork.broker.secret import write_private
from seamwork.errors import MisconfiguredError

WITHIN_S = 30.0
START = """
import sys
from pathlib import Path
from seamwork.broker.embedded import ensure_broker
handle = ensure_broker(Path(sys.argv[1]), detach=sys.argv[2] == "detached")
print(handle.pid, handle.bootstrap, flush=True)
if sys.argv[2] == "attached":
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home whose broker ran once and holds one record, so that each test need not."""
    home = tmp_path_factory.mktemp("prepared")
    with ensure_broker(home) as broker:
        Registrar(broker.admin, prefix="seamwork").furnish(standing(), broker.folder.credentials)
        producer = Producer({**broker.admin.confluent(), "log_level": 0})
        producer.produce(topic_name("seamwork", "handoffs.v1"), b"kept", b"key", 0)
        assert 0 == producer.flush(WITHIN_S)
    return home


@pytest.fixture
def home(prepared: Path, tmp_path: Path) -> Iterator[Path]:
    """Copy the prepared home; whatever runs on the copy at the end is stopped."""
    copy = tmp_path / "home"
    shutil.copytree(prepared, copy)
    # The copied notes are about the copied place.
    (Folder(copy).ports).unlink()
    yield copy
    pid = pid_of(copy)
    if pid is not None:
        BrokerHandle(ensure_broker(copy).admin, Folder(copy.resolve()), pid).stop()


def pid_of(home: Path) -> int | None:
    """Return the process of a home's broker, if it is running."""
    running = running_broker(home)
    return None if running is None else running.pid


def first_record(broker: BrokerHandle) -> bytes | None:
    """Read the record that the prepared home holds."""
    consumer = Consumer({**broker.admin.confluent(), "group.id": "seamwork.registrar", "log_level": 0})
    try:
        consumer.assign([TopicPartition(topic_name("seamwork", "handoffs.v1"), 0, 0)])
        message = consumer.poll(WITHIN_S)
        return None if message is None else message.value()
    finally:
        consumer.close()


def is_gone(pid: int) -> bool:
    """Wait until a process has ended."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/stat")
        try:
            # An orphan without an init to collect it stays as a zombie (Z): it has ended all the same.
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def start(home: Path, how: str) -> tuple[subprocess.Popen[str], int, str]:
    """Start the broker from another process; return it, and the broker's process and address."""
    parent = subprocess.Popen(
        [sys.executable, "-c", START, str(home), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid, bootstrap = parent.stdout.readline().split()
    return parent, int(pid), bootstrap


def close(parent: subprocess.Popen[str]) -> None:
    """Let go of a process's pipes."""
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.close()
    parent.stdout.close()
    parent.wait(WITHIN_S)


def test_data_and_port_survive_a_restart(home: Path) -> None:
    """What was written before is there after, at the same address."""
    with ensure_broker(home) as broker:
        before = broker.bootstrap
        assert b"kept" == first_record(broker)

    with ensure_broker(home) as broker:
        assert before == broker.bootstrap
        assert b"kept" == first_record(broker)


def test_data_lie_where_they_should_in_a_folder_of_any_script(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Java reads its set-up as Latin-1 and names files in the locale's characters; neither leads elsewhere."""
    home = tmp_path / "josé" / "默认 1"
    shutil.copytree(prepared, home)
    monkeypatch.setenv("LC_ALL", "C")

    with ensure_broker(home) as broker:
        assert b"kept" == first_record(broker)
        assert broker.log_file.exists()
    assert ["josé"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["Doe, Ann", "${HOME}"])
def test_a_folder_that_kafka_would_take_for_another_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Data or log would lie where nobody looks for them, outside of the home too; nothing is begun there."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(MisconfiguredError, match="path-misread"):
        ensure_broker(tmp_path / name)

    assert [] == list(tmp_path.iterdir())


def test_a_broker_that_runs_is_found_and_not_started_twice(home: Path) -> None:
    """The second caller gets the first one's broker, unless it wants another port."""
    with ensure_broker(home) as broker:
        again = ensure_broker(home)

        assert (broker.pid, broker.bootstrap) == (again.pid, again.bootstrap)
        with pytest.raises(MisconfiguredError, match="already running"):
            ensure_broker(home, port=1)

    assert not broker.is_alive
    assert None is running_broker(home)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see that the process is gone")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
def test_a_parent_that_dies_leaves_no_orphan(home: Path, how: signal.Signals) -> None:
    """However the program ends, its broker ends with it."""
    parent, pid, _ = start(home, "attached")
    os.kill(parent.pid, how)
    close(parent)

    assert is_gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see that the process is gone")
def test_a_guard_that_is_killed_leaves_no_orphan(home: Path) -> None:
    """The one process in between is no way to lose the broker either."""
    broker = ensure_broker(home)
    guard = int(Path(f"/proc/{broker.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guard, signal.SIGKILL)

    assert is_gone(broker.pid)
    broker.stop()


def test_a_detached_broker_outlives_its_parent(home: Path) -> None:
    """`up --detach` ends, the broker stays, `down` finds and stops it."""
    parent, pid, bootstrap = start(home, "detached")
    close(parent)

    running = running_broker(home)
    assert running is not None
    assert (pid, bootstrap) == (running.pid, running.bootstrap)
    running.stop()
    assert not running.is_alive


def test_a_port_that_is_taken_is_named(home: Path) -> None:
    """Before Java is started."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(MisconfiguredError, match=f"port {port} .*port-taken"):
            ensure_broker(home, port=port)


def test_a_remembered_port_that_is_taken_is_replaced(home: Path) -> None:
    """Nobody asked for it by number, so another serves."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        Folder(home).ports.write_text(json.dumps({"client": port, "controller": port}))

        with ensure_broker(home) as broker:
            assert broker.bootstrap != f"{HOST}:{port}"


def test_a_password_that_does_not_fit_the_data_is_named(home: Path) -> None:
    """Credentials of another platform, or lost ones made anew, do not open this one's data."""
    store = Folder(home).credentials
    write_private(
        store.folder / "seamwork-registrar.json", '{"username": "seamwork-registrar", "password": "another"}'
    )

    with pytest.raises(MisconfiguredError, match="wrong-password"):
        ensure_broker(home)

    assert None is running_broker(home)


def test_data_that_another_broker_uses_are_named(home: Path, tmp_path: Path) -> None:
    """Two homes, one data folder: the second broker is told why it cannot start."""
    with ensure_broker(home):
        second = tmp_path / "second"
        shutil.copytree(home, second, ignore=shutil.ignore_patterns("data", "broker.pid", "ports.json"))
        Folder(second).data.symlink_to(Folder(home).data)

        with pytest.raises(MisconfiguredError, match="data-locked"):
            ensure_broker(second)


def test_a_folder_with_other_files_is_not_taken_for_data(tmp_path: Path) -> None:
    """Nothing that the broker did not write is ever removed."""
    data = Folder(tmp_path).data
    data.mkdir(parents=True)
    (data / "thesis.txt").write_text("years of work")

    with pytest.raises(MisconfiguredError, match="foreign-data"):
        ensure_broker(tmp_path)

    assert "years of work" == (data / "thesis.txt").read_text()


def test_no_secret_is_readable_by_others_or_in_a_process_list(home: Path) -> None:
    """Every file that holds a password is its owner's; no command line holds one."""
    with ensure_broker(home) as broker:
        passwords = [json.loads(path.read_text())["password"] for path in (home / "credentials").iterdir()]
        passwords.append(json.loads(broker.folder.secret.read_text())["password"])
        command = subprocess.run(
            ["ps", "-ww", "-A", "-o", "command="],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        exposed = [
            path.name
            for path in home.rglob("*")
            if path.is_file()
            and path.stat().st_mode & 0o077
            and any(password in path.read_text(errors="ignore") for password in passwords)
        ]

    assert [] == exposed
    assert [] == [password for password in passwords if password in command]
