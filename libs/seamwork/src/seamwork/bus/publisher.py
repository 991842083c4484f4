"""
Publish outputs: a whole batch at once, in order within each partition, each record confirmed or refused.

The producer is idempotent, so that record n+1 cannot enter a partition before n. Such a producer has two flaws, and
each has its remedy here. After one error the broker refuses everything further from it in that partition, so it is
thrown away and what is open is sent by a new one. And it never gives up, so the waiting has a deadline.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from aiokafka import errors as kafka_errors

from seamwork.bus.connection import Connection
from seamwork.bus.limits import limit_of, record_bytes
from seamwork.bus.port import (
    Confirmation,
    Confirmed,
    NotAuthorisedError,
    Partition,
    Rejected,
    UnknownTopicError,
)
from seamwork.bus.producing import SLOWEST_BYTES_S, Batch, Placed, Producer
from seamwork.errors import OutcomeUnknownError, RetryableError
from seamwork.records.partition import partition_of
from seamwork.records.wire import Outgoing

UNKNOWN_TOPIC = Rejected("unknown-topic")
NOT_AUTHORISED = Rejected("not-authorised")
TOO_LARGE = Rejected("too-large")

_DEADLINE_S = 15.0  # for what is large, as long again as a slow link takes to carry it
_AT_ONCE = 4
"""So many callers' batches travel each for itself; what comes on top waits for a place and travels together."""
_TOGETHER = 500
_TOGETHER_BYTES = 8 * 1024 * 1024
"""What travels together is confirmed together or not at all, within one deadline; a slow broker takes so much."""
_REQUEST_TIMEOUT_MS = 5_000
# Below the smallest limit of a topic, which holds for a batch of records, not for one.
_BATCH_BYTES = 512 * 1024


@dataclass(slots=True, eq=False)
class _Lease:
    """A producer, and how many batches are using it; one that is *broken* is closed by the last of them."""

    producer: Producer
    users: int = 0
    broken: bool = False


@dataclass(slots=True, eq=False)
class _Parcel:
    """Consecutive records of one partition that travel, and succeed or fail, together."""

    partition: Partition
    indexes: list[int]
    records: Batch
    answer: "asyncio.Future[Placed] | None" = None


@dataclass(slots=True, eq=False)
class _Waiting:
    """A caller's batch that waits for a place; its caller may have given up meanwhile."""

    batch: Sequence[Outgoing]
    answer: "asyncio.Future[Sequence[Confirmation]]"

    @property
    def weight(self) -> int:
        """How many bytes it takes at most; in a decision, say, all of them are headers."""
        return sum(record_bytes(one.key, one.value, one.headers) for one in self.batch)

    def tell(self, answers: Sequence[Confirmation]) -> None:
        """Answer the caller."""
        if not self.answer.done():
            self.answer.set_result(answers)

    def fail(self, error: Exception) -> None:
        """Let the caller see the error."""
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(slots=True)
class _Round:
    """What is known about one batch: its answers so far, and what must be sent one by one."""

    batch: Sequence[Outgoing]
    answers: list[Confirmation | None]
    placed: dict[int, Partition] = field(default_factory=dict)
    singly: set[Partition] = field(default_factory=set)

    @property
    def open(self) -> list[int]:
        """Indexes without an answer, in order."""
        return [index for index, answer in enumerate(self.answers) if answer is None]

    def reject_topic(self, topic: str, answer: Rejected) -> None:
        """Refuse everything for *topic* that is not in the log yet."""
        for index in self.open:
            if self.batch[index].topic == topic:
                self.answers[index] = answer

    def reject_partition(self, partition: Partition, answer: Rejected) -> None:
        """Refuse everything for *partition* that is not in the log yet."""
        for index in self.open:
            if self.placed[index] == partition:
                self.answers[index] = answer


class Publisher:
    """
    Publishes batches; several may be on their way at the same time, each in its own order.

    The client has one batch of a partition on its way at a time, so a hundred callers with a record each would wait
    for a hundred round trips. Beyond a few, callers share one batch (group commit): they succeed or are unknown
    together, while a refusal stays its record's own.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lease: _Lease | None = None
        self._starting = asyncio.Lock()
        self._sending: set[asyncio.Task[None]] = set()
        self._closed = False
        self._travelling = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._waiting: deque[_Waiting] = deque()

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[Confirmation]:
        """Publish a batch; see the port."""
        if self._travelling >= _AT_ONCE:
            waiting = _Waiting(batch, asyncio.get_running_loop().create_future())
            self._waiting.append(waiting)
            return await waiting.answer
        self._travelling += 1
        self._idle.clear()
        try:
            return await self._publish(batch)
        finally:
            self._arrived()

    def _arrived(self) -> None:
        """Give the place that became free to those who wait, if anybody does."""
        if not self._waiting:
            self._leave()
            return
        task = asyncio.create_task(self._publish_together(), name="publish-together")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _leave(self) -> None:
        self._travelling -= 1
        if not self._travelling:
            self._idle.set()

    async def _publish_together(self) -> None:
        if not self._waiting:
            self._leave()  # whoever got a place a moment before took them all along
            return
        together = [self._waiting.popleft()]
        count, weight = len(together[0].batch), together[0].weight
        while self._waiting:
            count, weight = count + len(self._waiting[0].batch), weight + self._waiting[0].weight
            if count > _TOGETHER or weight > _TOGETHER_BYTES:
                break
            together.append(self._waiting.popleft())
        try:
            answers = iter(await self._publish([outgoing for one in together for outgoing in one.batch]))
            for one in together:
                one.tell(tuple(islice(answers, len(one.batch))))
        except Exception as error:  # noqa: BLE001  # it is each caller's, as if it had been alone
            for one in together:
                one.fail(error)
        finally:
            self._arrived()

    async def _publish(self, batch: Sequence[Outgoing]) -> Sequence[Confirmation]:
        state = _Round(batch, [None] * len(batch))
        try:
            async with asyncio.timeout(_DEADLINE_S) as deadline:
                if self._closed:
                    raise kafka_errors.ProducerClosed
                await self._place(state)
                while state.open:
                    await self._send_open(state, deadline)
        except (TimeoutError, RetryableError, kafka_errors.KafkaError) as error:
            topics = {batch[index].topic for index in state.open}
            self._connection.leaders.forget(topics)
            raise OutcomeUnknownError(
                f"{len(state.open)} of {len(batch)} outputs for {', '.join(sorted(topics))} were not confirmed "
                f"({type(error).__name__}); publish the same batch again"
            ) from error
        return [answer for answer in state.answers if answer is not None]

    async def stop(self) -> None:
        """Wait for what is on its way or waits for a place; when that is given up, nothing is sent any more."""
        try:
            await self._idle.wait()
        finally:
            self._closed = True
            if self._lease is not None:
                self._lease.producer.abort()
                self._lease = None

    async def _place(self, state: _Round) -> None:
        counts: dict[str, int | Rejected] = {}
        unknown: list[str] = []
        for topic in {outgoing.topic for outgoing in state.batch}:
            known = self._connection.leaders.count_of(topic)
            if known is None:
                unknown.append(topic)
            else:
                counts[topic] = known
        if unknown:
            await self._connection.leaders.learn(unknown)
            for topic in unknown:
                counts[topic] = await self._partitions(topic)
        for index, outgoing in enumerate(state.batch):
            count = counts[outgoing.topic]
            if isinstance(count, Rejected):
                state.answers[index] = count
            elif record_bytes(outgoing.key, outgoing.value, outgoing.headers) > limit_of(outgoing.topic):
                state.answers[index] = TOO_LARGE
            elif outgoing.partition is not None and outgoing.partition >= count:
                state.answers[index] = UNKNOWN_TOPIC
            else:
                number = outgoing.partition
                if number is None:
                    number = partition_of(outgoing.key, count)
                state.placed[index] = Partition(outgoing.topic, number)

    async def _partitions(self, topic: str) -> int | Rejected:
        try:
            leaders = await self._connection.patiently(lambda: self._connection.leaders.of(topic), {topic})
        except NotAuthorisedError:
            return NOT_AUTHORISED
        return UNKNOWN_TOPIC if leaders is None else len(leaders)

    async def _send_open(self, state: _Round, deadline: asyncio.Timeout) -> None:
        lease = await self._leased()
        sent: list[_Parcel] = []
        failed = True
        try:
            for line in _parcels(state).values():
                for parcel in line:
                    parcel.answer = lease.producer.post(parcel.partition, parcel.records)
                    sent.append(parcel)
            weight = sum(parcel.records.weight for parcel in sent)
            if weight > _BATCH_BYTES:
                allowed_s = _DEADLINE_S + weight / SLOWEST_BYTES_S
                deadline.reschedule(asyncio.get_running_loop().time() + allowed_s)
            await asyncio.wait([parcel.answer for parcel in sent if parcel.answer is not None])
            settled = [self._settled(state, parcel) for parcel in sent]
            failed = not all(settled)
        finally:
            lease.broken = lease.broken or failed
            self._give_back(lease)

    def _settled(self, state: _Round, parcel: _Parcel) -> bool:
        """Note the answer to a parcel; false if it means that the producer is spent."""
        assert parcel.answer is not None  # noqa: S101  # it was waited for
        error = parcel.answer.exception()
        if error is None:
            offset, appended_at = parcel.answer.result()
            if offset < 0:
                # "You sent this before, I forgot where it lies": it is in the log, at an offset nobody knows.
                raise kafka_errors.DuplicateSequenceNumber(parcel.partition.topic)
            for number, index in enumerate(parcel.indexes):
                state.answers[index] = Confirmed(offset + number, parcel.partition.partition, appended_at)
            return True
        match error:
            case UnknownTopicError():
                state.reject_partition(parcel.partition, UNKNOWN_TOPIC)  # an agent was removed a moment ago
            case kafka_errors.TopicAuthorizationFailedError() | NotAuthorisedError():
                state.reject_topic(parcel.partition.topic, NOT_AUTHORISED)
            case kafka_errors.MessageSizeTooLargeError() | kafka_errors.RecordListTooLargeError():
                if len(parcel.indexes) == 1:
                    state.answers[parcel.indexes[0]] = TOO_LARGE
                state.singly.add(parcel.partition)
            case kafka_errors.UnknownProducerId():
                raise self._connection.too_old("it lets no producer count from another number than 0")
            case kafka_errors.OutOfOrderSequenceNumber() | kafka_errors.InvalidProducerEpoch():
                pass  # it stands behind one that was refused, or somebody took its id; the next round sends it
            case _:
                raise error
        return False

    async def _leased(self) -> _Lease:
        async with self._starting:
            if self._lease is None or self._lease.broken:
                self._lease = _Lease(await self._new_producer())
            self._lease.users += 1
            return self._lease

    async def _new_producer(self) -> Producer:
        producer = Producer(self._connection, "publish", idempotent=True, timeout_ms=_REQUEST_TIMEOUT_MS)
        await producer.start()
        return producer

    def _give_back(self, lease: _Lease) -> None:
        lease.users -= 1
        if lease.broken:
            if self._lease is lease:
                self._lease = None
            if lease.users == 0:
                lease.producer.abort()


def _parcels(state: _Round) -> dict[Partition, list[_Parcel]]:
    lines: dict[Partition, list[_Parcel]] = defaultdict(list)
    for index in state.open:
        outgoing, partition = state.batch[index], state.placed[index]
        line = lines[partition]
        if not line or partition in state.singly or not _fits(line[-1], index, outgoing):
            parcel = _Parcel(partition, [], Batch(_BATCH_BYTES))
            line.append(parcel)
            _fits(parcel, index, outgoing)  # the first always does
    return lines


def _fits(parcel: _Parcel, index: int, outgoing: Outgoing) -> bool:
    if not parcel.records.append(outgoing.key, outgoing.value, outgoing.headers):
        return False
    parcel.indexes.append(index)
    return True
