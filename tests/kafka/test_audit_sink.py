"""The audit sink on a real broker: with its own rights, over a restart, record for record what Kafka holds."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seamwork.broker.principal import GATES, MACHINES, agent
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Confirmed, Partition
from seamwork.clock import SystemClock
from seamwork.platform.audit import Audit
from seamwork.records.platform import TreeHead
from seamwork.records.wire import Outgoing, RawRecord, Received, compose, read
from seamwork.runtime import Site
from seamwork.runtime.frame import Frame
from seamwork.settings.common import CommonSettings
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.keys import key_of
from seamwork.testing.testbed import KafkaPlatform
from seamwork_audit_sink.archive import Archive
from seamwork_audit_sink.rows import raw_of
from seamwork_audit_sink.settings import Settings
from seamwork_audit_sink.topics import FIXED
from seamwork_audit_sink.wiring import SERVICE, build

PARTITIONS = 4
PATIENCE_S = 40.0
TOPICS = [
    *FIXED,
    *(f"journal.{machine}.v1" for machine in MACHINES),
    *(f"verdicts.{gate}.v1" for gate in GATES),
]


@asynccontextmanager
async def log_of(platform: KafkaPlatform, name: str) -> AsyncIterator[KafkaLog]:
    """Open the log as the principal *name* sees it."""
    access = platform.access(name)
    async with KafkaLog(access, platform.prefix, client_id=f"test-{name}", session_timeout_ms=6_000) as log:
        yield log


async def write(platform: KafkaPlatform, name: str, *batch: Outgoing) -> None:
    """Write as a principal."""
    async with log_of(platform, name) as log:
        assert all(isinstance(answer, Confirmed) for answer in await log.publish(batch))


@asynccontextmanager
async def serving(platform: KafkaPlatform, settings: Settings, folder: Path) -> AsyncIterator[Frame]:
    """Run the service in this process while the block runs."""
    key_file = folder / "audit-sink.key"
    key_file.touch(mode=0o600)
    key_file.write_text(base64.b64encode(b"a" * 32).decode())
    common = CommonSettings(
        platform=PLATFORM,
        root_public=key_of("root").public,
        kafka=platform.access("audit-sink"),
        prefix=platform.prefix,
        signing_key_file=key_file,
        instance="one",
    )
    async with log_of(platform, "audit-sink") as log:
        part = build(settings, Site(platform=PLATFORM, partitions=PARTITIONS))
        frame = Frame(SERVICE, part, common, log=log, clock=SystemClock())
        async with frame.running():
            yield frame
        assert frame.error is None


async def held(platform: KafkaPlatform) -> dict[Partition, list[RawRecord]]:
    """Return what Kafka holds of everything that is to be kept."""
    async with log_of(platform, "audit-sink") as log:
        places = [Partition(topic, n) for topic in TOPICS for n in range(await log.partitions_of(topic) or 0)]
        ends = await log.end_offsets(places)
        return {at: list(await log.read(at, 0, end)) for at, end in ends.items() if end}


def kept(database: Path) -> dict[Partition, list[RawRecord]]:
    """Return what the database holds, by partition, in the order of taking in."""
    found: dict[Partition, list[RawRecord]] = {}
    for row in Archive(database).rows(bodies=True):
        found.setdefault(Partition(row.topic, row.partition), []).append(raw_of(row))
    return found


async def caught_up(platform: KafkaPlatform, database: Path, frame: Frame) -> None:
    """Wait until the database says that it is where the log ends."""
    wanted = {at: len(records) for at, records in (await held(platform)).items()}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert frame.error is None
        positions = Archive(database).positions() if frame.ready else {}
        if all(positions.get(at) == end for at, end in wanted.items()):
            return
        assert time.monotonic() < deadline, f"{positions} of {wanted}"
        await asyncio.sleep(0.05)


def some(first: int, count: int) -> list[Outgoing]:
    """Make crossings, every third one garbage."""
    good = [
        compose(
            PLATFORM,
            "handoffs.v1",
            f"t-{number}",
            envelope("handoff", id=f"h-{number}", task=f"t-{number}"),
            payload=b"{}",
        )
        for number in range(first, first + count)
    ]
    bad = [Outgoing("handoffs.v1", b"\xff", b"\x00garbage", (("sw_envelope", b"{"), ("x", None)))] * (
        count // 2
    )
    return [*good, *bad, Outgoing("handoffs.v1", b"t-1", None)]


@pytest.mark.timeout(180)
async def test_what_kafka_holds_is_in_the_database_once(platform: KafkaPlatform, tmp_path: Path) -> None:
    """From every topic that has something, over a restart in between; what became of a task can be asked."""
    database = tmp_path / "audit" / "audit.db"
    settings = Settings(database=database, batch_records=100, head_interval_ms=100)
    platform.join(agent("planner"))
    # Of no record by its place, which only the broker knows: what was refused is the crossing.
    decided = envelope(
        "refused", crossing="h-1", task="t-1", subject=None, rule="over-budget", told="planner"
    )
    await write(platform, "agent-planner", *some(0, 300))
    await write(platform, "router", compose(PLATFORM, "decisions.v1", "t-1", decided, partition=0))
    async with log_of(platform, "cost-cap") as log:
        await log.append(Partition("journal.cost-cap.v1", 0), b'{"type":"claim","v":1}')

    async with serving(platform, settings, tmp_path) as frame:
        await caught_up(platform, database, frame)
    await write(platform, "agent-planner", *some(300, 200))
    async with serving(platform, settings, tmp_path) as frame:
        await write(platform, "agent-planner", *some(500, 100))
        await caught_up(platform, database, frame)
        audit = Audit(f"http://127.0.0.1:{frame.http_port}")
        blame = await asyncio.to_thread(audit.blame, "t-1")
        tasks = await asyncio.to_thread(audit.tasks, 3)

    assert await held(platform) == kept(database)
    assert blame.trouble is not None
    assert ("refused", "over-budget") == (blame.state, blame.trouble.rule)
    assert 3 == len(tasks)
    async with log_of(platform, "audit-sink") as log:
        place = Partition("audit.v1", 0)
        heads = [
            read(raw, PLATFORM) for raw in await log.read(place, 0, (await log.end_offsets([place]))[place])
        ]
    last = heads[-1]
    assert isinstance(last, Received)
    assert isinstance(last.record, TreeHead)
    _, tree = Archive(database).tree()
    assert (tree.size, tree.root.hex()) == (last.record.size, last.record.root_sha256)
