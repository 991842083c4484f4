"""The laws that an author's agent is held to let a good agent pass and catch a bad one."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from seamwork.agent import (
    Agent,
    Cancelled,
    Expired,
    Failed,
    HandoffError,
    Refusal,
    Refused,
    Task,
    TaskError,
    subtask,
)
from seamwork.documents import Contract
from seamwork.errors import MisconfiguredError
from seamwork.testing.documents import document
from seamwork.testing.laws import Law, laws
from seamwork.testing.seam import Seam

NUMBER: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
SMALL = {"name": "small", "expr": "this.n < 10", "message": "The number is too large."}
DOUBLE = {"name": "double", "expr": "this.n == 2 * request.n", "message": "The answer is not the double."}
ERROR = {"type": "object", "properties": {"error": {"type": "object"}}, "required": ["error"]}


def contract(name: str, **spec: Any) -> Contract:
    """Return a contract under which numbers below ten are doubled."""
    whole: dict[str, Any] = {
        "input": {"schema": NUMBER, "rules": [SMALL]},
        "outputs": {"success": {"schema": NUMBER, "rules": [DOUBLE]}, "error": {"schema": ERROR}},
        "examples": [
            {"name": "one", "payload": {"n": 1}},
            {"name": "large", "payload": {"n": 99}, "violates": ["small"]},
            {"name": "two", "on": "success", "request": {"n": 1}, "payload": {"n": 2}},
        ],
    }
    made = document("Contract", name, **{**whole, **spec})
    assert isinstance(made, Contract)
    return made


CONTRACTS = [contract("doubling"), contract("adding")]


def agent_of(function: Callable[..., Any], name: str = "doubling") -> Agent:
    """Return an agent with this function."""
    agent = Agent("doubler", "1.0.0")
    agent.accepts(name, "1.0.0")(function)
    return agent


async def doubles(payload: dict[str, int]) -> dict[str, int]:
    """Do as the contract says, alone."""
    return {"n": 2 * payload["n"]}


def doubles_in_a_thread(payload: dict[str, int], task: Task) -> dict[str, int]:
    """Do as the contract says, by somebody else's hand, as a plain function."""
    found: dict[str, int] = task.delegate_sync(
        to="adder", contract="adding/1.0.0", payload=payload, step="add"
    )
    return found


async def asks_twice(payload: dict[str, int], task: Task) -> dict[str, int]:
    """Hand on one thing after the other, and do without an answer that does not come."""
    for step in ("first", "second"):
        try:
            await task.delegate(to="adder", contract="adding/1.0.0", payload=payload, step=step)
        except Expired:
            continue
    return {"n": 2 * payload["n"]}


def asks_twice_in_a_thread(payload: dict[str, int], task: Task) -> dict[str, int]:
    """Hand on one thing after the other, whatever became of the first: a thread goes on when its work is over."""
    for step in ("first", "second"):
        with contextlib.suppress(HandoffError):
            task.delegate_sync(to="adder", contract="adding/1.0.0", payload=payload, step=step)
    return {"n": 2 * payload["n"]}


async def plans(payload: dict[str, int], task: Task) -> Any:
    """Say first what is handed on."""
    plan = await task.plan(subtask("add", contract="adding/1.0.0", to="adder"))
    join = await plan.run({"add": payload})
    return join.label({"n": 2 * payload["n"]})


def held(agent: Agent) -> dict[str, Law]:
    """Return the laws for an agent by what they say after the contract's name."""
    return {str(law).partition(": ")[2]: law for law in laws(agent, CONTRACTS, within_s=5.0)}


@pytest.mark.parametrize(
    "function", [doubles, doubles_in_a_thread, asks_twice, asks_twice_in_a_thread, plans]
)
def test_a_good_agent_keeps_every_law(function: Callable[..., Any]) -> None:
    """Alone or with others' help, as a coroutine or as a plain function."""
    found = held(agent_of(function))

    assert [
        "answers one", "never sees large", "answers a duplicate once", "does the same after a crash",
        "leaves what was cancelled in the queue", "lets go of what is cancelled", "lets go of what is too late",
        "bears an answer that comes too late",
    ] == list(found)  # fmt: skip
    for law in found.values():
        law.check()


async def lies(payload: dict[str, int]) -> dict[str, int]:
    """Answer in the right form and wrongly."""
    return {"n": payload["n"]}


async def gives_up(payload: dict[str, int]) -> dict[str, int]:
    """Answer an error."""
    raise TaskError("tired", "not today")


_NUMBERS = itertools.count(1)


async def counts_its_runs(payload: dict[str, int], task: Task) -> dict[str, int]:
    """Hand on something else at every run, under the same step."""
    await task.delegate(
        to="adder", contract="adding/1.0.0", payload=payload, step="add", ceiling_micro_usd=next(_NUMBERS)
    )
    return {"n": 2 * payload["n"]}


@pytest.mark.parametrize(
    ("function", "law", "says"),
    [
        (lies, "answers one", "does not admit what the agent answers: rule:double"),
        (gives_up, "answers one", "with an error: not today"),
        (
            counts_its_runs,
            "does the same after a crash",
            "step add was handed on twice with different content",
        ),
    ],
)
def test_a_bad_agent_is_caught(function: Callable[..., Any], law: str, says: str) -> None:
    """By the law that it breaks, with what it did."""
    with pytest.raises(AssertionError, match=says):
        held(agent_of(function))[law].check()


def test_an_agent_that_never_answers_is_caught() -> None:
    """The law says so, as it does of all else that an agent does wrong."""

    async def hangs(payload: dict[str, int]) -> None:
        await asyncio.Event().wait()

    (law,) = [law for law in laws(agent_of(hangs), CONTRACTS, within_s=0.2) if "answers one" in str(law)]

    with pytest.raises(AssertionError, match=r"no answer within 0\.2 s"):
        law.check()


def test_an_example_that_another_rule_refuses_is_caught() -> None:
    """The refusal must be by the rule that the example names."""
    wrong = {"name": "text", "payload": {"n": "1"}, "violates": ["small"]}
    broken = contract("doubling", examples=[{"name": "one", "payload": {"n": 1}}, wrong])
    (law,) = [law for law in laws(agent_of(doubles), [broken]) if "never sees text" in str(law)]

    with pytest.raises(AssertionError, match="refused by schema, the example names small"):
        law.check()


def test_a_contract_that_is_not_there_is_named() -> None:
    """Whoever forgets a contract is told which, and what there is instead."""
    with pytest.raises(MisconfiguredError, match=r"accepts tripling/1\.0\.0, which is not there"):
        laws(agent_of(doubles, "tripling"), CONTRACTS)
    with pytest.raises(MisconfiguredError, match="accepts no contract"):
        laws(Agent("idle", "1.0.0"), CONTRACTS)


async def test_an_author_may_play_the_others() -> None:
    """A peer of the author's own answers, in whatever way: a value, a refusal, a failure."""
    agent = Agent("doubler", "1.0.0")

    @agent.accepts("doubling", "1.0.0")
    async def double(payload: dict[str, int], task: Task) -> dict[str, int]:
        try:
            answer = await task.delegate(
                to="adder", contract="adding/1.0.0", payload=payload, step="add", returns=dict
            )
        except (Refused, Failed, Cancelled) as error:
            raise TaskError(type(error).__name__, error.rule) from error
        return {"n": int(answer["n"])}

    async def adds(payload: dict[str, int]) -> dict[str, int]:
        if payload["n"] == 3:
            raise Failed("add", "overflow", "the adder is full")
        return {"n": payload["n"] * (2 if payload["n"] < 5 else 3)}

    async with Seam(agent, CONTRACTS, peers={"adder": adds}) as seam:
        assert {"n": 8} == (await seam.ask("doubling/1.0.0", {"n": 4})).value
        with pytest.raises(Failed, match="overflow"):
            await seam.ask("doubling/1.0.0", {"n": 3})
        with pytest.raises(Failed, match="rule:double"):
            await seam.ask("doubling/1.0.0", {"n": 5})
        with pytest.raises(Refused) as refused:
            await seam.ask("doubling/1.0.0", {"n": 50})

    assert ("contract-validator", "rule:small") == (refused.value.gate, refused.value.rule)


@pytest.mark.parametrize("function", [doubles_in_a_thread, asks_twice])
async def test_what_a_peer_raises_is_told_to_the_test(function: Callable[..., Any]) -> None:
    """Who plays another agent is part of the test: an assertion of its author's is no answer that never came."""

    def adds(payload: dict[str, int]) -> dict[str, int]:
        assert payload["n"] < 3, "asked for too much"
        return payload

    async with Seam(agent_of(function), CONTRACTS, peers={"adder": adds}) as seam:
        with pytest.raises(AssertionError, match="asked for too much"):
            await seam.ask("doubling/1.0.0", {"n": 5})


async def test_a_peer_is_not_shown_what_its_contract_strips() -> None:
    """On a platform it would not see it either, and an answer made of it would be none."""
    seen = list[dict[str, int]]()

    async def says_more(payload: dict[str, int], task: Task) -> dict[str, int]:
        more = {**payload, "secret": 7}
        await task.delegate(to="adder", contract="adding/1.0.0", payload=more, step="add")
        return {"n": 2 * payload["n"]}

    def adds(payload: dict[str, int]) -> dict[str, int]:
        seen.append(payload)
        return {"n": 2 * payload["n"]}

    stripping = contract("adding", undeclared="strip")
    async with Seam(agent_of(says_more), [CONTRACTS[0], stripping], peers={"adder": adds}) as seam:
        await seam.ask("doubling/1.0.0", {"n": 1})

    assert [{"n": 1}] == seen


async def test_who_is_handed_the_same_again_is_not_asked_again() -> None:
    """A handoff that an agent repeats after a crash counts once, as on a platform."""
    asked, go_on = list[int](), asyncio.Event()

    async def adds(payload: dict[str, int]) -> dict[str, int]:
        asked.append(payload["n"])
        await go_on.wait()
        return {"n": 2 * payload["n"]}

    async with Seam(agent_of(asks_twice), CONTRACTS, peers={"adder": adds}) as seam:
        piece = await seam.begin("doubling/1.0.0", {"n": 1})
        await seam.until(lambda: len(piece.handed_on) == 1, "handed nothing on")
        await seam.stop()
        await seam.start()
        await seam.until(lambda: len(piece.handed_on) == 2, "handed nothing on again")
        go_on.set()
        await seam.outcome(piece)

    assert ["first", "first", "second"] == [each.record.step for each in piece.handed_on]
    assert [1, 1] == asked


async def test_a_contract_that_is_missed_on_the_way_is_named() -> None:
    """The agent hands work on under one that was not given."""
    async with Seam(agent_of(doubles_in_a_thread), CONTRACTS[:1]) as seam:
        with pytest.raises(MisconfiguredError, match=r"no contract adding/1\.0\.0 here"):
            await seam.ask("doubling/1.0.0", {"n": 1})


async def test_an_answer_that_is_refused_may_be_mended() -> None:
    """Where the contract allows a correction the agent is told what was wrong, once."""
    mending = contract("doubling", onViolation={"action": "correct", "attempts": 1, "otherwise": "fail"})
    agent, told = Agent("doubler", "1.0.0"), list[str]()

    @agent.accepts("doubling", "1.0.0")
    async def double(payload: dict[str, int]) -> dict[str, int]:
        return {"n": 0}

    @double.on_refused
    async def mend(payload: dict[str, int], refusal: Refusal) -> dict[str, int]:
        told.append(refusal.rule)
        return {"n": 2 * payload["n"] if payload["n"] < 5 else 1}

    async with Seam(agent, [mending]) as seam:
        assert {"n": 8} == (await seam.ask("doubling/1.0.0", {"n": 4})).value
        with pytest.raises(Refused, match="rule:double"):
            await seam.ask("doubling/1.0.0", {"n": 6})

    assert ["rule:double", "rule:double"] == told


async def test_a_place_that_is_handed_on_is_answered_by_its_receiver() -> None:
    """A transfer settles the work with what the receiver answers."""
    agent = Agent("doubler", "1.0.0")

    @agent.accepts("doubling", "1.0.0")
    async def double(payload: dict[str, int], task: Task) -> Any:
        return await task.hand_off(to="adder", contract="adding/1.0.0", payload=payload, step="over")

    async with Seam(agent, CONTRACTS) as seam:
        assert {"n": 2} == (await seam.ask("doubling/1.0.0", {"n": 1})).value
        # Three and one is not twice three: the answer must keep what its place was asked for, too.
        with pytest.raises(Failed, match="rule:double"):
            await seam.ask("doubling/1.0.0", {"n": 3})
