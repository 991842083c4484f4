"""What is slow slows its own work only; what waits is bounded, and can be seen."""

import asyncio
import os
import signal
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from seamwork.agent import Task
from seamwork.platform.vitals import look
from seamwork.records.decision import Accepted, Dispatched
from seamwork.records.parties import Position
from seamwork.records.verdict import Verdict
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, now_ms
from seamwork.testing.stage import WITHIN_S, Stage
from seamwork.testing.troupe import Troupe

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONTRACT = "bp-work/1.0.0"
SLOW, QUICK, CHIEF = "bp-slow", "bp-quick", "bp-chief"
WAITING = 24
SEATS = 2


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def troupe(stage: Stage) -> AsyncIterator[Troupe]:
    """Bring an initiator, a slow agent and a quick one in."""
    accepts = [{"contract": "bp-work", "versions": "*"}]
    chief = {"accepts": accepts, "authority": {"depth": 3}, "initiator": True, "budget": "bp-budget"}
    settings = await stage.cast(
        {SLOW: {"accepts": accepts}, QUICK: {"accepts": accepts}, CHIEF: chief},
        document("Budget", "bp-budget"),
        document("Contract", "bp-work", limits={"timeSeconds": 600}),
        document(
            "Flow", "bp", edges=[{"from": CHIEF, "to": to, "contract": "bp-work"} for to in (SLOW, QUICK)]
        ),
    )
    troupe = Troupe(stage, Puppet(stage, settings[CHIEF]), [CONTRACT])
    await troupe.enlist(replace(settings[SLOW], concurrency=SEATS))
    await troupe.enlist(settings[QUICK])
    yield troupe
    await troupe.disband()


def remembered(stage: Stage, service: str, of: str) -> float:
    """Return how much of something a machine says, on its page, that it remembers."""
    port = stage.running.supervisor.processes[service].http_port
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        families = text_string_to_metric_families(page.read().decode())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "seamwork_remembered" and sample.labels["of"] == of
        )


@pytest.mark.timeout(240)
async def test_a_slow_agent_slows_its_own_work_only(troupe: Troupe) -> None:
    """While its work waits, others' tasks end; it takes no more than its seats; what waits is on the screen."""
    stage, go_on = troupe.stage, asyncio.Event()
    running: list[int] = [0, 0]  # now, and the most at once

    async def slowly(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        running[0] += 1
        running[1] = max(running)
        await go_on.wait()
        running[0] -= 1
        return payload

    async def quickly(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        return payload

    play = troupe.play(**{SLOW: slowly, QUICK: quickly})
    until = now_ms() + 600_000
    waiting = [await troupe.begin(play, CONTRACT, SLOW, deadline_at=until) for _ in range(WAITING)]
    for one in waiting:
        await stage.decided(one.crossing.task, Dispatched)
    others = [await troupe.whole(play, CONTRACT, QUICK) for _ in range(3)]
    async with asyncio.timeout(WITHIN_S):
        while True:
            tasks = await asyncio.to_thread(remembered, stage, "router", "tasks")
            if running[0] == SEATS and tasks >= WAITING:
                break
            await asyncio.sleep(0.05)
    vitals = await look(stage.door.home)
    go_on.set()
    ended = [await stage.ended(one.crossing.task) for one in waiting]

    assert ["complete"] * 3 == [one.outcome for one in others]
    assert {f"{SLOW}@1.0.0": WAITING} == {
        one.whose: one.waiting for one in vitals.backlogs if one.whose == f"{SLOW}@1.0.0"
    }
    assert SEATS == running[1]
    assert ["complete"] * WAITING == [one.outcome for one in ended]


@pytest.mark.timeout(240)
async def test_a_slow_gate_slows_only_what_it_must_judge(troupe: Troupe) -> None:
    """While cost-cap stands still results are accepted, handoffs wait, and go on when it does."""
    stage, go_on = troupe.stage, asyncio.Event()

    async def when_told(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        await go_on.wait()
        return payload

    play = troupe.play(**{QUICK: when_told})
    under_way = await troupe.begin(play, CONTRACT, QUICK)
    await stage.decided(under_way.crossing.task, Dispatched)
    cost_cap = stage.running.supervisor.processes["cost-cap"].pid
    assert cost_cap is not None
    os.kill(cost_cap, signal.SIGSTOP)
    try:
        go_on.set()
        await stage.decided(under_way.crossing.task, Accepted)
        fresh = await troupe.begin(play, CONTRACT, QUICK)
        for gate in ("contract-validator", "policy-engine"):
            await judged(stage, gate, fresh.at)
        before = [one for one in await stage.decisions(fresh.crossing.task) if isinstance(one, Dispatched)]
    finally:
        os.kill(cost_cap, signal.SIGCONT)
    ended = await stage.ended(fresh.crossing.task)

    assert [] == before
    assert "complete" == ended.outcome


async def judged(stage: Stage, gate: str, at: Position) -> Verdict:
    """Wait for a gate's verdict on what lies at this place."""
    return await stage.said(f"verdicts.{gate}.v1", Verdict, lambda verdict: verdict.subject.position == at)
