"""One bad record, written by whoever may write, must not stop or blind a reader."""

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from confluent_kafka import Producer as ConfluentProducer

from seamwork.broker.principal import Principal
from seamwork.bus.connection import Connection
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Confirmed, Partition
from seamwork.bus.producing import Producer
from seamwork.catalog import Context
from seamwork.catalog.follower import CatalogFollower
from seamwork.clock import SystemClock
from seamwork.decider import Input, Output, vote
from seamwork.records.parties import Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Malformed, Outgoing, RawRecord, read
from seamwork.runtime import Gate, GateSpec
from seamwork.runtime.machine import Identity
from seamwork.testing.builders import PLATFORM, envelope
from seamwork.testing.keys import key_of
from seamwork.testing.log_conformance import WORK, fetch, outgoing
from seamwork.testing.testbed import KafkaPlatform

PLACE = Partition(WORK, 0)
TESTER = Principal("tester", frozenset({"agent", "router"}))
_CRC_AT, _ATTRIBUTES_AT, _LAST_DELTA_AT = 17, 21, 23


@pytest.fixture
async def log(platform: KafkaPlatform) -> AsyncIterator[KafkaLog]:
    """Open the log as somebody who may write and read crossings."""
    platform.join(TESTER)
    async with KafkaLog(platform.access("tester"), platform.prefix, client_id="poison") as opened:
        yield opened


async def poison(platform: KafkaPlatform) -> None:
    """Write three records in one batch, the middle one with a header's name that is not UTF-8."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    builder.append(0, 1, b"before", b"before", [("fine", b"1")])
    builder.append(1, 1, b"poison", b"poison", [("QQname", b"\xff\xfe"), ("null", None)])
    builder.append(2, 1, b"after", b"after", [("fine", b"2")])
    await write(platform, bytearray(bytes(builder.build()).replace(b"QQname", b"\xff\xfename")))


async def write(platform: KafkaPlatform, data: bytearray) -> None:
    """Write a batch as it is, with the checksum of what it holds."""
    struct.pack_into(">I", data, _CRC_AT, calc_crc32c(bytes(data[_ATTRIBUTES_AT:])))
    connection = Connection(platform.access("tester"), platform.prefix, "hostile")
    await connection.start()
    ((node, _),) = (await connection.leaders.by_leader([PLACE])).items()
    answer = await connection.send(
        node,
        ProduceRequest(
            transactional_id=None,
            required_acks=-1,
            timeout=5_000,
            topics=[(connection.wire(WORK), [(0, bytes(data))])],
        ),
    )
    await connection.stop()
    assert [0] == [entry[1] for _, entries in answer.topics for entry in entries]


async def test_a_header_name_that_is_not_utf8_blocks_nobody(log: KafkaLog, platform: KafkaPlatform) -> None:
    """The record arrives with the name escaped, its neighbours as they were; a gate can answer by position."""
    await poison(platform)
    await log.publish([outgoing(7)])
    reader = await log.reader()
    fetched = (await fetch(reader, {PLACE: 0}))[PLACE]
    records = await log.read(PLACE, 0, 10)
    await reader.stop()

    assert list(fetched) == list(records[: len(fetched)])
    assert [b"before", b"poison", b"after", b"value-7"] == [record.value for record in records]
    assert (("\\xff\\xfename", b"\xff\xfe"), ("null", None)) == records[1].headers
    assert 1 == len({record.appended_at for record in records[:3]})
    answer = read(records[1], "platform")
    assert isinstance(answer, Malformed)
    assert "no-envelope" == answer.rule


async def test_a_poisoned_record_can_be_set_aside(log: KafkaLog, platform: KafkaPlatform) -> None:
    """Its escaped headers can be published again, as a dead letter does it."""
    await poison(platform)
    (record,) = await log.read(PLACE, 1, 2)
    await log.publish([Outgoing(WORK, record.key or b"", record.value, record.headers, partition=1)])
    (copy,) = await log.read(Partition(WORK, 1), 0, 1)

    assert record.headers == copy.headers


async def test_a_header_with_less_than_no_value_blocks_nobody(log: KafkaLog, platform: KafkaPlatform) -> None:
    """The broker takes any length below zero for null, beside a name that is not UTF-8 too."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    builder.append(0, 1, b"key", b"poison", [("Q", None)])
    await write(platform, bytearray(bytes(builder.build()).replace(b"\x02Q\x01", b"\x02\xff\x05")))
    await log.publish([outgoing(7)])
    records = await log.read(PLACE, 0, 10)

    assert [b"poison", b"value-7"] == [record.value for record in records]
    assert (("\\xff", None),) == records[0].headers


@pytest.mark.parametrize("said", [(3, 4), (0, 0), (0, 1_000_000)])
async def test_a_record_that_says_it_lies_elsewhere_hides_no_other(
    log: KafkaLog, platform: KafkaPlatform, said: tuple[int, ...]
) -> None:
    """The broker stores what a record says of its place, unseen; who went by it would pass over others, or end."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for delta in said:
        builder.append(delta, 1, b"key", b"elsewhere", [])
    data = bytearray(builder.build())
    struct.pack_into(">i", data, _LAST_DELTA_AT, len(said) - 1)
    await log.publish([outgoing(0)])
    await write(platform, data)
    await log.publish([outgoing(number) for number in range(1, 5)])
    reader = await log.reader()
    found: list[RawRecord] = []
    while len(found) < 7:
        # One at a time: whoever reads goes on behind what it was given.
        position = found[-1].offset + 1 if found else 0
        found += (await fetch(reader, {PLACE: position}, max_records=1))[PLACE]
    await reader.stop()

    assert list(range(7)) == [raw.offset for raw in found]
    assert [b"value-0", b"elsewhere", b"elsewhere", b"value-1"] == [raw.value for raw in found[:4]]


async def test_aiokafkas_own_consumer_would_stop_there(platform: KafkaPlatform) -> None:
    """
    The reason for our own reader.

    If this fails, aiokafka has been mended and ``seamwork.bus.batches`` may be simplified.
    """
    platform.join(TESTER)
    await poison(platform)
    consumer = AIOKafkaConsumer(**platform.access("tester").aiokafka(), auto_offset_reset="none")
    await consumer.start()
    place = TopicPartition(platform.topic(WORK), 0)
    consumer.assign([place])
    consumer.seek(place, 0)
    seen = []
    raised = 0
    for _ in range(4):
        try:
            found = await consumer.getmany(timeout_ms=500)
        except UnicodeDecodeError:
            raised += 1
        else:
            seen += [record.value for records in found.values() for record in records]
    await consumer.stop()

    assert raised >= 1
    assert [] == seen


async def test_the_markers_of_transactions_stop_no_gate(log: KafkaLog, platform: KafkaPlatform) -> None:
    """They take offsets and are no records; only who rules the broker may write any, and may not know it."""
    producer = ConfluentProducer({**platform.admin.confluent(), "transactional.id": "migration"})
    seen: list[int] = []
    come = asyncio.Event()

    def judge(given: Input, _context: Context) -> tuple[()]:
        assert isinstance(given, Malformed)
        seen.append(given.raw.offset)
        come.set()
        return ()

    def write() -> None:
        producer.begin_transaction()
        producer.produce(platform.topic(WORK), b"in a transaction", b"key", 0)
        producer.commit_transaction(20)

    await asyncio.to_thread(producer.init_transactions, 20)
    async with KafkaLog(platform.admin, platform.prefix, client_id="gate") as ruler:
        follower = CatalogFollower(ruler, PLATFORM, key_of("root").public)
        await follower.start()
        gate = Gate(
            GateSpec(name="contract-validator", decide=judge),
            log=ruler,
            follower=follower,
            identity=Identity(platform=PLATFORM, instance="one"),
            clock=SystemClock(),
        )
        async with gate.running():
            for _ in range(3):
                come.clear()
                await asyncio.to_thread(write)
                await asyncio.wait_for(come.wait(), 20)
        await follower.stop()

    assert [0, 2, 4] == seen
    assert [0, 2, 4] == [raw.offset for raw in await log.read(PLACE, 0, 10)]


async def test_a_trace_as_long_as_a_record_stops_no_gate(log: KafkaLog, platform: KafkaPlatform) -> None:
    """Any agent may write one, and a verdict that carried it on would be refused by the broker."""
    producer = ConfluentProducer({**platform.access("tester").confluent(), "message.max.bytes": 2_000_000})
    for trace in (b"0" * 1_048_000, b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
        producer.produce(platform.topic(WORK), b"", b"key", 0, headers=[("traceparent", trace)])
    await asyncio.to_thread(producer.flush, 20)

    def judge(given: Input, context: Context) -> tuple[Output, ...]:
        assert isinstance(given, Malformed)
        subject = Subject(partition=0, offset=given.raw.offset, digest=given.digest)
        said = envelope("verdict", gate="contract-validator", subject=subject)
        return (vote(cast("Verdict", said)),)

    async with KafkaLog(platform.admin, platform.prefix, client_id="gate") as ruler:
        follower = CatalogFollower(ruler, PLATFORM, key_of("root").public)
        await follower.start()
        gate = Gate(
            GateSpec(name="contract-validator", decide=judge, reads=(WORK,)),
            log=ruler,
            follower=follower,
            identity=Identity(platform=PLATFORM, instance="one"),
            clock=SystemClock(),
        )
        verdicts = Partition("verdicts.contract-validator.v1", 0)
        reader = await ruler.reader()
        async with gate.running(), asyncio.timeout(30):
            said: list[RawRecord] = []
            while len(said) < 2:
                said += (await fetch(reader, {verdicts: len(said)}))[verdicts]
        await reader.stop()
        await follower.stop()

    assert [None, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"] == [
        getattr(read(raw, PLATFORM), "traceparent", "") for raw in said
    ]


async def test_nobody_makes_anothers_record_pass_for_a_repeat(log: KafkaLog, platform: KafkaPlatform) -> None:
    """Ids of producers follow each other: who writes under the next ones takes the numbers of those to come."""
    connection = Connection(platform.access("tester"), platform.prefix, "hostile")
    await connection.start()
    producer = Producer(connection, "hostile", idempotent=True, timeout_ms=5_000)
    await producer.start()
    await connection.stop()
    for following in range(1, 10):
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1 << 20)
        builder.append(0, 1, b"key", b"taken", [])
        builder.set_producer_state(producer._identity[0] + following, 0, 0)
        await write(platform, bytearray(builder.build()))
    ours = (await log.publish([outgoing(7)]))[0]
    assert isinstance(ours, Confirmed)
    (record,) = await log.read(PLACE, ours.offset, ours.offset + 1)

    assert b"value-7" == record.value


async def test_nobody_shuts_another_producer_out(log: KafkaLog, platform: KafkaPlatform) -> None:
    """Who writes under its id with a later epoch fences it; what it sends goes out under another id."""
    await log.publish([outgoing(0)])
    lease = log._publisher._lease
    assert lease is not None
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1 << 20)
    builder.append(0, 1, b"key", b"fence", [])
    builder.set_producer_state(lease.producer._identity[0], 1, 0)
    await write(platform, bytearray(builder.build()))
    await log.publish([outgoing(number) for number in range(1, 3)])
    records = await log.read(PLACE, 0, 100)

    assert [b"value-0", b"fence", b"value-1", b"value-2"] == [record.value for record in records]


@pytest.mark.parametrize("last", [2**31 - 1, 2**31 - 3])
async def test_a_producer_counts_on_after_the_largest_number(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    """Within a batch and between two: it begins anywhere, and nothing is taken for a repeat, or for a gap."""
    monkeypatch.setattr("seamwork.bus.producing.secrets.randbelow", lambda _: last)
    for first in (0, 5, 10):
        await log.publish([outgoing(number) for number in range(first, first + 5)])
    records = await log.read(PLACE, 0, 100)

    assert [b"value-%d" % number for number in range(15)] == [record.value for record in records]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_producers_compression_is_the_brokers_affair(
    log: KafkaLog, platform: KafkaPlatform, codec: str
) -> None:
    """No reader needs the codec: topics are stored uncompressed."""
    producer = ConfluentProducer(
        {**platform.access("tester").confluent(), "compression.type": codec, "linger.ms": 50}
    )
    for number in range(10):
        producer.produce(platform.topic(WORK), bytes(1_000), b"%d" % number, 0, headers=[("h", b"\xff")])
    await asyncio.to_thread(producer.flush, 10)
    records = await log.read(PLACE, 0, 100)

    assert [b"%d" % number for number in range(10)] == [record.key for record in records]
    assert {(("h", b"\xff"),)} == {record.headers for record in records}
