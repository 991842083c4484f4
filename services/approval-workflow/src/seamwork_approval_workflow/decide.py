"""
Decide when enough people have agreed to an action that was held.

Rule 1: a request is about one action: this crossing, this receiver, this authority, these constraints. Another one
is another request, and the old one is withdrawn.
Rule 2: an answer counts by the person's own signature alone, and travels with the verdict.
Rule 3: one rejection is a no. Running out of time is not a rejection, and says so.
Rule 4: asked again for the same action and the same approvers, people need not answer again.
Rule 5: what cannot be asked (the record or its contract is not there, nobody is named, no record has room for the
question) is a no.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from seamwork.catalog import Catalog, Context
from seamwork.catalog.replies import has_role, still_counts
from seamwork.contracts.compiled import ContractError, compile_contract
from seamwork.contracts.facts import envelope_facts, task_facts
from seamwork.decider import DECISIONS, Input, Output, Publish, Tick, WithCrossing, vote
from seamwork.grants.action import action_sha256
from seamwork.grants.entitlement import entitlement
from seamwork.grants.evidence import evidence_bytes, most_evidence
from seamwork.grants.stamps import StampProblem
from seamwork.ids import request_id
from seamwork.records.crossing import Handoff, Plan, Result
from seamwork.records.decision import Accepted, Closed, Dispatched, Held, Refused, TaskEnded
from seamwork.records.envelope import MAX_ENVELOPE_BYTES, AnyEnvelope, encode
from seamwork.records.parties import DocumentRef, Position, Subject
from seamwork.records.people import ApprovalEnd, ApprovalRequest
from seamwork.records.verdict import SignedRecord, Verdict
from seamwork.records.wire import Malformed, Received
from seamwork_approval_workflow import __version__
from seamwork_approval_workflow.answers import answer_summary
from seamwork_approval_workflow.plans import plan_summary
from seamwork_approval_workflow.replies import weigh
from seamwork_approval_workflow.state import (
    HORIZON_MS,
    Answered,
    Asked,
    AskedAgain,
    Desk,
    Ended,
    Event,
    Forgotten,
    NotAsked,
    Repeated,
    ReplyIgnored,
    Request,
    place_key,
)

GATE = "approval-workflow"
APPROVALS = "approvals.v1"
ANSWERS = "answers.v1"
AT_ONCE = 500

REJECTED = "approval-rejected"
EXPIRED = "approval-expired"


@dataclass(frozen=True, slots=True)
class Unaskable:
    """Why nobody can be asked: a stable *rule* and a *reason*."""

    rule: str
    reason: str


def approval_workflow(platform: str, wait_ms: int) -> Callable[[Desk, Input, Context], Sequence[Event]]:
    """
    Return ``decide``.

    Args:
        platform: The platform's id; signatures cover it.
        wait_ms: How long people have at most, whatever the deadline of the work.
    """

    def decide(desk: Desk, given: Input, context: Context) -> Sequence[Event]:
        """Ask about what is held, count answers, end requests that are answered, expired or needed no more."""
        match given:
            case WithCrossing(decision=Received(record=Held() as held), crossing=crossing):
                return tuple(_held(desk, held, crossing, Asking(platform, wait_ms, context)))
            case Received() | Malformed() if given.raw.topic == ANSWERS:
                return tuple(_answered(desk, platform, given, context))
            case Received(record=Refused() | Closed() | Dispatched() | Accepted() | TaskEnded() as decision):
                return tuple(_withdrawn(desk, decision, context))
            case Tick(most=most):
                return tuple(_due(desk, context, most or AT_ONCE))
            case _:
                return ()

    return decide


def needs_crossing(received: Received[AnyEnvelope]) -> Position | None:
    """Name the crossing that must be at hand: the one that is held."""
    match received:
        case Received(record=Held(subject=Subject() as subject)) if received.raw.topic == DECISIONS:
            return subject.position
        case _:
            return None


def outputs(event: Event) -> Sequence[Output]:
    """Return the request for people to read, its end, and the verdict, to the partition of its subject."""
    match event:
        case Asked(request=request) | AskedAgain(request=request):
            return (_said(request, request.subject.position),)
        case Ended(end=end, verdict=None):
            return (_said(end, None),)
        case Ended(end=end, verdict=Verdict() as verdict):
            return (_said(end, verdict.subject.position), vote(verdict))
        case Repeated(verdict=verdict) | NotAsked(verdict=verdict):
            return (vote(verdict),)
        case _:
            return ()


# ── asking ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Asking:
    """Where and when is asked."""

    platform: str
    wait_ms: int
    context: Context


def _held(
    desk: Desk, held: Held, crossing: Received[AnyEnvelope] | Malformed, asking: Asking
) -> Iterator[Event]:
    subject = held.subject
    if subject is None or desk.refused.get(place_key(subject), 0) >= subject.attempt:
        return
    request = desk.requests.get(request_id(subject.partition, subject.offset, held.action_sha256))
    if request is not None and request.attempt >= subject.attempt:
        return
    now = asking.context.now
    for other in desk.open_of(held.task):
        if place_key(other.asked.subject) == place_key(subject) and other is not request:
            yield _end(other, "withdrawn", now)
    found = _question(held, subject, crossing, asking)
    if isinstance(found, Unaskable):
        if request is not None and request.how is None:
            yield _end(request, "withdrawn", now)
        ruling = Ruling("DENY", found.rule, found.reason)
        verdict = _verdict(subject, held.task, held.crossing, ruling, asking.context)
        yield NotAsked(verdict=verdict, until=max(held.expires_at, now) + HORIZON_MS)
        return
    if request is None or set(request.asked.approvers) != set(found.approvers):
        yield Asked(request=found)
    elif request.how == "approved" and _suffices(request, asking.context):
        yield Repeated(request=found.id, verdict=_approved(request, subject, asking.context))
    elif request.how == "rejected":
        yield Repeated(request=found.id, verdict=_rejected(request, subject, asking.context))
    else:
        yield AskedAgain(request=found)


def _question(
    held: Held, subject: Subject, crossing: Received[AnyEnvelope] | Malformed, asking: Asking
) -> ApprovalRequest | Unaskable:
    """Write what people read, or say why it cannot be written."""
    context = asking.context
    asking_for = crossing.record if isinstance(crossing, Received) else None
    if (
        not isinstance(crossing, Received)
        or not isinstance(asking_for, Handoff | Plan | Result)
        or crossing.digest != subject.digest
    ):
        return Unaskable(
            "crossing-changed", "the record at the subject's position is not the one that is held"
        )
    if not held.approvers:
        return Unaskable("nobody-to-ask", "approvers is empty: nobody is named who could agree")
    action = action_sha256(crossing.digest, held.receiver, held.authority, held.constraints)
    if action != held.action_sha256:
        return Unaskable(
            "action-differs", "action_sha256 is not the digest of the action that the decision describes"
        )
    contract = context.catalog.contract(held.contract)
    if contract is None:
        return Unaskable("contract-unknown", "the contract whose summary people would read is not known")
    stamp = entitlement(crossing, asking_for, asking.platform, context.catalog.key)
    if isinstance(stamp, StampProblem):
        return Unaskable("sender-not-proved", f"{stamp.reason} ({stamp.rule})")
    try:
        compiled = compile_contract(contract)
    except ContractError:
        return Unaskable("contract-broken", "the contract whose summary people would read cannot be used")
    if isinstance(asking_for, Plan):
        readable = plan_summary(asking_for)
    elif isinstance(asking_for, Result):
        readable = answer_summary(asking_for, held, compiled.masked(crossing.payload, asking_for.outcome))
    else:
        root = context.catalog.agent(asking_for.source) if stamp is None else None
        envelope = {**envelope_facts(asking_for, held.authority), "receiver": held.receiver.agent}
        readable = compiled.summary(crossing.payload, envelope, task_facts(asking_for, stamp, root))
    request = ApprovalRequest(
        id=request_id(subject.partition, subject.offset, held.action_sha256),
        task=asking_for.task,
        crossing=asking_for.id,
        subject=subject,
        action_sha256=held.action_sha256,
        approvers=held.approvers,
        source=asking_for.source,
        receiver=held.receiver,
        contract=held.contract,
        authority=held.authority,
        constraints=held.constraints,
        intent=asking_for.intent,
        state=readable.state,
        proposed=readable.proposed,
        asked=readable.asked,
        on_approve=readable.on_approve,
        on_reject=readable.on_reject,
        asked_at=context.now,
        expires_at=min(held.expires_at, context.now + asking.wait_ms),
    )
    size = len(encode(request))
    if size <= MAX_ENVELOPE_BYTES:
        return request
    return Unaskable(
        "request-too-large",
        f"what people would read takes {size} bytes, {MAX_ENVELOPE_BYTES} fit into a record: the intent, "
        "with what the contract's summary shows, is too long",
    )


# ── counting ─────────────────────────────────────────────────────────────────────────


def _answered(
    desk: Desk, platform: str, received: Received[AnyEnvelope] | Malformed, context: Context
) -> Iterator[Event]:
    counted = weigh(desk, platform, received, context)
    yield counted
    if isinstance(counted, ReplyIgnored):
        return
    request = desk.requests[counted.request]
    if counted.answer == "reject":
        verdict = _rejected(request, request.asked.subject, context, counted)
        yield _end(request, "rejected", context.now, verdict, (counted.person,))
        return
    if _suffices(request, context, counted):
        verdict = _approved(request, request.asked.subject, context, counted)
        people = tuple(sorted(_yes(request, context, counted)))
        yield _end(request, "approved", context.now, verdict, people)


def _yes(request: Request, context: Context, counted: Answered | None) -> dict[str, SignedRecord]:
    """Return who agrees, with the answer that is counted right now; left out is what does not count any more."""
    agreed = {person: one.evidence for person, one in request.answers.items() if one.answer == "approve"}
    if counted is not None:
        agreed[counted.person] = counted.evidence
    catalog, now = context.catalog, context.now
    return {
        person: evidence
        for person, evidence in agreed.items()
        if still_counts(person, evidence, catalog, now)
    }


def _suffices(request: Request, context: Context, counted: Answered | None = None) -> bool:
    """Say whether enough different people agree, for each of the demands."""
    yes = _yes(request, context, counted)
    return all(
        sum(has_role(context.catalog, person, demand, context.now) for person in yes) >= demand.count
        for demand in request.asked.approvers
    )


def _enough(request: Request, context: Context, yes: Iterable[str]) -> tuple[str, ...]:
    """Return as many of those who agree as the demands need: there is room in a verdict for their answers."""
    enough: set[str] = set()
    for demand in request.asked.approvers:
        having = [one for one in sorted(yes) if has_role(context.catalog, one, demand, context.now)]
        enough |= set(having[: demand.count])
    return tuple(sorted(enough))


def _approved(
    request: Request, subject: Subject, context: Context, counted: Answered | None = None
) -> Verdict:
    asked, yes = request.asked, _yes(request, context, counted)
    people = _enough(request, context, yes)
    reason = f"{', '.join(people)} agreed to this action"
    ruling = Ruling("ALLOW", "approved", reason, people, tuple(yes[person] for person in people), asked)
    return _verdict(subject, asked.task, asked.crossing, ruling, context)


def _rejected(
    request: Request, subject: Subject, context: Context, counted: Answered | None = None
) -> Verdict:
    asked = request.asked
    no = {person: one.evidence for person, one in request.answers.items() if one.answer == "reject"}
    if counted is not None:
        no[counted.person] = counted.evidence
    people = tuple(sorted(no))
    reason = f"{', '.join(people)} rejected this action"
    # A no is one whether or not there is room for what was said with it.
    evidence = tuple(no[person] for person in people if evidence_bytes(no[person]) <= most_evidence(()))
    ruling = Ruling("DENY", REJECTED, reason, people, evidence, asked)
    return _verdict(subject, asked.task, asked.crossing, ruling, context)


# ── ending ───────────────────────────────────────────────────────────────────────────


def _withdrawn(
    desk: Desk, decision: Refused | Closed | Dispatched | Accepted | TaskEnded, context: Context
) -> Iterator[Event]:
    for request in desk.open_of(decision.task):
        if isinstance(decision, TaskEnded) or _ends(decision, request.asked):
            yield _end(request, "withdrawn", context.now)


def _ends(decision: Refused | Closed | Dispatched | Accepted, asked: ApprovalRequest) -> bool:
    if isinstance(decision, Refused) and decision.kind not in {"handoff", "plan", "result"}:
        return False
    if isinstance(decision, Closed) and not decision.final:
        return False
    if decision.subject is not None:
        return place_key(decision.subject) == place_key(asked.subject)
    return decision.crossing == asked.crossing


def _due(desk: Desk, context: Context, most: int) -> Iterator[Event]:
    expired = sorted((at, one) for one, at in desk.waiting.items() if at <= context.now)
    for _, one in expired[:most]:
        request = desk.requests[one]
        asked = request.asked
        reason = f"nobody decided in time: {len(request.answers)} agreed, which is not enough"
        ruling = Ruling("DENY", EXPIRED, reason, asked=asked)
        verdict = _verdict(asked.subject, asked.task, asked.crossing, ruling, context)
        yield _end(request, "expired", context.now, verdict, tuple(sorted(request.answers)))
    for due in sorted(due for due in map(int, desk.due) if due <= context.now)[:most]:
        yield Forgotten(due=due)


def _end(
    request: Request, how: str, now: int, verdict: Verdict | None = None, people: tuple[str, ...] = ()
) -> Ended:
    asked = request.asked
    end = ApprovalEnd(id=asked.id, task=asked.task, how=how, people=people, ended_at=now)  # type: ignore[arg-type]  # one of the four
    return Ended(end=end, verdict=verdict, until=max(asked.expires_at, now) + HORIZON_MS)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the gate says, and whose signed answers it says it by."""

    outcome: str
    rule: str
    reason: str
    people: tuple[str, ...] = ()
    evidence: tuple[SignedRecord, ...] = ()
    asked: ApprovalRequest | None = None


def _verdict(
    subject: Subject, task: str | None, crossing: str | None, ruling: Ruling, context: Context
) -> Verdict:
    asked = ruling.asked
    return Verdict(
        gate=GATE,
        gate_version=__version__,
        subject=subject,
        task=task,
        crossing=crossing,
        outcome=ruling.outcome,
        rule=ruling.rule,
        reason=ruling.reason,
        candidates=(asked.receiver,) if asked is not None and ruling.outcome == "ALLOW" else None,
        evidence=ruling.evidence,
        consulted=_consulted(context.catalog, asked, ruling.people, context.now),
        revision=context.catalog.revision,
        judged_at=context.now,
    )


def _consulted(
    catalog: Catalog, asked: ApprovalRequest | None, people: Sequence[str], at: int
) -> tuple[DocumentRef, ...]:
    if asked is None:
        return ()
    documents = [catalog.contract(asked.contract), *(catalog.person(person, at) for person in people)]
    return tuple(catalog.reference(document) for document in documents if document is not None)


def _said(record: ApprovalRequest | ApprovalEnd, about: Position | None) -> Publish:
    return Publish(APPROVALS, record.task, record, trace_of=about)
