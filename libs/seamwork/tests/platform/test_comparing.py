"""What two gates said of the same crossings, held side by side."""

from typing import Any

import pytest

from seamwork.platform.backtest import Recorded
from seamwork.platform.comparing import Compared, compared
from seamwork.records.verdict import Verdict
from seamwork.testing.builders import NOW, received

OLD, NEW = "policy-engine", "policy-next"
ALLOW: dict[str, Any] = {"outcome": "ALLOW", "rule": "fits"}
ADA = {"agent": "ada", "version": "1.0.0"}
BOB = {"agent": "bob", "version": "1.0.0"}


def recorded(*lines: tuple[dict[str, Any] | None, dict[str, Any] | None], step: int = 100) -> Recorded:
    """Return a log in which each crossing comes *step* ms after the one before, with what both gates said of it."""
    found = Recorded()
    for number, line in enumerate(lines):
        crossing = received("handoff", at=f"0/{number}", id=f"h-{number}", appended_at=NOW + step * number)
        found.inputs.append(crossing)
        found.crossings[0, number] = crossing
        for gate, said in zip((OLD, NEW), line, strict=True):
            if said is None:
                continue
            took = said.get("took", 10)
            fields = {name: value for name, value in said.items() if name != "took"}
            verdict = received("verdict", gate=gate, subject=f"0/{number}", crossing=f"h-{number}", **fields)
            assert isinstance(verdict.record, Verdict)
            found.said.setdefault(gate, {})[0, number, 1] = verdict.record
            found.said_at.setdefault(gate, {})[0, number, 1] = NOW + step * number + took
    return found


def of(*lines: tuple[dict[str, Any] | None, dict[str, Any] | None]) -> Compared:
    """Compare what is recorded so."""
    return compared(recorded(*lines), NEW, OLD)


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        pytest.param(ALLOW, {**ALLOW, "rule": "other"}, None, id="by another rule"),
        pytest.param(ALLOW, {"outcome": "DENY"}, ("outcome",), id="refused"),
        pytest.param(
            {"outcome": "DENY", "candidates": [ADA]}, {"outcome": "DENY", "candidates": []}, None, id="both refused"
        ),
        pytest.param(
            {**ALLOW, "constraints": [{"name": "tone", "value": "calm"}]}, ALLOW, ("constraints",), id="less told"
        ),
        pytest.param({**ALLOW, "candidates": [ADA]}, ALLOW, None, id="no word on whom"),
        pytest.param(
            {**ALLOW, "candidates": [ADA, BOB]}, {**ALLOW, "candidates": [BOB, ADA]}, None, id="in another order"
        ),
        pytest.param(
            {**ALLOW, "candidates": [ADA]}, {**ALLOW, "candidates": [BOB]}, ("candidates",), id="somebody else"
        ),
        pytest.param(
            {"outcome": "REQUIRE_APPROVAL", "approvers": [{"roles": ["host"]}]},
            {"outcome": "REQUIRE_APPROVAL", "approvers": [{"roles": ["guest"]}]},
            ("approvers",),
            id="asks others",
        ),
        pytest.param(
            {"outcome": "THROTTLE", "not_before": NOW + 1000},
            {"outcome": "THROTTLE", "not_before": NOW + 1003},
            None,
            id="for some milliseconds longer",
        ),
    ],
)  # fmt: skip
def test_alike_is_what_comes_to_the_same(
    old: dict[str, Any], new: dict[str, Any], differs: tuple[str, ...] | None
) -> None:
    """Of the crossing, not of the words: a rule's name is a gate's own affair."""
    found = of((old, new))

    assert 1 == found.both
    assert ([] if differs is None else [differs]) == [one.differs for one in found.otherwise]
    assert (100.0 if differs is None else 0.0) == found.agreement


def test_who_says_nothing_does_not_agree() -> None:
    """A gate that is away would be taken for one that is always of the same mind."""
    found = of((ALLOW, ALLOW), (ALLOW, None), (None, ALLOW), (ALLOW, ALLOW))

    assert (2, 1, 1) == (found.both, found.gate.silent, found.beside.silent)
    assert 50.0 == found.agreement


def test_what_was_before_both_and_what_is_on_its_way_count_for_nobody() -> None:
    """A gate that was brought in later had not missed it; of the last crossings one is faster than the other."""
    found = of((ALLOW, None), (ALLOW, None), (ALLOW, ALLOW), (ALLOW, ALLOW), (ALLOW, None))

    assert (2, 0, 0, 100.0) == (found.both, found.gate.silent, found.beside.silent, found.agreement)
    assert (NOW + 200, NOW + 300) == (found.since, found.until)


def test_nothing_in_common_is_no_agreement() -> None:
    """Nor is nothing at all."""
    for found in (of(), of((ALLOW, None)), of((None, ALLOW))):
        assert (0, 0.0, None) == (found.both, found.agreement, found.since)
        assert (None, None) == (found.gate.p50_ms, found.beside.p99_ms)


def test_how_long_each_took_is_told_of_what_came_while_it_was_there() -> None:
    """Who begins with a day's backlog judges it late; that is not how long it takes."""
    late = {**ALLOW, "took": 1_000}
    found = of(*[(ALLOW, late)] * 10, *[(ALLOW, {**ALLOW, "took": 20})] * 90)

    assert (10.0, 20.0) == (found.beside.p50_ms, found.gate.p99_ms)


def test_a_difference_names_its_task_and_both_sides() -> None:
    """So that somebody can look."""
    (one,) = of((ALLOW, {"outcome": "DENY", "rule": "shouting", "reason": "too loud"})).otherwise

    assert ("h-0", "ALLOW fits", "DENY shouting", "too loud", NOW) == (
        one.crossing, f"{one.beside.outcome} {one.beside.rule}", f"{one.gate.outcome} {one.gate.rule}",
        one.gate.reason, one.at,
    )  # fmt: skip
    assert one.task
    assert "planner -> " in one.seam
