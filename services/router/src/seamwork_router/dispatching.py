"""Hand work over: the dispatch, its stamp, and what a receiver that begins again should know."""

from collections.abc import Iterator

import msgspec

from seamwork.ids import dispatch_id, sha256_hex
from seamwork.records.decision import Dispatched
from seamwork.records.inbox import Answer, Child
from seamwork.records.parties import ContractRef
from seamwork_router import events as ev
from seamwork_router.cases import resolution
from seamwork_router.ending import stop_children
from seamwork_router.memory import Errand, Task
from seamwork_router.pick import lineage_of
from seamwork_router.problem import Problem
from seamwork_router.saying import closed, common, decided, notice
from seamwork_router.scene import Scene
from seamwork_router.spending import grown, over_ceiling, overrun
from seamwork_router.stamping import stamp
from seamwork_router.tally import Tally


def dispatch(scene: Scene, task: Task, errand: Errand, tally: Tally, plan: ev.Plan) -> Iterator[ev.Event]:
    """Give *errand* to the planned receiver."""
    facts, asked = scene.facts, errand.asked
    identity = dispatch_id(facts.id, facts.partition, facts.offset, scene.live.attempt)
    number = len(errand.dispatches) + 1
    before = errand.dispatch
    if before is not None and before.plan.receiver.agent != plan.receiver.agent:
        yield from stop_children(
            scene.context, task, errand, "rerouted", "the handoff above goes to another agent"
        )
    lineage, returns = lineage_of(scene), _return_contracts(scene)
    decision = Dispatched(
        **common(scene, tally),
        rule="admitted" if tally.spared is None else "not-enforced",
        reason="" if tally.spared is None else f"would have been refused ({tally.spared})",
        dispatch=identity,
        dispatch_number=number,
        receiver=plan.receiver,
        source=facts.source or task.initiator.ref,
        contract=plan.contract,
        mode=asked.mode,
        step=asked.step,
        parent=asked.parent,
        ceiling_micro_usd=plan.ceiling_micro_usd,
        not_after=plan.not_after,
        authority=plan.authority,
        constraints=plan.constraints,
        delivered=plan.delivered,
    )
    yield decided(scene, decision)
    opened = ev.DispatchOpened(
        task=task.id, crossing=facts.id, dispatch=identity, number=number, attempt=scene.live.attempt, plan=plan,
        mode=asked.mode, return_contracts=returns, lineage=lineage, at=scene.now,
    )  # fmt: skip
    yield opened
    children = _finished(task, errand)
    text = msgspec.json.encode(children).decode() if children else None
    work = stamp(
        scene, task, errand, opened, children_sha256=None if text is None else sha256_hex(text.encode())
    )
    yield ev.WorkIssued(work=work, source=facts.position, children=text)
    yield from _answers_again(scene, task, errand, plan, identity)
    if asked.mode == "transfer" and before is None:
        yield from take_over(scene, task, errand)


def _return_contracts(scene: Scene) -> tuple[ContractRef, ...]:
    """Return the contracts of the places taken over, which the result must satisfy too."""
    asked, parent = scene.facts.handoff, scene.parent
    if asked is None or asked.mode != "transfer" or parent is None or parent.dispatch is None:
        return ()
    inherited = (*parent.dispatch.return_contracts, parent.asked.contract)
    return tuple(ref for ref in dict.fromkeys(inherited) if ref != asked.contract)


def _finished(task: Task, errand: Errand) -> tuple[Child, ...]:
    found = []
    for name in errand.children:
        child = task.errands[name]
        if child.returned is not None:
            found.append(
                Child(
                    step=child.asked.step,
                    ordinal=child.asked.ordinal,
                    id=child.facts.id,
                    outcome=child.returned.outcome,
                    digest=child.returned.digest,
                )
            )
    return tuple(found)


def _answers_again(
    scene: Scene, task: Task, errand: Errand, plan: ev.Plan, identity: str
) -> Iterator[ev.AnswerForwarded]:
    """Send the answers that an earlier dispatch was given, for the children list beside the stamp."""
    for name in errand.children:
        child = task.errands[name]
        returned = child.returned
        if returned is None:
            continue
        record = Answer(
            task=task.id,
            agent=plan.receiver.agent,
            version=plan.receiver.version,
            dispatch=identity,
            child=name,
            step=child.asked.step,
            ordinal=child.asked.ordinal,
            result=returned.result,
            position=returned.position,
            digest=returned.digest,
            outcome=returned.outcome,
            contract=returned.contract,
            issued_at=scene.now,
            gaps=returned.gaps,
            delivered=returned.delivered,
        )
        yield ev.AnswerForwarded(answer=record, source=returned.position, known=child.facts.own_key)


def take_over(scene: Scene, task: Task, errand: Errand) -> Iterator[ev.Event]:
    """Close the dispatch of who transferred: the receiver fills that place now."""
    parent, source = scene.parent, scene.facts.source
    given_up = None if parent is None else parent.open_dispatch
    if parent is None or given_up is None or source is None:
        return
    spent = grown(given_up.spent, scene.facts.spent)
    if spent is not None:
        yield ev.NoteTaken(
            task=task.id, crossing=parent.facts.id, dispatch=given_up.id, id=errand.facts.id,
            content=errand.facts.content, spent=spent,
        )  # fmt: skip
    if over_ceiling(given_up, spent):
        yield overrun(scene, given_up, spent, parent)
    gone = resolution(scene.facts) or Problem("transferred", "another agent took over its place")
    yield closed(scene.context, task, parent, "transferred", gone, final=True)
    yield ev.DispatchClosed(
        task=task.id, crossing=parent.facts.id, dispatch=given_up.id, receiver=source, why="transferred",
        at=scene.now,
    )  # fmt: skip
    yield ev.ErrandEnded(task=task.id, crossing=parent.facts.id, how="transferred", successor=errand.facts.id)
    yield notice(scene.context, source, "accepted", errand.facts, given_up.id, gone, remember=True)
