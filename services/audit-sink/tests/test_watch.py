"""What could end the record stands against new tasks, and no longer than it does."""

from pathlib import Path

import pytest

from seamwork.bus.port import Partition
from seamwork.errors import MisconfiguredError
from seamwork.testing.clock import SettableClock
from seamwork.testing.simlog import SimBroker, SimLog
from seamwork_audit_sink.settings import Settings
from seamwork_audit_sink.watch import Watch

MIB = 1024 * 1024
AT = Partition("decisions.v1", 0)


class Bench:
    """A log with one partition, disks of any size, and the watch over them."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.broker = SimBroker(self.clock)
        self.broker.create_topic(AT.topic)
        self.free = {Path("/record"): 900 * MIB, Path("/data"): 900 * MIB}
        settings = Settings(
            database=Path("/record/audit.db"), broker_data=Path("/data"), least_free_mb=500, most_behind_s=60
        )
        self.watch = Watch(settings, SimLog(self.broker), self.clock, self.free.__getitem__)

    async def rules(self, waiting: dict[Partition, int]) -> list[str]:
        """Look, and return the rules of what was found."""
        return [one.rule for one in await self.watch.look(waiting)]


@pytest.mark.parametrize(("folder", "whose"), [("/record", "audit sink"), ("/data", "broker")])
async def test_a_disk_that_fills_up_is_named_until_there_is_room_again(folder: str, whose: str) -> None:
    """The record's disk and the broker's count alike; the reason tells them apart, by no figure that moves."""
    bench = Bench()
    assert () == await bench.watch.look({})
    bench.free[Path(folder)] = 400 * MIB
    (found,) = await bench.watch.look({})
    bench.free[Path(folder)] = 300 * MIB
    again = await bench.watch.look({})
    bench.free[Path(folder)] = 501 * MIB

    assert "disk-low" == found.rule
    assert whose in found.reason
    assert "500 MiB" in found.reason
    assert (found,) == again
    assert () == await bench.watch.look({})


async def test_a_record_that_waits_too_long_is_named_until_it_is_kept() -> None:
    """Its age counts, not how many wait; what came since the last look is young."""
    bench = Bench()
    for _ in range(3):
        bench.broker.write(AT, b"k", b"v")
    assert [] == await bench.rules({AT: 1})
    bench.clock.advance(59_000)
    assert [] == await bench.rules({AT: 1})
    bench.clock.advance(2_000)

    assert ["audit-behind"] == await bench.rules({AT: 1})
    assert [] == await bench.rules({})


async def test_at_the_first_look_all_that_waits_may_be_old() -> None:
    """Whoever takes over was not there when it came."""
    bench = Bench()
    bench.broker.write(AT, b"k", b"v")
    bench.clock.advance(61_000)

    assert ["audit-behind"] == await bench.rules({AT: 0})


@pytest.mark.parametrize("name", ["gone", "file/below"])
async def test_a_folder_that_cannot_be_watched_is_an_operators_slip(tmp_path: Path, name: str) -> None:
    """It ends in a sentence that names the setting, and nobody starts it again and again."""
    (tmp_path / "file").touch()
    settings = Settings(database=tmp_path / "audit.db", broker_data=tmp_path / name)
    clock = SettableClock()
    watch = Watch(settings, SimLog(SimBroker(clock)), clock)

    with pytest.raises(MisconfiguredError, match="SEAMWORK_AUDIT_SINK_BROKER_DATA"):
        await watch.look({})
