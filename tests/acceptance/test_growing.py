"""The platform grows while it works: agents and documents come without anything restarting."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from seamwork.agent import Task
from seamwork.platform.known import lagging
from seamwork.platform.publisher import VersionConflictError
from seamwork.platform.withdrawal import withdrawal
from seamwork.records.decision import Refused
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, now_ms
from seamwork.testing.stage import Stage
from seamwork.testing.troupe import Troupe

pytestmark = pytest.mark.asyncio(loop_scope="session")

GROWN = "grown/1.0.0"
ACCEPTS = [{"contract": "grown", "versions": "*"}]


async def echo(payload: dict[str, Any], task: Task) -> dict[str, Any]:
    """Say who it was."""
    return {"version": task.facts.version}


async def test_agents_and_versions_join_while_everything_runs(stage: Stage) -> None:
    """A contract, a flow, an agent and its second version come in turn; no service is started again."""
    processes = stage.running.supervisor.processes
    pids = {name: process.pid for name, process in processes.items()}
    settings = await stage.cast(
        {
            "grow-chief": {"accepts": ACCEPTS, "initiator": True, "budget": "grow-budget"},
            "grow-worker": {"accepts": ACCEPTS},
        },
        document("Budget", "grow-budget"),
        document("Contract", "grown"),
        document("Flow", "growing", edges=[{"from": "grow-chief", "to": "grow-worker", "contract": "grown"}]),
    )
    troupe = Troupe(stage, Puppet(stage, settings["grow-chief"]), [GROWN])
    await troupe.enlist(settings["grow-worker"])
    play = troupe.play(**{"grow-worker": echo})
    running = [await troupe.begin(play, GROWN, "grow-worker") for _ in range(5)]
    second = await stage.join("grow-worker", "2.0.0", accepts=ACCEPTS)
    await troupe.enlist(second, "2.0.0")
    after = await troupe.begin(play, GROWN, "grow-worker")
    ended = await asyncio.gather(*(stage.ended(one.crossing.task) for one in (*running, after)))
    await troupe.disband()

    assert 6 * ["complete"] == [one.outcome for one in ended]
    assert {"grow-worker@1.0.0", "grow-worker@2.0.0"} >= set(play.seen)
    assert pids == {name: process.pid for name, process in processes.items()}
    assert 0 == sum(process.restarts for process in processes.values())


async def test_a_version_that_is_retired_ends_what_it_was_given(stage: Stage) -> None:
    """It hands on what it needs and answers; what is begun afterwards is for the next version."""
    accepts = [{"contract": "ripe", "versions": "*"}]
    names = ("ripe-chief", "ripe-worker", "ripe-helper")
    settings = await stage.cast(
        {
            "ripe-chief": {
                "accepts": accepts,
                "initiator": True,
                "budget": "ripe-budget",
                "authority": {"depth": 2},
            },
            "ripe-worker": {"accepts": accepts, "authority": {"depth": 2}},
            "ripe-helper": {"accepts": accepts},
        },
        document("Budget", "ripe-budget"),
        document("Contract", "ripe"),
        document(
            "Flow",
            "ripening",
            edges=[{"from": a, "to": b, "contract": "ripe"} for a, b in pairwise(names)],
        ),
    )
    begun, retired = asyncio.Event(), asyncio.Event()

    async def long(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        begun.set()
        await retired.wait()
        helped = await task.delegate(contract="ripe/1.0.0", to="ripe-helper", payload=payload, step="help")
        return {"version": task.facts.version, "helper": helped["version"]}

    troupe = Troupe(stage, Puppet(stage, settings["ripe-chief"]), ["ripe/1.0.0"])
    await troupe.enlist(settings["ripe-worker"])
    await troupe.enlist(settings["ripe-helper"])
    play = troupe.play(**{"ripe-worker": long, "ripe-helper": echo})
    sent = await troupe.begin(play, "ripe/1.0.0", "ripe-worker")
    await asyncio.wait_for(begun.wait(), 20)
    async with stage.door.publisher() as publisher:
        catalog = await publisher.catalog()
        gone = withdrawal(catalog, "Agent", "ripe-worker", "1.0.0", "retired", now_ms())
        revision = await publisher.withdraw(gone.versions, "retired", "the next one is there")
    assert () == tuple(await lagging(stage.door.home, revision))
    retired.set()
    ended = await stage.ended(sent.crossing.task)
    answer = await troupe.answer(sent.crossing.task)
    late = await troupe.begin(play, "ripe/1.0.0", "ripe-worker")
    refused = await stage.decided(late.crossing.task, Refused)
    await troupe.disband()

    assert "complete" == ended.outcome, await stage.story(sent.crossing.task)
    assert {"version": "1.0.0", "helper": "1.0.0"} == answer
    assert ("contract-validator", "no-candidate") == (refused.gate, refused.rule)


async def test_a_version_published_twice_stays_what_it_was(stage: Stage) -> None:
    """The same bytes again are fine; other bytes are refused, and nothing of what came with them is written."""
    first = document("Contract", "settled", limits={"payloadBytes": 100})
    await stage.publish(first)
    await stage.publish(first)
    other = document("Contract", "settled", limits={"payloadBytes": 200})
    with pytest.raises(VersionConflictError, match="Versions never change"):
        await stage.publish(document("Contract", "companion"), other)
    async with stage.door.publisher() as publisher:
        known = await publisher.catalog()
    entry = known.entry("Contract", "settled", "1.0.0")

    assert entry is not None
    assert first == entry.document
    assert known.entry("Contract", "companion", "1.0.0") is None
