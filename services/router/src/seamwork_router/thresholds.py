"""
Hold work that is admitted, where its contract wants a person to see it all the same.

Rule 1: whoever would get one of the contract's irreversible effects gets it after a person of the owners' chain has
agreed, to this receiver, this authority, these constraints.
Rule 2: a plan that lets the work grow past what its contract allows is adopted after a person has agreed to it.
Rule 3: nobody stands for owners whom nobody knows: whatever others are asked, the work is refused.
Rule 4: what a desk sends has been seen by a person: ``order_problem`` lets nothing of a case in without an order.

How sure an answer is stands in its payload, so the validator sees to that.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from seamwork.documents.contract import Contract
from seamwork.records.verdict import STRICTNESS, Approvers
from seamwork_router import events as ev
from seamwork_router.memory import Errand, Task
from seamwork_router.problem import Problem
from seamwork_router.scene import Scene
from seamwork_router.tally import Tally

_HELD = "REQUIRE_APPROVAL"


def held_by_contract(scene: Scene, tally: Tally, plan: ev.Plan) -> Tally:
    """Return the count with the people whom a contract wants asked about *plan*."""
    if scene.named is not None and scene.named.case is not None:
        return tally
    for contract, problem in _thresholds(scene, plan):
        people = scene.catalog.owners_people(contract, scene.now)
        if not people:
            # Held for nobody, which is refused as ``no-approvers``: not even for those whom a gate wants asked.
            return replace(
                tally,
                outcome=_HELD,
                rule=problem.rule,
                reason=problem.reason,
                gate=problem.gate,
                approvers=(),
            )
        asked = Approvers(people=tuple(sorted(people)))
        if STRICTNESS[tally.outcome] < STRICTNESS[_HELD]:
            tally = replace(tally, outcome=_HELD, rule=problem.rule, reason=problem.reason, gate=problem.gate)
        if asked not in tally.approvers:
            tally = replace(tally, approvers=(*tally.approvers, asked))
    return tally


def _thresholds(scene: Scene, plan: ev.Plan) -> Iterator[tuple[Contract, Problem]]:
    if scene.facts.handoff is not None and scene.contract is not None:
        effects = _irreversible(scene.contract, plan)
        if effects:
            reason = f"the contract holds what may cause {', '.join(effects)}, which cannot be undone"
            yield scene.contract, Problem("irreversible-effect", reason)
    if scene.facts.plan is not None and scene.task is not None and scene.errand is not None:
        yield from _grown(scene, scene.task, scene.errand, len(scene.facts.plan.subtasks))


def _irreversible(contract: Contract, plan: ev.Plan) -> tuple[str, ...]:
    when = contract.spec.escalate_when
    return () if when is None else tuple(sorted(set(when.irreversible) & set(plan.authority.effects)))


def _grown(scene: Scene, task: Task, errand: Errand, steps: int) -> Iterator[tuple[Contract, Problem]]:
    """Yield each contract, of the work planned and of all above it, that the plan outgrows."""
    above: Errand | None = errand
    while above is not None:
        contract = scene.catalog.contract(above.asked.contract)
        when = None if contract is None else contract.spec.escalate_when
        if contract is not None and when is not None and when.plan_growth is not None:
            growth = growth_of(task, above, errand, steps)
            if growth > when.plan_growth.steps:
                name = f"{contract.name} {contract.version}"
                reason = (
                    f"the work under {name} grows by {growth} steps past its plan, "
                    f"{when.plan_growth.steps} may be added"
                )
                yield contract, Problem("plan-growth", reason)
        above = task.errands.get(above.asked.parent or "")


def growth_of(task: Task, whole: Errand, planning: Errand, steps: int) -> int:
    """
    Return by how many steps a new plan of *planning* lets the work on *whole* grow past the plan it began with.

    Work that was begun without a plan has none to grow past; its own first plan is what it begins with.
    """
    if whole.began_with is None:
        return 0
    return sum(_planned(task, whole, planning, steps)) - whole.began_with


def _planned(task: Task, errand: Errand, planning: Errand, steps: int) -> Iterator[int]:
    if errand is planning:
        yield steps
    elif errand.plan is not None:
        yield len(errand.plan.named)
    for child in errand.children:
        yield from _planned(task, task.errands[child], planning, steps)
