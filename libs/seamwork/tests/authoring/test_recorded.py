"""What is taken for a sample is one question and the answer to that very question."""

from typing import Any

import pytest

from seamwork.authoring.recorded import Crossed
from seamwork.testing.builders import received


def asked(name: str, step: str = "extract") -> Any:
    """Write a handoff."""
    return received("handoff", id=name, step=step, payload={"asked": name})


def answered(name: str, outcome: str = "success") -> Any:
    """Write an answer to a handoff."""
    return received("result", id=f"of-{name}", parent=name, outcome=outcome, payload={"answered": name})


@pytest.mark.parametrize(
    ("records", "question", "answer"),
    [
        ([asked("a"), answered("a"), asked("b")], "a", "of-a"),
        ([asked("a"), asked("b"), answered("a"), answered("b", "error")], "a", "of-a"),
        ([asked("a"), asked("b"), answered("b"), answered("a")], "a", "of-a"),
        ([asked("a"), answered("a"), asked("a")], "a", "of-a"),
        ([asked("a"), asked("b")], "b", None),
        ([asked("a", "other"), answered("a")], None, None),
    ],
    ids=[
        "asked again",
        "failed the second time",
        "answered last",
        "sent twice",
        "unanswered",
        "another step",
    ],
)
def test_an_answer_belongs_to_its_question(
    records: list[Any], question: str | None, answer: str | None
) -> None:
    """A step may be handed on many times, in a fan-out for one; their payloads are not mixed."""
    crossed = Crossed("extract")
    for record in records:
        crossed.take(record)
    found = crossed.last()

    assert (question, answer) == tuple(one and one.record.id for one in found)
