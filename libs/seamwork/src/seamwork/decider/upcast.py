"""Bring what an older version of a machine wrote to the present one, a version at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def same(written: dict[str, Any]) -> dict[str, Any]:
    """Change nothing: what was written is read as it is."""
    return written


@dataclass(frozen=True, kw_only=True)
class Upcast:
    """
    From one version of a machine to the next.

    Both functions are pure and take plain JSON values, for the types of an older version are not kept: *event* gets
    one event of a journal (its ``type`` says which), *state* the state of a snapshot.
    """

    event: Callable[[dict[str, Any]], dict[str, Any]] = same
    state: Callable[[dict[str, Any]], dict[str, Any]] = same
