"""Instants are what RFC 3339 allows, so that a reader in any language reads the same."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.documents import instant_ms

OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    ("text", "unix_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.0015Z", 2),
        ("1970-01-01T01:00:00.25+01:00", 250),
        ("1969-12-31T23:59:59-00:00", -1000),
    ],
)
def test_an_instant_is_counted_in_milliseconds(text: str, unix_ms: int) -> None:
    """Fractions are rounded to what a record's timestamp has."""
    assert unix_ms == instant_ms(text)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=OFFSETS))  # noqa: DTZ001
def test_every_instant_that_python_writes_is_read_as_it_was_meant(instant: datetime) -> None:
    """To the millisecond, whatever its offset."""
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)

    assert 1 > abs(instant_ms(instant.isoformat()) - since / timedelta(milliseconds=1))


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01",
        "2026-03-01T09:00:00",
        "2026-03-01T09:00Z",
        "2026-03-01 09:00:00Z",
        "2026-03-01T09:00:00,5Z",
        "2026-03-01T09:00:00z",
        "2026-03-01T09:00:00+01",
        "2026-03-01T09:00:00+01:00:30",
        "2026-03-01T09:00:00+01:60",
        "20260301T090000Z",
        "2026-W09-7T09:00:00Z",
        "2026-02-30T09:00:00Z",
        "2026-03-01T09:00:00Z\n",
        "٢٠٢٦-03-01T09:00:00Z",
        "",
    ],
)
def test_another_way_of_writing_is_refused(text: str) -> None:
    """Those that Python would read, and what nobody can."""
    with pytest.raises(ValueError, match=r"an instant|day is out of range"):
        instant_ms(text)
