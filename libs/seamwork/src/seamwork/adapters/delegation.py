"""Say what a framework's model may ask other agents for."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """
    A tool behind which another agent stands: calling it is a handoff, and its result is what was accepted.

    Attributes:
        name: What the model calls it.
        description: What the model reads of it.
        contract: ``name/version`` of the seam.
        takes: The type of its arguments, which are the handoff's payload.
        to: The agent that gets it, or null where *capability* names what it must offer.
        capability: What the receiver must offer, or null.
        ceiling_micro_usd: What the receiver itself may spend on one call.
        timeout_s: How long one call may take; at most as long as the work itself.
        critical: Whether the work fails when a call brings nothing back. Otherwise the model is told why, and may
            go on without it.
    """

    name: str
    description: str
    contract: str
    takes: Any
    to: str | None = None
    capability: str | None = None
    ceiling_micro_usd: int = 0
    timeout_s: float | None = None
    critical: bool = False
