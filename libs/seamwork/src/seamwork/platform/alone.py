"""See that one process at a time holds a platform: its note has one supervisor, its journals one owner."""

import sys
from typing import IO

from seamwork.errors import MisconfiguredError
from seamwork.platform.home import PlatformHome

if sys.platform != "win32":
    import fcntl


def alone(home: PlatformHome, what: str = "up") -> IO[bytes]:
    """
    Return a hold on the platform of *home*: whoever closes it lets go, and whoever ends does, however it ends.

    Args:
        home: The platform.
        what: Which of its holds: ``up`` is the platform itself, ``detached`` the start that somebody waits for.

    Raises:
        MisconfiguredError: Another process has it.
    """
    home.make()
    home.run.mkdir(mode=0o700, exist_ok=True)
    hold = (home.run / f"{what}.lock").open("ab")
    try:
        if sys.platform != "win32":
            fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        hold.close()
        raise MisconfiguredError(
            f"another process holds platform {home.name}: it starts, runs, stops or is copied; wait for that, or "
            f"see {home.typed('status')}"
        ) from error
    except BaseException:
        hold.close()
        raise
    return hold
