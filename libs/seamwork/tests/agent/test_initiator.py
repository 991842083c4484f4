"""What a program that begins a task is told of it, without a broker."""

import asyncio
import json
from typing import Any

import pytest

from seamwork.agent import AgentSettings, submit, wait
from seamwork.clock import SystemClock
from seamwork.errors import MisconfiguredError
from seamwork.records.crossing import Handoff
from seamwork.records.inbox import Notice
from seamwork.records.wire import Outgoing, signed_bytes
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.builders import PLATFORM
from seamwork.testing.keys import key_of
from seamwork.testing.scripted_router import ScriptedRouter
from seamwork.testing.simlog import SimBroker, SimLog

ROUTER = key_of("service:router")
SETTINGS = AgentSettings(
    name="operator",
    platform=PLATFORM,
    key=key_of("agent:operator"),
    kafka=KafkaAccess("127.0.0.1:1", "nobody", "nothing"),
    router_keys={ROUTER.kid: ROUTER.public},
)
ROOT: dict[str, Any] = {
    "contract": "licence-facts/1.0.0",
    "payload": {},
    "intent": "audit",
    "to": "extractor",
}


@pytest.fixture
def log() -> SimLog:
    """Make a log with what an initiator needs of it."""
    broker = SimBroker(SystemClock())
    for topic in ("handoffs.v1", "inbox.operator.v1"):
        broker.create_topic(topic)
    return SimLog(broker)


@pytest.mark.parametrize(
    ("part", "field"),
    [({"ceiling_micro_usd": 0.5}, "ceiling_micro_usd"), ({"intent": "x" * 70_000}, "65536")],
    ids=["a-float", "too-large"],
)
async def test_a_root_that_nobody_could_read_is_not_sent(
    log: SimLog, part: dict[str, Any], field: str
) -> None:
    """Whoever waited for what becomes of it would never hear of it."""
    with pytest.raises(MisconfiguredError, match=field):
        await submit(log, SETTINGS, **{**ROOT, **part})


async def test_word_that_cannot_be_read_is_not_waited_past(log: SimLog) -> None:
    """A newer router says of the task what this version does not know; it may be all that is ever said."""
    router = ScriptedRouter(log)
    submitted = await submit(log, SETTINGS, **ROOT)
    root = await router.next(Handoff)
    told = router.compose(
        Notice(
            id="n-1", task=submitted.task, agent="operator", version="1.0.0", what="refused", about=root.record.id,
            issued_at=1,
        )
    )  # fmt: skip
    await router.write(_of_a_new_kind(told))

    with pytest.raises(MisconfiguredError, match="newer"):
        await asyncio.wait_for(wait(log, SETTINGS, submitted), 10)


def _of_a_new_kind(told: Outgoing) -> Outgoing:
    headers = dict(told.headers)
    envelope = json.dumps({**json.loads(headers["sw_envelope"] or b""), "what": "postponed"}).encode()
    signature = ROUTER.sign(signed_bytes(PLATFORM, told.topic, told.key, envelope)).encode()
    new = {**headers, "sw_envelope": envelope, "sw_sig": signature}
    return Outgoing(told.topic, told.key, told.value, tuple(new.items()))
