"""
Bound how far a task may spread and how long it may go round without getting anywhere.

Rule 1: every limit is a count that the events of the task move, so asking costs the same however large it is.
Rule 2: what is stopped says by which limit, and shows the way that the work took.
Rule 3: a repeated failure is progress for nobody: only a whole answer sets a count back.
"""

from seamwork.records.crossing import Outcome
from seamwork.records.parties import AgentRef
from seamwork_router.memory import Errand, Hop, Task
from seamwork_router.problem import Problem
from seamwork_router.scene import Scene, last_of, origin_of

_LOST = frozenset({"failed", "refused", "expired"})


def hop_of(source: AgentRef | None, receiver: AgentRef, contract: str) -> str:
    """Return the name of one way between two agents; versions come and go on it."""
    return f"{source.agent if source else ''} > {receiver.agent} > {contract}"


# ── What may not go on ───────────────────────────────────────────────────────────────────


def halted(scene: Scene) -> str | None:
    """Nothing more is handed on in a task that has failed too often."""
    task = scene.task
    if task is None or not spread(task):
        return None
    return f"{task.failures} handoffs of this task have failed, {task.initiator.limits.failures} may"


def fanned_out(scene: Scene) -> str | None:
    """Nobody has more work open below one dispatch than its contract, and the task's initiator, allow."""
    task, parent, asked = scene.task, scene.parent, scene.facts.handoff
    if task is None or parent is None or asked is None or asked.mode == "transfer":
        return None
    contract = scene.catalog.contract(parent.asked.contract)
    agreed = None if contract is None else contract.spec.limits.fan_out
    most = min(task.initiator.limits.fan_out, agreed or task.initiator.limits.fan_out)
    if parent.open_children < most:
        return None
    return f"{parent.open_children} handoffs are open below this dispatch, {most} may be at once"


def stays_within(scene: Scene, receiver: AgentRef, chain: tuple[str, ...]) -> Problem | None:
    """
    Return which limit a handoff to *receiver* would break, or None.

    Args:
        scene: The handoff.
        receiver: Who would get it.
        chain: The agents above, the initiator first.
    """
    task, errand, asked = scene.task, scene.errand, scene.facts.handoff
    if task is None or errand is None or asked is None:
        return None
    limits = task.initiator.limits
    way = " → ".join((*chain, receiver.agent))
    if receiver.agent not in task.touched and len(task.touched) >= limits.agents:
        reason = f"{len(task.touched)} agents have had work of this task already, {limits.agents} may: {way}"
        return Problem("too-many-agents", reason)
    ordered = scene.named is not None and scene.named.case is not None
    if errand.dispatches or ordered:
        return None  # a further try is bounded by the contract, what a person puts back by the person
    same = _unchanged(scene)
    if same > limits.unchanged_hops:
        reason = f"the same payload went down {same} hops under {asked.contract.name} unchanged: {way}"
        return Problem("no-progress", reason)
    hop = task.hops.get(hop_of(scene.facts.source, receiver, asked.contract.name))
    if hop is None:
        return None
    asked_before = hop.asked.get(asked.payload_sha256, 0)
    if asked_before >= limits.fruitless:
        reason = f"the same payload went this way {asked_before} times and brought no whole answer: {way}"
        return Problem("no-progress", reason)
    at_most = scene.catalog.at_most(chain[-1] if chain else "", receiver, asked.contract, scene.now)
    if at_most is not None and hop.crossed >= at_most:
        return Problem(
            "edge-at-most", f"this task came this way {hop.crossed} times, {at_most} may it: {way}"
        )
    return None


def _unchanged(scene: Scene) -> int:
    """Count the hops, this one too, by which the payload came down as it is under the same contract."""
    asked, above, count = scene.facts.handoff, scene.parent, 1
    if asked is None:
        return count
    while above is not None and scene.task is not None:
        same = (above.asked.payload_sha256, above.asked.contract.name)
        if same != (asked.payload_sha256, asked.contract.name):
            break
        count += 1
        above = scene.task.errands.get(above.asked.parent or "")
    return count


def spread(task: Task) -> bool:
    """Say whether more of a task has failed than may."""
    return task.failures > task.initiator.limits.failures


def halts_first(task: Task, errand: Errand) -> bool:
    """
    Say whether the task is about to be stopped, and *errand* fills its root's place.

    Whoever answers for the whole may have made light of what failed, and be quicker than the tick that stops it.
    """
    return spread(task) and errand is last_of(task, task.errands[task.root])


# ── Counting ─────────────────────────────────────────────────────────────────────────────


def count_dispatch(task: Task, errand: Errand, receiver: AgentRef) -> None:
    """Take down that *receiver* gets work of the task."""
    if receiver.agent not in task.touched:
        task.touched.append(receiver.agent)
    if len(errand.dispatches) == 1:
        hop = task.hops.setdefault(hop_of(errand.facts.source, receiver, errand.asked.contract.name), Hop())
        hop.crossed += 1


def count_end(task: Task, errand: Errand, how: str, outcome: Outcome | None) -> None:
    """Take down how a handoff ended: what failed spreads, what came back whole is progress."""
    task.failures += how in _LOST or outcome == "error"
    if how != "transferred":
        above = task.errands.get(origin_of(task, errand).asked.parent or "")
        if above is not None:
            above.open_children -= 1
    dispatch = errand.dispatch
    if dispatch is None or how not in {*_LOST, "answered"}:
        return
    hop = task.hops.get(hop_of(errand.facts.source, dispatch.plan.receiver, errand.asked.contract.name))
    if hop is None:
        return  # a fallback's: the way was counted for whom it stood in for
    payload = errand.asked.payload_sha256
    if outcome == "success":
        hop.asked.pop(payload, None)
    else:
        hop.asked[payload] = hop.asked.get(payload, 0) + 1
