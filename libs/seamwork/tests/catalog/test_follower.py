"""A catalog that is kept fed, on the simulated log."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest
from msgspec import structs

from seamwork.bus.port import Partition
from seamwork.catalog.builder import DOCUMENT_TOPICS
from seamwork.catalog.follower import CatalogFollower
from seamwork.documents import TOPICS, AnyDocument, canonical
from seamwork.errors import RetryableError, SeamworkError
from seamwork.grants.keys import SigningKey
from seamwork.ids import sha256_hex
from seamwork.records.parties import ContractRef, Revision
from seamwork.records.platform import ActivationRecord, DocumentRecord
from seamwork.records.wire import RawRecord, compose
from seamwork.testing.clock import SettableClock
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimBroker, SimLog, SimReader

NOW = 1 << 50


@pytest.fixture
def broker() -> SimBroker:
    """Make a broker with the topics of documents."""
    made = SimBroker(SettableClock())
    for topic in DOCUMENT_TOPICS:
        made.create_topic(topic)
    return made


def follower_on(broker: SimBroker) -> CatalogFollower:
    """Make a follower."""
    return CatalogFollower(SimLog(broker), "p-1", key_of("root").public)


async def test_who_gives_up_waiting_for_a_change_leaves_nothing_behind(broker: SimBroker) -> None:
    """A machine does so every few seconds."""
    follower = follower_on(broker)
    await follower.start()
    before = asyncio.all_tasks()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await follower.changed(follower.catalog.revision)
    await asyncio.sleep(0)  # what is cancelled ends at the loop's next turn
    left = asyncio.all_tasks() - before
    await follower.stop()

    assert set() == left


async def test_a_change_reaches_all_who_wait(broker: SimBroker) -> None:
    """Whatever record it is: the revision moves with each."""
    follower = follower_on(broker)
    await follower.start()
    since = follower.catalog.revision
    waiting = [asyncio.create_task(follower.changed(since)) for _ in range(2)]
    await asyncio.sleep(0)
    broker.write(Partition("policies.v1", 0), b"k", b"no document")
    found = await asyncio.gather(*waiting)
    await follower.stop()

    assert 2 == sum(catalog.revision != since for catalog in found)


async def test_who_waits_hears_of_the_end_and_why_it_came(broker: SimBroker) -> None:
    """Stopped or broken: a catalog that nobody feeds is no catalog, and nothing of it will change."""
    broken, stopped = follower_on(broker), follower_on(broker)
    await broken.start()
    await stopped.start()
    since = stopped.catalog.revision
    waiting = [asyncio.create_task(stopped.wait()), asyncio.create_task(stopped.changed(since))]
    hoping = asyncio.create_task(broken.changed(since))
    await asyncio.sleep(0)
    await stopped.stop()

    async def away(call: str) -> None:
        raise RetryableError(f"Kafka has not answered a {call} for 30 s")

    broker.step = away
    for one in (*waiting, stopped.changed(since)):
        with pytest.raises(SeamworkError, match="has stopped"):
            await one
    for other in (broken.wait(), hoping, broken.changed(since)):
        with pytest.raises(RetryableError):
            await other


def write(
    broker: SimBroker, record: DocumentRecord | ActivationRecord, body: bytes, signer: SigningKey
) -> None:
    """Append a record."""
    key = f"{record.kind}/{record.name}/{record.version}"
    sent = compose("p-1", TOPICS[record.kind], key, record, payload=body, signer=signer)
    broker.write(Partition(TOPICS[record.kind], 0), sent.key, sent.value, sent.headers)


def publish(broker: SimBroker, made: AnyDocument, signer: SigningKey) -> None:
    """Append a document."""
    body = canonical(made)
    record = DocumentRecord(
        kind=made.kind, name=made.name, version=made.version, payload_sha256=sha256_hex(body), published_at=1,
        publisher="publisher",
    )  # fmt: skip
    write(broker, record, body, signer)


@pytest.mark.parametrize("version", ["latest", "", "1", "9.9.9", "9" * 200])
@pytest.mark.parametrize("signer", ["root", "stranger"])
async def test_an_activation_of_what_is_no_version_takes_no_follower_down(
    broker: SimBroker, version: str, signer: str
) -> None:
    """A bad document never takes a running service down, whoever signed it."""
    follower = follower_on(broker)
    await follower.start()
    told = ActivationRecord(
        id="a", kind="Contract", name="facts", version="1.0.0", published_at=1, publisher="p"
    )
    publish(broker, document("Contract", "facts"), key_of("root"))
    write(broker, told, b"", key_of("root"))
    write(broker, structs.replace(told, version=version), b"", key_of(signer))
    write(broker, told, b"", key_of("root"))
    async with asyncio.timeout(5):
        seen = await follower.catch_up(Revision(contracts=4))
    await follower.stop()

    assert (1, "active") == (
        follower.rejected,
        seen.contract_status(ContractRef(name="facts", version="1.0.0"), NOW),
    )


class Busy(SimLog):
    """A log on which something is published while somebody asks where its topics end."""

    def __init__(self, broker: SimBroker, publish: Callable[[], None]) -> None:
        super().__init__(broker)
        self._publish: Callable[[], None] | None = publish

    async def end_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Publish after the registry was asked, and before the others are."""
        registry = Partition("registry.v1", 0)
        before = await super().end_offsets([registry])
        if self._publish is not None:
            self._publish()
            self._publish = None
        ends = await super().end_offsets(partitions)
        return {at: before.get(at, end) for at, end in ends.items()} if len(ends) > 1 else ends


async def test_a_publisher_that_begins_while_a_follower_starts_is_believed(broker: SimBroker) -> None:
    """Or this service alone would not know its first documents, until it is started again."""
    key = document("Key", "second", purpose="publisher")

    def both() -> None:
        publish(broker, key, key_of("root"))
        publish(broker, document("Budget", "nightly"), key_of("publisher:second"))

    follower = CatalogFollower(Busy(broker, both), "p-1", key_of("root").public)
    await follower.start()
    await follower.stop()

    assert (0, Revision(registry=1, policies=1)) == (follower.rejected, follower.catalog.revision)


def revoke(broker: SimBroker, name: str) -> None:
    """Append the revocation of a publisher's key."""
    write(
        broker,
        ActivationRecord(
            id="r", kind="Key", name=name, version="1.0.0", status="revoked", published_at=1, publisher="p"
        ),
        b"",
        key_of("root"),
    )


def with_second_publisher(broker: SimBroker) -> Callable[[], None]:
    """Publish a key, and return what revokes it and then publishes with it all the same."""
    publish(broker, document("Key", "second", purpose="publisher"), key_of("root"))

    def both() -> None:
        revoke(broker, "second")
        publish(broker, document("Budget", "nightly"), key_of("publisher:second"))

    return both


async def test_a_publisher_that_is_revoked_while_a_follower_starts_is_believed_no_more(
    broker: SimBroker,
) -> None:
    """Or this service alone would go by what everybody else has set aside."""
    follower = CatalogFollower(Busy(broker, with_second_publisher(broker)), "p-1", key_of("root").public)
    await follower.start()
    await follower.stop()

    assert (1, Revision(registry=2, policies=1)) == (follower.rejected, follower.catalog.revision)


class RegistryLast(SimReader):
    """A cursor that brings what lies in the registry only where there is nothing else."""

    async def fetch(
        self, positions: Mapping[Partition, int], *, max_records: int, max_wait_ms: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        """Leave the registry out."""
        found = await super().fetch(positions, max_records=max_records, max_wait_ms=max_wait_ms)
        return {at: records for at, records in found.items() if at.topic != "registry.v1"} or found


class Spread(SimLog):
    """A log whose registry has another leader than the other topics, which answers later than theirs."""

    async def reader(self) -> SimReader:
        """Open a cursor."""
        return RegistryLast(self.broker)


async def test_what_a_fetch_brings_is_judged_by_all_that_lay_in_the_registry_before(
    broker: SimBroker,
) -> None:
    """Partitions answer one after the other; who starts later reads all of the registry first."""
    both = with_second_publisher(broker)
    follower = CatalogFollower(Spread(broker), "p-1", key_of("root").public)
    await follower.start()
    both()
    async with asyncio.timeout(5):
        await follower.catch_up(Revision(policies=1))
    await follower.stop()

    assert 1 == follower.rejected


class Marked(SimLog):
    """A log whose document topics end with the marker of a transaction: an offset at which no record lies."""

    async def end_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Count the marker."""
        return {at: end + 1 for at, end in (await super().end_offsets(partitions)).items()}

    async def read(
        self, partition: Partition, start: int, end: int, *, most_bytes: int | None = None
    ) -> Sequence[RawRecord]:
        """Bring the records, and nothing for the marker."""
        await asyncio.sleep(0)  # who asks for ever asks a network
        return await super().read(partition, start, end, most_bytes=most_bytes)


async def test_a_follower_starts_behind_whoever_publishes_in_transactions(broker: SimBroker) -> None:
    """A publisher may be written in any language, and with any client."""
    publish(broker, document("Budget", "nightly"), key_of("root"))
    follower = CatalogFollower(Marked(broker), "p-1", key_of("root").public)
    async with asyncio.timeout(5):
        await follower.start()
    await follower.stop()

    assert Revision(policies=1) == follower.catalog.revision


async def test_what_is_published_while_a_follower_runs_is_checked_at_once(broker: SimBroker) -> None:
    """Who watches its alarms hears of it before the first crossing is refused; who starts later checks on need."""
    rules = [{"name": "broken", "expr": "has(this.", "message": "no"}]
    running, later = follower_on(broker), follower_on(broker)
    await running.start()
    publish(broker, document("Contract", "facts", input={"schema": {}, "rules": rules}), key_of("root"))
    async with asyncio.timeout(5):
        await running.catch_up(Revision(contracts=1))
    await later.start()
    await running.stop()
    await later.stop()

    assert (1, 0) == (running.rejected, later.rejected)
