"""Periods are the calendar's."""

import pytest

from seamwork.documents.periods import Period, period_start


@pytest.mark.parametrize(
    ("per", "begun"),
    [
        ("hour", 1_782_921_600_000),
        ("day", 1_782_864_000_000),
        ("week", 1_782_691_200_000),
        ("month", 1_782_864_000_000),
    ],
)
def test_a_period_is_the_calendars(per: Period, begun: int) -> None:
    """On Wednesday, 1 July 2026, at 16:40 UTC: the hour began at 16:00, the week on Monday, 29 June."""
    assert begun == period_start(per, 1_782_924_000_000)


def test_a_clock_that_is_out_of_its_mind_has_a_period_too() -> None:
    """The last one that the calendar knows; no date is computed past the year 9999."""
    assert 253_370_764_800_000 < period_start("month", 1 << 62) < 253_402_300_800_000
