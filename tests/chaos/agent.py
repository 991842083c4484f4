"""
The agents of the synthetic load, one process each: ``python -m tests.chaos.agent NAME NOTES``.

``chaos-boss`` splits a number into parts and adds up what ``chaos-worker`` makes of them. Every run of a dispatch
is noted in the file NOTES, so that it can be told afterwards whether one ran again after it was finished.
"""

import asyncio
import os
import sys
from typing import Any

from seamwork.agent import Agent, Task
from seamwork.clock import SystemClock

CONTRACT = "chaos"
ASKED = "chaos-asked"
"""As the former, and a person must agree first."""
VERSION = "1.0.0"
BOSS, WORKER, CHIEF = "chaos-boss", "chaos-worker", "chaos-chief"


def note(path: str, task: Task) -> None:
    """Append one line; lines this short arrive whole."""
    line = f"{SystemClock().now_ms()} {task.facts.dispatch} {task.idempotency_key('sum')}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode("ascii"))
    finally:
        os.close(descriptor)


def made(name: str, notes: str) -> Agent:
    """Make one of the two."""
    agent = Agent(name, VERSION)

    async def split(payload: dict[str, Any], task: Task) -> dict[str, int]:
        note(notes, task)
        parts = [
            task.delegate(
                contract=f"{CONTRACT}/{VERSION}", to=WORKER, payload={"number": n}, step="part", ordinal=n
            )
            for n in range(int(payload["parts"]))
        ]
        return {"sum": sum(int(answer["square"]) for answer in await asyncio.gather(*parts))}

    async def work(payload: dict[str, Any], task: Task) -> dict[str, int]:
        note(notes, task)
        task.spend(micro_usd=int(payload["number"]) + 1)
        return {"square": int(payload["number"]) ** 2}

    agent.accepts(CONTRACT, VERSION)(split if name == BOSS else work)
    if name == BOSS:
        agent.accepts(ASKED, VERSION)(split)
    return agent


if __name__ == "__main__":
    made(sys.argv[1], sys.argv[2]).run()
