"""An agent of the OpenAI Agents SDK, unchanged, under a contract in memory; its model is a scripted endpoint."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import agents
import pytest
from agents import OpenAIProvider, RunConfig, function_tool
from agents.sandbox import SandboxAgent
from openai import AsyncOpenAI
from pydantic import BaseModel

from seamwork.adapters import Delegation, Prices, adopt
from seamwork.adapters.openai_agents import OpenAIAgents
from seamwork.agent import Agent, Failed, Refused
from seamwork.clock import SystemClock
from seamwork.documents import Contract
from seamwork.errors import MisconfiguredError
from seamwork.records.authority import Authority
from seamwork.testing.documents import document
from seamwork.testing.scripted_model import ScriptedModel, Turn, calls, says
from seamwork.testing.seam import Piece, Seam

PRICES = Prices.model_validate({"models": {"m": {"input": 1_000_000, "output": 2_000_000}}})


class Word(BaseModel):
    """A word to look up."""

    word: str


class Said(BaseModel):
    """What the agent answers."""

    text: str


LOOK_UP = Delegation(
    name="look_up", description="Look a word up.", contract="entry/1.0.0", takes=Word, to="dictionary",
    ceiling_micro_usd=5,
)  # fmt: skip


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    """Lend an endpoint."""
    with ScriptedModel() as running:
        yield running


Stage = Callable[..., AbstractAsyncContextManager[Seam]]


@pytest.fixture
def member(model: ScriptedModel) -> Stage:
    """Put an agent of the framework behind the contract ``explain``, with whatever the test changes of it."""

    @asynccontextmanager
    async def put(
        *,
        delegations: tuple[Delegation, ...] = (LOOK_UP,),
        peers: Any = None,
        max_turns: int = 4,
        url: str | None = None,
        contracts: tuple[Contract, ...] | None = None,
        **changed: Any,
    ) -> AsyncIterator[Seam]:
        theirs: agents.Agent[Any] = agents.Agent(
            **{"name": "explainer", "model": "m", "output_type": Said, **changed}
        )
        client = AsyncOpenAI(base_url=url or model.url, api_key="none", max_retries=0)
        config = RunConfig(model_provider=OpenAIProvider(openai_client=client, use_responses=False))
        ours = Agent("explainer", "1.0.0", model="m")
        adopt(
            ours,
            OpenAIAgents(theirs, run_config=config, max_turns=max_turns),
            contract="explain/1.0.0",
            takes=Word,
            prices=PRICES,
            delegations=delegations,
        )
        async with client, Seam(ours, contracts or CONTRACTS, peers=peers or {"dictionary": knows}) as seam:
            yield seam

    return put


def contract(name: str, **spec: Any) -> Contract:
    """Write a contract."""
    made = document("Contract", name, **spec)
    assert isinstance(made, Contract)
    return made


RULE = {
    "name": "names-the-word",
    "expr": "this.text.contains(request.word)",
    "message": "It names another word.",
}
CONTRACTS = (
    contract(
        "explain",
        onViolation={"action": "correct", "attempts": 1, "otherwise": "fail"},
        outputs={"success": {"schema": {"required": ["text"]}, "rules": [RULE]}},
    ),
    contract("entry"),
)


def tool_results(model: ScriptedModel, request: int) -> list[str]:
    """Return what a request of the model's showed it of its tools."""
    return [m["content"] for m in model.requests[request]["messages"] if m["role"] == "tool"]


async def spent(piece: Piece) -> Any:
    """Return what the last answer to a piece of work says was spent."""
    return piece.answers[-1].record.spent


async def test_a_tool_that_delegates_is_a_handoff_and_every_token_is_charged(
    model: ScriptedModel, member: Stage
) -> None:
    """The model asks, another agent answers, the model says what it makes of it, and the result names the cost."""
    model.plays(
        calls("look_up", {"word": "seam"}, input_tokens=100, output_tokens=10),
        says({"text": "a seam is a line"}, input_tokens=200, output_tokens=20),
    )

    async with member() as seam:
        piece = await seam.begin("explain/1.0.0", {"word": "seam"})
        answer = await seam.outcome(piece)

    assert {"text": "a seam is a line"} == answer.value
    assert ['{"outcome": "success", "value": {"entry": "seam: a line"}}'] == tool_results(model, 1)
    (handed,) = piece.handed_on
    assert ("entry", "dictionary", 5) == (
        handed.record.contract.name, handed.record.target.agent, handed.record.ceiling_micro_usd,
    )  # fmt: skip
    result = await spent(piece)
    assert (120 + 240, 300, 30, 2) == (
        result.micro_usd, result.input_tokens, result.output_tokens, result.requests,
    )  # fmt: skip


async def test_the_same_question_twice_is_one_handoff(model: ScriptedModel, member: Stage) -> None:
    """Steps are named by what is asked, so a model that repeats itself asks nobody again."""
    twice = (("look_up", {"word": "seam"}), ("look_up", {"word": "seam"}))
    model.plays(Turn(calls=twice), says({"text": "seam"}))

    async with member() as seam:
        piece = await seam.begin("explain/1.0.0", {"word": "seam"})
        await seam.outcome(piece)

    assert 1 == len(piece.handed_on)
    assert 2 == len(tool_results(model, 1))


async def test_a_refused_answer_is_put_to_the_model_again(model: ScriptedModel, member: Stage) -> None:
    """The contract allows one correction: the model is told the rule, and its second answer counts."""
    model.plays(says({"text": "a line"}), says({"text": "a seam is a line"}))

    async with member() as seam:
        answer = await seam.ask("explain/1.0.0", {"word": "seam"})

    assert {"text": "a seam is a line"} == answer.value
    assert "rule:names-the-word" in model.requests[1]["messages"][-1]["content"]


async def test_the_model_is_told_why_a_handoff_brought_nothing(model: ScriptedModel, member: Stage) -> None:
    """What is refused or fails comes back as a tool's answer with the rule; arguments that do not fit, too."""
    model.plays(
        calls("look_up", {"word": "seam"}),
        calls("look_up", {"wort": 1}),
        says({"text": "seam, I do not know"}),
    )

    async with member(peers={"dictionary": refuses}) as seam:
        await seam.ask("explain/1.0.0", {"word": "seam"})

    first, second = tool_results(model, 2)
    assert '"type": "Failed", "rule": "NotFound"' in first
    assert '"type": "PayloadError"' in second


async def test_a_critical_handoff_that_fails_ends_the_work(model: ScriptedModel, member: Stage) -> None:
    """What the work cannot do without is not left to the model to explain away."""
    model.plays(calls("look_up", {"word": "seam"}), says({"text": "seam, I guess"}))
    critical = Delegation(
        name="look_up", description="", contract="entry/1.0.0", takes=Word, to="dictionary", critical=True
    )

    async with member(delegations=(critical,), peers={"dictionary": refuses}) as seam:
        with pytest.raises(Failed, match="NotFound"):
            await seam.ask("explain/1.0.0", {"word": "seam"})

    assert 1 == len(model.requests)


async def test_a_ceiling_stops_before_the_next_call(model: ScriptedModel, member: Stage) -> None:
    """What is spent is counted after each call, and no further call is begun once the ceiling is reached."""
    model.plays(calls("look_up", {"word": "seam"}, input_tokens=90, output_tokens=5), says({"text": "seam"}))

    async with member() as seam:
        piece = await seam.begin("explain/1.0.0", {"word": "seam"}, ceiling_micro_usd=100)
        with pytest.raises(Failed, match="CeilingReached"):
            await seam.outcome(piece)

    assert 1 == len(model.requests)
    assert 100 == (await spent(piece)).micro_usd


@pytest.mark.parametrize(
    "told", [{"counted": False}, {"input_tokens": 0}, {"input_tokens": -5}, {"input_tokens": 2**60}],
    ids=["nothing", "half", "negative", "too much"],
)  # fmt: skip
async def test_usage_that_is_not_told_leaves_the_whole_ceiling_charged(
    model: ScriptedModel, member: Stage, told: dict[str, Any]
) -> None:
    """An endpoint that does not count is not taken for one that is free: the cost is unknown, and the work ends."""
    model.plays(says({"text": "seam"}, **told))

    async with member() as seam:
        piece = await seam.begin("explain/1.0.0", {"word": "seam"})
        with pytest.raises(Failed, match="UsageUnknown"):
            await seam.outcome(piece)

    assert (await spent(piece)) is None or (await spent(piece)).micro_usd is None


async def test_a_correction_spends_nothing_once_nobody_knows_what_is_spent(
    model: ScriptedModel, member: Stage
) -> None:
    """The ceiling bounds the dispatch, and not each run: what is unknown may be all of it."""
    model.plays(says({"text": "seam"}, counted=False), says({"text": "seam"}))
    never = {"name": "never", "expr": "false", "message": "No error is an answer."}
    strict = contract(
        "explain", onViolation={"action": "correct", "attempts": 1, "otherwise": "fail"},
        outputs={"error": {"rules": [never]}},
    )  # fmt: skip

    async with member(contracts=(strict, contract("entry"))) as seam:
        piece = await seam.begin("explain/1.0.0", {"word": "seam"})
        with pytest.raises(Refused, match="never"):
            await seam.outcome(piece)

    assert 2 == len(piece.answers)
    assert 1 == len(model.requests)


@pytest.mark.parametrize(
    ("turns", "kind"),
    [
        ([Turn(status=503)], "ModelUnavailable"),
        ([Turn(status=429)], "ModelUnavailable"),
        ([Turn(status=400)], "ModelRefused"),
        ([says("no JSON")], "ModelMisbehaved"),
        ([calls("no_such_tool", {})], "ModelMisbehaved"),
        ([calls("look_up", {"word": str(i)}) for i in range(4)], "TurnsExceeded"),
    ],
    ids=["unavailable", "busy", "refused", "not its type", "unknown tool", "too many turns"],
)
async def test_what_goes_wrong_has_a_name(
    model: ScriptedModel, member: Stage, turns: list[Turn], kind: str
) -> None:
    """Each way in which a run fails is an error that contracts and programs can tell apart."""
    model.plays(*turns)

    async with member() as seam:
        with pytest.raises(Failed, match=kind):
            await seam.ask("explain/1.0.0", {"word": "seam"})


async def test_a_model_without_a_price_is_not_called(model: ScriptedModel, member: Stage) -> None:
    """Nobody can keep a budget of what has no price."""
    async with member(model="another") as seam:
        with pytest.raises(Failed, match="UnpricedModel"):
            await seam.ask("explain/1.0.0", {"word": "seam"})

    assert [] == model.requests


async def test_a_cancelled_run_ends_and_answers_nothing(model: ScriptedModel, member: Stage) -> None:
    """Nobody waits any more: the call that is under way is given up, and no answer is sent."""
    model.plays(says({"text": "seam"}, held=True))

    async with member() as seam:
        piece = await seam.begin("explain/1.0.0", {"word": "seam"})
        assert await asyncio.to_thread(model.asked.wait, 10)
        await seam.cancel(piece)
        model.plays(says({"text": "a seam"}))
        assert {"text": "a seam"} == (await seam.ask("explain/1.0.0", {"word": "seam"})).value

    assert [] == piece.answers


async def test_a_deadline_is_told_before_it_has_passed(model: ScriptedModel, member: Stage) -> None:
    """A model that hangs is given up while there is time left to say so."""
    model.plays(says({"text": "seam"}, held=True))

    async with member() as seam:
        piece = await seam.begin("explain/1.0.0", {"word": "seam"}, not_after=SystemClock().now_ms() + 2_000)
        with pytest.raises(Failed, match="DeadlinePassed"):
            await seam.outcome(piece)


async def test_a_call_that_was_given_up_leaves_the_whole_ceiling_charged(
    model: ScriptedModel, member: Stage
) -> None:
    """Its vendor charges for it, and nobody here knows what: the sum of what was told would be too little."""
    model.plays(calls("look_up", {"word": "seam"}), says({"text": "seam"}, held=True))

    async with member() as seam:
        piece = await seam.begin("explain/1.0.0", {"word": "seam"}, not_after=SystemClock().now_ms() + 3_000)
        with pytest.raises(Failed, match="DeadlinePassed"):
            await seam.outcome(piece)

    told = await spent(piece)
    assert (None, 100, 10) == (told.micro_usd, told.input_tokens, told.output_tokens)


@pytest.mark.parametrize("turn", [Turn(status=429), Turn(status=503), Turn(status=400)])
async def test_a_call_that_was_refused_has_cost_nothing(
    model: ScriptedModel, member: Stage, turn: Turn
) -> None:
    """What came before it is charged, and not the whole ceiling, which a busy endpoint would use up by itself."""
    model.plays(calls("look_up", {"word": "seam"}, input_tokens=100, output_tokens=10), turn)

    async with member() as seam:
        piece = await seam.begin("explain/1.0.0", {"word": "seam"})
        with pytest.raises(Failed):
            await seam.outcome(piece)

    assert (120, 2) == ((await spent(piece)).micro_usd, (await spent(piece)).requests)


async def test_a_model_that_nobody_reached_has_cost_nothing(member: Stage) -> None:
    """An endpoint that is down, and a model without a price, which is not asked at all."""
    with ScriptedModel() as gone:
        pass

    for changed, kind in (({"url": gone.url}, "ModelUnavailable"), ({"model": "another"}, "UnpricedModel")):
        async with member(**changed) as seam:
            piece = await seam.begin("explain/1.0.0", {"word": "seam"})
            with pytest.raises(Failed, match=kind):
                await seam.outcome(piece)

        assert 0 == (await spent(piece)).micro_usd


async def test_tools_of_its_own_are_offered_only_where_the_authority_names_them(
    model: ScriptedModel, member: Stage
) -> None:
    """A tool in the framework's process passes no gate, so the stamp must say that it may be used."""

    @function_tool
    def shout(text: str) -> str:
        """Say it loudly."""
        return text.upper()

    async with member(tools=[shout]) as seam:
        for authority, wanted in (
            (Authority(), ["look_up"]),
            (Authority(tools=("shout",)), ["shout", "look_up"]),
        ):
            model.plays(says({"text": "seam"}))
            await seam.outcome(await seam.begin("explain/1.0.0", {"word": "seam"}, authority=authority))
            assert wanted == [tool["function"]["name"] for tool in model.requests[0]["tools"]]


async def test_a_tool_that_waits_for_somebody_is_no_answer(model: ScriptedModel, member: Stage) -> None:
    """The framework leaves its run with nothing in hand, for a program that asks somebody and goes on."""

    @function_tool(needs_approval=True)
    def pay(text: str) -> str:
        """Pay."""
        return text

    model.plays(calls("pay", {"text": "all"}))
    async with member(tools=[pay]) as seam:
        piece = await seam.begin("explain/1.0.0", {"word": "seam"}, authority=Authority(tools=("pay",)))
        with pytest.raises(Failed, match="ApprovalWanted"):
            await seam.outcome(piece)


def shell_by_model() -> agents.FunctionTool:
    """Make a tool that is an agent of its own, as the SDK marks them."""
    tool = function_tool(lambda text: text, name_override="codex")
    tool._is_codex_tool = True  # the SDK's own mark
    return tool


HOSTED = agents.HostedMCPTool(
    tool_config={"type": "mcp", "server_label": "x", "server_url": "https://x.example"}
)
OTHER: agents.Agent[Any] = agents.Agent(name="other")


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ({"handoffs": [OTHER]}, "has handoffs"),
        ({"tools": [OTHER.as_tool("other", "asks the other")]}, "has agents as tools"),
        ({"tools": [shell_by_model()]}, "has agents as tools"),
        ({"tools": [HOSTED]}, "has hosted MCP servers"),
        ({"prompt": {"id": "pmpt_1"}}, "has a prompt that its vendor keeps"),
    ],
    ids=["handoffs", "an agent", "codex", "hosted MCP", "prompt"],
)
def test_an_agent_with_ways_around_the_seam_is_refused(way: dict[str, Any], said: str) -> None:
    """What hands work on within the process is named when it is declared, not found out later."""
    around: agents.Agent[Any] = agents.Agent(**{"name": "a", "model": "m", **way})

    with pytest.raises(MisconfiguredError, match=f"{said}, which no gate would see"):
        OpenAIAgents(around)


def test_an_agent_with_a_sandbox_of_its_own_is_refused() -> None:
    """It would be given a shell, whatever the authority names."""
    with pytest.raises(MisconfiguredError, match="has capabilities of a sandbox, which no gate would see"):
        OpenAIAgents(SandboxAgent(name="a", model="m"))


def test_a_model_without_a_name_is_not_taken_for_another() -> None:
    """Its price would be that of the SDK's default model."""
    nameless = OpenAIProvider(openai_client=AsyncOpenAI(api_key="none"), use_responses=False).get_model("m")
    nameless.model = ""  # type: ignore[attr-defined]  # a model of one's own need not have it

    with pytest.raises(MisconfiguredError, match="that says no name in `model`"):
        OpenAIAgents(agents.Agent(name="a", model=nameless))


def knows(asked: Any) -> Any:
    """Answer, as a dictionary does."""
    return {"entry": f"{asked['word']}: a line"}


def refuses(_: Any) -> Any:
    """Fail, as a peer does whose outcome is an error."""
    raise Failed("look-up", "NotFound", "there is no such entry")
