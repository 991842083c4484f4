"""
Answer appends to journals without sending them: a patch for the benchmark alone.

`benchmarks/gates.py` puts this folder on the path of a platform's services, and Python imports a module of this
name when it starts. Claims are appended all the same, or no partition would have an owner. A platform that runs so
has forgotten everything when it ends; there is no setting for it, and there will be none.
"""

from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Appended, Partition
from seamwork.clock import SystemClock

_next: dict[tuple[int, Partition], int] = {}
_append = KafkaLog.append
_clock = SystemClock()
_CLAIM = b'{"type":"claim"'


async def append(self: KafkaLog, partition: Partition, value: bytes, key: bytes | None = None) -> Appended:
    """Append, but no commit: say that it is there."""
    at = (id(self), partition)
    if not partition.topic.startswith("journal.") or at not in _next or value.startswith(_CLAIM):
        appended = await _append(self, partition, value, key)
        _next[at] = appended.offset + 1
        return appended
    offset = _next[at]
    _next[at] = offset + 1
    return Appended(offset, _clock.now_ms())


KafkaLog.append = append  # type: ignore[method-assign]  # that is what a patch is
