"""
Append the records of journals: one at a time, waited for, in bounded time.

The producer is a plain one with ``acks=all``. An idempotent one would never give up (its sends have no timeout),
and a commit already carries what recognises a repeat: its epoch and its number.
"""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka_errors

from seamwork.bus.connection import Connection, not_authorised, unknown_topic, unreachable
from seamwork.bus.limits import limit_of, record_bytes
from seamwork.bus.port import Appended, Partition
from seamwork.errors import MisconfiguredError, OutcomeUnknownError, UnprocessableError
from seamwork.settings.kafka import KafkaAccess

_TIMEOUT_MS = 5_000
# A batch's life, then one last request that was sent just before its end.
_DEADLINE_S = 2 * _TIMEOUT_MS / 1000 + 1
_LOG_APPEND_TIME = 1
_LARGEST_REQUEST = 64 * 1024 * 1024  # limits are the topics', checked before


class Appender:
    """Appends to whichever partition it is told; one in flight for each partition is the caller's duty."""

    def __init__(self, access: KafkaAccess, connection: Connection, client_id: str) -> None:
        self._access = access
        self._connection = connection
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def append(self, partition: Partition, value: bytes, key: bytes | None) -> Appended:
        """Append one record and wait for all replicas; see the port."""
        topic, number = partition
        size = record_bytes(key, value)
        if size > limit_of(topic):
            raise UnprocessableError(
                f"a record of {size} bytes is too large for topic {topic}, which takes {limit_of(topic)}; "
                "nothing was sent"
            )
        leaders = await self._connection.patiently(lambda: self._connection.leaders(topic), {topic})
        if leaders is None or number not in leaders:
            raise unknown_topic(partition)
        producer = await self._started()
        try:
            async with asyncio.timeout(_DEADLINE_S):
                metadata = await producer.send_and_wait(
                    self._connection.wire(topic), value=value, key=key, partition=number
                )
        except (kafka_errors.KafkaError, TimeoutError) as error:
            raise self._explained(error, partition) from error
        if metadata.timestamp_type != _LOG_APPEND_TIME:
            raise MisconfiguredError(
                f"topic {topic} does not keep the broker's append time; set message.timestamp.type=LogAppendTime"
            )
        return Appended(metadata.offset, metadata.timestamp)

    async def stop(self) -> None:
        """Close the connection; what is still in flight is waited for."""
        if self._producer is not None:
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
                self._connection.forget([partition.topic])
                return OutcomeUnknownError(
                    f"an append to topic {partition.topic}, partition {partition.partition} was not answered "
                    f"({type(error).__name__}); append the same bytes again, or stop"
                )

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._access.aiokafka(),
                    client_id=f"{self._client_id}-append",
                    acks="all",
                    request_timeout_ms=_TIMEOUT_MS,
                    max_request_size=_LARGEST_REQUEST,
                )
                try:
                    await producer.start()
                except kafka_errors.KafkaError as error:
                    await producer.stop()
                    raise unreachable(self._access) from error
                self._producer = producer
            return self._producer
