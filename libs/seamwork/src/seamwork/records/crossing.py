"""
Describe what agents write: handoffs and results, plans, and the progress and usage that accompany them.

The payload is the body of the record and is not in here; ``payload_sha256`` binds it.
"""

from typing import Any, Literal

import msgspec

from seamwork.ids import length_prefixed, sha256_hex
from seamwork.records.authority import Authority, Constraint, Spent
from seamwork.records.base import Envelope, Wire
from seamwork.records.delivery import TakenIn
from seamwork.records.parties import AgentRef, ContractRef, Target
from seamwork.records.verdict import SignedRecord

Outcome = Literal["success", "partial", "error"]
Mode = Literal["delegate", "transfer"]
Lack = Literal["missing", "partial", "error", "refused", "failed", "expired", "cancelled"]
"""Why an answer is not whole, or none."""


class CarriedStamp(Wire, frozen=True, kw_only=True):
    """
    The stamp under which an agent acts, as it received it.

    *envelope* is the exact ASCII text of the ``work`` record's envelope; *kid* and *sig* (base64) are the router's
    signature over that record, so that anyone can verify it offline (``seamwork.grants``).
    """

    envelope: str
    kid: str
    sig: str


class StepState(Wire, frozen=True, kw_only=True):
    """Where one step of the task stands, as its sender knows it."""

    name: str
    state: Literal["completed", "in_progress", "skipped", "deferred"]
    by: str | None = None


class ToolOutput(Wire, frozen=True, kw_only=True):
    """One typed object that a tool returned and the next agent may rely on."""

    tool: str
    call: str
    media_type: str = "application/json"
    value: Any = None


class Crossing(Envelope, frozen=True, kw_only=True):
    """
    What every crossing says.

    *stamp* is null on a root handoff alone. *intent* is the initiator's, verbatim, on every crossing of a task;
    *sent_at* is the sender's clock and data only: validity is judged at the append time.
    """

    id: str
    task: str
    source: AgentRef
    intent: str
    intent_sha256: str
    payload_sha256: str
    payload_bytes: int
    sent_at: int
    expires_at: int
    stamp: CarriedStamp | None = None
    model: str | None = None
    prompt_sha256: str | None = None


class Gap(Wire, frozen=True, kw_only=True):
    """
    What is missing of a whole: a step whose answer is partial, or never came, and why.

    *step* is a path from the whole down (``collect/parse#3``). One that is not *critical* was skipped: the whole is
    none the less for it, and says so.
    """

    step: str
    why: Lack
    critical: bool = True


class Subtask(Wire, frozen=True, kw_only=True):
    """
    One piece of a plan: what is to be handed to whom under which contract.

    *after* names the subtasks whose answers it needs; all others run beside it. Of one that is not *critical* the
    whole does not depend.
    """

    step: str
    ordinal: int = 0
    contract: ContractRef
    target: Target
    after: tuple[str, ...] = ()
    critical: bool = True

    @property
    def name(self) -> str:
        """What other subtasks, and labels, call it."""
        return step_name(self.step, self.ordinal)


def step_name(step: str, ordinal: int) -> str:
    """Return the name of one piece of a step: the step, and which of several."""
    return step if ordinal == 0 else f"{step}#{ordinal}"


class Drill(Wire, frozen=True, kw_only=True):
    """
    What makes a root handoff a drill: it is judged like any other, and then put before people on purpose.

    *in_place_of* is whose seam is tried, *cause* what the work counts as having failed of. *answer_ms* gives each
    of the chain less time than the contract does. Nothing of a drill ever reaches an agent but the desk.
    """

    in_place_of: AgentRef
    cause: Literal["violation", "timeout", "error"] = "violation"
    answer_ms: int | None = None


class Handoff(Crossing, frozen=True, kw_only=True, tag="handoff"):
    """
    Work that goes out.

    *parent* is the crossing whose dispatch the sender works on, null on a root. ``delegate`` expects the result
    back; ``transfer`` hands the sender's own place to the receiver. *authority* null asks for all that the stamp
    gives, with one level of depth less. *spent* is the final figure of a sender that transfers. *order* is the
    signed word of the person who puts work back that was escalated, or who begins a *drill*; no other crossings
    carry one.
    *contract_versions* is a range: its sender takes any version in it, and the highest that is agreed on counts.
    """

    mode: Mode = "delegate"
    parent: str | None = None
    step: str
    ordinal: int = 0
    contract: ContractRef
    contract_versions: str | None = None
    target: Target
    steps: tuple[StepState, ...] = ()
    tool_outputs: tuple[ToolOutput, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    authority: Authority | None = None
    ceiling_micro_usd: int = 0
    fallback_owner: str | None = None
    deadline_at: int
    spent: Spent | None = None
    order: SignedRecord | None = None
    drill: Drill | None = None


class Result(Crossing, frozen=True, kw_only=True, tag="result"):
    """
    What comes back for one dispatch, under the contract it was dispatched with.

    *parent* is the crossing answered, *dispatch* the dispatch that the carried stamp opened. *order* is as in a
    handoff: the signed word of the person who skips or fails escalated work. *took* is what its sender worked with.
    """

    parent: str
    dispatch: str
    contract: ContractRef
    outcome: Outcome
    ordinal: int = 0
    steps: tuple[StepState, ...] = ()
    tool_outputs: tuple[ToolOutput, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    spent: Spent | None = None
    order: SignedRecord | None = None
    took: TakenIn | None = None


class Plan(Crossing, frozen=True, kw_only=True, tag="plan"):
    """
    How one dispatch means to divide its work, before it hands any of it on; its body is empty.

    *parent* is the crossing worked on, *dispatch* the dispatch that the carried stamp opened, *contract* the one
    that its work is done under. Once adopted, what the dispatch hands on must stand in it, and its result is held
    against it. *ordinal* counts the plans of one crossing: after a refused one comes the next.
    """

    parent: str
    dispatch: str
    contract: ContractRef
    ordinal: int = 0
    subtasks: tuple[Subtask, ...]
    constraints: tuple[Constraint, ...] = ()


class Progress(Crossing, frozen=True, kw_only=True, tag="progress"):
    """
    A sign of life for one dispatch, with a note for people; its body is empty.

    One with *accepted_work* is the acceptance: *took* says what its sender is about to work with.
    """

    dispatch: str
    ordinal: int
    note: str
    accepted_work: bool = False
    took: TakenIn | None = None


class Usage(Crossing, frozen=True, kw_only=True, tag="usage"):
    """What one dispatch has spent so far, cumulative; its body is empty."""

    dispatch: str
    ordinal: int
    spent: Spent


AnyCrossing = Handoff | Result | Plan | Progress | Usage


def content_digest(crossing: AnyCrossing) -> str:
    """
    Say what a crossing *means*, apart from when and under which stamp and agent version it was sent.

    Two crossings of one id with equal content are a repeat; with different content they are a conflict.
    """
    meaning: list[object] = [
        type(crossing).__name__,
        crossing.task,
        crossing.source.agent,
        crossing.intent_sha256,
    ]
    meaning.append(crossing.payload_sha256)
    match crossing:
        case Handoff():
            meaning += [crossing.mode, crossing.parent, crossing.step, crossing.ordinal, crossing.contract]
            meaning += [crossing.target, crossing.constraints, crossing.authority, crossing.ceiling_micro_usd]
            meaning += [] if crossing.contract_versions is None else [crossing.contract_versions]
            meaning += [] if crossing.drill is None else [crossing.drill]
        case Result():
            meaning += [crossing.parent, crossing.dispatch, crossing.contract, crossing.outcome]
            meaning += [crossing.constraints]
        case Plan():
            meaning += [crossing.parent, crossing.contract, crossing.ordinal, crossing.subtasks]
        case Progress():
            meaning += [crossing.dispatch, crossing.ordinal, crossing.note]
        case Usage():
            meaning += [crossing.dispatch, crossing.ordinal, crossing.spent]
    return sha256_hex(length_prefixed(b"content", msgspec.json.encode(meaning)))
