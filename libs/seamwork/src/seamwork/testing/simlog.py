"""
The log port in memory: deterministic, in one thread, with faults on demand.

A ``SimBroker`` holds topics and groups; each ``SimLog`` is one process's view of it. Every call of the port first
awaits ``broker.step(name)``, where a scheduler can let other tasks go first; left alone it does not wait. Time is
the broker's clock, so records carry its append times.

What a fault does to the next fitting append or publish:

- ``CRASH_BEFORE``, ``CRASH_AFTER``: raise ``SimCrash``, the record not written or written;
- ``LOST_WRITE``, ``LOST_ACK``: the outcome is unknown, the record not written or written;
- ``LATE``: the outcome is unknown, and ``broker.deliver_late()`` writes the record, behind whatever came since;
- ``TWICE``: written two times, the second acknowledged, as a retry does it;
- ``STALL``: held until ``broker.release()``, then done as usual: a paused process, a zombie.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Self

from seamwork.bus.limits import is_compacted, limit_of, record_bytes
from seamwork.bus.port import (
    Appended,
    Assigned,
    Confirmation,
    Confirmed,
    LogGapError,
    NotAuthorisedError,
    Partition,
    Rejected,
    Revoked,
    UnknownTopicError,
)
from seamwork.clock import Clock
from seamwork.errors import OutcomeUnknownError, SeamworkError, UnprocessableError
from seamwork.records.partition import partition_of
from seamwork.records.wire import Header, Outgoing, RawRecord
from seamwork.testing.clock import SettableClock


class SimCrash(BaseException):
    """The simulated process dies here; nothing may catch it but the simulator."""


class Fault(Enum):
    """What happens to an append or publish; see the module."""

    CRASH_BEFORE = auto()
    CRASH_AFTER = auto()
    LOST_WRITE = auto()
    LOST_ACK = auto()
    LATE = auto()
    TWICE = auto()
    STALL = auto()


async def _at_once(_: str) -> None:
    """Go on: there is no scheduler."""


@dataclass(slots=True)
class _SimPartition:
    records: list[RawRecord] = field(default_factory=list)
    start: int = 0
    end: int = 0


@dataclass(slots=True)
class _SimGroup:
    members: list["SimMembership"] = field(default_factory=list)
    committed: dict[Partition, int] = field(default_factory=dict)


class SimBroker:
    """
    What all simulated processes share.

    Args:
        clock: Gives append times; a ``SettableClock`` unless given.
        step: Awaited with the name of every call before it is done (``append journal.router.v1/0``); a scheduler
            resolves it when it is that call's turn.
        balances: Split a topic among a group's members whenever one comes or goes. With false only ``assign`` does.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        step: Callable[[str], Awaitable[None]] = _at_once,
        balances: bool = True,
    ) -> None:
        self.clock = SettableClock() if clock is None else clock
        self.step = step
        self.scheduled = step is not _at_once
        self._balances = balances
        self._topics: dict[str, list[_SimPartition]] = {}
        self._limits: dict[str, int] = {}
        self._denied: set[str] = set()
        self._groups: dict[str, _SimGroup] = {}
        self._faults: list[tuple[Fault, str]] = []
        self._late: list[tuple[Partition, bytes | None, bytes | None, tuple[Header, ...]]] = []
        self._released = asyncio.Event()
        self._news = asyncio.Event()

    # What a registrar and an operator would do

    def create_topic(self, topic: str, partitions: int = 1, *, max_bytes: int | None = None) -> None:
        """Make a topic."""
        if topic in self._topics:
            raise UnprocessableError(f"there is a topic {topic} already")
        self._topics[topic] = [_SimPartition() for _ in range(partitions)]
        self._limits[topic] = limit_of(topic) if max_bytes is None else max_bytes

    def deny(self, topic: str) -> None:
        """Take everybody's rights to a topic away."""
        self._denied.add(topic)

    def records(self, partition: Partition) -> tuple[RawRecord, ...]:
        """Return what a partition holds."""
        return tuple(self._partition(partition).records)

    def compact(self, partition: Partition) -> None:
        """Keep the last record of every key, as a broker may at any time."""
        held = self._partition(partition)
        last = {record.key: record.offset for record in held.records}
        held.records = [record for record in held.records if last[record.key] == record.offset]

    # Faults

    def inject(self, fault: Fault, topic: str) -> None:
        """Let *fault* happen to the next append or publish to *topic*; several wait in line."""
        self._faults.append((fault, topic))

    def deliver_late(self) -> int:
        """Write what is late and return how many records it was."""
        late, self._late = self._late, []
        for partition, key, value, headers in late:
            self.write(partition, key, value, headers)
        return len(late)

    def release(self) -> None:
        """Let everything go on that stalls."""
        self._released.set()
        self._released = asyncio.Event()

    async def assign(self, group: str, shares: Mapping["SimMembership", frozenset[int]]) -> None:
        """Hand out a group's partitions anew: first everybody loses theirs, then each member gets its share."""
        members = self._groups[group].members
        for member in members:
            await member.lose()
        for member in members:
            await member.gain(shares.get(member, frozenset()))

    async def expel(self, membership: "SimMembership") -> None:
        """Hold a member for dead, without its knowledge: it becomes a zombie, its partitions go to the others."""
        members = self._groups[membership.group].members
        members.remove(membership)
        await self.rebalance(membership.group, membership.lead)

    # What views call

    async def rebalance(self, group: str, lead: str) -> None:
        """Split the lead topic by ranges among the group's members."""
        members = self._groups[group].members
        if not (self._balances and members):
            return
        count = len(self._partitions(lead))
        shares: dict[SimMembership, frozenset[int]] = {}
        at = 0
        for number, member in enumerate(members):
            size = count // len(members) + (number < count % len(members))
            shares[member] = frozenset(range(at, at + size))
            at += size
        await self.assign(group, shares)

    def group(self, name: str) -> _SimGroup:
        """Return a group, made by its first use."""
        return self._groups.setdefault(name, _SimGroup())

    def fault(self, topic: str) -> Fault | None:
        """Take the next fault of a topic out of the line."""
        for index, (fault, where) in enumerate(self._faults):
            if where == topic:
                del self._faults[index]
                return fault
        return None

    async def stalled(self) -> None:
        """Wait for ``release``."""
        await self._released.wait()

    def delay(
        self, partition: Partition, key: bytes | None, value: bytes | None, headers: tuple[Header, ...]
    ) -> None:
        """Keep a record for ``deliver_late``."""
        self._late.append((partition, key, value, headers))

    def write(
        self, partition: Partition, key: bytes | None, value: bytes | None, headers: tuple[Header, ...] = ()
    ) -> RawRecord:
        """Put a record at the end of its partition."""
        held = self._partition(partition)
        topic, number = partition
        record = RawRecord(topic, number, held.end, self.clock.now_ms(), key, value, headers)
        held.records.append(record)
        held.end += 1
        self._news.set()
        self._news = asyncio.Event()
        return record

    async def news(self, patience_s: float) -> None:
        """Wait until something is written, or for *patience_s*."""
        try:
            async with asyncio.timeout(patience_s):
                await self._news.wait()
        except TimeoutError:
            return

    def look(self, partition: Partition, position: int, count: int) -> list[RawRecord]:
        """Return up to *count* records from *position* on."""
        held = self._partition(partition)
        if position == held.end:
            return []
        if position < held.start:
            raise LogGapError(
                f"topic {partition.topic}, partition {partition.partition} starts at {held.start}, after {position}"
            )
        if position > held.end:
            raise LogGapError(
                f"topic {partition.topic}, partition {partition.partition} ends at {held.end}, before {position}"
            )
        if is_compacted(partition.topic):
            return [record for record in held.records if record.offset >= position][:count]
        at = position - held.start
        return held.records[at : at + count]

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """Return a partition's first offset and its next."""
        held = self._partition(partition)
        return held.start, held.end

    def cut(self, partition: Partition, before: int) -> None:
        """Remove what lies before *before*."""
        held = self._partition(partition)
        if before > held.end:
            raise UnprocessableError(
                f"topic {partition.topic}, partition {partition.partition} ends before {before}; "
                "nothing was deleted"
            )
        held.start = max(held.start, before)
        held.records = [record for record in held.records if record.offset >= held.start]

    def count(self, topic: str) -> int | None:
        """Return how many partitions a topic has."""
        return len(self._topics[topic]) if topic in self._topics else None

    def refusal(self, outgoing: Outgoing) -> Rejected | None:
        """Say why a record can never be published."""
        count = self.count(outgoing.topic)
        if count is None or (outgoing.partition is not None and outgoing.partition >= count):
            return Rejected("unknown-topic")
        if outgoing.topic in self._denied:
            return Rejected("not-authorised")
        if record_bytes(outgoing.key, outgoing.value, outgoing.headers) > self._limits[outgoing.topic]:
            return Rejected("too-large")
        return None

    def _partitions(self, topic: str) -> list[_SimPartition]:
        if topic not in self._topics:
            raise UnknownTopicError(f"there is no topic {topic}; make it with create_topic")
        if topic in self._denied:
            raise NotAuthorisedError(f"nobody may use topic {topic}")
        return self._topics[topic]

    def _partition(self, partition: Partition) -> _SimPartition:
        held = self._partitions(partition.topic)
        if partition.partition >= len(held):
            raise UnknownTopicError(f"topic {partition.topic} has no partition {partition.partition}")
        return held[partition.partition]


class SimMembership:
    """A place in a simulated group; see the port."""

    def __init__(
        self, broker: SimBroker, group: str, lead: str, assigned: Assigned, revoked: Revoked
    ) -> None:
        self.group = group
        self.lead = lead
        self.owned: frozenset[int] = frozenset()
        self._broker = broker
        self._assigned = assigned
        self._revoked = revoked
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._end.add_done_callback(lambda end: end.cancelled() or end.exception())

    async def stop(self) -> None:
        """Hand back what is owned and leave."""
        members = self._broker.group(self.group).members
        await self.lose()
        if self in members:
            members.remove(self)
            await self._broker.rebalance(self.group, self.lead)
        if not self._end.done():
            self._end.set_result(None)

    def note_position(self, partition: Partition, position: int) -> None:
        """Commit *position*."""
        if partition.topic == self.lead and partition.partition in self.owned:
            self._broker.group(self.group).committed[partition] = position

    async def wait(self) -> None:
        """Wait for as long as the place is held; see the port."""
        await asyncio.shield(self._end)

    async def gain(self, share: frozenset[int]) -> None:
        """Take over; called by the broker."""
        self.owned = share
        await self._call(self._assigned, share)

    async def lose(self) -> None:
        """Give back what is owned; called by the broker."""
        if self.owned:
            await self._call(self._revoked, self.owned)  # may note its last positions
        self.owned = frozenset()

    async def _call(self, callback: Assigned | Revoked, partitions: frozenset[int]) -> None:
        if self._end.done():
            return
        try:
            await callback(partitions)
        except SeamworkError as error:
            self._end.set_exception(error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the place is lost
            wrapped = SeamworkError(f"a callback of group {self.group} failed with {type(error).__name__}")
            wrapped.__cause__ = error
            self._end.set_exception(wrapped)


class SimReader:
    """A cursor; see the port. It gives each partition its turn to be first."""

    def __init__(self, broker: SimBroker) -> None:
        self._broker = broker
        self._turn = 0

    async def fetch(
        self, positions: Mapping[Partition, int], *, max_records: int, max_wait_ms: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        """Return what lies at *positions*; under a scheduler it never waits, its turns are the waiting."""
        await self._broker.step("fetch")
        found = self._look(positions, max_records)
        if not found and positions and max_wait_ms and not self._broker.scheduled:
            await self._broker.news(max_wait_ms / 1000)
            found = self._look(positions, max_records)
        return found

    async def stop(self) -> None:
        """Nothing to give back."""

    def _look(self, positions: Mapping[Partition, int], room: int) -> dict[Partition, Sequence[RawRecord]]:
        self._turn += 1
        order = sorted(positions)
        turn = self._turn % max(1, len(order))
        found: dict[Partition, Sequence[RawRecord]] = {}
        for partition in (*order[turn:], *order[:turn]):
            records = self._broker.look(partition, positions[partition], room)
            if records:
                found[partition] = records
                room -= len(records)
        return found


def up_to(records: list[RawRecord], most_bytes: int | None) -> list[RawRecord]:
    """Return *records* up to the one whose body reaches *most_bytes*."""
    held = 0
    for number, record in enumerate(records, 1):
        held += len(record.value or b"")
        if most_bytes is not None and held >= most_bytes:
            return records[:number]
    return records


class SimLog:
    """One process's view of the simulated broker; see the port."""

    session_s = 10.0

    def __init__(self, broker: SimBroker) -> None:
        self.broker = broker

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def own(self, group: str, lead: str, assigned: Assigned, revoked: Revoked) -> SimMembership:
        """Join *group* on the topic *lead*; see the port."""
        await self.broker.step(f"own {lead}")
        if self.broker.count(lead) is None:
            raise UnknownTopicError(f"there is no topic {lead}")
        membership = SimMembership(self.broker, group, lead, assigned, revoked)
        self.broker.group(group).members.append(membership)
        await self.broker.rebalance(group, lead)
        return membership

    async def reader(self) -> SimReader:
        """Open a cursor."""
        return SimReader(self.broker)

    async def read(
        self, partition: Partition, start: int, end: int, *, most_bytes: int | None = None
    ) -> Sequence[RawRecord]:
        """Return the records with ``start <= offset < end``; see the port."""
        await self.broker.step(f"read {partition.topic}/{partition.partition}")
        found = self.broker.look(partition, start, max(0, end - start)) if end > start else []
        return up_to([record for record in found if record.offset < end], most_bytes)

    async def append(self, partition: Partition, value: bytes, key: bytes | None = None) -> Appended:
        """Append one record; see the port."""
        place = f"{partition.topic}/{partition.partition}"
        await self.broker.step(f"append {place}")
        outgoing = Outgoing(partition.topic, key or b"", value, partition=partition.partition)
        match self.broker.refusal(outgoing):
            case Rejected(error="unknown-topic"):
                raise UnknownTopicError(f"there is no {place}")
            case Rejected(error="not-authorised"):
                raise NotAuthorisedError(f"nobody may write {place}")
            case Rejected(error="too-large"):
                raise UnprocessableError(f"the record is too large for {place}; nothing was sent")
        record = await self._write(partition, key, value, ())
        return Appended(record.offset, record.appended_at)

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[Confirmation]:
        """Publish a batch; see the port."""
        await self.broker.step("publish")
        answers: list[Confirmation] = []
        for outgoing in batch:
            refusal = self.broker.refusal(outgoing)
            if refusal is not None:
                answers.append(refusal)
                continue
            number = outgoing.partition
            if number is None:
                number = partition_of(outgoing.key, self.broker.count(outgoing.topic) or 1)
            record = await self._write(
                Partition(outgoing.topic, number), outgoing.key, outgoing.value, outgoing.headers
            )
            answers.append(Confirmed(record.offset, record.partition, record.appended_at))
        return answers

    async def start_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the first offset that each partition still has."""
        await self.broker.step("start-offsets")
        return {partition: self.broker.bounds(partition)[0] for partition in partitions}

    async def end_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the next offset of each partition."""
        await self.broker.step("end-offsets")
        return {partition: self.broker.bounds(partition)[1] for partition in partitions}

    async def committed(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the positions that *group* has noted."""
        await self.broker.step("committed")
        noted = self.broker.group(group).committed
        return {partition: noted[partition] for partition in partitions if partition in noted}

    async def partitions_of(self, topic: str) -> int | None:
        """Return how many partitions *topic* has, or None."""
        await self.broker.step("partitions-of")
        return self.broker.count(topic)

    async def trim(self, partition: Partition, before: int) -> None:
        """Delete the records before *before*."""
        await self.broker.step(f"trim {partition.topic}/{partition.partition}")
        self.broker.cut(partition, before)

    async def _write(
        self, partition: Partition, key: bytes | None, value: bytes | None, headers: tuple[Header, ...]
    ) -> RawRecord:
        broker = self.broker
        fault = broker.fault(partition.topic)
        match fault:
            case Fault.CRASH_BEFORE:
                raise SimCrash
            case Fault.LOST_WRITE:
                raise _unknown(partition)
            case Fault.LATE:
                broker.delay(partition, key, value, headers)
                raise _unknown(partition)
            case Fault.STALL:
                await broker.stalled()
            case Fault.TWICE:
                broker.write(partition, key, value, headers)
        record = broker.write(partition, key, value, headers)
        if fault is Fault.CRASH_AFTER:
            raise SimCrash
        if fault is Fault.LOST_ACK:
            raise _unknown(partition)
        return record


def _unknown(partition: Partition) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"topic {partition.topic}, partition {partition.partition}: the append was not answered; send it again"
    )
