"""
Look at a platform as it is now: processes, pages, heartbeats, documents, backlogs. Nothing is judged here.

What cannot be asked is a fact as well: each part that failed stands in `unknown` with what it said.
"""

import asyncio
import json
import os
import urllib.error
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from seamwork.broker.further import further_machines
from seamwork.broker.principal import MACHINES
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Log, Partition
from seamwork.catalog import Catalog
from seamwork.catalog.follower import CatalogFollower, read_catalog
from seamwork.clock import SystemClock
from seamwork.errors import SeamworkError
from seamwork.platform.asking import opened
from seamwork.platform.audit import Audit
from seamwork.platform.door import Door
from seamwork.platform.founded import Founded, read_founded
from seamwork.platform.home import PlatformHome
from seamwork.platform.known import lagging
from seamwork.platform.state import RunState, ServiceState, read_state
from seamwork.platform.views import BreakerLine, View
from seamwork.records.parties import AgentRef
from seamwork.records.platform import Heartbeat, Obstacle
from seamwork.records.wire import Received, read
from seamwork.runtime.agents_health import (
    HEARTBEATS_AT,
    LOOK_BACK,
    lives,
    proved,
    standing,
    with_what_stands,
    words_of_the_watch,
)

ASK_WITHIN_S = 10.0
_PAGE_WITHIN_S = 2
_WATCH_WITHIN_S = 4.0
_CATCH_UP_S = 2.0
_GROUPS_AT_ONCE = 32
_Beats = list[tuple[Heartbeat, int]]
_BEATS = 3  # a quarter of a minute of an agent's


class ServiceVitals(View, frozen=True, kw_only=True):
    """One service: its process, and what its page says."""

    name: str
    ready: bool
    detail: Any
    pid: int | None
    restarts: int
    exit_code: int | None
    http: str
    log: str


class Beat(View, frozen=True, kw_only=True):
    """
    The last heartbeat of one instance.

    *age_ms* is how long ago the log took it, *skew_ms* how far the instance's clock is ahead of the broker's,
    *detail* what a machine remembers.
    """

    name: str
    kind: str
    version: str
    instance: str
    state: str
    age_ms: int
    skew_ms: int
    in_flight: int
    detail: str
    lives: bool


class Backlog(View, frozen=True, kw_only=True):
    """How many records of *topic* wait for *whose*."""

    topic: str
    whose: str
    waiting: int


@dataclass(kw_only=True)
class Vitals:
    """
    A platform as it was found; *catalog* is null where it could not be read.

    *unproved* are the agents and services in whose name something says that it lives, with another key than theirs.

    Of one that was *founded* past this machine nothing is known of processes, nor of what waits at the broker:
    heartbeats tell.
    """

    home: PlatformHome
    now: int
    state: RunState | None = None
    founded: Founded | None = None
    services: tuple[ServiceVitals, ...] = ()
    beats: tuple[Beat, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    catalog: Catalog | None = None
    rejected: int = 0
    unproved: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    backlogs: tuple[Backlog, ...] = ()
    breakers: tuple[BreakerLine, ...] = ()
    unknown: dict[str, str] = field(default_factory=dict)


async def look(home: PlatformHome) -> Vitals:
    """Look at the platform of *home*, which need not run, nor run here."""
    vitals = Vitals(home=home, now=SystemClock().now_ms(), state=read_state(home.state_file))
    state = vitals.state
    vitals.founded = read_founded(home.founded_file)
    if vitals.founded is not None:
        await _asked(vitals, "kafka", lambda: _at_the_log(vitals))
        if os.environ.get("SEAMWORK_AUDIT_URL"):
            await _asked(vitals, "audit-sink", lambda: _at_the_audit(vitals, Audit.of(Door.of(home))))
        return vitals
    if state is None:
        return vitals
    vitals.services = tuple(
        await asyncio.gather(*(asyncio.to_thread(_looked_at, service) for service in state.services))
    )
    if state.kafka is not None:
        await _asked(vitals, "kafka", lambda: _at_the_log(vitals))
    sink = state.service("audit-sink")
    if sink is not None:
        audit = Audit(f"http://127.0.0.1:{sink.http_port}")
        await _asked(vitals, "audit-sink", lambda: _at_the_audit(vitals, audit))
    return vitals


async def _asked(vitals: Vitals, what: str, ask: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(ASK_WITHIN_S):
            await ask()
    except TimeoutError:
        vitals.unknown[what] = f"no answer within {ASK_WITHIN_S:.0f} s"
    except SeamworkError as error:
        vitals.unknown[what] = str(error)


async def _at_the_audit(vitals: Vitals, audit: Audit) -> None:
    vitals.breakers = tuple(await asyncio.to_thread(audit.breakers))


async def _at_the_log(vitals: Vitals) -> None:
    door = Door.of(vitals.home)
    # Who may see every group's position; whoever asks for the state of a platform that runs here can be it.
    access = door.admin() if door.founded is None else door.access("people")
    prefix = door.identity.prefix
    async with KafkaLog(access, prefix, client_id=f"{prefix}-cli-status") as log:
        follower = CatalogFollower(log, door.identity.id, door.identity.root_public)
        await follower.start()
        await follower.stop()
        vitals.catalog, vitals.rejected = follower.catalog, follower.rejected
        said, unproved = await _said(log, door.identity.id, follower.catalog, vitals.unknown)
        beats, skews = _last(said), _skews(said)
        vitals.unproved = _names(unproved, follower.catalog, vitals.now)
        vitals.beats = tuple(_beat(beat, at, vitals.now, skews[_who(beat)]) for beat, at in beats)
        vitals.obstacles = standing(beats, vitals.now)
        if door.founded is None:
            vitals.backlogs = tuple(await _backlogs(log, follower.catalog, vitals.now))
        vitals.behind = await lagging(vitals.home, follower.catalog.revision, _CATCH_UP_S)


async def living_gates(door: Door) -> tuple[Catalog, dict[str, int]]:
    """Return the documents, and how many instances of each gate and other service say that they live."""
    async with door.log("people") as log:
        catalog = await read_catalog(log, door.identity.id, door.identity.root_public)
        now = SystemClock().now_ms()
        beats = await heartbeats(log, door.identity.id, catalog, {})
    living = (beat for beat, at in beats if beat.kind == "service" and _is_at_work(beat, at, now))
    return catalog, Counter(beat.name for beat in living)


async def heartbeats(
    log: Log, platform: str, catalog: Catalog, unknown: dict[str, str]
) -> list[tuple[Heartbeat, int]]:
    """Return the last heartbeat of each instance that its key proves, without those that others have replaced."""
    said, _ = await _said(log, platform, catalog, unknown)
    return _last(said)


async def _said(log: Log, platform: str, catalog: Catalog, unknown: dict[str, str]) -> tuple[_Beats, _Beats]:
    """
    Return the heartbeats that their keys prove, the oldest first, and the latest of those they do not.

    What a watch had found that has long been dead lies behind all that the others have said since. Where that is
    too much to read through now, *unknown* says so, and the rest is told.
    """
    at = HEARTBEATS_AT
    start, end = (await log.start_offsets([at]))[at], (await log.end_offsets([at]))[at]
    beats: _Beats = []
    try:
        async with asyncio.timeout(_WATCH_WITHIN_S):
            beats = await _of_the_watch(log, platform, catalog, (start, end))
    except TimeoutError:
        unknown["watch"] = f"its last word was not found within {_WATCH_WITHIN_S:.0f} s"
    unproved: _Beats = []
    for raw in await log.read(at, max(start, end - LOOK_BACK), end):
        beat = proved(raw, platform, catalog)
        if beat is not None:
            beats.append((beat, raw.appended_at))
            continue
        received = read(raw, platform)
        if isinstance(received, Received) and isinstance(received.record, Heartbeat):
            unproved.append((received.record, raw.appended_at))
    return beats, unproved


def _names(unproved: Iterable[tuple[Heartbeat, int]], catalog: Catalog, now: int) -> tuple[str, ...]:
    """Name whoever is in force and seems to live; anybody may write the name of somebody whom nobody knows."""
    holders = {key.holder for key in catalog.all_keys()}
    agents = {f"{entry.ref.agent}@{entry.ref.version}" for entry in catalog.agents(now)}
    found = set()
    for beat, at in unproved:
        if not lives(beat, at, now):
            continue
        if beat.kind == "agent":
            found |= agents & {f"{beat.name}@{beat.version}"}
        if beat.kind == "service" and f"service:{beat.name}" in holders:
            found.add(beat.name)
    return tuple(sorted(found))


def _who(beat: Heartbeat) -> tuple[str, str, str]:
    return beat.kind, beat.name, beat.instance


def _last(beats: Iterable[tuple[Heartbeat, int]]) -> list[tuple[Heartbeat, int]]:
    """Return the last heartbeat of each instance, without those that others have replaced."""
    last: dict[tuple[str, str, str], tuple[Heartbeat, int]] = {}
    for beat, appended_at in beats:
        who = _who(beat)
        stands = beat
        if beat.kind == "service" and who in last:
            stands = with_what_stands(beat, last[who][0])  # as the router takes it
        last[who] = (stands, appended_at)
    return sorted(_latest(last.values()), key=lambda one: (one[0].kind, one[0].name, one[0].instance))


async def _of_the_watch(
    log: Log, platform: str, catalog: Catalog, bounds: tuple[int, int]
) -> list[tuple[Heartbeat, int]]:
    reader = await log.reader()
    try:
        return await words_of_the_watch(reader, lambda raw: proved(raw, platform, catalog), *bounds)
    finally:
        await reader.stop()


def _latest(beats: Iterable[tuple[Heartbeat, int]]) -> list[tuple[Heartbeat, int]]:
    """Leave out what a later instance of the same name and version made old."""
    newest: dict[tuple[str, str, str], int] = {}
    kept = list(beats)
    for beat, at in kept:
        who = (beat.kind, beat.name, beat.version)
        newest[who] = max(newest.get(who, 0), at)
    return [(beat, at) for beat, at in kept if lives(beat, at, newest[beat.kind, beat.name, beat.version])]


def _skews(beats: Iterable[tuple[Heartbeat, int]]) -> dict[tuple[str, str, str], int]:
    """
    Return how far each instance's clock is ahead of the broker's, by its latest heartbeats.

    One that waited for a broker comes late, as if its clock were behind; no clock makes one come early. So the
    largest of a few is the nearest, and a clock that was set right is believed as soon.
    """
    latest: dict[tuple[str, str, str], deque[int]] = defaultdict(lambda: deque(maxlen=_BEATS))
    for beat, at in beats:
        latest[_who(beat)].append(beat.sent_at - at)
    return {who: max(ahead) for who, ahead in latest.items()}


def _beat(beat: Heartbeat, at: int, now: int, skew_ms: int) -> Beat:
    return Beat(
        name=beat.name,
        kind=beat.kind,
        version=beat.version,
        instance=beat.instance,
        state=beat.state,
        age_ms=now - at,
        skew_ms=skew_ms,
        in_flight=beat.in_flight,
        detail=beat.detail,
        lives=_is_at_work(beat, at, now),
    )


def _is_at_work(beat: Heartbeat, at: int, now: int) -> bool:
    return beat.state not in ("draining", "failed") and lives(beat, at, now)


async def _backlogs(log: Log, catalog: Catalog, now: int) -> list[Backlog]:
    """Return what waits for each agent version that takes work, and for each gate that keeps group positions."""
    refs = [entry.ref for entry in catalog.agents(now)]
    takers = [ref for ref in refs if (agent := catalog.agent(ref)) is not None and agent.spec.accepts]
    asked = [(f"inbox.{ref.agent}.v1", _group(ref), f"{ref.agent}@{ref.version}") for ref in takers]
    # A gate that lives on a journal says in its heartbeat what it has before it.
    machines = {*MACHINES, *further_machines(catalog)}
    bare = [gate.name for gate in catalog.gates(now) if gate.name not in machines]
    asked += [("handoffs.v1", name, name) for name in bare]
    topics = list(dict.fromkeys(topic for topic, *_ in asked))
    # Together, where it can be: one after the other, thousands of agents take longer than a screen waits for.
    counts = dict(zip(topics, await asyncio.gather(*map(log.partitions_of, topics)), strict=True))
    places = {
        topic: [Partition(topic, number) for number in range(count)]
        for topic, count in counts.items()
        if count is not None
    }
    every = [at for some in places.values() for at in some]
    at_once = asyncio.Semaphore(_GROUPS_AT_ONCE)

    async def noted_by(group: str, topic: str) -> dict[Partition, int]:
        async with at_once:
            return await log.committed(group, places[topic])

    there = [one for one in asked if one[0] in places]
    noted = await asyncio.gather(*(noted_by(group, topic) for topic, group, _ in there))
    starts, ends = await log.start_offsets(every), await log.end_offsets(every)
    return [
        Backlog(
            topic=topic,
            whose=whose,
            waiting=sum(max(0, ends[at] - max(done.get(at, 0), starts[at])) for at in places[topic]),
        )
        for (topic, _, whose), done in zip(there, noted, strict=True)
    ]


def _group(ref: AgentRef) -> str:
    return f"agent-{ref.agent}.{ref.version.replace('.', '-')}"


def _looked_at(service: ServiceState) -> ServiceVitals:
    ready, detail = _page(service.http_port)
    return ServiceVitals(
        name=service.name,
        ready=ready and service.pid is not None,
        detail=detail,
        pid=service.pid,
        restarts=service.restarts,
        exit_code=service.exit_code,
        http=f"http://127.0.0.1:{service.http_port}",
        log=service.log,
    )


def _page(port: int) -> tuple[bool, object]:
    try:
        with opened(f"http://127.0.0.1:{port}/health/ready", _PAGE_WITHIN_S) as got:
            return True, _body(got.read())
    except urllib.error.HTTPError as error:
        with suppress(OSError, HTTPException):
            return False, _body(error.read())
        return False, "broke off its answer"
    except (OSError, HTTPException) as error:
        return False, f"does not answer ({' '.join(str(error).split())}), or another program does"


def _body(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace").strip()
