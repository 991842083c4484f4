"""End what is open: a handoff with all below it, or a whole task."""

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

Lost = Literal["failed", "refused", "expired"]
_ENDS: dict[What, ev.End] = {
    "failed": "failed", "cancelled": "cancelled", "expired": "expired", "refused": "refused",
}  # fmt: skip


def stop(context: Context, task: Task, errand: Errand, why: Why, reason: str) -> Iterator[ev.Event]:
    """Close a handoff and everything below it; whoever works on any of it is told."""
    if errand.ended is None:
        problem = Problem(why, reason)
        yield closed(context, task, errand, why, problem, final=True)
        yield from release(context, task, errand, why, problem)
        how: ev.End = "expired" if why == "expired" else "cancelled"
        yield ev.ErrandEnded(task=task.id, crossing=errand.facts.id, how=how)
    yield from stop_children(context, task, errand, why, reason)


def stop_children(context: Context, task: Task, errand: Errand, why: Why, reason: str) -> Iterator[ev.Event]:
    """Stop every handoff below *errand* that is still open."""
    for child in errand.children:
        yield from stop(context, task, task.errands[child], why, reason)


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
    """Say how the task ended, and let it leave memory."""
    yield task_ended(context, task, outcome, refused_now=refused_now, final=final, gaps=gaps)
    yield ev.TaskOver(task=task.id, outcome=outcome, at=context.now)
