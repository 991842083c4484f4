"""Give a framework one piece of work: what it is asked, which tools stand open, and who keeps the accounts."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from seamwork.adapters.delegation import Delegation
from seamwork.adapters.prices import ModelUsage, Prices
from seamwork.agent import Cancelled, HandoffError, PayloadError, Task, TaskError
from seamwork.agent import payload as payloads
from seamwork.errors import MisconfiguredError
from seamwork.ids import sha256_hex

_STEP_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Tool:
    """A delegation as a framework offers it to its model: JSON in, JSON out, and no exception for a refusal."""

    name: str
    description: str
    schema: Mapping[str, Any]
    call: Callable[[str], Awaitable[str]]


class Commission:
    """
    One piece of work, for one run of a framework.

    Args:
        task: The work.
        prompt: What the framework's agent is asked.
        delegations: What it may ask others for.
        prices: What its models cost.

    Attributes:
        stopped: Why the run may not go on, once there is a reason; frameworks like to tell a tool's or a hook's
            exception to the model, so it is kept here too.
    """

    def __init__(self, task: Task, prompt: str, delegations: tuple[Delegation, ...], prices: Prices) -> None:
        self.task = task
        self.prompt = prompt
        self.prices = prices
        self.stopped: Exception | None = None
        self.tools = tuple(self._tool(delegation) for delegation in delegations)
        self._asked: dict[str, asyncio.Task[str]] = {}
        self._under_way = 0
        task.spend(micro_usd=0)  # nothing yet, and that is known

    # ── Tools ────────────────────────────────────────────────────────────────────────────

    def allows(self, tool: str) -> bool:
        """Say whether a tool of the framework's own may be offered: the stamp's authority must name it."""
        return tool in self.task.authority.tools

    def _tool(self, delegation: Delegation) -> Tool:
        async def call(arguments: str) -> str:
            return await self._delegate(delegation, arguments)

        return Tool(delegation.name, delegation.description, delegation.schema(), call)

    async def _delegate(self, delegation: Delegation, arguments: str) -> str:
        try:
            payload = payloads.decode(arguments.encode(), delegation.takes)
        except PayloadError as error:
            return _told("PayloadError", "arguments", str(error))
        # Named by what is asked and not by the model's own number of the call: a run after a crash, in which the
        # model may ask in another order, finds what the first run was answered.
        digest = sha256_hex(payloads.encode(payload))[:_STEP_DIGITS]
        step = f"{delegation.name}-{digest}"
        if step not in self._asked:
            self._asked[step] = asking = asyncio.ensure_future(self._ask(delegation, payload, step))
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        # A framework may give a call up and ask the same again; what was handed on is out, and its answer comes.
        return await asyncio.shield(self._asked[step])

    async def _ask(self, delegation: Delegation, payload: Any, step: str) -> str:
        try:
            answer = await self.task.ask(
                contract=delegation.contract,
                payload=payload,
                step=step,
                to=delegation.to,
                capability=delegation.capability,
                ceiling_micro_usd=delegation.ceiling_micro_usd,
                timeout_s=delegation.timeout_s,
            )
        except HandoffError as error:
            if delegation.critical or isinstance(error, Cancelled):
                self._stop(error)
                raise
            return _told(type(error).__name__, error.rule, error.reason)
        return json.dumps({"outcome": answer.outcome, "value": answer.value}, ensure_ascii=False)

    # ── Accounts ─────────────────────────────────────────────────────────────────────────

    def before_model(self, model: str) -> None:
        """
        Ask before each call of a model.

        Raises:
            TaskError: The model has no price, or what may be spent is spent, or may be for all that is known.
            HandoffError: What the work cannot do without was not answered.
        """
        if self.stopped is not None:
            raise self.stopped
        if model not in self.prices.models:
            raise self._stop(
                TaskError("UnpricedModel", f"the model {model} is not in the agent's price list")
            )
        ceiling, spent = self.task.ceiling_micro_usd, self.task.spent.micro_usd
        if spent is None:
            raise self._stop(
                TaskError("UsageUnknown", "what was used before is not known, so no ceiling can be kept")
            )
        if spent >= ceiling:
            raise self._stop(
                TaskError(
                    "CeilingReached", f"the ceiling of {ceiling} micro-USD is spent before the work is done"
                )
            )
        self._under_way += 1

    def after_model(self, usage: ModelUsage | None) -> None:
        """
        Charge what a call used; null where the endpoint does not say.

        Raises:
            TaskError: What was used is not known, so no ceiling can be kept any more; all of it stays charged.
        """
        self._under_way -= 1
        if usage is None or not self._charged(usage):
            self.task.spent_unknown()
            raise self._stop(TaskError("UsageUnknown", "the model's endpoint does not say how much was used"))

    def _charged(self, usage: ModelUsage) -> bool:
        """Charge what a call used, and say whether it could be: endpoints may count what no call uses."""
        try:
            self.task.spend(
                micro_usd=self.prices.micro_usd(usage),
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                requests=usage.requests,
            )
        except (ValueError, MisconfiguredError):
            return False
        return True

    def over(self) -> None:
        """Say that the run is over. A call that was begun and never told of has cost what nobody knows."""
        if self._under_way > 0:
            self.task.spent_unknown()

    def _stop(self, reason: Exception) -> Exception:
        self.stopped = self.stopped or reason
        return reason


class Framework(Protocol):
    """
    What an adapter of a framework is: an agent of it, and one method.

    ``run`` begins the framework's agent afresh with ``commission.prompt``, offers it ``commission.tools`` and of
    its own tools those that the commission allows, calls ``before_model`` and ``after_model`` around each call of
    a model (``after_model`` with no tokens where the endpoint refused a call, and not at all where nobody knows
    what became of it), and returns what the agent said in the end. Errors that others may act upon it raises as
    ``TaskError``. It keeps nothing from one run to the next, and ends when it is cancelled.
    """

    async def run(self, commission: Commission) -> Any:
        """Run the framework's agent once."""


def _told(kind: str, rule: str, reason: str) -> str:
    return json.dumps({"error": {"type": kind, "rule": rule, "reason": reason}}, ensure_ascii=False)
