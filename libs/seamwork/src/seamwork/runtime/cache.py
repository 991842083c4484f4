"""Keep the latest raw records of one topic at hand, and read the others again at their positions."""

from collections import OrderedDict

from seamwork.bus.port import Log, LogGapError, Partition
from seamwork.records.parties import Position
from seamwork.records.wire import RawRecord

MAX_BYTES = 64 * 1024 * 1024
"""
About 16,000 crossings of a kilobyte: as many as a flood leaves under way. What a result answers is asked for when
it comes; with less at hand, a gate behind its load reads each of them from the broker, and falls further behind.
"""
_RECORD, _HEADER = 300, 100  # bytes of objects around a record and around each of its headers


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
        at = (raw.partition, raw.offset)
        if raw.topic != self.topic or at in self._records:
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
        raw = self.get(position)
        if raw is not None:
            return raw
        if not await self._exists(position):
            return None
        return await self.fetch(position)

    async def _exists(self, position: Position) -> bool:
        count = await self._log.partitions_of(self.topic)
        if count is None or not 0 <= position.partition < count:
            return False
        at = Partition(self.topic, position.partition)
        start = (await self._log.start_offsets([at]))[at]
        return start <= position.offset < (await self._log.end_offsets([at]))[at]


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
    return _RECORD + len(raw.value or b"") + sum(_HEADER + len(value or b"") for _, value in raw.headers)
