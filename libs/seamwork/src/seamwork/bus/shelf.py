"""
Keep the youngest records of partitions at hand, for all who read them in one process.

A shelf holds a stretch of each partition that somebody follows: contiguous, ending where the log ended when it was
last heard of. What one reader fetched, the others need not fetch; and what a service of this process has just
published is known with its offset and its time, so nobody need fetch it at all.

Rule 1: only what the log has confirmed is put here, in the log's order.
Rule 2: a stretch has no holes of its own making. What would leave one is not put here, and the feed fetches it.
Rule 3: it is a cache. Who stands before the stretch, or beyond its end so far, reads from the log.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from seamwork.bus.port import Partition
from seamwork.records.wire import RawRecord

MOST_RECORDS = 1000
MOST_BYTES = 4 * 1024 * 1024
MOST_EARLY = 100
"""Of each stretch; who falls further behind reads from the log, as everybody did."""
MOST_ALONE_BYTES = 16 * 1024 * 1024
"""Of the last record, which stays though it be the largest that a topic takes; one of nothing but headers goes."""


class Shelf:
    """The stretches that one process follows, and who waits for more of them."""

    def __init__(self) -> None:
        self._stretches: dict[Partition, _Stretch] = {}
        # Dictionaries, not sets: who is woken first must not depend on where an object lies in memory.
        self._waiting: dict[Partition, dict[asyncio.Event, None]] = {}

    def open(self, partition: Partition, position: int) -> None:
        """Begin an empty stretch; a feed will fetch what comes from *position* on."""
        self._stretches[partition] = _Stretch(position)
        self._wake(partition)

    def close(self, partition: Partition) -> None:
        """Forget a stretch: nobody feeds it any more."""
        self._stretches.pop(partition, None)
        self._wake(partition)

    def covers(self, partition: Partition) -> bool:
        """Whether somebody feeds *partition*."""
        return partition in self._stretches

    def end(self, partition: Partition) -> int:
        """Return the offset behind the last record of a stretch."""
        return self._stretches[partition].end

    def is_own(self, partition: Partition) -> bool:
        """Whether the last record of a stretch was written in this process, as far as is known."""
        return self._stretches[partition].own

    def put_fetched(self, partition: Partition, records: Sequence[RawRecord]) -> None:
        """Add what a fetch found at the end of the stretch; what is there already is passed over."""
        stretch = self._stretches.get(partition)
        if stretch is None:
            return
        fresh = [raw for raw in records if raw.offset >= stretch.end]
        if fresh:
            stretch.own = False
            stretch.extend(fresh)
            stretch.catch_up()
            self._wake(partition)

    def put_written(self, partition: Partition, records: Sequence[RawRecord]) -> None:
        """
        Add what this process has written.

        What does not lie just behind the stretch waits for what comes before it: another answer that is on its way
        to us, or a record of somebody else, which the feed fetches.
        """
        stretch = self._stretches.get(partition)
        if stretch is None:
            return
        before = stretch.end
        for raw in records:
            stretch.early[raw.offset] = raw
        stretch.catch_up()
        grown = stretch.end > before
        # One that was fetched before its answer came is ours as well.
        stretch.own = not stretch.early and (grown or records[-1].offset == stretch.end - 1)
        if grown:
            self._wake(partition)

    def take(self, partition: Partition, position: int, room: int) -> Sequence[RawRecord] | None:
        """Return what lies here from *position* on; None if that is not within the stretch, or there is none."""
        stretch = self._stretches.get(partition)
        return None if stretch is None else stretch.after(position, room)

    def reaches(self, partition: Partition, position: int) -> bool:
        """Whether what comes at *position* lies here, or will; what has left the stretch does not come back."""
        stretch = self._stretches.get(partition)
        return stretch is not None and stretch.start <= position

    def watch(self, partition: Partition, event: asyncio.Event) -> None:
        """Set *event* whenever there may be more of *partition*."""
        self._waiting.setdefault(partition, {})[event] = None

    def leave(self, partition: Partition, event: asyncio.Event) -> None:
        """Set *event* no more."""
        self._waiting.get(partition, {}).pop(event, None)

    def _wake(self, partition: Partition) -> None:
        for event in self._waiting.get(partition, ()):
            event.set()


class _Stretch:
    def __init__(self, position: int) -> None:
        self.end = position
        self.own = False
        self.early: dict[int, RawRecord] = {}
        self.start = position
        self._records: deque[RawRecord] = deque()
        self._bytes = 0

    def extend(self, records: Sequence[RawRecord]) -> None:
        """Add records that lie at or behind the end."""
        self._records.extend(records)
        self._bytes += sum([raw.weight for raw in records])
        self.end = records[-1].offset + 1
        while len(self._records) > MOST_RECORDS or self._bytes > (
            MOST_BYTES if len(self._records) > 1 else MOST_ALONE_BYTES
        ):
            gone = self._records.popleft()
            self.start = gone.offset + 1
            self._bytes -= gone.weight

    def catch_up(self) -> None:
        """Add what came early and is next; forget what was fetched meanwhile."""
        if not self.early:
            return
        following: list[RawRecord] = []
        while (raw := self.early.pop(self.end + len(following), None)) is not None:
            following.append(raw)
        if following:
            self.extend(following)
        if self.early:
            late = sorted(offset for offset in self.early if offset > self.end)[-MOST_EARLY:]
            self.early = {offset: self.early[offset] for offset in late}

    def after(self, position: int, room: int) -> Sequence[RawRecord] | None:
        """Return up to *room* records from *position* on, or None if some of them may be gone, or not here yet."""
        if not self.start <= position <= self.end:
            return None
        records = self._records
        end = at = len(records)
        while at and records[at - 1].offset >= position:
            at -= 1
        # By number, for a deque is quick at its ends, and it is the end that nearly everybody reads.
        return [records[number] for number in range(at, min(end, at + room))]
