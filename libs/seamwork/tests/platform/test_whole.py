"""A topic is read from beginning to end, and never more of it at once than a command has memory for."""

from collections.abc import Sequence

import pytest

from seamwork.bus.port import Partition
from seamwork.platform.whole import whole
from seamwork.records.wire import Outgoing, RawRecord
from seamwork.testing.simlog import SimBroker, SimLog

TOPIC = "decisions.v1"
PLACES = [Partition(TOPIC, 0), Partition(TOPIC, 1)]


class Weighed(SimLog):
    """A log that notes how much was asked of it at once."""

    def __init__(self, broker: SimBroker) -> None:
        super().__init__(broker)
        self.records = 0
        self.bytes = 0

    async def read(
        self, partition: Partition, start: int, end: int, *, most_bytes: int | None = None
    ) -> Sequence[RawRecord]:
        """Read, and note it."""
        found = await super().read(partition, start, end, most_bytes=most_bytes)
        self.records = max(self.records, len(found))
        self.bytes = max(self.bytes, sum(len(raw.value or b"") for raw in found))
        return found


@pytest.fixture
def log() -> Weighed:
    """Return a log with the topic."""
    broker = SimBroker()
    broker.create_topic(TOPIC, len(PLACES), max_bytes=8_000_000)
    return Weighed(broker)


async def fill(log: SimLog, place: Partition, count: int, value: bytes) -> None:
    """Write so many records."""
    key = str(place.partition).encode()
    await log.publish([Outgoing(TOPIC, key, value, (), partition=place.partition)] * count)


async def test_every_record_is_read_once_and_in_order(log: Weighed) -> None:
    """Also what lies behind a trimmed beginning, and many that have no body."""
    await fill(log, PLACES[0], 12_000, b"")
    await fill(log, PLACES[1], 3, b"x")
    await log.trim(PLACES[0], 7)

    found = [(raw.partition, raw.offset) async for raw in whole(log, PLACES)]

    assert [*((0, offset) for offset in range(7, 12_000)), (1, 0), (1, 1), (1, 2)] == found
    assert log.records <= 5_000


async def test_large_bodies_are_taken_a_few_at_a_time(log: Weighed) -> None:
    """What a topic keeps of them is no command's to hold."""
    await fill(log, PLACES[0], 12, bytes(5_000_000))

    assert 12 == len([raw.offset async for raw in whole(log, PLACES)])
    assert log.bytes < 25_000_000


async def test_an_empty_topic_holds_nothing(log: Weighed) -> None:
    """Nobody waits for what may come."""
    assert [] == [raw async for raw in whole(log, PLACES)]
