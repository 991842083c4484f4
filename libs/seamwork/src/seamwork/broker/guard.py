"""
Stand between a program and the broker it started, so that the broker never outlives the program.

Run as a script: ``python -I -S guard.py LIFELINE PID_FILE COMMAND…``. LIFELINE is the reading end of a pipe
whose writing end only the program holds; when the program ends, however it ends, the pipe closes, and the
guard stops the command. Should the guard itself be killed, Linux kills the command with it. (Asking Linux to do
that for the program directly would tie the broker to the *thread* that started it.)
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

_STOP_WITHIN_S = 20
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(arguments: list[str]) -> int:
    """Run the command until it or the lifeline ends; return its exit code."""
    lifeline = int(arguments[0])
    child = subprocess.Popen(arguments[2:], preexec_fn=_die_with_parent)  # noqa: PLW1509 (one thread so far)
    Path(arguments[1]).write_text(f"{child.pid}\n", encoding="ascii")
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_stop_at_end_of, args=(lifeline, child), daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _stop_at_end_of(lifeline: int, child: subprocess.Popen[bytes]) -> None:
    os.read(lifeline, 1)  # nothing is ever written to the pipe: this returns when it is closed
    child.terminate()
    try:
        child.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:  # the guard ended before it could be noticed
            os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
