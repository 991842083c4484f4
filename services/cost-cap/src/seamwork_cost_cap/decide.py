"""
Decide whether a handoff fits what is left of every budget above it.

Rule 1: money is a whole number of micro-USD. No float enters this service.
Rule 2: what no budget covers is denied, and the denial names its rule.
Rule 3: an attempt is judged once. A redelivered crossing or decision changes nothing.
Rule 4: a reservation closes only on a decision of the router: never dispatched, it is given back; dispatched
and answered, it becomes what was spent; dispatched and ended otherwise, its ceiling stays charged until usage says
less.
Rule 5: a decision that comes before its crossing is remembered, and that crossing gets no reservation.
Rule 6: what a period's budget covers is charged to the period in which it was asked for, whenever it ends.
Rule 7: for a crossing whose sender or stamp is not proved nothing is reserved.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from seamwork.catalog import Context, settled, settled_on
from seamwork.decider import DECISIONS, Input, Output, Tick, WithCrossing, vote
from seamwork.grants.entitlement import entitlement
from seamwork.grants.stamps import StampProblem
from seamwork.records.crossing import Handoff
from seamwork.records.decision import (
    Accepted,
    AnyDecision,
    Closed,
    Dispatched,
    JudgeAgain,
    Noted,
    Overrun,
    Refused,
    TaskEnded,
)
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.inbox import Work
from seamwork.records.parties import AgentRef, ContractRef, DocumentRef, Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Malformed, Received
from seamwork_cost_cap import __version__
from seamwork_cost_cap.budgets import Line, initiative, lines_of_agent, lines_of_task, missing
from seamwork_cost_cap.state import (
    HORIZON_MS,
    CandidateHold,
    DecidedEarly,
    DispatchCharged,
    Event,
    Forgotten,
    Judged,
    Ledger,
    Refunded,
    Reserved,
    Settled,
    TaskOver,
    UsageCounted,
    crossing_key,
    place_key,
    reservation_key,
)

GATE = "cost-cap"
DAY_MS = 24 * 60 * 60 * 1000
FORGOTTEN_AT_ONCE = 500


class Denied(msgspec.Struct, frozen=True):
    """No money: the stable *rule* and a *reason* that names the budget."""

    rule: str
    reason: str
    consulted: tuple[DocumentRef, ...] = ()


class Covered(msgspec.Struct, frozen=True):
    """Every budget above has room: of the task's (*shared*), and of each admitted candidate's own."""

    ceiling: int
    shared: tuple[Line, ...]
    candidates: tuple[tuple[AgentRef, tuple[Line, ...]], ...]
    reason: str

    @property
    def lines(self) -> tuple[Line, ...]:
        """All budgets that are charged, each once."""
        own = (line for _, lines in self.candidates for line in lines)
        return tuple(dict.fromkeys((*self.shared, *own)))


def cost_cap(platform: str) -> Callable[[Ledger, Input, Context], Sequence[Event]]:
    """Return ``decide`` for the platform with this id; signatures cover it."""

    def decide(ledger: Ledger, given: Input, context: Context) -> Sequence[Event]:
        """
        Vote on a handoff and reserve its ceiling, or follow what the router decided.

        Returns:
            ``(Reserved, Judged)`` when allowed, ``(Judged,)`` when denied, ``()`` when it was judged before; for a
            decision what it moves: ``Refunded``, ``DispatchCharged``, ``Settled``, ``UsageCounted``.
        """
        match given:
            case WithCrossing(decision=Received(record=JudgeAgain() as again) as decision, crossing=crossing):
                return tuple(_again(ledger, platform, decision, again, crossing, context))
            case Received(record=Handoff() as handoff) if given.raw.topic == "handoffs.v1":
                return tuple(_first(ledger, platform, handoff, given, context))
            case Received(record=record) if isinstance(record, AnyDecision) and given.raw.topic == DECISIONS:
                return tuple(_decided(ledger, record, context))
            case Tick():
                due = sorted({due for due in map(int, (*ledger.due, *ledger.over)) if due <= context.now})
                return tuple(Forgotten(due=one, at=context.now) for one in due[:FORGOTTEN_AT_ONCE])
            case _:
                return ()

    return decide


def outputs(event: Event) -> Sequence[Output]:
    """Return the verdict, to the partition of its subject."""
    return (vote(event.verdict),) if isinstance(event, Judged) else ()


# ── judging ──────────────────────────────────────────────────────────────────────────


class Asked(msgspec.Struct, frozen=True):
    """
    One attempt of a handoff to be judged.

    *at* is the append time of the record that asks, by which budgets are in force; *released* is what earlier
    attempts give back to each account in the same step.
    """

    subject: Subject
    handoff: Handoff
    received: Received[AnyEnvelope]
    at: int
    released: Mapping[str, int] = msgspec.field(default_factory=dict)
    exclude: Sequence[AgentRef] = ()


def _first(
    ledger: Ledger, platform: str, handoff: Handoff, received: Received[AnyEnvelope], context: Context
) -> Iterator[Event]:
    place = received.position
    subject = Subject(partition=place.partition, offset=place.offset, digest=received.digest)
    key = place_key(place.partition, place.offset)
    if key in ledger.judged:
        return
    asked = Asked(subject, handoff, received, received.raw.appended_at)
    early = ledger.early.get(key) or ledger.early.get(crossing_key(handoff.task, handoff.id))
    if early is not None:
        reason = f"the router had decided ({early}) before this gate saw the crossing"
        yield _judged(asked, Denied("decided-before-judged", reason), context)
        return
    yield from _judge(ledger, platform, asked, context)


def _again(
    ledger: Ledger,
    platform: str,
    decision: Received[AnyEnvelope],
    again: JudgeAgain,
    crossing: Received[AnyEnvelope] | Malformed,
    context: Context,
) -> Iterator[Event]:
    subject = again.subject
    if subject is None or GATE not in again.gates:
        return
    place = place_key(subject.partition, subject.offset)
    # That a crossing was judged is forgotten when it has expired, and what is reserved for it is not.
    if ledger.judged.get(place, 0) >= subject.attempt or reservation_key(subject) in ledger.reservations:
        return
    released: dict[str, int] = {}
    for key in _held(ledger, place):
        yield Refunded(reservation=key, why="judged-again")
        for account in ledger.reservations[key].accounts:
            released[account] = released.get(account, 0) + ledger.reservations[key].ceiling
    handoff = crossing.record if isinstance(crossing, Received) else None
    at = decision.raw.appended_at
    if isinstance(crossing, Received) and isinstance(handoff, Handoff) and crossing.digest == subject.digest:
        asked = Asked(subject, handoff, crossing, at, released, again.exclude)
        yield from _judge(ledger, platform, asked, context)
        return
    verdict = _verdict(subject, again.task, again.crossing, _CHANGED, context)
    yield Judged(verdict=verdict, until=at + HORIZON_MS)


_CHANGED = Denied(
    "crossing-changed", "the record at the subject's position is not the handoff that was judged"
)


def _judge(ledger: Ledger, platform: str, asked: Asked, context: Context) -> Iterator[Event]:
    handoff = asked.handoff
    stamp = entitlement(asked.received, handoff, platform, context.catalog.key)
    if isinstance(stamp, StampProblem):
        reason = f"nothing is reserved for it: {stamp.reason} ({stamp.rule})"
        yield _judged(asked, Denied("sender-not-proved", reason), context)
        return
    task = ledger.tasks.get(handoff.task)
    if task is not None and task.ended:
        # What its own budget has left is not known any more, and nobody will get this.
        yield _judged(asked, Denied("task-over", "the task has ended"), context)
        return
    asked = replace(asked, handoff=settled(context.catalog, handoff, asked.received.raw.appended_at))
    found = _cover(ledger, asked, stamp, context)
    if isinstance(found, Covered):
        yield Reserved(
            subject=asked.subject,
            task=handoff.task,
            crossing=handoff.id,
            ceiling_micro_usd=found.ceiling,
            accounts=tuple(line.account for line in found.shared),
            candidates=tuple(
                CandidateHold(candidate=_name(ref), accounts=tuple(line.account for line in lines))
                for ref, lines in found.candidates
                if lines
            ),
            caps={line.account: line.cap for line in found.lines},
            settles=stamp.dispatch if handoff.mode == "transfer" and stamp is not None else None,
            settles_micro_usd=handoff.spent.micro_usd if handoff.spent is not None else None,
            until=_until(asked),
        )
    yield _judged(asked, found, context)


def _cover(ledger: Ledger, asked: Asked, stamp: Work | None, context: Context) -> Covered | Denied:
    catalog, handoff = context.catalog, asked.handoff
    root = catalog.agent(handoff.source) if stamp is None else None
    if stamp is None and (root is None or not root.spec.initiator):
        return Denied(
            "not-an-initiator", "a handoff without a stamp comes only from an agent marked initiator"
        )
    whose = initiative(root, stamp)
    absent = missing(catalog, whose.budgets, asked.at)
    if absent is not None:
        return Denied("no-budget", f"Budget {absent}, which the initiator names, is not in force")
    ceiling = ceiling_of(handoff, context)
    if ceiling < 0:
        return Denied("ceiling-negative", "ceiling_micro_usd is less than nothing")
    room = Room(ledger, asked.released, ceiling)
    shared = lines_of_task(catalog, whose, handoff.task, asked.at)
    short = room.first_too_little(shared)
    if short is not None:
        return room.denied(short)
    candidates = [ref for ref in catalog.candidates(handoff, asked.at) if ref not in asked.exclude]
    return _cover_candidates(room, shared, candidates, context, asked.at)


def _cover_candidates(
    room: "Room", shared: tuple[Line, ...], candidates: Sequence[AgentRef], context: Context, at: int
) -> Covered | Denied:
    if not candidates:
        return Denied("no-candidate", "nobody in force may take the handoff, so there is no budget to charge")
    admitted: list[tuple[AgentRef, tuple[Line, ...]]] = []
    refusal = Denied("no-budget", "neither the initiator, its team nor the receiver has a budget in force")
    for candidate in candidates:
        own = lines_of_agent(context.catalog, candidate.agent, at)
        short = room.first_too_little(own)
        if short is not None:
            refusal = room.denied(short)
        elif shared or own:
            admitted.append((candidate, own))
    if not admitted:
        return refusal
    least = min(room.left(line) for _, own in admitted for line in (*shared, *own))
    return Covered(room.ceiling, shared, tuple(admitted), f"asks {room.ceiling} micro-USD, {least} are left")


class Room(msgspec.Struct, frozen=True):
    """What is left for one ceiling."""

    ledger: Ledger
    released: Mapping[str, int]
    ceiling: int

    def left(self, line: Line) -> int:
        """Return what is free of a budget, counting what this step gives back."""
        return line.cap - self.ledger.taken(line.account) + self.released.get(line.account, 0)

    def first_too_little(self, lines: Sequence[Line]) -> Line | None:
        """Return the first of *lines* that the ceiling does not fit into, or None."""
        return next((line for line in lines if self.left(line) < self.ceiling), None)

    def denied(self, line: Line) -> Denied:
        """Say that *line* has too little."""
        left = max(0, self.left(line))
        since = f" since {line.since}" if line.since else ""
        reason = f"asks {self.ceiling} micro-USD, {left} are left of Budget {line.budget}{since}"
        return Denied("over-budget", reason, (line.ref,))


def ceiling_of(handoff: Handoff, context: Context) -> int:
    """Return what the receiver may spend: what is asked, or the contract's limit where nothing is."""
    if handoff.ceiling_micro_usd:
        return handoff.ceiling_micro_usd
    contract = context.catalog.contract(handoff.contract)
    return contract.spec.limits.cost_micro_usd if contract is not None else 0


def _judged(asked: Asked, found: Covered | Denied, context: Context) -> Judged:
    handoff = asked.handoff
    verdict = _verdict(asked.subject, handoff.task, handoff.id, found, context, settled_on(handoff))
    until = _until(asked)
    if isinstance(found, Denied):
        # It is over. Else whoever writes what nobody admits could have us remember it for a day.
        until = min(until, asked.at + HORIZON_MS)
    return Judged(verdict=verdict, until=until)


def _verdict(
    subject: Subject,
    task: str | None,
    crossing: str | None,
    found: Covered | Denied,
    context: Context,
    contract: ContractRef | None = None,
) -> Verdict:
    return Verdict(
        gate=GATE,
        gate_version=__version__,
        subject=subject,
        task=task,
        crossing=crossing,
        outcome="ALLOW" if isinstance(found, Covered) else "DENY",
        rule="within-budget" if isinstance(found, Covered) else found.rule,
        reason=found.reason,
        contract=contract,
        candidates=tuple(ref for ref, _ in found.candidates) if isinstance(found, Covered) else None,
        consulted=tuple(line.ref for line in found.lines) if isinstance(found, Covered) else found.consulted,
        revision=context.catalog.revision,
        judged_at=context.now,
    )


def _until(asked: Asked) -> int:
    """How long the crossing's id counts; nothing lives longer than a day, whatever a sender claims."""
    return min(asked.handoff.expires_at, asked.received.raw.appended_at + DAY_MS) + HORIZON_MS


def _held(ledger: Ledger, place: str) -> list[str]:
    """Return the reservations at a place that are not dispatched, in the order of attempts."""
    return [key for key in ledger.places.get(place, ()) if ledger.reservations[key].stands == "held"]


def _name(ref: AgentRef) -> str:
    return f"{ref.agent}@{ref.version}"


# ── following the router ─────────────────────────────────────────────────────────────


def _decided(ledger: Ledger, decision: AnyDecision, context: Context) -> Iterator[Event]:
    match decision:
        case Refused(kind="handoff"):
            yield from _never_dispatched(ledger, decision, "refused", context)
        case Dispatched():
            yield from _dispatched(ledger, decision, context)
        case Accepted():
            final = decision.spent.micro_usd if decision.spent is not None else None
            yield from _ended(ledger, decision.dispatch, final, "accepted")
        case Closed():
            if decision.dispatch is not None:
                yield from _ended(ledger, decision.dispatch, None, decision.why)
            if decision.final or decision.dispatch is None:
                yield from _never_dispatched(ledger, decision, decision.why, context)
        case Noted(what="usage") | Overrun():
            if decision.spent is not None and decision.spent.micro_usd is not None:
                yield from _used(ledger, decision.dispatch, decision.spent.micro_usd)
        case TaskEnded():
            yield from _task_ended(ledger, decision, context)
        case _:
            return


def _never_dispatched(
    ledger: Ledger, decision: Refused | Closed, why: str, context: Context
) -> Iterator[Event]:
    place = _place(decision)
    yield from (Refunded(reservation=key, why=why) for key in _held(ledger, place))
    if not any(place in known for known in (ledger.judged, ledger.places, ledger.early)):
        yield DecidedEarly(place=place, decision=_tag(decision), until=context.now + DAY_MS + HORIZON_MS)


def _dispatched(ledger: Ledger, decision: Dispatched, context: Context) -> Iterator[Event]:
    if decision.dispatch in ledger.dispatches:
        return
    place = _place(decision)
    keys = _held(ledger, place)
    exact = reservation_key(decision.subject) if decision.subject is not None else ""
    key = exact if exact in keys else next(iter(reversed(keys)), None)
    if key is not None:
        reservation = ledger.reservations[key]
        yield DispatchCharged(
            reservation=key,
            dispatch=decision.dispatch,
            receiver=_name(decision.receiver),
            ceiling_micro_usd=min(decision.ceiling_micro_usd, reservation.ceiling),
        )
        if reservation.settles is not None:
            yield from _ended(ledger, reservation.settles, reservation.settles_micro_usd, "transferred")
    elif place not in ledger.judged and place not in ledger.early:
        yield DecidedEarly(place=place, decision=_tag(decision), until=context.now + DAY_MS + HORIZON_MS)


def _ended(ledger: Ledger, dispatch: str, final: int | None, why: str) -> Iterator[Event]:
    reservation = ledger.of_dispatch(dispatch)
    if reservation is None:
        return
    if reservation.stands == "dispatched":
        yield Settled(dispatch=dispatch, micro_usd=final, why=why)
    elif final is not None:
        yield from _used(ledger, dispatch, final)


def _used(ledger: Ledger, dispatch: str, micro_usd: int) -> Iterator[Event]:
    """Count a figure that says more than those before: they are cumulative, so a smaller one takes nothing back."""
    reservation = ledger.of_dispatch(dispatch)
    if reservation is None:
        return
    used = reservation.used
    news = micro_usd >= reservation.least if used is None else micro_usd > used
    if news:
        yield UsageCounted(dispatch=dispatch, micro_usd=micro_usd)


def _task_ended(ledger: Ledger, decision: TaskEnded, context: Context) -> Iterator[Event]:
    task = ledger.tasks.get(decision.task or "")
    if task is None or task.ended or decision.task is None:
        return
    for key in task.reservations:
        reservation = ledger.reservations[key]
        if reservation.stands == "held":
            yield Refunded(reservation=key, why="task-ended")
        elif reservation.stands == "dispatched" and reservation.dispatch is not None:
            yield Settled(dispatch=reservation.dispatch, micro_usd=None, why="task-ended")
    yield TaskOver(task=decision.task, until=context.now + HORIZON_MS)


def _place(decision: Dispatched | Refused | Closed) -> str:
    subject = decision.subject
    if subject is not None:
        return place_key(subject.partition, subject.offset)
    return crossing_key(decision.task, decision.crossing)


def _tag(decision: AnyDecision) -> str:
    return str(decision.__struct_config__.tag)
