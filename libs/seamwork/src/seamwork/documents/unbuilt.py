"""
List what documents may not name yet.

Naming something that is not built is an error, never a no-op: a contract that says ``undeclared: strip`` to a
platform that does not strip would be a promise that nobody keeps. When a part is built, its line leaves its list.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from seamwork.documents.problems import Place, Problem, json_path
from seamwork.documents.tree import Json, Tree

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Unbuilt:
    """A field that is not built, or values of it."""

    kind: str
    path: tuple[str, ...]
    values: tuple[str, ...] = ()


NOT_BUILT_YET: tuple[Unbuilt, ...] = (
    Unbuilt("Contract", ("spec", "compatibility")),
    Unbuilt("Contract", ("spec", "compensation")),
    Unbuilt("Contract", ("spec", "payloadByReference")),
    Unbuilt("Person", ("spec", "absent")),
)


def find_unbuilt(kind: str, tree: Tree) -> Iterator[Problem]:
    """Yield a problem for each part of a written document that cannot even be read yet."""
    yield from _find(NOT_BUILT_YET, kind, tree.value, tree.key_place)


def _find(
    listed: Sequence[Unbuilt], kind: str, value: Json, place_of: Callable[[Path], Place]
) -> Iterator[Problem]:
    for entry in listed:
        if entry.kind != kind:
            continue
        for path, found in _look_up(value, entry.path):
            if entry.values and found not in entry.values:
                continue
            what = f"the value {found!r} of {path[-1]!r}" if entry.values else f"{path[-1]!r}"
            message = f"{what} is not built yet, so naming it would promise what nobody keeps"
            yield Problem(place_of(path), json_path(path), "not-built-yet", message, "leave it out")


def _look_up(value: Json, path: tuple[str, ...], above: Path = ()) -> Iterator[tuple[Path, Json]]:
    """Yield every value at *path*, in which ``*`` stands for each entry of a list, with where it is."""
    if not path:
        yield above, value
    elif path[0] == "*" and isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _look_up(entry, path[1:], (*above, index))
    elif isinstance(value, dict) and path[0] in value:
        yield from _look_up(value[path[0]], path[1:], (*above, path[0]))
