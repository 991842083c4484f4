"""Say how binding the gates' refusals are along a flow."""

from typing import Literal

from seamwork.records.base import Wire

Enforcement = Literal["enforce", "shadow", "observe"]
"""How a flow stands, the strictest first."""

LENIENCY: dict[Enforcement, int] = {"enforce": 0, "shadow": 1, "observe": 2}


def strictest(*modes: Enforcement) -> Enforcement:
    """Return the strictest of *modes*; nothing at all is enforced."""
    return min(modes, key=LENIENCY.__getitem__, default="enforce")


def most_lenient(*modes: Enforcement) -> Enforcement:
    """Return the most lenient of *modes*; nothing at all is enforced."""
    return max(modes, key=LENIENCY.__getitem__, default="enforce")


def spares(mode: Enforcement, wanted: Enforcement) -> bool:
    """Say whether a flow in *mode* lets go on what a gate refuses and would spare in *wanted*."""
    return 0 < LENIENCY[wanted] <= LENIENCY[mode]


class Spared(Wire, frozen=True, kw_only=True):
    """
    What a gate adds to a refusal that a flow's mode keeps from counting.

    The verdict's outcome stays ``DENY``, which is what it counts as for everybody who does not know of modes, and
    for the router where its own catalog says otherwise. Where the flow is in *mode*, or in a more lenient one,
    *outcome* counts instead: what the gate demands besides.
    """

    mode: Enforcement
    outcome: str = "ALLOW"
