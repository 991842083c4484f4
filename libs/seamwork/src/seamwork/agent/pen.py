"""
Write the crossings of one dispatch as its stamp demands: intent verbatim, constraints grown, ids derived.

Pure but for the signature: time comes in, records go out. The first crossing of a task has no stamp; ``root``
writes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from seamwork.agent.inbox import HANDOFFS, Offer
from seamwork.agent.trace import child_of
from seamwork.contracts.counters import COUNTERS
from seamwork.errors import MisconfiguredError
from seamwork.grants.authority import united
from seamwork.ids import accompaniment_id, answer_id, child_id, plan_id, sha256_hex
from seamwork.records.authority import Authority, Constraint, Spent
from seamwork.records.base import Envelope, tag_of
from seamwork.records.crossing import (
    Drill,
    Handoff,
    Mode,
    Outcome,
    Plan,
    Progress,
    Result,
    StepState,
    Subtask,
    ToolOutput,
    Usage,
)
from seamwork.records.delivery import TakenIn
from seamwork.records.envelope import EnvelopeError, decode
from seamwork.records.parties import AgentRef, ContractRef, Target
from seamwork.records.verdict import SignedRecord
from seamwork.records.wire import SW_ENVELOPE, Outgoing, Signer, compose

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
LIFE_MS = 23 * HOUR_MS
"""A crossing may live for 24 hours of the broker's clock; ours may be wrong by the hour that is left out."""

_EMPTY_SHA256 = sha256_hex(b"")


class UnwritableError(MisconfiguredError):
    """What was to be written is no crossing that anybody would read; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a handoff asks for, before it is put in an envelope."""

    target: Target
    contract: ContractRef
    contract_versions: str | None = None
    payload: bytes
    step: str
    ordinal: int = 0
    mode: Mode = "delegate"
    constraints: tuple[Constraint, ...] = ()
    authority: Authority | None = None
    ceiling_micro_usd: int = 0
    deadline_at: int
    fallback_owner: str | None = None
    steps: tuple[StepState, ...] = ()
    tool_outputs: tuple[ToolOutput, ...] = ()
    spent: Spent | None = None
    order: SignedRecord | None = None
    drill: Drill | None = None


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes: agent, version, key, platform, and what it runs on where that is a model."""

    me: AgentRef
    platform: str
    signer: Signer
    model: str | None = None
    prompt_sha256: str | None = None

    def record(self, task: str, crossing: Envelope, payload: bytes, traceparent: str) -> Outgoing:
        """
        Sign and compose one crossing.

        Structs take any value for any field, and who reads an envelope that does not fit its type tells its writer
        nothing: so it is read here first.

        Raises:
            UnwritableError: It does not fit, or is larger than an envelope may be.
        """
        try:
            written = compose(
                self.platform,
                HANDOFFS,
                task,
                crossing,
                payload=payload,
                signer=self.signer,
                traceparent=traceparent,
            )
            decode(dict(written.headers)[SW_ENVELOPE] or b"")
        except (
            EnvelopeError,
            msgspec.EncodeError,
            TypeError,
            ValueError,
            ArithmeticError,
            RecursionError,
        ) as error:
            raise UnwritableError(f"the {tag_of(crossing)} cannot be written: {error}") from error
        return written


class Pen:
    """Writes what one dispatch sends."""

    def __init__(self, author: Author, offer: Offer) -> None:
        self._author = author
        self._offer = offer

    def child(self, step: str, ordinal: int) -> str:
        """Name the handoff of one step: the same on every run of the function."""
        return child_id(self._offer.work.crossing, self._author.me.agent, step, ordinal)

    def handoff(self, order: Order, now: int) -> Outgoing:
        """Write a handoff under the stamp."""
        work, offer = self._offer.work, self._offer
        crossing = Handoff(
            id=self.child(order.step, order.ordinal),
            task=work.task,
            source=self._author.me,
            intent=offer.handoff.intent,
            intent_sha256=work.intent_sha256,
            payload_sha256=sha256_hex(order.payload),
            payload_bytes=len(order.payload),
            sent_at=now,
            # Not its own deadline: its id must be remembered for as long as this work can run again.
            expires_at=min(work.not_after, now + LIFE_MS),
            stamp=offer.stamp,
            model=self._author.model,
            prompt_sha256=self._author.prompt_sha256,
            mode=order.mode,
            parent=work.crossing,
            step=order.step,
            ordinal=order.ordinal,
            contract=order.contract,
            contract_versions=order.contract_versions,
            target=order.target,
            steps=order.steps,
            tool_outputs=order.tool_outputs,
            constraints=united(work.constraints, order.constraints),
            authority=order.authority,
            ceiling_micro_usd=order.ceiling_micro_usd,
            fallback_owner=order.fallback_owner,
            deadline_at=order.deadline_at,
            spent=order.spent,
            order=order.order,
        )
        return self._record(crossing.id, crossing, order.payload)

    def result(
        self,
        outcome: Outcome,
        payload: bytes,
        ordinal: int,
        now: int,
        spent: Spent | None,
        steps: Iterable[StepState],
        order: SignedRecord | None = None,
    ) -> Outgoing:
        """Write the result of the dispatch."""
        work = self._offer.work
        crossing = Result(
            id=answer_id(work.dispatch, ordinal),
            task=work.task,
            source=self._author.me,
            intent=self._offer.handoff.intent,
            intent_sha256=work.intent_sha256,
            payload_sha256=sha256_hex(payload),
            payload_bytes=len(payload),
            sent_at=now,
            # After its stamp's end it counts for nothing, and its id need not be remembered for long; until a
            # minute after it, its sender is still told that this is why.
            expires_at=min(max(work.not_after, now) + MINUTE_MS, now + HOUR_MS),
            stamp=self._offer.stamp,
            model=self._author.model,
            prompt_sha256=self._author.prompt_sha256,
            parent=work.crossing,
            dispatch=work.dispatch,
            contract=work.contract,
            outcome=outcome,
            ordinal=ordinal,
            steps=tuple(steps),
            constraints=united(work.constraints),
            spent=spent,
            order=order,
            took=self._took(),
        )
        return self._record(crossing.id, crossing, payload)

    def plan(self, parts: tuple[Subtask, ...], ordinal: int, now: int) -> Outgoing:
        """Write how the work will be divided."""
        work = self._offer.work
        crossing = Plan(
            id=plan_id(work.crossing, self._author.me.agent, ordinal),
            task=work.task,
            source=self._author.me,
            intent=self._offer.handoff.intent,
            intent_sha256=work.intent_sha256,
            payload_sha256=_EMPTY_SHA256,
            payload_bytes=0,
            sent_at=now,
            expires_at=min(work.not_after, now + LIFE_MS),
            stamp=self._offer.stamp,
            model=self._author.model,
            prompt_sha256=self._author.prompt_sha256,
            parent=work.crossing,
            dispatch=work.dispatch,
            contract=work.contract,
            ordinal=ordinal,
            subtasks=parts,
            constraints=united(work.constraints),
        )
        return self._record(crossing.id, crossing, b"")

    def progress(self, note: str, ordinal: int, now: int, *, accepted_work: bool = False) -> Outgoing:
        """Write a sign of life."""
        work = self._offer.work
        crossing = Progress(
            id=accompaniment_id(work.dispatch, "progress", ordinal),
            task=work.task,
            source=self._author.me,
            intent=self._offer.handoff.intent,
            intent_sha256=work.intent_sha256,
            payload_sha256=_EMPTY_SHA256,
            payload_bytes=0,
            sent_at=now,
            expires_at=now + HOUR_MS,
            stamp=self._offer.stamp,
            dispatch=work.dispatch,
            ordinal=ordinal,
            note=note,
            accepted_work=accepted_work,
            took=self._took() if accepted_work else None,
        )
        return self._record(crossing.id, crossing, b"")

    def usage(self, spent: Spent, ordinal: int, now: int) -> Outgoing:
        """Write what was spent so far."""
        work = self._offer.work
        crossing = Usage(
            id=accompaniment_id(work.dispatch, "usage", ordinal),
            task=work.task,
            source=self._author.me,
            intent=self._offer.handoff.intent,
            intent_sha256=work.intent_sha256,
            payload_sha256=_EMPTY_SHA256,
            payload_bytes=0,
            sent_at=now,
            expires_at=now + HOUR_MS,
            stamp=self._offer.stamp,
            dispatch=work.dispatch,
            ordinal=ordinal,
            spent=spent,
        )
        return self._record(crossing.id, crossing, b"")

    def _took(self) -> TakenIn:
        """Say what lies before the function: the very bytes, counted as the stamp wants them counted."""
        payload, delivered = self._offer.payload, self._offer.work.delivered
        count = None if delivered is None else COUNTERS.get(delivered.counter or "")
        return TakenIn(
            sha256=sha256_hex(payload),
            bytes=len(payload),
            tokens=None if count is None else count(payload),
        )

    def _record(self, crossing_id: str, crossing: Envelope, payload: bytes) -> Outgoing:
        traceparent = child_of(self._offer.traceparent, crossing_id)
        return self._author.record(self._offer.work.task, crossing, payload, traceparent)


def root(author: Author, order: Order, *, task: str, crossing: str, intent: str, now: int) -> Outgoing:
    """Write the handoff that begins *task*; only an agent marked ``initiator`` may."""
    handoff = Handoff(
        id=crossing,
        task=task,
        source=author.me,
        intent=intent,
        intent_sha256=sha256_hex(intent.encode()),
        payload_sha256=sha256_hex(order.payload),
        payload_bytes=len(order.payload),
        sent_at=now,
        expires_at=min(order.deadline_at, now + LIFE_MS),
        model=author.model,
        prompt_sha256=author.prompt_sha256,
        step=order.step,
        contract=order.contract,
        contract_versions=order.contract_versions,
        target=order.target,
        constraints=united(order.constraints),
        authority=order.authority,
        ceiling_micro_usd=order.ceiling_micro_usd,
        fallback_owner=order.fallback_owner,
        deadline_at=order.deadline_at,
        order=order.order,
        drill=order.drill,
    )
    return author.record(task, handoff, order.payload, child_of(None, crossing))
