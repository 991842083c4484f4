"""
Hold work against its plan: what may be handed on, and whether what came back is the whole.

Rule 1: a plan binds the crossing it was made for: what is not in it is not handed on, and not before what it needs.
Rule 2: a result is complete only when every critical subtask has a whole answer; else it counts as partial.
Rule 3: without a plan what is missing cannot be known; what came back in part, or degraded, is labelled even so.
Rule 4: labels go up: what was missing below a child is missing below its parent, by a longer path.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import msgspec

from seamwork.records.crossing import Gap, Lack, Outcome, Subtask, step_name
from seamwork_router.memory import Errand, Task
from seamwork_router.scene import Scene, last_of, terminal

MAX_GAPS = 32
"""So many labels at most travel with one answer; the first are kept, critical ones before others."""
GAPS_BYTES = 16 * 1024
"""
And so many bytes of them: a decision holds them twice, and an envelope of more than 64 KiB is none. Steps are as
long as their agents liked, and a label names all of them on the way down.
"""
_LABEL_CHARS = 400


# ── Before a plan is adopted ─────────────────────────────────────────────────────────────


def plan_late(scene: Scene) -> str | None:
    """A plan comes before the work that it plans; what was handed on already cannot be planned any more."""
    errand = scene.errand
    if errand is None:
        return None
    if errand.plan is not None:
        return "a plan of this crossing was adopted before; one plan binds one crossing"
    return "work was handed on already, a plan comes before it" if errand.children else None


def plan_awaited(scene: Scene) -> str | None:
    """One plan at a time is judged."""
    errand = scene.errand
    # Whoever planned may go on to report: a note is no second plan.
    if (
        scene.is_note
        or errand is None
        or errand.planning == scene.facts.offset
        or not _planning(scene, errand)
    ):
        return None
    return "another plan of this crossing is being judged"


def _planning(scene: Scene, errand: Errand) -> bool:
    """Say whether a plan of the open dispatch is being judged; one of a lost dispatch binds nobody any more."""
    plan, dispatch = scene.state.live.get(str(errand.planning)), errand.open_dispatch
    return plan is not None and dispatch is not None and plan.facts.dispatch == dispatch.id


# ── What a plan allows ───────────────────────────────────────────────────────────────────


def subtask_of(scene: Scene) -> tuple[Errand, Subtask | None] | None:
    """Return the errand whose plan binds the handoff at hand, with its place there; None where no plan does."""
    asked, parent = scene.facts.handoff, scene.parent
    if asked is None or parent is None or parent.plan is None or asked.mode == "transfer":
        return None
    return parent, parent.plan.named.get(step_name(asked.step, asked.ordinal))


def plan_pending(scene: Scene) -> str | None:
    """Nothing runs, and nothing is answered, while a plan is being judged or is held for a person."""
    errand = scene.errand if scene.facts.handoff is None else scene.parent
    if errand is None or not _planning(scene, errand):
        return None
    return "a plan of this dispatch is not decided yet"


def not_in_plan(scene: Scene) -> str | None:
    """What the plan does not name is not handed on."""
    place = subtask_of(scene)
    return "the adopted plan has no subtask of this step and ordinal" if place and place[1] is None else None


def plan_differs(scene: Scene) -> str | None:
    """A subtask goes to whom, and under the contract that, the plan says."""
    asked, place = scene.facts.handoff, subtask_of(scene)
    subtask = None if place is None else place[1]
    if asked is None or subtask is None:
        return None
    same = asked.contract == subtask.contract
    if asked.contract_versions is not None:
        same = asked.contract.name == subtask.contract.name  # the version is its gates' to settle
    if not same:
        return "contract is not the one that the adopted plan names for this subtask"
    return None if asked.target == subtask.target else "target is not the one that the adopted plan names"


def dependency_unmet(scene: Scene) -> str | None:
    """A subtask begins when what it comes after is over, and there is an answer of all that is critical."""
    task, place = scene.task, subtask_of(scene)
    parent, subtask = place or (None, None)
    if task is None or parent is None or subtask is None:
        return None
    for name in subtask.after:
        why = _state(task, parent, name)
        if why == "open":
            return f"the subtask {name} that it comes after is not finished"
        if why not in {None, "partial"} and parent.plan is not None and parent.plan.named[name].critical:
            return f"the critical subtask {name} that it comes after brought no answer ({why})"
    return None


# ── The join ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Joined:
    """What a result counts as, and what is missing below it."""

    outcome: Outcome
    gaps: tuple[Gap, ...]

    @property
    def said(self) -> str:
        """Name what is missing, for people."""
        return "; ".join(
            f"{gap.step} {'' if gap.critical else 'was left out, '}{gap.why}" for gap in self.gaps
        )


def join(task: Task, errand: Errand, outcome: Outcome) -> Joined:
    """
    Hold a result against what came back to its sender.

    Args:
        task: The task in hand.
        errand: The handoff that the result answers.
        outcome: What the result says of itself; it can become less, never more.
    """
    gaps = list(_gaps(task, errand))
    place = errand
    while place.asked.mode == "transfer" and place.asked.parent is not None:
        # Whoever took over answers for what was planned, and left undone, in the place it fills; but what a desk
        # put back is done anew, and what was below it before was stopped.
        place = task.errands[place.asked.parent]
        gaps += [] if place.dispatch is not None and place.dispatch.case is not None else _gaps(task, place)
    gaps.sort(key=lambda gap: not gap.critical)
    partial = outcome == "success" and any(gap.critical for gap in gaps)
    return Joined("partial" if partial else outcome, tuple(_that_fit(gaps)))


def _that_fit(gaps: Iterable[Gap]) -> Iterator[Gap]:
    """Yield the first of *gaps*, each once, the middle of long ones left out."""
    room = GAPS_BYTES
    for gap in islice(dict.fromkeys(map(_shortened, gaps)), MAX_GAPS):
        room -= len(json.dumps(gap.step)) + 50  # what stands around it
        if room < 0:
            return
        yield gap


def _shortened(gap: Gap) -> Gap:
    if len(gap.step) <= _LABEL_CHARS:
        return gap
    half = _LABEL_CHARS // 2
    return msgspec.structs.replace(gap, step=f"{gap.step[:half]}…{gap.step[-half:]}")


def _gaps(task: Task, errand: Errand) -> list[Gap]:
    found: list[Gap] = []
    plan = errand.plan
    if plan is not None:
        for name, subtask in plan.named.items():
            found += _of_child(task, errand, name, critical=subtask.critical)
        return found
    for crossing in errand.children:
        child = task.errands[crossing]
        answered = child.returned is not None and child.returned.outcome != "error"
        if child.asked.mode != "transfer" and (answered or last_of(task, child).degraded):
            found += _labels(task, child, critical=True)
    return found


def _of_child(task: Task, errand: Errand, name: str, *, critical: bool) -> list[Gap]:
    crossing = None if errand.plan is None else errand.plan.made.get(name)
    if crossing is None:
        return [Gap(step=name, why=_never_made(errand, name), critical=critical)]
    return _labels(task, task.errands[crossing], critical=critical)


def _labels(task: Task, child: Errand, *, critical: bool) -> list[Gap]:
    name = step_name(child.asked.step, child.asked.ordinal)
    below = () if child.returned is None else child.returned.gaps
    told = [Gap(step=f"{name}/{gap.step}", why=gap.why, critical=critical and gap.critical) for gap in below]
    why = _end_of(task, child) or ("missing" if last_of(task, child).degraded else None)
    if why is None or (why == "partial" and any(gap.critical for gap in below)):
        return told
    return [Gap(step=name, why=why, critical=critical), *told]


def _state(task: Task, errand: Errand, name: str) -> Literal["open"] | Lack | None:
    """Return what is wrong with a subtask's answer: ``open``, why it is none or not whole, or None."""
    crossing = None if errand.plan is None else errand.plan.made.get(name)
    if crossing is None:
        why = _never_made(errand, name)
        critical = errand.plan is not None and errand.plan.named[name].critical
        return "open" if why == "missing" and critical else why
    child = task.errands[crossing]
    return _end_of(task, child) if terminal(task, child) else "open"


def _end_of(task: Task, child: Errand) -> Lack | None:
    """Return why the answer of *child* is not whole, or None."""
    if child.returned is not None:
        outcome = child.returned.outcome
        return None if outcome == "success" else outcome
    match last_of(task, child).ended:
        case ("refused" | "failed" | "expired" | "cancelled") as ended:
            return ended
        case _:
            return "missing"


def _never_made(errand: Errand, name: str) -> Literal["refused", "missing"]:
    """Say why a subtask never got its place: it was refused at its gates, or never handed on."""
    return "refused" if errand.plan is not None and name in errand.plan.turned_away else "missing"
