"""
Find schemas whose validation can multiply: small to write, and for ever to run.

``{"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}}`` holds a value of depth 64 against 2^64
schemas. So the schemas that apply to one value are counted, with every repetition, along all steps into a value,
until nothing new is met or there are too many.
"""

from typing import Any

from seamwork.rules.walk import ALL_OF_THEM, SAME_VALUE, Schema, mapping, of_entry, of_property, resolve

MAX_AT_ONCE = 200
"""Schemas that may apply to one value; a union of a hundred forms is already hard to read."""
MAX_STEPS = 2000
"""Different sets of schemas that may be met on the way through a value."""
MAX_SLOW = 500
"""What of them is slow to compare with one value: a payload holds a hundred thousand, which takes seconds then."""
MAX_DEPENDENT = 1000
"""Names on which others depend: each value is asked for each of them, 0.7 s in a payload of nothings."""
_FRACTION = 10
"""A fraction takes 1.4 microseconds to be compared, ten times as much as others."""
_BOUNDS = ("multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum")
_TWICE, _AGAIN = 2, 3
"""Where a schema asks for fields that nothing described, the engine validates anew to know; more so within."""

_UNDECLARED = "\0"


def tangled(root: Any) -> bool:
    """Say whether validating against *root* could multiply beyond what any contract needs."""
    return most_faults(root) is None


def most_faults(root: Any) -> int | None:
    """Return how much there is at most to find fault with in one value; None where *root* is tangled."""
    most = 0
    first = _expanded(root, [root])
    if first is None:
        return None
    waiting = [first]
    seen = {_key(first)}
    while waiting:
        current = waiting.pop()
        most = max(most, sum(map(_faults, current)))
        dependent = sum(len(mapping(schema, "dependentRequired")) for schema in current)
        if sum(map(_slowness, current)) > MAX_SLOW or dependent > MAX_DEPENDENT:
            return None
        for below in _steps(current):
            schemas = _expanded(root, below)
            if schemas is None:
                return None
            key = _key(schemas)
            if schemas and key not in seen:
                seen.add(key)
                waiting.append(schemas)
                if len(seen) > MAX_STEPS:
                    return None
    return most


def _slowness(schema: Schema) -> int:
    """Return what comparing a value with the numbers and lists in *schema* costs; texts are looked up."""
    bounds = [schema[keyword] for keyword in _BOUNDS if isinstance(schema.get(keyword), float)]
    fractions = [schema["const"], *bounds] if isinstance(schema.get("const"), float) else bounds
    listed = schema.get("enum")
    kinds = {type(entry) for entry in listed} if isinstance(listed, list) else set()
    if not isinstance(listed, list) or kinds <= {str, type(None)} or kinds == {int}:
        return len(fractions) * _FRACTION
    return len(fractions) * _FRACTION + sum(_FRACTION if float in kinds else 1 for _ in listed)


def _faults(schema: Schema) -> int:
    """Return how much *schema* itself may say of one value: a keyword one thing, of missing fields each is one."""
    required, dependent = schema.get("required"), schema.get("dependentRequired")
    names = [required, *(dependent.values() if isinstance(dependent, dict) else ())]
    return len(schema) + sum(len(one) for one in names if isinstance(one, list))


def _expanded(root: Any, schemas: list[Any]) -> list[Schema] | None:
    """Return every schema that *schemas* lead to on the same value, as often as they do; None past the limit."""
    found: list[Schema] = []
    bare = 0  # forms that are only true or false take their time as well
    stack = [(schema, False) for schema in schemas if isinstance(schema, dict)]
    while stack:
        schema, within = stack.pop()
        found.append(schema)
        if len(found) + bare > MAX_AT_ONCE:
            return None
        below: list[Any] = []
        if isinstance(schema.get("$ref"), str):
            below.append(resolve(root, schema["$ref"]))
        for keyword in ALL_OF_THEM:
            below += schema[keyword] if isinstance(schema.get(keyword), list) else []
        below += [schema[keyword] for keyword in SAME_VALUE if keyword in schema]
        dependent = schema.get("dependentSchemas")
        below += dependent.values() if isinstance(dependent, dict) else []
        asks = "unevaluatedProperties" in schema or "unevaluatedItems" in schema
        times = 1 if not asks else _AGAIN if within else _TWICE
        stack += [(entry, asks or within) for entry in below if isinstance(entry, dict)] * times
        bare += times * sum(isinstance(entry, bool) for entry in below)
    return found if len(found) + bare <= MAX_AT_ONCE else None


def _steps(schemas: list[Schema]) -> list[list[Any]]:
    """Return what applies one step further: to each field and entry that is named, to any other, and to names."""
    names = {name for s in schemas if isinstance(s.get("properties"), dict) for name in s["properties"]}
    names |= {_UNDECLARED}
    length = max(
        (len(s["prefixItems"]) for s in schemas if isinstance(s.get("prefixItems"), list)), default=0
    )
    patterns = [
        entry
        for schema in schemas
        if isinstance(schema.get("patternProperties"), dict)
        for entry in schema["patternProperties"].values()
    ]
    fields = [of_property(schemas, name) for name in sorted(names)]
    named = [schema["propertyNames"] for schema in schemas if "propertyNames" in schema]
    return [*fields, patterns, named, *(of_entry(schemas, index) for index in range(length + 1))]


def _key(schemas: list[Schema]) -> tuple[int, ...]:
    return tuple(sorted(id(schema) for schema in schemas))
