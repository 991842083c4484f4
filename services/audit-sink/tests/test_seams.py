"""Seams are measured from what was decided: counts, latencies, what followed a failure, who stands above itself."""

from typing import Any

from seamwork.records.base import tag_of
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.wire import Received
from seamwork.seams.measured import Followed
from seamwork.testing.builders import NOW, received
from seamwork_audit_sink.seams import Reading, measures


def reading(*records: Received[AnyEnvelope]) -> Reading:
    """Let records be read by type, as the archive does."""
    return lambda types: [one for one in records if tag_of(one.record) in types]


def test_a_seam_is_counted_timed_and_proven() -> None:
    """One handoff is dispatched and answered, another one refused; the second task still runs."""
    records = [
        received("handoff", at="0/0"),
        received("handoff", at="0/1", id="h-2", task="t-2"),
        received("dispatched", at="0/0", appended_at=NOW + 10),
        received("accepted", at="0/1", answers="h-1", appended_at=NOW + 40),
        received("refused", at="0/2", crossing="h-2", task="t-2", kind="handoff", rule="schema"),
        received("task-ended", at="0/3"),
    ]

    (seam,) = measures(reading(*records))

    assert (2, 1, 1, 1) == (seam.handoffs, seam.dispatched, seam.success, seam.refused)
    assert (("schema", 1),) == seam.rules
    assert (30, 30, NOW + 40) == (seam.p50_ms, seam.p99_ms, seam.proven_at)
    assert ("t-2",) == seam.running


def test_what_followed_a_failure_is_kept_and_a_repeat_counts_once() -> None:
    """A timeout that was retried and then put before somebody."""
    closed: dict[str, Any] = {"why": "timeout", "final": False, "dispatch": "w-1"}
    records = [
        received("handoff", at="0/0"),
        received("handoff", at="0/1"),
        received("dispatched", at="0/0"),
        received("refused", at="0/0", crossing="h-1", subject="0/1", kind="handoff", rule="repeat"),
        received("closed", at="0/1", **closed),
        received("judge-again", at="0/2", why="retry"),
        received("escalated", at="0/3", why="timeout", to="head"),
    ]

    (seam,) = measures(reading(*records))

    assert (1, 1, 1) == (seam.handoffs, seam.late, seam.escalated)
    assert (0, (), None) == (seam.refused, seam.rules, seam.refused_at)
    assert ("head",) == seam.escalated_to
    assert (
        Followed(why="timeout", what="escalate", times=1),
        Followed(why="timeout", what="retry", times=1),
    ) == seam.followed
