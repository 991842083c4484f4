"""
Know who leads which partition: asked when it must be known, and now and then when nothing is wrong.

Rule 1: one question at a time, for all who wait; it goes on when they do not.
Rule 2: one broker's word is not enough to leave a leader that works.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

from aiokafka import errors as kafka_errors

from seamwork.bus.port import NotAuthorisedError, Partition, UnknownTopicError
from seamwork.errors import RetryableError

NOBODY = -1
"""Leads a partition that has no leader just now."""
NEW_TOPIC_PATIENCE_S = 1.0  # a topic made just now reaches all brokers in less
_MISSED_S = 10.0
_BACKOFF_S = 0.1
_LOOK_AGAIN_S = 300.0  # as Java's clients do it (metadata.max.age.ms)
_IN_DISPUTE_S = 10.0  # longer than a cluster takes to agree on a new leader


class Said(NamedTuple):
    """What a broker says of a topic: an error, or ``NoError``, and who leads each of its partitions."""

    topic: str
    error: type[kafka_errors.KafkaError]
    leaders: dict[int, int]


class Leaders:
    """
    Who leads the partitions of the topics that are used.

    Args:
        ask: Asks one broker about some topics; raises ``RetryableError`` where nobody answers.
    """

    def __init__(self, ask: Callable[[Collection[str]], Awaitable[Sequence[Said]]]) -> None:
        self._say = ask
        self._known: dict[str, dict[int, int]] = {}
        self._denied: set[str] = set()
        self._moving: set[str] = set()
        self._missed: dict[str, float] = {}
        self._question: asyncio.Task[None] | None = None
        self._named: set[str] = set()
        self._wanted: set[str] = set()
        self._asked_at = 0.0
        self._keeping_up: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look again now and then."""
        self._keeping_up = asyncio.create_task(self._keep_up(), name="keep-up")

    async def stop(self) -> None:
        """Ask nobody any more."""
        under_way = [task for task in (self._question, self._keeping_up) if task is not None]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def forget(self, topics: Iterable[str]) -> None:
        """Ask again who leads these topics before they are used next."""
        for topic in topics:
            self._known.pop(topic, None)

    async def learn(self, topics: Collection[str]) -> None:
        """
        Ask who leads *topics*, in one question for all of which nothing is known; `of` says what came of each.

        Raises:
            RetryableError: The cluster cannot be asked.
        """
        if len(topics) > 1:  # for one, `of` asks itself
            await self._ask(topics)

    async def of(self, topic: str, *, patience_s: float = NEW_TOPIC_PATIENCE_S) -> dict[int, int] | None:
        """
        Return the broker that leads each partition of *topic*, or None where there is none after *patience_s*.

        A partition without a leader just now has ``NOBODY``; the others of its topic go on.

        Raises:
            NotAuthorisedError: The principal may not even see the topic.
            KafkaError: Nothing is known of its partitions yet; asking again later is right (``patiently``).
            RetryableError: The cluster cannot be asked.
        """
        known = self._known.get(topic)
        if known is not None:
            return known
        began = time.monotonic()
        if began - self._missed.get(topic, -_MISSED_S) < _MISSED_S:
            patience_s = 0.0  # waited for just now; a bad inbox must not slow every batch
        while True:
            await self._ask({topic})
            known = self._known.get(topic)
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
            leaders = await self.of(partition.topic)
            if leaders is None or partition.partition not in leaders:
                self.forget([partition.topic])
                raise unknown_topic(partition)
            grouped[leaders[partition.partition]].append(partition)
        if NOBODY in grouped and time.monotonic() - self._asked_at >= _BACKOFF_S:
            self.forget({partition.topic for partition in grouped[NOBODY]})
        return grouped

    def known(self, partitions: Collection[Partition]) -> dict[int, list[Partition]] | None:
        """Group partitions by the broker that leads them, or return None if that must be asked first."""
        grouped: dict[int, list[Partition]] = {}
        known = self._known
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
        leaders = self._known.get(topic)
        return None if leaders is None else len(leaders)

    async def _ask(self, topics: Collection[str]) -> None:
        """
        Ask who leads those of *topics* of which nothing is known: one question at a time, for all who wait.

        It goes on when they do not: their deadlines are shorter than what it takes to find a broker that answers.
        """
        while missing := set(topics) - self._known.keys():
            if self._question is None:
                # Those who came meanwhile are asked for together: each question names all that is known besides.
                self._named, self._wanted = self._wanted | missing, set()
                self._question = asyncio.create_task(self._put(self._named), name="who-leads")
                self._question.add_done_callback(take_notice)
            named = self._named
            self._wanted |= missing - named
            await asyncio.shield(self._question)
            if missing <= named:
                return

    async def _put(self, missing: set[str]) -> None:
        try:
            answers = await self._say(missing | self._known.keys())
            self._asked_at = time.monotonic()
            self._take(answers)
        finally:
            self._question = None

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
        before = dict(self._known)
        if not before:
            return True
        said = {one.topic: one.leaders for one in await self._say(before)}
        moved = {topic for topic, leaders in before.items() if _has_moved(leaders, said.get(topic, {}))}
        if not moved:
            return True
        also = {one.topic: one.leaders for one in await self._say(moved)}
        agreed = {topic for topic in moved if also.get(topic) == said[topic]}
        for topic in agreed:
            if self._known.get(topic) is before[topic]:  # else it was asked for meanwhile
                self._known[topic] = said[topic]
        return agreed == moved

    def _take(self, answers: Iterable[Said]) -> None:
        self._known, self._denied, self._moving = {}, set(), set()
        for topic, error, leaders in answers:
            if error is kafka_errors.TopicAuthorizationFailedError:
                self._denied.add(topic)
            if leaders:
                self._known[topic] = leaders
            elif error is kafka_errors.LeaderNotAvailableError:
                self._moving.add(topic)


def unknown_topic(partition: Partition) -> UnknownTopicError:
    """Say that a topic or partition is not there."""
    return UnknownTopicError(
        f"there is no topic {partition.topic} with a partition {partition.partition}; topics are made by the "
        "registrar (seamwork up, publish, agents add), never by use"
    )


def not_authorised(topic: str, doing: str) -> NotAuthorisedError:
    """Say that the principal lacks a right."""
    return NotAuthorisedError(
        f"the principal may not {doing} topic {topic}; its rights follow from contracts/topics: see `seamwork "
        "doctor`, or past one machine the manifests of this release"
    )


def take_notice(task: "asyncio.Future[Any]") -> None:
    """Let nobody be told that an error was never looked at: whoever waited for it may have given up."""
    if not task.cancelled():
        task.exception()


def _has_moved(before: dict[int, int], now: dict[int, int]) -> bool:
    """Whether the same partitions are all led, and not all of them by the same brokers."""
    return before.keys() == now.keys() and before != now and NOBODY not in now.values()
