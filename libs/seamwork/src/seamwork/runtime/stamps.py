"""
Take down how old a crossing is whenever it gets somewhere: the stages of its path, as every service shows them.

Ages count from the crossing's append to ``handoffs``, by the broker's clock, so stages of different services follow
one another on one scale. On several machines they are as right as their clocks agree.
"""

from collections.abc import Iterable, Sequence

from seamwork.clock import Clock
from seamwork.journal import Emitted
from seamwork.records.base import Envelope
from seamwork.records.verdict import Verdict
from seamwork.records.wire import RawRecord
from seamwork.runtime.cache import RecordCache
from seamwork.runtime.metrics import Metrics
from seamwork.runtime.spec import HANDOFFS

_INBOX = "inbox."


class Stamps:
    """
    The stages of one service.

    Args:
        metrics: Where they are shown.
        clock: By which a crossing's age is told.
        crossings: Where it says when a crossing was appended.
    """

    def __init__(self, metrics: Metrics, clock: Clock, crossings: RecordCache) -> None:
        self._metrics = metrics
        self._clock = clock
        self._crossings = crossings

    def taken(self, records: Iterable[RawRecord]) -> None:
        """Note that crossings were taken in; other records are passed over."""
        self.reached("in", [raw.appended_at for raw in records if raw.topic == HANDOFFS])

    def judged(self, records: Iterable[Envelope | None]) -> list[int]:
        """Return when the crossings were appended that these verdicts are on."""
        return [
            raw.appended_at
            for record in records
            if isinstance(record, Verdict)
            and (raw := self._crossings.get(record.subject.position)) is not None
        ]

    def concerned(self, outputs: Sequence[Emitted], records: Sequence[Envelope | None]) -> list[int]:
        """Return when the crossings were appended that a commit has a verdict on, or hands to somebody's inbox."""
        return self.judged(records) + [
            raw.appended_at
            for emitted in outputs
            if emitted.forward is not None
            and emitted.topic.startswith(_INBOX)
            and (raw := self._crossings.get(emitted.forward)) is not None
        ]

    def reached(self, stage: str, appended_at: Sequence[int]) -> None:
        """Note that crossings, appended at these instants, are as far as *stage* now."""
        if appended_at:
            now = self._clock.now_ms()
            ages = [max(0, now - at) / 1000 for at in appended_at]
            self._metrics.observe_all("seamwork_crossing_age_seconds", ages, stage)
