"""
The agent that a measurement hands work to: it says at once when it was called.

A process of its own, as agents are. The monotonic clock is the machine's, so its instants can be compared with
those of the process that began the task.
"""

import sys
import time

from prometheus_client import start_http_server

from seamwork.agent import Agent

worker = Agent("bench-worker", "1.0.0")


@worker.accepts("bench-work", "1.0.0")
async def work(payload: dict[str, str]) -> dict[str, int]:
    """Answer with the instant of the call."""
    del payload  # weight, not matter
    return {"called_at_ns": time.monotonic_ns()}


if __name__ == "__main__":
    start_http_server(int(sys.argv[1]), addr="127.0.0.1")  # as an author shows an agent's metrics
    worker.run()
