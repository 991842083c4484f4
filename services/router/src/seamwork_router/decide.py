"""
Coordinate: count verdicts, dispatch what is admitted, follow every task to its end.

Rule 1: nothing is dispatched without every required verdict on the same subject; silence is a no.
Rule 2: an input that was decided on before changes nothing.
Rule 3: authority only shrinks and constraints only grow on the way down; the stamp is the only grant.
Rule 4: every task ends: complete, partial, failed, cancelled or expired.
Rule 5: what would not fit into one commit is refused in few words; what is to be stopped, stopped in pieces.
Rule 6: of one task at most one thing happens in one tick, so each decision stands on what the one before left.
"""

from collections.abc import Callable, Iterator, Sequence

from seamwork.catalog import Context
from seamwork.decider import (
    TOO_MUCH,
    CatalogChanged,
    Decider,
    HealthChanged,
    Input,
    Tick,
    TooMuch,
    Undeliverable,
    Upcast,
    WithCrossing,
)
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.people import Command
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Malformed, Received
from seamwork_router import events as ev
from seamwork_router.breakers import follow, probed
from seamwork_router.cases import climb
from seamwork_router.ending import stop_task, wind_down
from seamwork_router.entering import count, late, scene_of, seats_for, take_up
from seamwork_router.facts import facts_of
from seamwork_router.failure import fail, halt
from seamwork_router.judging import complete, reached, resumes
from seamwork_router.limits import spread
from seamwork_router.memory import Errand, State, Task, sizes
from seamwork_router.outputs import outputs
from seamwork_router.overflow import give_up, give_up_errand, refuse_all
from seamwork_router.people import order
from seamwork_router.problem import Problem
from seamwork_router.scene import MOST_AIMED, MOST_TASKS, Place, Scene
from seamwork_router.state import evolve, seen
from seamwork_router.timers import TURN_TIMER, live_timer, parts_of, work_timer

HANDOFFS = "handoffs.v1"
COMMANDS = "commands.v1"
Then = Callable[[Scene], Iterator[ev.Event]]
"""What is done with a crossing instead of deciding on it by its votes."""
Otherwise = Callable[[Context, Task, Errand], Iterator[ev.Event]]
"""What is done with a handoff instead of what its contract says."""
MOST_AHEAD = 20_000
"""So far before a crossing its verdict may come: all topics are read at one pace, so beyond lies only what is
about no crossing. It is not kept, and if a crossing comes after all, its gate was silent: it is refused."""
MAX_RINGING = 500
"""So many timers at most are served by one tick; the next one follows at once."""
MAX_MADE = 1000
"""A tick that led to so many events serves no further timer: all that they say must fit into a commit."""


def router(
    partitions: int, platform: str, *, most_tasks: int = MOST_TASKS, most_aimed: int = MOST_AIMED
) -> Decider[State, Input, ev.Event, Context]:
    """
    Make the machine.

    Args:
        partitions: How many partitions ``handoffs`` has, to hold a record's place against its key.
        platform: The platform's id, which stamps name and signatures cover.
        most_tasks: Under way in one partition; more are not begun.
        most_aimed: The same, of those that ask for one agent or capability.
    """
    place = Place(platform, partitions, most_tasks, most_aimed)

    def decide(state: State, given: Input, context: Context) -> Sequence[ev.Event]:
        events = tuple(_decide(place, state, given, context))
        return (*events, *follow(state, context, events))

    return Decider(
        name="router",
        initial=State,
        decide=decide,
        evolve=evolve,
        outputs=outputs,
        event_type=ev.Event,
        state_type=State,
        timer=lambda state: state.timers.earliest(),
        sizes=sizes,
        # The second version writes down less: no defaults, no heap, and what a handoff asks for once. The third
        # forgets what is over in lots; a timer for one task still counts.
        version=3,
        upcasts={1: Upcast(), 2: Upcast()},
    )


def _decide(place: Place, state: State, given: Input, context: Context) -> Iterator[ev.Event]:
    match given:
        case Received() | Malformed() if given.raw.topic == HANDOFFS:
            yield from _on_crossing(place, state, given, context)
        case Received(record=Verdict() as verdict):
            yield from _on_verdict(place, state, given, verdict, context)
        case Received(record=Command() as command) if given.raw.topic == COMMANDS:
            yield from order(place, state, context, given, command)
        case Received() | Malformed():
            yield _set_aside(given, context)
        case WithCrossing():
            return  # the router asks for no crossing
        case TooMuch():
            yield from _on_too_much(place, state, given, context)
        case Tick():
            yield from _on_tick(place, state, given, context)
        case CatalogChanged():
            yield from _on_catalog(place, state, context)
        case HealthChanged(instances=instances, obstacles=obstacles):
            yield ev.HealthTaken(instances=instances, obstacles=obstacles)
        case Undeliverable():
            yield from _on_undeliverable(state, given, context)


# ── Records ──────────────────────────────────────────────────────────────────────────────


def _on_crossing(
    place: Place,
    state: State,
    given: Received[AnyEnvelope] | Malformed,
    context: Context,
    then: Then | None = None,
) -> Iterator[ev.Event]:
    offset = given.raw.offset
    if offset < state.read_to:
        return
    facts = facts_of(given)
    event = ev.CrossingSeen(crossing=facts, seats=seats_for(state, context, facts), at=context.now)
    yield event
    scene = scene_of(place, state, context, seen(event))
    done = False
    for verdict in state.early.get(str(offset), ()):
        if done:
            yield ev.VerdictLate(gate=verdict.gate, subject=verdict.subject, why="decided")
            continue
        scene, events, done = count(scene, verdict, verdict.judged_at, then)
        yield from events
    if then is not None and not done:
        yield from then(scene)


def _on_verdict(  # with what is done once it is counted
    place: Place,
    state: State,
    given: Received[AnyEnvelope],
    verdict: Verdict,
    context: Context,
    then: Then | None = None,
) -> Iterator[ev.Event]:
    subject = verdict.subject
    if given.raw.topic != f"verdicts.{verdict.gate}.v1" or given.raw.partition != subject.partition:
        yield ev.VerdictLate(gate=verdict.gate, subject=subject, why="another-topic")
        return
    if subject.offset >= state.read_to:
        if subject.offset >= state.read_to + MOST_AHEAD or then is not None:
            yield ev.VerdictLate(gate=verdict.gate, subject=subject, why="too-early")
        elif not any(_same(verdict, kept) for kept in state.early.get(str(subject.offset), ())):
            yield ev.VerdictKept(verdict=verdict)
        return
    live = state.live.get(str(subject.offset))
    if live is None:
        yield ev.VerdictLate(gate=verdict.gate, subject=subject, why=late(live, verdict) or "decided")
        return
    _, events, _ = count(scene_of(place, state, context, live), verdict, given.raw.appended_at, then)
    yield from events


def _on_too_much(place: Place, state: State, given: TooMuch, context: Context) -> Iterator[ev.Event]:
    """Refuse what the input was about; what it would have led to fits into no commit."""
    match given.given:
        case Received() | Malformed() as crossing if crossing.raw.topic == HANDOFFS:
            yield from _on_crossing(place, state, crossing, context, refuse_all)
        case Received(record=Verdict() as verdict) as received:
            yield from _on_verdict(place, state, received, verdict, context, refuse_all)
        case Received(record=Command() as command):
            yield ev.CommandIgnored(command=command.id, task=command.task, rule=TOO_MUCH)
        case Tick():
            ringing = [timer for _, timer in state.timers.ringing(context.now)]
            if ringing:
                yield from give_up(place, state, _first_of(ringing), context)
        case Undeliverable() as lost:
            yield from _on_undeliverable(state, lost, context, give_up_errand)
        case _:
            return


def _same(one: Verdict, other: Verdict) -> bool:
    return (one.gate, one.subject) == (other.gate, other.subject)


def _set_aside(given: Received[AnyEnvelope] | Malformed, context: Context) -> ev.RecordSetAside:
    rule = given.rule if isinstance(given, Malformed) else "wrong-type"
    reason = given.reason if isinstance(given, Malformed) else f"{given.raw.topic} carries no such record"
    return ev.RecordSetAside(
        topic=given.raw.topic, source=given.position, digest=given.digest, gate="router", rule=rule,
        reason=reason, at=context.now,
    )  # fmt: skip


# ── Time and documents ───────────────────────────────────────────────────────────────────


def _on_tick(place: Place, state: State, tick: Tick, context: Context) -> Iterator[ev.Event]:
    served: set[str] = set()
    rung = made = 0
    most = tick.most or MAX_RINGING
    ringing = [timer for _, timer in state.timers.ringing(context.now)]
    if TURN_TIMER in ringing:
        # Alone: it wakes what there is, and some of that could end in the same tick.
        yield ev.TimerPassed(timer=TURN_TIMER)
        yield from _on_catalog(place, state, context)
        return
    for timer in ringing:
        task = _task_of(state, timer)
        if task in served:
            continue
        if rung == most or made >= MAX_MADE:
            return
        served |= {task} if task else set()
        rung += 1
        events = list(_ring(place, state, timer, context)) or [ev.TimerPassed(timer=timer)]
        made += len(events)
        yield from events
        if probed(state, context, events):
            return  # of those who wait for it too, only so many are probes: the next tick has counted this one


def _first_of(ringing: Sequence[str]) -> str:
    """Return which of the timers that ring is served first."""
    return TURN_TIMER if TURN_TIMER in ringing else ringing[0]


def _task_of(state: State, timer: str) -> str:
    kind, name = parts_of(timer)
    match kind:
        case "live":
            return state.live[name].facts.task
        case "work":
            return state.work_of(timer)[0]
        case "task":
            return name
        case _:
            return ""


def _ring(place: Place, state: State, timer: str, context: Context) -> Iterator[ev.Event]:
    kind, name = parts_of(timer)
    match kind:
        case "live":
            yield from take_up(scene_of(place, state, context, state.live[name]))
        case "work":
            task_id, crossing = state.work_of(timer)
            if task_id in state.tasks:
                task = state.tasks[task_id]
                yield from _overdue(context, task, task.errands[crossing])
        case "task":
            if state.tasks[name].stopping or state.tasks[name].ending is not None:
                yield from wind_down(context, state.tasks[name])
            elif spread(state.tasks[name]):
                yield from halt(context, state.tasks[name])
            else:
                yield from stop_task(context, state.tasks[name], "expired", "the task's deadline has passed")
        case _:
            yield ev.Forgotten(timer=timer)


def _overdue(context: Context, task: Task, errand: Errand) -> Iterator[ev.Event]:
    dispatch = errand.open_dispatch
    if dispatch is None:
        return
    if context.catalog.agent_status(dispatch.plan.receiver, context.now) == "revoked":
        problem = Problem("revoked", "the agent version that held it was revoked")
        yield from fail(context, task, errand, "revoked", problem)
    elif dispatch.case is not None:
        yield from climb(context, task, errand, dispatch)
    elif context.now >= dispatch.plan.not_after:
        problem = Problem("timeout", "no result was accepted before not_after")
        yield from fail(context, task, errand, "timeout", problem)


def _on_catalog(place: Place, state: State, context: Context) -> Iterator[ev.Event]:
    """
    Only wake what the documents touch; the tick that follows decides, one thing of a task at a time.

    An activation holds from when the broker's clock says, which may be ahead of ours, or from when its publisher
    says: what begins to hold later is looked at then.
    """
    timers: list[str] = []
    for live in sorted(state.live.values(), key=lambda one: one.facts.offset):
        offset = live.facts.offset
        if live.phase == "judging" and not live.required:
            seats = seats_for(state, context, live.facts)
            if any(seat.required for seat in seats):
                yield ev.SeatsTaken(offset=offset, seats=seats, at=context.now)
                timers.append(live_timer(offset))
        elif live.phase == "waiting" and live.then == "resume":
            timers += [live_timer(offset)] if resumes(scene_of(place, state, context, live)) else []
        elif complete(live) and reached(scene_of(place, state, context, live)):
            overdue = live.phase == "waiting" and live.until <= context.now
            timers += [live_timer(offset)] if live.phase == "judging" or overdue else []
    for _, task in sorted(state.tasks.items()):
        for _, errand in sorted(task.errands.items()):
            dispatch = errand.open_dispatch
            if dispatch is None:
                continue
            if context.catalog.agent_status(dispatch.plan.receiver, context.now) == "revoked":
                timers.append(work_timer(task.id, errand.facts.id))
    if timers:
        yield ev.Woken(timers=tuple(timers), at=context.now)
    turn = context.catalog.next_turn(context.now)
    if turn is not None:
        yield ev.Woken(timers=(TURN_TIMER,), at=turn)


def _on_undeliverable(
    state: State, given: Undeliverable, context: Context, then: Otherwise | None = None
) -> Iterator[ev.Event]:
    """An inbox that takes no record fails the dispatch that it was for; anything else is recorded."""
    yield ev.DeliveryFailed(topic=given.topic, error=given.error, task=given.task, dispatch=given.dispatch)
    task = state.tasks.get(given.task or "")
    errand = None if task is None else task.errands.get(given.crossing or "")
    dispatch = None if errand is None else errand.open_dispatch
    if task is None or errand is None or dispatch is None or dispatch.id != given.dispatch:
        return
    if then is not None:
        yield from then(context, task, errand)
        return
    problem = Problem("undeliverable", f"its work could not be delivered: {given.error}")
    yield from fail(context, task, errand, "undeliverable", problem)
