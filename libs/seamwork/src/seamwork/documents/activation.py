"""Say what an activation may ask for, before one is signed and again when one is read."""

from seamwork.documents.kinds import KINDS
from seamwork.documents.problems import did_you_mean

STATUSES = ("draft", "active", "deprecated", "retired", "revoked")
MODES = {
    "Gate": ("enforce", "canary", "shadow"),
    "Agent": ("breaker-open", "breaker-closed", "paused"),
    "Flow": ("paused",),
}
"""
What an activation may set besides the status: how a gate counts, the breaker of an agent version by hand, and that
work for an agent version or along a flow waits.
"""


MOST_SHARE = 99
"""Of a hundred tasks, for which a gate in ``canary`` counts at most."""


def activation_problem(
    kind: str,
    status: str = "active",
    mode: str | None = None,
    ends_at: int | None = None,
    successor: str | None = None,
    share: int | None = None,
) -> str | None:
    """
    Say why an activation of a document of *kind* is refused, or return None.

    A mode is for gates, for the breakers of agents, and for what is paused. A gate in ``canary`` counts for a
    *share* of a hundred tasks. A contract is deprecated with a date and a successor, or those who rely on it would
    learn of its end by being refused.
    """
    if kind not in KINDS:
        return f"unknown-kind: there is no kind {kind!r}; {did_you_mean(kind, KINDS) or 'see the documents room'}"
    if status not in STATUSES:
        return f"unknown-status: there is no status {status!r}; one of {', '.join(STATUSES)}"
    if kind == "Contract" and status == "deprecated" and (ends_at is None or successor is None):
        return "deprecated-without-end: a contract is deprecated with the date of its end and its successor"
    if (ends_at is not None or successor is not None) and (kind, status) != ("Contract", "deprecated"):
        return (
            f"end-without-deprecation: only a deprecated contract has an end and a successor, not this {kind}"
        )
    if (share is not None) != (mode == "canary"):
        return (
            "share-without-canary: a gate in canary counts for a share of all tasks, and nothing else has one"
        )
    if share is not None and not 1 <= share <= MOST_SHARE:
        return f"share-out-of-bounds: {share} of 100 tasks is no share; at 0 a gate is in shadow, at 100 in enforce"
    if mode is None:
        return None
    known = MODES.get(kind)
    if known is None:
        return f"mode-without-gate: only a Gate, an Agent or a Flow has a mode, this is a {kind}"
    if mode not in known:
        return f"unknown-mode: a {kind} has no mode {mode!r}; one of {', '.join(known)}"
    return None
