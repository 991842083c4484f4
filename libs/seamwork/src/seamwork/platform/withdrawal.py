"""
Say what it means to take a document out of force: which versions go, and what would be left without what it needs.

*Retired*: nothing new relies on it, and what was admitted may end. *Revoked*: nobody relies on it any more; open
work of an agent is given to others or refused, and what a person has signed counts no longer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from seamwork.catalog import Catalog
from seamwork.catalog.entries import IN_FORCE, NOT_YET, Entry
from seamwork.contracts.shelf import Shelf
from seamwork.documents import KINDS, AnyDocument, Key
from seamwork.documents.problems import did_you_mean
from seamwork.errors import UnprocessableError
from seamwork.platform.publisher import ONE_IN_FORCE
from seamwork.records.parties import DocumentRef
from seamwork.seams.impact import Touched, impact

WITHDRAWN = ("Agent", "Budget", "Contract", "Flow", "Gate", "Person", "Policy", "Team")
"""The kinds that have an end. Reviews and consents say what was."""
REVOCABLE = (*WITHDRAWN, "Key")
"""The kinds that can be trusted no longer. The end of a key that nobody has to fear is in its document."""


@dataclass(frozen=True)
class Withdrawal:
    """The *versions* that go out of force, in the order in which they have to, and what that touches."""

    versions: tuple[DocumentRef, ...]
    touched: tuple[Touched, ...]

    @property
    def stopped(self) -> tuple[Touched, ...]:
        """What would be left without what it needs."""
        return tuple(one for one in self.touched if one.stops)


def withdrawal(
    catalog: Catalog,
    kind: str,
    name: str,
    version: str | None,
    status: Literal["retired", "revoked"],
    now: int,
) -> Withdrawal:
    """
    Return what *status* would mean for a document: for one version of it, or for all without *version*.

    Of policies, budgets, flows, gates, people and teams every version goes: else the one before it came back. A key
    is called by its id, whatever document describes it.

    Raises:
        UnprocessableError: There is nothing of this name to take out of force, or a version of it is named where
            only one is in force.
    """
    if version is not None and kind in ONE_IN_FORCE:
        raise UnprocessableError(
            f"of a {kind} one version is in force, and without it the one before it would be: name {name} "
            "alone to take it out of force, or publish the version that you want instead"
        )
    mine = [
        e
        for e in catalog.entries(kind)
        if _called(e.document) == name and version in {None, e.document.version}
    ]
    current = catalog.current(kind, name, now) if kind in ONE_IN_FORCE else None
    # A folder may hold the versions before it that nobody ever activated, and be published again without it.
    past = [] if current is None else [e for e in mine[: mine.index(current)] if e.status(now) in NOT_YET]
    # What is in force goes last: whoever has read half of this would go back to a version that it had replaced.
    goes = tuple(
        entry.ref
        for entry in sorted(mine, key=lambda one: _activated(one, now))
        if entry in past or _may_go(entry, status, now)
    )
    if not goes:
        raise UnprocessableError(_why_nothing(catalog, kind, name, version, mine, now))
    return Withdrawal(goes, impact(Shelf(_in_force(catalog, now)), name, version, kind=kind) or ())


def without_what_is_out(catalog: Catalog, now: int) -> tuple[AnyDocument, ...]:
    """Return the documents that somebody may rely on, or will: all but what was retired or revoked."""
    return tuple(
        entry.document
        for kind in KINDS
        for entry in catalog.entries(kind)
        if entry.status(now) not in {"retired", "revoked"}
    )


def _called(document: AnyDocument) -> str:
    return document.spec.kid if isinstance(document, Key) else document.name


def _may_go(entry: Entry, status: Literal["retired", "revoked"], now: int) -> bool:
    """Say whether a version is in force, or was and can still be revoked."""
    told = entry.status(now)
    return told in IN_FORCE or (status == "revoked" and told == "retired")


def _activated(entry: Entry, now: int) -> int:
    """Return the place of the activation that holds, among all of its topic."""
    told = entry.activation(now)
    return -1 if told is None else told.order


def _in_force(catalog: Catalog, now: int) -> Iterator[AnyDocument]:
    for kind in KINDS:
        for entry in catalog.entries(kind):
            told = entry.activation(now)
            if kind == "Gate" and told is not None and told.mode in {"shadow", "canary"}:
                continue  # it counts for nobody, or in the place of another: nobody relies on it alone
            if kind in ONE_IN_FORCE:
                if catalog.current(kind, entry.document.name, now) == entry:
                    yield entry.document
            elif entry.in_force(now):
                yield entry.document


def _why_nothing(
    catalog: Catalog, kind: str, name: str, version: str | None, mine: Sequence[Entry], now: int
) -> str:
    title = f"{kind} {name}" if version is None else f"{kind} {name} {version}"
    if mine:
        was = ", ".join(f"{e.document.version} is {e.status(now) or 'not activated'}" for e in mine)
        return f"{title} is not in force: {was}"
    known = {_called(e.document) for e in catalog.entries(kind)}
    if name in known:
        versions = ", ".join(e.document.version for e in catalog.entries(kind) if _called(e.document) == name)
        return f"{title} was never published; known versions: {versions}"
    what_is = f"there are {', '.join(sorted(known)) or 'none'}"
    return f"there is no {title}; {did_you_mean(name, known) or what_is}"
