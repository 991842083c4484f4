"""Find the budgets above a piece of work, and the accounts that hold their money."""

from functools import lru_cache

import msgspec

from seamwork.catalog import Catalog
from seamwork.documents import Agent, Budget
from seamwork.documents.periods import period_start
from seamwork.records.inbox import Work
from seamwork.records.parties import DocumentRef
from seamwork.records.wire import rfc3339
from seamwork_cost_cap.state import period_account


class Line(msgspec.Struct, frozen=True):
    """
    One budget as it stands above one piece of work: whose account, up to which cap.

    *since* is when the period began whose account it is (RFC 3339), empty where there is one for good.
    """

    account: str
    cap: int
    budget: str
    ref: DocumentRef
    since: str = ""


class Initiative(msgspec.Struct, frozen=True):
    """What the initiator's document says of a task: whose money it is."""

    budgets: tuple[str, ...]
    team: str | None


def initiative(root: Agent | None, stamp: Work | None) -> Initiative:
    """Return whose money a task spends: the initiator's document says it at the root, the stamp below."""
    if stamp is not None:
        return Initiative(stamp.budgets, stamp.team)
    if root is None:
        return Initiative((), None)
    return Initiative((root.spec.budget,) if root.spec.budget else (), root.spec.team)


def missing(catalog: Catalog, names: tuple[str, ...], at: int) -> str | None:
    """Return the first of the budgets called *names* that is not in force, or None."""
    return next((name for name in names if catalog.budget(name, at) is None), None)


def lines_of_task(catalog: Catalog, whose: Initiative, task: str, at: int) -> tuple[Line, ...]:
    """Return the budgets above every dispatch of a task: those that its initiator names, and its team's."""
    names = (*whose.budgets, *_names(catalog, "team", whose.team or "", at))
    found = [line_of(catalog, name, task, at) for name in dict.fromkeys(names)]
    return tuple(line for line in found if line is not None)


def lines_of_agent(catalog: Catalog, agent: str, at: int) -> tuple[Line, ...]:
    """Return the budgets for all work of one agent."""
    found = [line_of(catalog, name, "", at) for name in _names(catalog, "agent", agent, at)]
    return tuple(line for line in found if line is not None)


def _names(catalog: Catalog, scope: str, holder: str, at: int) -> tuple[str, ...]:
    """Return the names of the budgets that are a holder's at *at*; another version may be somebody else's."""
    found = [(name, catalog.budget(name, at)) for name in _held(catalog).get((scope, holder), ())]
    return tuple(
        name
        for name, budget in found
        if budget is not None and (budget.spec.scope, budget.spec.holder) == (scope, holder)
    )


def line_of(catalog: Catalog, name: str, task: str, at: int) -> Line | None:
    """Return the budget called *name* as it stands above *task* at *at* (ms), or None where none is in force."""
    budget = catalog.budget(name, at)
    if budget is None:
        return None
    spec, ref = budget.spec, catalog.reference(budget)
    if spec.scope == "task":
        return Line(f"task/{name}/{task}", spec.limit_micro_usd, name, ref)
    if spec.period == "total":
        return Line(f"{spec.scope}/{name}", spec.limit_micro_usd, name, ref)
    since = rfc3339(period_start(spec.period, at))
    return Line(period_account(f"{spec.scope}/{name}", since), spec.limit_micro_usd, name, ref, since)


@lru_cache(maxsize=4)
def _held(catalog: Catalog) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the names of budgets by scope and holder, of whichever version; a catalog never changes."""
    found: dict[tuple[str, str], set[str]] = {}
    for entry in catalog.entries("Budget"):
        budget = entry.document
        if isinstance(budget, Budget) and budget.spec.holder is not None:
            found.setdefault((budget.spec.scope, budget.spec.holder), set()).add(budget.name)
    return {key: tuple(sorted(names)) for key, names in found.items()}
