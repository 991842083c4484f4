"""A rule that could run out of steps is known before the crossing that it would refuse."""

from typing import Any

import pytest

from seamwork.contracts.described import Described
from seamwork.contracts.loops import Loops
from seamwork.rules.cel import environment
from seamwork.rules.ruleset import RESULT_VARIABLES

ENTRY = {"type": "object", "properties": {
    "q": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string", "maxLength": 9}}}}  # fmt: skip
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "lines": {"type": "array", "maxItems": 200, "items": ENTRY},
        "few": {"type": "array", "maxItems": 9, "items": {"$ref": "#/$defs/three"}},
        "open": {"type": "array", "items": {"$ref": "#/$defs/three"}},
        "text": {"type": "string"},
        "code": {"type": "string", "maxLength": 9},
        "codes": {"type": "array", "maxItems": 1000, "items": {"type": "string"}},
        "numbers": {"type": "array", "items": {"type": "integer"}},
        "entries": {"type": "array", "maxItems": 9000, "items": {"type": "string"}},
    },
    "$defs": {"three": {"type": "array", "maxItems": 3}},
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("this.lines.all(l, l.q > 1)", []),
        ("sum(this.lines.filter(l, l.q > 1).map(l, l.q)) > 1", []),
        ("cel.bind(x, this.lines, x.all(y, y.q > 1))", []),
        ("this.lines.all(l, l.tags[0].split('a').all(t, true))", []),
        ("envelope.steps.all(s, s.name != '')", []),
        ("this.open[0].all(o, true)", []),
        ("(size(this.lines) > 3 ? this.few : this.few).all(f, f.all(g, true))", []),
        ("(this.few + this.few).all(f, true)", []),
        ("this.few.all(i, f, size(f) > i)", []),
        ("this.lines.all(l, request.lines.exists(m, m.q == l.q))", [("rule-too-long", 1, 15)]),
        ("[1, 2].all(x,\n  this.lines.all(l, request.lines.all(m, true)))", [("rule-too-long", 1, 11)]),
        ("this.open.all(o, true)", [("rule-unbounded", 1, 5)]),
        ("this.lines.all(l, l.tags.all(t, true))", [("rule-unbounded", 1, 20)]),
        ("this.lines.map(l, l.tags).all(t, t.all(u, true))", [("rule-unbounded", 1, 34)]),
        ("this.text.split(',').all(t, true)", [("rule-unbounded", 1, 16)]),
        ("this.lines.all(l, l.q in this.numbers)", [("rule-too-long", 1, 15)]),
        ("this.lines.all(l, [this.open].all(o, this.lines == o))", [("rule-too-long", 1, 15)]),
        ("this.entries.all(l, !this.text.contains(l))", [("rule-too-long", 1, 17)]),
        ("size(this.entries.map(l, this.text.lowerAscii())) > 1", [("rule-too-long", 1, 51)]),
        ("this.entries.all(l, sum(this.numbers) > 1)", [("rule-too-long", 1, 17)]),
        (
            "this.entries.all(l, cel.bind(t, this.text + this.text, size(t) > 1))",
            [("rule-too-long", 1, 17)],
        ),
        ("cel.bind(t, this.text + 'a', this.entries.all(l, size(t) > 1))", [("rule-too-long", 1, 9)]),
        ("this.lines.all(l, l.tags[0] in this.codes && l.tags[0] == this.text)", []),
        ("this.entries.all(l, size(l) > 1 && size(this.numbers) > 1 && l.contains(this.code))", []),
        (
            "this.lines.all(l, l.q in [1, 2] && this.lines.all(m, l.tags != m.tags))",
            [("rule-too-long", 1, 15)],
        ),
        ("this.lines.all(", []),  # reported where rules are compiled
    ],
)
def test_the_worst_case_is_counted(expression: str, expected: list[tuple[str, int, int]]) -> None:
    """Nested loops multiply; a list without a bound has no worst case; the place is the loop's."""
    loops = Loops(
        Described({"this": SCHEMA, "request": SCHEMA}, RESULT_VARIABLES), environment(RESULT_VARIABLES)
    )

    assert expected == [(code, line, column) for code, _, (line, column) in loops.faults(expression)]
