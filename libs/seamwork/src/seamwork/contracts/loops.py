"""
Say how many steps a rule may take in the worst case that its schema allows.

The engine counts the steps of all loops together and stops at 10,000. What stops is an error, and an error refuses;
so a rule that is right for every small payload would one day refuse a large one that is right as well.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from seamwork.rules.cel import Environment, ExpressionError
from seamwork.rules.tree import Call, Ident, Listing, Loop, Node, Select, Source, below
from seamwork.rules.walk import Schema, of_entry, of_property, together

MAX_STEPS = 10_000
OUTSIDE = 1000
"""Entries that a list of the envelope or of the task may have; records are bounded where they are read."""

Known = Mapping[str, "list[Schema] | None"]
"""What is known of each variable: the schemas of its value, or None where it is no part of a payload."""


class Loops:
    """
    Rules of one promise seen against the schemas of its variables.

    Args:
        schemas: The JSON Schema of each variable that is a payload.
        env: The environment that the rules are compiled in.
    """

    def __init__(self, schemas: Mapping[str, Any], env: Environment) -> None:
        self._roots = schemas
        self._env = env
        self._known: dict[str, list[Schema] | None] = dict.fromkeys(env.variables)
        self._known |= {name: together(schema, [schema]) for name, schema in schemas.items()}
        self._root_of: dict[int, Any] = {}
        for root in schemas.values():
            self._note(root, root)

    def faults(self, expression: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
        """Yield code, message and line and column for each way in which *expression* may not come to its end."""
        try:
            source = Source(expression, self._env.tree(expression))
        except ExpressionError:
            return  # reported where rules are compiled
        endless: list[Node] = []
        steps = self._steps(source.root, self._known, endless)
        for node in endless:
            message = "the rule goes through a list that may have any length"
            yield "rule-unbounded", message, source.line_column(node)
        if not endless and steps > MAX_STEPS:
            message = f"the rule may take {steps} steps, and the engine stops at {MAX_STEPS}"
            yield "rule-too-long", message, source.line_column(source.root)

    def _note(self, root: Any, value: Any) -> None:
        stack = [value]
        while stack:
            current = stack.pop()
            if isinstance(current, dict):
                self._root_of.setdefault(id(current), root)
                stack.extend(current.values())
            elif isinstance(current, list):
                stack.extend(current)

    def _steps(self, node: Node, known: Known, endless: list[Node]) -> int:
        if not isinstance(node, Loop):
            return sum(self._steps(part, known, endless) for part in below(node))
        outside = self._steps(node.over, known, endless) + self._steps(node.begin, known, endless)
        rounds = self._length(node.over, known)
        if rounds is None:
            endless.append(node.over)
            rounds = 1
        inner = self._inside(node, known)
        each = 1 + self._steps(node.condition, inner, endless) + self._steps(node.step, inner, endless)
        return outside + rounds * each + self._steps(node.result, inner, endless)

    def _inside(self, loop: Loop, known: Known) -> Known:
        inner: dict[str, list[Schema] | None] = {**known, loop.kept: self._schemas(loop.begin, known)}
        if loop.second:
            return inner | {loop.variable: None, loop.second: self._entries(loop.over, known)}
        return inner | {loop.variable: self._entries(loop.over, known)}

    def _schemas(self, node: Node, known: Known) -> list[Schema] | None:
        """Return what describes the value of *node*; None where it is nothing of a payload."""
        match node:
            case Ident(name=name):
                return known.get(name)
            case Select(operand=operand, field=field):
                above = self._schemas(operand, known)
                return None if above is None else self._together(of_property(above, field))
            case Call(function="_[_]", args=(operand, _)):
                return self._entries(operand, known)
            case Call(function="_?_:_", args=(_, first, second)):
                both = [self._schemas(first, known), self._schemas(second, known)]
                return None if None in both else [one for some in both if some for one in some]
            case _:
                return None

    def _entries(self, node: Node, known: Known) -> list[Schema] | None:
        match node:
            case Loop():
                added = _added(node)
                if added is None:
                    return None
                return self._schemas(added, self._inside(node, known))
            case Listing(elements=elements) if elements:
                return self._schemas(elements[0], known)
            case _:
                above = self._schemas(node, known)
                if above is None:
                    return None
                values = [
                    v
                    for s in above
                    if isinstance(s.get("properties"), dict)
                    for v in s["properties"].values()
                ]
                return self._together([*of_entry(above, MAX_STEPS), *values])

    def _together(self, schemas: list[Any]) -> list[Schema]:
        found: list[Schema] = []
        for schema in schemas:
            if isinstance(schema, dict):
                found += together(self._root_of.get(id(schema), schema), [schema])
        return found

    def _length(self, node: Node, known: Known) -> int | None:
        """Return how many entries *node* has at most, or None where nothing bounds it."""
        match node:
            case Listing(elements=elements):
                return len(elements)
            case Loop():
                return self._length(node.over, known)
            case Call(function="_?_:_", args=(_, first, second)):
                return _both(max, self._length(first, known), self._length(second, known))
            case Call(function="_+_", args=(first, second)):
                return _both(int.__add__, self._length(first, known), self._length(second, known))
            case Call(function="split", target=Node() as target):
                longest = _bounded(self._schemas(target, known), ("maxLength",))
                return None if longest is None else longest + 1
            case _:
                schemas = self._schemas(node, known)
                return OUTSIDE if schemas is None else _bounded(schemas, ("maxItems", "maxProperties"))


def _bounded(schemas: list[Schema] | None, keywords: tuple[str, ...]) -> int | None:
    if schemas is None:
        return OUTSIDE
    bounds = [s[k] for s in schemas for k in keywords if isinstance(s.get(k), int)]
    closed = [
        len(s["properties"])
        for s in schemas
        if isinstance(s.get("properties"), dict) and s.get("additionalProperties") is False
    ]
    found = [*bounds, *closed]
    # Of several forms each may have its own bound; the longest is the worst case.
    return max(found) if found else None


def _both(join: Any, first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else int(join(first, second))


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
