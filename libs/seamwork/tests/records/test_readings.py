"""What a record reads as may be remembered; nothing of it may differ from reading it again."""

from collections.abc import Iterator

import pytest

from seamwork.records.wire import Malformed, RawRecord, Received, compose, read, remember_readings
from seamwork.testing.builders import PLATFORM, envelope

TOPIC = "handoffs.v1"
MOST = 3


@pytest.fixture(autouse=True)
def remembering() -> Iterator[None]:
    """Remember some."""
    remember_readings(MOST)
    yield
    remember_readings(0)


def raw(offset: int = 0, payload: bytes = b"{}") -> RawRecord:
    """Make a record as a log would give it out."""
    out = compose(PLATFORM, TOPIC, "t-1", envelope("handoff"), payload=payload)
    return RawRecord(TOPIC, 0, offset, 1, out.key, out.value, out.headers)


def test_a_record_is_read_once() -> None:
    """By whoever has the very object; another that is equal to it is read by itself."""
    first = raw()
    found = read(first, PLATFORM)

    assert found is read(first, PLATFORM)
    assert found == read(raw(), PLATFORM)
    assert found is not read(raw(), PLATFORM)
    assert isinstance(found, Received)
    assert found.raw is first


def test_another_platform_reads_it_anew() -> None:
    """The digest covers the platform's id."""
    record = raw()
    one, other = read(record, PLATFORM), read(record, "another")

    assert one.digest != other.digest
    assert other.digest == read(raw(), "another").digest


def test_only_the_latest_small_ones_are_remembered() -> None:
    """What is large is read again, and what cannot be read is answered as it comes."""
    records = [raw(offset) for offset in range(MOST + 1)]
    found = [read(record, PLATFORM) for record in records]
    large, broken = raw(payload=bytes(10_000)), RawRecord(TOPIC, 0, 9, 1, None, b"", ())

    again = [read(record, PLATFORM) for record in records[1:]]
    assert all(one is other for one, other in zip(found[1:], again, strict=True))
    assert found[0] is not read(records[0], PLATFORM)
    assert read(large, PLATFORM) is not read(large, PLATFORM)
    assert isinstance(read(broken, PLATFORM), Malformed)


@pytest.mark.parametrize("large", ["key", "name", "header"])
def test_what_is_large_in_any_part_is_not_kept(large: str) -> None:
    """An agent may write what it likes beside the envelope; four thousand such records would be the memory."""
    small = raw()
    much = 1_000_000
    key = bytes(much) if large == "key" else small.key
    more = ("x" * much if large == "name" else "x", bytes(much) if large == "header" else b"")
    record = RawRecord(TOPIC, 0, 0, 1, key, small.value, (*small.headers, more))

    assert read(record, PLATFORM) is not read(record, PLATFORM)
    assert record.weight > much


def test_nothing_is_remembered_unless_told() -> None:
    """A process of one service reads each record once anyway."""
    record = raw()
    read(record, PLATFORM)
    remember_readings(0)

    assert read(record, PLATFORM) is not read(record, PLATFORM)
