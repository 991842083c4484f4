"""End with the process that started us, so that a killed supervisor leaves no orphan."""

import asyncio
import os
from collections.abc import Callable

_LOOK_EVERY_S = 1.0


async def watch_parent(pid: int, gone: Callable[[], None]) -> None:
    """Call *gone* once the process *pid* is no longer our parent."""
    # Whoever is orphaned is given another parent: that needs no signal, works on every Unix, and cannot be fooled
    # by a new process under the old id.
    while os.getppid() == pid:  # noqa: ASYNC110  # nothing tells us
        await asyncio.sleep(_LOOK_EVERY_S)
    gone()
