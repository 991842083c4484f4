"""Show how budgets stand, for alerts: whoever learns it by a refusal learns it too late."""

import asyncio
from collections.abc import Callable, Sequence

from seamwork.runtime.metrics import Metrics
from seamwork.runtime.spec import Standing

LOOK_S = 15.0
"""Between two looks; as often as most collectors come by."""

_SOON_S = 1.0  # who has no journal yet looks for nothing
_METRIC = "seamwork_budget_micro_usd"


class Standings:
    """
    The budgets of one service.

    Args:
        metrics: Where they are shown, by name.
        stand: Says how they stand; nothing where their journal is somebody else's by now.
    """

    def __init__(self, metrics: Metrics, stand: Callable[[], Sequence[Standing]]) -> None:
        self._metrics = metrics
        self._stand = stand
        self._shown: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S if self._shown else _SOON_S)

    def look(self) -> None:
        """Show them once; what is no budget any more is shown no more."""
        found = {one.budget: one for one in self._stand()}
        for name in self._shown - found.keys():
            self._metrics.forget(_METRIC, name)
        for name, one in found.items():
            for of in ("limit", "reserved", "spent", "overrun"):
                self._metrics.set(_METRIC, getattr(one, of), name, of)
        self._shown = frozenset(found)
