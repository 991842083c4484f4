"""
Say what a service has said: each verdict and decision is counted, what a person would ask about later is a line.

What goes well is counted, not told: a line for each crossing would cost more than the crossing.
"""

from collections.abc import Iterable
from typing import Any

import structlog

from seamwork.records.base import Envelope, tag_of
from seamwork.records.decision import (
    Closed,
    Decision,
    Escalated,
    Held,
    JudgeAgain,
    Noted,
    Overrun,
    Refused,
    TaskEnded,
)
from seamwork.records.verdict import Verdict
from seamwork.runtime.metrics import Metrics

_WELL = frozenset({"ALLOW", "ALLOW_WITH_CONSTRAINTS"})
# Rules are named by documents, and by gates of anybody's make; each is a time series for whoever keeps them.
_MOST_WHYS = 200
OTHER = "other"
"""What a rule is counted as when there have been too many."""


class Teller:
    """
    Counts and tells what is final.

    Args:
        logger: Who speaks.
        metrics: Where it is counted, as ``seamwork_verdicts`` and ``seamwork_decisions``.
    """

    def __init__(self, logger: structlog.stdlib.BoundLogger, metrics: Metrics) -> None:
        self._logger = logger
        self._metrics = metrics
        self._whys: set[str] = {""}

    def tell(self, records: Iterable[Envelope | None]) -> None:
        """Count what was said in *records*, and write a line about each that is worth one."""
        verdicts: list[tuple[str, ...]] = []
        decisions: list[tuple[str, ...]] = []
        for record in records:
            if isinstance(record, Verdict):
                well = record.outcome in _WELL
                verdicts.append((record.outcome, "" if well else self._why(record.rule)))
                if not well:
                    self._line(
                        "judged", record, outcome=record.outcome, rule=record.rule, reason=record.reason
                    )
            elif isinstance(record, Decision):
                decisions.append((tag_of(record), self._why(self._decided(record))))
        if verdicts:
            self._metrics.count_each("seamwork_verdicts", verdicts)
        if decisions:
            self._metrics.count_each("seamwork_decisions", decisions)

    def _decided(self, record: Decision) -> str:
        """Write the line about a decision that is worth one, and return why it is so."""
        match record:
            case Refused():
                self._line("refused", record, gate=record.gate, rule=record.rule, reason=record.reason)
                return record.rule
            case Held():
                self._line("held", record, rule=record.rule, reason=record.reason)
                return record.rule
            case Escalated():
                self._line("escalated", record, to=record.to, why=record.why)
                return record.why
            case Overrun():
                self._line("overrun", record, dispatch=record.dispatch)
            case TaskEnded():
                self._line("task-ended", record, outcome=record.outcome, crossings=record.crossings)
                return record.outcome
            case Closed() | JudgeAgain():
                return record.why
            case Noted():
                return record.what
            case _:
                pass
        return ""

    def _why(self, why: str) -> str:
        if why not in self._whys:
            if len(self._whys) > _MOST_WHYS:
                return OTHER
            self._whys.add(why)
        return why

    def _line(self, event: str, record: Verdict | Decision, **facts: Any) -> None:
        """Write a line; reasons name fields, never values."""
        subject = record.subject
        place = None if subject is None else f"{subject.partition}/{subject.offset}"
        self._logger.info(event, task=record.task, crossing=record.crossing, at_offset=place, **facts)
