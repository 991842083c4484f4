"""
Put a whole platform on a stage: the six services as processes on a real Kafka, and agents of the test's own.

For acceptance tests: what they send goes through everything, and what became of it is read from the topics.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from seamwork.agent import Agent, AgentSettings, Submitted, submit
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Confirmed, Partition
from seamwork.documents import Agent as AgentDocument
from seamwork.documents import AnyDocument
from seamwork.errors import SeamworkError
from seamwork.grants.keys import SigningKey
from seamwork.platform.audit import Audit
from seamwork.platform.door import Door
from seamwork.platform.home import PlatformHome
from seamwork.platform.members import add_agents, add_person, with_own_key
from seamwork.platform.people import ask
from seamwork.platform.trust import OPERATOR, agent_kid
from seamwork.platform.up import Running, bring_up
from seamwork.records.base import Envelope
from seamwork.records.decision import TaskEnded
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.wire import Malformed, Outgoing, Received, read
from seamwork.testing.documents import document

T = TypeVar("T")
WITHIN_S = 60.0
_POLL_S = 0.05


class Stage:
    """
    A running platform and the agents that play on it.

    Attributes:
        running: The platform.
        door: The way in as any principal.
    """

    def __init__(self, running: Running) -> None:
        self.running = running
        self.door: Door = running.door
        self._agents: list[Agent] = []
        self._logs: dict[str, KafkaLog] = {}

    @property
    def platform(self) -> str:
        """The platform's id."""
        return self.door.identity.id

    @property
    def audit(self) -> Audit:
        """The audit sink's pages."""
        return Audit.of(self.door)

    async def log(self, principal: str) -> KafkaLog:
        """Return the log as *principal* sees it; kept open until the stage closes."""
        if principal not in self._logs:
            log = KafkaLog(
                self.door.access(principal), self.door.identity.prefix, client_id=f"test-{principal}"
            )
            await log.start()
            self._logs[principal] = log
        return self._logs[principal]

    async def publish(self, *documents: AnyDocument) -> None:
        """Publish and activate documents."""
        async with self.door.publisher() as publisher:
            await publisher.publish(documents)

    async def join(self, name: str, version: str = "1.0.0", **spec: Any) -> AgentSettings:
        """Bring an agent in by a document with these parts of a spec, and return its settings."""
        written = {"metadata": {"name": name}, "spec": spec}
        keys = with_own_key(self.door.home, written)["spec"]["keys"]
        made = document("Agent", name, version, **{**spec, "keys": keys})
        assert isinstance(made, AgentDocument)  # noqa: S101  # as asked for
        (joined,) = await add_agents(self.door, (made,))
        return AgentSettings.from_file(joined.settings)

    async def play(self, agent: Agent, settings: AgentSettings) -> Agent:
        """Start an agent in this process; the stage stops it."""
        await agent.start(settings=settings)
        self._agents.append(agent)
        return agent

    async def leave(self, agent: Agent) -> None:
        """Stop an agent."""
        self._agents.remove(agent)
        await agent.stop()

    async def person(self, name: str, *roles: str) -> None:
        """Bring a person in."""
        await add_person(self.door, name, roles)

    async def say(self, person: str, topic: str, task: str, record: Callable[[str], Envelope]) -> None:
        """Publish what a person says of a task, signed with the person's key."""
        await ask(self.door, person, topic, task, record)

    async def submit(self, contract: str, payload: Any, **order: Any) -> Submitted:
        """Begin a task as the operator; *order* are the arguments of ``seamwork.agent.submit``."""
        settings = AgentSettings.from_file(self.door.home.agents / f"{OPERATOR}.toml")
        given = {"intent": "a test", "timeout_s": WITHIN_S, **order}
        return await submit(
            await self.log(f"agent-{OPERATOR}"), settings, contract=contract, payload=payload, **given
        )

    def key(self, agent: str) -> SigningKey:
        """Return an agent's private key, to forge with."""
        return self.door.home.key(agent_kid(agent))

    async def send(self, principal: str, *records: Outgoing) -> list[int]:
        """Write raw records as *principal* and return their offsets; nothing is checked on the way out."""
        answers = await (await self.log(principal)).publish(records)
        refused = [answer for answer in answers if not isinstance(answer, Confirmed)]
        if refused:
            message = f"the log did not take what the test wrote: {refused}"
            raise SeamworkError(message)
        return [answer.offset for answer in answers if isinstance(answer, Confirmed)]

    async def records(
        self, topic: str, principal: str = "audit-sink", key: str | None = None
    ) -> list[Received[AnyEnvelope]]:
        """Return what a topic holds, of one key or all, in the order of append."""
        found = [r for r in await self.all_records(topic, principal) if isinstance(r, Received)]
        return [r for r in found if key is None or r.key == key]

    async def all_records(
        self, topic: str, principal: str = "audit-sink"
    ) -> list[Received[AnyEnvelope] | Malformed]:
        """Return everything that a topic holds, unreadable records too."""
        log = await self.log(principal)
        count = await log.partitions_of(topic)
        if count is None:
            message = f"there is no topic {topic}"
            raise SeamworkError(message)
        places = [Partition(topic, number) for number in range(count)]
        starts, ends = await log.start_offsets(places), await log.end_offsets(places)
        raws = [raw for place in places for raw in await log.read(place, starts[place], ends[place])]
        raws.sort(key=lambda raw: (raw.appended_at, raw.partition, raw.offset))
        return [read(raw, self.platform) for raw in raws]

    async def until(
        self,
        topic: str,
        holds: Callable[[Received[AnyEnvelope]], bool],
        *,
        key: str | None = None,
        within_s: float = WITHIN_S,
    ) -> Received[AnyEnvelope]:
        """
        Wait for a record of *topic* for which *holds* is true.

        Raises:
            AssertionError: None came in time; names what there was.
        """
        deadline = time.monotonic() + within_s
        while True:
            found = await self.records(topic, key=key)
            for record in found:
                if holds(record):
                    return record
            if time.monotonic() > deadline:
                seen = [f"{r.record.__struct_config__.tag}:{getattr(r.record, 'rule', '')}" for r in found]
                message = f"no such record in {topic} within {within_s:.0f} s; there are {seen[-20:]}"
                raise AssertionError(message)
            await asyncio.sleep(_POLL_S)

    async def ended(self, task: str, within_s: float = WITHIN_S) -> TaskEnded:
        """Wait until a task has ended and return the decision."""
        found = await self.until(
            "decisions.v1", lambda r: isinstance(r.record, TaskEnded), key=task, within_s=within_s
        )
        assert isinstance(found.record, TaskEnded)  # noqa: S101  # as asked for
        return found.record

    async def decisions(self, task: str) -> list[AnyEnvelope]:
        """Return what was decided of a task so far."""
        return [received.record for received in await self.records("decisions.v1", key=task)]

    async def close(self) -> None:
        """Stop agents, connections, services, broker."""
        for agent in list(self._agents):
            await self.leave(agent)
        for log in self._logs.values():
            await log.stop()
        await self.running.stop()


@asynccontextmanager
async def staged(folder: Path, services: Sequence[str] | None = None) -> AsyncIterator[Stage]:
    """Bring a platform up in *folder* and take it down again."""
    stage = Stage(await bring_up(PlatformHome(folder), services=services))
    try:
        yield stage
    finally:
        await stage.close()
