"""Measure what the broker alone takes: produce, acknowledged, and consume, by plain aiokafka."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from seamwork.settings.kafka import KafkaAccess

_WITHIN_S = 60


class RawRoad:
    """
    One topic of its own, one producer that waits for every acknowledgement, one consumer.

    Same broker, same authentication and the same settings of the topic as the platform's own. What is carried comes
    out of *out*, where something stands between; else out of *topic* itself.
    """

    def __init__(
        self, access: KafkaAccess, topic: str, payload: bytes, partitions: int, out: str | None = None
    ) -> None:
        self._topic = topic
        self._payload = payload
        self._partitions = partitions
        # The producer's default is to wait for whatever comes along; both roads send at once.
        self._producer: Any = AIOKafkaProducer(**access.aiokafka(), acks="all", linger_ms=0)
        self._consumer: Any = AIOKafkaConsumer(out or topic, **access.aiokafka(), auto_offset_reset="latest")
        self._sent: dict[bytes, asyncio.Future[int]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open both ends and wait until every partition carries."""
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
        """Send one record and return the nanoseconds until it came out at the other end."""
        key = f"record-{time.monotonic_ns()}-{number}".encode()
        arrival: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._sent[key] = arrival
        began = time.monotonic_ns()
        await self._producer.send_and_wait(self._topic, self._payload, key=key)
        async with asyncio.timeout(_WITHIN_S):
            return await arrival - began

    def _key(self, record: Any) -> bytes:
        key: bytes = record.key
        return key

    async def _read(self) -> None:
        async for record in self._consumer:
            arrival = self._sent.pop(self._key(record), None)
            if arrival is not None and not arrival.done():
                arrival.set_result(time.monotonic_ns())


async def make_topics(admin: KafkaAccess, names: Sequence[str], partitions: int) -> None:
    """Make topics with the settings of the platform's own."""
    client: Any = AIOKafkaAdminClient(**admin.aiokafka())
    await client.start()
    try:
        configs = {"compression.type": "uncompressed", "message.timestamp.type": "LogAppendTime"}
        await client.create_topics([NewTopic(name, partitions, 1, topic_configs=configs) for name in names])
    finally:
        await client.close()
