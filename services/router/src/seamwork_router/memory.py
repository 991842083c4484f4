"""
Name what the router remembers: tasks as trees of handoffs, crossings under judgement, ids and their outcomes.

No payload is kept, only positions and digests. How it changes is told in ``state``.
"""

from typing import Literal

import msgspec

from seamwork.decider import Entries
from seamwork.records.authority import Spent
from seamwork.records.crossing import Gap, Outcome, Subtask
from seamwork.records.decision import TaskOutcome, Why
from seamwork.records.delivery import Delivered
from seamwork.records.inbox import Answer, Notice
from seamwork.records.parties import AgentRef, ContractRef, Position, Target
from seamwork.records.platform import Obstacle
from seamwork.records.verdict import Approvers, Verdict
from seamwork_router import events as ev
from seamwork_router.facts import Asked, Facts
from seamwork_router.timers import Timers, work_of

APPROVAL = "approval"
VALIDATOR = "validator"
"""The role of the gate that asks people; it votes on what is held and on nothing else."""
HORIZON_MS = 15 * 60_000
"""How much later than its expiry a record may still be redelivered."""
LONGEST_MS = 24 * 60 * 60_000
"""How long after it was appended a crossing may expire; the validator refuses what would live longer."""
LOT_MS = 60_000
"""Finished tasks are forgotten in lots of a minute: a timer for each would take half as much room as the rest."""
NOT_READY_MS = 30_000
"""How long a crossing waits for gates where the catalog has none."""
HOLD_GRACE_MS = 30_000
"""How long after a hold's expiry the approval workflow may take to say that it expired."""


class Holding(msgspec.Struct):
    """What people were asked, and until when."""

    plan: ev.Plan
    approvers: tuple[Approvers, ...]
    gates: tuple[str, ...]
    expires_at: int


class Agreement(msgspec.Struct):
    """What people agreed to."""

    action_sha256: str
    approvers: tuple[Approvers, ...]


class Live(msgspec.Struct, omit_defaults=True):
    """
    A crossing that is not decided, or a handoff that may have to be judged again.

    *asked* holds until when each required gate may take; *votes* the counted verdicts of this attempt, shadows too.
    *rerouted* says that its last try was to go to a fallback, whatever it has waited for since.
    """

    facts: Facts
    seats: tuple[ev.Seat, ...]
    seen_at: int
    attempt: int = 1
    asked: dict[str, int] = {}
    votes: dict[str, Verdict] = {}
    claimed: bool = False
    phase: Literal["judging", "held", "waiting", "dispatched"] = "judging"
    until: int = 0
    then: ev.Then = "dispatch"
    rerouted: bool = False
    holding: Holding | None = None
    agreement: Agreement | None = None

    @property
    def required(self) -> tuple[str, ...]:
        """The gates whose vote must be there."""
        return tuple([seat.gate for seat in self.seats if seat.required])

    @property
    def missing(self) -> tuple[str, ...]:
        """The required gates that have not voted."""
        votes = self.votes
        return tuple([seat.gate for seat in self.seats if seat.required and seat.gate not in votes])

    @property
    def asked_until(self) -> int:
        """When the last of the gates asked must have voted, and we have seen the documents that they voted by."""
        return max(self.asked.values(), default=self.seen_at)

    def seat(self, gate: str) -> ev.Seat | None:
        """Return the seat of *gate*, or None where it has none."""
        for seat in self.seats:
            if seat.gate == gate:
                return seat
        return None


class Dispatch(msgspec.Struct, omit_defaults=True):
    """
    One time that a handoff was given to an agent, or with *case* to a desk.

    *answering* is the offset of a result under judgement; *why* says what ended it.
    """

    id: str
    number: int
    attempt: int
    plan: ev.Plan
    return_contracts: tuple[ContractRef, ...]
    lineage: tuple[str, ...]
    is_open: bool = True
    answering: int | None = None
    spent: Spent | None = None
    noted: dict[str, str] = {}
    case: ev.CaseTerms | None = None
    why: Why | None = None

    @property
    def due(self) -> int:
        """When it is to be looked at: at its end, or when the next of a case's chain is to be asked."""
        return self.plan.not_after if self.case is None else self.case.answer_by


class Returned(msgspec.Struct, omit_defaults=True):
    """The accepted result of a handoff, by position."""

    result: str
    position: Position
    digest: str
    outcome: Outcome
    contract: ContractRef
    gaps: tuple[Gap, ...] = ()
    delivered: Delivered | None = None


class PlanInForce(msgspec.Struct, omit_defaults=True):
    """
    What one agent said it would hand on: the subtasks by their names, and the crossings that they became.

    *turned_away* are those that a gate refused before they had their place in the task.
    """

    agent: str
    named: dict[str, Subtask]
    made: dict[str, str] = {}
    turned_away: list[str] = []


class Errand(msgspec.Struct, omit_defaults=True):
    """
    One handoff, from the proof of its sender to its end.

    *planning* is the offset of a plan under judgement, *plan* the one that was adopted; *degraded* says that it was
    given up for a partial answer; *open_children* counts the handoffs below that are not over; *began_with* is how
    many subtasks its first plan had.
    """

    facts: Facts
    dispatches: dict[str, Dispatch] = {}
    current: str | None = None
    attempt: int = 1
    corrections: int = 0
    excluded: tuple[AgentRef, ...] = ()
    fallback_only: bool = False
    children: list[str] = []
    ended: ev.End | None = None
    successor: str | None = None
    returned: Returned | None = None
    planning: int | None = None
    plan: PlanInForce | None = None
    open_children: int = 0
    degraded: bool = False
    raised: ev.CaseRaised | None = None
    began_with: int | None = None

    @property
    def asked(self) -> Asked:
        """What the handoff asks for."""
        assert self.facts.handoff is not None  # noqa: S101  # nothing else becomes an errand
        return self.facts.handoff

    @property
    def dispatch(self) -> Dispatch | None:
        """The last dispatch, open or not."""
        return self.dispatches.get(self.current) if self.current is not None else None

    @property
    def open_dispatch(self) -> Dispatch | None:
        """The dispatch that is open, or None."""
        last = self.dispatch
        return last if last is not None and last.is_open else None


class Known(msgspec.Struct, omit_defaults=True):
    """What an id means and what became of it: the record to send again when it comes again."""

    content: str
    offset: int
    until: int
    answer: Answer | None = None
    source: Position | None = None
    notice: Notice | None = None


class Hop(msgspec.Struct, omit_defaults=True):
    """
    How often a task went one way between two agents.

    *crossed* counts handoffs, *asked* by payload how often the same one went and brought no whole answer.
    """

    crossed: int = 0
    asked: dict[str, int] = {}


class Stopping(msgspec.Struct, omit_defaults=True):
    """What is being stopped in pieces: the first *children* handoffs below *crossing*, with all below them."""

    crossing: str
    children: int
    why: Why
    reason: str


class Ending(msgspec.Struct, omit_defaults=True):
    """How a task ends as soon as nothing in it is open any more."""

    outcome: TaskOutcome
    gaps: tuple[Gap, ...] = ()


class Task(msgspec.Struct, omit_defaults=True):
    """
    One task in hand; its handoffs are a tree below *root*.

    *stopping* and *ending* say what the next ticks have to bring to its end, before anything else. *touched* are
    the agents that had work of it, *failures* counts handoffs that brought nothing or an error, *hops*, by the name
    of the way, how often it was gone; *aimed* names whom its root asks for, *obeyed* the orders that were carried
    out, *canaries* the gates that count for it in another's place.
    """

    id: str
    root: str
    partition: int
    intent_sha256: str
    initiator: ev.Initiator
    deadline_at: int
    errands: dict[str, Errand] = {}
    by_dispatch: dict[str, str] = {}
    ids: dict[str, Known] = {}
    answered: list[tuple[str, str, Outcome]] = []
    crossings: int = 0
    refused: int = 0
    touched: list[str] = []
    failures: int = 0
    hops: dict[str, Hop] = {}
    aimed: str = ""
    stopping: list[Stopping] = []
    ending: Ending | None = None
    obeyed: list[str] = []
    canaries: tuple[str, ...] = ()

    @property
    def is_drill(self) -> bool:
        """Whether it was begun to try who answers: none of it may reach an agent but the desk."""
        root = self.errands.get(self.root)
        return root is not None and root.asked.drill is not None


class LateDispatch(msgspec.Struct, omit_defaults=True):
    """A dispatch of a finished task, whose last usage may still come."""

    crossing: str
    receiver: AgentRef
    noted: dict[str, str] = {}


class Over(msgspec.Struct):
    """What is remembered of a finished task."""

    ids: dict[str, Known]
    dispatches: dict[str, LateDispatch]
    drill: bool = False


class State(msgspec.Struct):
    """
    Everything the router remembers of one partition; *live* and *early* by their offset, as text.

    *aims* counts the tasks in hand by whom their roots ask for; *lots* names those that are over by when they are
    forgotten.
    """

    read_to: int = 0
    live: dict[str, Live] = {}
    early: dict[str, list[Verdict]] = {}
    tasks: dict[str, Task] = {}
    over: dict[str, Over] = {}
    lots: dict[str, list[str]] = {}
    strays: dict[str, Known] = {}
    timers: Timers = msgspec.field(default_factory=Timers)
    alive: dict[str, int] = {}
    breakers: dict[str, ev.Breaker] = {}
    obstacles: tuple[Obstacle, ...] = ()
    aims: dict[str, int] = {}

    def work_of(self, timer: str) -> tuple[str, str]:
        """Return which task and crossing a work timer is for."""
        return work_of(
            timer, lambda task, crossing: task in self.tasks and crossing in self.tasks[task].errands
        )

    def __post_init__(self) -> None:
        """Let what is large be read and written a piece at a time."""
        self.live = Entries(self.live, Live)
        self.tasks = Entries(self.tasks, Task)
        self.over = Entries(self.over, Over)
        self.lots = Entries(self.lots, list[str])
        self.strays = Entries(self.strays, Known)


def sizes(state: State) -> dict[str, int]:
    """Say how much the router remembers; what is over goes with its redelivery horizon."""
    return {
        "tasks": len(state.tasks),
        "crossings": len(state.live),
        "early verdicts": len(state.early),
        "over": len(state.over),
        "strays": len(state.strays),
    }


def aim_of(target: Target) -> str:
    """Return the name under which tasks are counted by whom their roots ask for."""
    return target.agent if target.agent is not None else f"capability {target.capability}"


def version_key(ref: AgentRef) -> str:
    """Return the name under which health and breaker of an agent version are kept."""
    return f"{ref.agent}@{ref.version}"
