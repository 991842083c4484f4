"""
Hide what a contract marks as sensitive, wherever a payload leaves the bus for people's eyes.

Hidden are fields with ``x-sensitive`` in the schema, fields that ``masking`` points to, every field that the schema
does not declare or forbids, and every value of another type than its schema names: what nobody described may be
anything. The whole schema is followed, over all branches, so a payload that fits none of them (the one that gets
shown) is hidden as well as a good one.
"""

from collections.abc import Sequence
from typing import Any

from seamwork.rules.walk import (
    Level,
    Schema,
    is_index,
    mapping,
    of_entry,
    of_property,
    together,
    types,
)

HIDDEN = "***"
MARKS = ("x-sensitive", "confluent:tags")
_ONE_NUMBER = {"integer": "number"}
_NAMES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"), ((int, float), "number"), (str, "string"), (dict, "object"), (list, "array"),
    (object, "null"),
)  # fmt: skip
"""JSON's types; the first that fits counts, for Python's booleans are whole numbers, too."""

_Path = tuple[str | int, ...]
_Seen = dict[int, tuple[bool, frozenset[str]]]
"""Of each level that was met: whether a mark stands there, and the types that are named."""


class Mask:
    """
    What to hide of one payload.

    Args:
        schema: The payload's JSON Schema.
        pointers: JSON pointers of further fields; ``*`` stands for every entry or field.
    """

    def __init__(self, schema: Schema, pointers: Sequence[str] = ()) -> None:
        self._schema = schema
        self._pointers = tuple(tuple(_unescaped(part) for part in p.split("/")[1:]) for p in pointers)

    def apply(self, value: Any) -> Any:
        """Return a copy of *value* with every marked or undeclared part replaced by ``***``."""
        return self._masked(value, Level(self._schema, [self._schema]), self._pointers, {})

    def hides(self, path: Sequence[str | int]) -> bool:
        """Say whether the value at *path* (names of fields, numbers of entries) is hidden as a whole, always."""
        schemas = together(self._schema, [self._schema])
        pointers = self._pointers
        for part in path:
            if _marked(schemas, pointers):
                return True
            if isinstance(part, int):
                below = of_entry(schemas, part)
            else:
                # Of a text alone nobody can tell whether it is a field's name or an entry's number.
                below = [
                    *of_property(schemas, part),
                    *(of_entry(schemas, int(part)) if is_index(part) else ()),
                ]
            if not _declares(below):
                return True
            schemas, pointers = together(self._schema, below), _step(pointers, str(part))
        return _marked(schemas, pointers)

    def naming(self) -> "Naming":
        """Return how to name places in one payload."""
        return Naming(self._schema, self._pointers)

    def _masked(self, value: Any, level: Level, pointers: tuple[tuple[str, ...], ...], seen: _Seen) -> Any:
        told = seen.get(id(level))
        if told is None:
            told = seen[id(level)] = (_is_marked(level.schemas), _named(level.schemas))
        marked, named = told
        if marked or () in pointers or not _typed(value, named):
            return HIDDEN
        if isinstance(value, dict):
            return {
                name: self._inside(entry, level, level.of_property(name), _step(pointers, name), seen)
                for name, entry in value.items()
            }
        if isinstance(value, list):
            return [
                self._inside(entry, level, level.of_entry(index), _step(pointers, str(index)), seen)
                for index, entry in enumerate(value)
            ]
        return value

    def _inside(  # what lies in a value, and what is known of it
        self,
        value: Any,
        above: Level,
        declared: Sequence[Any],
        pointers: tuple[tuple[str, ...], ...],
        seen: _Seen,
    ) -> Any:
        return self._masked(value, above.below(declared), pointers, seen) if _declares(declared) else HIDDEN


class Naming:
    """
    How to name places in one payload.

    Below a mark a name that the schema does not write is hidden: it is a value itself, as of a map of addresses.
    """

    def __init__(self, schema: Schema, pointers: tuple[tuple[str, ...], ...]) -> None:
        schemas = together(schema, [schema])
        self._schema = schema
        self._known: dict[_Path, tuple[list[Schema], tuple[tuple[str, ...], ...], bool]] = {
            (): (schemas, pointers, _marked(schemas, pointers))
        }

    def __call__(self, path: Sequence[str | int]) -> _Path:
        """Return *path* with hidden names replaced."""
        return tuple(self._name(tuple(path[:length]), path[length]) for length in range(len(path)))

    def _name(self, above: _Path, part: str | int) -> str | int:
        schemas, _, hidden = self._at(above)
        written = isinstance(part, int) or any(part in mapping(schema, "properties") for schema in schemas)
        return part if written or not hidden else HIDDEN

    def _at(self, path: _Path) -> tuple[list[Schema], tuple[tuple[str, ...], ...], bool]:
        found = self._known.get(path)
        if found is None:  # of twenty places most lie side by side, and a name may have half a megabyte
            *above, part = path
            schemas, pointers, hidden = self._at(tuple(above))
            below = of_entry(schemas, part) if isinstance(part, int) else of_property(schemas, part)
            inside, further = together(self._schema, below), _step(pointers, str(part))
            found = self._known[path] = inside, further, hidden or _marked(inside, further)
        return found


def _declares(schemas: Sequence[Any]) -> bool:
    """Say whether one of *schemas* allows something; ``false`` is there to keep a field out."""
    return any(schema is not False for schema in schemas)


def _marked(schemas: Sequence[Schema], pointers: Sequence[tuple[str, ...]]) -> bool:
    return () in pointers or _is_marked(schemas)


def _is_marked(schemas: Sequence[Schema]) -> bool:
    return any(mark in schema for schema in schemas for mark in MARKS)


def _named(schemas: Sequence[Schema]) -> frozenset[str]:
    """Return the types that *schemas* name; whole numbers and others are one here."""
    return frozenset(_ONE_NUMBER.get(name, name) for schema in schemas for name in types(schema))


def _typed(value: Any, named: frozenset[str]) -> bool:
    """Say whether *value* is of one of the types *named*, of any if none is."""
    return not named or next(name for kind, name in _NAMES if isinstance(value, kind)) in named


def _step(pointers: tuple[tuple[str, ...], ...], part: str) -> tuple[tuple[str, ...], ...]:
    return tuple(pointer[1:] for pointer in pointers if pointer and pointer[0] in (part, "*"))


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")
