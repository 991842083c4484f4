"""
Count the votes on one crossing: the strictest outcome of all required gates wins.

Rule 1: a gate that did not answer in time has said no, and the count names it.
Rule 2: an outcome that nobody knows is a no.
Rule 3: what narrows adds up: constraints and approvers are united, authorities and candidates intersected, the
latest ``not_before`` stands.
Rule 4: a refusal that the flow spares does not count, what the gate demands besides does. Only gates that judge by
contract and policy may say so, and only where the router itself finds the flow in such a mode.
"""

from collections.abc import Mapping, Sequence

import msgspec

from seamwork.grants.authority import narrowed, united
from seamwork.records.authority import Authority, Constraint
from seamwork.records.decision import Vote
from seamwork.records.enforcement import Enforcement, spares
from seamwork.records.parties import AgentRef, DocumentRef
from seamwork.records.verdict import STRICTNESS, Approvers, Verdict
from seamwork_router.events import Seat
from seamwork_router.scene import Scene

_ORDER = {"validator": 0, "policy": 1, "cost": 2}
_SPARING = frozenset({"validator", "policy"})
SILENT = "gate-silent"


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """
    What all gates together say.

    *gate*, *rule* and *reason* are those of the first gate with the strictest outcome. *candidates* is null where
    no gate has an opinion. *calm* is the outcome without those who want people asked: what counts once they agreed.
    *enforcement* is how the flow stood.
    """

    outcome: str
    calm: str
    gate: str
    rule: str
    reason: str
    candidates: frozenset[AgentRef] | None
    authority: Authority | None
    constraints: tuple[Constraint, ...]
    not_before: int | None
    approvers: tuple[Approvers, ...]
    throttling: tuple[str, ...]
    sender_verified: bool
    consulted: tuple[DocumentRef, ...]
    votes: tuple[Vote, ...]
    enforcement: Enforcement = "enforce"

    @property
    def spared(self) -> str | None:
        """What would have been refused if the flow were enforced, in words, or None."""
        said = [f"{vote.gate}: {vote.rule}" for vote in self.votes if vote.spared is not None]
        return ", ".join(said) or None


def tally_of(scene: Scene, silent: Sequence[str] = ()) -> Tally:
    """Count the votes on the crossing at hand; *silent* gates count as a no."""
    return combine(scene.live.seats, scene.live.votes, silent, scene.enforcement)


def combine(
    seats: Sequence[Seat],
    votes: Mapping[str, Verdict],
    silent: Sequence[str] = (),
    enforcement: Enforcement = "enforce",
) -> Tally:
    """
    Count.

    Args:
        seats: The gates, as they stood when the crossing was seen.
        votes: The first verdict of each gate on this attempt.
        silent: Required gates that let their deadline pass.
        enforcement: How binding refusals by contract and policy are for this crossing.
    """
    ordered = sorted(seats, key=_seat_order)
    cast = [(seat, votes[seat.gate]) for seat in ordered if seat.gate in votes]
    counted = [
        (vote, seat.role, counted_as(vote, seat.role, enforcement)) for seat, vote in cast if counts(seat)
    ]
    ranked = [(said, vote.gate, vote.rule, vote.reason) for vote, _, said in counted]
    ranked += [("DENY", gate, SILENT, f"the gate {gate} did not answer in time") for gate in silent]
    outcome, gate, rule, reason = max(
        ranked, key=_strictness, default=("DENY", "router", "no-votes", "no gate has voted")
    )
    calm = [said for said, *_ in ranked if said != "REQUIRE_APPROVAL"]
    listed = [frozenset(vote.candidates) for vote, *_ in counted if vote.candidates is not None]
    authorities = [vote.authority for vote, *_ in counted if vote.authority is not None]
    waits = [vote.not_before for vote, *_ in counted if vote.not_before is not None]
    return Tally(
        outcome=outcome,
        calm=max(calm, key=STRICTNESS.__getitem__, default="ALLOW"),
        gate=gate,
        rule=rule,
        reason=reason,
        candidates=frozenset.intersection(*listed) if listed else None,
        authority=narrowed(*authorities) if authorities else None,
        constraints=united(*[vote.constraints for vote, *_ in counted]),
        not_before=max(waits, default=None),
        approvers=united_approvers([vote for vote, _, said in counted if said == "REQUIRE_APPROVAL"]),
        throttling=tuple([vote.gate for vote, _, said in counted if said == "THROTTLE"]),
        sender_verified=any(vote.sender_verified for vote, role, _ in counted if role == "validator"),
        consulted=tuple(sorted({ref for vote, *_ in counted for ref in vote.consulted}, key=_document_order)),
        votes=tuple([_line(seat, vote, enforcement) for seat, vote in cast]),
        enforcement=enforcement,
    )


def counts(seat: Seat) -> bool:
    """Say whether the vote of this gate counts; a shadow's is only recorded."""
    return seat.mode != "shadow"


def outcome_of(vote: Verdict) -> str:
    """Return a verdict's outcome; one that nobody knows is a ``DENY``."""
    return vote.outcome if vote.outcome in STRICTNESS else "DENY"


def is_spared(vote: Verdict, role: str, enforcement: Enforcement) -> bool:
    """Say whether a refusal does not count because of how the flow stands."""
    return (
        outcome_of(vote) == "DENY"
        and role in _SPARING
        and vote.spared is not None
        and spares(enforcement, vote.spared.mode)
    )


def counted_as(vote: Verdict, role: str, enforcement: Enforcement) -> str:
    """Return what a verdict counts as."""
    if vote.spared is None or not is_spared(vote, role, enforcement):
        return outcome_of(vote)
    return vote.spared.outcome if vote.spared.outcome in STRICTNESS else "DENY"


def united_approvers(votes: Sequence[Verdict]) -> tuple[Approvers, ...]:
    """Return everyone who must be asked, each demand once."""
    demands = {
        (tuple(sorted(set(approvers.roles))), approvers.count, tuple(sorted(set(approvers.people))))
        for vote in votes
        for approvers in vote.approvers
    }
    return tuple(
        Approvers(roles=roles, count=count, people=people) for roles, count, people in sorted(demands)
    )


def _line(seat: Seat, vote: Verdict, enforcement: Enforcement) -> Vote:
    spared = counts(seat) and is_spared(vote, seat.role, enforcement)
    return Vote(
        gate=vote.gate,
        gate_version=vote.gate_version,
        outcome=vote.outcome,
        rule=vote.rule,
        reason=vote.reason,
        mode=seat.mode,
        spared=enforcement if spared else None,
    )


def _seat_order(seat: Seat) -> tuple[int, str]:
    return _ORDER.get(seat.role, 9), seat.gate


def _strictness(ranked: tuple[str, str, str, str]) -> int:
    return STRICTNESS[ranked[0]]


def _document_order(ref: DocumentRef) -> tuple[str, str, str, str]:
    return ref.kind, ref.name, ref.version, ref.digest or ""
