"""
Give numbers the type that the schema names, because CEL knows no ``int * double``.

JSON writes 10 where a schema says ``number``; a rule that multiplies it by 2.5 would fail on a good payload.
The plan is made once per schema; where a schema has no numbers it is None and costs nothing.
"""

from collections.abc import Iterable
from typing import Any

from seamwork.rules.patterns import matches
from seamwork.rules.walk import Schema, mapping, of_property, together, types

_EXACT = 1 << 53
"""Beyond this a double loses units: such a number stays what it is, and a rule that cannot use it refuses."""


_ABSENT = object()
_MAX_PLANS = 2000
"""As many as ``tangle`` lets through; past them numbers stay as they are, and a rule on them refuses."""


class Numbers:
    """What to do with one value and what lies in it."""

    __slots__ = ("_named", "entries", "first", "others", "patterns", "properties", "to")

    def __init__(self) -> None:
        self.to: type[int | float] | None = None
        self.properties: dict[str, Numbers] = {}
        self.others: Numbers | None = None
        self.patterns: list[tuple[str, Numbers]] = []
        self.first: list[Numbers] = []
        self.entries: Numbers | None = None
        self._named: tuple[tuple[str, Numbers], ...] | None = None

    def settle(self) -> None:
        """Be done with planning: where only some properties matter, they are looked for, and no others."""
        self._named = tuple(self.properties.items()) if self.others is None and not self.patterns else None

    def apply(self, value: Any) -> Any:
        """Return *value* with its numbers typed; objects and lists are changed in place."""
        kind = type(value)
        if kind is dict:
            self._type_fields(value)
        elif kind is list:
            for index, entry in enumerate(value):
                of_it = self.first[index] if index < len(self.first) else self.entries
                if of_it is not None and type(entry) is not of_it.to:
                    value[index] = of_it.apply(entry)
        elif kind is int:
            if self.to is float and -_EXACT <= value <= _EXACT:
                return float(value)
        elif kind is float and self.to is int and value.is_integer() and -_EXACT <= value <= _EXACT:
            return int(value)
        return value

    def _type_fields(self, value: dict[str, Any]) -> None:
        named = self._named
        if named is not None and len(named) <= len(value):
            for name, plan in named:
                entry = value.get(name, _ABSENT)
                if type(entry) is not plan.to and entry is not _ABSENT:
                    value[name] = plan.apply(entry)
            return
        for name, entry in value.items():
            of_it = self.properties.get(name) or self._unnamed(name)
            # What has its type already is most of what there is; to look costs a third of a call.
            if of_it is not None and type(entry) is not of_it.to:
                value[name] = of_it.apply(entry)

    def _unnamed(self, name: str) -> "Numbers | None":
        """Return the plan of a field that is not named itself; of several patterns the one for doubles, as ever."""
        found = [plan for pattern, plan in self.patterns if matches(pattern, name)]
        return next((plan for plan in found if plan.to is float), found[0] if found else self.others)


def plan_numbers(schema: Any) -> Numbers | None:
    """Make the plan of *schema*, or None where there is nothing to do."""
    plans: _Plans = {}
    waiting: _Waiting = []
    plan = _plan(schema, [schema], plans, waiting)
    while waiting:  # one by one, and not each within the one before: a schema may go down a thousand levels
        _fill(schema, *waiting.pop(), plans, waiting)
    above: dict[int, list[Numbers]] = {}
    for entry in plans.values():
        for below in _below(entry):
            above.setdefault(id(below), []).append(entry)
    useful: set[int] = set()
    found = [entry for entry in plans.values() if entry.to is not None]
    while found:  # a plan is useful if one below it is
        entry = found.pop()
        if id(entry) not in useful:
            useful.add(id(entry))
            found += above.get(id(entry), ())
    for entry in plans.values():
        _prune(entry, useful)
        entry.settle()
    return plan if id(plan) in useful else None


def type_of(same: Iterable[Schema]) -> type[int | float] | None:
    """Return the type that the schemas of one value give its numbers, None where they name none."""
    named = [name for schema in same for name in types(schema)]
    return float if "number" in named else int if "integer" in named else None


_Plans = dict[tuple[int, ...], Numbers]
_Waiting = list[tuple[Numbers, list[Schema]]]
"""Plans that are not filled in yet, and the schemas that they are made of."""


def _plan(root: Any, schemas: list[Any], plans: _Plans, waiting: _Waiting) -> Numbers:
    same = together(root, schemas)
    key = tuple(sorted(id(schema) for schema in same))
    if key in plans:
        return plans[key]
    plan = plans[key] = Numbers()
    if len(plans) <= _MAX_PLANS:
        waiting.append((plan, same))
    return plan


def _fill(root: Any, plan: Numbers, same: list[Schema], plans: _Plans, waiting: _Waiting) -> None:
    plan.to = type_of(same)
    for name in _properties(same):
        plan.properties[name] = _plan(root, of_property(same, name), plans, waiting)
    others = [s[k] for s in same for k in ("additionalProperties", "unevaluatedProperties") if k in s]
    patterns = dict.fromkeys(pattern for s in same for pattern in mapping(s, "patternProperties"))
    for pattern in patterns:
        entries_of = [
            s["patternProperties"][pattern] for s in same if pattern in mapping(s, "patternProperties")
        ]
        plan.patterns.append((pattern, _plan(root, entries_of, plans, waiting)))
    if any(isinstance(entry, dict) for entry in others):
        plan.others = _plan(root, others, plans, waiting)
    length = max((len(s["prefixItems"]) for s in same if isinstance(s.get("prefixItems"), list)), default=0)
    for index in range(length):
        first = [s["prefixItems"][index : index + 1] for s in same if isinstance(s.get("prefixItems"), list)]
        plan.first.append(_plan(root, [entry for group in first for entry in group], plans, waiting))
    entries = [s[k] for s in same for k in ("items", "unevaluatedItems") if isinstance(s.get(k), dict)]
    if entries:
        plan.entries = _plan(root, entries, plans, waiting)


def _properties(schemas: list[Schema]) -> list[str]:
    return list(dict.fromkeys(name for schema in schemas for name in mapping(schema, "properties")))


def _below(plan: Numbers) -> list[Numbers]:
    optional = [entry for entry in (plan.others, plan.entries) if entry is not None]
    return [*plan.properties.values(), *(below for _, below in plan.patterns), *plan.first, *optional]


def _prune(plan: Numbers, useful: set[int]) -> None:
    # A property, or a pattern, without a plan of its own must not fall through to the plan of the others.
    if plan.others is not None and id(plan.others) not in useful:
        plan.others = None
    if plan.others is None and not any(id(below) in useful for _, below in plan.patterns):
        plan.patterns = []
    keep = plan.others is not None or bool(plan.patterns)
    plan.properties = {n: p for n, p in plan.properties.items() if id(p) in useful or keep}
    if not any(id(entry) in useful for entry in plan.first) and plan.entries is None:
        plan.first = []
    if plan.entries is not None and id(plan.entries) not in useful:
        plan.entries = None
