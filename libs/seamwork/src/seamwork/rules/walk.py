"""Walk JSON Schemas: which parts of one speak of the same value, of a property, of an entry."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from seamwork.rules.patterns import matches

Schema = dict[str, Any]

ALL_OF_THEM = ("allOf", "anyOf", "oneOf")
SAME_VALUE = ("if", "then", "else", "not")
LISTS = (*ALL_OF_THEM, "prefixItems")
MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
SINGLES = (
    *SAME_VALUE, "additionalProperties", "items", "contains", "propertyNames",
    "unevaluatedItems", "unevaluatedProperties", "contentSchema",
)  # fmt: skip
_LONGEST_INDEX = 9


def is_index(part: str) -> bool:
    """Say whether a step of a pointer may be an entry's number; to Python ``²`` is a digit, too."""
    return part.isascii() and part.isdigit() and len(part) <= _LONGEST_INDEX


def resolve(root: Any, ref: str) -> Any:
    """Return what a reference inside of *root* (``#/$defs/line``) leads to, or None."""
    if ref == "#":
        return root
    if not ref.startswith("#/"):
        return None
    current = root
    for part in unquote(ref[2:]).split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(current, dict) and key in current:
            current = current[key]
        elif isinstance(current, list) and is_index(key) and int(key) < len(current):
            current = current[int(key)]
        else:
            return None
    return current


def subschemas(
    schema: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Schema]]:
    """Yield every schema written inside of *schema*, itself first, with its path; references are not followed."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [(path, schema)]
    while stack:
        at, current = stack.pop()
        if not isinstance(current, dict):
            continue
        yield at, current
        below: list[tuple[tuple[str | int, ...], Any]] = []
        for keyword in MAPS:
            if isinstance(current.get(keyword), dict):
                below += [((*at, keyword, name), entry) for name, entry in current[keyword].items()]
        for keyword in LISTS:
            if isinstance(current.get(keyword), list):
                below += [((*at, keyword, index), entry) for index, entry in enumerate(current[keyword])]
        below += [((*at, keyword), current[keyword]) for keyword in SINGLES if keyword in current]
        stack.extend(reversed(below))


def together(root: Any, schemas: Sequence[Any], *, conditions: bool = False) -> list[Schema]:
    """
    Return every schema that speaks of the same value as *schemas*: through references and ``allOf`` and the like.

    ``if`` and ``not`` are left out unless *conditions* are asked for: they describe what need not be so.
    """
    further = SAME_VALUE if conditions else ("then", "else")
    found: list[Schema] = []
    seen: set[int] = set()
    stack = list(reversed(schemas))
    while stack:
        schema = stack.pop()
        if not isinstance(schema, dict) or id(schema) in seen:
            continue
        seen.add(id(schema))
        found.append(schema)
        if isinstance(schema.get("$ref"), str):
            stack.append(resolve(root, schema["$ref"]))
        for keyword in ALL_OF_THEM:
            if isinstance(schema.get(keyword), list):
                stack.extend(schema[keyword])
        stack.extend(schema[keyword] for keyword in further if keyword in schema)
        if isinstance(schema.get("dependentSchemas"), dict):
            stack.extend(schema["dependentSchemas"].values())
    return found


def of_property(schemas: Sequence[Schema], name: str) -> list[Any]:
    """
    Return the schemas that declare the property *name*; not ``true``.

    ``additionalProperties`` speaks of what stands neither in ``properties`` nor in ``patternProperties`` beside it.
    """
    found: list[Any] = []
    others: list[Any] = []
    for schema in schemas:
        declared = schema.get("properties")
        here = [declared[name]] if isinstance(declared, dict) and name in declared else []
        patterns = schema.get("patternProperties")
        if isinstance(patterns, dict):
            here += [entry for pattern, entry in patterns.items() if matches(pattern, name)]
        if not here and isinstance(schema.get("additionalProperties"), dict):
            here = [schema["additionalProperties"]]
        found += here
        if isinstance(schema.get("unevaluatedProperties"), dict):
            others.append(schema["unevaluatedProperties"])
    return found or others


def of_entry(schemas: Sequence[Schema], index: int) -> list[Any]:
    """Return the schemas that speak of the entry *index* of a list."""
    found: list[Any] = []
    for schema in schemas:
        first = schema.get("prefixItems")
        first = first if isinstance(first, list) else []
        if index < len(first):
            found.append(first[index])
        elif "items" in schema:
            found.append(schema["items"])
        found += [schema[keyword] for keyword in ("contains", "unevaluatedItems") if keyword in schema]
    return found


class Level:
    """
    The schemas that speak of one value, and of what lies in it.

    A payload holds thousands of values of which the same schemas speak: each set of schemas is looked through once.

    Args:
        root: The whole schema.
        schemas: What is said of the value, references not yet followed.
        conditions: As with ``together``.
    """

    __slots__ = (
        "_conditions",
        "_entries",
        "_fields",
        "_first",
        "_known",
        "_named",
        "_patterned",
        "_root",
        "schemas",
    )

    def __init__(
        self,
        root: Any,
        schemas: Sequence[Any],
        *,
        conditions: bool = False,
        known: "dict[tuple[int, ...], Level] | None" = None,
    ) -> None:
        self._root, self._conditions = root, conditions
        self._known = {} if known is None else known
        self.schemas = together(root, schemas, conditions=conditions)
        self._named = {name for one in self.schemas for name in mapping(one, "properties")}
        self._patterned = any(mapping(one, "patternProperties") for one in self.schemas)
        lists = [one["prefixItems"] for one in self.schemas if isinstance(one.get("prefixItems"), list)]
        self._first = max(map(len, lists), default=0)
        self._fields: dict[str | None, list[Any]] = {}
        self._entries: dict[int, list[Any]] = {}

    def of_property(self, name: str) -> list[Any]:
        """Return what ``of_property`` does."""
        if name not in self._named and self._patterned:
            return of_property(self.schemas, name)  # as many names as a sender likes: nothing is kept
        key = name if name in self._named else None
        found = self._fields.get(key)
        if found is None:
            found = self._fields[key] = of_property(self.schemas, name)
        return found

    def of_entry(self, index: int) -> list[Any]:
        """Return what ``of_entry`` does."""
        key = min(index, self._first)
        found = self._entries.get(key)
        if found is None:
            found = self._entries[key] = of_entry(self.schemas, key)
        return found

    def below(self, schemas: Sequence[Any]) -> "Level":
        """Return the level of a value inside of this one, of which *schemas* speak."""
        key = tuple(map(id, schemas))
        found = self._known.get(key)
        if found is None:
            found = Level(self._root, schemas, conditions=self._conditions, known=self._known)
            self._known[key] = found
        return found


def mapping(schema: Schema, keyword: str) -> dict[str, Any]:
    """Return what *keyword* maps names to, nothing where it is absent or no object."""
    found = schema.get(keyword)
    return found if isinstance(found, dict) else {}


def types(schema: Schema) -> tuple[str, ...]:
    """Return the types that a schema names, none where it leaves them open."""
    written = schema.get("type")
    if isinstance(written, str):
        return (written,)
    return tuple(written) if isinstance(written, list) else ()
