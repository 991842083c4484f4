"""
Name an action by its content, so that a person's yes counts for exactly that action and no other.

The approval workflow asks with this digest, people sign over it, and the router computes it again before it
dispatches: whatever changes between the question and the act makes another digest.
"""

from collections.abc import Iterable

import msgspec

from seamwork.grants.authority import united
from seamwork.ids import length_prefixed, sha256_hex
from seamwork.records.authority import Authority, Constraint
from seamwork.records.parties import AgentRef

_encoder = msgspec.json.Encoder(order="deterministic")


def action_sha256(
    crossing_digest: str, receiver: AgentRef, authority: Authority, constraints: Iterable[Constraint]
) -> str:
    """
    Return the digest of "*receiver* acts on this crossing, with this authority, under these constraints".

    Args:
        crossing_digest: The digest of the crossing's record (``record_digest``); it holds the payload's SHA-256.
        receiver: The agent version that would act.
        authority: What it could use and cause: the effective authority, not the one asked for.
        constraints: All that would bind it, in any order.
    """
    parts = (receiver, _sorted(authority), united(constraints))
    return sha256_hex(length_prefixed(b"action", crossing_digest.encode(), *map(_encoder.encode, parts)))


def _sorted(authority: Authority) -> Authority:
    return Authority(
        tools=tuple(sorted(set(authority.tools))),
        data=tuple(sorted(set(authority.data))),
        effects=tuple(sorted(set(authority.effects))),
        depth=authority.depth,
    )
