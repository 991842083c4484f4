"""A log whose readers share a shelf keeps the port's laws."""

from contextlib import AsyncExitStack

import pytest

from seamwork.bus.port import Log
from seamwork.bus.sharing import SharingLog
from seamwork.bus.shelf import Shelf
from seamwork.testing.log_conformance import COUNT, INBOX, JOURNAL, SNAPSHOTS, WORK, Bench, LogConformance
from seamwork.testing.simlog import SimBroker, SimLog


class _SharingBench:
    denied = "decisions.v1"

    def __init__(self) -> None:
        self._broker = SimBroker()
        self._shelf = Shelf()
        for topic in (WORK, JOURNAL, SNAPSHOTS, self.denied):
            self._broker.create_topic(topic, COUNT)
        self._broker.create_topic(INBOX)
        self._broker.deny(self.denied)

    async def log(self, stack: AsyncExitStack) -> Log:
        return await stack.enter_async_context(SharingLog(SimLog(self._broker), self._shelf))


class TestSharingLog(LogConformance):
    """``seamwork.bus.sharing`` on the simulated log, all views in one process."""

    @pytest.fixture
    def bench(self) -> Bench:
        """Return a fresh simulated broker, and one shelf for all."""
        return _SharingBench()
