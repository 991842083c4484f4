"""
An agent's program that does with a secret what careless agents do: it fails over it, and quotes it when it fails.

Run as ``python canary_agent.py NAME CONTRACT…`` with ``SEAMWORK_AGENT_SETTINGS`` in the environment; the payload
says in ``do`` what it does.
"""

import sys
from typing import Any

from seamwork.agent import Agent, Task

name, contracts = sys.argv[1], sys.argv[2:]
agent = Agent(name, "1.0.0")


async def work(payload: dict[str, Any], task: Task) -> Any:
    """Do what the payload says."""
    secret = payload["secret"]
    match payload["do"]:
        case "answer":
            return {"ok": True, "secret": secret}
        case "break the contract":
            return {"ok": secret}
        case "raise":
            try:
                {}[secret]
            except KeyError as error:
                raise ValueError(f"nothing can be done with {secret!r}") from error
        case "say why not":
            return task.error("CannotBe", f"{secret} is not known here")
        case _:
            below = {**payload, "do": payload["do"].removeprefix("ask: ")}
            return await task.delegate(contract=contracts[0], to=name, payload=below, step="below")


for contract in contracts:
    agent.accepts(*contract.split("/"))(work)
agent.run()
