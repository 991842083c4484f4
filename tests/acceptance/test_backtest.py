"""What crossed is judged once more, as if other documents had been in force; nothing is published."""

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from seamwork.agent import Agent
from seamwork.catalog.follower import read_catalog
from seamwork.documents import AnyDocument, canonical
from seamwork.errors import UnprocessableError
from seamwork.platform.backtest import GATES, Backtested, backtest, recorded
from seamwork.platform.janitor import machine_spec
from seamwork.runtime.spec import Site
from seamwork.testing.documents import document
from seamwork.testing.stage import Stage, staged
from seamwork.testing.terminal import Terminal

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONTRACT = "priced"
CHEAP, DEAR = 10, 90


def limit(most: int, version: str = "1.0.0", name: str = "prices") -> AnyDocument:
    """Make a policy that denies what costs more."""
    return document(
        "Policy",
        name,
        version,
        match={"contracts": [CONTRACT], "kinds": ["handoff"]},
        rules=[
            {
                "name": "too-dear", "effect": "deny", "when": f"this.price > {most}",
                "message": f"the price is above {most}",
            }
        ],
    )  # fmt: skip


async def again(stage: Stage, *documents: AnyDocument, last: int = 10_000) -> Backtested:
    """Judge again what crossed on the stage."""
    site = Site(platform=stage.platform, partitions=stage.door.identity.partitions)
    async with stage.door.log("tools") as log:
        as_was = await read_catalog(log, stage.platform, stage.door.identity.root_public)
        found = await recorded(log, stage.platform, GATES, last)
    return backtest(
        found, [machine_spec(gate, site) for gate in GATES], as_was, as_was.with_in_force(documents)
    )


async def left(stage: Stage, terminal: Terminal) -> tuple[dict[str, Any], str]:
    """Return how the one budget stands, as a program and as people are told, once the metrics say the same."""
    (budget,) = json.loads(await terminal.type("seamwork budgets list --json"))
    shown = await terminal.type("seamwork budgets list")
    lines = [
        f'seamwork_budget_micro_usd{{budget="{budget["budget"]}",of="{of}",service="cost-cap"}} {budget[of]}.0'
        for of in ("limit", "spent", "reserved", "overrun")
    ]
    (port,) = {
        one.ports["cost-cap"]
        for one in stage.running.supervisor.processes.values()
        if "cost-cap" in one.ports
    }
    async with asyncio.timeout(60):
        while not set(lines) <= set((await asyncio.to_thread(page_at, port)).splitlines()):  # noqa: ASYNC110  # as a collector comes by
            await asyncio.sleep(0.5)
    return budget, shown


def page_at(port: int) -> str:
    """Read a service's metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        return str(page.read().decode())


@pytest.mark.timeout(240)
async def test_what_another_policy_would_have_refused_is_listed(tmp_path: Path, quick: Path) -> None:
    """With what was in force at each moment all comes out as it did; stricter and looser limits are told apart."""
    async with staged(tmp_path / "tested", layout="together", partitions=2) as stage:
        edges = [{"from": "operator", "to": "till", "contract": CONTRACT}]
        price = {"type": "object", "properties": {"price": {"type": "integer"}}, "required": ["price"]}
        await stage.publish(
            limit(50),
            document("Policy", "permissive"),
            document("Contract", CONTRACT, input={"schema": price}),
            document("Flow", "selling", edges=edges),
            document("Budget", "till-day", scope="agent", holder="till", limitMicroUsd=1000, period="day"),
        )
        settings = await stage.join("till", accepts=[{"contract": CONTRACT, "versions": "*"}])
        till = Agent("till", "1.0.0")

        @till.accepts(CONTRACT, "1.0.0")
        async def sell(payload: dict[str, Any]) -> dict[str, Any]:
            return payload

        await stage.play(till, settings)
        begun = [
            await stage.submit(f"{CONTRACT}/1.0.0", {"price": price}, to="till", ceiling_micro_usd=5)
            for price in (CHEAP, 40, DEAR)
        ]
        await asyncio.gather(*map(stage.wait, begun), return_exceptions=True)
        # From here on another limit is in force; what was judged before was judged by the first one.
        await stage.publish(limit(95, "2.0.0"))
        begun.append(await stage.submit(f"{CONTRACT}/1.0.0", {"price": DEAR}, to="till", ceiling_micro_usd=5))
        await stage.wait(begun[-1])

        nothing = await again(stage)
        stricter = await again(stage, limit(30, "3.0.0"))
        looser = await again(stage, limit(95, "2.0.0"))
        poor = await again(stage, document("Budget", "operator-task", "2.0.0", limitMicroUsd=4))
        few = await again(stage, last=2)
        with pytest.raises(UnprocessableError, match="published before with other content"):
            await again(stage, limit(20))
        file = tmp_path / "prices.yaml"
        file.write_bytes(canonical(limit(30, "3.0.0")))
        terminal = Terminal(stage, tmp_path, quick)
        typed = await terminal.type("seamwork backtest prices.yaml", status=1)
        told = json.loads(await terminal.type("seamwork backtest prices.yaml --json 2>warnings", status=1))
        unchanged = await again(stage)
        budget, shown = await left(stage, terminal)

    assert nothing.same
    assert (4, [0, 0]) == (nothing.tasks, [gate.unlike for gate in nothing.gates])
    engine, caps = nothing.gates
    assert engine.compared == nothing.records
    assert 4 == caps.compared

    def prices(found: Backtested) -> dict[str, tuple[str, str]]:
        return {
            one.task: (one.then.outcome, one.now.outcome) for gate in found.gates for one in gate.otherwise
        }

    tasks = [one.task for one in begun]
    assert {tasks[1]: ("ALLOW", "DENY"), tasks[3]: ("ALLOW", "DENY")} == prices(stricter)
    assert {tasks[2]: ("DENY", "ALLOW")} == prices(looser)
    assert [("cost-cap", True), ("policy-engine", False)] == sorted(
        (gate.gate, bool(gate.otherwise)) for gate in poor.gates
    )
    (first, _) = stricter.gates[0].otherwise
    assert ("prices/too-dear", "operator -> till, priced 1.0.0") == (first.now.rule, first.seam)
    assert "the price is above 30" in first.now.reason
    assert 0 < few.records <= 2
    assert "operator -> till, priced 1.0.0" in typed
    assert {tasks[1], tasks[3]} == {one["task"] for gate in told["gates"] for one in gate["otherwise"]}
    assert unchanged.same
    assert ("till-day", "till", 1000) == (budget["budget"], budget["holder"], budget["limit"])
    assert budget["since"].endswith("T00:00:00.000Z")
    assert budget["left"] == 1000 - budget["reserved"] - budget["spent"]
    assert {"till-day"} == {line.split()[0] for line in shown.splitlines()[1:]}
