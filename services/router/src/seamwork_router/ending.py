"""
End what is open: a handoff with all below it, or a whole task.

What is below may be thousands of handoffs, and a decision fits into one commit. So what is more than one piece is
only marked, and the ticks that follow work it off: nothing marked is handed on or answered meanwhile, and a task
ends after the last of it.
"""

import json
from collections.abc import Iterator
from typing import Literal

from seamwork.catalog import Context
from seamwork.records.authority import Spent
from seamwork.records.crossing import Gap
from seamwork.records.decision import TaskOutcome, Why
from seamwork_router import events as ev
from seamwork_router.memory import Errand, Task
from seamwork_router.problem import Problem
from seamwork_router.saying import What, closed, notice, task_ended, tell_waiting
from seamwork_router.scene import origin_of
from seamwork_router.timers import live_timer

Lost = Literal["failed", "refused", "expired"]
_ENDS: dict[What, ev.End] = {
    "failed": "failed", "cancelled": "cancelled", "expired": "expired", "refused": "refused",
}  # fmt: skip


AT_ONCE = 200
"""So many handoffs at most are stopped by one decision: some six records each, so a commit holds it many times."""
AT_ONCE_BYTES = 3 * 1024 * 1024
"""And so many bytes at most, one handoff at least: ids and steps are as long as whoever made them liked."""
_STOP_BYTES = 4000  # six records without the texts of others


def stop(context: Context, task: Task, errand: Errand, why: Why, reason: str) -> Iterator[ev.Event]:
    """Close a handoff and everything below it; whoever works on any of it is told."""
    if errand.ended is None:
        yield from _stop_one(context, task, errand, why, reason)
    yield from stop_children(context, task, errand, why, reason)


def stop_children(context: Context, task: Task, errand: Errand, why: Why, reason: str) -> Iterator[ev.Event]:
    """Stop every handoff below *errand* that is still open: now, or where there are many, piece by piece."""
    count = len(errand.children)
    some, whole = _piece(task, errand, count)
    if not whole:
        yield ev.StopBegun(task=task.id, crossing=errand.facts.id, children=count, why=why, reason=reason)
        return
    for one in some:
        yield from _stop_one(context, task, one, why, reason)


def wind_down(context: Context, task: Task, *, least: bool = False) -> Iterator[ev.Event]:
    """
    Stop the next piece of what was marked; after the last one, end the task where that was decided.

    Args:
        context: The instant and the documents.
        task: The task in hand.
        least: One handoff and no more, and the end without its labels: a piece was more than a commit holds.
    """
    left = list(task.stopping)
    while left:
        mark = left.pop(0)
        some, whole = _piece(task, task.errands[mark.crossing], mark.children, 1 if least else AT_ONCE)
        for one in some:
            yield from _stop_one(context, task, one, mark.why, mark.reason)
        if not whole:
            return
        yield ev.StopEnded(task=task.id)
        if some:
            break  # another mark may speak of the same handoffs: it is looked at when these have ended
    if not left and task.ending is not None:
        yield from _ended(context, task, task.ending.outcome, gaps=() if least else task.ending.gaps)


def stopped(task: Task, errand: Errand) -> bool:
    """Say whether *errand* is marked: its task ends, or one above it was given up."""
    if task.ending is not None:
        return True
    while task.stopping and errand.asked.parent is not None:
        above = task.errands[errand.asked.parent]
        for mark in task.stopping:
            if mark.crossing == above.facts.id and errand.facts.id in above.children[: mark.children]:
                return True
        errand = above
    return False


def _piece(task: Task, errand: Errand, children: int, most: int = AT_ONCE) -> tuple[list[Errand], bool]:
    """Return what one decision stops of what is open below *errand*, and whether that is all of it."""
    some: list[Errand] = []
    room = AT_ONCE_BYTES
    for one in _open_below(task, errand, children):
        # Its task is named eight times, and it itself nearly as often; quotes within quotes take twice their room.
        room -= _STOP_BYTES + 16 * sum(map(_written_bytes, (task.id, one.facts.id, one.asked.step)))
        if some and (room < 0 or len(some) >= most):
            return some, False
        some.append(one)
    return some, True


def _written_bytes(text: str) -> int:
    return len(json.dumps(text))


def _open_below(task: Task, errand: Errand, children: int) -> Iterator[Errand]:
    """Yield what is open below the first *children* of *errand*, each before what is below it."""
    left = errand.children[:children][::-1]
    while left:
        one = task.errands[left.pop()]
        if one.ended is None:
            yield one
        left += one.children[::-1]


def _stop_one(context: Context, task: Task, errand: Errand, why: Why, reason: str) -> Iterator[ev.Event]:
    problem = Problem(why, reason)
    yield closed(context, task, errand, why, problem, final=True)
    yield from release(context, task, errand, why, problem)
    how: ev.End = "expired" if why == "expired" else "cancelled"
    yield ev.ErrandEnded(task=task.id, crossing=errand.facts.id, how=how)


def release(
    context: Context,
    task: Task,
    errand: Errand,
    why: Why,
    problem: Problem,
    *,
    told: bool = False,
    barred: ev.Barred = "nobody",
) -> Iterator[ev.Event]:
    """
    Close the open dispatch of a handoff, if there is one, and tell its holder to stop.

    Args:
        context: The instant and the documents.
        task: The task in hand.
        errand: The handoff.
        why: What ended the dispatch.
        problem: What the holder reads.
        told: The holder knows already, by the notice that its answer was refused.
        barred: Who does not get this handoff again.
    """
    dispatch = errand.open_dispatch
    if dispatch is None:
        return
    receiver = dispatch.plan.receiver
    # What its holder sent is refused with the next tick, so that nobody is asked about it any more. The very answer
    # that ends the dispatch is refused already.
    sent = (errand.planning, None if told else dispatch.answering)
    timers = tuple(live_timer(offset) for offset in sent if offset is not None)
    if timers:
        yield ev.Woken(timers=timers, at=context.now)
    yield ev.DispatchClosed(
        task=task.id, crossing=errand.facts.id, dispatch=dispatch.id, receiver=receiver, why=why,
        barred=barred, at=context.now,
    )  # fmt: skip
    if not told:
        what: What = "expired" if why in {"timeout", "expired"} else "cancelled"
        yield notice(context, receiver, what, errand.facts, dispatch.id, problem, attempt=dispatch.attempt)


def conclude(
    context: Context,
    task: Task,
    errand: Errand,
    why: Why,
    problem: Problem,
    *,
    told: bool = False,
    degraded: bool = False,
) -> Iterator[ev.Event]:
    """Give up a handoff for good: its holder and whoever waits are told, what is below it is cancelled."""
    late = why == "timeout" and context.now >= min(errand.asked.deadline_at, task.deadline_at)
    yield closed(context, task, errand, why, problem, final=True)
    yield from release(context, task, errand, why, problem, told=told)
    what: Lost = "expired" if late else "failed"
    yield from lose(context, task, errand, what, problem, degraded=degraded, refused_now=int(told))


def lose(
    context: Context,
    task: Task,
    errand: Errand,
    what: Lost,
    problem: Problem,
    *,
    degraded: bool = False,
    refused_now: int = 0,
) -> Iterator[ev.Event]:
    """Tell whoever waits that nothing comes back, cancel what is below, and end the task with its root."""
    yield from tell_waiting(context, task, errand, what, problem)
    yield ev.ErrandEnded(task=task.id, crossing=errand.facts.id, how=_ENDS[what], degraded=degraded)
    yield from stop_children(context, task, errand, "cancelled", "the handoff above was given up")
    if origin_of(task, errand).facts.id == task.root:
        outcome: TaskOutcome = "expired" if what == "expired" else "failed"
        yield from end_task(context, task, outcome, refused_now=refused_now)


def stop_task(
    context: Context, task: Task, outcome: Literal["cancelled", "expired"], reason: str
) -> Iterator[ev.Event]:
    """Stop all of a task: what is not dispatched never will be, the holders of the rest are told."""
    root = task.errands[task.root]
    yield from tell_waiting(context, task, root, outcome, Problem(f"task-{outcome}", reason))
    yield from stop(context, task, root, outcome, reason)
    yield from end_task(context, task, outcome)


def end_task(
    context: Context,
    task: Task,
    outcome: TaskOutcome,
    *,
    refused_now: int = 0,
    final: tuple[str, Spent] | None = None,
    gaps: tuple[Gap, ...] = (),
) -> Iterator[ev.Event]:
    """Say how the task ended, and let it leave memory; while much of it is open, when that is stopped."""
    if task.ending is not None:
        return
    root = task.errands[task.root]
    if task.stopping or not _piece(task, root, len(root.children))[1]:
        yield ev.TaskEnding(task=task.id, outcome=outcome, gaps=gaps)
        return
    yield from _ended(context, task, outcome, refused_now=refused_now, final=final, gaps=gaps)


def _ended(
    context: Context,
    task: Task,
    outcome: TaskOutcome,
    *,
    refused_now: int = 0,
    final: tuple[str, Spent] | None = None,
    gaps: tuple[Gap, ...] = (),
) -> Iterator[ev.Event]:
    yield task_ended(context, task, outcome, refused_now=refused_now, final=final, gaps=gaps)
    yield ev.TaskOver(task=task.id, outcome=outcome, at=context.now)
