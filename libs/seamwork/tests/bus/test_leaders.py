"""Who leads what is asked in few questions, however many wait for the answers."""

import asyncio
from collections.abc import Collection, Sequence

import pytest
from aiokafka import errors as kafka_errors

from seamwork.bus.leaders import Leaders, Said
from seamwork.errors import RetryableError

TOPICS = [f"inbox.a{number}.v1" for number in range(200)]


class Broker:
    """Says of every topic that it leads its one partition."""

    def __init__(self) -> None:
        self.asked: list[set[str]] = []
        self.away = 0

    async def say(self, topics: Collection[str]) -> Sequence[Said]:
        """Answer, as a broker does, in a moment."""
        self.asked.append(set(topics))
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise RetryableError("nobody answers")
        return [Said(topic, kafka_errors.NoError, {0: 1}) for topic in topics]


async def test_who_come_together_share_a_question() -> None:
    """Each names all that is known besides: one for each of thousands of inboxes would grow with their square."""
    broker = Broker()
    leaders = Leaders(broker.say)
    found = await asyncio.gather(*map(leaders.of, TOPICS))

    assert [{0: 1}] * len(TOPICS) == found
    assert [{TOPICS[0]}, set(TOPICS)] == broker.asked


async def test_who_gives_up_leaves_the_others_their_answer() -> None:
    """What it wanted may be asked for with the rest."""
    broker = Broker()
    leaders = Leaders(broker.say)
    first, gone, last = (asyncio.create_task(leaders.of(topic)) for topic in TOPICS[:3])
    await asyncio.sleep(0)
    gone.cancel()

    assert [{0: 1}] * 2 == [await first, await last]


async def test_a_question_that_failed_is_put_again_by_whoever_asks_again() -> None:
    """Whoever it did not name waits for the next."""
    broker = Broker()
    broker.away = 1
    leaders = Leaders(broker.say)
    first, second = (asyncio.create_task(leaders.of(topic)) for topic in TOPICS[:2])
    with pytest.raises(RetryableError):
        await first
    with pytest.raises(RetryableError):
        await second

    assert {0: 1} == await leaders.of(TOPICS[1])
