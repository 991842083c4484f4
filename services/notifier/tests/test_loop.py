"""The loop tells of each decision once, whenever it is stopped, and of nothing that nobody waits for any more."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from seamwork.bus.port import Partition
from seamwork.catalog.builder import DOCUMENT_TOPICS
from seamwork.catalog.follower import CatalogFollower
from seamwork.errors import MisconfiguredError
from seamwork.platform.publisher import Publisher
from seamwork.records.wire import RawRecord
from seamwork.runtime import Host
from seamwork.runtime.metrics import Metrics
from seamwork.settings.common import CommonSettings
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.builders import HOUR_MS, PLATFORM, received
from seamwork.testing.clock import SettableClock
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of
from seamwork.testing.loops import caught_up
from seamwork.testing.simlog import SimBroker, SimLog
from seamwork_notifier.loop import READS, Loop
from seamwork_notifier.settings import Settings
from seamwork_notifier.state import Notified

ROOT = key_of("root")
WITHIN_S = 20
DAY_MS = 86_400_000
DECISIONS, LETTERS = (Partition(topic, 0) for topic in READS)
WEBHOOK = {"url": "http://127.0.0.1:9/", "secret": "seams"}
"""Nothing listens there: what is told waits, and can be counted."""
DOCUMENTS = (
    document("Team", "seams", webhook=WEBHOOK),
    document("Team", "quiet"),
    document("Team", "platform", webhook=WEBHOOK),
    document("Contract", "facts", owners={"team": "seams", "escalation": []},
             errorBudget={"per": "hour", "refusals": 1, "late": 0}),
    document("Contract", "unwatched", owners={"team": "quiet", "escalation": []}),
)  # fmt: skip


class World:
    """A platform whose teams have webhooks, and a database."""

    def __init__(self, folder: Path) -> None:
        self.clock = SettableClock()
        self.broker = SimBroker(self.clock)
        self.log = SimLog(self.broker)
        self.settings = Settings(database=folder / "notifier.db")
        self.metrics = Metrics("notifier")
        self.refused = 0
        for topic in ("contracts.v1", "policies.v1", "registry.v1", *READS):
            self.broker.create_topic(topic)

    async def published(self) -> "World":
        """Publish the documents."""
        publisher = Publisher(self.log, PLATFORM, ROOT.public, key_of("publisher:test"), self.clock, ROOT)
        await publisher.publish((document("Key", "test", purpose="publisher"),))
        await publisher.publish(DOCUMENTS)
        return self

    def write(self, raw: RawRecord, at: Partition = DECISIONS) -> None:
        """Append a record now."""
        self.broker.write(at, raw.key, raw.value, raw.headers)

    def refuse(self, contract: str = "facts") -> None:
        """Let the router refuse another handoff."""
        subject = f"0/{self.refused}"
        self.refused += 1
        self.write(
            received("refused", contract=contract, subject=subject, rule="schema", source="planner").raw
        )

    def publish_again(self, offset: int) -> None:
        """Let the router write its decision at *offset* once more, as after a crash."""
        record = self.broker.records(DECISIONS)[offset]
        self.broker.write(DECISIONS, record.key, record.value, record.headers)

    def counted(self, name: str, *labels: str) -> float | None:
        """Return the value of a metric, by the labels that its series has."""
        names = {
            "seamwork_notifications_total": ("kind", "owner", "drill"),
            "seamwork_notifications_pending": ("owner",),
            "seamwork_crossings_total": ("topic", "kind"),
        }
        series = dict(zip(names[name], labels, strict=True))
        return self.metrics.registry.get_sample_value(name, {"service": "notifier", **series})

    def waiting(self) -> list[tuple[str, str, int]]:
        """Return who is still to be told what of which record."""
        with closing(sqlite3.connect(self.settings.database)) as db:
            rows = db.execute("SELECT owner, body FROM waiting ORDER BY rowid").fetchall()
        told = [(owner, msgspec.json.decode(body, type=Notified)) for owner, body in rows]
        return [(owner, one.kind, one.offset) for owner, one in told]

    def since(self) -> int:
        """Return since when the first of what waits is tried."""
        return self._number("SELECT since FROM waiting")

    def in_use(self) -> int:
        """Return until when the database was in use, as far as it says."""
        return self._number("SELECT value FROM about WHERE name = 'in use'")

    def _number(self, query: str) -> int:
        with closing(sqlite3.connect(self.settings.database)) as db:
            return int(db.execute(query).fetchone()[0])

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Running"]:
        """Run the service while the block runs."""
        follower = CatalogFollower(self.log, PLATFORM, ROOT.public)
        await follower.start()
        idle, access = asyncio.Event(), KafkaAccess(bootstrap="none:1", username="notifier", password="none")
        common = CommonSettings(platform=PLATFORM, root_public=ROOT.public, kafka=access, instance="one")
        host = Host(
            name="notifier", version="1.0.0", instance="one", platform=PLATFORM, log=self.log, catalog=follower,
            clock=self.clock, settings=common, signing_key=None, stopping=asyncio.Event(),
            progressed=lambda count: idle.clear() if count else idle.set(), ready=lambda: None,
            hinders=lambda _: None, metrics=self.metrics, logger=structlog.get_logger("notifier"),
        )  # fmt: skip
        running = Running(asyncio.create_task(Loop(self.settings, host).run()), idle)
        try:
            yield running
        finally:
            host.stopping.set()
            await asyncio.gather(running.task, return_exceptions=True)
            await follower.stop()


class Running:
    """One process of the service."""

    def __init__(self, task: "asyncio.Task[None]", idle: asyncio.Event) -> None:
        self.task = task
        self._idle = idle

    async def caught_up(self) -> None:
        """Wait until it has read all there is; an error of the loop is raised here."""
        await caught_up(self.task, self._idle, WITHIN_S)


@pytest.fixture
async def world(tmp_path: Path) -> World:
    """Return a platform with its documents."""
    return await World(tmp_path).published()


async def test_each_decision_is_told_once_however_often_it_is_started(world: World) -> None:
    """The database says how far was read; a record that cannot be read is nobody's news."""
    world.refuse()
    world.broker.write(DECISIONS, None, None)
    async with world.running() as running:
        await running.caught_up()
    world.write(received("dead-letter").raw, LETTERS)
    for _ in range(2):
        async with world.running() as running:
            await running.caught_up()

    assert [("team:seams", "refused", 0), ("team:platform", "dead-letter", 0)] == world.waiting()


async def test_what_waits_is_tried_no_shorter_for_a_week_in_which_nothing_ran(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only while it runs is anything tried; how long it ran, it notes though nothing new comes."""
    monkeypatch.setattr("seamwork_notifier.loop._USE_S", 0.01)
    world.refuse()
    async with world.running() as running:
        await running.caught_up()
        world.clock.advance(DAY_MS)
        async with asyncio.timeout(WITHIN_S):
            while world.in_use() != world.clock.now_ms():  # noqa: ASYNC110  # it waits for SQLite, which rings no bell
                await asyncio.sleep(0.01)
    began = world.since()
    world.clock.advance(7 * DAY_MS)
    async with world.running() as running:
        await running.caught_up()

    assert began + 7 * DAY_MS == world.since()


async def test_the_owner_of_a_contract_that_has_just_been_published_is_told(world: World) -> None:
    """The router knew it as it decided; documents and decisions are read one beside the other."""
    late = document("Contract", "late", owners={"team": "seams", "escalation": []})
    async with world.running() as running:
        await running.caught_up()
        publisher = Publisher(world.log, PLATFORM, ROOT.public, key_of("publisher:test"), world.clock, ROOT)
        await publisher.publish((late,))
        ends = await world.log.end_offsets([Partition(topic, 0) for topic in DOCUMENT_TOPICS])
        revision = [ends[Partition(topic, 0)] for topic in DOCUMENT_TOPICS]
        world.write(received("refused", contract="late", source="planner", revision=revision).raw)
        await running.caught_up()

    assert [("team:seams", "refused", 0)] == world.waiting()


async def test_nothing_waits_for_a_team_without_a_webhook(world: World) -> None:
    """It is told in the log and in a metric, and there is nobody else to tell."""
    world.refuse("unwatched")
    with structlog.testing.capture_logs() as logs:
        async with world.running() as running:
            await running.caught_up()

    assert [] == world.waiting()
    assert [("refused", "schema", "h-1")] == [
        (line["event"], line["rule"], line["crossing"]) for line in logs if line.get("owner") == "team:quiet"
    ]
    assert 1 == world.counted("seamwork_notifications_total", "refused", "team:quiet", "no")
    assert 1 == world.counted(
        "seamwork_crossings_total", "decisions.v1", "refused"
    )  # by it one that stands shows


async def test_what_waits_is_a_metric_and_a_drill_says_that_it_is_one(world: World) -> None:
    """Whoever looks at the numbers tells what is stuck from what is only tried out."""
    world.write(received("held", contract="facts", drill=True).raw)
    with structlog.testing.capture_logs() as logs:
        async with world.running() as running:
            await running.caught_up()

    assert [True] == [line["drill"] for line in logs if line.get("owner") == "team:seams" and "drill" in line]
    assert 1 == world.counted("seamwork_notifications_total", "held", "team:seams", "yes")
    assert 1 == world.counted("seamwork_notifications_pending", "team:seams")


async def test_a_budget_that_is_used_up_is_counted_through_a_restart_and_paged_once(world: World) -> None:
    """One refusal an hour is allowed: the second pages, a third not again, and the next hour begins anew."""
    told = []
    for pause_ms in (0, 0, 0, HOUR_MS):
        world.clock.advance(pause_ms)
        world.refuse()
        async with world.running() as running:
            await running.caught_up()
        told += world.waiting()
        with closing(sqlite3.connect(world.settings.database)) as db:
            db.execute("DELETE FROM waiting")  # it was delivered
            db.commit()

    assert [1] == [offset for _, kind, offset in told if kind == "budget-spent"]
    assert [0, 1, 2, 3] == [offset for _, kind, offset in told if kind == "refused"]


async def test_what_was_published_again_is_told_and_counted_once(world: World) -> None:
    """A router that dies before it has noted what it published writes the same bytes again, also while we start."""
    world.refuse()
    world.publish_again(0)
    world.write(received("dead-letter").raw, LETTERS)
    async with world.running() as running:
        await running.caught_up()
    with closing(sqlite3.connect(world.settings.database)) as db:
        db.execute("DELETE FROM waiting WHERE owner = 'team:seams'")  # it was delivered
        db.commit()
    world.publish_again(0)
    world.write(received("dead-letter").raw, LETTERS)
    async with world.running() as running:
        await running.caught_up()

    assert [("team:platform", "dead-letter", 0)] == world.waiting()
    assert 1 == world.counted("seamwork_notifications_total", "refused", "team:seams", "no")
    assert None is world.counted("seamwork_notifications_total", "budget-spent", "team:seams", "no")


async def test_a_case_that_ends_with_its_task_is_no_late_answer(world: World) -> None:
    """The work lay with people then; whoever had it before was late once, if at all."""
    expired: dict[str, Any] = {"contract": "facts", "why": "expired", "rule": "expired"}
    world.write(received("escalated", contract="facts", why="error", to="head", case="c-1").raw)
    for _ in range(2):
        async with world.running() as running:
            await running.caught_up()
        world.write(received("closed", dispatch="c-1", **expired).raw)
    assert [] == [kind for _, kind, _ in world.waiting() if kind == "budget-spent"]

    world.write(received("closed", dispatch="w-1", **expired).raw)
    async with world.running() as running:
        await running.caught_up()
    assert [3] == [offset for _, kind, offset in world.waiting() if kind == "budget-spent"]


async def test_what_was_long_over_at_the_first_start_is_not_told(world: World) -> None:
    """Neither one by one nor as a budget: nobody is to be woken for the month before."""
    for _ in range(3):
        world.refuse()
    world.clock.advance((world.settings.oldest_s + 60) * 1000)
    world.refuse()
    async with world.running() as running:
        await running.caught_up()

    assert [("team:seams", "refused", 3)] == world.waiting()


async def test_a_decision_among_the_dead_letters_is_none(world: World) -> None:
    """People and machines write there; what was refused is the router's to say."""
    world.write(received("refused", contract="facts", rule="schema").raw, LETTERS)
    world.write(received("dead-letter").raw, DECISIONS)
    async with world.running() as running:
        await running.caught_up()

    assert [] == world.waiting()


async def test_what_was_trimmed_is_passed_over_and_the_rest_is_told(world: World) -> None:
    """It was asleep for longer than the log keeps; to stop would tell nobody of what came since."""
    world.refuse()
    async with world.running() as running:
        await running.caught_up()
    for _ in range(3):
        world.refuse()
    world.broker.cut(DECISIONS, 2)
    with structlog.testing.capture_logs() as logs:
        async with world.running() as running:
            await running.caught_up()

    assert [("decisions.v1", 0, 1)] == [
        (line["topic"], line["partition"], line["missed"]) for line in logs if line["log_level"] == "error"
    ]
    assert [0, 2, 3] == [offset for _, kind, offset in world.waiting() if kind == "refused"]


async def test_without_its_topics_it_says_who_makes_them(tmp_path: Path) -> None:
    """It begins before the first record."""
    world = World(tmp_path)
    world.broker = SimBroker(world.clock)
    for topic in ("contracts.v1", "policies.v1", "registry.v1"):
        world.broker.create_topic(topic)
    world.log = SimLog(world.broker)
    async with world.running() as running:
        with pytest.raises(MisconfiguredError, match="registrar"):
            await running.caught_up()


async def test_a_database_that_fails_a_courier_ends_the_service(world: World) -> None:
    """It is started again; to go on reading would tell nobody."""
    world.refuse()
    async with world.running() as running:
        await running.caught_up()
        with closing(sqlite3.connect(world.settings.database)) as db:
            db.execute("UPDATE waiting SET body = 'no notification', next_at = 0")
            db.commit()
        world.refuse()
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(msgspec.DecodeError):
                await running.task
