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
        received(
            "refused",
            at="0/2",
            crossing="h-2",
            task="t-2",
            kind="handoff",
            rule="schema",
            appended_at=NOW + 50,
        ),
        received("task-ended", at="0/3"),
    ]

    (seam,) = measures(reading(*records))

    assert (2, 1, 1, 1) == (seam.handoffs, seam.dispatched, seam.success, seam.refused)
    assert (("schema", 1),) == seam.rules
    assert (30, 30, NOW + 40, NOW + 50) == (seam.p50_ms, seam.p99_ms, seam.proven_at, seam.refused_at)
    assert ("t-2",) == seam.running


def test_what_leaves_a_choice_counts_under_the_version_that_it_went_under() -> None:
    """Its sender names one version and takes others; ``impact`` and ``ready`` ask about those that are at work."""
    named: dict[str, Any] = {"contract": "licence-facts@1.0.0", "contract_versions": ">=1 <2"}
    later: dict[str, Any] = {"contract": "licence-facts@1.1.0"}
    records = [
        received("handoff", at="0/0", **named),
        received("handoff", at="0/1", id="h-2", task="t-2", **named),
        received("handoff", at="0/2", id="h-3", task="t-3", contract="licence-facts@1.0.0"),
        received("dispatched", at="0/0", **later),
        received("refused", at="0/1", crossing="h-2", task="t-2", subject="0/1", kind="handoff", **later),
        received("dispatched", at="0/2", crossing="h-3", task="t-3", subject="0/2", dispatch="w-3"),
    ]

    old, new = measures(reading(*records))

    assert [("1.0.0", 1, ("t-3",)), ("1.1.0", 2, ("t-1",))] == [
        (one.version, one.handoffs, one.running) for one in (old, new)
    ]
    assert (1, 1) == (new.dispatched, new.refused)


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


def test_only_what_was_dispatched_is_late() -> None:
    """A case that nobody resolved, and work that ran out of time while it waited, were at no receiver."""
    records = [
        received("handoff", at="0/0"),
        received("handoff", at="0/1", id="h-2"),
        received("dispatched", at="0/0"),
        received("closed", at="0/1", why="timeout", dispatch="w-1", final=False),
        received("escalated", at="0/2", why="timeout", to="head", case="c-1"),
        received("closed", at="0/3", why="expired", dispatch="c-1", rule="case-expired"),
        received("closed", at="0/4", crossing="h-2", subject="0/1", why="expired"),
    ]

    (seam,) = measures(reading(*records))

    assert 1 == seam.late


def test_what_accompanies_work_is_neither_handoff_nor_answer() -> None:
    """Progress that is refused, a plan too, is no answer that broke the contract."""
    records = [
        received("handoff", at="0/0"),
        received("dispatched", at="0/0"),
        *(
            received("refused", at=f"0/{n}", crossing=f"x-{n}", subject=f"0/{n}", dispatch="w-1", kind=kind)
            for n, kind in enumerate(("progress", "usage", "plan", "unreadable"), 1)
        ),
    ]

    (seam,) = measures(reading(*records))

    assert (0, 0, (), None) == (seam.refused, seam.answers_refused, seam.rules, seam.refused_at)


def test_work_counts_at_its_own_seam_though_another_took_its_id_first() -> None:
    """Ids can be guessed; what was refused for that proves nothing at the seam that it claimed."""
    records = [
        received("handoff", at="0/0", source="mallory", target="mole", parent="h-0"),
        received("handoff", at="0/1"),
        received("handoff", at="0/2"),
        received("refused", at="0/0", subject="0/0", kind="handoff", rule="not-the-source"),
        received("dispatched", at="0/1", subject="0/1"),
        received("refused", at="0/2", subject="0/2", kind="handoff", rule="repeat"),
        received("accepted", at="0/3", subject="0/4", answers="h-1"),
    ]

    forged, real = measures(reading(*records))

    assert ("mallory", "planner") == (forged.source, real.source)
    assert (1, 1, 0, 0, None) == (
        forged.handoffs,
        forged.refused,
        forged.dispatched,
        forged.success,
        forged.proven_at,
    )
    assert (1, 0, 1, 1) == (real.handoffs, real.refused, real.dispatched, real.success)


def test_latencies_are_told_by_nearest_rank() -> None:
    """Of twenty the nineteenth is not exceeded by 95 in a hundred, the tenth by half, the last by 99."""
    records = [
        one
        for number in range(20)
        for one in (
            received("handoff", at=f"0/{number}", id=f"h-{number}"),
            received(
                "dispatched", at=f"0/{2 * number}", crossing=f"h-{number}", dispatch=f"w-{number}",
                appended_at=NOW + number,
            ),
            received(
                "accepted", at=f"0/{2 * number + 1}", answers=f"h-{number}", dispatch=f"w-{number}",
                appended_at=NOW + number + 10 * (number + 1),
            ),
        )
    ]  # fmt: skip

    (seam,) = measures(reading(*records))

    assert (100, 190, 200) == (seam.p50_ms, seam.p95_ms, seam.p99_ms)
    assert 20 == seam.most_per_task


def test_an_answer_counts_at_the_seam_of_its_handoff() -> None:
    """Under its own outcome where it was accepted; where it was refused, by the dispatch that it was for."""
    records = [
        received("handoff", at="0/0"),
        received("handoff", at="0/1", id="r-1", source="reader"),
        received("dispatched", at="0/0"),
        received("refused", at="0/1", crossing="r-0", kind="result", dispatch="w-1", rule="schema"),
        received("refused", at="0/2", crossing="r-0", kind="result", dispatch="w-9", rule="schema"),
        received("accepted", at="0/3", outcome="partial", spent={"micro_usd": 5}, appended_at=NOW + 4),
        received("overrun", at="0/4"),
        received("held", at="0/5", appended_at=NOW + 2),
    ]

    seam, other = measures(reading(*records))

    assert (1, 0, 1, 0) == (seam.answers_refused, seam.refused, seam.partial, seam.success)
    assert (1, 1, NOW + 2, NOW + 4) == (seam.overrun, seam.held, seam.asked_at, seam.spent_at)
    assert (None, (("schema", 1),), NOW + 4) == (seam.proven_at, seam.rules, seam.last_at)
    assert ("reader", 1, 0) == (other.source, other.handoffs, other.partial)


def test_what_is_said_of_the_work_counts_at_the_seam_that_it_crossed() -> None:
    """A report over the ceiling, a plan and an answer that wait for people, an answer of a desk."""
    records = [
        received("handoff", at="0/0"),
        received("plan", at="0/1", stamp={}),
        received("result", at="0/2", stamp={}),
        received("result", at="0/3", id="r-9", parent="h-9", stamp={}),
        received("dispatched", at="0/0"),
        received("held", at="0/1", crossing="pl-1", subject="0/1", appended_at=NOW + 1),
        received("held", at="0/2", crossing="r-1", subject="0/2", appended_at=NOW + 2),
        received("held", at="0/3", crossing="r-9", subject="0/3", appended_at=NOW + 9),
        received("overrun", at="0/4", crossing="u-1", subject="0/4"),
        received("closed", at="0/5", dispatch="w-1", why="overrun", final=False),
        received("escalated", at="0/6", why="overrun", to="head", case="c-1"),
        received(
            "refused", at="0/7", crossing="r-2", subject="0/5", kind="result", dispatch="c-1", rule="schema"
        ),
        received("closed", at="0/8", dispatch="c-1", why="expired", rule="expired"),
    ]

    (seam,) = measures(reading(*records))

    assert (2, NOW + 2) == (seam.held, seam.asked_at)
    assert (1, 1, 0) == (seam.overrun, seam.answers_refused, seam.late)


def test_a_task_came_a_way_as_often_as_it_was_handed_on_there() -> None:
    """As the router counts against `atMost`: not what it refused, nor what it tried again."""
    records = [
        *(received("handoff", at=f"0/{number}", id=f"h-{number}") for number in range(4)),
        received("dispatched", at="0/0", crossing="h-0"),
        received("closed", at="0/1", crossing="h-0", dispatch="w-1", why="timeout", final=False),
        received("dispatched", at="0/2", crossing="h-0", subject="0/0#2", dispatch="w-2", dispatch_number=2),
        received("dispatched", at="0/3", crossing="h-1", subject="0/1", dispatch="w-3"),
        received("refused", at="0/4", crossing="h-2", subject="0/2", rule="edge-at-most"),
        received("refused", at="0/5", crossing="h-3", subject="0/3", rule="schema"),
    ]

    (seam,) = measures(reading(*records))

    assert (4, 3, 2) == (seam.handoffs, seam.dispatched, seam.most_per_task)


def test_a_task_that_was_refused_does_not_run() -> None:
    """Nobody is told of its end where nobody proved to have begun it; sent again, it may run all the same."""
    records = [
        received("handoff", at="0/0"),
        received("handoff", at="0/1"),
        received("handoff", at="0/2", id="h-2", task="t-2"),
        received("handoff", at="0/3", id="h-2", task="t-2"),
        received("handoff", at="0/4", id="h-3", task="t-3", parent="h-0", stamp={}),
        received("handoff", at="0/5", id="h-4", task="made-up", parent="h-0", stamp={}),
    ]
    refused: dict[str, Any] = {"kind": "handoff", "rule": "gate-silent"}
    records += [
        received("refused", at="0/0", subject="0/0", crossing="h-1", task="t-1", **refused),
        received("refused", at="0/1", subject="0/1", crossing="h-1", task="t-1", **refused),
        received("refused", at="0/2", subject="0/2", crossing="h-2", task="t-2", **refused),
        received("refused", at="0/5", subject="0/5", crossing="h-4", task="made-up", **refused),
    ]

    (seam,) = measures(reading(*records))

    assert ("t-2", "t-3") == seam.running


def test_what_a_drill_did_is_told_at_the_seam_that_it_tries_and_as_nothing_else() -> None:
    """When somebody was asked last, and whether they answered; nobody's work crossed there."""
    drill: dict[str, Any] = {"drill": True, "dispatch": None}
    records = [
        received("handoff", at="0/0", source="operator", drill={"in_place_of": "planner"}),
        received("escalated", at="0/1", why="violation", case="c-1", drill=True, appended_at=NOW + 1),
        received("closed", at="0/2", rule="case-resolved", appended_at=NOW + 2, **drill),
        received("closed", at="0/3", rule="case-expired", appended_at=NOW + 3, **drill),
    ]

    (seam,) = measures(reading(*records))

    assert ("planner", 1, 0, 0) == (seam.source, seam.drills, seam.handoffs, seam.escalated)
    assert (NOW + 1, NOW + 2, NOW + 3) == (
        seam.drilled_at,
        seam.drill_answered_at,
        seam.drill_unanswered_at,
    )


def test_whoever_gets_work_again_that_came_from_it_reenters() -> None:
    """However far above; a ring of parents, which a forger may draw, ends."""
    records = [
        received("handoff", at="0/0", parent="h-3"),
        received("handoff", at="0/1", id="h-2", parent="h-1"),
        received("handoff", at="0/2", id="h-3", parent="h-2"),
        received("dispatched", at="0/0", receiver="extractor"),
        received("dispatched", at="0/1", crossing="h-2", dispatch="w-2", receiver="reader"),
        received("dispatched", at="0/2", crossing="h-3", dispatch="w-3", receiver="extractor"),
    ]

    (seam,) = measures(reading(*records))

    assert (3, 1, ("extractor@1.0.0", "reader@1.0.0")) == (seam.dispatched, seam.reentries, seam.receivers)
