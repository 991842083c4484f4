"""
Be an agent of EggAI's, as its own page shows one for Kafka: subscribe to a channel, publish to another.

Run by the interpreter of an environment of its own, which knows nothing of Seamwork: ``python -P peer_eggai.py
FILE`` with what it is told in a private file. What differs from the page is named there: the broker asks for a
password, the same acknowledgements as for everybody, and what was sent before the agent was there counts.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

from eggai import Agent, Channel
from eggai.transport import KafkaTransport
from faststream.security import SASLScram512


async def main(told: dict[str, Any]) -> None:
    """Be the agent until told to end."""
    logging.getLogger().setLevel(logging.WARNING)
    transport = KafkaTransport(
        bootstrap_servers=told["bootstrap"],
        security=SASLScram512(told["username"], told["password"]),
        acks="all",
        logger=None,
    )
    agent = Agent("bench", transport=transport)
    outputs = Channel(told["out"], transport=transport)

    @agent.subscribe(channel=Channel(told["into"], transport=transport), auto_offset_reset="earliest")  # type: ignore[untyped-decorator]  # of another environment
    async def handle(message: dict[str, Any]) -> None:
        await outputs.publish(message)

    await agent.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
