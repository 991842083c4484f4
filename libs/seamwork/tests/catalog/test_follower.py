"""A catalog that is kept fed, on the simulated log."""

import asyncio

import pytest

from seamwork.bus.port import Partition
from seamwork.catalog.builder import DOCUMENT_TOPICS
from seamwork.catalog.follower import CatalogFollower
from seamwork.errors import RetryableError, SeamworkError
from seamwork.testing.clock import SettableClock
from seamwork.testing.keys import key_of
from seamwork.testing.simlog import SimBroker, SimLog


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
