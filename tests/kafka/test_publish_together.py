"""Many callers at once are each answered, and what one of them may not do is no matter of the others."""

import asyncio

from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Confirmed, Partition, Rejected
from seamwork.records.wire import Outgoing
from seamwork.testing.testbed import KafkaPlatform

MANY = 400


async def test_hundreds_of_callers_with_a_record_each_are_all_confirmed(platform: KafkaPlatform) -> None:
    """Every record is in the log once, at the offset that its caller was told."""
    async with KafkaLog(platform.access("router"), platform.prefix, client_id="many") as log:
        wanted = [Outgoing("decisions.v1", b"k", b"%d" % number, partition=0) for number in range(MANY)]
        answers = await asyncio.gather(*(log.publish([outgoing]) for outgoing in wanted))
        async with KafkaLog(platform.access("audit-sink"), platform.prefix, client_id="reader") as reader:
            found = await reader.read(Partition("decisions.v1", 0), 0, MANY)

    told = {number: answer for number, (answer,) in enumerate(answers)}
    assert all(isinstance(answer, Confirmed) for answer in told.values())
    assert {int(raw.value or b""): Confirmed(raw.offset) for raw in found} == told


async def test_a_refused_record_among_many_callers_is_its_own_callers_matter(platform: KafkaPlatform) -> None:
    """Every tenth caller writes where it may not; nobody else hears of it."""
    async with KafkaLog(platform.access("router"), platform.prefix, client_id="many") as log:
        topics = ["handoffs.v1" if number % 10 == 0 else "decisions.v1" for number in range(100)]
        wanted = [Outgoing(topic, b"k", b"x", partition=0) for topic in topics]
        answers = await asyncio.gather(*(log.publish([outgoing]) for outgoing in wanted))

    for topic, (answer,) in zip(topics, answers, strict=True):
        expected = Rejected if topic == "handoffs.v1" else Confirmed
        assert isinstance(answer, expected), topic


async def test_a_caller_that_gives_up_leaves_the_others_alone(platform: KafkaPlatform) -> None:
    """Its record may or may not arrive; theirs do."""
    async with KafkaLog(platform.access("router"), platform.prefix, client_id="many") as log:
        tasks = [
            asyncio.create_task(log.publish([Outgoing("decisions.v1", b"k", b"x", partition=0)]))
            for _ in range(60)
        ]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)

    stayed = [answer for number, answer in enumerate(answers) if number % 3]
    assert all(isinstance(answer, list | tuple) and isinstance(answer[0], Confirmed) for answer in stayed)
