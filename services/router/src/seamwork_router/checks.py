"""
Check what only the owner of a task's state can: tables of checks, asked in order; the first that fails counts.

``PLACE`` and then ``ENTRY`` are asked once the sender is proved, before a crossing gets its place in a task;
``HANDOFF``, ``RESULT``, ``PLAN`` and ``NOTE`` when the votes are in, again at every attempt; ``STILL_HELD`` when an
answer or a plan is looked at again.
"""

from collections.abc import Callable, Sequence

from seamwork.catalog.entries import IN_FORCE, NOT_YET
from seamwork.grants.authority import dropped, one_deeper, widened
from seamwork.records.authority import Authority, Constraint
from seamwork.records.partition import partition_of
from seamwork_router.cases import order_problem
from seamwork_router.delivery import delivery_disputed, taken_otherwise
from seamwork_router.ending import stopped
from seamwork_router.facts import Asked
from seamwork_router.limits import fanned_out, halted
from seamwork_router.memory import aim_of
from seamwork_router.plans import (
    dependency_unmet,
    not_in_plan,
    plan_awaited,
    plan_differs,
    plan_late,
    plan_pending,
)
from seamwork_router.problem import Problem
from seamwork_router.scene import MOST_AIMED, Scene, terminal

MAX_CROSSINGS = 10_000
"""So many crossings may one task have: a loop between agents ends here at the latest."""
MAX_IDS = 2 * MAX_CROSSINGS
"""So many ids of one task are remembered, those of what was refused among them; then nothing new is taken in."""
MAX_NOTES = 1_000
"""So many progress and usage reports may one dispatch have."""


Check = Callable[[Scene], str | None]


def first_problem(checks: Sequence[tuple[str, Check]], scene: Scene) -> Problem | None:
    """Return the first check that does not hold, or None."""
    for rule, check in checks:
        reason = check(scene)
        if reason is not None:
            return Problem(rule, reason)
    return None


# ── On entry ─────────────────────────────────────────────────────────────────────────────


def wrong_key(scene: Scene) -> str | None:
    """The key of a crossing is its task's id; everything of a task is in one place that way."""
    return None if scene.facts.key == scene.facts.task else "the record's key is not its task id"


def wrong_partition(scene: Scene) -> str | None:
    """A record that lies elsewhere would be judged by a router that does not know its task."""
    wanted = partition_of((scene.facts.key or "").encode(), scene.place.partitions)
    if wanted == scene.facts.partition:
        return None
    return f"the key belongs to partition {wanted} (murmur2), the record lies in {scene.facts.partition}"


def expired(scene: Scene) -> str | None:
    """What was appended after its expiry is a replay."""
    facts = scene.facts
    return "the record was appended after its expires_at" if facts.appended_at > facts.expires_at else None


def admission_closed(scene: Scene) -> str | None:
    """While something stands against new tasks none begins; what runs goes on to its end."""
    if not scene.is_root or not scene.state.obstacles:
        return None
    return "no task is begun while " + "; ".join(one.reason for one in scene.state.obstacles)


def too_many_tasks(scene: Scene) -> str | None:
    """What is under way is bounded, and one receiver that is slow does not use up all of it."""
    asked = scene.facts.handoff
    if asked is None or not scene.is_root:
        return None
    most = scene.place.most_tasks
    if len(scene.state.tasks) >= most:
        return f"{most} tasks are under way in this partition; begin it when some of them have ended"
    aim = aim_of(asked.target)
    most_aimed = min(scene.place.most_aimed, _most_aimed(scene, asked))
    if scene.state.aims.get(aim, 0) >= most_aimed:
        return f"{most_aimed} tasks for {aim} are under way in this partition; begin it when some have ended"
    return None


def _most_aimed(scene: Scene, asked: Asked) -> int:
    """Return how many tasks those whom a root asks for take between them; where nobody does, others say so."""
    agents = map(scene.catalog.agent, scene.catalog.primary(asked, scene.now))
    return sum(agent.spec.most_tasks for agent in agents if agent is not None) or MOST_AIMED


def task_exists(scene: Scene) -> str | None:
    """A task has one root, and ends once."""
    if not scene.is_root:
        return None
    known = scene.task is not None or scene.facts.task in scene.state.over
    return "the task was begun by another root crossing, or ended with it" if known else None


def unknown_task(scene: Scene) -> str | None:
    """Everything but a root belongs to a task in hand."""
    if scene.is_root or scene.task is not None or scene.facts.task in scene.state.over:
        return None
    return "no task of this id was begun here"


def task_over(scene: Scene) -> str | None:
    """A finished task takes nothing more but late usage."""
    if scene.is_root or scene.task is not None:
        return None
    late = scene.state.over[scene.facts.task].dispatches.get(scene.facts.dispatch or "")
    return None if late is not None and scene.is_note else "the task is over"


def stamp_unknown(scene: Scene) -> str | None:
    """A stamp that the router does not remember opened nothing."""
    if scene.is_root or scene.task is None or scene.named is not None:
        return None
    return "the dispatch that the stamp names was never made for this crossing's parent"


def stamp_not_yours(scene: Scene) -> str | None:
    """A dispatch was made to one agent version."""
    source, named = scene.facts.source, scene.named
    if scene.task is None and scene.is_note:
        late = scene.state.over[scene.facts.task].dispatches[scene.facts.dispatch or ""]
        return None if late.receiver == source else "the dispatch was made to another agent or version"
    if named is None or named.plan.receiver == source:
        return None
    return "the dispatch was made to another agent or version"


def stamp_closed(scene: Scene) -> str | None:
    """Handoffs and results need their dispatch open; usage may come late."""
    if scene.named is None or scene.named.is_open or scene.is_note:
        return None
    return "the dispatch that the stamp names is closed"


def being_stopped(scene: Scene) -> str | None:
    """What is being stopped piece by piece takes nothing new, and brings nothing back."""
    task = scene.task
    if task is None or scene.is_note or not (task.stopping or task.ending):
        return None
    doomed = scene.errand if scene.errand is not None else scene.parent
    if doomed is None or not stopped(task, doomed):
        return None
    return "the work above it was given up, or its task ends, and what is below is being stopped"


def stamp_ran_out(scene: Scene) -> str | None:
    """What was appended after the stamp's end does not count, even where its timer has not rung yet."""
    if scene.named is None or scene.is_note or scene.facts.appended_at <= scene.named.plan.not_after:
        return None
    return "the record was appended after the stamp's not_after"


def intent_changed(scene: Scene) -> str | None:
    """The initiator's words stay as they are, down to the last child."""
    if scene.task is None or scene.is_root or scene.facts.intent_sha256 == scene.task.intent_sha256:
        return None
    return "intent_sha256 differs from that of the task's root"


def answer_pending(scene: Scene) -> str | None:
    """One answer at a time is judged."""
    if scene.facts.result is None or scene.named is None or scene.named.answering is None:
        return None
    return "another answer of this dispatch is being judged"


def contract_changed(scene: Scene) -> str | None:
    """A result, or a plan, stands under the contract that its handoff was made under."""
    said, errand = scene.facts.result or scene.facts.plan, scene.errand
    if said is None or errand is None:
        return None
    if said.parent != errand.facts.id:
        return "parent is not the crossing that the dispatch was made for"
    return None if said.contract == errand.asked.contract else "contract is not that of the handoff answered"


def id_taken(scene: Scene) -> str | None:
    """Two agents cannot give two handoffs of a task one id."""
    if scene.facts.handoff is None or scene.task is None or scene.facts.id not in scene.task.errands:
        return None
    return "another agent's handoff of this task has this id"


def too_many_crossings(scene: Scene) -> str | None:
    """A task is finite."""
    if scene.task is None or scene.is_note:
        return None
    answers = scene.facts.result is not None  # there are no more of them than dispatches and corrections
    if scene.task.crossings < MAX_CROSSINGS and (answers or not remembers_enough(scene)):
        return None
    return f"the task has {MAX_CROSSINGS} crossings, or {MAX_IDS} with those refused; more are not allowed"


def remembers_enough(scene: Scene) -> bool:
    """Say whether no further id of the task is remembered: an agent that is refused in a loop ends here."""
    task = scene.task or scene.state.over.get(scene.facts.task)
    return task is not None and len(task.ids) >= MAX_IDS


def noted(scene: Scene) -> dict[str, str]:
    """Return the reports that are taken down of the dispatch that one names, in hand or over: id → content."""
    if scene.task is None:
        over = scene.state.over.get(scene.facts.task)
        late = None if over is None else over.dispatches.get(scene.facts.dispatch or "")
        return {} if late is None else late.noted
    return {} if scene.named is None else scene.named.noted


def too_many_notes(scene: Scene) -> str | None:
    """A dispatch reports now and then, not in a loop."""
    if not scene.is_note or len(noted(scene)) < MAX_NOTES:
        return None
    return f"the dispatch has {MAX_NOTES} reports, more are not taken down"


PLACE: tuple[tuple[str, Check], ...] = (
    ("wrong-key", wrong_key),
    ("wrong-partition", wrong_partition),
    ("expired", expired),
)

ENTRY: tuple[tuple[str, Check], ...] = (
    ("task-exists", task_exists),
    ("admission-closed", admission_closed),
    ("too-many-tasks", too_many_tasks),
    ("unknown-task", unknown_task),
    ("task-over", task_over),
    ("stamp-unknown", stamp_unknown),
    ("stamp-not-yours", stamp_not_yours),
    ("stopping", being_stopped),
    ("stamp-closed", stamp_closed),
    ("stamp-ran-out", stamp_ran_out),
    ("intent-changed", intent_changed),
    ("contract-changed", contract_changed),
    ("answer-pending", answer_pending),
    ("plan-pending", plan_awaited),
    ("id-taken", id_taken),
    ("order-invalid", order_problem),
    ("too-many-crossings", too_many_crossings),
    ("fan-out", fanned_out),
    ("too-many-notes", too_many_notes),
)


# ── When the votes are in ────────────────────────────────────────────────────────────────


def sender_stopped(scene: Scene) -> str | None:
    """The dispatch under which a handoff was sent may have closed while its gates thought."""
    errand = scene.errand
    if scene.is_root or errand is None or errand.current is not None:
        return None
    parent, asked = scene.parent, scene.facts.handoff
    still = parent is not None and parent.open_dispatch is not None
    if asked is not None and asked.mode == "transfer":
        # It gives that very dispatch away; whoever got the work since keeps theirs.
        still = scene.named is not None and scene.named.is_open
    return None if still else "the dispatch under which it was sent has closed meanwhile"


def deadline_passed(scene: Scene) -> str | None:
    """Work that nobody may finish in time is not begun."""
    asked = scene.facts.handoff
    return "deadline_at lies in the past" if asked is not None and asked.deadline_at <= scene.now else None


def contract_not_in_force(scene: Scene) -> str | None:
    """Asked once more at dispatch: a contract may have been retired since its gates looked."""
    asked = scene.facts.handoff
    if asked is None:
        return None
    status = scene.catalog.contract_status(asked.contract, scene.now)
    if status in IN_FORCE or (status in NOT_YET and scene.enforcement == "observe"):
        return None
    return f"the contract is {status or 'not known'} at dispatch"


def sender_revoked(scene: Scene) -> str | None:
    """An agent that was revoked meanwhile hands nothing on."""
    source = scene.facts.source
    status = None if source is None else scene.catalog.agent_status(source, scene.now)
    return "the version that sent it has been revoked" if status == "revoked" else None


def precondition_unmet(scene: Scene) -> str | None:
    """What must have been answered before, in the same task."""
    asked, task = scene.facts.handoff, scene.task
    contract = None if asked is None else scene.catalog.contract(asked.contract)
    if contract is None or task is None:
        return None
    for number, wanted in enumerate(contract.spec.preconditions):
        met = any(
            outcome in wanted.outcome and (name == wanted.contract or step == wanted.step)
            for name, step, outcome in task.answered
        )
        if not met:
            return f"precondition {number} of the contract has no answer in this task yet"
    return None


def constraint_dropped(scene: Scene) -> str | None:
    """Constraints only grow."""
    asked, above = scene.facts.handoff, _above(scene)
    if asked is None or above is None:
        return None
    gone = dropped(asked.constraints, above[1])
    return None if gone is None else f"the constraint {gone.name!r} of the stamp is missing"


def dispatch_constraint_dropped(scene: Scene) -> str | None:
    """A result, or a plan, stands under the constraints of its dispatch, all of them."""
    said, dispatch = scene.facts.result or scene.facts.plan, scene.named
    if said is None or dispatch is None:
        return None
    gone = dropped(said.constraints, dispatch.plan.constraints)
    return None if gone is None else f"the constraint {gone.name!r} of the stamp is missing"


def authority_widened(scene: Scene) -> str | None:
    """Authority only shrinks."""
    asked = scene.facts.handoff
    if asked is None or asked.authority is None or scene.task is None:
        return None
    more = widened(asked.authority, held_authority(scene))
    return None if more is None else f"authority.{more} asks for more than the stamp gives"


def too_deep(scene: Scene) -> str | None:
    """Each level below takes one away from what the stamp allows."""
    asked, above = scene.facts.handoff, _above(scene)
    if asked is None or above is None or asked.mode == "transfer" or above[0].depth > 0:
        return None
    return f"the stamp allows no further level of delegation (authority.depth is 0): {_way(scene)}"


def _way(scene: Scene) -> str:
    """Show the way that the work has taken, down to whom it was meant for."""
    asked, source = scene.facts.handoff, scene.facts.source
    dispatch = None if scene.parent is None else scene.parent.dispatch
    target = None if asked is None else asked.target.agent or f"[{asked.target.capability}]"
    way = (*(() if dispatch is None else dispatch.lineage), None if source is None else source.agent, target)
    return " → ".join(name for name in way if name)


def open_children(scene: Scene) -> str | None:
    """Nobody answers, or hands on, while somebody still works for them."""
    task = scene.task
    answering = scene.errand if scene.facts.handoff is None else scene.parent
    if task is None or answering is None:
        return None
    if scene.facts.handoff is not None and scene.facts.handoff.mode != "transfer":
        return None
    own = scene.facts.id
    still = sum(1 for c in answering.children if c != own and not terminal(task, task.errands[c]))
    return f"{still} children of this dispatch are not finished; await or cancel them" if still else None


HANDOFF: tuple[tuple[str, Check], ...] = (
    ("stopping", being_stopped),
    ("stamp-closed", sender_stopped),
    ("deadline-passed", deadline_passed),
    ("contract-not-in-force", contract_not_in_force),
    ("sender-revoked", sender_revoked),
    ("too-many-failures", halted),
    ("plan-pending", plan_pending),
    ("not-in-plan", not_in_plan),
    ("plan-differs", plan_differs),
    ("dependency-unmet", dependency_unmet),
    ("precondition-unmet", precondition_unmet),
    ("depth", too_deep),
    ("constraint-dropped", constraint_dropped),
    ("authority-widened", authority_widened),
    ("delivery-disputed", delivery_disputed),
    ("open-children", open_children),
)

RESULT: tuple[tuple[str, Check], ...] = (
    ("unknown-task", unknown_task),
    ("task-over", task_over),
    ("stopping", being_stopped),
    ("stamp-closed", stamp_closed),
    ("sender-revoked", sender_revoked),
    ("plan-pending", plan_pending),
    ("constraint-dropped", dispatch_constraint_dropped),
    ("taken-in-differs", taken_otherwise),
    ("delivery-disputed", delivery_disputed),
    ("open-children", open_children),
)

NOTE: tuple[tuple[str, Check], ...] = (("taken-in-differs", taken_otherwise),)

STILL_HELD: tuple[tuple[str, Check], ...] = (
    ("unknown-task", unknown_task),
    ("task-over", task_over),
    ("stopping", being_stopped),
    ("stamp-closed", stamp_closed),
)

PLAN: tuple[tuple[str, Check], ...] = (
    *STILL_HELD,
    ("sender-revoked", sender_revoked),
    ("constraint-dropped", dispatch_constraint_dropped),
    ("plan-late", plan_late),
)


def held_authority(scene: Scene) -> Authority:
    """Return the most that a handoff may give its receiver: the initiator's, or what the sender's stamp leaves."""
    above = _above(scene)
    if above is None:
        return scene.task.initiator.authority if scene.task is not None else Authority()
    asked = scene.facts.handoff
    return above[0] if asked is not None and asked.mode == "transfer" else one_deeper(above[0])


def _above(scene: Scene) -> tuple[Authority, tuple[Constraint, ...]] | None:
    dispatch = None if scene.parent is None else scene.parent.dispatch
    return None if dispatch is None else (dispatch.plan.authority, dispatch.plan.constraints)
