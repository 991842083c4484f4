"""
Append the records of journals: one at a time, waited for, in bounded time.

The producer is a plain one with ``acks=all``. An idempotent one would never give up (its sends have no timeout),
and a commit already carries what recognises a repeat: its epoch and its number.
"""

import asyncio

from aiokafka import errors as kafka_errors

from seamwork.bus.connection import Connection
from seamwork.bus.leaders import not_authorised
from seamwork.bus.limits import limit_of, record_bytes
from seamwork.bus.port import Appended, Partition
from seamwork.bus.producing import SLOWEST_BYTES_S, Batch, Producer
from seamwork.errors import MisconfiguredError, OutcomeUnknownError, RetryableError, UnprocessableError

_TIMEOUT_MS = 5_000
# A batch's life, then one last request that was sent just before its end; what is large takes its time on top.
_DEADLINE_S = 2 * _TIMEOUT_MS / 1000 + 1
_ANY_SIZE = 2**31 - 1  # limits are the topics', checked before


class Appender:
    """Appends to whichever partition it is told; one in flight for each partition is the caller's duty."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._producer = Producer(connection, "append", idempotent=False, timeout_ms=_TIMEOUT_MS)

    async def append(self, partition: Partition, value: bytes, key: bytes | None) -> Appended:
        """Append one record and wait for all replicas; see the port."""
        topic = partition.topic
        size = record_bytes(key, value)
        if size > limit_of(topic):
            raise UnprocessableError(
                f"a record of {size} bytes is too large for topic {topic}, which takes {limit_of(topic)}; "
                "nothing was sent"
            )
        batch = Batch(_ANY_SIZE)
        batch.append(key, value)
        try:
            async with asyncio.timeout(_DEADLINE_S + size / SLOWEST_BYTES_S):
                placed = await self._producer.post(partition, batch)
        except (kafka_errors.KafkaError, RetryableError, TimeoutError) as error:
            raise self._explained(error, partition) from error
        if placed.appended_at < 0:
            raise MisconfiguredError(
                f"topic {topic} does not keep the broker's append time; set message.timestamp.type=LogAppendTime"
            )
        return Appended(placed.offset, placed.appended_at)

    async def stop(self) -> None:
        """Wait for what is still in flight."""
        await self._producer.stop()

    def _explained(self, error: Exception, partition: Partition) -> Exception:
        match error:
            case kafka_errors.TopicAuthorizationFailedError():
                return not_authorised(partition.topic, "write to")
            case kafka_errors.MessageSizeTooLargeError():
                return UnprocessableError(
                    f"the broker found a record too large for topic {partition.topic}, though its file allows it; "
                    "the topic's max.message.bytes is not what the file says"
                )
            case _:
                self._connection.leaders.forget([partition.topic])
                return OutcomeUnknownError(
                    f"an append to topic {partition.topic}, partition {partition.partition} was not answered "
                    f"({type(error).__name__}); append the same bytes again, or stop"
                )
