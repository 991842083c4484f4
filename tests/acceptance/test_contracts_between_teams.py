"""The guide's story of two teams: its commands are typed while invoices are handed over, and none is refused."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from seamwork.agent import Agent, AgentSettings, Task
from seamwork.documents import parse_documents
from seamwork.platform.teams import add_team
from seamwork.records.decision import Dispatched, Refused
from seamwork.records.verdict import Verdict
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, Sent
from seamwork.testing.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
_SECTION = r"^## {}$(.*?)(?=^## |\Z)"
_BLOCKS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
OLD, NEW = "invoice/1.0.0", "invoice/2.0.0"
TAKES_OLD = [{"contract": "invoice", "versions": ">=1 <2"}]
TAKES_BOTH = [{"contract": "invoice", "versions": ">=1 <3"}]


class Story:
    """Two teams on a stage, and what was handed over so far."""

    def __init__(self, stage: Stage, biller: Puppet) -> None:
        self.stage = stage
        self._biller = biller
        self.sent: list[Sent] = []
        self._way: tuple[str, dict[str, Any], dict[str, Any]] = (OLD, {}, {})

    async def type(self, section: str, block: int | None = None) -> str:
        """Type what the guide says in *section*, all of it or one block, and return what it answers."""
        text = (GUIDE / "contracts-between-teams.md").read_text(encoding="utf-8")
        found = re.search(_SECTION.format(section), text, re.MULTILINE | re.DOTALL)
        assert found is not None
        blocks = _BLOCKS.findall(found[1])
        home = self.stage.door.home.root
        environ = {
            **os.environ,
            "SEAMWORK_HOME": str(home.parent),
            "SEAMWORK_PLATFORM": home.name,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        shell = await asyncio.create_subprocess_exec(
            "bash", "-euc", "".join(blocks) if block is None else blocks[block], cwd=ROOT, env=environ,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await shell.communicate())[0].decode()
        assert shell.returncode == 0, said
        return said

    async def hand_over(self) -> Sent:
        """Hand one invoice over in the way that the biller does now."""
        contract, payload, order = self._way
        said = msgspec.json.encode({"number": f"2026-{len(self.sent)}", "cents": 1250, **payload})
        self.sent.append(await self._biller.send(self._biller.root(contract, "bookkeeper", said, **order)))
        return self.sent[-1]

    def change(self, contract: str, payload: dict[str, Any], **order: Any) -> None:
        """Let the biller write invoices in another way from now on."""
        self._way = contract, payload, order

    async def meanwhile(self, section: str, block: int | None = None) -> str:
        """Type what the guide says while an invoice goes all its way, and return what the commands answer."""
        said, sent = await asyncio.gather(self.type(section, block), self.hand_over())
        ended = await self.stage.ended(sent.crossing.task)
        assert "complete" == ended.outcome, await self.stage.story(sent.crossing.task)
        return said

    async def went_under(self, sent: Sent) -> str:
        """Return the contract's version that an invoice went under, and who booked it."""
        said = await self.stage.decided(sent.crossing.task, Dispatched)
        return f"{said.contract.version} {said.receiver.version}"


async def booking(payload: dict[str, Any], task: Task) -> dict[str, Any]:
    """Book it."""
    return {"booked": payload["number"]}


async def bookkeeper(stage: Stage, settings: AgentSettings, version: str, *contracts: str) -> Agent:
    """Start a bookkeeper."""
    agent = Agent("bookkeeper", version)
    for contract in contracts:
        agent.accepts(*contract.split("/"))(booking)
    return await stage.play(agent, settings)


@pytest.mark.timeout(240)
async def test_a_breaking_change_goes_all_its_way_and_no_invoice_is_refused(stage: Stage) -> None:
    """Proposed, refused, versioned, rolled out, deprecated, retired: as the guide tells it."""
    await stage.person("rosa", "bookkeeper")
    await add_team(stage.door, "books", ("rosa",))
    first = parse_documents((GUIDE / "contracts-between-teams" / "invoice-1.0.0.yaml").read_text(), "invoice")
    joined = await stage.cast(
        {
            "biller": {"initiator": True, "budget": "billing", "team": "billing", "accepts": []},
            "bookkeeper": {"accepts": TAKES_OLD, "team": "books"},
        },
        *first,
        document("Budget", "billing"),
        document("Flow", "billing", edges=[{"from": "biller", "to": "bookkeeper", "contract": "invoice"}]),
    )
    story = Story(stage, Puppet(stage, joined["biller"]))
    old = await bookkeeper(stage, joined["bookkeeper"], "1.0.0", OLD)
    new: Agent | None = None
    try:
        assert "version step: major" in await story.meanwhile("Proposed")
        assert "refused" in (await story.meanwhile("Refused")).splitlines()[-1]
        waits = await story.meanwhile("Versioned", 0)
        assert "whose consumers have not agreed: books" in waits
        await stage.cast({"bookkeeper@1.1.0": {"accepts": TAKES_BOTH, "team": "books"}})
        new = await bookkeeper(stage, joined["bookkeeper"], "1.1.0", OLD, NEW)
        assert "nobody is waited for: publish it again" in await story.meanwhile("Versioned", 1)
        story.change(NEW, {"currency": "EUR"})
        by_name = await story.hand_over()
        story.change(OLD, {"currency": "EUR"}, contract_versions=">=1 <3")
        by_range = await story.hand_over()
        story.change(OLD, {})
        await story.meanwhile("Deprecated")
        late = await story.hand_over()
        for sent in story.sent:
            assert "complete" == (await stage.ended(sent.crossing.task)).outcome
        warned = await stage.said(
            "verdicts.contract-validator.v1", Verdict, lambda v: bool(v.warnings), key=late.crossing.task
        )
        story.change(NEW, {"currency": "EUR"})
        gone = await story.meanwhile("Retired")
        story.change(OLD, {})
        refused = await story.hand_over()
        told = await stage.decided(refused.crossing.task, Refused)
        page = await story.type("Looked up")
    finally:
        await stage.leave(old)
        if new is not None:
            await stage.leave(new)

    assert ["2.0.0 1.1.0", "2.0.0 1.1.0", "1.0.0 1.1.0"] == [
        await story.went_under(sent) for sent in (by_name, by_range, late)
    ]
    assert "move to invoice 2.0.0" in warned.warnings[0].reason
    assert "agent bookkeeper 1.0.0 is left without it: takes invoice >=1 <2" in gone
    assert "bookkeeper 1.0.0 would be left without" in gone
    assert "contract-retired" == told.rule
    assert "its successor is invoice 2.0.0" in told.reason
    history = {
        row.split("|")[1].strip(): row for row in page.splitlines() if row.startswith(("| 1.0", "| 2.0"))
    }
    assert "retired" in history["1.0.0"]
    assert "active" in history["2.0.0"]
    assert "rosa for books" in history["2.0.0"]
    assert "a major change" in history["2.0.0"]
    assert re.search(r"- deprecated from .*, and ends at 2027-06-30T00:00:00; 2.0.0 takes its place", page)
    assert "### biller → bookkeeper under invoice" in page
