"""
Write down as a schema what is admitted where undeclared fields are stripped.

What is judged then is what is left. So an undeclared field may hold anything, also one that a later version
declares: what was stripped before is held against a schema from then on.
"""

from copy import deepcopy
from typing import Literal

from seamwork.documents.canonical import canonical_json
from seamwork.rules.walk import LISTS, MAPS, SINGLES, Schema, mapping, of_property, subschemas

_PLAIN = frozenset({
    "$schema", "$id", "$ref", "$comment", "$defs", "definitions", "title", "description", "default", "deprecated",
    "readOnly", "writeOnly", "examples", "contentEncoding", "contentMediaType", "confluent:tags", "type",
    "properties", "patternProperties", "additionalProperties", "required", "items", "prefixItems", "minItems",
    "maxItems", "enum", "const", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minLength", "maxLength", "pattern", "format",
})  # fmt: skip
"""Keywords that say the same of a value whether something is stripped from it or not, apart from closing it."""
_NAMING = frozenset({*MAPS, *LISTS, *SINGLES, "$ref", "required", "dependentRequired"})
"""Keywords that speak of fields, or lead to those that do."""
_BESIDE_A_NAME = ("$defs", "definitions", "patternProperties")
"""Keywords that may say more of a field than stands by its name."""
_BESIDE_A_REFERENCE = frozenset({"properties", "patternProperties", "additionalProperties"})


def admitted(schema: Schema, undeclared: Literal["refuse", "strip"]) -> Schema | None:
    """
    Return the schema of what is admitted, undeclared fields and all.

    Args:
        schema: The promise's own.
        undeclared: What becomes of fields that it does not describe.

    Returns:
        None where no schema can say it: several forms may describe one value, or its fields are counted.
    """
    if undeclared == "refuse":
        return schema
    return _opened(schema) if all(_is_plain(part) for _, part in subschemas(schema)) else None


def strip_the_same(one: Schema, other: Schema) -> bool:
    """Say whether both schemas speak of the same fields everywhere, whatever they demand of them."""
    return canonical_json(_names_alone(one)) == canonical_json(_names_alone(other))


def leave_the_same(one: Schema, other: Schema, fields: frozenset[str] | None) -> bool:
    """Say whether of each of *fields* (null: of all) the same is left, whichever of the two it is stripped by."""
    if fields == frozenset() or strip_the_same(one, other):
        return True
    bare = _names_alone(one), _names_alone(other)
    if fields is None or any(bare[0].get(k, {}) != bare[1].get(k, {}) for k in _BESIDE_A_NAME):
        return False
    first, second = (mapping(schema, "properties") for schema in bare)
    return all(name in first and first[name] == second.get(name) for name in fields)


def strips_nothing(schema: Schema, fields: frozenset[str] | None) -> bool:
    """Say whether *fields* (null: all) are delivered whole, whatever the schema admits."""
    described = [[schema]] if fields is None else [of_property([schema], name) for name in fields]
    if not all(described):
        return False
    parts = [part for some in described for each in some for _, part in subschemas(each)]
    if any("$ref" in part for part in parts):
        parts = [part for _, part in subschemas(schema)]
    return all(
        _is_plain(part) and ("additionalProperties" in part or not _names_some(part)) for part in parts
    )


def _names_some(schema: Schema) -> bool:
    return "properties" in schema or "patternProperties" in schema


def _names_alone(schema: Schema) -> Schema:
    bare = deepcopy(schema)
    for _, part in list(subschemas(bare)):
        for keyword in part.keys() - _NAMING:
            del part[keyword]
    return bare


def _is_plain(schema: Schema) -> bool:
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(listed, list) and any(isinstance(value, dict | list) for value in listed):
        return False
    beside = "$ref" in schema and bool(_BESIDE_A_REFERENCE & schema.keys())
    return not beside and all(keyword in _PLAIN or keyword.startswith("x-") for keyword in schema)


def _opened(schema: Schema) -> Schema:
    """Return a plain schema that says nowhere that no further field may be there."""
    opened = deepcopy(schema)
    for _, part in list(subschemas(opened)):
        if part.get("additionalProperties") is False and _describes_what_it_demands(part):
            del part["additionalProperties"]
    return opened


def _describes_what_it_demands(schema: Schema) -> bool:
    """Say so, because what is demanded is never stripped: where it is not described it is refused."""
    wanted = schema.get("required", [])
    return isinstance(wanted, list) and all(
        isinstance(name, str) and of_property([schema], name) for name in wanted
    )
