"""
Say in few words what becomes of what would not fit into one commit.

Its record is a dead letter already. What it was about is refused, or given up, by the name of the limit, so that
whoever waits hears of it and nothing stays open.
"""

from collections.abc import Iterator

from seamwork.catalog import Context
from seamwork_router import events as ev
from seamwork_router.ending import conclude, end_task, wind_down
from seamwork_router.entering import scene_of
from seamwork_router.memory import Errand, State, Task
from seamwork_router.problem import Problem
from seamwork_router.refusing import refuse
from seamwork_router.scene import Place, Scene
from seamwork_router.tally import tally_of
from seamwork_router.timers import parts_of

PROBLEM = Problem("too-much", "what would follow from it does not fit into one commit")


def refuse_all(scene: Scene) -> Iterator[ev.Event]:
    """Refuse the crossing at hand, by the votes there are."""
    verified = None if scene.live.votes else False
    yield from refuse(scene, tally_of(scene), PROBLEM, verified=verified)


def give_up_errand(context: Context, task: Task, errand: Errand) -> Iterator[ev.Event]:
    """End a handoff, where what its contract says of a failure is too much."""
    yield from conclude(context, task, errand, "failed", PROBLEM)


def give_up(place: Place, state: State, timer: str, context: Context) -> Iterator[ev.Event]:
    """End what a timer was for, where what should have followed is too much."""
    kind, name = parts_of(timer)
    match kind:
        case "live":
            yield from refuse_all(scene_of(place, state, context, state.live[name]))
        case "work":
            task_id, crossing = state.work_of(timer)
            task = state.tasks.get(task_id)
            if task is None:
                yield ev.TimerPassed(timer=timer)
            else:
                yield from give_up_errand(context, task, task.errands[crossing])
        case "task" if state.tasks[name].stopping or state.tasks[name].ending is not None:
            yield from wind_down(context, state.tasks[name], least=True)
        case "task":
            yield from end_task(context, state.tasks[name], "failed")
        case _:
            yield ev.Forgotten(timer=timer)
