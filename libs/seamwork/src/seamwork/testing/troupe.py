"""
Give real agents a part for one task, so that a test says in one place what each of them does.

The agents join once; which function one runs follows from the play that the payload names. What it hands on must
name the play, too: ``play.payload`` does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from seamwork.agent import Agent, AgentSettings, Task
from seamwork.records.decision import TaskEnded
from seamwork.testing.puppet import Puppet, Sent, new_id
from seamwork.testing.stage import Stage

Part = Callable[[dict[str, Any], Task], Awaitable[Any]]


@dataclass
class Play:
    """One task's parts, and what the test wants to know of it."""

    name: str
    parts: Mapping[str, Part]
    seen: list[str] = field(default_factory=list)

    def payload(self, **more: Any) -> dict[str, Any]:
        """Return a payload that brings this play's part to whoever gets it."""
        return {"play": self.name, **more}


class Troupe:
    """
    Agents of the SDK that play whatever part a test gives them.

    Args:
        stage: Where they play.
        chief: The initiator of their tasks, moved by hand.
        contracts: What all of them accept, each ``name/version``.
    """

    def __init__(self, stage: Stage, chief: Puppet, contracts: Sequence[str]) -> None:
        self.stage = stage
        self.chief = chief
        self._contracts = contracts
        self._plays: dict[str, Play] = {}
        self._agents: list[Agent] = []

    async def enlist(self, settings: AgentSettings, version: str = "1.0.0") -> Agent:
        """Start an agent of the troupe."""
        agent = Agent(settings.name, version)

        async def act(payload: dict[str, Any], task: Task) -> Any:
            play = self._plays[payload["play"]]
            play.seen.append(f"{settings.name}@{version}")
            return await play.parts[settings.name](payload, task)

        for contract in self._contracts:
            agent.accepts(*contract.split("/"))(act)
        self._agents.append(agent)
        return await self.stage.play(agent, replace(settings, heartbeat_ms=200))

    async def disband(self) -> None:
        """Stop the agents, so that they do not weigh on the tests that follow."""
        await asyncio.gather(*(self.stage.leave(agent) for agent in self._agents))
        self._agents.clear()

    def play(self, **parts: Part) -> Play:
        """Hand out the parts; names of agents with ``_`` for ``-``."""
        name = new_id()
        self._plays[name] = Play(name, {agent.replace("_", "-"): part for agent, part in parts.items()})
        return self._plays[name]

    async def begin(self, play: Play, contract: str, to: str, **order: Any) -> Sent:
        """Begin the task of a play and return its root."""
        more = order.pop("more", {})
        payload = _json(play.payload(**more))
        return await self.chief.send(self.chief.root(contract, to, payload, **order))

    async def whole(self, play: Play, contract: str, to: str, **order: Any) -> TaskEnded:
        """Begin the task of a play and wait for its end."""
        return await self.stage.ended((await self.begin(play, contract, to, **order)).crossing.task)

    async def answer(self, task: str) -> Any:
        """Return what came back to the chief."""
        return msgspec.json.decode((await self.chief.answered(task)).payload)


def _json(payload: Any) -> bytes:
    return msgspec.json.encode(payload)
