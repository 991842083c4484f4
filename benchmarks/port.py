"""Measure what the broker alone takes, by the platform's own log port: the client that every service has."""

import asyncio
import time

from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Partition, Reader
from seamwork.records.wire import Outgoing
from seamwork.settings.kafka import KafkaAccess

_WITHIN_S = 30
_RECORDS = 500
_WAIT_MS = 500


class PortRoad:
    """
    A publisher that waits for its acknowledgement, and a cursor, on a topic of their own.

    *topic* is named on the wire, as for the other roads.
    """

    def __init__(self, access: KafkaAccess, topic: str, payload: bytes, partitions: int) -> None:
        prefix, _, self._topic = topic.partition(".")
        self._payload = payload
        self._partitions = partitions
        self._log = KafkaLog(access, prefix, client_id="bench-port")
        self._reader: Reader | None = None
        self._reading: asyncio.Task[None] | None = None
        self._sent: dict[bytes, asyncio.Future[int]] = {}

    async def start(self) -> None:
        """Open both ends."""
        await self._log.start()
        places = [Partition(self._topic, number) for number in range(self._partitions)]
        positions = await self._log.end_offsets(places)
        self._reader = await self._log.reader()
        self._reading = asyncio.create_task(self._read(self._reader, positions))
        for number in range(self._partitions):
            await self.carry(number)

    async def stop(self) -> None:
        """Close both ends."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._reader is not None:
            await self._reader.stop()
        await self._log.stop()

    async def carry(self, number: int = 0) -> int:
        """Send one record and return the nanoseconds until it came out at the other end."""
        key = f"record-{time.monotonic_ns()}-{number}".encode()
        arrival: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._sent[key] = arrival
        began = time.monotonic_ns()
        await self._log.publish([Outgoing(self._topic, key, self._payload)])
        async with asyncio.timeout(_WITHIN_S):
            return await arrival - began

    async def _read(self, reader: Reader, positions: dict[Partition, int]) -> None:
        while True:
            found = await reader.fetch(positions, max_records=_RECORDS, max_wait_ms=_WAIT_MS)
            for at, records in found.items():
                positions[at] = records[-1].offset + 1
                for record in records:
                    arrival = self._sent.pop(record.key or b"", None)
                    if arrival is not None:
                        arrival.set_result(time.monotonic_ns())
