"""What is shown of a platform is what its services take it to be."""

from typing import Any

from seamwork.bus.port import Partition
from seamwork.catalog import Catalog
from seamwork.platform.vitals import _heartbeats
from seamwork.records.platform import Obstacle
from seamwork.records.wire import compose
from seamwork.runtime.agents_health import obstacles_of
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimBroker, SimLog

SINK = key_of("service:audit-sink")
CATALOG = Catalog.of(
    [document("Key", "sink", kid=SINK.kid, public=SINK.public, purpose="service", holder="audit-sink")]
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
        ((beat, _),) = await _heartbeats(SimLog(broker), PLATFORM, CATALOG)
        return beat.state, [one.rule for one in obstacles_of([beat])]

    found = (Obstacle(rule="disk-low", reason="it has less than 512 MiB left"),)

    assert ("ready", ["disk-low"]) == await shown(state="ready", obstacles=found)
    assert ("starting", ["disk-low"]) == await shown(state="starting")
    assert ("ready", []) == await shown(state="ready")
