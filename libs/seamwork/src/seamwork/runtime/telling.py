"""
Say in the log what a person would ask about later, bound to task and crossing.

What goes well is counted, not told: a line for each crossing would cost more than the crossing.
"""

from typing import Any

import structlog

from seamwork.records.base import Envelope
from seamwork.records.decision import Escalated, Held, Overrun, Refused, TaskEnded
from seamwork.records.verdict import Verdict


def tell(logger: structlog.stdlib.BoundLogger, record: Envelope | None) -> None:
    """Write a line about an output that is worth one; reasons name fields, never values."""
    match record:
        case Verdict() if record.outcome not in ("ALLOW", "ALLOW_WITH_CONSTRAINTS"):
            _line(logger, "judged", record, outcome=record.outcome, rule=record.rule, reason=record.reason)
        case Refused():
            _line(logger, "refused", record, gate=record.gate, rule=record.rule, reason=record.reason)
        case Held():
            _line(logger, "held", record, rule=record.rule, reason=record.reason)
        case Escalated():
            _line(logger, "escalated", record, to=record.to, why=record.why)
        case Overrun():
            _line(logger, "overrun", record, dispatch=record.dispatch)
        case TaskEnded():
            _line(logger, "task-ended", record, outcome=record.outcome, crossings=record.crossings)
        case _:
            pass


def _line(
    logger: structlog.stdlib.BoundLogger,
    event: str,
    record: Verdict | Refused | Held | Escalated | Overrun | TaskEnded,
    **facts: Any,
) -> None:
    subject = record.subject
    place = None if subject is None else f"{subject.partition}/{subject.offset}"
    logger.info(event, task=record.task, crossing=record.crossing, at_offset=place, **facts)
