"""Platforms beside each other do not meet, and one that was copied, moved and upgraded goes on where it stood."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from seamwork.agent import Agent, AgentSettings
from seamwork.broker.probe import AccessDenied, probe
from seamwork.broker.secret import write_private
from seamwork.platform.backup import backup, restore
from seamwork.platform.home import PlatformHome
from seamwork.platform.layouts import LAYOUT
from seamwork.records.decision import Dispatched
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet
from seamwork.testing.stage import Stage, staged

pytestmark = pytest.mark.asyncio(loop_scope="session")

TWIN = "cpy-twin"
WORK = f"{TWIN}/1.0.0"
NEEDED = ("contract-validator", "policy-engine", "cost-cap", "router", "audit-sink")
PATH = ("handoffs.v1", "decisions.v1", "verdicts.contract-validator.v1", f"inbox.{TWIN}.v1")


async def settle_in(stage: Stage) -> AgentSettings:
    """Bring the same agent, contract and flow in, wherever it is."""
    accepts = [{"contract": TWIN, "versions": "*"}]
    settings = await stage.cast(
        {TWIN: {"accepts": accepts, "initiator": True, "budget": TWIN}},
        document("Budget", TWIN),
        document("Contract", TWIN),
        document(
            "Flow", TWIN, edges=[{"from": who, "to": TWIN, "contract": TWIN} for who in ("operator", TWIN)]
        ),
    )
    return settings[TWIN]


@asynccontextmanager
async def answering(stage: Stage, settings: AgentSettings, name: str) -> AsyncIterator[None]:
    """Let the agent answer with where it is while the block runs."""
    agent = Agent(TWIN, "1.0.0")

    @agent.accepts(TWIN, "1.0.0")
    async def answer(payload: dict[str, str]) -> dict[str, str]:
        return {**payload, "by": name}

    await stage.play(agent, settings)
    yield
    await stage.leave(agent)


async def keys(stage: Stage) -> set[str]:
    """Return the keys of all records on the path of work: tasks, to which everything there belongs."""
    return {one.key for topic in PATH for one in await stage.records(topic)}


@pytest.mark.timeout(300)
async def test_platforms_do_not_meet_and_a_copy_goes_on_elsewhere(stage: Stage, tmp_path: Path) -> None:
    """
    Two run the same documents on one machine, each on a Kafka of its own; one is stopped, copied and made again.

    What was under way when it stopped is finished by the copy, at another place, from a folder of an older layout.
    """
    async with staged(tmp_path / "one" / "default", services=NEEDED, partitions=2) as other:
        await other.publish(document("Policy", "permissive"))
        here, there = await settle_in(stage), await settle_in(other)
        async with answering(stage, here, "here"), answering(other, there, "there"):
            begun = [await s.submit(WORK, {"n": "1"}, to=TWIN, timeout_s=600.0) for s in (stage, other)]
            answers = [await s.wait(b) for s, b in zip((stage, other), begun, strict=True)]
        ours, theirs = await keys(stage), await keys(other)

        # A crossing that is well signed on the one platform counts for nothing on the other.
        forged = Puppet(stage, here).root(WORK, TWIN)
        sent = await Puppet(other, there).send(forged)
        refused = await other.refused(sent.at)
        with pytest.raises(AccessDenied):
            await asyncio.to_thread(probe, replace(here.kafka, bootstrap=there.kafka.bootstrap))

        waiting = await other.submit(WORK, {"n": "2"}, to=TWIN, timeout_s=600.0)
        await other.decided(waiting.task, Dispatched)
        await other.audited()
        home, finished = other.door.home, begun[1].task

    assert [{"n": "1", "by": "here"}, {"n": "1", "by": "there"}] == [one.value for one in answers]
    assert set() == ours & theirs
    assert "wrong-signature" == refused.rule

    copy = moved(home, tmp_path)
    async with staged(copy.root, services=NEEDED, partitions=2) as again:
        settings = AgentSettings.from_file(copy.agents / f"{TWIN}.toml")
        async with answering(again, settings, "again"):
            answer = await again.wait(waiting)
            fresh = await again.wait(await again.submit(WORK, {"n": "3"}, to=TWIN))
        trace = await asyncio.to_thread(again.audit.trace, finished)
        layout = copy.layout

    assert {"n": "2", "by": "again"} == answer.value
    assert {"n": "3", "by": "again"} == fresh.value
    assert finished == trace.task
    assert LAYOUT == layout
    assert there.platform == copy.identity().id


def moved(home: PlatformHome, tmp_path: Path) -> PlatformHome:
    """Make a stopped platform again elsewhere, from a copy of it as the layout before this one was."""
    note = home.root / "platform.json"
    content = json.loads(note.read_text())
    del content["release"]
    write_private(note, json.dumps({**content, "layout": LAYOUT - 1}))
    backup(home, tmp_path / "copy")
    copy = PlatformHome(tmp_path / "two" / "default")
    restore(copy, tmp_path / "copy")
    return copy
