from typing import Any

import pytest

from seamwork.documents import Place
from seamwork.rules import CROSSING_VARIABLES, RESULT_VARIABLES
from seamwork.rules.typed import TypedRules

LINE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"qty": {"type": "integer"}, "price": {"type": "number"}},
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "count": {"type": "integer"},
        "kind": {"enum": ["a", "b"]},
        "at": {"type": "string", "format": "date-time"},
        "until": {"type": "string", "format": "date-time"},
        "note": {"type": ["string", "null"]},
        "anything": {},
        "open": {"type": "object", "properties": {"x": {"type": "integer"}}},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "not-a-word": {"type": "integer"},
    },
    "$defs": {"line": LINE},
}
CLOSED = {**SCHEMA, "properties": {name: s for name, s in SCHEMA["properties"].items() if "-" not in name}}  # type: ignore[attr-defined]  # a mapping
SEEN = TypedRules({"this": CLOSED, "request": LINE}, RESULT_VARIABLES)


@pytest.mark.parametrize(
    ("expression", "column", "words"),
    [
        ("this.cuont == 1", 5, "no field 'cuont'; did you mean 'count'?"),
        ("this.lines.all(l, l.qyt > 0)", 20, "no field 'qyt'; did you mean 'qty'?"),
        ("this.lines[0].prise > 1.0", 14, "no field 'prise'; did you mean 'price'?"),
        ("request.qtty == 1", 8, "no field 'qtty'"),
        ("this.count > 'x'", 12, "'>' does not go with (int, string)"),
        ("this.kind == 1", 11, "'==' does not go with (string, int)"),
        ("this.at > this.until", 9, "wrap both in timestamp()"),
        ("this.at == '2026-01-01T00:00:00Z'", 9, "wrap both in timestamp()"),
        ("this.lines.all(l, l.qty * l.price > 1.0)", 25, "does not go with (int, double)"),
    ],
)
def test_a_slip_is_found_with_its_column(expression: str, column: int, words: str) -> None:
    """What the schema alone can show."""
    (problem,) = SEEN.problems("r", expression, Place("f.yaml"), "$")

    assert column == problem.place.column
    assert words in str(problem)


@pytest.mark.parametrize(
    "expression",
    [
        "this.count == 1",
        "this.count < 1.5",
        "this.kind in ['a', 'b']",
        "timestamp(this.at) > timestamp(this.until)",
        "timestamp(this.at) > now",
        "this.at.startsWith('2026')",
        "has(this.note) && this.note == null",
        "this.note.startsWith('x')",
        "this.anything.at.all > 3",
        "this.open.undeclared == 3",
        "'count' in this",
        "this['count'] == 1",
        "sum(this.lines.map(l, l.qty)) <= this.count",
        "this.lines == []",
        "size(this.lines) > 0 && this.lines.exists_one(l, l.price > 1.0)",
        "task.whatever == envelope.whatever",
        "request.qty == this.count",
        "request == null",
    ],
)
def test_what_works_at_run_time_is_left_alone(expression: str) -> None:
    """A false alarm would teach authors to look away."""
    assert [] == list(SEEN.problems("r", expression, Place("f.yaml"), "$"))


def test_what_describes_two_fields_is_seen_in_both() -> None:
    """And in itself: a line that holds lines is described once, however deep a rule looks."""
    line = {**LINE, "properties": {**LINE["properties"], "within": {"$ref": "#/$defs/line"}}}  # type: ignore[dict-item]  # a mapping
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"first": {"$ref": "#/$defs/line"}, "last": {"$ref": "#/$defs/line"}},
        "$defs": {"line": line},
    }
    seen = TypedRules({"this": schema}, CROSSING_VARIABLES)

    for field in ("first", "last", "last.within.within"):
        (problem,) = seen.problems("r", f"this.{field}.qyt > 0", Place("f.yaml"), "$")
        assert "no field 'qyt'" in str(problem)


def test_an_object_with_a_field_that_is_no_word_is_left_open() -> None:
    """Such a field can only be reached by ``this['not-a-word']``, so the whole object stays a map."""
    seen = TypedRules({"this": SCHEMA}, ("this",))

    assert [] == list(seen.problems("r", "this.cuont == 1", Place("f.yaml"), "$"))


OPEN_FORM = {"properties": {"b": {"type": "integer"}}}
CLOSED_FORM = {"properties": {"a": {"type": "integer"}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"type": "object", "anyOf": [CLOSED_FORM, OPEN_FORM]}, False),
        ({"type": "object", "anyOf": [CLOSED_FORM, CLOSED_FORM]}, True),
        ({"type": "object", "allOf": [CLOSED_FORM, OPEN_FORM]}, True),
        ({"type": "object", "if": {"required": ["a"]}, "then": CLOSED_FORM}, False),
        ({"type": "object", "dependentSchemas": {"a": CLOSED_FORM}}, False),
        ({"type": "object", "$ref": "#/$defs/x", "$defs": {"x": CLOSED_FORM}}, True),
        ({"type": "object", "anyOf": [{"$ref": "#/$defs/x"}], "$defs": {"x": OPEN_FORM}}, False),
    ],
)
def test_a_field_is_unknown_only_where_every_form_is_closed(schema: Any, *, found: bool) -> None:
    """One form that takes further fields takes this one, too, and the rule is right about it."""
    typed = TypedRules({"this": schema}, CROSSING_VARIABLES)

    assert found is bool(list(typed.problems("r", "!has(this.c) || this.c == 1", Place("f.yaml"), "$")))


def test_a_schema_may_go_down_a_thousand_levels() -> None:
    """Whoever checks a contract may stand deep in calls of its own: all come to the same all the same."""
    defs: dict[str, Any] = {
        f"d{level}": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"a": {"$ref": f"#/$defs/d{level + 1}"}},
        }
        for level in range(999)
    }
    schema = {"$ref": "#/$defs/d0", "$defs": {**defs, "d999": {"type": "integer"}}}
    seen = TypedRules({"this": schema}, CROSSING_VARIABLES)

    (problem,) = seen.problems("r", "has(this.a.a.a.b)", Place("f.yaml"), "$")

    assert "no field 'b'" in str(problem)
