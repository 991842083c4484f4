"""What can be said of an agent before it runs, and functions that are wired to each other directly."""

import asyncio
import functools
import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from seamwork.agent import (
    Agent,
    Failed,
    FollowedKeys,
    Labelled,
    Partial,
    PinnedKeys,
    Refusal,
    Task,
    TaskError,
    Transferred,
)
from seamwork.agent.direct import Direct
from seamwork.agent.seats import Seat, Seats
from seamwork.agent.trace import child_of
from seamwork.catalog import KeyEntry
from seamwork.errors import MisconfiguredError
from seamwork.grants.stamps import ROUTER


class Count(BaseModel):
    """A payload."""

    n: int


class Opaque:
    """What no payload can be read as."""


def takes_nothing() -> None:
    """Take no payload."""


def takes_too_much(payload: Count, task: Task, more: int) -> None:
    """Take more than there is."""


def takes_the_unreadable(payload: Opaque) -> None:
    """Take what no payload can be."""


def takes_its_task_by_name(payload: Count, *, task: Task) -> None:
    """Take what is not given by name."""


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (takes_nothing, "must take the payload"),
        (takes_too_much, "must take the payload and at most 2 arguments"),
        (takes_its_task_by_name, "takes task by name alone"),
        (takes_the_unreadable, "payloads cannot be read as its first annotation"),
    ],
)
def test_a_function_that_could_not_be_called_is_refused_at_once(
    function: Callable[..., Any], words: str
) -> None:
    """A mistake of declaration is found on import, not with the first work."""
    with pytest.raises(MisconfiguredError, match=words):
        Agent("a", "1.0.0").accepts("c", "1.0.0")(function)


class Counter:
    """An object that is called as a function is."""

    async def __call__(self, payload: Count, task: Task) -> Count:
        """Count on."""
        return await counts(payload, task)


async def counts(payload: Count, task: Task, by: int = 1) -> Count:
    """Count on by so many."""
    return Count(n=payload.n + by + len(task.intent))


async def counts_without_one(payload: Count, task: Task | None = None) -> Count:
    """Count on, for a test without a task too."""
    assert task is not None
    return await counts(payload, task)


@pytest.mark.parametrize(
    "function",
    [functools.partial(counts, by=1), Counter(), Counter().__call__, counts_without_one],
    ids=["partial", "object", "method", "optional"],
)
async def test_whatever_is_called_as_a_function_is_one(function: Callable[..., Any]) -> None:
    """What it takes is read from where its author wrote it down."""
    agent = Agent("counter", "1.0.0")
    agent.accepts("count", "1.0.0")(function)

    answer = await Direct(agent).call("counter", "count/1.0.0", Count(n=1), returns=Count)

    assert Count(n=2) == answer.value


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", ">=1 <2", ""])
def test_a_version_that_no_document_has_is_refused(version: str) -> None:
    """Its agent would pass over all work as another's, and look healthy; its contract would never be asked for."""
    with pytest.raises(MisconfiguredError, match="three numbers"):
        Agent("a", version)
    with pytest.raises(MisconfiguredError, match="three numbers"):
        Agent("a", "1.0.0-rc.1").accepts("c", version)


@pytest.mark.parametrize("name", ["word count", "Word-count", "word-count/1.0.0", "w" * 42, ""])
def test_a_name_that_no_document_has_is_refused(name: str) -> None:
    """Nobody would ever ask for such a contract, and the agent would look healthy meanwhile."""
    with pytest.raises(MisconfiguredError, match="no document has such a name"):
        Agent(name, "1.0.0")
    with pytest.raises(MisconfiguredError, match="no document has such a name"):
        Agent("a", "1.0.0").accepts(name, "1.0.0")


def test_two_functions_for_one_contract_are_refused() -> None:
    """There would be no telling which one runs."""
    agent = Agent("a", "1.0.0")
    agent.accepts("c", "1.0.0")(lambda payload: payload)

    with pytest.raises(MisconfiguredError, match=r"two functions for c/1\.0\.0"):
        agent.accepts("c", "1.0.0")(lambda payload: payload)


def test_a_function_stays_callable_as_it_was() -> None:
    """The decorator registers and changes nothing; several contracts may share a function."""
    agent = Agent("a", "1.0.0")

    @agent.accepts("c", "1.1.0")
    @agent.accepts("c", "1.0.0")
    def double(count: Count, factor: int = 2) -> Count:
        return Count(n=factor * count.n)

    assert Count(n=4) == double(Count(n=2))
    assert 2 == len(agent.handlers)


async def test_an_agent_that_accepts_nothing_does_not_start() -> None:
    """It would stand there and look healthy."""
    with pytest.raises(MisconfiguredError, match="accepts no contract"):
        await Agent("a", "1.0.0").start()


def wired() -> Direct:
    """Return a planner that asks a worker, and a desk that hands on to it."""
    planner, worker, desk = Agent("planner", "1.0.0"), Agent("worker", "1.0.0"), Agent("desk", "1.0.0")

    @worker.accepts("work", "1.0.0")
    def work(count: Count, task: Task) -> Count | Partial[Count]:
        task.progress_sync(f"at {count.n}")
        if count.n < 0:
            raise TaskError("negative", "n is less than 0")
        return task.partial(count) if count.n == 0 else Count(n=count.n + 1)

    @planner.accepts("plan", "1.0.0")
    async def plan(counts: list[int], task: Task) -> list[int]:
        found = await asyncio.gather(
            *(
                task.delegate(
                    to="worker", contract="work/1.0.0", payload={"n": n}, returns=Count, step=f"w{n}"
                )
                for n in counts
            )
        )
        return [count.n for count in found]

    @desk.accepts("work", "1.0.0")
    async def hand_on(count: Count, task: Task) -> Transferred:
        if count.n < 0:
            return Transferred()
        return await task.hand_off(to="worker", contract="work/1.0.0", payload=count, step="on")

    return Direct(planner, worker, desk)


async def test_agents_can_be_wired_directly() -> None:
    """The same functions run without a platform, plain and async, delegating and handing on."""
    direct, notes = wired(), list[tuple[str, str]]()
    direct.on_note = lambda agent, note: notes.append((agent, note))

    planned = await direct.call("planner", "plan/1.0.0", [1, 2], returns=list[int])
    handed = await direct.call("desk", "work/1.0.0", Count(n=1), returns=Count)
    part = await direct.call("worker", "work/1.0.0", Count(n=0), returns=Count)

    assert Labelled([2, 3], "success") == planned
    assert (Labelled(Count(n=2), "success"), Labelled(Count(n=0), "partial")) == (handed, part)
    assert [("worker", "at 0"), ("worker", "at 1"), ("worker", "at 1"), ("worker", "at 2")] == sorted(notes)


async def test_an_error_fails_the_direct_call_too() -> None:
    """As it does over the platform."""
    with pytest.raises(Failed, match=r"\(negative\): n is less than 0"):
        await wired().call("worker", "work/1.0.0", Count(n=-1))


async def test_a_place_that_nobody_took_is_an_error_of_the_direct_call_too() -> None:
    """As it is over the platform."""
    with pytest.raises(Failed, match="NothingTransferred"):
        await wired().call("desk", "work/1.0.0", Count(n=-1))


async def test_who_waits_for_an_answer_is_not_asked_for_it_directly_either() -> None:
    """An agent that offers to others what it accepts itself would be given its own work for ever."""
    chief, reader = Agent("chief", "1.0.0"), Agent("reader", "1.0.0")

    @chief.accepts("work", "1.0.0")
    async def divide(count: Count, task: Task) -> Count:
        return await task.delegate(
            capability="read", contract="work/1.0.0", payload=count, step="read", returns=Count
        )

    @reader.accepts("work", "1.0.0")
    async def read(count: Count) -> Count:
        return Count(n=count.n + 1)

    answer = await Direct(chief, reader).call("chief", "work/1.0.0", Count(n=1), returns=Count)

    assert 2 == answer.value.n
    with pytest.raises(MisconfiguredError, match="does not wait for it"):
        await Direct(chief).call("chief", "work/1.0.0", Count(n=1))


async def test_the_plain_form_does_not_wait_for_itself() -> None:
    """Called from a coroutine it would block the loop for ever; it says so instead."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("plan", "1.0.0")
    async def plan(payload: dict[str, Any], task: Task) -> None:
        task.progress_sync("stuck")

    with pytest.raises(MisconfiguredError, match="await the other one"):
        await Direct(agent).call("planner", "plan/1.0.0", {})


async def test_who_comes_back_sits_down_before_who_is_new() -> None:
    """A function that waited for a handoff goes on before queued work begins."""
    told, seats = list[str](), Seats(1, lambda: told.append("free"))
    first, second = Seat(seats), Seat(seats)
    handoff: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    assert first.take_at_once()
    waiting = asyncio.create_task(first.while_waiting(handoff))
    await asyncio.sleep(0)
    assert second.take_at_once()
    handoff.set_result(7)
    await asyncio.sleep(0)
    assert not waiting.done()
    second.leave()
    assert 7 == await waiting
    assert not seats.take_at_once()
    first.leave()
    first.leave()

    assert ["free", "free"] == told
    assert seats.take_at_once()


async def test_a_seat_given_to_somebody_who_left_is_passed_on() -> None:
    """A cancellation between being given a seat and taking it loses no seat."""
    seats = Seats(1, lambda: None)
    assert seats.take_at_once()
    waiting = [asyncio.create_task(seats.take()) for _ in range(2)]
    await asyncio.sleep(0)
    seats.give_back()
    waiting[0].cancel()
    await asyncio.wait_for(waiting[1], 5)

    assert waiting[0].cancelled()


def test_a_trace_goes_on() -> None:
    """The trace id stays, the span is new and repeatable; without a parent a trace begins."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    pattern = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

    child = child_of(parent, "h-1")

    assert pattern.fullmatch(child)
    assert ("0af7651916cd43dd8448eb211c80319c", "00") == (child.split("-")[1], child.split("-")[3])
    assert child == child_of(parent, "h-1")
    assert child != child_of(parent, "h-2")
    assert pattern.fullmatch(child_of("nonsense", "h-1"))
    assert child_of(None, "h-1") == child_of("nonsense", "h-1")


def test_only_the_routers_valid_keys_count() -> None:
    """Followed keys know whose they were when a record was taken; pinned ones are as the settings say."""
    keys = {
        "r": KeyEntry("r", "router's", ROUTER, not_after=2_000),
        "g": KeyEntry("g", "gate's", "service:cost-cap"),
    }
    ring, pinned = FollowedKeys(keys.get), PinnedKeys({"p": "k"})

    assert ["router's", None, None] == [ring.public_of(kid, 1_999) for kid in ("r", "g", "x")]
    assert ring.public_of("r", 2_000) is None
    assert ("k", None) == (pinned.public_of("p", 2_000), pinned.public_of("r", 2_000))


async def test_a_hook_may_take_what_it_needs() -> None:
    """The payload, the refusal and the task, in this order, as many as it names."""
    agent = Agent("a", "1.0.0")
    seen = list[tuple[Any, ...]]()

    @agent.accepts("c", "1.0.0")
    def function(count: Count) -> Count:
        return count

    hook: Callable[..., Any] = functools.partial(lambda *each: seen.append(each), "x")

    @function.on_refused
    async def mend(count: Count, refusal: Refusal, task: Task) -> Count:
        hook(count, refusal, task)
        return count

    refusal = Refusal(None, "r", "", 1, 0)
    task: Any = object()
    await function.run(Count(n=1), task, refusal, lambda _: None)

    assert [("x", Count(n=1), refusal, task)] == seen
