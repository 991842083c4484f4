"""
Put a drill before people, and end it where they put it back.

Rule 1: a drill is judged by every gate and picked for like any other handoff; what would be refused is refused.
Rule 2: from there it goes the way of work that failed: the same chain, desk, timers and words.
Rule 3: nothing of a drill is dispatched to anybody but the desk, whatever people order.
"""

from collections.abc import Iterator

from seamwork_router import events as ev
from seamwork_router.cases import announce, ordered_by, raised
from seamwork_router.dispatching import take_over
from seamwork_router.ending import conclude, end_task
from seamwork_router.failure import escalated, handling_of
from seamwork_router.memory import Errand, Task
from seamwork_router.problem import Problem
from seamwork_router.saying import closed
from seamwork_router.scene import Scene


def rehearse(scene: Scene, task: Task, errand: Errand, plan: ev.Plan) -> Iterator[ev.Event]:
    """Go on with an admitted handoff of a drill: its root opens the case, what the desk puts back ends it."""
    drill, context = errand.asked.drill, scene.context
    if drill is None:
        yield from _put_back(scene, task, errand, plan)
        return
    said = Problem("drill", f"a drill, ordered by {ordered_by(scene.facts)}; nobody's work has failed")
    first = handling_of(context, errand, drill.cause).to
    case = raised(context, task, errand, drill.cause, said, first, plan)
    if case is not None:
        yield from announce(context, errand, case)
        return
    yield escalated(context, task, errand, drill.cause, said)
    yield from conclude(context, task, errand, drill.cause, said)


def _put_back(scene: Scene, task: Task, errand: Errand, plan: ev.Plan) -> Iterator[ev.Event]:
    yield from take_over(scene, task, errand)
    said = Problem("drill", f"a drill: {plan.receiver.agent} would have the work now, and does not get it")
    yield closed(scene.context, task, errand, "transferred", said, final=True)
    yield ev.ErrandEnded(task=task.id, crossing=errand.facts.id, how="cancelled")
    yield from end_task(scene.context, task, "complete")
