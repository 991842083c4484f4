"""Give a function the task that the router stands behind, and write down what it returns."""

import asyncio
from typing import Any, Protocol

from seamwork.agent import payload as payloads
from seamwork.agent.errors import Cancelled, PayloadError
from seamwork.agent.inbox import Offer
from seamwork.agent.outcome import Erroneous, Lost, Partial, Settlement
from seamwork.agent.pen import Order
from seamwork.agent.seats import Seat
from seamwork.agent.task import Facts, Task
from seamwork.records.authority import Spent
from seamwork.records.crossing import Outcome, StepState, Subtask


class Hands(Protocol):
    """What a task needs of its dispatch."""

    async def place(self, order: Order, seat: Seat, offer: Offer) -> Settlement:
        """Hand work on and return what became of it."""

    async def plan(self, parts: tuple[Subtask, ...], seat: Seat, offer: Offer) -> Settlement:
        """Publish a plan and return whether it was adopted."""

    async def note(self, note: str, offer: Offer) -> None:
        """Publish a note of progress."""

    def now(self) -> int:
        """Return the time (ms)."""


_RETURNED = Lost(
    Cancelled, "function-returned", "the function it was part of has returned; await every handoff and plan"
)


class GovernedTask(Task):
    """The task of a function that the router stands behind."""

    def __init__(self, hands: Hands, offer: Offer, seat: Seat, before: "GovernedTask | None" = None) -> None:
        super().__init__(_facts(offer), asyncio.get_running_loop())
        if before is not None:
            self._spent, self._cost_known = before._spent, before._cost_known  # noqa: SLF001  # one of its own kind
        self._hands = hands
        self._offer = offer
        self._seat = seat
        self.closed = False  # once the function has returned, nothing new begins

    @property
    def states(self) -> tuple[StepState, ...]:
        """The steps as the result tells them."""
        return self._states

    @property
    def final_spent(self) -> Spent | None:
        """What the result reports; null where nothing was ever reported."""
        return None if self._spent == Spent() else self._spent

    def forget_steps(self) -> None:
        """Leave the steps out of what the result tells."""
        self._steps.clear()

    def cancel(self) -> None:
        """Let the function see that nobody waits any more."""
        self._cancel()

    async def _place(self, order: Order) -> Settlement:
        if self.closed:
            return _RETURNED
        return await self._hands.place(order, self._seat, self._offer)

    async def _plan(self, parts: tuple[Subtask, ...]) -> Settlement:
        if self.closed:
            return _RETURNED
        return await self._hands.plan(parts, self._seat, self._offer)

    async def _note(self, note: str) -> None:
        await self._hands.note(note, self._offer)

    def _now(self) -> int:
        return self._hands.now()


def _facts(offer: Offer) -> Facts:
    work = offer.work
    return Facts(
        id=work.task,
        crossing=work.crossing,
        dispatch=work.dispatch,
        attempt=work.attempt,
        agent=work.agent,
        version=work.version,
        step=offer.handoff.step,
        contract=work.contract,
        intent=offer.handoff.intent,
        constraints=work.constraints,
        authority=work.authority,
        ceiling_micro_usd=work.ceiling_micro_usd,
        deadline_at=work.not_after,
        steps=offer.handoff.steps,
        tool_outputs=offer.handoff.tool_outputs,
        labels=work.labels,
        traceparent=offer.traceparent,
    )


def written(returned: Any) -> tuple[Outcome, bytes]:
    """Return outcome and payload of the result that a function's return value stands for."""
    try:
        match returned:
            case Erroneous():
                return "error", payloads.encode(returned.payload())
            case Partial(value):
                return "partial", payloads.encode(value)
            case _:
                return "success", payloads.encode(returned)
    except PayloadError as error:
        return "error", payloads.encode(Erroneous("PayloadError", str(error)).payload())
