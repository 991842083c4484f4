"""
Say by which right a crossing was sent: as the root of a task, under a stamp, or by none.

For the gates that let a crossing change what they remember. A forged one must not eat up somebody's budget or add
to the risk of somebody's task, whatever becomes of it in the tally.
"""

from collections.abc import Callable

from seamwork.grants.keys import verifies
from seamwork.grants.stamps import KnownKey, StampProblem, misfit, verify_stamp
from seamwork.records.crossing import AnyCrossing, Handoff
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.inbox import Work
from seamwork.records.wire import Received, signed_bytes


def entitlement(
    received: Received[AnyEnvelope],
    crossing: AnyCrossing,
    platform: str,
    key_of: Callable[[str], KnownKey | None],
) -> Work | StampProblem | None:
    """
    Return the stamp that entitles the sender, None for a root handoff, or what is wrong.

    That a root's sender is an initiator stands in its document, which the caller looks up.

    Args:
        received: The record of *crossing*.
        crossing: What it says.
        platform: The platform's id; signatures cover it.
        key_of: Finds a key by its id.
    """
    at = received.raw.appended_at
    key = key_of(received.kid) if received.kid is not None else None
    if key is None or received.sig is None:
        return StampProblem("sender-unknown", "no known key signed the crossing")
    data = signed_bytes(platform, received.raw.topic, received.raw.key or b"", received.envelope)
    if not key.valid_at(at) or not verifies(key.public, data, received.sig):
        return StampProblem(
            "signature-not-valid", "the signature of the crossing does not hold at its append time"
        )
    if key.holder != f"agent:{crossing.source.agent}":
        return StampProblem("not-the-source", "source.agent is not who signed the crossing")
    if crossing.stamp is None:
        if isinstance(crossing, Handoff) and crossing.parent is None:
            return None
        return StampProblem("stamp-missing", "only a root handoff, without parent, goes without a stamp")
    work = verify_stamp(crossing.stamp, platform, key_of, at=at)
    if isinstance(work, StampProblem):
        return work
    return misfit(work, crossing) or work
