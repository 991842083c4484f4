"""
Name everything that can happen to a task, in the past tense.

Two sorts: those that change what the router remembers, and those that are said aloud (``decided``,
``work-issued``, ``answer-forwarded``, ``notice-given``, ``record-set-aside``). The second sort carries the whole
record, so ``outputs`` needs nothing but the event.
"""

from typing import Literal

import msgspec

from seamwork.decider import InstanceHealth
from seamwork.records.authority import Authority, Constraint, Spent
from seamwork.records.base import Wire
from seamwork.records.crossing import Gap, Mode, Outcome, Subtask
from seamwork.records.decision import AnyDecision, TaskOutcome, Why
from seamwork.records.delivery import Delivered
from seamwork.records.enforcement import Enforcement
from seamwork.records.inbox import Answer, Notice, Work
from seamwork.records.parties import AgentRef, ContractRef, Position, Subject
from seamwork.records.platform import Obstacle
from seamwork.records.verdict import Approvers, Verdict
from seamwork_router.facts import Facts

Cause = Literal["timeout", "error", "violation", "mistaken", "revoked", "undeliverable", "overrun"]
"""What a dispatch can fail of."""
End = Literal["answered", "transferred", "refused", "failed", "cancelled", "expired"]
"""How the life of a handoff can end."""
Barred = Literal["nobody", "holder", "all-but-fallbacks"]
"""Who does not get a handoff again."""
Again = Literal["retry", "reroute", "throttle", "requeue", "release"]
"""Why a crossing is judged again."""
Phase = Literal["closed", "half-open", "open"]
"""Where the breaker of an agent version stands."""
Then = Literal["dispatch", "throttle", "retry", "reroute", "case", "resume"]
"""What a crossing waits for: to be decided with the votes there are, to be judged again, to be put to people."""


class Seat(Wire, frozen=True, kw_only=True):
    """
    A gate as it stood when the router first saw a crossing; later promotions do not touch it.

    In ``canary`` it counts in the place of another, which is in ``shadow`` for that. *required* says that its vote
    must be there; *deadline_ms* how long the router waits for it.
    """

    gate: str
    version: str
    role: str
    mode: Literal["enforce", "canary", "shadow"]
    required: bool
    deadline_ms: int


class Plan(Wire, frozen=True, kw_only=True):
    """
    What would happen if a crossing went on: who would get it, with what, for how long.

    *enforcement* is how binding refusals of what the receiver sends back are.
    *delivered* is what they get of the payload, where that is not all of it, or is counted.
    """

    receiver: AgentRef
    contract: ContractRef
    authority: Authority
    constraints: tuple[Constraint, ...]
    ceiling_micro_usd: int
    not_after: int
    action_sha256: str
    enforcement: Enforcement = "enforce"
    delivered: Delivered | None = None


class Breaker(Wire, frozen=True, kw_only=True):
    """
    How an agent version fared last in this partition.

    *failures* counts those in a row; it rests until *open_until* (0: it is closed), and after that *probes* are the
    dispatches that try it, *passed* those that were answered. *said* is the last phase that was told.
    """

    failures: int = 0
    open_until: int = 0
    probes: tuple[str, ...] = ()
    passed: int = 0
    said: Phase = "closed"


class TaskLimits(Wire, frozen=True, kw_only=True):
    """How far a task may spread, and how often go round; ``documents.agent.TaskLimits`` says what each means."""

    agents: int = 32
    fan_out: int = 1000
    failures: int = 100
    unchanged_hops: int = 5
    fruitless: int = 5


class Initiator(Wire, frozen=True, kw_only=True):
    """What the document of a task's initiator says; it holds for the whole task."""

    ref: AgentRef
    authority: Authority
    tenant: str | None = None
    team: str | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    budgets: tuple[str, ...] = ()
    limits: TaskLimits = TaskLimits()


# ── What the router remembers ────────────────────────────────────────────────────────────


class CrossingSeen(Wire, frozen=True, kw_only=True, tag="crossing-seen"):
    """A record of ``handoffs`` was read; from now on its gates' deadlines run."""

    crossing: Facts
    seats: tuple[Seat, ...]
    at: int


class SeatsTaken(Wire, frozen=True, kw_only=True, tag="seats-taken"):
    """A crossing that found no gates in force found them now."""

    offset: int
    seats: tuple[Seat, ...]
    at: int


class VerdictKept(Wire, frozen=True, kw_only=True, tag="verdict-kept"):
    """A gate was faster than the router: its vote waits for the crossing."""

    verdict: Verdict


class VerdictCounted(Wire, frozen=True, kw_only=True, tag="verdict-counted"):
    """The first vote of a gate on a subject."""

    verdict: Verdict


class VerdictLate(Wire, frozen=True, kw_only=True, tag="verdict-late"):
    """A vote that changes nothing any more; recorded, not counted."""

    gate: str
    subject: Subject
    why: Literal["decided", "second", "another-digest", "another-topic", "not-asked", "too-early"]


class Claimed(Wire, frozen=True, kw_only=True, tag="claimed"):
    """
    The first content under an id whose sender is proved; from now on the id means this.

    *joins* says that the crossing has its place in a task: a handoff will be followed, a result may end a dispatch.
    """

    offset: int
    at: int
    joins: bool


class TaskOpened(Wire, frozen=True, kw_only=True, tag="task-opened"):
    """
    An initiator began a task.

    *aimed* names whom its first handoff asks for, *canaries* the gates that count for the task in another's place.
    """

    task: str
    root: str
    partition: int
    offset: int
    intent_sha256: str
    initiator: Initiator
    deadline_at: int
    at: int
    aimed: str = ""
    canaries: tuple[str, ...] = ()


class ContractSettled(Wire, frozen=True, kw_only=True, tag="contract-settled"):
    """A handoff that left the version of its contract open goes under this one, by which its gates judged it."""

    offset: int
    contract: ContractRef


class Held(Wire, frozen=True, kw_only=True, tag="held"):
    """A crossing waits for people."""

    offset: int
    plan: Plan
    approvers: tuple[Approvers, ...]
    gates: tuple[str, ...]
    expires_at: int
    at: int


class Approved(Wire, frozen=True, kw_only=True, tag="approved"):
    """People agreed to exactly this action; their signatures were verified."""

    offset: int
    action_sha256: str
    approvers: tuple[Approvers, ...]
    people: tuple[str, ...]


class Postponed(Wire, frozen=True, kw_only=True, tag="postponed"):
    """
    A crossing waits until *until* (ms) for what *then* says.

    *rerouted* says that it is still on its way to a fallback, as the contract wanted, whatever it waits for now.
    """

    offset: int
    until: int
    then: Then
    rerouted: bool = False


class AttemptOpened(Wire, frozen=True, kw_only=True, tag="attempt-opened"):
    """The *gates* are asked again for *attempt*; the votes of the others stand."""

    offset: int
    attempt: int
    gates: tuple[str, ...]
    at: int


class CaseRaised(Wire, frozen=True, kw_only=True, tag="case-raised"):
    """
    Work could not be done as agreed and will be put before the people of *chain*, at *desk*.

    *untried* is the plan that a drill came to: nobody gets it, and the desk stands where its receiver would.
    *of_part* says that it is not about the whole task: whoever decides on it decides on nothing else.
    """

    task: str
    crossing: str
    why: Why
    rule: str
    reason: str
    desk: AgentRef
    chain: tuple[str, ...]
    answer_ms: int
    untried: Plan | None = None
    at: int
    of_part: bool = False


class CaseTerms(Wire, frozen=True, kw_only=True):
    """How far up the chain a case has come, when the next one is asked, and when it ends unanswered."""

    raised: CaseRaised
    level: int
    answer_by: int
    expires_at: int


class CaseClimbed(Wire, frozen=True, kw_only=True, tag="case-climbed"):
    """Whoever was asked did not answer in time; the next of the chain is asked as well."""

    task: str
    crossing: str
    dispatch: str
    terms: CaseTerms


class DispatchOpened(Wire, frozen=True, kw_only=True, tag="dispatch-opened"):
    """An agent got work and may act under its stamp; with *case* it is a desk, which only puts the work back."""

    task: str
    crossing: str
    dispatch: str
    number: int
    attempt: int
    plan: Plan
    mode: Mode
    return_contracts: tuple[ContractRef, ...] = ()
    lineage: tuple[str, ...]
    case: CaseTerms | None = None
    at: int


class Corrected(Wire, frozen=True, kw_only=True, tag="corrected"):
    """A refused answer may be mended: the dispatch stays open for one answer more."""

    task: str
    crossing: str
    rule: str


class DispatchClosed(Wire, frozen=True, kw_only=True, tag="dispatch-closed"):
    """A dispatch is over; *barred* from this handoff are nobody, its holder, or everybody but the fallbacks."""

    task: str
    crossing: str
    dispatch: str
    receiver: AgentRef
    why: Why
    outcome: Outcome | None = None
    barred: Barred = "nobody"
    at: int


class BreakerCounted(Wire, frozen=True, kw_only=True, tag="breaker-counted"):
    """What a dispatch that opened or closed did to the breaker of its receiver."""

    agent: AgentRef
    breaker: Breaker


class NoteTaken(Wire, frozen=True, kw_only=True, tag="note-taken"):
    """Progress or usage of a dispatch was taken down."""

    task: str
    crossing: str
    dispatch: str
    id: str
    content: str
    spent: Spent | None = None


class PlanAdopted(Wire, frozen=True, kw_only=True, tag="plan-adopted"):
    """A plan was admitted: from now on it binds what its sender hands on and answers."""

    task: str
    crossing: str
    agent: str
    subtasks: tuple[Subtask, ...]


class StepAnswered(Wire, frozen=True, kw_only=True, tag="step-answered"):
    """A step of the task has an accepted answer, for the preconditions of others."""

    task: str
    contract: str
    step: str
    outcome: Outcome


class ErrandEnded(Wire, frozen=True, kw_only=True, tag="errand-ended"):
    """The life of a handoff is over; *successor* took its place by a transfer, *outcome* is what its answer is."""

    task: str
    crossing: str
    how: End
    successor: str | None = None
    outcome: Outcome | None = None
    degraded: bool = False


class CrossingClosed(Wire, frozen=True, kw_only=True, tag="crossing-closed"):
    """
    A crossing is decided; nobody waits for votes on it any more.

    *strange* is a handoff that nobody proved to come, for the first time, from the holder of the dispatch that it
    names: no failure of the task's.
    """

    offset: int
    refused: bool
    at: int
    strange: bool = False


class TaskOver(Wire, frozen=True, kw_only=True, tag="task-over"):
    """A task ended and leaves memory but for its ids, which stay until nobody can send them again."""

    task: str
    outcome: TaskOutcome
    at: int


class TaskNeverBegan(Wire, frozen=True, kw_only=True, tag="task-never-began"):
    """A task ended with its root, which was refused before it began; nothing begins under its id any more."""

    task: str
    root: str
    at: int
    drill: bool = False


class StopBegun(Wire, frozen=True, kw_only=True, tag="stop-begun"):
    """
    The first *children* handoffs below *crossing*, and all below them, are stopped, too many for one decision.

    The ticks that follow work them off; until then none of them is handed on or answered.
    """

    task: str
    crossing: str
    children: int
    why: Why
    reason: str


class StopEnded(Wire, frozen=True, kw_only=True, tag="stop-ended"):
    """Nothing is left of what the earliest stop of a task had begun to stop."""

    task: str


class TaskEnding(Wire, frozen=True, kw_only=True, tag="task-ending"):
    """It is decided how a task ends; it does when all that is open in it is stopped."""

    task: str
    outcome: TaskOutcome
    gaps: tuple[Gap, ...] = ()


class Requeued(Wire, frozen=True, kw_only=True, tag="requeued"):
    """
    A person had a handoff that had failed taken up again; *order* names them and their command.

    *wanted* says that nobody does without it any more, where it had been given up for a partial answer.
    """

    task: str
    crossing: str
    seats: tuple[Seat, ...]
    at: int
    order: str = ""
    wanted: bool = False


class Woken(Wire, frozen=True, kw_only=True, tag="woken"):
    """The catalog moved: these crossings and dispatches are looked at again with the next tick."""

    timers: tuple[str, ...]
    at: int


class TimerPassed(Wire, frozen=True, kw_only=True, tag="timer-passed"):
    """A timer rang and there was nothing to do."""

    timer: str


class Forgotten(Wire, frozen=True, kw_only=True, tag="forgotten"):
    """An id, a task or a dispatch is older than any redelivery."""

    timer: str


class HealthTaken(Wire, frozen=True, kw_only=True, tag="health-taken"):
    """How many instances of agent versions are alive, and what stands against new tasks."""

    instances: tuple[InstanceHealth, ...]
    obstacles: tuple[Obstacle, ...] = ()


class CommandIgnored(Wire, frozen=True, kw_only=True, tag="command-ignored"):
    """An order that changes nothing, and why."""

    command: str
    task: str
    rule: str


class DeliveryFailed(Wire, frozen=True, kw_only=True, tag="delivery-failed"):
    """An output can never be published."""

    topic: str
    error: str
    task: str | None = None
    dispatch: str | None = None


# ── What the router says ─────────────────────────────────────────────────────────────────


class Decided(Wire, frozen=True, kw_only=True, tag="decided"):
    """A decision, for the partition of what it was taken on."""

    decision: AnyDecision
    partition: int
    trace_of: Position | None = None


class WorkIssued(Wire, frozen=True, kw_only=True, tag="work-issued"):
    """Work for one agent: the stamp, and the crossing at *source* unchanged."""

    work: Work
    source: Position
    children: str | None = None


class AnswerForwarded(Wire, frozen=True, kw_only=True, tag="answer-forwarded"):
    """A result for whoever waits. *known* is the id whose outcome this is from now on."""

    answer: Answer
    source: Position
    known: str | None = None


class AnswerKept(Wire, frozen=True, kw_only=True, tag="answer-kept"):
    """A result came while nobody works on what waits for it: the next dispatch gets it."""

    answer: Answer
    source: Position
    known: str | None = None


class NoticeGiven(Wire, frozen=True, kw_only=True, tag="notice-given"):
    """Word for an agent. *known* is the id whose outcome this is from now on."""

    notice: Notice
    known: str | None = None
    trace_of: Position | None = None


class RecordSetAside(Wire, frozen=True, kw_only=True, tag="record-set-aside"):
    """A record went to the dead letters, because nobody could be told what is wrong with it."""

    topic: str
    source: Position
    digest: str
    gate: str
    rule: str
    reason: str
    at: int


Said = Decided | WorkIssued | AnswerForwarded | NoticeGiven | RecordSetAside
Event = (
    CrossingSeen | SeatsTaken | VerdictKept | VerdictCounted | VerdictLate | ContractSettled | Claimed
    | TaskOpened | Held | Approved | Postponed | AttemptOpened | DispatchOpened | Corrected | DispatchClosed
    | NoteTaken | PlanAdopted | StepAnswered | ErrandEnded | CaseRaised | CaseClimbed | CrossingClosed
    | TaskOver | Requeued | TaskNeverBegan | StopBegun | StopEnded | TaskEnding | Woken | TimerPassed
    | Forgotten | HealthTaken | BreakerCounted | AnswerKept | CommandIgnored | DeliveryFailed | Decided
    | WorkIssued | AnswerForwarded | NoticeGiven | RecordSetAside
)  # fmt: skip
