"""
Say how far the topics that a service reads lie ahead of what it has decided, for alerts and for whoever scales it.

A service that has stopped deciding says nothing by itself, so this asks the log now and then, off the path of work.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from seamwork.bus.port import Log, Partition
from seamwork.errors import SeamworkError
from seamwork.runtime.metrics import Metrics

LAG_S = 5.0
"""Between two looks."""

_SOON_S = 0.5  # who has nothing yet asks nobody


class Lag:
    """
    The lag of one service.

    Args:
        log: Where topics end.
        metrics: Where it is shown, by the number of a partition: that of all topics together.
        positions: Says which partitions are the service's by now, and what of each it decides next.
    """

    def __init__(self, log: Log, metrics: Metrics, positions: Callable[[], Mapping[Partition, int]]) -> None:
        self._log = log
        self._metrics = metrics
        self._positions = positions
        self._shown: frozenset[str] = frozenset()
        self._logger = structlog.get_logger("lag")

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LAG_S if self._shown else _SOON_S)

    async def look(self) -> None:
        """Measure once. While the log does not answer, what was shown last stands."""
        asked = list(self._positions())
        try:
            ends = await self._log.end_offsets(asked) if asked else {}
        except SeamworkError as error:
            # Whoever reads there meets the same, and ends by it if need be.
            self._logger.debug("lag-unknown", error=str(error))
            return
        ahead: Counter[str] = Counter()
        for at, position in self._positions().items():  # as they are by now: some may be somebody else's
            if at in ends:
                ahead[str(at.partition)] += max(0, ends[at] - position)
        for number in self._shown - ahead.keys():
            self._metrics.forget("seamwork_lag_records", number)
        for number, records in ahead.items():
            self._metrics.set("seamwork_lag_records", records, number)
        self._shown = frozenset(ahead)
