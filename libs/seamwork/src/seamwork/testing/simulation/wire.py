"""The log port of one simulated process: everything it asks goes over the network of the ``Cluster``."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NoReturn, Self, TypeVar

from seamwork.bus.port import (
    Appended,
    Assigned,
    Confirmation,
    Confirmed,
    NotAuthorisedError,
    Partition,
    Rejected,
    Revoked,
    UnknownTopicError,
)
from seamwork.errors import OutcomeUnknownError, RetryableError, SeamworkError, UnprocessableError
from seamwork.records.partition import partition_of
from seamwork.records.wire import Header, Outgoing, RawRecord
from seamwork.testing.simlog import SimCrash, up_to
from seamwork.testing.simulation.cluster import Cluster, Poll
from seamwork.testing.simulation.groups import SESSION_S, Seat
from seamwork.testing.simulation.plan import OpFault
from seamwork.testing.simulation.process import Process

T = TypeVar("T")
Part = tuple[bytes | None, bytes | None, tuple[Header, ...]]
Parts = Mapping[Partition, Sequence[Part]]

SECOND_TRY_S = 0.4
_DOCUMENTS = {"contracts.v1", "registry.v1", "policies.v1"}
_UNANSWERED = ("lost-ack", "lost-write", "late")


class Wire:
    """
    The log as one process sees it; see the port.

    Args:
        cluster: The broker.
        process: Whose view it is.
    """

    session_s = SESSION_S

    def __init__(self, cluster: Cluster, process: Process) -> None:
        self.cluster = cluster
        self.process = process

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to close."""

    # ── Asking ───────────────────────────────────────────────────────────────────────────

    async def ask(self, act: Callable[[], T], *, late: type[SeamworkError] = RetryableError) -> T:
        """Send a request, and return its answer."""
        self.process.require_alive()
        cluster = self.cluster
        future: asyncio.Future[T] = cluster.loop.create_future()

        def carry_out() -> None:
            try:
                answer = act()
            except SeamworkError as error:
                cluster.later(cluster.delay_s(), partial(_fail, future, error))
            else:
                cluster.later(cluster.delay_s(), lambda: _answer(future, answer))

        def give_up() -> None:
            _fail(future, late("the broker did not answer; try again"))

        cluster.later(cluster.delay_s(), lambda: cluster.arrive(carry_out, give_up))
        return await self.hear(future)

    async def hear(self, future: "asyncio.Future[T]") -> T:
        """Wait for an answer; a dead process hears none."""
        answer = await future
        self.process.require_alive()
        return answer

    # ── Groups ───────────────────────────────────────────────────────────────────────────

    async def own(self, group: str, lead: str, assigned: Assigned, revoked: Revoked) -> Seat:
        """Join *group* on the topic *lead*; see the port."""
        if await self.partitions_of(lead) is None:
            raise UnknownTopicError(f"there is no topic {lead}")
        seat = Seat(self.cluster.coordinator, self.process, group, lead, (assigned, revoked))
        self.process.seats.append(seat)
        await self.ask(lambda: self.cluster.coordinator.join(seat))
        return seat

    async def committed(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the positions that *group* has noted."""
        noted = self.cluster.coordinator.committed(group)
        return await self.ask(lambda: {at: noted[at] for at in partitions if at in noted})

    # ── Reading ──────────────────────────────────────────────────────────────────────────

    async def reader(self) -> "WireReader":
        """Open a cursor."""
        self.process.require_alive()
        return WireReader(self)

    async def read(
        self, partition: Partition, start: int, end: int, *, most_bytes: int | None = None
    ) -> Sequence[RawRecord]:
        """Return the records with ``start <= offset < end``; see the port."""

        def look() -> list[RawRecord]:
            found = self.cluster.look(partition, start, max(0, end - start)) if end > start else []
            return up_to([record for record in found if record.offset < end], most_bytes)

        return await self.ask(look)

    async def start_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the first offset that each partition still has."""
        return await self.ask(lambda: {at: self.cluster.bounds(at)[0] for at in partitions})

    async def end_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the next offset of each partition."""
        return await self.ask(lambda: {at: self.cluster.bounds(at)[1] for at in partitions})

    async def partitions_of(self, topic: str) -> int | None:
        """Return how many partitions *topic* has, or None."""
        return await self.ask(lambda: self.cluster.count(topic))

    async def trim(self, partition: Partition, before: int) -> None:
        """Delete the records before *before*."""
        await self.ask(lambda: self.cluster.cut(partition, before))

    # ── Writing ──────────────────────────────────────────────────────────────────────────

    async def append(self, partition: Partition, value: bytes, key: bytes | None = None) -> Appended:
        """Append one record; see the port."""
        place = f"{partition.topic}/{partition.partition}"
        match self.cluster.refusal(
            Outgoing(partition.topic, key or b"", value, partition=partition.partition)
        ):
            case Rejected(error="unknown-topic"):
                raise UnknownTopicError(f"there is no {place}")
            case Rejected(error="not-authorised"):
                raise NotAuthorisedError(f"nobody may write {place}")
            case Rejected(error="too-large"):
                raise UnprocessableError(f"the record is too large for {place}; nothing was sent")
        written = await self._send("append", {partition: [(key, value, ())]})
        (record,) = written[partition]
        return Appended(record.offset, record.appended_at)

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[Confirmation]:
        """Publish a batch; see the port."""
        answers: list[Confirmation | None] = []
        parts: dict[Partition, list[Part]] = {}
        places: list[Partition] = []
        for out in batch:
            refusal = self.cluster.refusal(out)
            answers.append(refusal)
            if refusal is not None:
                continue
            number = out.partition
            if number is None:
                number = partition_of(out.key, self.cluster.count(out.topic) or 1)
            at = Partition(out.topic, number)
            places.append(at)
            parts.setdefault(at, []).append((out.key, out.value, out.headers))
        if not parts:
            await self.ask(lambda: None)
            return [answer for answer in answers if answer is not None]
        written = {at: iter(records) for at, records in (await self._send("publish", parts)).items()}
        confirmed = (_confirmed(next(written[at])) for at in places)
        return [next(confirmed) if answer is None else answer for answer in answers]

    async def _send(self, call: str, parts: Parts) -> dict[Partition, list[RawRecord]]:
        """Write each partition's part as one; when all are written, the answer goes back."""
        process, cluster = self.process, self.cluster
        process.require_alive()
        pulse = {at.topic for at in parts} == {"heartbeats.v1"}
        fault = None if pulse else cluster.next_fault(process, call)
        effect = "" if fault is None else fault.effect
        if effect == "crash-before":
            self.crash()
        if effect == "pause-before" and fault is not None:
            # The bytes are in the hands of a process that stands still: it sends them when it wakes.
            cluster.stand_still(process, fault.seconds)
            await asyncio.sleep(0)
            process.require_alive()
        sending = _Sending(self, call, parts, fault)
        sending.go()
        if effect == "crash-sent":
            self.crash()
        if effect == "pause-sent" and fault is not None:
            # The bytes are away, and nobody is awake to hear what becomes of them.
            cluster.stand_still(process, fault.seconds)
        written = await self.hear(sending.answer)
        if effect == "crash-after":
            self.crash()
        return written

    def crash(self) -> NoReturn:
        """Let the process die here."""
        self.cluster.crash(self.process)
        raise SimCrash


class _Sending:
    """
    One append or publish on its way, and what becomes of it.

    Attributes:
        answer: The records by partition, once all are written and the word of it is back.
    """

    def __init__(self, wire: Wire, call: str, parts: Parts, fault: OpFault | None) -> None:
        self.answer: asyncio.Future[dict[Partition, list[RawRecord]]] = wire.cluster.loop.create_future()
        self._wire = wire
        self._call = call
        self._parts = parts
        self._effect = "" if fault is None else fault.effect
        self._late_s = fault.seconds if fault is not None and fault.effect == "late" else 0.0
        self._written: dict[Partition, list[RawRecord]] = {}
        # Of what is lost, every second part is: a batch may arrive in one partition and not in another.
        lost = self._effect == "lost-write"
        self._missing = {at for number, at in enumerate(parts) if lost and number % 2 == 0}

    def go(self) -> None:
        """Send every part, each with a delay of its own."""
        cluster = self._wire.cluster
        for at in self._parts:
            arrive = partial(cluster.arrive, partial(self._write, at), self._give_up)
            cluster.later(cluster.delay_s() + self._late_s, arrive)
        if self._effect in _UNANSWERED:
            cluster.counts.lost_acks += 1
            cluster.later(SECOND_TRY_S, self._give_up)

    def _write(self, at: Partition) -> None:
        cluster, process, records = self._wire.cluster, self._wire.process, self._parts[at]
        if at in self._missing:
            return
        if self._effect == "twice":
            cluster.counts.duplicates += len(records)
            for record in records:
                cluster.write(at, *record)
        self._written[at] = [cluster.write(at, *record) for record in records]
        if not process.alive or process.expelled:
            cluster.counts.zombie_writes += len(records)
        if len(self._written) == len(self._parts) and self._effect not in _UNANSWERED:
            cluster.later(cluster.delay_s(), partial(_answer, self.answer, self._written))

    def _give_up(self) -> None:
        _fail(self.answer, OutcomeUnknownError(f"the {self._call} was not answered; it may be in the log"))


class WireReader:
    """
    A cursor; see the port.

    What lies there comes in any portions that the port allows: of some partitions and not of others, a part now
    and the rest later.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def fetch(
        self, positions: Mapping[Partition, int], *, max_records: int, max_wait_ms: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        """Return what lies at *positions*, waiting for it at most *max_wait_ms*."""
        wire = self._wire
        wire.process.require_alive()
        fetch = _Fetch(wire.cluster, dict(positions), max_records, max_wait_ms)
        fetch.go()
        return await wire.hear(fetch.future)

    async def stop(self) -> None:
        """Nothing to give back."""


class _Fetch:
    """
    One request of a cursor on its way: it is answered at once, with what comes next, or empty-handed.

    Attributes:
        future: The answer.
    """

    __slots__ = ("_asked", "_cluster", "_poll", "_room", "_wait_ms", "future")

    def __init__(
        self, cluster: Cluster, asked: dict[Partition, int], max_records: int, max_wait_ms: int
    ) -> None:
        self.future: asyncio.Future[dict[Partition, Sequence[RawRecord]]] = cluster.loop.create_future()
        self._cluster = cluster
        self._asked = asked
        self._room = max_records
        self._wait_ms = max_wait_ms
        self._poll = Poll(self._try)

    def go(self) -> None:
        """Send it."""
        self._cluster.later(self._cluster.delay_s(), self._reach)

    def _reach(self) -> None:
        self._cluster.arrive(self._arrived, self._give_up)

    def _arrived(self) -> None:
        self._try()
        if not self._poll.done:
            self._cluster.later(self._wait_ms * _patience_of(self._asked) / 1000, self._timed_out)

    def _try(self) -> None:
        if self._poll.done:
            return
        try:
            found = self._look()
        except SeamworkError as error:
            _fail(self.future, error)
            self._poll.done = True
            return
        if found or not self._wait_ms:
            self._answer(found)
            return
        self._cluster.wait_for(self._asked, self._poll)

    def _answer(self, found: dict[Partition, Sequence[RawRecord]]) -> None:
        self._poll.done = True
        late_s = _late_s(self._cluster, self._asked)
        self._cluster.later(self._cluster.delay_s() + late_s, partial(_answer, self.future, found))

    def _timed_out(self) -> None:
        if not self._poll.done:
            self._answer({})

    def _give_up(self) -> None:
        self._poll.done = True
        _fail(self.future, RetryableError("the broker cannot be reached"))

    def _look(self) -> dict[Partition, Sequence[RawRecord]]:
        cluster, asked, room = self._cluster, self._asked, self._room
        order = sorted(asked)
        turn = cluster.dice.below(len(order)) if order else 0
        found: dict[Partition, Sequence[RawRecord]] = {}
        for partition in (*order[turn:], *order[:turn]):
            records = cluster.look(partition, asked[partition], room)
            if not records:
                continue
            if not cluster.calm and (luck := cluster.dice.random()) < 0.3:  # noqa: PLR2004
                if luck < 0.1 and found:  # noqa: PLR2004  # this one comes with the next answer
                    continue
                records = records[: cluster.dice.randint(1, len(records))]
            found[partition] = records
            room -= len(records)
        return found


def _patience_of(positions: Mapping[Partition, int]) -> int:
    """Say by how much an idle fetch is stretched: a record ends it anyway, and waking for nothing is what costs."""
    topics = {at.topic for at in positions}
    if topics <= _DOCUMENTS:
        return 40
    return 1 if topics == {"heartbeats.v1"} else 4


def _late_s(cluster: Cluster, positions: Mapping[Partition, int]) -> float:
    """Let documents reach some processes seconds after the others, so that their catalogs stand apart."""
    if cluster.calm or {at.topic for at in positions} - _DOCUMENTS:
        return 0.0
    return 4 * cluster.dice.random() if cluster.dice.random() < 0.5 else 0.0  # noqa: PLR2004


def _confirmed(record: RawRecord) -> Confirmed:
    return Confirmed(record.offset, record.partition, record.appended_at)


def _answer(future: "asyncio.Future[T]", answer: T) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: "asyncio.Future[T]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
