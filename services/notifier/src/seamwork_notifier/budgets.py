"""
Count what burns the error budget of a seam: refusals and late answers in each period of the calendar (UTC).

What only goes beside the work (plans, progress, usage) burns nothing: the seam stands as it stood.

A period begins when the calendar's does, so every reader of the log counts the same without remembering a start.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from seamwork.catalog import Catalog
from seamwork.documents.periods import period_start
from seamwork.ids import derived
from seamwork.records.decision import Closed, Refused
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import ContractRef
from seamwork.records.wire import Received
from seamwork_notifier.decide import EXPIRED, REPEAT
from seamwork_notifier.state import Notified

What = Literal["refusals", "late"]
_LATE = frozenset({"timeout", "expired"})


@dataclass(frozen=True, slots=True)
class Burn:
    """One refusal or late answer: *allowed* so many, from *since* (ms) until the period is over."""

    contract: ContractRef
    what: What
    allowed: int
    since: int

    @property
    def account(self) -> tuple[str, str, int]:
        """What is counted together: the seam, whatever its version, and the period."""
        return self.contract.name, self.what, self.since


def burn_of(record: AnyEnvelope, catalog: Catalog, at: int) -> Burn | None:
    """Return what a decision, appended at *at* (ms), takes from an error budget, or None; drills take nothing."""
    match record:
        case Refused(drill=True) | Closed(drill=True):
            return None
        case Refused(kind="handoff" | "result", contract=ContractRef() as ref) if record.rule != REPEAT:
            what: What = "refusals"
        case Closed(contract=ContractRef() as ref, dispatch=str()) if record.why in _LATE:
            if record.rule == EXPIRED:
                return None  # a case, which lay with people
            what = "late"
        case _:
            return None
    contract = catalog.contract(ref)
    budget = None if contract is None else contract.spec.error_budget
    if budget is None:
        return None
    allowed = budget.refusals if what == "refusals" else budget.late
    return Burn(ref, what, allowed, period_start(budget.per, at))


def pages(received: Received[AnyEnvelope], burn: Burn, catalog: Catalog) -> Iterator[Notified]:
    """Yield what the seam's owner, and whoever is asked first at two in the morning, are told: once a period."""
    contract, raw = catalog.contract(burn.contract), received.raw
    if contract is None:
        return
    owners = contract.spec.owners
    first = owners.escalation[0] if owners.escalation else None
    asked = () if first is None else catalog.asked_as(first, raw.appended_at)
    for owner in dict.fromkeys((f"team:{owners.team}", *(f"person:{name}" for name in asked))):
        name = derived("budget-spent", *burn.account, owner)
        more = f"more than {burn.allowed} in this period: {burn.what} of the seam {burn.contract.name}"
        yield Notified(
            id=name, once=name, owner=owner, kind="budget-spent", at=raw.appended_at, topic=raw.topic,
            partition=raw.partition, offset=raw.offset, contract=burn.contract, rule="error-budget-spent",
            reason=more,
        )  # fmt: skip
