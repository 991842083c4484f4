"""Take what comes back: results that end a dispatch, plans that bind it, progress and usage that accompany it."""

from collections.abc import Iterator

from seamwork.records.crossing import Outcome
from seamwork.records.decision import Accepted, Noted, TaskOutcome
from seamwork_router import events as ev
from seamwork_router.cases import announce, raised, resolution
from seamwork_router.checks import NOTE, first_problem, noted
from seamwork_router.delivery import delivered
from seamwork_router.ending import end_task
from seamwork_router.facts import Planned
from seamwork_router.failure import Step, again, escalated, fail, handling_of, next_step
from seamwork_router.memory import Dispatch, Errand, Task
from seamwork_router.plans import Joined, join
from seamwork_router.problem import Problem
from seamwork_router.refusing import refuse
from seamwork_router.saying import answer, common, decided, kept, notice, refused
from seamwork_router.scene import Scene, origin_of, waiting_for
from seamwork_router.spending import grown, over_ceiling, overrun
from seamwork_router.tally import Tally

_TASK_OUTCOMES: dict[Outcome, TaskOutcome] = {"success": "complete", "partial": "partial", "error": "failed"}


def accept(scene: Scene, task: Task, errand: Errand, dispatch: Dispatch, tally: Tally) -> Iterator[ev.Event]:
    """Let the result at hand close its dispatch, and send it to whoever waits."""
    facts, result, source = scene.facts, scene.facts.result, dispatch.plan.receiver
    if result is None:
        return
    spent = grown(dispatch.spent, facts.spent)
    step = next_step(scene.context, task, errand, "error") if result.outcome == "error" else None
    joined = join(task, errand, result.outcome)
    ordered = None if dispatch.case is None else resolution(facts)
    rule = "accepted" if joined.outcome == result.outcome else "accepted-in-part"
    said = joined.said
    if tally.spared is not None:
        rule, said = (
            "not-enforced",
            "; ".join(filter(None, (f"would have been refused ({tally.spared})", said))),
        )
    decision = Accepted(
        **common(scene, tally),
        rule=rule if ordered is None else ordered.rule,
        reason=said if ordered is None else ordered.reason,
        dispatch=dispatch.id,
        answers=errand.facts.id,
        outcome=joined.outcome,
        source=source,
        spent=spent,
        gaps=joined.gaps,
        delivered=delivered(scene.live),
    )
    yield decided(scene, decision)
    yield ev.NoteTaken(
        task=task.id, crossing=errand.facts.id, dispatch=dispatch.id, id=facts.id, content=facts.content,
        spent=spent,
    )  # fmt: skip
    yield ev.DispatchClosed(
        task=task.id, crossing=errand.facts.id, dispatch=dispatch.id, receiver=source, why="accepted",
        outcome=result.outcome, barred="all-but-fallbacks" if step == "fallback" else "nobody", at=scene.now,
    )  # fmt: skip
    yield notice(
        scene.context, source, "accepted", facts, dispatch.id, Problem("accepted", "the result was accepted"),
        remember=True, attempt=scene.live.attempt,
    )  # fmt: skip
    yield ev.CrossingClosed(offset=facts.offset, refused=False, at=scene.now)
    if over_ceiling(dispatch, spent):
        yield overrun(scene, dispatch, spent)
    yield from _pass_on(scene, task, errand, dispatch, joined, step)


def _pass_on(
    scene: Scene, task: Task, errand: Errand, dispatch: Dispatch, joined: Joined, step: Step | None
) -> Iterator[ev.Event]:
    if step in {"retry", "fallback"}:
        yield from again(scene.context, errand, "error", step)
        return
    if step == "escalate":
        said = Problem("error", "the result was an error")
        first = handling_of(scene.context, errand, "error").to
        case = raised(scene.context, task, errand, "error", said, first)
        if case is not None:
            yield from announce(scene.context, errand, case)
            return
    waiting = waiting_for(task, errand)
    if waiting is not None:
        yield answer(scene, task, errand, waiting, joined)
    else:
        yield from kept(scene, task, errand, joined)
    if step == "escalate":
        yield escalated(scene.context, task, errand, "error", Problem("error", "the result was an error"))
    origin = origin_of(task, errand)
    for place in {origin.facts.id: origin, errand.facts.id: errand}.values():
        yield ev.StepAnswered(
            task=task.id, contract=place.asked.contract.name, step=place.asked.step, outcome=joined.outcome
        )
    skipped = scene.facts.result is not None and scene.facts.result.skipped
    degraded = step == "degrade" or (skipped and dispatch.case is not None)
    yield ev.ErrandEnded(
        task=task.id, crossing=errand.facts.id, how="answered", outcome=joined.outcome, degraded=degraded
    )
    if origin.facts.id == task.root:
        spent = grown(dispatch.spent, scene.facts.spent)
        final = None if spent is None else (dispatch.id, spent)
        yield from end_task(
            scene.context, task, _TASK_OUTCOMES[joined.outcome], final=final, gaps=joined.gaps
        )


def adopt(scene: Scene, task: Task, errand: Errand, plan: Planned, tally: Tally) -> Iterator[ev.Event]:
    """Let the plan at hand bind its dispatch, and tell its sender that it may go on."""
    facts, source = scene.facts, scene.facts.source
    if source is None or facts.dispatch is None:
        return
    count, critical = len(plan.subtasks), sum(subtask.critical for subtask in plan.subtasks)
    spared = "" if tally.spared is None else f"; would have been refused ({tally.spared})"
    decision = Noted(
        **common(scene, tally),
        rule="plan-adopted",
        reason=f"{count} subtasks, {critical} of them critical{spared}",
        what="plan",
        dispatch=facts.dispatch,
    )
    yield decided(scene, decision)
    yield ev.PlanAdopted(task=task.id, crossing=errand.facts.id, agent=source.agent, subtasks=plan.subtasks)
    yield ev.CrossingClosed(offset=facts.offset, refused=False, at=scene.now)
    adopted = Problem("plan-adopted", "the plan was adopted; what it names may be handed on")
    yield notice(
        scene.context, source, "accepted", facts, facts.dispatch, adopted, remember=True,
        attempt=scene.live.attempt,
    )  # fmt: skip


def note(scene: Scene, tally: Tally) -> Iterator[ev.Event]:
    """Take down progress or usage; more usage than the stamp allows stops the tree."""
    facts = scene.facts
    late = None if scene.task is not None else scene.state.over[facts.task].dispatches[facts.dispatch or ""]
    crossing = late.crossing if late is not None else "" if scene.errand is None else scene.errand.facts.id
    before = noted(scene)
    if facts.id in before:
        if before[facts.id] != facts.content:
            yield from refuse(scene, tally, _CONFLICT)
            return
        # Whoever runs again after a crash reports again; it is told, and nothing counts as refused.
        again_said = Problem("repeat", "the same report came before")
        yield refused(scene, tally, again_said, facts.source)
        yield ev.CrossingClosed(offset=facts.offset, refused=False, at=scene.now)
        if facts.source is not None:
            yield notice(scene.context, facts.source, "refused", facts, facts.dispatch, again_said)
        return
    mistaken = first_problem(NOTE, scene)
    if mistaken is not None:
        yield from _mistaken(scene, tally, mistaken)
        return
    spent = facts.spent if scene.named is None else grown(scene.named.spent, facts.spent)
    yield decided(
        scene,
        Noted(
            **common(scene, tally),
            rule="noted",
            what="usage" if facts.kind == "usage" else "progress",
            dispatch=facts.dispatch or "",
            spent=spent,
            note=facts.note,
        ),
    )
    yield ev.NoteTaken(
        task=facts.task, crossing=crossing, dispatch=facts.dispatch or "", id=facts.id, content=facts.content,
        spent=spent,
    )  # fmt: skip
    yield ev.CrossingClosed(offset=facts.offset, refused=False, at=scene.now)
    task, errand, dispatch = scene.task, scene.errand, scene.named
    if task is None or errand is None or dispatch is None or not over_ceiling(dispatch, spent):
        return
    yield overrun(scene, dispatch, spent)
    if dispatch.is_open:
        problem = Problem("overrun", "it spent more than its ceiling")
        yield from fail(scene.context, task, errand, "overrun", problem)


def _mistaken(scene: Scene, tally: Tally, problem: Problem) -> Iterator[ev.Event]:
    """Take work away from who would do it on something else than what was delivered."""
    yield from refuse(scene, tally, problem)
    task, errand, dispatch = scene.task, scene.errand, scene.named
    if task is not None and errand is not None and dispatch is not None and dispatch.is_open:
        yield from fail(scene.context, task, errand, "mistaken", problem)


_CONFLICT = Problem("conflict", "the id was used before, for another content")
