"""
List what documents may not name yet.

Naming something that is not built is an error, never a no-op: a contract that says ``undeclared: strip`` to a
platform that does not strip would be a promise that nobody keeps. When a part is built, its line leaves this list
and its field enters the model.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from seamwork.documents.problems import Problem, json_path
from seamwork.documents.tree import Json, Tree


@dataclass(frozen=True, slots=True)
class Unbuilt:
    """A field that is not built, or values of it."""

    kind: str
    path: tuple[str, ...]
    values: tuple[str, ...] = ()


NOT_BUILT_YET: tuple[Unbuilt, ...] = (
    Unbuilt("Contract", ("spec", "undeclared"), ("strip",)),
    Unbuilt("Contract", ("spec", "limits", "contextTokens")),
    Unbuilt("Contract", ("spec", "limits", "fanOut")),
    Unbuilt("Contract", ("spec", "escalateWhen")),
    Unbuilt("Contract", ("spec", "errorBudget")),
    Unbuilt("Contract", ("spec", "compatibility")),
    Unbuilt("Contract", ("spec", "compensation")),
    Unbuilt("Contract", ("spec", "payloadByReference")),
    Unbuilt("Agent", ("spec", "contextTokens")),
    Unbuilt("Agent", ("spec", "requires")),
    Unbuilt("Person", ("spec", "absent")),
    Unbuilt("Flow", ("spec", "mode"), ("observe", "shadow")),
    Unbuilt("Policy", ("spec", "mode"), ("shadow",)),
    Unbuilt("Budget", ("spec", "period"), ("hour", "day", "week", "month")),
    Unbuilt("Gate", ("spec", "mode"), ("canary",)),
    Unbuilt("Gate", ("spec", "canary")),
)

MODES_NOT_BUILT_YET = frozenset({"canary"})
"""Modes that an activation of a ``Gate`` may not ask for yet."""


def find_unbuilt(kind: str, tree: Tree) -> Iterator[Problem]:
    """Yield a problem for each part of a written document that is on the list."""
    for entry in NOT_BUILT_YET:
        if entry.kind != kind:
            continue
        found, value = _look_up(tree.value, entry.path)
        if not found or (entry.values and value not in entry.values):
            continue
        what = f"the value {value!r} of {entry.path[-1]!r}" if entry.values else f"{entry.path[-1]!r}"
        message = f"{what} is not built yet, so naming it would promise what nobody keeps"
        place = tree.key_place(entry.path)
        yield Problem(place, json_path(entry.path), "not-built-yet", message, "leave it out")


def _look_up(value: Json, path: tuple[str, ...]) -> tuple[bool, Json]:
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return False, None
        value = value[part]
    return True, value
