"""
Run `seamwork` commands without starting Python for each: most of what a short command costs is importing.

One process imports every command and forks for each that is typed. A small program called `seamwork`, which comes
first on a session's path, hands it words, folder, environment and the three standard streams, and ends as the
command ends. The fork runs what the installed `seamwork` runs; who kills the program kills the command.
"""

import array
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

_SHIM = """#!{python} -SE
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as way:
    way.connect({path!r})
    said = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    streams = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
    way.sendmsg([len(said).to_bytes(4, "big")], [streams])
    way.sendall(said)
    status = way.recv(1)
sys.exit(status[0] if status else 1)
"""


@contextmanager
def quick_commands(folder: Path) -> Iterator[Path]:
    """
    Lend a folder that holds a `seamwork` which answers quickly; put it first on the path.

    Args:
        folder: An empty folder of the caller's.
    """
    path = folder / "socket"
    shim = folder / "seamwork"
    shim.write_text(_SHIM.format(python=sys.executable, path=str(path)), encoding="utf-8")
    shim.chmod(0o755)
    serving = [sys.executable, "-m", "seamwork.testing.quick", str(path)]
    with subprocess.Popen(serving, stdout=subprocess.PIPE) as server:
        try:
            if server.stdout is None or server.stdout.readline() != b"ready\n":
                message = "the commands could not be imported; the reason is above"
                raise RuntimeError(message)
            yield folder
        finally:
            server.terminate()


def serve(path: str) -> None:
    """Import every command, then fork one for each that is asked for, until the process is ended."""
    from seamwork.cli import COMMANDS  # noqa: PLC0415  # only the server pays for it

    for module, _ in COMMANDS.values():
        import_module(f"seamwork.cli.{module}")
    running: dict[int, socket.socket] = {}
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door, selectors.DefaultSelector() as watched:
        door.bind(path)
        door.listen()
        watched.register(door, selectors.EVENT_READ)
        watched.register(waking, selectors.EVENT_READ)
        print("ready", flush=True)  # noqa: T201  # whoever started it waits for this line
        while True:
            for key, _ in watched.select():
                if key.fileobj is door:
                    way, _ = door.accept()
                    child = _fork(way, door, watched)
                    running[child] = way
                    watched.register(way, selectors.EVENT_READ, child)
                elif key.fileobj == waking:
                    os.read(waking, 512)
                    _reap(running, watched)
                elif key.data in running:
                    # Whoever typed it is gone.
                    watched.unregister(key.fileobj)
                    os.kill(key.data, signal.SIGTERM)


def _reap(running: dict[int, socket.socket], watched: selectors.BaseSelector) -> None:
    while running:
        with suppress(ChildProcessError):
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            way = running.pop(child)
            with suppress(KeyError):
                watched.unregister(way)
            code = os.waitstatus_to_exitcode(status)
            with suppress(OSError):
                way.sendall(bytes([code if code >= 0 else 128 - code]))
            way.close()


def _fork(way: socket.socket, door: socket.socket, watched: selectors.BaseSelector) -> int:
    (words, folder, environ), streams = _asked(way)
    child = os.fork()
    if child:
        for stream in streams:
            os.close(stream)
        return child
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        watched.close()
        door.close()
        way.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        sys.argv = ["seamwork", *words]
        sys.modules["__main__"].__package__ = None  # else click names this module in its help
        from seamwork.cli import main  # noqa: PLC0415  # imported by the server

        main()
    except SystemExit as leaving:
        _leave(leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1)
    except BaseException:  # noqa: BLE001  # a fork must not go on as the server, whatever its command did
        sys.excepthook(*sys.exc_info())
        _leave(1)
    _leave(0)
    return 0


def _leave(status: int) -> None:
    with suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _asked(way: socket.socket) -> tuple[tuple[list[str], str, dict[str, str]], list[int]]:
    """Return the words, folder and environment of what is typed, and the streams of whoever types it."""
    size, handed, *_ = way.recvmsg(4, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    streams = array.array("i")
    for _, _, data in handed:
        streams.frombytes(data)
    wanted, said = int.from_bytes(size, "big"), b""
    while len(said) < wanted:
        said += way.recv(wanted - len(said))
    words, folder, environ = json.loads(said)
    return (words, folder, environ), streams.tolist()


if __name__ == "__main__":
    serve(sys.argv[1])
