"""Say how a piece of work ended, in the words of whoever did it."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from seamwork.agent.errors import HandoffError
from seamwork.agent.raised import sayable
from seamwork.records.crossing import Gap

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Partial(Generic[T_co]):
    """Returned by a function: only a part could be done, and *value* says which. Its result is ``partial``."""

    value: T_co


@dataclass(frozen=True, slots=True)
class Erroneous:
    """
    Returned by a function: it could not be done. Its result is ``error``.

    On the wire the payload is ``{"error": {"type": kind, "message": message}}``; the contract's schema for the
    outcome ``error`` must allow that.
    """

    kind: str
    message: str

    def payload(self) -> dict[str, dict[str, str]]:
        """Return the object that travels."""
        # Authors without a type checker give an exception for its words.
        return {"error": {"type": sayable(str(self.kind)), "message": sayable(str(self.message))}}


@dataclass(frozen=True, slots=True)
class Transferred:
    """Returned by a function that handed its place on: the receiver answers instead."""


NOTHING_TRANSFERRED = Erroneous(
    "NothingTransferred", "the function says that it handed its place on, and nobody has taken it"
)
"""What a function has done that returns ``Transferred`` without a hand-off; the work is still its own."""


@dataclass(frozen=True, slots=True)
class Labelled(Generic[T_co]):
    """What a handoff brought back, with its label; *gaps* are what is missing below it, by their path."""

    value: T_co
    outcome: Literal["success", "partial"]
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    Why a result that this agent sent does not hold, and how many corrections the contract still allows.

    *reason* names fields, never values.
    """

    gate: str | None
    rule: str
    reason: str
    corrections_left: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class Returned:
    """A handoff's accepted result, not yet read."""

    outcome: Literal["success", "partial", "error"]
    payload: bytes
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Lost:
    """A handoff that brings nothing back, and as which error its sender hears of it."""

    error: type[HandoffError]
    rule: str
    reason: str
    gate: str | None = None


Settlement = Returned | Lost
