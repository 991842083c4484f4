"""Which agents live, by their own signed word; news only."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from seamwork.bus.port import Partition
from seamwork.catalog import Catalog
from seamwork.decider import HealthChanged
from seamwork.errors import RetryableError
from seamwork.records.platform import Obstacle
from seamwork.records.wire import compose
from seamwork.runtime.agents_health import AgentsHealth, proved, words_of_the_watch
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.clock import SettableClock
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimBroker, SimLog

SINK = key_of("service:audit-sink")
ROUTER = key_of("service:router")
CATALOG = Catalog.of(
    [
        document("Agent", "extractor"),
        document("Agent", "extractor", "2.0.0"),
        document("Agent", "parser"),
        document("Key", "sink", kid=SINK.kid, public=SINK.public, purpose="service", holder="audit-sink"),
        document("Key", "router", kid=ROUTER.kid, public=ROUTER.public, purpose="service", holder="router"),
    ]
)
HEARTBEATS = Partition("heartbeats.v1", 0)


class Bench:
    """Heartbeats, and what is told of them."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.broker = SimBroker(self.clock)
        self.broker.create_topic(HEARTBEATS.topic)
        self.told: list[HealthChanged] = []
        self.health = AgentsHealth(
            SimLog(self.broker), PLATFORM, lambda: CATALOG, self.clock, self.told.append
        )

    def beat(self, signer: str = "agent:extractor", **fields: Any) -> None:
        """Let an instance beat, and count."""
        record = envelope("heartbeat", **fields)
        out = compose(PLATFORM, HEARTBEATS.topic, "i", record, signer=key_of(signer))
        self.health.take(self.broker.write(HEARTBEATS, out.key, out.value, out.headers))
        self.health.tell()

    @property
    def alive(self) -> list[tuple[str, str, int]]:
        """Return what was told last."""
        return [(one.agent, one.version, one.alive) for one in self.told[-1].instances]

    @property
    def obstacles(self) -> list[str]:
        """Return the rules of what was told last to stand against new tasks."""
        return [one.rule for one in self.told[-1].obstacles]


@pytest.fixture
def bench() -> Bench:
    """Make a bench."""
    return Bench()


def test_instances_are_counted_by_version_and_told_on_change(bench: Bench) -> None:
    """The same beat again is no news."""
    bench.beat(instance="a")
    bench.beat(instance="a")
    bench.beat(instance="b")
    bench.beat(instance="c", version="2.0.0")

    assert 3 == len(bench.told)
    assert [("extractor", "1.0.0", 2), ("extractor", "2.0.0", 1)] == bench.alive


def test_a_version_that_nobody_published_is_no_news(bench: Bench) -> None:
    """News goes into the router's journal, a record of which has an end; what a version is called has none."""
    for number in range(3):
        bench.beat(instance=f"i-{number}", version=f"9.9.{number}" + 60_000 * "x")

    assert [HealthChanged(instances=())] == bench.told


def test_an_agent_has_as_many_instances_as_anybody_runs(bench: Bench) -> None:
    """Who makes up a name for each beat takes no more memory than that, and harms nobody else."""
    for number in range(600):
        bench.beat(instance=f"i-{number}", every_ms=10**12)
    bench.beat("agent:parser", name="parser", instance="a")

    assert [("extractor", "1.0.0", 500), ("parser", "1.0.0", 1)] == bench.alive


def test_who_would_beat_once_in_a_thousand_years_is_gone_after_three_minutes(bench: Bench) -> None:
    """What it says of itself is not to keep work waiting for it."""
    bench.beat(instance="a", every_ms=10**15)

    assert [("extractor", "1.0.0", 1)] == bench.alive
    bench.clock.advance(180_001)
    bench.health.tell()
    assert [] == bench.alive


def test_an_instance_that_goes_silent_or_says_so_is_gone(bench: Bench) -> None:
    """Three beats missed, or a last one that says that it drains."""
    bench.beat(instance="a")
    bench.beat(instance="b")
    bench.beat(instance="b", state="draining")
    assert [("extractor", "1.0.0", 1)] == bench.alive
    bench.clock.advance(3_001)
    bench.health.tell()

    assert HealthChanged(instances=()) == bench.told[-1]


@pytest.mark.parametrize(
    ("signer", "fields"),
    [
        ("agent:parser", {}),
        ("agent:stranger", {}),
        ("agent:extractor", {"kind": "service", "name": "router"}),
    ],
    ids=["another agent's key", "an unknown key", "no agent"],
)
def test_only_an_agents_own_word_counts(bench: Bench, signer: str, fields: dict[str, Any]) -> None:
    """Nobody keeps another alive."""
    bench.beat(signer, instance="a", **fields)

    assert [HealthChanged(instances=())] == bench.told


@pytest.mark.parametrize("state", ["ready", "draining", "failed"])
def test_what_another_says_under_an_instances_name_is_its_own(bench: Bench, state: str) -> None:
    """An instance is called what its author likes: two of one name are no news of each other."""
    bench.beat(instance="pod-0")
    bench.beat("agent:parser", name="parser", instance="pod-0", state=state)

    assert ("extractor", "1.0.0", 1) in bench.alive


def close(bench: Bench, instance: str, *obstacles: str, state: str = "ready") -> None:
    """Let a sink beat that has found something."""
    found = tuple(Obstacle(rule=rule, reason=rule) for rule in obstacles)
    bench.beat(
        "service:audit-sink",
        instance=instance,
        kind="service",
        name="audit-sink",
        state=state,
        obstacles=found,
    )


def test_a_service_of_the_same_process_takes_nothing_back(bench: Bench) -> None:
    """Services that share a process, and so perhaps a name for it, find things each for itself."""
    close(bench, "pod-0", "disk-low")
    bench.beat("service:router", instance="pod-0", kind="service", name="router", state="ready")

    assert ["disk-low"] == bench.obstacles


def test_what_stands_against_new_tasks_is_told_until_it_is_gone(bench: Bench) -> None:
    """A watch that dies while the disk is full opens nothing; whoever takes its place does, if there is room."""
    close(bench, "one", "disk-low")
    close(bench, "one", "disk-low", state="draining")
    bench.clock.advance(60_000)
    bench.beat("service:router", instance="two", kind="service", name="router", state="ready")
    assert ["disk-low"] == bench.obstacles
    close(bench, "two")

    assert [] == bench.obstacles


@pytest.mark.parametrize("state", ["starting", "draining", "failed"])
def test_a_watch_that_is_not_ready_takes_nothing_back(bench: Bench, state: str) -> None:
    """The next process may have the name of the last one, and its first word comes before its first look."""
    close(bench, "audit-sink-0", "disk-low")
    close(bench, "audit-sink-0", state=state)
    close(bench, "audit-sink-0", state=state)
    while_away = bench.obstacles
    close(bench, "audit-sink-0")

    assert ["disk-low"] == while_away
    assert [] == bench.obstacles


def test_a_watch_that_never_gets_going_is_relieved_by_one_that_does(bench: Bench) -> None:
    """What it had found is for the other to find again."""
    close(bench, "one", "disk-low")
    close(bench, "one", state="starting")
    close(bench, "two", state="starting")
    while_both_start = bench.obstacles
    close(bench, "two")

    assert ["disk-low"] == while_both_start
    assert [] == bench.obstacles


def test_what_a_watch_finds_as_it_starts_or_ends_counts(bench: Bench) -> None:
    """It has looked, whatever it calls itself."""
    close(bench, "one")
    close(bench, "one", "disk-low", state="draining")
    assert ["disk-low"] == bench.obstacles
    close(bench, "one", "audit-behind", state="starting")

    assert ["audit-behind"] == bench.obstacles


def test_nobody_but_a_service_closes_admission(bench: Bench) -> None:
    """An agent that says so is not heard, nor is one that calls itself a service."""
    found = (Obstacle(rule="disk-low", reason="disk-low"),)
    bench.beat(instance="a", obstacles=found)
    bench.beat(instance="b", kind="service", name="audit-sink", obstacles=found)

    assert [] == bench.obstacles


def test_a_record_that_nobody_keeps_stands_against_new_tasks(bench: Bench) -> None:
    """A day of silence is short of what topics keep, and long enough to mend a service."""
    close(bench, "one")
    bench.clock.advance(86_400_000)
    bench.health.tell()
    assert [] == bench.obstacles
    bench.clock.advance(10_000)
    bench.health.tell()
    assert ["audit-silent"] == bench.obstacles
    assert ["audit-silent"] == [one.rule for one in bench.health.found]
    close(bench, "two")

    assert [] == bench.obstacles
    assert () == bench.health.found


def test_what_another_router_says_of_the_watchs_silence_is_its_own(bench: Bench) -> None:
    """It is told for whoever looks; each router goes by what it has heard, or two would keep each other closed."""
    close(bench, "one")
    bench.clock.advance(86_410_000)
    bench.health.tell()
    (silent,) = bench.health.found
    close(bench, "two")
    bench.beat(
        "service:router", instance="b", kind="service", name="router", state="ready", obstacles=(silent,)
    )

    assert [] == bench.obstacles


def test_a_watch_that_never_gets_going_is_a_silent_one(bench: Bench) -> None:
    """It says that it starts and that it ends, six times an hour for 26 hours, and keeps nothing."""
    close(bench, "one")
    for _ in range(26 * 6):
        bench.beat("service:router", instance="one", kind="service", name="router", state="ready")
        close(bench, "one", state="starting")
        close(bench, "one", state="draining")
        bench.clock.advance(600_000)
    bench.health.tell()

    assert ["audit-silent"] == bench.obstacles


@pytest.fixture
def others_beat_on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Bench], None]:
    """Let the others write more heartbeats than are looked through at first."""
    monkeypatch.setattr("seamwork.runtime.agents_health.LOOK_BACK", 10)

    def beat(bench: Bench) -> None:
        for _ in range(35):
            bench.beat(instance="a", detail="has heard nothing of the audit-sink")

    return beat


async def heard_anew(bench: Bench) -> list[str]:
    """Return what a router that starts now is told first to stand against new tasks."""
    told: asyncio.Future[HealthChanged] = asyncio.get_running_loop().create_future()
    health = AgentsHealth(SimLog(bench.broker), PLATFORM, lambda: CATALOG, bench.clock, told.set_result)
    running = asyncio.create_task(health.run())
    try:
        return [one.rule for one in (await asyncio.wait_for(told, 10)).obstacles]
    finally:
        running.cancel()


@pytest.mark.parametrize("state", ["ready", "starting", "draining"])
async def test_what_a_dead_watch_had_found_outlives_a_router(
    bench: Bench, others_beat_on: Callable[[Bench], None], state: str
) -> None:
    """However much the others have said since, and however often it was started again in vain."""
    close(bench, "one", "disk-low")
    close(bench, "one", *(["disk-low"] if state == "ready" else []), state=state)
    others_beat_on(bench)
    close(bench, "one", state="starting")
    others_beat_on(bench)

    assert ["disk-low"] == await heard_anew(bench)


async def test_a_watch_that_found_nothing_and_died_is_silent_from_then_on(
    bench: Bench, others_beat_on: Callable[[Bench], None]
) -> None:
    """Not only from the router's start on, which may be every day."""
    close(bench, "one")
    bench.clock.advance(86_410_000)
    others_beat_on(bench)

    assert ["audit-silent"] == await heard_anew(bench)


async def test_a_watch_that_works_is_believed_when_it_finds_nothing_more(
    bench: Bench, others_beat_on: Callable[[Bench], None]
) -> None:
    """What it had found before lies further back."""
    close(bench, "one", "disk-low")
    others_beat_on(bench)
    close(bench, "one")
    others_beat_on(bench)

    assert [] == await heard_anew(bench)


async def test_what_is_gone_while_it_is_looked_through_ends_nobody(
    bench: Bench, others_beat_on: Callable[[Bench], None]
) -> None:
    """Heartbeats are kept for a day; what the first hour of it held goes while the last is read."""
    close(bench, "one", "disk-low")
    others_beat_on(bench)
    await SimLog(bench.broker).trim(HEARTBEATS, 5)
    _, end = bench.broker.bounds(HEARTBEATS)
    reader = await SimLog(bench.broker).reader()

    assert [] == await words_of_the_watch(reader, lambda raw: proved(raw, PLATFORM, CATALOG), 0, end)


async def test_who_shares_the_process_goes_on_while_many_are_heard(bench: Bench) -> None:
    """To prove two thousand heartbeats takes a fifth of a second, at every start."""
    for _ in range(640):
        bench.beat(instance="a")
    turns = 0

    async def live_beside() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(live_beside())
    await heard_anew(bench)
    beside.cancel()

    assert turns > 640 / 64


async def test_who_comes_and_goes_without_end_is_news_now_and_then(bench: Bench) -> None:
    """Each news is a commit of every router, with all who live; how it stands in the end is told."""
    told: list[HealthChanged] = []
    log = SimLog(bench.broker)
    health = AgentsHealth(log, PLATFORM, lambda: CATALOG, bench.clock, told.append)
    running = asyncio.create_task(health.run())
    for number in range(101):
        record = envelope("heartbeat", instance="a", state="draining" if number % 2 else "ready")
        await log.publish(
            [compose(PLATFORM, HEARTBEATS.topic, "a", record, signer=key_of("agent:extractor"))]
        )
        await asyncio.sleep(0.001)
    async with asyncio.timeout(10):
        while not told or not told[-1].instances:  # noqa: ASYNC110  # told by a callback, again and again
            await asyncio.sleep(0.01)
    running.cancel()

    assert len(told) < 10


class SilentLog(SimLog):
    """A log whose broker stops answering, as one does for half a minute before anybody calls it away."""

    silent = False

    async def reader(self) -> Any:
        """Return a cursor that brings nothing meanwhile, and raises nothing."""
        log, reader = self, await super().reader()

        class Silent:
            async def fetch(self, positions: Any, **how: Any) -> Any:
                await asyncio.sleep(0.01)
                return {} if log.silent else await reader.fetch(positions, **{**how, "max_wait_ms": 0})

            async def stop(self) -> None:
                await reader.stop()

        return Silent()

    async def end_offsets(self, partitions: Any) -> dict[Partition, int]:
        """Answer, but for who is silent."""
        if self.silent:
            raise RetryableError("Kafka has not answered for 30 s")
        return await super().end_offsets(partitions)


async def test_agents_that_nobody_could_hear_are_not_dead(bench: Bench) -> None:
    """A broker that is silent for as long as three beats would leave all work without receivers."""
    log, news = SilentLog(bench.broker), asyncio.Event()

    def changed(health: HealthChanged) -> None:
        bench.told.append(health)
        news.set()

    bench.health = AgentsHealth(log, PLATFORM, lambda: CATALOG, bench.clock, changed)
    bench.beat(instance="a")
    running = asyncio.create_task(bench.health.run())
    await asyncio.sleep(0.05)
    log.silent = True
    bench.clock.advance(60_000)
    await asyncio.sleep(0.1)
    while_silent = bench.alive
    news.clear()
    log.silent = False
    await asyncio.wait_for(news.wait(), 10)
    running.cancel()

    assert [("extractor", "1.0.0", 1)] == while_silent
    assert [] == bench.alive
