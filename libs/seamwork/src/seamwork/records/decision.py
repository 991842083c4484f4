"""
Describe what the router did with a crossing: one struct for each decision of DESIGN section 4.

Decisions are what the other services follow: gates to judge again, cost-cap to settle and refund, the approval
workflow to ask, people's tools to tell.
"""

from typing import Literal

from seamwork.records.authority import Authority, Constraint, Spent
from seamwork.records.base import Envelope, Wire
from seamwork.records.crossing import Gap, Mode, Outcome
from seamwork.records.delivery import Delivered
from seamwork.records.enforcement import Enforcement
from seamwork.records.parties import AgentRef, ContractRef, DocumentRef, Revision, Subject
from seamwork.records.verdict import Approvers

TaskOutcome = Literal["complete", "partial", "failed", "cancelled", "expired"]
Why = Literal[
    "accepted",
    "transferred",
    "timeout",
    "error",
    "violation",
    "revoked",
    "cancelled",
    "expired",
    "overrun",
    "failed",
    "rerouted",
    "refused",
]


class Vote(Wire, frozen=True, kw_only=True):
    """One line of the tally that a decision stood on; a refusal that was *spared* is not enforced in that mode."""

    gate: str
    gate_version: str
    outcome: str
    rule: str
    reason: str = ""
    mode: Literal["enforce", "canary", "shadow"] = "enforce"
    spared: Enforcement | None = None


class Decision(Envelope, frozen=True, kw_only=True):
    """
    What every decision says.

    *subject* is the record decided on, null where no record caused it (a deadline, a cancellation);
    *crossing* is the id that it concerns. *drill* says that it is of a drill: nobody's work is concerned.
    *enforcement* says how the flow stood: in another mode than ``enforce`` refusals by contract and policy are
    recorded and do not count.
    """

    task: str | None = None
    crossing: str | None = None
    subject: Subject | None = None
    decided_at: int
    revision: Revision
    rule: str = ""
    reason: str = ""
    votes: tuple[Vote, ...] = ()
    consulted: tuple[DocumentRef, ...] = ()
    drill: bool = False
    enforcement: Enforcement = "enforce"


class Dispatched(Decision, frozen=True, kw_only=True, tag="dispatched"):
    """
    The crossing went to *receiver* under *dispatch*; *dispatch_number* counts the dispatches of the crossing.

    *delivered* is what the receiver got, where that is not all that was sent, or is counted.
    """

    dispatch: str
    dispatch_number: int
    receiver: AgentRef
    source: AgentRef
    contract: ContractRef
    mode: Mode
    step: str
    parent: str | None = None
    ceiling_micro_usd: int
    not_after: int
    authority: Authority
    constraints: tuple[Constraint, ...] = ()
    delivered: Delivered | None = None


class Refused(Decision, frozen=True, kw_only=True, tag="refused"):
    """
    The crossing does not hold. A refused handoff is over; a refused result may be corrected.

    *gate* names the first that said no (``router`` for the router's own checks). *told* is the agent that got the
    notice, null where no signature proved a sender.
    """

    gate: str
    kind: Literal["handoff", "result", "plan", "progress", "usage", "unreadable"]
    told: AgentRef | None = None
    source: AgentRef | None = None
    dispatch: str | None = None
    contract: ContractRef | None = None


class Held(Decision, frozen=True, kw_only=True, tag="held"):
    """The crossing waits for people; the approval workflow opens a request on it."""

    approvers: tuple[Approvers, ...]
    action_sha256: str
    authority: Authority
    constraints: tuple[Constraint, ...] = ()
    receiver: AgentRef
    contract: ContractRef
    expires_at: int


class JudgeAgain(Decision, frozen=True, kw_only=True, tag="judge-again"):
    """The *gates* are asked again, for the attempt that *subject* names, not before *not_before*."""

    why: Literal["retry", "reroute", "throttle", "requeue", "release"]
    gates: tuple[str, ...]
    not_before: int | None = None
    exclude: tuple[AgentRef, ...] = ()


class Accepted(Decision, frozen=True, kw_only=True, tag="accepted"):
    """
    The result closes *dispatch* of the handoff *answers*; *spent* is its final figure.

    *outcome* is what it counts as: a result that says ``success`` with a critical gap counts as ``partial``.
    *delivered* is as in ``dispatched``.
    """

    dispatch: str
    answers: str
    outcome: Outcome
    source: AgentRef
    spent: Spent | None = None
    gaps: tuple[Gap, ...] = ()
    delivered: Delivered | None = None


class Noted(Decision, frozen=True, kw_only=True, tag="noted"):
    """Progress, usage or a plan was taken down; *spent* is the cumulative amount of *dispatch*."""

    what: Literal["progress", "usage", "plan"]
    dispatch: str
    spent: Spent | None = None
    note: str | None = None


class Overrun(Decision, frozen=True, kw_only=True, tag="overrun"):
    """*dispatch* spent more than its stamp allows; its tree is cancelled."""

    dispatch: str
    ceiling_micro_usd: int
    spent: Spent


class Tried(Wire, frozen=True, kw_only=True):
    """One dispatch of a handoff that brought nothing back, and why it ended."""

    dispatch: str
    receiver: AgentRef
    why: Why | None = None


class Escalated(Decision, frozen=True, kw_only=True, tag="escalated"):
    """
    The work could not be done as agreed and is put before *to*.

    Where somebody of *chain* is known to the platform, it opens a **case**: *case* is the dispatch made to *desk*,
    under which the work is put back. The same case is announced again for each *level* of the chain that is asked.
    *answer_by* is when the next one is asked, *expires_at* when the case ends unanswered; *tried* says what was
    done before. Without a case these are null or empty, and the handoff has failed.
    """

    to: str
    why: Why
    case: str | None = None
    desk: AgentRef | None = None
    level: int = 0
    chain: tuple[str, ...] = ()
    tried: tuple[Tried, ...] = ()
    opened_at: int | None = None
    answer_by: int | None = None
    expires_at: int | None = None
    contract: ContractRef | None = None


class Closed(Decision, frozen=True, kw_only=True, tag="closed"):
    """
    A dispatch, or with *final* the whole handoff, is over without an accepted result.

    *dispatch* is null where the handoff was never dispatched, and where a further try of it was ``refused``.
    """

    dispatch: str | None = None
    why: Why
    final: bool
    contract: ContractRef | None = None


class TaskEnded(Decision, frozen=True, kw_only=True, tag="task-ended"):
    """
    The task is over; *spent_micro_usd* is the sum of what its dispatches reported.

    *gaps* are what its answer lacks: the labels of everything below, all the way up.
    """

    outcome: TaskOutcome
    crossings: int
    refused: int
    spent_micro_usd: int | None = None
    gaps: tuple[Gap, ...] = ()


class BreakerMoved(Decision, frozen=True, kw_only=True, tag="breaker-moved"):
    """
    The breaker of *agent* stands otherwise, in this *partition* of the router's work.

    *failures* counts those in a row; an open one stays so until *open_until*.
    """

    agent: AgentRef
    state: Literal["closed", "half-open", "open"]
    failures: int = 0
    open_until: int | None = None
    partition: int


AnyDecision = (
    Dispatched
    | Refused
    | Held
    | JudgeAgain
    | Accepted
    | Noted
    | Overrun
    | Escalated
    | Closed
    | TaskEnded
    | BreakerMoved
)
