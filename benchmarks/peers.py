"""
Measure the hop through an agent of another make, ungoverned, as its own documentation shows one.

Each lives in an environment of its own (``make peers``, from locks with hashes), so that its dependencies
never meet ours. One that cannot be had, or does not start, is named in the page with the reason.
"""

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load import rate
from benchmarks.machine import ROOT
from benchmarks.raw import RawRoad

from seamwork.broker.secret import write_private
from seamwork.errors import SeamworkError
from seamwork.settings.kafka import KafkaAccess

PEERS = ("eggai", "calfkit")
# Calfkit's worker takes one at a time unless told otherwise; more of them would only wait longer for the end.
CALFKIT_IN_FLIGHT = 32
_START_WITHIN_S = 90
_LAST_WORDS = 300


class PeerMissingError(SeamworkError):
    """A contestant cannot take part; says why."""


class EggaiRoad(RawRoad):
    """
    Into EggAI's channel and out of the next: the driver's two ends.

    EggAI publishes without a key, so a record is known by a field of its body.
    """

    async def carry(self, number: int = 0) -> int:
        """Send one record and return the nanoseconds until it came out behind the agent."""
        key = f"record-{time.monotonic_ns()}-{number}"
        arrival: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._sent[key.encode()] = arrival
        body = json.loads(self._payload)
        body["id"], body["weight"] = key, body["weight"][len(f'"id":"{key}",') :]
        began = time.monotonic_ns()
        await self._producer.send_and_wait(self._topic, json.dumps(body, separators=(",", ":")).encode())
        async with asyncio.timeout(_START_WITHIN_S):
            return await arrival - began

    def _key(self, record: Any) -> bytes:
        return str(json.loads(record.value)["id"]).encode()

    async def samples(self, count: int) -> list[int]:
        """Carry so many, one after the other."""
        return [await self.carry(number) for number in range(count)]

    async def rate(self, for_s: float, in_flight: int) -> float:
        """Return how many a second come through."""
        return await rate(self.carry, for_s, in_flight)


class CalfkitRoad:
    """Calfkit's own client, in a process of its own, which does what it is told line by line."""

    def __init__(self, caller: subprocess.Popen[str], size: int) -> None:
        self._caller = caller
        self._size = size

    async def samples(self, count: int) -> list[int]:
        """Execute so many, one after the other."""
        return list((await self._ask({"samples": count, "bytes": self._size}))["ns"])

    async def rate(self, for_s: float, in_flight: int) -> float:
        """Return how many a second come through."""
        asked = {"for_s": for_s, "in_flight": min(in_flight, CALFKIT_IN_FLIGHT), "bytes": self._size}
        return float((await self._ask(asked))["per_s"])

    async def _ask(self, order: Mapping[str, float]) -> Any:
        return await asyncio.to_thread(self._asked, json.dumps(order) + "\n")

    def _asked(self, line: str) -> Any:
        assert self._caller.stdin is not None  # noqa: S101  # opened by us
        assert self._caller.stdout is not None  # noqa: S101  # the same
        self._caller.stdin.write(line)
        self._caller.stdin.flush()
        told = self._caller.stdout.readline()
        if not told:
            raise PeerMissingError("Calfkit's client has ended")
        return json.loads(told)


PeerRoad = EggaiRoad | CalfkitRoad


@dataclass
class Present:
    """
    Who takes part.

    Attributes:
        roads: The ways through those who do, by size of the payload.
        pids: Their agents' processes.
        told: For each, its version, and why it is missing where it is.
    """

    roads: dict[int, dict[str, PeerRoad]] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    told: dict[str, dict[str, str | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """
    What a contestant is begun with.

    Attributes:
        python: Its interpreter, as a command.
        file: What its process is told, as JSON; its logs lie beside it.
        access: The broker's.
        topic: What its topics' names begin with.
        payloads: What is carried, by size.
        partitions: Of each topic.
    """

    python: list[str]
    file: Path
    access: KafkaAccess
    topic: str
    payloads: Mapping[int, bytes]
    partitions: int


def version_of(peer: str) -> str:
    """Return the version that the lock names."""
    locked = (ROOT / "requirements" / f"{peer}.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{peer}==(\S+)", locked, re.MULTILINE)
    return found[1] if found else "unknown"


def topics_of(topic: str) -> list[str]:
    """Return the topics that whoever makes topics is to make for the peers; Calfkit makes its own."""
    return [f"{topic}-eggai-in", f"{topic}-eggai-out"]


@asynccontextmanager
async def peer_roads(
    access: KafkaAccess, topic: str, payloads: Mapping[int, bytes], partitions: int, folder: Path
) -> AsyncIterator[Present]:
    """Start every peer that can be had, with a road for each payload. Their topics exist."""
    present = Present({size: {} for size in payloads})
    async with AsyncExitStack() as stack:
        for peer in PEERS:
            missing = None
            try:
                interpreter = _interpreter(peer)
                told = {
                    "bootstrap": access.bootstrap, "username": access.username, "password": access.password,
                    "partitions": partitions,
                    "into": f"{topic.partition('.')[2]}-eggai-in", "out": f"{topic.partition('.')[2]}-eggai-out",
                }  # fmt: skip
                file = folder / f"{peer}.json"
                told["ready"] = str(file.with_suffix(".ready"))
                write_private(file, json.dumps(told))
                start = Start([interpreter, "-P"], file, access, topic, payloads, partitions)
                roads, pid = await (_eggai if peer == "eggai" else _calfkit)(stack, start)
                present.pids[peer] = pid
                for size, road in roads.items():
                    present.roads[size][peer] = road
            except (PeerMissingError, TimeoutError) as error:
                missing = str(error) or f"it did not answer within {_START_WITHIN_S} s"
                print(f"NOT MEASURED: {peer}: {missing}")
            present.told[peer] = {"version": version_of(peer), "missing": missing}
        yield present


def _interpreter(peer: str) -> str:
    home = ROOT / ".tools" / "peers" / peer
    if not (home / ".complete").exists():
        raise PeerMissingError("there is no environment for it; `make peers` makes one")
    return str(home / "bin" / "python")


async def _eggai(stack: AsyncExitStack, start: Start) -> tuple[dict[int, PeerRoad], int]:
    environ = {**os.environ, "EGGAI_NAMESPACE": start.topic.partition(".")[0]}
    command = [*start.python, "benchmarks/peer_eggai.py", str(start.file)]
    agent = _process(stack, command, start.file, "agent", environ)
    roads: dict[int, PeerRoad] = {}
    try:
        for size, payload in start.payloads.items():
            into, out = topics_of(start.topic)
            road = EggaiRoad(start.access, into, payload, start.partitions, out)
            stack.push_async_callback(road.stop)
            await road.start()
            roads[size] = road
    except TimeoutError as error:
        raise _silent("EggAI", start.file) from error
    return roads, agent.pid


async def _calfkit(stack: AsyncExitStack, start: Start) -> tuple[dict[int, PeerRoad], int]:
    file, script = start.file, [*start.python, "benchmarks/peer_calfkit.py"]
    agent = _process(stack, [*script, "agent", str(file)], file, "agent", dict(os.environ))
    ready = file.with_suffix(".ready")
    deadline = time.monotonic() + _START_WITHIN_S
    while not ready.exists():
        if agent.poll() is not None or time.monotonic() > deadline:
            raise _silent("Calfkit", file)
        await asyncio.sleep(0.1)
    caller = _process(stack, [*script, "caller", str(file)], file, "caller", dict(os.environ))
    roads = {size: CalfkitRoad(caller, size) for size in start.payloads}
    try:
        async with asyncio.timeout(_START_WITHIN_S):
            for road in roads.values():
                await road.samples(start.partitions)
    except TimeoutError as error:
        raise _silent("Calfkit", file) from error
    return dict(roads), agent.pid


def _process(
    stack: AsyncExitStack, command: list[str], file: Path, role: str, environ: dict[str, str]
) -> subprocess.Popen[str]:
    with file.with_suffix(f".{role}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, text=True, stderr=log,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE if role == "caller" else log,
        )  # fmt: skip

    async def end() -> None:
        process.terminate()
        await asyncio.to_thread(process.wait)

    stack.push_async_callback(end)
    return process


def _silent(name: str, file: Path) -> PeerMissingError:
    logs = sorted(file.parent.glob(f"{file.stem}.*.log"))
    words = " ".join(log.read_text(encoding="utf-8", errors="replace")[-_LAST_WORDS:] for log in logs).split()
    return PeerMissingError(f"{name} did not answer; the last it said: {' '.join(words)[-_LAST_WORDS:]}")
