"""Hold what all gates do alike: hear that they are to judge again, and say what they found."""

from collections.abc import Callable

from seamwork.decider.outputs import Publish
from seamwork.records.decision import JudgeAgain
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Position, Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Received


def vote(verdict: Verdict) -> Publish:
    """Publish a verdict in its gate's topic, to the partition of its subject."""
    subject = verdict.subject
    return Publish(
        f"verdicts.{verdict.gate}.v1",
        verdict.task or "",
        verdict,
        partition=subject.partition,
        trace_of=subject.position,
    )


def asked_again(gate: str) -> Callable[[Received[AnyEnvelope]], Position | None]:
    """Return what names the crossing that must be at hand: the one that *gate* is asked to judge again."""

    def needs_crossing(received: Received[AnyEnvelope]) -> Position | None:
        match received.record:
            case JudgeAgain(gates=gates, subject=Subject() as subject) if gate in gates:
                return subject.position
            case _:
                return None

    return needs_crossing
