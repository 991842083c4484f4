"""How memory is set up for a process that lives for months."""

import subprocess
import sys

_LOOKS = """
import ctypes, sys
from seamwork.runtime.memory import settle_memory

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

library = ctypes.CDLL(None)
library.mallinfo2.restype = Info
if sys.argv[1] == "settled":
    settle_memory()
for _ in range(5):
    commit = bytes(1_000_000)
    del commit
before = library.mallinfo2().hblks
kept = [bytes(500_000) for _ in range(10)]
print(library.mallinfo2().hblks - before)
"""


def apart(how: str) -> int:
    """Return how many of ten large pieces have pages of their own after larger ones have come and gone."""
    command = [sys.executable, "-c", _LOOKS, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_large_pieces_leave_no_holes_among_the_small_ones() -> None:
    """Left to itself the C library puts them together once it has seen some of them go."""
    assert 0 == apart("as-it-is")
    assert 8 <= apart("settled")  # some fit where something had been freed before
