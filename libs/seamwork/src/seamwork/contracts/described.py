"""Say which schemas describe the value of a part of a rule's expression."""

from collections.abc import Iterable, Mapping
from typing import Any

from seamwork.rules.tree import Call, Ident, Listing, Loop, Node, Select
from seamwork.rules.walk import Schema, of_entry, of_property, together

OUTSIDE = 1000
"""Entries that a list of the envelope or of the task may have; records are bounded where they are read."""
FAR_IN = 10_000
"""An index past whatever ``prefixItems`` describe one by one."""

Known = Mapping[str, "list[Schema] | None"]
"""What is known of each variable: the schemas of its value, or None where it is no part of a payload."""


class Described:
    """
    The variables of rules, and what their schemas say.

    Args:
        schemas: The JSON Schema of each variable that is a payload.
        variables: All variables; of those without a schema nothing is known.
    """

    def __init__(self, schemas: Mapping[str, Any], variables: Iterable[str]) -> None:
        known: dict[str, list[Schema] | None] = dict.fromkeys(variables)
        known |= {name: together(schema, [schema]) for name, schema in schemas.items()}
        self.known: Known = known
        self._root_of: dict[int, Any] = {}
        for root in schemas.values():
            self._note(root, root)

    def inside(self, loop: Loop, known: Known) -> Known:
        """Return what is known inside of *loop*, where it has variables of its own."""
        inner: dict[str, list[Schema] | None] = {**known, loop.kept: self.schemas(loop.begin, known)}
        if loop.second:
            return inner | {loop.variable: None, loop.second: self.entries(loop.over, known)}
        return inner | {loop.variable: self.entries(loop.over, known)}

    def schemas(self, node: Node, known: Known) -> list[Schema] | None:
        """Return what describes the value of *node*; None where it is nothing of a payload."""
        match node:
            case Ident(name=name):
                return known.get(name)
            case Select(operand=operand, field=field):
                above = self.schemas(operand, known)
                return None if above is None else self._together(of_property(above, field))
            case Call(function="_[_]", args=(operand, _)):
                return self.entries(operand, known)
            case Call(function="_?_:_", args=(_, first, second)):
                both = [self.schemas(first, known), self.schemas(second, known)]
                return None if None in both else [one for some in both if some for one in some]
            case _:
                return None

    def entries(self, node: Node, known: Known) -> list[Schema] | None:
        """Return what describes each entry of the list or the map that *node* is."""
        match node:
            case Loop():
                added = _added(node)
                return None if added is None else self.schemas(added, self.inside(node, known))
            case Listing(elements=elements) if elements:
                return self.schemas(elements[0], known)
            case _:
                above = self.schemas(node, known)
                if above is None:
                    return None
                maps = [s["properties"] for s in above if isinstance(s.get("properties"), dict)]
                values = [value for properties in maps for value in properties.values()]
                return self._together([*of_entry(above, FAR_IN), *values])

    def _note(self, root: Any, value: Any) -> None:
        stack = [value]
        while stack:
            current = stack.pop()
            if isinstance(current, dict):
                self._root_of.setdefault(id(current), root)
                stack.extend(current.values())
            elif isinstance(current, list):
                stack.extend(current)

    def _together(self, schemas: list[Any]) -> list[Schema]:
        found: list[Schema] = []
        for schema in schemas:
            if isinstance(schema, dict):
                found += together(self._root_of.get(id(schema), schema), [schema])
        return found


def bound_of(schemas: list[Schema] | None, *keywords: str) -> int | None:
    """Return how long what *schemas* describe (null: nothing of a payload) is at most, None where nothing says."""
    if schemas is None:
        return OUTSIDE
    bounds = [s[k] for s in schemas for k in keywords if isinstance(s.get(k), int)]
    closed = [
        len(s["properties"])
        for s in schemas
        if isinstance(s.get("properties"), dict) and s.get("additionalProperties") is False
    ]
    # Of several forms each may have its own bound; the longest is the worst case.
    return max([*bounds, *closed], default=None)


def _added(loop: Loop) -> Node | None:
    """Return what each round of ``map`` or ``filter`` adds to the list that they make."""
    stack: list[Node] = [loop.step]
    while stack:
        node = stack.pop()
        match node:
            case Call(function="_+_", args=(_, Listing(elements=(added,)))):
                return added
            case Call(args=args):
                stack.extend(args)
            case _:
                continue
    return None
