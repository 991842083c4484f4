"""A service that was told to stop and hangs leaves by a name, too."""

import subprocess
import sys

_HANGS = """
import threading
from seamwork.runtime.bell import ring_later

ring_later(0.01)
threading.Event().wait()
"""


def test_what_hangs_while_it_stops_leaves_by_a_name() -> None:
    """A supervisor reads the code, a person the line."""
    left = subprocess.run([sys.executable, "-c", _HANGS], capture_output=True, text=True, check=False)

    assert 71 == left.returncode
    assert "stop-timeout" in left.stdout + left.stderr
