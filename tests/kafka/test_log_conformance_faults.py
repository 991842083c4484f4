"""What the log does when the broker says no, says nothing, or comes back."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from seamwork.broker.embedded import ensure_broker
from seamwork.broker.principal import Principal, agent
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Confirmed, NotAuthorisedError, Partition, Rejected
from seamwork.errors import OutcomeUnknownError, RetryableError
from seamwork.platform.supervisor import free_ports
from seamwork.records.wire import Outgoing
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.log_conformance import (
    COUNT,
    GROUP,
    INBOX,
    JOURNAL,
    WORK,
    Owner,
    fetch,
    outgoing,
    values,
)
from seamwork.testing.testbed import KafkaPlatform, KafkaTestbed

TESTER = Principal("tester", frozenset({"agent", "router", "machine", "owner:router", "tools"}))
READ_ONLY = "verdicts.cost-cap.v1"


def opened(platform: KafkaPlatform, *, bootstrap: str | None = None, **options: int) -> KafkaLog:
    """Make a view of the log as the tester."""
    access = platform.access("tester")
    if bootstrap is not None:
        access = dataclasses.replace(access, bootstrap=bootstrap)
    return KafkaLog(access, platform.prefix, client_id="faults", **options)


@pytest.fixture
async def log(platform: KafkaPlatform) -> AsyncIterator[KafkaLog]:
    """Open the log on the shared broker."""
    platform.join(TESTER, agent("parser"))
    async with opened(platform) as log:
        yield log


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[KafkaTestbed]:
    """Start a broker that this test may stop and signal."""
    testbed = KafkaTestbed(tmp_path)
    yield testbed
    testbed.close()


async def test_a_right_that_only_the_append_needs_is_missed_per_record(log: KafkaLog) -> None:
    """A topic that can be seen and not written: the broker refuses the batch, not the metadata."""
    batch = [
        outgoing(0),
        outgoing(1, topic=READ_ONLY),
        outgoing(2),
        outgoing(3, topic=READ_ONLY, partition=1),
    ]

    refused = Rejected("not-authorised")
    assert [Confirmed(0), refused, Confirmed(1), refused] == list(await log.publish(batch))
    with pytest.raises(NotAuthorisedError, match=READ_ONLY):
        await log.append(Partition(READ_ONLY, 0), b"x")
    assert [Confirmed(2)] == list(await log.publish([outgoing(4)]))


async def test_a_limit_that_only_the_broker_knows_costs_one_record(
    log: KafkaLog, platform: KafkaPlatform
) -> None:
    """The whole batch is refused; sent one by one, only the large record is."""
    admin = AdminClient(platform.admin.confluent())
    change = ConfigEntry("max.message.bytes", "20000", incremental_operation=AlterConfigOpType.SET)
    place = ConfigResource("TOPIC", platform.topic(INBOX), incremental_configs=[change])
    for done in admin.incremental_alter_configs([place]).values():
        await asyncio.to_thread(done.result, 10)
    batch = [outgoing(number, topic=INBOX) for number in range(6)]
    batch[3] = Outgoing(INBOX, b"task-3", bytes(30_000), partition=0)
    answers = await log.publish(batch)
    again = await log.publish([outgoing(7, topic=INBOX)])

    assert [
        Confirmed(0),
        Confirmed(1),
        Confirmed(2),
        Rejected("too-large"),
        Confirmed(3),
        Confirmed(4),
    ] == list(answers)
    assert [Confirmed(5)] == list(again)


async def test_batches_on_their_way_together_do_not_mix(log: KafkaLog) -> None:
    """Each is confirmed in its own order, also while others are refused and producers are thrown away."""

    async def publish(number: int) -> None:
        batch = [outgoing(number * 1000 + index, partition=number % COUNT) for index in range(100)]
        batch[50] = outgoing(0, topic=READ_ONLY)
        answers = list(await log.publish(batch))
        assert Rejected("not-authorised") == answers.pop(50)
        offsets = [answer.offset for answer in answers if isinstance(answer, Confirmed)]
        assert sorted(offsets) == offsets
        assert 99 == len(offsets)
        found = {
            each.offset: each.value for each in await log.read(Partition(WORK, number % COUNT), 0, 10_000)
        }
        del batch[50]
        assert [each.value for each in batch] == [found[offset] for offset in offsets]

    await asyncio.gather(*(publish(number) for number in range(12)))


async def test_a_wrong_password_is_said_so(platform: KafkaPlatform) -> None:
    """Aiokafka says that it cannot connect; we say what that can mean."""
    platform.join(TESTER)
    right = platform.access("tester")
    wrong = KafkaAccess(right.bootstrap, right.username, "wrong", right.protocol, right.mechanism)

    with pytest.raises(RetryableError, match="password"):
        await KafkaLog(wrong, platform.prefix, client_id="stranger").start()


async def test_a_group_that_is_not_ours_poisons_the_place(log: KafkaLog) -> None:
    """The client would try for ever; ``wait`` says which right is missing."""
    owner = Owner()
    place = await log.own("router", WORK, owner.assigned, owner.revoked)
    async with asyncio.timeout(30):
        with pytest.raises(NotAuthorisedError, match="group"):
            await place.wait()
    await place.stop()

    assert [] == owner.told


@pytest.mark.slow
async def test_a_restarted_broker_is_found_again(own_broker: KafkaTestbed, tmp_path: Path) -> None:
    """Reader, journal, outputs and the place in the group go on; what was acknowledged is still there."""
    platform = own_broker.platform(TESTER, agent("parser"))
    owner = Owner()
    async with opened(platform) as log:
        reader = await log.reader()
        place = await log.own(GROUP, WORK, owner.assigned, owner.revoked)
        await owner.until(lambda: len(owner.owned) == COUNT)
        await log.append(Partition(JOURNAL, 0), b"before")
        await log.publish([outgoing(0)])
        own_broker.broker.stop()
        assert {} == await reader.fetch({Partition(WORK, 0): 1}, max_records=5, max_wait_ms=300)
        own_broker.broker = ensure_broker(tmp_path)
        await until_known(log, b"after")
        place.note_position(Partition(WORK, 0), 1)
        answers = await log.publish([outgoing(1)])
        found = await fetch(reader, {Partition(WORK, 0): 1})
        journal = await log.read(Partition(JOURNAL, 0), 0, 100)
        async with asyncio.timeout(30):  # the group's coordinator may come back last
            while not (committed := await log.committed(GROUP, [Partition(WORK, 0)])):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # nobody tells when it has been
        await place.stop()
        await place.wait()
        await reader.stop()

    assert [b"before", b"after"] == list(dict.fromkeys(values(journal)))
    assert isinstance(answers[0], Confirmed)
    assert {b"value-1"} == set(values(found[Partition(WORK, 0)]))
    assert {Partition(WORK, 0): 1} == committed


@pytest.mark.slow
async def test_a_cluster_whose_brokers_have_all_moved_is_found_again(
    own_broker: KafkaTestbed, tmp_path: Path
) -> None:
    """Nobody is left where they were: what was given as the cluster's address says where they are now."""
    platform = own_broker.platform(TESTER, agent("parser"))
    owner = Owner()
    async with standing_before(own_broker) as address, opened(platform, bootstrap=address) as log:
        reader = await log.reader()
        place = await log.own(GROUP, WORK, owner.assigned, owner.revoked)
        await owner.until(lambda: len(owner.owned) == COUNT)
        await log.append(Partition(JOURNAL, 0), b"before")
        await log.publish([outgoing(0)])
        await fetch(reader, {Partition(WORK, 0): 0})
        own_broker.broker.stop()
        (elsewhere,) = free_ports(1)
        own_broker.broker = ensure_broker(tmp_path, port=elsewhere)
        await until_known(log, b"after")
        place.note_position(Partition(WORK, 0), 1)
        answers = await log.publish([outgoing(1)])
        found = await fetch(reader, {Partition(WORK, 0): 1})
        async with asyncio.timeout(60):
            while not (committed := await log.committed(GROUP, [Partition(WORK, 0)])):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # nobody tells when it has been
        await place.stop()
        await reader.stop()

    assert isinstance(answers[0], Confirmed)
    assert {b"value-1"} == set(values(found[Partition(WORK, 0)]))
    assert {Partition(WORK, 0): 1} == committed


@asynccontextmanager
async def standing_before(testbed: KafkaTestbed) -> AsyncIterator[str]:
    """Give an address that stays where it is, as a load balancer's does, whatever port the broker has."""

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there = await asyncio.open_connection("127.0.0.1", testbed.broker.ports.client)
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, there), carry(there_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.mark.slow
async def test_a_silent_broker_leaves_outcomes_unknown_in_bounded_time(own_broker: KafkaTestbed) -> None:
    """It freezes in the middle; the same bytes sent again land once it wakes, and reading goes on by itself."""
    platform = own_broker.platform(TESTER, agent("parser"))
    async with opened(platform) as log:
        reader = await log.reader()
        await log.append(Partition(JOURNAL, 0), b"first")
        await log.publish([outgoing(0)])
        await fetch(reader, {Partition(WORK, 0): 0})
        pid = own_broker.broker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            appending = asyncio.create_task(log.append(Partition(JOURNAL, 0), b"second"))
            publishing = asyncio.create_task(log.publish([outgoing(1)]))
            assert {} == await reader.fetch({Partition(WORK, 0): 1}, max_records=5, max_wait_ms=500)
            outcomes = await asyncio.gather(appending, publishing, return_exceptions=True)
            assert 30 > time.monotonic() - began
            assert [OutcomeUnknownError, OutcomeUnknownError] == [type(each) for each in outcomes]
        finally:
            os.kill(pid, signal.SIGCONT)
        again = await until_known(log, b"second")
        answers = await log.publish([outgoing(1)])
        journal = await log.read(Partition(JOURNAL, 0), 0, 100)
        found = await fetch(reader, {Partition(WORK, 0): 1})
        await reader.stop()

    assert again >= 1
    assert isinstance(answers[0], Confirmed)
    # Ghosts of what was given up are copies of the same bytes, never anything else.
    assert [b"first", b"second"] == list(dict.fromkeys(values(journal)))
    assert {b"value-1"} == set(values(found[Partition(WORK, 0)]))


async def until_known(log: KafkaLog, value: bytes) -> int:
    """Append the same bytes until it is known where they are."""
    async with asyncio.timeout(60):
        while True:
            try:
                return (await log.append(Partition(JOURNAL, 0), value)).offset
            except OutcomeUnknownError:
                continue


@pytest.mark.slow
async def test_a_member_that_dies_loses_its_partitions_to_another(platform: KafkaPlatform) -> None:
    """Without a farewell, the session's timeout decides."""
    platform.join(TESTER)
    dead, heir = Owner(), Owner()
    async with opened(platform, session_timeout_ms=6_000) as first, opened(platform) as second:
        place = await first.own(GROUP, WORK, dead.assigned, dead.revoked)
        await dead.until(lambda: len(dead.owned) == COUNT)
        # The process is gone: connections break, nobody says goodbye.
        place._consumer._coordinator._group_instance_id = "never-leaves"
        await place._consumer.stop()
        other = await second.own(GROUP, WORK, heir.assigned, heir.revoked)
        await heir.until(lambda: len(heir.owned) == COUNT)
        await other.stop()
        await place.stop()
