"""The loop keeps every record of every topic once, whatever stops it and whenever."""

import asyncio
import builtins
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from seamwork.broker.principal import GATES, MACHINES
from seamwork.broker.topics import load_topic_specs
from seamwork.bus.port import Confirmation, LogGapError, Partition
from seamwork.catalog.follower import CatalogFollower
from seamwork.errors import FencedError, MisconfiguredError, RetryableError
from seamwork.grants.keys import verifies
from seamwork.ids import span_id
from seamwork.platform.publisher import Publisher
from seamwork.records.platform import Obstacle, TreeHead
from seamwork.records.wire import Outgoing, RawRecord, Received, read, signed_bytes
from seamwork.runtime import Host, Request, Site
from seamwork.runtime.metrics import Metrics
from seamwork.settings.common import CommonSettings
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.builders import PLATFORM, received
from seamwork.testing.clock import SettableClock
from seamwork.testing.collector import TestCollector
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of
from seamwork.testing.loops import caught_up
from seamwork.testing.simlog import Fault, SimBroker, SimCrash, SimLog
from seamwork.testing.story import ROOT_TRACE, STORY
from seamwork_audit_sink.archive import Archive
from seamwork_audit_sink.pages import PREFIX
from seamwork_audit_sink.rows import raw_of
from seamwork_audit_sink.settings import Settings
from seamwork_audit_sink.sink import Sink
from seamwork_audit_sink.store import Store
from seamwork_audit_sink.topics import FIXED, LEAD, READS
from seamwork_audit_sink.wiring import build

ROOT = key_of("root")
CROSSINGS = 3
KEPT_OUT = ("audit.v1", "heartbeats.v1", "snapshots.router.v1")
WITHIN_S = 20
FULL = 1 << 40
"""A disk of which so many MiB were to be free: an exbibyte, more than any has."""


class World:
    """A platform's topics, with something in each."""

    def __init__(self, step: Callable[[str], Awaitable[None]] | None = None) -> None:
        self.clock = SettableClock()
        self.broker = SimBroker(self.clock) if step is None else SimBroker(self.clock, step=step)
        self.log = SimLog(self.broker)
        self.metrics = Metrics("audit-sink")
        self.hindered: list[Sequence[Obstacle]] = []
        self.ready_with: list[list[str]] = []
        documents = ("contracts.v1", "policies.v1", "registry.v1")
        for topic in documents:
            self.broker.create_topic(topic)
        self.work = [
            *(topic for topic in FIXED if topic not in documents),
            *(f"verdicts.{gate}.v1" for gate in GATES),
            *(f"journal.{machine}.v1" for machine in MACHINES),
        ]
        for topic in self.work:
            self.broker.create_topic(topic, CROSSINGS)
        for topic in KEPT_OUT:
            self.broker.create_topic(topic)
        self.publisher = Publisher(
            SimLog(SimBroker(self.clock)), PLATFORM, ROOT.public, key_of("publisher:test"), self.clock, ROOT
        )

    @property
    def obstacles(self) -> list[str]:
        """Return the rules of what was said last to stand against new tasks."""
        return [one.rule for one in self.hindered[-1]] if self.hindered else []

    def fill(self, rounds: int) -> None:
        """Write to every topic, bad bytes among the good."""
        raw = received("handoff", payload={"a": 1}).raw
        for number in range(rounds):
            for topic in (*self.work, *KEPT_OUT):
                at = Partition(topic, number % (self.broker.count(topic) or 1))
                self.broker.write(at, raw.key, raw.value, raw.headers)
                self.broker.write(at, None, None)
                self.clock.advance(1)

    def written(self) -> dict[Partition, list[RawRecord]]:
        """Return what lies in every topic that is to be kept."""
        found: dict[Partition, list[RawRecord]] = {}
        for topic in ("contracts.v1", "policies.v1", "registry.v1", *self.work):
            for number in range(self.broker.count(topic) or 0):
                at = Partition(topic, number)
                found[at] = list(self.broker.records(at))
        return {at: records for at, records in found.items() if records}

    async def host(self, idle: asyncio.Event, instance: str = "one") -> Host:
        """Make what the runtime lends."""
        follower = CatalogFollower(self.log, PLATFORM, ROOT.public)
        await follower.start()
        return Host(
            name="audit-sink",
            version="1.0.0",
            instance=instance,
            platform=PLATFORM,
            log=self.log,
            catalog=follower,
            clock=self.clock,
            settings=CommonSettings(
                platform=PLATFORM,
                root_public=ROOT.public,
                kafka=KafkaAccess(bootstrap="none:1", username="audit-sink", password="none"),
                instance=instance,
            ),
            signing_key=key_of("service:audit-sink"),
            stopping=asyncio.Event(),
            progressed=lambda left: idle.clear() if left else idle.set(),
            ready=lambda: self.ready_with.append(self.obstacles),
            hinders=self.hindered.append,
            metrics=self.metrics,
            logger=structlog.get_logger("audit-sink"),
        )


class Running:
    """One process of the service."""

    def __init__(self, host: Host, idle: asyncio.Event, settings: Settings) -> None:
        self.host = host
        self._idle = idle
        self._part = build(settings, Site(platform=PLATFORM, partitions=CROSSINGS))
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await self._part.run(self.host)

    async def asked(self, path: str) -> Any:
        """Ask one of its pages, on a thread as its server does."""
        return msgspec.json.decode(
            (await asyncio.to_thread(self._part.routes[PREFIX], Request(path, {}))).body
        )

    async def caught_up(self) -> None:
        """Wait until it has kept all there is; an error of the loop is raised here."""
        await caught_up(self.task, self._idle, WITHIN_S)

    async def stop(self) -> None:
        """Stop it as the runtime does."""
        self.host.stopping.set()
        async with asyncio.timeout(WITHIN_S):
            await self.task


@asynccontextmanager
async def running(world: World, settings: Settings, instance: str = "one") -> AsyncIterator[Running]:
    """Run the service while the block runs."""
    idle = asyncio.Event()
    host = await world.host(idle, instance)
    process = Running(host, idle, settings)
    try:
        yield process
    finally:
        host.stopping.set()
        await asyncio.gather(process.task, return_exceptions=True)
        await host.catalog.stop()


def kept(database: Path) -> dict[Partition, list[RawRecord]]:
    """Return what the database holds, by partition, in the order of taking in."""
    found: dict[Partition, list[RawRecord]] = {}
    for row in Archive(database).rows(bodies=True):
        found.setdefault(Partition(row.topic, row.partition), []).append(raw_of(row))
    return found


def heads(world: World) -> list[TreeHead]:
    """Return the heads that were published; their signatures hold."""
    found = []
    for raw in world.broker.records(Partition(LEAD, 0)):
        record = read(raw, PLATFORM)
        if not isinstance(record, Received) or not isinstance(record.record, TreeHead):
            continue
        covered = signed_bytes(PLATFORM, LEAD, raw.key or b"", record.envelope)
        assert verifies(key_of("service:audit-sink").public, covered, record.sig or "")
        found.append(record.record)
    return found


async def test_every_record_of_every_topic_is_kept_once(settings: Settings) -> None:
    """Good and bad, from every partition; what the service itself writes, pulses and snapshots stay out."""
    world = World()
    world.fill(10)
    async with running(world, settings) as process:
        await process.caught_up()
        world.fill(4)
        await process.caught_up()

        assert world.written() == kept(settings.database)


async def test_a_page_of_tasks_knows_what_crossed_before_it_was_asked_for(settings: Settings) -> None:
    """Who has just had an answer asks what became of it, while the sink still lets records gather."""
    world = World()
    async with running(world, settings) as process:
        for number in range(5):
            task = f"task-{number}"
            await process.caught_up()
            raw = received("handoff", task=task, payload={"a": number}).raw
            world.broker.write(Partition("handoffs.v1", number % CROSSINGS), raw.key, raw.value, raw.headers)

            assert task in {line["task"] for line in await process.asked("/v1/tasks")}


async def test_pages_answer_without_a_broker(settings: Settings) -> None:
    """What was kept is asked for most when nothing works; nobody waits for long to be told."""
    gone = False

    async def step(call: str) -> None:
        await asyncio.sleep(0)
        if gone and call == "end-offsets":
            raise RetryableError("no broker answers")

    world = World(step)
    world.fill(2)
    async with running(world, settings) as process:
        await process.caught_up()
        before = await process.asked("/v1/tasks")
        gone = True

        assert before == await process.asked("/v1/tasks") != []


async def test_a_restart_goes_on_where_the_database_says(settings: Settings) -> None:
    """Positions come from the database alone; the group remembers nothing."""
    world = World()
    world.fill(3)
    for _ in range(2):
        async with running(world, settings) as process:
            await process.caught_up()
            await process.stop()
        world.fill(3)
    async with running(world, settings) as process:
        await process.caught_up()

    assert world.written() == kept(settings.database)
    assert {} == world.broker.group("audit-sink").committed


@pytest.mark.parametrize("every", [2, 5, 9, 14])
async def test_a_crash_between_batches_loses_nothing_and_doubles_nothing(
    settings: Settings, every: int
) -> None:
    """It dies at every so-many-th call to the log, again and again, and what is kept is right afterwards."""
    calls = 0
    crashing = False

    async def step(_: str) -> None:
        nonlocal calls
        await asyncio.sleep(0)
        if crashing:
            calls += 1
            if calls % every == 0:
                raise SimCrash

    world = World(step)
    world.fill(12)
    for _ in range(12):
        idle = asyncio.Event()
        host = await world.host(idle)
        crashing = True
        with pytest.raises(SimCrash):
            await asyncio.wait_for(Sink(settings, host).run(), WITHIN_S)
        crashing = False
        await host.catalog.stop()
    async with running(world, settings) as process:
        await process.caught_up()

    assert world.written() == kept(settings.database)


async def test_a_new_agents_inbox_is_picked_up_without_a_restart(settings: Settings) -> None:
    """The registrar makes the topic, then the document is published; from then on it is read, from its start."""
    world = World()
    publisher = Publisher(world.log, PLATFORM, ROOT.public, key_of("publisher:test"), world.clock, ROOT)
    async with running(world, settings) as process:
        await process.caught_up()
        world.broker.create_topic("inbox.parser.v1", 2)
        world.broker.create_topic("verdicts.second-opinion.v1", CROSSINGS)
        world.work += ["inbox.parser.v1", "verdicts.second-opinion.v1"]
        world.fill(3)
        await publisher.publish((document("Key", "test", purpose="publisher"),))
        _, revision = await publisher.publish(
            (document("Agent", "parser"), document("Gate", "second-opinion"))
        )
        await process.host.catalog.catch_up(revision)
        await process.caught_up()
        await process.caught_up()

        assert world.written() == kept(settings.database)
        assert {"inbox.parser.v1", "verdicts.second-opinion.v1"} <= {
            at.topic for at in kept(settings.database)
        }


async def test_a_topic_that_is_not_there_yet_is_looked_for_again(settings: Settings) -> None:
    """A document may be read before its topic can be seen."""
    world = World()
    publisher = Publisher(world.log, PLATFORM, ROOT.public, key_of("publisher:test"), world.clock, ROOT)
    await publisher.publish((document("Key", "test", purpose="publisher"),))
    await publisher.publish((document("Agent", "parser"),))
    async with running(world, settings) as process:
        await process.caught_up()
        world.broker.create_topic("inbox.parser.v1")
        world.work.append("inbox.parser.v1")
        world.fill(1)
        world.clock.advance(6_000)
        await process.caught_up()
        await process.caught_up()

        assert world.written() == kept(settings.database)


async def test_a_gap_in_the_log_stops_the_sink(settings: Settings) -> None:
    """Records that were trimmed unread are missed loudly; nothing behind them is taken in."""
    world = World()
    world.fill(2)
    async with running(world, settings) as process:
        await process.caught_up()
        await process.stop()
    before = kept(settings.database)
    world.fill(8)
    await world.log.trim(Partition("decisions.v1", 0), 5)

    async with running(world, settings) as process:
        with pytest.raises(LogGapError):
            await process.task
    assert before[Partition("decisions.v1", 0)] == kept(settings.database)[Partition("decisions.v1", 0)]


async def test_what_another_sink_has_kept_is_no_gap(settings: Settings) -> None:
    """One that slept through its successor finds the log trimmed, and that it is not the owner any more."""
    world = World()
    world.fill(1)
    async with running(world, settings) as process:
        await process.caught_up()
        with Store(settings.database, PLATFORM, "log-2") as other:
            other.take_over("another")
        for number in range(world.broker.count("decisions.v1") or 0):
            at = Partition("decisions.v1", number)
            world.broker.write(at, None, None)
            _, end = world.broker.bounds(at)
            await world.log.trim(at, end)
            world.broker.write(at, None, None)
        with pytest.raises(FencedError):
            await process.task


async def test_a_log_that_begins_late_needs_an_operators_word(settings: Settings) -> None:
    """A new database on an old platform misses what was trimmed: it says so, and keeps a note once it may go on."""
    world = World()
    world.fill(6)
    await world.log.trim(Partition("handoffs.v1", 0), 2)
    with pytest.raises(LogGapError, match=r"handoffs\.v1/0 begins at offset 2.*ACCEPT_TRIMMED_START"):
        async with running(world, settings) as process:
            await process.caught_up()

    async with running(world, msgspec.structs.replace(settings, accept_trimmed_start=True)) as process:
        await process.caught_up()

    assert world.written() == kept(settings.database)
    assert [("handoffs.v1", 0, 0, 2)] == Archive(settings.database).gaps()


async def test_a_log_that_was_made_anew_stops_the_sink(settings: Settings) -> None:
    """Its offsets mean other records than those that were kept under them."""
    world = World()
    world.fill(3)
    async with running(world, settings) as process:
        await process.caught_up()
        await process.stop()

    with pytest.raises(LogGapError, match="the topic was made anew or lost its end"):
        async with running(World(), settings) as process:
            await process.caught_up()


async def test_a_log_that_was_made_anew_stops_the_sink_though_it_has_grown(settings: Settings) -> None:
    """Whether it is shorter than what was kept is a matter of when the sink comes back."""
    world, anew = World(), World()
    world.fill(3)
    async with running(world, settings) as process:
        await process.caught_up()
        await process.stop()
    anew.clock.advance(1)
    anew.fill(9)

    with pytest.raises(LogGapError, match="holds another record at offset 1 than was kept from there"):
        async with running(anew, settings) as process:
            await process.caught_up()
    assert world.written() == kept(settings.database)


async def test_what_was_trimmed_need_not_be_what_was_kept(settings: Settings) -> None:
    """Of a partition that holds nothing that was kept, there is nothing to compare."""
    world = World()
    world.fill(3)
    async with running(world, settings) as process:
        await process.caught_up()
        await process.stop()
    for at, records in world.written().items():
        await world.log.trim(at, len(records))
    world.fill(1)
    async with running(world, settings) as process:
        await process.caught_up()

    assert 0 < sum(map(len, kept(settings.database).values()))


async def test_an_old_copy_of_the_database_is_refused(settings: Settings) -> None:
    """A head over more than it holds was signed: to go on would sign another history under the same name."""
    world = World()
    world.fill(1)
    async with running(world, settings) as process:
        await process.caught_up()
        await process.stop()
    copy = settings.database.read_bytes()
    world.fill(1)
    async with running(world, settings) as process:
        await process.caught_up()
        await process.stop()
    settings.database.write_bytes(copy)

    async with running(world, settings) as process:
        with pytest.raises(MisconfiguredError, match="it is an old copy"):
            await process.task


async def test_one_that_stands_by_takes_over(settings: Settings) -> None:
    """The lead topic has one partition: one process writes, the next goes on where it stopped."""
    world = World()
    world.fill(3)
    async with running(world, settings, "one") as first:
        await first.caught_up()
        async with running(world, settings, "two") as second:
            world.fill(3)
            await first.caught_up()
            await first.stop()
            world.fill(3)
            await second.caught_up()

            assert world.written() == kept(settings.database)


async def test_a_sink_that_ends_takes_no_warning_back(settings: Settings) -> None:
    """Its last word would open admission just when nobody keeps the record."""
    world = World()
    world.fill(1)
    async with running(world, msgspec.structs.replace(settings, least_free_mb=FULL)) as process:
        await process.caught_up()
        before = world.obstacles
        with Store(settings.database, PLATFORM, "log-2") as other:
            other.take_over("another")
        world.fill(1)
        with pytest.raises(FencedError):
            await process.task

    assert ["disk-low"] == before
    assert ["disk-low"] == world.obstacles


async def test_a_database_that_another_holds_ends_the_sink_to_be_started_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no bug and nobody's setting: the next start goes on where this one was."""
    monkeypatch.setattr("seamwork_audit_sink.store._BUSY_MS", 50)
    world = World()
    world.fill(1)
    async with running(world, settings) as process:
        await process.caught_up()
        with closing(sqlite3.connect(settings.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            world.fill(1)
            with pytest.raises(RetryableError, match=r"cannot be used just now \(database is locked\)"):
                await process.task
    async with running(world, settings) as process:
        await process.caught_up()

    assert world.written() == kept(settings.database)


async def test_a_warning_goes_where_its_partition_goes(settings: Settings) -> None:
    """A rebalance alone takes none back; one that stands by has none, and one that takes over looks at once."""
    world = World()
    world.fill(1)
    async with running(world, msgspec.structs.replace(settings, least_free_mb=FULL)) as process:
        await process.caught_up()
        (member,) = world.broker.group("audit-sink").members
        await member.lose()
        between = world.obstacles
        await member.gain(frozenset())
        standing_by = world.obstacles
        await member.gain(frozenset({0}))
        await process.caught_up()

        assert ["disk-low"] == between
        assert [] == standing_by
        assert ["disk-low"] == world.obstacles
        assert [["disk-low"], [], ["disk-low"]] == world.ready_with


async def test_a_sink_that_comes_back_far_behind_says_so_before_it_is_ready(settings: Settings) -> None:
    """Ready without a warning is what opens admission; it is a week of records that has to be kept first."""
    world = World()
    world.fill(1)
    world.clock.advance((settings.most_behind_s + 1) * 1_000)
    async with running(world, settings) as process:
        await process.caught_up()
        world.clock.advance(6_000)
        await process.caught_up()
        await process.caught_up()

        assert [["audit-behind"]] == world.ready_with
        assert [] == world.obstacles


async def test_a_tree_head_is_signed_when_time_is_up_and_something_is_new(settings: Settings) -> None:
    """Not for every batch, not for nothing, and once more at the end."""
    world = World()
    world.fill(2)
    async with running(world, settings) as process:
        await process.caught_up()
        world.clock.advance(settings.head_interval_ms)
        await process.caught_up()
        first = heads(world)
        world.clock.advance(settings.head_interval_ms)
        await process.caught_up()
        unchanged = heads(world)
        world.fill(1)
        await process.caught_up()
        await process.stop()

    _, tree = Archive(settings.database).tree()
    last = heads(world)[-1]
    assert first
    assert first == unchanged
    assert (tree.size, tree.root.hex()) == (last.size, last.root_sha256)
    assert sum(map(len, world.written().values())) == last.size


async def test_a_clock_that_is_set_back_stops_neither_looks_nor_heads(settings: Settings) -> None:
    """The last ones were in what is now the future; a restart finds the same in the database."""
    world = World()
    world.fill(1)
    async with running(world, settings) as process:
        await process.caught_up()
        world.clock.advance(settings.head_interval_ms)
        await process.caught_up()
        await process.caught_up()
        world.clock.advance(-7_200_000)
        looks = len(world.hindered)
        world.fill(1)
        await process.caught_up()
        await process.caught_up()
        world.clock.advance(6_000)
        await process.caught_up()
        await process.caught_up()
        looked, signed = len(world.hindered) - looks, heads(world)[-1].size
        await process.stop()
    world.clock.advance(-7_200_000)
    async with running(world, settings) as process:
        world.fill(1)
        await process.caught_up()
        await process.caught_up()
        world.clock.advance(settings.head_interval_ms)
        await process.caught_up()
        await process.caught_up()
        every = sum(map(len, world.written().values()))

        assert 2 == looked
        assert signed == every * 2 // 3
        assert every == heads(world)[-1].size


async def test_a_topic_that_is_missing_is_looked_for_though_the_clock_is_set_back(settings: Settings) -> None:
    """Its document was read before; two hours are too long for an inbox to be left out."""
    world = World()
    publisher = Publisher(world.log, PLATFORM, ROOT.public, key_of("publisher:test"), world.clock, ROOT)
    await publisher.publish((document("Key", "test", purpose="publisher"),))
    await publisher.publish((document("Agent", "parser"),))
    async with running(world, settings) as process:
        await process.caught_up()
        world.clock.advance(-7_200_000)
        world.broker.create_topic("inbox.parser.v1")
        world.work.append("inbox.parser.v1")
        world.fill(1)
        await process.caught_up()
        await process.caught_up()

        assert world.written() == kept(settings.database)


@pytest.mark.parametrize("fault", [Fault.LOST_WRITE, Fault.LOST_ACK])
async def test_a_tree_head_that_nobody_confirms_is_published_again_and_stops_nothing(
    settings: Settings, fault: Fault
) -> None:
    """A broker that is away for long leaves a publish unanswered; a head may come twice, and none is missing."""
    world = World()
    world.fill(1)
    async with running(world, settings) as process:
        await process.caught_up()
        world.broker.inject(fault, LEAD)
        world.clock.advance(settings.head_interval_ms)
        await process.caught_up()
        await process.caught_up()
        again, due = heads(world)[-1].size, sum(map(len, world.written().values()))
        world.fill(1)
        await process.caught_up()
        await process.stop()

    _, tree = Archive(settings.database).tree()
    assert due == again
    assert (tree.size, tree.root.hex()) == (heads(world)[-1].size, heads(world)[-1].root_sha256)
    assert world.written() == kept(settings.database)


class LeaderlessLog(SimLog):
    """A log that does not learn in time who leads a topic, as often as it is told."""

    failures = 0

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[Confirmation]:
        """Publish a batch, or find nobody to give it to."""
        if self.failures:
            self.failures -= 1
            raise RetryableError("the broker cannot be reached")
        return await super().publish(batch)


async def test_a_tree_head_that_finds_no_leader_is_published_later(settings: Settings) -> None:
    """After an append that nobody answered the client asks anew who leads; that may fail for as long."""
    world = World()
    world.log = log = LeaderlessLog(world.broker)
    world.fill(1)
    async with running(world, settings) as process:
        await process.caught_up()
        before = len(heads(world))
        log.failures = 2
        world.fill(1)
        for _ in range(4):
            world.clock.advance(settings.head_interval_ms)
            await process.caught_up()
        again = len(heads(world))
        await process.stop()

    assert 0 == log.failures
    assert before < again
    assert sum(map(len, world.written().values())) == heads(world)[-1].size


async def killed(world: World, settings: Settings) -> None:
    """Keep all there is, and be cancelled before a head is published over it."""
    idle = asyncio.Event()
    process = Running(await world.host(idle), idle, settings)
    await process.caught_up()
    process.task.cancel()
    await asyncio.gather(process.task, return_exceptions=True)
    await process.host.catalog.stop()
    world.broker.group("audit-sink").members.clear()


async def test_a_sink_that_is_cancelled_lets_a_transaction_end(settings: Settings) -> None:
    """Closed under one, SQLite would take the whole process down; here one waits for a lock when the end comes."""
    world = World()
    world.fill(1)
    idle = asyncio.Event()
    process = Running(await world.host(idle), idle, settings)
    await process.caught_up()
    with closing(sqlite3.connect(settings.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        world.fill(1)
        while idle.is_set():  # noqa: ASYNC110  # it is set again and again; what counts is that it is not
            await asyncio.sleep(0.005)
        process.task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        other.execute("ROLLBACK")
    await asyncio.gather(process.task, return_exceptions=True)
    await process.host.catalog.stop()

    found = kept(settings.database)
    assert sum(map(len, found.values())) > sum(map(len, world.written().values())) / 2
    assert all(records == world.written()[at][: len(records)] for at, records in found.items())


async def test_a_stop_before_its_turn_has_begun_publishes_nothing(settings: Settings) -> None:
    """It has not taken the database over, and has not seen whether it is an old copy."""
    patient = msgspec.structs.replace(settings, head_interval_ms=1 << 53)
    world = World()
    world.fill(2)
    await killed(world, patient)
    idle = asyncio.Event()
    host = await world.host(idle, "two")
    host.stopping.set()
    process = Running(host, idle, patient)
    await process.stop()
    await host.catalog.stop()

    assert [] == heads(world)


async def test_metrics_say_what_was_taken_in_and_how_much_is_left(settings: Settings) -> None:
    """A lag that grows is seen before retention overtakes it."""
    world = World()
    world.fill(6)
    async with running(world, settings) as process:
        await process.caught_up()
        world.clock.advance(6_000)
        await process.caught_up()
    value = world.metrics.registry.get_sample_value
    labels = {"service": "audit-sink", "topic": "handoffs.v1"}

    assert 6 == value("seamwork_crossings_total", {**labels, "kind": "handoff"})
    assert 6 == value("seamwork_crossings_total", {**labels, "kind": "malformed"})
    assert 0 == value("seamwork_lag_records", {"service": "audit-sink", "partition": "handoffs.v1"})


def test_what_is_read_is_what_the_topic_files_grant() -> None:
    """Everything but its own heads, pulses and snapshots."""
    names = {spec.name for spec in load_topic_specs()}

    assert {"audit.v1", "heartbeats.v1", "snapshots.{machine}.v1"} == names - set(READS)
    assert set(READS) <= names


def spans_of(world: World, fate: str) -> float:
    """Return how many spans went that way."""
    labels = {"service": "audit-sink", "fate": fate}
    return world.metrics.registry.get_sample_value("seamwork_spans_total", labels) or 0


def write_story(world: World) -> None:
    """Write the story of one crossing to the topics of a platform."""
    for topic in ("inbox.extractor.v1", "inbox.planner.v1"):
        if world.broker.count(topic) is None:
            world.broker.create_topic(topic)
    for found in STORY:
        raw = found.raw
        world.broker.write(Partition(raw.topic, 0), raw.key, raw.value, raw.headers)
        world.clock.advance(2)


async def test_what_is_kept_is_seen_by_the_collector(settings: Settings) -> None:
    """From a topic to a database, and from there over HTTP, with the ids that the records carry."""
    world = World()
    write_story(world)
    with TestCollector() as collector:
        traced = msgspec.structs.replace(settings, otlp_endpoint=collector.endpoint)
        async with running(world, traced) as process:
            await process.caught_up()
        seen = collector.wait_for(lambda spans: span_id("h-1") in {span.id for span in spans})

    by_id = {span.id: span for span in seen}
    root = by_id[span_id("h-1")]
    assert ROOT_TRACE.split("-")[1:3] == [root.trace, root.id]
    assert "" == root.parent
    assert ("planner", "client", "seamwork") == (root.service, root.kind, root.resource["service.namespace"])
    assert {"contract-validator", "cost-cap", "router", "planner"} <= {span.service for span in seen}
    assert all(span.begun <= span.ended for span in seen)
    assert kept(settings.database)


async def test_a_collector_that_is_gone_holds_nothing_up(settings: Settings) -> None:
    """The sink keeps everything and stops in time; what could not be sent is counted."""
    traced = msgspec.structs.replace(settings, otlp_endpoint="http://127.0.0.1:9/v1/traces")
    world = World()
    world.fill(5)
    write_story(world)
    async with running(world, traced) as process:
        await process.caught_up()
        assert sum(map(len, kept(settings.database).values())) > len(STORY)
        await process.stop()

    assert spans_of(world, "made") > 0
    assert 0 == spans_of(world, "sent")


async def test_no_collector_is_no_library_and_no_work(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody asks for traces, nothing that makes them is even imported."""

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        assert not name.startswith("opentelemetry"), name
        assert name != "seamwork_audit_sink.otlp"
        return original(name, *args, **kwargs)

    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    world = World()
    write_story(world)
    async with running(world, settings) as process:
        await process.caught_up()

    assert 0 == spans_of(world, "made")


async def test_a_collector_without_the_libraries_is_said_at_the_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not at the first record."""
    monkeypatch.setitem(sys.modules, "seamwork_audit_sink.otlp", None)
    traced = msgspec.structs.replace(settings, otlp_endpoint="http://127.0.0.1:9/v1/traces")

    with pytest.raises(MisconfiguredError, match=r"install seamwork\[otel\]"):
        async with running(World(), traced) as process:
            await process.task
