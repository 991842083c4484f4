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
# Rules are named by documents, and by gates of anybody's make; each is a time series for whoever keeps them. What
# else a decision may say of why is one of few words.
_MOST_RULES = 200
OTHER = "other"
"""What a rule is counted as when there have been too many."""


class Teller:
    """
    Counts and tells what is final: one for all partitions of a service.

    Args:
        metrics: Where it is counted, as ``seamwork_verdicts`` and ``seamwork_decisions``.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._rules: set[str] = {""}

    def tell(self, records: Iterable[Envelope | None], logger: structlog.stdlib.BoundLogger) -> None:
        """Count what was said in *records*, and write a line about each that is worth one, by *logger*."""
        verdicts: list[tuple[str, ...]] = []
        decisions: list[tuple[str, ...]] = []
        for record in records:
            if isinstance(record, Verdict):
                well = record.outcome in _WELL
                verdicts.append((record.outcome, "" if well else self._counted(record.rule)))
                if not well:
                    facts = {"outcome": record.outcome, "rule": record.rule, "reason": record.reason}
                    _write(logger, "judged", record, **facts)
            elif isinstance(record, Decision):
                decisions.append((tag_of(record), self._decided(record, logger)))
        if verdicts:
            self._metrics.count_each("seamwork_verdicts", verdicts)
        if decisions:
            self._metrics.count_each("seamwork_decisions", decisions)

    def _decided(self, record: Decision, logger: structlog.stdlib.BoundLogger) -> str:
        """Write the line about a decision that is worth one, and return as what its why is counted."""
        match record:
            case Refused():
                facts = {"gate": record.gate, "rule": record.rule, "reason": record.reason}
                _write(logger, "refused", record, **facts)
                return self._counted(record.rule)
            case Held():
                _write(logger, "held", record, rule=record.rule, reason=record.reason)
                return self._counted(record.rule)
            case Escalated():
                _write(logger, "escalated", record, to=record.to, why=record.why)
                return record.why
            case Overrun():
                _write(logger, "overrun", record, dispatch=record.dispatch)
            case TaskEnded():
                _write(logger, "task-ended", record, outcome=record.outcome, crossings=record.crossings)
                return record.outcome
            case Closed() | JudgeAgain():
                return record.why
            case Noted():
                return record.what
            case _:
                pass
        return ""

    def _counted(self, rule: str) -> str:
        """Return as what a rule is counted."""
        if rule not in self._rules:
            if len(self._rules) > _MOST_RULES:
                return OTHER
            self._rules.add(rule)
        return rule


def _write(
    logger: structlog.stdlib.BoundLogger, event: str, record: Verdict | Decision, **facts: Any
) -> None:
    """Write a line; reasons name fields, never values."""
    subject = record.subject
    place = None if subject is None else f"{subject.partition}/{subject.offset}"
    logger.info(event, task=record.task, crossing=record.crossing, at_offset=place, **facts)
