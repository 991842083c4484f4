"""List the fields that a payload may have, as its schema describes them, for whoever reads and does not parse."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seamwork.contracts.masking import Mask
from seamwork.rules.walk import Schema, of_entry, of_property, together, types

_DEEPEST = 8  # a recursive schema has no end, and a page has
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
    """Return every field that *schema* declares, those inside of others after them."""
    return tuple(_below(schema, together(schema, [schema]), (), mask))


def _below(root: Schema, schemas: list[Schema], at: tuple[str, ...], mask: Mask) -> Iterator[FieldLine]:
    if len(at) >= _DEEPEST:
        return
    entries = of_entry(schemas, 0)
    if entries:
        yield from _below(root, together(root, entries), (*at, "0"), mask)
    required = {name for schema in schemas for name in schema.get("required", ())}
    named = [schema["properties"] for schema in schemas if isinstance(schema.get("properties"), dict)]
    for name in dict.fromkeys(name for properties in named for name in properties):
        here, below = (*at, name), together(root, of_property(schemas, name))
        yield FieldLine(
            _written(here), _type(root, below), name in required, _bounds(below), mask.hides(here)
        )
        yield from _below(root, below, here, mask)


def _written(at: tuple[str, ...]) -> str:
    return "".join("[]" if part == "0" else f".{part}" for part in at).removeprefix(".")


def _type(root: Schema, schemas: list[Schema]) -> str:
    """Say of which type a value is, and of a list what it is of."""
    entries = of_entry(schemas, 0)
    return f"{_types(schemas)} of {_types(together(root, entries))}" if entries else _types(schemas)


def _types(schemas: list[Schema]) -> str:
    named = dict.fromkeys(name for schema in schemas for name in types(schema))
    return " or ".join(named) or ("one of several" if any("enum" in one for one in schemas) else "anything")


def _bounds(schemas: list[Schema]) -> str:
    found: dict[str, Any] = {word: one[word] for one in schemas for word in _SHOWN if word in one}
    if "enum" in found:
        found["enum"] = ", ".join(str(value) for value in found["enum"])
    return "; ".join(f"{word} {value}" for word, value in found.items())
