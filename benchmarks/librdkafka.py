"""Measure what the broker alone takes, by plain librdkafka: nearer the physical limit than aiokafka."""

import asyncio
import threading
import time
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from seamwork.settings.kafka import KafkaAccess

_WITHIN_S = 30
_POLL_S = 0.1


class LibrdkafkaRoad:
    """
    One producer and one consumer, each polled by a thread of its own: this client has no event loop.

    Both send and ask at once (``linger.ms``, ``fetch.wait.max.ms`` as long as the platform's own).
    """

    def __init__(self, access: KafkaAccess, topic: str, payload: bytes, partitions: int) -> None:
        self._topic = topic
        self._payload = payload
        self._partitions = partitions
        # A road has one driver: what a carry waits for is told to its loop from the consumer's thread.
        self._producer: Any = Producer({**access.confluent(), "acks": "all", "linger.ms": 0, "log_level": 0})
        self._consumer: Any = Consumer(
            {
                **access.confluent(), "group.id": f"{topic}.librdkafka", "enable.auto.commit": False,
                "auto.offset.reset": "latest", "fetch.wait.max.ms": 500, "fetch.min.bytes": 1,
                "log_level": 0,
            }
        )  # fmt: skip
        self._sent: dict[bytes, asyncio.Future[int]] = {}
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._serve)]

    async def start(self) -> None:
        """Open both ends; the consumer stands at the end of the topic."""
        self._loop = asyncio.get_running_loop()
        places = [TopicPartition(self._topic, number) for number in range(self._partitions)]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place, timeout=_WITHIN_S)[1]
        self._consumer.assign(places)
        for thread in self._threads:
            thread.start()
        for number in range(self._partitions):
            await self.carry(number)

    async def stop(self) -> None:
        """Close both ends."""
        self._stopping.set()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        await asyncio.to_thread(self._producer.flush, _WITHIN_S)
        await asyncio.to_thread(self._consumer.close)

    async def carry(self, number: int = 0) -> int:
        """Send one record and return the nanoseconds until it came out at the other end."""
        key = f"record-{time.monotonic_ns()}-{number}".encode()
        arrival: asyncio.Future[int] = self._loop.create_future()
        self._sent[key] = arrival
        began = time.monotonic_ns()
        self._producer.produce(self._topic, self._payload, key=key)
        async with asyncio.timeout(_WITHIN_S):
            return await arrival - began

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(_POLL_S)

    def _read(self) -> None:
        while not self._stopping.is_set():
            record = self._consumer.poll(_POLL_S)
            if record is None or record.error() is not None:
                continue
            arrived = time.monotonic_ns()
            self._loop.call_soon_threadsafe(self._arrived, record.key(), arrived)

    def _arrived(self, key: bytes, at: int) -> None:
        arrival = self._sent.pop(key, None)
        if arrival is not None and not arrival.done():
            arrival.set_result(at)
