"""Records at hand are bounded by what they take of the memory; the others are read again, many in one go."""

import sys
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from seamwork.bus.port import Partition
from seamwork.records.parties import Position
from seamwork.records.wire import RawRecord
from seamwork.runtime.cache import RecordCache
from seamwork.testing.clock import SettableClock
from seamwork.testing.simlog import SimBroker, SimLog

TOPIC = "handoffs.v1"
MOST_BYTES = 100_000


def crossing(offset: int) -> RawRecord:
    """Return a record as a crossing is one: a dozen short headers, an envelope and a payload of a kilobyte."""
    headers = tuple((f"ce_{number}", b"x" * 20) for number in range(12))
    return RawRecord(TOPIC, 0, offset, 1_000, b"t", b"y" * 1_000, (*headers, ("sw_envelope", b"z" * 1_000)))


def taken(raw: RawRecord) -> int:
    """Return what a record takes, the names of its headers left out: all records share them."""
    headers = sum(sys.getsizeof(header) + sys.getsizeof(header[1]) for header in raw.headers)
    return sys.getsizeof(raw) + sys.getsizeof(raw.headers) + sys.getsizeof(raw.value) + headers


def test_what_is_kept_takes_no_more_than_it_may() -> None:
    """The youngest stay, as many as fit with all that Python puts around them."""
    cache = RecordCache(SimLog(SimBroker(SettableClock())), TOPIC, MOST_BYTES)
    for offset in range(200):
        cache.put(crossing(offset))
    kept = cache._records

    assert MOST_BYTES > sum(map(taken, kept.values())) > MOST_BYTES / 2
    assert [(0, offset) for offset in range(200 - len(kept), 200)] == list(kept)


class Shelves:
    """A broker with some crossings, and what it was asked for."""

    def __init__(self, records: int) -> None:
        self.asked: list[str] = []
        self.broker = SimBroker(SettableClock(), step=self._step)
        self.broker.create_topic(TOPIC, 2)
        for offset in range(records):
            for number in range(2):
                self.broker.write(Partition(TOPIC, number), b"t", f"{number}/{offset}".encode(), ())

    async def _step(self, name: str) -> None:
        self.asked.append(name)

    def cache(self, max_bytes: int = MOST_BYTES) -> RecordCache:
        """Return a cache with nothing in it."""
        return RecordCache(SimLog(self.broker), TOPIC, max_bytes)

    @property
    def reads(self) -> int:
        """How often records were read."""
        return sum(name.startswith("read ") for name in self.asked)


async def found(cache: RecordCache, positions: Iterable[Position]) -> dict[Position, bytes | None]:
    """Ask for one after the other, and return what there was."""
    wanted = list(positions)
    along = cache.along(wanted)
    answers = {position: await along.next() for position in wanted}
    return {position: raw.value for position, raw in answers.items() if raw is not None}


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-2, 700)), max_size=80))
async def test_what_is_not_at_hand_is_found_wherever_it_lies(wanted: list[tuple[int, int]]) -> None:
    """Each position that exists comes back with its own record, and none that was made up."""
    there = [(number, offset) for number, offset in wanted if number in (0, 1) and 0 <= offset < 600]

    got = await found(Shelves(600).cache(2_000), (at(number, offset) for number, offset in wanted))

    assert {at(number, offset): f"{number}/{offset}".encode() for number, offset in there} == got


async def test_what_lies_side_by_side_is_read_in_one_go() -> None:
    """Who has fallen behind asks for a hundred and seventy, and not as often."""
    shelves = Shelves(600)

    got = await found(shelves.cache(), (at(0, 3 * number) for number in range(170)))

    assert 170 == len(got)
    assert 8 == shelves.reads


async def test_nothing_is_asked_for_what_is_at_hand() -> None:
    """Neighbours of what was read are at hand as well."""
    shelves = Shelves(40)
    cache = shelves.cache()
    await found(cache, (at(0, 3), at(0, 9)))
    shelves.asked.clear()

    raw = await cache.find(at(0, 5))

    assert raw is not None
    assert b"0/5" == raw.value
    assert [] == shelves.asked


async def test_what_lies_far_apart_is_not_read_across() -> None:
    """Two crossings with a thousand records between them are two stretches."""
    shelves = Shelves(600)

    await found(shelves.cache(), (at(0, 1), at(0, 590)))

    assert 2 == shelves.reads


async def test_large_payloads_do_not_pile_up() -> None:
    """No more is read ahead than half of what may be kept, and a stretch."""
    shelves = Shelves(0)
    for _ in range(300):
        shelves.broker.write(Partition(TOPIC, 0), b"t", bytes(10_000), ())
    cache = shelves.cache(200_000)

    ahead = await cache.read_ahead([at(0, offset) for offset in range(300)])

    assert 64 == len(ahead)
    assert 300 == len(await found(cache, (at(0, offset) for offset in range(300))))


def at(partition: int, offset: int) -> Position:
    """Name a place."""
    return Position(partition=partition, offset=offset)
