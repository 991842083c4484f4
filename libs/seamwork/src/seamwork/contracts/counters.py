"""
Count how much of a model's context a payload takes up, by counters that have a name.

Which counter a contract names is its owners' choice: these need no vocabulary, give the same number everywhere, and
err on the side that is easy to explain.
"""

import re
from collections.abc import Callable

_WORD = re.compile(rb"[^\s\"{}\[\],:]+")


def _quarter_of_bytes(payload: bytes) -> int:
    """Count a token for every four bytes begun, the usual rule of thumb for English text and JSON."""
    return -(-len(payload) // 4)


def _bytes(payload: bytes) -> int:
    """Count every byte: no tokenizer of bytes makes more tokens."""
    return len(payload)


def _words(payload: bytes) -> int:
    """Count runs of characters between white space and JSON's own signs."""
    return len(_WORD.findall(payload))


COUNTERS: dict[str, Callable[[bytes], int]] = {
    "quarter-of-bytes": _quarter_of_bytes,
    "bytes": _bytes,
    "words": _words,
}
"""Counters by the names that ``limits.contextTokens.counter`` may hold."""
