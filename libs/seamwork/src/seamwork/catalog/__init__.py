"""
Know the documents in force: the catalog that every decision stands on, and the follower that keeps it fed.

``Catalog`` is a pure, immutable view at one revision; ``CatalogBuilder`` folds the records of the three document
topics into it; ``seamwork.catalog.follower`` reads those topics through the log port. The follower is not handed on
from here: decisions import the catalog, and must reach no loop and no log by it.
"""

from seamwork.catalog.builder import CatalogBuilder, Rejection
from seamwork.catalog.catalog import Catalog
from seamwork.catalog.context import Context
from seamwork.catalog.enforcement import ENFORCED, Standing, standing_of_handoff, standing_of_plan
from seamwork.catalog.entries import AgentEntry, GateInForce, KeyEntry, PersonEntry, PolicyEntry
from seamwork.catalog.settling import crosses_under, range_problem, settled, settled_on

__all__ = [
    "ENFORCED",
    "AgentEntry",
    "Catalog",
    "CatalogBuilder",
    "Context",
    "GateInForce",
    "KeyEntry",
    "PersonEntry",
    "PolicyEntry",
    "Rejection",
    "Standing",
    "crosses_under",
    "range_problem",
    "settled",
    "settled_on",
    "standing_of_handoff",
    "standing_of_plan",
]
