"""Report what a drill found out: who was asked after how long, who was told, who answered."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Literal

import msgspec

from seamwork.catalog import Catalog
from seamwork.errors import UnprocessableError
from seamwork.ids import derived
from seamwork.platform.audit import Audit
from seamwork.platform.door import Door
from seamwork.platform.drills import SEAM
from seamwork.platform.views import CrossingView, Trace, View
from seamwork.records.parties import ContractRef

Carried = Literal["delivered", "waiting", "given-up", "no-webhook", "unknown"]
State = Literal["pending", "refused", "nobody", "open", "resolved", "expired", "withdrawn"]
_Fate = tuple[Carried, int, int | None]
_NOBODY = "no desk is in force, or nobody of the chain is known: real work would have failed"


class Told(View, frozen=True, kw_only=True):
    """
    Whether an owner (``team:seams``, ``person:ada``) was reached by webhook, and after how many tries.

    *after_ms* counts from the decision. *carried* is ``no-webhook`` where only log and metric tell, and ``unknown``
    where the notifier does not run on this machine.
    """

    owner: str
    carried: Carried
    after_ms: int | None = None
    tries: int = 0


class Reached(View, frozen=True, kw_only=True):
    """One step of the chain that was reached, *after_ms* from the start: whom it means, and who was told."""

    asked: str
    people: tuple[str, ...]
    after_ms: int
    told: tuple[Told, ...]


class Report(View, frozen=True, kw_only=True):
    """
    What a drill found out by now.

    *state* is ``pending`` while nothing is decided, ``nobody`` where no case could be opened, else that of the
    case. *not_reached* are those of the chain who were not asked yet, *unknown* names in the contract's chain that
    are nobody's, nor a team's or role's.
    """

    task: str
    seam: str
    state: State
    begun_at: int
    case: str | None = None
    reached: tuple[Reached, ...] = ()
    not_reached: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    said: str = ""
    ended_after_ms: int | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state not in {"pending", "open"}


async def report_of(door: Door, task: str) -> Report:
    """
    Return what a drill has found out by now.

    Raises:
        UnprocessableError: The audit knows no such task, or it is no drill.
    """
    trace = Audit.of(door).trace(task)
    if not trace.drill or not trace.roots:
        raise UnprocessableError(f"the task {task} is no drill; see `seamwork drills list`")
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
    return report(catalog, trace, _fates(door))


def report(catalog: Catalog, trace: Trace, fates: dict[str, _Fate] | None) -> Report:
    """
    Put together what is on record of a drill.

    Args:
        catalog: The documents.
        trace: The drill's task.
        fates: What became of each notification by its id, None where the notifier is elsewhere.
    """
    drill = trace.roots[0]
    name, _, version = drill.contract.partition("@")
    contract = catalog.contract(ContractRef(name=name, version=version))
    owners = None if contract is None else contract.spec.owners
    chain, team = ((), None) if owners is None else (owners.escalation, owners.team)
    found = Report(
        task=trace.task,
        seam=(trace.intent or "").removeprefix(SEAM),
        state="pending",
        begun_at=drill.at,
        unknown=tuple(one for one in chain if not catalog.asked_as(one, drill.at)),
    )
    if not drill.cases:
        return _without_case(found, trace, drill)
    case = drill.cases[0]
    reached = tuple(
        Reached(
            asked=one.to,
            people=catalog.asked_as(one.to, one.at),
            after_ms=one.at - drill.at,
            told=tuple(
                _told(catalog, fates, owner, one.position, one.at)
                for owner in dict.fromkeys(_owners(catalog, one.to, team, one.at))
            ),
        )
        for one in case.asked
    )
    return msgspec.structs.replace(
        found,
        state=case.status,
        case=case.id,
        reached=reached,
        not_reached=case.chain[len(case.asked) :],
        said=case.ended,
        ended_after_ms=None if case.ended_at is None else case.ended_at - drill.at,
    )


def _without_case(found: Report, trace: Trace, drill: CrossingView) -> Report:
    trouble = next((one for one in trace.troubles if one.what in {"refused", "escalated"}), None)
    if trouble is None:
        return found
    refused = trouble.what == "refused"
    said = f"by {trouble.gate}, {trouble.rule}: {trouble.reason}" if refused else _NOBODY
    took = None if drill.ended_at is None else drill.ended_at - drill.at
    return msgspec.structs.replace(
        found, state="refused" if refused else "nobody", said=said, ended_after_ms=took
    )


def _owners(catalog: Catalog, asked: str, team: str | None, at: int) -> Iterator[str]:
    """Name who is told when *asked* is asked: the notifier's rule, by which its ids are made."""
    if catalog.team(asked, at) is not None:
        yield f"team:{asked}"
    for person in catalog.asked_as(asked, at):
        yield f"person:{person}"
    if team is not None:
        yield f"team:{team}"


def _fates(door: Door) -> dict[str, _Fate] | None:
    """Return of each notification how it ended, after how many tries, and when (ms)."""
    path = door.home.notifications
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
        done = base.execute("SELECT id, outcome, tries, at FROM delivered")
        found: dict[str, _Fate] = {identity: (outcome, tries, at) for identity, outcome, tries, at in done}
        waiting = base.execute("SELECT id, tries FROM waiting")
        return found | {identity: ("waiting", tries, None) for identity, tries in waiting}


def _told(catalog: Catalog, fates: dict[str, _Fate] | None, owner: str, position: str, at: int) -> Told:
    kind, _, name = owner.partition(":")
    document = catalog.team(name, at) if kind == "team" else catalog.person(name, at)
    if document is None or document.spec.webhook is None:
        return Told(owner=owner, carried="no-webhook")
    if fates is None:
        return Told(owner=owner, carried="unknown")
    topic, _, where = position.partition(" ")
    partition, _, offset = where.partition("/")
    identity = derived("notification", topic, int(partition), int(offset), owner)
    carried, tries, when = fates.get(identity, ("waiting", 0, None))
    return Told(owner=owner, carried=carried, tries=tries, after_ms=None if when is None else when - at)
