"""Draw up the list of tasks; pure."""

from seamwork.platform.views import TaskLine
from seamwork.records.crossing import Handoff
from seamwork.records.decision import TaskEnded
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.wire import Malformed, Received
from seamwork_audit_sink.names import agent_name

STATES = ("running", "complete", "partial", "failed", "cancelled", "expired", "refused")


def task_line(
    begun: Received[AnyEnvelope] | Malformed,
    ended: Received[AnyEnvelope] | Malformed | None,
    refused: Received[AnyEnvelope] | Malformed | None,
) -> TaskLine | None:
    """
    Return the line of one task, without what is counted in it.

    Args:
        begun: Its first handoff.
        ended: The record of its end, null while there is none.
        refused: The decision that refused the first handoff, null where there is none.
    """
    if not isinstance(begun, Received) or not isinstance(begun.record, Handoff):
        return None
    handoff = begun.record
    line = TaskLine(
        task=handoff.task,
        state="running" if refused is None else "refused",
        initiator=agent_name(handoff.source),
        intent=handoff.intent,
        begun_at=begun.raw.appended_at,
        ended_at=None if refused is None else refused.raw.appended_at,
        drill=handoff.drill is not None,
    )
    if not isinstance(ended, Received) or not isinstance(ended.record, TaskEnded):
        return line
    end = ended.record
    return TaskLine(
        task=line.task,
        state=end.outcome,
        initiator=line.initiator,
        intent=line.intent,
        begun_at=line.begun_at,
        ended_at=ended.raw.appended_at,
        spent_micro_usd=end.spent_micro_usd,
        drill=line.drill,
    )
