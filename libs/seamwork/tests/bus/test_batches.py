"""Record batches as bytes: what a broker can send must come apart, whatever a producer put in."""

import struct
from collections.abc import Sequence

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from seamwork.bus.batches import unpack
from seamwork.bus.port import Partition
from seamwork.errors import MisconfiguredError, RetryableError, UnprocessableError
from seamwork.records.wire import Header

PLACE = Partition("handoffs.v1", 2)
Content = tuple[bytes | None, bytes | None, Sequence[Header]]
_CRC_AT, _ATTRIBUTES_AT, _LAST_DELTA_AT = 17, 21, 23

nullable = st.none() | st.binary(max_size=40)
contents = st.lists(
    st.tuples(nullable, nullable, st.lists(st.tuples(st.text(max_size=8), nullable), max_size=4)), min_size=1
)


def batch(contents: Sequence[Content], *, base: int = 0, codec: int = 0, attributes: int = 0) -> bytes:
    """Make a batch as a broker stores it, at offset *base*."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    for number, (key, value, headers) in enumerate(contents):
        builder.append(number, 1_000 + number, key, value, list(headers))
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, base)
    data[_ATTRIBUTES_AT + 1] |= attributes
    return sealed(data)


def sealed(data: bytes | bytearray) -> bytes:
    """Give a batch the checksum of what it holds now."""
    data = bytearray(data)
    struct.pack_into(">I", data, _CRC_AT, calc_crc32c(bytes(data[_ATTRIBUTES_AT:])))
    return bytes(data)


def plain(count: int) -> list[Content]:
    """Make records of no interest."""
    return [(b"key", b"%d" % number, [("name", b"value")]) for number in range(count)]


@given(contents)
def test_a_batch_comes_apart_as_it_was_put_together(given_contents: list[Content]) -> None:
    """Keys, values and headers, null and empty told apart."""
    found = unpack(batch(given_contents, base=7), PLACE, 7)

    assert [(key, value, tuple(headers)) for key, value, headers in given_contents] == [
        (record.key, record.value, record.headers) for record in found.records
    ]
    assert [7 + number for number in range(len(given_contents))] == [each.offset for each in found.records]
    assert (7 + len(given_contents), None) == (found.next, found.missing)


@given(contents, st.integers(min_value=0, max_value=1))
def test_the_slow_way_finds_what_the_fast_way_finds(given_contents: list[Content], codec: int) -> None:
    """One header that is no UTF-8 changes its own name only."""
    marked = [*given_contents, (b"k", b"v", [("QQ", b"x")])]
    fast = unpack(batch(marked, codec=0), PLACE, 0).records
    spoilt = batch(marked, codec=0).replace(b"\x04QQ\x02x", b"\x04\xff\xfe\x02x")
    slow = unpack(sealed(spoilt), PLACE, 0).records

    assert fast[:-1] == slow[:-1]
    assert (("\\xff\\xfe", b"x"),) == slow[-1].headers
    assert fast == unpack(batch(marked, codec=codec), PLACE, 0).records


def test_append_time_is_the_brokers_where_the_topic_says_so() -> None:
    """With LogAppendTime every record of a batch has the batch's time, on the fast way and on the slow one."""
    fast = batch(plain(3), attributes=0x08)
    slow = sealed(fast.replace(b"name", b"\xffame"))

    assert [1_002] * 3 == [record.appended_at for record in unpack(fast, PLACE, 0).records]
    assert [1_002] * 3 == [record.appended_at for record in unpack(slow, PLACE, 0).records]
    assert [1_000, 1_001, 1_002] == [
        record.appended_at for record in unpack(batch(plain(3)), PLACE, 0).records
    ]


def test_reading_may_begin_inside_a_batch() -> None:
    """What lies before is left out, and is no hole."""
    found = unpack(batch(plain(5)) + batch(plain(2), base=5), PLACE, 3)

    assert [3, 4, 5, 6] == [record.offset for record in found.records]
    assert (7, None) == (found.next, found.missing)


def test_a_batch_that_was_cut_off_is_left_for_later() -> None:
    """The whole ones before it count."""
    found = unpack(batch(plain(2)) + batch(plain(2), base=2)[:-1], PLACE, 0)

    assert [0, 1] == [record.offset for record in found.records]
    assert 2 == found.next


def test_transaction_markers_are_passed_and_are_no_hole() -> None:
    """A control batch has offsets and no records."""
    marker = batch(plain(1), base=2, attributes=0x20)
    found = unpack(batch(plain(2)) + marker + batch(plain(1), base=3), PLACE, 0)

    assert [0, 1, 3] == [record.offset for record in found.records]
    assert (4, None) == (found.next, found.missing)


def test_offsets_that_are_not_there_are_missing() -> None:
    """Between batches, and at the end of one that compaction thinned out."""
    thinned = bytearray(batch(plain(2), base=5))
    struct.pack_into(">i", thinned, _LAST_DELTA_AT, 3)

    assert (2, 5) == unpack(batch(plain(2)) + batch(plain(2), base=5), PLACE, 0).missing
    assert (0, 5) == unpack(batch(plain(2), base=5), PLACE, 0).missing
    assert (7, 9) == unpack(sealed(thinned), PLACE, 5).missing


@pytest.mark.parametrize("name", [b"Q", b"\xff"], ids=["fast", "slow"])
@pytest.mark.parametrize("length", [b"\x01", b"\x05", b"\x7f"], ids=["-1", "-3", "-64"])
def test_a_length_below_zero_is_null(name: bytes, length: bytes) -> None:
    """For a broker any will do, and it stores the record; only -1 is what producers write."""
    data = batch([(b"key", None, [("Q", None)])]).replace(
        b"\x01\x02\x02Q\x01", length + b"\x02\x02" + name + length
    )
    (record,) = unpack(sealed(data), PLACE, 0).records

    assert (b"key", None) == (record.key, record.value)
    assert [None] == [value for _, value in record.headers]


@pytest.mark.parametrize("said", [[5, 6, 7], [0, 0, 0], [2, 1, 0], [0, 1, 2**31 - 1]], ids=str)
@pytest.mark.parametrize("name", ["fine", "\N{BOMB}"])
def test_where_a_record_lies_is_the_brokers_word_and_not_its_own(said: list[int], name: str) -> None:
    """A broker numbers a batch and looks at no record: whoever writes one could make readers pass over others'."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for delta in said:
        builder.append(delta, 1, b"k", b"v", [(name, b"")])
    data = bytearray(builder.build().replace("\N{BOMB}".encode(), b"\xff\xfe\xfd\xfc"))
    struct.pack_into(">q", data, 0, 40)
    struct.pack_into(">i", data, _LAST_DELTA_AT, len(said) - 1)
    found = unpack(sealed(data), PLACE, 41)

    assert [41, 42] == [record.offset for record in found.records]
    assert (43, None) == (found.next, found.missing)


def test_what_compaction_left_lies_where_it_says() -> None:
    """The batch begins and ends where it did, and has fewer records."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for delta in (1, 3):
        builder.append(delta, 1, b"k", b"v", [])
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, 5)

    assert [6, 8] == [record.offset for record in unpack(sealed(data), PLACE, 5).records]


def test_damage_is_named_with_its_place() -> None:
    """A wrong checksum can be read again; what holds its checksum and cannot be read never will."""
    damaged = bytearray(batch(plain(2)))
    damaged[-1] ^= 1
    with pytest.raises(RetryableError, match=r"handoffs\.v1, partition 2, offset 0: the checksum"):
        unpack(bytes(damaged), PLACE, 0)

    for length in (-12, -1, 0, 48):
        short = bytearray(batch(plain(2)))
        struct.pack_into(">i", short, 8, length)
        with pytest.raises(RetryableError, match=r"handoffs\.v1, partition 2, offset 0: the length"):
            unpack(bytes(short), PLACE, 9)

    old = bytearray(batch(plain(1)))
    old[16] = 1
    with pytest.raises(UnprocessableError, match="format v1"):
        unpack(bytes(old), PLACE, 0)

    # The name of the header claims more bytes than there are, and is no UTF-8 besides.
    torn = batch([(b"k", b"v", [("QQ", b"x")])]).replace(b"\x04QQ", b"\x7e\xff\xfe")
    with pytest.raises(UnprocessableError, match="cannot be taken apart"):
        unpack(sealed(torn), PLACE, 0)

    with pytest.raises(MisconfiguredError, match="compressed with 7"):
        unpack(batch(plain(1), attributes=7), PLACE, 0)


def test_a_batch_that_unpacks_to_too_much_is_refused() -> None:
    """A megabyte on the wire must not become gigabytes in a reader."""
    bomb = batch([(None, bytes(70 * 1024 * 1024), [])], codec=1)

    with pytest.raises(UnprocessableError, match="unpacks to more"):
        unpack(bomb, PLACE, 0)
