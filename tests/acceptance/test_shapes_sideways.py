"""Peers, pipelines and mixtures: each governed, and the failure that its shape is known for answered."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from seamwork.agent import Refused, Task, subtask
from seamwork.errors import UnprocessableError
from seamwork.platform.breakers import breakers_of, set_breaker
from seamwork.platform.pauses import set_pause
from seamwork.records.crossing import Gap
from seamwork.records.decision import BreakerMoved, Dispatched, Escalated
from seamwork.records.decision import Refused as RefusedDecision
from seamwork.records.verdict import Verdict
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, id_in
from seamwork.testing.stage import Stage
from seamwork.testing.terminal import assert_traced, traces_in
from seamwork.testing.troupe import Troupe

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOWN = traces_in(Path(__file__).parents[2] / "docs" / "guide" / "shapes.md")
PEER, PIPE, TEAM = "peer-work/1.0.0", "pipe-work/1.0.0", "team-work/1.0.0"
PEERS = ("peer-a", "peer-b", "peer-c")
FAIL = {"action": "fail", "otherwise": "fail"}


def _edges(contract: str, *pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": one, "to": other, "contract": contract} for one, other in pairs]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def troupe(stage: Stage) -> AsyncIterator[Troupe]:
    """Bring three peers, a pipeline with a spare, and two teams in."""
    everything = [{"contract": name, "versions": "*"} for name in ("peer-work", "pipe-work", "team-work")]
    usual = {"accepts": everything, "authority": {"depth": 5}}
    names = (*PEERS, "intake", "shape", "spare", "store", "lead", "scout", "clerk")
    limits = {"fruitless": 2, "failures": 3}
    chief = {**usual, "authority": {"depth": 6}, "initiator": True, "budget": "side-budget", "limits": limits}
    settings = await stage.cast(
        {
            **dict.fromkeys(names, usual),
            "shape": {**usual, "breaker": {"failures": 2, "restSeconds": 600, "probes": 1}},
            "side-chief": chief,
        },
        document("Budget", "side-budget", limitMicroUsd=1000),
        document("Contract", "peer-work", onError=FAIL, onTimeout=FAIL),
        document(
            "Contract",
            "pipe-work",
            onError={"action": "fallback", "otherwise": "fail"},
            fallbacks=[{"agent": "spare"}],
        ),
        document("Contract", "team-work", onError=FAIL, onTimeout=FAIL),
        document(
            "Flow",
            "peers",
            edges=[
                *_edges("peer-work", ("side-chief", "peer-a")),
                *_edges("peer-work", *((one, other) for one in PEERS for other in PEERS if one != other)),
            ],
        ),
        document(
            "Flow",
            "pipeline",
            edges=_edges(
                "pipe-work", ("side-chief", "intake"), ("intake", "shape"), ("shape", "store"), ("spare", "store")
            ),
        ),
        document(
            "Flow",
            "teams",
            edges=_edges("team-work", ("side-chief", "lead"), ("lead", "scout"), ("lead", "clerk")),
        ),
    )  # fmt: skip
    troupe = Troupe(stage, Puppet(stage, settings["side-chief"]), (PEER, PIPE, TEAM))
    for name in names:
        await troupe.enlist(settings[name])
    yield troupe
    await troupe.disband()


async def echo(payload: dict[str, Any], task: Task) -> dict[str, Any]:
    """Answer with what came."""
    return payload


async def fault(payload: dict[str, Any], task: Task) -> Any:
    """Fail."""
    return task.error("broken", "it broke")


# ── Peers ────────────────────────────────────────────────────────────────────────────────


async def test_peers_ask_each_other_and_answer(troupe: Troupe) -> None:
    """Nobody leads: one asks another, who asks a third."""

    async def ask(payload: dict[str, Any], task: Task) -> Any:
        to = PEERS[PEERS.index(task.facts.agent) + 1]
        return await task.delegate(contract=PEER, to=to, payload={**payload, to: True}, step="ask")

    play = troupe.play(peer_a=ask, peer_b=ask, peer_c=echo)
    ended = await troupe.whole(play, PEER, "peer-a")

    assert "complete" == ended.outcome
    assert [f"{name}@1.0.0" for name in PEERS] == play.seen


async def test_circular_delegation_is_refused_and_shows_the_loop(troupe: Troupe) -> None:
    """The third asks the first again; it is told so at once and answers as far as it can."""
    told: list[Refused] = []

    async def ask(payload: dict[str, Any], task: Task) -> Any:
        to = PEERS[PEERS.index(task.facts.agent) + 1]
        answer = await task.ask(contract=PEER, to=to, payload={**payload, to: True}, step="ask")
        return answer.value

    async def ask_the_first(payload: dict[str, Any], task: Task) -> Any:
        try:
            return await task.delegate(contract=PEER, to="peer-a", payload=payload, step="ask")
        except Refused as refused:
            told.append(refused)
            return task.partial(payload)

    root = await troupe.begin(troupe.play(peer_a=ask, peer_b=ask, peer_c=ask_the_first), PEER, "peer-a")
    ended = await troupe.stage.ended(root.crossing.task)

    assert "cycle" == told[0].rule
    assert "side-chief → peer-a → peer-b → peer-c → peer-a" in told[0].reason
    assert ("partial", (Gap(step="ask/ask", why="partial"),)) == (ended.outcome, ended.gaps)
    await assert_traced(troupe.stage, SHOWN[2], root.crossing.task)


async def test_asking_the_same_again_without_an_answer_ends(troupe: Troupe) -> None:
    """Two peers that get nowhere are stopped by the limit on that, not by money or depth."""

    async def insist(payload: dict[str, Any], task: Task) -> Any:
        for number in range(5):
            try:
                await task.ask(contract=PEER, to="peer-b", payload=payload, step="again", ordinal=number)
            except Refused as refused:
                return task.partial({"after": number, "rule": refused.rule, "why": refused.reason})
        return {}

    async def part(payload: dict[str, Any], task: Task) -> Any:
        return task.partial(payload)

    root = await troupe.begin(troupe.play(peer_a=insist, peer_b=part), PEER, "peer-a")
    await troupe.stage.ended(root.crossing.task)
    answer = await troupe.answer(root.crossing.task)

    assert (2, "no-progress") == (answer["after"], answer["rule"])
    assert "side-chief → peer-a → peer-b" in answer["why"]


# ── A pipeline ───────────────────────────────────────────────────────────────────────────


def stages(**changed: Any) -> dict[str, Any]:
    """Return the parts of a pipeline whose stages give their place to the next."""

    async def take_in(payload: dict[str, Any], task: Task) -> Any:
        return await task.hand_off(contract=PIPE, to="shape", payload=payload, step="shape")

    async def shape(payload: dict[str, Any], task: Task) -> Any:
        by = {"by": task.facts.agent}
        return await task.hand_off(contract=PIPE, to="store", payload={**payload, **by}, step="store")

    return {"intake": take_in, "shape": shape, "spare": shape, "store": echo, **changed}


async def test_a_pipeline_hands_its_place_on_from_stage_to_stage(troupe: Troupe) -> None:
    """The last stage answers whoever began it."""
    root = await troupe.begin(troupe.play(**stages()), PIPE, "intake")

    assert "complete" == (await troupe.stage.ended(root.crossing.task)).outcome
    assert "shape" == (await troupe.answer(root.crossing.task))["by"]


async def test_one_bad_stage_is_taken_out_and_the_pipeline_goes_on(troupe: Troupe) -> None:
    """It fails twice, each time the spare steps in; then its breaker is open and it gets nothing more."""
    partitions = troupe.stage.door.identity.partitions
    play = troupe.play(**stages(shape=fault))
    outcomes, sent = [], []
    for _ in range(3):
        root = await troupe.begin(play, PIPE, "intake", task=id_in(0, partitions))
        sent.append(root.crossing.task)
        outcomes.append((await troupe.stage.ended(sent[-1])).outcome)
    moved = await troupe.stage.said("decisions.v1", BreakerMoved)
    third = [
        one.receiver.agent for one in await troupe.stage.decisions(sent[-1]) if isinstance(one, Dispatched)
    ]

    assert ["complete"] * 3 == outcomes
    assert ("shape", "open", 2) == (moved.agent.agent, moved.state, moved.failures)
    assert ["intake", "spare", "store"] == third
    await assert_traced(troupe.stage, SHOWN[3], sent[-1])
    await troupe.stage.audited()
    shown = (await breakers_of(troupe.stage.door)).counted
    assert [("shape", "1.0.0", 0, "open")] == [
        (one.agent, one.version, one.partition, one.state) for one in shown
    ]


async def test_a_breaker_is_set_by_hand_and_left_to_itself_again(troupe: Troupe) -> None:
    """Open by hand nothing goes to the scout, though it never failed; then all is as before."""

    async def lead(payload: dict[str, Any], task: Task) -> Any:
        try:
            return await task.delegate(contract=TEAM, to="scout", payload=payload, step="scout")
        except Refused as refused:
            return {"rule": refused.rule}

    play = troupe.play(lead=lead, scout=echo)
    answers = []
    for how in ("open", "auto"):
        await set_breaker(troupe.stage.door, "scout", how, "a drill")
        if how == "open":
            with pytest.raises(UnprocessableError, match="breakers auto scout@"):
                await set_pause(troupe.stage.door, "scout", "a drill", paused=True)
        root = await troupe.begin(play, TEAM, "lead")
        await troupe.stage.ended(root.crossing.task)
        answers.append(await troupe.answer(root.crossing.task))

    assert {"rule": "breaker-open"} == answers[0]
    assert "rule" not in answers[1]


async def test_work_for_what_is_paused_waits_and_goes_on(troupe: Troupe) -> None:
    """It is handed over under the documents by which it was resumed, and not before."""

    async def lead(payload: dict[str, Any], task: Task) -> Any:
        return await task.delegate(contract=TEAM, to="scout", payload=payload, step="scout")

    door, stage = troupe.stage.door, troupe.stage
    await set_pause(door, "scout", "a drill", paused=True)
    root = await troupe.begin(troupe.play(lead=lead, scout=echo), TEAM, "lead")
    work = await stage.decided(root.crossing.task, Dispatched)
    for gate in ("contract-validator", "policy-engine", "cost-cap"):
        await stage.said(
            f"verdicts.{gate}.v1", Verdict, lambda one: one.crossing != work.crossing, key=root.crossing.task
        )
    with pytest.raises(UnprocessableError, match="resume scout@"):
        await set_breaker(door, "scout", "auto", "as it fares")
    kept = [one for one in await stage.decisions(root.crossing.task) if isinstance(one, Dispatched)]
    await set_pause(door, "scout", "", paused=False)
    ended = await stage.ended(root.crossing.task)
    handed = [one for one in await stage.decisions(root.crossing.task) if isinstance(one, Dispatched)]

    assert ["lead"] == [one.receiver.agent for one in kept]
    assert ["lead", "scout"] == [one.receiver.agent for one in handed]
    assert handed[1].revision.registry > handed[0].revision.registry
    assert "complete" == ended.outcome


async def test_failures_that_spread_halt_the_task(troupe: Troupe) -> None:
    """What fails again and again is stopped as a whole and put before its owner, naming where."""

    async def shower(payload: dict[str, Any], task: Task) -> Any:
        parts = (
            task.ask(contract=PEER, to="peer-b", payload={**payload, "n": n}, step="part", ordinal=n)
            for n in range(6)
        )
        return {
            "lost": sum(
                isinstance(one, Exception) for one in await asyncio.gather(*parts, return_exceptions=True)
            )
        }

    root = await troupe.begin(troupe.play(peer_a=shower, peer_b=fault), PEER, "peer-a")
    escalated = await troupe.stage.decided(
        root.crossing.task, Escalated, lambda one: one.rule == "too-many-failures"
    )

    assert "failed" == (await troupe.stage.ended(root.crossing.task)).outcome
    assert "3 may" in escalated.reason
    assert "peer-a > peer-b > peer-work" in escalated.reason


# ── Mixed ────────────────────────────────────────────────────────────────────────────────


async def test_a_mixed_flow_plans_and_its_parts_run_as_peers_or_pipelines_do(troupe: Troupe) -> None:
    """A lead plans; one part answers at once, what the other needs it to have found comes after."""

    async def lead(payload: dict[str, Any], task: Task) -> Any:
        plan = await task.plan(
            subtask("scout", contract=TEAM, to="scout"),
            subtask("file", contract=TEAM, to="clerk", after=("scout",)),
        )
        join = await plan.run({"scout": payload, "file": lambda answers: {**payload, "found": len(answers)}})
        return join.label(join.answers["file"].value)

    root = await troupe.begin(troupe.play(lead=lead, scout=echo, clerk=echo), TEAM, "lead")

    assert "complete" == (await troupe.stage.ended(root.crossing.task)).outcome
    assert 1 == (await troupe.answer(root.crossing.task))["found"]


async def test_a_lateral_shortcut_is_refused_and_the_way_that_was_drawn_still_works(troupe: Troupe) -> None:
    """The scout hands its find straight to the clerk, past the lead: no flow has such an edge."""

    async def lead(payload: dict[str, Any], task: Task) -> Any:
        found = await task.delegate(contract=TEAM, to="scout", payload=payload, step="scout")
        return await task.delegate(contract=TEAM, to="clerk", payload={**payload, **found}, step="file")

    async def shortcut(payload: dict[str, Any], task: Task) -> Any:
        with pytest.raises(Refused) as refused:
            await task.delegate(contract=TEAM, to="clerk", payload=payload, step="past-the-lead")
        return {"rule": refused.value.rule}

    play = troupe.play(lead=lead, scout=shortcut, clerk=echo)
    root = await troupe.begin(play, TEAM, "lead")
    refused = await troupe.stage.decided(root.crossing.task, RefusedDecision)

    assert ("policy-engine", "no-flow-edge") == (refused.gate, refused.rule)
    assert "complete" == (await troupe.stage.ended(root.crossing.task)).outcome
    assert "no-flow-edge" == (await troupe.answer(root.crossing.task))["rule"]
    assert ["lead@1.0.0", "scout@1.0.0", "clerk@1.0.0"] == play.seen
    await assert_traced(troupe.stage, SHOWN[4], root.crossing.task)
