"""One handoff as the log has it: delegated, judged, done and accepted, record by record."""

from typing import Any

from msgspec.structs import replace

from seamwork.agent.trace import child_of
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.wire import TRACEPARENT, Received
from seamwork.testing.builders import NOW, carried, received

ROOT_TRACE = child_of(None, "h-1")
WORK = {"topic": "inbox.extractor.v1"}


def said(tag: str, after_ms: int, *, trace: str | None = ROOT_TRACE, **fields: Any) -> Received[AnyEnvelope]:
    """Make a record of the story, so many milliseconds after it began."""
    found = received(tag, appended_at=NOW + after_ms, **fields)
    if trace is None:
        return found
    headers = (*found.raw.headers, (TRACEPARENT, trace.encode()))
    return replace(found, raw=replace(found.raw, headers=headers), traceparent=trace)


STORY = [
    said("handoff", 0),
    said("verdict", 3),
    said("verdict", 4, gate="cost-cap"),
    said("dispatched", 6, at="0/10"),
    said("work", 8, at="0/3", **WORK),
    said("progress", 10, at="0/1"),
    said("verdict", 12, crossing="p-1", subject="0/1"),
    said("noted", 13, crossing="p-1", subject="0/1", what="progress", at="0/11"),
    said("result", 50, at="0/2", stamp=carried(), trace=child_of(ROOT_TRACE, "r-1"),
         spent={"micro_usd": 1_500_000, "input_tokens": 7, "output_tokens": 3}),
    said("verdict", 55, crossing="r-1", subject="0/2"),
    said("accepted", 60, subject="0/2", at="0/12"),
    said("answer", 62, at="0/0", topic="inbox.planner.v1"),
    said("task-ended", 63, at="0/13"),
]  # fmt: skip
"""One handoff, delegated, done and accepted."""
