"""
Refuse a crossing: say why, tell the sender where a signature proves who that is, and go on with what it concerned.

What nobody can be told of goes to the dead letters, with where it came from; so does what lies in another partition
than its key's, for it may be somebody's copy of what goes on where it belongs. A further try of a handoff that was
dispatched before goes on as its contract says of what that dispatch failed of, where anything is left to do.
"""

from collections.abc import Iterator

from seamwork.records.decision import TaskEnded
from seamwork.records.parties import AgentRef
from seamwork_router import events as ev
from seamwork_router.checks import wrong_partition
from seamwork_router.ending import Lost, lose
from seamwork_router.facts import Facts
from seamwork_router.failure import Step, corrections_left, fail, instead, nobody_asked
from seamwork_router.memory import Errand, Task
from seamwork_router.problem import Problem
from seamwork_router.saying import common, decided, drilled, notice, refused, try_refused
from seamwork_router.scene import Scene
from seamwork_router.tally import Tally
from seamwork_router.timers import work_timer

NO_VIOLATION = frozenset(
    {"open-children", "plan-pending", "answer-pending", "repeat", "conflict", "stopping"}
)
"""Refusals after which the sender goes on as before: nothing is wrong with the work itself."""


def refuse(
    scene: Scene, tally: Tally | None, problem: Problem, *, verified: bool | None = None
) -> Iterator[ev.Event]:
    """
    Refuse the crossing at hand.

    Args:
        scene: The crossing.
        tally: The votes, where there was a count.
        problem: What is wrong, and who found it.
        verified: Whether the sender is proved; by default what the tally says.
    """
    facts = scene.facts
    task, errand = (scene.task, scene.errand) if scene.live.claimed else (None, None)
    step: Step = "fail"
    if task is not None and errand is not None and _tried_before(errand, facts):
        step, events = instead(scene.context, task, errand, problem, rerouted=scene.live.rerouted)
        if events:
            yield try_refused(scene, tally, errand, problem)
            yield from events
            return
    proved = (tally is not None and tally.sender_verified) if verified is None else verified
    # A signature says who wrote a record, and not who put it here: elsewhere its own may have gone on.
    told = facts.source if proved and wrong_partition(scene) is None else None
    yield refused(scene, tally, problem, told)
    if told is None:
        yield ev.RecordSetAside(
            topic="handoffs.v1", source=facts.position, digest=facts.digest, gate=problem.gate, rule=problem.rule,
            reason=problem.reason, at=scene.now,
        )  # fmt: skip
    holder = None if scene.named is None else scene.named.plan.receiver
    strange = facts.handoff is not None and (facts.source != holder or not scene.live.claimed)
    yield ev.CrossingClosed(offset=facts.offset, refused=True, at=scene.now, strange=strange)
    if task is not None and errand is not None:
        if errand.facts.offset == facts.offset:
            yield from _handoff_lost(scene, task, errand, problem, step)
            return
        if facts.result is not None and told is not None:
            yield from _answer_refused(scene, task, errand, tally, problem, told)
            return
    if told is not None:
        yield _tell(scene, told, tally, problem, 0)
        known = scene.task is not None or facts.task in scene.state.over
        if scene.is_root and scene.live.claimed and not known:
            yield from _never_began(scene)


def _tried_before(errand: Errand, facts: Facts) -> bool:
    """Say whether what is refused is a further try of *errand*, and not the first, nor an answer to it."""
    return errand.facts.offset == facts.offset and bool(errand.dispatches)


def _handoff_lost(
    scene: Scene, task: Task, errand: Errand, problem: Problem, step: Step
) -> Iterator[ev.Event]:
    begun = bool(errand.dispatches)
    if errand.asked.mode == "transfer" and errand.asked.parent is not None and not begun:
        yield from _transfer_refused(scene, task, errand, problem)
        return
    if step == "escalate":
        yield nobody_asked(scene.context, task, errand, problem)
    what: Lost = "failed" if begun else "refused"
    yield from lose(scene.context, task, errand, what, problem, degraded=step == "degrade", refused_now=1)


def _transfer_refused(scene: Scene, task: Task, errand: Errand, problem: Problem) -> Iterator[ev.Event]:
    """A refused transfer is a violation of the contract under which its sender works."""
    yield ev.ErrandEnded(task=task.id, crossing=errand.facts.id, how="refused")
    parent, source = scene.parent, scene.facts.source
    if parent is None or scene.named is None or not scene.named.is_open or source is None:
        return
    if scene.named.case is not None and scene.named.answering is None:
        # Nobody else was asked while it was judged; now it is their turn, or will be when it would have been.
        yield ev.Woken(timers=(work_timer(task.id, parent.facts.id),), at=scene.named.due)
    yield from _violation(scene, task, parent, None, problem, source)


def _answer_refused(  # one argument for each part of the notice
    scene: Scene,
    task: Task,
    errand: Errand,
    tally: Tally | None,
    problem: Problem,
    told: AgentRef,
) -> Iterator[ev.Event]:
    dispatch = errand.open_dispatch
    theirs = dispatch is not None and dispatch.id == scene.facts.dispatch and dispatch.plan.receiver == told
    another = dispatch is not None and dispatch.answering not in {None, scene.facts.offset}
    if dispatch is None or not theirs or another:
        yield _tell(scene, told, tally, problem, 0)
        return
    yield from _violation(scene, task, errand, tally, problem, told)


def _violation(  # one argument for each part of the notice
    scene: Scene,
    task: Task,
    errand: Errand,
    tally: Tally | None,
    problem: Problem,
    told: AgentRef,
) -> Iterator[ev.Event]:
    left = corrections_left(scene.context, task, errand)
    if problem.rule in NO_VIOLATION:
        yield _tell(scene, told, tally, problem, max(1, left))
        return
    if errand.dispatch is not None and errand.dispatch.case is not None:
        # People may try something else for as long as their case is open.
        yield _tell(scene, told, tally, problem, 1)
        return
    yield _tell(scene, told, tally, problem, left)
    if left > 0:
        yield ev.Corrected(task=task.id, crossing=errand.facts.id, rule=problem.rule)
        return
    said = Problem(problem.rule, f"the answer was refused: {problem.reason}", problem.gate)
    yield from fail(scene.context, task, errand, "violation", said, told=True)


def _tell(scene: Scene, told: AgentRef, tally: Tally | None, problem: Problem, left: int) -> ev.NoticeGiven:
    return notice(
        scene.context, told, "refused", scene.facts, scene.facts.dispatch, problem, corrections_left=left,
        consulted=() if tally is None else tally.consulted, remember=scene.live.claimed,
        attempt=scene.live.attempt,
    )  # fmt: skip


def _never_began(scene: Scene) -> Iterator[ev.Event]:
    """A task whose root is refused by its own form ends before it began: once, whatever else comes under its id."""
    said = {**common(scene), "crossing": None, "subject": None}
    yield decided(scene, TaskEnded(**said, rule="task-failed", outcome="failed", crossings=1, refused=1))
    yield ev.TaskNeverBegan(
        task=scene.facts.task, root=scene.facts.own_key, at=scene.now, drill=drilled(scene)
    )
