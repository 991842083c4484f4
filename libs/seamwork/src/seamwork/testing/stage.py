"""
Put a whole platform on a stage: the six services as processes on a real Kafka, and agents of the test's own.

For acceptance tests: what they send goes through everything, and what became of it is read from the topics.
"""

import asyncio
import json
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from seamwork.agent import Agent, AgentSettings, Labelled, Submitted, submit, wait
from seamwork.broker.embedded import ensure_broker, running_broker
from seamwork.broker.principal import user_name
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Confirmed, Partition
from seamwork.documents import Agent as AgentDocument
from seamwork.documents import AnyDocument
from seamwork.documents.canonical import canonical, canonical_json
from seamwork.errors import SeamworkError
from seamwork.grants.keys import SigningKey
from seamwork.grants.stamps import inbox_topic
from seamwork.platform.audit import Audit
from seamwork.platform.door import REGISTRAR, Door
from seamwork.platform.home import PlatformHome
from seamwork.platform.known import lagging
from seamwork.platform.members import add_agents, add_person, with_own_key
from seamwork.platform.people import ask
from seamwork.platform.trust import OPERATOR, agent_kid
from seamwork.platform.up import DEFAULT_PARTITIONS, DEFAULT_PREFIX, Layout, Running, bring_up
from seamwork.records.base import Envelope
from seamwork.records.decision import Refused, TaskEnded
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.inbox import Notice
from seamwork.records.parties import Position
from seamwork.records.platform import DeadLetter
from seamwork.records.wire import Malformed, Outgoing, RawRecord, Received, read
from seamwork.testing.documents import document

E = TypeVar("E", bound=Envelope)
WITHIN_S = 30.0
_POLL_S = 0.03


SEVERAL = 4
"""Partitions of a platform on which it has to show what is owned, ordered and counted in each by itself."""

GATES = ("contract-validator", "policy-engine", "cost-cap", "approval-workflow")


@dataclass
class _Read:
    """What was read of one topic so far, and up to where."""

    records: list[Received[AnyEnvelope] | Malformed] = field(default_factory=list)
    positions: dict[Partition, int] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Stage:
    """
    A running platform and the agents that play on it.

    Attributes:
        running: The platform.
        door: The way in as any principal.
    """

    def __init__(self, running: Running, names: Path | None = None) -> None:
        self.running = running
        self._names = names
        self.door: Door = running.door
        self._agents: list[Agent] = []
        self._logs: dict[str, KafkaLog] = {}
        self._read: dict[str, _Read] = {}

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
        """
        Publish and activate documents, and wait until every service judges by them.

        Raises:
            AssertionError: A service does not know them in time.
        """
        async with self.door.publisher() as publisher:
            _, revision = await publisher.publish(documents)
        behind = await lagging(self.door.home, revision)
        assert not behind, f"these do not know what was published: {', '.join(behind)}"  # noqa: S101  # a test's own check
        self._claim(documents)

    async def cast(
        self, agents: Mapping[str, Mapping[str, Any]], *documents: AnyDocument
    ) -> dict[str, AgentSettings]:
        """
        Bring several agents in at once, with documents that are published before them.

        Args:
            agents: The parts of each one's spec that matter, by ``name`` or ``name@version``.
            documents: Contracts, flows, policies that they work under.

        Returns:
            Their settings, by name.
        """
        made = tuple(self._document(who, spec) for who, spec in agents.items())
        joined, _, _ = await add_agents(self.door, made, publish=documents)
        self._claim((*documents, *made))
        return {one.agent: AgentSettings.from_file(one.settings) for one in joined}

    async def join(self, name: str, version: str = "1.0.0", **spec: Any) -> AgentSettings:
        """Bring an agent in by a document with these parts of a spec, and return its settings."""
        return (await self.cast({f"{name}@{version}": spec}))[name]

    def _document(self, who: str, spec: Mapping[str, Any]) -> AgentDocument:
        name, _, version = who.partition("@")
        keys = with_own_key(self.door.home, {"metadata": {"name": name}, "spec": dict(spec)})["spec"]["keys"]
        made = document("Agent", name, version or "1.0.0", **{**spec, "keys": keys})
        assert isinstance(made, AgentDocument)  # noqa: S101  # as asked for
        return made

    def _claim(self, documents: Sequence[AnyDocument]) -> None:
        """
        Hold what was published against what other stages of the same run published under these names.

        Which tests meet on a stage is up to how a run is shared out; that two of them say different things by one
        name shows in every run this way, not in the one that brings them together.
        """
        if self._names is None:
            return
        self._names.mkdir(exist_ok=True)
        for one in documents:
            content = _without_keys(one)
            file = self._names / f"{one.kind}-{one.name}-{one.version}.json"
            try:
                with file.open("xb") as claimed:
                    claimed.write(content)
            except FileExistsError:
                message = f"two tests publish {one.title} with different content: give one another name"
                assert content == file.read_bytes(), message  # noqa: S101  # a test's own check

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
        self._claim((document("Person", name, roles=sorted(roles)),))

    async def say(self, person: str, topic: str, task: str, record: Callable[[str], Envelope]) -> None:
        """Publish what a person says of a task, signed with the person's key."""
        await ask(self.door, person, topic, task, record)

    async def submit(self, contract: str, payload: Any, **order: Any) -> Submitted:
        """Begin a task as the operator; *order* are the arguments of ``seamwork.agent.submit``."""
        given = {"intent": "a test", "timeout_s": 60.0, **order}
        log = await self.log(f"agent-{OPERATOR}")
        return await submit(log, self._operator, contract=contract, payload=payload, **given)

    async def wait(self, begun: Submitted, within_s: float = WITHIN_S) -> Labelled[Any]:
        """Wait for what became of a task that the operator began, as ``seamwork.agent.wait`` tells it."""
        async with asyncio.timeout(within_s):
            return await wait(await self.log(f"agent-{OPERATOR}"), self._operator, begun)

    @property
    def _operator(self) -> AgentSettings:
        return AgentSettings.from_file(self.door.home.agents / f"{OPERATOR}.toml")

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

    # ── What became of it ────────────────────────────────────────────────────────────────

    async def all_records(self, topic: str) -> list[Received[AnyEnvelope] | Malformed]:
        """Return everything that a topic holds in the order of append, unreadable records too."""
        known = self._read.setdefault(topic, _Read())
        async with known.lock:
            await self._read_on(topic, known)
        return list(known.records)

    async def _read_on(self, topic: str, known: "_Read") -> None:
        log = await self.log("audit-sink")
        count = await log.partitions_of(topic)
        if count is None:
            message = f"there is no topic {topic}"
            raise SeamworkError(message)
        places = [Partition(topic, number) for number in range(count)]
        ends = await log.end_offsets(places)
        # What retention has deleted before anybody looked is not there to be read.
        starts = {} if known.positions else await log.start_offsets(places)
        fresh: list[RawRecord] = []
        for place in places:
            start = known.positions.get(place, starts.get(place, 0))
            if ends[place] > start:
                fresh += await log.read(place, start, ends[place])
                known.positions[place] = ends[place]
        if fresh:
            known.records += [read(raw, self.platform) for raw in fresh]
            known.records.sort(key=lambda one: (one.raw.appended_at, one.raw.partition, one.raw.offset))

    async def records(self, topic: str, key: str | None = None) -> list[Received[AnyEnvelope]]:
        """Return what a topic holds and can be read, of one key or all, in the order of append."""
        found = [r for r in await self.all_records(topic) if isinstance(r, Received)]
        return [r for r in found if key is None or r.key == key]

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
            AssertionError: None came in time; tells what there was instead.
        """
        deadline = time.monotonic() + within_s
        while True:
            found = await self.records(topic, key=key)
            for record in found:
                if holds(record):
                    return record
            if time.monotonic() > deadline:
                told = await self.story(key) if key is not None else _lines(found[-20:])
                message = f"no such record in {topic} within {within_s:.0f} s; there is\n{told}"
                raise AssertionError(message)
            await asyncio.sleep(_POLL_S)

    async def said(
        self,
        topic: str,
        kind: type[E],
        holds: Callable[[E], bool] = lambda _: True,
        *,
        key: str | None = None,
        within_s: float = WITHIN_S,
    ) -> E:
        """Wait for a record of *kind* in *topic* for which *holds* is true, and return what it says."""
        found = await self.until(
            topic, lambda r: isinstance(r.record, kind) and holds(r.record), key=key, within_s=within_s
        )
        assert isinstance(found.record, kind)  # noqa: S101  # as asked for
        return found.record

    async def decided(
        self,
        task: str,
        kind: type[E],
        holds: Callable[[E], bool] = lambda _: True,
        within_s: float = WITHIN_S,
    ) -> E:
        """Wait for a decision of *kind* on *task*."""
        return await self.said("decisions.v1", kind, holds, key=task, within_s=within_s)

    async def ended(self, task: str, within_s: float = WITHIN_S) -> TaskEnded:
        """Wait until a task has ended and return the decision."""
        return await self.decided(task, TaskEnded, within_s=within_s)

    async def decisions(self, task: str) -> list[AnyEnvelope]:
        """Return what was decided of a task so far."""
        return [received.record for received in await self.records("decisions.v1", key=task)]

    async def refused(self, at: Position) -> Refused:
        """Wait until the record at this place in ``handoffs`` is refused."""
        return await self.said(
            "decisions.v1", Refused, lambda r: r.subject is not None and r.subject.position == at
        )

    async def told(self, agent: str, about: str, what: str) -> Notice:
        """Wait until *agent* is told *what* became of a crossing."""
        return await self.said(
            inbox_topic(agent), Notice, lambda notice: (notice.about, notice.what) == (about, what)
        )

    async def set_aside(self, at: Position, topic: str = "handoffs.v1") -> DeadLetter:
        """Wait for the dead letter of the record at this place."""
        return await self.said(
            "dead-letters.v1", DeadLetter, lambda letter: (letter.topic, letter.position) == (topic, at)
        )

    async def audited(self, within_s: float = WITHIN_S) -> None:
        """
        Wait until the audit holds every record that ``handoffs`` holds now, byte for byte and once.

        Raises:
            AssertionError: It does not, in time; names the first that is missing or differs.
        """
        wanted = {one.raw.position: one for one in await self.all_records("handoffs.v1")}
        deadline = time.monotonic() + within_s
        while True:
            kept = await asyncio.to_thread(self._kept)
            missing = [str(at) for at, one in wanted.items() if kept.get(at) != [one.raw.value]]
            if not missing:
                return
            assert time.monotonic() < deadline, f"the audit lacks, or has otherwise, {missing[:5]}"  # noqa: S101  # a test's own check
            await asyncio.sleep(_POLL_S)

    async def recorded(self, within_s: float = WITHIN_S) -> float:
        """
        Wait until the audit has kept all that lies in its topics now, and return how long that took, in seconds.

        Raises:
            AssertionError: It has not, in time; says of which partition most is missing.
        """
        began = time.monotonic()
        log = await self.log("audit-sink")
        places = {name: Partition.named(name) for name in await asyncio.to_thread(self.audit.positions)}
        ends = await log.end_offsets(list(places.values()))
        while True:
            kept = await asyncio.to_thread(self.audit.positions)
            missing = {name: ends[at] - kept[name] for name, at in places.items() if kept[name] < ends[at]}
            took_s = time.monotonic() - began
            if not missing:
                return took_s
            most = max(missing, key=missing.__getitem__)
            assert took_s < within_s, f"the audit lacks {missing[most]} records of {most}"  # noqa: S101  # a test's own check
            await asyncio.sleep(_POLL_S)

    def _kept(self) -> dict[Position, list[bytes | None]]:
        kept: dict[Position, list[bytes | None]] = {}
        with closing(sqlite3.connect(f"file:{self.door.home.audit}?mode=ro", uri=True)) as base:
            rows = base.execute(
                'SELECT "partition", "offset", value FROM records WHERE topic = ?', ("handoffs.v1",)
            )
            for partition, offset, value in rows:
                kept.setdefault(Position(partition=partition, offset=offset), []).append(value)
        return kept

    async def story(self, task: str) -> str:
        """Tell what every topic of the path of work holds of a task, a line each, for whoever reads a failure."""
        topics = [
            "handoffs.v1",
            "decisions.v1",
            "approvals.v1",
            "answers.v1",
            "commands.v1",
            "dead-letters.v1",
        ]
        topics += [f"verdicts.{gate}.v1" for gate in GATES]
        found = [record for topic in topics for record in await self.records(topic, key=task)]
        found.sort(key=lambda record: record.raw.appended_at)
        return _lines(found)

    # ── Outages ──────────────────────────────────────────────────────────────────────────

    async def kill_broker(self) -> None:
        """End the broker's JVM as a crash would."""
        broker = running_broker(self.door.home.root, admin=self._admin)
        assert broker is not None, "the broker of this stage is not an embedded one"  # noqa: S101  # a test's own check
        os.kill(broker.pid, signal.SIGKILL)
        await asyncio.to_thread(self.running.kafka.stop)  # only waits for what is gone

    async def start_broker(self) -> None:
        """Start the broker again, on the same data and port."""
        broker = await asyncio.to_thread(ensure_broker, self.door.home.root, admin=self._admin)
        assert broker.bootstrap == self.door.bootstrap  # noqa: S101  # a test's own check
        self.running.kafka = replace(self.running.kafka, stop=broker.stop)

    @property
    def _admin(self) -> str:
        return user_name(self.door.identity.prefix, REGISTRAR)

    async def close(self) -> None:
        """Stop agents, connections, services, broker."""
        for agent in list(self._agents):
            await self.leave(agent)
        for log in self._logs.values():
            await log.stop()
        await self.running.stop()


@asynccontextmanager
async def staged(
    folder: Path,
    services: Sequence[str] | None = None,
    *,
    layout: Layout = "apart",
    prefix: str = DEFAULT_PREFIX,
    partitions: int = DEFAULT_PARTITIONS,
    names: Path | None = None,
) -> AsyncIterator[Stage]:
    """
    Bring a platform up in *folder* and take it down again.

    Args:
        folder: The platform's home.
        services: Those to run; null is all.
        layout: How they share processes.
        prefix: Of all its names at the broker.
        partitions: Of the path of work.
        names: A folder that the stages of one run share: no name may mean two things on them.
    """
    running = await bring_up(
        PlatformHome(folder), prefix=prefix, services=services, layout=layout, partitions=partitions
    )
    stage = Stage(running, names)
    try:
        yield stage
    finally:
        await stage.close()


def _without_keys(document: AnyDocument) -> bytes:
    """Return what a document says, less the keys that each platform makes anew."""
    said = json.loads(canonical(document))
    for made in ("key", "keys"):
        said["spec"].pop(made, None)
    return canonical_json(said)


def _lines(found: Sequence[Received[AnyEnvelope]]) -> str:
    lines = []
    for one in found:
        says = {
            name: value
            for name in (
                "crossing",
                "id",
                "gate",
                "outcome",
                "rule",
                "reason",
                "why",
                "what",
                "final",
                "not_before",
            )
            if (value := getattr(one.record, name, None)) not in (None, "")
        }
        place = f"{one.raw.topic}/{one.raw.partition}/{one.raw.offset}"
        lines.append(f"{one.raw.appended_at} {place} {one.record.__struct_config__.tag} {says}")
    return "\n".join(lines)
