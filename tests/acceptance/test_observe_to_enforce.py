"""The guide's way of one flow from observing over shadow to being enforced, typed while complaints cross."""

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from seamwork.agent import Agent, Task
from seamwork.contracts.check import check_contract, errors
from seamwork.documents import Contract, parse_documents
from seamwork.records.decision import Dispatched, Refused
from seamwork.records.inbox import Work
from seamwork.seams.steps import Step
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, Sent
from seamwork.testing.stage import WITHIN_S, Stage
from seamwork.testing.terminal import Terminal, typed_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guide" / "observe-to-enforce.md"
PRIORITIES = ("low", "normal", "high")
URGENT, ANOTHER = 13, 99
"""A complaint that nobody agreed on how to mark, and one that is answered with another order's ticket."""


class Shop:
    """The shopfront and its triage, and what was handed over so far."""

    def __init__(self, stage: Stage, shopfront: Puppet, terminal: Terminal) -> None:
        self.stage = stage
        self._shopfront = shopfront
        self.terminal = terminal

    async def type(self, section: str, block: int = 0) -> str:
        """Type one block of the guide, and return what it answers."""
        return await self.terminal.type(typed_in(PAGE)[section][block])

    async def complain(self, order: int) -> Sent:
        """Hand one complaint over."""
        priority = "urgent" if order == URGENT else PRIORITIES[order % 3]
        said = msgspec.json.encode({"order": order, "priority": priority, "text": f"dent in {order}"})
        return await self._shopfront.send(self._shopfront.root("complaint/1.0.0", "triage", said))

    async def outcome(self, order: int) -> str:
        """Hand one complaint over and say how its task ended."""
        return (await self.stage.ended((await self.complain(order)).crossing.task)).outcome

    async def outcomes(self, *orders: int) -> set[str]:
        """Hand complaints over, all at once."""
        return set(await asyncio.gather(*map(self.outcome, orders)))

    async def step(self, version: str, judged: int) -> Step:
        """Wait until the record has so many crossings of one version of the flow, and return what it tells."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            found = await asyncio.to_thread(self.stage.audit.flow, "complaints")
            step = next(one for one in found.steps if one.version == version)
            if step.judged >= judged:
                return step
            assert time.monotonic() < deadline, f"{step.judged} of {judged} crossings are on record"
            await asyncio.sleep(0.05)


async def ticket(payload: dict[str, Any], task: Task) -> dict[str, Any]:
    """Give a complaint a ticket; once for another order."""
    order = 7 if payload["order"] == ANOTHER else payload["order"]
    return {"order": order, "owner": ("counter", "warehouse")[order % 2], "ticket": f"T-{order}"}


@pytest_asyncio.fixture(loop_scope="session")
async def shop(stage: Stage, tmp_path: Path) -> Shop:
    """Bring both agents in; nobody has written what they hand to each other."""
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    joined = await stage.cast(
        {
            "shopfront": {"initiator": True, "budget": "complaints", "accepts": []},
            "triage": {"accepts": [{"contract": "complaint", "versions": ">=1 <2"}]},
        },
        document("Budget", "complaints"),
    )
    triage = Agent("triage", "1.0.0")
    triage.accepts("complaint", "1.0.0")(ticket)
    await stage.play(triage, joined["triage"])
    return Shop(stage, Puppet(stage, joined["shopfront"]), Terminal(stage, tmp_path))


@pytest.mark.timeout(420)  # a dozen commands, each a process: a quarter of a minute on a machine that is free
async def test_a_flow_goes_from_observing_to_being_enforced(shop: Shop, tmp_path: Path) -> None:
    """Ungoverned and proposed from, then judged and only told, then refused: as the guide tells it."""
    undrawn = await shop.complain(1)
    votes = (await shop.stage.refused(undrawn.at)).votes
    assert {"no-flow", "no-flow-edge"} & {vote.rule for vote in votes}

    said = await shop.type("Observe")
    assert "flow-not-enforced" in said
    assert "ungoverned: flow complaints 1.0.0 is in 'observe'" in said
    begun = await shop.complain(2)
    sent = await shop.stage.decided(begun.crossing.task, Dispatched)
    stamp = await shop.stage.said("inbox.triage.v1", Work, key=begun.crossing.task)
    assert ("not-enforced", "observe", "observe") == (sent.rule, sent.enforcement, stamp.enforcement)
    assert {"complete"} == await shop.outcomes(*range(8))
    observed = await shop.step("1.0.0", 18)
    assert (18, 18, 0) == (observed.judged, observed.would_refuse, observed.refused)
    assert "unknown-contract" in await shop.type("Observe", 1)
    traced = await asyncio.to_thread(shop.stage.audit.trace, begun.crossing.task)
    assert (1, 2, "observe") == (
        traced.ungoverned, traced.would_refuse, traced.roots[0].dispatches[0].enforcement,
    )  # fmt: skip

    await shop.type("Propose")
    checked = await shop.terminal.type("seamwork contracts check proposed/complaint-1.0.0.yaml", status=1)
    assert "owner-not-named" in checked
    proposed = await asyncio.to_thread((tmp_path / "proposed" / "complaint-1.0.0.yaml").read_text)
    (contract,) = parse_documents(proposed, "proposed")
    assert isinstance(contract, Contract)
    assert () == errors(check_contract(contract))
    assert {"enum": ["high", "low", "normal"]} == contract.spec.input.json_schema["properties"]["priority"]
    assert ["shopfront"] == [party.agent for party in contract.spec.producers]

    assert "flow-not-enforced" in await shop.type("Shadow")
    assert {"complete"} == await shop.outcomes(3, 4, URGENT, ANOTHER)
    shadowed = await shop.step("1.1.0", 8)
    assert (0, 2) == (shadowed.refused, shadowed.would_refuse)
    told = await shop.type("Shadow", 1)
    assert "rule:about-the-order" in told
    assert '"order": 13' in told
    assert "dent in 13" not in told

    await shop.type("Enforce")
    urgent = await shop.complain(URGENT)
    refused = await shop.stage.refused(urgent.at)
    assert ("schema", "enforce", "shopfront") == (
        refused.rule,
        refused.enforcement,
        refused.told and refused.told.agent,
    )
    another = await shop.complain(ANOTHER)
    answer = await shop.stage.decided(another.crossing.task, Refused)
    assert ("result", "rule:about-the-order") == (answer.kind, answer.rule)
    assert {"complete"} == await shop.outcomes(5)
    enforced = await shop.step("2.0.0", 5)
    assert (2, 0, True) == (enforced.refused, enforced.would_refuse, enforced.in_force)
    assert "2.0.0 enforce, in force: 5 crossings judged, 2 refused" in await shop.type("Enforce", 1)
