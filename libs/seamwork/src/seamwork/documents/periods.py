"""Say when a period of the calendar began, in UTC: all readers of the log count the same, and remember nothing."""

from datetime import UTC, datetime, timedelta
from typing import Literal

Period = Literal["hour", "day", "week", "month"]
_LAST_S = 253_402_300_799  # the calendar that we read by ends with the year 9999


def period_start(per: Period, at: int) -> int:
    """Return when the period that holds *at* began (ms); a week begins on Monday."""
    hour = datetime.fromtimestamp(min(at // 1000, _LAST_S), UTC).replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    begun = {
        "hour": hour,
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
    }[per]
    return int(begun.timestamp()) * 1000
