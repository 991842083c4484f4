"""Wait for a service's own loop in a test."""

import asyncio


async def caught_up(loop: "asyncio.Task[None]", idle: asyncio.Event, within_s: float) -> None:
    """
    Wait until *loop* has nothing to do; an error of the loop is raised here.

    Args:
        loop: What runs.
        idle: Set when it says that nothing is left, and only then.
        within_s: Seconds after which the test fails.
    """
    idle.clear()
    waiting = asyncio.create_task(idle.wait())
    async with asyncio.timeout(within_s):
        await asyncio.wait({waiting, loop}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if loop.done():
        loop.result()
