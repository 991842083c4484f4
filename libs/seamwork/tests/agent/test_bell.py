"""An agent that has stopped is gone, whatever a function does."""

import asyncio
import subprocess
import sys
import threading

from seamwork.agent.bell import run_to_the_end

_STAYS = """
import asyncio
from seamwork.agent.bell import run_to_the_end

async def stay():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue

async def main():
    task = asyncio.create_task(stay())
    await asyncio.sleep(0)

run_to_the_end(main(), 0.05)
"""


def test_a_function_that_will_not_be_cancelled_keeps_no_process_alive() -> None:
    """A supervisor reads the code, a person the line."""
    left = subprocess.run(
        [sys.executable, "-c", _STAYS], capture_output=True, text=True, check=False, timeout=60
    )

    assert 71 == left.returncode
    assert "stop-timeout" in left.stdout + left.stderr


def test_a_program_that_goes_on_after_its_agent_hears_no_bell() -> None:
    """It ended by itself."""
    run_to_the_end(asyncio.sleep(0))

    assert [] == [
        each
        for each in threading.enumerate()
        if isinstance(each, threading.Timer) and not each.finished.is_set()
    ]
