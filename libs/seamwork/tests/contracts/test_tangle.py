from typing import Any

import pytest

from seamwork.contracts.tangle import tangled

TWICE = {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}


def _doubling(steps: int, *, inside: bool) -> dict[str, Any]:
    """Make a schema whose parts each refer twice to the next, one step deeper or on the same value."""
    defs: dict[str, Any] = {f"d{steps}": {"type": "object"}}
    for index in range(steps):
        both = {"allOf": [{"$ref": f"#/$defs/d{index + 1}"}, {"$ref": f"#/$defs/d{index + 1}"}]}
        defs[f"d{index}"] = {"properties": {"a": both}} if inside else both
    return {"$ref": "#/$defs/d0", "$defs": defs}


def _asking(levels: int) -> dict[str, Any]:
    """Make a schema that asks on many levels, of one value, what nothing described."""
    schema: dict[str, Any] = {"properties": {"a": {}}}
    for _ in range(levels):
        schema = {"allOf": [schema], "unevaluatedProperties": False}
    return schema


def _asking_below(levels: int) -> dict[str, Any]:
    """Make a schema that asks on many levels of a value, and offers forms on each."""
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"anyOf": [{"properties": {"a": schema}}], "unevaluatedProperties": False}
    return schema


_REFERRED = {"$ref": "#/$defs/d0"}
_DEFS = _doubling(30, inside=False)["$defs"]


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"properties": {"a": TWICE}}, id="recursion-twice"),
        pytest.param({"items": {"oneOf": TWICE["allOf"]}}, id="recursion-in-branches"),
        pytest.param({"patternProperties": {"^x": TWICE}}, id="recursion-in-patterns"),
        pytest.param({"prefixItems": [True, TWICE]}, id="recursion-in-first-entries"),
        pytest.param(_doubling(30, inside=False), id="thirty-doublings-on-one-value"),
        pytest.param({"propertyNames": _REFERRED, "$defs": _DEFS}, id="thirty-doublings-on-a-fields-name"),
        pytest.param(_doubling(30, inside=True), id="thirty-doublings-on-the-way-down"),
        pytest.param(
            {
                "$ref": "#/$defs/x",
                "$defs": {
                    name: {"properties": {"a": {"allOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/y"}]}}}
                    for name in "xy"
                },
            },
            id="two-that-need-each-other-twice",
        ),
        pytest.param(_asking(20), id="what-nothing-described-asked-on-twenty-levels"),
        pytest.param(_asking_below(15), id="what-nothing-described-asked-on-the-way-down"),
        pytest.param({"items": {"enum": [{"a": index} for index in range(10_000)]}}, id="many-objects"),
        pytest.param({"items": {"enum": [index + 0.5 for index in range(10_000)]}}, id="many-fractions"),
        pytest.param(
            {"anyOf": [{"const": index + 0.5} for index in range(190)]}, id="a-fraction-for-each-form"
        ),
        pytest.param({"items": {"anyOf": [*[False] * 10_000, True]}}, id="many-forms-that-nothing-fits"),
        pytest.param(
            {"dependentSchemas": {f"p{index}": True for index in range(10_000)}},
            id="many-fields-that-bring-nothing-in",
        ),
        pytest.param(
            {"items": {"dependentRequired": {f"p{index}": ["a"] for index in range(10_000)}}},
            id="many-fields-that-need-another",
        ),
    ],
)
def test_what_multiplies_is_found(schema: dict[str, Any]) -> None:
    """Each of these would hold one deep value against more schemas than there is time for."""
    assert tangled(schema)


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({}, id="anything"),
        pytest.param({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}, id="a-binary-tree"),
        pytest.param({"items": {"anyOf": [{"type": "string"}, {"$ref": "#"}]}}, id="nested-lists"),
        pytest.param({"oneOf": [{"const": index} for index in range(100)]}, id="a-hundred-forms"),
        pytest.param(
            {**_asking(3), "oneOf": [{"const": i} for i in range(70)]}, id="asking-what-no-form-has"
        ),
        pytest.param({"enum": [None, *(f"word {index}" for index in range(10_000))]}, id="many-words"),
        pytest.param({"enum": ["a", None, 1, 2.5], "minimum": 0.5}, id="a-few-of-each"),
        pytest.param({"enum": [index / 2 for index in range(50)]}, id="fifty-rates"),
        pytest.param(
            {"properties": {f"p{index}": {"type": "number"} for index in range(1000)}}, id="many-fields"
        ),
        pytest.param(
            {"dependentRequired": {f"p{index}": ["a", "b"] for index in range(200)}}, id="fields-in-pairs"
        ),
    ],
)
def test_what_only_looks_so_is_left_alone(schema: dict[str, Any]) -> None:
    """Trees, unions and wide objects are contracts that people write."""
    assert not tangled(schema)
