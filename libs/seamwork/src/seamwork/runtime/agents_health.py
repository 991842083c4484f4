"""
Know which agent versions are alive and what stands against new tasks, from signed heartbeats; tell what changes.

An obstacle goes when the instance that named it is ready and says so, or when that is not at work and another of
its service is: a watch that died while the disk filled up must not open the door, nor one that starts again and
again and never comes to look. Liveness is no decision: a router that starts hears of it anew, so nothing of it is
kept but what its journal took.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from seamwork.bus.port import Log, LogGapError, Partition, Reader
from seamwork.catalog import Catalog
from seamwork.clock import Clock
from seamwork.decider import HealthChanged, InstanceHealth
from seamwork.errors import RetryableError
from seamwork.grants.keys import record_verifies
from seamwork.records.parties import AgentRef
from seamwork.records.platform import MOST_BETWEEN_BEATS_MS, Heartbeat, Obstacle
from seamwork.records.wire import SW_ENVELOPE, RawRecord, Received, read
from seamwork.runtime.heartbeat import HEARTBEATS

HEARTBEATS_AT = Partition(HEARTBEATS, 0)
_WATCH = "audit-sink"
_WATCH_SILENT_MS = 86_400_000  # a small part of the 30 days that topics keep, a long time to mend a service
_UNWATCHED = Obstacle(
    rule="audit-silent", reason="the audit sink has said nothing for a day; retention could overtake it"
)
_WATCH_BYTES = _WATCH.encode()
_MOST_INSTANCES = 500
"""Of one agent, more than anybody runs; an author may make up as many as there is time to write."""
_MISSED = 3  # one lost beat is the network's, three are the agent's
LOOK_BACK = 2_000
"""Records: at the least some seconds of all instances that there are."""
_NEWS_S = 0.5
"""Between news: each is a commit of every router, with all who live, and who comes and goes its author chooses."""
_TURN = 64  # heartbeats that are proved in one turn of the loop
_WAIT_MS = 1_000


class _Life(NamedTuple):
    version: str
    until: int


class AgentsHealth:
    """
    The liveness of agents. Only versions that are documents count: what is told goes into a journal.

    Args:
        log: Where heartbeats are read.
        platform: The platform's id.
        catalog: The current view, for the agents' keys.
        clock: What time it is.
        changed: Told of every change.

    Attributes:
        found: What stands against new tasks by nobody's word: that somebody has been silent who should not be.
    """

    def __init__(
        self,
        log: Log,
        platform: str,
        catalog: Callable[[], Catalog],
        clock: Clock,
        changed: Callable[[HealthChanged], None],
    ) -> None:
        self._log = log
        self._platform = platform
        self._catalog = catalog
        self._clock = clock
        self._changed = changed
        # By name and instance: what an instance is called its author chooses, so another's may be called the same.
        self._agents: dict[str, dict[str, _Life]] = {}
        self._services: dict[tuple[str, str], tuple[Heartbeat, int]] = {}
        self._watched_at: int | None = None
        self._told: HealthChanged | None = None
        self.found: tuple[Obstacle, ...] = ()

    async def run(self) -> None:
        """Follow until cancelled."""
        loop, news_at, at = asyncio.get_running_loop(), 0.0, HEARTBEATS_AT
        start = (await self._log.start_offsets([at]))[at]
        end = (await self._log.end_offsets([at]))[at]
        position = max(start, end - LOOK_BACK)
        reader: Reader = await self._log.reader()
        try:
            for beat, appended_at in await words_of_the_watch(reader, self._proved, start, end):
                self._note(beat, appended_at)
            while True:
                found = await reader.fetch({at: position}, max_records=LOOK_BACK, max_wait_ms=_WAIT_MS)
                for raw in found.get(at, ()):
                    position = raw.offset + 1
                    self.take(raw)
                    if position % _TURN == 0:
                        await asyncio.sleep(0)  # whoever else lives in this process goes on, too
                # What was passed over is told a moment later: nothing comes for a second at most.
                if position < end or loop.time() < news_at:
                    continue
                if (found.get(at) or await self._is_end(at, position)) and self.tell():
                    news_at = loop.time() + _NEWS_S
        finally:
            await reader.stop()

    async def _is_end(self, at: Partition, position: int) -> bool:
        """
        Say whether nothing lies unread at *position*.

        A fetch that brings nothing does not say so: it brings nothing of a broker that is silent either, and what
        nobody could hear of is not dead.
        """
        try:
            async with asyncio.timeout(_WAIT_MS / 1000):
                return (await self._log.end_offsets([at]))[at] <= position
        except (TimeoutError, RetryableError):
            return False

    def take(self, raw: RawRecord) -> None:
        """Take one heartbeat; what is not its sender's own counts for nothing."""
        beat = self._proved(raw)
        if beat is not None:
            self._note(beat, raw.appended_at)

    def _note(self, beat: Heartbeat, appended_at: int) -> None:
        if beat.kind == "service":
            who = (beat.name, beat.instance)
            before = self._services.get(who)
            known = beat if before is None else with_what_stands(beat, before[0])
            self._services[who] = (known, appended_at)
            if _has_looked(beat):
                self._watched_at = appended_at
        elif self._catalog().agent(AgentRef(agent=beat.name, version=beat.version)) is not None:
            self._note_agent(beat, appended_at)

    def _note_agent(self, beat: Heartbeat, appended_at: int) -> None:
        instances = self._agents.setdefault(beat.name, {})
        if beat.state in ("draining", "failed"):
            instances.pop(beat.instance, None)
        elif beat.instance in instances or len(instances) < _MOST_INSTANCES:
            instances[beat.instance] = _Life(beat.version, _lives_until(beat, appended_at))

    def tell(self) -> bool:
        """Count who is alive by now, and tell if that is news; say whether it is."""
        now = self._clock.now_ms()
        self._agents = {
            agent: living
            for agent, instances in self._agents.items()
            if (living := {name: one for name, one in instances.items() if now <= one.until})
        }
        services = list(self._services.values())
        self._services = {
            who: (beat, at)
            for who, (beat, at) in self._services.items()
            if _works(beat, at, now) or (beat.obstacles and not _is_relieved(beat, services, now))
        }
        if self._watched_at is None:
            self._watched_at = now
        self.found = (_UNWATCHED,) if now - self._watched_at > _WATCH_SILENT_MS else ()
        # Other routers say the same of it; that of one which has heard the watch since is its own.
        said = obstacles_of(beat for beat, _ in self._services.values())
        alive = Counter(
            (agent, one.version) for agent, instances in self._agents.items() for one in instances.values()
        )
        health = HealthChanged(
            instances=tuple(
                InstanceHealth(agent=agent, version=version, alive=count)
                for (agent, version), count in sorted(alive.items())
            ),
            obstacles=(*(one for one in said if one != _UNWATCHED), *self.found),
        )
        if health == self._told:
            return False
        self._told = health
        self._changed(health)
        return True

    def _proved(self, raw: RawRecord) -> Heartbeat | None:
        return proved(raw, self._platform, self._catalog())


def proved(raw: RawRecord, platform: str, catalog: Catalog) -> Heartbeat | None:
    """Return the heartbeat that *raw* is, if it is its sender's own."""
    received = read(raw, platform)
    if not isinstance(received, Received) or not isinstance(received.record, Heartbeat):
        return None
    beat = received.record
    holder = f"{beat.kind}:{beat.name}"
    own = record_verifies(received, platform, lambda kid: catalog.public_of(kid, holder, raw.appended_at))
    return beat if own else None


async def words_of_the_watch(
    reader: Reader, proved: Callable[[RawRecord], Heartbeat | None], start: int, before: int
) -> list[tuple[Heartbeat, int]]:
    """
    Return what the watch has said before the offset *before*, and when, from its last look on or from earlier.

    Where it works, one stretch is read. Where it is dead, what it had found lies as far back as the others have
    gone on beating since; the topic keeps that for a day.
    """
    said: list[tuple[Heartbeat, int]] = []
    while start < before and not any(_has_looked(beat) for beat, _ in said):
        behind, before = before, max(start, before - LOOK_BACK)
        stretch: list[tuple[Heartbeat, int]] = []
        position = before
        while position < behind:
            try:
                found = await reader.fetch(
                    {HEARTBEATS_AT: position}, max_records=behind - position, max_wait_ms=_WAIT_MS
                )
            except LogGapError:
                return said  # a day was over meanwhile, and all that is left to look through is older
            for raw in found.get(HEARTBEATS_AT, ()):
                position = raw.offset + 1
                # Nearly all of them are others', and to prove each would take a minute.
                beat = proved(raw) if _may_be_the_watch(raw) else None
                if beat is not None and beat.kind == "service" and beat.name == _WATCH:
                    stretch.append((beat, raw.appended_at))
                    if len(stretch) % _TURN == 0:
                        await asyncio.sleep(0)
        said = stretch + said
    return said


def with_what_stands(beat: Heartbeat, before: Heartbeat) -> Heartbeat:
    """
    Return a service's heartbeat with what its instance had found *before*, if that still stands.

    One that is not ready and names nothing has not looked yet, or looks no more: it has not found that all is well.
    A process that is started again in the place of another, as in a ``StatefulSet``, has its name.
    """
    if beat.state == "ready" or beat.obstacles:
        return beat
    return msgspec.structs.replace(beat, obstacles=before.obstacles)


def obstacles_of(beats: Iterable[Heartbeat]) -> tuple[Obstacle, ...]:
    """Return what the services of these heartbeats say stands against new tasks, each once and in one order."""
    said = {(one.rule, one.reason): one for beat in beats for one in beat.obstacles}
    return tuple(one for _, one in sorted(said.items()))


def standing(beats: Sequence[tuple[Heartbeat, int]], now: int) -> tuple[Obstacle, ...]:
    """Return the obstacles that count by now: not what an instance has named that another one at work relieves."""
    return obstacles_of(
        beat for beat, at in beats if _works(beat, at, now) or not _is_relieved(beat, beats, now)
    )


def lives(beat: Heartbeat, at: int, now: int) -> bool:
    """Say whether an instance that beat at *at* has missed no more than the network may lose."""
    return now <= _lives_until(beat, at)


def _lives_until(beat: Heartbeat, at: int) -> int:
    return at + _MISSED * min(max(beat.every_ms, 1_000), MOST_BETWEEN_BEATS_MS)


def _is_relieved(idle: Heartbeat, beats: Iterable[tuple[Heartbeat, int]], now: int) -> bool:
    return any(beat.name == idle.name and _works(beat, at, now) for beat, at in beats)


def _has_looked(beat: Heartbeat) -> bool:
    return beat.kind == "service" and beat.name == _WATCH and beat.state == "ready"


def _may_be_the_watch(raw: RawRecord) -> bool:
    return any(name == SW_ENVELOPE and _WATCH_BYTES in (content or b"") for name, content in raw.headers)


def _works(beat: Heartbeat, at: int, now: int) -> bool:
    return beat.state == "ready" and lives(beat, at, now)
