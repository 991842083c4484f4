"""
Carry requests of our own making to one broker, one after another, and their answers back.

Fetching and producing happen thousands of times a second. aiokafka's connections take a task, two wake-ups, a timer
and a chain of coroutines for each of them; here a request is written where it is made, and its answer is read where
it arrives. What begins a connection stays aiokafka's: it finds the address, authenticates, and asks which versions
the broker speaks; then its transport is taken over.
"""

import asyncio
import struct
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from aiokafka import errors as kafka_errors
from aiokafka.conn import AIOKafkaConnection

from seamwork.bus.requests import AnyRequest, Request

A = TypeVar("A")

_LENGTH = struct.Struct(">i")
_NUMBER = struct.Struct(">i")
_NAME_LENGTH = struct.Struct(">h")
_NUMBERS = 2**31
_SCRATCH_BYTES = 256 * 1024
_MOST_BYTES = 128 * 1024 * 1024
"""Of one answer: some times what is ever asked for. Whoever announces more speaks another protocol."""
_LARGE_BYTES = 1024 * 1024
"""Of what was sent: so much goes out in a moment over a usual link, and in many seconds over a slow one."""
_Waiting = tuple[int, AnyRequest, "asyncio.Future[Any]", float]


class _Scratch(threading.local):
    """Where bytes arrive, one piece at a time: what is of use to nobody yet is carried on before the next piece."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_SCRATCH_BYTES))


_scratch = _Scratch()


class Line(asyncio.BufferedProtocol):
    """
    One connection to one broker, in use by one lane. A broker answers in the order of the requests.

    Args:
        client_id: Shown in the broker's logs.
        versions: Which versions of which request the broker speaks.
    """

    def __init__(self, client_id: str, versions: Mapping[int, tuple[int, int]]) -> None:
        name = client_id.encode()
        self._sender = _NAME_LENGTH.pack(len(name)) + name
        self._versions = versions
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._stream: asyncio.StreamWriter | None = None  # closes the transport when nobody holds it any more
        self._number = 0
        self._waiting: deque[_Waiting] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._gone = (0, 0)
        self._head = b""
        self._arriving: memoryview | None = None
        self._arrived = 0

    @classmethod
    def over(cls, connection: AIOKafkaConnection, client_id: str) -> "Line":
        """
        Take over the transport of a connection that is authenticated and has nothing under way.

        Raises:
            KafkaConnectionError: It was closed between its opening and now.
        """
        writer = connection._writer  # noqa: SLF001
        if writer is None or writer.transport.is_closing():
            raise kafka_errors.KafkaConnectionError(
                "the connection to the broker was closed as soon as it was open"
            )
        line = cls(client_id, connection._versions)  # noqa: SLF001  # aiokafka has no way to give it away
        connection._read_task.cancel()  # noqa: SLF001
        if connection._idle_handle is not None:  # noqa: SLF001
            connection._idle_handle.cancel()  # noqa: SLF001
        line._stream = writer
        connection._reader = connection._writer = None  # noqa: SLF001  # it is not to be closed with this object
        writer.transport.set_protocol(line)
        line.connection_made(writer.transport)
        return line

    @property
    def is_open(self) -> bool:
        """Whether it can still carry a request."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: Request[A]) -> "asyncio.Future[A]":
        """
        Send a request; the future has its answer, or the error of a line that broke.

        Raises:
            IncompatibleBrokerVersion: The broker does not speak this version.
            KafkaConnectionError: The line is closed.
        """
        if self._transport is None:
            raise kafka_errors.KafkaConnectionError("the connection to the broker is closed")
        least, most = self._versions.get(request.api, (0, 0))
        if not least <= request.version <= most:
            raise kafka_errors.IncompatibleBrokerVersion(
                f"the broker speaks versions {least} to {most} of request {request.api}, not {request.version}"
            )
        self._number = number = (self._number + 1) % _NUMBERS
        answer: asyncio.Future[A] = self._loop.create_future()
        due = self._loop.time() + request.within_s
        self._waiting.append((number, request, answer, due))
        if self._watch is None:
            self._watch = self._loop.call_at(due, self._look)
        self._transport.write(request.framed(number, self._sender))
        return answer

    def close(self) -> None:
        """Close it; what waits for an answer gets none."""
        self._break(kafka_errors.KafkaConnectionError("the connection to the broker is closed"))

    # ── What the transport calls ─────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # of a frame we know the size
        """
        Return where the next bytes belong.

        An answer that does not come in one piece gets a place of its own size, so that each turn of the loop takes
        all that has come of it, and not a quarter of a mebibyte as a stream does.
        """
        return _scratch.view if self._arriving is None else self._arriving[self._arrived :]

    def buffer_updated(self, nbytes: int) -> None:
        """Put answers together, and give each to whoever waits for it."""
        self._heard = self._loop.time()
        if self._arriving is None:
            self._take(_scratch.view[:nbytes])
            return
        self._arrived += nbytes
        if self._arrived == len(self._arriving):
            frame, self._arriving = self._arriving, None
            self._answer(frame.toreadonly())

    def _take(self, came: memoryview) -> None:
        """Answer by the frames that *came* whole, and carry on what came of another."""
        data = memoryview(self._head + came)  # a copy: the place where it arrived is used again
        self._head = b""
        at = 0
        while len(data) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data, at)
            if not _NUMBER.size <= length <= _MOST_BYTES:
                self._break(
                    kafka_errors.CorruptRecordException(f"the broker announces an answer of {length} bytes")
                )
                return
            at += _LENGTH.size
            if len(data) - at < length:
                self._arriving = memoryview(bytearray(length))
                self._arrived = len(data) - at
                self._arriving[: self._arrived] = data[at:]
                return
            self._answer(data[at : at + length])
            at += length
        self._head = bytes(data[at:])

    def connection_lost(self, error: Exception | None) -> None:
        """Tell everybody who waits."""
        lost = kafka_errors.KafkaConnectionError("the broker closed the connection")
        lost.__cause__ = error
        self._break(lost)

    # ── Within ───────────────────────────────────────────────────────────────────────────

    def _answer(self, frame: memoryview) -> None:
        if not self._waiting:
            self._break(kafka_errors.CorrelationIdError("the broker answered what nobody had asked"))
            return
        number, request, answer, _ = self._waiting[0]
        (found,) = _NUMBER.unpack_from(frame)
        if found != number:
            self._break(kafka_errors.CorrelationIdError(f"the broker answered request {found}, not {number}"))
            return
        self._waiting.popleft()
        if answer.done():
            return  # nobody waits any more
        try:
            answer.set_result(request.read(frame[_NUMBER.size :]))
        except (struct.error, ValueError, IndexError) as error:
            broken = kafka_errors.CorruptRecordException("an answer of the broker cannot be read")
            broken.__cause__ = error
            answer.set_exception(broken)

    def _look(self) -> None:
        """See whether there was silence for too long for the oldest request: one timer for all of them."""
        self._watch = None
        if not self._waiting:
            return
        number, request, _, due = self._waiting[0]
        now = self._loop.time()
        # A large answer over a slow link takes longer than a silence may: what counts is that it goes on coming.
        due = max(due, self._heard + request.within_s)
        if due <= now and self._goes_out(number):
            due = now + request.within_s
        if due > now:
            self._watch = self._loop.call_at(due, self._look)
        else:
            self._break(kafka_errors.RequestTimedOutError(), at_once=True)

    def _goes_out(self, number: int) -> bool:
        """
        Whether more of what was sent has left than at the last look for request *number*, the oldest.

        At the first look there is none to compare with: what still lies here, or is so large that it may have left
        only just now, is given as much time again.
        """
        if self._transport is None:
            return False
        left = _unsent(self._transport)
        gone = sum(len(request.body) for _, request, _, _ in self._waiting) - left
        looked_for, before = self._gone
        if looked_for != number:
            before = 0 if left or gone >= _LARGE_BYTES else gone
        self._gone = (number, gone)
        return gone > before

    def _break(self, error: Exception, *, at_once: bool = False) -> None:
        transport, self._transport = self._transport, None
        if transport is not None and at_once:
            transport.abort()  # what it has not sent would go on beside the next attempt at the same
        elif transport is not None:
            transport.close()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        waiting, self._waiting = self._waiting, deque()
        for _, _, answer, _ in waiting:
            if not answer.done():
                answer.set_exception(error)


def _unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes the kernel has not taken; those of an encrypted line lie in the transport beneath."""
    beneath = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    return transport.get_write_buffer_size() + (0 if beneath is None else beneath.get_write_buffer_size())
