"""
Wire agents' functions to each other directly, without a platform: for an author's own tests, and for comparison.

Payloads go through JSON as they do on the wire, and nothing else of the platform is there: no contract is checked,
no policy asked, no budget kept, no record written.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, TypeVar, overload

from seamwork.agent import payload as payloads
from seamwork.agent.agent import Agent
from seamwork.agent.errors import TaskError
from seamwork.agent.handler import Handler
from seamwork.agent.outcome import (
    NOTHING_TRANSFERRED,
    Erroneous,
    Labelled,
    Lost,
    Partial,
    Returned,
    Settlement,
    Transferred,
)
from seamwork.agent.pen import Order
from seamwork.agent.raised import first_of
from seamwork.agent.task import Facts, Task, failed
from seamwork.clock import Clock, SystemClock
from seamwork.errors import MisconfiguredError
from seamwork.grants.authority import one_deeper, united
from seamwork.records.authority import Authority, Constraint
from seamwork.records.crossing import Subtask
from seamwork.records.parties import ContractRef

T = TypeVar("T")

_HOUR_MS = 3_600_000
_DEPTH = 100


def _silent(agent: str, note: str) -> None:
    """Drop a note of progress."""


class Direct:
    """
    Agents that call each other.

    Args:
        agents: Whoever takes part; one version of each name.
        on_note: Called with the agent's name and each note of progress.
        clock: The machine's unless given.
    """

    def __init__(
        self, *agents: Agent, on_note: Callable[[str, str], None] = _silent, clock: Clock | None = None
    ) -> None:
        self.on_note = on_note
        self.clock = clock or SystemClock()
        self._numbers = itertools.count(1)
        self._agents = {agent.name: agent for agent in agents}
        if len(self._agents) != len(agents):
            raise MisconfiguredError("two of the agents have one name; wire one version of each")

    @overload
    async def call(
        self, to: str, contract: str, payload: object, *, intent: str = "", returns: type[T]
    ) -> Labelled[T]: ...

    @overload
    async def call(
        self, to: str, contract: str, payload: object, *, intent: str = "", returns: None = None
    ) -> Labelled[Any]: ...

    async def call(
        self, to: str, contract: str, payload: object, *, intent: str = "", returns: Any = None
    ) -> Labelled[Any]:
        """
        Call an agent as an initiator would.

        Raises:
            Failed: The function returned an error. What it raises itself comes through as it is.
        """
        name, _, version = contract.partition("/")
        ref = ContractRef(name=name, version=version)
        settled = await self.run(
            to, ref, payloads.encode(payload), "root", intent, (), Authority(depth=_DEPTH)
        )
        if isinstance(settled, Lost):
            raise settled.error("root", settled.rule, settled.reason, settled.gate)
        if settled.outcome == "error":
            raise failed("root", settled.payload)
        return Labelled(
            payloads.decode(settled.payload, Any if returns is None else returns), settled.outcome
        )

    async def run(
        self,
        to: str | None,
        contract: ContractRef,
        payload: bytes,
        step: str,
        intent: str,
        constraints: tuple[Constraint, ...],
        authority: Authority,
        above: tuple[str, ...] = (),
    ) -> Settlement:
        """Run one function and return what became of it; whoever stands *above* it waits for it, and takes none."""
        agent, handler = self._find(to, contract, above)
        number = str(next(self._numbers))
        facts = Facts(
            id="direct",
            crossing=number,
            dispatch=number,
            attempt=1,
            agent=agent.name,
            version=agent.version,
            step=step,
            contract=contract,
            intent=intent,
            constraints=constraints,
            authority=authority,
            ceiling_micro_usd=0,
            deadline_at=self.clock.now_ms() + _HOUR_MS,
            labels={},
        )
        task = _DirectTask(self, facts, (*above, agent.name))
        try:
            value = payloads.decode(payload, handler.payload_type)
            returned = await handler.run(value, task, None, lambda _: None)
        except Exception as error:
            first = first_of(error)
            if not isinstance(first, TaskError):
                raise
            returned = Erroneous(first.kind, first.message)
        match returned:
            case Transferred() if task.transferred is not None:
                return task.transferred
            case Transferred():
                return Returned("error", payloads.encode(NOTHING_TRANSFERRED.payload()))
            case Partial(value):
                return Returned("partial", payloads.encode(value))
            case Erroneous():
                return Returned("error", payloads.encode(returned.payload()))
            case _:
                return Returned("success", payloads.encode(returned))

    def _find(
        self, to: str | None, contract: ContractRef, above: tuple[str, ...]
    ) -> tuple[Agent, Handler[..., Any]]:
        for agent in self._agents.values():
            if to in (None, agent.name) and contract in agent.handlers and agent.name not in above:
                return agent, agent.handlers[contract]
        but = f" and does not wait for it ({' → '.join(above)})" if above else ""
        raise MisconfiguredError(
            f"none of the agents wired here is {to or 'fit'} and accepts {contract.name}/{contract.version}{but}"
        )


class _DirectTask(Task):
    def __init__(self, wiring: Direct, facts: Facts, lineage: tuple[str, ...]) -> None:
        super().__init__(facts, asyncio.get_running_loop())
        self._wiring = wiring
        self._lineage = lineage
        self.transferred: Settlement | None = None

    async def _place(self, order: Order) -> Settlement:
        settled = await self._wiring.run(
            order.target.agent,
            order.contract,
            order.payload,
            order.step,
            self.intent,
            united(self.constraints, order.constraints),
            order.authority or one_deeper(self.authority),
            self._lineage,
        )
        if order.mode == "transfer":
            self.transferred = settled
        return settled

    async def _plan(self, parts: tuple[Subtask, ...]) -> Settlement:
        del parts  # nobody governs it, so nobody objects
        return Returned("success", b"")

    async def _note(self, note: str) -> None:
        self._wiring.on_note(self.facts.agent, note)

    def _now(self) -> int:
        return self._wiring.clock.now_ms()
