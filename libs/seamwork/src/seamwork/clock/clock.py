"""Tell the time to those at the edge, who put it into inputs."""

import time
from typing import Protocol


class Clock(Protocol):
    """Whoever knows what time it is."""

    def now_ms(self) -> int:
        """Return the milliseconds since 1970 (UTC)."""


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        """Return the milliseconds since 1970 (UTC)."""
        return time.time_ns() // 1_000_000
