"""What machines and gates do alike: a step, a dead letter, a vote, and what they are asked again."""

from typing import Any

import pytest
from msgspec import structs

from seamwork.decider import CatalogChanged, SetAside, Tick, TooMuch, WithCrossing, set_aside
from seamwork.decider.gates import MOST_REASON, asked_again, shortened, vote
from seamwork.decider.inputs import kind_of
from seamwork.records.decision import JudgeAgain
from seamwork.records.parties import DocumentRef, Position, Revision, Subject
from seamwork.records.verdict import Verdict, Warned
from seamwork.records.wire import Malformed, RawRecord, Received, compose, read
from seamwork.testing.builders import PLATFORM, envelope

SUBJECT = Subject(partition=3, offset=7, digest="d", attempt=2)
VERDICT = Verdict(
    task="t-1", subject=SUBJECT, gate="cost-cap", gate_version="1.0.0", outcome="DENY", rule="over-budget",
    reason="asks 5, 4 left", revision=Revision(), judged_at=1,
    warnings=(Warned(rule="r", reason="x", would="deny"),),
    consulted=(DocumentRef(kind="Budget", name="b", version="1"),),
)  # fmt: skip


def received(record: Any, topic: str = "decisions.v1") -> Received[Any]:
    """Read a record as it comes from the log."""
    out = compose(PLATFORM, topic, "t-1", record)
    found = read(RawRecord(topic, 2, 9, 1, out.key, out.value, out.headers), PLATFORM)
    assert isinstance(found, Received)
    return found


def judge_again(*gates: str, subject: Subject | None = SUBJECT) -> Received[Any]:
    """Let the router ask gates to judge anew."""
    made = envelope("judge-again")
    assert isinstance(made, JudgeAgain)
    return received(structs.replace(made, gates=gates, subject=subject))


BROKEN = Malformed(
    raw=RawRecord("handoffs.v1", 3, 7, 1, None, b"", ()), digest="d", rule="no-key", reason="none"
)


@pytest.mark.parametrize(
    ("given", "source", "kind"),
    [
        (judge_again("cost-cap"), Position(partition=2, offset=9), "judge-again"),
        (WithCrossing(judge_again("cost-cap"), BROKEN), Position(partition=2, offset=9), "judge-again"),
        (BROKEN, Position(partition=3, offset=7), "malformed"),
        (Tick(), None, "tick"),
        (CatalogChanged(revision=Revision()), None, "catalog-changed"),
    ],
    ids=["a record", "with its crossing", "what cannot be read", "a tick", "a change"],
)
def test_what_is_too_much_is_a_dead_letter_where_it_is_a_record(
    given: Any, source: Position | None, kind: str
) -> None:
    """With where it lies and its digest, so that its bytes can be read again; what comes from no topic is none."""
    much = TooMuch(given, 9_000_000)
    found = set_aside(much, "router", 5)

    assert kind == kind_of(given) == kind_of(much)
    if source is None:
        assert None is found
    else:
        assert isinstance(found, SetAside)
        assert much.record is not None
        assert (much.record.raw.topic, source, much.record.digest, "router", "too-much", 5) == (
            found.topic, found.source, found.digest, found.gate, found.rule, found.set_aside_at
        )  # fmt: skip
        assert "9000000 bytes" in found.reason


def test_a_gate_needs_the_crossing_that_it_is_asked_to_judge_again() -> None:
    """And none where others are asked, where nothing is named, or of another decision."""
    needs = asked_again("cost-cap")

    assert SUBJECT.position == needs(judge_again("policy-engine", "cost-cap"))
    assert None is needs(judge_again("policy-engine"))
    assert None is needs(judge_again("cost-cap", subject=None))
    assert None is needs(received(envelope("accepted")))


def test_only_the_router_asks_a_gate_to_judge_again() -> None:
    """What any agent may write among crossings names none, however it calls itself."""
    asked = judge_again("cost-cap").record

    assert None is asked_again("cost-cap")(received(asked, "handoffs.v1"))


@pytest.mark.parametrize("length", [MOST_REASON, MOST_REASON + 1])
def test_a_vote_goes_to_the_partition_of_its_subject_with_as_much_reason_as_fits(length: int) -> None:
    """Whatever its key: the router reads them side by side."""
    sent = vote(structs.replace(VERDICT, reason="x" * length))

    assert ("verdicts.cost-cap.v1", "t-1", 3, SUBJECT.position) == (
        sent.topic, sent.key, sent.partition, sent.trace_of
    )  # fmt: skip
    assert isinstance(sent.record, Verdict)
    assert "x" * MOST_REASON + ("…" if length > MOST_REASON else "") == sent.record.reason
    assert "" == vote(structs.replace(VERDICT, task=None)).key


def test_a_vote_that_fits_into_no_record_keeps_what_counts() -> None:
    """And says what was left out."""
    short = shortened(VERDICT)

    assert structs.replace(VERDICT, reason=short.reason, warnings=(), consulted=()) == short
    assert (
        "asks 5, 4 left (left out, for there is no room: 1 warnings and 1 documents that were consulted)"
        == short.reason
    )
