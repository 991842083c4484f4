"""
Say how much is stripped of a payload because a later version describes it no more.

A gate cuts so many fields out of a payload and no more (``projection.MAX_CUT``). One field of each entry of a long
list is more than that, and what went through before is refused.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from seamwork.contracts.payload import MAX_DEPTH
from seamwork.contracts.projection import MAX_CUT, MAX_CUT_CHARS, asked_for, free_form
from seamwork.rules.walk import Schema, mapping, of_entry, of_property, together

_ENDLESS = MAX_CUT + 1
"""Fields, or entries, of which a payload may have as many as there is room for."""
_UNNAMED = "\0"
_Dropped = tuple[int, int]
"""Fields, and the characters of the pointers to them."""


def drops_too_much(before: Schema, after: Schema) -> bool:
    """
    Say whether more may be dropped than is cut out of one payload; what senders put in besides is not counted.

    Args:
        before: The former schema.
        after: The one by which undeclared fields are stripped from now on.
    """
    fields, chars = _Dropping(before, after).below([before], [after], 1)
    return fields > MAX_CUT or chars > MAX_CUT_CHARS


class _Dropping:
    """Two schemas of one payload, side by side."""

    def __init__(self, before: Schema, after: Schema) -> None:
        self._roots = before, after
        self._known: dict[tuple[int, ...], _Dropped | None] = {}
        self._again: set[tuple[int, ...]] = set()

    def below(self, was: Sequence[Any], now: Sequence[Any], deep: int) -> _Dropped:
        """Return what may be dropped of a value *deep* in a payload, which these schemas describe."""
        if deep > MAX_DEPTH:
            return 0, 0
        one, other = together(self._roots[0], was), together(self._roots[1], now)
        key = (*map(id, one), 0, *map(id, other))
        if key not in self._known:
            self._known[key] = None  # until it is known it stands above
            parts = (*self._fields(one, other, deep), *self._entries(one, other, deep))
            found = sum(part[0] for part in parts), sum(part[1] for part in parts)
            # What comes back to itself is dropped on each level anew.
            self._known[key] = _times(_ENDLESS if key in self._again else 1, found)
        known = self._known[key]
        if known is None:
            self._again.add(key)
            return 0, 0
        return known

    def _fields(self, one: list[Schema], other: list[Schema], deep: int) -> Iterator[_Dropped]:
        free, wanted = free_form(other), asked_for(other)
        for name in dict.fromkeys(name for schema in one for name in mapping(schema, "properties")):
            was, now = of_property(one, name), of_property(other, name)
            if now:
                yield _behind(len(name) + 1, self.below(was, now, deep + 1))
            elif not free and name not in wanted and _allows(was):
                yield 1, len(name) + 1
        patterns = dict.fromkeys(
            pattern for schema in one for pattern in mapping(schema, "patternProperties")
        )
        for pattern in (None, *patterns):
            was, now = _unnamed(one, pattern), _unnamed(other, pattern)
            if now:
                yield _times(_ENDLESS, self.below(was, now, deep + 1))
            elif not free and _allows(was):
                yield _ENDLESS, 0

    def _entries(self, one: list[Schema], other: list[Schema], deep: int) -> Iterator[_Dropped]:
        lists = [schema["prefixItems"] for schema in one if isinstance(schema.get("prefixItems"), list)]
        first = max(map(len, lists), default=0)
        most = max((s["maxItems"] for s in one if isinstance(s.get("maxItems"), int)), default=None)
        rest = _ENDLESS if most is None else max(0, most - first)
        for index in range(first + 1):
            found = self.below(of_entry(one, index), of_entry(other, index), deep + 1)
            yield _times(1 if index < first else rest, _behind(len(str(index + rest)) + 1, found))


def _unnamed(schemas: Sequence[Schema], pattern: str | None) -> list[Any]:
    """Return what describes the fields that *pattern* finds; without one, those that nothing else describes."""
    found = [mapping(schema, "patternProperties").get(pattern) for schema in schemas if pattern is not None]
    described = [one for one in found if one is not None]
    return described or of_property(schemas, _UNNAMED)


def _allows(schemas: Sequence[Any]) -> bool:
    return any(schema is not False for schema in schemas)


def _behind(chars: int, dropped: _Dropped) -> _Dropped:
    """Return what is dropped behind a step of so many characters."""
    return dropped[0], dropped[1] + dropped[0] * chars


def _times(number: int, dropped: _Dropped) -> _Dropped:
    return dropped[0] * number, dropped[1] * number
