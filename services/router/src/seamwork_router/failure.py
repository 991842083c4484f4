"""
Follow a contract's word on what happens when a dispatch does not bring back what was agreed.

Rule 1: the bound on retries counts dispatches, whatever they failed of.
Rule 2: nothing is tried again after the handoff's deadline, and nothing waits for a try that would come after it.
Rule 3: what is used up goes to ``otherwise``, and what ``otherwise`` cannot do is escalated.
Rule 4: a further try that is refused is used up, whatever number of them is left.
"""

from collections.abc import Iterator
from typing import Literal

from seamwork.catalog import Context
from seamwork.decider import TOO_MUCH
from seamwork.documents.contract import Handling
from seamwork.records.decision import Escalated, Why
from seamwork.records.parties import AgentRef
from seamwork_router import events as ev
from seamwork_router.cases import announce, raised
from seamwork_router.ending import conclude, end_task, release, stop, stop_children, stopped
from seamwork_router.limits import spread
from seamwork_router.memory import Dispatch, Errand, Task
from seamwork_router.problem import Problem
from seamwork_router.saying import closed, tell_waiting
from seamwork_router.scene import last_of

Step = Literal["correct", "retry", "fallback", "degrade", "escalate", "fail"]
_WHY: dict[ev.Cause, Why] = {
    "timeout": "timeout", "error": "error", "violation": "violation", "mistaken": "violation", "revoked": "revoked",
    "undeliverable": "failed", "overrun": "overrun",
}  # fmt: skip
_CAUSES: dict[Why | None, ev.Cause] = {
    "timeout": "timeout", "violation": "violation", "revoked": "revoked", "overrun": "overrun",
}  # fmt: skip
_TRIES = frozenset({"correct", "retry", "fallback"})
_NAMED = 5
_NOBODY_TO_ASK = Handling(action="fail", otherwise="fail")


def handling_of(context: Context, errand: Errand, cause: ev.Cause) -> Handling:
    """Return what the contract says of *cause*; what it has no word for counts as an error."""
    contract = context.catalog.contract(errand.asked.contract)
    if contract is None or cause == "overrun":
        return _NOBODY_TO_ASK
    match cause:
        case "timeout":
            return contract.spec.on_timeout
        case "violation" | "mistaken":
            return contract.spec.on_violation
        case _:
            return contract.spec.on_error


def next_step(context: Context, task: Task, errand: Errand, cause: ev.Cause) -> Step:
    """Return what is to be done now, with what is used up taken into account; what people gave up has failed."""
    if errand.dispatch is not None and errand.dispatch.case is not None:
        return "fail"
    handling = handling_of(context, errand, cause)
    step: Step = handling.action
    # Whoever took in something else has not answered yet: there is nothing to correct.
    if cause == "mistaken" and step == "correct":
        step = handling.otherwise
    if not _possible(context, task, errand, handling, step):
        step = handling.otherwise
    return step if _possible(context, task, errand, handling, step) else "escalate"


def corrections_left(context: Context, task: Task, errand: Errand) -> int:
    """Return how many further answers a holder may send after a refused one."""
    if next_step(context, task, errand, "violation") != "correct":
        return 0
    return handling_of(context, errand, "violation").attempts - errand.corrections


def fallbacks_left(context: Context, errand: Errand) -> tuple[AgentRef, ...]:
    """Return the contract's fallbacks that have not had this handoff."""
    had = {dispatch.plan.receiver for dispatch in errand.dispatches.values()} | set(errand.excluded)
    return tuple(
        ref for ref in context.catalog.fallbacks(errand.asked.contract, context.now) if ref not in had
    )


def fail(
    context: Context, task: Task, errand: Errand, cause: ev.Cause, problem: Problem, *, told: bool = False
) -> Iterator[ev.Event]:
    """
    Handle the failure of the errand's open dispatch.

    Args:
        context: The instant and the documents.
        task: The task in hand.
        errand: The handoff whose dispatch failed.
        cause: What it failed of.
        problem: What was wrong, and who found it.
        told: The holder has its notice already.
    """
    step, why = next_step(context, task, errand, cause), _WHY[cause]
    if step in {"retry", "fallback"}:
        barred: ev.Barred = "holder" if cause in {"revoked", "undeliverable"} else "nobody"
        barred = "all-but-fallbacks" if step == "fallback" else barred
        yield closed(context, task, errand, why, problem, final=False)
        yield from release(context, task, errand, why, problem, told=told, barred=barred)
        yield from again(context, errand, cause, step)
        return
    if step == "escalate":
        first = handling_of(context, errand, cause).to
        case = raised(context, task, errand, why, problem, first)
        if case is not None:
            yield closed(context, task, errand, why, problem, final=False)
            yield from release(context, task, errand, why, problem, told=told)
            yield from stop_children(context, task, errand, "rerouted", "the handoff above was escalated")
            yield from announce(context, errand, case)
            return
        yield escalated(context, task, errand, cause, problem)
    yield from conclude(context, task, errand, why, problem, told=told, degraded=step == "degrade")


def again(context: Context, errand: Errand, cause: ev.Cause, step: Step) -> Iterator[ev.Event]:
    """
    Try a handoff again whose dispatch is closed: after a while, or at once with a fallback.

    What is below goes on: another version of the same agent asks for it by the same ids. It is stopped when the
    work goes to another agent.
    """
    offset = errand.facts.offset
    if step == "fallback":
        yield ev.Postponed(offset=offset, until=context.now, then="reroute", rerouted=True)
        return
    wait = backoff_ms(handling_of(context, errand, cause), errand)
    yield ev.Postponed(offset=offset, until=context.now + wait, then="retry")


def instead(
    context: Context, task: Task, errand: Errand, problem: Problem, *, rerouted: bool
) -> tuple[Step, tuple[ev.Event, ...]]:
    """
    Return what the contract says where a further try of a handoff was refused, and how the handoff goes on.

    It does not where nobody could be asked, or nothing else is left. What is being stopped has failed, and so has
    what people gave up, or would not fit into a commit.

    Args:
        context: The instant and the documents.
        task: The task in hand.
        errand: The handoff, which was dispatched before.
        problem: Why the try was refused.
        rerouted: The try was to go to a fallback.
    """
    last = errand.dispatch
    over = stopped(task, errand) or spread(task) or problem.rule == TOO_MUCH
    if last is None or last.case is not None or over:
        return "fail", ()
    cause = _cause_of(last)
    handling = handling_of(context, errand, cause)
    step: Step = handling.otherwise if handling.action in _TRIES else handling.action
    if step == "fallback":
        # Once: whoever was asked for in place of a retry may be refused too.
        if not (rerouted or errand.fallback_only) and _possible(context, task, errand, handling, step):
            return step, tuple(again(context, errand, cause, step))
        step = "escalate"
    case = raised(context, task, errand, _WHY[cause], problem, handling.to) if step == "escalate" else None
    if case is None:
        return step, ()
    stopping = stop_children(context, task, errand, "rerouted", "the handoff above was escalated")
    return step, (*stopping, *announce(context, errand, case))


def _cause_of(dispatch: Dispatch) -> ev.Cause:
    """Return what a dispatch failed of; of an accepted error, too, it is an error."""
    return _CAUSES.get(dispatch.why, "error")


def nobody_asked(context: Context, task: Task, errand: Errand, problem: Problem) -> ev.Decided:
    """Say to whom a handoff is put of which a further try was refused, where no case could be opened."""
    last = errand.dispatch
    return escalated(context, task, errand, "error" if last is None else _cause_of(last), problem)


def backoff_ms(handling: Handling, errand: Errand) -> int:
    """Return how long a retry waits: twice as long each time, up to the contract's bound."""
    doubled: int = handling.backoff_seconds << max(0, len(errand.dispatches) - 1)
    return min(doubled, handling.max_backoff_seconds) * 1000


def halt(context: Context, task: Task) -> Iterator[ev.Event]:
    """Stop a task in which more has failed than may, before it spreads further, and put it before its owners."""
    root, limit = last_of(task, task.errands[task.root]), task.initiator.limits.failures
    lost = ", ".join(_places(task))
    problem = Problem(
        "too-many-failures", f"{task.failures} handoffs of this task failed, {limit} may; among them {lost}"
    )
    case = raised(context, task, root, "failed", problem, None)
    if case is not None:
        yield closed(context, task, root, "failed", problem, final=False)
        yield from release(context, task, root, "failed", problem)
        yield from stop_children(context, task, root, "cancelled", problem.reason)
        yield from announce(context, root, case)
        return
    yield escalated(context, task, root, "undeliverable", problem)
    yield from tell_waiting(context, task, root, "failed", problem)
    yield from stop(context, task, root, "failed", problem.reason)
    yield from end_task(context, task, "failed")


def _places(task: Task) -> Iterator[str]:
    """Name some of the ways on which nothing came back, the worst first."""
    worst = sorted(task.hops.items(), key=lambda item: (-sum(item[1].asked.values()), item[0]))
    for name, hop in worst[:_NAMED]:
        if hop.asked:
            yield f"{name}: {sum(hop.asked.values())}"


def escalated(context: Context, task: Task, errand: Errand, cause: ev.Cause, problem: Problem) -> ev.Decided:
    """Say to whom the handoff, which has failed, is put: its fallback owner, else the contract's owners."""
    contract = context.catalog.contract(errand.asked.contract)
    owners = () if contract is None else (*contract.spec.owners.escalation, contract.spec.owners.contact)
    named = handling_of(context, errand, cause).to
    decision = Escalated(
        task=task.id,
        crossing=errand.facts.id,
        subject=errand.facts.subject(errand.attempt),
        decided_at=context.now,
        revision=context.catalog.revision,
        rule=problem.rule,
        reason=problem.reason,
        to=errand.asked.fallback_owner or named or next(iter(owners), task.initiator.ref.agent),
        why=_WHY[cause],
        contract=errand.asked.contract,
        drill=task.is_drill,
    )
    return ev.Decided(decision=decision, partition=task.partition, trace_of=errand.facts.position)


def _possible(context: Context, task: Task, errand: Errand, handling: Handling, step: Step) -> bool:
    deadline = min(errand.asked.deadline_at, task.deadline_at)
    match step:
        case "correct":
            return errand.corrections < handling.attempts and errand.open_dispatch is not None
        case "retry":
            in_time = context.now + backoff_ms(handling, errand) < deadline
            return in_time and len(errand.dispatches) <= handling.attempts
        case "fallback":
            return context.now < deadline and bool(fallbacks_left(context, errand))
        case _:
            return True
