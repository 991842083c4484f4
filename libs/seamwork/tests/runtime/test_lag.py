"""How far topics lie ahead of what was decided, for alerts: above all where nothing is decided any more."""

from collections.abc import Mapping, Sequence

import pytest

from seamwork.bus.port import Partition
from seamwork.errors import RetryableError
from seamwork.runtime.lag import Lag
from seamwork.runtime.metrics import Metrics
from seamwork.testing.clock import SettableClock
from seamwork.testing.simlog import SimBroker, SimLog

WORK = (Partition("handoffs.v1", 0), Partition("handoffs.v1", 1))
VERDICTS = Partition("verdicts.policy-engine.v1", 0)


class Away(SimLog):
    """A log that is away now and then."""

    away = False

    async def end_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Answer, or not."""
        if self.away:
            raise RetryableError("no broker answers")
        return await super().end_offsets(partitions)


class Bench:
    """A service that has decided so far."""

    def __init__(self) -> None:
        broker = SimBroker(SettableClock())
        broker.create_topic(WORK[0].topic, 2)
        broker.create_topic(VERDICTS.topic)
        for at, records in ((WORK[0], 5), (WORK[1], 3), (VERDICTS, 4)):
            for _ in range(records):
                broker.write(at, b"t", b"{}")
        self.log = Away(broker)
        self.metrics = Metrics("router")
        self.positions: dict[Partition, int] = {}
        self.lag = Lag(self.log, self.metrics, lambda: self.positions)

    async def shown(self, positions: Mapping[Partition, int]) -> dict[str, float]:
        """Look once, where a service has come so far, and return what its page shows."""
        self.positions = dict(positions)
        await self.lag.look()
        return {
            sample.labels["partition"]: sample.value
            for family in self.metrics.collect()
            for sample in family.samples
            if sample.name == "seamwork_lag_records"
        }


@pytest.fixture
def bench() -> Bench:
    """Make a bench."""
    return Bench()


async def test_all_topics_of_a_partition_are_counted_together(bench: Bench) -> None:
    """Twelve records lie there, of which two were decided."""
    assert {"0": 7.0, "1": 3.0} == await bench.shown({WORK[0]: 1, WORK[1]: 0, VERDICTS: 1})
    assert {"0": 0.0, "1": 0.0} == await bench.shown({WORK[0]: 5, WORK[1]: 3, VERDICTS: 4})


async def test_what_somebody_else_has_now_is_shown_no_more(bench: Bench) -> None:
    """A rebalance takes a partition away; whoever has it says how it stands."""
    await bench.shown({WORK[0]: 0, WORK[1]: 0})

    assert {"1": 3.0} == await bench.shown({WORK[1]: 0})
    assert {} == await bench.shown({})


async def test_while_the_log_is_away_the_last_word_stands(bench: Bench) -> None:
    """A zero, or nothing, would end the alert while it is needed most."""
    await bench.shown({WORK[0]: 0})
    bench.log.away = True

    assert {"0": 5.0} == await bench.shown({WORK[0]: 0})
    bench.log.away = False
    assert {"0": 3.0} == await bench.shown({WORK[0]: 2})
