"""What a place in a group does when the group is split anew just while it is left."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors

from seamwork.bus import membership as module
from seamwork.bus.membership import KafkaMembership
from seamwork.bus.port import NotAuthorisedError, Partition
from seamwork.errors import RetryableError
from seamwork.settings.kafka import KafkaAccess

ZERO, ONE = TopicPartition("p.works", 0), TopicPartition("p.works", 1)


class _Consumer:
    """Of aiokafka's consumer, what a membership uses; a join that is under way may end within ``stop``."""

    joins_last: Sequence[TopicPartition] = ()

    def __init__(self, **_: Any) -> None:
        self.listener: Any = None
        self.failures: list[Exception] = []
        self.committed: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Do nothing."""

    def subscribe(self, _topics: Sequence[str], listener: Any) -> None:
        self.listener = listener

    async def getmany(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:  # noqa: ARG002
        return {}

    async def commit(self, positions: dict[TopicPartition, int]) -> None:
        """Keep it, or fail as the test says."""
        if self.failures:
            raise self.failures.pop(0)
        self.committed |= positions

    def pause(self, *_partitions: TopicPartition) -> None:
        """Do nothing."""

    def seek(self, _partition: TopicPartition, _offset: int) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        if self.joins_last:
            await self.listener.on_partitions_assigned(self.joins_last)


class _Place:
    """A membership, and what it told its owner."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, joins_last: Sequence[TopicPartition] = ()) -> None:
        monkeypatch.setattr(module, "AIOKafkaConsumer", _Consumer)
        monkeypatch.setattr(_Consumer, "joins_last", joins_last)
        self.told: list[tuple[str, frozenset[int]]] = []
        self.membership = KafkaMembership(
            KafkaAccess("127.0.0.1:1", "nobody", "nothing"), "p.works", "g", "works",
            (self._assigned, self._revoked), client_id="x", session_timeout_ms=10_000,
        )  # fmt: skip

    async def _assigned(self, numbers: frozenset[int]) -> None:
        self.told.append(("assigned", numbers))

    async def _revoked(self, numbers: frozenset[int]) -> None:
        self.told.append(("revoked", numbers))
        await asyncio.sleep(0.02)
        self.told.append(("gone", numbers))

    async def owning(self, *partitions: TopicPartition) -> _Consumer:
        """Join, and own these."""
        await self.membership.start()
        await self.membership.on_partitions_assigned(partitions)
        await asyncio.sleep(0)
        consumer = self.membership._consumer
        assert isinstance(consumer, _Consumer)
        return consumer


BOTH_WAYS = [(what, frozenset({0})) for what in ("assigned", "revoked", "gone")]


async def test_nothing_is_given_to_who_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A join that was under way ends while the client stops; nobody would take the partition back."""
    place = _Place(monkeypatch, joins_last=[ZERO])
    await place.membership.start()
    await place.membership.stop()
    await asyncio.sleep(0.01)

    assert [] == place.told


async def test_a_rebalance_while_the_last_partitions_go_back_brings_no_new_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other members leave at the same time, and the group is split anew meanwhile."""
    place = _Place(monkeypatch)
    await place.membership.start()
    await place.membership.on_partitions_assigned([ZERO])
    await asyncio.sleep(0)
    leaving = asyncio.create_task(place.membership.stop())
    await asyncio.sleep(0.01)
    await place.membership.on_partitions_revoked([ZERO])
    await place.membership.on_partitions_assigned([ZERO, ONE])
    await leaving
    await asyncio.sleep(0.01)

    assert BOTH_WAYS == place.told


async def test_what_a_rebalance_takes_back_is_not_taken_back_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who leaves meanwhile waits until it is given back: the two calls never overlap."""
    place = _Place(monkeypatch)
    await place.membership.start()
    await place.membership.on_partitions_assigned([ZERO])
    await asyncio.sleep(0)
    rebalance = asyncio.create_task(place.membership.on_partitions_revoked([ZERO]))
    await asyncio.sleep(0.01)
    await place.membership.stop()
    await rebalance

    assert BOTH_WAYS == place.told


async def test_a_rebalance_survives_that_taking_over_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for ``assigned``, which ends when the place is left; the client's own task must not end with it."""
    place = _Place(monkeypatch)

    async def for_ever(_numbers: frozenset[int]) -> None:
        await asyncio.Event().wait()

    place.membership._assigned = for_ever
    await place.membership.start()
    await place.membership.on_partitions_assigned([ZERO])
    rebalance = asyncio.create_task(place.membership.on_partitions_revoked([ZERO]))
    await asyncio.sleep(0)
    await place.membership.stop()
    await rebalance

    assert BOTH_WAYS[1:] == place.told


@pytest.mark.parametrize(
    "failure",
    [
        kafka_errors.CoordinatorNotAvailableError(),
        kafka_errors.RequestTimedOutError(),
        kafka_errors.CommitFailedError(),
        kafka_errors.IllegalStateError(),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_commit_that_fails_costs_nobody_the_place(
    monkeypatch: pytest.MonkeyPatch, failure: kafka_errors.KafkaError
) -> None:
    """A broker that restarts, or a rebalance in between: positions are the journal's, and the next commit comes."""
    monkeypatch.setattr(module, "_COMMIT_EVERY_S", 0.01)
    place = _Place(monkeypatch)
    consumer = await place.owning(ZERO, ONE)
    consumer.failures = [failure, failure]
    place.membership.note_position(Partition("works", 0), 3)
    place.membership.note_position(Partition("others", 0), 9)
    async with asyncio.timeout(5):
        while consumer.failures or not consumer.committed:
            await asyncio.sleep(0.01)
            place.membership.note_position(Partition("works", 1), 4)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(place.membership.wait(), 0.02)
    kept = dict(consumer.committed)
    await place.membership.stop()

    assert 4 == kept[ONE]
    assert not failure.retriable or 3 == kept[ZERO]
    assert {ZERO, ONE} >= kept.keys()


async def test_what_was_about_to_be_committed_is_committed_by_who_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The group's coordinator is away and is waited for; leaving ends that, and has some seconds of its own."""
    monkeypatch.setattr(module, "_COMMIT_EVERY_S", 0.0)
    place = _Place(monkeypatch)
    consumer = await place.owning(ZERO, ONE)
    commit, waits = consumer.commit, asyncio.Event()

    async def away(_positions: dict[TopicPartition, int]) -> None:
        waits.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(consumer, "commit", away)
    place.membership.note_position(Partition("works", 0), 3)
    place.membership.note_position(Partition("works", 1), 4)
    await asyncio.wait_for(waits.wait(), 5)
    place.membership.note_position(Partition("works", 1), 5)
    monkeypatch.setattr(consumer, "commit", commit)
    await place.membership.stop()

    assert {ZERO: 3, ONE: 5} == consumer.committed


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (kafka_errors.UnsupportedVersionError(), RetryableError),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), RetryableError),
        (kafka_errors.GroupAuthorizationFailedError("g"), NotAuthorisedError),
    ],
)
async def test_a_place_that_is_lost_is_told_to_whoever_waits(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, said: type[Exception]
) -> None:
    """The client would go on as if nothing had happened, also after an error that is none of Kafka's."""
    monkeypatch.setattr(module, "_COMMIT_EVERY_S", 0.01)
    place = _Place(monkeypatch)
    consumer = await place.owning(ZERO)
    consumer.failures = [failure]
    place.membership.note_position(Partition("works", 0), 3)
    with pytest.raises(said, match="group g"):
        await asyncio.wait_for(place.membership.wait(), 5)
    await place.membership.stop()


async def test_who_waits_for_a_place_is_told_when_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an error."""
    place = _Place(monkeypatch)
    await place.owning(ZERO)
    waiting = asyncio.create_task(place.membership.wait())
    await asyncio.sleep(0)
    await place.membership.stop()

    await asyncio.wait_for(waiting, 5)
