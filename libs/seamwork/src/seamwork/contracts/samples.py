"""
Make documents that a schema allows: the plainest one, and others that each stretch one thing to its limit.

Nothing here is random, so a refused change shows the same example every time. What is made is only a proposal:
whoever uses it holds it against the schema, so a keyword that is not understood costs an example and never a lie.
"""

import math
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from typing import Any

from seamwork.rules.patterns import matches
from seamwork.rules.walk import Schema, resolve, types

# The standard library's own reader of patterns; it has no public name and has been there since Python 1.6.
parser: Any = import_module("re._parser")
sre: Any = import_module("re._constants")

_DEEPEST = 6
_LONGEST = 2000
_MOST_ENTRIES = 100_000  # of the shortest a payload holds some more; a schema may ask for any number
_MOST_TRIED = 50_000  # schemas and their fields, in a second; a type of ninety of its own kind has so many
_FEW = 8
_FARTHEST = 1e300  # bounds past it are left aside: whole numbers have no end, and floats have one
_FORMATS = {
    "date-time": "2026-03-01T09:00:00Z",
    "date": "2026-03-01",
    "time": "09:00:00Z",
    "duration": "P1D",
    "email": "ada@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/a",
    "uri-reference": "/a",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "json-pointer": "/a",
    "regex": "^a$",
}
_OTHER_FORMS = ("2026-03-01T09:00:00+02:00", "2026-02-28", "23:59:60Z")
_BY_TYPE: dict[str, tuple[Any, ...]] = {
    "string": ("",),
    "integer": (0, 1, -1),
    "number": (0, 0.5, -1, 1e6),
    "boolean": (True, False),
    "null": (None,),
    "array": ([],),
    "object": ({},),
}
_ANYTHING: tuple[Any, ...] = ("a", 1, 0.5, True, None, [], {})


def samples(schema: Any, count: int) -> list[Any]:
    """Return up to *count* documents that *schema* probably allows, the plainest first."""
    return list(_small(islice(_Maker(schema).values(schema, 0), count)))


class _Maker:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._made: dict[tuple[int, int], tuple[Any, list[Any]]] = {}
        self._left = _MOST_TRIED

    def _of_field(self, schema: Any, depth: int) -> list[Any]:
        """Return what a field may be; a type with many fields of its own kind is made once on each level."""
        key = (id(schema), depth)
        if key not in self._made:
            # The schema is kept, so that its id stays its own.
            self._made[key] = (schema, list(islice(self.values(schema, depth), _FEW * 6)))
        return self._made[key][1]

    def values(self, schema: Any, depth: int) -> Iterator[Any]:
        if schema is True or schema == {}:
            yield from _ANYTHING
            return
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return
        yield from self._of(self._whole(schema), depth)

    def _of(self, schema: Schema, depth: int) -> Iterator[Any]:
        self._left -= 1
        if self._left < 0:
            return
        if "const" in schema:
            yield schema["const"]
            return
        if isinstance(schema.get("enum"), list):
            yield from schema["enum"]
            return
        for keyword in ("anyOf", "oneOf"):
            if isinstance(schema.get(keyword), list):
                rest = {name: value for name, value in schema.items() if name != keyword}
                for branch in schema[keyword]:
                    yield from islice(self._of(self._whole(_merged(rest, branch)), depth + 1), _FEW)
                return
        for name in types(schema) or _implied(schema):
            match name:
                case "object":
                    yield from self._objects(schema, depth)
                case "array":
                    yield from self._arrays(schema, depth)
                case "string":
                    yield from _texts(schema)
                case "integer" | "number":
                    yield from _numbers(schema, whole=name == "integer")
                case other:
                    yield from _BY_TYPE.get(other, ())

    def _whole(self, schema: Any) -> Schema:
        """Return *schema* with what it refers to and what all of it must fulfil written into it."""
        whole: Schema = schema if isinstance(schema, dict) else {}
        for _ in range(20):
            if isinstance(whole.get("$ref"), str):
                rest = {name: value for name, value in whole.items() if name != "$ref"}
                whole = _merged(rest, resolve(self._root, whole["$ref"]))
            elif isinstance(whole.get("allOf"), list):
                rest = {name: value for name, value in whole.items() if name != "allOf"}
                for part in whole["allOf"]:
                    rest = _merged(rest, part)
                whole = rest
            else:
                break
        return whole

    def _objects(self, schema: Schema, depth: int) -> Iterator[Any]:
        declared = schema.get("properties") if isinstance(schema.get("properties"), dict) else {}
        assert isinstance(declared, dict)  # noqa: S101  # for the type checker
        needed = [name for name in schema.get("required", []) if isinstance(name, str)]
        self._left -= len(declared)
        further = schema.get("additionalProperties", schema.get("unevaluatedProperties", {}))
        made = {name: self._of_field(s, depth + 1) for name, s in declared.items()}
        for name in needed:
            if name not in made:
                made[name] = list(islice(self.values(self._undeclared(schema, name, further), depth + 1), 1))
        if any(not made[name] for name in needed):
            return
        plain = {name: made[name][0] for name in needed}
        yield plain
        full = plain | {name: values[0] for name, values in made.items() if values}
        yield full
        # In turns, so that no field's many values keep the others from being tried.
        for rank in range(max(map(len, made.values()), default=0)):
            for name, values in made.items():
                if rank < len(values):
                    yield plain | {name: values[rank]}
                    yield full | {name: values[rank]}
        for name in made:
            yield {key: value for key, value in full.items() if key != name}
        yield from self._larger(schema, plain, further, depth)

    def _larger(self, schema: Schema, plain: dict[str, Any], further: Any, depth: int) -> Iterator[Any]:
        """Yield *plain* with fields that no property declares."""
        least = schema.get("minProperties", 0)
        for size in {least, schema.get("maxProperties", least)}:
            missing = min(int(size) - len(plain), _FEW * 4) if isinstance(size, int | float) else 0
            extra = list(islice(self.values(further, depth + 1), 1)) if missing > 0 else []
            if extra:
                yield plain | {f"more{index}": extra[0] for index in range(missing)}
        if further is not False:
            for value in islice(self.values(further, depth + 1), _FEW):
                yield plain | {"undeclared": value}
        named = schema.get("patternProperties")
        for pattern, below in (named if isinstance(named, dict) else {}).items():
            for key in islice(_matching(pattern), 2):
                yield from (plain | {key: value} for value in islice(self.values(below, depth + 1), _FEW))
        keys = self._whole(schema.get("propertyNames"))
        for key in islice(self._of(keys, depth + 1), _FEW) if keys else ():
            if isinstance(key, str):
                yield from (plain | {key: value} for value in islice(self.values(further, depth + 1), 2))

    def _undeclared(self, schema: Schema, name: str, further: Any) -> Any:
        named = schema.get("patternProperties")
        for pattern, below in (named if isinstance(named, dict) else {}).items():
            if matches(pattern, name):
                return below
        return further

    def _arrays(self, schema: Schema, depth: int) -> Iterator[Any]:
        first = schema.get("prefixItems") if isinstance(schema.get("prefixItems"), list) else []
        assert isinstance(first, list)  # noqa: S101  # for the type checker
        below = schema.get("items", schema.get("unevaluatedItems", {}))
        contained = schema.get("contains")
        entries = list(islice(self.values(below, depth + 1), _FEW * 5))
        if contained is not None:
            entries = [*islice(self.values(contained, depth + 1), _FEW), *entries]
        head = [next(self.values(one, depth + 1), None) for one in first]
        least, most = _whole_number(schema, "minItems", 0), _whole_number(schema, "maxItems", len(head) + 3)
        least = max(least, _whole_number(schema, "minContains", 1) if contained is not None else 0)
        if least > _MOST_ENTRIES:
            return
        for size in dict.fromkeys((least, len(head), least + 1, min(most, _LONGEST))):
            if not least <= size <= most:
                continue
            body = _filled(entries, size - len(head), unique=schema.get("uniqueItems") is True)
            if body is not None:
                yield [*head, *body][:size]
        for entry in entries:
            yield [*head, *([entry] * max(1, least - len(head)))]
        for index, one in enumerate(first):
            for value in islice(self.values(one, depth + 1), _FEW):
                yield [*head[:index], value, *head[index + 1 :]]


def _small(values: Iterator[Any]) -> Iterator[Any]:
    """Yield those of *values* for whose entries a payload has room, however often one of them stands in it."""
    left = _MOST_ENTRIES * 20
    for value in values:
        size = 0
        stack = [value]
        while stack and size <= _MOST_ENTRIES:
            current = stack.pop()
            if isinstance(current, dict | list):
                size += len(current)
                stack.extend(current.values() if isinstance(current, dict) else current)
        left -= size
        if left < 0:
            return
        if size <= _MOST_ENTRIES:
            yield value


def _filled(entries: list[Any], size: int, *, unique: bool) -> list[Any] | None:
    if size <= 0:
        return []
    if not entries:
        return None
    if unique:
        different: list[Any] = [e for i, e in enumerate(entries) if e not in entries[:i]]
        return different[:size] if len(different) >= size else None
    return [entries[0]] * size


def _merged(first: Schema, second: Any) -> Schema:
    """Return a schema of which both must hold, as far as two keywords can be made one."""
    if second is True or second is None:
        return first
    if not isinstance(second, dict):
        return {**first, "enum": []}
    both = {**first, **second}
    for keyword in first.keys() & second.keys():
        one, other = first[keyword], second[keyword]
        if keyword in {
            "minimum",
            "exclusiveMinimum",
            "minLength",
            "minItems",
            "minProperties",
            "minContains",
        }:
            both[keyword] = max(one, other)
        elif keyword in {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}:
            both[keyword] = min(one, other)
        elif keyword == "required":
            both[keyword] = list(dict.fromkeys([*one, *other]))
        elif keyword == "properties":
            shared = {name: _merged(_as_schema(one[name]), other[name]) for name in one.keys() & other.keys()}
            both[keyword] = {**one, **other, **shared}
        elif keyword == "enum":
            both[keyword] = [value for value in one if value in other]
        elif keyword == "type":
            both[keyword] = [name for name in types(first) if name in types(second)]
        elif keyword in {"allOf", "anyOf", "oneOf"} and one != other:
            both["allOf"] = [*both.get("allOf", []), {keyword: one}]
    return both


def _as_schema(schema: Any) -> Schema:
    return schema if isinstance(schema, dict) else {}


def _implied(schema: Schema) -> tuple[str, ...]:
    """Return the types that a schema without any is probably about, then the others."""
    hints = {
        "object": ("properties", "required", "additionalProperties", "propertyNames", "patternProperties"),
        "array": ("items", "prefixItems", "maxItems", "minItems", "contains"),
        "string": ("maxLength", "minLength", "pattern", "format"),
        "number": ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"),
    }
    likely = [name for name, words in hints.items() if any(word in schema for word in words)]
    return tuple(dict.fromkeys([*likely, *_BY_TYPE]))


def _whole_number(schema: Schema, keyword: str, otherwise: int) -> int:
    value = schema.get(keyword, otherwise)
    return int(value) if isinstance(value, int | float) else otherwise


def _texts(schema: Schema) -> Iterator[str]:
    least = min(_whole_number(schema, "minLength", 0), _LONGEST)
    most = min(_whole_number(schema, "maxLength", least + 20), _LONGEST * 5)
    if isinstance(schema.get("pattern"), str):
        yield from islice(_matching(schema["pattern"]), _FEW * 2)
        return
    if isinstance(schema.get("format"), str):
        yield _FORMATS.get(schema["format"], "a")
        yield from _OTHER_FORMS
        return
    yield "a" * max(least, min(1, most))
    yield "a" * most
    yield "a" * least
    yield from (text for text in (*_FORMATS.values(), "A", " ", "1", "é") if least <= len(text) <= most)


def _numbers(schema: Schema, *, whole: bool) -> Iterator[int | float]:
    low = max((schema[k] for k in ("minimum", "exclusiveMinimum") if _is_number(schema.get(k))), default=None)
    high = min(
        (schema[k] for k in ("maximum", "exclusiveMaximum") if _is_number(schema.get(k))), default=None
    )
    step = schema["multipleOf"] if _is_number(schema.get("multipleOf")) else 1
    proposed: list[int | float] = []
    for edge in (low, high):
        if edge is not None:
            proposed += [edge, edge + step, edge - step, edge + 0.5, edge - 0.5, -(-edge // step) * step]
            proposed += [edge // step * step]
    if low is not None and high is not None:
        proposed.append((low + high) / 2)
    proposed += [0, step, -step, 1.5, 10**6, 2**53]
    for value in dict.fromkeys(filter(math.isfinite, proposed)):
        inside = (low is None or value >= low) and (high is None or value <= high)
        if inside and (not whole or float(value).is_integer()):
            yield int(value) if float(value).is_integer() else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_FARTHEST < value < _FARTHEST


def _matching(pattern: str) -> Iterator[str]:
    """Yield texts that *pattern* matches: with as few repetitions as it allows, then with more."""
    try:
        tree = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError):
        return
    for more in range(4):
        for choice in range(3):
            yield "".join(_written(tree, more, choice))


def _written(tree: Any, more: int, choice: int) -> Iterator[str]:
    for operation, argument in tree:
        if operation is sre.LITERAL:
            yield chr(argument)
        elif operation is sre.NOT_LITERAL:
            yield "a" if argument != ord("a") else "b"
        elif operation is sre.ANY:
            yield "a"
        elif operation is sre.IN:
            yield _one_of(argument, choice)
        elif operation in {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}:
            low, high, below = argument
            wanted = int(high) if more == 3 else int(low) + more  # noqa: PLR2004  # the last try is the longest
            # Written once and not as often as it stands there: of what is empty there may be a thousand million.
            once = "".join(_written(below, min(more, 1), choice))
            yield (once * min(wanted, int(high), _LONGEST))[: _LONGEST * 5]
        elif operation is sre.SUBPATTERN:
            yield from _written(argument[-1], more, choice)
        elif operation is sre.BRANCH:
            branches = argument[1]
            yield from _written(branches[choice % len(branches)], more, choice)


def _one_of(members: Any, choice: int) -> str:
    operation, argument = members[0]
    if operation is sre.NEGATE:
        banned = members[1:]
        usual = ("a", "A", "0", " ", "-", "~")
        return next((c for c in usual if not any(_includes(one, c) for one in banned)), "\N{SNOWMAN}")
    operation, argument = members[choice % len(members)]
    if operation is sre.RANGE:
        return chr(argument[0])
    if operation is sre.LITERAL:
        return chr(argument)
    return {sre.CATEGORY_DIGIT: "0", sre.CATEGORY_SPACE: " "}.get(argument, "a")


def _includes(member: Any, character: str) -> bool:
    operation, argument = member
    if operation is sre.LITERAL:
        return bool(ord(character) == argument)
    if operation is sre.RANGE:
        return bool(argument[0] <= ord(character) <= argument[1])
    tests = {sre.CATEGORY_DIGIT: str.isdigit, sre.CATEGORY_SPACE: str.isspace}
    return tests.get(argument, lambda c: c.isalnum() or c == "_")(character)
