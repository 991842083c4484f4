"""List the fields that a payload may have, as its schema describes them, for whoever reads and does not parse."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from seamwork.contracts.masking import Mask
from seamwork.rules.walk import Schema, of_entry, of_property, resolve, together, types

_DEEPEST = 8  # a recursive schema has no end, and a page has
_INSIDE = {"properties", "items", "prefixItems", "contains", "unevaluatedItems"}
MOST = 1000
"""Of more fields nobody reads a list; and a schema that uses its own parts often has millions."""
_SHOWN = ("const", "enum", "format", "pattern", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum",
          "minLength", "maxLength", "minItems", "maxItems")  # fmt: skip


@dataclass(frozen=True)
class FieldLine:
    """One field (``lines[].quantity``): its type, whether it must be there, its bounds, whether people see it."""

    path: str
    type: str
    required: bool
    bounds: str
    hidden: bool


def fields(schema: Schema, mask: Mask) -> tuple[FieldLine, ...]:
    """
    Return every field that *schema* declares, those inside of others after them; at most ``MOST``.

    Of a list there is a line where its entries have bounds of their own, or are hidden. What stands inside of
    itself is told once.
    """
    return tuple(islice(_below(schema, [schema], (), "", mask, frozenset()), MOST))


_At = tuple[str | int, ...]


def _below(  # one argument for each thing that is known of the way down
    root: Schema, written: list[Any], at: _At, path: str, mask: Mask, above: frozenset[int]
) -> Iterator[FieldLine]:
    schemas = together(root, written)
    inside = {id(schema) for schema in schemas if _INSIDE & schema.keys()}
    if len(at) >= _DEEPEST or not inside - above:
        return
    above |= inside
    for index, entry in _entries(schemas):
        here, below = (*at, index), together(root, entry)
        name = f"{path}[{index}]" if index < _fixed(schemas) else f"{path}[]"
        bounds, hidden = _bounds(root, entry), mask.hides(here)
        if path and (bounds or (hidden and not mask.hides(at))):
            yield FieldLine(name, _type(root, below), index < _least(schemas), bounds, hidden)
        yield from _below(root, entry, here, name, mask, above)
    required = _required(root, written)
    named = [schema["properties"] for schema in schemas if isinstance(schema.get("properties"), dict)]
    for name in dict.fromkeys(name for properties in named for name in properties):
        here, entry = (*at, name), of_property(schemas, name)
        whole = f"{path}.{name}" if path else name
        yield FieldLine(
            whole,
            _type(root, together(root, entry)),
            name in required,
            _bounds(root, entry),
            mask.hides(here),
        )
        yield from _below(root, entry, here, whole, mask, above)


def _entries(schemas: list[Schema]) -> list[tuple[int, list[Any]]]:
    """Return what speaks of the entries of a list: of each that has a place of its own, and of all others."""
    found = [(index, of_entry(schemas, index)) for index in range(_fixed(schemas) + 1)]
    return [(index, entry) for index, entry in found if any(isinstance(one, dict) for one in entry)]


def _fixed(schemas: list[Schema]) -> int:
    return max(
        (len(one["prefixItems"]) for one in schemas if isinstance(one.get("prefixItems"), list)), default=0
    )


def _least(schemas: list[Schema]) -> int:
    return max(
        (int(one["minItems"]) for one in schemas if isinstance(one.get("minItems"), int | float)), default=0
    )


def _certain(root: Schema, written: list[Any]) -> list[Schema]:
    """Return the schemas that hold whatever the value is: through references and ``allOf``, past no choice."""
    found: list[Schema] = []
    stack = list(reversed(written))
    while stack:
        schema = stack.pop()
        if isinstance(schema, dict) and not any(schema is one for one in found):
            found.append(schema)
            stack += schema["allOf"] if isinstance(schema.get("allOf"), list) else []
            stack += [resolve(root, schema["$ref"])] if isinstance(schema.get("$ref"), str) else []
    return found


def _required(root: Schema, written: list[Any], depth: int = 0) -> set[str]:
    """Return the fields that must be there; of a choice those that must be there whichever is taken."""
    found: set[str] = set()
    for schema in _certain(root, written):
        found |= set(schema.get("required", ()))
        for keyword in ("anyOf", "oneOf"):
            branches = schema.get(keyword)
            if isinstance(branches, list) and branches and depth < _DEEPEST:
                found |= set.intersection(*(_required(root, [branch], depth + 1) for branch in branches))
    return found


def _type(root: Schema, schemas: list[Schema]) -> str:
    """Say of which type a value is, and of a list what it is of."""
    entries = [_types(together(root, entry)) for _, entry in _entries(schemas)]
    return f"{_types(schemas)} of {', then '.join(entries)}" if entries else _types(schemas)


def _types(schemas: list[Schema]) -> str:
    named = dict.fromkeys(name for schema in schemas for name in types(schema))
    several = any({"enum", "const"} & one.keys() for one in schemas)
    return " or ".join(named) or ("one of several" if several else "anything")


def _bounds(root: Schema, written: list[Any]) -> str:
    """Say what bounds a value: what always holds, and of a choice what may."""
    certain = _certain(root, written)
    found = []
    for word in _SHOWN:
        always = [one[word] for one in certain if word in one]
        if always and word in _TIGHTEST:
            found.append(f"{word} {_shown(_TIGHTEST[word](always))}")
        elif always:
            found.append(f"{word} {' and '.join(dict.fromkeys(map(_shown, always)))}")
        else:
            chosen = dict.fromkeys(_shown(one[word]) for one in together(root, written) if word in one)
            found += [f"{word} {' or '.join(chosen)}"] if chosen else []
    return "; ".join(found)


_TIGHTEST: dict[str, Callable[[list[Any]], Any]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
}


def _shown(value: Any) -> str:
    """Write a value as JSON has it, a text without its quotation marks."""
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
