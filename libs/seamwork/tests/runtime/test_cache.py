"""Records at hand are bounded by what they take of the memory, not by their bytes alone."""

import sys

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
