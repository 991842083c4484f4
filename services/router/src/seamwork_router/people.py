"""
Carry out what a person orders for one task.

Rule 1: an order counts when a person whom the catalog knows has signed it, under the task's key.
Rule 2: an order given twice changes nothing the second time.
"""

from collections.abc import Iterator

from seamwork.catalog import Context
from seamwork.grants.keys import verifies
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.people import Command
from seamwork.records.wire import Received, signed_bytes
from seamwork_router import events as ev
from seamwork_router.ending import stop_task, stopped
from seamwork_router.entering import seats_for
from seamwork_router.judging import ask_again
from seamwork_router.memory import Errand, Live, State, Task
from seamwork_router.scene import Place, Scene


def order(
    place: Place, state: State, context: Context, received: Received[AnyEnvelope], command: Command
) -> Iterator[ev.Event]:
    """Obey *command*, or record why not."""
    if command.letter is not None:
        return  # a mark at a dead letter, for people: it is about no task
    rule = _objection(place, context, received, command)
    task = state.tasks.get(command.task)
    if rule is None and (task is None or task.ending is not None):
        rule = "task-not-in-hand"
    if rule is not None or task is None:
        yield _ignored(command, rule or "task-not-in-hand")
        return
    match command.action:
        case "cancel":
            yield from stop_task(context, task, "cancelled", f"{command.person} cancelled the task")
        case "requeue":
            yield from _requeue(place, state, context, task, command)
        case "resolve" | "drill":
            # It travels in the crossing that it orders; alone it orders nothing.
            yield _ignored(command, "order-without-crossing")


def _objection(
    place: Place, context: Context, received: Received[AnyEnvelope], command: Command
) -> str | None:
    if received.key != command.task:
        return "wrong-key"
    if received.sig is None or received.kid is None:
        return "unsigned"
    at = received.raw.appended_at
    if context.catalog.person(command.person, at) is None:
        return "unknown-person"
    public = context.catalog.public_of(received.kid, f"person:{command.person}", at)
    if public is None:
        return "not-their-key"
    data = signed_bytes(place.platform, received.raw.topic, received.raw.key or b"", received.envelope)
    return None if verifies(public, data, received.sig) else "wrong-signature"


def _requeue(
    place: Place, state: State, context: Context, task: Task, command: Command
) -> Iterator[ev.Event]:
    """Take up a handoff again that was given up, while whoever asked for it still works."""
    name = f"{command.person}/{command.id}"
    if name in task.obeyed:
        yield _ignored(command, "repeat")
        return
    errand = task.errands.get(command.crossing or "")
    if errand is None or errand.ended not in {"failed", "refused", "expired"}:
        yield _ignored(command, "nothing-to-requeue")
        return
    if not _asker_works(task, errand) or stopped(task, errand):
        yield _ignored(command, "nobody-waits")
        return
    seats = seats_for(state, context, errand.facts)
    yield ev.Requeued(
        task=task.id, crossing=errand.facts.id, seats=seats, at=context.now, order=name, wanted=True
    )  # fmt: skip
    live = Live(facts=errand.facts, seats=seats, seen_at=context.now, attempt=errand.attempt, claimed=True)
    yield from ask_again(Scene(place, state, context, live, task, errand), "requeue", live.required)


def _asker_works(task: Task, errand: Errand) -> bool:
    parent = task.errands.get(errand.asked.parent or "")
    dispatch = None if parent is None else parent.open_dispatch
    return dispatch is not None and dispatch.case is None  # at a desk nobody waits for a part of the work


def _ignored(command: Command, rule: str) -> ev.CommandIgnored:
    return ev.CommandIgnored(command=command.id, task=command.task, rule=rule)
