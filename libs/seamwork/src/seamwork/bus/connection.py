"""
Speak to a cluster: one request to one broker, and what its errors mean.

This stands below aiokafka's consumer, which hides what the port must know (where a log starts, which header broke a
batch) and would create a topic by asking for it.
"""

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.protocol.admin import DeleteRecordsRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from seamwork.bus.leaders import NOBODY, Leaders, Said, not_authorised, take_notice
from seamwork.bus.line import Line
from seamwork.bus.port import Partition
from seamwork.bus.requests import Request
from seamwork.errors import MisconfiguredError, RetryableError, UnprocessableError
from seamwork.settings.kafka import KafkaAccess

EARLIEST = -2
LATEST = -1
READ_UNCOMMITTED = 0
REQUEST_TIMEOUT_MS = 10_000
GOODBYE_S = 10.0  # for each of the last words to a broker that may be gone
PATIENCE_S = 30.0  # a broker's restart takes less
_SILENT_S = 2.0  # to answer what every broker can answer, before another one is asked beside it
_SILENT_FOR_S = 10.0  # so long is a broker asked last: of what freezes for a moment the end is soon seen
_BACKOFF_S = 0.1

T = TypeVar("T")


class Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka has no types
    """
    A client that asks at the address it was given where the brokers are, when nobody whom it knows is there.

    aiokafka does so when it begins, and then asks for ever where they were.
    """

    async def _metadata_update(self, cluster_metadata: Any, topics: Any) -> bool:
        if await super()._metadata_update(cluster_metadata, topics):
            return True
        try:
            await self.bootstrap()
        except kafka_errors.KafkaError:
            return False  # nobody is there either; who needs an answer asks again
        return bool(await super()._metadata_update(cluster_metadata, topics))


class _Client(Client):
    """
    A client that opens connections to several brokers at a time; aiokafka has one lock for all of them.

    A connection on its way is the client's, and not of whoever asked for it first: far away TCP, TLS and SASL take
    longer than some have patience for, and who asks again finds it further on, not at its beginning.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._opening: dict[tuple[int, Any], asyncio.Task[Any]] = {}

    async def close(self) -> None:
        """Close all connections, and begin no more."""
        opening = [*self._opening.values()]
        for one in opening:
            one.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        await super().close()

    async def _get_conn(
        self, node_id: int, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Any:
        known = self._conns.get((node_id, group))
        if known is not None and known.connected():
            return known
        opening = self._opening.get((node_id, group))
        if opening is None:
            opening = asyncio.create_task(self._open(node_id, group, no_hint=no_hint), name="open")
            opening.add_done_callback(take_notice)
            self._opening[node_id, group] = opening
        return await asyncio.shield(opening)

    async def _open(self, node_id: int, group: Any, *, no_hint: bool) -> Any:
        try:
            self._get_conn_lock_value = (
                None  # makes it a new one: a broker that is gone would hold the old one for 10 s
            )
            return await super()._get_conn(node_id, group=group, no_hint=no_hint)
        finally:
            del self._opening[node_id, group]


class Connection:
    """
    Connections of one principal to one cluster. Topics are named without prefix.

    Args:
        access: Where the cluster is, and who we are.
        prefix: Stands before each topic's name on the wire.
        client_id: Shown in the broker's logs.

    Attributes:
        leaders: Whom to send to.
    """

    def __init__(self, access: KafkaAccess, prefix: str, client_id: str) -> None:
        self._access = access
        self._prefix = prefix
        self._client = _Client(
            **access.aiokafka(), client_id=client_id, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        self.leaders = Leaders(self._say)
        self._silent: dict[int, float] = {}
        self._answered: int | None = None
        self._client_id = client_id
        self._lines: dict[tuple[int, str], Line] = {}
        self._opening: dict[tuple[int, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(self) -> None:
        """
        Find the cluster.

        Raises:
            RetryableError: Nobody answers there, or the broker closed the door: a wrong password looks the same.
        """
        try:
            await self._client.bootstrap()
        except kafka_errors.KafkaError as error:
            await self._client.close()
            raise unreachable(self._access) from error
        self.leaders.start()

    async def stop(self) -> None:
        """Close all connections."""
        await self.leaders.stop()
        for line in self._lines.values():
            line.close()
        self._lines.clear()
        await self._client.close()

    def wire(self, topic: str) -> str:
        """Return a topic's name on the wire."""
        return f"{self._prefix}.{topic}"

    def logical(self, name: str) -> str:
        """Return the name without prefix."""
        return name.removeprefix(f"{self._prefix}.")

    async def send(self, node: int, request: Any, *, aside: bool = False) -> Any:
        """
        Send one of aiokafka's requests.

        *aside* uses a second connection, so that it does not wait behind what takes long.
        """
        group = ConnectionGroup.COORDINATION if aside else ConnectionGroup.DEFAULT
        return await self._client.send(node, request, group=group)

    async def ask(self, node: int, request: Request[T], lane: str) -> T:
        """
        Send one request of our own making, on the lane's own connection to the broker.

        Raises:
            KafkaError: It has no answer; the retriable ones may have one later.
            MisconfiguredError: The broker is too old.
        """
        line = self._lines.get((node, lane))
        if line is None or not line.is_open:
            line = await self._line(node, lane)
        try:
            return await line.send(request)
        except kafka_errors.RequestTimedOutError:
            self._silent[node] = time.monotonic()
            raise
        except kafka_errors.IncompatibleBrokerVersion as error:
            raise self.too_old(str(error)) from error

    def too_old(self, why: str) -> MisconfiguredError:
        """Say that the cluster lacks what newer ones have."""
        return MisconfiguredError(
            f"Kafka at {self._access.bootstrap} is too old: {why}; Seamwork needs Kafka 2.5 or later"
        )

    async def _line(self, node: int, lane: str) -> Line:
        async with self._opening[node, lane]:
            line = self._lines.get((node, lane))
            if line is None or not line.is_open:
                # By aiokafka: it knows the address, logs in, and is told of a broker that is gone.
                connection = await self._client._get_conn(node, group=lane)  # noqa: SLF001
                if connection is None:
                    raise kafka_errors.NodeNotReadyError(f"broker {node} cannot be reached")
                self._client._conns.pop((node, lane), None)  # noqa: SLF001  # it is ours now
                line = self._lines[node, lane] = Line.over(connection, self._client_id)
        return line

    async def offsets(self, partitions: Sequence[Partition], which: int) -> dict[Partition, int]:
        """Return the first (``EARLIEST``) or the next (``LATEST``) offset of each partition."""

        async def ask() -> dict[Partition, int]:
            found: dict[Partition, int] = {}
            for node, group in (await self.leaders.by_leader(partitions)).items():
                topics: dict[str, list[tuple[int, int]]] = defaultdict(list)
                for topic, number in group:
                    topics[self.wire(topic)].append((number, which))
                answer = await self.send(
                    node, OffsetRequest(-1, READ_UNCOMMITTED, list(topics.items())), aside=True
                )
                for name, answers in answer.topics:
                    for number, code, _, offset in answers:
                        partition = Partition(self.logical(name), number)
                        self.check(code, partition, "read")
                        found[partition] = offset
            return found

        return await self.patiently(ask, {partition.topic for partition in partitions})

    async def delete_before(self, partition: Partition, offset: int) -> None:
        """Let the partition start at *offset*."""

        async def ask() -> None:
            (node,) = await self.leaders.by_leader([partition])
            request = DeleteRecordsRequest(
                [(self.wire(partition.topic), [(partition.partition, offset)])], REQUEST_TIMEOUT_MS
            )
            answer = await self.send(node, request, aside=True)
            for _name, answers, *_tags in answer.topics:
                for _number, _low_watermark, code, *_more in answers:
                    if kafka_errors.for_code(code) is kafka_errors.OffsetOutOfRangeError:
                        raise UnprocessableError(
                            f"topic {partition.topic}, partition {partition.partition} ends before {offset}; "
                            "nothing was deleted"
                        )
                    self.check(code, partition, "trim")

        await self.patiently(ask, {partition.topic})

    def check(self, code: int, partition: Partition, doing: str) -> None:
        """
        Raise what an error code of *partition* means.

        Raises:
            NotAuthorisedError: The principal may not do it.
            KafkaError: Anything else; the retriable ones are for ``patiently``.
        """
        error = kafka_errors.for_code(code)
        if error is kafka_errors.NoError:
            return
        if error is kafka_errors.TopicAuthorizationFailedError:
            raise not_authorised(partition.topic, doing)
        raise error(f"topic {partition.topic}, partition {partition.partition}")

    async def patiently(self, ask: Callable[[], Awaitable[T]], topics: Collection[str]) -> T:
        """
        Repeat *ask* while the cluster says that it may get better, asking again who leads *topics*.

        Raises:
            RetryableError: It did not get better.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await ask()
            except kafka_errors.KafkaError as error:
                if not error.retriable or time.monotonic() > deadline:
                    names = ", ".join(sorted(topics))
                    raise RetryableError(
                        f"Kafka at {self._access.bootstrap} did not answer for {names}: {type(error).__name__}"
                    ) from error
                self.leaders.forget(topics)
            await asyncio.sleep(_BACKOFF_S)

    async def _say(self, topics: Collection[str]) -> Sequence[Said]:
        # Never let the question create the topic, whatever the cluster's setting.
        names = sorted(map(self.wire, topics))
        answer = await self.anybody(MetadataRequest(names, allow_auto_topic_creation=False))
        self._client.cluster.update_metadata(answer)
        return [
            Said(self.logical(name), kafka_errors.for_code(code), _leaders_of(partitions))
            for code, name, _, partitions in answer.topics
        ]

    async def anybody(self, request: Any) -> Any:
        """
        Send a request that every broker can answer; while one is silent, the next is asked beside it.

        Raises:
            RetryableError: Nobody has answered.
        """
        deadline = time.monotonic() + PATIENCE_S
        asked: dict[asyncio.Task[Any], int] = {}
        failed: kafka_errors.KafkaError | None = None
        try:
            while time.monotonic() <= deadline:
                node = self._draw(asked.values())
                if node is not None:
                    task = asyncio.create_task(self.send(node, request, aside=True), name="anybody")
                    task.add_done_callback(take_notice)
                    asked[task] = node
                try:
                    if not asked:
                        await self._client.bootstrap()
                    else:
                        done, _ = await asyncio.wait(
                            asked, timeout=_SILENT_S, return_when=asyncio.FIRST_COMPLETED
                        )
                        if done:
                            task = done.pop()
                            return self._answer_of(asked.pop(task), task)
                        self._silent.update(dict.fromkeys(asked.values(), time.monotonic()))
                        continue
                except kafka_errors.KafkaError as error:
                    failed = error
                await asyncio.sleep(_BACKOFF_S)
            raise unreachable(self._access) from failed
        finally:
            for task in asked:
                task.cancel()

    def _draw(self, asked: Collection[int]) -> int | None:
        """
        Choose whom to ask next, if there is anybody left.

        Who was silent a moment ago comes last. And who answered last is passed over: a broker that is cut off from
        the others says for ever what it said before.
        """
        now = time.monotonic()
        left = [at.nodeId for at in self._client.cluster.brokers() if at.nodeId not in asked]
        heard = [
            node for node in left if now - self._silent.get(node, -_SILENT_FOR_S) >= _SILENT_FOR_S
        ] or left
        others = [node for node in heard if node != self._answered] or heard
        return secrets.choice(others) if others else None

    def _answer_of(self, node: int, task: asyncio.Task[Any]) -> Any:
        try:
            answer = task.result()
        except kafka_errors.KafkaError:
            self._silent[node] = time.monotonic()
            raise
        self._silent.pop(node, None)
        self._answered = node
        return answer


def unreachable(access: KafkaAccess) -> RetryableError:
    """Say that nobody let us in, and what the reasons can be."""
    return RetryableError(
        f"no Kafka broker at {access.bootstrap} let us in as {access.username!r}; "
        "check that it runs, the address, the protocol, and the password"
    )


def _leaders_of(partitions: Iterable[Any]) -> dict[int, int]:
    return {number: max(leader, NOBODY) for _, number, leader, *_ in partitions}
