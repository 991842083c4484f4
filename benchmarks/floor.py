"""
Measure what a crossing cannot cost less than, as long as it writes and reads what it does now.

``python -m benchmarks.floor [TASKS]``: tasks go through the tunnel, and all that they leave in the log is kept,
with how often each topic was read and how often something was signed and verified. Then each part of that is done
alone, by the quickest code that Python can call and in lots as large as they come: records through a real broker
by librdkafka, envelopes through msgspec, signatures by libsodium, rows into SQLite. Their sum is what would be left
if our own code cost nothing. What the tunnel takes beyond its share of them is that code.

The way from hand to hand is measured so as well: the requests that wait for one another, one crossing at a time, by
the platform's own client, and nothing between them.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import structlog
from benchmarks.librdkafka import LibrdkafkaRoad
from benchmarks.load import percentile_ms
from benchmarks.machine import described
from benchmarks.processes import taken
from benchmarks.raw import RawRoad, make_topics
from benchmarks.reference import reference_s
from benchmarks.tunnel import PAYLOAD_BYTES, PLATFORM, tunnel
from confluent_kafka import Consumer, Producer, TopicPartition
from nacl import bindings as sodium

from seamwork.broker.embedded import BrokerHandle, ensure_broker
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Partition, Reader
from seamwork.clock import SystemClock
from seamwork.grants import keys
from seamwork.journal import records as journals
from seamwork.records.envelope import decode, encode
from seamwork.records.wire import SW_ENVELOPE, Outgoing, RawRecord, record_digest
from seamwork.runtime.memory import settle_memory
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.simlog import SimBroker

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "floor.json"
PAGE = HERE / "FLOOR.md"
TASKS, ROUNDS, SAMPLES = 1_000, 5, 100
GOAL_PER_S = 3_000
GOAL_OVER_RAW = 3
_PREFIX = "floor"
_JOURNAL, _SNAPSHOTS = "journal.", "snapshots."
_LOT = 64  # rows in a transaction of the audit sink under load, and more
_SEED = bytes(32)
_SIGNED = b"x" * 700  # as long as what is signed: envelopes of crossings and stamps
_HANDS = ("handoffs.v1", "verdicts.policy-engine.v1", "inbox.worker.v1")
_APPENDS = ("journal.policy-engine.v1", "journal.router.v1")
_COMMIT = b"x" * 2_500
_PATIENCE_S = 60
_WAIT_MS = 500


class CountingBroker(SimBroker):
    """A log in memory that counts what is read from it, by topic."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.reads: Counter[str] = Counter()

    def look(self, partition: Partition, position: int, count: int) -> list[RawRecord]:
        """Return records, as any log does, and count them."""
        found = super().look(partition, position, count)
        self.reads[partition.topic] += len(found)
        return found

    def ends(self) -> dict[Partition, int]:
        """Return where every partition ends."""
        return {
            at: self.bounds(at)[1]
            for topic, parts in self._topics.items()
            for at in (Partition(topic, number) for number in range(len(parts)))
        }


@dataclass(frozen=True)
class Trail:
    """
    What *tasks* tasks left behind, two crossings each.

    Attributes:
        tasks: How many.
        records: Everything that was written meanwhile.
        reads: How often a record of each topic was read.
        calls: How often something was signed (``sign``) and verified (``verify``), all parties in one process.
        tunnel_s: The processor time of a crossing in the tunnel.
    """

    tasks: int
    records: Sequence[RawRecord]
    reads: Mapping[str, int]
    calls: Mapping[str, int]
    tunnel_s: float

    def a_crossing(self, of: float) -> float:
        """Return a crossing's share of what all of them took."""
        return of / (2 * self.tasks)


async def trail(tasks: int) -> Trail:
    """Carry tasks through the tunnel, and keep what they left."""
    broker = CountingBroker()
    async with tunnel(broker=broker) as made:
        settle_memory()
        before = broker.ends()
        broker.reads.clear()
        with _counted() as calls:
            began = time.process_time()
            await made.carry_many(tasks)
            took_s = time.process_time() - began
        records = [
            one for at, end in before.items() for one in broker.records(at)[end - broker.bounds(at)[0] :]
        ]
        reads = Counter(broker.reads)
    # By when they were written, as a broker got them.
    records.sort(key=lambda one: one.appended_at)
    return Trail(tasks, records, reads, calls, took_s / (2 * tasks))


@contextmanager
def _counted() -> Iterator[Counter[str]]:
    """Count what is signed and verified inside, by a patch: the product has no use for such counts."""
    calls: Counter[str] = Counter()

    def sign(data: bytes, key: bytes) -> bytes:
        calls["sign"] += 1
        return sodium.crypto_sign(data, key)

    def verify(data: bytes, key: bytes) -> bytes:
        calls["verify"] += 1
        return sodium.crypto_sign_open(data, key)

    vars(keys)["sodium"] = SimpleNamespace(crypto_sign=sign, crypto_sign_open=verify)
    try:
        yield calls
    finally:
        vars(keys)["sodium"] = sodium


# ── One part at a time ───────────────────────────────────────────────────────────────────


def processor_s(work: Callable[[], object]) -> float:
    """Return the processor time that *work* takes this process, all of its threads together."""
    began = time.process_time()
    work()
    return time.process_time() - began


def signing(left: Trail) -> float:
    """Sign as many times as was signed, by the bare library."""
    _, private = sodium.crypto_sign_seed_keypair(_SEED)
    return processor_s(lambda: [sodium.crypto_sign(_SIGNED, private) for _ in range(left.calls["sign"])])


def verifying(left: Trail) -> float:
    """Verify as many times as was verified, by the bare library."""
    public, private = sodium.crypto_sign_seed_keypair(_SEED)
    signed = sodium.crypto_sign(_SIGNED, private)
    return processor_s(lambda: [sodium.crypto_sign_open(signed, public) for _ in range(left.calls["verify"])])


def reading(left: Trail) -> float:
    """Decode and digest each record as often as it was read; journals are read when somebody takes over."""
    times = _times_read(left)

    def work() -> None:
        for raw in left.records:
            envelope = next((value for name, value in raw.headers if name == SW_ENVELOPE), None)
            if envelope is not None:
                for _ in range(times[raw.topic]):
                    decode(envelope)
                    record_digest(PLATFORM, raw.topic, raw.key or b"", envelope)

    return processor_s(work)


def writing(left: Trail) -> float:
    """Encode each envelope once, and each commit."""
    envelopes = [
        decode(value) for raw in left.records for name, value in raw.headers if name == SW_ENVELOPE and value
    ]
    commits = [
        journals.decode(raw.value, "the journal") for raw in left.records if raw.topic.startswith(_JOURNAL)
    ]

    def work() -> None:
        for one in envelopes:
            encode(one)
        for commit in commits:
            journals.encode(commit)

    return processor_s(work)


def keeping(left: Trail) -> float:
    """Insert each record into a table with one index, in the sink's lots."""
    rows = [
        (
            raw.topic, raw.partition, number, raw.key, raw.value,
            b"".join(name.encode() + (value or b"") for name, value in raw.headers),
        )
        for number, raw in enumerate(left.records)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="seamwork-floor-") as folder:
        db = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        db.execute("PRAGMA page_size = 16384")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(
            "CREATE TABLE records (topic, part, at, key, body, headers, PRIMARY KEY (topic, part, at))"
        )

        def work() -> None:
            for first in range(0, len(rows), _LOT):
                db.execute("BEGIN")
                db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", rows[first : first + _LOT])
                db.execute("COMMIT")

        took_s = processor_s(work)
        db.close()
    return took_s


def _times_read(left: Trail) -> dict[str, int]:
    written = Counter(raw.topic for raw in left.records)
    return {topic: round(left.reads.get(topic, 0) / count) for topic, count in written.items()}


class Wire:
    """
    The trail's records, written to a broker and read from it as often as they were, by librdkafka.

    One producer, and as many consumers as the topic that is read most often has readers: each follows the topics
    that have so many.
    """

    def __init__(self, access: KafkaAccess, left: Trail) -> None:
        self._left = left
        self._producer: Any = Producer({**access.confluent(), "acks": "all", "linger.ms": 5, "log_level": 0})
        self._ends: Counter[tuple[str, int]] = Counter()
        times = _times_read(left)
        self._follows = [
            {topic for topic, count in times.items() if count > reader}
            for reader in range(max(times.values()))
        ]
        self._consumers: list[Any] = [
            Consumer(
                {
                    **access.confluent(), "group.id": f"floor-{number}", "enable.auto.commit": False,
                    "log_level": 0,
                }
            )
            for number in range(len(self._follows))
        ]  # fmt: skip

    def carry(self) -> None:
        """Write all, then read all."""
        starts = dict(self._ends)
        for raw in self._left.records:
            topic = f"{_PREFIX}.{raw.topic}"
            self._producer.produce(topic, raw.value, raw.key, raw.partition, headers=list(raw.headers))
            self._ends[topic, raw.partition] += 1
        if self._producer.flush(_PATIENCE_S):
            raise TimeoutError("the broker did not take all records within a minute")
        for consumer, follows in zip(self._consumers, self._follows, strict=True):
            places = {
                at: end for at, end in self._ends.items() if at[0].removeprefix(f"{_PREFIX}.") in follows
            }
            due = sum(end - starts.get(at, 0) for at, end in places.items())
            consumer.assign([TopicPartition(*at, starts.get(at, 0)) for at in places])
            until = time.monotonic() + _PATIENCE_S
            while due > 0:
                due -= len(consumer.consume(num_messages=1_000, timeout=0.1))
                if time.monotonic() > until:
                    raise TimeoutError(f"{due} records were not to be had within a minute")
            consumer.unassign()

    def close(self) -> None:
        """Close the consumers."""
        for consumer in self._consumers:
            consumer.close()


# ── From hand to hand ────────────────────────────────────────────────────────────────────


class Chain:
    """
    The requests that wait for one another between `submit` and the receiving function, and nothing else.

    A crossing, a verdict and a dispatch go to whoever waits for them; before the verdict and before the dispatch a
    commit is appended.
    """

    def __init__(self, access: KafkaAccess) -> None:
        self._log = KafkaLog(access, _PREFIX, client_id="floor")
        self._places = [Partition(topic, 0) for topic in _HANDS]
        self._readers: list[Reader] = []
        self._ends: dict[Partition, int] = {}

    async def start(self) -> None:
        """Open the cursors."""
        await self._log.start()
        self._ends = await self._log.end_offsets(self._places)
        self._readers = [await self._log.reader() for _ in self._places]
        await self.carry()

    async def stop(self) -> None:
        """Close them."""
        for reader in self._readers:
            await reader.stop()
        await self._log.stop()

    async def carry(self, number: int = 0) -> int:
        """Go through all of it once; return the nanoseconds."""
        record = Outgoing("", b"%d" % number, b"x" * PAYLOAD_BYTES, partition=0)
        waiting = [
            asyncio.create_task(reader.fetch({at: self._ends[at]}, max_records=10, max_wait_ms=_WAIT_MS * 10))
            for reader, at in zip(self._readers, self._places, strict=True)
        ]
        await asyncio.sleep(0.01)  # until they wait at the broker
        sent: list[asyncio.Task[Any]] = []
        began = time.monotonic_ns()
        for at, arrives, journal in zip(self._places, waiting, ("", *_APPENDS), strict=True):
            if journal:
                await self._log.append(Partition(journal, 0), _COMMIT)
            out = Outgoing(at.topic, record.key, record.value, partition=0)
            sent.append(asyncio.create_task(self._log.publish([out])))
            found = (await arrives)[at]
            self._ends[at] += len(found)
        took_ns = time.monotonic_ns() - began
        await asyncio.gather(*sent)
        return took_ns


async def hands(access: KafkaAccess, rounds: int, samples: int) -> dict[str, list[float]]:
    """Return the median of each round in ms: a raw record by two clients, and the chain."""
    body = b"x" * PAYLOAD_BYTES
    roads: dict[str, Any] = {
        "raw": RawRoad(access, f"{_PREFIX}.raw", body, 1),
        "librdkafka": LibrdkafkaRoad(access, f"{_PREFIX}.librdkafka", body, 1),
        "chain": Chain(access),
    }
    found: dict[str, list[float]] = {name: [] for name in roads}
    async with AsyncExitStack() as stack:
        for road in roads.values():
            await road.start()
            stack.push_async_callback(road.stop)
        for _ in range(rounds):
            for name, road in roads.items():
                took = [await road.carry(number) for number in range(samples)]
                found[name].append(round(percentile_ms(took, 50), 2))
    return found


# ── All of it ────────────────────────────────────────────────────────────────────────────

OWN: dict[str, Callable[[Trail], float]] = {
    "sign": signing, "verify": verifying, "read": reading, "write": writing, "keep": keeping,
}  # fmt: skip


async def measure(folder: Path, tasks: int, rounds: int, samples: int) -> dict[str, Any]:
    """Measure everything, in rounds."""
    load = os.getloadavg()[0]
    left = await trail(tasks)
    parts: dict[str, list[float]] = {name: [] for name in (*OWN, "client", "broker")}
    references: list[float] = []
    with ensure_broker(folder) as broker:
        topics = sorted({raw.topic for raw in left.records} | {*_HANDS, *_APPENDS})
        await make_topics(broker.admin, [f"{_PREFIX}.{topic}" for topic in topics], 4)
        await make_topics(broker.admin, [f"{_PREFIX}.{name}" for name in ("raw", "librdkafka")], 1)
        wire = Wire(broker.admin, left)
        wire.carry()  # once, so that what has to be compiled and looked up is
        for _ in range(rounds):
            references.append(reference_s())
            for name, part in OWN.items():
                parts[name].append(left.a_crossing(part(left)))
            ours, theirs = _carried(wire, broker)
            parts["client"].append(left.a_crossing(ours))
            parts["broker"].append(left.a_crossing(theirs))
        wire.close()
        way = await hands(broker.admin, rounds, samples)
    return {
        **described(load),
        "tasks": tasks,
        "rounds": rounds,
        "samples": samples,
        "written": left.a_crossing(len(left.records)),
        "read": left.a_crossing(sum(left.reads.values())),
        "calls": {name: left.a_crossing(count) for name, count in sorted(left.calls.items())},
        "reference_ms": 1000 * statistics.median(references),
        "tunnel_ms": 1000 * left.tunnel_s,
        "parts_ms": {name: [1000 * took for took in each] for name, each in parts.items()},
        "hands_ms": way,
    }


def _carried(wire: Wire, broker: BrokerHandle) -> tuple[float, float]:
    before = taken(broker.pid).cpu_s
    ours = processor_s(wire.carry)
    return ours, taken(broker.pid).cpu_s - before


_SAYS = {
    "sign": "{sign:.1f} signatures made, by libsodium",
    "verify": "{verify:.1f} verified; what one process has verified once counts once",
    "read": "{read:.1f} records decoded by msgspec, and named by their SHA-256",
    "write": "{written:.1f} records encoded, commits of journals among them",
    "keep": "each of them a row in SQLite, one index, one transaction for 64",
    "client": "librdkafka: each written once and read as often as it is, in lots as large as they come",
    "broker": "the broker's part of that",
}


_WAYS = {
    "raw": "a raw record, aiokafka",
    "librdkafka": "a raw record, librdkafka",
    "chain": "the chain of requests",
}
_PAGE = """\
# The floor under a crossing

Written by `python -m benchmarks.floor`; do not edit.

What a crossing writes and reads today, each part of it done alone by the quickest code that Python can call: what
would be left if all code of ours cost nothing. Recorded in the tunnel (`benchmarks/tunnel.py`), where services, an
agent and an initiator share a process; with a process for each, more is verified.

{measured}

## Processor time

{goal} crossings a second on {cores} cores leave {budget:.2f} ms for each.

| of a crossing | ms | rounds | of what there is |
|---|---:|---|---:|
{rows}
| **the floor** | **{floor:.2f}** | | **{share:.0%}** |

So {cores} cores carry at most {most} crossings a second this way, whatever language judges and routes them. The
tunnel, which has no broker, took {tunnel:.2f} ms in the same run: {own:.2f} ms of it are code of ours, and what it
calls beyond the above.

## From hand to hand, one in flight

A crossing, a verdict and a dispatch, each to whoever waits for it at the broker; a commit before the verdict and
one before the dispatch. By the platform's own client, on a broker that does nothing else, with no code between
them.

| | p50, median of rounds | rounds | ÷ raw aiokafka |
|---|---:|---|---:|
{chain}

The goal for a governed crossing, all code included, is {over_raw} times raw aiokafka.
"""


def page(found: Mapping[str, Any]) -> str:
    """Write the page."""
    medians = {name: statistics.median(each) for name, each in found["parts_ms"].items()}
    floor = sum(medians.values())
    cores = found["machine"]["cores"]
    budget = 1000 * cores / GOAL_PER_S
    counts = {**found["calls"], "read": found["read"], "written": found["written"]}
    own = found["tunnel_ms"] - sum(medians[name] for name in OWN)
    rows = [
        f"| {_SAYS[name].format(**counts)} | {medians[name]:.3f} | {min(each):.3f} to {max(each):.3f} "
        f"| {medians[name] / budget:.0%} |"
        for name, each in found["parts_ms"].items()
    ]
    way = {name: statistics.median(each) for name, each in found["hands_ms"].items()}
    chain = [
        f"| {says} | {way[name]:.1f} ms | {', '.join(f'{one:.1f}' for one in found['hands_ms'][name])} | "
        f"{way[name] / way['raw']:.1f} |"
        for name, says in _WAYS.items()
    ]
    machine = found["machine"]
    measured = (
        f"Measured {found['measured_at']} at {found['revision']}, load average {machine['load_before']} before "
        f"and {machine['load_after']} after: {cores} cores, Python {machine['python']}. {found['tasks']} tasks, "
        f"medians of {found['rounds']} rounds. A fixed piece of work took {found['reference_ms']:.3f} ms "
        "(`benchmarks/reference.py`)."
    )
    return _PAGE.format(
        measured=measured, goal=f"{GOAL_PER_S:,}", cores=cores, budget=budget, rows="\n".join(rows), floor=floor,
        share=floor / budget, most=f"{1000 * cores / floor:,.0f}", tunnel=found["tunnel_ms"], own=own,
        chain="\n".join(chain), over_raw=GOAL_OVER_RAW,
    )  # fmt: skip


def main() -> None:
    """Measure, print, and keep what was measured at full size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description=__doc__)
    parser.add_argument("tasks", type=int, nargs="?", default=TASKS, help="how many go through the tunnel")
    told = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    full = told.tasks >= TASKS
    with tempfile.TemporaryDirectory(prefix="seamwork-floor-") as folder:
        found = asyncio.run(measure(Path(folder), told.tasks, ROUNDS if full else 1, SAMPLES if full else 5))
    print(page(found))
    if full:
        RESULTS.write_text(json.dumps(found) + "\n", encoding="utf-8")
        PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
