"""Write the stamp of a dispatch: under what, and until when, its receiver may act."""

from seamwork.records.inbox import Work
from seamwork.records.parties import AgentRef
from seamwork_router import events as ev
from seamwork_router.memory import Errand, Task
from seamwork_router.scene import Scene


def stamp(
    scene: Scene,
    task: Task,
    errand: Errand,
    opened: ev.DispatchOpened,
    *,
    children_sha256: str | None = None,
    in_place_of: AgentRef | None = None,
) -> Work:
    """
    Return the stamp under which the receiver of *opened* may act.

    Args:
        scene: Where and when.
        task: The task in hand.
        errand: The handoff that is dispatched.
        opened: The dispatch.
        children_sha256: Binds the list of finished children that lies beside it.
        in_place_of: For a desk, whose work it puts back.
    """
    facts, plan, begun = errand.facts, opened.plan, task.initiator
    return Work(
        platform=scene.place.platform,
        task=task.id,
        crossing=facts.id,
        position=facts.position,
        digest=facts.digest,
        dispatch=opened.dispatch,
        attempt=opened.attempt,
        mode=opened.mode,
        agent=plan.receiver.agent,
        version=plan.receiver.version,
        contract=plan.contract,
        return_contracts=opened.return_contracts,
        authority=plan.authority,
        constraints=plan.constraints,
        ceiling_micro_usd=plan.ceiling_micro_usd,
        issued_at=scene.now,
        not_after=plan.not_after,
        intent_sha256=task.intent_sha256,
        parent=errand.asked.parent,
        initiator=begun.ref,
        lineage=opened.lineage,
        tenant=begun.tenant,
        team=begun.team,
        labels=begun.labels,
        budgets=begun.budgets,
        in_place_of=in_place_of,
        children_sha256=children_sha256,
        enforcement=plan.enforcement,
        delivered=plan.delivered,
    )
