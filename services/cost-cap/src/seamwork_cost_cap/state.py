"""
Remember what is reserved and what is spent: the ledger.

An account is one budget's money: ``task/<budget>/<task>`` for a budget of one task's tree, ``agent/<budget>`` and
``team/<budget>`` over all tasks, ``team/<budget>@<instant>`` for the period that began then. A reservation charges
several accounts at once. What it charges follows from where it stands, so every change takes the old charge off and
puts the new one on, and nothing can be counted twice:

=============  ==========================  =======================================
stands         reserved                    spent
=============  ==========================  =======================================
held           its ceiling                 nothing
dispatched     its ceiling                 nothing
ended          nothing                     what was used, the ceiling while unknown
=============  ==========================  =======================================

What was used beyond the ceiling stands apart as ``overrun``: no cap could promise it, and it takes room from
others.

With the end of a task its own accounts go, for nothing is reserved on them any more. Its reservations stay for what
is still reported where they charge agents and teams, packed, and go with it where they do not.
"""

from typing import Any, Literal, assert_never

import msgspec

from seamwork.decider import Entries, pack
from seamwork.records.parties import Subject
from seamwork.records.verdict import Verdict

HORIZON_MS = 15 * 60 * 1000
"""How long after its end something may still be redelivered or reported."""
BUCKET_MS = 5 * 60 * 1000
"""Forgetting is done in lots of five minutes, so that a day of deadlines is a few hundred numbers."""
AGAIN_MS = 60 * 60 * 1000
"""When to look again at a reservation that nobody has closed yet."""
KEPT_PERIODS = 48
"""Accounts of a budget by the hour that are kept: nothing waits for two days on the bus and is judged then."""
_OF_PERIOD = "@"
_TASK = "task "


def period_account(budget: str, since: str) -> str:
    """Name the account of a budget (``team/<budget>``) for the period that began at *since*."""
    return f"{budget}{_OF_PERIOD}{since}"


def _budget_of(account: str) -> str | None:
    """Return whose account of a period it is, None where it is of none; a task's id may be anything."""
    budget, of_period, _ = account.partition(_OF_PERIOD)
    return budget if of_period and not account.startswith("task/") else None


class CandidateHold(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts that only one candidate's dispatch would charge."""

    candidate: str
    accounts: tuple[str, ...]


class Judged(msgspec.Struct, frozen=True, kw_only=True, tag="judged"):
    """An attempt of a crossing got its verdict; *until* says how long it must be remembered."""

    verdict: Verdict
    until: int


class Reserved(msgspec.Struct, frozen=True, kw_only=True, tag="reserved"):
    """
    The ceiling of one attempt is set aside in every account above it.

    *caps* are the accounts' limits as they stood. *settles* is the dispatch that ends when this transfer is
    dispatched, *settles_micro_usd* its final figure, null where the sender gave none.
    """

    subject: Subject
    task: str
    crossing: str
    ceiling_micro_usd: int
    accounts: tuple[str, ...]
    candidates: tuple[CandidateHold, ...] = ()
    caps: dict[str, int] = msgspec.field(default_factory=dict)
    settles: str | None = None
    settles_micro_usd: int | None = None
    until: int


class Refunded(msgspec.Struct, frozen=True, kw_only=True, tag="refunded"):
    """A reservation that was never dispatched is given back."""

    reservation: str
    why: str


class DispatchCharged(msgspec.Struct, frozen=True, kw_only=True, tag="dispatch-charged"):
    """The work went out: the receiver's accounts stay charged, the other candidates' are free again."""

    reservation: str
    dispatch: str
    receiver: str
    ceiling_micro_usd: int


class Settled(msgspec.Struct, frozen=True, kw_only=True, tag="settled"):
    """A dispatch is over; *micro_usd* is its final figure, null while nobody knows it."""

    dispatch: str
    micro_usd: int | None
    why: str


class UsageCounted(msgspec.Struct, frozen=True, kw_only=True, tag="usage-counted"):
    """A dispatch has used *micro_usd* so far."""

    dispatch: str
    micro_usd: int


class DecidedEarly(msgspec.Struct, frozen=True, kw_only=True, tag="decided-early"):
    """A decision came before its crossing; that crossing will get no reservation."""

    place: str
    decision: str
    until: int


class TaskClosed(msgspec.Struct, frozen=True, kw_only=True, tag="task-closed"):
    """A task is over; its account is kept until *until* for what is still reported. Version 1 wrote this."""

    task: str
    until: int


class TaskOver(msgspec.Struct, frozen=True, kw_only=True, tag="task-over"):
    """A task is over, with its own accounts; that it is, is remembered until *until*."""

    task: str
    until: int


class Forgotten(msgspec.Struct, frozen=True, kw_only=True, tag="forgotten"):
    """
    What had to be remembered until *due* leaves the memory at *at*; money stays where it is.

    What is still open is looked at again an hour after *at*, not after *due*: a sender may name an expiry that
    passed long ago.
    """

    due: int
    at: int


Event = (
    Judged
    | Reserved
    | Refunded
    | DispatchCharged
    | Settled
    | UsageCounted
    | DecidedEarly
    | TaskClosed
    | TaskOver
    | Forgotten
)


class Account(msgspec.Struct):
    """One budget's money, in micro-USD. *cap* is the limit as the last reservation saw it."""

    cap: int = 0
    reserved: int = 0
    spent: int = 0
    overrun: int = 0

    @property
    def taken(self) -> int:
        """What is no longer free."""
        return self.reserved + self.spent + self.overrun


class Reservation(msgspec.Struct):
    """
    What one attempt charges, and where it stands.

    *used* is the largest figure that counts, null while nobody knows it. *least* is what had been reported when its
    dispatch ended without a final figure: that much was used at the least.
    """

    task: str
    crossing: str
    ceiling: int
    shared: tuple[str, ...]
    candidates: dict[str, tuple[str, ...]]
    until: int
    stands: Literal["held", "dispatched", "ended"] = "held"
    dispatch: str | None = None
    used: int | None = None
    settles: str | None = None
    settles_micro_usd: int | None = None
    least: int = 0

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that it charges, each once."""
        own = (account for accounts in self.candidates.values() for account in accounts)
        return tuple(dict.fromkeys((*self.shared, *own)))

    @property
    def charge(self) -> tuple[int, int, int]:
        """What it puts on each of its accounts: reserved, spent, overrun."""
        beyond = max(0, (self.used or 0) - self.ceiling)
        if self.stands != "ended":
            return self.ceiling, 0, beyond
        return 0, self.ceiling if self.used is None else min(self.used, self.ceiling), beyond


class TaskLife(msgspec.Struct):
    """The reservations and accounts of one task."""

    reservations: list[str] = msgspec.field(default_factory=list)
    accounts: list[str] = msgspec.field(default_factory=list)
    ended: bool = False


class Ledger(msgspec.Struct):
    """
    Everything that the gate remembers; *due* says what may be forgotten when, *over* which tasks that have ended.

    *periods* are the accounts of a budget that has one for each period, in the order of these. What falls due does
    so by the very strings that it is named by elsewhere, which costs nothing; early decisions have a word before. A
    crossing falls due with what is reserved for its first attempt.
    """

    accounts: dict[str, Account] = msgspec.field(default_factory=dict)
    reservations: dict[str, Reservation] = msgspec.field(default_factory=dict)
    places: dict[str, list[str]] = msgspec.field(default_factory=dict)
    dispatches: dict[str, str] = msgspec.field(default_factory=dict)
    tasks: dict[str, TaskLife] = msgspec.field(default_factory=dict)
    judged: dict[str, int] = msgspec.field(default_factory=dict)
    early: dict[str, str] = msgspec.field(default_factory=dict)
    due: dict[str, list[str]] = msgspec.field(default_factory=dict)
    over: dict[str, list[str]] = msgspec.field(default_factory=dict)
    periods: dict[str, list[str]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let what is large be read and written a piece at a time."""
        self.accounts = Entries(self.accounts, Account)
        self.reservations = Entries(self.reservations, Reservation)
        self.places = Entries(self.places, list[str])
        self.tasks = Entries(self.tasks, TaskLife)

    def taken(self, account: str) -> int:
        """Return what is no longer free of *account*."""
        known = self.accounts.get(account)
        return known.taken if known is not None else 0

    def of_dispatch(self, dispatch: str) -> Reservation | None:
        """Return the reservation that a dispatch was charged to, or None."""
        key = self.dispatches.get(dispatch)
        return self.reservations.get(key) if key is not None else None


def place_key(partition: int, offset: int) -> str:
    """Name the place of a crossing."""
    return f"{partition}/{offset}"


def crossing_key(task: str | None, crossing: str | None) -> str:
    """Name a crossing where a decision names no place; no place contains a blank."""
    return f"{task} {crossing}"


def reservation_key(subject: Subject) -> str:
    """Name the reservation of one attempt."""
    return f"{place_key(subject.partition, subject.offset)}#{subject.attempt}"


def evolve(ledger: Ledger, event: Event) -> Ledger:
    """Apply *event* to *ledger*, in place."""
    match event:
        case Judged():
            _judge(ledger, event)
        case Reserved():
            _reserve(ledger, event)
        case Refunded():
            _refund(ledger, event.reservation)
        case DispatchCharged():
            _dispatch(ledger, event)
        case Settled():
            _settle(ledger, event)
        case UsageCounted():
            _count(ledger, event)
        case DecidedEarly():
            ledger.early[event.place] = event.decision
            _remember(ledger, f"early {event.place}", event.until)
        case TaskClosed():
            task = ledger.tasks.pop(event.task, TaskLife())
            task.ended = True
            _keep_ended(ledger, event.task, task, event.until)
        case TaskOver():
            _close(ledger, event)
        case Forgotten():
            _forget_all(ledger, event)
        case _:
            assert_never(event)
    return ledger


def sizes(ledger: Ledger) -> dict[str, int]:
    """Say how much the gate remembers; accounts of budgets stay, what was reserved goes."""
    return {
        "tasks": len(ledger.tasks),
        "reservations": len(ledger.reservations),
        "crossings": len(ledger.judged),
        "early decisions": len(ledger.early),
    }


def timer(ledger: Ledger) -> int | None:
    """Return when something may be forgotten next."""
    return min(map(int, (*ledger.due, *ledger.over)), default=None)


def _remember(ledger: Ledger, token: str, until: int) -> None:
    ledger.due.setdefault(_lot(until), []).append(token)


def _keep_ended(ledger: Ledger, name: str, task: TaskLife, until: int) -> None:
    """Keep what is left of a task by the string that its lot has, too: the dict must not hold another copy."""
    ledger.tasks[name] = task
    ledger.over.setdefault(_lot(until), []).append(name)


def _lot(until: int) -> str:
    return str((until // BUCKET_MS + 1) * BUCKET_MS)


def _put(ledger: Ledger, reservation: Reservation, sign: int) -> None:
    reserved, spent, overrun = reservation.charge
    for name in reservation.accounts:
        budget = _budget_of(name)
        if budget is not None and name not in ledger.periods.get(budget, ()):
            continue  # nobody asks for that period's money any more
        account = ledger.accounts.setdefault(name, Account())
        account.reserved += sign * reserved
        account.spent += sign * spent
        account.overrun += sign * overrun


def _reserve(ledger: Ledger, event: Reserved) -> None:
    key = reservation_key(event.subject)
    reservation = Reservation(
        task=event.task,
        crossing=event.crossing,
        ceiling=event.ceiling_micro_usd,
        shared=event.accounts,
        candidates={hold.candidate: hold.accounts for hold in event.candidates},
        until=event.until,
        settles=event.settles,
        settles_micro_usd=event.settles_micro_usd,
    )
    ledger.reservations[key] = reservation
    for account in event.caps:
        _begin_period(ledger, account)
    _put(ledger, reservation, 1)
    for account, cap in event.caps.items():
        if account in ledger.accounts:
            ledger.accounts[account].cap = cap
    for place in (
        place_key(event.subject.partition, event.subject.offset),
        crossing_key(event.task, event.crossing),
    ):
        ledger.places.setdefault(place, []).append(key)
    task = ledger.tasks.setdefault(event.task, TaskLife())
    task.reservations.append(key)
    task.accounts += [a for a in reservation.accounts if a.startswith("task/") and a not in task.accounts]
    if place_key(event.subject.partition, event.subject.offset) in ledger.judged:
        _remember(ledger, key, event.until)  # else the crossing is listed with its verdict, which comes next


def _begin_period(ledger: Ledger, account: str) -> None:
    """Take down the account of a period, and let go of the oldest."""
    budget = _budget_of(account)
    if budget is None or account in ledger.periods.get(budget, ()):
        return
    periods = sorted((*ledger.periods.get(budget, ()), account))
    ledger.periods[budget] = periods[-KEPT_PERIODS:]
    for one in periods[:-KEPT_PERIODS]:
        ledger.accounts.pop(one, None)


def _refund(ledger: Ledger, key: str) -> None:
    _put(ledger, ledger.reservations[key], -1)
    _drop(ledger, key)


def _dispatch(ledger: Ledger, event: DispatchCharged) -> None:
    reservation = ledger.reservations[event.reservation]
    _put(ledger, reservation, -1)
    own = reservation.candidates.get(event.receiver, ())
    reservation.shared = tuple(dict.fromkeys((*reservation.shared, *own)))
    reservation.candidates = {}
    reservation.ceiling = event.ceiling_micro_usd
    reservation.stands = "dispatched"
    reservation.dispatch = event.dispatch
    _put(ledger, reservation, 1)
    ledger.dispatches[event.dispatch] = event.reservation


def _settle(ledger: Ledger, event: Settled) -> None:
    reservation = ledger.of_dispatch(event.dispatch)
    if reservation is None:
        return
    _put(ledger, reservation, -1)
    reservation.stands = "ended"
    if event.micro_usd is not None:
        reservation.used = max(event.micro_usd, reservation.used or 0)
    elif reservation.used is not None and reservation.used < reservation.ceiling:
        # What was reported on the way is no final figure: the work may have gone on after it.
        reservation.least, reservation.used = reservation.used, None
    _put(ledger, reservation, 1)


def _count(ledger: Ledger, event: UsageCounted) -> None:
    reservation = ledger.of_dispatch(event.dispatch)
    if reservation is None:
        return
    _put(ledger, reservation, -1)
    reservation.used = max(event.micro_usd, reservation.used or 0)
    _put(ledger, reservation, 1)


def _drop(ledger: Ledger, key: str) -> None:
    """Let go of a reservation; what it has spent stays on its accounts."""
    reservation = ledger.reservations.pop(key)
    _unlist(ledger, key, reservation)
    task = ledger.tasks[reservation.task]
    task.reservations.remove(key)
    _tidy(ledger, reservation.task, task)


def _unlist(ledger: Ledger, key: str, reservation: Reservation) -> None:
    """Take a reservation out of the lists that it is found by."""
    if reservation.dispatch is not None:
        ledger.dispatches.pop(reservation.dispatch, None)
    for place in (key.partition("#")[0], crossing_key(reservation.task, reservation.crossing)):
        keys = ledger.places[place]
        keys.remove(key)
        if not keys:
            del ledger.places[place]


def _close(ledger: Ledger, event: TaskOver) -> None:
    """Let go of all but what may still move money that others share."""
    task = ledger.tasks.pop(event.task, TaskLife())
    own = frozenset(task.accounts)
    shared = []
    for key in task.reservations:
        reservation = ledger.reservations[key]
        reservation.shared = tuple(account for account in reservation.shared if account not in own)
        if reservation.accounts:
            shared.append(key)
            pack(ledger.reservations, key)
        else:
            _unlist(ledger, key, reservation)
            del ledger.reservations[key]
    for account in own:
        del ledger.accounts[account]
    _keep_ended(ledger, event.task, TaskLife(reservations=shared, ended=True), event.until)
    pack(ledger.tasks, event.task)


def _tidy(ledger: Ledger, name: str, task: TaskLife) -> None:
    """Let go of a task that holds nothing: no reservation, no money spent, no end to remember."""
    if task.reservations or task.ended or any(ledger.accounts[account].taken for account in task.accounts):
        return
    for account in task.accounts:
        del ledger.accounts[account]
    del ledger.tasks[name]


def _judge(ledger: Ledger, event: Judged) -> None:
    subject = event.verdict.subject
    place = place_key(subject.partition, subject.offset)
    if place not in ledger.judged:
        _remember(ledger, place, event.until)
    ledger.judged[place] = max(subject.attempt, ledger.judged.get(place, 0))


def _forget_all(ledger: Ledger, event: Forgotten) -> None:
    again = event.at + AGAIN_MS
    for token in ledger.due.pop(str(event.due), ()):
        _forget(ledger, token, event.due, again)
    for name in ledger.over.pop(str(event.due), ()):
        _forget_task(ledger, name, again)


def _forget(ledger: Ledger, token: str, due: int, again: int) -> None:
    what, _, name = token.partition(" ")
    if what == "early":
        ledger.early.pop(name, None)
    elif "#" in token:
        _forget_reservation(ledger, token, again)
    else:
        ledger.judged.pop(token, None)
        for key in tuple(ledger.places.get(token, ())):
            if int(_lot(ledger.reservations[key].until)) <= due:  # a later attempt is listed by itself
                _forget_reservation(ledger, key, again)


def _forget_reservation(ledger: Ledger, key: str, again: int) -> None:
    reservation = ledger.reservations.get(key)
    if reservation is not None and reservation.stands == "ended":
        _drop(ledger, key)
    elif reservation is not None:
        _remember(ledger, key, again)


def _forget_task(ledger: Ledger, name: str, again: int) -> None:
    task = ledger.tasks.get(name)
    if task is None:
        return
    for key in [key for key in task.reservations if ledger.reservations[key].stands == "ended"]:
        _drop(ledger, key)
    if task.reservations:
        ledger.over.setdefault(_lot(again), []).append(name)
        return
    for account in task.accounts:
        del ledger.accounts[account]
    del ledger.tasks[name]


def plain_places(written: dict[str, Any]) -> dict[str, Any]:
    """Return a ledger of version 1 as this one writes it: places and reservations fall due by their own names."""
    due = written.get("due", {})
    return {**written, "due": {at: [_plain(token) for token in tokens] for at, tokens in due.items()}}


def _plain(token: str) -> str:
    return token.removeprefix("judged ").removeprefix("reservation ")


def lots_of_tasks(written: dict[str, Any]) -> dict[str, Any]:
    """Return a ledger of version 2 as this one writes it: tasks that are over have lots of their own."""
    due = written.get("due", {})
    over = {
        at: [one.removeprefix(_TASK) for one in tokens if one.startswith(_TASK)] for at, tokens in due.items()
    }
    rest = {at: [one for one in tokens if not one.startswith(_TASK)] for at, tokens in due.items()}
    return {**written, "due": _filled(rest), "over": _filled(over)}


def _filled(lots: dict[str, list[str]]) -> dict[str, list[str]]:
    return {at: tokens for at, tokens in lots.items() if tokens}
