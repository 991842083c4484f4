"""What is shown of a platform is what its services take it to be."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from seamwork.bus.port import Partition
from seamwork.catalog import Catalog
from seamwork.catalog.entries import Activation
from seamwork.platform.findings import record_away
from seamwork.platform.home import PlatformHome
from seamwork.platform.vitals import Vitals, _names, _said, _skews, heartbeats
from seamwork.records.platform import Heartbeat, Obstacle
from seamwork.records.wire import compose
from seamwork.runtime.agents_health import obstacles_of, standing
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.clock import SettableClock
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimBroker, SimLog, SimReader

SINK = key_of("service:audit-sink")
ROUTER = key_of("service:router")
CATALOG = Catalog.of(
    [
        document("Key", "sink", kid=SINK.kid, public=SINK.public, purpose="service", holder="audit-sink"),
        document("Key", "router", kid=ROUTER.kid, public=ROUTER.public, purpose="service", holder="router"),
    ]
)
HEARTBEATS = Partition("heartbeats.v1", 0)


async def test_what_stands_against_new_tasks_is_shown_as_the_router_takes_it() -> None:
    """A watch that is started anew has its own state, and takes back nothing that it found before."""
    broker = SimBroker()
    broker.create_topic(HEARTBEATS.topic)

    async def shown(**fields: Any) -> tuple[str, list[str]]:
        record = envelope("heartbeat", instance="audit-sink-0", kind="service", name="audit-sink", **fields)
        out = compose(PLATFORM, HEARTBEATS.topic, "audit-sink-0", record, signer=SINK)
        broker.write(HEARTBEATS, out.key, out.value, out.headers)
        ((beat, _),) = await heartbeats(SimLog(broker), PLATFORM, CATALOG, {})
        return beat.state, [one.rule for one in obstacles_of([beat])]

    found = (Obstacle(rule="disk-low", reason="it has less than 512 MiB left"),)

    assert ("ready", ["disk-low"]) == await shown(state="ready", obstacles=found)
    assert ("starting", ["disk-low"]) == await shown(state="starting")
    assert ("ready", []) == await shown(state="ready")


async def test_two_services_of_one_instances_name_are_both_shown() -> None:
    """Those of one process may have it from one variable."""
    broker = SimBroker()
    broker.create_topic(HEARTBEATS.topic)
    found = (Obstacle(rule="disk-low", reason="it has less than 512 MiB left"),)

    for name, signer, obstacles in (("audit-sink", SINK, found), ("router", ROUTER, ())):
        record = envelope(
            "heartbeat", instance="pod-0", kind="service", name=name, state="ready", obstacles=obstacles
        )
        out = compose(PLATFORM, HEARTBEATS.topic, "pod-0", record, signer=signer)
        broker.write(HEARTBEATS, out.key, out.value, out.headers)
    beats = [beat for beat, _ in await heartbeats(SimLog(broker), PLATFORM, CATALOG, {})]

    assert ["audit-sink", "router"] == [beat.name for beat in beats]
    assert ["disk-low"] == [one.rule for one in obstacles_of(beats)]


async def test_what_a_dead_watch_had_found_is_shown_for_as_long_as_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The router refuses tasks for it, however much the others have said since."""
    monkeypatch.setattr("seamwork.runtime.agents_health.LOOK_BACK", 10)
    monkeypatch.setattr("seamwork.platform.vitals.LOOK_BACK", 10)
    broker = SimBroker()
    broker.create_topic(HEARTBEATS.topic)
    found = (Obstacle(rule="disk-low", reason="it has less than 512 MiB left"),)

    for name, signer, obstacles in (("audit-sink", SINK, found), *25 * (("router", ROUTER, ()),)):
        record = envelope(
            "heartbeat", instance=name, kind="service", name=name, state="ready", obstacles=obstacles
        )
        out = compose(PLATFORM, HEARTBEATS.topic, name, record, signer=signer)
        broker.write(HEARTBEATS, out.key, out.value, out.headers)
    beats = [beat for beat, _ in await heartbeats(SimLog(broker), PLATFORM, CATALOG, {})]

    assert ["disk-low"] == [one.rule for one in obstacles_of(beats)]


async def test_what_an_older_release_had_found_is_relieved_by_the_next_one() -> None:
    """The router goes by the service, of whatever version; one that is not ready yet relieves nobody."""
    clock = SettableClock()
    broker = SimBroker(clock)
    broker.create_topic(HEARTBEATS.topic)
    found = (Obstacle(rule="disk-low", reason="it has less than 512 MiB left"),)

    async def shown(version: str, **fields: Any) -> list[str]:
        record = envelope(
            "heartbeat",
            instance=f"sink-{version}",
            kind="service",
            name="audit-sink",
            version=version,
            **fields,
        )
        out = compose(PLATFORM, HEARTBEATS.topic, "audit-sink", record, signer=SINK)
        broker.write(HEARTBEATS, out.key, out.value, out.headers)
        beats = await heartbeats(SimLog(broker), PLATFORM, CATALOG, {})
        return [one.rule for one in standing(beats, clock.now_ms())]

    assert ["disk-low"] == await shown("1.0.0", state="ready", obstacles=found)
    clock.advance(60_000)
    assert ["disk-low"] == await shown("2.0.0", state="starting")
    assert [] == await shown("2.0.0", state="ready")


class Endless(SimLog):
    """A log in which somebody reads and reads."""

    async def reader(self) -> SimReader:
        """Open a cursor, some day."""
        await asyncio.sleep(3600)
        return await super().reader()


async def test_a_watch_that_has_long_been_dead_does_not_hide_all_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever looks is told what the others have said since, and that its last word is missing."""
    monkeypatch.setattr("seamwork.platform.vitals._WATCH_WITHIN_S", 0.01)
    broker = SimBroker()
    broker.create_topic(HEARTBEATS.topic)
    record = envelope("heartbeat", instance="one", kind="service", name="router", state="ready")
    out = compose(PLATFORM, HEARTBEATS.topic, "one", record, signer=ROUTER)
    broker.write(HEARTBEATS, out.key, out.value, out.headers)
    unknown: dict[str, str] = {}
    beats = await heartbeats(Endless(broker), PLATFORM, CATALOG, unknown)
    found = list(record_away(Vitals(home=PlatformHome(Path("nowhere")), now=0, unknown=unknown)))

    assert ["router"] == [beat.name for beat, _ in beats]
    assert ["audit-away"] == [one.name for one in found]
    assert "its last word was not found" in found[0].what


@pytest.mark.parametrize(
    ("late_ms", "ahead_ms"),
    [((0, 6_000), 0), ((40, 6_000, 20), -20), ((-9_000, 0, 0, 6_000), 0), ((7_000,) * 3, -7_000)],
)
def test_a_heartbeat_that_waited_for_a_broker_sets_no_clock_back(
    late_ms: tuple[int, ...], ahead_ms: int
) -> None:
    """It lies in the log later than it was said. That all do, a clock alone can do; one that was mended counts."""
    said = envelope("heartbeat", instance="w-1", kind="agent", name="worker", sent_at=0)
    assert isinstance(said, Heartbeat)

    assert [ahead_ms] == list(_skews([(said, late) for late in late_ms]).values())


async def test_who_signs_with_another_key_is_named_if_it_is_somebody() -> None:
    """An agent that was given the wrong key runs and is not heard; strangers may call themselves what they like."""
    broker = SimBroker()
    broker.create_topic(HEARTBEATS.topic)
    revoked = {("Agent", "gone", "1.0.0"): (Activation("active", None, 0), Activation("revoked", None, 1))}
    catalog = Catalog.of(
        [document("Agent", "worker"), document("Agent", "gone"), document("Key", "router")], revoked
    )

    def beat(kind: str, name: str, signer: str) -> None:
        record = envelope("heartbeat", instance=name, kind=kind, name=name, version="1.0.0", state="ready")
        out = compose(PLATFORM, HEARTBEATS.topic, name, record, signer=key_of(signer))
        broker.write(HEARTBEATS, out.key, out.value, out.headers)

    async def named(after_ms: int = 0) -> tuple[str, ...]:
        said, unproved = await _said(SimLog(broker), PLATFORM, catalog, {})
        assert ["worker"] == [one.name for one, _ in said]
        return _names(unproved, catalog, max(at for _, at in unproved) + after_ms)

    beat("agent", "worker", "agent:worker")
    beat("agent", "worker", "agent:other")
    beat("agent", "stranger", "agent:stranger")
    beat("agent", "gone", "agent:gone")
    beat("service", "router", "agent:other")

    assert ("router", "worker@1.0.0") == await named()
    assert () == await named(after_ms=3_600_000)
