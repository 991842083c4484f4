"""
Set memory up for a process that lives for months.

What a machine remembers is many small objects without cycles. The collector's defaults look through all of
them again and again, in pauses of tens of milliseconds; nothing is ever found. Here what was loaded at the start
is taken out of its sight, and it looks less often.

Between what is remembered come and go the large pieces: commits, fetched pages, shares of a snapshot. The C
library begins to put them among the small ones as soon as it has seen some of them go, and the holes that they
leave stay with the process. Here they keep pages of their own, which go back to the system.
"""

import ctypes
import gc

_YOUNG, _MIDDLE, _OLD = 20_000, 10, 20
_MMAP_THRESHOLD = -3  # as glibc's malloc.h has it
_LARGE_BYTES = 128 * 1024


def settle_memory() -> None:
    """Call once, when everything is imported and nothing has been read yet."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it; musl's allocator needs no telling
    if adjust is not None:
        adjust(_MMAP_THRESHOLD, _LARGE_BYTES)
