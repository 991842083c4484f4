"""Agents that crash, hang, answer late or answer garbage: the contract says what follows, and the rest goes on."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from seamwork.agent import Task
from seamwork.records.crossing import Outcome
from seamwork.records.decision import Accepted, Closed, Dispatched, Escalated, Refused
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, Sent
from seamwork.testing.stage import Stage
from seamwork.testing.troupe import Troupe

pytestmark = pytest.mark.asyncio(loop_scope="session")

STRICT, MENDED, OTHERS, ESCALATED = "strict/1.0.0", "mended/1.0.0", "others/1.0.0", "escalated/1.0.0"
HURRIED, PATIENT, ONCE = "hurried/1.0.0", "patient/1.0.0", "once/1.0.0"
RELIEVED, EASY = "relieved/1.0.0", "easy/1.0.0"
CONTRACTS = (STRICT, MENDED, OTHERS, ESCALATED, HURRIED, PATIENT, ONCE, RELIEVED, EASY)
OUT = {"success": {"schema": {"required": ["ok"]}}}
PROGRAM = Path(__file__).parent / "crashing_agent.py"


def after(action: str, **more: Any) -> dict[str, Any]:
    """Return a contract's word on a failure."""
    return {"action": action, "otherwise": "fail", **more}


@dataclass
class Ward:
    """The agents that fail, moved by hand, and honest ones beside them."""

    stage: Stage
    troupe: Troupe
    faulty: Puppet
    relief: Puppet
    settings_of_crasher: Path

    async def offered(self, contract: str) -> tuple[Sent, Any]:
        """Have the faulty agent get work under a contract."""
        root = await self.troupe.chief.send(self.troupe.chief.root(contract, "ward-faulty"))
        return root, await self.faulty.offered(root.crossing.task)

    async def answer(
        self, offer: Any, payload: bytes, ordinal: int = 0, outcome: Outcome = "success"
    ) -> Sent:
        """Have the faulty agent answer."""
        return await self.faulty.send(self.faulty.result(offer, payload, outcome, ordinal))

    async def unharmed(self) -> None:
        """Show that honest work goes through, and that the audit has everything."""
        assert (
            "complete"
            == (await self.troupe.whole(self.troupe.play(**{"ward-helper": ok}), EASY, "ward-helper")).outcome
        )
        await self.stage.audited()


async def ok(payload: dict[str, Any], task: Task) -> dict[str, bool]:
    """Answer as every contract here wants it."""
    return {"ok": True}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ward(stage: Stage) -> AsyncIterator[Ward]:
    """Bring everybody in."""
    accepts = [{"contract": contract.split("/")[0], "versions": "*"} for contract in CONTRACTS]
    names = ("ward-faulty", "ward-helper", "ward-second", "ward-relief", "ward-crasher")
    retry = after("retry", attempts=1, backoffSeconds=0)
    settings = await stage.cast(
        {
            **{name: {"accepts": accepts} for name in names},
            "ward-chief": {"accepts": accepts, "initiator": True, "budget": "ward-budget"},
        },
        document("Budget", "ward-budget"),
        document("Contract", "strict", outputs=OUT, onViolation=after("fail")),
        document("Contract", "mended", outputs=OUT, onViolation=after("correct", attempts=1)),
        document(
            "Contract", "others", outputs=OUT, onViolation=after("fallback"), fallbacks=[{"agent": "ward-helper"}]
        ),
        document(
            "Contract", "relieved", onTimeout=after("fallback"), fallbacks=[{"agent": "ward-relief"}],
            limits={"timeSeconds": 3},
        ),
        document("Contract", "escalated", outputs=OUT, owners={"escalation": ["the night watch"]}),
        document("Contract", "hurried", onTimeout=retry, limits={"timeSeconds": 2}),
        document("Contract", "once", onTimeout=after("fail"), limits={"timeSeconds": 1}),
        document("Contract", "patient"),
        document("Contract", "easy"),
        document("Flow", "bad-agents-flow", edges=[
            {"from": "ward-chief", "to": name, "contract": contract.split("/")[0]}
            for contract in CONTRACTS for name in names
        ]),
    )  # fmt: skip
    troupe = Troupe(stage, Puppet(stage, settings["ward-chief"]), CONTRACTS)
    for name in ("ward-helper", "ward-second"):
        await troupe.enlist(settings[name])
    crasher = stage.door.home.agents / "ward-crasher.toml"
    faulty, relief = (Puppet(stage, settings[name]) for name in ("ward-faulty", "ward-relief"))
    yield Ward(stage, troupe, faulty, relief, crasher)
    await troupe.disband()


# ── Garbage ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("payload", "rule"), [(b'{"ok"', "not-json"), (b'{"o": 1}', "schema"), (b"\xff", "not-utf-8")],
    ids=["cut off", "against the schema", "no text"],
)  # fmt: skip
async def test_garbage_is_refused_and_fails_the_work(ward: Ward, payload: bytes, rule: str) -> None:
    """The contract refuses it, its sender is told, and whoever waits hears that it failed."""
    root, offer = await ward.offered(STRICT)
    bad = await ward.answer(offer, payload)
    refused = await ward.stage.refused(bad.at)
    told = await ward.stage.told("ward-faulty", bad.crossing.id, "refused")
    waiting = await ward.stage.told("ward-chief", root.crossing.id, "failed")
    closed = await ward.stage.decided(root.crossing.task, Closed)

    assert ("result", rule) == (refused.kind, refused.rule)
    assert (rule, 0) == (told.rule, told.corrections_left)
    assert rule == waiting.rule
    assert ("violation", True) == (closed.why, closed.final)
    assert "failed" == (await ward.stage.ended(root.crossing.task)).outcome
    await ward.unharmed()


async def test_garbage_may_be_corrected_where_the_contract_says_so(ward: Ward) -> None:
    """The dispatch stays open for the stated number of answers."""
    root, offer = await ward.offered(MENDED)
    bad = await ward.answer(offer, b"{}")
    told = await ward.stage.told("ward-faulty", bad.crossing.id, "refused")
    await ward.answer(offer, b'{"ok": true}', ordinal=1)

    assert 1 == told.corrections_left
    assert "complete" == (await ward.stage.ended(root.crossing.task)).outcome


async def test_corrections_are_counted(ward: Ward) -> None:
    """Garbage again is the end of it."""
    root, offer = await ward.offered(MENDED)
    bad = await ward.answer(offer, b"{}")
    await ward.stage.told("ward-faulty", bad.crossing.id, "refused")
    worse = await ward.answer(offer, b'{"o": 1}', ordinal=1)

    assert 0 == (await ward.stage.told("ward-faulty", worse.crossing.id, "refused")).corrections_left
    assert "failed" == (await ward.stage.ended(root.crossing.task)).outcome


async def test_another_agent_takes_over_where_the_contract_says_so(ward: Ward) -> None:
    """The fallback gets the same work, the first one's stamp is closed."""

    async def garbage(payload: dict[str, Any], task: Task) -> dict[str, int]:
        return {"o": 1}

    play = ward.troupe.play(**{"ward-second": garbage, "ward-helper": ok})
    root = await ward.troupe.begin(play, OTHERS, "ward-second")

    assert "complete" == (await ward.stage.ended(root.crossing.task)).outcome
    assert ["ward-second@1.0.0", "ward-helper@1.0.0"] == play.seen
    assert "schema" == (await ward.stage.decided(root.crossing.task, Refused)).rule


async def test_what_nobody_provided_for_is_put_before_the_owners(ward: Ward) -> None:
    """A violation without another word in the contract is escalated, by name."""
    root, offer = await ward.offered(ESCALATED)
    await ward.answer(offer, b"{}")
    escalated = await ward.stage.decided(root.crossing.task, Escalated)

    assert ("the night watch", "violation") == (escalated.to, escalated.why)
    assert "failed" == (await ward.stage.ended(root.crossing.task)).outcome


# ── Silence ──────────────────────────────────────────────────────────────────────────────


async def test_a_hung_agent_is_not_waited_for(ward: Ward) -> None:
    """When its time is over the work has failed; its late answer is refused and changes nothing."""
    root, offer = await ward.offered(ONCE)
    task = root.crossing.task
    closed = await ward.stage.decided(task, Closed)
    ended = await ward.stage.ended(task)
    late = await ward.answer(offer, b"{}")
    refused = await ward.stage.refused(late.at)
    told = await ward.stage.told("ward-faulty", late.crossing.id, "refused")

    assert ("timeout", True) == (closed.why, closed.final)
    assert "failed" == ended.outcome
    assert "timeout" == (await ward.stage.told("ward-chief", root.crossing.id, "failed")).rule
    assert "timeout" == (await ward.stage.told("ward-faulty", root.crossing.id, "expired")).rule
    assert refused.rule in {"task-over", "stamp-ran-out"}
    assert refused.rule == told.rule
    assert [] == [one for one in await ward.stage.decisions(task) if isinstance(one, Accepted)]
    await ward.unharmed()


async def test_a_late_answer_does_not_count_beside_the_retry(ward: Ward) -> None:
    """After a timeout the work goes out again; only the new dispatch can be answered, and it is, once."""
    root, first = await ward.offered(HURRIED)
    task = root.crossing.task
    await ward.stage.decided(task, Closed)
    second = await ward.faulty.offered(task, attempt=2)
    late = await ward.answer(first, b'{"late": true}')
    refused = await ward.stage.refused(late.at)
    await ward.answer(second, b'{"late": false}')

    assert first.work.dispatch != second.work.dispatch
    assert refused.rule in {"stamp-closed", "stamp-ran-out"}
    assert "complete" == (await ward.stage.ended(task)).outcome
    assert {"late": False} == await ward.troupe.answer(task)


async def test_an_agent_that_hangs_in_the_sdk_is_stopped(ward: Ward) -> None:
    """The SDK's function is cancelled by the router's word; the agent takes the next work."""
    stopped = asyncio.Event()

    async def hang(payload: dict[str, Any], task: Task) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    ended = await ward.troupe.whole(ward.troupe.play(**{"ward-helper": hang}), ONCE, "ward-helper")
    await asyncio.wait_for(stopped.wait(), 20)

    assert "failed" == ended.outcome
    await ward.unharmed()


# ── A process that is killed ─────────────────────────────────────────────────────────────


@asynccontextmanager
async def crasher(ward: Ward, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the agent's program; whatever happens it is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), "ward-crasher", str(folder), PATIENT, RELIEVED,
        env={**os.environ, "SEAMWORK_AGENT_SETTINGS": str(ward.settings_of_crasher)},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def begun(folder: Path, count: int, within_s: float = 40.0) -> list[str]:
    """Wait until the program has begun that many times."""
    deadline = time.monotonic() + within_s
    while True:
        lines = (folder / "begun").read_text("utf-8").splitlines() if (folder / "begun").exists() else []
        if len(lines) >= count:
            return lines
        assert time.monotonic() < deadline, f"the program has begun {len(lines)} times, not {count}"
        await asyncio.sleep(0.02)


async def test_a_killed_agents_work_is_done_all_the_same(ward: Ward, tmp_path: Path) -> None:
    """
    What may take its time runs again in the next process; what has a time limit goes to the contract's fallback.

    The first is the same dispatch with the same idempotency key, the second is never run by its first holder again.
    """
    stage, chief = ward.stage, ward.troupe.chief
    async with crasher(ward, tmp_path) as process:
        patient = await chief.send(chief.root(PATIENT, "ward-crasher"))
        await begun(tmp_path, 1)
        relieved = await chief.send(chief.root(RELIEVED, "ward-crasher"))
        first, second = await begun(tmp_path, 2)
        process.kill()
    (tmp_path / "go").touch()
    async with crasher(ward, tmp_path):
        offer = await ward.relief.offered(relieved.crossing.task, attempt=2)
        await ward.relief.send(ward.relief.result(offer))
        ended = [await stage.ended(sent.crossing.task) for sent in (relieved, patient)]
        runs = await begun(tmp_path, 3)
    decisions = await stage.decisions(patient.crossing.task)

    assert ["complete", "complete"] == [one.outcome for one in ended]
    assert [first, second, first] == runs
    assert 1 == sum(isinstance(one, Dispatched) for one in decisions)
    assert {"repeat"} >= {one.rule for one in decisions if isinstance(one, Refused)}
    assert "timeout" == (await stage.decided(relieved.crossing.task, Closed)).why
    await ward.unharmed()
