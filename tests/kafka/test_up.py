"""`seamwork up` holds what it started: nothing is left behind, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from seamwork.broker.folder import Folder
from seamwork.platform.home import PlatformHome
from seamwork.platform.state import RunState, is_alive, read_state
from seamwork.platform.supervisor import is_ready

UP = [sys.executable, "-m", "seamwork.cli", "up", "--tidy-every", "1"]
WITHIN_S = 110.0


def until(holds: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
    """Wait for something to become so."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(what)
        time.sleep(0.05)


def processes(state: RunState, home: PlatformHome) -> list[int]:
    """Return every process that the platform consists of, the broker among them."""
    broker = int((home.root / "broker" / "broker.pid").read_text())
    return [broker, *(service.pid for service in state.services if service.pid is not None)]


@pytest.fixture
def home(tmp_path: Path) -> PlatformHome:
    """Return the folder of a platform that does not exist yet."""
    return PlatformHome(tmp_path / "default")


@pytest.fixture
def up(home: PlatformHome, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `seamwork up` in the foreground until it is ready."""
    with (tmp_path / "up.log").open("wb") as log:
        process = subprocess.Popen(
            UP, stdout=log, stderr=log, env={**os.environ, "SEAMWORK_HOME": str(tmp_path)}
        )

    def ready() -> bool:
        state = read_state(home.state_file)
        assert process.poll() is None, (tmp_path / "up.log").read_text()
        return state is not None and state.state == "ready"

    until(ready, "the platform was not ready")
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.mark.timeout(240)
def test_a_killed_parent_leaves_no_orphan(up: "subprocess.Popen[bytes]", home: PlatformHome) -> None:
    """SIGKILL gives no chance to clean up; services and broker end by themselves."""
    state = read_state(home.state_file)
    assert state is not None
    alive = processes(state, home)
    assert 1 + len(entry_points(group="seamwork.services")) == len(alive)
    up.kill()
    up.wait()

    until(
        lambda: not any(is_alive(pid) for pid in alive), f"still running: {[p for p in alive if is_alive(p)]}"
    )
    assert None is read_state(home.state_file)


@pytest.mark.timeout(240)
def test_a_second_start_of_one_folder_is_refused_at_once(tmp_path: Path, home: PlatformHome) -> None:
    """Else both would hold the services, with one note of them, and `down` would stop one."""
    environ = {**os.environ, "SEAMWORK_HOME": str(tmp_path)}
    with (tmp_path / "up.log").open("wb") as log:
        both = [subprocess.Popen(UP, stdout=log, stderr=log, env=environ) for _ in range(2)]
    until(lambda: any(one.poll() is not None for one in both), "neither was refused")
    (refused,) = (one for one in both if one.poll() is not None)
    (other,) = (one for one in both if one is not refused)
    said = (tmp_path / "up.log").read_text()

    def ready() -> bool:
        state = read_state(home.state_file)
        return state is not None and (state.supervisor, state.state) == (other.pid, "ready")

    until(ready, "the first did not become ready")
    other.send_signal(signal.SIGTERM)
    assert 0 == other.wait(90)
    assert 2 == refused.returncode
    assert any(
        word in said for word in ("another process holds platform default", "default is starting in process")
    )


@pytest.mark.timeout(240)
def test_the_janitor_comes_by_and_ctrl_c_stops_everything_in_order(
    up: "subprocess.Popen[bytes]", home: PlatformHome, tmp_path: Path
) -> None:
    """And the exit status says that nothing went wrong."""

    def tidied() -> bool:
        now = read_state(home.state_file)
        return now is not None and now.tidied is not None

    until(tidied, "the janitor did not come")
    state = read_state(home.state_file)
    assert state is not None
    assert 0 == state.tidied, (home.logs / "janitor.log").read_text()
    alive = processes(state, home)
    up.send_signal(signal.SIGINT)

    assert 0 == up.wait(90), (tmp_path / "up.log").read_text()
    assert [] == [pid for pid in alive if is_alive(pid)]
    for service in state.services:
        assert '"why": "stopped"' in Path(service.log).read_text(), service.name


@pytest.mark.timeout(240)
def test_a_broker_that_was_killed_is_started_again(
    up: "subprocess.Popen[bytes]", home: PlatformHome, tmp_path: Path
) -> None:
    """On its data and at its address, as a service is; and who stops meanwhile leaves none behind that begins."""
    state = read_state(home.state_file)
    assert state is not None
    first = processes(state, home)[0]
    folder = Folder(home.root)
    before = folder.kept_ports()
    os.kill(first, signal.SIGKILL)

    until(lambda: running(folder) not in (None, first), "nobody starts it again")
    second = running(folder)
    after = folder.kept_ports()
    assert before is not None
    assert after is not None
    assert before.client == after.client
    until(
        lambda: all(is_ready(one.http_port) for one in state.services), "services have not found the broker"
    )
    assert second is not None
    os.kill(second, signal.SIGKILL)
    until(lambda: running(folder) not in (None, second), "nobody starts it a second time")
    up.send_signal(signal.SIGINT)

    assert 0 == up.wait(90), (tmp_path / "up.log").read_text()
    assert None is running(folder)
    assert None is read_state(home.state_file)


def running(folder: Folder) -> int | None:
    """Return the process of the broker of *folder*, or None where there is none."""
    try:
        pid = int(folder.pid.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return pid if is_alive(pid) else None
