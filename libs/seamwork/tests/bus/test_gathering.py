"""A reader in no hurry: what comes meanwhile comes together, and an idle log is waited on."""

import asyncio

import pytest

from seamwork.bus.gathering import Gathering
from seamwork.bus.port import Partition
from seamwork.testing.clock import SettableClock
from seamwork.testing.simlog import SimBroker, SimLog

AT = Partition("decisions.v1", 0)


async def test_what_comes_meanwhile_comes_together() -> None:
    """The first record ends the wait; those behind it are found with one question."""
    broker = SimBroker(SettableClock())
    broker.create_topic(AT.topic)
    reader = Gathering(await SimLog(broker).reader(), every_s=0.001)
    broker.write(AT, b"k", b"0")
    first = await reader.fetch({AT: 0}, max_records=10, max_wait_ms=1_000)
    gathering = asyncio.create_task(reader.fetch({AT: 1}, max_records=10, max_wait_ms=1_000))
    await asyncio.sleep(0)
    broker.write(AT, b"k", b"1")
    broker.write(AT, b"k", b"2")
    rest = await gathering
    await reader.stop()

    assert [b"0"] == [raw.value for raw in first[AT]]
    assert [b"1", b"2"] == [raw.value for raw in rest[AT]]


async def test_a_full_batch_is_followed_by_the_next_at_once() -> None:
    """Whoever is behind does not wait."""
    broker = SimBroker(SettableClock())
    broker.create_topic(AT.topic)
    reader = Gathering(await SimLog(broker).reader(), every_s=3_600.0)
    for number in range(4):
        broker.write(AT, b"k", b"%d" % number)
    first = await reader.fetch({AT: 0}, max_records=2, max_wait_ms=1_000)
    second = await reader.fetch({AT: 2}, max_records=2, max_wait_ms=1_000)
    await reader.stop()

    assert [0, 1] == [raw.offset for raw in first[AT]]
    assert [2, 3] == [raw.offset for raw in second[AT]]


@pytest.mark.parametrize("where", ["value", "header"])
async def test_large_records_are_followed_by_the_next_at_once(where: str) -> None:
    """A fetch ends where it has become too large, however few its records are; envelopes are headers."""
    broker = SimBroker(SettableClock())
    broker.create_topic(AT.topic)
    reader = Gathering(await SimLog(broker).reader(), every_s=3_600.0)
    large = b"0" * 600_000
    if where == "value":
        broker.write(AT, b"k", large)
    else:
        broker.write(AT, b"k", b"", (("sw-envelope", large),))
    first = await reader.fetch({AT: 0}, max_records=10, max_wait_ms=1_000)
    broker.write(AT, b"k", b"1")
    second = await reader.fetch({AT: 1}, max_records=10, max_wait_ms=1_000)
    await reader.stop()

    assert [0] == [raw.offset for raw in first[AT]]
    assert [1] == [raw.offset for raw in second[AT]]


async def test_when_nothing_comes_it_waits_at_the_log() -> None:
    """Then the next record is found at once."""
    broker = SimBroker(SettableClock())
    broker.create_topic(AT.topic)
    reader = Gathering(await SimLog(broker).reader(), every_s=0.0)
    broker.write(AT, b"k", b"0")
    await reader.fetch({AT: 0}, max_records=10, max_wait_ms=1_000)
    while reader._empty_handed < 20:
        await reader.fetch({AT: 1}, max_records=10, max_wait_ms=1)
    waiting = asyncio.create_task(reader.fetch({AT: 1}, max_records=10, max_wait_ms=10_000))
    await asyncio.sleep(0)
    broker.write(AT, b"k", b"1")
    found = await waiting
    await reader.stop()

    assert [1] == [raw.offset for raw in found[AT]]


@pytest.mark.parametrize(
    ("records", "waits"), [(2, "no"), (95, "no"), (96, "yes")], ids=["few", "hardly-many", "many"]
)
async def test_more_of_them_gather_where_many_come(records: int, waits: str) -> None:
    """Whoever asks what became of one task is not made to wait for the sake of thousands."""
    broker = SimBroker(SettableClock())
    broker.create_topic(AT.topic)
    reader = Gathering(await SimLog(broker).reader(), every_s=0.0, busy_s=3_600.0)
    for number in range(records):
        broker.write(AT, b"k", b"%d" % number)
    await reader.fetch({AT: 0}, max_records=500, max_wait_ms=1_000)
    broker.write(AT, b"k", b"next")
    then = asyncio.create_task(reader.fetch({AT: records}, max_records=500, max_wait_ms=1_000))
    for _ in range(100):
        await asyncio.sleep(0)

    assert waits == ("no" if then.done() else "yes")

    then.cancel()
    await asyncio.gather(then, return_exceptions=True)
    await reader.stop()
