"""
Judge whether a crossing is what its contract says, from whom it says, under a stamp that is its sender's.

Rule 1: the checks stand in one order, from who speaks to what is said; the first that fails is the verdict.
Rule 2: nothing is believed before the signature is verified; only then may the sender be told.
Rule 3: what cannot be read is refused by its position, never skipped.
Rule 4: validity is judged at the append time, so a replay judges as the first run did.
Rule 5: a flow's mode spares what a contract refuses, in so many words on the refusal; never who speaks, under which
stamp, to whom, or what cannot be read.
"""

from collections.abc import Callable, Iterator, Sequence

from seamwork.catalog import Context
from seamwork.decider import Input, Output, WithCrossing, asked_again, vote
from seamwork.grants.stamps import verify_stamp
from seamwork.records.crossing import AnyCrossing, CarriedStamp, Handoff, Plan, Progress, Result
from seamwork.records.decision import JudgeAgain
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.inbox import Work
from seamwork.records.parties import Position, Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Malformed, Received
from seamwork_contract_validator.identity import identity_problem
from seamwork_contract_validator.judged import Allowed, Denied, Platform
from seamwork_contract_validator.promise import judge_handoff, judge_plan, judge_result
from seamwork_contract_validator.requests import answerable
from seamwork_contract_validator.stamp import carried_position, stamp_of

GATE = "contract-validator"

Decide = Callable[[Input, Context], Sequence[Output]]


def validator(platform: str, partitions: int, version: str) -> Decide:
    """
    Make the gate for one platform.

    Args:
        platform: The platform's id; signatures cover it.
        partitions: How many partitions ``handoffs`` has, to hold a record's place against its key.
        version: The gate's version, which its verdicts name.
    """
    place = Platform(platform, partitions)

    def decide(given: Input, context: Context) -> Sequence[Output]:
        return tuple(vote(verdict) for verdict in verdicts(place, version, given, context))

    return decide


def verdicts(place: Platform, version: str, given: Input, context: Context) -> Iterator[Verdict]:
    """Yield the verdict on what is given: one on a crossing, none on anything else."""
    match given:
        case WithCrossing(decision=Received(record=JudgeAgain()) as again, crossing=crossing, behind=behind):
            decision = again.record
            if isinstance(decision, JudgeAgain) and decision.subject and GATE in decision.gates:
                same = decision.subject.digest == crossing.digest
                found = (
                    judge(place, crossing, behind, context) if same else Denied("crossing-changed", _CHANGED)
                )
                yield _verdict(version, crossing, decision.subject.attempt, found, context)
        case WithCrossing(decision=Received(record=Result()) as result, crossing=request, behind=behind):
            yield _verdict(version, result, 1, judge(place, result, (request, *behind), context), context)
        case Received() | Malformed() if given.raw.topic == "handoffs.v1":
            yield _verdict(version, given, 1, judge(place, given, (), context), context)
        case _:
            return


def needs_crossing(received: Received[AnyEnvelope]) -> Position | None:
    """
    Name the record in ``handoffs`` that must be at hand: the crossing to judge again, or the request answered.

    The position of a request is read from the stamp before the stamp is verified; the digest in the verified stamp
    proves it afterwards.
    """
    match received.record:
        case JudgeAgain():
            return _asked_again(received)
        case Result(stamp=stamp) if stamp is not None:
            return carried_position(stamp)
        case _:
            return None


_asked_again = asked_again(GATE)


def stands_on(platform: str) -> Callable[[Received[AnyEnvelope], Context], Position | None]:
    """Name what a crossing answers, or whose place it takes over, by the stamp that it carries: a genuine one."""

    def position(received: Received[AnyEnvelope], context: Context) -> Position | None:
        match received.record:
            case (
                Result(stamp=CarriedStamp() as stamp)
                | Handoff(mode="transfer", stamp=CarriedStamp() as stamp)
            ):
                work = verify_stamp(stamp, platform, context.catalog.key, at=received.raw.appended_at)
                return work.position if isinstance(work, Work) else None
            case _:
                return None

    return position


def judge(
    place: Platform,
    crossing: Received[AnyEnvelope] | Malformed,
    behind: Sequence[Received[AnyEnvelope] | Malformed],
    context: Context,
) -> Allowed | Denied:
    """
    Judge one record of ``handoffs``.

    Args:
        place: The platform and its partition count.
        crossing: The record.
        behind: For a result, the record at the position that its stamp names; where that is a transfer, the one
            whose place it took over, and so on to the first.
        context: The catalog; the time does not matter here.
    """
    if isinstance(crossing, Malformed):
        return Denied(crossing.rule, crossing.reason)
    record = crossing.record
    if not isinstance(record, AnyCrossing):
        return Denied("wrong-type", "handoffs carries handoffs, results, plans, progress and usage alone")
    problem = identity_problem(place, crossing, record, context)
    if problem is not None:
        return problem
    work = stamp_of(place, crossing, record, context)
    if isinstance(work, Denied):
        return work
    match record:
        case Handoff():
            return judge_handoff(crossing, record, work, context)
        case Result():
            if work is None:
                return Denied(
                    "stamp-missing", "a result carries the stamp it acts under", sender_verified=True
                )
            asked = answerable(place, work, behind, context)
            return (
                asked if isinstance(asked, Denied) else judge_result(crossing, record, work, asked, context)
            )
        case Plan():
            return judge_plan(crossing, record, work, context)
        case Progress(accepted_work=True, took=None):
            reason = "took is missing: what accepts work says what its sender works with"
            return Denied("taken-in-missing", reason, sender_verified=True)
        case _:
            return Allowed("accompanies", "signature and stamp hold")


_CHANGED = "the record at this position is not the one that the decision speaks of"


def _verdict(
    version: str,
    crossing: Received[AnyEnvelope] | Malformed,
    attempt: int,
    found: Allowed | Denied,
    context: Context,
) -> Verdict:
    position = crossing.position
    record = crossing.record if isinstance(crossing, Received) else None
    said = record if isinstance(record, AnyCrossing) else None
    return Verdict(
        gate=GATE,
        gate_version=version,
        subject=Subject(
            partition=position.partition, offset=position.offset, digest=crossing.digest, attempt=attempt
        ),
        task=said.task if said else None,
        crossing=said.id if said else None,
        outcome=_outcome(found),
        rule=found.rule,
        reason=found.reason,
        candidates=found.candidates,
        contract=found.contract,
        approvers=found.asks or (),
        warnings=found.warnings,
        consulted=found.consulted,
        revision=context.catalog.revision,
        judged_at=context.now,
        sender_verified=True if isinstance(found, Allowed) else found.sender_verified,
        spared=found.spared if isinstance(found, Denied) else None,
        delivered=found.delivered,
    )


def _outcome(found: Allowed | Denied) -> str:
    if isinstance(found, Denied):
        return "DENY"
    return "ALLOW" if found.asks is None else "REQUIRE_APPROVAL"
