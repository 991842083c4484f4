"""All services in one process are the same platform: the same topics, principals and journals, and one fate."""

import os
import signal
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from seamwork.agent import Agent
from seamwork.platform.state import read_state
from seamwork.platform.up import TOGETHER
from seamwork.testing.documents import document
from seamwork.testing.stage import staged

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONTRACT = "shared-work"


@pytest.mark.timeout(240)
async def test_services_that_share_a_process_carry_work_and_come_back_together(tmp_path: Path) -> None:
    """Work is admitted, the process is killed, and what was handed over meanwhile is done after it is back."""
    async with staged(tmp_path / "together", layout="together") as stage:
        process = stage.running.supervisor.processes[TOGETHER]
        state = read_state(stage.door.home.state_file)
        accepts = [{"contract": CONTRACT, "versions": "*"}]
        await stage.publish(
            document("Policy", "permissive"),
            document("Contract", CONTRACT),
            document("Flow", "sharing", edges=[{"from": "operator", "to": "sharer", "contract": CONTRACT}]),
        )
        settings = await stage.join("sharer", accepts=accepts)
        worker = Agent("sharer", "1.0.0")

        @worker.accepts(CONTRACT, "1.0.0")
        async def echo(payload: dict[str, Any]) -> dict[str, Any]:
            return payload

        await stage.play(worker, settings)
        first = await stage.wait(await stage.submit(f"{CONTRACT}/1.0.0", {"n": 1}, to="sharer"), 60)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        meanwhile = await stage.submit(f"{CONTRACT}/1.0.0", {"n": 2}, to="sharer")
        second = await stage.wait(meanwhile, 120)
        restarts = process.restarts

    assert state is not None
    assert {point.name for point in entry_points(group="seamwork.services")} == {
        s.name for s in state.services
    }
    assert 1 == len({service.pid for service in state.services})
    assert [{"n": 1}, {"n": 2}] == [first.value, second.value]
    assert 1 == restarts
    told = process.log.read_text()
    for service in state.services:
        # Each line of the one log says whose it is, and each service took its leave in order at the end.
        assert f'"service": "{service.name}"' in told
    assert len(state.services) == told.count('"why": "stopped"')
