"""
Say what can become of work that an agent gave away, and how an agent says that its own failed.

Whoever delegates gets the typed result or one of these; a half-done or refused value is never returned as if it
were whole.
"""

from seamwork.errors import SeamworkError, UnprocessableError
from seamwork.records.crossing import Gap


class HandoffError(SeamworkError):
    """
    A handoff did not bring its result back.

    Args:
        step: The step of the sender's plan.
        rule: The stable name of why.
        reason: One sentence; it names fields, never values.
        gate: Who decided it, where somebody did.
    """

    def __init__(self, step: str, rule: str, reason: str, gate: str | None = None) -> None:
        by = f" by {gate}" if gate else ""
        super().__init__(f"the handoff of step {step} was {self.happened}{by} ({rule}): {reason}")
        self.step = step
        self.rule = rule
        self.reason = reason
        self.gate = gate

    happened = "not answered"


class Refused(HandoffError):  # noqa: N818  # reads as what happened: `except Refused`
    """A gate or the router said no; the receiver never saw it, or what it handed on does not hold."""

    happened = "refused"


class Failed(HandoffError):  # noqa: N818
    """It was done and failed, after whatever retries and fallbacks the contract has."""

    happened = "failed"


class Expired(HandoffError):  # noqa: N818
    """Its deadline passed first."""

    happened = "expired"


class Cancelled(HandoffError):  # noqa: N818
    """The task, or the sender's own dispatch, was cancelled."""

    happened = "cancelled"


class PartialAnswer(HandoffError):  # noqa: N818
    """
    It brought back only a part, and the caller asked for the whole.

    *value* is the part, *gaps* are what is missing of it; ask with ``Task.ask`` to be given it with its
    label instead.
    """

    happened = "answered in part"

    def __init__(self, step: str, value: object, gaps: tuple[Gap, ...] = ()) -> None:
        missing = f" without {', '.join(gap.step for gap in gaps)}" if gaps else ""
        super().__init__(
            step, "outcome-partial", f"the result counts as partial{missing}; Task.ask returns it labelled"
        )
        self.value = value
        self.gaps = gaps


class TaskError(UnprocessableError):
    """
    Raised by an agent's function: this work ends with the outcome ``error``.

    *kind* is a stable name for programs, *message* a sentence for people. Both travel to whoever waits: put no
    payload values in them.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class PayloadError(UnprocessableError):
    """A payload does not fit the type that the function's annotation gives it; the message names fields only."""
