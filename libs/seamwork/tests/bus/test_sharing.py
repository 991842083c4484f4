"""What one service of a process has read or written, the others do not fetch."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

import pytest

from seamwork.bus.port import Log, Partition, Reader
from seamwork.bus.sharing import SharingLog
from seamwork.bus.shelf import MOST_RECORDS, Shelf
from seamwork.errors import RetryableError
from seamwork.records.wire import Outgoing, RawRecord
from seamwork.testing.clock import SettableClock
from seamwork.testing.simlog import SimBroker, SimLog

AT = Partition("handoffs.v1", 0)
_WAIT_MS = 20_000


class _CountingReader:
    """A cursor that counts what it is asked for, and fails on demand."""

    def __init__(self, reader: Reader, log: "_CountingLog") -> None:
        self._reader = reader
        self._log = log

    async def fetch(
        self, positions: Mapping[Partition, int], *, max_records: int, max_wait_ms: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        if self._log.away:
            raise RetryableError("the broker is away")
        found = await self._reader.fetch(positions, max_records=max_records, max_wait_ms=max_wait_ms)
        self._log.found += sum(map(len, found.values()))
        return found

    async def stop(self) -> None:
        await self._reader.stop()


class _CountingLog(SimLog):
    """A view that counts the records that were fetched through it."""

    found = 0
    away = False

    async def reader(self) -> Reader:  # type: ignore[override]  # a cursor, as the port asks
        return _CountingReader(await super().reader(), self)


class _Process:
    """A process with a shelf, and as many services as are asked for."""

    def __init__(self) -> None:
        self.broker = SimBroker(SettableClock())
        self.broker.create_topic(AT.topic)
        self.shelf = Shelf()
        self.logs: list[_CountingLog] = []

    def service(self) -> Log:
        log = _CountingLog(self.broker)
        self.logs.append(log)
        return SharingLog(log, self.shelf)

    @property
    def fetched(self) -> int:
        return sum(log.found for log in self.logs)


async def _following(reader: Reader, position: int, count: int) -> list[RawRecord]:
    """Read *count* records from *position* on."""
    found: list[RawRecord] = []
    while len(found) < count:
        got = await reader.fetch({AT: position}, max_records=count, max_wait_ms=_WAIT_MS)
        found += got.get(AT, ())
        position = found[-1].offset + 1 if found else position
    return found


async def test_three_readers_fetch_a_record_once() -> None:
    """Each gets the very record that the first one's feed has brought."""
    process = _Process()
    readers = [await process.service().reader() for _ in range(3)]
    for reader in readers:
        await reader.fetch({AT: 0}, max_records=10, max_wait_ms=0)
    waiting = [asyncio.create_task(_following(reader, 0, 1)) for reader in readers]
    process.broker.write(AT, b"k", b"0")
    found = await asyncio.gather(*waiting)
    for reader in readers:
        await reader.stop()

    assert [[b"0"]] * 3 == [[raw.value for raw in one] for one in found]
    assert 1 == process.fetched


async def test_what_a_service_has_published_is_read_as_the_log_holds_it_without_fetching() -> None:
    """Offset, time, key, value and headers are those of the log."""
    process = _Process()
    writer, reading = process.service(), process.service()
    reader = await reading.reader()
    await reader.fetch({AT: 0}, max_records=10, max_wait_ms=0)
    batch = [Outgoing(AT.topic, b"k", b"%d" % number, (("h", b"v"),), 0) for number in range(3)]
    await writer.publish(batch)
    await writer.append(AT, b"3")
    found = await _following(reader, 0, 4)
    await reader.stop()

    assert list(process.broker.records(AT)) == found
    assert 0 == process.fetched


async def test_whoever_waits_is_given_at_once_what_a_service_of_its_process_writes() -> None:
    """Nobody else tells it: the broker is not waited for where this process writes as a rule."""
    process = _Process()
    writer, reader = process.service(), await process.service().reader()
    for number in range(3):
        waiting = asyncio.create_task(_following(reader, number, 1))
        await asyncio.sleep(0)
        await writer.publish([Outgoing(AT.topic, b"k", b"%d" % number, (), 0)])
        async with asyncio.timeout(5):
            assert [b"%d" % number] == [raw.value for raw in await waiting]
    await reader.stop()


async def test_a_record_of_somebody_else_between_two_of_our_own_is_not_passed_over() -> None:
    """What lies behind it waits until the feed has fetched it."""
    process = _Process()
    writer, reading = process.service(), process.service()
    reader = await reading.reader()
    await reader.fetch({AT: 0}, max_records=10, max_wait_ms=0)
    await writer.publish([Outgoing(AT.topic, b"k", b"ours", (), 0)])
    process.broker.write(AT, b"k", b"theirs")
    await writer.publish([Outgoing(AT.topic, b"k", b"ours again", (), 0)])
    found = await _following(reader, 0, 3)
    await reader.stop()

    assert [b"ours", b"theirs", b"ours again"] == [raw.value for raw in found]


async def test_a_reader_takes_over_when_the_one_that_fed_is_gone() -> None:
    """The others do not wait for a feed that has ended."""
    process = _Process()
    first, second = await process.service().reader(), await process.service().reader()
    for reader in (first, second):
        await reader.fetch({AT: 0}, max_records=10, max_wait_ms=0)
    waiting = asyncio.create_task(_following(second, 0, 1))
    await asyncio.sleep(0)
    await first.stop()
    process.broker.write(AT, b"k", b"0")
    found = await waiting
    await second.stop()

    assert [b"0"] == [raw.value for raw in found]


async def test_whoever_is_further_behind_than_the_shelf_reads_from_the_log() -> None:
    """The shelf is bounded; nothing is lost by it."""
    process = _Process()
    writer, reading = process.service(), process.service()
    reader = await reading.reader()
    await reader.fetch({AT: 0}, max_records=10, max_wait_ms=0)
    many = MOST_RECORDS + 10
    await writer.publish([Outgoing(AT.topic, b"k", b"x", (), 0) for _ in range(many)])
    found = await _following(reader, 0, many)
    await reader.stop()

    assert list(range(many)) == [raw.offset for raw in found]


OTHER = Partition("decisions.v1", 0)


async def _beside_a_stream(process: _Process, reader: Reader, end: int, most: int, fetches: int) -> int:
    """Read `OTHER` up to *end* while something new is on the shelf at each fetch; return how far it came."""
    writer = process.service()
    positions = {AT: process.broker.bounds(AT)[1], OTHER: 0}
    for _ in range(fetches):
        await writer.publish([Outgoing(AT.topic, b"k", b"new", (), 0)])
        found = await reader.fetch(positions, max_records=most, max_wait_ms=_WAIT_MS)
        assert most >= sum(map(len, found.values()))
        for at, records in found.items():
            assert positions[at] == records[0].offset
            positions[at] = records[-1].offset + 1
        if positions[OTHER] >= end:
            break
    assert positions[AT] >= fetches // 4 or positions[OTHER] >= end
    return positions[OTHER]


@pytest.mark.parametrize("most", [500, 2, 1])
async def test_whoever_has_fallen_behind_in_one_partition_catches_up_while_another_never_rests(
    most: int,
) -> None:
    """What is always at hand must not keep a reader from what is not: it would never have its turn."""
    process = _Process()
    process.broker.create_topic(OTHER.topic)
    reader, writer = await process.service().reader(), process.service()
    await reader.fetch({AT: 0, OTHER: 0}, max_records=10, max_wait_ms=0)
    behind = MOST_RECORDS + 10
    await writer.publish([Outgoing(OTHER.topic, b"k", b"x", (), 0) for _ in range(behind)])
    wanted = min(behind, 20 * most)
    reached = await _beside_a_stream(process, reader, wanted, most, fetches=60)
    await reader.stop()

    assert reached >= wanted


async def test_a_topic_that_is_new_to_a_reader_is_read_while_another_never_rests() -> None:
    """An agent joins a busy platform: its inbox is a topic that nobody has asked about yet."""
    process = _Process()
    process.broker.create_topic(OTHER.topic)
    reader = await process.service().reader()
    await reader.fetch({AT: 0}, max_records=10, max_wait_ms=0)
    process.broker.write(OTHER, b"k", b"first")
    reached = await _beside_a_stream(process, reader, 1, most=500, fetches=10)
    process.broker.write(OTHER, b"k", b"second")
    reached = max(reached, await _beside_a_stream(process, reader, 2, most=500, fetches=10))
    await reader.stop()

    assert 2 == reached


async def test_a_reader_hears_of_a_broker_that_is_away() -> None:
    """The feed ends quietly; each reader asks for itself, and is told."""
    process = _Process()
    reader = await process.service().reader()
    await reader.fetch({AT: 0}, max_records=10, max_wait_ms=0)
    process.logs[0].away = True
    process.broker.write(AT, b"k", b"0")  # ends the feed's waiting; its next question fails
    with pytest.raises(RetryableError):
        await _following(reader, 0, 2)
    await reader.stop()


def _raw(offset: int) -> RawRecord:
    return RawRecord(*AT, offset, 1_000 + offset, b"k", b"x")


def test_answers_that_overtake_each_other_are_put_in_order() -> None:
    """Two batches are on their way; the second one's answer is heard first."""
    shelf = Shelf()
    shelf.open(AT, 5)
    shelf.put_written(AT, [_raw(6)])
    before = shelf.take(AT, 5, 10)
    shelf.put_written(AT, [_raw(5)])

    assert [] == before
    assert [5, 6] == [raw.offset for raw in shelf.take(AT, 5, 10) or ()]
    assert shelf.is_own(AT)


def test_what_was_fetched_before_its_own_answer_came_is_not_there_twice() -> None:
    """The feed was faster than the acknowledgement."""
    shelf = Shelf()
    shelf.open(AT, 0)
    shelf.put_fetched(AT, [_raw(0), _raw(1)])
    shelf.put_written(AT, [_raw(1)])
    shelf.put_fetched(AT, [_raw(1), _raw(2)])

    assert [0, 1, 2] == [raw.offset for raw in shelf.take(AT, 0, 10) or ()]
    assert not shelf.is_own(AT)


class _SilentReader:
    """A cursor of a broker that does not answer: nothing comes, and for half a minute nothing is raised."""

    async def fetch(
        self, _positions: Mapping[Partition, int], **_: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        return {}

    async def stop(self) -> None:
        """Do nothing."""


class _SilentLog(SimLog):
    """A view of a broker that does not answer."""

    async def reader(self) -> Reader:  # type: ignore[override]  # a cursor, as the port asks
        return cast("Reader", _SilentReader())

    async def read(self, *_: object, **__: object) -> Sequence[RawRecord]:
        await asyncio.Event().wait()
        return ()


async def test_nothing_is_taken_from_the_shelf_before_the_broker_has_said_that_it_may_be_read() -> None:
    """Its silence is no leave: what another principal has fetched is not this one's."""
    process = _Process()
    process.broker.write(AT, b"k", b"secret")
    other = await process.service().reader()
    await other.fetch({AT: 1}, max_records=10, max_wait_ms=0)
    process.shelf.open(AT, 0)
    process.shelf.put_fetched(AT, process.broker.records(AT))
    reader = await SharingLog(_SilentLog(process.broker), process.shelf).reader()
    found = await reader.fetch({AT: 0}, max_records=10, max_wait_ms=200)
    for one in (reader, other):
        await one.stop()

    assert {} == found


async def test_who_stands_at_the_end_does_not_wait_for_a_stretch_that_begins_far_back() -> None:
    """What lies beyond its end so far is to be had from the log."""
    process = _Process()
    behind, at_end = [await process.service().reader() for _ in range(2)]
    for number in range(3):
        process.broker.write(AT, b"k", b"%d" % number)
    for reader in (behind, at_end):
        await reader.fetch({AT: 3}, max_records=10, max_wait_ms=0)
    process.shelf.open(AT, 0)  # as if it had begun there; its feed has brought nothing yet
    process.broker.write(AT, b"k", b"news")
    found = await at_end.fetch({AT: 3}, max_records=10, max_wait_ms=0)
    for reader in (behind, at_end):
        await reader.stop()

    assert {AT: [b"news"]} == {at: [raw.value for raw in records] for at, records in found.items()}


async def test_what_there_was_no_room_for_is_not_followed_yet() -> None:
    """It came back empty-handed because another partition filled the answer, not because it stands at the end."""
    process = _Process()
    other = Partition("results.v1", 0)
    process.broker.create_topic(other.topic)
    for partition in (AT, other):
        for _ in range(20):
            process.broker.write(partition, b"k", b"old")
    reader = await process.service().reader()
    found = await reader.fetch({AT: 0, other: 0}, max_records=10, max_wait_ms=0)
    await reader.stop()

    assert 10 == sum(map(len, found.values()))
    assert [] == [at for at in (AT, other) if process.shelf.covers(at)]


async def test_what_is_at_hand_is_bounded_however_little_its_headers_hold() -> None:
    """Any agent may write a record of half a million empty headers: two bytes each in the log, some eighty here."""
    process = _Process()
    reader = await process.service().reader()
    await reader.fetch({AT: 0}, max_records=10, max_wait_ms=0)
    for value in (b"large", b"usual"):
        headers = (("", None),) * (500_000 if value == b"large" else 0)
        process.broker.write(AT, b"k", value, headers)
    found = await _following(reader, 0, 2)

    assert [b"large", b"usual"] == [raw.value for raw in found]
    assert [1] == [raw.offset for raw in process.shelf.take(AT, 1, 10) or ()]
    assert not process.shelf.reaches(AT, 0)

    process.broker.write(AT, b"k", b"large", (("", None),) * 500_000)
    await _following(reader, 2, 1)
    assert not process.shelf.reaches(AT, 2)
    await reader.stop()


def test_before_the_stretch_there_is_nothing_to_take() -> None:
    """None says: ask the log; an empty answer says: there is no more."""
    shelf = Shelf()
    shelf.open(AT, 3)

    assert shelf.take(AT, 2, 10) is None
    assert [] == shelf.take(AT, 3, 10)
    assert shelf.take(Partition("other", 0), 0, 10) is None
