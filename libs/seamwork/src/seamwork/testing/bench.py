"""
Run one machine on the simulated log, with the documents that a test wants in force.

For wiring tests: what a service's ``build`` describes is run as it would be on Kafka, without a broker and without
waiting for anything but the records themselves.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from seamwork.bus.port import Partition
from seamwork.catalog import Catalog
from seamwork.documents import AnyDocument
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Revision
from seamwork.records.wire import RawRecord, Received, compose, read
from seamwork.runtime import Machine, MachineSpec
from seamwork.runtime.machine import Identity
from seamwork.runtime.outgoing import SW_SRC
from seamwork.testing.builders import NOW, PLATFORM, as_received, topic_of
from seamwork.testing.clock import SettableClock
from seamwork.testing.journal_check import folded, violations
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimBroker, SimLog

_WITHIN_S = 10


class StillCatalog:
    """A catalog that never moves."""

    def __init__(self, documents: Iterable[AnyDocument]) -> None:
        self.catalog = Catalog.of(documents)

    async def changed(self, since: Revision) -> Catalog:
        """Wait for a newer view, which never comes."""
        if self.catalog.revision == since:
            await asyncio.Event().wait()
        return self.catalog

    async def catch_up(self, revision: Revision) -> Catalog:
        """Return the one view, which reaches what it said itself."""
        if not self.catalog.revision.reaches(revision):
            await asyncio.Event().wait()
        return self.catalog


class MachineBench:
    """
    A log, a catalog, and one machine between them.

    Args:
        spec: The machine, as its service's ``build`` describes it.
        documents: What is in force.
        topics: What else exists besides the machine's own topics and those that it reads.
        partitions: How many partitions each has; the journal of a single owner has one.
    """

    def __init__(
        self,
        spec: MachineSpec,
        documents: Iterable[AnyDocument],
        *,
        topics: Iterable[str],
        partitions: int = 2,
    ) -> None:
        self.spec = replace(spec, hold_s=0.0)  # so that what a test sees of a state lies in the journal
        self.clock = SettableClock(NOW)
        self.broker = SimBroker(self.clock)
        self._follower = StillCatalog(documents)
        for topic in {"handoffs.v1", "dead-letters.v1", *spec.topics(self._follower.catalog), *topics}:
            self.broker.create_topic(topic, partitions)
        for topic in (spec.journal, spec.snapshots):
            self.broker.create_topic(topic, 1 if spec.single_owner else partitions)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Machine]:
        """Run the machine while the block runs."""
        identity = Identity(
            platform=PLATFORM, instance="test", signer=key_of(f"service:{self.spec.decider.name}")
        )
        machine = Machine(
            self.spec, log=SimLog(self.broker), follower=self._follower, identity=identity, clock=self.clock
        )
        async with machine.running():
            await self.until(lambda: machine.ready and bool(machine.owned))
            yield machine

    def write(self, record: AnyEnvelope, *, partition: int = 0, body: bytes = b"") -> Received[AnyEnvelope]:
        """Append a record as its sender would and return it as it lies there, with its real digest."""
        sender = as_received(record, body=body).kid
        signer = key_of(sender) if sender else None
        key = getattr(record, "task", None) or ""
        out = compose(PLATFORM, topic_of(record), key, record, payload=body, signer=signer)
        raw = self.broker.write(Partition(out.topic, partition), out.key, out.value, out.headers)
        found = read(raw, PLATFORM)
        assert isinstance(found, Received)  # noqa: S101  # it was composed right here
        return found

    def records(self, topic: str, partition: int = 0) -> list[AnyEnvelope]:
        """Return what lies in a partition, read; what was published again after a restart counts once."""
        once: dict[object, RawRecord] = {}
        for raw in self._raw(topic, partition):
            once.setdefault(dict(raw.headers).get(SW_SRC) or raw.offset, raw)
        found = (read(raw, PLATFORM) for raw in once.values())
        return [received.record for received in found if isinstance(received, Received)]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds; fails after ten seconds."""
        async with asyncio.timeout(_WITHIN_S):
            while not condition():  # noqa: ASYNC110  # the simulated log tells nobody of its news
                await asyncio.sleep(0)

    async def next_record(self, topic: str, number: int, partition: int = 0) -> AnyEnvelope:
        """Wait for the record with this *number* (from 1) in a partition."""
        await self.until(lambda: number <= len(self.records(topic, partition)))
        return self.records(topic, partition)[number - 1]

    def violations(self, machine: Machine, *published: str) -> list[str]:
        """Say what is wrong with the journals and what was published from them; nothing is what should be found."""
        found: list[str] = []
        for number, owned in machine.owned.items():
            journal = self._raw(self.spec.journal, number)
            places = range(2) if self.spec.single_owner else (number,)
            found += violations(journal, [self._raw(topic, place) for topic in published for place in places])
            if folded(self.spec.decider, journal) != owned.journal.state:
                found.append(f"the live state of partition {number} is not the fold of its journal")
        return found

    def _raw(self, topic: str, partition: int) -> tuple[RawRecord, ...]:
        return tuple(self.broker.records(Partition(topic, partition)))
