"""Write the records that the router sends: decisions and notices, with what all of them share filled in."""

from collections.abc import Iterator
from typing import Any, Literal

from seamwork.catalog import Context
from seamwork.ids import derived
from seamwork.records.authority import Spent
from seamwork.records.base import MOST
from seamwork.records.crossing import Gap
from seamwork.records.decision import Closed, Refused, TaskEnded, TaskOutcome, Why
from seamwork.records.inbox import Answer, Notice
from seamwork.records.parties import AgentRef, ContractRef, DocumentRef
from seamwork_router import events as ev
from seamwork_router.delivery import delivered
from seamwork_router.facts import Facts
from seamwork_router.memory import Errand, Task
from seamwork_router.plans import Joined
from seamwork_router.problem import Problem
from seamwork_router.scene import Scene, Waiting, origin_of, waiting_for
from seamwork_router.tally import Tally

What = Literal["accepted", "refused", "failed", "cancelled", "expired"]


def common(scene: Scene, tally: Tally | None = None) -> dict[str, Any]:
    """Return what every decision on the crossing at hand says."""
    facts = scene.facts
    return {
        "task": facts.task or None,
        "crossing": facts.id or None,
        "subject": facts.subject(scene.live.attempt),
        "decided_at": scene.now,
        "revision": scene.catalog.revision,
        "votes": () if tally is None else tally.votes,
        "consulted": () if tally is None else tally.consulted,
        "drill": drilled(scene),
        "enforcement": "enforce" if tally is None else tally.enforcement,
    }


def drilled(scene: Scene) -> bool:
    """Say whether the crossing at hand begins a drill, or belongs to one."""
    asked, over = scene.facts.handoff, scene.state.over.get(scene.facts.task)
    return (
        (asked is not None and asked.drill is not None)
        or (scene.task is not None and scene.task.is_drill)
        or (over is not None and over.drill)
    )


def decided(scene: Scene, decision: Any) -> ev.Decided:
    """Say *decision*, in the partition of its crossing."""
    return ev.Decided(decision=decision, partition=scene.facts.partition, trace_of=scene.facts.position)


def refused(scene: Scene, tally: Tally | None, problem: Problem, told: AgentRef | None) -> ev.Decided:
    """Say that the crossing does not hold."""
    facts = scene.facts
    decision = Refused(
        **common(scene, tally),
        rule=problem.rule,
        reason=problem.reason,
        gate=problem.gate,
        kind=facts.kind,
        told=told,
        source=facts.source,
        dispatch=facts.dispatch,
        contract=contract_of(scene),
    )
    return decided(scene, decision)


def contract_of(scene: Scene) -> ContractRef | None:
    """Return the contract of the seam that the crossing at hand is about, where one is named."""
    facts = scene.facts
    named = facts.handoff or facts.result or facts.plan
    if named is not None:
        return named.contract
    return None if scene.errand is None else scene.errand.asked.contract


def closed(
    context: Context, task: Task, errand: Errand, why: Why, problem: Problem, *, final: bool
) -> ev.Decided:
    """Say that the dispatch of *errand*, or with *final* all of it, is over without an accepted result."""
    dispatch = errand.open_dispatch
    decision = Closed(
        task=task.id,
        crossing=errand.facts.id,
        subject=errand.facts.subject(errand.attempt),
        decided_at=context.now,
        revision=context.catalog.revision,
        rule=problem.rule,
        reason=problem.reason,
        dispatch=None if dispatch is None else dispatch.id,
        why=why,
        final=final,
        contract=errand.asked.contract,
        drill=task.is_drill,
    )
    return ev.Decided(decision=decision, partition=task.partition, trace_of=errand.facts.position)


def try_refused(scene: Scene, tally: Tally | None, errand: Errand, problem: Problem) -> ev.Decided:
    """Say that a further try of *errand*, whose crossing is at hand, does not hold; the handoff itself goes on."""
    decision = Closed(
        **common(scene, tally),
        rule=problem.rule,
        reason=problem.reason,
        why="refused",
        final=False,
        contract=errand.asked.contract,
    )
    return decided(scene, decision)


def task_ended(
    context: Context,
    task: Task,
    outcome: TaskOutcome,
    *,
    refused_now: int = 0,
    final: tuple[str, Spent] | None = None,
    gaps: tuple[Gap, ...] = (),
) -> ev.Decided:
    """
    Say how the task ended.

    Args:
        context: The instant and the documents.
        task: The task, as it was before this decision.
        outcome: How it ended.
        refused_now: Refusals that this very decision adds.
        final: The dispatch that ends the task with its last figure, which *task* does not know yet.
        gaps: What its answer lacks.
    """
    spent = {
        dispatch.id: dispatch.spent.micro_usd
        for errand in task.errands.values()
        for dispatch in errand.dispatches.values()
        if dispatch.spent is not None and dispatch.spent.micro_usd is not None
    }
    if final is not None and final[1].micro_usd is not None:
        spent[final[0]] = final[1].micro_usd
    decision = TaskEnded(
        task=task.id,
        decided_at=context.now,
        revision=context.catalog.revision,
        rule=f"task-{outcome}",
        outcome=outcome,
        crossings=task.crossings,
        refused=task.refused + refused_now,
        spent_micro_usd=min(sum(spent.values()), MOST) if spent else None,
        gaps=gaps,
        drill=task.is_drill,
    )
    return ev.Decided(decision=decision, partition=task.partition)


def notice(  # noqa: PLR0913  # one argument for each part of a notice
    context: Context,
    to: AgentRef,
    what: What,
    about: Facts,
    dispatch: str | None,
    problem: Problem,
    *,
    corrections_left: int = 0,
    consulted: tuple[DocumentRef, ...] = (),
    remember: bool = False,
    attempt: int = 1,
) -> ev.NoticeGiven:
    """Tell *to* what became of *about*; *remember* makes it the answer to every repeat of that id."""
    asked = about.handoff
    record = Notice(
        id=derived("notice", to.agent, dispatch or about.task, about.id, what, attempt, about.offset),
        task=about.task,
        agent=to.agent,
        version=to.version,
        what=what,
        about=about.id,
        dispatch=dispatch,
        step=None if asked is None else asked.step,
        ordinal=None if asked is None else asked.ordinal,
        gate=problem.gate,
        rule=problem.rule,
        reason=problem.reason,
        consulted=consulted,
        corrections_left=corrections_left,
        revision=context.catalog.revision,
        issued_at=context.now,
    )
    return ev.NoticeGiven(notice=record, known=about.own_key if remember else None, trace_of=about.position)


def tell_waiting(
    context: Context, task: Task, errand: Errand, what: What, problem: Problem
) -> Iterator[ev.NoticeGiven]:
    """Tell whoever waits for *errand* that nothing will come; nobody may be waiting any more."""
    waiting = waiting_for(task, errand)
    if waiting is not None:
        about = origin_of(task, errand).facts
        yield notice(
            context,
            waiting.ref,
            what,
            about,
            waiting.dispatch,
            problem,
            remember=True,
            attempt=errand.attempt,
        )


def kept(scene: Scene, task: Task, errand: Errand, joined: Joined) -> Iterator[ev.AnswerKept]:
    """Keep the result at hand for who gets the work above next, where that is between two dispatches now."""
    parent = task.errands.get(origin_of(task, errand).asked.parent or "")
    last = None if parent is None or parent.ended is not None else parent.dispatch
    if last is not None:
        said = answer(scene, task, errand, Waiting(last.plan.receiver, last.id), joined)
        yield ev.AnswerKept(answer=said.answer, source=said.source, known=said.known)


def answer(scene: Scene, task: Task, errand: Errand, waiting: Waiting, joined: Joined) -> ev.AnswerForwarded:
    """Send the result at hand to *waiting*, labelled as what it counts as."""
    origin = origin_of(task, errand)
    facts, result = scene.facts, scene.facts.result
    if result is None:
        message = "only a result is an answer"
        raise TypeError(message)
    record = Answer(
        task=task.id,
        agent=waiting.ref.agent,
        version=waiting.ref.version,
        dispatch=waiting.dispatch,
        child=origin.facts.id,
        step=origin.asked.step,
        ordinal=origin.asked.ordinal,
        result=facts.id,
        position=facts.position,
        digest=facts.digest,
        outcome=joined.outcome,
        contract=result.contract,
        issued_at=scene.now,
        gaps=joined.gaps,
        delivered=delivered(scene.live),
    )
    return ev.AnswerForwarded(answer=record, source=facts.position, known=origin.facts.own_key)
