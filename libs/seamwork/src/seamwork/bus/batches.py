"""
Take record batches apart (format v2, KIP-98), so that no record can hide from a reader.

aiokafka's parser is fast, but decodes the names of headers as UTF-8 and raises where they are not: its consumer
then returns nothing from that partition, for ever, and whoever may write one record can stop every reader. Here
such a batch is parsed again by ``_plain``, which keeps what is not UTF-8 as backslash escapes.
"""

import gzip
import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aiokafka import codec
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch

from seamwork.bus.port import Partition
from seamwork.errors import MisconfiguredError, RetryableError, UnprocessableError
from seamwork.records.wire import Header, RawRecord

# Base offset, length, leader epoch, magic, CRC, attributes, last offset delta, first and largest timestamp,
# producer id, producer epoch, base sequence, number of records.
_HEADER = struct.Struct(">qiibIhiqqqhii")
_LENGTH_ENDS = 12  # the length counts what follows it
_MAGIC = 2
_COMPRESSION = 0x07
_LOG_APPEND_TIME = 0x08
_CONTROL = 0x20
_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4
_CODECS = {_SNAPPY: "snappy", _LZ4: "lz4", _ZSTD: "zstd"}
_VARINT_BITS = 70
# A topic takes 8 MiB at most; a batch that unpacks to more than this is an attack on its readers.
_MOST_UNPACKED = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Unpacked:
    """
    What a message set holds.

    *next* is the offset after its last batch; *missing* the first stretch without records or transaction markers,
    as ``(first offset, first offset after)``: what compaction leaves, or a hole.
    """

    records: list[RawRecord]
    next: int
    missing: tuple[int, int] | None


def unpack(message_set: bytes, partition: Partition, start: int) -> Unpacked:
    """
    Return the records from *start* on.

    A batch that was cut off by the size of the fetch is left for the next one; control batches (the markers of
    transactions) hold no records, and are passed. Where a record lies is the broker's word: those of a whole batch
    lie one behind the other, whatever they say themselves, for a broker stores that unseen.

    Raises:
        RetryableError: A checksum or a length is wrong: bytes were damaged on the way, or lie damaged on the
            broker's disk.
        MisconfiguredError: A batch is compressed in a way that this installation cannot read.
        UnprocessableError: A batch is not in the format; no Kafka broker stores such a batch.
    """
    records: list[RawRecord] = []
    position, missing = start, None
    at = 0
    while len(message_set) - at >= _HEADER.size:
        base, length, _, magic, _, attributes, last_delta, *_ = _HEADER.unpack_from(message_set, at)
        if length < _HEADER.size - _LENGTH_ENDS:  # no checksum covers it
            raise _damaged("length", partition, base)
        batch = message_set[at : at + _LENGTH_ENDS + length]
        if len(batch) < _LENGTH_ENDS + length:
            break
        if magic != _MAGIC:
            raise UnprocessableError(
                f"{_place(partition, base)}: record format v{magic}; Kafka 4 stores v{_MAGIC} only"
            )
        at += len(batch)
        following = base + last_delta + 1
        if following <= start:
            continue
        if not attributes & _CONTROL:
            found = _records(batch, partition, start)
            records += found
            missing = missing or _missing(found, position, following)
        position = following
    return Unpacked(records, position, missing)


def _missing(records: Sequence[RawRecord], position: int, following: int) -> tuple[int, int] | None:
    if len(records) == following - position:
        return None
    expected = position
    for record in records:
        if record.offset != expected:
            return expected, record.offset
        expected += 1
    return expected, following


def _records(batch: bytes, partition: Partition, start: int) -> list[RawRecord]:
    base, _, _, _, _, attributes, last_delta, *_, count = _HEADER.unpack_from(batch)
    is_whole = count == last_delta + 1  # of others, compaction has taken some away
    _check_codec(attributes & _COMPRESSION, partition, base)
    fast = DefaultRecordBatch(batch)
    if not fast.validate_crc():
        raise _damaged("checksum", partition, base)
    if not attributes & _COMPRESSION:  # topics are stored uncompressed; elsewhere, unpack with a bound
        topic, number = partition
        try:
            return [
                RawRecord(topic, number, offset, each.timestamp, each.key, each.value, tuple(each.headers))
                for index, each in enumerate(fast)
                if (offset := base + index if is_whole else each.offset) >= start
            ]
        except (ValueError, CorruptRecordException):  # a header's name is not UTF-8, or worse
            pass
    return [each for each in _plain(batch, partition, is_whole=is_whole) if each.offset >= start]


def _plain(batch: bytes, partition: Partition, *, is_whole: bool) -> Iterator[RawRecord]:
    header = _HEADER.unpack_from(batch)
    base, attributes, first_ms, largest_ms, count = header[0], header[5], header[7], header[8], header[12]
    body = _Bytes(_uncompressed(batch[_HEADER.size :], attributes & _COMPRESSION, _place(partition, base)))
    try:
        for index in range(count):
            length = body.varint()
            end = body.at + length
            body.take(1)  # attributes of the record: unused in v2
            created_ms = first_ms + body.varint()
            delta = body.varint()
            offset = base + (index if is_whole else delta)
            key, value = body.nullable(), body.nullable()
            headers: tuple[Header, ...] = tuple(
                ((body.nullable() or b"").decode("utf-8", "backslashreplace"), body.nullable())
                for _ in range(body.varint())
            )
            if body.at != end:
                raise IndexError
            appended_ms = largest_ms if attributes & _LOG_APPEND_TIME else created_ms
            yield RawRecord(partition.topic, partition.partition, offset, appended_ms, key, value, headers)
    except IndexError as error:
        raise UnprocessableError(
            f"{_place(partition, base)}: a record batch whose checksum holds cannot be taken apart; "
            "look at it with kafka-dump-log"
        ) from error


class _Bytes:
    """Bytes that are read from the front; reading past the end raises ``IndexError``."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if count < 0 or end > len(self._data):
            raise IndexError
        piece = self._data[self.at : end]
        self.at = end
        return piece

    def varint(self) -> int:
        """Read a signed number of variable length (zigzag, seven bits a byte, lowest first)."""
        number = 0
        for shift in range(0, _VARINT_BITS, 7):
            byte = self._data[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004  # the bit that says that more follows
                return (number >> 1) ^ -(number & 1)
        raise IndexError

    def nullable(self) -> bytes | None:
        """Read bytes with their length before them; below zero is null, as for the broker."""
        length = self.varint()
        return None if length < 0 else self.take(length)


def _check_codec(kind: int, partition: Partition, base: int) -> None:
    missing = (
        (kind == _SNAPPY and not codec.has_snappy())
        or (kind == _LZ4 and not codec.has_lz4())
        or (kind == _ZSTD and not codec.has_zstd())
        or kind > _ZSTD
    )
    if missing:
        raise MisconfiguredError(
            f"{_place(partition, base)}: the batch is compressed with {_CODECS.get(kind, kind)}, which this "
            "installation cannot read; set compression.type=uncompressed on the topic, or install aiokafka[all]"
        )


def _uncompressed(data: bytes, kind: int, place: str) -> bytes:
    match kind:
        case 0:
            return data
        case 1:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                unpacked = packed.read(_MOST_UNPACKED + 1)
        case 2:
            unpacked = codec.snappy_decode(data)
        case 3:
            unpacked = codec.lz4_decode(data)
        case _:
            unpacked = codec.zstd_decode(data)
    if len(unpacked) > _MOST_UNPACKED:
        raise UnprocessableError(f"{place}: the batch unpacks to more than {_MOST_UNPACKED} bytes")
    return bytes(unpacked)


def _damaged(what: str, partition: Partition, base: int) -> RetryableError:
    return RetryableError(
        f"{_place(partition, base)}: the {what} of a record batch is wrong; if it stays, its disk is damaged"
    )


def _place(partition: Partition, offset: int) -> str:
    return f"topic {partition.topic}, partition {partition.partition}, offset {offset}"
