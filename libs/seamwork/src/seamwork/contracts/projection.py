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
from seamwork.rules.walk import Schema, of_entry, of_property, together

MAX_CUT = 64
"""So many fields at most are cut out of one payload: the stamp names them all."""
MAX_CUT_CHARS = 4096
"""So long may their pointers be together; a stamp travels with whatever is sent under it."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_NAMING = ("properties", "patternProperties", "additionalProperties", "unevaluatedProperties")


def undeclared(schema: Schema, value: Any) -> tuple[str, ...]:
    """Return pointers to the fields of *value* that *schema* does not describe, in their order."""
    return tuple(pointer(path) for path in _undeclared(schema, value, [schema], [schema], ()))


def too_much(projection: Sequence[str]) -> bool:
    """Say whether so much is not cut out of one payload: it is refused instead."""
    return len(projection) > MAX_CUT or sum(map(len, projection)) > MAX_CUT_CHARS


def pruned(value: Any, projection: Sequence[str]) -> Any:
    """Return *value* without the fields of *projection*, which lie in objects."""
    return _pruned(value, frozenset(projection), "")


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
    written, _ = _Cutting(payload, tokens, frozenset(projection)).value(0, "")
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


def _undeclared(
    root: Schema, value: Any, described: list[Any], asked: list[Any], path: tuple[str | int, ...]
) -> Iterator[tuple[str | int, ...]]:
    """
    Yield the paths below *path* of fields that nothing speaks of.

    Args:
        root: The whole schema.
        value: What stands at *path*.
        described: The schemas that say what it is.
        asked: Those and the conditions that are about it.
        path: Where it stands.
    """
    if not isinstance(value, dict | list):
        return
    describing, asking = together(root, described), together(root, asked, conditions=True)
    if isinstance(value, list):
        for index, entry in enumerate(value):
            where = (*path, index)
            yield from _undeclared(root, entry, of_entry(describing, index), of_entry(asking, index), where)
        return
    free, named = _free_form(describing), _asked_for(asking)
    for name, entry in value.items():
        spoken_of = of_property(asking, name)
        if spoken_of:
            yield from _undeclared(root, entry, of_property(describing, name), spoken_of, (*path, name))
        elif not free and name not in named:
            yield (*path, name)


def _asked_for(schemas: list[Schema]) -> set[str]:
    """Return the names of fields that a schema wants to be there, whatever they hold."""
    lists = [schema["required"] for schema in schemas if isinstance(schema.get("required"), list)]
    dependent = [schema["dependentRequired"] for schema in schemas if "dependentRequired" in schema]
    lists += [[name, *wanted] for one in dependent if isinstance(one, dict) for name, wanted in one.items()]
    return {name for names in lists for name in names if isinstance(name, str)}


def _free_form(schemas: list[Schema]) -> bool:
    """Say whether an object may have any fields: no part of its schema names one, or one says so outright."""
    named = any(keyword in one for one in schemas for keyword in _NAMING)
    return not named or any(one.get(keyword) is True for one in schemas for keyword in _NAMING[2:])


def _pruned(value: Any, gone: frozenset[str], at: str) -> Any:
    if isinstance(value, dict):
        below = ((name, entry, at + pointer((name,))) for name, entry in value.items())
        return {name: _pruned(entry, gone, where) for name, entry, where in below if where not in gone}
    if isinstance(value, list):
        return [_pruned(entry, gone, f"{at}/{index}") for index, entry in enumerate(value)]
    return value


class _Cutting:
    """One payload on its way to what is left of it."""

    def __init__(self, payload: bytes, tokens: list[tuple[bytes, int, int]], gone: frozenset[str]) -> None:
        self._payload = payload
        self._tokens = tokens
        self._gone = gone

    def value(self, index: int, at: str) -> tuple[bytes, int]:
        """Return what is left of the value that begins at token *index*, and the index behind it."""
        token, start, _ = self._tokens[index]
        if token == b"{":
            return self._object(index, at)
        if token == b"[":
            return self._list(index, at)
        return self._payload[start : self._tokens[index][2]], index + 1

    def _object(self, index: int, at: str) -> tuple[bytes, int]:
        begin, index = self._tokens[index][1], index + 1
        kept: list[bytes] = []
        patches: list[tuple[int, int, bytes]] = []
        lost = False
        while self._tokens[index][0] != b"}":
            token, start, _ = self._tokens[index]
            where = at + pointer((_text(token),))
            body, behind = self.value(index + 2, where)
            first, last = self._tokens[index + 2][1], self._tokens[behind - 1][2]
            if where in self._gone:
                lost = True
            else:
                kept.append(self._payload[start:first] + body)
                patches.append((first, last, body))
            index = behind + (self._tokens[behind][0] == b",")
        end = self._tokens[index][2]
        whole = b"{" + b",".join(kept) + b"}" if lost else self._patched(begin, end, patches)
        return whole, index + 1

    def _list(self, index: int, at: str) -> tuple[bytes, int]:
        begin, index = self._tokens[index][1], index + 1
        patches: list[tuple[int, int, bytes]] = []
        number = 0
        while self._tokens[index][0] != b"]":
            body, behind = self.value(index, f"{at}/{number}")
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
