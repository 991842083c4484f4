"""What people read of a payload is plain and short, whatever an agent put into it."""

from typing import cast

import pytest

from seamwork.records.crossing import Plan
from seamwork.testing.builders import decision, envelope, result
from seamwork_approval_workflow.answers import answer_summary
from seamwork_approval_workflow.plans import plan_summary


def proposed(payload: object) -> str:
    """Return what a person reads that the answer says."""
    held = decision("held", receiver="planner").record
    return answer_summary(result(stamp={}).record, held, payload).proposed  # type: ignore[arg-type]  # it is held


@pytest.mark.parametrize("char", ["\x1b", "\x07", "\x9b", "\u202e", "\u2028", "\ud800"])
def test_a_payload_commands_nobodys_terminal(char: str) -> None:
    """Neither by escapes nor by turning the line around."""
    assert char not in proposed({"note": f"fine{char}[2J"})


def test_a_long_answer_is_cut_and_says_so() -> None:
    """The rest is in the record; a line of fifteen hundred characters is as much as anybody reads."""
    whole, cut = proposed("x" * 1_498), proposed("x" * 1_499)

    assert whole.endswith('x"')
    assert cut.endswith("x…")
    assert len(whole) + 1 == len(cut)


def test_a_plan_commands_nobodys_terminal_either() -> None:
    """Its author names the subtasks; a name may be anything, and as long."""
    named = {"step": f"\x1b[2Jread{'x' * 1_000}", "contract": "licence-facts@1.0.0", "target": "reader"}
    said = plan_summary(cast("Plan", envelope("plan", subtasks=[named]))).proposed

    assert "\x1b" not in said
    assert "�[2Jread" in said
    assert len(said) < 500
