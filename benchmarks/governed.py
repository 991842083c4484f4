"""Measure what a crossing takes through the whole platform: six services and an agent, a process each."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seamwork.agent import AgentSettings, submit
from seamwork.agent.inbox import Answered, Told, examine
from seamwork.agent.keyring import PinnedKeys
from seamwork.bus.port import Log, Partition
from seamwork.errors import SeamworkError
from seamwork.grants.stamps import inbox_topic
from seamwork.platform.supervisor import free_ports
from seamwork.platform.trust import OPERATOR
from seamwork.records.parties import AgentRef
from seamwork.testing.documents import document
from seamwork.testing.stage import Stage

CONTRACT = "bench-work"
WORKER = "bench-worker"
_WITHIN_S = 60
_BATCH = 500
_POLL_MS = 250
_LOST = {"refused", "failed", "cancelled", "expired"}
# Both ends of a closed loop have room for all that it keeps in flight.
_SEATS = 512


@dataclass(frozen=True)
class Carried:
    """
    One governed piece of work, in nanoseconds from just before `submit`.

    Attributes:
        handed: Until the agent's function was called: one crossing.
        answered: Until the answer was back in the initiator's hands: two crossings.
    """

    handed: int
    answered: int


class GovernedRoad:
    """An initiator that begins tasks and hears, by one reader of its inbox, what became of each."""

    def __init__(self, log: Log, settings: AgentSettings, payload: Mapping[str, str]) -> None:
        self._log = log
        self._settings = settings
        self._payload = payload
        self._me = AgentRef(agent=settings.name, version="1.0.0")
        self._keys = PinnedKeys(settings.router_keys)
        self._begun: dict[str, asyncio.Future[tuple[int, int]]] = {}
        self._early: dict[str, tuple[int, int]] = {}
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen, and carry one task through so that everything has been used once."""
        self._listening = asyncio.create_task(self._listen())
        await self.carry()

    async def stop(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def due(self, due_ns: int) -> Carried:
        """Begin a task that was due at *due_ns*: waiting for a turn counts."""
        return await self.carry(due_ns)

    async def carry(self, due_ns: int | None = None, payload: Mapping[str, str] | None = None) -> Carried:
        """
        Begin one task and wait for its answer.

        Args:
            due_ns: When it was to be begun, where a plan said so.
            payload: What it carries, where that is not the road's.

        Raises:
            SeamworkError: It was not carried through; a figure over failures would mean nothing.
        """
        began = time.monotonic_ns() if due_ns is None else due_ns
        begun = await submit(
            self._log, self._settings, contract=f"{CONTRACT}/1.0.0", payload=payload or self._payload,
            intent="be measured", to=WORKER, timeout_s=_WITHIN_S, since={},
        )  # fmt: skip
        arrival: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        if begun.task in self._early:
            arrival.set_result(self._early.pop(begun.task))
        else:
            self._begun[begun.task] = arrival
        async with asyncio.timeout(_WITHIN_S):
            called, answered = await arrival
        return Carried(called - began, answered - began)

    async def _listen(self) -> None:
        place = Partition(inbox_topic(OPERATOR), 0)
        positions = await self._log.end_offsets([place])
        reader = await self._log.reader()
        try:
            while True:
                got = await reader.fetch(positions, max_records=_BATCH, max_wait_ms=_POLL_MS)
                for raw in got.get(place, ()):
                    positions[place] = raw.offset + 1
                    self._hear(examine(raw, self._settings.platform, self._me, self._keys))
        finally:
            await reader.stop()

    def _hear(self, found: Any) -> None:
        match found:
            case Answered(answer=answer, payload=payload):
                result = json.loads(payload)
                self._settle(answer.task, (int(result["called_at_ns"]), time.monotonic_ns()))
            case Told(notice=notice) if notice.what in _LOST:
                waiting = self._begun.pop(notice.task, None)
                if waiting is not None and not waiting.done():
                    why = f"a task was {notice.what} ({notice.rule}: {notice.reason})"
                    waiting.set_exception(SeamworkError(why))
            case _:
                pass  # accepted, or of another run

    def _settle(self, task: str, instants: tuple[int, int]) -> None:
        waiting = self._begun.pop(task, None)
        if waiting is None:
            self._early[task] = instants
        elif not waiting.done():
            waiting.set_result(instants)


@dataclass(frozen=True)
class Worker:
    """The agent's process, and where its metrics are."""

    pid: int
    port: int


def payload_of(size: int) -> dict[str, str]:
    """Return a payload of *size* bytes as it lies on the wire, braces and name included."""
    return {"weight": "x" * (size - len('{"weight":""}'))}


@asynccontextmanager
async def governed_road(
    stage: Stage, payload: Mapping[str, str], root: Path
) -> AsyncIterator[tuple[GovernedRoad, Worker]]:
    """Publish what the work needs, start the agent, and yield the road with the agent."""
    await stage.publish(
        document("Policy", "bench-policy"),
        document("Contract", CONTRACT),
        document("Flow", "bench", edges=[{"from": OPERATOR, "to": WORKER, "contract": CONTRACT}]),
    )
    await stage.join(WORKER, accepts=[{"contract": CONTRACT, "versions": "*"}], concurrency=_SEATS)
    home = stage.door.home
    environ = {**os.environ, "SEAMWORK_AGENT_SETTINGS": str(home.agents / f"{WORKER}.toml")}
    (port,) = free_ports(1)
    with (home.logs / f"{WORKER}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220  # begun before anything is measured
            [sys.executable, "-m", "benchmarks.worker", str(port)],
            cwd=root,
            env=environ,
            stdout=log,
            stderr=log,
        )
    road = GovernedRoad(
        await stage.log(f"agent-{OPERATOR}"),
        AgentSettings.from_file(home.agents / f"{OPERATOR}.toml"),
        payload,
    )
    try:
        await road.start()
        yield road, Worker(process.pid, port)
    finally:
        await road.stop()
        process.terminate()
        await asyncio.to_thread(process.wait)
