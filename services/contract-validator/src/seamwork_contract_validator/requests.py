"""
Find out what a result answers: the request of its own dispatch, and those of the places its sender took over.

Whoever took a place over sends what its first holder was asked for, so the result is held against each contract
with the payload that was sent under *that* contract. The way there is signed all along: the result's stamp names a
handoff by position and digest; a transfer carries the stamp under which it was sent, which names the one before it.
"""

from collections.abc import Sequence

import msgspec

from seamwork.catalog import Context
from seamwork.contracts.projection import cut
from seamwork.grants.stamps import verify_stamp
from seamwork.ids import sha256_hex
from seamwork.records.crossing import Handoff
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.inbox import Work
from seamwork.records.parties import ContractRef
from seamwork.records.wire import Malformed, Received
from seamwork_contract_validator.judged import Denied, Platform


class Request(msgspec.Struct, frozen=True):
    """What a holder of the place was asked: under which contract, with which payload."""

    contract: ContractRef
    payload: bytes


class Answerable(msgspec.Struct, frozen=True):
    """What a result must satisfy, the own request first, and the handoff whose sender waits for it."""

    requests: tuple[Request, ...]
    first: Handoff


def answerable(
    place: Platform, work: Work, behind: Sequence[Received[AnyEnvelope] | Malformed], context: Context
) -> Answerable | Denied:
    """
    Return all that a result must satisfy.

    Args:
        place: The platform, whose router signs stamps.
        work: The stamp of the result, verified.
        behind: The records found on the way, in that order.
        context: The catalog, for the router's keys.
    """
    found: dict[Request, None] = {}
    stamp, after = work, None
    for record in behind:
        handoff = _handoff(stamp, record)
        if isinstance(handoff, Denied):
            return handoff
        # What a person ordered through a desk is asked from then on, in the place of what was asked at first.
        if stamp.in_place_of is None or after != stamp.contract:
            found[Request(stamp.contract, _got(stamp, record))] = None
        if handoff.mode != "transfer":
            return _complete(work, tuple(found), handoff)
        carried, at = handoff.stamp, record.raw.appended_at
        before = None if carried is None else verify_stamp(carried, place.id, context.catalog.key, at=at)
        if not isinstance(before, Work):
            return _unavailable("a transfer behind the result carries no stamp of the router's")
        stamp, after = before, stamp.contract
    gone = stamp.position
    return _unavailable(
        f"the handoff that it must answer is not to be found at {gone.partition}/{gone.offset} of handoffs; work "
        "must end before that topic's retention removes what began it"
    )


def _handoff(stamp: Work, record: Received[AnyEnvelope] | Malformed) -> Handoff | Denied:
    """Return the handoff that *stamp* was made for, proved by the digests in it."""
    if not isinstance(record, Received) or record.digest != stamp.digest:
        return _unavailable("the record at the stamp's position is not the one it was made for")
    handoff = record.record
    if not isinstance(handoff, Handoff) or sha256_hex(record.payload) != handoff.payload_sha256:
        return _unavailable("the handoff at the stamp's position has another body")
    return handoff


def _got(stamp: Work, record: Received[AnyEnvelope] | Malformed) -> bytes:
    """Return what the holder got: a rule may hold it to that, not to what never reached it."""
    payload = record.raw.value or b""
    return payload if stamp.delivered is None else cut(payload, stamp.delivered.projection)


def _complete(work: Work, found: tuple[Request, ...], first: Handoff) -> Answerable | Denied:
    known = {request.contract for request in found}
    missing = next((ref for ref in (work.contract, *work.return_contracts) if ref not in known), None)
    if missing is not None:
        return _unavailable(f"nothing behind the result was asked under {missing.name} {missing.version}")
    return Answerable(found, first)


def _unavailable(reason: str) -> Denied:
    return Denied("request-unavailable", reason, sender_verified=True)
