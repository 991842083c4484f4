"""The log port on a real Kafka, by aiokafka."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Self

import structlog
from aiokafka import errors as kafka_errors
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest

from seamwork.bus.appender import Appender
from seamwork.bus.connection import EARLIEST, GOODBYE_S, LATEST, Connection
from seamwork.bus.cursor import KafkaReader, read_range
from seamwork.bus.leaders import unknown_topic
from seamwork.bus.membership import KafkaMembership
from seamwork.bus.port import Appended, Assigned, Confirmation, NotAuthorisedError, Partition, Revoked
from seamwork.bus.publisher import Publisher
from seamwork.records.wire import Outgoing, RawRecord
from seamwork.settings.kafka import KafkaAccess

_SESSION_TIMEOUT_MS = 10_000


class KafkaLog:
    """
    The log of one platform on Kafka; see the port.

    Use it as an async context, or call ``start`` and ``stop``.

    Args:
        access: Where the cluster is, and as whom to speak to it.
        prefix: Begins every topic's and group's name on the wire.
        client_id: Shown in the broker's logs and metrics; the service's name.
        session_timeout_ms: After so much silence a member of a group is held for dead. A service that is killed and
            started again waits as long for its partitions.
    """

    def __init__(
        self,
        access: KafkaAccess,
        prefix: str,
        *,
        client_id: str,
        session_timeout_ms: int = _SESSION_TIMEOUT_MS,
    ) -> None:
        self._access = access
        self._prefix = prefix
        self._client_id = client_id
        self._session_timeout_ms = session_timeout_ms
        self._connection = Connection(access, prefix, client_id)
        self._appender = Appender(self._connection)
        self._publisher = Publisher(self._connection)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """
        Find the cluster.

        Raises:
            RetryableError: Nobody let us in.
        """
        await self._connection.start()

    async def stop(self) -> None:
        """Flush and close everything; readers and memberships are stopped by whoever opened them."""
        try:
            async with asyncio.timeout(GOODBYE_S):
                await asyncio.gather(self._appender.stop(), self._publisher.stop())
        except TimeoutError:
            structlog.get_logger("log").warning("closed-unanswered")  # whoever sent it has no answer either
        finally:
            await self._connection.stop()

    @property
    def session_s(self) -> float:
        """After so much silence a member of a group is held for dead."""
        return self._session_timeout_ms / 1000

    async def own(self, group: str, lead: str, assigned: Assigned, revoked: Revoked) -> KafkaMembership:
        """Join *group* (without prefix) on the topic *lead*; see the port."""
        if await self.partitions_of(lead) is None:
            raise unknown_topic(Partition(lead, 0))
        membership = KafkaMembership(
            self._access,
            self._connection.wire(lead),
            self._group(group),
            lead,
            (assigned, revoked),
            client_id=self._client_id,
            session_timeout_ms=self._session_timeout_ms,
        )
        await membership.start()
        return membership

    async def reader(self) -> KafkaReader:
        """Open a cursor on connections of its own."""
        connection = Connection(self._access, self._prefix, f"{self._client_id}-read")
        await connection.start()
        return KafkaReader(connection)

    async def read(
        self, partition: Partition, start: int, end: int, *, most_bytes: int | None = None
    ) -> Sequence[RawRecord]:
        """Return the records with ``start <= offset < end``; see the port."""
        return await read_range(self._connection, partition, start, end, most_bytes)

    async def append(self, partition: Partition, value: bytes, key: bytes | None = None) -> Appended:
        """Append one record and wait; see the port."""
        return await self._appender.append(partition, value, key)

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[Confirmation]:
        """Publish a batch; see the port."""
        return await self._publisher.publish(batch)

    async def start_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the first offset that each partition still has."""
        return await self._connection.offsets(partitions, EARLIEST)

    async def end_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the next offset of each partition."""
        return await self._connection.offsets(partitions, LATEST)

    async def partitions_of(self, topic: str) -> int | None:
        """Return how many partitions *topic* has, or None where there is no such topic."""
        leaders = await self._connection.patiently(
            lambda: self._connection.leaders.of(topic, patience_s=0), {topic}
        )
        return None if leaders is None else len(leaders)

    async def trim(self, partition: Partition, before: int) -> None:
        """Delete the records before *before*."""
        await self._connection.delete_before(partition, before)

    async def committed(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the positions that *group* has noted; see the port."""
        name = self._group(group)
        named = {partition.topic for partition in partitions}
        topics: dict[str, list[int]] = defaultdict(list)
        for topic, number in partitions:
            topics[self._connection.wire(topic)].append(number)

        async def ask() -> dict[Partition, int]:
            found = await self._connection.anybody(FindCoordinatorRequest(name, 0))
            _check_group(found.error_code, group, named)
            answer = await self._connection.send(
                found.coordinator_id, OffsetFetchRequest(name, list(topics.items())), aside=True
            )
            # Said of the group as a whole: no topic stands in such an answer, as if nothing had been noted.
            _check_group(answer.error_code, group, named)
            positions: dict[Partition, int] = {}
            for topic, answers in answer.topics:
                for number, offset, _, code in answers:
                    partition = Partition(self._connection.logical(topic), number)
                    self._connection.check(code, partition, "read")
                    if offset >= 0:
                        positions[partition] = offset
            return positions

        return await self._connection.patiently(ask, named)

    def _group(self, group: str) -> str:
        return f"{self._prefix}.{group}"


def _check_group(code: int, group: str, topics: Iterable[str]) -> None:
    error = kafka_errors.for_code(code)
    if error is kafka_errors.GroupAuthorizationFailedError:
        raise NotAuthorisedError(
            f"the principal may not read the positions of group {group} for {', '.join(sorted(topics))}; "
            "its rights follow from contracts/topics"
        )
    if error is not kafka_errors.NoError:
        raise error
