"""What is cut out of a payload, and that everything else keeps its bytes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwork.contracts.projection import cut, delivered, pruned, too_much, undeclared
from seamwork.contracts.schema import Checker
from seamwork.ids import sha256_hex

LINE = {"type": "object", "properties": {"sum": {"type": "number"}}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "any": True,
        "open": {"type": "object"},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "either": {"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]},
        "said": {"properties": {"a": {}}, "additionalProperties": True},
    },
    "$defs": {"line": LINE},
}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"name": "x"}, ()),
        ({"name": "x", "iban": 1, "a~b/c": 2}, ("/iban", "/a~0b~1c")),
        ({"lines": [{"sum": 1}, {"sum": 2, "vat": 3}]}, ("/lines/1/vat",)),
        ({"any": {"deep": {"er": 1}}, "open": {"x": 1}, "map": {"y": "z"}}, ()),
        ({"either": {"a": 1, "b": 2, "c": 3}}, ("/either/c",)),
        ({"said": {"a": 1, "c": 3}}, ()),
        ("no object", ()),
    ],
)
def test_undeclared_is_what_no_part_of_the_schema_describes(value: Any, wanted: tuple[str, ...]) -> None:
    """Free-form objects, and those that say outright that they take more, keep what they have."""
    assert wanted == undeclared(SCHEMA, value)


CONDITION: dict[str, Any] = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}},
    "if": {
        "properties": {"kind": {"const": "cash"}, "of": {"properties": {"deep": {}}}},
        "required": ["kind"],
    },
    "then": {"required": ["amount", "till"]},
    "not": {"properties": {"amount": {"const": 0}, "free": {"const": True}}, "required": ["amount", "free"]},
}


@pytest.mark.parametrize(
    ("schema", "value", "wanted"),
    [
        (CONDITION, {"kind": "cash", "amount": 1, "till": 7, "free": False, "x": 1}, ("/x",)),
        (CONDITION, {"amount": 1, "of": {"deep": 1, "er": 2}}, ()),
        ({"properties": {"a": {}}, "required": ["b"]}, {"a": 1, "b": 2, "c": 3}, ("/c",)),
        ({"properties": {"a": {}}, "dependentRequired": {"a": ["b"]}}, {"a": 1, "b": 2, "c": 3}, ("/c",)),
        ({"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"c": 3}, ()),
    ],
)
def test_what_is_asked_for_is_not_cut_out(schema: Any, value: Any, wanted: tuple[str, ...]) -> None:
    """Without it the schema would come to another answer than on what was sent."""
    assert wanted == undeclared(schema, value)


def test_a_condition_is_judged_by_what_was_sent() -> None:
    """Cut out, the field that it asks for would leave the demand behind it unasked."""
    value = {"kind": "cash", "amount": 1}

    assert not Checker(CONDITION).fits(value)
    assert not Checker(CONDITION).fits(pruned(value, undeclared(CONDITION, value)))


@pytest.mark.parametrize(
    ("payload", "projection", "left"),
    [
        (b'{"a": 1.10, "x": [2, {"b": "}"}], "c": 1e2}', ("/x",), b'{"a": 1.10,"c": 1e2}'),
        (b'{"a":[ {"x":1} , {"b":2.0 , "x":3} ]}', ("/a/1/x",), b'{"a":[ {"x":1} , {"b":2.0} ]}'),
        (b'{"a\\u0062":1,"x":"\\\\\\""}', ("/ab",), b'{"x":"\\\\\\""}'),
        (b'{"x":1}', ("/x",), b"{}"),
        (b' {"a":1, "b":2} ', ("/c", "/a/b"), b'{"a":1, "b":2}'),
        ('{"ü":"ß","x":1}'.encode(), ("/x",), '{"ü":"ß"}'.encode()),
        (b"[1, 2]", (), b"[1, 2]"),
    ],
)
def test_what_is_kept_keeps_its_bytes(payload: bytes, projection: tuple[str, ...], left: bytes) -> None:
    """No number is rounded and no text written otherwise; only members go, with what stood around them."""
    assert left == cut(payload, projection)


_NAMES = st.sampled_from(["name", "lines", "any", "either", "x", "a~b", "c/d", 'q"', "ü"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(_NAMES, below, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    value=st.dictionaries(_NAMES, _VALUES, max_size=5), indent=st.sampled_from([None, 1]), ascii=st.booleans()
)
def test_cutting_bytes_is_leaving_fields_out(value: dict[str, Any], indent: int | None, ascii: bool) -> None:  # noqa: FBT001, A002  # a law's inputs
    """Whatever is sent in whatever layout: what is delivered holds the same values and nothing undeclared."""
    payload = json.dumps(value, indent=indent, ensure_ascii=ascii).encode("utf-8", "surrogatepass")
    projection = undeclared(SCHEMA, value)
    left = cut(payload, projection)

    assert pruned(value, projection) == json.loads(left)
    assert () == undeclared(SCHEMA, json.loads(left))
    assert left == cut(left, projection)


def test_what_is_delivered_is_named_by_both_digests() -> None:
    """Whoever has the payload and the projection comes to the same bytes."""
    part = delivered(b'{"a":1,"x":2}', ("/x",))

    assert (sha256_hex(b'{"a":1}'), 7, sha256_hex(b'{"a":1,"x":2}')) == (
        part.sha256,
        part.bytes,
        part.sent_sha256,
    )


def test_a_stamp_names_only_so_much() -> None:
    """What would fill the stamp is refused instead."""
    assert not too_much(tuple(f"/{number}" for number in range(64)))
    assert too_much(tuple(f"/{number}" for number in range(65)))
    assert too_much(("/" + "x" * 5000,))


FREE: dict[str, Any] = {
    "type": "object",
    "properties": {"u": {"type": "object", "properties": {"a": {}}}},
    "additionalProperties": {"type": "array", "items": {"type": "object", "properties": {"b": {}}}},
}
FORMS: dict[str, Any] = {
    "items": {"anyOf": [{"type": "object", "properties": {f"k{number}": {}}} for number in range(95)]}
}
LONG_NAME = "x" * 2_000_000


def test_behind_a_long_name_no_more_is_named_than_can_be_cut_out() -> None:
    """A pointer holds the names of all that it goes through: tens of thousands of these are gigabytes."""
    assert too_much(undeclared(FREE, {LONG_NAME: [{"a": 1}] * 30_000}))


def test_a_long_name_is_not_written_once_for_each_value_behind_it() -> None:
    """What is cut out lies elsewhere."""
    value = {"u": {"a": 1, "b": 2}, LONG_NAME: [{}] * 80_000}
    assert {"u": {"a": 1}, LONG_NAME: [{}] * 80_000} == pruned(value, ["/u/b"])
    assert {"u": {"a": 1}, LONG_NAME: [{}] * 80_000} == json.loads(cut(json.dumps(value).encode(), ["/u/b"]))


def test_many_forms_of_many_entries_are_looked_through_once() -> None:
    """Ninety-five forms, two fields and half a million entries are no hundred million steps."""
    assert () == undeclared(FORMS, [{"k1": 1, "k2": 2}] * 500_000)
