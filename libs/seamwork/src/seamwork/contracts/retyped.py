"""
Say whether a rule that nobody touched may come out differently, because numbers have another type by now.

Payloads have their numbers as the schema types them. Where ``integer`` becomes ``number``, ``10`` is a double from
then on: it compares as before, and to multiply it by a whole number is an error.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from seamwork.contracts.numbers import type_of
from seamwork.rules.cel import ExpressionError, environment
from seamwork.rules.fields import fields_of
from seamwork.rules.tree import Call, Constant, Ident, Node, Source, Struct, walk
from seamwork.rules.walk import Schema, of_entry, of_property, together, types

_MOST = 2000
"""Pairs of descriptions that are looked at; past them nothing is taken for the same."""
_ANY_OTHER = "\0"
_CLOSING = ("additionalProperties", "unevaluatedProperties", "items", "unevaluatedItems")
_THE_SAME = frozenset({
    "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "!_", "_?_:_", "@in", "@not_strictly_false",
    "size", "matches", "contains", "startsWith", "endsWith", "sum",
})  # fmt: skip
"""Functions that make no difference between an integer and a double of the same value."""


def may_differ(
    expression: str, variables: tuple[str, ...], schemas: Iterable[tuple[str, Schema, Schema]]
) -> bool:
    """
    Say whether *expression* may come out differently on the same payload.

    Args:
        expression: A rule, the same in both versions.
        variables: What it may use.
        schemas: Of each variable that is a payload its name, its former schema and its new one.
    """
    try:
        root = Source(expression, environment(variables).tree(expression)).root
    except ExpressionError:
        return False  # it refuses in both
    if not any(_minds(node) for node in walk(root)):
        return False
    return any(_sees(fields_of(name, [root]), _retyped(before, after)) for name, before, after in schemas)


def looked_at(expression: str, variables: tuple[str, ...], name: str) -> frozenset[str] | None:
    """Return which fields of the variable *name* the rule looks at; None where it may be all."""
    try:
        return fields_of(name, [Source(expression, environment(variables).tree(expression)).root])
    except ExpressionError:
        return frozenset()


def _minds(node: Node) -> bool:
    match node:
        case Call(function="_[_]", args=(_, index)):
            return not isinstance(index, Constant)
        case Call(function="_+_", args=(Ident(name=name), _)) if name.startswith("@"):
            return False  # a macro's own, which makes a list
        case Call(function=function):
            return function not in _THE_SAME
        case Struct(parts=parts):
            return any(not isinstance(key, Constant) for key in parts[::2])  # a double is no key
        case _:
            return False


def _sees(fields: frozenset[str] | None, retyped: frozenset[str] | None) -> bool:
    if retyped is None or fields is None:
        return retyped is None or bool(retyped)
    return bool(fields & retyped)


def _retyped(before: Schema, after: Schema) -> frozenset[str] | None:
    """Return the fields below which a number has another type by now; None where it may be any."""
    one, other = together(before, [before]), together(after, [after])
    pairs = _below((before, after), one, other)
    whole = [pair for name, *pair in pairs if name is None]
    if type_of(one) is not type_of(other) or not all(_alike(before, after, *pair) for pair in whole):
        return None
    return frozenset(name for name, *pair in pairs if name is not None and not _alike(before, after, *pair))


def _alike(before: Schema, after: Schema, one: Sequence[Schema], other: Sequence[Schema]) -> bool:
    waiting = [(one, other)]
    seen: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
    while waiting:
        one, other = waiting.pop()
        key = tuple(map(id, one)), tuple(map(id, other))
        if key in seen:
            continue
        seen.add(key)
        if type_of(one) is not type_of(other) or len(seen) > _MOST:
            return False
        waiting += [(first, second) for _, first, second in _below((before, after), one, other)]
    return True


def _below(
    roots: tuple[Schema, Schema], one: Sequence[Schema], other: Sequence[Schema]
) -> list[tuple[str | None, list[Schema], list[Schema]]]:
    """Return what is described one step further, with the field's name where it has one."""
    names = dict.fromkeys([*_named(one), *_named(other)])
    steps: list[tuple[str | None, list[Any], list[Any]]] = [
        (name, of_property(one, name), of_property(other, name)) for name in names
    ]
    was, now = _unnamed(one), _unnamed(other)
    steps += [
        (None, was.get(pattern, was[_ANY_OTHER]), now.get(pattern, now[_ANY_OTHER]))
        for pattern in dict.fromkeys([*was, *now])
    ]
    first = max(
        (len(s["prefixItems"]) for s in (*one, *other) if isinstance(s.get("prefixItems"), list)), default=0
    )
    steps += [(None, of_entry(one, index), of_entry(other, index)) for index in range(first + 1)]
    found = [(name, together(roots[0], a), together(roots[1], b)) for name, a, b in steps]
    free = _takes_more(one), _takes_more(other)
    # What only one of them describes has another type to the other, if that lets it through.
    return [step for step in found if (step[1] or step[2]) and (step[1] or free[0]) and (step[2] or free[1])]


def _takes_more(schemas: Sequence[Schema]) -> bool:
    """Say whether there may be fields, or entries, that *schemas* do not describe."""
    named = [name for schema in schemas for name in types(schema)]
    closed = any(schema.get(keyword) is False for schema in schemas for keyword in _CLOSING)
    return not closed and (not named or "object" in named or "array" in named)


def _named(schemas: Sequence[Schema]) -> list[str]:
    return [name for s in schemas if isinstance(s.get("properties"), dict) for name in s["properties"]]


def _unnamed(schemas: Sequence[Schema]) -> dict[str, list[Any]]:
    """Return what describes fields without a name of their own: by each pattern, and all others."""
    found: dict[str, list[Any]] = {_ANY_OTHER: of_property(schemas, _ANY_OTHER)}
    for schema in schemas:
        patterns = schema.get("patternProperties")
        for pattern, entry in patterns.items() if isinstance(patterns, dict) else ():
            found.setdefault(pattern, []).append(entry)
    return found
