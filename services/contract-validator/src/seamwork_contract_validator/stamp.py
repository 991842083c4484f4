"""Check the stamp: who let the sender act, on what, and until when."""

from functools import lru_cache

from seamwork.catalog import Context
from seamwork.grants.stamps import StampProblem, is_small, misfit, verify_stamp
from seamwork.ids import accompaniment_id, answer_id, child_id, plan_id
from seamwork.records.crossing import AnyCrossing, CarriedStamp, Handoff, Plan, Progress, Result, Usage
from seamwork.records.envelope import AnyEnvelope, EnvelopeError, decode
from seamwork.records.inbox import Work
from seamwork.records.parties import Position
from seamwork.records.wire import Received
from seamwork_contract_validator.judged import Denied, Platform


def stamp_of(
    place: Platform, crossing: Received[AnyEnvelope], record: AnyCrossing, context: Context
) -> Work | Denied | None:
    """Return the stamp that entitles the sender, None for a root handoff of an initiator, or what is wrong."""
    if record.stamp is None:
        return _root_problem(record, context)
    at = crossing.raw.appended_at
    work = verify_stamp(record.stamp, place.id, context.catalog.key, at=at)
    if isinstance(work, StampProblem):
        return _denied(work)
    problem = misfit(work, record)
    if problem is not None:
        return _denied(problem)
    if record.id != _derived_id(record):
        reason = "id is not the one that parent or dispatch, step and ordinal give; see the ids in wire.md"
        return Denied("id-not-derived", reason, sender_verified=True)
    # Late usage still counts, under a dispatch that has ended too; late work does not.
    if at > work.not_after and not isinstance(record, Progress | Usage):
        return Denied(
            "stamp-ran-out", "the record was appended after the stamp's not_after", sender_verified=True
        )
    return work


def carried_position(stamp: CarriedStamp) -> Position | None:
    """Read where the request lies from a stamp that nobody has verified yet."""
    return _position(stamp) if is_small(stamp) else _position.__wrapped__(stamp)


@lru_cache(maxsize=4096)
def _position(stamp: CarriedStamp) -> Position | None:
    try:
        work = decode(stamp.envelope.encode("ascii"))
    except (EnvelopeError, UnicodeEncodeError):
        return None  # the check of the stamp names it
    return work.position if isinstance(work, Work) else None


def _derived_id(record: AnyCrossing) -> str:
    match record:
        case Handoff():
            return child_id(record.parent or "", record.source.agent, record.step, record.ordinal)
        case Result():
            return answer_id(record.dispatch, record.ordinal)
        case Plan():
            return plan_id(record.parent, record.source.agent, record.ordinal)
        case Progress():
            return accompaniment_id(record.dispatch, "progress", record.ordinal)
        case Usage():
            return accompaniment_id(record.dispatch, "usage", record.ordinal)


def _root_problem(record: AnyCrossing, context: Context) -> Denied | None:
    if not isinstance(record, Handoff) or record.parent is not None:
        return Denied(
            "stamp-missing", "only a root handoff, without parent, goes without a stamp", sender_verified=True
        )
    agent = context.catalog.agent(record.source)
    if agent is None or not agent.spec.initiator:
        return Denied(
            "not-an-initiator", "the Agent document of source does not say initiator", sender_verified=True
        )
    if record.mode == "transfer":
        return Denied(
            "nothing-to-transfer",
            "mode is transfer, and a root has no place of its own to give away; say delegate",
            sender_verified=True,
        )
    return None


def _denied(problem: StampProblem) -> Denied:
    return Denied(problem.rule, problem.reason, sender_verified=True)
