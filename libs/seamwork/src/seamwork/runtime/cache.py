"""Keep the latest raw records of one topic at hand, and read the others again at their positions."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from seamwork.bus.port import Log, LogGapError, Partition
from seamwork.records.parties import Position
from seamwork.records.wire import RawRecord

MAX_BYTES = 16 * 1024 * 1024
"""
About 4,000 crossings of a kilobyte. A flood leaves more under way: what a result answers is asked for when it
comes, and a gate behind its load would fall further behind if it read each of them by itself (`RecordCache.along`).
"""
_NEAR, _LONGEST = 8, 64
"""Records: what lies closer is read in one go, and not more than may be held where all of them are large."""
_RECORD = 300  # bytes of objects around a record


class RecordCache:
    """
    Raw records by position, bounded by bytes; the least recently used go first.

    Args:
        log: Where what is not here is read again.
        topic: The one topic that is kept, by name without prefix.
        max_bytes: Bound on what is kept.
    """

    def __init__(self, log: Log, topic: str, max_bytes: int = MAX_BYTES) -> None:
        self.topic = topic
        self._log = log
        self._max_bytes = max_bytes
        self._records: OrderedDict[tuple[int, int], RawRecord] = OrderedDict()
        self._bytes = 0

    def put(self, raw: RawRecord) -> None:
        """Keep *raw*, if it is of the topic."""
        if raw.topic != self.topic:
            return
        at = (raw.partition, raw.offset)
        if at in self._records:
            return
        self._records[at] = raw
        self._bytes += _size(raw)
        while self._bytes > self._max_bytes and len(self._records) > 1:
            _, gone = self._records.popitem(last=False)
            self._bytes -= _size(gone)

    def get(self, position: Position) -> RawRecord | None:
        """Return the record at *position* if it is at hand."""
        at = (position.partition, position.offset)
        raw = self._records.get(at)
        if raw is not None:
            self._records.move_to_end(at)
        return raw

    async def fetch(self, position: Position) -> RawRecord:
        """
        Return the record at *position*, from the log where it is not at hand.

        Raises:
            LogGapError: It is no longer, or not yet, in the log.
        """
        raw = self.get(position)
        if raw is None:
            raw = await read_one(self._log, self.topic, position)
            self.put(raw)
        return raw

    async def find(self, position: Position) -> RawRecord | None:
        """Return the record at *position*, or None where there is none: somebody else may have made it up."""
        return self.get(position) or (await self.read_ahead((position,)))[position]

    def along(self, positions: Iterable[Position]) -> "Along":
        """Return the records at *positions* one after the other, reading ahead."""
        return Along(self, positions)

    async def read_ahead(self, positions: Sequence[Position]) -> dict[Position, RawRecord | None]:
        """
        Read what is not at hand of *positions*, the first of them at least; where there is none it is None.

        Who has fallen behind asks for many that lie side by side, so they are read in stretches: as much as half of
        what may be kept, lest large payloads pile up.
        """
        missing = [position for position in positions if self.get(position) is None]
        count = await self._log.partitions_of(self.topic) or 0
        asked = {Partition(self.topic, one.partition): None for one in missing if 0 <= one.partition < count}
        starts = await self._log.start_offsets(list(asked)) if asked else {}
        ends = await self._log.end_offsets(list(asked)) if asked else {}
        ahead: dict[Position, RawRecord | None] = {}
        there: dict[Partition, set[int]] = {}
        for position in missing:
            at = Partition(self.topic, position.partition)
            if starts.get(at, 0) <= position.offset < ends.get(at, 0):
                there.setdefault(at, set()).add(position.offset)
            else:
                ahead[position] = None
        room = self._max_bytes // 2
        for at, stretch in [
            (at, one) for at, offsets in there.items() for one in _stretches(sorted(offsets))
        ]:
            if room <= 0:
                break
            for raw in await self._log.read(at, stretch[0], stretch[-1] + 1):
                self.put(raw)  # its neighbours too: they are asked for next
                room -= _size(raw)
                if raw.offset in there[at]:
                    ahead[raw.position] = raw
        first = positions[0]
        if first not in ahead:
            ahead[first] = await self.fetch(first)
        return ahead


class Along:
    """The records at some positions, in their order. Made by `RecordCache.along`."""

    def __init__(self, cache: RecordCache, positions: Iterable[Position]) -> None:
        self._cache = cache
        self._left = list(reversed(list(positions)))
        self._ahead: dict[Position, RawRecord | None] = {}

    async def next(self) -> RawRecord | None:
        """Return the next one, or None where there is none at its position."""
        position = self._left[-1]
        raw = self._cache.get(position)
        if raw is None:
            if position not in self._ahead:
                self._ahead = await self._cache.read_ahead(self._left[::-1])
            raw = self._ahead[position]
        self._left.pop()
        return raw


def _stretches(offsets: Iterable[int]) -> Iterator[list[int]]:
    """Cut ascending *offsets* where reading on would read much that nobody asked for."""
    stretch: list[int] = []
    for offset in offsets:
        if stretch and (offset - stretch[-1] > _NEAR or offset - stretch[0] >= _LONGEST):
            yield stretch
            stretch = []
        stretch.append(offset)
    if stretch:
        yield stretch


async def read_one(log: Log, topic: str, position: Position) -> RawRecord:
    """
    Read the record at *position* of *topic*.

    Raises:
        LogGapError: It is no longer, or not yet, in the log.
    """
    partition = Partition(topic, position.partition)
    for raw in await log.read(partition, position.offset, position.offset + 1):
        if raw.offset == position.offset:
            return raw
    raise LogGapError(
        f"{topic}/{position.partition} has no record at offset {position.offset}, which a journal speaks of; "
        "the retention is shorter than the work that is open"
    )


def _size(raw: RawRecord) -> int:
    return _RECORD + raw.weight
