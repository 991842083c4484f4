"""
Say how the requests for approval stand: what is asked, who has said what, who is still waited for.

The requests and their ends are the approval workflow's word. Which answers count it does not say until a request
ends, so they are weighed here as it weighs them, by the same code.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from seamwork.bus.port import Partition
from seamwork.catalog import Catalog
from seamwork.catalog.follower import read_catalog
from seamwork.catalog.replies import (
    evidence_of,
    has_role,
    length_flaw,
    signature_flaw,
    standing_flaw,
    still_counts,
    subject_flaw,
)
from seamwork.clock import SystemClock
from seamwork.platform.door import Door
from seamwork.platform.whole import whole
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.people import ApprovalEnd, ApprovalRequest, Reply
from seamwork.records.verdict import Approvers, SignedRecord
from seamwork.records.wire import Received, read

_TOPICS = ("approvals.v1", "answers.v1")


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one person has answered, and when (ms)."""

    person: str
    answer: Literal["approve", "reject"]
    at: int
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """How many more must agree for one demand, and who could: whoever has the role and has not agreed."""

    demand: Approvers
    more: int
    people: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """
    One request as it stands.

    *said* are the answers that count, the earliest first; *missing* is what is still waited for, or was in vain
    where it expired.
    """

    request: ApprovalRequest
    end: ApprovalEnd | None = None
    said: tuple[Said, ...] = ()
    missing: tuple[Missing, ...] = ()


@dataclass
class _Asked:
    """A request as far as the log was read: its answers by person, as they were signed."""

    request: ApprovalRequest
    end: ApprovalEnd | None = None
    answers: dict[str, tuple[Said, SignedRecord]] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)


async def approvals_of(door: Door) -> dict[str, Standing]:
    """Return every request that the log still has, by its id, as it stands at this moment."""
    places = [Partition(topic, number) for topic in _TOPICS for number in range(door.identity.partitions)]
    async with door.log("people") as log:
        catalog = await read_catalog(log, door.identity.id, door.identity.root_public)
        found = [read(raw, door.identity.id) async for raw in whole(log, places)]
    records = [one for one in found if isinstance(one, Received)]
    # The broker's clock may be ahead of ours.
    now = max((SystemClock().now_ms(), *(one.raw.appended_at for one in records)))
    return standings(records, door.identity.id, catalog, now)


def standings(
    records: Iterable[Received[AnyEnvelope]], platform: str, catalog: Catalog, now: int
) -> dict[str, Standing]:
    """
    Return how every request stands.

    Args:
        records: What lies in ``approvals`` and in ``answers``, in this order.
        platform: Its id; signatures cover it.
        catalog: Who the people are.
        now: When it is asked (ms): an answer whose key was revoked since counts no more.
    """
    asked: dict[str, _Asked] = {}
    for received in sorted(records, key=_when):
        match received.record:
            case ApprovalRequest() as request:
                before = asked.get(request.id)
                if before is None or set(before.request.approvers) != set(request.approvers):
                    asked[request.id] = _Asked(request, counted=before.counted if before else set())
                else:  # the same action was held again for the same people, who need not answer again
                    before.request, before.end = request, None
            case ApprovalEnd() as end if end.id in asked:
                asked[end.id].end = end
            case Reply() as reply if reply.request in asked:
                _take(asked[reply.request], received, reply, platform, catalog)
    return {identity: _standing(one, catalog, now) for identity, one in asked.items()}


def left_after(missing: Sequence[Missing], person: str) -> tuple[Missing, ...]:
    """Return what is still waited for when *person* has agreed, too."""
    return tuple(
        Missing(demand=one.demand, more=more, people=tuple(name for name in one.people if name != person))
        for one in missing
        if (more := one.more - (person in one.people)) > 0
    )


def _missing(
    request: ApprovalRequest, yes: frozenset[str], catalog: Catalog, now: int
) -> tuple[Missing, ...]:
    people = sorted({entry.document.name for entry in catalog.entries("Person")})
    found = []
    for demand in request.approvers:
        asked = [name for name in people if has_role(catalog, name, demand, now)]
        more = demand.count - len(yes.intersection(asked))
        if more > 0:
            left = tuple(name for name in asked if name not in yes)
            found.append(Missing(demand=demand, more=more, people=left))
    return tuple(found)


def _when(received: Received[AnyEnvelope]) -> tuple[int, bool]:
    return received.raw.appended_at, isinstance(received.record, ApprovalEnd)  # an end follows its answer


def _take(
    asked: _Asked, received: Received[AnyEnvelope], reply: Reply, platform: str, catalog: Catalog
) -> None:
    flaw = (
        signature_flaw(received, reply, platform, catalog)
        or subject_flaw(received, reply, asked.request)
        or standing_flaw(received, reply, asked.request, catalog)
        or length_flaw(evidence_of(received), reply, asked.request)
    )
    if flaw is not None or asked.end is not None or reply.id in asked.counted:
        return
    said = Said(person=reply.person, answer=reply.answer, at=received.raw.appended_at, note=reply.note)
    asked.counted.add(reply.id)
    asked.answers[reply.person] = (said, evidence_of(received))


def _standing(asked: _Asked, catalog: Catalog, now: int) -> Standing:
    at = now if asked.end is None else asked.end.ended_at
    said = sorted(
        (one for one, evidence in asked.answers.values() if still_counts(one.person, evidence, catalog, at)),
        key=lambda one: one.at,
    )
    yes = frozenset(one.person for one in said if one.answer == "approve")
    waits = asked.end is None or asked.end.how == "expired"
    return Standing(
        request=asked.request,
        end=asked.end,
        said=tuple(said),
        missing=_missing(asked.request, yes, catalog, at) if waits else (),
    )
