"""
Hold every implementation of the log port to the same laws.

A subclass gives a ``bench``: a way to open views of one log, as several processes would.
"""
# ruff: noqa: S101, SIM300  # these are tests, though they lie where two test folders can reach them

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

import pytest

from seamwork.bus.port import (
    Appended,
    Confirmed,
    Log,
    LogGapError,
    Membership,
    Partition,
    Reader,
    Rejected,
    UnknownTopicError,
)
from seamwork.errors import SeamworkError, UnprocessableError
from seamwork.records.partition import partition_of
from seamwork.records.wire import Outgoing, RawRecord

WORK = "handoffs.v1"
JOURNAL = "journal.router.v1"
SNAPSHOTS = "snapshots.router.v1"
INBOX = "inbox.parser.v1"
GROUP = "tester"
COUNT = 4
_DEADLINE_S = 30.0


class Bench(Protocol):
    """
    What a suite needs of an implementation.

    The topics are there when it is handed out: ``WORK``, ``JOURNAL`` and ``SNAPSHOTS`` with four partitions,
    ``INBOX`` with one. ``denied`` is a topic that exists and that the views must not write. All views may join the
    group ``GROUP``, and trim ``JOURNAL``.
    """

    denied: str

    async def log(self, stack: AsyncExitStack) -> Log:
        """Open one more view, closed by *stack*."""


class Owner:
    """One process in a group: it writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, frozenset[int]]] = []
        self.owned: frozenset[int] = frozenset()
        self._changed = asyncio.Event()

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Note what is owned."""
        self.told.append(("assigned", partitions))
        self.owned = partitions
        self._changed.set()

    async def revoked(self, partitions: frozenset[int]) -> None:
        """Note what is lost."""
        self.told.append(("revoked", partitions))
        self.owned = frozenset()
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds after a change."""
        async with asyncio.timeout(_DEADLINE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


def outgoing(number: int, *, topic: str = WORK, partition: int | None = 0) -> Outgoing:
    """Make a record that can be told from others."""
    headers = (("ce_type", b"test"), ("number", str(number).encode()), ("nothing", None))
    return Outgoing(topic, f"task-{number}".encode(), f"value-{number}".encode(), headers, partition)


def values(records: Sequence[RawRecord]) -> list[bytes | None]:
    """Return the bodies."""
    return [record.value for record in records]


class LogConformance:
    """The laws of ``seamwork.bus.port.Log``."""

    @pytest.fixture
    def bench(self) -> Bench:
        """Return the implementation's bench; a subclass gives it."""
        raise NotImplementedError

    async def test_an_append_answers_with_its_offset_and_the_time_at_which_it_can_be_read(
        self, bench: Bench
    ) -> None:
        """Offsets follow each other from 0, and the append time is the record's own."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            appended = [
                await log.append(Partition(JOURNAL, 1), b"%d" % number, b"key") for number in range(3)
            ]
            found = await log.read(Partition(JOURNAL, 1), 0, 10)

        assert [0, 1, 2] == [each.offset for each in appended]
        assert appended == [Appended(record.offset, record.appended_at) for record in found]
        assert [(b"key", b"0"), (b"key", b"1"), (b"key", b"2")] == [(each.key, each.value) for each in found]
        assert {(JOURNAL, 1)} == {(record.topic, record.partition) for record in found}

    async def test_an_append_without_key_has_none(self, bench: Bench) -> None:
        """No key and an empty one differ."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            await log.append(Partition(JOURNAL, 0), b"claim")
            (record,) = await log.read(Partition(JOURNAL, 0), 0, 1)

        assert record.key is None

    async def test_a_range_is_read_without_its_end(self, bench: Bench) -> None:
        """``read`` gives ``start <= offset < end``, and what is beyond the log's end is not waited for."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            await log.publish([outgoing(number) for number in range(5)])

            assert [b"value-1", b"value-2"] == values(await log.read(Partition(WORK, 0), 1, 3))
            assert [b"value-4"] == values(await log.read(Partition(WORK, 0), 4, 100))
            assert [] == list(await log.read(Partition(WORK, 0), 5, 100))
            assert [] == list(await log.read(Partition(WORK, 0), 2, 2))

    async def test_a_batch_is_confirmed_in_order_and_lies_in_order(self, bench: Bench) -> None:
        """Answers stand as asked; within a partition records lie as given, headers and all."""
        batch = [outgoing(number, partition=number % COUNT) for number in range(200)]
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            answers = await log.publish(batch)
            found = {number: await log.read(Partition(WORK, number), 0, 1000) for number in range(COUNT)}

        assert [Confirmed(number // COUNT) for number in range(200)] == list(answers)
        for number, records in found.items():
            wanted = batch[number::COUNT]
            assert [(each.key, each.value, each.headers) for each in wanted] == [
                (each.key, each.value, each.headers) for each in records
            ]

    async def test_without_a_partition_the_key_decides(self, bench: Bench) -> None:
        """murmur2, as Java's clients do it."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            batch = [outgoing(number, partition=None) for number in range(20)]
            await log.publish(batch)
            for number in range(COUNT):
                records = await log.read(Partition(WORK, number), 0, 100)
                wanted = [each.key for each in batch if partition_of(each.key, COUNT) == number]

                assert wanted == [record.key for record in records]

    async def test_a_tombstone_has_no_value(self, bench: Bench) -> None:
        """A null value stays null."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            await log.publish([Outgoing(SNAPSHOTS, b"0/1", None, partition=0)])
            (record,) = await log.read(Partition(SNAPSHOTS, 0), 0, 1)

        assert record.value is None

    async def test_a_record_lies_as_it_was_given_whatever_its_bytes(self, bench: Bench) -> None:
        """Empty and null, names of no letters and any letters, one name twice, bytes that are no text."""
        headers = (("é\0", b"\xff\xfe"), ("", b""), ("", None), ("twice", b"1"), ("twice", b"2"))
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            await log.publish([Outgoing(WORK, b"", b"", headers, 0), Outgoing(WORK, b"\xff", None, (), 0)])
            first, second = await log.read(Partition(WORK, 0), 0, 2)

        assert (b"", b"", headers) == (first.key, first.value, first.headers)
        assert (b"\xff", None, ()) == (second.key, second.value, second.headers)

    async def test_what_can_never_be_published_is_rejected_and_the_rest_is_not_harmed(
        self, bench: Bench
    ) -> None:
        """Unknown topic, no right and too large are answers; what stands around them is in the log, in order."""
        large = Outgoing(WORK, b"task", bytes(2_000_000), partition=0)
        batch = [
            outgoing(0),
            large,
            outgoing(1),
            outgoing(2, topic="inbox.nobody.v1"),
            outgoing(3, topic=bench.denied),
            outgoing(4, partition=99),
            outgoing(5),
            outgoing(6, topic=INBOX),
        ]
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            answers = await log.publish(batch)
            again = await log.publish([outgoing(7)])
            found = await log.read(Partition(WORK, 0), 0, 100)

        assert [
            Confirmed(0),
            Rejected("too-large"),
            Confirmed(1),
            Rejected("unknown-topic"),
            Rejected("not-authorised"),
            Rejected("unknown-topic"),
            Confirmed(2),
            Confirmed(0),
        ] == list(answers)
        assert [Confirmed(3)] == list(again)
        assert [b"value-0", b"value-1", b"value-5", b"value-7"] == values(found)

    async def test_an_append_that_is_too_large_is_not_sent(self, bench: Bench) -> None:
        """The limit is the topic's, and is known before."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            with pytest.raises(UnprocessableError, match="too large"):
                await log.append(Partition(JOURNAL, 0), bytes(9_000_000))

            assert 0 == (await log.append(Partition(JOURNAL, 0), bytes(3_000_000))).offset

    async def test_a_large_record_can_be_read_beside_others(self, bench: Bench) -> None:
        """A record larger than a fetch asks for still comes, from whichever partition."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            for number in range(2):
                await log.append(Partition(JOURNAL, number), b"small")
                await log.append(Partition(JOURNAL, number), bytes(5_000_000))
                await log.append(Partition(JOURNAL, number), b"last")
            found = await read_all(log, {Partition(JOURNAL, 0): 3, Partition(JOURNAL, 1): 3})

        for records in found.values():
            assert [5, 5_000_000, 4] == [len(record.value or b"") for record in records]

    async def test_unknown_topics_are_named_and_never_made(self, bench: Bench) -> None:
        """Asking for a topic does not make it."""
        nowhere = Partition("verdicts.nobody.v1", 0)
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            reader = await log.reader()
            stack.push_async_callback(reader.stop)

            assert await log.partitions_of(nowhere.topic) is None
            with pytest.raises(UnknownTopicError, match=nowhere.topic):
                await log.append(nowhere, b"x")
            with pytest.raises(UnknownTopicError, match=nowhere.topic):
                await log.read(nowhere, 0, 1)
            with pytest.raises(UnknownTopicError, match=nowhere.topic):
                await reader.fetch({nowhere: 0}, max_records=10, max_wait_ms=100)
            with pytest.raises(UnknownTopicError, match=nowhere.topic):
                await log.end_offsets([nowhere])
            with pytest.raises(UnknownTopicError, match=nowhere.topic):
                await log.own(GROUP, nowhere.topic, Owner().assigned, Owner().revoked)
            assert await log.partitions_of(nowhere.topic) is None
            assert COUNT == await log.partitions_of(WORK)
            with pytest.raises(UnknownTopicError):
                await log.read(Partition(WORK, 99), 0, 1)

    async def test_a_fetch_follows_the_positions_it_is_given(self, bench: Bench) -> None:
        """Forward, back, with further topics and without: each call returns what lies where it was asked."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            reader = await log.reader()
            stack.push_async_callback(reader.stop)
            await log.publish([outgoing(number) for number in range(10)])
            first = await fetch(reader, {Partition(WORK, 0): 0}, max_records=4)
            onward = await fetch(reader, {Partition(WORK, 0): 4}, max_records=4)
            back = await fetch(reader, {Partition(WORK, 0): 2}, max_records=3)
            await log.append(Partition(JOURNAL, 0), b"commit")
            wider = await read_all(log, {Partition(WORK, 0): 3, Partition(JOURNAL, 0): 1}, start={WORK: 7})

        assert [b"value-%d" % number for number in range(4)] == values(first[Partition(WORK, 0)])
        assert [b"value-%d" % number for number in range(4, 8)] == values(onward[Partition(WORK, 0)])
        assert [b"value-2", b"value-3", b"value-4"] == values(back[Partition(WORK, 0)])
        assert [b"value-7", b"value-8", b"value-9"] == values(wider[Partition(WORK, 0)])
        assert [b"commit"] == values(wider[Partition(JOURNAL, 0)])

    async def test_a_fetch_skips_nothing_and_repeats_nothing(self, bench: Bench) -> None:
        """Position after position, each record comes once, in order, and none gets more than it asked for."""
        wanted = {Partition(WORK, number): 300 for number in range(COUNT)}
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            await log.publish([outgoing(number, partition=number % COUNT) for number in range(1200)])
            found = await read_all(log, wanted, max_records=77)

        for partition, records in found.items():
            assert list(range(300)) == [record.offset for record in records]
            assert [b"value-%d" % (number * COUNT + partition.partition) for number in range(300)] == values(
                records
            )

    async def test_who_has_no_room_for_more_reads_less_at_a_time(self, bench: Bench) -> None:
        """Nothing is skipped by it: what was not given is there behind what was, and one record always comes."""
        big = [Outgoing(JOURNAL, b"k", b"v" * 900_000, partition=0)] * 8
        most, second, at, sizes = 4_000_000, 1, 0, []
        found: list[RawRecord] = []
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            for outgoing_one in big:
                await log.publish([outgoing_one])
            while at < len(big):
                records = await log.read(Partition(JOURNAL, 0), at, len(big), most_bytes=1_000_000)
                sizes.append(sum(len(raw.value or b"") for raw in records))
                found += records
                at = records[-1].offset + 1
            (one,) = await log.read(Partition(JOURNAL, 0), second, second + 1, most_bytes=1)

        assert list(range(8)) == [record.offset for record in found]
        assert max(sizes) < most
        assert second == one.offset

    async def test_a_waiting_fetch_wakes_up(self, bench: Bench) -> None:
        """What is written while it waits comes at once."""
        async with AsyncExitStack() as stack:
            log, other = await bench.log(stack), await bench.log(stack)
            reader = await log.reader()
            stack.push_async_callback(reader.stop)
            await reader.fetch({Partition(WORK, 0): 0}, max_records=1, max_wait_ms=10)
            waiting = asyncio.create_task(
                reader.fetch({Partition(WORK, 0): 0}, max_records=10, max_wait_ms=20_000)
            )
            await other.publish([outgoing(0)])
            async with asyncio.timeout(10):
                found = await waiting

        assert [b"value-0"] == values(found[Partition(WORK, 0)])

    async def test_a_fetch_without_news_returns_nothing(self, bench: Bench) -> None:
        """It waits as long as it is told, and is none the worse for it."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            reader = await log.reader()
            stack.push_async_callback(reader.stop)

            assert {} == await reader.fetch({Partition(WORK, 0): 0}, max_records=10, max_wait_ms=50)
            assert {} == await reader.fetch({}, max_records=10, max_wait_ms=50)
            await log.publish([outgoing(0)])
            assert {Partition(WORK, 0)} == (await fetch(reader, {Partition(WORK, 0): 0})).keys()

    async def test_a_cancelled_fetch_loses_nothing(self, bench: Bench) -> None:
        """Whoever is stopped in the middle of a fetch can fetch again."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            reader = await log.reader()
            stack.push_async_callback(reader.stop)
            waiting = asyncio.create_task(
                reader.fetch({Partition(WORK, 0): 0}, max_records=9, max_wait_ms=500)
            )
            await log.end_offsets([Partition(WORK, 0)])
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await log.publish([outgoing(0)])
            found = await fetch(reader, {Partition(WORK, 0): 0})

        assert [b"value-0"] == values(found[Partition(WORK, 0)])

    async def test_what_was_trimmed_is_a_gap_and_never_skipped(self, bench: Bench) -> None:
        """A position before the start stops the reader; the start itself is fine."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            reader = await log.reader()
            stack.push_async_callback(reader.stop)
            await log.publish([outgoing(number, topic=JOURNAL) for number in range(10)])
            await log.trim(Partition(JOURNAL, 0), 4)

            assert {Partition(JOURNAL, 0): 4} == await log.start_offsets([Partition(JOURNAL, 0)])
            assert {Partition(JOURNAL, 0): 10} == await log.end_offsets([Partition(JOURNAL, 0)])
            with pytest.raises(LogGapError, match=JOURNAL):
                await log.read(Partition(JOURNAL, 0), 3, 10)
            with pytest.raises(LogGapError, match=JOURNAL):
                await fetch(reader, {Partition(JOURNAL, 0): 3})
            found = await fetch(reader, {Partition(JOURNAL, 0): 4})

        assert [b"value-%d" % number for number in range(4, 10)] == values(found[Partition(JOURNAL, 0)])

    async def test_a_position_past_the_end_is_a_log_that_lost_its_end(self, bench: Bench) -> None:
        """A log that is shorter than what was read from it is not waited for."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            reader = await log.reader()
            stack.push_async_callback(reader.stop)
            await log.publish([outgoing(0, topic=JOURNAL)])

            with pytest.raises(LogGapError, match="ends at 1"):
                await fetch(reader, {Partition(JOURNAL, 0): 5})
            with pytest.raises(LogGapError, match="ends at 1"):
                await log.read(Partition(JOURNAL, 0), 5, 9)

    async def test_a_fully_trimmed_partition_goes_on_where_it_was(self, bench: Bench) -> None:
        """Trimming to the end leaves the offsets as they are."""
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            await log.publish([outgoing(number, topic=JOURNAL) for number in range(3)])
            await log.trim(Partition(JOURNAL, 0), 3)
            answers = await log.publish([outgoing(3, topic=JOURNAL)])

            assert [Confirmed(3)] == list(answers)
            assert [b"value-3"] == values(await log.read(Partition(JOURNAL, 0), 3, 9))

    async def test_nothing_is_trimmed_past_the_end_nor_twice(self, bench: Bench) -> None:
        """What is not written yet cannot be deleted, and what is gone stays so."""
        place = Partition(JOURNAL, 0)
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            await log.publish([outgoing(number, topic=JOURNAL) for number in range(3)])
            with pytest.raises(UnprocessableError, match="partition 0 ends before 9"):
                await log.trim(place, 9)
            assert {place: 0} == await log.start_offsets([place])
            await log.trim(place, 2)
            await log.trim(place, 1)
            assert {place: 2} == await log.start_offsets([place])

    async def test_a_group_hands_out_every_partition_once(self, bench: Bench) -> None:
        """One member owns all; with a second each owns some; when one leaves the other owns all again."""
        everything = frozenset(range(COUNT))
        first, second = Owner(), Owner()
        async with AsyncExitStack() as stack:
            one = await (await bench.log(stack)).own(GROUP, WORK, first.assigned, first.revoked)
            await first.until(lambda: first.owned == everything)
            two = await (await bench.log(stack)).own(GROUP, WORK, second.assigned, second.revoked)
            await second.until(lambda: bool(second.owned))
            await first.until(lambda: bool(first.owned) and first.owned != everything)

            assert everything == first.owned | second.owned
            assert frozenset() == first.owned & second.owned

            await one.stop()
            await second.until(lambda: second.owned == everything)
            assert frozenset() == first.owned
            await two.stop()
            await two.wait()

        # What was assigned is revoked before anything else is assigned.
        for owner in (first, second):
            told = [each for each in owner.told if each[1]]
            assert ["assigned", "revoked"] * (len(told) // 2) == [what for what, _ in told]
            assert all(given[1] == taken[1] for given, taken in zip(told[::2], told[1::2], strict=True))

    async def test_an_error_while_taking_over_poisons_the_place(self, bench: Bench) -> None:
        """The client would go on without a word; ``wait`` raises it."""

        async def fails(_: frozenset[int]) -> None:
            raise UnprocessableError("the journal cannot be restored")

        async with AsyncExitStack() as stack:
            membership = await (await bench.log(stack)).own(GROUP, WORK, fails, Owner().revoked)
            stack.push_async_callback(membership.stop)
            async with asyncio.timeout(_DEADLINE_S):
                with pytest.raises(SeamworkError, match="cannot be restored"):
                    await membership.wait()

    async def test_noted_positions_are_the_groups(self, bench: Bench) -> None:
        """What was noted before the place was left can be asked for; what is not owned is passed over."""
        owner = Owner()
        partitions = [Partition(WORK, number) for number in range(COUNT)]
        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            await log.publish([outgoing(number) for number in range(10)])

            assert {} == await log.committed(GROUP, partitions)
            membership: Membership = await log.own(GROUP, WORK, owner.assigned, owner.revoked)
            await owner.until(lambda: bool(owner.owned))
            membership.note_position(Partition(WORK, 0), 3)
            membership.note_position(Partition(WORK, 0), 7)
            membership.note_position(Partition(JOURNAL, 0), 7)
            await membership.stop()
            assert {Partition(WORK, 0): 7} == await log.committed(GROUP, partitions)

    async def test_whoever_gives_partitions_back_may_note_the_last_positions(self, bench: Bench) -> None:
        """What was done before they go to somebody else is not done again."""
        owner = Owner()

        async def revoked(_: frozenset[int]) -> None:
            membership.note_position(Partition(WORK, 1), 4)

        async with AsyncExitStack() as stack:
            log = await bench.log(stack)
            membership: Membership = await log.own(GROUP, WORK, owner.assigned, revoked)
            await owner.until(lambda: bool(owner.owned))
            await membership.stop()
            assert {Partition(WORK, 1): 4} == await log.committed(GROUP, [Partition(WORK, 1)])


async def fetch(
    reader: Reader, positions: Mapping[Partition, int], *, max_records: int = 500
) -> Mapping[Partition, Sequence[RawRecord]]:
    """Fetch until there is something, or the deadline is over."""
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            found: dict[Partition, Sequence[RawRecord]] = await reader.fetch(
                positions, max_records=max_records, max_wait_ms=500
            )
            if found:
                return found


async def read_all(
    log: Log,
    wanted: Mapping[Partition, int],
    *,
    start: Mapping[str, int] | None = None,
    max_records: int = 500,
) -> dict[Partition, list[RawRecord]]:
    """Follow partitions until each has given as many records as wanted."""
    found: dict[Partition, list[RawRecord]] = {partition: [] for partition in wanted}
    positions = {partition: (start or {}).get(partition.topic, 0) for partition in wanted}
    reader = await log.reader()
    try:
        while any(len(found[partition]) < count for partition, count in wanted.items()):
            got = await fetch(reader, positions, max_records=max_records)
            assert sum(map(len, got.values())) <= max_records
            for partition, records in got.items():
                found[partition] += records
                positions[partition] = records[-1].offset + 1
    finally:
        await reader.stop()
    return found
