"""
Lend a gate's function what the gate remembers, and take down what it notes.

Rule 1: what is noted is JSON, and each look at it is at a copy: nothing changes but by a note.
Rule 2: every note says for how long; nothing is kept for ever.
Rule 3: what one crossing may note has a bound, so that it fits into a commit with the verdict.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from seamwork.documents.canonical import canonical_json

MOST_KEY = 200
"""Characters of a key."""
MOST_NOTES = 64
"""Notes that one crossing may leave."""
MOST_BYTES = 64 * 1024
"""Bytes of JSON that these may come to."""
MOST_S = 31 * 24 * 60 * 60
"""Seconds for which a note is kept at most."""

_MISSING: Any = object()
_PLAIN = (str, int, float, bool, type(None))


class Note(msgspec.Struct, frozen=True):
    """What was noted under a key, and until when it counts (ms)."""

    value: Any
    until: int


class Known(Protocol):
    """Whatever finds values by their keys: a dict will do."""

    def get(self, key: str, default: Any = None, /) -> Any:
        """Return the value of *key*, or *default*."""


class Memory:
    """
    What a gate remembers, and where it notes more; a function that judges is handed one.

    A test makes one of a dict, and looks at `notes` afterwards. What a function noted before it failed is not kept.

    Args:
        known: What is remembered, by key; a dict will do.
    """

    def __init__(self, known: Known | None = None) -> None:
        empty: dict[str, Any] = {}
        self._known: Known = empty if known is None else known
        self._notes: dict[str, tuple[Any, float] | None] = {}
        self._bytes = 0

    @property
    def notes(self) -> Mapping[str, tuple[Any, float] | None]:
        """What was noted: a value and for how many seconds, or null where a key was dropped."""
        return self._notes

    def get(self, key: str, default: Any = None) -> Any:
        """Return what was noted under *key*, or *default* where nothing was, or it has been forgotten."""
        if key in self._notes:
            noted = self._notes[key]
            return default if noted is None else _copy(noted[0])
        known = self._known.get(key, _MISSING)
        return default if known is _MISSING else _copy(known)

    def __contains__(self, key: str) -> bool:
        if key in self._notes:
            return self._notes[key] is not None
        return self._known.get(key, _MISSING) is not _MISSING

    def put(self, key: str, value: Any, *, for_s: float) -> None:
        """
        Note *value* under *key*, in the place of what was there, for so many seconds.

        Raises:
            ValueError: It is no JSON, too large or too much, or is to be kept for longer than `MOST_S`.
        """
        if not 0 < for_s <= MOST_S:
            raise ValueError(f"a note is kept for more than 0 and at most {MOST_S} s, not for {for_s}")
        try:
            text = canonical_json(value)
        except TypeError as error:
            raise ValueError(f"what is noted is JSON, and this is not: {error}") from error
        self._change(key, (msgspec.json.decode(text), float(for_s)), len(text))

    def drop(self, key: str) -> None:
        """Forget what was noted under *key*."""
        self._change(key, None, 0)

    def _change(self, key: str, noted: tuple[Any, float] | None, size: int) -> None:
        if not 0 < len(key) <= MOST_KEY or not key.isprintable():
            raise ValueError(f"a key is 1 to {MOST_KEY} printable characters, not {key[:MOST_KEY]!r}")
        weight = self._bytes + len(key) + size
        if weight > MOST_BYTES:
            raise ValueError(f"one crossing may note {MOST_BYTES} bytes, and this would be more")
        if len(self._notes) == MOST_NOTES and key not in self._notes:
            raise ValueError(f"one crossing may leave {MOST_NOTES} notes, and this would be one more")
        self._notes[key], self._bytes = noted, weight


def _copy(value: Any) -> Any:
    return value if isinstance(value, _PLAIN) else msgspec.json.decode(canonical_json(value))
