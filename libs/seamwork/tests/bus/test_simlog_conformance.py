"""The simulated log keeps the port's laws."""

from contextlib import AsyncExitStack

import pytest

from seamwork.bus.port import Log
from seamwork.testing.log_conformance import COUNT, INBOX, JOURNAL, SNAPSHOTS, WORK, Bench, LogConformance
from seamwork.testing.simlog import SimBroker, SimLog


class _SimBench:
    denied = "decisions.v1"

    def __init__(self) -> None:
        self._broker = SimBroker()
        for topic in (WORK, JOURNAL, SNAPSHOTS, self.denied):
            self._broker.create_topic(topic, COUNT)
        self._broker.create_topic(INBOX)
        self._broker.deny(self.denied)

    async def log(self, stack: AsyncExitStack) -> Log:
        return await stack.enter_async_context(SimLog(self._broker))


class TestSimLog(LogConformance):
    """``seamwork.testing.simlog``."""

    @pytest.fixture
    def bench(self) -> Bench:
        """Return a fresh simulated broker."""
        return _SimBench()
