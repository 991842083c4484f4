"""A smoke of the chaos run: one fault of three kinds on one broker; the long form is ``make chaos``."""

from pathlib import Path

import pytest
from tests.chaos.harness import run

pytestmark = pytest.mark.kafka


@pytest.mark.timeout(240)
async def test_what_is_broken_three_ways_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """A service is killed, the network is cut, poison is published; the log and the audit agree afterwards."""
    told: list[str] = []
    faults = ["kill-service", "cut-connections", "poison"]
    report = await run(tmp_path, 7, faults, 1, told.append, 0.5)

    assert [] == report.violations
    assert faults == [one.fault for one in report.happened]
    assert report.found.tasks > len(faults)
    assert report.found.audited > report.found.in_log
    assert 4 == report.found.poisoned
    assert 0 not in (report.found.approved, report.found.spent_micro_usd)
