"""
The log, as the rest of Seamwork sees it: one port, several implementations, one conformance suite.

Topics are named without the platform's prefix. Positions are *next offsets*: the offset of the record that will be
read next. Implementations: ``seamwork.bus.kafka`` (aiokafka) and ``seamwork.testing.simlog`` (simulated);
``seamwork.bus.sharing`` goes before either, for the services of one process.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from seamwork.errors import MisconfiguredError, SeamworkError
from seamwork.records.wire import Outgoing, RawRecord


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int

    @property
    def name(self) -> str:
        """``topic/partition``: how journals and people name it."""
        return f"{self.topic}/{self.partition}"

    @classmethod
    def named(cls, name: str) -> "Partition":
        """
        Return the partition with this name.

        Raises:
            SeamworkError: It names none.
        """
        topic, _, number = name.rpartition("/")
        if not topic or not number.isdecimal():
            raise SeamworkError(f"{name!r} names no partition; that would be topic/number")
        return cls(topic, int(number))


class LogGapError(SeamworkError):
    """
    The log starts after the position asked for: records were trimmed unread.

    It is never skipped over; the process stops and an operator decides.
    """


class UnknownTopicError(MisconfiguredError):
    """There is no such topic, or no such partition of it; nothing is created by asking."""


class NotAuthorisedError(MisconfiguredError):
    """The principal may not do this here; its rights follow from the topic files."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an append landed and when (LogAppendTime, ms)."""

    offset: int
    appended_at: int


@dataclass(frozen=True, slots=True)
class Confirmed:
    """
    An output is in the log: where, and since when.

    Two are the same if their offsets are; *partition* and *appended_at* are negative where they are not known.
    """

    offset: int
    partition: int = field(default=-1, compare=False)
    appended_at: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An output can never be published: *error* says ``unknown-topic``, ``not-authorised`` or ``too-large``."""

    error: str


Confirmation = Confirmed | Rejected
Assigned = Callable[[frozenset[int]], Awaitable[None]]
Revoked = Callable[[frozenset[int]], Awaitable[None]]


class Membership(Protocol):
    """A place in a consumer group that hands out partitions of the lead topic."""

    async def stop(self) -> None:
        """Leave the group; the partitions go to somebody else."""

    def note_position(self, partition: Partition, position: int) -> None:
        """
        Remember *position* for the group's offsets, which are committed lazily, about once a second.

        Only partitions of the lead topic that are owned count; others are passed over.
        """

    async def wait(self) -> None:
        """
        Wait for as long as the place is held; returns after ``stop``.

        Whoever owns a membership awaits this beside its work: the client would go on as if nothing had happened.

        Raises:
            SeamworkError: What poisoned the membership; the process must end.
        """


class Reader(Protocol):
    """A cursor over partitions that no group hands out (``assign``)."""

    async def fetch(
        self, positions: Mapping[Partition, int], *, max_records: int, max_wait_ms: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        """
        Return what lies at *positions*, in offset order per partition; nothing is skipped.

        Waits up to *max_wait_ms* when there is nothing. The positions may change freely from call to call.

        Raises:
            LogGapError: When a partition's first offset is past the position asked for, or its end before it.
            RetryableError: When the broker cannot be reached for longer than the client's own patience.
            UnknownTopicError: There is no such topic.
            NotAuthorisedError: The principal may not read it.
        """

    async def stop(self) -> None:
        """Give the connection back."""


class Log(Protocol):
    """
    The log of one platform, as one principal sees it.

    Attributes:
        session_s: After so much silence a member of a group is held for dead, and others get what it owned.
    """

    @property
    def session_s(self) -> float: ...  # noqa: D102  # said above

    async def own(self, group: str, lead: str, assigned: Assigned, revoked: Revoked) -> Membership:
        """
        Join *group* on the topic *lead*.

        *assigned* is called with the partitions now owned, *revoked* with those lost, before anyone else may have
        them where the broker allows. The two never overlap. A rebalance takes away all partitions first, also those
        that come straight back. An error in either poisons the membership: ``Membership.wait`` raises it.
        """

    async def committed(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """
        Return the positions that *group* committed (``note_position``); a partition without one is left out.

        For those who have no journal: the contract validator and agents. May be asked from within *assigned*.

        Raises:
            RetryableError: Nobody can say just now; that is not the same as none.
            NotAuthorisedError: The principal may not read the group's positions.
        """

    async def reader(self) -> Reader:
        """Open a cursor."""

    async def read(
        self, partition: Partition, start: int, end: int, *, most_bytes: int | None = None
    ) -> Sequence[RawRecord]:
        """
        Return the records with ``start <= offset < end``, all that exist.

        With *most_bytes* they end with the one whose body reaches it, or, where many came at once, soon after: who
        has room for no more asks again behind the last of them.

        Raises:
            LogGapError: When the partition starts after *start*, or ends before it.
            UnknownTopicError: There is no such topic.
        """

    async def append(self, partition: Partition, value: bytes, key: bytes | None = None) -> Appended:
        """
        Append one record with ``acks=all`` and wait.

        Raises:
            OutcomeUnknownError: It may or may not be in the log; append the same bytes again or stop.
            UnprocessableError: The record is larger than the topic takes; nothing was sent.
            UnknownTopicError: There is no such topic.
            NotAuthorisedError: The principal may not write it.
        """

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[Confirmation]:
        """
        Publish a batch; the answers stand in its order, and within a partition the records do too.

        Raises:
            OutcomeUnknownError: Some may be missing; publish the same batch again.
        """

    async def start_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the first offset that each partition still has."""

    async def end_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the next offset of each partition."""

    async def partitions_of(self, topic: str) -> int | None:
        """Return how many partitions *topic* has, or None where there is no such topic."""

    async def trim(self, partition: Partition, before: int) -> None:
        """
        Delete the records before *before* (``delete_records``); what starts there already is left as it is.

        Raises:
            UnprocessableError: The partition ends before that; nothing was deleted.
        """

    async def stop(self) -> None:
        """Flush and close everything."""
