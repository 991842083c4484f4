"""Bring records of several partitions into one order that respects each partition's own, and tell each once."""

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Protocol, TypeVar


class Placed(Protocol):
    """Whatever lies in a log."""

    @property
    def topic(self) -> str:
        """The topic's name."""

    @property
    def appended_at(self) -> int:
        """The broker's append time (ms)."""


P = TypeVar("P", bound=Placed)

_MARK = 16  # of a digest; some 100,000 are remembered at once
_BEFORE = ("handoffs.", "verdicts.", "decisions.")
"""Within one millisecond a crossing comes before what is said of it."""


def in_order(runs: Iterable[Sequence[P]]) -> Iterable[P]:
    """
    Merge runs of records, each of one partition in the order of offsets, by append time.

    The broker's clock may step back within a partition; the offsets win.
    """
    return heapq.merge(*runs, key=_instant)


class Once:
    """
    Knows a decision that was published again: the router died before it noted that it had published it.

    It is the same byte for byte, and was decided once.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def is_new(self, digest: str) -> bool:
        """Say whether a decision with this digest comes for the first time."""
        mark = digest[:_MARK]
        if mark in self._seen:
            return False
        self._seen.add(mark)
        return True


class Lately:
    """
    Knows the latest of what `Once` knows, for whoever takes in records without end.

    Args:
        most: So many; more than those who decide publish again as they start.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: OrderedDict[str, None] = OrderedDict()

    def is_new(self, digest: str) -> bool:
        """Say whether a record with this digest has not come lately."""
        mark = digest[:_MARK]
        if mark in self._seen:
            return False
        self._seen[mark] = None
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return True


def _instant(record: Placed) -> tuple[int, int]:
    return record.appended_at, _rank(record.topic)


@lru_cache(maxsize=4096)
def _rank(topic: str) -> int:
    return next((rank for rank, prefix in enumerate(_BEFORE) if topic.startswith(prefix)), len(_BEFORE))
