"""
Measure a hop that nobody governs: a FastStream subscriber takes a record and publishes one, record by record.

The hop is a process of its own, as agents are: ``python -m benchmarks.hop FILE`` with what it is told in a private
file. Once with FastStream's default acknowledgement, which loses what is in hand when the process dies, and once
with the one that does not (``NACK_ON_ERROR``), which commits each record.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.raw import RawRoad
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.security import SASLScram512

from seamwork.broker.secret import write_private
from seamwork.settings.kafka import KafkaAccess

POLICIES = {"default": AckPolicy.ACK_FIRST, "safe": AckPolicy.NACK_ON_ERROR}


@asynccontextmanager
async def hop_roads(
    access: KafkaAccess, topic: str, payload: bytes, partitions: int, folder: Path
) -> AsyncIterator[tuple[dict[str, RawRoad], int]]:
    """Start the hop; yield a road through it for each policy, and the hop's process id. The topics exist."""
    topics = {policy: f"{topic}-{policy}" for policy in POLICIES}
    told = {
        "bootstrap": access.bootstrap, "username": access.username, "password": access.password,
        "topics": topics,
    }  # fmt: skip
    file = folder / "hop.json"
    write_private(file, json.dumps(told))
    with (folder / "hop.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220  # begun before anything is measured
            [sys.executable, "-m", "benchmarks.hop", str(file)], stdout=log, stderr=log
        )
    roads = {
        policy: RawRoad(access, f"{name}-in", payload, partitions, f"{name}-out")
        for policy, name in topics.items()
    }
    try:
        for road in roads.values():
            await road.start()
        yield roads, process.pid
    finally:
        for road in roads.values():
            await road.stop()
        process.terminate()
        await asyncio.to_thread(process.wait)


def main() -> None:
    """Be the hop."""
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    security = SASLScram512(told["username"], told["password"])
    broker = KafkaBroker(told["bootstrap"].split(","), security=security, acks="all", logger=None)
    for policy, topic in told["topics"].items():  # payloads as its documentation has them, typed JSON
        _follow(broker, topic, POLICIES[policy])
    asyncio.run(FastStream(broker).run())


def _follow(broker: KafkaBroker, topic: str, policy: AckPolicy) -> None:
    publisher = broker.publisher(f"{topic}-out")

    @broker.subscriber(
        f"{topic}-in", group_id=f"{topic}-hop", ack_policy=policy, auto_offset_reset="earliest"
    )
    async def hop(body: dict[str, str], message: KafkaMessage) -> None:
        await publisher.publish(body, key=message.raw_message.key)  # type: ignore[arg-type,union-attr]  # JSON; one record


if __name__ == "__main__":
    main()
