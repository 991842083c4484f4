"""
Be an agent of Calfkit's, or whoever calls it, as its own pages show both: a worker, and a client that executes.

Run by the interpreter of an environment of its own, which knows nothing of Seamwork: ``python -P peer_calfkit.py
agent|caller FILE`` with what it is told in a private file. The model is a function that answers at once, so that
nothing is measured but the way there and back. The caller does what it reads line by line, and answers in kind.
"""

import asyncio
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from calfkit import Agent, Client, ProvisioningConfig, Worker
from calfkit._vendor.pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from calfkit._vendor.pydantic_ai.models.function import AgentInfo, FunctionModel
from calfkit.providers.pydantic_ai.model_client import PydanticModelClient
from faststream.security import SASLScram512

_NAME = "bench"
_WITHIN_S = 60


class AtOnce(FunctionModel, PydanticModelClient):  # type: ignore[misc]  # of another environment
    """A model that costs nothing."""


def connect(told: dict[str, Any]) -> Client:
    """Return a client, of the agent's or of the caller's process."""
    return Client.connect(
        told["bootstrap"],
        security=SASLScram512(told["username"], told["password"]),
        acks="all",
        logger=None,
        provisioning=ProvisioningConfig(enabled=True, num_partitions=told["partitions"]),
    )


async def be_agent(told: dict[str, Any]) -> None:
    """Answer until told to end."""

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        del info
        return ModelResponse(parts=[TextPart(str(messages[-1].parts[-1].content))])

    agent = Agent(_NAME, description="Answers at once.", model_client=AtOnce(respond))
    async with Worker(connect(told), [agent]):
        await asyncio.to_thread(Path(told["ready"]).touch)
        await asyncio.Event().wait()


async def be_caller(told: dict[str, Any]) -> None:
    """Do what is read, line by line: ``{"samples": 50, "bytes": 1024}``, or ``for_s`` and ``in_flight`` instead."""
    client = connect(told)
    gateway = client.agent(_NAME)

    async def carry(size: int) -> int:
        prompt = "x" * size
        began = time.monotonic_ns()
        answered = await gateway.execute(prompt, timeout=_WITHIN_S)
        took = time.monotonic_ns() - began
        if len(answered.output) != size:
            raise ValueError(f"{len(answered.output)} came back of {size}")
        return took

    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        if "samples" in order:
            found: dict[str, Any] = {"ns": [await carry(order["bytes"]) for _ in range(order["samples"])]}
        else:
            found = {"per_s": await _rate(partial(carry, order["bytes"]), order["for_s"], order["in_flight"])}
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    await client.aclose()


async def _rate(carry: Any, for_s: float, in_flight: int) -> float:
    began, done = time.monotonic(), 0

    async def lane() -> None:
        nonlocal done
        while time.monotonic() - began < for_s:
            await carry()
            done += 1

    await asyncio.gather(*(lane() for _ in range(in_flight)))
    return done / (time.monotonic() - began)


if __name__ == "__main__":
    asyncio.run(
        {"agent": be_agent, "caller": be_caller}[sys.argv[1]](
            json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
        )
    )
