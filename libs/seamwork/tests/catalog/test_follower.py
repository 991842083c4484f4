"""A catalog that is kept fed, on the simulated log."""

import asyncio

import pytest
from msgspec import structs

from seamwork.bus.port import Partition
from seamwork.catalog.builder import DOCUMENT_TOPICS
from seamwork.catalog.follower import CatalogFollower
from seamwork.documents import canonical, record_key
from seamwork.errors import RetryableError, SeamworkError
from seamwork.grants.keys import SigningKey
from seamwork.ids import sha256_hex
from seamwork.records.parties import ContractRef, Revision
from seamwork.records.platform import ActivationRecord, DocumentRecord
from seamwork.records.wire import compose
from seamwork.testing.clock import SettableClock
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimBroker, SimLog

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


async def test_who_waits_for_the_end_hears_why_it_came(broker: SimBroker) -> None:
    """Stopped or broken: a catalog that nobody feeds is no catalog."""
    broken, stopped = follower_on(broker), follower_on(broker)
    await broken.start()
    await stopped.start()
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.sleep(0)
    await stopped.stop()

    async def away(call: str) -> None:
        raise RetryableError(f"Kafka has not answered a {call} for 30 s")

    broker.step = away
    with pytest.raises(SeamworkError, match="has stopped"):
        await waiting
    with pytest.raises(RetryableError):
        await broken.wait()


def write(
    broker: SimBroker, record: DocumentRecord | ActivationRecord, body: bytes, signer: SigningKey
) -> None:
    """Append a record of contracts."""
    key = f"{record.kind}/{record.name}/{record.version}"
    sent = compose("p-1", "contracts.v1", key, record, payload=body, signer=signer)
    broker.write(Partition("contracts.v1", 0), sent.key, sent.value, sent.headers)


@pytest.mark.parametrize("version", ["latest", "", "1", "9.9.9", "9" * 200])
@pytest.mark.parametrize("signer", ["root", "stranger"])
async def test_an_activation_of_what_is_no_version_takes_no_follower_down(
    broker: SimBroker, version: str, signer: str
) -> None:
    """A bad document never takes a running service down, whoever signed it."""
    facts = document("Contract", "facts")
    body = canonical(facts)
    follower = follower_on(broker)
    await follower.start()
    made = DocumentRecord(
        kind="Contract", name="facts", version="1.0.0", payload_sha256=sha256_hex(body), published_at=1,
        publisher="publisher",
    )  # fmt: skip
    told = ActivationRecord(
        id="a", kind="Contract", name="facts", version="1.0.0", published_at=1, publisher="p"
    )
    assert record_key(facts) == "Contract/facts/1.0.0"
    write(broker, made, body, key_of("root"))
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
