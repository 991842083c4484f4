"""
Ask one broker for what is new, over and over, without saying each time what it was asked before (KIP-227).

A full request names every partition, and the broker answers for every one of them. In a session both sides
remember: a request names what moved, an answer what there is. Who follows sixty partitions then pays for the two
that have something. aiokafka knows no sessions, so the bytes are written and read here.
"""

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from aiokafka import errors as kafka_errors

from seamwork.bus.limits import limit_of
from seamwork.bus.port import Partition
from seamwork.bus.requests import Request

# What one answer may weigh. A single record batch larger than this still comes, alone.
_ANSWER_BYTES = 16 * 1024 * 1024
PAGE_BYTES = 1024 * 1024
_API, _VERSION = 1, 11  # the last version in which topics have names and numbers a fixed width
_NO_SESSION, _FIRST, _LAST = 0, 0, -1
_LAST_EPOCH = 2**31 - 1
_UNKNOWN_SESSION, _WRONG_EPOCH = 70, 71

# Replica, patience, least and most bytes, isolation, session and its epoch.
_REQUEST = struct.Struct(">iiiibii")
# Number, leader epoch, offset, start of the log, most bytes.
_ASKED = struct.Struct(">iiqqi")
_COUNT = struct.Struct(">i")
_LENGTH = struct.Struct(">h")
# Throttle time, error, session, number of topics.
_ANSWER = struct.Struct(">ihii")
# Number, error, high watermark, last stable offset, start of the log, number of aborted transactions.
_FOUND = struct.Struct(">ihqqqi")
# The replica to prefer, length of the records.
_RECORDS = struct.Struct(">ii")
_ABORTED_BYTES = 16


class Found(NamedTuple):
    """What an answer says of one partition."""

    topic: str
    partition: int
    code: int
    end: int
    start: int
    records: bytes


class SessionLostError(Exception):
    """The broker remembers nothing of this session (any more): ask in full."""


class Session:
    """
    What one broker was asked so far, over one connection.

    Args:
        wire: Gives a topic's name on the wire.
    """

    def __init__(self, wire: Callable[[str], str]) -> None:
        self._wire = wire
        self._id = _NO_SESSION
        self._epoch = _FIRST
        self._asked: dict[Partition, int] = {}
        self._put_off: list[Partition] = []

    def request(
        self, wanted: Sequence[tuple[Partition, int]], max_wait_ms: int, page_bytes: int = PAGE_BYTES
    ) -> "Request[FetchAnswer]":
        """
        Ask for *wanted*, in this order of preference where the broker does not know it yet.

        *page_bytes* is how much of each partition to ask for; of one with large records it is several of them. Less
        than a page brings as little as the broker gives, which is one batch.
        """
        if self._id == _NO_SESSION:
            moved, gone = wanted, []
        else:
            asked = self._asked
            moved = [(at, position) for at, position in wanted if asked.get(at) != position]
            gone = (
                list(asked.keys() - {at for at, _ in wanted}) if len(asked) + len(moved) > len(wanted) else []
            )
        self._asked = dict(wanted)
        whole = page_bytes >= PAGE_BYTES
        pages = [
            (at, position, max(page_bytes, limit_of(at.topic) // 2) if whole else page_bytes)
            for at, position in moved
        ]
        return Request(
            _API, _VERSION, self._body(pages, gone, max_wait_ms, (self._id, self._epoch)), FetchAnswer
        )

    def take(self, answer: "FetchAnswer") -> None:
        """
        Note what the broker says of the session.

        Raises:
            SessionLostError: It has forgotten it; `request` asks in full from here on.
            KafkaError: It could not answer at all.
        """
        if answer.code in (_UNKNOWN_SESSION, _WRONG_EPOCH) and self._id != _NO_SESSION:
            self.forget()
            raise SessionLostError
        if answer.code:
            self.forget()
            raise kafka_errors.for_code(answer.code)
        self._id = answer.session
        # A broker that has no room for a session gives none, and is asked in full each time.
        self._epoch = (
            _FIRST if self._id == _NO_SESSION else 1 if self._epoch == _LAST_EPOCH else self._epoch + 1
        )

    def again(self, partition: Partition) -> None:
        """Name *partition* in the next request, whether it moved or not."""
        self._asked[partition] = -1

    def put_off(self, partition: Partition) -> None:
        """Leave what an answer brought of *partition* for the next one, in which it has its turn first."""
        self.again(partition)
        self._put_off.append(partition)

    def in_turn(self, answer: "FetchAnswer") -> Iterable[Found]:
        """Go through the partitions of *answer*, first those that were put off."""
        first, self._put_off = self._put_off, []
        if not first:
            return answer
        turns = {(self._wire(topic), number): turn for turn, (topic, number) in enumerate(first)}
        return sorted(answer, key=lambda found: turns.get((found.topic, found.partition), len(turns)))

    def forget(self) -> None:
        """Begin anew: the connection is gone, or an answer is missing."""
        self._id, self._epoch, self._asked = _NO_SESSION, _FIRST, {}

    def _body(
        self,
        moved: Sequence[tuple[Partition, int, int]],
        gone: Sequence[Partition],
        max_wait_ms: int,
        session: tuple[int, int],
    ) -> bytes:
        topics: dict[str, list[bytes]] = defaultdict(list)
        for (topic, number), position, most_bytes in moved:
            topics[topic].append(_ASKED.pack(number, -1, position, -1, most_bytes))
        forgotten: dict[str, list[bytes]] = defaultdict(list)
        for topic, number in gone:
            forgotten[topic].append(_COUNT.pack(number))
        return b"".join(
            (
                _REQUEST.pack(-1, max_wait_ms, min(1, max_wait_ms), _ANSWER_BYTES, 0, *session),
                *self._named(topics),
                *self._named(forgotten),
                _LENGTH.pack(0),  # no rack
            )
        )

    def _named(self, topics: dict[str, list[bytes]]) -> Iterator[bytes]:
        yield _COUNT.pack(len(topics))
        for topic, entries in topics.items():
            name = self._wire(topic).encode()
            yield _LENGTH.pack(len(name)) + name + _COUNT.pack(len(entries))
            yield from entries


class FetchAnswer:
    """
    An answer, still in bytes.

    Attributes:
        code: The error of the whole answer; 0 for none.
        session: The session that it belongs to; 0 for none.
    """

    def __init__(self, data: memoryview) -> None:
        _, self.code, self.session, self._topics = _ANSWER.unpack_from(data)
        self._data = data

    def __iter__(self) -> Iterator[Found]:
        """Go through the partitions; topics by their names on the wire."""
        data, at = self._data, _ANSWER.size
        for _ in range(self._topics):
            (length,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            topic = str(data[at : at + length], "utf-8")
            (count,) = _COUNT.unpack_from(data, at + length)
            at += length + _COUNT.size
            for _ in range(count):
                number, code, end, _, start, aborted = _FOUND.unpack_from(data, at)
                at += _FOUND.size + max(0, aborted) * _ABORTED_BYTES
                _, size = _RECORDS.unpack_from(data, at)
                at += _RECORDS.size
                records = bytes(data[at : at + size]) if size > 0 else b""
                at += max(0, size)
                yield Found(topic, number, code, end, start, records)


def single(
    wire: Callable[[str], str],
    wanted: Sequence[tuple[Partition, int]],
    max_wait_ms: int,
    page_bytes: int = PAGE_BYTES,
) -> "Request[FetchAnswer]":
    """Ask once, without beginning a session."""
    session = Session(wire)
    session._epoch = _LAST  # noqa: SLF001  # of this module
    return session.request(wanted, max_wait_ms, page_bytes)
