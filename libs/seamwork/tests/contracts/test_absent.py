"""A rule that takes an optional field for granted is known before the crossing that it would refuse."""

from typing import Any

import pytest

from seamwork.contracts.absent import Absent
from seamwork.contracts.described import Described
from seamwork.rules.cel import environment
from seamwork.rules.ruleset import RESULT_VARIABLES

LINE = {
    "type": "object",
    "required": ["q"],
    "properties": {"q": {"type": "integer"}, "n": {"type": "string"}},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["sure", "lines", "map", "form", "some"],
    "properties": {
        "sure": {"type": "integer"},
        "opt": {"type": "integer"},
        "part": {"type": "object", "properties": {"deep": {"type": "integer"}}},
        "lines": {"type": "array", "items": LINE},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        "form": {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        "some": {"type": "object", "minProperties": 1},
    },
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("this.sure > 1", []),
        ("this.opt > 1", ["this.opt"]),
        ("this.sure > 1 || this.opt > 1", ["this.opt"]),
        ("has(this.opt) && this.opt > 1", []),
        ("this.opt > 1 && has(this.opt)", []),
        ("this.sure > 1 && this.opt > 1 && has(this.opt)", []),
        ("!has(this.opt) || this.opt > 1", []),
        ("!has(this.opt) || this.sure > 1 || this.opt > 1", []),
        ("!(has(this.opt) && this.opt > 1)", []),
        ("has(this.opt) || this.opt > 1", ["this.opt"]),
        ("!has(this.opt) && this.opt > 1", ["this.opt"]),
        ("has(this.opt) ? this.opt > 1 : true", []),
        ("has(this.opt) ? true : this.opt > 1", ["this.opt"]),
        ("!has(this.opt) ? true : this.opt > 1", []),
        ("(has(this.opt) ? this.opt : 0) == 0", []),
        ("(has(this.opt) || has(this.part)) && this.opt > 1", ["this.opt"]),
        ("'opt' in this && this.opt > 1", []),
        ("this.part.deep > 1", ["this.part", "this.part.deep"]),
        ("has(this.part.deep) && this.part.deep > 1", ["this.part"]),
        ("has(this.part) && has(this.part.deep) && this.part.deep > 1", []),
        ("this.map['k'] > 1", ["this.map.k"]),
        ("'k' in this.map && this.map['k'] > 1", []),
        ("this.form.a == 1", []),  # a form demands it; which one it is cannot be told
        ("this.some.a == 1", []),
        ("this.lines.all(l, l.q > 1)", []),
        ("this.lines.all(l, l.n == '')", ["l.n"]),
        ("this.lines.all(l, has(l.n) && l.n == '')", []),
        ("this.lines.filter(l, has(l.n)).all(l, l.n == '')", []),
        ("has(this.opt) && this.lines.all(l, l.q > this.opt)", []),
        ("has(this.opt) && this.lines.map(this, this.q).size() > this.opt", []),
        ("this.lines[0].n == ''", ["this.lines[…].n"]),
        ("cel.bind(p, this.part, has(p.deep) && p.deep > 1)", ["this.part"]),
        ("has(this.part) && cel.bind(p, this.part, has(this.part.deep) && p.deep > 1)", []),
        ("has(request.opt) && this.opt > request.opt", ["this.opt"]),
        ("envelope.steps == 1 && task.anything == 2", []),  # nothing is known of them here
        ("this.opt >", []),  # reported where rules are compiled
    ],
)
def test_a_field_that_need_not_be_there_is_asked_for_first(expression: str, expected: list[str]) -> None:
    """Either side of a condition may ask; a field is taken for granted only where the schema demands it."""
    described = Described({"this": SCHEMA, "request": SCHEMA}, RESULT_VARIABLES)
    absent = Absent(described, environment(RESULT_VARIABLES))

    assert expected == [message.split(" ")[0] for _, message, _ in absent.faults(expression)]


def test_the_finding_stands_at_the_field() -> None:
    """Line and column of the dot before it, in a rule of several lines."""
    absent = Absent(Described({"this": SCHEMA}, ("this",)), environment(("this",)))

    assert [("rule-absent-field", (2, 5))] == [
        (code, place) for code, _, place in absent.faults("this.sure > 1 &&\nthis.opt > 1")
    ]


def test_conditions_of_conditions_are_followed_once() -> None:
    """Each level doubled what was asked of the one below; 28 of them, which compile, took hours."""
    expression = "has(this.opt)"
    for number in range(28):
        expression = f"({expression} ? this.sure > {number} : this.sure == {number})"
    absent = Absent(Described({"this": SCHEMA}, ("this",)), environment(("this",)))

    assert [] == list(absent.faults(expression))
    assert ["this.opt"] == [
        message.split(" ")[0]
        for _, message, _ in absent.faults(expression.replace("has(this.opt)", "this.opt > 1"))
    ]
