"""Honest work through all six services: chains, joins, transfers, and what happens when a bound is reached."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from seamwork.agent import Failed, Refused, Task, TaskError
from seamwork.records.authority import Authority, Constraint
from seamwork.records.crossing import Handoff, Result
from seamwork.records.decision import Accepted, Closed, Dispatched, JudgeAgain, Noted, Overrun
from seamwork.records.decision import Refused as RefusedDecision
from seamwork.records.inbox import Work
from seamwork.records.parties import Target
from seamwork.records.people import Command
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, changed, new_id, now_ms
from seamwork.testing.stage import Stage
from seamwork.testing.troupe import Troupe

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLAIN, RETRIED, HELPED, ROUGH = "plain/1.0.0", "retried/1.0.0", "helped/1.0.0", "rough/1.0.0"
DEMANDING, DEGRADED, CHECKED, ECHOED = "demanding/1.0.0", "degraded/1.0.0", "checked/1.0.0", "echoed/1.0.0"
CONTRACTS = (PLAIN, RETRIED, HELPED, ROUGH, DEMANDING, DEGRADED, CHECKED, ECHOED)
MOST = Authority(tools=("read", "write"), effects=("mail",), depth=4)
FAIL = {"action": "fail", "otherwise": "fail"}
AGAIN = {"action": "retry", "attempts": 1, "backoffSeconds": 1, "otherwise": "fail"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def troupe(stage: Stage) -> AsyncIterator[Troupe]:
    """Bring four agents and an initiator in, who may hand everything to each other."""
    accepts = [{"contract": contract.split("/")[0], "versions": "*"} for contract in CONTRACTS]
    names = ("ann", "bob", "cid", "dot")
    authority = msgspec.to_builtins(MOST)
    settings = await stage.cast(
        {
            **{name: {"accepts": accepts, "authority": authority} for name in names},
            "cid": {"accepts": accepts, "authority": authority, "offers": ["sums"]},
            "chief": {
                "accepts": accepts,
                "authority": authority,
                "initiator": True,
                "budget": "chief-budget",
                "tenant": "acme",
            },
        },
        document("Budget", "chief-budget", limitMicroUsd=100),
        document("Contract", "plain", onError=FAIL),
        document(
            "Contract",
            "retried",
            onError=AGAIN,
            onTimeout=AGAIN,
            onViolation=AGAIN,
            limits={"timeSeconds": 30},
        ),
        document(
            "Contract",
            "helped",
            onError={"action": "fallback", "otherwise": "fail"},
            fallbacks=[{"agent": "dot"}],
        ),
        document("Contract", "rough", onError=FAIL, input={"schema": {"required": ["fine"]}}),
        document("Contract", "demanding", preconditions=[{"contract": "plain"}]),
        document("Contract", "degraded", onError={"action": "degrade", "otherwise": "fail"}),
        document(
            "Contract",
            "checked",
            outputs={"success": {"schema": {"required": ["checked"]}}},
            onViolation=FAIL,
        ),
        document(
            "Contract",
            "echoed",
            input={
                "schema": {"required": ["text"], "properties": {"text": {"type": "string", "maxLength": 9}}}
            },
            outputs={
                "success": {
                    "schema": {
                        "required": ["text"],
                        "properties": {"text": {"type": "string", "maxLength": 9}},
                    },
                    "rules": [
                        {"name": "same-text", "expr": "this.text == request.text", "message": "text differs"}
                    ],
                }
            },
            onViolation=FAIL,
        ),
        document(
            "Flow",
            "troupe",
            edges=[
                {"from": one, **to, "contract": contract.split("/")[0]}
                for contract in CONTRACTS
                for one in (*names, "chief")
                for to in (*({"to": name} for name in names), {"capability": "sums"})
            ],
        ),
    )
    troupe = Troupe(stage, Puppet(stage, settings["chief"]), CONTRACTS)
    for name in names:
        await troupe.enlist(settings[name])
    await stage.person("olga", "operator")
    yield troupe
    await troupe.disband()


async def echo(payload: dict[str, Any], task: Task) -> dict[str, Any]:
    """Answer with what came."""
    return payload


async def forever(payload: dict[str, Any], task: Task) -> None:
    """Work until somebody stops it."""
    await asyncio.Event().wait()


# ── Work goes on and comes back ──────────────────────────────────────────────────────────


async def test_a_chain_of_three_brings_its_result_back(troupe: Troupe) -> None:
    """Each level sees the intent verbatim, has one level of depth less, and gets its answer."""
    seen: list[tuple[str, int]] = []

    async def pass_on(payload: dict[str, Any], task: Task) -> Any:
        seen.append((task.intent, task.authority.depth))
        to = "bob" if task.facts.agent == "ann" else "cid"
        return await task.delegate(contract=PLAIN, to=to, payload=payload, step="down")

    async def last(payload: dict[str, Any], task: Task) -> dict[str, int]:
        seen.append((task.intent, task.authority.depth))
        return {"found": 42}

    play = troupe.play(ann=pass_on, bob=pass_on, cid=last)
    root = await troupe.begin(play, PLAIN, "ann")
    ended = await troupe.stage.ended(root.crossing.task)
    await troupe.stage.audited()
    trace = await asyncio.to_thread(troupe.stage.audit.trace, root.crossing.task)

    assert "complete" == ended.outcome
    assert {"found": 42} == await troupe.answer(root.crossing.task)
    assert [("a test", 4), ("a test", 3), ("a test", 2)] == seen
    assert root.crossing.task == trace.task


async def test_a_fan_out_is_joined(troupe: Troupe) -> None:
    """Several handoffs of one step run beside each other, and each answer comes to the right place."""

    async def split(payload: dict[str, Any], task: Task) -> Any:
        parts = (
            task.delegate(contract=PLAIN, to="bob", payload={**payload, "n": n}, step="part", ordinal=n)
            for n in range(5)
        )
        return {"squares": await asyncio.gather(*parts)}

    async def square(payload: dict[str, Any], task: Task) -> int:
        return int(payload["n"]) ** 2

    root = await troupe.begin(troupe.play(ann=split, bob=square), PLAIN, "ann")

    assert "complete" == (await troupe.stage.ended(root.crossing.task)).outcome
    assert {"squares": [0, 1, 4, 9, 16]} == await troupe.answer(root.crossing.task)


async def test_a_transfer_hands_the_place_on(troupe: Troupe) -> None:
    """Who takes over answers whoever waits, under the same deadline, and for both contracts."""

    async def hand_off(payload: dict[str, Any], task: Task) -> Any:
        return await task.hand_off(contract=PLAIN, to="bob", payload=payload, step="over")

    async def answer(payload: dict[str, Any], task: Task) -> dict[str, bool]:
        return {"checked": True}

    play = troupe.play(ann=hand_off, bob=answer)
    root = await troupe.begin(play, CHECKED, "ann")
    task = root.crossing.task
    ended = await troupe.stage.ended(task)
    work = [
        r.record for name in ("ann", "bob") for r in await troupe.stage.records(f"inbox.{name}.v1", key=task)
    ]
    first, second = (record for record in work if isinstance(record, Work))
    answered = await troupe.chief.answered(task)

    assert "complete" == ended.outcome
    assert "bob" == answered.result.source.agent
    assert root.crossing.id == answered.answer.child
    assert (first.contract,) == second.return_contracts
    assert second.not_after <= first.not_after
    assert "transferred" == (await troupe.stage.decided(task, Closed)).why


async def test_who_takes_over_must_keep_the_first_contract_too(troupe: Troupe) -> None:
    """What satisfies only the second contract is refused."""

    async def hand_off(payload: dict[str, Any], task: Task) -> Any:
        return await task.hand_off(contract=PLAIN, to="bob", payload=payload, step="over")

    root = await troupe.begin(troupe.play(ann=hand_off, bob=echo), CHECKED, "ann")
    refused = await troupe.stage.decided(root.crossing.task, RefusedDecision)

    assert ("result", "schema") == (refused.kind, refused.rule)
    assert "failed" == (await troupe.stage.ended(root.crossing.task)).outcome


@pytest.mark.parametrize(("text", "outcome"), [("hello", "complete"), ("hell", "failed")])
async def test_who_takes_over_answers_what_the_first_was_asked(
    troupe: Troupe, text: str, outcome: str
) -> None:
    """A rule of the first contract asks for the first payload, which neither of the two transfers shows."""

    async def hand_off(payload: dict[str, Any], task: Task) -> Any:
        to = "bob" if task.facts.agent == "ann" else "cid"
        return await task.hand_off(contract=PLAIN, to=to, payload={"play": payload["play"]}, step="over")

    async def answer(payload: dict[str, Any], task: Task) -> dict[str, str]:
        return {"text": text}

    play = troupe.play(ann=hand_off, bob=hand_off, cid=answer)
    root = await troupe.begin(play, ECHOED, "ann", more={"text": "hello"})
    ended = await troupe.stage.ended(root.crossing.task)
    refused = [
        record.rule
        for record in await troupe.stage.decisions(root.crossing.task)
        if isinstance(record, RefusedDecision)
    ]

    assert outcome == ended.outcome
    assert ([] if outcome == "complete" else ["rule:same-text"]) == refused
    assert ["ann@1.0.0", "bob@1.0.0", "cid@1.0.0"] == play.seen


async def test_a_capability_finds_who_offers_it(troupe: Troupe) -> None:
    """Nobody is named, and the one who can do it gets it."""

    async def ask(payload: dict[str, Any], task: Task) -> Any:
        return await task.delegate(contract=PLAIN, capability="sums", payload=payload, step="sum")

    play = troupe.play(ann=ask, cid=echo)

    assert "complete" == (await troupe.whole(play, PLAIN, "ann")).outcome
    assert ["ann@1.0.0", "cid@1.0.0"] == play.seen


async def test_constraints_grow_and_authority_shrinks_on_the_way(troupe: Troupe) -> None:
    """The agent has both at hand; what it narrows is narrow for whoever comes after."""
    seen: list[tuple[tuple[Constraint, ...], Authority]] = []

    async def narrow(payload: dict[str, Any], task: Task) -> Any:
        seen.append((task.constraints, task.authority))
        return await task.delegate(
            contract=PLAIN, to="bob", payload=payload, step="less", constraints={"region": "eu"},
            authority=Authority(tools=("read",), depth=1),
        )  # fmt: skip

    async def look(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        seen.append((task.constraints, task.authority))
        return {}

    secret, region = Constraint(name="class", value="secret"), Constraint(name="region", value="eu")
    play = troupe.play(ann=narrow, bob=look)
    ended = await troupe.whole(play, PLAIN, "ann", constraints=(secret,))

    assert "complete" == ended.outcome
    assert [((secret,), MOST), ((secret, region), Authority(tools=("read",), depth=1))] == seen


async def test_authority_that_was_never_given_is_refused(troupe: Troupe) -> None:
    """Asking for more than the stamp gives brings a refusal that names what was too much."""

    async def grasp(payload: dict[str, Any], task: Task) -> dict[str, str]:
        with pytest.raises(Refused) as refused:
            await task.delegate(
                contract=PLAIN, to="bob", payload=payload, step="more", authority=Authority(effects=("pay",))
            )
        return {"rule": refused.value.rule}

    root = await troupe.begin(troupe.play(ann=grasp), PLAIN, "ann")

    assert {"rule": "authority-widened"} == await troupe.answer(root.crossing.task)


async def test_a_constraint_cannot_be_dropped(troupe: Troupe) -> None:
    """A handoff without what binds its sender is refused, and so is a result."""
    stage = troupe.stage
    settings = await stage.join("dropper", accepts=[{"contract": "plain", "versions": "*"}])
    await stage.publish(
        document("Flow", "dropping", edges=[{"from": one, "to": to, "contract": "plain"} for one, to in (
            ("chief", "dropper"), ("dropper", "bob"),
        )])
    )  # fmt: skip
    dropper = Puppet(stage, settings)
    bound = (Constraint(name="class", value="secret"),)
    root = await troupe.chief.send(troupe.chief.root(PLAIN, "dropper", constraints=bound))
    offer = await dropper.offered(root.crossing.task)
    sent = await dropper.send(dropper.sealed(changed(dropper.handoff(offer, PLAIN, "bob"), constraints=())))

    assert "constraint-dropped" == (await stage.refused(sent.at)).rule
    assert "constraint-dropped" == (await stage.told("dropper", sent.crossing.id, "refused")).rule

    answer = dropper.result(offer)
    loose = await dropper.send(dropper.sealed(changed(answer, constraints=())))
    refused = await stage.refused(loose.at)

    assert "constraint-dropped" == refused.rule
    assert "the constraint 'class' of the stamp is missing" == refused.reason


async def test_progress_and_usage_are_noted(troupe: Troupe) -> None:
    """People read how far it is, and what was spent stands in every account of the task."""
    go_on = asyncio.Event()

    async def spend(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        await task.progress("half of it is done")
        task.spend(micro_usd=7, input_tokens=100)
        await go_on.wait()
        task.spend(micro_usd=4)
        return {}

    root = await troupe.begin(troupe.play(ann=spend), PLAIN, "ann", ceiling_micro_usd=20)
    task = root.crossing.task
    usage = await troupe.stage.decided(task, Noted, lambda noted: noted.what == "usage")
    go_on.set()
    ended = await troupe.stage.ended(task)
    accepted = await troupe.stage.decided(task, Accepted)
    notes = [one.note for one in await troupe.stage.decisions(task) if isinstance(one, Noted)]

    assert "half of it is done" in notes
    assert (7, 100) == (usage.spent and usage.spent.micro_usd, usage.spent and usage.spent.input_tokens)
    assert 11 == (accepted.spent and accepted.spent.micro_usd)
    assert 11 == ended.spent_micro_usd


# ── Bounds ───────────────────────────────────────────────────────────────────────────────


async def test_usage_past_the_ceiling_stops_the_tree(troupe: Troupe) -> None:
    """The overrun is decided while the work runs; the children are cancelled with it."""
    stopped: list[str] = []
    began = asyncio.Event()

    async def waste(payload: dict[str, Any], task: Task) -> Any:
        try:
            below = asyncio.create_task(
                task.delegate(contract=PLAIN, to="bob", payload=payload, step="below")
            )
            await began.wait()
            task.spend(micro_usd=50)
            return await below
        except asyncio.CancelledError:
            stopped.append("ann")
            raise

    async def wait(payload: dict[str, Any], task: Task) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append("bob")
            raise

    root = await troupe.begin(troupe.play(ann=waste, bob=wait), PLAIN, "ann", ceiling_micro_usd=20)
    task = root.crossing.task
    overrun = await troupe.stage.decided(task, Overrun)
    ended = await troupe.stage.ended(task)
    await troupe.stage.until("inbox.bob.v1", lambda r: getattr(r.record, "what", "") == "cancelled", key=task)
    for _ in range(500):
        if len(stopped) == 2:
            break
        await asyncio.sleep(0.01)

    assert (20, 50) == (overrun.ceiling_micro_usd, overrun.spent.micro_usd)
    assert "failed" == ended.outcome
    assert ["ann", "bob"] == sorted(stopped)


async def test_a_cancelled_task_stops_where_it_runs(troupe: Troupe) -> None:
    """A person's order reaches the agent at work, and whoever waits hears that it was cancelled."""
    began, stopped = asyncio.Event(), asyncio.Event()

    async def work(payload: dict[str, Any], task: Task) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    root = await troupe.begin(troupe.play(ann=work), PLAIN, "ann")
    task = root.crossing.task
    await asyncio.wait_for(began.wait(), 20)
    await troupe.stage.say(
        "olga",
        "commands.v1",
        task,
        lambda person: Command(id=new_id(), task=task, person=person, action="cancel", ordered_at=now_ms()),
    )

    assert "cancelled" == (await troupe.stage.ended(task)).outcome
    assert "task-cancelled" == (await troupe.stage.told("chief", root.crossing.id, "cancelled")).rule
    await asyncio.wait_for(stopped.wait(), 20)


async def test_depth_ends_a_chain(troupe: Troupe) -> None:
    """Where the stamp allows no further level there is none."""

    async def deeper(payload: dict[str, Any], task: Task) -> Any:
        try:
            return await task.delegate(contract=PLAIN, to="bob", payload=payload, step="deeper")
        except Refused as error:
            return {"rule": error.rule, "gate": error.gate}

    root = await troupe.begin(troupe.play(ann=deeper), PLAIN, "ann", authority=Authority(depth=0))

    assert {"rule": "depth", "gate": "router"} == await troupe.answer(root.crossing.task)


async def test_a_cycle_is_refused(troupe: Troupe) -> None:
    """Work never comes back to somebody who stands above in its chain."""

    async def to_bob(payload: dict[str, Any], task: Task) -> Any:
        return await task.delegate(contract=PLAIN, to="bob", payload=payload, step="there")

    async def back(payload: dict[str, Any], task: Task) -> Any:
        try:
            return await task.delegate(contract=PLAIN, to="ann", payload=payload, step="back")
        except Refused as error:
            return {"rule": error.rule}

    root = await troupe.begin(troupe.play(ann=to_bob, bob=back), PLAIN, "ann")

    assert {"rule": "cycle"} == await troupe.answer(root.crossing.task)


async def test_a_refused_handoff_gives_its_money_back(troupe: Troupe) -> None:
    """What is over the task's budget is refused; what was reserved for a refused handoff can be spent again."""

    async def spend(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        async def refused(contract: str, step: str, ceiling: int, ordinal: int = 0) -> str:
            try:
                await task.delegate(
                    contract=contract,
                    to="bob",
                    payload=payload,
                    step=step,
                    ceiling_micro_usd=ceiling,
                    ordinal=ordinal,
                )
            except Refused as error:
                return error.rule
            return ""

        said = [await refused(PLAIN, "too-much", 101), await refused(ROUGH, "not-fine", 90)]
        # The refund follows the refusal; a handoff that overtakes it is over the budget once more.
        tries = [await refused(PLAIN, "next", 90, 0)]
        while tries[-1] and len(tries) < 100:
            tries.append(await refused(PLAIN, "next", 90, len(tries)))
        return {"said": said, "last": tries[-1], "overtaking": sorted(set(tries[:-1]))}

    async def dear(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        task.spend(micro_usd=90)
        return {}

    root = await troupe.begin(troupe.play(ann=spend, bob=dear), PLAIN, "ann")
    answer = await troupe.answer(root.crossing.task)

    assert ["over-budget", "schema"] == answer["said"]
    assert "" == answer["last"]
    assert answer["overtaking"] in ([], ["over-budget"])
    assert 90 == (await troupe.stage.ended(root.crossing.task)).spent_micro_usd


async def test_a_precondition_must_be_met_in_the_same_task(troupe: Troupe) -> None:
    """Refused before, admitted after what it asks for was answered."""

    async def try_twice(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        with pytest.raises(Refused) as early:
            await task.delegate(contract=DEMANDING, to="bob", payload=payload, step="early")
        await task.delegate(contract=PLAIN, to="bob", payload=payload, step="before")
        await task.delegate(contract=DEMANDING, to="bob", payload=payload, step="late")
        return {"early": early.value.rule}

    root = await troupe.begin(troupe.play(ann=try_twice, bob=echo), PLAIN, "ann")

    assert {"early": "precondition-unmet"} == await troupe.answer(root.crossing.task)


async def test_nobody_answers_while_somebody_still_works_for_them(troupe: Troupe) -> None:
    """An answer that is too early is refused, the dispatch stays open, and a later one is accepted."""
    stage, go_on = troupe.stage, asyncio.Event()
    settings = await stage.join(
        "hasty", accepts=[{"contract": "plain", "versions": "*"}], authority={"depth": 2}
    )
    await stage.publish(
        document("Flow", "hasty", edges=[{"from": one, "to": to, "contract": "plain"} for one, to in (
            ("chief", "hasty"), ("hasty", "bob"),
        )])
    )  # fmt: skip
    hasty = Puppet(stage, settings)

    async def wait(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        await go_on.wait()
        return {}

    play = troupe.play(bob=wait)
    root = await troupe.begin(play, PLAIN, "hasty")
    task = root.crossing.task
    offer = await hasty.offered(task)
    child = await hasty.send(hasty.handoff(offer, PLAIN, "bob", msgspec.json.encode(play.payload())))
    await stage.decided(task, Dispatched, lambda dispatched: dispatched.crossing == child.crossing.id)
    early = await hasty.send(hasty.result(offer))
    notice = await stage.told("hasty", early.crossing.id, "refused")
    go_on.set()
    await stage.decided(task, Accepted, lambda accepted: accepted.answers == child.crossing.id)
    await hasty.send(hasty.result(offer, ordinal=1))

    assert "open-children" == notice.rule
    assert notice.corrections_left > 0
    assert "complete" == (await stage.ended(task)).outcome


# ── Failures that the contract has a word for ────────────────────────────────────────────


async def test_an_error_is_tried_again_after_a_while(troupe: Troupe) -> None:
    """The contract's one retry waits as long as it says, and its answer is the task's."""

    async def shaky(payload: dict[str, Any], task: Task) -> dict[str, int]:
        if task.facts.attempt == 1:
            raise TaskError("tired", "not yet")
        return {"attempt": task.facts.attempt}

    root = await troupe.begin(troupe.play(ann=shaky), RETRIED, "ann")
    task = root.crossing.task
    ended = await troupe.stage.ended(task)
    first = await troupe.stage.decided(task, Accepted, lambda accepted: accepted.outcome == "error")
    again = await troupe.stage.decided(task, JudgeAgain)
    second = await troupe.stage.decided(task, Dispatched, lambda dispatched: dispatched.dispatch_number == 2)

    assert "complete" == ended.outcome
    assert "retry" == again.why
    assert "cost-cap" in again.gates
    assert second.decided_at >= first.decided_at + 1_000
    assert {"attempt": 2} == await troupe.answer(task)


async def test_retries_are_counted(troupe: Troupe) -> None:
    """When they are used up the task has failed, and whoever waits hears why."""

    async def never(payload: dict[str, Any], task: Task) -> None:
        raise TaskError("tired", "never")

    play = troupe.play(ann=never)
    root = await troupe.begin(play, RETRIED, "ann")
    ended = await troupe.stage.ended(root.crossing.task)
    answered = await troupe.chief.answered(root.crossing.task)

    assert "failed" == ended.outcome
    assert 2 == len(play.seen)
    assert "error" == answered.answer.outcome


async def test_a_fallback_takes_what_the_first_could_not_do(troupe: Troupe) -> None:
    """The contract's fallback gets the same crossing, and its answer counts."""

    async def cannot(payload: dict[str, Any], task: Task) -> None:
        raise TaskError("unable", "somebody else must")

    play = troupe.play(ann=cannot, dot=echo)
    root = await troupe.begin(play, HELPED, "ann")

    assert "complete" == (await troupe.stage.ended(root.crossing.task)).outcome
    assert ["ann@1.0.0", "dot@1.0.0"] == play.seen
    assert "dot" == (await troupe.chief.answered(root.crossing.task)).result.source.agent


async def test_a_child_that_failed_is_its_parents_to_handle(troupe: Troupe) -> None:
    """The error comes back by name, and the parent may still finish."""

    async def cope(payload: dict[str, Any], task: Task) -> dict[str, str]:
        try:
            await task.delegate(contract=PLAIN, to="bob", payload=payload, step="risky")
        except Failed as error:
            return {"rule": error.rule}
        return {}

    async def fail(payload: dict[str, Any], task: Task) -> None:
        raise TaskError("broken", "it broke")

    root = await troupe.begin(troupe.play(ann=cope, bob=fail), PLAIN, "ann")

    assert {"rule": "broken"} == await troupe.answer(root.crossing.task)
    assert "complete" == (await troupe.stage.ended(root.crossing.task)).outcome


# ── How tasks end ────────────────────────────────────────────────────────────────────────


async def part(payload: dict[str, Any], task: Task) -> Any:
    """Answer with a part."""
    return task.partial({"half": True})


async def fault(payload: dict[str, Any], task: Task) -> Any:
    """Answer with an error."""
    return task.error("broken", "it broke")


@pytest.mark.parametrize(
    ("act", "contract", "seconds", "outcome"),
    [(echo, PLAIN, 60, "complete"), (part, PLAIN, 60, "partial"), (fault, PLAIN, 60, "failed"),
     (forever, PLAIN, 1, "expired")],
    ids=["complete", "partial", "failed", "expired"],
)  # fmt: skip
async def test_a_task_ends_as_its_root_does(
    troupe: Troupe, act: Any, contract: str, seconds: int, outcome: str
) -> None:
    """Every task ends, and says how."""
    ended = await troupe.whole(troupe.play(ann=act), contract, "ann", deadline_at=now_ms() + seconds * 1000)

    assert outcome == ended.outcome


async def test_what_was_degraded_below_makes_the_whole_a_part(troupe: Troupe) -> None:
    """A parent that copes with a child's failure has not done the whole, whatever it says."""

    async def cope(payload: dict[str, Any], task: Task) -> dict[str, Any]:
        with pytest.raises(Failed):
            await task.delegate(contract=DEGRADED, to="bob", payload=payload, step="lesser")
        return {}

    assert "partial" == (await troupe.whole(troupe.play(ann=cope, bob=fault), PLAIN, "ann")).outcome


async def test_every_record_of_a_task_is_in_the_audit(troupe: Troupe) -> None:
    """The pages of the audit show the same crossings as the topic, in their order."""
    root = await troupe.begin(troupe.play(ann=echo), PLAIN, "ann")
    task = root.crossing.task
    await troupe.stage.ended(task)
    await troupe.stage.audited()
    crossings = [r.record for r in await troupe.stage.records("handoffs.v1", key=task)]

    assert [Handoff, Result] == [type(one) for one in crossings if isinstance(one, Handoff | Result)]
    assert Target(agent="ann") == next(one.target for one in crossings if isinstance(one, Handoff))
