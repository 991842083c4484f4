"""
Wait for the record: a crossing is through when the audit sink has kept all that was said of it.

Answers alone say nothing of that: a sink that falls behind for as long as there is load makes everything else
faster.
"""

import asyncio
import sqlite3
import time
from pathlib import Path

from seamwork.bus.port import Log, Partition
from seamwork.errors import SeamworkError
from seamwork.testing.stage import Stage

_AUDIT_SINK = "audit-sink"
_POLL_S = 0.02
_WITHIN_S = 120.0


class Record:
    """
    The record of one platform.

    Args:
        database: The audit sink's file.
        log: The log as the audit sink sees it.
    """

    def __init__(self, database: Path, log: Log) -> None:
        self._database = database
        self._log = log

    @classmethod
    async def of(cls, stage: Stage) -> "Record":
        """Return the record of *stage*."""
        return cls(stage.door.home.audit, await stage.log(_AUDIT_SINK))

    async def complete(self) -> float:
        """
        Wait until all that lies in the log now is kept, and return how long that took, in seconds.

        Raises:
            SeamworkError: It is not for two minutes; says what is missing most.
        """
        began = time.monotonic()
        ends = await self._log.end_offsets(list(self._positions()))
        while True:
            kept = self._positions()
            missing = {at: end - kept[at] for at, end in ends.items() if kept[at] < end}
            took_s = time.monotonic() - began
            if not missing:
                return took_s
            if took_s > _WITHIN_S:
                at, records = max(missing.items(), key=lambda one: one[1])
                raise SeamworkError(
                    f"after {took_s:.0f} s the audit sink has yet to keep {records} records of {at}"
                )
            await asyncio.sleep(_POLL_S)

    def _positions(self) -> dict[Partition, int]:
        with sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True) as database:
            rows = database.execute('SELECT topic, "partition", next FROM positions').fetchall()
        database.close()
        return {Partition(topic, number): position for topic, number, position in rows}
