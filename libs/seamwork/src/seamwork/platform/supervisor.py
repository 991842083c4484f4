"""
Keep the services of one platform running as child processes: start, watch, restart, stop.

A service that ends is started again after a pause that doubles up to half a minute; one that ends because it was
set up wrongly (exit 78) is not, for it would only fail again. A service ends by itself when the supervisor is gone,
so a killed parent leaves no orphan.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from seamwork.broker.secret import write_private
from seamwork.errors import MisconfiguredError, SeamworkError
from seamwork.platform.asking import opened

MISCONFIGURED_EXIT = 78
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_STOP_WITHIN_S = 30.0
_POLL_S = 0.05
_STEADY_S = 30.0
_LINES_BACK = 200
_OWN = ("SEAMWORK_", "KAFKA_BOOTSTRAP_SERVERS")

Environ = Callable[[], Mapping[str, str]]
"""Says with which environment a service starts now: it may have got another key since it did so last."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One service of a process that holds several: with which environment it starts, and where its pages are."""

    name: str
    environ: Environ = field(repr=False)
    http_port: int


@dataclass
class Process:
    """
    One service's process, or that of several, over all its restarts.

    *environ* is asked at each start. *exit_code* is that of the last one that ended, null while none did. *ports*
    says where the pages of each of its services are; *http_port* is the first of them.
    """

    name: str
    command: tuple[str, ...]
    environ: Environ = field(repr=False)
    log: Path
    ports: Mapping[str, int]
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    exit_code: int | None = None
    wanted: bool = False
    watcher: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def http_port(self) -> int:
        """Where its pages are."""
        return next(iter(self.ports.values()))

    @property
    def pid(self) -> int | None:
        """The running process's id, or None."""
        running = self.process is not None and self.process.returncode is None
        return self.process.pid if running and self.process is not None else None


class Supervisor:
    """Hold several services."""

    def __init__(self) -> None:
        self.processes: dict[str, Process] = {}
        self._changed: Callable[[], None] = lambda: None

    def on_change(self, changed: Callable[[], None]) -> None:
        """
        Have *changed* called after every start and end, for whoever keeps a note of what runs.

        Where it cannot write that down, on a full disk for one, the services are watched all the same.
        """

        def told() -> None:
            with contextlib.suppress(OSError):
                changed()

        self._changed = told

    def add(self, name: str, module: str, environ: Environ, log: Path, http_port: int) -> Process:
        """Describe a service; it runs once it is started."""
        command = (sys.executable, "-m", module)
        self.processes[name] = Process(
            name, command, lambda: {**environ(), **_parent()}, log, {name: http_port}
        )
        return self.processes[name]

    def add_together(self, name: str, parts: Sequence[Part], file: Path, log: Path) -> Process:
        """Describe several services in one process, which reads from *file* with which environment each runs."""

        def environ() -> Mapping[str, str]:
            told = {one.name: one.environ() for one in parts}
            own = {
                name: {key: value for key, value in each.items() if key.startswith(_OWN)} | _parent()
                for name, each in told.items()
            }
            write_private(file, json.dumps(own, indent=2) + "\n")
            # What is not the platform's own is the same for all of them.
            return {key: value for key, value in told[parts[0].name].items() if not key.startswith(_OWN)}

        command = (sys.executable, "-m", "seamwork.runtime.together", str(file))
        ports = {one.name: one.http_port for one in parts}
        self.processes[name] = Process(name, command, environ, log, ports)
        return self.processes[name]

    async def start(self, name: str) -> None:
        """Start a service and keep it running."""
        process = self.processes[name]
        if process.wanted:
            return
        process.wanted = True
        await self._spawn(process)
        process.watcher = asyncio.create_task(self._watch(process), name=f"watch-{name}")

    async def stop(self, name: str, *, kill: bool = False) -> None:
        """Stop a service in order, by force after half a minute; *kill* ends it at once, as a crash would."""
        process = self.processes[name]
        process.wanted = False
        if process.watcher is not None:
            process.watcher.cancel()
            await asyncio.gather(process.watcher, return_exceptions=True)
            process.watcher = None
        if process.process is not None and process.process.returncode is None:
            process.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                await asyncio.wait_for(process.process.wait(), _STOP_WITHIN_S)
            except TimeoutError:
                process.process.kill()
                await process.process.wait()
        if process.process is not None:
            process.exit_code = process.process.returncode
        self._changed()

    async def stop_all(self, names: Sequence[str] | None = None) -> None:
        """Stop all services (or *names*) at once."""
        await asyncio.gather(*(self.stop(name) for name in (self.processes if names is None else names)))

    async def ready(self, names: Sequence[str], within_s: float) -> None:
        """
        Wait until the services say that they are ready.

        Raises:
            MisconfiguredError: One ended for good or was not ready in time; says which, and where its log is.
        """
        deadline = time.monotonic() + within_s
        waiting = list(names)
        while waiting:
            process = self.processes[waiting[0]]
            if process.exit_code == MISCONFIGURED_EXIT and process.pid is None:
                raise MisconfiguredError(
                    f"{process.name} is set up wrongly and has ended: {last_error(process.log)}. "
                    f"Its log: {process.log}"
                )
            if await asyncio.to_thread(lambda ports: all(map(is_ready, ports)), process.ports.values()):
                waiting.pop(0)
                continue
            if time.monotonic() > deadline:
                raise MisconfiguredError(
                    f"{process.name} was not ready within {within_s:.0f} s ({process.restarts} restarts): "
                    f"{last_words(process.log)}. Its log: {process.log}"
                )
            await asyncio.sleep(_POLL_S)

    async def _spawn(self, process: Process) -> None:
        process.log.parent.mkdir(parents=True, exist_ok=True)
        with process.log.open("ab") as log:
            process.process = await asyncio.create_subprocess_exec(
                *process.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(process.environ()),
                start_new_session=True,  # Ctrl-C reaches the supervisor, which stops them in order
            )
        self._changed()

    async def _watch(self, process: Process) -> None:
        pause = _FIRST_PAUSE_S
        while process.process is not None:
            began = time.monotonic()
            process.exit_code = await process.process.wait()
            self._changed()
            if process.exit_code == MISCONFIGURED_EXIT:
                return
            if time.monotonic() - began > _STEADY_S:
                pause = _FIRST_PAUSE_S
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            process.restarts += 1
            while not await self._spawned_again(process):
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _spawned_again(self, process: Process) -> bool:
        """Start a service that ran before; what the machine lacks now, room or memory, it may have later."""
        try:
            await self._spawn(process)
        except (OSError, SeamworkError):
            return False
        return True


def _parent() -> dict[str, str]:
    return {"SEAMWORK_PARENT_PID": str(os.getpid())}


def service_modules() -> dict[str, str]:
    """
    Return the services that are installed: name → module to run, found by the entry points ``seamwork.services``.

    Raises:
        MisconfiguredError: There is none.
    """
    found: dict[str, str] = {}
    for point in entry_points(group="seamwork.services"):
        found[point.name] = _package(point)
    if not found:
        raise MisconfiguredError(
            "no service is installed in this environment, and a platform is seven of them; install them from a "
            "checkout (`pip install CHECKOUT/services/*`), or use the `seamwork` that `make setup` makes there"
        )
    return dict(sorted(found.items()))


def free_ports(count: int) -> list[int]:
    """Return ports on the loopback interface that nobody has at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def is_ready(http_port: int) -> bool:
    """Ask a service whether it is ready."""
    try:
        with opened(f"http://127.0.0.1:{http_port}/health/ready", 2) as answer:
            return int(answer.status) == 200  # noqa: PLR2004  # OK
    except (OSError, HTTPException):  # nobody, or another program
        return False


def last_words(log: Path, lines: int = 3) -> str:
    """Return the end of a log on one line, for an error message."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "it left no log"
    return " / ".join(line.strip() for line in text.splitlines()[-lines:])[-600:] or "its log is empty"


def last_error(log: Path) -> str:
    """
    Return the last error of which a log tells, with the service whose it is; its last words where there is none.

    Where several services share a process, the others say after it that they have stopped.
    """
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES_BACK:]
    except FileNotFoundError:
        lines = []
    for line in reversed(lines):
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(said, dict) and said.get("error"):
            return f"{said.get('service', log.stem)}: {said['error']}"
    return last_words(log)


def _package(point: EntryPoint) -> str:
    return point.value.partition(":")[0].partition(".")[0]
