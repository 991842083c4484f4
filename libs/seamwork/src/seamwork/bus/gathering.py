"""
Read what nobody waits for: in the background of a busy platform, many records at a time.

A reader that waits at the broker is answered with the first record that comes, goes back, is answered with the
next: six services that follow the decisions cost a crossing six answers, just when others are needed for it.
This one, once something has come, asks every now and then and finds what has gathered. When nothing has come for a
while it waits at the broker as any other does, so an idle platform pays nothing for it.
"""

import asyncio
from collections.abc import Mapping, Sequence

from seamwork.bus.port import Partition, Reader
from seamwork.records.wire import RawRecord

EVERY_S = 0.05
"""Nobody's patience, and a twentieth of what a second's records would cost one by one."""
_EMPTY_HANDED = 20
_MANY = 96
"""
Records found at once, from which on it is worth letting more of them gather. Below, to work off what has gathered
disturbs whoever shares the process for longer than it saves: the slowest of those that run one at a time.
"""
_MUCH_BYTES = 512 * 1024
"""Of one partition: more may lie there, for a fetch ends at a mebibyte, or at some where records are large."""


class Gathering:
    """
    A reader in no hurry; see the port.

    Args:
        reader: What it reads by.
        every_s: How long it lets records gather.
        busy_s: The same where many come; as long, unless told otherwise.
    """

    def __init__(self, reader: Reader, every_s: float = EVERY_S, busy_s: float | None = None) -> None:
        self._reader = reader
        self._every_s = self._pause_s = every_s
        self._busy_s = every_s if busy_s is None else busy_s
        self._empty_handed = _EMPTY_HANDED
        self._full = False

    async def fetch(
        self, positions: Mapping[Partition, int], *, max_records: int, max_wait_ms: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        """Return what has gathered at *positions*; waits up to *max_wait_ms* only when nothing has come lately."""
        if self._empty_handed < _EMPTY_HANDED:
            if not self._full:
                await asyncio.sleep(self._pause_s)
            max_wait_ms = 0
        found = await self._reader.fetch(positions, max_records=max_records, max_wait_ms=max_wait_ms)
        count = sum(map(len, found.values()))
        self._empty_handed = 0 if count else self._empty_handed + 1
        self._pause_s = self._busy_s if count >= _MANY else self._every_s
        self._full = count >= max_records or any(map(_is_much, found.values()))
        return found

    async def stop(self) -> None:
        """Give the connection back."""
        await self._reader.stop()


def _is_much(run: Sequence[RawRecord]) -> bool:
    return sum([raw.weight for raw in run]) >= _MUCH_BYTES
