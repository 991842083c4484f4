"""
Hold what a receiver got against what it says it took in: nothing is cut short in silence.

Rule 1: what is delivered is what the validators admitted: all that was sent, or what is left of it.
Rule 2: whoever accepts work, or answers it, says what it worked with; another digest or count is a violation.
Rule 3: where a contract counts context, an answer that does not say so is no answer.
"""

from seamwork.records.delivery import Delivered, TakenIn
from seamwork_router.memory import Dispatch, Errand, Live
from seamwork_router.scene import Scene

_VALIDATOR = "validator"


def delivered(live: Live) -> Delivered | None:
    """Return what the first required validator says is delivered; None where that is all that was sent."""
    said = _said(live)
    return said[0] if said else None


def delivery_disputed(scene: Scene) -> str | None:
    """Two validators must admit the same bytes."""
    said = _said(scene.live)
    return "the required validators would deliver different payloads" if len(set(said)) > 1 else None


def taken_otherwise(scene: Scene) -> str | None:
    """Whoever works on a dispatch works on exactly what it was given."""
    took, errand, dispatch = scene.facts.took, scene.errand, scene.named
    if errand is None or dispatch is None:
        return None
    if took is None:
        counted = dispatch.plan.delivered is not None and dispatch.plan.delivered.counter is not None
        missing = counted and scene.facts.result is not None
        return "took is missing, and the contract counts what its receiver takes in" if missing else None
    given = given_to(errand, dispatch)
    for part in ("sha256", "bytes", "tokens"):
        if getattr(took, part) != getattr(given, part):
            return f"took.{part} is not that of the payload that was delivered"
    return None


def given_to(errand: Errand, dispatch: Dispatch) -> TakenIn:
    """Return what the holder of a dispatch must have taken in."""
    part = dispatch.plan.delivered
    if part is None:
        return TakenIn(sha256=errand.asked.payload_sha256, bytes=errand.asked.payload_bytes)
    return TakenIn(sha256=part.sha256, bytes=part.bytes, tokens=part.tokens)


def _said(live: Live) -> list[Delivered | None]:
    votes = live.votes
    return [
        votes[seat.gate].delivered
        for seat in live.seats
        if seat.required and seat.role == _VALIDATOR and seat.gate in votes
    ]
