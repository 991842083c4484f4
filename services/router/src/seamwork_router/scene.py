"""Lay out what a decision on one crossing looks at, so that checks read like sentences."""

from dataclasses import dataclass

from seamwork.catalog import Context, standing_of_handoff, standing_of_plan
from seamwork.documents.contract import Contract
from seamwork.grants.stamps import inbox_topic
from seamwork.records.enforcement import Enforcement
from seamwork.records.parties import AgentRef
from seamwork_router.memory import Errand, Live, State, Task

__all__ = [
    "Place",
    "Scene",
    "Waiting",
    "first_sender",
    "inbox_topic",
    "last_of",
    "origin_of",
    "terminal",
    "waiting_for",
]


MOST_TASKS = 100_000
MOST_AIMED = 20_000
_NOTES = frozenset({"progress", "usage"})


@dataclass(frozen=True, slots=True)
class Place:
    """
    The platform that the router serves: its id, and how many partitions ``handoffs`` has.

    *most_tasks* bounds what is under way in one partition, and with it the memory; *most_aimed* those whose roots
    ask for one agent, or capability.
    """

    platform: str
    partitions: int
    most_tasks: int = MOST_TASKS
    most_aimed: int = MOST_AIMED


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whom an answer goes to: an agent under its dispatch, or the initiator under none."""

    ref: AgentRef
    dispatch: str | None


class Scene:
    """
    One crossing under judgement and its surroundings, laid out once: there is one for each vote.

    Args:
        place: The platform.
        state: What is remembered; it stays as it is while there is a scene of it.
        context: The instant and the documents of the decision.
        live: The crossing; it may be a copy that looks one step ahead of *state*.
        task: The crossing's task, given where it is not yet in *state*.
        own: The same of a handoff's own life.

    Attributes:
        facts: What is known of the crossing.
        is_root: Whether it begins a task.
        is_note: Whether it only accompanies work.
        parent: For a handoff, the errand whose dispatch its sender works on; None for a root.
        errand: For a handoff its own life, for everything else that of the handoff whose dispatch it names.
        named: The dispatch that the crossing's stamp names, open or not.
    """

    __slots__ = (
        "catalog", "context", "errand", "facts", "is_note", "is_root", "live", "named", "now", "own", "parent",
        "place", "state", "task",
    )  # fmt: skip

    def __init__(
        self,
        place: Place,
        state: State,
        context: Context,
        live: Live,
        task: Task | None,
        own: Errand | None = None,
    ) -> None:
        self.place = place
        self.state = state
        self.context = context
        self.live = live
        self.task = task
        self.own = own
        self.now = context.now
        self.catalog = context.catalog
        self.facts = facts = live.facts
        asked, dispatch = facts.handoff, facts.dispatch or ""
        self.is_root = asked is not None and asked.parent is None
        self.is_note = facts.kind in _NOTES
        self.parent: Errand | None = None
        self.errand = own
        if task is not None:
            if asked is not None and asked.parent is not None:
                self.parent = task.errands.get(asked.parent)
            if own is None:
                name = facts.id if asked is not None else task.by_dispatch.get(dispatch, "")
                self.errand = task.errands.get(name)
        under = self.errand if asked is None else self.parent
        self.named = None if under is None else under.dispatches.get(dispatch)

    def ahead(self, live: Live) -> "Scene":
        """Return the scene as it will be when the crossing has become *live*."""
        return Scene(self.place, self.state, self.context, live, self.task, self.own)

    @property
    def contract(self) -> Contract | None:
        """The contract of the errand at hand."""
        if self.errand is None:
            return None
        asked = self.facts.handoff or self.errand.asked
        return self.catalog.contract(asked.contract)

    @property
    def seam_sender(self) -> AgentRef | None:
        """For a handoff, whose seam it crosses: its sender's, a drill's, or that of whose work a desk puts back."""
        asked, parent = self.facts.handoff, self.parent
        if asked is not None and asked.drill is not None:
            return asked.drill.in_place_of
        if self.task is None or parent is None or parent.dispatch is None or parent.dispatch.case is None:
            return self.facts.source
        return first_sender(self.task, parent)

    @property
    def enforcement(self) -> Enforcement:
        """
        How binding refusals of the crossing are: what the flows say now, of an answer what its dispatch was given.

        No later change of a flow loosens or tightens what comes back under a stamp.
        """
        facts, sender = self.facts, self.seam_sender
        if facts.handoff is not None:
            if sender is None:
                return "enforce"
            return standing_of_handoff(self.catalog, facts.handoff, sender, self.now).mode
        if facts.plan is not None and sender is not None:
            return standing_of_plan(self.catalog, sender, facts.plan.subtasks, self.now).mode
        return "enforce" if self.named is None else self.named.plan.enforcement


def first_sender(task: Task, errand: Errand) -> AgentRef | None:
    """Return whose work it is, past every desk that has put it back before; of a drill, whose seam it tries."""
    if errand.asked.drill is not None:
        return errand.asked.drill.in_place_of
    while errand.asked.mode == "transfer" and errand.asked.parent is not None:
        above = task.errands[errand.asked.parent]
        if above.dispatch is None or above.dispatch.case is None:
            break
        errand = above
    return errand.facts.source


def origin_of(task: Task, errand: Errand) -> Errand:
    """Return the handoff whose place *errand* fills, after however many transfers."""
    while errand.asked.mode == "transfer" and errand.current is not None and errand.asked.parent is not None:
        errand = task.errands[errand.asked.parent]
    return errand


def waiting_for(task: Task, errand: Errand) -> Waiting | None:
    """Return who waits for what becomes of *errand*, or None where nobody does any more."""
    asked = origin_of(task, errand).asked
    if asked.parent is None:
        return Waiting(task.initiator.ref, None)
    parent = task.errands[asked.parent]
    dispatch = parent.open_dispatch
    return None if dispatch is None else Waiting(dispatch.plan.receiver, dispatch.id)


def last_of(task: Task, errand: Errand) -> Errand:
    """Return who fills the place of *errand* now, after however many transfers."""
    while errand.successor is not None:
        errand = task.errands[errand.successor]
    return errand


def terminal(task: Task, errand: Errand) -> bool:
    """Say whether nothing more will become of *errand*, or of who took its place."""
    return last_of(task, errand).ended is not None
