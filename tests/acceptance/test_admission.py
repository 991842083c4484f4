"""New work stops before something breaks, with the reason; what runs goes on, and work begins again by itself."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from seamwork.agent import Task
from seamwork.platform.findings import judge
from seamwork.platform.vitals import look
from seamwork.records.decision import Dispatched, Refused
from seamwork.records.wire import Outgoing
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, Sent
from seamwork.testing.stage import Stage
from seamwork.testing.troupe import Play, Troupe

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1024 * 1024
CONTRACT = "room/1.0.0"
SINK = "audit-sink"
WITHIN_S = 60


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def troupe(stage: Stage) -> AsyncIterator[Troupe]:
    """Bring an initiator and an agent in."""
    accepts = [{"contract": "room", "versions": "*"}]
    settings = await stage.cast(
        {
            "adm-worker": {"accepts": accepts},
            "adm-chief": {
                "accepts": accepts, "authority": {"depth": 3}, "initiator": True, "budget": "adm-budget"
            },
        },
        document("Budget", "adm-budget"),
        document("Contract", "room"),
        document("Flow", "admission", edges=[{"from": "adm-chief", "to": "adm-worker", "contract": "room"}]),
    )  # fmt: skip
    troupe = Troupe(stage, Puppet(stage, settings["adm-chief"]), [CONTRACT])
    await troupe.enlist(settings["adm-worker"])
    yield troupe
    await troupe.disband()


@pytest.fixture
def disk() -> Iterator[Path]:
    """Lend a folder on a disk that few write to: memory, where the machine has such a disk."""
    memory = Path("/dev/shm")  # noqa: S108  # for its being a disk of its own
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


async def echo(payload: dict[str, Any], task: Task) -> dict[str, Any]:
    """Answer with what came."""
    return payload


async def until_begun(troupe: Troupe, play: Play, *, admitted: bool) -> Refused | Dispatched:
    """Begin tasks until one is admitted, or refused, and return that decision."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        sent = await troupe.begin(play, CONTRACT, "adm-worker")
        said = await decision(troupe.stage, sent)
        if isinstance(said, Dispatched) == admitted:
            return said
    raise AssertionError("admission did not change in time")


async def decision(stage: Stage, sent: Sent) -> Refused | Dispatched:
    """Wait for what becomes of a root."""
    found = await stage.until(
        "decisions.v1", lambda r: isinstance(r.record, Refused | Dispatched), key=sent.crossing.task
    )
    assert isinstance(found.record, Refused | Dispatched)
    return found.record


def status(stage: Stage) -> "subprocess.CompletedProcess[str]":
    """Ask as a person does."""
    home = stage.door.home
    return subprocess.run(
        [sys.executable, "-m", "seamwork.cli", "status", "--platform", home.name, "--json"],
        env={**os.environ, "SEAMWORK_HOME": str(home.root.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )


@pytest.mark.timeout(240)
async def test_a_disk_nearly_full_stops_new_tasks_and_nothing_else(troupe: Troupe, disk: Path) -> None:
    """Refusal and status say why; the task under way ends whole; with room again tasks begin by themselves."""
    stage = troupe.stage
    go_on = asyncio.Event()

    async def slowly(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        await go_on.wait()
        return payload

    least = shutil.disk_usage(disk).free // MIB - 64
    before = dict(stage.running.supervisor.processes[SINK].environ())
    await restarted(
        stage,
        {
            **before,
            "SEAMWORK_AUDIT_SINK_BROKER_DATA": str(disk),
            "SEAMWORK_AUDIT_SINK_LEAST_FREE_MB": str(least),
        },
    )
    try:
        under_way = await troupe.begin(troupe.play(**{"adm-worker": slowly}), CONTRACT, "adm-worker")
        begun = await decision(stage, under_way)
        ballast = disk / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 128 * MIB)
        play = troupe.play(**{"adm-worker": echo})
        refused = await until_begun(troupe, play, admitted=False)
        closed = await asyncio.to_thread(status, stage)
        go_on.set()
        ended = await stage.ended(under_way.crossing.task)
        ballast.unlink()
        again = await until_begun(troupe, play, admitted=True)
        found = judge(await look(stage.door.home))
    finally:
        await restarted(stage, before)

    assert isinstance(begun, Dispatched)
    assert isinstance(refused, Refused)
    assert "admission-closed" == refused.rule
    assert "the disk on which the broker keeps its data" in refused.reason
    assert 1 == closed.returncode, closed.stderr
    assert ["disk-low"] == [one["name"] for one in json.loads(closed.stdout)["findings"] if one["closes"]]
    assert "complete" == ended.outcome
    assert isinstance(again, Dispatched)
    assert [] == [one for one in found if one.closes]


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_record_that_falls_behind_stops_new_tasks_until_it_has_caught_up(troupe: Troupe) -> None:
    """The audit sink is made slow and flooded: tasks are refused for that, then begin again."""
    stage = troupe.stage
    before = dict(stage.running.supervisor.processes[SINK].environ())
    slow = {"SEAMWORK_AUDIT_SINK_BATCH_RECORDS": "1", "SEAMWORK_AUDIT_SINK_MOST_BEHIND_S": "1"}
    play = troupe.play(**{"adm-worker": echo})
    await restarted(stage, {**before, **slow})
    try:
        # Nobody but the audit sink, and people, read this topic.
        junk = [Outgoing(topic="approvals.v1", key=b"adm", value=b"x", partition=0)] * 500
        refused: Refused | Dispatched | None = None
        deadline = time.monotonic() + WITHIN_S
        while not isinstance(refused, Refused) and time.monotonic() < deadline:
            await stage.send("approval-workflow", *junk)
            refused = await decision(stage, await troupe.begin(play, CONTRACT, "adm-worker"))
        await restarted(stage, {**before, "SEAMWORK_AUDIT_SINK_MOST_BEHIND_S": "1"})
        again = await until_begun(troupe, play, admitted=True)
    finally:
        await restarted(stage, before)

    assert isinstance(refused, Refused)
    assert "admission-closed" == refused.rule
    assert "the audit sink is more than 1 s behind" in refused.reason
    assert isinstance(again, Dispatched)


async def restarted(stage: Stage, environ: dict[str, str]) -> None:
    """Start the audit sink again in another environment."""
    supervisor = stage.running.supervisor
    await supervisor.stop(SINK)
    supervisor.processes[SINK].environ = lambda: environ
    await stage.running.start_services([SINK])
