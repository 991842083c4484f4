"""What an agent does with its inbox, with a router that does what the test says."""

import asyncio
import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, cast

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict
from structlog.testing import capture_logs

from seamwork.agent import (
    Agent,
    AgentSettings,
    Cancelled,
    Failed,
    Partial,
    PartialAnswer,
    Refusal,
    Refused,
    Task,
    TaskError,
    Transferred,
    desk,
    subtask,
)
from seamwork.agent.direct import Direct
from seamwork.agent.dispatch import MOST_ANSWERS
from seamwork.agent.meters import RECORDS
from seamwork.bus.port import Confirmation, LogGapError, Partition, Reader
from seamwork.catalog import KeyEntry
from seamwork.clock import SystemClock
from seamwork.errors import MisconfiguredError, OutcomeUnknownError, RetryableError
from seamwork.grants.stamps import ROUTER, misfit, verify_stamp
from seamwork.ids import answer_id, child_id, plan_id
from seamwork.records.authority import Authority, Constraint, Spent
from seamwork.records.crossing import AnyCrossing, Handoff, Plan, Progress, Result, ToolOutput, Usage
from seamwork.records.partition import partition_of
from seamwork.records.wire import Outgoing, RawRecord, Received, cloud_event_difference, signed_bytes
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.builders import PLATFORM
from seamwork.testing.clock import SettableClock
from seamwork.testing.keys import key_of
from seamwork.testing.scripted_router import INTENT, ScriptedRouter
from seamwork.testing.simlog import Fault, SimBroker, SimLog

CONTRACT = "licence-facts/1.0.0"
PAYING = Authority(depth=3, effects=("pay",))
FORGER = key_of("agent:forger")


class Parsed(BaseModel):
    """What the extractor is given."""

    model_config = ConfigDict(extra="forbid")
    name: str = "mortar"


@dataclasses.dataclass
class Facts:
    """What the extractor returns."""

    licence: str


class Stage:
    """One agent's world: a log in memory, a scripted router, and the agents that run."""

    def __init__(self) -> None:
        self.broker = SimBroker(SystemClock())
        for topic in ("handoffs.v1", "heartbeats.v1", "inbox.extractor.v1", "inbox.planner.v1"):
            self.broker.create_topic(topic)
        self.log = SimLog(self.broker)
        self.router = ScriptedRouter(self.log)
        self._running: list[Agent] = []
        self._examined_before = int(_examined())

    async def start(self, agent: Agent, **settings: Any) -> None:
        """Run an agent on the log."""
        await agent.start(settings=self.settings(agent, **settings), log=self.log)
        self._running.append(agent)

    def settings(self, agent: Agent, **settings: Any) -> AgentSettings:
        """Return an agent's settings."""
        return AgentSettings(
            name=agent.name,
            platform=PLATFORM,
            key=key_of(f"agent:{agent.name}"),
            kafka=KafkaAccess("127.0.0.1:1", "nobody", "nothing"),
            router_keys=self.router.router_keys,
            **{"grace_s": 1.0, **settings},
        )

    async def stop(self, agent: Agent) -> None:
        """Stop an agent as a signal would."""
        self._running.remove(agent)
        await agent.stop()

    async def close(self) -> None:
        """Stop what still runs, without waiting for it."""
        for agent in list(self._running):
            await self.stop(agent)

    def examined(self) -> int:
        """Return how many inbox records all agents of this test have examined."""
        return int(_examined()) - self._examined_before

    def committed(self, agent: Agent) -> int | None:
        """Return what the agent's group has committed."""
        group = f"agent-{agent.name}.{agent.version.replace('.', '-')}"
        return self.broker.group(group).committed.get(Partition(f"inbox.{agent.name}.v1", 0))


def _examined() -> float:
    return sum(
        sample.value
        for metric in RECORDS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    )


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Make a world for one test."""
    made = Stage()
    yield made
    await made.close()


def extractor(version: str = "1.0.0", ran: list[str] | None = None) -> Agent:
    """Return an agent that answers at once, and notes in *ran* what it began."""
    agent = Agent("extractor", version)

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        if ran is not None:
            ran.append(parsed.name)
        return Facts(f"licence of {parsed.name}")

    return agent


def patient(begun: list[str], go_on: asyncio.Event) -> Agent:
    """Return an agent that notes in *begun* what it began, and answers when it may go on."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        begun.append(parsed.name)
        await go_on.wait()
        return Facts(parsed.name)

    return agent


def body(received: Received[Any]) -> Any:
    """Read a payload."""
    return json.loads(received.payload)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # the condition is what happens inside an agent
            await asyncio.sleep(0.005)


async def test_work_is_accepted_run_and_answered(stage: Stage) -> None:
    """The agent runs the function and answers under the stamp; of quick work that is all it says."""
    await stage.start(extractor())

    work = await stage.router.dispatch(
        "extractor", {"name": "mortar"}, constraints=(Constraint(name="a", value="b"),)
    )
    result = await stage.router.next(Result)

    assert not [each for each in stage.router.seen if isinstance(each.record, Progress)]
    assert {"licence": "licence of mortar"} == body(result)
    assert "success" == result.record.outcome
    assert answer_id(work.dispatch, 0) == result.record.id
    assert (work.crossing, work.dispatch, work.contract) == (
        result.record.parent, result.record.dispatch, result.record.contract,
    )  # fmt: skip
    assert (INTENT, work.constraints) == (result.record.intent, result.record.constraints)
    assert result.record.stamp is not None
    assert "extractor" == json.loads(result.record.stamp.envelope)["agent"]


async def test_work_that_grants_effects_is_accepted_before_it_begins(stage: Stage) -> None:
    """Where the log does not have it yet, nothing has been done: what is undone when an agent dies can be told."""
    agent, log, ran = Agent("extractor", "1.0.0"), Cut(stage.broker), list[str]()
    stage.log = log

    @agent.accepts("licence-facts", "1.0.0")
    async def pay(parsed: Parsed) -> Facts:
        ran.append(parsed.name)
        return Facts("paid")

    await stage.start(agent)
    log.write_cut = True
    work = await stage.router.dispatch("extractor", {"name": "mortar"}, authority=PAYING)
    own = agent._desk
    assert own is not None
    await until(lambda: any(one.is_running for one in own._open.values()))
    await asyncio.sleep(0.3)
    before = list(ran)
    log.write_cut = False
    accepted = await stage.router.next(Progress)
    await stage.router.next(Result)

    assert [] == before
    assert ["mortar"] == ran
    assert (True, work.dispatch) == (accepted.record.accepted_work, accepted.record.dispatch)
    assert accepted.record.took is not None


async def test_work_that_takes_its_time_is_accepted_while_it_runs(stage: Stage) -> None:
    """Whoever looks sees that somebody is at it; what the function was given is told before it is done."""
    begun, go_on = list[str](), asyncio.Event()
    agent = patient(begun, go_on)

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    accepted = await stage.router.next(Progress)
    before = list(begun)
    go_on.set()
    await stage.router.next(Result)
    notes = [each for each in stage.router.seen if isinstance(each.record, Progress)]

    assert ["mortar"] == before
    assert accepted.record.accepted_work
    assert accepted.record.took is not None
    assert [] == notes


async def test_what_is_over_is_not_accepted_though_its_function_goes_on(stage: Stage) -> None:
    """It would be refused, and the agent warned of what nobody did wrong."""
    agent, begun, left = Agent("extractor", "1.0.0"), asyncio.Event(), asyncio.Event()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
        await asyncio.sleep(0.3)
        left.set()
        return Facts(parsed.name)

    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    await begun.wait()
    await stage.router.tell("cancelled", work, work.crossing)
    await left.wait()
    await stage.router.read()

    assert not [each for each in stage.router.seen if isinstance(each.record, Progress)]


async def test_an_acceptance_on_its_way_arrives_before_the_answer(stage: Stage) -> None:
    """The answer ends the dispatch: an acceptance behind it would be refused, and a warning of nothing."""
    agent, log, go_on = Agent("extractor", "1.0.0"), SlowToAccept(stage.broker), asyncio.Event()
    stage.log = log

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        await go_on.wait()
        return Facts(parsed.name)

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    await until(lambda: log.asked)
    go_on.set()
    await asyncio.sleep(0.1)
    log.answer.set()
    accepted, result = await stage.router.next(Progress), await stage.router.next(Result)

    assert accepted.raw.offset < result.raw.offset


async def test_nothing_is_accepted_once_the_work_is_handed_over(stage: Stage) -> None:
    """A transfer ends the dispatch as soon as it is taken, however long its sender waits for word of that."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def pass_on(parsed: Parsed, task: Task) -> Any:
        return await task.hand_off(contract=CONTRACT, payload={}, step="all", to="extractor")

    await stage.start(agent)
    await stage.router.dispatch("planner", {"name": "mortar"})
    handoff = await stage.router.next(Handoff)
    await asyncio.sleep(0.3)
    await stage.router.read()
    await stage.router.tell_sender("accepted", handoff)

    assert not [each for each in stage.router.seen if isinstance(each.record, Progress)]


async def test_a_plain_function_runs_beside_the_loop(stage: Stage) -> None:
    """A function that blocks its thread keeps nobody else from working."""
    agent, gate, seen = Agent("extractor", "1.0.0"), threading.Event(), list[str]()

    @agent.accepts("licence-facts", "1.0.0")
    def extract(parsed: Parsed, task: Task) -> Facts:
        task.progress_sync("reading")
        seen.append(threading.current_thread().name)
        if parsed.name == "slow":
            gate.wait(10)
        return Facts(parsed.name)

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "slow"})
    await stage.router.dispatch("extractor", {"name": "quick"})
    first = await stage.router.next(Result)
    gate.set()
    second = await stage.router.next(Result)

    assert ["quick", "slow"] == [body(first)["licence"], body(second)["licence"]]
    assert all(name != "MainThread" for name in seen)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [(b"{\xff", "PayloadError"), (b'{"nam": 1}', "PayloadError"), (b"", "PayloadError")],
    ids=["not-json", "does-not-fit", "empty"],
)
async def test_a_payload_that_does_not_fit_is_answered_with_an_error(
    stage: Stage, payload: bytes, kind: str
) -> None:
    """The answer names what is wrong and not what was sent."""
    await stage.start(extractor())

    await stage.router.dispatch("extractor", payload)
    result = await stage.router.next(Result)

    assert ("error", kind) == (result.record.outcome, body(result)["error"]["type"])
    assert "nam: 1" not in body(result)["error"]["message"]


@pytest.mark.parametrize(
    ("raised", "kind"), [(TaskError("NoLicence", "none is named"), "NoLicence"), (KeyError("x"), "KeyError")]
)
async def test_what_a_task_group_raises_is_what_went_wrong_in_it(
    stage: Stage, raised: Exception, kind: str
) -> None:
    """As with ``gather``: the error is known by its name, to whoever waits and to the contract."""
    agent = Agent("extractor", "1.0.0")

    async def part() -> None:
        raise raised

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        async with asyncio.TaskGroup() as group:
            group.create_task(part())
            group.create_task(asyncio.sleep(10))
        return Facts(parsed.name)

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    result = await stage.router.next(Result)

    assert ("error", kind) == (result.record.outcome, body(result)["error"]["type"])
    with pytest.raises(Failed if kind == "NoLicence" else ExceptionGroup):
        await Direct(agent).call("extractor", CONTRACT, {"name": "mortar"})


async def test_what_an_error_came_of_stands_in_the_agents_log(stage: Stage) -> None:
    """A framework's adapter says as little as it may to whoever waits; its author has to find out why."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        try:
            raise OSError(f"no such model for {parsed.name}")
        except OSError as error:
            raise TaskError("FrameworkError", "the framework stopped") from error

    with capture_logs() as said:
        await stage.start(agent)
        await stage.router.dispatch("extractor", {"name": "mortar"})
        result = await stage.router.next(Result)
    (trace,) = [line["exception"] for line in said if "exception" in line]

    assert {"type": "FrameworkError", "message": "the framework stopped"} == body(result)["error"]
    assert "OSError: no such model for ***" in trace


async def test_an_exception_travels_by_name_alone(stage: Stage) -> None:
    """What the function raised may quote the payload, so only its type leaves the process."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        message = f"secret {parsed.name}"
        raise ValueError(message)

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    result = await stage.router.next(Result)

    assert ("error", "ValueError") == (result.record.outcome, body(result)["error"]["type"])
    assert "mortar" not in result.payload.decode()


class Panic(BaseException):
    """What a library written in Rust raises: no ``Exception``."""


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (Panic(), "Panic"),
        (SystemExit(0), "SystemExit"),
        (BaseExceptionGroup("x", [Panic()]), "Panic"),
    ],
    ids=["a-panic", "an-exit", "a-group"],
)
async def test_what_is_no_exception_is_answered_too(stage: Stage, raised: BaseException, kind: str) -> None:
    """One piece of work has failed: the agent, and what lies behind it, have not."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        if parsed.name == "odd":
            raise raised
        return Facts(parsed.name)

    await stage.start(agent, concurrency=1)
    await stage.router.dispatch("extractor", {"name": "odd"})
    odd = await stage.router.next(Result)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    even = await stage.router.next(Result)

    assert ("error", kind) == (odd.record.outcome, body(odd)["error"]["type"])
    assert {"licence": "mortar"} == body(even)


async def test_what_is_raised_on_the_way_out_of_a_cancellation_is_no_answer(stage: Stage) -> None:
    """Nobody waits for it any more, and the process is not left for it either."""
    agent, begun, ended = Agent("extractor", "1.0.0"), asyncio.Event(), asyncio.Event()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        if parsed.name == "next":
            return Facts(parsed.name)
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set()
            raise SystemExit(1) from None
        return Facts(parsed.name)

    await stage.start(agent, concurrency=1)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    await asyncio.wait_for(begun.wait(), 10)
    await stage.router.tell("cancelled", work, work.crossing)
    await asyncio.wait_for(ended.wait(), 10)
    await stage.router.dispatch("extractor", {"name": "next"})
    result = await stage.router.next(Result)

    assert {"licence": "next"} == body(result)


async def test_a_plain_function_that_stops_an_iteration_is_answered_and_gives_its_seat_back(
    stage: Stage,
) -> None:
    """Nothing that is awaited can raise it, and who waited for it would wait for ever."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    def extract(parsed: Parsed) -> Facts:
        return next(iter(() if parsed.name == "none" else (Facts(parsed.name),)))

    await stage.start(agent, concurrency=1)
    await stage.router.dispatch("extractor", {"name": "none"})
    none = await stage.router.next(Result)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    next_one = await stage.router.next(Result)

    assert ("error", "RuntimeError") == (none.record.outcome, body(none)["error"]["type"])
    assert {"licence": "mortar"} == body(next_one)


async def test_outcomes_are_labelled(stage: Stage) -> None:
    """A part and an error are results of their own, with what was spent."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed, task: Task) -> Facts | Partial[Facts]:
        task.spend(micro_usd=70, input_tokens=5)
        task.spend(micro_usd=50)
        if parsed.name == "half":
            return task.partial(Facts("half"))
        raise TaskError("no-licence", "there is no licence file")

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "half"})
    half = await stage.router.next(Result)
    await stage.router.dispatch("extractor", {"name": "none"})
    none = await stage.router.next(Result)

    assert ("partial", {"licence": "half"}) == (half.record.outcome, body(half))
    assert Spent(micro_usd=120, input_tokens=5) == half.record.spent
    assert {"error": {"type": "no-licence", "message": "there is no licence file"}} == body(none)


class Counted:
    """A number as numerical libraries have them: no int, and as good as one."""

    def __index__(self) -> int:
        """Return it as an int."""
        return 7


@pytest.mark.parametrize(
    "spent",
    [{"micro_usd": 18.75}, {"requests": Fraction(1)}, {"output_tokens": object()}, {"input_tokens": 2**60}],
    ids=["a-float", "a-fraction", "an-object", "too-much"],
)
async def test_what_no_record_can_say_was_spent_is_the_authors_mistake(
    stage: Stage, spent: dict[str, Any]
) -> None:
    """It is told where it was said: written down it would take the whole answer along, or the agent."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed, task: Task) -> Facts:
        task.spend(**(spent if parsed.name == "odd" else {"requests": Counted()}))
        return Facts(parsed.name)

    await stage.start(agent, concurrency=1)
    await stage.router.dispatch("extractor", {"name": "odd"})
    odd = await stage.router.next(Result)
    await stage.router.dispatch("extractor", {"name": "even"})
    even = await stage.router.next(Result)

    assert ("error", "MisconfiguredError") == (odd.record.outcome, body(odd)["error"]["type"])
    assert next(iter(spent)) in body(odd)["error"]["message"]
    assert ("success", Spent(requests=7)) == (even.record.outcome, even.record.spent)


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"ceiling_micro_usd": 12.5}, "ceiling_micro_usd"),
        ({"ceiling_micro_usd": -1}, "ceiling_micro_usd"),
        ({"constraints": {"eu-only": True}}, "constraints"),
        ({"step": 3}, "step"),
        ({"timeout_s": "5"}, "timeout_s"),
        ({"timeout_s": float("inf")}, "timeout_s"),
        ({"fallback_owner": object()}, "unsupported"),
        ({"tool_outputs": (ToolOutput(tool="t", call="c", value="x" * 70_000),)}, "65536"),
        ({"timeout": 5}, "no 'timeout'"),
    ],
    ids=[
        "a-float",
        "negative",
        "a-bool",
        "no-text",
        "seconds-as-text",
        "without-end",
        "an-object",
        "too-large",
        "unknown",
    ],
)
async def test_a_handoff_that_nobody_could_read_is_the_authors_mistake(
    stage: Stage, part: dict[str, Any], field: str
) -> None:
    """It raises where it is made, nothing is sent or waited for, and the step can be handed on as it should be."""
    agent, told = Agent("planner", "1.0.0"), list[str]()
    sound: dict[str, Any] = {"to": "extractor", "contract": CONTRACT, "payload": {}, "step": "read"}

    @agent.accepts("licence-facts", "1.0.0")
    async def divide(parsed: Parsed, task: Task) -> Any:
        try:
            await task.delegate(**{**sound, **part})
        except MisconfiguredError as error:
            told.append(str(error))
        return await task.delegate(**sound)

    await stage.start(agent)
    await stage.router.dispatch("planner", {"name": "mortar"})
    handoff = await stage.router.next(Handoff)
    await stage.router.answer(handoff, {"licence": "MIT"})
    result = await stage.router.next(Result)

    assert field in told[0]
    assert ("read", "success", {"licence": "MIT"}) == (
        handoff.record.step, result.record.outcome, body(result),
    )  # fmt: skip
    assert ["read"] == [step.name for step in result.record.steps]


async def test_a_plan_that_nobody_could_read_is_the_authors_mistake(stage: Stage) -> None:
    """The next one is the first."""
    agent, receivers = Agent("planner", "1.0.0"), list[Any]([3, "extractor"])

    @agent.accepts("licence-facts", "1.0.0")
    async def divide(parsed: Parsed, task: Task) -> Any:
        with pytest.raises(MisconfiguredError, match=r"target\.agent"):
            await task.plan(subtask("read", contract=CONTRACT, to=receivers[0]))
        await task.plan(subtask("read", contract=CONTRACT, to=receivers[1]))
        return parsed.name

    await stage.start(agent)
    work = await stage.router.dispatch("planner", {"name": "mortar"})
    plan = await stage.router.next(Plan)

    assert plan_id(work.crossing, "planner", 0) == plan.record.id


async def test_a_result_that_nobody_could_read_becomes_an_error(stage: Stage) -> None:
    """What it tells of its steps is a little longer than the longest handoff, and no envelope holds it."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def divide(parsed: Parsed, task: Task) -> Facts:
        task.spend(requests=1)
        for length in range(64_000, 60_000, -20):
            with contextlib.suppress(MisconfiguredError):
                return await task.delegate(
                    to="extractor", contract=CONTRACT, payload={}, returns=Facts, step="x" * length
                )
        return Facts(parsed.name)

    await stage.start(agent)
    await stage.router.dispatch("planner", {"name": "mortar"})
    await stage.router.answer(await stage.router.next(Handoff), {"licence": "MIT"})
    result = await stage.router.next(Result)

    assert ("error", "UnwritableError") == (result.record.outcome, body(result)["error"]["type"])
    assert ((), Spent(requests=1)) == (result.record.steps, result.record.spent)


async def test_work_that_leaves_no_room_for_an_answer_ends_nobody(stage: Stage) -> None:
    """Its intent fills an envelope: no agent could answer it, and what lies behind it is done."""
    await stage.start(extractor(), concurrency=1)

    await stage.router.dispatch("extractor", {"name": "wordy"}, intent="x" * 64_000)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    result = await stage.router.next(Result)

    assert {"licence": "licence of mortar"} == body(result)


async def test_spending_that_no_record_can_tell_of_ends_nobody(stage: Stage) -> None:
    """An intent that leaves no room for a report of usage is no reason to stop work that lies beside it."""
    agent = Agent("extractor", "1.0.0")
    spent, swept = asyncio.Event(), asyncio.Event()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed, task: Task) -> Facts:
        task.spend(requests=1)
        spent.set()
        await swept.wait()
        return Facts(parsed.name)

    await stage.start(agent, heartbeat_ms=100)
    await stage.router.dispatch("extractor", {"name": "wordy"}, intent="x" * 64_400)
    await spent.wait()
    await stage.router.dispatch("extractor", {"name": "mortar"})
    await stage.router.next(Usage)
    swept.set()
    result = await stage.router.next(Result)

    assert {"licence": "mortar"} == body(result)


async def test_a_handoff_in_time_is_waited_for_over_heartbeats(stage: Stage) -> None:
    """Only what is long overdue is given up."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def divide(parsed: Parsed, task: Task) -> Facts:
        task.spend(requests=1)
        return await task.delegate(to="extractor", contract=CONTRACT, payload={}, returns=Facts, step="parse")

    await stage.start(agent, heartbeat_ms=100)
    await stage.router.dispatch("planner", {"name": "mortar"})
    handoff = await stage.router.next(Handoff)
    await stage.router.next(Usage)  # which goes with a heartbeat
    await stage.router.answer(handoff, {"licence": "MIT"})
    result = await stage.router.next(Result)

    assert {"licence": "MIT"} == body(result)


async def test_what_the_router_did_not_sign_is_never_run(stage: Stage) -> None:
    """Unsigned, forged, meant for others or changed: passed over, and what lies behind is done."""
    router = stage.router
    await stage.start(extractor())

    _, unsigned = router.work("extractor", {"name": "unsigned"})
    bare = tuple(header for header in unsigned.headers if header[0] not in {"sw_sig", "sw_kid"})
    await router.write(_with(unsigned, headers=bare))
    forger = ScriptedRouter(stage.log, router.platform, FORGER)
    await forger.dispatch("extractor", {"name": "forged"})
    _, borrowed = forger.work("extractor", {"name": "borrowed"})
    await router.write(_with_header(borrowed, "sw_kid", router.key.kid.encode()))
    _, other = router.work("compliance", {"name": "other"})
    await router.write(_with(other, topic="inbox.extractor.v1"))
    _, changed = router.work("extractor", {"name": "changed"})
    await router.write(_with(changed, value=b'{"name": "changed!"}'))
    await router.write(_with(changed, value=None))
    _, odd = router.work("extractor", {"name": "odd"})
    await router.write(_with_header(odd, "sw_crossing", b"\xff\x00"))
    await router.dispatch("extractor", {"name": "honest"})
    result = await router.next(Result)
    await router.read()

    assert {"licence": "licence of honest"} == body(result)
    assert [] == [each for each in router.seen if isinstance(each.record, Result)]


async def test_what_the_router_says_more_is_done_as_far_as_it_is_known(stage: Stage) -> None:
    """A newer router changes nothing for an older agent, and its stamp goes on as it came."""
    await stage.start(extractor())
    _, outgoing = stage.router.work("extractor", {"name": "mortar"})
    newer = _saying(stage.router, outgoing, hue="blue")
    await stage.router.write(newer)
    result = await stage.router.next(Result)

    assert {"licence": "licence of mortar"} == body(result)
    assert result.record.stamp is not None
    assert dict(newer.headers)["sw_envelope"] == result.record.stamp.envelope.encode()


async def test_what_the_router_signed_and_the_agent_cannot_read_ends_it(stage: Stage) -> None:
    """The position stays before it, so that a newer version of the SDK finds it."""
    agent = extractor()
    await stage.start(agent)
    _, outgoing = stage.router.work("extractor", {"name": "mortar"})
    await stage.router.write(_saying(stage.router, outgoing, enforcement="strictly"))
    with pytest.raises(MisconfiguredError, match="newer"):
        await asyncio.wait_for(agent.wait_broken(), 10)
    await stage.stop(agent)

    assert 0 == stage.committed(agent)


class BrokenRing:
    """A ring that cannot say whose key it is, as one whose catalog is gone."""

    def public_of(self, kid: str, at: int) -> str | None:
        """Fail."""
        raise LookupError(kid, at)


async def test_a_record_that_could_not_be_examined_is_read_again(stage: Stage) -> None:
    """Whatever went wrong: passed over, it would be work that nobody does and nobody hears of."""
    ran = list[str]()
    agent = extractor(ran=ran)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    await agent.start(settings=stage.settings(agent), log=stage.log, ring=BrokenRing())
    with pytest.raises(LookupError):
        await asyncio.wait_for(agent.wait_broken(), 10)
    await agent.stop()
    committed = stage.committed(agent)
    await stage.start(agent)
    await until(lambda: bool(ran))

    assert committed in (None, 0)


async def test_a_dispatch_is_run_once_however_often_it_is_read(stage: Stage) -> None:
    """The same dispatch again is a repeat; a finished one is not run again either."""
    router = stage.router
    await stage.start(extractor())
    work, outgoing = router.work("extractor", {"name": "mortar"})
    await router.write(outgoing)
    await router.write(outgoing)
    result = await router.next(Result)
    await router.tell("accepted", work, result.record.id)
    await router.write(outgoing)
    await router.dispatch("extractor", {"name": "last"})
    last = await router.next(Result)

    assert {"licence": "licence of last"} == body(last)


async def test_a_plan_is_asked_for_and_its_parts_are_handed_on(stage: Stage) -> None:
    """Nothing goes out before the router's word; a plan it refused may be followed by another."""
    agent, told = Agent("planner", "1.0.0"), list[str]()

    @agent.accepts("licence-facts", "1.0.0")
    async def divide(parsed: Parsed, task: Task) -> Any:
        try:
            await task.plan(subtask("never", contract=CONTRACT, to="extractor"))
        except Refused as refused:
            told.append(refused.rule)
        plan = await task.plan(subtask("read", contract=CONTRACT, to="extractor"))
        return await plan.ask("read", {"name": parsed.name})

    await stage.start(agent)
    work = await stage.router.dispatch("planner", {"name": "mortar"})
    first = await stage.router.next(Plan)
    await stage.router.tell("refused", work, first.record.id, rule="not-today")
    second = await stage.router.next(Plan)
    await stage.router.tell("accepted", work, second.record.id)
    handoff = await stage.router.next(Handoff)

    assert ["not-today"] == told
    assert [plan_id(work.crossing, "planner", ordinal) for ordinal in (0, 1)] == [
        first.record.id,
        second.record.id,
    ]
    assert ("read", "extractor") == (handoff.record.step, handoff.record.target.agent)


async def test_word_of_a_plan_from_an_earlier_run_does_not_end_the_work(stage: Stage) -> None:
    """After a crash the adoption comes before the function asks for it again; it goes on."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def divide(parsed: Parsed, task: Task) -> Any:
        plan = await task.plan(subtask("read", contract=CONTRACT, to="extractor"))
        return (await plan.ask("read", {"name": parsed.name})).value

    work = await stage.router.dispatch("planner", {"name": "mortar"})
    await stage.router.tell("accepted", work, plan_id(work.crossing, "planner", 0))
    await stage.start(agent)

    assert "read" == (await stage.router.next(Handoff)).record.step


@pytest.mark.parametrize("cut", [False, True], ids=["while it is held", "while it is sent"])
async def test_an_answer_waits_for_the_word_on_a_plan_that_was_given_up(stage: Stage, *, cut: bool) -> None:
    """Until then the router takes none: it would be refused, and nobody would give another."""
    agent, log = Agent("planner", "1.0.0"), Cut(stage.broker)
    stage.log = log

    @agent.accepts("licence-facts", "1.0.0")
    async def divide(parsed: Parsed, task: Task) -> Facts:
        log.write_cut = cut
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await task.plan(subtask("read", contract=CONTRACT, to="extractor"))
        log.write_cut = False
        return Facts("without it")

    await stage.start(agent)
    await stage.router.dispatch("planner", {"name": "mortar"})
    plan = await stage.router.next(Plan)
    await asyncio.sleep(0.1)
    await stage.router.read()
    early = [each for each in stage.router.seen if isinstance(each.record, Result)]
    await stage.router.tell_sender("refused", plan, rule="not-today")
    result = await stage.router.next(Result)

    assert [] == early
    assert {"licence": "without it"} == body(result)


@pytest.mark.parametrize("own", [True, False], ids=["own", "somebody-else's"])
async def test_word_that_a_place_was_given_away_ends_the_work_of_who_gave_it(
    stage: Stage, *, own: bool
) -> None:
    """By an earlier run, before a crash; below a handoff that we wait for, somebody else may do so as well."""
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    parent = work.crossing if own else "another-crossing"
    about = child_id(parent, "extractor", "take-over", 0)
    await stage.router.tell("accepted", work, about, step="take-over", ordinal=0)
    await stage.router.dispatch("extractor", {"name": "next"})
    await stage.start(extractor())
    first = await stage.router.next(Result)

    assert {"licence": "licence of next" if own else "licence of mortar"} == body(first)


@pytest.mark.parametrize("what", ["delegate", "hand_off", "plan", "progress"])
async def test_what_is_awaited_in_a_loop_of_the_functions_own_is_the_authors_mistake(
    stage: Stage, what: str
) -> None:
    """No answer would wake it there, and the work would wait for what it had sent until its deadline."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    def divide(parsed: Parsed, task: Task) -> Any:
        said: dict[str, Callable[[], Any]] = {
            "delegate": lambda: task.delegate(contract=CONTRACT, payload={}, step="parse", to="x"),
            "hand_off": lambda: task.hand_off(contract=CONTRACT, payload={}, step="parse", to="x"),
            "plan": lambda: task.plan(subtask("parse", contract=CONTRACT, to="x")),
            "progress": lambda: task.progress("on the way"),
        }
        return asyncio.run(said[what]())

    await stage.start(agent)
    await stage.router.dispatch("planner", {"name": "mortar"})
    result = await stage.router.next(Result)
    error = body(result)["error"]

    assert "MisconfiguredError" == error["type"]
    assert "_sync" in error["message"]
    assert [] == [each for each in stage.router.seen if not isinstance(each.record, Result)]


async def test_an_agent_says_when_it_is_ready_and_for_what(stage: Stage) -> None:
    """Nothing else would tell its author that it waits for work, and does not stand still on the way there."""
    with capture_logs() as said:
        await stage.start(extractor())
        await until(lambda: bool(said))

    assert ["agent ready"] == [line["event"] for line in said]
    assert ([CONTRACT], [0]) == (said[0]["accepts"], said[0]["partitions"])


async def test_an_instance_too_many_says_that_it_stands_by(stage: Stage) -> None:
    """It gets nothing to do as long as the others live."""
    first, second = extractor(), extractor()
    await stage.start(first)
    with capture_logs() as said:
        await stage.start(second)
        await until(lambda: any(line["event"].startswith("agent stands by") for line in said))
        await stage.stop(first)
        await until(lambda: any(line["event"] == "agent ready" for line in said))


async def test_a_program_called_by_another_version_than_its_document_says_what_it_passes_over(
    stage: Stage,
) -> None:
    """Its author waits for work that goes to a version that nobody runs."""
    with capture_logs() as said:
        await stage.start(extractor("1.1.0"))
        for _ in range(2):
            await stage.router.dispatch("extractor", {"name": "mortar"}, version="1.0.0")
        await _until_read(stage, 2)

    assert ["1.0.0"] == [line["other"] for line in said if "other" in line]


async def test_work_that_is_over_by_the_agents_clock_alone_is_told_of(stage: Stage) -> None:
    """A clock that is wrong makes an agent drop all its work, and everybody else sees but silence."""
    clock = SettableClock(SystemClock().now_ms() + 2 * 3_600_000)
    agent = extractor()
    with capture_logs() as said:
        await agent.start(settings=stage.settings(agent), log=stage.log, clock=clock)
        work = await stage.router.dispatch("extractor", {"name": "mortar"})
        await _until_committed(stage, agent, 1)
        await agent.stop()

    (told,) = [line for line in said if "clock" in line["event"]]
    assert (work.task, clock.now_ms() - work.not_after) == (told["task"], told["late_ms"])


async def test_work_that_no_function_accepts_is_answered_and_told_of(stage: Stage) -> None:
    """Whoever waits hears of it, and so does whoever reads the agent's log."""
    with capture_logs() as said:
        await stage.start(extractor())
        await stage.router.dispatch("extractor", {"name": "mortar"}, contract="licence-facts/1.0.1")
        result = await stage.router.next(Result)
    error = body(result)["error"]

    assert "ContractNotAccepted" == error["type"]
    assert [error["message"]] == [line["error"] for line in said if "error" in line]


async def test_a_function_that_blocks_the_loop_is_told_of(stage: Stage) -> None:
    """Its author sees work time out, and nothing that would say why."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        time.sleep(1.2)  # noqa: ASYNC251  # as authors do
        return Facts(parsed.name)

    with capture_logs() as said:
        await stage.start(agent, heartbeat_ms=100)
        await stage.router.dispatch("extractor", {"name": "mortar"})
        await stage.router.next(Result)
        await until(lambda: any("for_s" in line for line in said))

    assert ["warning"] == [line["log_level"] for line in said if "for_s" in line]


async def test_only_finished_work_is_committed(stage: Stage) -> None:
    """The position stands before the first dispatch that is not over, whatever is over behind it."""
    router, agent = stage.router, extractor()
    await stage.start(agent)
    first = await router.dispatch("extractor", {"name": "first"})
    second = await router.dispatch("extractor", {"name": "second"})
    answers = {
        answer.record.dispatch: answer.record.id for answer in [await router.next(Result) for _ in range(2)]
    }

    await router.tell("accepted", second, answers[second.dispatch])
    await stage.stop(agent)
    before = stage.committed(agent)
    await stage.start(agent)
    await router.tell("accepted", first, answers[first.dispatch])
    await _until_committed(stage, agent, 4)

    assert 0 == before


async def test_a_cancellation_in_the_log_removes_queued_work(stage: Stage) -> None:
    """The agent reads to the end before it runs: what was cancelled while it was away never starts."""
    router, ran = stage.router, list[str]()
    agent = extractor(ran=ran)
    cancelled = await router.dispatch("extractor", {"name": "cancelled"})
    older = await router.dispatch("extractor", {"name": "older"})
    newer = await router.dispatch(
        "extractor", {"name": "newer"}, task=older.task, crossing=older.crossing, attempt=2
    )
    await router.tell("cancelled", cancelled, cancelled.crossing)

    await stage.start(agent)
    result = await router.next(Result)
    await router.dispatch("extractor", {"name": "last"})
    await router.next(Result)

    assert newer.dispatch == result.record.dispatch
    assert ["newer", "last"] == ran


async def test_what_runs_out_in_the_queue_is_not_begun(stage: Stage) -> None:
    """Its stamp allows nothing any more, whether or not the router has come round to saying so."""
    begun, go_on, router = list[str](), asyncio.Event(), stage.router
    agent = patient(begun, go_on)
    soon = SystemClock().now_ms() + 300
    await router.dispatch("extractor", {"name": "first"})
    await router.dispatch("extractor", {"name": "out of time"}, not_after=soon)
    await router.dispatch("extractor", {"name": "last"})
    await stage.start(agent, concurrency=1)
    await until(lambda: SystemClock().now_ms() > soon)
    go_on.set()
    for _ in range(2):
        await router.next(Result)

    assert ["first", "last"] == begun


async def test_word_of_an_earlier_dispatch_does_not_end_the_next(stage: Stage) -> None:
    """The router publishes again after a crash: an old notice may lie behind the new work."""
    router, agent = stage.router, extractor()
    older = await router.dispatch("extractor", {"name": "older"})
    await router.tell("expired", older, older.crossing)
    newer = await router.dispatch(
        "extractor", {"name": "newer"}, task=older.task, crossing=older.crossing, attempt=2
    )
    await router.tell("expired", older, older.crossing)

    await stage.start(agent)
    result = await router.next(Result)

    assert newer.dispatch == result.record.dispatch


@pytest.mark.parametrize(
    ("rule", "outcome"), [("stamp-closed", "success"), ("stopping", "success"), ("no-flow-edge", "error")]
)
async def test_what_was_refused_for_an_earlier_stamp_alone_is_waited_for(
    stage: Stage, rule: str, outcome: str
) -> None:
    """Handed on again under the next dispatch it is judged anew; any other refusal is of the work itself."""
    router = stage.router
    older, _ = router.work("planner", {}, contract="plan/1.0.0")
    await stage.start(_asking_agent())
    await router.dispatch(
        "planner", {}, contract="plan/1.0.0", task=older.task, crossing=older.crossing, attempt=2
    )
    handoff = await router.next(Handoff)
    await router.tell("refused", older, handoff.record.id, rule=rule, step="extract", ordinal=0)
    await router.answer(handoff, {"licence": "MIT"})
    result = await router.next(Result)

    assert outcome == result.record.outcome


async def test_an_earlier_dispatch_that_comes_late_does_not_end_the_next(stage: Stage) -> None:
    """A router that was taken over from may still write what it had in hand; under that stamp nothing counts."""
    router, begun, go_on = stage.router, list[str](), asyncio.Event()
    older, late = router.work("extractor", {"name": "older"})
    await stage.start(patient(begun, go_on))
    newer = await router.dispatch(
        "extractor", {"name": "newer"}, task=older.task, crossing=older.crossing, attempt=2
    )
    await until(lambda: "newer" in begun)
    await router.write(late)
    await _until_read(stage, 2)
    go_on.set()
    result = await router.next(Result)

    assert newer.dispatch == result.record.dispatch
    assert ["newer"] == begun


async def test_nothing_runs_before_the_inbox_is_read_to_its_end(stage: Stage) -> None:
    """The cancellation may lie many reads behind the work that it removes."""
    router, agent = stage.router, extractor()
    cancelled = await router.dispatch("extractor", {"name": "cancelled"})
    for _ in range(600):
        await router.tell("accepted", cancelled, "something-else", version="9.9.9")
    await router.tell("cancelled", cancelled, cancelled.crossing)
    await router.dispatch("extractor", {"name": "last"})

    await stage.start(agent)
    result = await router.next(Result)

    assert {"licence": "licence of last"} == body(result)


async def test_who_was_away_reads_what_came_before_it_begins(stage: Stage) -> None:
    """
    Stopped while it waits for word that its acceptance is in the log; meanwhile another instance did the work.

    The word of that ends the dispatch before its function has begun, and work that is still open begins as ever.
    """
    router, agent, ran = stage.router, Agent("extractor", "1.0.0"), list[str]()
    stage.log.session_s = 1.0

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        ran.append(parsed.name)
        return Facts(parsed.name)

    work, outgoing = router.work("extractor", {"name": "done elsewhere"}, authority=PAYING)
    stopped = False

    async def step(what: str) -> None:
        nonlocal stopped
        current = asyncio.current_task()
        if not stopped and current is not None and current.get_name() == f"dispatch-{work.dispatch}":
            stopped = True
            await router.tell("accepted", work, answer_id(work.dispatch, 0))
            time.sleep(0.6)  # noqa: ASYNC251  # the whole process stands still

    stage.broker.step = step
    await stage.start(agent)
    await router.write(outgoing)
    await until(lambda: stopped)
    await router.dispatch("extractor", {"name": "open"})
    await router.next(Result)

    assert ["open"] == ran


async def test_a_partition_that_comes_straight_back_keeps_its_work(stage: Stage) -> None:
    """A rebalance takes everything away for a moment; what runs is not run again."""
    begun, go_on = list[str](), asyncio.Event()
    agent = patient(begun, go_on)

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    await until(lambda: len(begun) == 1)
    await stage.start(extractor())
    go_on.set()
    result = await stage.router.next(Result)
    await stage.router.dispatch("extractor", {"name": "next"})
    await stage.router.next(Result)

    assert {"licence": "mortar"} == body(result)
    assert ["mortar", "next"] == begun


async def test_a_partition_that_goes_elsewhere_takes_its_work_along(stage: Stage) -> None:
    """The other instance runs it; the first one stops, and both would answer under one id."""
    agent, begun, ended = Agent("extractor", "1.0.0"), asyncio.Event(), asyncio.Event()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Facts(parsed.name)

    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    await asyncio.wait_for(begun.wait(), 10)
    await stage.start(extractor())
    first, second = stage.broker.group("agent-extractor.1-0-0").members
    await stage.broker.assign("agent-extractor.1-0-0", {first: frozenset(), second: frozenset({0})})
    await asyncio.wait_for(ended.wait(), 10)
    result = await stage.router.next(Result)

    assert (answer_id(work.dispatch, 0), {"licence": "licence of mortar"}) == (result.record.id, body(result))


async def test_a_record_whose_outcome_is_unknown_is_sent_again(stage: Stage) -> None:
    """Twice in the log is harmless, missing is not: the ids are the same."""
    await stage.start(extractor())
    for fault in (Fault.LOST_WRITE, Fault.LOST_ACK):
        stage.broker.inject(fault, "handoffs.v1")

    await stage.router.dispatch("extractor", {"name": "mortar"}, authority=PAYING)
    accepted = [await stage.router.next(Progress) for _ in range(2)]
    await stage.router.next(Result)

    assert accepted[0].record == accepted[1].record


async def test_a_result_that_is_no_json_becomes_an_error(stage: Stage) -> None:
    """Somebody waits for it, whatever the function returned."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Any:
        return Partial(object()) if parsed.name == "half" else {"licence": object()}

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "whole"})
    whole = await stage.router.next(Result)
    await stage.router.dispatch("extractor", {"name": "half"})
    half = await stage.router.next(Result)

    assert [("error", "PayloadError")] * 2 == [
        (one.record.outcome, body(one)["error"]["type"]) for one in (whole, half)
    ]


async def test_a_plain_function_that_returns_a_coroutine_is_awaited(stage: Stage) -> None:
    """So do decorators that know nothing of coroutines."""
    agent = Agent("extractor", "1.0.0")

    async def extract(parsed: Parsed) -> Facts:
        await asyncio.sleep(0)
        return Facts(parsed.name)

    @agent.accepts("licence-facts", "1.0.0")
    def decorated(parsed: Parsed) -> Any:
        return extract(parsed)

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    result = await stage.router.next(Result)

    assert {"licence": "mortar"} == body(result)


async def test_a_result_that_is_too_large_becomes_an_error(stage: Stage) -> None:
    """The one who waits is told, instead of nobody."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        return Facts("x" * 2_000_000)

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    result = await stage.router.next(Result)

    assert ("error", "PayloadTooLarge") == (result.record.outcome, body(result)["error"]["type"])


async def test_an_inbox_that_was_trimmed_unread_ends_the_agent(stage: Stage) -> None:
    """Nothing is skipped: an operator decides."""
    agent = extractor()
    await stage.start(agent)
    await stage.stop(agent)
    place = Partition("inbox.extractor.v1", 0)
    await stage.router.dispatch("extractor", {"name": "lost"})
    stage.broker.group("agent-extractor.1-0-0").committed[place] = 0
    await stage.log.trim(place, 1)

    await stage.start(agent)
    with pytest.raises(LogGapError):
        await asyncio.wait_for(agent.wait_broken(), 10)


async def test_an_agent_that_may_not_write_ends(stage: Stage) -> None:
    """It would otherwise take work and never answer."""
    agent = extractor()
    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    stage.broker.deny("handoffs.v1")

    with pytest.raises(MisconfiguredError, match=r"handoffs\.v1 cannot be written"):
        await asyncio.wait_for(agent.wait_broken(), 10)


async def test_a_running_coroutine_is_cancelled(stage: Stage) -> None:
    """A notice ends the function where it stands, and no result is sent."""
    agent, begun, ended = Agent("extractor", "1.0.0"), asyncio.Event(), asyncio.Event()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Facts(parsed.name)

    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    await asyncio.wait_for(begun.wait(), 10)
    await stage.router.tell("cancelled", work, work.crossing)
    await asyncio.wait_for(ended.wait(), 10)
    await _until_committed(stage, agent, 2)
    await stage.router.read()

    assert [] == [each for each in stage.router.seen if isinstance(each.record, Result)]


async def test_a_plain_function_can_see_that_it_was_cancelled(stage: Stage) -> None:
    """A thread cannot be stopped; it is told, and its waiting for others ends."""
    agent, told = Agent("extractor", "1.0.0"), list[str]()

    @agent.accepts("licence-facts", "1.0.0")
    def extract(parsed: Parsed, task: Task) -> Facts:
        try:
            task.delegate_sync(to="parser", contract="parse/1.0.0", payload={}, step="parse")
        except Cancelled as error:
            told.append(error.rule)
        told.append(str(task.cancelled))
        return Facts(parsed.name)

    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    await stage.router.next(Handoff)
    await stage.router.tell("cancelled", work, work.crossing)
    await until(lambda: len(told) == 2)

    assert ["cancelled", "True"] == told


@pytest.mark.parametrize("how", ["cancelled", "expired"])
async def test_a_thread_whose_work_is_over_hands_nothing_on(stage: Stage, how: str) -> None:
    """The next attempt makes the same handoffs under the same ids: an earlier one must not get them refused."""
    agent, begun, told = Agent("planner", "1.0.0"), threading.Event(), list[str]()

    @agent.accepts("licence-facts", "1.0.0")
    def divide(parsed: Parsed, task: Task) -> Facts:
        begun.set()
        while not task.cancelled:
            time.sleep(0.005)
        for hand_on in (task.delegate_sync, task.hand_off_sync):
            try:
                hand_on(to="extractor", contract=CONTRACT, payload={}, step="late")
            except Cancelled as error:
                told.append(error.rule)
        task.progress_sync("going on")
        told.append("done")
        return Facts(parsed.name)

    await stage.start(agent)
    work = await stage.router.dispatch("planner", {"name": "mortar"})
    await until(begun.is_set)
    await stage.router.next(Progress)
    await stage.router.tell(how, work, work.crossing)
    await until(lambda: "done" in told)
    await stage.router.read()

    assert [how, how, "done"] == told
    assert [] == stage.router.seen


async def test_what_a_cancelled_function_leaves_behind_hands_nothing_on(stage: Stage) -> None:
    """A task of its own, which nobody cancels, is told that it comes too late: with a handoff or with a plan."""
    agent, go_on, told = Agent("planner", "1.0.0"), asyncio.Event(), list[str]()
    left_behind = list[asyncio.Task[None]]()

    @agent.accepts("licence-facts", "1.0.0")
    async def divide(parsed: Parsed, task: Task) -> Facts:
        async def later() -> None:
            await go_on.wait()
            try:
                await task.delegate(to="extractor", contract=CONTRACT, payload={}, step="late")
            except Cancelled as error:
                told.append(error.rule)
            try:
                await task.plan(subtask("late", contract=CONTRACT, to="extractor"))
            except Cancelled as error:
                told.append(error.rule)

        left_behind.append(asyncio.create_task(later()))
        await asyncio.Event().wait()
        return Facts(parsed.name)

    await stage.start(agent)
    work = await stage.router.dispatch("planner", {"name": "mortar"})
    await stage.router.next(Progress)
    await stage.router.tell("cancelled", work, work.crossing)
    await _until_committed(stage, agent, 2)
    go_on.set()
    async with asyncio.timeout(10):
        await asyncio.gather(*left_behind)
    await stage.router.read()

    assert ["cancelled", "cancelled"] == told
    assert [] == stage.router.seen


async def test_a_handoff_carries_what_the_stamp_says(stage: Stage) -> None:
    """Intent verbatim, constraints grown, parent, ids derived, a deadline within the own."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed, task: Task) -> Facts:
        return await task.delegate(
            to="parser", contract="parse/1.0.0", payload=parsed, returns=Facts, step="parse", ordinal=3,
            ceiling_micro_usd=10, constraints={"region": "eu"}, authority=Authority(tools=("read",)), timeout_s=60,
        )  # fmt: skip

    await stage.start(agent)
    work = await stage.router.dispatch(
        "extractor", {"name": "mortar"}, constraints=(Constraint(name="a", value="b"),)
    )
    handoff = await stage.router.next(Handoff)
    await stage.router.answer(handoff, {"licence": "MIT"})
    result = await stage.router.next(Result)

    sent = handoff.record
    assert child_id(work.crossing, "extractor", "parse", 3) == sent.id
    assert (work.crossing, work.task, INTENT) == (sent.parent, sent.task, sent.intent)
    assert (Constraint(name="a", value="b"), Constraint(name="region", value="eu")) == sent.constraints
    assert (Authority(tools=("read",)), 10) == (sent.authority, sent.ceiling_micro_usd)
    assert sent.sent_at + 60_000 >= sent.deadline_at
    assert {"licence": "MIT"} == body(result)
    assert ["completed"] == [step.state for step in result.record.steps]
    assert work.dispatch == json.loads(sent.stamp.envelope)["dispatch"] if sent.stamp else False


async def test_work_fans_out_and_joins(stage: Stage) -> None:
    """More handoffs at once than there are seats, answered in any order."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("plan", "1.0.0")
    async def plan(names: list[str], task: Task) -> list[str]:
        answers = await asyncio.gather(
            *(
                task.delegate(
                    to="extractor", contract=CONTRACT, payload={"name": name}, returns=Facts, step=f"e-{name}"
                )
                for name in names
            )
        )
        return [facts.licence for facts in answers]

    await stage.start(agent, concurrency=1)
    names = [f"n{number}" for number in range(20)]
    await stage.router.dispatch("planner", names, contract="plan/1.0.0")
    handoffs = [await stage.router.next(Handoff) for _ in names]
    for handoff in reversed(handoffs):
        await stage.router.answer(handoff, {"licence": body(handoff)["name"]})
    result = await stage.router.next(Result)

    assert names == body(result)


@pytest.mark.parametrize(
    ("what", "error"),
    [("refused", "Refused"), ("failed", "Failed"), ("expired", "Expired"), ("cancelled", "Cancelled")],
)
async def test_a_handoff_that_brings_nothing_back_says_why(stage: Stage, what: str, error: str) -> None:
    """The sender gets the rule, the reason and who decided; unhandled, it becomes the own error."""
    await stage.start(_asking_agent())

    work = await stage.router.dispatch("planner", {}, contract="plan/1.0.0")
    handoff = await stage.router.next(Handoff)
    await stage.router.tell(
        what,
        work,
        handoff.record.id,
        gate="policy-engine",
        rule="no-weekend",
        reason="field day is not a weekday",
    )
    result = await stage.router.next(Result)

    assert ("error", error) == (result.record.outcome, body(result)["error"]["type"])
    assert "policy-engine (no-weekend): field day is not a weekday" in body(result)["error"]["message"]


async def test_part_of_an_answer_is_never_taken_for_the_whole(stage: Stage) -> None:
    """`delegate` raises on a partial answer, `ask` returns it with its label."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("plan", "1.0.0")
    async def plan(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        try:
            await task.delegate(to="extractor", contract=CONTRACT, payload={}, returns=Facts, step="whole")
        except PartialAnswer as error:
            part = error.value
        labelled = await task.ask(to="extractor", contract=CONTRACT, payload={}, returns=Facts, step="part")
        return {"part": part, "label": labelled.outcome, "value": labelled.value}

    await stage.start(agent)
    await stage.router.dispatch("planner", {}, contract="plan/1.0.0")
    for _ in range(2):
        await stage.router.answer(await stage.router.next(Handoff), {"licence": "MIT"}, "partial")
    result = await stage.router.next(Result)

    assert {"part": {"licence": "MIT"}, "label": "partial", "value": {"licence": "MIT"}} == body(result)


@pytest.mark.parametrize("more", [{}, {"line": 3, "seen": ["MIT"]}], ids=["plain", "with more"])
async def test_an_answer_that_is_an_error_fails_the_step(stage: Stage, more: dict[str, Any]) -> None:
    """The receiver's own words come with it, whatever else its contract lets an error say."""
    agent, heard = Agent("planner", "1.0.0"), list[Failed]()

    @agent.accepts("plan", "1.0.0")
    async def plan(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        try:
            await task.delegate(capability="extract", contract=CONTRACT, payload=payload, step="extract")
        except Failed as error:
            heard.append(error)
        return {}

    await stage.start(agent)
    await stage.router.dispatch("planner", {}, contract="plan/1.0.0")
    handoff = await stage.router.next(Handoff)
    error = {"type": "no-licence", "message": "none found", **more}
    await stage.router.answer(handoff, {"error": error, "tried": 2}, "error")
    await stage.router.next(Result)

    assert ("extract", None) == (handoff.record.target.capability, handoff.record.target.agent)
    assert [("no-licence", "none found")] == [(error.rule, error.reason) for error in heard]


async def test_a_second_run_sends_the_same_ids(stage: Stage) -> None:
    """After a crash the function runs from the top; what it sent before is recognised by its ids."""
    router = stage.router
    agent = _asking_agent()
    await stage.start(agent)
    await router.dispatch("planner", {}, contract="plan/1.0.0")
    before = await router.next(Handoff)
    await stage.stop(agent)

    await stage.start(agent)
    again = await router.next(Handoff)
    await router.answer(again, {"licence": "MIT"})
    first = await router.next(Result)
    await stage.stop(agent)
    await stage.start(agent)
    second = await router.next(Result)

    assert (before.record.id, before.payload) == (again.record.id, again.payload)
    assert (first.record.id, first.payload) == (second.record.id, second.payload)


async def test_an_answer_that_lies_in_the_inbox_is_used_without_asking_again(stage: Stage) -> None:
    """What came while the agent was away is there when the second run asks for it."""
    router = stage.router
    agent = _asking_agent()
    await stage.start(agent)
    await router.dispatch("planner", {}, contract="plan/1.0.0")
    handoff = await router.next(Handoff)
    await stage.stop(agent)
    await router.answer(handoff, {"licence": "MIT"})

    await stage.start(agent)
    result = await router.next(Result)
    await router.read()

    assert {"licence": "MIT"} == body(result)
    assert [] == [each for each in router.seen if isinstance(each.record, Handoff)]


async def test_a_step_handed_on_twice_with_another_content_is_the_authors_mistake(stage: Stage) -> None:
    """The same step and ordinal would be the same id; the message says what to do."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("plan", "1.0.0")
    async def plan(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        await asyncio.gather(
            *(
                task.delegate(to="x", contract=CONTRACT, payload={"n": number}, step="same")
                for number in range(2)
            )
        )
        return payload

    await stage.start(agent)
    await stage.router.dispatch("planner", {}, contract="plan/1.0.0")
    await stage.router.answer(await stage.router.next(Handoff), {})
    result = await stage.router.next(Result)

    assert "give each handoff of a step its own ordinal" in body(result)["error"]["message"]


async def test_a_refused_answer_can_be_mended(stage: Stage) -> None:
    """The hook's answer takes the next ordinal; without a hook the agent is done."""
    agent, refusals = Agent("extractor", "1.0.0"), list[Refusal]()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        return Facts(parsed.name)

    @extract.on_refused
    async def mend(parsed: Parsed, refusal: Refusal) -> Facts:
        refusals.append(refusal)
        return Facts(f"{parsed.name} mended")

    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    first = await stage.router.next(Result)
    await stage.router.tell("refused", work, first.record.id, rule="every-licence", corrections_left=1)
    second = await stage.router.next(Result)
    await stage.router.tell("refused", work, first.record.id, rule="every-licence", corrections_left=1)
    await stage.router.dispatch("extractor", {"name": "other"})
    other = await stage.router.next(Result)
    await stage.router.tell("refused", work, second.record.id, rule="every-licence", corrections_left=0)
    await _until_committed(stage, agent, 3)

    assert {"licence": "other"} == body(other)
    assert (answer_id(work.dispatch, 1), {"licence": "mortar mended"}) == (second.record.id, body(second))
    assert [("every-licence", 0)] == [(refusal.rule, refusal.ordinal) for refusal in refusals]


async def test_what_a_correction_costs_is_added_to_what_was_spent_before(stage: Stage) -> None:
    """The account belongs to the dispatch: the second answer names both."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed, task: Task) -> Facts:
        task.spend(micro_usd=30, requests=1)
        return Facts(parsed.name)

    @extract.on_refused
    async def mend(parsed: Parsed, refusal: Refusal, task: Task) -> Facts:
        task.spend(micro_usd=12, requests=1)
        return Facts(parsed.name)

    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    first = await stage.router.next(Result)
    await stage.router.tell("refused", work, first.record.id, rule="every-licence", corrections_left=1)
    second = await stage.router.next(Result)

    assert Spent(micro_usd=30, requests=1) == first.record.spent
    assert Spent(micro_usd=42, requests=2) == second.record.spent


async def test_nothing_spent_and_nobody_knows_are_two_things(stage: Stage) -> None:
    """A cost of nothing is said as such; one that is not known any more stays unknown, whatever is added."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed, task: Task) -> Facts:
        task.spend(micro_usd=0, requests=1)
        if parsed.name != "free":
            task.spent_unknown()
        if parsed.name == "unknown":
            task.spend(micro_usd=5, requests=1)
        return Facts(parsed.name)

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "free"})
    free = await stage.router.next(Result)
    await stage.router.dispatch("extractor", {"name": "unknown"})
    unknown = await stage.router.next(Result)
    await stage.router.dispatch("extractor", {"name": "unknown at last"})
    last = await stage.router.next(Result)

    assert Spent(micro_usd=0, requests=1) == free.record.spent
    assert Spent(requests=2) == unknown.record.spent
    assert Spent(requests=1) == last.record.spent


async def test_a_refusal_that_came_while_the_agent_was_away_is_mended_at_the_start(stage: Stage) -> None:
    """The function itself is not run again: its answer was judged already."""
    agent, runs = Agent("extractor", "1.0.0"), list[str]()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        runs.append("function")
        return Facts(parsed.name)

    @extract.on_refused
    async def mend(parsed: Parsed) -> Facts:
        runs.append("hook")
        return Facts(parsed.name)

    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    first = await stage.router.next(Result)
    await stage.stop(agent)
    await stage.router.tell("refused", work, first.record.id, rule="every-licence", corrections_left=1)
    await stage.start(agent)
    second = await stage.router.next(Result)

    assert ["function", "hook"] == runs
    assert answer_id(work.dispatch, 1) == second.record.id


async def test_what_mends_another_programs_answer_accepts_work_with_effects_first(stage: Stage) -> None:
    """Whoever answered under this agent's name accepted nothing, and the hook may pay."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def pay(parsed: Parsed) -> Facts:
        return Facts(parsed.name)

    @pay.on_refused
    async def mend(parsed: Parsed) -> Facts:
        return Facts("paid")

    work = await stage.router.dispatch("extractor", {"name": "mortar"}, authority=PAYING)
    hasty = answer_id(work.dispatch, 0)
    await stage.router.tell("refused", work, hasty, rule="taken-in-differs", corrections_left=1)
    await stage.start(agent)
    accepted = await stage.router.next(Progress)
    second = await stage.router.next(Result)

    assert (True, work.dispatch) == (accepted.record.accepted_work, accepted.record.dispatch)
    assert accepted.raw.offset < second.raw.offset
    assert {"licence": "paid"} == body(second)


async def test_a_refusal_that_comes_while_the_function_runs_again_is_mended_after_it(stage: Stage) -> None:
    """What it returns would be another answer than the one that was judged; the contract wants that one mended."""
    agent, runs, go_on = Agent("extractor", "1.0.0"), list[str](), asyncio.Event()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        runs.append("function")
        await go_on.wait()
        return Facts("again")

    @extract.on_refused
    async def mend(parsed: Parsed, refusal: Refusal) -> Facts:
        runs.append(refusal.rule)
        return Facts("mended")

    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    await until(lambda: bool(runs))
    earlier = answer_id(work.dispatch, 0)
    await stage.router.tell("refused", work, earlier, rule="every-licence", corrections_left=1)
    await _until_read(stage, 2)
    go_on.set()
    result = await stage.router.next(Result)
    await stage.router.dispatch("extractor", {"name": "other"})
    await stage.router.next(Result)

    assert ["function", "every-licence", "function"] == runs
    assert (answer_id(work.dispatch, 1), {"licence": "mended"}) == (result.record.id, body(result))


async def test_a_refusal_that_comes_before_the_log_has_confirmed_the_answer_is_mended(stage: Stage) -> None:
    """The gates may have read an answer before whoever sent it hears that it arrived."""
    agent, log = Agent("extractor", "1.0.0"), SlowToConfirm(stage.broker)
    stage.log = log

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        return Facts(parsed.name)

    @extract.on_refused
    async def mend(parsed: Parsed) -> Facts:
        return Facts("mended")

    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    first = await stage.router.next(Result)
    await stage.router.tell("refused", work, first.record.id, rule="every-licence", corrections_left=1)
    await _until_read(stage, 2)
    log.confirm.set()
    second = await stage.router.next(Result)

    assert (answer_id(work.dispatch, 1), {"licence": "mended"}) == (second.record.id, body(second))


@pytest.mark.parametrize("hook", [False, True], ids=["without a hook", "with one"])
async def test_a_function_that_will_not_be_cancelled_does_not_run_again_when_it_is_over(
    stage: Stage, *, hook: bool
) -> None:
    """Word of an earlier answer ends the dispatch while the function runs once more; nothing runs after that."""
    agent, runs, running = Agent("extractor", "1.0.0"), list[str](), asyncio.Event()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        runs.append("function")
        running.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return Facts(parsed.name)

    if hook:

        @extract.on_refused
        async def mend(parsed: Parsed) -> Facts:
            runs.append("hook")
            return Facts(parsed.name)

    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    await running.wait()
    await stage.router.tell(
        "refused", work, answer_id(work.dispatch, 0), rule="every-licence", corrections_left=0
    )
    await _until_committed(stage, agent, 2)
    await asyncio.sleep(0.1)
    await stage.router.read()

    assert ["function"] == runs
    assert [] == [each for each in stage.router.seen if isinstance(each.record, Result)]


async def test_a_transfer_ends_the_own_work(stage: Stage) -> None:
    """Once the transfer is dispatched the receiver answers, and this agent sends no result."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed, task: Task) -> Facts | Transferred:
        task.spend(requests=1)
        try:
            await task.hand_off(to="nobody", contract=CONTRACT, payload=parsed, step="wrong")
        except Refused:
            return await task.hand_off(to="lawyer", contract=CONTRACT, payload=parsed, step="right")
        return Facts("not reached")

    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    wrong = await stage.router.next(Handoff, step="wrong")
    await stage.router.tell("refused", work, wrong.record.id, rule="no-candidate")
    right = await stage.router.next(Handoff, step="right")
    await stage.router.tell("accepted", work, right.record.id)
    await _until_committed(stage, agent, 3)
    await stage.router.read()

    assert ("transfer", Spent(requests=1)) == (right.record.mode, right.record.spent)
    assert [] == [each for each in stage.router.seen if isinstance(each.record, Result)]


async def test_what_is_handed_on_beside_a_transfer_is_let_go_with_it(stage: Stage) -> None:
    """Nobody answers it once the place is given away: whoever waited for it would wait for ever."""
    agent, told = Agent("planner", "1.0.0"), list[str]()

    @agent.accepts("licence-facts", "1.0.0")
    async def pass_on(parsed: Parsed, task: Task) -> Any:
        over = asyncio.create_task(task.hand_off(to="lawyer", contract=CONTRACT, payload={}, step="over"))
        await asyncio.sleep(0)
        try:
            await task.delegate(to="extractor", contract=CONTRACT, payload={}, step="beside")
        except Cancelled as cancelled:
            told.append(cancelled.rule)
        return await over

    await stage.start(agent)
    work = await stage.router.dispatch("planner", {"name": "mortar"})
    over = await stage.router.next(Handoff, step="over")
    await stage.router.next(Handoff, step="beside")
    await stage.router.tell("accepted", work, over.record.id)
    await until(lambda: bool(told))

    assert ["transferred"] == told


async def test_a_place_that_was_taken_after_all_ends_the_own_work(stage: Stage) -> None:
    """A function may give up waiting for one receiver and turn to the next; it is the first who took the place."""
    agent, told = Agent("extractor", "1.0.0"), list[str]()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed, task: Task) -> Any:
        try:
            async with asyncio.timeout(0.05):
                return await task.hand_off(to="slow", contract=CONTRACT, payload=parsed, step="first")
        except TimeoutError:
            given_up.set()
        try:
            return await task.hand_off(to="lawyer", contract=CONTRACT, payload=parsed, step="second")
        except Cancelled as cancelled:
            told.append(cancelled.rule)
            raise

    given_up = asyncio.Event()
    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    first = await stage.router.next(Handoff, step="first")
    await given_up.wait()
    await stage.router.tell("accepted", work, first.record.id)
    await _until_committed(stage, agent, 2)
    await until(lambda: bool(told))
    await stage.router.read()

    assert ["transferred"] == told
    assert [] == [each for each in stage.router.seen if isinstance(each.record, Handoff | Result)]


async def test_a_place_that_nobody_took_is_not_given_away(stage: Stage) -> None:
    """Nobody else would answer, and whoever waits would hear of it at the deadline."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Any:
        return Transferred()

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    result = await stage.router.next(Result)

    assert ("error", "NothingTransferred") == (result.record.outcome, body(result)["error"]["type"])


async def test_a_plain_function_gives_its_place_away_too(stage: Stage) -> None:
    """To whom it says, and what it says."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    def pass_on(parsed: Parsed, task: Task) -> Any:
        return task.hand_off_sync(
            contract=CONTRACT, payload={"name": parsed.name}, step="all", to="extractor", ceiling_micro_usd=7
        )

    await stage.start(agent)
    await stage.router.dispatch("planner", {"name": "mortar"})
    handoff = await stage.router.next(Handoff)
    await stage.router.tell_sender("accepted", handoff)
    await _until_committed(stage, agent, 2)

    assert ("transfer", "extractor", 7) == (
        handoff.record.mode, handoff.record.target.agent, handoff.record.ceiling_micro_usd,
    )  # fmt: skip


@pytest.mark.parametrize("what", ["handoff", "plan"])
async def test_what_a_function_leaves_behind_hands_nothing_on_after_it(stage: Stage, what: str) -> None:
    """Its answer is on its way by then, and whoever does not wait for a handoff, or a plan, is told so."""
    agent, told, go_on = Agent("planner", "1.0.0"), list[str](), asyncio.Event()
    behind = list[asyncio.Task[None]]()

    async def later(task: Task) -> None:
        await go_on.wait()
        try:
            if what == "plan":
                await task.plan(subtask("late", contract=CONTRACT, to="extractor"))
            else:
                await task.delegate(contract=CONTRACT, payload={}, step="late", to="extractor")
        except Cancelled as cancelled:
            told.append(cancelled.rule)

    @agent.accepts("licence-facts", "1.0.0")
    async def divide(parsed: Parsed, task: Task) -> str:
        behind.append(asyncio.create_task(later(task)))
        return parsed.name

    await stage.start(agent)
    await stage.router.dispatch("planner", {"name": "mortar"})
    await stage.router.next(Result)
    go_on.set()
    await asyncio.wait_for(behind[0], 10)
    await stage.router.read()

    assert ["function-returned"] == told
    assert [] == [each for each in stage.router.seen if isinstance(each.record, Handoff | Plan)]


async def test_other_versions_work_is_passed_over(stage: Stage) -> None:
    """Each version reads the whole inbox and runs what is its own."""
    await stage.start(extractor("1.0.0"))
    await stage.start(extractor("2.0.0"))

    old = await stage.router.dispatch("extractor", {"name": "old"}, version="1.0.0")
    new = await stage.router.dispatch("extractor", {"name": "new"}, version="2.0.0")
    results = [await stage.router.next(Result) for _ in range(2)]

    assert {(old.dispatch, "1.0.0"), (new.dispatch, "2.0.0")} == {
        (result.record.dispatch, result.record.source.version) for result in results
    }


async def test_a_stopping_agent_finishes_what_it_began(stage: Stage) -> None:
    """Nothing new is taken, and the answer of what runs is sent."""
    agent, begun, go_on = Agent("extractor", "1.0.0"), asyncio.Event(), asyncio.Event()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        begun.set()
        await go_on.wait()
        return Facts(parsed.name)

    await stage.start(agent, concurrency=1)
    await stage.router.dispatch("extractor", {"name": "begun"})
    await stage.router.dispatch("extractor", {"name": "queued"})
    await asyncio.wait_for(begun.wait(), 10)
    stopping = asyncio.create_task(stage.stop(agent))
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    result = await stage.router.next(Result)
    await stage.router.read()

    assert {"licence": "begun"} == body(result)
    assert [] == [each for each in stage.router.seen if isinstance(each.record, Result)]


async def test_a_function_that_has_given_its_place_away_is_finished_too(stage: Stage) -> None:
    """Its work is over by then, and what it has to tidy up is not."""
    agent, given_away, go_on = Agent("extractor", "1.0.0"), asyncio.Event(), asyncio.Event()
    tidied = list[str]()

    @agent.accepts("licence-facts", "1.0.0")
    async def pass_on(parsed: Parsed, task: Task) -> Transferred:
        over = await task.hand_off(to="lawyer", contract=CONTRACT, payload=parsed, step="over")
        given_away.set()
        await go_on.wait()
        tidied.append(parsed.name)
        return over

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    await stage.router.tell_sender("accepted", await stage.router.next(Handoff))
    await given_away.wait()
    asyncio.get_running_loop().call_later(0.1, go_on.set)
    await stage.stop(agent)

    assert ["mortar"] == tidied


async def test_an_agent_that_stops_says_so_while_it_finishes(stage: Stage) -> None:
    """The router gives it nothing more from then on, and does not wait until it is gone."""
    begun, go_on = list[str](), asyncio.Event()
    agent = patient(begun, go_on)
    await stage.start(agent, heartbeat_ms=100, grace_s=10.0)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    await until(lambda: bool(begun))
    before = await _last_state(stage)
    stopping = asyncio.create_task(stage.stop(agent))
    async with asyncio.timeout(5):
        while await _last_state(stage) != "draining":  # noqa: ASYNC110  # the log rings no bell here
            await asyncio.sleep(0.01)
    finishing = not stopping.done()
    go_on.set()
    await stopping

    assert ("ready", True) == (before, finishing)


async def _last_state(stage: Stage) -> str:
    place = Partition("heartbeats.v1", 0)
    end = stage.broker.bounds(place)[1]
    (last,) = await stage.log.read(place, end - 1, end)
    return str(json.loads(dict(last.headers)["sw_envelope"] or b"")["state"])


async def test_what_does_not_stop_in_time_is_left_for_the_next_start(stage: Stage) -> None:
    """A stop waits for the grace and no longer; the position stays before the work."""
    agent, begun = Agent("extractor", "1.0.0"), asyncio.Event()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        begun.set()
        await asyncio.Event().wait()
        return Facts(parsed.name)

    await stage.start(agent, grace_s=0)
    await stage.router.dispatch("extractor", {"name": "endless"})
    await asyncio.wait_for(begun.wait(), 10)
    await stage.stop(agent)

    assert 0 == stage.committed(agent)


async def test_a_function_that_will_not_be_cancelled_keeps_no_agent_from_stopping(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked twice and left behind; the position stays before its work."""
    monkeypatch.setattr("seamwork.agent.dispatch._LEAVE_S", 0.05)
    agent, begun, released = Agent("extractor", "1.0.0"), asyncio.Event(), asyncio.Event()
    asked = 0

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        nonlocal asked
        begun.set()
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                asked += 1
        return Facts(parsed.name)

    await stage.start(agent, grace_s=0)
    await stage.router.dispatch("extractor", {"name": "stubborn"})
    await asyncio.wait_for(begun.wait(), 10)
    try:
        async with asyncio.timeout(10):
            await stage.stop(agent)
    finally:
        released.set()
    await stage.router.read()

    assert asked > 1
    assert 0 == stage.committed(agent)
    assert [] == [each for each in stage.router.seen if isinstance(each.record, Result)]


async def test_spending_is_reported_while_the_work_goes_on(stage: Stage) -> None:
    """Usage is cumulative and comes with the heartbeats."""
    agent, done = Agent("extractor", "1.0.0"), asyncio.Event()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed, task: Task) -> Facts:
        task.spend(micro_usd=9)
        await done.wait()
        return Facts(parsed.name)

    await stage.start(agent, heartbeat_ms=100)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    usage = await stage.router.next(Usage)
    done.set()
    await stage.router.next(Result)

    assert (work.dispatch, Spent(micro_usd=9)) == (usage.record.dispatch, usage.record.spent)


async def test_an_error_is_answered_only_when_nobody_works_for_it_any_more(stage: Stage) -> None:
    """One refused branch ends the function; the others are awaited, and begin nothing new."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("plan", "1.0.0")
    async def plan(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        async def branch(name: str) -> None:
            for step in ("parse", "extract"):
                await task.delegate(to="x", contract=CONTRACT, payload=payload, step=f"{step}-{name}")

        await asyncio.gather(branch("a"), branch("b"))
        return payload

    await stage.start(agent)
    work = await stage.router.dispatch("planner", {}, contract="plan/1.0.0")
    refused = await stage.router.next(Handoff, step="parse-a")
    slow = await stage.router.next(Handoff, step="parse-b")
    await stage.router.tell("refused", work, refused.record.id, rule="no-weekend")
    await stage.router.tell("refused", work, "a-report", rule="late")
    await _until_read(stage, 3)
    await stage.router.read()
    early = [each for each in stage.router.seen if isinstance(each.record, Result)]
    await stage.router.answer(slow, {})
    result = await stage.router.next(Result)
    await stage.router.read()

    assert [] == early
    assert ("error", "Refused") == (result.record.outcome, body(result)["error"]["type"])
    assert [] == [each for each in stage.router.seen if isinstance(each.record, Handoff)]


async def test_an_answer_that_came_too_early_is_given_again(stage: Stage) -> None:
    """The router still knows an open child, of a run before a crash: the same answer follows later."""
    await stage.start(extractor(), heartbeat_ms=100)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    first = await stage.router.next(Result)
    await stage.router.tell("refused", work, first.record.id, rule="open-children", corrections_left=1)
    second = await stage.router.next(Result)

    assert answer_id(work.dispatch, 1) == second.record.id
    assert first.payload == second.payload


async def test_an_answer_that_comes_too_early_for_long_is_given_again_all_the_same(stage: Stage) -> None:
    """What it waits for may take its time; the answers that an agent has last until the deadline."""
    await stage.start(extractor(), heartbeat_ms=100)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})

    async def refuse_all() -> None:
        while True:
            result = await stage.router.next(Result)
            await stage.router.tell(
                "refused", work, result.record.id, rule="open-children", corrections_left=1
            )

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(refuse_all(), MOST_ANSWERS * 0.1 + 0.4)
    last = await stage.router.next(Result)

    assert last.record.ordinal < MOST_ANSWERS


async def test_that_an_answer_of_an_earlier_run_came_too_early_ends_nothing(stage: Stage) -> None:
    """The function runs again, and answers with what is left to it."""
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    await stage.router.tell(
        "refused", work, answer_id(work.dispatch, 0), rule="open-children", corrections_left=1
    )
    await stage.start(extractor())
    result = await stage.router.next(Result)

    assert 1 == result.record.ordinal


@pytest.mark.parametrize("rule", ["conflict", "answer-pending"])
async def test_a_second_runs_answer_that_does_not_count_ends_nothing(stage: Stage, rule: str) -> None:
    """The first run's answer is the one that is judged, and its outcome ends the dispatch."""
    agent = extractor()
    await stage.start(agent)
    work = await stage.router.dispatch("extractor", {"name": "mortar"})
    result = await stage.router.next(Result)
    await stage.router.tell("refused", work, result.record.id, rule=rule, corrections_left=0)
    await _until_read(stage, 2)
    before = stage.committed(agent)
    await stage.router.tell("accepted", work, result.record.id)
    await _until_committed(stage, agent, 3)

    assert before in (None, 0)


@pytest.mark.parametrize("raised", [TaskError, MisconfiguredError], ids=lambda kind: kind.__name__)
async def test_an_error_about_a_name_that_is_no_text_keeps_its_words(stage: Stage, raised: Any) -> None:
    """Names of files need not be UTF-8; whoever waits reads the rest, and not that a dict cannot be written."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        words = ("there is no file caf\udce9",)
        raise raised(*(("no-file", *words) if raised is TaskError else words))

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    error = body(await stage.router.next(Result))["error"]

    assert ("no-file" if raised is TaskError else "MisconfiguredError") == error["type"]
    assert "there is no file caf\\udce9" == error["message"]


async def test_an_exception_may_stand_for_its_words(stage: Stage) -> None:
    """It is said as it would be printed."""
    agent, why = Agent("extractor", "1.0.0"), OSError("the disk is full")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed, task: Task) -> Any:
        return task.error("no-room", cast("str", why))

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    result = await stage.router.next(Result)

    assert {"error": {"type": "no-room", "message": "the disk is full"}} == body(result)


async def test_a_function_that_cancels_itself_is_answered_for(stage: Stage) -> None:
    """A cancellation that nobody asked for is an error like any other."""
    agent = Agent("extractor", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        raise asyncio.CancelledError

    await stage.start(agent)
    await stage.router.dispatch("extractor", {"name": "mortar"})
    result = await stage.router.next(Result)

    assert "CancelledError" == body(result)["error"]["type"]


async def test_what_an_agent_sends_passes_the_checks_that_need_no_document(stage: Stage) -> None:
    """Stamp, attributes and partition of every kind of crossing, as a gate sees them."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("plan", "1.0.0")
    async def plan(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        task.spend(micro_usd=1)
        await task.delegate(to="extractor", contract=CONTRACT, payload=payload, step="extract")
        return payload

    await stage.start(agent, heartbeat_ms=100)
    work = await stage.router.dispatch("planner", {}, contract="plan/1.0.0")
    progress, usage = await stage.router.next(Progress), await stage.router.next(Usage)
    handoff = await stage.router.next(Handoff)
    await stage.router.answer(handoff, {})
    result = await stage.router.next(Result)
    key = KeyEntry(stage.router.key.kid, stage.router.key.public, ROUTER)
    sent: list[Received[AnyCrossing]] = [progress, usage, handoff, result]

    for crossing in sent:
        stamp = crossing.record.stamp
        assert stamp is not None
        assert work == verify_stamp(stamp, PLATFORM, {key.kid: key}.get, at=0)
        assert misfit(work, crossing.record) is None
        assert cloud_event_difference(crossing) is None


def _asking_agent() -> Agent:
    agent = Agent("planner", "1.0.0")

    @agent.accepts("plan", "1.0.0")
    async def plan(payload: dict[str, Any], task: Task) -> Facts:
        return await task.delegate(
            to="extractor", contract=CONTRACT, payload={"name": "mortar"}, returns=Facts, step="extract"
        )

    return agent


def _with(outgoing: Any, **parts: Any) -> Any:
    return msgspec.structs.replace(outgoing, **parts)


def _saying(router: ScriptedRouter, outgoing: Outgoing, **more: Any) -> Any:
    """Say more in an envelope, and sign it as it is then."""
    said = json.loads(dict(outgoing.headers)["sw_envelope"] or b"")
    envelope = json.dumps({**said, **more}).encode()
    signature = router.key.sign(signed_bytes(PLATFORM, outgoing.topic, outgoing.key, envelope))
    return _with_header(_with_header(outgoing, "sw_envelope", envelope), "sw_sig", signature.encode())


def _with_header(outgoing: Any, name: str, value: bytes) -> Any:
    headers = tuple((key, value if key == name else old) for key, old in outgoing.headers)
    return _with(outgoing, headers=headers)


async def _until_committed(stage: Stage, agent: Agent, position: int) -> None:
    async with asyncio.timeout(10):
        while stage.committed(agent) != position:  # noqa: ASYNC110  # the position is Kafka's, it rings no bell
            await asyncio.sleep(0.01)


async def _until_read(stage: Stage, count: int) -> None:
    """Wait until the agent has examined so many records of its inbox, and what followed had its turn."""
    async with asyncio.timeout(10):
        while stage.examined() < count:  # noqa: ASYNC110  # a counter rings no bell
            await asyncio.sleep(0.005)
    for _ in range(20):
        await asyncio.sleep(0)


class SlowToAccept(SimLog):
    """A log that takes an acceptance only when it is told to."""

    def __init__(self, broker: SimBroker) -> None:
        super().__init__(broker)
        self.asked = False
        self.answer = asyncio.Event()

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[Confirmation]:
        """Publish, an acceptance later than all else."""
        if any(("ce_type", b"dev.seamwork.progress.v1") in one.headers for one in batch):
            self.asked = True
            await self.answer.wait()
        return await super().publish(batch)


class SlowToConfirm(SimLog):
    """A log that takes an answer at once, and says so only when it is told to."""

    def __init__(self, broker: SimBroker) -> None:
        super().__init__(broker)
        self.confirm = asyncio.Event()

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[Confirmation]:
        """Publish, and confirm an answer late."""
        confirmations = await super().publish(batch)
        if any(("ce_type", b"dev.seamwork.result.v1") in one.headers for one in batch):
            await self.confirm.wait()
        return confirmations


class CutReader:
    """A cursor that brings nothing and raises nothing while it is cut off, as Kafka's does for half a minute."""

    def __init__(self, reader: Reader, log: "Cut") -> None:
        self._reader = reader
        self._log = log

    async def fetch(
        self, positions: Mapping[Partition, int], *, max_records: int, max_wait_ms: int
    ) -> dict[Partition, Sequence[RawRecord]]:
        """Fetch, or wait."""
        if self._log.read_cut:
            await asyncio.sleep(max_wait_ms / 1000)
            return {}
        return await self._reader.fetch(positions, max_records=max_records, max_wait_ms=max_wait_ms)

    async def stop(self) -> None:
        """Stop."""
        await self._reader.stop()


class Cut(SimLog):
    """A log that can be cut off: from writing, from reading, from being asked where it ends."""

    write_cut = read_cut = end_cut = False
    reads_cut = ends_cut = 0

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[Confirmation]:
        """Publish, or say that it is not known whether it was."""
        if self.write_cut:
            await asyncio.sleep(0.01)
            raise OutcomeUnknownError("cut off")
        return await super().publish(batch)

    async def reader(self) -> Reader:  # type: ignore[override]  # a cursor, as the port asks
        """Open one that can be cut off."""
        return CutReader(await super().reader(), self)

    async def end_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Say where it ends, or nothing at all."""
        if self.end_cut:
            await asyncio.Event().wait()
        if self.ends_cut:
            self.ends_cut -= 1
            raise RetryableError("cut off")
        return await super().end_offsets(partitions)

    async def read(
        self, partition: Partition, start: int, end: int, *, most_bytes: int | None = None
    ) -> Sequence[RawRecord]:
        """Read, or say that nobody answers."""
        if self.reads_cut:
            self.reads_cut -= 1
            raise RetryableError("cut off")
        return await super().read(partition, start, end, most_bytes=most_bytes)


async def test_a_handoff_given_up_while_it_is_sent_is_sent_all_the_same(stage: Stage) -> None:
    """It may have arrived already; the answer waits for what becomes of it, which needs it to be sent."""
    agent, log = Agent("planner", "1.0.0"), Cut(stage.broker)
    stage.log = log

    @agent.accepts("licence-facts", "1.0.0")
    async def divide(parsed: Parsed, task: Task) -> Facts:
        log.write_cut = True
        for _ in range(2):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await task.delegate(contract=CONTRACT, payload={}, step="one", to="extractor")
        log.write_cut = False
        return Facts("without it")

    await stage.start(agent)
    await stage.router.dispatch("planner", {"name": "x"})
    handoff = await stage.router.next(Handoff)
    await stage.router.answer(handoff, {"licence": "too late"})
    result = await stage.router.next(Result)
    await stage.router.read()

    assert "one" == handoff.record.step
    assert {"licence": "without it"} == body(result)
    assert [] == [each for each in stage.router.seen if isinstance(each.record, Handoff)]


async def test_a_transfer_given_up_before_it_is_sent_is_none(stage: Stage) -> None:
    """While it waited for the handoffs before it, the function thought better of it: its answer counts."""
    agent = Agent("planner", "1.0.0")

    @agent.accepts("licence-facts", "1.0.0")
    async def divide(parsed: Parsed, task: Task) -> Facts:
        first = asyncio.create_task(task.delegate(contract=CONTRACT, payload={}, step="one", to="extractor"))
        await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await task.hand_off(contract=CONTRACT, payload={}, step="rest", to="extractor")
        return Facts((await first)["licence"])

    await stage.start(agent)
    await stage.router.dispatch("planner", {"name": "x"})
    handoff = await stage.router.next(Handoff)
    await asyncio.sleep(0.1)
    await stage.router.answer(handoff, {"licence": "MIT"})
    result = await stage.router.next(Result)

    assert {"licence": "MIT"} == body(result)


def test_a_thread_that_still_waits_when_its_loop_ends_is_told_so() -> None:
    """In the words in which it is told of all that nobody waits for any more."""
    agent, told, over = Agent("extractor", "1.0.0"), list[BaseException](), threading.Event()

    async def end_in_the_middle() -> None:
        stage = Stage()
        stage.log = log = Cut(stage.broker)

        @agent.accepts("licence-facts", "1.0.0")
        def extract(parsed: Parsed, task: Task) -> None:
            log.write_cut = True
            try:
                task.progress_sync("on the way")
            except Exception as error:  # noqa: BLE001  # whatever it is
                told.append(error)
            over.set()

        await stage.start(agent)
        await stage.router.dispatch("extractor", {"name": "x"})
        await until(
            lambda: "progress" in {getattr(one.get_coro(), "__name__", "") for one in asyncio.all_tasks()}
        )

    asyncio.run(end_in_the_middle())
    over.wait(10)

    assert [Cancelled] == [type(error) for error in told]


async def test_an_agent_that_stops_gives_up_what_it_still_sends(stage: Stage) -> None:
    """The log is away; whoever gets the work next makes the same handoff."""
    agent, log, begun = Agent("planner", "1.0.0"), Cut(stage.broker), asyncio.Event()
    stage.log = log

    @agent.accepts("licence-facts", "1.0.0")
    async def divide(parsed: Parsed, task: Task) -> Any:
        log.write_cut = True
        begun.set()
        return await task.delegate(contract=CONTRACT, payload={}, step="one", to="extractor")

    await stage.start(agent, grace_s=0.1)
    await stage.router.dispatch("planner", {"name": "x"})
    await begun.wait()
    await stage.stop(agent)
    sending = [each for each in asyncio.all_tasks() if each.get_name().startswith("handoff-")]
    log.write_cut = False

    assert [] == sending


async def test_a_partition_that_cannot_be_read_yet_holds_up_no_other(stage: Stage) -> None:
    """One has no leader as it comes to this instance; those that it had go on."""
    agent, ran = Agent("clerk", "1.0.0"), list[str]()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        ran.append(parsed.name)
        return Facts(parsed.name)

    stage.broker.create_topic("inbox.clerk.v1", partitions=2)
    stage.log = log = Cut(stage.broker)
    await stage.start(agent)
    group = "agent-clerk.1-0-0"
    (member,) = stage.broker.group(group).members
    await stage.broker.assign(group, {member: frozenset({0})})
    log.ends_cut = 1_000
    given_one_more = asyncio.create_task(stage.broker.assign(group, {member: frozenset({0, 1})}))
    try:
        task = next(one for one in iter(stage.router.new_id, "") if partition_of(one.encode(), 2) == 0)
        await stage.router.dispatch("clerk", {"name": "mortar"}, task=task)
        await until(lambda: bool(ran))
    finally:
        log.ends_cut = 0
        await given_one_more

    assert ["mortar"] == ran


async def test_an_inbox_that_is_away_as_it_is_assigned_is_waited_for(stage: Stage) -> None:
    """A partition without a leader at that moment ends no agent either."""
    stage.log = log = Cut(stage.broker)
    log.ends_cut = 2
    await stage.router.dispatch("extractor", {"name": "x"})
    await stage.start(extractor())
    result = await stage.router.next(Result)

    assert {"licence": "licence of x"} == body(result)


async def test_work_that_was_put_down_is_read_again_when_the_log_is_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that is away for a while ends no agent, whatever it wanted to read."""
    monkeypatch.setattr(desk, "_HELD_BYTES", 0)
    log = Cut(stage.broker)
    log.reads_cut = 2
    stage.log = log
    await stage.start(extractor())
    await stage.router.dispatch("extractor", {"name": "x"})
    result = await stage.router.next(Result)

    assert {"licence": "licence of x"} == body(result)


@pytest.mark.parametrize(
    "large", [{"payload": {"name": "x" * 40_000}}, {"intent": "x" * 40_000}], ids=["payload", "intent"]
)
async def test_no_more_work_is_held_than_there_is_room_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, large: dict[str, Any]
) -> None:
    """Of the two that there was room for one runs; what is over the bound is read again when its turn comes."""
    _, outgoing = stage.router.work("extractor", **large)
    size = len(outgoing.value or b"") + sum(len(value or b"") for _, value in outgoing.headers)
    monkeypatch.setattr(desk, "_HELD_BYTES", int(2.5 * size))
    begun, go_on = list[str](), asyncio.Event()
    agent = patient(begun, go_on)
    for _ in range(5):
        await stage.router.dispatch("extractor", **large)
    await stage.start(agent, concurrency=1)
    await _until_read(stage, 5)
    own = agent._desk
    assert own is not None
    held = sorted(bool(one.held_bytes) for one in own._queue.values())
    go_on.set()
    for _ in range(5):
        await stage.router.next(Result)
    await until(lambda: not own._running)

    assert [False, False, False, True] == held
    assert 0 == own._held_bytes


async def test_what_is_over_is_remembered_before_what_was_over_long_ago(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A router that died writes again what it wrote last."""
    monkeypatch.setattr(desk, "_REMEMBERED", 2)
    router, ran = stage.router, list[str]()
    await stage.start(extractor(ran=ran))
    for name in ("first", "second", "third"):
        work, outgoing = router.work("extractor", {"name": name})
        await router.write(outgoing)
        result = await router.next(Result)
        await router.tell("accepted", work, result.record.id)
    await router.write(outgoing)
    await router.dispatch("extractor", {"name": "last"})
    await router.next(Result)

    assert ["first", "second", "third", "last"] == ran


async def test_a_partition_lost_while_its_records_are_taken_is_taken_no_further(stage: Stage) -> None:
    """Else what was open of the one that comes back would count as known, and the prefix pass it unfinished."""
    agent, done = Agent("extractor", "1.0.0"), asyncio.Event()

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        await done.wait()
        return Facts(parsed.name)

    await stage.start(agent)
    own = agent._desk
    assert own is not None
    await until(lambda: bool(own._lanes))
    own._work[0].cancel()  # the test reads in its place, to choose the moment
    await asyncio.sleep(0)
    for number in range(40):
        await stage.router.write(stage.router.work("extractor", {"name": str(number)})[1])
    records = stage.broker.records(Partition("inbox.extractor.v1", 0))
    taking = asyncio.create_task(own._take(own._lanes[0], records))
    await asyncio.sleep(0)  # 32 of them; then others have the loop
    await own._on_revoked(frozenset({0}))
    await own._on_assigned(frozenset())
    await taking
    left_over = len(own._open)
    await own._on_assigned(frozenset({0}))
    await own._take(own._lanes[0], records)
    for dispatch in list(own._open.values()):
        if dispatch.offset < 32:
            dispatch.end("accepted")
    done.set()

    assert (0, 32) == (left_over, own._lanes[0].prefix.committable)


@pytest.mark.parametrize("all_of_it", [True, False], ids=["all-requests", "only-fetches"])
async def test_who_was_cut_off_reads_what_came_before_it_begins(stage: Stage, *, all_of_it: bool) -> None:
    """Others have taken over meanwhile. That nothing came is no word of a broker that does not answer."""
    agent, log, ran = Agent("extractor", "1.0.0"), Cut(stage.broker), list[str]()
    log.session_s = 1.0
    stage.log = log

    @agent.accepts("licence-facts", "1.0.0")
    async def extract(parsed: Parsed) -> Facts:
        ran.append(parsed.name)
        return Facts(parsed.name)

    await stage.start(agent)
    own = agent._desk
    assert own is not None
    await until(lambda: bool(own._lanes) and own._caught_up)
    log.write_cut = True  # it takes the work, and cannot say so
    work = await stage.router.dispatch("extractor", {"name": "done elsewhere"}, authority=PAYING)
    await until(lambda: bool(own._open))
    log.read_cut, log.end_cut = True, all_of_it
    await asyncio.sleep(1.5)
    await stage.router.tell("accepted", work, answer_id(work.dispatch, 0))
    # What it looked at a moment ago it trusts for half a session, in which nobody can have taken over.
    await until(lambda: not own._lanes[0].may_run(time.monotonic()))
    log.write_cut = False  # the connection for writing is back first
    await asyncio.sleep(0.5)
    log.read_cut = log.end_cut = False
    await stage.router.dispatch("extractor", {"name": "open"})
    await until(lambda: "open" in ran)

    assert ["open"] == ran


async def test_an_idle_agent_begins_at_once(stage: Stage) -> None:
    """However long nothing has come: it has asked meanwhile whether there was anything."""
    agent, log = extractor(), Cut(stage.broker)
    log.session_s = 2.0
    stage.log = log
    await stage.start(agent)
    own = agent._desk
    assert own is not None
    await until(lambda: bool(own._lanes) and own._caught_up)
    runs = []
    for _ in range(50):
        await asyncio.sleep(0.05)
        runs.append(own._lanes[0].out_of_touch(time.monotonic()))

    assert not any(runs)
