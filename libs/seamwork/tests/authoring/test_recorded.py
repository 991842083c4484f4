"""What is taken for a sample is one question and the answer to that very question."""

from typing import Any

import pytest

from seamwork.authoring.recorded import Crossed, masked
from seamwork.catalog import Catalog
from seamwork.testing.builders import received
from seamwork.testing.documents import document


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


@pytest.mark.parametrize(("named", "versions", "seen"), [
    ("1.0.0", None, {"name": "left-pad", "person": "Ada"}),
    ("1.0.0", ">=1 <2", {"name": "left-pad", "person": "***"}),
    ("1.0.5", ">=1 <2", {"name": "left-pad", "person": "***"}),
])  # fmt: skip
def test_what_is_hidden_is_said_by_the_version_that_it_crossed_under(
    named: str, versions: str | None, seen: Any
) -> None:
    """Its sender leaves a choice, and names a version that marks nothing, or one that there is not."""

    def contract(version: str, **mark: str) -> Any:
        fields = {"name": {"type": "string"}, "person": {"type": "string", **mark}}
        return document("Contract", "facts", version, input={"schema": {"properties": fields}})

    taker = document("Agent", "parser", accepts=[{"contract": "facts", "versions": ">=1 <2"}])
    catalog = Catalog.of([contract("1.0.0"), contract("1.1.0", **{"x-sensitive": "pii"}), taker])
    crossed = received(
        "handoff", contract=f"facts@{named}", contract_versions=versions, target={"agent": "parser"},
        payload={"name": "left-pad", "person": "Ada"},
    )  # fmt: skip

    assert seen == masked(catalog, crossed, "input")
