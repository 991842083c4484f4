"""
Cut out of a payload what its contract does not describe, so that the receiver gets the rest byte for byte.

Undeclared is a field that no part of the schema speaks of, beside others that are described; a condition speaks of
the fields that it asks for, and is judged by them. A **projection** is
the list of JSON pointers (RFC 6901) to such fields. An object that loses a field is written anew from the bytes of
its members, joined by commas; everything else keeps its bytes, so that no number is rounded and no text rewritten
on the way, and whoever has the payload and the projection gets the same bytes.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from seamwork.contracts.findings import pointer
from seamwork.ids import sha256_hex
from seamwork.records.delivery import Delivered
from seamwork.rules.walk import Level, Schema

MAX_CUT = 64
"""So many fields at most are cut out of one payload: the stamp names them all."""
MAX_CUT_CHARS = 4096
"""So long may their pointers be together; a stamp travels with whatever is sent under it."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_NAMING = ("properties", "patternProperties", "additionalProperties", "unevaluatedProperties")


def undeclared(schema: Schema, value: Any) -> tuple[str, ...]:
    """
    Return pointers to the fields of *value* that *schema* does not describe, in their order.

    Of what is ``too_much`` only so many are returned that it shows: a field may lie behind a name of half a
    megabyte, and a sender can leave a hundred thousand there.
    """
    found: list[str] = []
    for path in _Undeclared().below(
        value, Level(schema, [schema]), Level(schema, [schema], conditions=True), ()
    ):
        found.append(pointer(path))
        if too_much(found):
            break
    return tuple(found)


def too_much(projection: Sequence[str]) -> bool:
    """Say whether so much is not cut out of one payload: it is refused instead."""
    return len(projection) > MAX_CUT or sum(map(len, projection)) > MAX_CUT_CHARS


def pruned(value: Any, projection: Sequence[str]) -> Any:
    """Return *value* without the fields of *projection*, which lie in objects."""
    return _pruned(value, _steps(projection))


def cut(payload: bytes, projection: Sequence[str]) -> bytes:
    """
    Return the bytes of *payload* without the fields of *projection*.

    Args:
        payload: JSON in which no object has a key twice.
        projection: Pointers to fields of it; one that leads nowhere cuts nothing.
    """
    if not projection:
        return payload
    tokens = [(match.group(), match.start(), match.end()) for match in _TOKEN.finditer(payload)]
    written, _ = _Cutting(payload, tokens).value(0, _steps(projection))
    return written


def delivered(
    payload: bytes, projection: Sequence[str], counter: str | None = None, tokens: int | None = None
) -> Delivered:
    """Describe what a receiver gets of *payload*."""
    body = cut(payload, projection)
    return Delivered(
        sha256=sha256_hex(body), bytes=len(body), sent_sha256=sha256_hex(payload), projection=tuple(projection),
        counter=counter, tokens=tokens,
    )  # fmt: skip


class _Undeclared:
    """The fields of one payload that nothing speaks of."""

    def __init__(self) -> None:
        self._free: dict[int, bool] = {}
        self._named: dict[int, set[str]] = {}

    def below(
        self, value: Any, described: Level, asked: Level, path: tuple[str | int, ...]
    ) -> Iterator[tuple[str | int, ...]]:
        """
        Yield the paths below *path* of fields that nothing speaks of.

        Args:
            value: What stands at *path*.
            described: The schemas that say what it is.
            asked: Those and the conditions that are about it.
            path: Where it stands.
        """
        if isinstance(value, list):
            for index, entry in enumerate(value):
                if isinstance(entry, dict | list):
                    inner, asking = (
                        described.below(described.of_entry(index)),
                        asked.below(asked.of_entry(index)),
                    )
                    yield from self.below(entry, inner, asking, (*path, index))
        elif isinstance(value, dict):
            for name, entry in value.items():
                spoken_of = asked.of_property(name)
                if not spoken_of:
                    if not self._takes(name, described, asked):
                        yield (*path, name)
                elif isinstance(entry, dict | list):
                    inner = described.below(described.of_property(name))
                    yield from self.below(entry, inner, asked.below(spoken_of), (*path, name))

    def _takes(self, name: str, described: Level, asked: Level) -> bool:
        """Say whether an object may have the field *name* although no part of its schema says what it is."""
        free, named = self._free.get(id(described)), self._named.get(id(asked))
        if free is None:
            free = self._free[id(described)] = free_form(described.schemas)
        if named is None:
            named = self._named[id(asked)] = asked_for(asked.schemas)
        return free or name in named


def asked_for(schemas: list[Schema]) -> set[str]:
    """Return the names of fields that a schema wants to be there, whatever they hold."""
    lists = [schema["required"] for schema in schemas if isinstance(schema.get("required"), list)]
    dependent = [schema["dependentRequired"] for schema in schemas if "dependentRequired" in schema]
    lists += [[name, *wanted] for one in dependent if isinstance(one, dict) for name, wanted in one.items()]
    return {name for names in lists for name in names if isinstance(name, str)}


def free_form(schemas: list[Schema]) -> bool:
    """Say whether an object may have any fields: no part of its schema names one, or one says so outright."""
    named = any(keyword in one for one in schemas for keyword in _NAMING)
    return not named or any(one.get(keyword) is True for one in schemas for keyword in _NAMING[2:])


_Steps = dict[str, "_Steps | None"]
"""Which way what is cut out lies, step by step; None where it is."""


def _steps(projection: Sequence[str]) -> _Steps:
    """Take pointers apart: to write one for each value and look it up takes for ever below a long name."""
    first: _Steps = {}
    for written in projection:
        steps: _Steps | None = first
        *above, last = (part.replace("~1", "/").replace("~0", "~") for part in written.split("/")[1:])
        for part in above:
            steps = None if steps is None else steps.setdefault(part, {})
        if steps is not None:
            steps[last] = None
    return first


def _pruned(value: Any, steps: _Steps) -> Any:
    if not steps:
        return value
    if isinstance(value, dict):
        below = ((name, entry, steps.get(name, {})) for name, entry in value.items())
        return {name: _pruned(entry, further) for name, entry, further in below if further is not None}
    if isinstance(value, list):
        return [_pruned(entry, steps.get(str(index)) or {}) for index, entry in enumerate(value)]
    return value


class _Cutting:
    """One payload on its way to what is left of it."""

    def __init__(self, payload: bytes, tokens: list[tuple[bytes, int, int]]) -> None:
        self._payload = payload
        self._tokens = tokens

    def value(self, index: int, steps: _Steps) -> tuple[bytes, int]:
        """Return what is left of the value that begins at token *index*, and the index behind it."""
        token, start, _ = self._tokens[index]
        if token == b"{":
            return self._object(index, steps)
        if token == b"[":
            return self._list(index, steps)
        return self._payload[start : self._tokens[index][2]], index + 1

    def _object(self, index: int, steps: _Steps) -> tuple[bytes, int]:
        begin, index = self._tokens[index][1], index + 1
        kept: list[bytes] = []
        patches: list[tuple[int, int, bytes]] = []
        lost = False
        while self._tokens[index][0] != b"}":
            token, start, _ = self._tokens[index]
            further = steps.get(_text(token), {}) if steps else steps
            body, behind = self.value(index + 2, further or {})
            first, last = self._tokens[index + 2][1], self._tokens[behind - 1][2]
            if further is None:
                lost = True
            else:
                kept.append(self._payload[start:first] + body)
                patches.append((first, last, body))
            index = behind + (self._tokens[behind][0] == b",")
        end = self._tokens[index][2]
        whole = b"{" + b",".join(kept) + b"}" if lost else self._patched(begin, end, patches)
        return whole, index + 1

    def _list(self, index: int, steps: _Steps) -> tuple[bytes, int]:
        begin, index = self._tokens[index][1], index + 1
        patches: list[tuple[int, int, bytes]] = []
        number = 0
        while self._tokens[index][0] != b"]":
            body, behind = self.value(index, steps.get(str(number)) or {})
            patches.append((self._tokens[index][1], self._tokens[behind - 1][2], body))
            number += 1
            index = behind + (self._tokens[behind][0] == b",")
        return self._patched(begin, self._tokens[index][2], patches), index + 1

    def _patched(self, begin: int, end: int, patches: list[tuple[int, int, bytes]]) -> bytes:
        parts, at = [], begin
        for first, last, body in patches:
            parts += [self._payload[at:first], body]
            at = last
        return b"".join((*parts, self._payload[at:end]))


def _text(token: bytes) -> str:
    read: str = orjson.loads(token)
    return read
