"""
Run several of the audit's agents in one program, each with its own name, key and inbox.

Between them nothing changes: they meet on the platform only. It spares a small machine the price of one Python for
each.
"""

import asyncio
import os
import signal
import sys
from importlib import import_module
from typing import Never

from licence_audit import agents
from seamwork.agent import Agent
from seamwork.errors import SeamworkError

_LOOK_EVERY_S = 1.0
_USAGE = 64
_SOFTWARE = 70


async def serve(*served: Agent) -> None:
    """
    Run agents until a signal comes, the process that began them is gone, or one of them breaks.

    Raises:
        SeamworkError: What broke it.
    """
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await asyncio.gather(*(agent.start() for agent in served))
        waits = (ended.wait(), _orphaned(os.getppid()), *(agent.wait_broken() for agent in served))
        reasons = [asyncio.ensure_future(each) for each in waits]
        done, waiting = await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        for each in done:
            each.result()
    finally:
        await asyncio.gather(*(agent.stop() for agent in served))


async def _orphaned(parent: int) -> None:
    # Whoever is orphaned is given another parent. The platform went with the old one, so there is nobody to take
    # leave of: what was under way is run again by whoever starts these agents next.
    while os.getppid() == parent:  # noqa: ASYNC110  # nothing tells us
        await asyncio.sleep(_LOOK_EVERY_S)
    sys.stderr.write("the process that started these agents is gone\n")
    os._exit(_SOFTWARE)


def main() -> Never:
    """Run the agents named on the command line by their modules."""
    names = sys.argv[1:]
    if not names:
        sys.stderr.write(f"name the agents to run, as in: python -m {agents.__name__} parser compliance\n")
        raise SystemExit(_USAGE)
    found: list[Agent] = [import_module(f"{agents.__name__}.{name}").agent for name in names]
    try:
        asyncio.run(serve(*found))
    except SeamworkError as error:
        sys.stderr.write(f"{', '.join(names)}: {error}\n")
        raise SystemExit(_SOFTWARE) from error
    raise SystemExit(0)


if __name__ == "__main__":
    main()
