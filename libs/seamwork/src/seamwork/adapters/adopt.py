"""Put a framework's agent behind a contract."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from seamwork.adapters.commission import Commission, Framework
from seamwork.adapters.delegation import Delegation
from seamwork.adapters.prices import Prices
from seamwork.agent import Agent, HandoffError, Refusal, Task, TaskError
from seamwork.agent import payload as payloads
from seamwork.clock import Clock, SystemClock
from seamwork.errors import MisconfiguredError

# What is kept of the time, to say that there was not enough of it: an answer after the deadline is none.
_TO_SAY_SO, _TO_SAY_SO_S = 0.1, 1.0

Ask = Callable[[Any, Task], str]


def asked(payload: Any, task: Task) -> str:
    """Write what is asked of the framework's agent, unless its author does: the intent and the payload."""
    conditions = "".join(f"\nCondition: {each.name} = {each.value}" for each in task.constraints)
    return f"{task.intent}{conditions}\n\n{payloads.encode(payload).decode()}"


def adopt(  # one argument for each side of the seam
    agent: Agent,
    framework: Framework,
    *,
    contract: str,
    takes: Any,
    prices: Prices,
    delegations: Iterable[Delegation] = (),
    prompt: Ask = asked,
    clock: Clock | None = None,
) -> None:
    """
    Let a framework's agent do the work that *agent* is given under a contract.

    Args:
        agent: The member of the platform.
        framework: The framework's agent, in its adapter.
        contract: ``name/version``.
        takes: The type of the payload.
        prices: What the models cost that it calls.
        delegations: What it may ask other agents for.
        prompt: Writes what it is asked, from payload and task.
        clock: The machine's unless given.

    Raises:
        MisconfiguredError: No piece of work could ever be done like that.
    """
    offered, time = tuple(delegations), clock or SystemClock()
    name, _, version = contract.partition("/")
    if not (name and version):
        raise MisconfiguredError(
            f"agent {agent.name}: the contract {contract!r} is not written as name/version"
        )
    if not payloads.readable(takes):
        raise MisconfiguredError(
            f"agent {agent.name} cannot read payloads as {takes!r}; give a type that payloads can be read as"
        )
    tools = [delegation.name for delegation in offered]
    twice = sorted({tool for tool in tools if tools.count(tool) > 1})
    if twice:
        raise MisconfiguredError(
            f"agent {agent.name} has two delegations {twice[0]}; a model could not tell them apart"
        )

    async def run(payload: Any, task: Task, further: str = "") -> Any:
        commission = Commission(task, prompt(payload, task) + further, offered, prices)
        left_s = max(0, task.deadline_at - time.now_ms()) / 1000
        left_s -= min(_TO_SAY_SO_S, left_s * _TO_SAY_SO)
        try:
            async with asyncio.timeout(left_s) as deadline:
                answer = await framework.run(commission)
        except Exception as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                raise TaskError("DeadlinePassed", "the framework's agent was not done in time") from error
            raise _outcome(commission.stopped or error) from error
        finally:
            commission.over()
        if commission.stopped is not None:
            raise _outcome(commission.stopped)
        return answer

    @agent.accepts(name, version)
    async def work(payload: Any, task: Task) -> Any:
        return await run(payload, task)

    @work.on_refused
    async def mend(payload: Any, refusal: Refusal, task: Task) -> Any:
        return await run(payload, task, f"\n\nYour answer was refused ({refusal.rule}): {refusal.reason}")

    work.payload_type = takes


def _outcome(error: Exception) -> Exception:
    """Say what whoever waits is told: of a handoff that failed its rule, of anything else what it says itself."""
    if isinstance(error, HandoffError):
        return TaskError(type(error).__name__, f"the handoff of step {error.step}: {error.rule}")
    return error
