"""Hold a written document with the place of each of its parts."""

from collections.abc import Sequence
from dataclasses import dataclass

from seamwork.documents.problems import Place

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None
"""Any JSON value."""


@dataclass(frozen=True, slots=True)
class Tree:
    """
    One value and where it stands.

    *value* is plain JSON; *children* are the trees of its entries by key or index, *keys* the places of the keys.
    *size* counts all values below, each as often as an alias repeats it, *levels* how deep they lie, and
    *written_bytes* is about what they take as JSON.
    """

    value: Json
    at: Place
    children: dict[str | int, "Tree"]
    keys: dict[str, Place]
    size: int = 1
    levels: int = 0
    written_bytes: int = 0

    def place(self, path: Sequence[str | int]) -> Place:
        """Return the place of the value at *path*, or of the nearest one above it that was written."""
        tree = self
        for part in path:
            if part not in tree.children:
                break
            tree = tree.children[part]
        return tree.at

    def key_place(self, path: Sequence[str | int]) -> Place:
        """Return the place of the *key* that *path* ends with, or as ``place`` does."""
        if path and isinstance(path[-1], str):
            tree: Tree | None = self
            for part in path[:-1]:
                tree = tree.children.get(part) if tree is not None else None
            if tree is not None and path[-1] in tree.keys:
                return tree.keys[path[-1]]
        return self.place(path)
