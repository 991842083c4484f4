"""
Set the collector of cyclic garbage up for a process that lives for months.

What a machine remembers is many small objects without cycles. The collector's defaults look through all of
them again and again, in pauses of tens of milliseconds; nothing is ever found. Here what was loaded at the start
is taken out of its sight, and it looks less often.
"""

import gc

_YOUNG, _MIDDLE, _OLD = 20_000, 10, 20


def settle_memory() -> None:
    """Call once, when everything is imported and nothing has been read yet."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
