"""
Keep work from agent versions that fail: a circuit breaker for each, in this partition.

Rule 1: so many failures in a row open it: violations, errors, timeouts. A whole or partial answer sets them back.
Rule 2: while it is open the version gets nothing; the contract's fallbacks do, or the handoff is refused.
Rule 3: after its rest it is half open: so many probes at once; all answered close it, one that fails opens it.
Rule 4: what a person set by an activation goes before what was counted.
Rule 5: a desk has no breaker: it is people who answer there.
"""

from collections.abc import Iterator, Sequence

import msgspec

from seamwork.catalog import Context
from seamwork.documents.agent import BreakerTerms
from seamwork.records.decision import BreakerMoved
from seamwork.records.parties import AgentRef
from seamwork_router import events as ev
from seamwork_router.memory import State, version_key

_FAILED = frozenset({"timeout", "violation", "failed", "error"})
_CLOSED = ev.Breaker()
_MOVING: frozenset[type[ev.Event]] = frozenset({ev.DispatchOpened, ev.DispatchClosed})


def phase_of(breaker: ev.Breaker, now: int) -> ev.Phase:
    """Say where a breaker stands."""
    if breaker.open_until == 0:
        return "closed"
    return "open" if breaker.open_until > now else "half-open"


def lets_through(state: State, context: Context, ref: AgentRef) -> bool:
    """Say whether an agent version may get work now."""
    by_hand = context.catalog.agent_breaker(ref, context.now)
    if by_hand is not None:
        return by_hand == "closed"
    breaker = state.breakers.get(version_key(ref))
    if breaker is None:
        return True
    match phase_of(breaker, context.now):
        case "closed":
            return True
        case "half-open":
            return len(breaker.probes) < terms_of(context, ref).probes
        case "open":
            return False


def tried_at(state: State, context: Context, ref: AgentRef) -> int | None:
    """
    Return when an agent version that gets nothing now is worth another look, or None where only a document says.

    After its rest that is one more rest at a time: until then whoever probes it has answered, or has not.
    """
    if lets_through(state, context, ref) or context.catalog.agent_breaker(ref, context.now) is not None:
        return None
    at = state.breakers[version_key(ref)].open_until
    return at if at > context.now else context.now + terms_of(context, ref).rest_seconds * 1000


def follow(state: State, context: Context, events: Sequence[ev.Event]) -> Iterator[ev.Event]:
    """Yield what the dispatches that *events* open and close do to the breakers, and say where one moved."""
    if _MOVING.isdisjoint(map(type, events)):
        return
    moved: dict[str, tuple[AgentRef, ev.Breaker]] = {}
    partition = 0
    cases = {event.dispatch for event in events if isinstance(event, ev.DispatchOpened) and event.case}
    for event in events:
        match event:
            case ev.Decided():
                partition = event.partition
            case ev.DispatchOpened(case=None, plan=plan):
                before = _breaker(state, moved, plan.receiver)
                moved[version_key(plan.receiver)] = plan.receiver, _opened(before, event)
            case ev.DispatchClosed(receiver=receiver) if not _of_case(state, event, cases):
                before = _breaker(state, moved, receiver)
                terms = terms_of(context, receiver)
                moved[version_key(receiver)] = receiver, _closed(before, event, terms)
            case _:
                pass
    for key, (ref, after) in moved.items():
        before = state.breakers.get(key, _CLOSED)
        if after == before:
            continue
        yield ev.BreakerCounted(agent=ref, breaker=after)
        if phase_of(after, context.now) != before.said:
            yield ev.Decided(decision=_decision(context, ref, after, partition), partition=partition)


def probed(state: State, context: Context, events: Sequence[ev.Event]) -> bool:
    """Say whether a dispatch that *events* open is a probe, after which there is room for one less."""
    return any(
        isinstance(event, ev.DispatchOpened)
        and event.case is None
        and phase_of(_breaker(state, {}, event.plan.receiver), context.now) == "half-open"
        for event in events
    )


def _of_case(state: State, event: ev.DispatchClosed, opened_now: set[str]) -> bool:
    """Say whether a dispatch was a desk's: what people give up, or leave, is no failure of the desk."""
    task = state.tasks.get(event.task)
    errand = None if task is None else task.errands.get(event.crossing)
    dispatch = None if errand is None else errand.dispatches.get(event.dispatch)
    return event.dispatch in opened_now or (dispatch is not None and dispatch.case is not None)


def terms_of(context: Context, ref: AgentRef) -> BreakerTerms:
    """Return when an agent version's breaker opens, and how it closes again."""
    agent = context.catalog.agent(ref)
    return BreakerTerms() if agent is None else agent.spec.breaker


def _breaker(state: State, moved: dict[str, tuple[AgentRef, ev.Breaker]], ref: AgentRef) -> ev.Breaker:
    key = version_key(ref)
    return moved[key][1] if key in moved else state.breakers.get(key, _CLOSED)


def _opened(breaker: ev.Breaker, event: ev.DispatchOpened) -> ev.Breaker:
    if phase_of(breaker, event.at) != "half-open":
        return breaker
    return msgspec.structs.replace(breaker, probes=(*breaker.probes, event.dispatch), said="half-open")


def _closed(breaker: ev.Breaker, event: ev.DispatchClosed, terms: BreakerTerms) -> ev.Breaker:
    failed = event.why in _FAILED or event.outcome == "error"
    good = event.why in {"accepted", "transferred"} and not failed
    if breaker.open_until == 0:
        if good:
            return _CLOSED
        failures = breaker.failures + failed
        if failures < terms.failures:
            return msgspec.structs.replace(breaker, failures=failures)
        return _rest(failures, event.at, terms)
    if event.dispatch not in breaker.probes:
        return breaker  # it was handed over before the breaker opened, and is no probe
    probes = tuple(probe for probe in breaker.probes if probe != event.dispatch)
    if failed:
        return _rest(breaker.failures + 1, event.at, terms)
    passed = breaker.passed + good
    if passed >= terms.probes:
        return _CLOSED
    return msgspec.structs.replace(breaker, probes=probes, passed=passed)


def _rest(failures: int, at: int, terms: BreakerTerms) -> ev.Breaker:
    return ev.Breaker(failures=failures, open_until=at + terms.rest_seconds * 1000, said="open")


def _decision(context: Context, ref: AgentRef, breaker: ev.Breaker, partition: int) -> BreakerMoved:
    phase = phase_of(breaker, context.now)
    match phase:
        case "open":
            reason = f"{breaker.failures} failures in a row; it gets no work until its rest is over"
        case "half-open":
            reason = "its rest is over; a few handoffs probe whether it answers"
        case "closed":
            reason = "it answers again"
    return BreakerMoved(
        decided_at=context.now,
        revision=context.catalog.revision,
        rule=f"breaker-{phase}",
        reason=reason,
        agent=ref,
        state=phase,
        failures=breaker.failures,
        open_until=breaker.open_until or None,
        partition=partition,
    )
