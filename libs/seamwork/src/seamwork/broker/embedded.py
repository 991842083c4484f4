"""
Run a real Apache Kafka as a child process, with its data in a folder of the user's.

``ensure_broker`` is the way in: it returns a broker that is ready, whether it was running or had to be made.
The folder holds everything: the data, so that it survives a restart; the ports, so that a restart keeps them;
the secrets, which only their owner can read; the logs.
"""

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from seamwork.broker import guard
from seamwork.broker.configuration import (
    HOST,
    Node,
    Ports,
    argument_file,
    as_properties,
    jvm_options,
    log4j_properties,
    server_properties,
)
from seamwork.broker.failure import cause_of
from seamwork.broker.jars import Progress, fetch_jars, jar_cache
from seamwork.broker.java import find_java
from seamwork.broker.probe import AccessDenied, NotReady, probe
from seamwork.broker.secret import Credential, CredentialStore, new_password, read_private, write_private
from seamwork.errors import MisconfiguredError
from seamwork.settings.kafka import KafkaAccess

if sys.platform != "win32":
    import fcntl

_READY_WITHIN_S = 90  # 3-4 s on an idle laptop; a busy CI machine needs many times that
_STOP_WITHIN_S = 30
_POLL_S = 0.05
_TAIL_BYTES = 64 * 1024
_FREE_BYTES = 200 * 1024 * 1024  # what a first start writes, and some room to work
_BROKER_USER = "broker"


@dataclass(frozen=True)
class Folder:
    """Where one embedded broker keeps its things, below a platform's home."""

    home: Path

    @property
    def root(self) -> Path:
        """The broker's own folder."""
        return self.home / "broker"

    @property
    def data(self) -> Path:
        """Kafka's log directory."""
        return self.root / "data"

    @property
    def log(self) -> Path:
        """What Kafka logs."""
        return self.root / "logs" / "broker.log"

    @property
    def console(self) -> Path:
        """What the JVM prints, when it has something to say."""
        return self.root / "logs" / "console.log"

    @property
    def arguments(self) -> Path:
        """The launcher's arguments; the file's path marks the process as ours."""
        return self.root / "broker.args"

    @property
    def pid(self) -> Path:
        """The id of the JVM's process."""
        return self.root / "broker.pid"

    @property
    def ports(self) -> Path:
        """The ports, remembered over restarts."""
        return self.root / "ports.json"

    @property
    def secret(self) -> Path:
        """The broker's own password, with which it meets its controller."""
        return self.root / "secret.json"

    @property
    def credentials(self) -> CredentialStore:
        """The passwords of the platform's principals."""
        return CredentialStore(self.home / "credentials")


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
        return _read_ports(self.folder)

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
        if not _gone(self.pid, self.folder, _STOP_WITHIN_S):
            _signal(self.pid, signal.SIGKILL, self.folder)
            _gone(self.pid, self.folder, _STOP_WITHIN_S)
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
    _check_room(folder)
    with _one_starter(folder):
        running = running_broker(home, admin=admin)
        if running is not None:
            if port is not None and not running.bootstrap.endswith(f":{port}"):
                raise MisconfiguredError(
                    f"the broker of {home} is already running at {running.bootstrap}, not at port {port}; "
                    "stop it with `seamwork down` first, or leave the port out"
                )
            return running
        java = find_java(surroundings)
        jars = fetch_jars(jar_cache(surroundings), progress=progress)
        classpath = os.pathsep.join(str(jar) for jar in jars)
        node = _node(folder, admin, port)
        _write_set_up(folder, node, classpath)
        _format(folder, node, java.path, classpath)
        return _start(folder, node, java.path, detach=detach)


def running_broker(home: Path, *, admin: str = "seamwork-registrar") -> BrokerHandle | None:
    """
    Return the broker of *home* if its process is there, once it is ready; None if there is none.

    Raises:
        MisconfiguredError: It runs but does not answer, or not with the password that was kept.
    """
    folder = Folder(home.resolve())
    pid = _kept_pid(folder)
    if pid is None or not _is_ours(pid, folder):
        return None
    ports = _kept_ports(folder)
    credential = folder.credentials.load(admin)
    if ports is None or credential is None:
        raise MisconfiguredError(
            f"a broker (process {pid}) runs on {folder.root}, but its ports or the password of {admin} are gone; "
            f"end the process, and restore {folder.root} or move it away"
        )
    handle = BrokerHandle(_access(ports, credential), folder, pid)
    _await_ready(handle)
    return handle


def _start(folder: Folder, node: Node, java: Path, *, detach: bool) -> BrokerHandle:
    folder.pid.unlink(missing_ok=True)
    command = [str(java), f"@{folder.arguments}"]
    with folder.console.open("wb") as console:
        if detach:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
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


def _node(folder: Folder, admin: str, port: int | None) -> Node:
    (credential,) = folder.credentials.ensure([admin])
    kept = read_private(folder.secret)
    if kept is None:
        kept = {"password": new_password()}
        write_private(folder.secret, json.dumps(kept) + "\n")
    return Node(
        ports=_ports(folder, port),
        data=folder.data,
        admin=credential,
        broker=Credential(_BROKER_USER, str(kept["password"])),
    )


def _ports(folder: Folder, asked: int | None) -> Ports:
    if asked is not None and not _is_free(asked):
        raise MisconfiguredError(
            f"port {asked} on {HOST} is taken by another program (port-taken); give another, or none to have one "
            "chosen"
        )
    kept = _kept_ports(folder)
    client = asked or (kept.client if kept and _is_free(kept.client) else _free_port())
    controller = kept.controller if kept and _is_free(kept.controller) else _free_port(other_than=client)
    ports = Ports(client, controller)
    folder.ports.write_text(json.dumps({"client": client, "controller": controller}) + "\n", encoding="ascii")
    return ports


def _read_ports(folder: Folder) -> Ports:
    kept = json.loads(folder.ports.read_text(encoding="ascii"))
    return Ports(int(kept["client"]), int(kept["controller"]))


def _kept_ports(folder: Folder) -> Ports | None:
    try:
        return _read_ports(folder)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # a lost or damaged note about ports costs only their constancy


def _kept_pid(folder: Folder) -> int | None:
    try:
        return int(folder.pid.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return None


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port(other_than: int | None = None) -> int:
    while True:
        with socket.socket() as tried:
            tried.bind((HOST, 0))
            port = int(tried.getsockname()[1])
        if port != other_than:
            return port


def _access(ports: Ports, credential: Credential) -> KafkaAccess:
    return KafkaAccess(f"{HOST}:{ports.client}", credential.username, credential.password)


def _write_set_up(folder: Folder, node: Node, classpath: str) -> None:
    properties = folder.root / "server.properties"
    logging = folder.root / "log4j2.properties"
    folder.log.parent.mkdir(parents=True, exist_ok=True)
    # Kept: the last start's log, for who comes to look; failures are read from this start's alone.
    if folder.log.exists():
        folder.log.replace(folder.log.with_suffix(".log.before"))
    write_private(properties, as_properties(server_properties(node)))
    logging.write_text(log4j_properties(folder.log), encoding="utf-8")
    arguments = (
        *jvm_options(),
        f"-Dlog4j2.configurationFile={logging.as_uri()}",
        "-cp",
        classpath,
        "kafka.Kafka",
        str(properties),
    )
    folder.arguments.write_text(argument_file(arguments), encoding="utf-8")


def _format(folder: Folder, node: Node, java: Path, classpath: str) -> None:
    if (folder.data / "meta.properties").exists():
        return  # its metadata.version stays what it is
    if folder.data.exists():
        # meta.properties is written last, so without one nothing was ever stored but the format's own files.
        strangers = [path.name for path in folder.data.iterdir() if path.name != "bootstrap.checkpoint"]
        if strangers:
            raise MisconfiguredError(
                f"{folder.data} holds files but no meta.properties, so it is no broker's data (foreign-data); move "
                "it away, or point SEAMWORK_HOME to another folder"
            )
        shutil.rmtree(folder.data)
    cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode("ascii").rstrip("=")
    arguments = [*jvm_options(heap_mb=128), "-cp", classpath, "kafka.tools.StorageTool", "format"]
    arguments += ["--config", str(folder.root / "server.properties"), "--cluster-id", cluster]
    for credential in (node.admin, node.broker):
        arguments += [
            "--add-scram",
            f"SCRAM-SHA-512=[name={credential.username},password={credential.password}]",
        ]
    script = folder.root / "format.args"
    write_private(script, argument_file(tuple(arguments)))
    try:
        with folder.console.open("wb") as console:
            code = subprocess.call([str(java), f"@{script}"], stdout=console, stderr=console)
    finally:
        script.unlink()
    if code != 0:
        raise _failed(folder, "could not prepare its data folder")


def _check_room(folder: Folder) -> None:
    try:
        folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(folder.root).free
    except OSError as error:
        raise MisconfiguredError(
            f"the broker's folder {folder.root} cannot be made ({error.strerror}); point SEAMWORK_HOME to a "
            "folder that you may write"
        ) from error
    if free < _FREE_BYTES:
        raise MisconfiguredError(
            f"the disk of {folder.root} has {free // 1024**2} MB left and the broker needs "
            f"{_FREE_BYTES // 1024**2} (disk-full); free some space, or point SEAMWORK_HOME to another disk"
        )


@contextlib.contextmanager
def _one_starter(folder: Folder) -> Iterator[None]:
    """Let one process at a time start the broker of a folder; a second waits, and then finds it running."""
    with (folder.root / "starting.lock").open("wb") as lock:
        if sys.platform != "win32":
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
