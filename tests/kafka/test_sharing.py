"""On a real Kafka, what lies on the shelf of a process is what the log holds, byte for byte."""

from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import NotAuthorisedError, Partition
from seamwork.bus.sharing import SharingLog
from seamwork.bus.shelf import Shelf
from seamwork.records.wire import Outgoing, RawRecord
from seamwork.testing.testbed import KafkaPlatform

AT = Partition("decisions.v1", 0)


def _decision(number: int) -> Outgoing:
    return Outgoing(AT.topic, b"k", b"%d" % number, (("sw_envelope", b"{}"), ("none", None)), AT.partition)


async def test_a_service_reads_from_the_shelf_what_the_log_holds(platform: KafkaPlatform) -> None:
    """Some were written in this process and some in another; a reader gets all of them in the log's order."""
    shelf = Shelf()
    async with (
        KafkaLog(platform.access("router"), platform.prefix, client_id="one") as router,
        KafkaLog(platform.access("router"), platform.prefix, client_id="elsewhere") as elsewhere,
        KafkaLog(platform.access("audit-sink"), platform.prefix, client_id="two") as sink,
    ):
        sharing = SharingLog(router, shelf)
        reader = await SharingLog(sink, shelf).reader()
        await reader.fetch({AT: 0}, max_records=10, max_wait_ms=0)
        found: list[RawRecord] = []
        for number in range(6):
            log = elsewhere if number % 3 == 1 else sharing
            await log.publish([_decision(number)])
        while len(found) < 6:
            got = await reader.fetch({AT: len(found)}, max_records=10, max_wait_ms=5_000)
            found += got.get(AT, ())
        await reader.stop()
        held = await sink.read(AT, 0, 6)

    assert list(held) == found


async def test_the_shelf_gives_nobody_a_right(platform: KafkaPlatform) -> None:
    """Whoever may not read a topic is refused, though it lies on the shelf of the process."""
    shelf, secret = Shelf(), Partition("journal.router.v1", 0)
    async with (
        KafkaLog(platform.access("router"), platform.prefix, client_id="one") as router,
        KafkaLog(platform.access("notifier"), platform.prefix, client_id="two") as notifier,
    ):
        owner = await SharingLog(router, shelf).reader()
        await owner.fetch({secret: 0}, max_records=10, max_wait_ms=0)
        await SharingLog(router, shelf).append(secret, b"of the router's own")
        reader = await SharingLog(notifier, shelf).reader()
        refused = False
        try:
            await reader.fetch({secret: 0}, max_records=10, max_wait_ms=1_000)
        except NotAuthorisedError:
            refused = True
        await reader.stop()
        await owner.stop()

    assert refused
