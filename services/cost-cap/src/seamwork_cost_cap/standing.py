"""Say how budgets stand, for people who ask."""

from seamwork.catalog import Context
from seamwork.runtime import Standing
from seamwork_cost_cap.budgets import line_of
from seamwork_cost_cap.state import Account, Ledger


def standing(ledger: Ledger, context: Context) -> tuple[Standing, ...]:
    """Return how each budget of an agent or a team stands that is in force now, by name."""
    catalog, now = context.catalog, context.now
    found = []
    for name in sorted({entry.document.name for entry in catalog.entries("Budget")}):
        budget, line = catalog.budget(name, now), line_of(catalog, name, "", now)
        if budget is None or line is None or budget.spec.holder is None:
            continue
        account = ledger.accounts.get(line.account) or Account()
        found.append(
            Standing(
                budget=name,
                version=budget.version,
                scope=budget.spec.scope,
                holder=budget.spec.holder,
                period=budget.spec.period,
                since=line.since,
                limit=line.cap,
                reserved=account.reserved,
                spent=account.spent,
                overrun=account.overrun,
            )
        )
    return tuple(found)
