"""Turn what the router says into records: each by its event alone."""

from collections.abc import Sequence

from seamwork.decider import Forward, Output, Publish, SetAside
from seamwork_router import events as ev
from seamwork_router.scene import inbox_topic

DECISIONS = "decisions.v1"


def outputs(event: ev.Event) -> Sequence[Output]:
    """Return the records that *event* publishes; most events are remembered and not said."""
    match event:
        case ev.Decided(decision=decision):
            return (
                Publish(
                    topic=DECISIONS,
                    key=decision.task or "",
                    record=decision,
                    partition=event.partition,
                    trace_of=event.trace_of,
                ),
            )
        case ev.WorkIssued(work=work):
            return (Forward(inbox_topic(work.agent), work.task, work, event.source, event.children),)
        case ev.AnswerForwarded(answer=answer):
            return (Forward(inbox_topic(answer.agent), answer.task, answer, event.source),)
        case ev.NoticeGiven(notice=notice):
            topic = inbox_topic(notice.agent)
            return (Publish(topic, notice.task, notice, signed=True, trace_of=event.trace_of),)
        case ev.RecordSetAside():
            return (
                SetAside(
                    event.topic, event.source, event.digest, event.gate, event.rule, event.reason, event.at
                ),
            )
        case _:
            return ()
