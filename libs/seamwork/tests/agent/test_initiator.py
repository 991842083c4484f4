"""What a program that begins a task is told of it, without a broker."""

from typing import Any

import pytest

from seamwork.agent import AgentSettings, submit
from seamwork.clock import SystemClock
from seamwork.errors import MisconfiguredError
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.builders import PLATFORM
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimBroker, SimLog


@pytest.mark.parametrize(
    ("part", "field"),
    [({"ceiling_micro_usd": 0.5}, "ceiling_micro_usd"), ({"intent": "x" * 70_000}, "65536")],
    ids=["a-float", "too-large"],
)
async def test_a_root_that_nobody_could_read_is_not_sent(part: dict[str, Any], field: str) -> None:
    """Whoever waited for what becomes of it would never hear of it."""
    broker = SimBroker(SystemClock())
    for topic in ("handoffs.v1", "inbox.operator.v1"):
        broker.create_topic(topic)
    settings = AgentSettings(
        name="operator",
        platform=PLATFORM,
        key=key_of("agent:operator"),
        kafka=KafkaAccess("127.0.0.1:1", "nobody", "nothing"),
        router_keys={"router": key_of("service:router").public},
    )
    root: dict[str, Any] = {
        "contract": "licence-facts/1.0.0",
        "payload": {},
        "intent": "audit",
        "to": "extractor",
    }

    with pytest.raises(MisconfiguredError, match=field):
        await submit(SimLog(broker), settings, **{**root, **part})
