"""Say why something does not go on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Why not: a stable *rule*, a *reason* that names fields and no values, and the *gate* that found it."""

    rule: str
    reason: str
    gate: str = "router"
