import copy
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from seamwork.contracts.numbers import plan_numbers

NUMBER = {"type": "number"}
INTEGER = {"type": "integer"}


def typed(schema: dict[str, Any], value: Any) -> Any:
    """Apply the plan of *schema*."""
    plan = plan_numbers(schema)
    return value if plan is None else plan.apply(value)


def test_numbers_get_the_type_that_the_schema_names() -> None:
    """Through properties, other properties, entries, first entries, references and branches."""
    schema = {
        "properties": {
            "price": NUMBER,
            "count": INTEGER,
            "free": {},
            "note": {"type": "string"},
            "rates": {"additionalProperties": NUMBER},
            "lines": {"items": {"$ref": "#/$defs/line"}},
            "pair": {"prefixItems": [INTEGER, NUMBER], "items": NUMBER},
            "either": {"anyOf": [{"type": "null"}, NUMBER]},
        },
        "$defs": {"line": {"properties": {"price": NUMBER, "parts": {"items": {"$ref": "#/$defs/line"}}}}},
    }
    value = {
        "price": 10, "count": 2.0, "free": 3, "note": "x", "rates": {"a": 1}, "pair": [1.0, 2, 3], "either": 4,
        "lines": [{"price": 5, "parts": [{"price": 6}]}],
    }  # fmt: skip

    found = typed(schema, value)

    assert (
        b'{"price":10.0,"count":2,"free":3,"note":"x","rates":{"a":1.0},"pair":[1,2.0,3.0],"either":4.0,'
        b'"lines":[{"price":5.0,"parts":[{"price":6.0}]}]}'
    ) == orjson.dumps(found)


def test_a_declared_property_does_not_take_the_type_of_the_others() -> None:
    """``additionalProperties`` speaks only of what is not declared."""
    schema = {"properties": {"id": {"type": "string"}}, "additionalProperties": NUMBER}

    assert orjson.dumps(typed(schema, {"id": 1, "x": 1})) == b'{"id":1,"x":1.0}'


def test_a_schema_without_numbers_costs_nothing() -> None:
    """There is no plan to walk."""
    assert (
        plan_numbers({"properties": {"a": {"type": "string"}, "b": {"items": {"type": "boolean"}}}}) is None
    )


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_typing_a_number_never_changes_its_value(number: float) -> None:
    """What a double cannot hold stays an integer; what is no integer stays a double."""
    assert number == typed(NUMBER, number)
    assert number == typed(INTEGER, number)
    assert isinstance(typed(NUMBER, number), float) or abs(number) > 2**53


ENTRIES = (
    st.none() | st.integers(-3, 3) | st.sampled_from([1.0, 2.5, -0.0, 2.0**60, 2**60]) | st.text(max_size=2)
)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), ENTRIES | st.dictionaries(st.sampled_from("ab"), ENTRIES))
)
def test_fields_are_typed_alike_whether_they_are_looked_for_or_passed_by(value: dict[str, Any]) -> None:
    """Few of many are looked for by name, many of few as they come; what is absent stays absent."""
    below = {"properties": {"a": INTEGER, "z": NUMBER}}
    few = {"properties": {"a": INTEGER, "b": NUMBER, "c": below, "d": {"type": "string"}}}
    many = {"properties": {**few["properties"], **{f"other-{n}": NUMBER for n in range(20)}}}

    expected = {name: _by_hand(name, entry) for name, entry in value.items()}

    assert orjson.dumps(expected) == orjson.dumps(typed(few, copy.deepcopy(value)))
    assert orjson.dumps(expected) == orjson.dumps(typed(many, copy.deepcopy(value)))


def _by_hand(name: str, entry: Any) -> Any:
    if name == "c" and isinstance(entry, dict):
        return {key: _by_hand("a" if key == "a" else "", below) for key, below in entry.items()}
    if name == "a" and isinstance(entry, float) and entry.is_integer() and abs(entry) <= 2**53:
        return int(entry)
    if name == "b" and type(entry) is int and abs(entry) <= 2**53:
        return float(entry)
    return entry


def test_each_pattern_gives_its_own_type() -> None:
    """A field gets the type of the pattern that its name fits, and no other field's."""
    schema = {
        "properties": {"id": {"type": "string"}},
        "patternProperties": {"^n_": NUMBER, "^i_": INTEGER, "^t_": {"type": "string"}},
        "additionalProperties": NUMBER,
    }
    value = {"id": 1, "n_a": 1, "i_a": 1.0, "i_b": 2, "t_a": 3, "other": 4}
    alone = {"patternProperties": {"^n_": NUMBER, "^t_": {"type": "string"}}}

    assert b'{"id":1,"n_a":1.0,"i_a":1,"i_b":2,"t_a":3,"other":4.0}' == orjson.dumps(typed(schema, value))
    assert b'{"n_a":1.0,"t_a":3,"other":4}' == orjson.dumps(typed(alone, {"n_a": 1, "t_a": 3, "other": 4}))


def test_a_schema_may_go_down_a_thousand_levels() -> None:
    """Whoever reads it may stand deep in calls of its own: where it ends there, others read it and go on."""
    defs: dict[str, Any] = {
        f"d{level}": {"properties": {"a": {"$ref": f"#/$defs/d{level + 1}"}, "n": NUMBER}}
        for level in range(1500)
    }
    schema = {"$ref": "#/$defs/d0", "$defs": {**defs, "d1500": NUMBER}}
    assert {"a": {"a": {"n": 1.0}}} == typed(schema, {"a": {"a": {"n": 1}}})
    assert isinstance(typed(schema, {"a": {"a": {"n": 1}}})["a"]["a"]["n"], float)
