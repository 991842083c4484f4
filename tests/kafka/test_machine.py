"""Machines on a real broker: handed over, killed, frozen; every input counts once and every output appears once."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from seamwork.broker.principal import agent
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Partition
from seamwork.catalog import Context
from seamwork.catalog.follower import CatalogFollower
from seamwork.clock import SystemClock
from seamwork.decider import Decider, Input, TooMuch
from seamwork.errors import MisconfiguredError
from seamwork.journal import Claim, decode
from seamwork.records.crossing import Handoff
from seamwork.records.platform import DeadLetter
from seamwork.records.wire import Outgoing, RawRecord, Received, compose, read
from seamwork.runtime import Machine, MachineSpec
from seamwork.runtime.machine import Identity
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.counter import WITH_TIMER, Counts, counter, next_counter
from seamwork.testing.journal_check import commits, folded, violations
from seamwork.testing.keys import key_of
from seamwork.testing.testbed import KafkaPlatform

NAME = "policy-engine"
JOURNAL = f"journal.{NAME}.v1"
VERDICTS = f"verdicts.{NAME}.v1"
COUNTER = counter(NAME)
OWNER = Path(__file__).with_name("machine_owner.py")
PARTITIONS = 4
PATIENCE_S = 40.0


@asynccontextmanager
async def log_of(
    platform: KafkaPlatform, name: str, session_timeout_ms: int = 3_000
) -> AsyncIterator[KafkaLog]:
    """Open the log as the principal *name* sees it."""
    access = platform.access(name)
    log = KafkaLog(access, platform.prefix, client_id=f"test-{name}", session_timeout_ms=session_timeout_ms)
    async with log:
        yield log


@asynccontextmanager
async def machine_on(
    log: KafkaLog, instance: str, decider: Decider[Any, Any, Any, Any] = COUNTER
) -> AsyncIterator[Machine]:
    """Run the counter, or its next version."""
    follower = CatalogFollower(log, PLATFORM, key_of("root").public)
    await follower.start()
    machine = Machine(
        MachineSpec(decider=decider, snapshot_every=40),
        log=log,
        follower=follower,
        identity=Identity(platform=PLATFORM, instance=instance, version="test"),
        clock=SystemClock(),
    )
    try:
        async with machine.running():
            yield machine
    finally:
        await follower.stop()


def handoffs(count: int, tasks: int = 16, first: int = 0, **fields: object) -> list[Outgoing]:
    """Make root handoffs of several tasks."""
    return [
        compose(
            PLATFORM,
            "handoffs.v1",
            f"t-{number % tasks}",
            envelope("handoff", id=f"h-{number}", task=f"t-{number % tasks}", **fields),
        )
        for number in range(first, first + count)
    ]


async def whole(log: KafkaLog, topic: str) -> list[list[RawRecord]]:
    """Read all partitions of a topic from start to end."""
    partitions = [Partition(topic, number) for number in range(PARTITIONS)]
    ends = await log.end_offsets(partitions)
    return [list(await log.read(partition, 0, ends[partition])) for partition in partitions]


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for *condition*, up to a deadline."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def verdicts_reach(platform: KafkaPlatform, count: int) -> None:
    """Wait until so many distinct verdicts are there."""
    deadline = time.monotonic() + PATIENCE_S
    async with log_of(platform, "audit-sink") as audit:
        while True:
            marks = {
                dict(raw.headers)["sw_src"] for records in await whole(audit, VERDICTS) for raw in records
            }
            if len(marks) >= count:
                return
            assert time.monotonic() < deadline, f"{len(marks)} of {count} verdicts"
            await asyncio.sleep(0.1)


def counted(state: Counts) -> int:
    """Sum up all tasks."""
    return sum(state.tasks.values())


async def check(platform: KafkaPlatform, count: int) -> list[Counts]:
    """Check all partitions and return the states that their journals hold."""
    async with log_of(platform, "audit-sink") as audit:
        journals, verdicts = await whole(audit, JOURNAL), await whole(audit, VERDICTS)
    assert [] == [wrong for journal in journals for wrong in violations(journal, verdicts)]
    states = [folded(COUNTER, journal) for journal in journals]
    assert count == sum(map(counted, states))
    return states


async def test_a_machine_counts_what_agents_write(platform: KafkaPlatform) -> None:
    """One owner of all partitions: each handoff is counted and answered once, and a timer rings."""
    platform.join(agent("planner"))
    now = SystemClock().now_ms()
    async with (
        log_of(platform, NAME) as log,
        log_of(platform, "agent-planner") as sender,
        machine_on(log, "one") as machine,
    ):
        await sender.publish(handoffs(200))
        await sender.publish(handoffs(1, first=200, step=WITH_TIMER, deadline_at=now + 300))
        await verdicts_reach(platform, 202)
        live = [owned.journal.state for _, owned in sorted(machine.owned.items())]

    assert live == await check(platform, 201)


async def test_the_marker_of_a_transaction_stops_no_timer(platform: KafkaPlatform) -> None:
    """It takes the last offset and is no record: nothing lies there that a deadline would have to wait for."""
    platform.join(agent("planner"))
    producer = Producer({**platform.admin.confluent(), "transactional.id": "migration"})
    await asyncio.to_thread(producer.init_transactions, 20)

    def migrate() -> None:
        producer.begin_transaction()
        for number in range(PARTITIONS):
            producer.produce(platform.topic("handoffs.v1"), b"in a transaction", b"key", number)
        producer.commit_transaction(20)

    async with (
        log_of(platform, NAME) as log,
        log_of(platform, "agent-planner") as sender,
        machine_on(log, "one"),
    ):
        due = SystemClock().now_ms() + 2_000
        await sender.publish(handoffs(1, step=WITH_TIMER, deadline_at=due))
        await asyncio.to_thread(migrate)
        await verdicts_reach(platform, 2)


async def test_two_owners_share_and_hand_over(platform: KafkaPlatform) -> None:
    """A second owner takes partitions over while records come, then gives them back."""
    platform.join(agent("planner"))
    async with (
        log_of(platform, NAME) as one,
        log_of(platform, NAME) as two,
        log_of(platform, "agent-planner") as sender,
        machine_on(one, "one") as first,
    ):
        await sender.publish(handoffs(100))
        await verdicts_reach(platform, 100)
        async with machine_on(two, "two") as second:
            await sender.publish(handoffs(100, first=100))
            await until(lambda: len(first.owned) == len(second.owned) == PARTITIONS // 2, "an even share")
            await sender.publish(handoffs(100, first=200))
            await verdicts_reach(platform, 300)
        await until(lambda: len(first.owned) == PARTITIONS, "all again")
        await sender.publish(handoffs(100, first=300))
        await verdicts_reach(platform, 400)

    await check(platform, 400)


async def test_a_release_with_another_state_takes_over_under_load(platform: KafkaPlatform) -> None:
    """
    One instance after the other is replaced while records come: each handoff counts once, over both versions.

    What the old one wrote, events and snapshots, is read by the new one through its upcasts; an old one that starts
    again refuses what the new one wrote, and continues on no guess.
    """
    platform.join(agent("planner"))
    newer = next_counter(NAME)
    sent = 0

    async def load(sender: KafkaLog) -> None:
        nonlocal sent
        await sender.publish(handoffs(100, first=sent))
        sent += 100

    async with (
        log_of(platform, NAME) as one,
        log_of(platform, NAME) as two,
        log_of(platform, "agent-planner") as sender,
    ):
        async with machine_on(one, "old") as old:
            await load(sender)
            await until(lambda: len(old.owned) == PARTITIONS, "all partitions")
            await load(sender)
            await verdicts_reach(platform, sent)
            async with machine_on(two, "new", newer) as new:
                await load(sender)
                await until(lambda: len(old.owned) == len(new.owned) == PARTITIONS // 2, "an even share")
                await load(sender)
                await old.stop()
                await load(sender)
                await until(lambda: len(new.owned) == PARTITIONS, "all of them")
                await load(sender)
                await verdicts_reach(platform, sent)
                live = [owned.journal.state for _, owned in sorted(new.owned.items())]
        async with machine_on(one, "old-again") as refused:
            with pytest.raises(
                MisconfiguredError, match="version 2 of the machine, this is version 1; start a newer"
            ):
                await asyncio.wait_for(refused.wait(), PATIENCE_S)
    async with log_of(platform, "audit-sink") as audit:
        journals, verdicts = await whole(audit, JOURNAL), await whole(audit, VERDICTS)

    assert [] == [wrong for journal in journals for wrong in violations(journal, verdicts)]
    assert live == [folded(newer, journal) for journal in journals]
    assert sent == sum(tally.handoffs for state in live for tally in state.tasks.values())
    assert {1, 2} == {commit.machine_version for journal in journals for commit in commits(journal)}


class Said(msgspec.Struct, frozen=True, tag="said"):
    """A handoff was read; *text* is as long as its step asks for."""

    text: str


class Heard(msgspec.Struct):
    """How long each text was; 0 for what was too much."""

    sizes: list[int] = []


def talker() -> Decider[Heard, Input, Said, Context]:
    """Make a machine that says of a handoff as much as it asks for."""

    def decide(_state: Heard, given: Input, _context: Context) -> Sequence[Said]:
        match given:
            case Received(record=Handoff() as handoff):
                return (Said(int(handoff.step) * "x"),)
            case TooMuch():
                return (Said(""),)
            case _:
                return ()

    def evolve(state: Heard, event: Said) -> Heard:
        state.sizes.append(len(event.text))
        return state

    return Decider(NAME, Heard, decide, evolve, lambda _event: (), Said, Heard, timer=lambda _state: None)


async def test_what_no_record_holds_is_set_aside(platform: KafkaPlatform) -> None:
    """Six MiB are committed, seven and a half are refused, the machine goes on, and so does whoever comes next."""
    platform.join(agent("planner"))
    sizes = (10, 6 * 1024 * 1024, 15 * 512 * 1024, 20)
    wanted = [10, 6 * 1024 * 1024, 0, 20]

    def states(machine: Machine) -> list[list[int]]:
        return [owned.journal.state.sizes for owned in machine.owned.values() if owned.journal.state.sizes]

    async with log_of(platform, "agent-planner") as sender, log_of(platform, NAME) as log:
        async with machine_on(log, "one", talker()) as machine:
            for number, size in enumerate(sizes):
                await sender.publish(handoffs(1, tasks=1, first=number, step=str(size)))
            await until(lambda: [wanted] == states(machine), "all four")
        async with machine_on(log, "heir", talker()) as machine:
            await until(lambda: [wanted] == states(machine), "the same again")
    async with log_of(platform, "audit-sink") as audit:
        letters = [raw for records in await whole(audit, "dead-letters.v1") for raw in records]

    found = [read(raw, PLATFORM) for raw in letters]
    # Whoever comes next publishes again what nobody confirmed: the same letter.
    assert {("too-much", NAME, 2)} == {
        (one.record.rule, one.record.gate, one.record.position.offset)
        for one in found
        if isinstance(one, Received) and isinstance(one.record, DeadLetter)
    }


@asynccontextmanager
async def owner_process(platform: KafkaPlatform, instance: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the counter in a process of its own; whatever becomes of it, it is gone at the end."""
    access = platform.access(NAME)
    given = {
        "bootstrap": access.bootstrap, "username": access.username, "password": access.password,
        "prefix": platform.prefix, "instance": instance,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(OWNER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ.copy(),
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(given).encode() + b"\n")
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def says(process: asyncio.subprocess.Process, wanted: str) -> None:
    """Wait until the process prints *wanted* on a line."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        while (line := await process.stdout.readline()).decode().strip() != wanted:
            assert line, f"the owner ended before it said {wanted!r}"


async def test_a_killed_owner_loses_nothing(platform: KafkaPlatform) -> None:
    """Kill -9 in the middle of a stream, three times; whoever comes next goes on from the journal."""
    platform.join(agent("planner"))
    async with log_of(platform, "agent-planner") as sender:
        for turn in range(3):
            async with owner_process(platform, f"victim-{turn}") as process:
                await sender.publish(handoffs(400, first=400 * turn))
                await says(process, "working")
                process.kill()
        async with log_of(platform, NAME) as log, machine_on(log, "heir"):
            await verdicts_reach(platform, 1200)

    await check(platform, 1200)


async def test_a_frozen_owner_is_fenced_when_it_wakes(platform: KafkaPlatform) -> None:
    """SIGSTOP past the group's session, a new owner, SIGCONT: nothing that the zombie does counts."""
    platform.join(agent("planner"))
    async with log_of(platform, "agent-planner") as sender, owner_process(platform, "zombie") as process:
        await sender.publish(handoffs(200))
        await says(process, "working")
        process.send_signal(signal.SIGSTOP)
        async with log_of(platform, NAME) as log, machine_on(log, "heir") as heir:
            await sender.publish(handoffs(200, first=200))
            await until(lambda: len(heir.owned) == PARTITIONS, "the heir owns everything")
            await verdicts_reach(platform, 400)
            process.send_signal(signal.SIGCONT)
            await sender.publish(handoffs(200, first=400))
            await verdicts_reach(platform, 600)

    await check(platform, 600)
    async with log_of(platform, "audit-sink") as audit:
        for journal in await whole(audit, JOURNAL):
            claims = [
                record.owner for raw in journal if isinstance(record := decode(raw.value, "here"), Claim)
            ]
            assert claims.index("zombie") < claims.index("heir")
            assert commits(journal)


@pytest.mark.slow
async def test_a_backlog_drains(
    platform: KafkaPlatform, record_property: Callable[[str, object], None]
) -> None:
    """A backlog of 4,000 handoffs drains; the figure goes to the output for the record."""
    platform.join(agent("planner"))
    async with log_of(platform, NAME) as log, log_of(platform, "agent-planner") as sender:
        batch = handoffs(4_000)
        for at in range(0, 4_000, 500):
            await sender.publish(batch[at : at + 500])
        async with machine_on(log, "one") as machine:
            await until(lambda: machine.ready and len(machine.owned) == PARTITIONS, "owned")
            started = time.perf_counter()
            await until(
                lambda: 4_000 == sum(counted(owned.journal.state) for owned in machine.owned.values()),
                "drained",
            )
            took = time.perf_counter() - started
    record_property("inputs_per_s", round(4_000 / took))
    sys.stdout.write(f"{4_000 / took:,.0f} inputs/s\n")
    await check(platform, 4_000)
