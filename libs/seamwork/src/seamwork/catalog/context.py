"""What a decision may know besides its state and its input."""

from dataclasses import dataclass

from seamwork.catalog.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Context:
    """
    The time and the documents of one commit.

    *now* is the commit's instant in milliseconds, never smaller than that of the commit before; *catalog* is the
    view at the commit's revision.
    """

    now: int
    catalog: Catalog
