"""What a contract says is obeyed: what it strips, what it counts, when it wants a person to see it."""

import asyncio
from collections.abc import AsyncIterator, Container
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pytest
import pytest_asyncio

from seamwork.agent import Task
from seamwork.catalog.consenting import JOINED_TOGETHER_MS
from seamwork.documents import Contract, canonical, record_key
from seamwork.documents.canonical import digest
from seamwork.ids import sha256_hex
from seamwork.platform.consent import consent
from seamwork.platform.members import person_kid
from seamwork.platform.trust import PUBLISHER
from seamwork.platform.views import Trace
from seamwork.records.authority import Authority
from seamwork.records.decision import Accepted, Closed, Dispatched, Held, Refused
from seamwork.records.delivery import TakenIn
from seamwork.records.inbox import Work
from seamwork.records.people import ApprovalRequest, Reply
from seamwork.records.platform import ActivationRecord, DocumentRecord
from seamwork.records.verdict import Approvers
from seamwork.records.wire import compose
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, changed, new_id, now_ms
from seamwork.testing.stage import WITHIN_S, Stage
from seamwork.testing.troupe import Troupe

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEAN, WARY, STEADY = "lean/1.0.0", "wary/1.0.0", "steady/2.0.0"
FAIL = {"action": "fail", "otherwise": "fail"}


@dataclass
class Seam:
    """Two agents of the SDK, one moved by hand, and the contract between them."""

    troupe: Troupe
    careless: Puppet
    begun_at: int

    @property
    def stage(self) -> Stage:
        """Where they play."""
        return self.troupe.stage


def steady(version: str) -> Contract:
    """Write one version of a contract; the second demands more than the first."""
    demanded = ["sum"] if version == "2.0.0" else []
    made = document("Contract", "steady", version, input={"schema": {"type": "object", "required": demanded}})
    assert isinstance(made, Contract)
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def seam(stage: Stage) -> AsyncIterator[Seam]:
    """Bring in an initiator and the agents of a contract that strips and counts."""
    accepts = [{"contract": contract, "versions": "*"} for contract in ("lean", "wary", "steady")]
    most = {"effects": ["pay"], "depth": 2}
    declared: dict[str, Any] = {
        "type": "object",
        "properties": {"play": {"type": "string"}, "text": {"type": "string"}},
    }
    settings = await stage.cast(
        {
            "lean-chief": {"accepts": accepts, "initiator": True, "budget": "lean-budget", "authority": most},
            "lean-reader": {
                "accepts": accepts,
                "authority": most,
                "contextTokens": {"atMost": 20, "counter": "words"},
            },
            "careless": {"accepts": accepts, "team": "steady-team"},
        },
        document("Budget", "lean-budget", limitMicroUsd=100),
        document(
            "Contract",
            "lean",
            input={"schema": declared},
            outputs={"success": {"schema": declared}},
            undeclared="strip",
            limits={"contextTokens": {"atMost": 40, "counter": "words"}},
            onViolation=FAIL,
        ),
        document(
            "Contract",
            "wary",
            outputs={"success": {"schema": {"properties": {"sure": {"type": "number"}}}}},
            escalateWhen={"irreversible": ["pay"], "confidence": {"field": "/sure", "below": 0.7}},
            owners={"escalation": ["terms-owner"]},
            onViolation=FAIL,
        ),
        document(
            "Flow",
            "lean-flow",
            edges=[
                {"from": "lean-chief", "to": to, "contract": contract}
                for contract in ("lean", "wary", "steady")
                for to in ("lean-reader", "careless")
            ],
        ),
    )
    troupe = Troupe(stage, Puppet(stage, settings["lean-chief"]), (LEAN, WARY))
    await stage.person("tess", "terms-owner")
    await stage.publish(steady("1.0.0"), document("Team", "steady-team", members=["tess"]))
    await troupe.enlist(settings["lean-reader"])
    yield Seam(troupe, Puppet(stage, settings["careless"]), begun_at=now_ms())
    await troupe.disband()


async def traced(stage: Stage, task: str) -> Trace:
    """Wait until the audit knows the end of a task, and return its trace."""
    await stage.ended(task)
    await stage.audited()
    async with asyncio.timeout(WITHIN_S):
        while True:
            trace = await asyncio.to_thread(stage.audit.trace, task)
            if trace.state != "running":
                return trace
            await asyncio.sleep(0.05)


async def test_what_is_undeclared_is_cut_out_both_ways_and_named(seam: Seam) -> None:
    """Neither side sees what the contract does not describe, and the trace shows both digests."""
    seen: list[dict[str, Any]] = []

    async def answer(payload: dict[str, Any], task: Task) -> dict[str, str]:
        seen.append(payload)
        return {"text": "done", "own": "not for you"}

    play = seam.troupe.play(lean_reader=answer)
    root = await seam.troupe.begin(play, LEAN, "lean-reader", more={"text": "a b", "iban": "DE00"})
    task = root.crossing.task
    back = await seam.troupe.answer(task)
    dispatched = await seam.stage.decided(task, Dispatched)
    accepted = await seam.stage.decided(task, Accepted)
    work = await seam.stage.said("inbox.lean-reader.v1", Work, key=task)
    shown = (await traced(seam.stage, task)).roots[0].dispatches[0]

    assert [play.payload(text="a b")] == seen
    assert {"text": "done"} == back
    assert dispatched.delivered == work.delivered
    assert ("/iban",) == (work.delivered and work.delivered.projection)
    assert sha256_hex(root.record.value or b"") == (work.delivered and work.delivered.sent_sha256)
    assert ("/own",) == (accepted.delivered and accepted.delivered.projection)
    assert (shown.delivered and shown.delivered.sha256) == (work.delivered and work.delivered.sha256)
    assert (shown.delivered and shown.delivered.sent_sha256) == root.crossing.payload_sha256
    assert ("/own",) == (shown.results[0].delivered and shown.results[0].delivered.projection)


async def test_what_a_receiver_cannot_hold_never_reaches_it(seam: Seam) -> None:
    """The contract would allow it, the agent's declared context does not; another agent gets the same."""
    long = msgspec.json.encode({"text": "one " * 25})
    chief = seam.troupe.chief
    refused = await seam.stage.refused((await chief.send(chief.root(LEAN, "lean-reader", long))).at)
    other = await chief.send(chief.root(LEAN, "careless", long))

    assert "context-exceeded" == refused.rule
    assert refused.reason.endswith("reader 1.0.0 can hold 20")
    assert (await seam.careless.offered(other.crossing.task)).payload == long

    longer = await chief.send(chief.root(LEAN, "careless", msgspec.json.encode({"text": "one " * 50})))

    assert "context-tokens" == (await seam.stage.refused(longer.at)).rule


async def test_nothing_is_cut_short_in_silence(seam: Seam) -> None:
    """An agent that takes in less than it was given loses the work before it answers."""
    chief, careless = seam.troupe.chief, seam.careless
    root = await chief.send(chief.root(LEAN, "careless", b'{"text": "the whole of it"}'))
    offer = await careless.offered(root.crossing.task)
    honest = careless.accepting(offer)
    part = TakenIn(sha256=sha256_hex(b'{"text": "the'), bytes=13, tokens=2)
    sent = await careless.send(careless.sealed(changed(honest, took=part), b""))
    refused = await seam.stage.refused(sent.at)
    closed = await seam.stage.decided(root.crossing.task, Closed)

    assert ("taken-in-differs", "took.sha256 is not that of the payload that was delivered") == (
        refused.rule,
        refused.reason,
    )
    assert ("violation", "taken-in-differs") == (closed.why, closed.rule)
    assert "failed" == (await seam.stage.ended(root.crossing.task)).outcome


# ── When a person sees it all the same ───────────────────────────────────────────────────


async def answered(seam: Seam, task: str, says: Literal["approve", "reject"]) -> ApprovalRequest:
    """Let the owner answer what is asked of a task, and return the question."""
    asked = await seam.stage.said("approvals.v1", ApprovalRequest, key=task)

    def reply(person: str) -> Reply:
        return Reply(
            id=new_id(), request=asked.id, task=task, action_sha256=asked.action_sha256, person=person,
            answer=says, answered_at=now_ms(),
        )  # fmt: skip

    await seam.stage.say("tess", "answers.v1", task, reply)
    return asked


async def test_an_effect_that_cannot_be_undone_waits_for_the_owner(seam: Seam) -> None:
    """No policy asks for it: the contract does. What asks for less goes out at once."""

    async def sure(payload: dict[str, Any], task: Task) -> dict[str, float]:
        return {"sure": 1.0}

    less = await seam.troupe.begin(
        seam.troupe.play(lean_reader=sure), WARY, "lean-reader", authority=Authority(depth=1)
    )
    root = await seam.troupe.begin(seam.troupe.play(lean_reader=sure), WARY, "lean-reader")
    held = await seam.stage.decided(root.crossing.task, Held)
    await answered(seam, root.crossing.task, "approve")

    assert "complete" == (await seam.stage.ended(less.crossing.task)).outcome
    assert ("irreversible-effect", (Approvers(people=("tess",)),)) == (held.rule, held.approvers)
    assert "complete" == (await seam.stage.ended(root.crossing.task)).outcome


@pytest.mark.parametrize(("says", "outcome"), [("approve", "complete"), ("reject", "failed")])
async def test_an_answer_that_is_not_sure_waits_for_the_owner(
    seam: Seam, says: Literal["approve", "reject"], outcome: str
) -> None:
    """Nobody gets it before a person has agreed; a rejection is a violation, which this contract lets fail."""

    async def unsure(payload: dict[str, Any], task: Task) -> dict[str, float]:
        return {"sure": 0.3}

    root = await seam.troupe.begin(
        seam.troupe.play(lean_reader=unsure), WARY, "lean-reader", authority=Authority(depth=1)
    )
    asked = await answered(seam, root.crossing.task, says)

    assert "lean-reader has answered under wary 1.0.0 with success: /sure is below 0.7" == asked.state
    assert outcome == (await seam.stage.ended(root.crossing.task)).outcome


# ── A breaking version ───────────────────────────────────────────────────────────────────


UNREAD = frozenset({"unknown-contract", "contract-not-active"})
"""What a gate says of a contract of which it has not read everything yet."""


async def first_but(seam: Seam, rules: Container[str]) -> str:
    """Hand work out under the breaking version until another rule than *rules* decides it, and return that."""
    chief = seam.troupe.chief
    async with asyncio.timeout(WITHIN_S):
        while True:
            sent = await chief.send(chief.root(STEADY, "careless", b'{"sum": 1}'))
            found = await seam.stage.until(
                "decisions.v1", lambda r: isinstance(r.record, Dispatched | Refused), key=sent.crossing.task
            )
            rule = getattr(found.record, "rule", "")
            if rule not in rules:
                return str(rule)


async def test_a_breaking_version_past_the_publishers_check_is_in_force_nowhere(seam: Seam) -> None:
    """Whoever holds the publisher's key activates it; the gates go by the consumers' word."""
    stage, breaking = seam.stage, steady("2.0.0")
    # Who joined together with a version is not asked about it: so much of the log's time has to lie between.
    await asyncio.sleep(max(0, seam.begun_at + 2 * JOINED_TOGETHER_MS - now_ms()) / 1000)
    key = stage.door.home.key(PUBLISHER)
    body, name = canonical(breaking), record_key(breaking)
    written = DocumentRecord(
        kind="Contract", name="steady", version="2.0.0", payload_sha256=sha256_hex(body), published_at=now_ms(),
        publisher="publisher",
    )  # fmt: skip
    activated = ActivationRecord(
        id=new_id(), kind="Contract", name="steady", version="2.0.0", status="active", published_at=now_ms(),
        publisher="publisher",
    )  # fmt: skip
    for record, payload in ((written, body), (activated, b"")):
        await stage.send(
            "publisher", compose(stage.platform, "contracts.v1", name, record, payload=payload, signer=key)
        )
    assert "contract-waits" == await first_but(seam, UNREAD)

    person = stage.door.home.key(person_kid("tess"))
    word = consent(stage.platform, breaking, digest(breaking), "steady-team", "tess", person)
    await stage.publish(word)

    assert "admitted" == await first_but(seam, {*UNREAD, "contract-waits"})
