"""Services are kept running, and none is left behind."""

import asyncio
import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from seamwork.broker.ladder import Kafka
from seamwork.errors import MisconfiguredError
from seamwork.platform import supervisor as looked_at
from seamwork.platform.alone import alone
from seamwork.platform.door import Door
from seamwork.platform.home import PlatformHome
from seamwork.platform.state import is_alive, read_state
from seamwork.platform.supervisor import Part, Process, Supervisor, free_ports, last_error
from seamwork.platform.up import Layout, Running, bring_up, grouped
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.clock import SettableClock

READY = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


def supervised(tmp_path: Path, name: str, code: str) -> Supervisor:
    """Make a supervisor with one service that runs *code*; its port is the first argument."""
    supervisor = Supervisor()
    (port,) = free_ports(1)
    process = supervisor.add(name, "unused", lambda: os.environ, tmp_path / f"{name}.log", port)
    process.command = (sys.executable, "-c", code, str(port))
    return supervisor


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something to become so."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110  # a process of the system's tells nobody
            await asyncio.sleep(0.02)


async def test_a_service_that_dies_is_started_again(tmp_path: Path) -> None:
    """A crash costs a moment, and the count of restarts tells of it."""
    supervisor = supervised(tmp_path, "one", READY)
    process = supervisor.processes["one"]
    await supervisor.start("one")
    await supervisor.ready(["one"], 30)
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: process.restarts == 1)
    await supervisor.ready(["one"], 30)
    second = process.pid
    await supervisor.stop_all()

    assert second not in (None, first)
    assert second is not None
    assert not is_alive(second)


async def test_a_platform_that_stops_says_so_until_it_has(tmp_path: Path) -> None:
    """The broker takes its time to end; whoever starts the platform meanwhile must not be told that it runs."""
    home = PlatformHome(tmp_path / "default")
    identity = home.ensure(SettableClock(), prefix="seamwork", partitions=1)
    said: list[str] = []

    def stop() -> None:
        state = read_state(home.state_file)
        said.append("gone" if state is None else state.state)

    kafka = Kafka("given", KafkaAccess("127.0.0.1:9092", "nobody", "none"), 1, "here", stop)
    supervisor = supervised(tmp_path, "one", READY)
    running = Running(Door.at(home, identity, kafka), kafka, supervisor, alone(home))
    supervisor.on_change(running.note)
    await supervisor.start("one")
    running.phase = "ready"
    running.note()
    await running.stop()

    assert ["stopping"] == said
    assert read_state(home.state_file) is None


async def test_a_full_disk_does_not_end_the_watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a note that cannot be written nor a start that cannot be made: both may be possible later."""
    monkeypatch.setattr(looked_at, "_FIRST_PAUSE_S", 0.02)
    supervisor = supervised(tmp_path, "one", READY)
    process, spawn = supervisor.processes["one"], supervisor._spawn
    tried: list[str] = []

    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def spawned(again: Process) -> None:
        tried.append(again.name)
        if len(tried) == 2:
            full()
        await spawn(again)

    monkeypatch.setattr(supervisor, "_spawn", spawned)
    supervisor.on_change(full)
    await supervisor.start("one")
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: len(tried) == 3 and process.pid not in (None, first))
    await supervisor.stop_all()

    assert None is process.pid


async def test_a_service_that_was_stopped_stays_stopped_until_it_is_started(tmp_path: Path) -> None:
    """What an operator stops, nobody starts behind the operator's back."""
    supervisor = supervised(tmp_path, "one", READY)
    process = supervisor.processes["one"]
    await supervisor.start("one")
    await supervisor.ready(["one"], 30)
    await supervisor.stop("one", kill=True)
    stopped = process.pid
    await supervisor.start("one")
    await supervisor.ready(["one"], 30)
    again = process.pid
    await supervisor.stop_all()

    assert None is stopped
    assert again is not None
    assert 0 == process.restarts


async def test_a_service_that_is_set_up_wrongly_is_not_started_again(tmp_path: Path) -> None:
    """It would only fail again; the error repeats its last words and names its log."""
    supervisor = supervised(tmp_path, "one", "import sys; print('PORT is not a number'); sys.exit(78)")
    await supervisor.start("one")
    with pytest.raises(MisconfiguredError, match=r"one is set up wrongly.*PORT is not a number.*one\.log"):
        await supervisor.ready(["one"], 30)
    await supervisor.stop_all()

    assert 0 == supervisor.processes["one"].restarts


def test_what_ended_a_process_is_told_and_not_what_ended_with_it(tmp_path: Path) -> None:
    """Services that share a process stop when one has ended, and say so after it."""
    log = tmp_path / "together.log"
    lines = [
        {"service": "cost-cap", "error": "an older one"},
        {"service": "router", "why": "misconfigured", "error": "there is no topic inbox.x.v1"},
        *({"service": name, "why": "stopped"} for name in ("cost-cap", "notifier", "audit-sink")),
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines) + "[1]\nnot JSON\n")
    plain = tmp_path / "up.log"
    plain.write_text("starting\nPORT is not a number\n")

    assert "router: there is no topic inbox.x.v1" == last_error(log)
    assert "starting / PORT is not a number" == last_error(plain)
    assert "it left no log" == last_error(tmp_path / "none.log")


async def test_every_change_is_told(tmp_path: Path) -> None:
    """Whoever keeps a note of what runs hears of starts and ends."""
    seen: list[int | None] = []
    supervisor = supervised(tmp_path, "one", READY)
    supervisor.on_change(lambda: seen.append(supervisor.processes["one"].pid))
    await supervisor.start("one")
    await supervisor.ready(["one"], 30)
    await supervisor.stop("one")

    assert seen[0] is not None
    assert None is seen[-1]


@pytest.mark.parametrize(
    ("layout", "processes"),
    [
        ("apart", {name: [name] for name in ("audit-sink", "cost-cap", "policy-engine", "router")}),
        ("two", {"others": ["audit-sink", "router"], "gates": ["cost-cap", "policy-engine"]}),
        ("together", {"together": ["audit-sink", "cost-cap", "policy-engine", "router"]}),
    ],
)
def test_a_layout_says_which_services_share_a_process(
    layout: Layout, processes: dict[str, list[str]]
) -> None:
    """Whoever judges is apart from whoever acts on it, where there are two."""
    names = ("audit-sink", "cost-cap", "policy-engine", "router")
    parts = [Part(name=name, environ=dict, http_port=1) for name in names]

    assert processes == {name: [one.name for one in group] for name, group in grouped(parts, layout).items()}


def test_a_file_says_with_which_environment_each_of_several_services_runs(tmp_path: Path) -> None:
    """What is the platform's own goes by a private file; what else the caller's shell holds is not written down."""
    file = tmp_path / "together.json"
    parts = [
        Part(name=name, environ=partial(dict, SEAMWORK_SIGNING_KID=name, TOKEN="canary"), http_port=port)
        for name, port in (("one", 1), ("two", 2))
    ]
    process = Supervisor().add_together("both", parts, file, tmp_path / "both.log")
    environ = process.environ()
    told = json.loads(file.read_text())

    assert {"one": "one", "two": "two"} == {
        name: given["SEAMWORK_SIGNING_KID"] for name, given in told.items()
    }
    assert {str(os.getpid())} == {given["SEAMWORK_PARENT_PID"] for given in told.values()}
    assert "canary" not in file.read_text()
    assert {"TOKEN": "canary"} == environ
    assert {"one": 1, "two": 2} == process.ports
    assert 0o600 == file.stat().st_mode & 0o777


async def test_without_services_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with the SDK alone is told so at once, and how to get them; no Kafka is fetched first."""
    monkeypatch.setattr("seamwork.platform.supervisor.entry_points", lambda **_: ())
    told: list[str] = []

    with pytest.raises(MisconfiguredError, match=r"pip install CHECKOUT/services/\*"):
        await bring_up(PlatformHome(tmp_path / "home"), tell=told.append)

    assert [] == told
