"""
Let the services of one process read each record once: a log whose readers share a shelf.

Each partition that is followed has one feed, of whichever reader asked for it first. It waits at the broker and
puts what comes on the shelf, from where every reader takes it. What this process has written lies there as soon
as the broker has confirmed it; for a partition where that is the rule, the feed does not wait at the broker
either, but looks every now and then whether somebody else has written.

Each reader still asks the broker itself for whatever lies before the stretch on the shelf, and once for each
topic before it takes anything of it from there: its principal's rights hold.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Self

import structlog

from seamwork.bus.port import (
    Appended,
    Assigned,
    Confirmation,
    Confirmed,
    Log,
    Membership,
    Partition,
    Reader,
    Revoked,
)
from seamwork.bus.shelf import Shelf
from seamwork.errors import SeamworkError
from seamwork.records.wire import Outgoing, RawRecord

_FETCH_RECORDS = 2000
_WAIT_MS = 500
_LOOK_S = 0.5
"""How late a record may be seen that another process has written where this one writes as a rule."""
_RETRY_S = 0.1
_ANSWER_S = 1.0


class SharingLog:
    """
    A log as one of several services in a process sees it; see the port.

    Args:
        log: Where it all goes, as this service's principal.
        shelf: The process's.
    """

    def __init__(self, log: Log, shelf: Shelf) -> None:
        self._log = log
        self._shelf = shelf

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Flush and close everything."""
        await self._log.stop()

    @property
    def session_s(self) -> float:
        """After so much silence a member of a group is held for dead."""
        return self._log.session_s

    async def own(self, group: str, lead: str, assigned: Assigned, revoked: Revoked) -> Membership:
        """Join *group* on the topic *lead*; see the port."""
        return await self._log.own(group, lead, assigned, revoked)

    async def committed(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the positions that *group* has noted; see the port."""
        return await self._log.committed(group, partitions)

    async def reader(self) -> Reader:
        """Open a cursor."""
        return SharingReader(self._log, await self._log.reader(), self._shelf)

    async def read(
        self, partition: Partition, start: int, end: int, *, most_bytes: int | None = None
    ) -> Sequence[RawRecord]:
        """Return the records with ``start <= offset < end``; see the port."""
        return await self._log.read(partition, start, end, most_bytes=most_bytes)

    async def append(self, partition: Partition, value: bytes, key: bytes | None = None) -> Appended:
        """Append one record and wait; see the port."""
        appended = await self._log.append(partition, value, key)
        if self._shelf.covers(partition) and appended.offset >= 0:
            raw = RawRecord(*partition, appended.offset, appended.appended_at, key, value)
            self._shelf.put_written(partition, [raw])
        return appended

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[Confirmation]:
        """Publish a batch; see the port."""
        answers = await self._log.publish(batch)
        written: dict[Partition, list[RawRecord]] = {}
        for out, answer in zip(batch, answers, strict=True):
            if not isinstance(answer, Confirmed) or answer.appended_at < 0:
                continue
            at = Partition(out.topic, answer.partition)
            if self._shelf.covers(at):
                raw = RawRecord(*at, answer.offset, answer.appended_at, out.key, out.value, out.headers)
                written.setdefault(at, []).append(raw)
        for at, records in written.items():
            self._shelf.put_written(at, records)
        return answers

    async def start_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the first offset that each partition still has."""
        return await self._log.start_offsets(partitions)

    async def end_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the next offset of each partition."""
        return await self._log.end_offsets(partitions)

    async def partitions_of(self, topic: str) -> int | None:
        """Return how many partitions *topic* has, or None where there is no such topic."""
        return await self._log.partitions_of(topic)

    async def trim(self, partition: Partition, before: int) -> None:
        """Delete the records before *before*."""
        await self._log.trim(partition, before)


class SharingReader:
    """
    A cursor that looks at the shelf before it asks the broker; see the port.

    Args:
        log: Opens the cursor of the feed, if it comes to have one.
        own: For what does not lie on the shelf.
        shelf: The process's.
    """

    def __init__(self, log: Log, own: Reader, shelf: Shelf) -> None:
        self._log = log
        self._own = own
        self._shelf = shelf
        self._news = asyncio.Event()
        self._watched: dict[Partition, None] = {}
        self._allowed: set[str] = set()
        self._feed: _Feed | None = None
        self._turn = 0

    async def fetch(
        self, positions: Mapping[Partition, int], *, max_records: int, max_wait_ms: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        """Return what lies at *positions*; see the port."""
        deadline = _now_s() + max_wait_ms / 1000
        self._watch(positions)
        while True:
            self._news.clear()
            found, elsewhere = self._on_shelf(positions, max_records)
            if elsewhere and not found:
                found = await self._elsewhere(elsewhere, max_records)
            elif elsewhere:
                found = await self._with_what_never_comes(found, elsewhere, max_records)
            left_s = deadline - _now_s()
            if found or not positions or left_s <= 0:
                return found
            try:
                # What lies elsewhere and was not to be had (an election, say) nobody will tell us of.
                async with asyncio.timeout(min(left_s, _RETRY_S) if elsewhere else left_s):
                    await self._news.wait()
            except TimeoutError:
                pass  # look once more

    async def stop(self) -> None:
        """Give the connections back; what this reader fed, another one will."""
        for partition in self._watched:
            self._shelf.leave(partition, self._news)
        self._watched.clear()
        if self._feed is not None:
            await self._feed.stop()
        await self._own.stop()

    def _watch(self, positions: Mapping[Partition, int]) -> None:
        if positions.keys() == self._watched.keys():
            return
        for partition in positions:
            if partition not in self._watched:
                self._shelf.watch(partition, self._news)
        for partition in self._watched:
            if partition not in positions:
                self._shelf.leave(partition, self._news)
        self._watched = dict.fromkeys(positions)

    def _on_shelf(
        self, positions: Mapping[Partition, int], room: int
    ) -> tuple[dict[Partition, Sequence[RawRecord]], dict[Partition, int]]:
        found: dict[Partition, Sequence[RawRecord]] = {}
        elsewhere: dict[Partition, int] = {}
        order = tuple(positions)
        self._turn += 1
        first = self._turn % max(1, len(order))  # each in its turn, if there is no room for all
        for partition in (*order[first:], *order[:first]):
            position = positions[partition]
            if partition.topic not in self._allowed:
                elsewhere[partition] = position
                continue
            records = self._shelf.take(partition, position, room)
            if records is None:
                elsewhere[partition] = position
            elif records and room > 0:
                found[partition] = records
                room -= len(records)
        return found, elsewhere

    async def _with_what_never_comes(
        self, found: dict[Partition, Sequence[RawRecord]], elsewhere: Mapping[Partition, int], room: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        """
        Put beside what was *found* on the shelf what will never lie there at its position.

        On a busy platform there is always something on the shelf: who waited until there is nothing would never
        catch up with a partition that it has fallen behind in, nor begin a new one.
        """
        missing = {at: position for at, position in elsewhere.items() if not self._comes(at, position)}
        half = (room + self._turn % 2) // 2
        if not missing or not half:
            return found
        more = await self._elsewhere(missing, half)
        room -= sum(map(len, more.values()))
        for partition, records in found.items():
            if room > 0:
                more[partition] = records[:room]
                room -= len(more[partition])
        return more

    def _comes(self, partition: Partition, position: int) -> bool:
        return partition.topic in self._allowed and self._shelf.reaches(partition, position)

    async def _elsewhere(
        self, positions: Mapping[Partition, int], room: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        found = await self._own.fetch(positions, max_records=room, max_wait_ms=0)
        await self._ask_leave(positions)
        if sum(map(len, found.values())) >= room:
            return found  # who came back empty-handed may be far behind: there was no room for it
        for partition, position in positions.items():
            if partition.topic not in self._allowed:
                continue
            if not found.get(partition) and not self._shelf.covers(partition):
                if self._feed is None:
                    self._feed = _Feed(self._shelf, await self._log.reader())
                if not self._shelf.covers(partition):
                    self._feed.cover(partition, position)
        return {partition: records for partition, records in found.items() if records}

    async def _ask_leave(self, positions: Mapping[Partition, int]) -> None:
        """
        Note which topics the broker lets us read.

        A fetch that brings nothing does not say so: it does the same while the broker is silent.
        """
        asked = {at.topic: at for at in positions if at.topic not in self._allowed}
        await asyncio.gather(*(self._ask_leave_at(at, positions[at]) for at in asked.values()))

    async def _ask_leave_at(self, partition: Partition, position: int) -> None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._log.read(partition, position, position + 1)
        except TimeoutError:
            return  # asked again the next time
        self._allowed.add(partition.topic)  # else it had raised


class _Feed:
    """What waits at the broker for some partitions, and puts what comes on the shelf."""

    def __init__(self, shelf: Shelf, reader: Reader) -> None:
        self._shelf = shelf
        self._reader = reader
        self._covered: dict[Partition, None] = {}
        self._more = asyncio.Event()
        self._look_at = 0.0
        self._task = asyncio.create_task(self._run(), name="feed")

    def cover(self, partition: Partition, position: int) -> None:
        """Feed *partition* from *position* on."""
        if self._task.done():
            self._task = asyncio.create_task(self._run(), name="feed")  # it had failed
        self._covered[partition] = None
        self._shelf.open(partition, position)
        self._look_at = 0.0
        self._more.set()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._reader.stop()

    async def _run(self) -> None:
        try:
            while True:
                await self._feed()
        except SeamworkError as error:
            # Each reader asks for itself now, and sees what is wrong.
            structlog.get_logger("log").warning("feed-ended", error=str(error))
        finally:
            covered, self._covered = self._covered, {}
            for partition in covered:
                self._shelf.close(partition)

    async def _feed(self) -> None:
        self._more.clear()
        now = _now_s()
        look = now >= self._look_at
        if look:
            self._look_at = now + _LOOK_S
        shelf = self._shelf
        positions = {at: shelf.end(at) for at in self._covered if look or not shelf.is_own(at)}
        if not positions:
            try:
                async with asyncio.timeout_at(self._look_at):
                    await self._more.wait()
            except TimeoutError:
                pass  # time to look
            return
        # A look waits as well: on an idle platform it is the only request. What we write ourselves ends it early.
        found = await self._reader.fetch(positions, max_records=_FETCH_RECORDS, max_wait_ms=_WAIT_MS)
        for partition, records in found.items():
            shelf.put_fetched(partition, records)


def _now_s() -> float:
    return asyncio.get_running_loop().time()  # by which it sleeps, too
