"""Read all that a topic holds, a stretch at a time: thirty days of it may be more than a command has memory for."""

from collections.abc import AsyncIterator, Sequence

from seamwork.bus.port import Log, Partition
from seamwork.records.wire import RawRecord

_AT_ONCE = 5_000
_BYTES_AT_ONCE = 16 * 1024 * 1024
"""Of bodies; a decision has none, so their number is bounded, too."""


async def whole(log: Log, places: Sequence[Partition]) -> AsyncIterator[RawRecord]:
    """Yield every record that lies in *places* when it is asked for, one place after the other."""
    starts, ends = await log.start_offsets(places), await log.end_offsets(places)
    for place in places:
        at, end = starts[place], ends[place]
        while at < end:
            until = min(at + _AT_ONCE, end)
            found = await log.read(place, at, until, most_bytes=_BYTES_AT_ONCE)
            for raw in found:
                yield raw
            at = found[-1].offset + 1 if found else until
