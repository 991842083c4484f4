"""
Read a payload so that no two readers can see two different ones.

JSON as orjson reads it (no NaN, no byte order mark, no infinite number), and besides: no key twice in one object,
no integer outside 64 bits, no nesting past what any contract needs. A payload that our own encoder would write the
same way has none of these, and comparing is far cheaper than looking; only what is laid out differently is counted.
"""

import json
import re
from typing import Any

import orjson

from seamwork.contracts.findings import Finding

MAX_DEPTH = 64
INT64_MAX = (1 << 63) - 1

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_LONG_INTEGER = re.compile(rb"(?<![\d.eE+-])-?\d{19,}(?![\d.eE])")


class PayloadError(Exception):
    """The bytes are no payload; caught in this room and turned into its finding."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.finding = Finding(rule, message)


def read_payload(data: bytes, limit_bytes: int) -> Any:
    """
    Return the JSON value of *data*.

    Raises:
        PayloadError: With the finding ``payload-too-large``, ``not-utf-8``, ``not-json``, ``too-deep``,
            ``number-out-of-range`` or ``duplicate-key``.
    """
    if len(data) > limit_bytes:
        raise PayloadError(
            "payload-too-large", f"the payload has {len(data)} bytes, {limit_bytes} are allowed"
        )
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _unreadable(data, error) from error
    # Depth needs at least as many brackets, and most payloads have fewer than the limit.
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise PayloadError("too-deep", f"the payload is nested deeper than {MAX_DEPTH} levels")
    try:
        if orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER) == data:
            return value
    except orjson.JSONEncodeError:
        pass  # an integer past 53 bits: what follows tells whether it fits into 64
    _refuse_long_integers(data)
    _refuse_duplicate_keys(data, value)
    return value


def _unreadable(data: bytes, error: orjson.JSONDecodeError) -> PayloadError:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as not_text:
        return PayloadError("not-utf-8", f"the payload is not UTF-8 at byte {not_text.start}")
    if "depth" in error.msg or "recursion" in error.msg:
        return PayloadError("too-deep", f"the payload is nested deeper than {MAX_DEPTH} levels")
    return PayloadError("not-json", f"the payload is not JSON at line {error.lineno}, column {error.colno}")


def _refuse_long_integers(data: bytes) -> None:
    if not re.search(rb"\d{19}", data):
        return
    for number in _LONG_INTEGER.findall(_STRING.sub(b'""', data)):
        if len(number) > 20 or not -INT64_MAX - 1 <= int(number) <= INT64_MAX:  # noqa: PLR2004  # digits and sign
            raise PayloadError("number-out-of-range", "the payload has an integer of more than 64 bits")


def _refuse_duplicate_keys(data: bytes, value: Any) -> None:
    # Outside of strings a colon stands once for every member that was written; reading keeps each key once.
    if _STRING.sub(b"", data).count(b":") == _members(value):
        return
    json.loads(data, object_pairs_hook=_distinct)
    raise PayloadError("duplicate-key", "a key stands twice in one object")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise PayloadError("duplicate-key", f"the key {name[:80]!r} stands twice in one object")
        found[name] = value
    return found


def _members(value: Any) -> int:
    count = 0
    stack = [value]
    while stack:
        current = stack.pop()
        if type(current) is dict:
            count += len(current)
            stack.extend(current.values())
        elif type(current) is list:
            stack.extend(current)
    return count


def _depth(value: Any) -> int:
    deepest = 0
    stack = [(value, 1)]
    while stack:
        current, depth = stack.pop()
        if type(current) is dict:
            deepest = max(deepest, depth)
            stack.extend((below, depth + 1) for below in current.values())
        elif type(current) is list:
            deepest = max(deepest, depth)
            stack.extend((below, depth + 1) for below in current)
    return deepest
