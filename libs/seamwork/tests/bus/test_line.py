"""What a line makes of the bytes that come, of silence, and of an end."""

import asyncio
import ssl
import struct
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable

import pytest
from aiokafka import errors as kafka_errors
from aiokafka.conn import AIOKafkaConnection
from hypothesis import given
from hypothesis import strategies as st

from seamwork.bus.line import Line, _unsent
from seamwork.bus.requests import Request

VERSIONS = {1: (0, 11)}


class Wire(asyncio.Transport):
    """A transport that keeps what is written; *unsent* of it is not on its way yet."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.unsent = 0
        self.closed = False
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def close(self) -> None:
        """Close it."""
        self.closed = True

    def abort(self) -> None:
        """Close it, whatever is unsent."""
        self.closed = self.aborted = True

    def get_write_buffer_size(self) -> int:
        """Say how much is unsent."""
        return self.unsent


class Clock:
    """A loop's time, which stands still until a test moves it on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: self._now)

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass, and whatever is due by then."""
        self._now += seconds
        for _ in range(3):
            await asyncio.sleep(0)


def connected() -> tuple[Line, Wire]:
    """Return a line on a wire."""
    line, wire = Line("me", VERSIONS), Wire()
    line.connection_made(wire)
    return line, wire


def question(version: int = 11, within_s: float = 10.0, body: bytes = b"ask") -> Request[bytes]:
    """Ask for something."""
    return Request(1, version, body, bytes, within_s)


def answer(number: int, body: bytes) -> bytes:
    """Answer as a broker does."""
    return struct.pack(">ii", 4 + len(body), number) + body


def arrive(line: Line, data: bytes) -> None:
    """Let *data* come as a transport does: as much at a time as there is room for."""
    while data:
        room = line.get_buffer(-1)
        size = min(len(room), len(data))
        room[:size] = data[:size]
        line.buffer_updated(size)
        data = data[size:]


def run(body: Callable[[], object]) -> None:
    """Run *body* within a loop."""

    async def within() -> None:
        body()

    asyncio.run(within())


def test_a_request_travels_with_its_length_name_and_number() -> None:
    """As the protocol says: length, request, version, number, the client's name, body."""

    def body() -> None:
        line, wire = connected()
        line.send(question())
        line.send(question())

        framed = struct.pack(">ihhih", 15, 1, 11, 1, 2) + b"me" + b"ask"
        assert [framed, framed[:8] + struct.pack(">i", 2) + framed[12:]] == wire.written
        line.close()

    run(body)


@given(bodies=st.lists(st.binary(max_size=40), min_size=1, max_size=5), cuts=st.data())
def test_answers_are_the_same_however_they_are_cut_into_pieces(
    bodies: list[bytes], cuts: st.DataObject
) -> None:
    """Each goes to its request, in order."""

    def body() -> None:
        line, _ = connected()
        waiting = [line.send(question()) for _ in bodies]
        stream = b"".join(answer(number, each) for number, each in enumerate(bodies, 1))
        while stream:
            size = cuts.draw(st.integers(1, len(stream)))
            arrive(line, stream[:size])
            stream = stream[size:]

        assert bodies == [one.result() for one in waiting]
        line.close()

    run(body)


def test_a_large_answer_gets_a_place_of_its_own_size() -> None:
    """What the kernel holds of it is taken in one piece, however much that is."""

    def body() -> None:
        line, _ = connected()
        waiting = line.send(question())
        whole = answer(1, bytes(4 * 1024 * 1024))
        arrive(line, whole[:1000])

        assert len(whole) - 1000 == len(line.get_buffer(-1))
        arrive(line, whole[1000:])
        assert whole[8:] == waiting.result()
        line.close()

    run(body)


@pytest.mark.parametrize("length", [-1, 3, 2**31 - 1, int.from_bytes(b"HTTP")])
def test_a_length_that_no_broker_sends_breaks_the_line(length: int) -> None:
    """Nothing is set aside for what will never come."""

    def body() -> None:
        line, wire = connected()
        waiting = line.send(question())
        arrive(line, struct.pack(">i", length) + b"/1.1 400")

        assert wire.closed
        assert isinstance(waiting.exception(), kafka_errors.CorruptRecordException)

    run(body)


def test_an_answer_that_nobody_waits_for_any_more_is_passed_over() -> None:
    """Whoever gave up does not shift the answers of those behind."""

    def body() -> None:
        line, _ = connected()
        first, second = line.send(question()), line.send(question())
        first.cancel()
        arrive(line, answer(1, b"one") + answer(2, b"two"))

        assert b"two" == second.result()
        line.close()

    run(body)


def test_an_answer_out_of_turn_breaks_the_line() -> None:
    """Nothing on it can be believed any more."""

    def body() -> None:
        line, wire = connected()
        waiting = [line.send(question()), line.send(question())]
        arrive(line, answer(2, b"two"))

        assert wire.closed
        assert not line.is_open
        assert all(isinstance(one.exception(), kafka_errors.CorrelationIdError) for one in waiting)

    run(body)


def test_an_answer_that_cannot_be_read_is_its_requests_error() -> None:
    """The line goes on."""

    def body() -> None:
        line, _ = connected()
        number = struct.Struct(">q")
        torn = line.send(Request(1, 11, b"", lambda data: number.unpack_from(data)[0]))
        whole = line.send(question())
        arrive(line, answer(1, b"\0") + answer(2, b"two"))

        assert isinstance(torn.exception(), kafka_errors.CorruptRecordException)
        assert b"two" == whole.result()
        line.close()

    run(body)


def test_a_line_that_the_broker_closed_tells_everybody_and_takes_no_more() -> None:
    """Both are errors that may pass: another line may do."""

    def body() -> None:
        line, _ = connected()
        waiting = line.send(question())
        line.connection_lost(None)

        assert isinstance(waiting.exception(), kafka_errors.KafkaConnectionError)
        with pytest.raises(kafka_errors.KafkaConnectionError):
            line.send(question())

    run(body)


async def test_a_connection_that_was_closed_already_is_not_taken_over() -> None:
    """The broker may be gone in the moment in which it was found: whoever asks tries again."""
    connection = AIOKafkaConnection("127.0.0.1", 1)
    connection.close()

    with pytest.raises(kafka_errors.KafkaConnectionError, match="as soon as it was open") as error:
        Line.over(connection, "me")

    assert error.value.retriable


async def test_silence_breaks_the_line() -> None:
    """One timer for all that wait; the oldest sets it."""
    line, wire = connected()
    waiting = [line.send(question(within_s=0.0)), line.send(question())]
    await asyncio.wait(waiting)

    assert wire.aborted
    assert all(isinstance(one.exception(), kafka_errors.RequestTimedOutError) for one in waiting)


async def test_an_answer_that_keeps_coming_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen mebibytes over a slow link take longer than a silence may; one in the middle breaks the line."""
    clock, (line, wire) = Clock(monkeypatch), connected()
    first = line.send(question())
    whole = answer(1, bytes(4 * 1024 * 1024))
    for at in range(0, len(whole), 1024 * 1024):
        await clock.advance(9.0)
        arrive(line, whole[at : at + 1024 * 1024])
    second = line.send(question())
    await clock.advance(9.0)
    arrive(line, answer(2, b"two")[:9])
    await clock.advance(9.0)
    still_open = line.is_open
    await clock.advance(2.0)

    assert whole[8:] == first.result()
    assert still_open
    assert wire.aborted
    assert isinstance(second.exception(), kafka_errors.RequestTimedOutError)


async def test_a_request_that_keeps_going_out_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """And then there may be as much silence as after any other, and no more."""
    clock, (line, wire) = Clock(monkeypatch), connected()
    waiting = line.send(question(within_s=5.0, body=bytes(3_000_000)))
    opened = []
    for wire.unsent in (2_000_000, 1_000_000, 0, 0):
        await clock.advance(5.0)
        opened.append(line.is_open)

    assert [True, True, True, False] == opened
    assert wire.aborted
    assert isinstance(waiting.exception(), kafka_errors.RequestTimedOutError)


async def test_a_request_that_gets_stuck_on_its_way_breaks_the_line_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is left of it is not sent any more: it would compete with its own repetition."""
    clock, (line, wire) = Clock(monkeypatch), connected()
    waiting = line.send(question(within_s=5.0, body=bytes(3_000_000)))
    for wire.unsent in (2_000_000, 2_000_000):
        await clock.advance(5.0)

    assert wire.aborted
    assert isinstance(waiting.exception(), kafka_errors.RequestTimedOutError)


async def test_beneath_tls_it_is_seen_what_goes_out() -> None:
    """There it lies in the transport below, of which the one above says nothing."""
    line, wire = Line("me", VERSIONS), Wire()
    loop = asyncio.get_running_loop()
    tls = SSLProtocol(loop, line, ssl.create_default_context(), loop.create_future(), server_hostname="x")
    tls.connection_made(wire)
    above = tls._get_app_transport()  # type: ignore[attr-defined]  # typeshed does not know it
    wire.unsent = 2_000_000
    unsent = _unsent(above)
    above.abort()

    assert 2_000_000 == unsent


def test_a_version_that_the_broker_does_not_speak_is_refused_by_name() -> None:
    """Nothing is sent."""

    def body() -> None:
        line, wire = connected()
        with pytest.raises(kafka_errors.IncompatibleBrokerVersion, match="0 to 11 of request 1, not 12"):
            line.send(question(version=12))
        assert [] == wire.written

    run(body)
