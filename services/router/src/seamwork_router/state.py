"""
Change what is remembered, event by event; ``memory`` names it.

Rule 1: only ``evolve`` changes anything, and only by what the event says.
Rule 2: what is finished leaves: a task that ended keeps its ids until nobody can send them again, and nothing else.
Rule 3: no payload is kept, only positions and digests.
"""

from collections.abc import Callable, Iterable
from typing import Any, assert_never, get_args

import msgspec

from seamwork.decider import pack
from seamwork.records.crossing import step_name
from seamwork.records.parties import AgentRef, ContractRef
from seamwork_router import events as ev
from seamwork_router.facts import Asked, Facts
from seamwork_router.limits import count_dispatch, count_end, spread
from seamwork_router.memory import (
    APPROVAL,
    HOLD_GRACE_MS,
    HORIZON_MS,
    LONGEST_MS,
    LOT_MS,
    NOT_READY_MS,
    Agreement,
    Dispatch,
    Ending,
    Errand,
    Holding,
    Known,
    LateDispatch,
    Live,
    Over,
    PlanInForce,
    Returned,
    State,
    Stopping,
    Task,
    version_key,
)
from seamwork_router.timers import (
    live_timer,
    lot_timer,
    parts_of,
    stray_timer,
    task_timer,
    work_timer,
)


def seen(event: ev.CrossingSeen) -> Live:
    """Return how a crossing begins."""
    live = Live(facts=event.crossing, seats=event.seats, seen_at=event.at)
    live.asked = {seat.gate: event.at + seat.deadline_ms for seat in event.seats if seat.required}
    return live


def opened(event: ev.TaskOpened) -> Task:
    """Return how a task begins."""
    return Task(
        id=event.task,
        root=event.root,
        partition=event.partition,
        intent_sha256=event.intent_sha256,
        initiator=event.initiator,
        deadline_at=event.deadline_at,
        aimed=event.aimed,
        canaries=event.canaries,
    )


def evolve(state: State, event: ev.Event) -> State:
    """Apply one event; a kind that another release derives from one of these is applied as that."""
    change = _CHANGES.get(type(event))
    if change is None:
        change = next(_CHANGES[kind] for kind in type(event).__mro__ if kind in _CHANGES)
    change(state, event)
    return state


Judgement = (
    ev.CrossingSeen | ev.SeatsTaken | ev.VerdictKept | ev.VerdictCounted | ev.ContractSettled | ev.Claimed
    | ev.Held | ev.Approved | ev.Postponed | ev.AttemptOpened | ev.CrossingClosed
)  # fmt: skip
Working = (
    ev.TaskOpened | ev.StepAnswered | ev.TaskOver | ev.TaskNeverBegan | ev.StopBegun | ev.StopEnded
    | ev.TaskEnding
)  # fmt: skip
OnErrand = (
    ev.DispatchOpened | ev.Corrected | ev.DispatchClosed | ev.NoteTaken | ev.PlanAdopted | ev.ErrandEnded
    | ev.Requeued | ev.CaseRaised | ev.CaseClimbed
)  # fmt: skip
Housekeeping = (
    ev.Woken | ev.TimerPassed | ev.Forgotten | ev.HealthTaken | ev.VerdictLate | ev.CommandIgnored
    | ev.DeliveryFailed | ev.BreakerCounted | ev.AnswerKept
)  # fmt: skip


# ── Judgement ────────────────────────────────────────────────────────────────────────────


def _judge(state: State, event: Judgement) -> None:
    match event:
        case ev.VerdictCounted():
            live = state.live[str(event.verdict.subject.offset)]
            live.votes[event.verdict.gate] = event.verdict
        case ev.CrossingSeen():
            live, name = seen(event), str(event.crossing.offset)
            state.live[name] = live
            state.early.pop(name, None)
            state.read_to = event.crossing.offset + 1
        case ev.Claimed():
            live = state.live[str(event.offset)]
            _claim(state, live, event)
        case ev.CrossingClosed():
            _close(state, event)
            return
        case ev.VerdictKept():
            state.early.setdefault(str(event.verdict.subject.offset), []).append(event.verdict)
            return
        case ev.ContractSettled():
            live = state.live[str(event.offset)]
            _settle(state, live, event)
        case ev.SeatsTaken() | ev.Held() | ev.Approved() | ev.Postponed() | ev.AttemptOpened():
            live = state.live[str(event.offset)]
            move(live, event)
            _follow_attempt(state, live)
        case _:
            assert_never(event)
    _arm_live(state, live)


def move(live: Live, event: ev.SeatsTaken | ev.Held | ev.Approved | ev.Postponed | ev.AttemptOpened) -> None:
    """Take one crossing a step on; decisions use it on copies to look ahead."""
    match event:
        case ev.SeatsTaken():
            live.seats = event.seats
            live.asked = {seat.gate: event.at + seat.deadline_ms for seat in event.seats if seat.required}
        case ev.Held():
            live.phase = "held"
            live.holding = Holding(event.plan, event.approvers, event.gates, event.expires_at)
        case ev.Approved():
            live.phase, live.holding = "judging", None
            live.agreement = Agreement(event.action_sha256, event.approvers)
        case ev.Postponed():
            live.phase, live.until, live.then = "waiting", event.until, event.then
            live.rerouted = event.rerouted
        case ev.AttemptOpened():
            live.phase, live.attempt, live.holding = "judging", event.attempt, None
            live.until = event.at
            again = {*event.gates, *(seat.gate for seat in live.seats if seat.role == APPROVAL)}
            live.votes = {gate: vote for gate, vote in live.votes.items() if gate not in again}
            live.asked = {
                seat.gate: event.at + seat.deadline_ms
                for seat in live.seats
                if seat.required and seat.gate not in live.votes
            }
        case _:
            assert_never(event)


def settle(live: Live, contract: ContractRef) -> None:
    """Put a handoff under the version of its contract that was settled on."""
    if live.facts.handoff is not None:
        asked = msgspec.structs.replace(live.facts.handoff, contract=contract)
        live.facts = msgspec.structs.replace(live.facts, handoff=asked)


def _settle(state: State, live: Live, event: ev.ContractSettled) -> None:
    settle(live, event.contract)
    task = state.tasks.get(live.facts.task)
    errand = None if task is None else task.errands.get(live.facts.id)
    if errand is not None and errand.facts.offset == event.offset and live.facts.handoff is not None:
        errand.facts = live.facts


def _follow_attempt(state: State, live: Live) -> None:
    task = state.tasks.get(live.facts.task)
    errand = task.errands.get(live.facts.id) if task is not None else None
    if errand is not None and errand.facts.offset == live.facts.offset:
        errand.attempt = live.attempt


def _arm_live(state: State, live: Live) -> None:
    match live.phase:
        case "judging":
            at = _judging_due(live)
        case "held":
            at = None if live.holding is None else live.holding.expires_at + HOLD_GRACE_MS
        case "waiting":
            at = live.until
        case _:
            at = None
    timer = live_timer(live.facts.offset)
    if at is None:
        state.timers.disarm(timer)
    else:
        state.timers.arm(timer, at)


def _judging_due(live: Live) -> int | None:
    required = live.required
    if not required:
        return live.seen_at + NOT_READY_MS
    missing = [live.asked.get(gate, live.seen_at) for gate in required if gate not in live.votes]
    return min(missing) if missing else live.until or live.asked_until


def _claim(state: State, live: Live, event: ev.Claimed) -> None:
    live.claimed = True
    facts = live.facts
    expires_at = min(facts.expires_at, facts.appended_at + LONGEST_MS)
    known = Known(content=facts.content, offset=facts.offset, until=expires_at + HORIZON_MS)
    task = state.tasks.get(facts.task)
    if task is None or not event.joins:
        _known_ids(state, facts)[facts.own_key] = known
        if task is None and facts.task not in state.over:
            state.timers.arm(stray_timer(facts.own_key), known.until)
        return
    task.ids[facts.own_key] = known
    task.crossings += 1
    if facts.handoff is not None:
        task.errands[facts.id] = Errand(facts=facts)
        if facts.handoff.parent is not None:
            _join_parent(task.errands[facts.handoff.parent], facts.id, facts.handoff)
    elif facts.plan is not None:
        task.errands[facts.plan.parent].planning = facts.offset
    elif facts.result is not None and facts.dispatch is not None:
        dispatch = task.errands[facts.result.parent].dispatches[facts.dispatch]
        dispatch.answering = facts.offset
        state.timers.disarm(work_timer(task.id, facts.result.parent))


def _join_parent(parent: Errand, crossing: str, asked: Asked) -> None:
    parent.children.append(crossing)
    parent.open_children += 1
    name = step_name(asked.step, asked.ordinal)
    if parent.plan is not None and name in parent.plan.named and asked.mode != "transfer":
        parent.plan.made[name] = crossing


def _known_ids(state: State, facts: Facts) -> dict[str, Known]:
    if facts.task in state.tasks:
        return state.tasks[facts.task].ids
    return state.over[facts.task].ids if facts.task in state.over else state.strays


def _close(state: State, event: ev.CrossingClosed) -> None:
    live = state.live.pop(str(event.offset), None)
    state.timers.disarm(live_timer(event.offset))
    task = None if live is None else state.tasks.get(live.facts.task)
    if live is None or task is None:
        return
    if event.refused and live.claimed:
        task.refused += 1
    if live.facts.plan is not None:
        planner = task.errands.get(live.facts.plan.parent)
        if planner is not None and planner.planning == event.offset:
            planner.planning = None
    lost = event.refused and not event.strange
    if lost and live.facts.handoff is not None and live.facts.id not in task.errands:
        _turn_away(task, live.facts.handoff)
        _halt_if_spread(state, task)
    result = live.facts.result
    errand = task.errands.get(result.parent) if result is not None else None
    dispatch = errand.open_dispatch if errand is not None else None
    if errand is not None and dispatch is not None and dispatch.answering == event.offset:
        dispatch.answering = None
        state.timers.arm(work_timer(task.id, errand.facts.id), dispatch.due)


def _halt_if_spread(state: State, task: Task) -> None:
    """Let the task's timer ring at once where more has failed than may: the tick then finds all of it settled."""
    if spread(task):
        state.timers.arm(task_timer(task.id), 0)


def _turn_away(task: Task, asked: Asked) -> None:
    task.failures += 1
    parent = task.errands.get(asked.parent or "")
    if parent is not None and parent.plan is not None:
        parent.plan.turned_away.append(step_name(asked.step, asked.ordinal))


# ── Work ─────────────────────────────────────────────────────────────────────────────────


def _work(state: State, event: Working) -> None:
    match event:
        case ev.TaskOpened():
            state.tasks[event.task] = opened(event)
            state.aims[event.aimed] = state.aims.get(event.aimed, 0) + 1
            state.timers.arm(task_timer(event.task), event.deadline_at)
        case ev.TaskOver():
            _finish(state, event)
        case ev.TaskNeverBegan():
            _never_began(state, event)
        case ev.StopBegun() | ev.StopEnded() | ev.TaskEnding():
            _wind_down(state, state.tasks[event.task], event)
        case ev.StepAnswered():
            state.tasks[event.task].answered.append((event.contract, event.step, event.outcome))
        case _:
            assert_never(event)


def _of_errand(state: State, event: OnErrand) -> None:
    task = state.tasks.get(event.task)
    errand = task.errands.get(event.crossing) if task is not None else None
    if task is None or errand is None:
        _late(state, event)
    else:
        _on_errand(state, task, errand, event)


def _on_errand(state: State, task: Task, errand: Errand, event: OnErrand) -> None:
    timer = work_timer(task.id, errand.facts.id)
    match event:
        case ev.DispatchOpened():
            _open(state, task, errand, event)
        case ev.Corrected():
            errand.corrections += 1
        case ev.DispatchClosed():
            errand.dispatches[event.dispatch].is_open = False
            errand.dispatches[event.dispatch].why = event.why
            errand.excluded += () if event.barred == "nobody" else (event.receiver,)
            errand.fallback_only |= event.barred == "all-but-fallbacks"
            state.timers.disarm(timer)
        case ev.CaseRaised():
            errand.raised = event
            if not event.of_part:
                _ask_people(state, task)
        case ev.CaseClimbed():
            errand.dispatches[event.dispatch].case = event.terms
            state.timers.arm(timer, event.terms.answer_by)
        case ev.NoteTaken():
            dispatch = errand.dispatches[event.dispatch]
            dispatch.noted[event.id] = event.content
            dispatch.spent = event.spent or dispatch.spent
        case ev.PlanAdopted():
            errand.plan = PlanInForce(event.agent, {one.name: one for one in event.subtasks})
            errand.began_with = len(event.subtasks) if errand.began_with is None else errand.began_with
        case ev.ErrandEnded():
            _end(state, task, errand, event)
        case ev.Requeued():
            _requeue(state, task, errand, event)
        case _:
            assert_never(event)


def _open(state: State, task: Task, errand: Errand, event: ev.DispatchOpened) -> None:
    errand.current = event.dispatch
    errand.dispatches[event.dispatch] = dispatched(event)
    task.by_dispatch[event.dispatch] = event.crossing
    receiver = event.plan.receiver
    if event.case is None:
        count_dispatch(task, errand, receiver)
        if errand.plan is not None and errand.plan.agent != receiver.agent:
            errand.plan = None  # somebody else's: whoever has the work now divides it for itself
    state.live[str(errand.facts.offset)].phase = "dispatched"
    state.timers.disarm(live_timer(errand.facts.offset))
    state.timers.arm(work_timer(task.id, errand.facts.id), errand.dispatches[event.dispatch].due)


def _end(state: State, task: Task, errand: Errand, event: ev.ErrandEnded) -> None:
    if errand.ended is None:
        count_end(task, errand, event.how, event.outcome)
        _halt_if_spread(state, task)
    errand.ended, errand.successor = event.how, event.successor
    errand.degraded |= event.degraded
    state.live.pop(str(errand.facts.offset), None)
    state.timers.disarm(live_timer(errand.facts.offset))
    state.timers.disarm(work_timer(task.id, errand.facts.id))


def _requeue(state: State, task: Task, errand: Errand, event: ev.Requeued) -> None:
    task.obeyed += [event.order] if event.order else []
    errand.ended, errand.excluded, errand.fallback_only = None, (), False
    errand.degraded &= not event.wanted
    above = task.errands.get(errand.asked.parent or "")
    if above is not None:
        above.open_children += 1
    live = Live(facts=errand.facts, seats=event.seats, seen_at=event.at, attempt=errand.attempt)
    live.claimed = True
    state.live[str(errand.facts.offset)] = live


def _ask_people(state: State, task: Task) -> None:
    """Let a task that halted go on: people decide now, and what they put back may fail as often again."""
    if spread(task):
        task.failures = 0
        if not task.stopping and task.ending is None:
            state.timers.arm(task_timer(task.id), task.deadline_at)


def dispatched(event: ev.DispatchOpened) -> Dispatch:
    """Return how a dispatch begins."""
    return Dispatch(
        id=event.dispatch,
        number=event.number,
        attempt=event.attempt,
        plan=event.plan,
        return_contracts=event.return_contracts,
        lineage=event.lineage,
        case=event.case,
    )


def _late(state: State, event: OnErrand) -> None:
    """Take down what still comes for a task that is over: its last usage."""
    if isinstance(event, ev.NoteTaken) and event.task in state.over:
        dispatch = state.over[event.task].dispatches.get(event.dispatch)
        if dispatch is not None:
            dispatch.noted[event.id] = event.content
        pack(state.over, event.task)


def _finish(state: State, event: ev.TaskOver) -> None:
    task = state.tasks.pop(event.task)
    for errand in task.errands.values():
        state.timers.disarm(work_timer(task.id, errand.facts.id))
        if errand.ended is None:
            state.live.pop(str(errand.facts.offset), None)
            state.timers.disarm(live_timer(errand.facts.offset))
    state.timers.disarm(task_timer(task.id))
    left = state.aims.get(task.aimed, 0) - 1
    if left > 0:
        state.aims[task.aimed] = left
    else:
        state.aims.pop(task.aimed, None)
    state.over[task.id] = Over(
        ids=task.ids,
        dispatches={
            dispatch.id: LateDispatch(errand.facts.id, dispatch.plan.receiver, dispatch.noted)
            for errand in task.errands.values()
            for dispatch in errand.dispatches.values()
        },
        drill=task.is_drill,
    )
    pack(state.over, task.id)
    until = max([event.at + HORIZON_MS, *(known.until for known in task.ids.values())])
    _let_go_at(state, task.id, until)


def _wind_down(state: State, task: Task, event: ev.StopBegun | ev.StopEnded | ev.TaskEnding) -> None:
    """Take down what is to be stopped, or ended, and let the task's timer ring at once while there is any of it."""
    match event:
        case ev.StopBegun():
            task.stopping.append(Stopping(event.crossing, event.children, event.why, event.reason))
        case ev.StopEnded():
            del task.stopping[0]
        case ev.TaskEnding():
            task.ending = Ending(event.outcome, event.gaps)
        case _:
            assert_never(event)
    at_once = task.stopping or task.ending is not None or spread(task)
    state.timers.arm(task_timer(task.id), 0 if at_once else task.deadline_at)


def _never_began(state: State, event: ev.TaskNeverBegan) -> None:
    """Keep the task's id like that of one that is over, with that of its root, unless that is forgotten already."""
    root = state.strays.pop(event.root, None)  # one that expired long ago went before the last gate had voted
    state.timers.disarm(stray_timer(event.root))
    ids = {} if root is None else {event.root: root}
    state.over[event.task] = Over(ids=ids, dispatches={}, drill=event.drill)
    pack(state.over, event.task)
    _let_go_at(state, event.task, max([event.at + HORIZON_MS, *(known.until for known in ids.values())]))


def _let_go_at(state: State, task: str, until: int) -> None:
    """Forget a task that is over with the others of its lot, which it waits for."""
    at = (until // LOT_MS + 1) * LOT_MS
    lot = state.lots.setdefault(str(at), [])
    lot.append(task)
    state.timers.arm(lot_timer(str(at)), at)


# ── Housekeeping ─────────────────────────────────────────────────────────────────────────


def _keep_house(state: State, event: Housekeeping) -> None:
    match event:
        case ev.Woken():
            for timer in event.timers:
                state.timers.arm(timer, event.at)
        case ev.TimerPassed():
            _rest(state, event.timer)
        case ev.Forgotten():
            state.timers.disarm(event.timer)
            kind, name = parts_of(event.timer)
            if kind == "stray":
                state.strays.pop(name, None)
            else:  # until version 3 a task that is over had a timer of its own
                _forget(state, state.lots.pop(name, ()) if kind == "lot" else (name,))
        case ev.HealthTaken():
            state.alive = {
                version_key(AgentRef(agent=one.agent, version=one.version)): one.alive
                for one in event.instances
                if one.alive
            }
            state.obstacles = event.obstacles
        case ev.AnswerKept():
            _answered(state, event)
        case ev.BreakerCounted():
            _count_breaker(state, event)
        case ev.VerdictLate() | ev.CommandIgnored() | ev.DeliveryFailed():
            return
        case _:
            assert_never(event)


def _forget(state: State, tasks: Iterable[str]) -> None:
    for task in tasks:
        if task in state.over:
            del state.over[task]  # `pop` would unpack and read it first


def _count_breaker(state: State, event: ev.BreakerCounted) -> None:
    key = version_key(event.agent)
    if event.breaker == ev.Breaker():
        state.breakers.pop(key, None)
    else:
        state.breakers[key] = event.breaker


def _rest(state: State, timer: str) -> None:
    """Let a timer that had nothing to do ring when it would have rung without being woken."""
    rang_at = state.timers.due.get(timer, 0)
    state.timers.disarm(timer)
    kind, name = parts_of(timer)
    live = state.live.get(name) if kind == "live" else None
    if live is not None and live.phase == "judging" and rang_at < live.asked_until:
        state.timers.arm(timer, live.asked_until)  # all have voted, by documents that we have not seen yet
    if kind == "work":
        task, crossing = state.work_of(timer)
        errand = state.tasks[task].errands.get(crossing) if task in state.tasks else None
        dispatch = errand.open_dispatch if errand is not None else None
        if dispatch is not None and dispatch.answering is None:
            state.timers.arm(work_timer(task, crossing), dispatch.due)


# ── What was said ────────────────────────────────────────────────────────────────────────


def _say(state: State, event: ev.Said) -> None:
    match event:
        case ev.AnswerForwarded():
            _answered(state, event)
        case ev.NoticeGiven(known=str() as key):
            known = _recall(state, event.notice.task, key)
            if known is not None:
                known.notice, known.answer, known.source = event.notice, None, None
        case _:
            return


def _recall(state: State, task: str, key: str) -> Known | None:
    if task in state.tasks:
        return state.tasks[task].ids.get(key)
    if task in state.over:
        return state.over[task].ids.get(key)
    return state.strays.get(key)


def _answered(state: State, event: ev.AnswerForwarded | ev.AnswerKept) -> None:
    if event.known is None:
        return
    known = _recall(state, event.answer.task, event.known)
    if known is not None:
        known.answer, known.source, known.notice = event.answer, event.source, None
    task = state.tasks.get(event.answer.task)
    errand = task.errands.get(event.answer.child) if task is not None else None
    if errand is not None:
        answer = event.answer
        errand.returned = Returned(
            answer.result, answer.position, answer.digest, answer.outcome, answer.contract, answer.gaps,
            answer.delivered,
        )  # fmt: skip


_CHANGES: dict[type[ev.Event], Callable[[State, Any], None]] = {
    **dict.fromkeys(get_args(Judgement), _judge),
    **dict.fromkeys(get_args(Working), _work),
    **dict.fromkeys(get_args(OnErrand), _of_errand),
    **dict.fromkeys(get_args(Housekeeping), _keep_house),
    **dict.fromkeys(get_args(ev.Said), _say),
}
"""Which function changes the state by which event: events are many, and asking for the kind of each costs more
than what most of them change."""
