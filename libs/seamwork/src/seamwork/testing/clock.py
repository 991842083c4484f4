"""A clock that stands still until it is told."""

_START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


class SettableClock:
    """The clock of tests and of the simulated log."""

    def __init__(self, now_ms: int = _START_MS) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the milliseconds since 1970 (UTC)."""
        return self._now_ms

    def advance(self, ms: int) -> None:
        """Let *ms* milliseconds pass."""
        self._now_ms += ms

    def set(self, now_ms: int) -> None:
        """Jump, also backwards, as a badly kept clock does."""
        self._now_ms = now_ms
