"""
Choose who gets a handoff, with what authority and for how long.

Rule 1: only whom every gate admits, who is in force now, and who does not stand above in the chain (no cycles).
Rule 2: among those, somebody whose breaker lets work through, alive before others.
Rule 3: whom the handoff is meant for comes before the contract's fallbacks.
Rule 4: what is paused gets nothing: where all who could have it are, or the flow is, the handoff waits.
Rule 5: nobody gets what would take the task past one of its limits.
"""

from seamwork.catalog.entries import IN_FORCE
from seamwork.documents.contract import Limits
from seamwork.grants.action import action_sha256
from seamwork.grants.authority import narrowed, united
from seamwork.records.authority import Authority
from seamwork.records.enforcement import Enforcement, strictest
from seamwork.records.parties import AgentRef
from seamwork_router.breakers import lets_through
from seamwork_router.checks import held_authority
from seamwork_router.delivery import delivered
from seamwork_router.events import Plan
from seamwork_router.failure import fallbacks_left
from seamwork_router.limits import stays_within
from seamwork_router.memory import version_key
from seamwork_router.problem import Problem
from seamwork_router.scene import Scene, waiting_for
from seamwork_router.tally import Tally

PAUSED = frozenset({"agent-paused", "flow-paused"})
"""Why a handoff waits, until somebody resumes what is paused or its deadline has come."""


def lineage_of(scene: Scene) -> tuple[str, ...]:
    """Return the agents above whoever gets the handoff, the initiator first and its sender last."""
    source = scene.facts.source
    sender = () if source is None else (source.agent,)
    dispatch = None if scene.parent is None else scene.parent.dispatch
    return sender if dispatch is None else (*dispatch.lineage, *sender)


def pick(scene: Scene, tally: Tally) -> AgentRef | Problem:
    """Return who gets the handoff, or why nobody can."""
    asked, errand = scene.facts.handoff, scene.errand
    if asked is None or errand is None:
        return Problem("no-candidate", "only a handoff is given to somebody")
    primary = scene.catalog.primary(asked, scene.now)
    listed = scene.catalog.candidates(asked, scene.now)
    if errand.fallback_only or scene.live.rerouted:
        # A fallback may be one of those whom it was meant for, too; it is their turn until they have failed.
        turn = fallbacks_left(scene.context, errand)
        if errand.fallback_only and errand.dispatch is not None:
            turn = (*turn, errand.dispatch.plan.receiver)
        listed = tuple(ref for ref in listed if ref not in primary or ref in turn)
    fitting = [
        ref
        for ref in listed
        if ref not in errand.excluded
        and (tally.candidates is None or ref in tally.candidates)
        and scene.catalog.agent_status(ref, scene.now) in IN_FORCE
    ]
    if not fitting:
        return Problem(
            "no-candidate", "no agent that target names is in force, takes the contract and is admitted"
        )
    chain = lineage_of(scene)
    acyclic = [ref for ref in fitting if ref.agent not in chain]
    if not acyclic:
        loop = " → ".join((*chain, fitting[0].agent))
        return Problem("cycle", f"every candidate stands above in the chain of this handoff already: {loop}")
    rested = [ref for ref in acyclic if lets_through(scene.state, scene.context, ref)]
    if not rested:
        names = ", ".join(map(version_key, acyclic))
        return Problem("breaker-open", f"the breaker of every candidate is open: {names}")
    return _awake(scene, rested, [ref for ref in fitting if ref in primary])


def _awake(scene: Scene, rested: list[AgentRef], meant: list[AgentRef]) -> AgentRef | Problem:
    """Return who of *rested* gets it while some are paused; along which flows says for whom it is *meant*."""
    source, asked = scene.facts.source, scene.facts.handoff
    flow = None
    if source is not None and asked is not None:
        flow = scene.catalog.flow_paused(source.agent, meant or rested, asked.contract, scene.now)
    if flow is not None:
        return Problem("flow-paused", f"the flow {flow} is paused")
    awake = [ref for ref in rested if not scene.catalog.agent_paused(ref, scene.now)]
    if not awake:
        return Problem("agent-paused", f"paused: {', '.join(map(version_key, rested))}")
    return min(awake, key=lambda ref: not _alive(scene, ref))


def plan_handoff(scene: Scene, tally: Tally) -> Plan | Problem:
    """Return what happens if the handoff goes on now."""
    asked, task, limits = scene.facts.handoff, scene.task, _limits(scene)
    if asked is None or task is None or limits is None:
        return Problem(
            "contract-not-in-force", "a contract that the answer must keep is not known at dispatch"
        )
    receiver = pick(scene, tally)
    if isinstance(receiver, Problem):
        return receiver
    over = stays_within(scene, receiver, lineage_of(scene))
    if over is not None:
        return over
    above = None if scene.parent is None else scene.parent.dispatch
    grants = [held_authority(scene), asked.authority, tally.authority, _most(scene, receiver)]
    authority = narrowed(*(grant for grant in grants if grant is not None))
    constraints = united(above.plan.constraints if above else (), asked.constraints, tally.constraints)
    ends = [asked.deadline_at, scene.now + limits.time_seconds * 1000, task.deadline_at]
    ends += [] if above is None else [above.plan.not_after]
    return Plan(
        receiver=receiver,
        contract=asked.contract,
        authority=authority,
        constraints=constraints,
        ceiling_micro_usd=asked.ceiling_micro_usd or limits.cost_micro_usd,
        not_after=min(ends),
        action_sha256=action_sha256(scene.facts.digest, receiver, authority, constraints),
        enforcement=_enforcement_below(scene),
        delivered=delivered(scene.live),
    )


def _limits(scene: Scene) -> Limits | None:
    """
    Return the limits of the contract; without one, along a flow that only observes, those of one that says nothing.

    Where the answer will be judged more strictly than that, each contract that it must keep has to be there.
    """
    asked, parent = scene.facts.handoff, scene.parent
    if asked is None:
        return None
    judged_by = [asked.contract]
    if asked.mode == "transfer" and parent is not None and parent.dispatch is not None:
        judged_by += [parent.asked.contract, *parent.dispatch.return_contracts]
    missing = any(scene.catalog.contract(ref) is None for ref in judged_by)
    if missing and _enforcement_below(scene) != "observe":
        return None
    return Limits() if scene.contract is None else scene.contract.spec.limits


def _enforcement_below(scene: Scene) -> Enforcement:
    """Return how binding refusals of the answer are: who takes over a place answers as strictly as it had to."""
    asked, parent = scene.facts.handoff, scene.parent
    if asked is None or asked.mode != "transfer" or parent is None or parent.dispatch is None:
        return scene.enforcement
    return strictest(scene.enforcement, parent.dispatch.plan.enforcement)


def plan_back(scene: Scene, tally: Tally) -> Plan | Problem:
    """
    Return what happens if the result or plan is accepted now; neither grants anything new.

    A result goes to whoever waits; a plan lets its sender go on.
    """
    task, errand, said = scene.task, scene.errand, scene.facts.result or scene.facts.plan
    dispatch = None if errand is None else errand.open_dispatch
    if task is None or errand is None or dispatch is None or said is None:
        return Problem("stamp-closed", "the dispatch that the stamp names is closed")
    waiting = waiting_for(task, errand) if scene.facts.plan is None else None
    receiver = dispatch.plan.receiver if waiting is None else waiting.ref
    constraints = united(dispatch.plan.constraints, said.constraints, tally.constraints)
    return Plan(
        receiver=receiver,
        contract=said.contract,
        authority=dispatch.plan.authority,
        constraints=constraints,
        ceiling_micro_usd=0,
        not_after=dispatch.plan.not_after,
        action_sha256=action_sha256(scene.facts.digest, receiver, dispatch.plan.authority, constraints),
        delivered=delivered(scene.live),
    )


def _most(scene: Scene, receiver: AgentRef) -> Authority | None:
    """Return the most that the receiver's document allows it, None where the document does not say."""
    agent = scene.catalog.agent(receiver)
    if agent is None or "authority" not in agent.spec.model_fields_set:
        return None
    stated = agent.spec.authority
    return Authority(tools=stated.tools, data=stated.data, effects=stated.effects, depth=stated.depth)


def _alive(scene: Scene, ref: AgentRef) -> bool:
    return scene.state.alive.get(version_key(ref), 0) > 0
