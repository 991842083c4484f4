"""
Make payloads from a schema with Hypothesis: those at its edges, which it allows, and those one step past them.

The schema's own checker has the last word on what is allowed, so a keyword that is not understood here costs
examples and never a wrong one.
"""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

import orjson
from hypothesis import strategies as st

from seamwork.contracts.samples import samples
from seamwork.contracts.schema import Checker
from seamwork.documents.contract import MAX_PAYLOAD_BYTES
from seamwork.rules.walk import Schema, resolve, types

_DEEPEST = 5
_LONGEST = 40  # beyond it only the limit itself is tried
_LONG = 2000  # a text of its greatest length is tried up to here
_MOST_ENTRIES = 3
_MANY = 1000  # entries: a longer list is more than is made of random bytes
_MATCHES = 8
_PLAIN = 20
_MOST_FIELDS = 50  # that nobody declared
_FAR = 1e9
_INT64 = (1 << 63) - 1
_FORMATS: dict[str, st.SearchStrategy[str]] = {
    "date-time": st.sampled_from(
        ["2026-03-01T09:00:00Z", "1970-01-01T00:00:00+14:00", "2024-02-29T23:59:59.999-12:00"]
    ),
    "date": st.sampled_from(["2026-03-01", "2024-02-29", "0001-01-01"]),
    "time": st.sampled_from(["09:00:00Z", "23:59:59.5+02:00"]),
    "duration": st.sampled_from(["P1D", "PT0S", "P1Y2M3DT4H5M6S"]),
    "email": st.sampled_from(["ada@example.org", "a.b+c@example.org"]),
    "hostname": st.sampled_from(["example.org", "a"]),
    "ipv4": st.sampled_from(["192.0.2.1", "255.255.255.255"]),
    "ipv6": st.sampled_from(["2001:db8::1", "::"]),
    "uri": st.sampled_from(["https://example.org/a?b=c", "urn:x:y"]),
    "uuid": st.uuids().map(str),
}  # fmt: skip
_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3))


def allowed(schema: Any, known: Iterable[Any] = ()) -> st.SearchStrategy[Any]:
    """
    Return payloads that *schema* allows, its edges among the first.

    Args:
        schema: The schema.
        known: Payloads that are there already, for a schema for which none can be made; one that it does not
            allow is left out.
    """
    checker = Checker(schema if isinstance(schema, dict) else {})

    def fits(value: Any) -> bool:
        return _crosses(value) and not checker.findings(value)

    made = _Maker(schema).values(schema, 0).filter(fits)
    plain = [value for value in (*samples(schema, _PLAIN), *known) if fits(value)]
    return made | st.sampled_from(plain) if plain else made


def broken(schema: Any, known: Iterable[Any] = ()) -> st.SearchStrategy[Any]:
    """Return payloads that *schema* allows but for one change."""
    checker = Checker(schema if isinstance(schema, dict) else {})
    made = st.tuples(allowed(schema, known), st.integers(0, _INT64)).map(lambda both: _changed(*both))
    return made.filter(lambda value: _crosses(value) and bool(checker.findings(value)))


def _crosses(value: Any) -> bool:
    """Say whether *value* can be a payload at all: a whole number past 64 bits can stand in a schema alone."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


class _Maker:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._made: dict[tuple[int, int], tuple[Any, st.SearchStrategy[Any]]] = {}

    def values(self, schema: Any, depth: int) -> st.SearchStrategy[Any]:
        """Return what *schema* allows; a type with many fields of its own kind is made once on each level."""
        key = (id(schema), depth)
        if key not in self._made:
            # The schema is kept, so that its id stays its own.
            self._made[key] = (schema, self._values(schema, depth))
        return self._made[key][1]

    def _values(self, schema: Any, depth: int) -> st.SearchStrategy[Any]:
        if not isinstance(schema, dict) or not schema or depth > _DEEPEST:
            return _LEAVES if schema is not False else st.nothing()
        if isinstance(schema.get("$ref"), str):
            rest = {name: value for name, value in schema.items() if name != "$ref"}
            return self.values(_both(rest, resolve(self._root, schema["$ref"])), depth + 1)
        if "const" in schema:
            return st.just(schema["const"])
        if isinstance(schema.get("enum"), list):
            return st.sampled_from(schema["enum"]) if schema["enum"] else st.nothing()
        for keyword in ("anyOf", "oneOf"):
            if isinstance(schema.get(keyword), list):
                rest = {name: value for name, value in schema.items() if name != keyword}
                return st.one_of([self.values(_both(rest, one), depth + 1) for one in schema[keyword]])
        if isinstance(schema.get("allOf"), list):
            whole = {name: value for name, value in schema.items() if name != "allOf"}
            for one in schema["allOf"]:
                whole = _both(whole, one)
            return self.values(whole, depth + 1)
        named = types(schema) or _implied(schema)
        if not named:
            return _LEAVES
        return st.one_of([self._typed(name, schema, depth) for name in named])

    def _typed(self, name: str, schema: Schema, depth: int) -> st.SearchStrategy[Any]:
        match name:
            case "object":
                return self._objects(schema, depth)
            case "array":
                return self._arrays(schema, depth)
            case "string":
                return _texts(schema)
            case "integer":
                return _integers(schema)
            case "number":
                return st.one_of(_integers(schema), _numbers(schema))
            case "boolean":
                return st.booleans()
            case _:
                return st.none()

    def _objects(self, schema: Schema, depth: int) -> st.SearchStrategy[Any]:
        declared = schema.get("properties")
        fields: dict[str, Any] = declared if isinstance(declared, dict) else {}
        needed = [name for name in schema.get("required", []) if isinstance(name, str)]
        made = {
            name: self.values(fields.get(name, {}), depth + 1) for name in dict.fromkeys((*needed, *fields))
        }
        lacking = min(int(schema.get("minProperties", 0)) - len(made), _MOST_FIELDS)
        if lacking > 0:
            further = self.values(schema.get("additionalProperties", {}), depth + 1)
            made |= {f"more-{number}": further for number in range(lacking)}
            needed = list(made)
        optional = {name: made[name] for name in made if name not in needed}
        return st.fixed_dictionaries({name: made[name] for name in needed}, optional=optional)

    def _arrays(self, schema: Schema, depth: int) -> st.SearchStrategy[Any]:
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", max(least, _MOST_ENTRIES)))
        if least > min(most, _MANY):
            return st.nothing()
        first = schema.get("prefixItems")
        head = [self.values(one, depth + 1) for one in first] if isinstance(first, list) else []
        entries = self.values(schema.get("items", {}), depth + 1)
        unique = json.dumps if schema.get("uniqueItems") is True else None
        size = min(most, max(least, _MOST_ENTRIES))
        if entries.is_empty:
            # A list that was empty in every sample: what `head` does not say is not there.
            if least > len(head):
                return st.nothing()
            size = len(head)
        rest = st.lists(
            entries, min_size=max(0, least - len(head)), max_size=max(0, size - len(head)), unique_by=unique
        )
        if not head:
            return rest
        return st.tuples(st.tuples(*head), rest).map(lambda both: [*both[0], *both[1]])


def _texts(schema: Schema) -> st.SearchStrategy[str]:
    if isinstance(schema.get("format"), str) and schema["format"] in _FORMATS:
        return _FORMATS[schema["format"]]
    least = int(schema.get("minLength", 0))
    most = int(schema.get("maxLength", least + _LONGEST))
    if least > min(most, MAX_PAYLOAD_BYTES):
        return st.nothing()
    if isinstance(schema.get("pattern"), str):
        # Made once: to walk through an expression for every payload takes most of a minute.
        made = samples(schema, _MATCHES)
        return st.sampled_from(made) if made else _matching(schema["pattern"])
    short = st.text(st.characters(codec="utf-8"), min_size=least, max_size=min(most, least + _LONGEST))
    limits = ["a" * least, "é" * most] if most <= _LONG else ["a" * least]
    return st.one_of(st.sampled_from(limits), short) if most > 0 else st.just("")


def _matching(pattern: str) -> st.SearchStrategy[str]:
    try:
        return st.from_regex(re.compile(pattern))
    except re.error:
        return st.nothing()  # it is a pattern to whoever judges, and none to Python


def _integers(schema: Schema) -> st.SearchStrategy[int]:
    least, most = _bounds(schema)
    low, high = max(-_INT64 - 1, int(-(-least // 1))), min(_INT64, int(most // 1))
    if low > high:
        return st.nothing()
    step = schema.get("multipleOf")
    inside = st.integers(low, high)
    if isinstance(step, int) and step > 1:
        first, last = -(-low // step), high // step
        return st.integers(first, last).map(lambda number: number * step) if first <= last else st.nothing()
    return st.one_of(st.sampled_from([low, high]), inside)


def _numbers(schema: Schema) -> st.SearchStrategy[float]:
    least, most = _bounds(schema)
    low, high = float(least), float(most)
    # Of a whole number past 53 bits the double beside it may lie outside.
    low = math.nextafter(low, math.inf) if low < least else low
    high = math.nextafter(high, -math.inf) if high > most else high
    return st.floats(low, high, allow_nan=False, allow_infinity=False) if low <= high else st.nothing()


def _bounds(schema: Schema) -> tuple[float, float]:
    above = [schema[word] for word in ("minimum", "exclusiveMinimum") if word in schema]
    below = [schema[word] for word in ("maximum", "exclusiveMaximum") if word in schema]
    least, most = max(above, default=-_FAR), min(below, default=_FAR)
    if not below:
        most = max(most, least + _FAR)
    if not above:
        least = min(least, most - _FAR)
    return least, max(most, least)


def _implied(schema: Schema) -> list[str]:
    if "properties" in schema or "required" in schema:
        return ["object"]
    if "items" in schema or "prefixItems" in schema:
        return ["array"]
    return ["string"] if {"pattern", "format", "maxLength", "minLength"} & schema.keys() else []


def _both(first: Schema, second: Any) -> Schema:
    """Return one schema for two that must both hold, as far as a proposal needs it."""
    if not isinstance(second, dict):
        return first
    merged = {**first, **second}
    for keyword in ("properties", "required"):
        one, other = first.get(keyword), second.get(keyword)
        if isinstance(one, dict) and isinstance(other, dict):
            merged[keyword] = {**one, **other}
        elif isinstance(one, list) and isinstance(other, list):
            merged[keyword] = [*one, *other]
    return merged


def _changed(value: Any, pick: int) -> Any:
    """Return *value* with one thing changed somewhere in it; *pick* says which and how."""
    here = [None, [value], *_others(value)]
    below: list[str | int] = []
    if isinstance(value, dict):
        below = list(value)
    elif isinstance(value, list):
        below = list(range(min(len(value), _MOST_ENTRIES)))
    rest, chosen = divmod(pick, len(here) + len(below))
    if chosen < len(here):
        return here[chosen]
    at = below[chosen - len(here)]
    if isinstance(value, list):
        return [_changed(entry, rest) if index == at else entry for index, entry in enumerate(value)]
    return {name: _changed(entry, rest) if name == at else entry for name, entry in value.items()}


def _others(value: Any) -> list[Any]:
    match value:
        case dict():
            lacking = [{key: entry for key, entry in value.items() if key != name} for name in value]
            return [*lacking, {**value, "undeclared-by-anybody": 1}]
        case list():
            return [[*value, *value[:1]], [None]]
        case bool():
            return [int(value)]
        case int() | float():
            return [str(value), -_INT64, _INT64, value + 0.5]
        case str():
            return [f"{value}\x00", f"{value}{'x' * 5000}", 0]
        case _:
            return [0]
