"""The plain good path: one order, one agent, six services in between."""

import pytest

from seamwork.agent import Agent, Refused
from seamwork.testing.documents import document
from seamwork.testing.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_order_comes_back_as_the_result_of_a_completed_task(stage: Stage) -> None:
    """What the operator submits goes through every gate to the agent and its result comes back."""
    await stage.publish(
        document("Contract", "first-work"),
        document(
            "Flow", "first", edges=[{"from": "operator", "to": "first-worker", "contract": "first-work"}]
        ),
    )
    settings = await stage.join("first-worker", accepts=[{"contract": "first-work", "versions": "*"}])
    worker = Agent("first-worker", "1.0.0")

    @worker.accepts("first-work", "1.0.0")
    async def double(payload: dict[str, int]) -> dict[str, int]:
        return {"doubled": 2 * payload["number"]}

    await stage.play(worker, settings)
    begun = await stage.submit("first-work/1.0.0", {"number": 21}, to="first-worker")

    ended = await stage.ended(begun.task)
    answer = await stage.wait(begun)
    await stage.leave(worker)

    assert "complete" == ended.outcome
    assert ({"doubled": 42}, "success") == (answer.value, answer.outcome)
    await stage.audited()


async def test_a_refused_order_says_why(stage: Stage) -> None:
    """Whoever began the task hears which gate refused it, and by which rule."""
    begun = await stage.submit("nothing-agreed/1.0.0", {}, to="first-worker")
    with pytest.raises(Refused) as refused:
        await stage.wait(begun)

    assert ("contract-validator", "unknown-contract") == (refused.value.gate, refused.value.rule)
    assert "failed" == (await stage.ended(begun.task)).outcome
