"""
Take in the records of one owned partition: from what is fetched to what lies before the core.

Rule 1: a record is taken once and in its partition's order, however often it is fetched.
Rule 2: what waits here is bounded, by records and by bytes, in each topic by itself.
"""

import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec
import structlog

from seamwork.bus.port import Partition
from seamwork.catalog import Catalog
from seamwork.decider import WithCrossing
from seamwork.journal import Taken
from seamwork.records.wire import RawRecord, Received, read
from seamwork.runtime.batch import MOST_HELD_BYTES, Given
from seamwork.runtime.spec import MachineSpec, crossing_of
from seamwork.runtime.surroundings import Surroundings

_MOST_BUFFERED_BYTES = 2 * 1024 * 1024
"""Of records that wait in one partition's buffer; a fetch brings half of it."""

Feeds = Callable[[Catalog], Awaitable[Sequence[Partition]]]
"""Says which partitions a catalog asks to be read; a topic that is not there yet is left out."""


class Intake:
    """
    What one owned partition reads. Its partitions to read are those of *feeds*.

    Args:
        spec: What the machine reads, and which crossings it wants to see.
        around: What it shares with others.
        feeds: Says what is to be read.
        positions: ``topic/partition`` → next offset, as a journal has it.

    Attributes:
        positions: The next offsets, as of the last commit.
    """

    def __init__(
        self, spec: MachineSpec, around: Surroundings, feeds: Feeds, positions: dict[str, int]
    ) -> None:
        self.positions = {Partition.named(name): position for name, position in positions.items()}
        self._spec = spec
        self._around = around
        self._feeds = feeds
        self._buffers: dict[Partition, deque[RawRecord]] = {}
        self._buffered: dict[Partition, int] = {}
        self._fetched: dict[Partition, int] = {}
        self._logger = structlog.get_logger("machine").bind(machine=spec.decider.name)

    @property
    def partitions(self) -> list[Partition]:
        """What is being read."""
        return list(self._fetched)

    @property
    def waiting(self) -> bool:
        """Whether a record lies here."""
        return any(self._buffers.values())

    @property
    def backlog(self) -> int:
        """How many records lie here; asked from any thread."""
        return sum(map(len, tuple(self._buffers.values())))

    async def open(self, catalog: Catalog) -> bool:
        """Begin reading what *catalog* asks for by now, new topics from their start; say whether any joined."""
        wanted = [at for at in await self._feeds(catalog) if at not in self._fetched]
        unread = [at for at in wanted if at not in self.positions]
        starts = await self._around.log.start_offsets(unread) if unread else {}
        for at in wanted:
            position = self.positions.setdefault(at, starts.get(at, 0))
            self._fetched[at] = position
            self._buffers[at] = deque()
            self._buffered[at] = 0
            if starts.get(at, 0):
                self._logger.warning("reading-from-trimmed-start", where=at.name, position=position)
        return bool(wanted)

    def wants(self) -> Iterable[tuple[Partition, int]]:
        """Say what to fetch next: all but the partitions whose buffers are full."""
        full = self._spec.max_batch
        return (
            (at, position)
            for at, position in self._fetched.items()
            if len(self._buffers[at]) < full and self._buffered[at] < _MOST_BUFFERED_BYTES
        )

    def ahead(self, ends: Mapping[Partition, int]) -> Mapping[Partition, int]:
        """Return which of these ends nothing was fetched up to yet, and what is fetched there next."""
        return {at: self._fetched[at] for at, end in ends.items() if self._fetched[at] < end}

    def offer(self, at: Partition, records: Sequence[RawRecord]) -> Sequence[RawRecord]:
        """Take records that were fetched, and return those that were not here already."""
        expected = self._fetched[at]
        fresh = [raw for raw in records if raw.offset >= expected]
        if fresh:
            for raw in fresh:
                self._around.crossings.put(raw)
            self._buffers[at].extend(fresh)
            self._buffered[at] += sum([raw.weight for raw in fresh])
            self._fetched[at] = fresh[-1].offset + 1
        return fresh

    async def gather(self, most: int) -> list[Given]:
        """
        Return what is to be decided next, with the crossings beside it; it lies here until it was `taken`.

        Args:
            most: Records at most; one of each partition that has something, in any case.
        """
        # The whole batch first: while a crossing is read again, more records come into the buffers.
        return await self._bring([self._read(at, raw) for at, raw in self._next(most)])

    def taken(self, one: Given, at: Partition) -> int:
        """Let the first record of *at* go, which *one* was made of; return how many bytes a batch holds of it."""
        size = self._buffers[at].popleft().weight
        self._buffered[at] -= size
        if isinstance(one.input, WithCrossing):
            size += one.input.crossing.raw.weight
        return size

    def _next(self, most: int) -> Iterable[tuple[Partition, RawRecord]]:
        # A share for each partition that has something, so that a busy topic starves no other; within a partition
        # the log's order, across them that of the spec, and the commit says which it was.
        ready = [(at, buffer) for at, buffer in self._buffers.items() if buffer]
        for left, (at, buffer) in zip(range(len(ready), 0, -1), ready, strict=True):
            share = min(len(buffer), max(1, most // left))
            most -= share
            for raw in itertools.islice(buffer, share):
                yield at, raw

    def _read(self, at: Partition, raw: RawRecord) -> Given:
        received = read(raw, self._around.platform)
        taken = Taken(topic=raw.topic, partition=raw.partition, offset=raw.offset, digest=received.digest)
        return Given(received, taken, source=at, appended_at=raw.appended_at)

    async def _bring(self, given: list[Given]) -> list[Given]:
        """
        Put beside each record the crossing that the core wants to see with it, if there is one.

        Returns as many as may be held at once: crossings may be large, and what is left comes with the next batch.
        """
        needed = {
            number: position
            for number, one in enumerate(given)
            if (position := crossing_of(self._spec.needs_crossing, one.input)) is not None
        }
        crossings, room = self._around.crossings.along(needed.values()), MOST_HELD_BYTES
        for number, position in needed.items():
            if room <= 0:
                return given[:number]
            one, crossing = given[number], await crossings.next()
            if crossing is not None and isinstance(one.input, Received):
                one.input = WithCrossing(one.input, read(crossing, self._around.platform))
                one.taken = msgspec.structs.replace(one.taken, crossing=position)
                room -= crossing.weight
        return given
