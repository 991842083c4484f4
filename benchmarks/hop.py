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
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.security import SASLScram512

from seamwork.broker.secret import write_private
from seamwork.settings.kafka import KafkaAccess

POLICIES = {"default": AckPolicy.ACK_FIRST, "safe": AckPolicy.NACK_ON_ERROR}
_WITHIN_S = 60


class HopRoad:
    """Into the hop's topic and out of the next: the driver's two ends."""

    def __init__(self, access: KafkaAccess, topic: str, payload: bytes, partitions: int) -> None:
        self._into = f"{topic}-in"
        self._out = f"{topic}-out"
        self._payload = payload
        self._partitions = partitions
        self._producer: Any = AIOKafkaProducer(**access.aiokafka(), acks="all", linger_ms=0)
        self._consumer: Any = AIOKafkaConsumer(self._out, **access.aiokafka(), auto_offset_reset="latest")
        self._sent: dict[bytes, asyncio.Future[int]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open both ends and wait until the hop takes part."""
        await self._producer.start()
        await self._consumer.start()
        await self._consumer.seek_to_end()
        for place in self._consumer.assignment():
            await self._consumer.position(place)
        self._reading = asyncio.create_task(self._read())
        for number in range(self._partitions):
            await self.carry(number)

    async def stop(self) -> None:
        """Close both ends."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    async def carry(self, number: int = 0) -> int:
        """Send one record and return the nanoseconds until it came out behind the hop."""
        key = f"record-{time.monotonic_ns()}-{number}".encode()
        arrival: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._sent[key] = arrival
        began = time.monotonic_ns()
        await self._producer.send_and_wait(self._into, self._payload, key=key)
        async with asyncio.timeout(_WITHIN_S):
            return await arrival - began

    async def _read(self) -> None:
        async for record in self._consumer:
            arrival = self._sent.pop(record.key, None)
            if arrival is not None and not arrival.done():
                arrival.set_result(time.monotonic_ns())


@asynccontextmanager
async def hop_roads(
    access: KafkaAccess, topic: str, payload: bytes, partitions: int, folder: Path
) -> AsyncIterator[tuple[dict[str, HopRoad], int]]:
    """Start the hop; yield a road through it for each policy, and the hop's process id. The topics exist."""
    told = {
        "bootstrap": access.bootstrap, "username": access.username, "password": access.password,
        "topics": {policy: f"{topic}-{policy}" for policy in POLICIES},
    }  # fmt: skip
    file = folder / "hop.json"
    write_private(file, json.dumps(told))
    with (folder / "hop.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220  # begun before anything is measured
            [sys.executable, "-m", "benchmarks.hop", str(file)], stdout=log, stderr=log
        )
    roads = {policy: HopRoad(access, name, payload, partitions) for policy, name in told["topics"].items()}  # type: ignore[attr-defined]
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
