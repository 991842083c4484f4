"""Examples are made of whatever somebody published, so making them ends soon whatever that is."""

from typing import Any

import pytest

from seamwork.contracts.compare import covers
from seamwork.contracts.tangle import tangled

NAMES = [f"f{number}" for number in range(50)]
THEMSELVES: dict[str, Any] = {name: {"$ref": "#"} for name in NAMES}


def nested(schema: dict[str, Any], *, levels: int) -> dict[str, Any]:
    """Make a list of a thousand lists of a thousand lists, and so on."""
    for _ in range(levels):
        schema = {"type": "array", "minItems": 1000, "items": schema}
    return schema


def demanded(*, levels: int) -> dict[str, Any]:
    """Make a type of which all fields must be there, and all fields of those."""
    defs: dict[str, Any] = {f"d{levels}": {"type": "integer"}}
    for level in range(levels):
        below = {name: {"$ref": f"#/$defs/d{level + 1}"} for name in NAMES}
        defs[f"d{level}"] = {"type": "object", "required": NAMES, "properties": below}
    return {"$ref": "#/$defs/d0", "$defs": defs}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "string", "pattern": "((){1000}){1000}"}, id="nothing, a million times"),
        pytest.param({"type": "string", "pattern": "(?:(?:(?:a{0}){1000}){1000}){1000}"}, id="nor a letter"),
        pytest.param(
            {
                "type": "object",
                "properties": THEMSELVES,
                "allOf": [{"properties": {name: {"minProperties": 0} for name in NAMES}}],
            },
            id="fields of their own kind, said twice",
        ),
        pytest.param(
            {"type": "array", "prefixItems": [*THEMSELVES.values()]}, id="entries of their own kind"
        ),
        pytest.param(nested({"type": "integer"}, levels=3), id="a thousand million entries"),
        pytest.param(demanded(levels=5), id="three hundred million fields"),
        pytest.param({"type": "integer", "maximum": 10**400}, id="no float is so large"),
        pytest.param({"type": "number", "minimum": -(10**400)}, id="nor so small"),
    ],
)
def test_what_is_small_to_write_is_soon_compared(schema: dict[str, Any]) -> None:
    """A gate that makes examples for hours, or ends over one, judges nothing."""
    assert not tangled(schema)
    assert "yes" == covers({"type": ["array", "number", "object", "string"]}, schema).answer
