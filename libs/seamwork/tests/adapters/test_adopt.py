"""What an adopted agent can rely on, whichever framework it is of."""

import asyncio
import json
from typing import Any

import pytest

from seamwork.adapters import Commission, Delegation, Prices, adopt
from seamwork.agent import Agent
from seamwork.documents import Contract
from seamwork.testing.documents import document
from seamwork.testing.seam import Seam

LOOK_UP = Delegation(
    name="look_up",
    description="Look a word up.",
    contract="entry/1.0.0",
    takes=dict[str, str],
    to="dictionary",
)
ASKED = '{"word": "seam"}'


def contracts() -> list[Contract]:
    """Return the agent's contract, and that of what it hands on."""
    made = [document("Contract", name) for name in ("explain", "entry")]
    return [one for one in made if isinstance(one, Contract)]


class Impatient:
    """A framework that gives a tool little time, tells its model so, and is asked to call it again."""

    def __init__(self, given_up: asyncio.Event) -> None:
        self._given_up = given_up

    async def run(self, commission: Commission) -> Any:
        """Call the tool twice."""
        (tool,) = commission.tools
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(tool.call(ASKED), 0.05)
        self._given_up.set()
        return json.loads(await tool.call(ASKED))


async def test_a_call_that_a_framework_gave_up_can_be_waited_for_again() -> None:
    """The handoff is out, and what comes back of it is the answer to the same question."""
    given_up = asyncio.Event()
    agent = Agent("explainer", "1.0.0")
    adopt(
        agent, Impatient(given_up), contract="explain/1.0.0", takes=dict[str, str], prices=Prices(models={}),
        delegations=[LOOK_UP],
    )  # fmt: skip

    async def knows(payload: dict[str, str]) -> dict[str, str]:
        await given_up.wait()
        return {"entry": payload["word"]}

    async with Seam(agent, contracts(), peers={"dictionary": knows}) as seam:
        piece = await seam.begin("explain/1.0.0", {"word": "seam"})
        answer = await seam.outcome(piece)

    assert {"outcome": "success", "value": {"entry": "seam"}} == answer.value
    assert 1 == len(piece.handed_on)
