"""What a program that begins a task is told of it, without a broker."""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from seamwork.agent import AgentSettings, Refused, submit, wait
from seamwork.bus.port import Partition, Reader
from seamwork.clock import SystemClock
from seamwork.errors import MisconfiguredError, RetryableError
from seamwork.records.crossing import Handoff
from seamwork.records.inbox import Notice
from seamwork.records.wire import Outgoing, RawRecord, signed_bytes
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


@pytest.mark.parametrize("contract", ["licence-facts", "licence-facts/", "/1.0.0", "licence-facts@1.0.0", ""])
async def test_a_root_under_no_version_of_a_contract_is_not_sent(log: SimLog, contract: str) -> None:
    """How it is written is said at once, and not by a gate."""
    with pytest.raises(MisconfiguredError, match="not written as name/version"):
        await submit(log, SETTINGS, **{**ROOT, "contract": contract})


async def test_only_word_of_the_root_ends_the_waiting(log: SimLog) -> None:
    """What the router says of other crossings under the task's id, or of the root before it is over, does not."""
    router = ScriptedRouter(log)
    submitted = await submit(log, SETTINGS, **ROOT)
    root = await router.next(Handoff)
    notice = Notice(
        id="n-1", task=submitted.task, agent="operator", version="1.0.0", what="refused", about="another",
        rule="not-mine", issued_at=1,
    )  # fmt: skip
    await router.write(router.compose(notice))
    await router.tell_sender("accepted", root)
    await router.tell_sender("refused", root, rule="no-such-agent")

    with pytest.raises(Refused, match="no-such-agent"):
        await asyncio.wait_for(wait(log, SETTINGS, submitted), 10)


class Away(SimLog):
    """A log that is away, and comes back after it was asked a few times."""

    def __init__(self, broker: SimBroker, times: int) -> None:
        super().__init__(broker)
        self.times = times

    def ask(self) -> None:
        """Say that nobody answers, while it is so."""
        if self.times:
            self.times -= 1
            raise RetryableError("nobody answers")

    async def partitions_of(self, topic: str) -> int | None:
        """Count them, if somebody answers."""
        self.ask()
        return await super().partitions_of(topic)

    async def start_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return them, if somebody answers."""
        self.ask()
        return await super().start_offsets(partitions)

    async def reader(self) -> Reader:  # type: ignore[override]  # a cursor, as the port asks
        """Open one, if somebody answers."""
        self.ask()
        return AwayReader(await super().reader(), self)


class AwayReader:
    """A cursor that cannot read while its log is away."""

    def __init__(self, reader: Reader, log: Away) -> None:
        self._reader = reader
        self._log = log

    async def fetch(
        self, positions: Mapping[Partition, int], *, max_records: int, max_wait_ms: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        """Fetch, or say that nobody answers."""
        self._log.ask()
        return await self._reader.fetch(positions, max_records=max_records, max_wait_ms=max_wait_ms)

    async def stop(self) -> None:
        """Stop."""
        await self._reader.stop()


@pytest.mark.parametrize("times", range(1, 6))
async def test_who_waits_waits_for_the_log_too(log: SimLog, times: int) -> None:
    """The task goes on when the broker is back, and so does whoever wants to know what became of it."""
    router, away = ScriptedRouter(log), Away(log.broker, times)
    submitted = await submit(log, SETTINGS, **ROOT)
    root = await router.next(Handoff)
    await router.answer(root, {"licence": "MIT"}, dispatch=None)

    answer = await asyncio.wait_for(wait(away, SETTINGS, submitted), 10)

    assert (0, {"licence": "MIT"}) == (away.times, answer.value)


@pytest.mark.parametrize(
    "timeout_s", ["5", math.inf, math.nan], ids=["a-text", "without-end", "not-a-number"]
)
async def test_a_timeout_that_is_no_number_of_seconds_is_refused(log: SimLog, timeout_s: Any) -> None:
    """A text taken a thousand times would be a number of seconds that nobody meant."""
    with pytest.raises(MisconfiguredError, match="timeout_s takes a number of seconds"):
        await submit(log, SETTINGS, **ROOT, timeout_s=timeout_s)


def _of_a_new_kind(told: Outgoing) -> Outgoing:
    headers = dict(told.headers)
    envelope = json.dumps({**json.loads(headers["sw_envelope"] or b""), "what": "postponed"}).encode()
    signature = ROUTER.sign(signed_bytes(PLATFORM, told.topic, told.key, envelope)).encode()
    new = {**headers, "sw_envelope": envelope, "sw_sig": signature}
    return Outgoing(told.topic, told.key, told.value, tuple(new.items()))
