"""What is asked within a session: only what moved, and everything again when the broker has forgotten."""

import struct
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import errors as kafka_errors
from aiokafka.protocol.fetch import FetchRequest_v11
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from seamwork.bus.cursor import fetch_pages
from seamwork.bus.fetching import FetchAnswer, Session, SessionLostError, single
from seamwork.bus.port import LogGapError, Partition
from seamwork.bus.requests import Request

A, B = Partition("a.v1", 0), Partition("a.v1", 3)
C = Partition("c.v1", 1)


def wire(topic: str) -> str:
    """Put a prefix on, as a platform does."""
    return f"p.{topic}"


def answer(code: int = 0, session: int = 7, *found: tuple[str, int, int, bytes | None]) -> FetchAnswer:
    """Write an answer as a broker does: topic, number, error, records."""
    data = struct.pack(">ihii", 0, code, session, len(found))
    for topic, number, error, records in found:
        name = topic.encode()
        data += struct.pack(">h", len(name)) + name + struct.pack(">i", 1)
        data += struct.pack(">ihqqqi", number, error, 9, 9, 2, 1) + struct.pack(">qq", 1, 1)
        data += struct.pack(">ii", -1, -1 if records is None else len(records)) + (records or b"")
    return FetchAnswer(memoryview(data))


def asked(
    request: Request[FetchAnswer],
) -> tuple[tuple[int, int], dict[str, dict[int, int]], dict[str, list[int]]]:
    """Read a request by aiokafka's own schema: session, positions asked for, partitions forgotten."""
    read = FetchRequest_v11.decode(request.body)
    positions = {name: {number: at for number, _, at, *_ in rest} for name, rest in read.topics}
    return (read.session_id, read.session_epoch), positions, dict(read.forgotten_topics_data)


def test_a_session_names_what_moved() -> None:
    """First everything; then what moved, what is new, and what is wanted no more."""
    session = Session(wire)
    first = session.request([(A, 0), (B, 5), (C, 1)], 500)
    session.take(answer())
    second = session.request([(A, 0), (B, 6), (C, 1)], 500)
    session.take(answer())
    third = session.request([(A, 0), (B, 6)], 500)
    session.take(answer())
    fourth = session.request([(A, 0), (B, 6)], 500)

    assert ((0, 0), {"p.a.v1": {0: 0, 3: 5}, "p.c.v1": {1: 1}}, {}) == asked(first)
    assert ((7, 1), {"p.a.v1": {3: 6}}, {}) == asked(second)
    assert ((7, 2), {}, {"p.c.v1": [1]}) == asked(third)
    assert ((7, 3), {}, {}) == asked(fourth)


def test_of_a_topic_with_large_records_more_is_asked_for_at_once() -> None:
    """A busy router commits ten times two thirds of a mebibyte a second: who has fallen behind must gain on it."""
    journal = Partition("journal.router.v1", 0)
    mebibyte = 1024 * 1024

    def most(request: Request[FetchAnswer]) -> dict[str, int]:
        return {name: one[-1] for name, (one,) in FetchRequest_v11.decode(request.body).topics}

    usual = most(single(wire, [(A, 0), (journal, 0)], 0))
    behind = most(Session(wire).request([(A, 0), (journal, 0)], 0, 2 * mebibyte))
    once = most(single(wire, [(A, 0), (journal, 0)], 0, 2 * mebibyte))
    little = most(single(wire, [(A, 0), (journal, 0)], 0, 1))

    assert {"p.a.v1": mebibyte, "p.journal.router.v1": 4 * mebibyte} == usual
    assert {"p.a.v1": 2 * mebibyte, "p.journal.router.v1": 4 * mebibyte} == behind == once
    assert {"p.a.v1": 1, "p.journal.router.v1": 1} == little, "who asks for little gets no page"


def test_a_partition_with_an_error_is_named_again() -> None:
    """The broker may have dropped it."""
    session = Session(wire)
    session.request([(A, 0), (B, 5)], 500)
    session.take(answer())
    session.again(B)

    assert ((7, 1), {"p.a.v1": {3: 5}}, {}) == asked(session.request([(A, 0), (B, 5)], 500))


@pytest.mark.parametrize("code", [70, 71])
def test_a_session_that_the_broker_forgot_is_begun_anew(code: int) -> None:
    """It says so, and the next request names everything."""
    session = Session(wire)
    session.request([(A, 0)], 500)
    session.take(answer())
    session.request([(A, 0)], 500)
    with pytest.raises(SessionLostError):
        session.take(answer(code, 0))

    assert ((0, 0), {"p.a.v1": {0: 0}}, {}) == asked(session.request([(A, 0)], 500))


def test_a_broker_without_room_for_sessions_is_asked_in_full() -> None:
    """Each time."""
    session = Session(wire)
    for _ in range(2):
        assert ((0, 0), {"p.a.v1": {0: 0}}, {}) == asked(session.request([(A, 0)], 500))
        session.take(answer(0, 0))


def test_an_error_of_the_whole_answer_is_raised() -> None:
    """And the session is over."""
    session = Session(wire)
    session.request([(A, 0)], 500)
    with pytest.raises(kafka_errors.UnknownError):
        session.take(answer(-1))


def test_one_question_begins_no_session() -> None:
    """Epoch -1 says so."""
    assert ((0, -1), {"p.a.v1": {0: 4}}, {}) == asked(single(wire, [(A, 4)], 0))


def test_an_answer_is_read_partition_by_partition() -> None:
    """With or without records, errors, aborted transactions."""
    found = list(answer(0, 7, ("p.a.v1", 3, 0, b"records"), ("p.c.v1", 1, 6, None)))

    assert [("p.a.v1", 3, 0, 9, 2, b"records"), ("p.c.v1", 1, 6, 9, 2, b"")] == found


def stored(base: int) -> bytes:
    """Write one record as a broker stores it, at offset *base*."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1000)
    builder.append(0, 1_000, b"k", b"v", [])
    return struct.pack(">q", base) + bytes(builder.build())[8:]


def holding(topic: str, *bases: int) -> Any:
    """Make a connection to a broker that has records at these offsets, and from 2 on nothing but them."""
    found = answer(0, 0, (f"p.{topic}", 0, 0, b"".join(map(stored, bases))))

    async def ask(*_: Any) -> FetchAnswer:
        return found

    return SimpleNamespace(ask=ask, wire=wire, logical=lambda name: name.removeprefix("p."))


async def test_a_hole_in_the_middle_is_a_gap_and_never_skipped() -> None:
    """Whoever made it: what is not there was never judged, nor recorded."""
    with pytest.raises(LogGapError, match="nothing from 4 to 5"):
        await fetch_pages(holding("a.v1", 2, 3, 6), 1, [(A, 2)], max_wait_ms=0)


async def test_compaction_makes_holes() -> None:
    """Those of snapshots are no gap."""
    place = Partition("snapshots.router.v1", 0)
    pages = await fetch_pages(holding(place.topic, 3, 6), 1, [(place, 2)], max_wait_ms=0)

    assert [3, 6] == [raw.offset for raw in pages[place].records]


async def test_what_is_taken_apart_at_once_is_bounded_and_everybody_has_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Any agent may write records that take thirty times as much here as in the log, in each partition."""
    monkeypatch.setattr("seamwork.bus.cursor._MOST_HELD_BYTES", 1)
    found = answer(0, 7, *((wire(at.topic), at.partition, 0, stored(2)) for at in (A, B, C)))
    requests: list[Request[FetchAnswer]] = []

    async def ask(_: int, request: Request[FetchAnswer], __: str) -> FetchAnswer:
        requests.append(request)
        return found

    session = Session(wire)
    connection: Any = SimpleNamespace(ask=ask, wire=wire, logical=lambda name: name.removeprefix("p."))
    wanted = [(A, 2), (B, 2), (C, 2)]
    taken = [await fetch_pages(connection, 1, wanted, max_wait_ms=0, session=session) for _ in range(4)]

    assert [[A], [B], [C], [A]] == [list(pages) for pages in taken]
    assert {"p.a.v1": {3: 2}, "p.c.v1": {1: 2}} == asked(requests[1])[1]
