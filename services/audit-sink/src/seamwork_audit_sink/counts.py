"""Count records as they are taken in, so that a summary need not read them again; pure."""

from collections import Counter

from seamwork.records.crossing import AnyCrossing
from seamwork.records.decision import AnyDecision, Dispatched, Refused, TaskEnded
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Malformed, Received
from seamwork_audit_sink.rows import JOURNAL, Row

Counted = tuple[str, str, str]
"""What is counted, by which name, divided by which detail."""


def count(into: Counter[Counted], row: Row, found: Received[AnyEnvelope] | Malformed | None) -> None:
    """Add one record to *into*."""
    into["topic", row.topic, ""] += 1
    if row.topic.startswith(JOURNAL):
        into["journal", row.topic.split(".")[1], row.type] += 1
        return
    into["type", row.type, ""] += 1
    if not isinstance(found, Received):
        return
    record = found.record
    if isinstance(record, AnyCrossing):
        into["agent", record.source.agent, row.type] += 1
    elif isinstance(record, Verdict):
        into["verdict", record.gate, record.outcome] += 1
    elif isinstance(record, AnyDecision):
        into["decision", row.type, ""] += 1
    if isinstance(record, Dispatched):
        into["dispatched", record.receiver.agent, ""] += 1
    elif isinstance(record, Refused):
        into["refusal", record.gate, record.rule] += 1
    elif isinstance(record, TaskEnded):
        into["task", record.outcome, ""] += 1
