"""
Let the event loop have its turn while a thread of its process computes.

Python lets a thread compute for five milliseconds before another that waits gets a turn. The audit sink writes in a
thread; a loop that woke up meanwhile, for a record that somebody waits for, would wait for as long as a whole
crossing may take.
"""

import sys

_TURN_S = 0.0005


def settle_threads() -> None:
    """Call once, before threads are started."""
    sys.setswitchinterval(_TURN_S)
