"""What could not be done as agreed is put before people, and comes back as a crossing like any other."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from seamwork.agent import Failed, Task
from seamwork.broker.secret import write_private
from seamwork.cli.cases import text_of
from seamwork.errors import UnprocessableError
from seamwork.grants.webhooks import webhook_secret
from seamwork.platform.cases import Case, cases_of, resolve, work_of
from seamwork.platform.letters import HANDOFFS, discard, letters_of, requeue, unkept
from seamwork.platform.receiver import Receiver
from seamwork.platform.teams import add_team
from seamwork.platform.trust import agent_kid
from seamwork.records.decision import Closed, Dispatched, Escalated, Refused
from seamwork.records.parties import Target
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, Sent
from seamwork.testing.stage import Stage
from seamwork.testing.terminal import Terminal
from seamwork.testing.troupe import Play, Troupe

pytestmark = pytest.mark.asyncio(loop_scope="session")

GUARDED, BRIEF = "guarded/1.0.0", "brief/1.0.0"
OK = {"success": {"schema": {"type": "object", "required": ["ok"]}}}
CANARY = "canary-4711"


@dataclass
class Watch:
    """An initiator, an agent that fails, one that does not, and two people of whom one is asked first."""

    stage: Stage
    troupe: Troupe
    heard: list[dict[str, Any]]

    async def told(self, sent: Sent, *kinds: str) -> list[dict[str, Any]]:
        """Wait until the team's webhook has heard all these *kinds* of a task, and return what it heard."""
        async with asyncio.timeout(30):
            while True:
                found = [one for one in self.heard if one["data"].get("task") == sent.crossing.task]
                if {f"seamwork.{kind}" for kind in kinds} <= {one["type"] for one in found}:
                    return found
                await asyncio.sleep(0.02)

    def play(self, **parts: Any) -> Play:
        """Let ``watch-first`` fail unless the test says otherwise."""
        return self.troupe.play(**{"watch-first": failing, "watch-second": working, **parts})

    async def case(self, sent: Sent, level: int = 0) -> Case:
        """Wait until somebody is asked about the task, and return the case as people see it."""
        said = await self.stage.decided(
            sent.crossing.task, Escalated, lambda e: e.case is not None and e.level == level
        )
        return (await cases_of(self.stage.door))[said.case or ""]

    async def outcome(self, sent: Sent) -> str:
        """Wait for the end of the task."""
        return (await self.stage.ended(sent.crossing.task)).outcome


async def failing(payload: dict[str, Any], task: Task) -> dict[str, Any]:
    """Break the contract."""
    return {}


async def working(payload: dict[str, Any], task: Task) -> dict[str, Any]:
    """Keep it."""
    return {"ok": True, "was": payload.get("n")}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watch(stage: Stage) -> AsyncIterator[Watch]:
    """Bring everybody in."""
    accepts = [{"contract": contract.split("/")[0], "versions": "*"} for contract in (GUARDED, BRIEF)]
    owners = {"team": "watch", "escalation": ["nobody we know", "wanda", "night-shift"]}
    inputs = {"schema": {"type": "object", "properties": {
        "play": {}, "n": {"type": "integer", "maximum": 9}, "secret": {"x-sensitive": True}}}}  # fmt: skip
    settings = await stage.cast(
        {
            "watch-first": {"accepts": accepts},
            "watch-second": {"accepts": accepts, "offers": ["watching"], "authority": {"depth": 2}},
            "watch-chief": {
                "accepts": accepts, "initiator": True, "budget": "watch-budget", "authority": {"depth": 3}
            },
        },
        document("Budget", "watch-budget"),
        document(
            "Contract", "guarded", input=inputs, outputs=OK, owners=owners,
            producers=[{"agent": "watch-chief"}, {"agent": "watch-second"}], onViolation={"action": "escalate"},
        ),
        document("Contract", "brief", outputs=OK, owners={**owners, "answerSeconds": 1}),
        document("Flow", "watch", edges=[
            {"from": "watch-chief", "to": to, "contract": contract.split("/")[0]}
            for to in ("watch-first", "watch-second") for contract in (GUARDED, BRIEF)
        ] + [{"from": "watch-second", "to": "watch-first", "contract": "guarded"}]),
    )  # fmt: skip
    for person, role in (("wanda", "day-shift"), ("nils", "night-shift"), ("otto", "cook")):
        await stage.person(person, role)
    heard: list[dict[str, Any]] = []
    answers = iter([HTTPStatus.SERVICE_UNAVAILABLE])
    # The address is known before the secret, and the secret before anything is signed with it.
    secrets = [webhook_secret(b"w" * 32)]
    receiver = Receiver(
        secrets, lambda _, said: heard.append(said), lambda: next(answers, HTTPStatus.NO_CONTENT)
    )
    troupe = Troupe(stage, Puppet(stage, settings["watch-chief"]), (GUARDED, BRIEF))
    for name in ("watch-first", "watch-second"):
        await troupe.enlist(settings[name])
    with receiver.listening() as url:
        write_private(stage.door.home.webhooks / "watch", secrets[0])
        await add_team(stage.door, "watch", ("wanda",), url)
        yield Watch(stage, troupe, heard)
    await troupe.disband()


async def test_escalated_work_is_retried_when_a_person_says_so(watch: Watch) -> None:
    """It goes out again as a new crossing of the desk, judged by every gate, and whoever waits gets its result."""
    tries: list[str] = []

    async def better(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        tries.append(task.id)
        return {} if len(tries) == 1 else {"ok": True}

    play = watch.play(**{"watch-first": better})
    sent = await watch.troupe.begin(play, GUARDED, "watch-first", more={"secret": CANARY})
    case = await watch.case(sent)
    done = await resolve(watch.stage.door, case, "retry", person="wanda")
    task = sent.crossing.task

    assert "complete" == await watch.outcome(sent)
    dispatched = await watch.stage.decided(task, Dispatched, lambda d: d.crossing == done.crossing)
    assert ("desk", "watch-first") == (dispatched.source.agent, dispatched.receiver.agent)
    assert {"contract-validator", "policy-engine", "cost-cap"} == {vote.gate for vote in dispatched.votes}
    closed = await watch.stage.decided(task, Closed, lambda d: d.dispatch == case.id)
    assert ("case-resolved", "wanda ordered retry") == (closed.rule, closed.reason)
    assert {"ok": True} == await watch.troupe.answer(task)


async def test_a_case_says_who_is_asked_why_and_what_was_tried_and_shows_no_masked_field(
    watch: Watch,
) -> None:
    """Nothing that people read of it holds what the contract marks as sensitive, and nothing the desk logs does."""
    sent = await watch.troupe.begin(watch.play(), GUARDED, "watch-first", more={"n": 3, "secret": CANARY})
    case = await watch.case(sent)
    work = await work_of(watch.stage.door, case)
    seen = msgspec.json.encode([case, work]).decode() + text_of(case, work)

    assert ("wanda", ("wanda",), ("wanda", "night-shift")) == (case.owner, case.asked, case.chain)
    assert ("violation", "schema") == (case.why, case.rule)
    assert [("watch-first", "violation")] == [(one.receiver.agent, one.why) for one in case.tried]
    assert case.opened_at < case.answer_by < case.expires_at
    assert (3, "***") == (work.payload["n"], work.payload["secret"])
    assert CANARY not in seen
    assert CANARY not in msgspec.json.encode(await watch.told(sent, "refused", "case")).decode()
    assert CANARY not in "".join(path.read_text() for path in watch.stage.door.home.logs.glob("*.log"))
    await resolve(watch.stage.door, case, "fail", person="nils", reason="nobody needs it")
    assert "failed" == await watch.outcome(sent)
    assert "resolved" == (await cases_of(watch.stage.door))[case.id].state


async def test_the_payload_is_replaced_and_judged_before_it_goes_out(watch: Watch) -> None:
    """What does not hold is refused and leaves the case open; the next order is judged anew."""
    sent = await watch.troupe.begin(watch.play(), GUARDED, "watch-first", more={"n": 3})
    case = await watch.case(sent)
    play = watch.play(**{"watch-first": working})
    bad = await resolve(watch.stage.door, case, "replace", person="wanda", payload=lambda _: b'{"n": 10}')
    refused = await watch.stage.decided(sent.crossing.task, Refused, lambda r: r.crossing == bad.crossing)
    again = (await cases_of(watch.stage.door))[case.id]
    mended = msgspec.json.encode(play.payload(n=4))
    await resolve(watch.stage.door, again, "replace", person="wanda", payload=lambda _: mended)

    assert "schema" == refused.rule
    assert ("open", ["schema"]) == (again.state, [one.rule for one in again.refused])
    assert "complete" == await watch.outcome(sent)
    assert {"ok": True, "was": 4} == await watch.troupe.answer(sent.crossing.task)


async def test_the_work_goes_to_somebody_else_by_agent_or_capability(watch: Watch) -> None:
    """Whoever a flow leads the sender to may get it."""
    play = watch.play()
    sent = await watch.troupe.begin(play, GUARDED, "watch-first", more={"n": 3})
    await resolve(
        watch.stage.door, await watch.case(sent), "reroute", person="wanda",
        target=Target(capability="watching"),
    )  # fmt: skip

    assert "complete" == await watch.outcome(sent)
    assert ["watch-first@1.0.0", "watch-second@1.0.0"] == play.seen


async def test_a_step_is_skipped_and_the_whole_says_that_it_is_partial(watch: Watch, quick: Path) -> None:
    """Whoever waits is told and may go on; the task is never called complete."""

    async def handing_on(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        with pytest.raises(Failed, match="not needed"):
            await task.delegate(contract=GUARDED, payload=payload, step="detail", to="watch-first")
        return {"ok": True}

    play = watch.play(**{"watch-second": handing_on})
    sent = await watch.troupe.begin(play, GUARDED, "watch-second")
    await resolve(
        watch.stage.door, await watch.case(sent), "skip", person="wanda", reason="not needed this time"
    )

    ended = await watch.stage.ended(sent.crossing.task)
    said = await Terminal(watch.stage, Path.cwd(), quick).type(f"seamwork watch {sent.crossing.task}")

    assert ("partial", ["detail"]) == (ended.outcome, [gap.step for gap in ended.gaps])
    assert f"task ended: partial ({ended.crossings} crossings, " in said
    assert ", without detail (" in said


async def test_only_who_is_asked_resolves_a_case(watch: Watch) -> None:
    """The desk alone cannot put work back, and neither can a person whom the chain does not name."""
    sent = await watch.troupe.begin(watch.play(), GUARDED, "watch-first", more={"n": 3})
    case = await watch.case(sent)
    done = await resolve(watch.stage.door, case, "retry", person="otto")
    refused = await watch.stage.decided(sent.crossing.task, Refused, lambda r: r.crossing == done.crossing)
    await resolve(watch.stage.door, (await cases_of(watch.stage.door))[case.id], "fail", person="wanda")

    assert ("router", "order-invalid") == (refused.gate, refused.rule)
    assert "wanda, night-shift" in refused.reason
    assert "failed" == await watch.outcome(sent)


async def test_a_case_that_nobody_answers_climbs_and_expires(watch: Watch) -> None:
    """Each of the chain is asked in turn, and at the end whoever waits is told."""
    sent = await watch.troupe.begin(watch.play(), BRIEF, "watch-first")
    first, second = await watch.case(sent), await watch.case(sent, level=1)
    told = await watch.stage.told("watch-chief", sent.crossing.id, "failed")
    over = (await cases_of(watch.stage.door))[first.id]
    heard = await watch.told(sent, "refused", "case", "case-expired")

    assert ["case", "case", "case-expired"] == [
        one["type"].removeprefix("seamwork.") for one in heard if one["data"].get("case") == first.id
    ]
    assert (first.id, "night-shift", ("wanda", "night-shift")) == (second.id, second.owner, second.asked)
    assert "case-expired" == told.rule
    assert "expired" == over.state
    assert "failed" == await watch.outcome(sent)
    with pytest.raises(UnprocessableError, match="expired"):
        await resolve(watch.stage.door, over, "retry", person="wanda")


async def test_a_dead_letter_is_put_back_once_its_cause_is_mended(watch: Watch) -> None:
    """Nobody knew its sender; when somebody does, the same bytes are admitted, as far as they were kept."""
    stage, key = watch.stage, watch.stage.door.home.ensure_key(agent_kid("watch-late"))
    late = Puppet(stage, replace(watch.troupe.chief.settings, name="watch-late", key=key))
    late.principal = watch.troupe.chief.principal
    payload = msgspec.json.encode(watch.play(**{"watch-second": working}).payload())
    record = late.root(BRIEF, "watch-second", payload)
    large = msgspec.structs.replace(
        record, headers=(*record.headers, ("note", b"ours"), ("baggage", bytes(40_000)))
    )
    sent = await late.send(large)
    await stage.set_aside(sent.at)
    (letter,) = [one for one in await letters_of(stage.door) if one.record.position == sent.at]
    accepts = [{"contract": "brief", "versions": "*"}]
    await stage.cast(
        {"watch-late": {"accepts": accepts, "initiator": True, "budget": "watch-budget"}},
        document("Flow", "watch-late", edges=[{"from": "watch-late", "to": "watch-second", "contract": "brief"}]),
    )  # fmt: skip
    await requeue(stage.door, letter, "wanda")
    (put_back,) = [one for one in await letters_of(stage.door) if one.record.position == sent.at]
    again = await stage.until(HANDOFFS, lambda r: r.position != sent.at, key=sent.crossing.task)

    assert "complete" == await watch.outcome(sent)
    assert (*record.headers, ("note", b"ours")) == again.raw.headers
    assert ("baggage",) == unkept(letter)
    assert letter.mark is None
    assert len(payload) == letter.size
    assert put_back.mark is not None
    assert ("put-back", "wanda") == (put_back.mark.what, put_back.mark.person)


async def test_a_dead_letter_is_discarded_with_a_reason_that_stays(watch: Watch, quick: Path) -> None:
    """It is listed as open no more; whoever asks for all sees who did it and why, and nobody does it twice."""
    stage = watch.stage
    nobody = Puppet(
        stage, replace(watch.troupe.chief.settings, name="watch-nobody", key=stage.key("watch-first"))
    )
    nobody.principal = watch.troupe.chief.principal
    sent = await nobody.send(nobody.root(BRIEF, "watch-second"))
    await stage.set_aside(sent.at)
    terminal = Terminal(stage, Path.cwd(), quick)
    (letter,) = [one for one in await letters_of(stage.door) if one.record.position == sent.at]
    said = await terminal.type(
        f"seamwork dead-letters discard {letter.id} --reason 'a forgery of ours' --by wanda\n"
        f"seamwork dead-letters list | grep -c '^{letter.id} ' || true\n"
        f"seamwork dead-letters list --all | grep '^{letter.id} '"
    )
    (marked,) = [one for one in await letters_of(stage.door) if one.record.position == sent.at]

    assert [f"wanda discarded {letter.id}: a forgery of ours", "0"] == said.splitlines()[:2]
    assert said.splitlines()[2].endswith("discarded by wanda: a forgery of ours")
    with pytest.raises(UnprocessableError, match="dealt with by wanda"):
        await discard(stage.door, marked, "wanda", "again")
