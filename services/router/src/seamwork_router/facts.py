"""Keep of a crossing what later decisions need, and nothing of its payload."""

from typing import Literal

from seamwork.records.authority import Authority, Constraint, Spent
from seamwork.records.base import Wire
from seamwork.records.crossing import (
    AnyCrossing,
    CarriedStamp,
    Crossing,
    Drill,
    Handoff,
    Mode,
    Outcome,
    Plan,
    Progress,
    Result,
    Subtask,
    content_digest,
)
from seamwork.records.delivery import TakenIn
from seamwork.records.envelope import AnyEnvelope, EnvelopeError, decode
from seamwork.records.inbox import Work
from seamwork.records.parties import AgentRef, ContractRef, Position, Subject, Target
from seamwork.records.verdict import SignedRecord
from seamwork.records.wire import Malformed, Received

Kind = Literal["handoff", "result", "plan", "progress", "usage", "unreadable"]


class Asked(Wire, frozen=True, kw_only=True):
    """What a handoff asks for."""

    mode: Mode
    parent: str | None
    step: str
    ordinal: int
    contract: ContractRef
    target: Target
    constraints: tuple[Constraint, ...]
    authority: Authority | None
    ceiling_micro_usd: int
    fallback_owner: str | None
    deadline_at: int
    payload_sha256: str = ""
    payload_bytes: int = 0
    contract_versions: str | None = None
    drill: Drill | None = None


class Answered(Wire, frozen=True, kw_only=True):
    """What a result answers; *skipped* where it says that the step was left out."""

    parent: str
    contract: ContractRef
    outcome: Outcome
    ordinal: int
    constraints: tuple[Constraint, ...]
    skipped: bool = False


class Planned(Wire, frozen=True, kw_only=True):
    """How a dispatch means to divide its work."""

    parent: str
    contract: ContractRef
    subtasks: tuple[Subtask, ...]
    constraints: tuple[Constraint, ...]


class Facts(Wire, frozen=True, kw_only=True):
    """
    One record of ``handoffs`` as the router remembers it.

    *id*, *task* and *source* are empty where the record could not be read. *dispatch* is the one that the carried
    stamp (or the record itself) names; nobody has verified it here. *handoff* is there for handoffs alone, *result*
    for results alone, *plan* for plans alone. *order* is the person's word that a desk carries, with the payload
    that it must be about; *took* is what a result or an acceptance says that its sender worked with.
    """

    kind: Kind
    partition: int
    offset: int
    digest: str
    appended_at: int
    key: str | None
    id: str = ""
    task: str = ""
    source: AgentRef | None = None
    content: str = ""
    expires_at: int = 0
    intent_sha256: str = ""
    dispatch: str | None = None
    handoff: Asked | None = None
    result: Answered | None = None
    plan: Planned | None = None
    note: str | None = None
    spent: Spent | None = None
    order: SignedRecord | None = None
    payload_sha256: str | None = None
    took: TakenIn | None = None

    @property
    def position(self) -> Position:
        """Where the record lies in ``handoffs``."""
        return Position(partition=self.partition, offset=self.offset)

    @property
    def own_key(self) -> str:
        """
        The name under which the id is remembered.

        An id belongs to the agent that signed it, so no agent can take up another's by being first.
        """
        return f"{self.source.agent if self.source else ''}/{self.id}"

    def subject(self, attempt: int) -> Subject:
        """Return what a verdict on *attempt* names."""
        return Subject(partition=self.partition, offset=self.offset, digest=self.digest, attempt=attempt)


def facts_of(received: Received[AnyEnvelope] | Malformed) -> Facts:
    """Take down what will be needed of a record in ``handoffs``; what is no crossing counts as unreadable."""
    raw = received.raw
    if isinstance(received, Malformed) or not isinstance(received.record, AnyCrossing):
        key = received.key if isinstance(received, Received) else _readable(raw.key)
        return Facts(
            kind="unreadable",
            partition=raw.partition,
            offset=raw.offset,
            digest=received.digest,
            appended_at=raw.appended_at,
            key=key,
        )
    record = received.record
    return Facts(
        kind=_kind(record),
        partition=raw.partition,
        offset=raw.offset,
        digest=received.digest,
        appended_at=raw.appended_at,
        key=received.key,
        id=record.id,
        task=record.task,
        source=record.source,
        content=content_digest(record),
        expires_at=record.expires_at,
        intent_sha256=record.intent_sha256,
        dispatch=record.dispatch if not isinstance(record, Handoff) else _dispatch_of(record.stamp),
        handoff=_asked(record) if isinstance(record, Handoff) else None,
        result=_answered(record) if isinstance(record, Result) else None,
        plan=_planned(record) if isinstance(record, Plan) else None,
        note=record.note if isinstance(record, Progress) else None,
        spent=None if isinstance(record, Plan | Progress) else record.spent,
        order=record.order if isinstance(record, Handoff | Result) else None,
        took=record.took if isinstance(record, Result | Progress) else None,
        payload_sha256=record.payload_sha256
        if isinstance(record, Handoff | Result) and record.order is not None
        else None,
    )


def _kind(record: Crossing) -> Kind:
    match record:
        case Handoff():
            return "handoff"
        case Result():
            return "result"
        case Plan():
            return "plan"
        case Progress():
            return "progress"
        case _:
            return "usage"


def _asked(record: Handoff) -> Asked:
    return Asked(
        mode=record.mode,
        parent=record.parent,
        step=record.step,
        ordinal=record.ordinal,
        contract=record.contract,
        target=record.target,
        constraints=record.constraints,
        authority=record.authority,
        ceiling_micro_usd=record.ceiling_micro_usd,
        fallback_owner=record.fallback_owner,
        deadline_at=record.deadline_at,
        payload_sha256=record.payload_sha256,
        payload_bytes=record.payload_bytes,
        contract_versions=record.contract_versions,
        drill=record.drill,
    )


def _answered(record: Result) -> Answered:
    return Answered(
        parent=record.parent,
        contract=record.contract,
        outcome=record.outcome,
        ordinal=record.ordinal,
        constraints=record.constraints,
        skipped=any(step.state == "skipped" for step in record.steps),
    )


def _planned(record: Plan) -> Planned:
    return Planned(
        parent=record.parent,
        contract=record.contract,
        subtasks=record.subtasks,
        constraints=record.constraints,
    )


def _dispatch_of(stamp: CarriedStamp | None) -> str | None:
    if stamp is None:
        return None
    try:
        work = decode(stamp.envelope.encode("ascii"))
    except (EnvelopeError, UnicodeEncodeError):
        return None  # the validator names it; without a dispatch no check of ours lets it pass
    return work.dispatch if isinstance(work, Work) else None


def _readable(key: bytes | None) -> str | None:
    if key is None:
        return None
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        return None
