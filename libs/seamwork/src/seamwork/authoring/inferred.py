"""
Propose a schema from samples: closed, bounded, and no wider than a contract should be.

Pure. Bounds are a guess that its author looks at: each is a round number above what was seen.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from seamwork.contracts.masking import HIDDEN
from seamwork.contracts.schema import Checker

_FORMATS = ("date-time", "date", "uuid", "email", "ipv4")
_ROOM = 2
"""How much more than what was seen a text or a list may hold."""
_LEAST_TEXT, _LEAST_LIST = 100, 10
_LISTED = 6
"""So many different values may a text have to be listed one by one."""
_SEEN_OFTEN = 8
"""So many samples must there be before their values are listed: of fewer each would be new."""
_LARGEST = 1e90
"""Larger numbers get no bound: with the room above it, a document's hundred digits do not hold it."""
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,39}")


def schema_of(samples: Sequence[Any], *, listing: bool = False) -> dict[str, Any]:
    """
    Return a schema that admits every one of *samples*.

    Args:
        samples: JSON values, at least one. A field that one of them lacks is optional. What was hidden
            (``***``) stays hidden and may be of any type: that it is a text now says nothing of what it was.
        listing: Whether a text that has few values, each of them several times, is held to these values.
    """
    if HIDDEN in samples:
        # The contract under which it crossed hid it, and so must the one to be. Of which type it was nobody knows.
        return {"x-sensitive": True}
    kinds = sorted({_kind(sample) for sample in samples})
    if kinds == ["integer", "number"]:
        kinds = ["number"]
    if len(kinds) > 1:
        return {"anyOf": [_of(kind, [s for s in samples if _fits(kind, s)], listing) for kind in kinds]}
    return _of(kinds[0], samples, listing)


def _kind(sample: Any) -> str:
    match sample:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _fits(kind: str, sample: Any) -> bool:
    found = _kind(sample)
    return found == kind or (kind == "number" and found == "integer")


def _of(kind: str, samples: Sequence[Any], listing: bool) -> dict[str, Any]:  # noqa: FBT001  # passed down
    match kind:
        case "object":
            names = dict.fromkeys(name for sample in samples for name in sample)
            return {
                "type": "object",
                "properties": {
                    name: schema_of([s[name] for s in samples if name in s], listing=listing)
                    for name in names
                },
                "required": [name for name in names if all(name in sample for sample in samples)],
                "additionalProperties": False,
            }
        case "array":
            entries = [entry for sample in samples for entry in sample]
            items = {"items": schema_of(entries, listing=listing)} if entries else {"items": False}
            longest = max(len(sample) for sample in samples)
            return {"type": "array", **items, "maxItems": _round(longest, _LEAST_LIST)}
        case "string" if listing and (values := _few(samples)):
            return {"enum": values}
        case "string":
            shaped = next((f for f in _FORMATS if all(_has(f, text) for text in samples)), None)
            form = {} if shaped is None else {"format": shaped}
            longest = max(len(text) for text in samples)
            return {"type": "string", **form, "maxLength": _round(longest, _LEAST_TEXT)}
        case "integer" | "number":
            return {"type": kind, **_bounds(samples)}
        case other:
            return {"type": other}


def _few(texts: Sequence[str]) -> list[str]:
    """Return the values that *texts* has, where they are few words of which each came more than once; else none."""
    counted = Counter(texts)
    listed = len(texts) >= _SEEN_OFTEN and len(counted) <= _LISTED and min(counted.values()) > 1
    return sorted(counted) if listed and all(map(_WORD.fullmatch, counted)) else []


def _has(shape: str, text: str) -> bool:
    if shape == "date" and re.fullmatch(r"\d{4}-\d\d-\d\d", text) is None:
        return False
    return not Checker({"type": "string", "format": shape}).findings(text)


def _bounds(numbers: Sequence[float]) -> dict[str, int]:
    positive = all(number >= 0 for number in numbers)
    most = max(abs(number) for number in numbers)
    if most > _LARGEST:
        return {"minimum": 0} if positive else {}
    bound = _round(most, 1000)
    return {"minimum": 0 if positive else -bound, "maximum": bound}


def _round(seen: float, least: int) -> int:
    """Return the next power of ten that leaves room above what was seen."""
    bound = least
    while bound < seen * _ROOM:
        bound *= 10
    return bound
