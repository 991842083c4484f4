"""What people read of a payload is plain and short, whatever an agent put into it."""

import pytest

from seamwork.testing.builders import decision, result
from seamwork_approval_workflow.answers import answer_summary


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
