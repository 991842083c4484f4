"""
Run a real Apache Kafka as a child process, with its data in a folder of the user's.

``ensure_broker`` is the way in: it returns a broker that is ready, whether it was running or had to be made.
The folder holds everything: the data, so that it survives a restart; the ports, so that a restart keeps them;
the secrets, which only their owner can read; the logs.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from seamwork.broker import guard
from seamwork.broker.classes import Classes, keep_classes
from seamwork.broker.configuration import HOST, Node, Ports
from seamwork.broker.failure import cause_of
from seamwork.broker.folder import Folder
from seamwork.broker.jars import Progress, class_cache, fetch_jars, jar_cache, kafka_version
from seamwork.broker.java import find_java
from seamwork.broker.probe import AccessDenied, NotReady, probe
from seamwork.broker.secret import Credential
from seamwork.errors import MisconfiguredError
from seamwork.settings.kafka import KafkaAccess

if sys.platform != "win32":
    import fcntl

_READY_WITHIN_S = 90  # 3-4 s on an idle laptop; a busy CI machine needs many times that
_STOP_WITHIN_S = 30
_POLL_S = 0.05
_TAIL_BYTES = 64 * 1024
# At a comma Kafka's list of folders goes on, and what stands in braces its log looks up; neither can be escaped.
_MISREAD = (",", "${")


@dataclass
class BrokerHandle:
    """
    A broker that is ready.

    Attributes:
        admin: The way in as the super user; nobody but the registrar should use it.
        folder: Where the broker keeps its things.
        pid: The JVM's process.
    """

    admin: KafkaAccess
    folder: Folder
    pid: int
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _lifeline: int | None = field(default=None, repr=False)

    @property
    def bootstrap(self) -> str:
        """The address for clients, ``host:port``."""
        return self.admin.bootstrap

    @property
    def ports(self) -> Ports:
        """Where clients connect, and where the broker meets its controller."""
        ports = self.folder.kept_ports()
        if ports is None:
            raise MisconfiguredError(
                f"the note of the broker's ports, {self.folder.ports}, is gone; start it again"
            )
        return ports

    @property
    def log_file(self) -> Path:
        """Where to look when something is wrong."""
        return self.folder.log

    @property
    def is_alive(self) -> bool:
        """Whether the JVM is running."""
        if self._child is not None:
            return self._child.poll() is None
        return _is_ours(self.pid, self.folder)

    def access(self, credential: Credential) -> KafkaAccess:
        """Return the way into this broker as another principal."""
        return KafkaAccess(self.bootstrap, credential.username, credential.password)

    def stop(self) -> None:
        """Stop the broker in order, by force after half a minute; its data stay."""
        _signal(self.pid, signal.SIGTERM, self.folder)
        in_order = _gone(self.pid, self.folder, _STOP_WITHIN_S)
        if not in_order:
            _signal(self.pid, signal.SIGKILL, self.folder)
            _gone(self.pid, self.folder, _STOP_WITHIN_S)
        self.let_go()
        if in_order:
            keep_classes(self.folder.root, class_cache(os.environ))

    def let_go(self) -> None:
        """Forget the broker's process, which has ended."""
        if self._child is not None:
            self._child.wait()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        self.folder.pid.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def ensure_broker(
    home: Path,
    *,
    port: int | None = None,
    admin: str = "seamwork-registrar",
    detach: bool = False,
    environ: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> BrokerHandle:
    """
    Return the broker whose data lie in *home*, starting it if it is not running.

    Args:
        home: The platform's folder; made if it is not there.
        port: For clients. One that was used before, or a free one, is taken unless given.
        admin: The name of the super user, made when the broker is made.
        detach: Leave the broker running when this process ends; else it ends with it.
        environ: The environment; the process's own unless given.
        progress: Told of each jar that is downloaded.

    Raises:
        MisconfiguredError: The broker cannot be started; says which of the known causes it was.
    """
    surroundings = os.environ if environ is None else environ
    folder = Folder(home.resolve())
    _refuse_misread(folder)
    folder.make()
    with _one_starter(folder):
        running = running_broker(home, port=port, admin=admin)
        if running is not None:
            return running
        java = find_java(surroundings)
        jars = fetch_jars(jar_cache(surroundings), progress=progress)
        classpath = os.pathsep.join(str(jar) for jar in jars)
        folder.take_for(kafka_version())
        node = folder.node(admin, port)
        classes = Classes.of(java.path, jars, cache=class_cache(surroundings), folder=folder.root)
        folder.write_set_up(node, classpath, options=classes.for_broker())
        _format(folder, node, java.path, classpath, classes)
        return _start(folder, node, java.path, detach=detach)


def running_broker(
    home: Path, *, port: int | None = None, admin: str = "seamwork-registrar"
) -> BrokerHandle | None:
    """
    Return the broker of *home* if its process is there, once it is ready; None if there is none.

    Raises:
        MisconfiguredError: It runs but does not answer, or not with the password that was kept, or at another port
            than *port*.
    """
    folder = Folder(home.resolve())
    pid = _kept_pid(folder)
    if pid is None or not _is_ours(pid, folder):
        return None
    ports = folder.kept_ports()
    credential = folder.credentials.load(admin)
    if ports is None or credential is None:
        raise MisconfiguredError(
            f"a broker (process {pid}) runs on {folder.root}, but its ports or the password of {admin} are gone; "
            f"end the process, and restore {folder.root} or move it away"
        )
    handle = BrokerHandle(_access(ports, credential), folder, pid)
    try:
        _await_ready(handle)
    except MisconfiguredError:
        if handle.is_alive:
            raise
        return None  # it was ending already, as that of a program that was killed does
    if port not in (None, ports.client):
        raise MisconfiguredError(
            f"the broker of {home} is already running at {handle.bootstrap}, not at port {port}; "
            "stop it with `seamwork down` first, or leave the port out"
        )
    return handle


def _refuse_misread(folder: Folder) -> None:
    """Refuse a folder that Kafka would take for another one: data would lie there, and not be found again."""
    for mark in _MISREAD:
        if mark in str(folder.root):
            raise MisconfiguredError(
                f"the path of the broker's folder {folder.root} has {mark!r} in it, at which Kafka would go astray "
                "(path-misread); point SEAMWORK_HOME to another folder"
            )


def _start(folder: Folder, node: Node, java: Path, *, detach: bool) -> BrokerHandle:
    folder.pid.unlink(missing_ok=True)
    command = [str(java), f"@{folder.arguments}"]
    with folder.console.open("wb") as console:
        if detach:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=_for_java(os.environ),
                start_new_session=True,
            )
            folder.pid.write_text(f"{process.pid}\n", encoding="ascii")
            lifeline = None
        else:
            reading, lifeline = os.pipe()
            try:
                # A session of its own: Ctrl-C in the terminal reaches the program, which stops us in order.
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", guard.__file__, str(reading), str(folder.pid), *command],
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    env=_for_java(os.environ),
                    pass_fds=(reading,),
                    start_new_session=True,
                )
            finally:
                os.close(reading)
    handle = BrokerHandle(_access(node.ports, node.admin), folder, 0, process, lifeline)
    try:
        handle.pid = _await_pid(folder, process)
        _await_ready(handle)
    except BaseException:
        if lifeline is not None:
            os.close(lifeline)
            handle._lifeline = None  # noqa: SLF001 (ours, a moment old)
        process.terminate()
        process.wait()
        raise
    return handle


def _await_pid(folder: Folder, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        pid = _kept_pid(folder)
        if pid is not None:
            return pid
        if process.poll() is not None:
            break
        time.sleep(_POLL_S)
    raise _failed(folder, "did not start")


def _await_ready(handle: BrokerHandle) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    folder = handle.folder
    while time.monotonic() < deadline:
        if not handle.is_alive:
            raise _failed(folder, "ended before it was ready")
        try:
            probe(handle.admin)
        except NotReady:
            time.sleep(_POLL_S)
        except AccessDenied as error:
            raise MisconfiguredError(
                f"the broker at {handle.bootstrap} runs but refuses the password of {handle.admin.username} "
                f"(wrong-password): {folder.home / 'credentials'} does not belong to {folder.data}. Restore the "
                "credentials that the data were made with, or move both away to begin anew"
            ) from error
        else:
            return
    raise _failed(folder, f"was not ready within {_READY_WITHIN_S} s")


def _failed(folder: Folder, what: str) -> MisconfiguredError:
    cause = cause_of(_tail(folder.console) + _tail(folder.log))
    reason = f"({cause.name}): {cause.advice}" if cause else "for a reason that is not a known one"
    return MisconfiguredError(f"the embedded broker {what} {reason}. Its log: {folder.log}, {folder.console}")


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


@contextlib.contextmanager
def _one_starter(folder: Folder) -> Iterator[None]:
    """Let one process at a time start the broker of a folder; a second waits, and then finds it running."""
    with (folder.root / "starting.lock").open("wb") as lock:
        if sys.platform != "win32":
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _kept_pid(folder: Folder) -> int | None:
    try:
        return int(folder.pid.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return None


def _access(ports: Ports, credential: Credential) -> KafkaAccess:
    return KafkaAccess(f"{HOST}:{ports.client}", credential.username, credential.password)


def _format(folder: Folder, node: Node, java: Path, classpath: str, classes: Classes) -> None:
    if not folder.needs_format():
        return  # its metadata.version stays what it is
    script = folder.write_format(node, classpath, options=classes.for_tool())
    try:
        with folder.console.open("wb") as console:
            code = subprocess.call(
                [str(java), f"@{script}"], stdout=console, stderr=console, env=_for_java(os.environ)
            )
    finally:
        script.unlink()
    if code != 0:
        raise _failed(folder, "could not prepare its data folder")


def _for_java(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a JVM that can name every file: it does so in the locale's characters alone."""
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    knows_all = sys.platform != "linux" or "utf8" in locale.lower().replace("-", "")
    return dict(environ) if knows_all else {**environ, "LC_ALL": "C.UTF-8"}


def _is_ours(pid: int, folder: Folder) -> bool:
    """Whether process *pid* is the JVM of this folder: a number alone may have been given to another."""
    listed = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            command = listed.read_bytes().decode("utf-8", "replace")
        except OSError:
            return False
    else:
        command = subprocess.run(
            ["ps", "-ww", "-p", str(pid), "-o", "command="],  # noqa: S607 (every Unix has it)
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    return f"@{folder.arguments}" in command


def _signal(pid: int, number: signal.Signals, folder: Folder) -> None:
    if _is_ours(pid, folder):
        with contextlib.suppress(ProcessLookupError):  # it ended in between, which is what we want
            os.kill(pid, number)


def _gone(pid: int, folder: Folder, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while _is_ours(pid, folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
