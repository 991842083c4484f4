"""
Speak to a cluster: who leads which partition, one request to one broker, and what its errors mean.

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

from seamwork.bus.line import Line
from seamwork.bus.port import NotAuthorisedError, Partition, UnknownTopicError
from seamwork.bus.requests import Request
from seamwork.errors import MisconfiguredError, RetryableError
from seamwork.settings.kafka import KafkaAccess

EARLIEST = -2
LATEST = -1
READ_UNCOMMITTED = 0
NOBODY = -1
"""Leads a partition that has no leader just now."""
REQUEST_TIMEOUT_MS = 10_000
GOODBYE_S = 10.0  # for each of the last words to a broker that may be gone
PATIENCE_S = 30.0  # a broker's restart takes less
NEW_TOPIC_PATIENCE_S = 1.0  # a topic made just now reaches all brokers in less
_MISSED_S = 10.0
_SILENT_S = 2.0  # to answer what every broker can answer, before another one is asked beside it
_SILENT_FOR_S = 10.0  # so long is a broker asked last: of what freezes for a moment the end is soon seen
_BACKOFF_S = 0.1
_LOOK_AGAIN_S = 300.0  # as Java's clients do it (metadata.max.age.ms)
_IN_DISPUTE_S = 10.0  # longer than a cluster takes to agree on a new leader

T = TypeVar("T")


class _Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka has no types
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
            opening.add_done_callback(_take_notice)
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
    """

    def __init__(self, access: KafkaAccess, prefix: str, client_id: str) -> None:
        self._access = access
        self._prefix = prefix
        self._client = _Client(
            **access.aiokafka(), client_id=client_id, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        self._leaders: dict[str, dict[int, int]] = {}
        self._denied: set[str] = set()
        self._moving: set[str] = set()
        self._missed: dict[str, float] = {}
        self._question: asyncio.Task[None] | None = None
        self._named: set[str] = set()
        self._asked_at = 0.0
        self._silent: dict[int, float] = {}
        self._answered: int | None = None
        self._keeping_up: asyncio.Task[None] | None = None
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
        self._keeping_up = asyncio.create_task(self._keep_up(), name="keep-up")

    async def stop(self) -> None:
        """Close all connections."""
        under_way = [task for task in (self._question, self._keeping_up) if task is not None]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
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

    def forget(self, topics: Iterable[str]) -> None:
        """Ask again who leads these topics before they are used next."""
        for topic in topics:
            self._leaders.pop(topic, None)

    async def learn(self, topics: Collection[str]) -> None:
        """
        Ask who leads *topics*, in one question for all of which nothing is known; `leaders` says what came of each.

        Raises:
            RetryableError: The cluster cannot be asked.
        """
        if len(topics) > 1:  # for one, `leaders` asks itself
            await self._ask(topics)

    async def leaders(self, topic: str, *, patience_s: float = NEW_TOPIC_PATIENCE_S) -> dict[int, int] | None:
        """
        Return the broker that leads each partition of *topic*, or None where there is none after *patience_s*.

        A partition without a leader just now has ``NOBODY``; the others of its topic go on.

        Raises:
            NotAuthorisedError: The principal may not even see the topic.
            KafkaError: Nothing is known of its partitions yet; asking again later is right (``patiently``).
            RetryableError: The cluster cannot be asked.
        """
        known = self._leaders.get(topic)
        if known is not None:
            return known
        began = time.monotonic()
        if began - self._missed.get(topic, -_MISSED_S) < _MISSED_S:
            patience_s = 0.0  # waited for just now; a bad inbox must not slow every batch
        while True:
            await self._ask({topic})
            known = self._leaders.get(topic)
            if known is not None:
                self._missed.pop(topic, None)
                return known
            if topic in self._denied:
                raise not_authorised(topic, "see")
            if topic in self._moving:
                raise kafka_errors.LeaderNotAvailableError(topic)
            if time.monotonic() >= began + patience_s:
                if patience_s > 0:
                    self._missed[topic] = time.monotonic()
                return None
            await asyncio.sleep(_BACKOFF_S)

    async def by_leader(self, partitions: Collection[Partition]) -> dict[int, list[Partition]]:
        """
        Group partitions by the broker that leads them.

        Raises:
            UnknownTopicError: A topic or partition does not exist.
            KafkaError: One has no leader just now.
        """
        grouped = await self.led(partitions)
        leaderless = grouped.get(NOBODY)
        if leaderless:
            self.forget({partition.topic for partition in leaderless})
            raise kafka_errors.LeaderNotAvailableError(leaderless[0].topic)
        return grouped

    async def led(self, partitions: Collection[Partition]) -> dict[int, list[Partition]]:
        """
        Group partitions by the broker that leads them; those without a leader just now stand under ``NOBODY``.

        Those are asked about again before long.

        Raises:
            UnknownTopicError: A topic or partition does not exist.
        """
        await self.learn({partition.topic for partition in partitions})
        grouped: dict[int, list[Partition]] = defaultdict(list)
        for partition in partitions:
            leaders = await self.leaders(partition.topic)
            if leaders is None or partition.partition not in leaders:
                self.forget([partition.topic])
                raise unknown_topic(partition)
            grouped[leaders[partition.partition]].append(partition)
        if NOBODY in grouped and time.monotonic() - self._asked_at >= _BACKOFF_S:
            self.forget({partition.topic for partition in grouped[NOBODY]})
        return grouped

    def known_leaders(self, partitions: Collection[Partition]) -> dict[int, list[Partition]] | None:
        """Group partitions by the broker that leads them, or return None if that must be asked first."""
        grouped: dict[int, list[Partition]] = {}
        known = self._leaders
        for partition in partitions:
            leaders = known.get(partition.topic)
            node = NOBODY if leaders is None else leaders.get(partition.partition, NOBODY)
            if node == NOBODY:
                return None
            group = grouped.get(node)
            if group is None:
                grouped[node] = [partition]
            else:
                group.append(partition)
        return grouped

    def count_of(self, topic: str) -> int | None:
        """Return how many partitions *topic* has, as far as is known without asking."""
        leaders = self._leaders.get(topic)
        return None if leaders is None else len(leaders)

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
            raise MisconfiguredError(
                f"Kafka at {self._access.bootstrap} is too old: {error}; Seamwork needs Kafka 2.3 or later"
            ) from error

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
            for node, group in (await self.by_leader(partitions)).items():
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
            (node,) = await self.by_leader([partition])
            request = DeleteRecordsRequest(
                [(self.wire(partition.topic), [(partition.partition, offset)])], REQUEST_TIMEOUT_MS
            )
            answer = await self.send(node, request, aside=True)
            for _name, answers, *_tags in answer.topics:
                for _number, _low_watermark, code, *_more in answers:
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
                self.forget(topics)
            await asyncio.sleep(_BACKOFF_S)

    async def _ask(self, topics: Collection[str]) -> None:
        """
        Ask who leads those of *topics* of which nothing is known: one question at a time, for all who wait.

        It goes on when they do not: their deadlines are shorter than what it takes to find a broker that answers.
        """
        while missing := set(topics) - self._leaders.keys():
            if self._question is None:
                self._question = asyncio.create_task(self._put(missing), name="who-leads")
                self._question.add_done_callback(_take_notice)
                self._named = missing
            named = self._named
            await asyncio.shield(self._question)
            if missing <= named:
                return

    async def _put(self, missing: set[str]) -> None:
        try:
            answers = await self._say(missing | self._leaders.keys())
            self._asked_at = time.monotonic()
            self._take(answers)
        finally:
            self._question = None

    async def _say(self, topics: Iterable[str]) -> Sequence[Any]:
        # Never let the question create the topic, whatever the cluster's setting.
        names = sorted(map(self.wire, topics))
        answer = await self.anybody(MetadataRequest(names, allow_auto_topic_creation=False))
        self._client.cluster.update_metadata(answer)
        found: Sequence[Any] = answer.topics
        return found

    async def _keep_up(self) -> None:
        """
        Ask now and then who leads what is in use, though nothing is wrong.

        A broker that is cut off from the others, and not from us, serves its readers without an error, and nothing
        new comes.
        """
        pause_s = _LOOK_AGAIN_S
        while True:
            await asyncio.sleep(pause_s)
            try:
                settled = await self._look_again()
            except RetryableError:
                settled = True  # whoever needs an answer asks, and hears so
            pause_s = _LOOK_AGAIN_S if settled else _IN_DISPUTE_S

    async def _look_again(self) -> bool:
        """
        Go over to new leaders on whom two brokers agree; false where they do not.

        One is not enough: the broker that is cut off believes in itself, and to whoever came back to it the log
        would seem to have lost its end.
        """
        before = dict(self._leaders)
        if not before:
            return True
        said = {self.logical(name): _leaders_of(led) for _, name, _, led in await self._say(before)}
        moved = {topic for topic, leaders in before.items() if _has_moved(leaders, said.get(topic, {}))}
        if not moved:
            return True
        also = {self.logical(name): _leaders_of(led) for _, name, _, led in await self._say(moved)}
        agreed = {topic for topic in moved if also.get(topic) == said[topic]}
        for topic in agreed:
            if self._leaders.get(topic) is before[topic]:  # else it was asked for meanwhile
                self._leaders[topic] = said[topic]
        return agreed == moved

    def _take(self, answers: Iterable[Any]) -> None:
        self._leaders, self._denied, self._moving = {}, set(), set()
        for code, name, _, partitions in answers:
            topic = self.logical(name)
            error = kafka_errors.for_code(code)
            if error is kafka_errors.TopicAuthorizationFailedError:
                self._denied.add(topic)
            leaders = _leaders_of(partitions)
            if leaders:
                self._leaders[topic] = leaders
            elif error is kafka_errors.LeaderNotAvailableError:
                self._moving.add(topic)

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
                    task.add_done_callback(_take_notice)
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


def unknown_topic(partition: Partition) -> UnknownTopicError:
    """Say that a topic or partition is not there."""
    return UnknownTopicError(
        f"there is no topic {partition.topic} with a partition {partition.partition}; topics are made by the "
        "registrar (seamwork up, publish, agents add), never by use"
    )


def not_authorised(topic: str, doing: str) -> NotAuthorisedError:
    """Say that the principal lacks a right."""
    return NotAuthorisedError(
        f"the principal may not {doing} topic {topic}; its rights follow from contracts/topics"
    )


def _leaders_of(partitions: Iterable[Any]) -> dict[int, int]:
    return {number: max(leader, NOBODY) for _, number, leader, *_ in partitions}


def _has_moved(before: dict[int, int], now: dict[int, int]) -> bool:
    """Whether the same partitions are all led, and not all of them by the same brokers."""
    return before.keys() == now.keys() and before != now and NOBODY not in now.values()


def _take_notice(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # whoever waited for it may have given up
