"""Keys are replaced while work goes on: the next one is known before anybody signs with it, the former one ends."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from seamwork.agent import Agent, AgentSettings
from seamwork.clock import SystemClock
from seamwork.documents import Person
from seamwork.errors import UnprocessableError
from seamwork.platform.keys import renew, who_signs_with
from seamwork.platform.members import person_kid
from seamwork.platform.people import people_here
from seamwork.platform.up import TOGETHER
from seamwork.testing.documents import document
from seamwork.testing.stage import Stage, staged
from seamwork.testing.terminal import Terminal

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONTRACT = "sealed-work"
WITHIN_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Start a platform apart from the one that all share: its services are killed and its keys revoked."""
    async with staged(tmp_path_factory.mktemp("keys") / "renewed", layout="together") as made:
        await made.publish(
            document("Policy", "permissive"),
            document("Contract", CONTRACT),
            document("Flow", "sealing", edges=[{"from": "operator", "to": "sealer", "contract": CONTRACT}]),
        )
        yield made


@pytest.fixture
def terminal(stage: Stage, quick: Path, tmp_path: Path) -> Terminal:
    """Lend a terminal."""
    return Terminal(stage, tmp_path, quick)


def sealer() -> Agent:
    """Make an agent that gives back what it gets."""
    agent = Agent("sealer", "1.0.0")

    @agent.accepts(CONTRACT, "1.0.0")
    async def echo(payload: dict[str, Any]) -> dict[str, Any]:
        return payload

    return agent


async def works(stage: Stage, n: int) -> bool:
    """Say whether a task ends as it should."""
    begun = await stage.submit(f"{CONTRACT}/1.0.0", {"n": n}, to="sealer")
    return bool((await stage.wait(begun, WITHIN_S)).value == {"n": n})


async def signs(stage: Stage, kid: str) -> None:
    """Wait until a service beats with this key."""
    log = await stage.log("people")
    async with asyncio.timeout(WITHIN_S):
        while not await who_signs_with(log, stage.platform, kid, SystemClock().now_ms()):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.2)


@pytest.mark.timeout(240)
async def test_the_router_gets_its_next_key_while_work_goes_on(stage: Stage, terminal: Terminal) -> None:
    """Work is done under the first key, with both believed, and under the next one alone."""
    home = stage.door.home
    settings = await stage.join("sealer", accepts=[{"contract": CONTRACT, "versions": "*"}])
    agent, file = await stage.play(sealer(), settings), home.agents / "sealer.toml"
    process = stage.running.supervisor.processes[TOGETHER]
    done = [await works(stage, 1)]

    last = await terminal.type("seamwork revoke Key router-1", status=1)
    told = await terminal.type("seamwork keys renew router")
    both = AgentSettings.from_file(file)
    done.append(await works(stage, 2))  # by the key that the router was started with

    await stage.leave(agent)
    await stage.play(sealer(), both)
    early = await who_signs_with(
        await stage.log("people"), stage.platform, "router-1", SystemClock().now_ms()
    )
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    await signs(stage, "router-2")
    done.append(await works(stage, 3))

    revoked = await terminal.type("seamwork revoke Key router-1 --reason 'lay in a copy'")
    again = await terminal.type("seamwork revoke Key router-1", status=1)
    done.append(await works(stage, 4))
    signed_by = [one.kid for one in await stage.records("inbox.sealer.v1")]

    assert all(done)
    assert "`seamwork keys renew router` makes the next one" in last
    assert f'router-2 = "{home.key("router-2").public}"' in told
    assert {"router-1", "router-2"} == set(both.router_keys)
    assert early
    assert "its private half is removed" in revoked
    assert "router-1 is not in force: 1.0.0 is revoked" in again
    assert {"router-2"} == set(AgentSettings.from_file(file).router_keys)
    assert not home.key_file("router-1").exists()
    assert ["router-1", "router-2"] == list(dict.fromkeys(signed_by))


async def test_what_a_former_key_of_the_publisher_signed_stays(stage: Stage, terminal: Terminal) -> None:
    """Its documents were published while it counted; the next ones are signed with the next key."""
    await terminal.type("seamwork keys renew publisher")
    await terminal.type("seamwork revoke Key publisher-1")
    await stage.publish(document("Contract", "sealed-again"))
    async with stage.door.publisher() as publisher:
        catalog = await publisher.catalog()

    assert ["publisher-1", "publisher-2"] == list(
        dict.fromkeys(one.kid for one in await stage.records("contracts.v1"))
    )
    assert {CONTRACT, "sealed-again"} == {entry.document.name for entry in catalog.entries("Contract")}
    assert not stage.door.home.key_file("publisher-1").exists()


async def test_a_person_signs_with_the_next_key_at_once(stage: Stage, terminal: Terminal) -> None:
    """In the same roles; and the former key, which may be in other hands, signs for that person no more."""
    home = stage.door.home
    await stage.person("ada", "legal")
    await terminal.type("seamwork keys renew person:ada")
    async with stage.door.publisher() as publisher:
        ada = (await publisher.catalog()).person("ada")
    listed = json.loads(await terminal.type("seamwork keys list --json"))
    shown = await terminal.type("seamwork keys list")
    with pytest.raises(UnprocessableError, match="there is no person bob in force; there are ada"):
        await renew(stage.door, "person:bob")

    assert isinstance(ada, Person)
    assert ("1.1.0", "person-ada-2", ("legal",)) == (ada.version, ada.spec.key.kid, ada.spec.roles)
    assert home.latest_key(person_kid("ada")).public == ada.spec.key.public
    assert ("ada",) == people_here(stage.door)
    states = {one["kid"]: (one["holder"], one["state"], one["here"], one["signs"]) for one in listed}
    assert ("person:ada", "ended", True, False) == states["person-ada-1"]
    assert ("person:ada", "counts", True, True) == states["person-ada-2"]
    assert ("cost-cap", "counts", True, True) == states["cost-cap-1"]
    assert all("counts" == state for kid, (_, state, *_) in states.items() if kid.startswith("agent-"))
    assert "person-ada-1" in shown
    assert "no: ended" in shown


async def test_an_agents_next_key_is_for_its_next_version(stage: Stage, terminal: Terminal) -> None:
    """A document names its keys and never changes: the command makes the key, and says what the next one lists."""
    if not stage.door.home.key_file("agent-sealer-1").exists():
        await stage.join("sealer", accepts=[{"contract": CONTRACT, "versions": "*"}])
    told = await terminal.type("seamwork keys renew agent:sealer")
    before = json.loads(await terminal.type("seamwork keys list --json"))
    key = stage.door.home.key("agent-sealer-2")
    keys = [{"kid": key.kid, "public": key.public}]
    accepts = [{"contract": CONTRACT, "versions": "*"}]
    settings = await stage.join("sealer", "1.1.0", accepts=accepts, keys=keys)

    assert f'keys: [{{kid: agent-sealer-2, public: "{key.public}"}}]' in told
    assert "agent-sealer-2" == settings.key.kid
    assert [("agent-sealer-1", True)] == [
        (k["kid"], k["signs"]) for k in before if k["holder"] == "agent:sealer"
    ]
