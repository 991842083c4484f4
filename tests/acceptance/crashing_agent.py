"""
An agent's program that notes what it was given and does not answer before it may.

Run as ``python crashing_agent.py NAME FOLDER CONTRACT…`` with ``SEAMWORK_AGENT_SETTINGS`` in the environment. In
FOLDER it appends each dispatch to ``begun``; it answers where it finds a file ``go`` when it begins.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from seamwork.agent import Agent, Task

name, folder, contracts = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
agent = Agent(name, "1.0.0")


async def work(payload: dict[str, Any], task: Task) -> dict[str, int]:
    """Take note, and answer if that is allowed."""
    with (folder / "begun").open("a", encoding="utf-8") as begun:
        begun.write(f"{task.facts.dispatch} {task.idempotency_key('effect')}\n")
    if not (folder / "go").exists():
        await asyncio.Event().wait()
    return {"attempt": task.facts.attempt}


for contract in contracts:
    agent.accepts(*contract.split("/"))(work)
agent.run()
