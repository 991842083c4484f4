"""The platform grows while it works: agents and documents come without anything restarting."""

import asyncio
from typing import Any

import pytest

from seamwork.agent import Task
from seamwork.platform.publisher import VersionConflictError
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet
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
