"""The log on a real Kafka keeps the port's laws."""

from contextlib import AsyncExitStack

import pytest

from seamwork.broker.principal import Principal, agent
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Log
from seamwork.testing.log_conformance import Bench, LogConformance
from seamwork.testing.testbed import KafkaPlatform

TESTER = Principal("tester", frozenset({"agent", "router", "machine", "owner:router", "tools"}))


class _KafkaBench:
    denied = "approvals.v1"

    def __init__(self, platform: KafkaPlatform) -> None:
        platform.join(TESTER, agent("parser"))
        self._platform = platform

    async def log(self, stack: AsyncExitStack) -> Log:
        platform = self._platform
        log = KafkaLog(platform.access("tester"), platform.prefix, client_id="conformance")
        return await stack.enter_async_context(log)


class TestKafkaLog(LogConformance):
    """``seamwork.bus.kafka``."""

    @pytest.fixture
    def bench(self, platform: KafkaPlatform) -> Bench:
        """Return a platform of its own on the run's broker."""
        return _KafkaBench(platform)
