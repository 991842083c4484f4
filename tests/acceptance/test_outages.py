"""A gate that is down admits nothing and loses nothing; a broker that dies takes nothing with it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from seamwork.agent import Task
from seamwork.documents import AnyDocument
from seamwork.records.decision import Dispatched, Refused
from seamwork.records.verdict import Verdict
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, Sent, now_ms
from seamwork.testing.stage import Stage
from seamwork.testing.troupe import Troupe

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEADY = "steadfast/1.0.0"
GATE = "policy-engine"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def troupe(stage: Stage) -> AsyncIterator[Troupe]:
    """Bring an initiator and two agents in."""
    accepts = [{"contract": "steadfast", "versions": "*"}]
    authority = {"depth": 3}
    settings = await stage.cast(
        {
            "out-boss": {"accepts": accepts, "authority": authority},
            "out-worker": {"accepts": accepts},
            "out-chief": {"accepts": accepts, "authority": authority, "initiator": True, "budget": "out-budget"},
        },
        document("Budget", "out-budget"),
        document("Contract", "steadfast"),
        document("Flow", "outages", edges=[
            {"from": one, "to": to, "contract": "steadfast"}
            for one, to in (("out-chief", "out-boss"), ("out-boss", "out-worker"), ("out-chief", "out-worker"))
        ]),
    )  # fmt: skip
    troupe = Troupe(stage, Puppet(stage, settings["out-chief"]), [STEADY])
    for name in ("out-boss", "out-worker"):
        await troupe.enlist(settings[name])
    yield troupe
    await troupe.disband()


async def echo(payload: dict[str, Any], task: Task) -> dict[str, Any]:
    """Answer with what came."""
    return payload


def gate(version: str, deadline_s: int) -> AnyDocument:
    """Write the gate with another deadline."""
    return document(
        "Gate", GATE, version, role="policy", requiredFor=["handoff", "result"], deadlineSeconds=deadline_s
    )


async def judged_by_the_others(stage: Stage, sent: Sent) -> None:
    """Wait until every gate that is up has voted."""
    for gate in ("contract-validator", "cost-cap"):
        await stage.said(f"verdicts.{gate}.v1", Verdict, key=sent.crossing.task)


@pytest.mark.timeout(240)
async def test_a_gate_that_is_down_admits_nothing_and_loses_nothing(troupe: Troupe) -> None:
    """Past its deadline the refusal names it; started again within it, what waited goes on."""
    stage, supervisor = troupe.stage, troupe.stage.running.supervisor
    await stage.publish(gate("1.1.0", 1))
    await supervisor.stop(GATE)
    play = troupe.play(**{"out-worker": echo})
    lost = await troupe.begin(play, STEADY, "out-worker")
    refused = await stage.refused(lost.at)
    told = await stage.told("out-chief", lost.crossing.id, "refused")
    ended = await stage.ended(lost.crossing.task)
    await stage.publish(gate("1.2.0", 120))
    later = now_ms() + 110_000
    waiting = [await troupe.begin(play, STEADY, "out-worker", deadline_at=later) for _ in range(5)]
    await asyncio.gather(*(judged_by_the_others(stage, sent) for sent in waiting))
    before = [one for sent in waiting for one in await stage.decisions(sent.crossing.task)]
    await stage.running.start_services([GATE])
    outcomes = await asyncio.gather(*(stage.ended(sent.crossing.task, within_s=60) for sent in waiting))
    async with stage.door.publisher() as publisher:
        await publisher.activate("Gate", GATE, "1.0.0", "active", "enforce", "the usual deadline again")
    await stage.audited()

    assert (GATE, "gate-silent") == (refused.gate, refused.rule)
    assert (GATE, "gate-silent") == (told.gate, told.rule)
    assert "failed" == ended.outcome
    assert [] == before
    assert 5 * ["complete"] == [one.outcome for one in outcomes]
    assert [] == await stage.records("inbox.out-worker.v1", key=lost.crossing.task)


@pytest.mark.timeout(300)
async def test_a_broker_that_is_killed_takes_nothing_with_it(troupe: Troupe) -> None:
    """Everything that was begun is finished on the same data, each piece dispatched and counted once."""
    stage = troupe.stage
    if stage.running.kafka.rung != "embedded":
        pytest.skip("only a broker of our own can be killed")
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def split(payload: dict[str, Any], task: Task) -> Any:
        parts = (
            task.delegate(
                contract=STEADY, to="out-worker", payload={**payload, "n": n}, step="part", ordinal=n
            )
            for n in range(3)
        )
        return await asyncio.gather(*parts)

    async def work(payload: dict[str, Any], task: Task) -> int:
        arrived.set()
        await go_on.wait()
        return int(payload["n"])

    play = troupe.play(**{"out-boss": split, "out-worker": work})
    later = now_ms() + 280_000
    sent = [await troupe.begin(play, STEADY, "out-boss", deadline_at=later) for _ in range(4)]
    await asyncio.wait_for(arrived.wait(), 20)
    pids = {name: process.pid for name, process in stage.running.supervisor.processes.items()}
    await stage.kill_broker()
    go_on.set()
    await stage.start_broker()
    outcomes = await asyncio.gather(*(stage.ended(one.crossing.task, within_s=240) for one in sent))
    answers = await asyncio.gather(*(troupe.answer(one.crossing.task) for one in sent))
    decisions = [one for root in sent for one in await stage.decisions(root.crossing.task)]
    # A decision may be published again when nobody knows whether it arrived; it is the same one.
    dispatched = {(one.crossing, one.dispatch) for one in decisions if isinstance(one, Dispatched)}
    await stage.audited()

    assert 4 * ["complete"] == [one.outcome for one in outcomes]
    assert 4 * [[0, 1, 2]] == answers
    assert 16 == len(dispatched) == len({crossing for crossing, _ in dispatched})
    assert {"repeat"} >= {one.rule for one in decisions if isinstance(one, Refused)}
    assert pids == {name: process.pid for name, process in stage.running.supervisor.processes.items()}
    assert (
        "complete" == (await troupe.whole(troupe.play(**{"out-worker": echo}), STEADY, "out-worker")).outcome
    )
