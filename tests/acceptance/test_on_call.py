"""Whoever is on call is told of everything that needs somebody, and a drill proves it before it is needed."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from seamwork.broker.secret import write_private
from seamwork.grants.webhooks import webhook_secret
from seamwork.platform.drilled import Report, report_of
from seamwork.platform.receiver import Receiver
from seamwork.platform.state import read_state
from seamwork.platform.teams import add_team
from seamwork.records.parties import Position
from seamwork.seams.readiness import seven_points
from seamwork.seams.study import study
from seamwork.testing.collector import TestCollector
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet
from seamwork.testing.stage import Stage
from seamwork.testing.terminal import Terminal

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
WARD = "ward/1.0.0"
MOSTLY_S = 30.0
CANARY = "canary-0815"


@dataclass
class Ward:
    """A seam from ``nurse`` to ``doctor``, the team that owns it, and what its webhook heard."""

    stage: Stage
    terminal: Terminal
    nurse: Puppet
    doctor: Puppet
    answers: dict[str, list[HTTPStatus]]
    flow: Any
    contract: Any
    agents: list[Any]
    heard: list[dict[str, Any]]

    async def drill(self, *options: str, status: int = 0) -> list[dict[str, Any]]:
        """Type a drill of this seam and return its reports."""
        said = await self.terminal.type(
            f"seamwork drill ward --by otis --json {' '.join(options)} 2>/dev/null", status
        )
        found: list[dict[str, Any]] = json.loads(said)
        return found

    async def until(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the webhook has heard something."""
        async with asyncio.timeout(MOSTLY_S):
            while True:
                for one in self.heard:
                    if what(one):
                        return one
                await asyncio.sleep(0.02)

    async def report(self, task: str, holds: Callable[[Report], bool]) -> Report:
        """Wait until the report of a drill is as it must be: audit and notifier come a moment later."""
        async with asyncio.timeout(MOSTLY_S):
            while True:
                found = await report_of(self.stage.door, task)
                if holds(found):
                    return found
                await asyncio.sleep(0.05)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of what the notifier counted under these labels."""
        state = read_state(self.stage.door.home.state_file)
        service = None if state is None else state.service("notifier")
        assert service is not None
        page = f"http://127.0.0.1:{service.http_port}/metrics"
        with urllib.request.urlopen(page, timeout=10) as got:
            lines = got.read().decode().splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.startswith(f"{name}_total{{") and all(one in line for one in wanted)
        )

    def logged(self, **fields: Any) -> list[dict[str, Any]]:
        """Return the lines of the notifier's log that have these fields."""
        lines = (self.stage.door.home.logs / "notifier.log").read_text(encoding="utf-8").splitlines()
        found = (json.loads(line) for line in lines if line.startswith("{"))
        return [line for line in found if fields.items() <= line.items()]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ward(stage: Stage, quick: Path) -> AsyncIterator[Ward]:
    """Bring everybody in."""
    for person, role in (("otis", "porter"), ("wilma", "ward-sister"), ("ines", "matron")):
        await stage.person(person, role)
    fields = {"bed": {"type": "integer", "maximum": 9}, "name": {"x-sensitive": True}}
    inputs = {"schema": {"type": "object", "properties": fields}}
    contract = document(
        "Contract", "ward", input=inputs, outputs={"success": {"schema": {"type": "object"}}},
        owners={"team": "ward", "escalation": ["ward-sister", "nobody-known", "ines"], "answerSeconds": 600},
        errorBudget={"refusals": 0, "late": 0, "per": "hour"},
        onViolation={"action": "escalate"}, onTimeout={"action": "escalate"}, onError={"action": "escalate"},
        examples=[{"name": "bed", "payload": {"bed": 3, "name": CANARY}}],
    )  # fmt: skip
    flow = document("Flow", "ward", edges=[{"from": "nurse", "to": "doctor", "contract": "ward"}])
    accepts = [{"contract": "ward", "versions": "*"}]
    asks = {"name": "asks", "when": "this.bed == 7", "effect": "require-approval", "message": "ask first",
            "approvers": {"roles": ["matron"]}}  # fmt: skip
    settings = await stage.cast(
        {"nurse": {"initiator": True, "budget": "ward", "accepts": []}, "doctor": {"accepts": accepts}},
        document("Budget", "ward"), contract, flow,
        document("Policy", "ward", match={"contracts": ["ward"]}, rules=[asks]),
    )  # fmt: skip
    heard: list[dict[str, Any]] = []
    secrets = [webhook_secret(b"o" * 32)]
    answers: dict[str, list[HTTPStatus]] = {"team:ward": [], "team:platform": []}

    def take(_: str, said: dict[str, Any]) -> None:
        heard.append(said)

    def receiver(owner: str) -> Receiver:
        return Receiver(
            secrets, take, lambda: answers[owner].pop() if answers[owner] else HTTPStatus.NO_CONTENT
        )

    with ExitStack() as listening:
        for team, member in (("ward", "wilma"), ("platform", "otis")):
            write_private(stage.door.home.webhooks / team, secrets[0])
            url = listening.enter_context(receiver(f"team:{team}").listening())
            await add_team(stage.door, team, (member,), url)
        agents = [document("Agent", "doctor", accepts=accepts), document("Agent", "nurse", accepts=[])]
        yield Ward(
            stage,
            Terminal(stage, ROOT, quick),
            Puppet(stage, settings["nurse"]),
            Puppet(stage, settings["doctor"]),
            answers,
            flow,
            contract,
            agents,
            heard,
        )


async def test_a_drill_is_marked_wherever_it_is_seen_and_ends_when_somebody_answers(
    ward: Ward, collector: TestCollector
) -> None:
    """Case, notification, log, metric, trace and spans say so; its work goes to nobody; readiness counts it."""
    (report,) = await ward.drill()
    task, case = report["task"], report["case"]
    told = await ward.until(lambda one: one["data"].get("case") == case)
    answered = await ward.report(task, lambda one: one.reached[0].told[-1].carried == "delivered")
    shown = await ward.terminal.type(
        f"seamwork cases show {case}; seamwork cases list; seamwork status || true"
    )
    ordered = await ward.terminal.type(f"seamwork cases resolve {case} retry --by wilma")
    ended = await ward.stage.ended(task)
    resolved = await ward.report(task, lambda one: one.over)
    seen = await ward.terminal.type(
        f"seamwork drills show {task}; seamwork trace {task}; seamwork tasks; seamwork drills list"
    )
    spans = await asyncio.to_thread(
        collector.wait_for,
        lambda spans: any(_of(one, task) and one.name == "invoke_agent doctor" for one in spans),
    )
    measured = await asyncio.to_thread(ward.stage.audit.seams)
    points = seven_points(
        study(ward.flow, [ward.flow, ward.contract, *ward.agents], ended.decided_at, measured), 30
    )

    assert ("open", ("nobody-known",)) == (report["state"], tuple(report["unknown"]))
    assert [("ward-sister", ("wilma",))] == [(one.asked, one.people) for one in answered.reached]
    assert {"person:wilma": "no-webhook", "team:ward": "delivered"} == {
        one.owner: one.carried for one in answered.reached[0].told
    }
    assert ("seamwork.case", True) == (told["type"], told["data"]["drill"])
    assert "open (a drill)" in shown
    assert CANARY not in shown + json.dumps(ward.heard)
    assert "the drill is over; nobody got the work" in ordered
    assert (True, "complete") == (ended.drill, ended.outcome)
    assert ("resolved", "wilma ordered retry") == (resolved.state, resolved.said)
    assert f"task {task}: complete (a drill)" in seen
    assert "asked     ward-sister (wilma) after" in seen
    assert "resolved  after" in seen
    assert ward.logged(event="case", case=case, drill=True, owner="team:ward")
    assert 1 <= ward.metric("seamwork_notifications", kind="case", owner="team:ward", drill="yes")
    assert all(one.attributes.get("seamwork.drill") for one in spans if _of(one, task))
    assert not [one for one in ward.heard if one["type"] == "seamwork.budget-spent"]
    assert [("proven", True)] * 2 == [
        (points[number].seams[0].state, points[number].seams[0].says.endswith("by a drill"))
        for number in (2, 3)
    ]


async def test_a_drill_that_nobody_answers_climbs_and_expires_and_proves_the_contrary(ward: Ward) -> None:
    """Each of the chain is asked in turn; the report and the exit status say that nobody came."""
    (report,) = await ward.drill("--answer-seconds 1 --wait", status=1)
    loud = await ward.until(
        lambda one: one["type"] == "seamwork.case-expired" and one["data"]["task"] == report["task"]
    )
    measured = await asyncio.to_thread(ward.stage.audit.seams)
    points = seven_points(
        study(ward.flow, [ward.flow, ward.contract, *ward.agents], measured.until, measured), 30
    )

    assert ("expired", ["ward-sister", "ines"]) == (
        report["state"],
        [one["asked"] for one in report["reached"]],
    )
    assert report["reached"][0]["after_ms"] + 1000 <= report["reached"][1]["after_ms"] + 50
    assert loud["data"]["drill"]
    assert ("declared", True) == (
        points[3].seams[0].state, "nobody answered the drill" in points[3].seams[0].says
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "bed", "owner"),
    [
        ("refused", 10, "team:ward"),
        ("held", 7, "team:ward"),
        ("case", 5, "team:ward"),
        ("dead-letter", 1, "team:platform"),
    ],
)
async def test_each_owner_is_told_by_log_metric_and_signed_webhook(
    ward: Ward, kind: str, bed: int, owner: str
) -> None:
    """Each refusal, hold, case and dead letter; the webhook is tried again until it takes what it is sent."""
    before = ward.metric("seamwork_notifications", kind=kind, owner=owner, drill="no")
    failed = ward.metric("seamwork_deliveries", owner=owner, outcome="failed")
    ward.answers[owner].append(HTTPStatus.SERVICE_UNAVAILABLE)
    sender = ward.nurse
    if kind == "dead-letter":
        sender = Puppet(ward.stage, replace(sender.settings, name="nobody-known"))
        sender.principal = ward.nurse.principal
    sent = await sender.send(sender.root(WARD, "doctor", json.dumps({"bed": bed, "name": CANARY}).encode()))
    task = sent.crossing.task
    if kind == "case":
        offer = await ward.doctor.offered(task)
        await ward.doctor.send(ward.doctor.result(offer, b"[]"))
    at = (await ward.stage.set_aside(sent.at)).position if kind == "dead-letter" else None
    told = await ward.until(lambda one: one["type"] == f"seamwork.{kind}" and _about(one, task, at))

    assert owner == told["data"]["owner"]
    assert "drill" not in told["data"]
    assert told["data"]["rule"]
    assert CANARY not in json.dumps(told)
    logged = ward.logged(event=kind, owner=owner)
    assert [line for line in logged if at is not None or line["task"] == task]
    assert before + 1 <= ward.metric("seamwork_notifications", kind=kind, owner=owner, drill="no")
    assert failed + 1 <= ward.metric("seamwork_deliveries", owner=owner, outcome="failed")


async def test_a_drill_is_refused_as_work_is_refused(ward: Ward, tmp_path: Path) -> None:
    """What the contract does not take opens no case, and the report says who refused it by which rule."""
    bad = tmp_path / "bad.json"
    bad.write_text('{"bed": 10}')
    (report,) = await ward.drill(f"--payload {bad}", status=1)

    assert "refused" == report["state"]
    assert "contract-validator, schema" in report["said"]


def _about(said: dict[str, Any], task: str, at: Position | None) -> bool:
    """Say whether a notification is of a task; that of a dead letter names none, and is the only one here."""
    return at is not None or said["data"].get("task") == task


def _of(span: Any, task: str) -> bool:
    return bool(span.attributes.get("gen_ai.conversation.id") == task)
