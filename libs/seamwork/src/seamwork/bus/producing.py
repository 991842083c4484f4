"""
Send batches of records to the brokers that lead their partitions, each partition's in order.

What becomes ready in one turn of the event loop travels in one request to each broker, whoever asked for it. While
that is under way, what becomes ready gathers for the next: a broker takes one request of a connection at a time, so
nothing is lost by it, and the busier the platform the fewer its requests. A partition has one batch on its way at a
time; one that a broker may take later is sent again, the same bytes, until its time is up.
"""

import asyncio
import secrets
import struct
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiokafka import errors as kafka_errors
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from seamwork.bus.connection import Connection
from seamwork.bus.leaders import take_notice
from seamwork.bus.port import Partition
from seamwork.bus.requests import Request
from seamwork.records.wire import Header

_API, _VERSION = 0, 7  # the last version before answers name single records, in fixed widths
SLOWEST_BYTES_S = 128 * 1024
"""What a link carries at least, a megabit a second: whoever bounds the sending of much by time allows for it."""
_ALL_REPLICAS = -1
_MAGIC = 2
_BACKOFF_S = 0.1
_DUPLICATE_SEQUENCE = 46
_LAST_SEQUENCE = 2**31 - 1  # after it the broker expects 0
_REQUEST_BYTES = 32 * 1024 * 1024  # a broker breaks the connection at 100 MiB (socket.request.max.bytes)
_NO_TRANSACTION_MS = 60_000  # asked for with every producer's id, and of no meaning here

# No transaction, acknowledgements, patience, number of topics.
_REQUEST = struct.Struct(">hhii")
_COUNT = struct.Struct(">i")
_LENGTH = struct.Struct(">h")
# Number, length of the records.
_BATCH = struct.Struct(">ii")
# Number, error, offset, append time, start of the log.
_PLACED = struct.Struct(">ihqqq")


class Placed(NamedTuple):
    """
    Where a batch landed.

    *offset* is that of its first record, negative where the broker only knows that it has it; *appended_at* is
    negative where the topic keeps the sender's time.
    """

    offset: int
    appended_at: int


class Batch:
    """
    Consecutive records of one partition.

    Args:
        most_bytes: What it may weigh; the first record always fits.
    """

    def __init__(self, most_bytes: int) -> None:
        self.records = 0
        self._builder = DefaultRecordBatchBuilder(_MAGIC, 0, 0, -1, -1, 0, most_bytes)

    def append(self, key: bytes | None, value: bytes | None, headers: Sequence[Header] = ()) -> bool:
        """Add a record; false if it does not fit any more."""
        if self._builder.append(self.records, None, key, value, list(headers)) is None:
            return False
        self.records += 1
        return True

    @property
    def weight(self) -> int:
        """What it weighs, in bytes."""
        return int(self._builder.size())

    def build(self, producer: tuple[int, int], sequence: int) -> bytes:
        """Return its bytes, as sent by *producer* (id and epoch) with this *sequence* of its first record."""
        self._builder.set_producer_state(*producer, sequence if sequence < 0 else sequence & _LAST_SEQUENCE)
        return bytes(self._builder.build())


@dataclass(slots=True, eq=False)
class _Posted:
    """A batch on its way; *data* once it has been built, for it is sent again as it was."""

    partition: Partition
    batch: Batch
    since: float
    answer: "asyncio.Future[Placed]"
    data: bytes | None = None


class Producer:
    """
    One sender.

    Args:
        connection: Leads to the brokers; it stays open when the producer stops.
        lane: Names the connection to each broker, which nobody else waits on.
        idempotent: The broker drops what it has, and refuses what skips something: order holds. Such a producer
            is spent after an error, and it never gives up by itself. It counts from anywhere, for its id is easily
            guessed: whoever may write there too could use the id and a number before it does, and what it sends
            would pass for a repeat of that.
        timeout_ms: For how long a broker may take, and in all, for one that is not idempotent.
    """

    def __init__(self, connection: Connection, lane: str, *, idempotent: bool, timeout_ms: int) -> None:
        self._connection = connection
        self._lane = lane
        self._idempotent = idempotent
        self._timeout_ms = timeout_ms
        self._identity = (-1, -1)
        self._sequences: dict[Partition, int] = defaultdict(lambda: secrets.randbelow(_LAST_SEQUENCE + 1))
        self._queues: dict[Partition, deque[_Posted]] = defaultdict(deque)
        self._waiting: dict[Partition, None] = {}
        self._busy: set[Partition] = set()
        self._engaged: set[int] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._woken = False
        self._closed = False

    async def start(self) -> None:
        """
        Get an id, if one is needed.

        Raises:
            RetryableError: Nobody gave one.
            KafkaError: The broker refused.
        """
        if not self._idempotent:
            return
        deadline = time.monotonic() + self._timeout_ms / 1000
        while True:
            answer = await self._connection.anybody(InitProducerIdRequest(None, _NO_TRANSACTION_MS))
            if not answer.error_code:
                self._identity = (answer.producer_id, answer.producer_epoch)
                return
            error = kafka_errors.for_code(answer.error_code)
            if not error.retriable or time.monotonic() > deadline:
                raise error
            await asyncio.sleep(_BACKOFF_S)

    def post(self, partition: Partition, batch: Batch) -> "asyncio.Future[Placed]":
        """Send *batch* behind what was posted for *partition* before; the answer says where it landed."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Placed] = loop.create_future()
        answer.add_done_callback(take_notice)
        if self._closed:
            answer.set_exception(kafka_errors.ProducerClosed())
            return answer
        self._queues[partition].append(_Posted(partition, batch, time.monotonic(), answer))
        if partition not in self._busy:
            self._waiting[partition] = None
        self._wake()
        return answer

    async def stop(self) -> None:
        """Wait for what is on its way."""
        open_answers = [posted.answer for queue in self._queues.values() for posted in queue]
        try:
            if open_answers:
                await asyncio.wait(open_answers)
        finally:
            self.abort()

    def abort(self) -> None:
        """Give up: whatever has no answer gets none."""
        self._closed = True
        for task in self._sending:
            task.cancel()
        for queue in self._queues.values():
            for posted in queue:
                if not posted.answer.done():
                    posted.answer.set_exception(kafka_errors.ProducerClosed())
            queue.clear()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._send_ready)

    def _send_ready(self) -> None:
        self._woken = False
        if self._closed:
            return
        ready = [at for at in self._waiting if self._queues[at]]
        if not ready:
            self._waiting.clear()
            return
        leaders = self._connection.leaders.known(ready)
        if leaders is None:
            for partition in ready:
                self._begin([self._queues[partition][0]], None)
            return
        for node, partitions in leaders.items():
            if node not in self._engaged:
                self._begin(_together(self._queues[partition][0] for partition in partitions), node)

    def _begin(self, batches: Sequence[_Posted], node: int | None) -> None:
        for posted in batches:
            self._busy.add(posted.partition)
            self._waiting.pop(posted.partition, None)
        if node is not None:
            self._engaged.add(node)
        task = asyncio.create_task(self._deliver(batches, node), name=self._lane)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver(self, batches: Sequence[_Posted], node: int | None) -> None:
        """Send once to *node*; what may yet succeed stays first in its queue."""
        again = False
        try:
            for posted in batches:
                if posted.data is None:
                    sequence = self._sequences[posted.partition] if self._idempotent else -1
                    posted.data = posted.batch.build(self._identity, sequence)
                    self._sequences[posted.partition] += posted.batch.records
            outcomes = await self._asked(batches, node)
            for posted in batches:
                outcome = outcomes.get(posted.partition, kafka_errors.UnknownError())
                again = self._settle(posted, outcome) or again
        except Exception as error:  # noqa: BLE001  # it is each caller's
            for posted in batches:
                self._refuse(posted, error)
        if node is not None:
            self._engaged.discard(node)
        if again:
            self._wake()  # the others need not wait
            await asyncio.sleep(_BACKOFF_S)
        for posted in batches:
            self._busy.discard(posted.partition)
            if self._queues[posted.partition]:
                self._waiting[posted.partition] = None
        self._wake()

    async def _asked(self, batches: Sequence[_Posted], node: int | None) -> "_Outcomes":
        try:
            if node is None:
                (node,) = await self._connection.leaders.by_leader([posted.partition for posted in batches])
            request = Request(_API, _VERSION, self._body(batches), self._read, self._timeout_ms / 1000)
            return await self._connection.ask(node, request, self._lane)
        except kafka_errors.KafkaError as error:
            return {posted.partition: error for posted in batches}

    def _settle(self, posted: _Posted, outcome: Placed | kafka_errors.KafkaError) -> bool:
        """Answer whoever posted it; true if it is to be sent again."""
        if isinstance(outcome, Placed):
            self._queues[posted.partition].popleft()
            if not posted.answer.done():
                posted.answer.set_result(outcome)
            return False
        expired = not self._idempotent and time.monotonic() - posted.since > self._timeout_ms / 1000
        if outcome.retriable and not expired:
            self._connection.leaders.forget([posted.partition.topic])
            return True
        self._refuse(posted, outcome)
        return False

    def _refuse(self, posted: _Posted, error: Exception) -> None:
        queue = self._queues[posted.partition]
        if not posted.answer.done():
            posted.answer.set_exception(error)
        if queue and queue[0] is posted:
            queue.popleft()
        if self._idempotent:
            # What stands behind it would leave a gap in the sequence, which the broker refuses as well.
            for behind in queue:
                if not behind.answer.done():
                    behind.answer.set_exception(kafka_errors.OutOfOrderSequenceNumber())
            queue.clear()

    def _body(self, batches: Sequence[_Posted]) -> bytes:
        topics: dict[str, list[_Posted]] = defaultdict(list)
        for posted in batches:
            topics[posted.partition.topic].append(posted)
        parts = [_REQUEST.pack(-1, _ALL_REPLICAS, self._timeout_ms, len(topics))]
        for topic, group in topics.items():
            name = self._connection.wire(topic).encode()
            parts += (_LENGTH.pack(len(name)), name, _COUNT.pack(len(group)))
            for posted in group:
                data = posted.data or b""
                parts += (_BATCH.pack(posted.partition.partition, len(data)), data)
        return b"".join(parts)

    def _read(self, data: memoryview) -> dict[Partition, Placed | kafka_errors.KafkaError]:
        found: dict[Partition, Placed | kafka_errors.KafkaError] = {}
        (topics,) = _COUNT.unpack_from(data)
        at = _COUNT.size
        for _ in range(topics):
            (length,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            topic = self._connection.logical(str(data[at : at + length], "utf-8"))
            (count,) = _COUNT.unpack_from(data, at + length)
            at += length + _COUNT.size
            for _ in range(count):
                number, code, offset, appended_at, _ = _PLACED.unpack_from(data, at)
                at += _PLACED.size
                place = Partition(topic, number)
                # "You sent this before, I forgot where it lies": it is in the log, at an offset nobody knows.
                known = not code or code == _DUPLICATE_SEQUENCE
                found[place] = Placed(offset, appended_at) if known else kafka_errors.for_code(code)(topic)
        return found


def _together(batches: Iterable[_Posted]) -> list[_Posted]:
    """Return as many as one request takes; the others keep their place, and go first with the next."""
    taken: list[_Posted] = []
    room = _REQUEST_BYTES
    for posted in batches:
        room -= posted.batch.weight
        if taken and room < 0:
            break
        taken.append(posted)
    return taken


_Outcomes = Mapping[Partition, Placed | kafka_errors.KafkaError]
