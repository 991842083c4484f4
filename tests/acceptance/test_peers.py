"""Agents of other makes take part in one governed flow: one in Go, and one of the OpenAI Agents SDK."""

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from code_review import adviser
from code_review.reviewer import member
from seamwork.agent import AgentSettings, Refused, Submitted
from seamwork.bus.port import Partition
from seamwork.documents import Agent as AgentDocument
from seamwork.grants.keys import record_verifies
from seamwork.ids import accompaniment_id
from seamwork.platform.files import read_files
from seamwork.platform.members import add_agents
from seamwork.records.authority import Spent
from seamwork.records.crossing import Handoff, Progress, Result
from seamwork.records.decision import Accepted, Dispatched
from seamwork.records.decision import Refused as RefusedDecision
from seamwork.records.inbox import Work
from seamwork.records.people import Command
from seamwork.records.platform import Heartbeat
from seamwork.records.wire import Outgoing, RawRecord, Received, read
from seamwork.testing.puppet import new_id, now_ms
from seamwork.testing.scripted_model import ScriptedModel, Turn, says
from seamwork.testing.stage import Stage

# The first to ask waits for the Go compiler: a minute and more where nothing of it is cached.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "code-review"
INBOX = "inbox.surveyor.v1"
SURVEY = "go-survey/1.0.0"
POOL = """package pool

import (
	"sync"

	"example.org/fast/ring"
	"golang.org/x/sync/errgroup"
)

type Pool struct{ mu sync.Mutex }

func New(g *errgroup.Group) *Pool { ring.Use(g); return &Pool{} }
"""
PLAIN = "package plain\n\nfunc Sum(a, b int) int { return a + b }\n"


class Program:
    """The agent in Go: a process of its own, that knows a settings file and nothing else."""

    def __init__(self, binary: Path, settings: Path, log: Path) -> None:
        self._log = log
        environ = {"PATH": os.environ["PATH"], "SEAMWORK_AGENT_SETTINGS": str(settings)}
        with log.open("wb") as stderr:
            self._process = subprocess.Popen([binary], env=environ, stderr=stderr)

    def said(self) -> list[dict[str, Any]]:
        """Return what it has logged."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def stop(self) -> int:
        """Ask it to end, and return its exit status."""
        self._process.terminate()
        return self._process.wait(30)


@pytest.fixture(scope="module")
def surveyor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the agent in Go; the modules come from its lock."""
    if shutil.which("go") is None:
        pytest.skip("there is no Go here; CI has it")
    subprocess.run(["make", "-C", EXAMPLE / "surveyor", "build"], check=True, capture_output=True)
    return EXAMPLE / "surveyor" / "surveyor"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def settings(stage: Stage) -> dict[str, Path]:
    """Bring the example's documents and agents in, and return where each agent's settings lie."""
    documents = read_files([EXAMPLE / "documents"], stage.door.home)
    agents = tuple(d for d in documents if isinstance(d, AgentDocument))
    others = tuple(d for d in documents if not isinstance(d, AgentDocument))
    joined, _, _ = await add_agents(stage.door, agents, publish=others)
    return {one.agent: one.settings for one in joined}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def advised(stage: Stage, settings: dict[str, Path]) -> AsyncIterator[None]:
    """Play the adviser, an agent of the SDK."""
    await stage.play(adviser.agent, AgentSettings.from_file(settings["adviser"]))
    yield
    await stage.leave(adviser.agent)


@pytest.fixture
def program(surveyor: Path, settings: dict[str, Path], tmp_path: Path) -> Iterator[Program]:
    """Run the agent in Go for one test."""
    running = Program(surveyor, settings["surveyor"], tmp_path / "surveyor.log")
    yield running
    assert 0 == running.stop(), running.said()


async def survey(stage: Stage, name: str, source: str, **order: Any) -> Submitted:
    """Ask for a survey, as the operator."""
    return await stage.submit(
        SURVEY, {"name": name, "source": source}, capability="survey-go", ceiling_micro_usd=100, **order
    )


async def test_an_agent_in_go_takes_part_in_a_governed_flow(
    stage: Stage, settings: dict[str, Path], advised: None, program: Program
) -> None:
    """It is given work, says that it takes it, hands a part on under its stamp, and its answer is accepted."""
    begun = await survey(stage, "pool.go", POOL)
    answer = await stage.wait(begun)

    assert "success" == answer.outcome
    assert {
        "name": "pool.go", "declares": "pool", "lines": 12, "exported": ["New", "Pool"],
        "imports": ["example.org/fast/ring", "golang.org/x/sync/errgroup", "sync"],
        "advice": [
            {
                "module": "example.org/fast/ring", "verdict": "unknown",
                "note": "nobody of the team has used it; ask before merging",
            },
            {"module": "golang.org/x/sync/errgroup", "verdict": "known", "note": "the team uses golang.org/x"},
        ],
    } == answer.value  # fmt: skip
    assert "complete" == (await stage.ended(begun.task)).outcome

    sent = [r.record for r in await stage.records("handoffs.v1", key=begun.task)]
    mine = [r for r in sent if getattr(r, "source", None) is not None and r.source.agent == "surveyor"]  # type: ignore[union-attr]  # crossings only
    assert ["progress", "handoff", "result"] == [r.__struct_config__.tag for r in mine]
    assert isinstance(mine[0], Progress)
    assert mine[0].accepted_work
    assert isinstance(mine[2], Result)
    assert mine[2].spent is not None
    assert 0 == mine[2].spent.micro_usd
    assert 4 == len([d for d in await stage.decisions(begun.task) if isinstance(d, Accepted | Dispatched)])


async def test_an_agent_of_a_framework_joins_and_its_tools_are_handoffs(
    stage: Stage, settings: dict[str, Path], advised: None, program: Program
) -> None:
    """
    A model reviews two files: it asks the agent in Go, which asks the adviser, and its budget pays for it.

    The first answer leaves a file out, is refused by the contract, and is mended by the model itself.
    """
    found = {"file": "pool.go", "note": "example.org/fast/ring is not known to the team"}
    review = {"verdict": "change", "summary": "One module is new.", "findings": [found]}
    asks = (
        ("survey_go", {"name": "pool.go", "source": POOL}),
        ("survey_go", {"name": "plain.go", "source": PLAIN}),
    )
    script = (
        Turn(calls=asks, input_tokens=2_000, output_tokens=100),
        says({**review, "surveyed": ["pool.go"]}, input_tokens=3_000, cached_tokens=2_000, output_tokens=100),
        says({**review, "surveyed": ["pool.go", "plain.go"]}, input_tokens=2_000, output_tokens=100),
    )
    # 500 + 200, 250 + 50 + 200, 500 + 200 micro-USD by code_review/prices.toml
    cost = 1_900
    with ScriptedModel(script) as model:
        async with AsyncOpenAI(base_url=model.url, api_key="none", max_retries=0) as client:
            reviewer = member(client)
            await stage.play(reviewer, AgentSettings.from_file(settings["reviewer"]))
            files = [{"name": "pool.go", "source": POOL}, {"name": "plain.go", "source": PLAIN}]
            request = {"title": "A pool", "files": files}

            begun = await stage.submit(
                "code-review/1.0.0", request, capability="review-code", ceiling_micro_usd=5_000
            )
            answer = await stage.wait(begun)
            # What the budget of 20,000 has left is 20,000 less what was used, and not less what was reserved.
            dear = await stage.submit(
                "code-review/1.0.0", request, capability="review-code", ceiling_micro_usd=18_101
            )
            with pytest.raises(Refused, match="asks 18101 micro-USD, 18100 are left of Budget reviewer"):
                await stage.wait(dear)
            await stage.leave(reviewer)

            shown = [m["content"] for m in model.requests[1]["messages"] if m["role"] == "tool"]
    assert {**review, "surveyed": ["pool.go", "plain.go"]} == answer.value
    assert ["pool", "plain"] == [json.loads(text)["value"]["declares"] for text in shown]
    handoffs = [
        r.record for r in await stage.records("handoffs.v1", key=begun.task) if isinstance(r.record, Handoff)
    ]
    assert {
        ("operator", "code-review"), ("reviewer", "go-survey"), ("surveyor", "module-advice"),
    } == {(h.source.agent, h.contract.name) for h in handoffs}  # fmt: skip
    assert 4 == len(handoffs)
    results = [
        r.record for r in await stage.records("handoffs.v1", key=begun.task) if isinstance(r.record, Result)
    ]
    final = [r.spent for r in results if r.source.agent == "reviewer"][-1]
    assert Spent(micro_usd=cost, input_tokens=7_000, output_tokens=300, requests=3) == final
    (refused,) = [d for d in await stage.decisions(begun.task) if isinstance(d, RefusedDecision)]
    assert "rule:every-file-was-surveyed" == refused.rule


async def test_it_is_alive_for_the_platform(
    stage: Stage, settings: dict[str, Path], program: Program
) -> None:
    """Its heartbeats are signed and say which version is ready."""
    log, place, at = await stage.log("router"), Partition("heartbeats.v1", 0), 0
    async with asyncio.timeout(30):
        while True:
            end = (await log.end_offsets([place]))[place]
            found = [read(raw, stage.platform) for raw in await log.read(place, at, end)] if end > at else []
            mine = [r for r in found if isinstance(r, Received) and beats(r.record)]
            if mine:
                break
            at = end

    assert record_verifies(
        mine[0], stage.platform, {stage.key("surveyor").kid: stage.key("surveyor").public}.get
    )


async def test_what_lies_in_its_inbox_is_weighed_before_any_of_it_is_run(
    stage: Stage, surveyor: Path, settings: dict[str, Path], advised: None, tmp_path: Path
) -> None:
    """
    While it is away work is queued, one piece is cancelled, one lies there twice, and one is forged.

    Back again it runs what is left, once, and none of what was finished before it left.
    """
    await stage.person("petra", "host")
    wanted = await survey(stage, "plain.go", PLAIN)
    unwanted = await survey(stage, "gone.go", PLAIN)
    work = await stage.until(INBOX, lambda r: isinstance(r.record, Work), key=wanted.task)
    lost = await stage.said(INBOX, Work, key=unwanted.task)

    def cancel(person: str) -> Command:
        return Command(id=new_id(), task=unwanted.task, person=person, action="cancel", ordered_at=now_ms())

    await stage.say("petra", "commands.v1", unwanted.task, cancel)
    assert "cancelled" == (await stage.ended(unwanted.task)).outcome
    await stage.told("surveyor", lost.crossing, "cancelled")
    await stage.send("router", again(work.raw), forged(work.raw))

    program = Program(surveyor, settings["surveyor"], tmp_path / "back.log")
    answer = await stage.wait(wanted)
    later = await survey(stage, "later.go", PLAIN)
    await stage.wait(later)
    assert 0 == program.stop()

    assert "plain.go" == answer.value["name"]
    assert ["a record of the inbox is not believed"] == [
        s["msg"] for s in program.said() if s["level"] == "WARN"
    ]
    assert isinstance(work.record, Work)
    assert 1 == len(await notes(stage, wanted.task, work.record.dispatch))
    assert 0 == len(await notes(stage, unwanted.task, lost.dispatch))

    # What was finished is committed: the next start has nothing to read again.
    last = Program(surveyor, settings["surveyor"], tmp_path / "last.log")
    deadline = time.monotonic() + 20
    while not last.said() and time.monotonic() < deadline:  # noqa: ASYNC110  # nothing tells us
        await asyncio.sleep(0.05)
    assert 0 == last.stop()
    (taken,) = last.said()
    assert taken["end"] == taken["from"]


def beats(record: Any) -> bool:
    """Tell whether this is the sign of life that is looked for."""
    return isinstance(record, Heartbeat) and (record.name, record.version, record.state) == (
        "surveyor", "1.0.0", "ready",
    )  # fmt: skip


async def notes(stage: Stage, task: str, dispatch: str) -> list[Any]:
    """Return every report that the work of *dispatch* was taken up."""
    first = accompaniment_id(dispatch, "progress", 0)
    found = await stage.records("handoffs.v1", key=task)
    return [r for r in found if isinstance(r.record, Progress) and r.record.id == first]


def again(raw: RawRecord) -> Outgoing:
    """Return a record once more, as a redelivery would bring it."""
    return Outgoing(raw.topic, raw.key or b"", raw.value, raw.headers, raw.partition)


def forged(raw: RawRecord) -> Outgoing:
    """Return a record with another payload than the one that was admitted."""
    return Outgoing(raw.topic, raw.key or b"", b'{"name":"evil.go","source":""}', raw.headers, raw.partition)
