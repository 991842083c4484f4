"""A supervisor who plans, hands on and joins: governed, and answered when it is overwhelmed."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from seamwork.agent import Refused, Task, subtask
from seamwork.records.crossing import Gap
from seamwork.records.decision import Refused as RefusedDecision
from seamwork.records.inbox import Answer
from seamwork.records.people import ApprovalRequest, Reply
from seamwork.testing.documents import document
from seamwork.testing.puppet import Puppet, new_id, now_ms
from seamwork.testing.stage import Stage
from seamwork.testing.terminal import assert_traced, traces_in
from seamwork.testing.troupe import Troupe

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOWN = traces_in(Path(__file__).parents[2] / "docs" / "guide" / "shapes.md")
WORK = "tree-work/1.0.0"
FAIL = {"action": "fail", "otherwise": "fail"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def troupe(stage: Stage) -> AsyncIterator[Troupe]:
    """Bring a supervisor and three workers in; only the supervisor hands on."""
    accepts = [{"contract": "tree-work", "versions": "*"}]
    workers = ("reader", "checker", "writer")
    settings = await stage.cast(
        {
            **{name: {"accepts": accepts, "authority": {"depth": 3}} for name in ("supervisor", *workers)},
            "tree-chief": {
                "accepts": accepts,
                "authority": {"depth": 4},
                "initiator": True,
                "budget": "tree-budget",
            },
        },
        document("Budget", "tree-budget", limitMicroUsd=1000),
        document("Contract", "tree-work", onError=FAIL, onTimeout=FAIL, limits={"fanOut": 3}),
        document(
            "Flow",
            "tree",
            edges=[
                {"from": "tree-chief", "to": "supervisor", "contract": "tree-work"},
                *({"from": "supervisor", "to": name, "contract": "tree-work"} for name in workers),
            ],
        ),
        document(
            "Policy",
            "plans-with-a-writer",
            match={"kinds": ["plan"], "sources": ["supervisor"]},
            rules=[
                {
                    "name": "asked-first",
                    "when": "this.subtasks.exists(s, s.step == 'publish')",
                    "effect": "require-approval",
                    "message": "publishing is asked about before anything runs",
                    "approvers": {"roles": ["editor"]},
                }
            ],
        ),
    )
    troupe = Troupe(stage, Puppet(stage, settings["tree-chief"]), (WORK,))
    for name in ("supervisor", *workers):
        await troupe.enlist(settings[name])
    await stage.person("edith", "editor")
    yield troupe
    await troupe.disband()


def approval(asked: ApprovalRequest, person: str) -> Reply:
    """Return what a person says who agrees."""
    return Reply(
        id=new_id(), request=asked.id, task=asked.task, action_sha256=asked.action_sha256, person=person,
        answer="approve", answered_at=now_ms(),
    )  # fmt: skip


async def echo(payload: dict[str, Any], task: Task) -> dict[str, Any]:
    """Answer with what came."""
    return payload


async def test_a_plan_runs_what_it_can_at_once_and_joins(troupe: Troupe) -> None:
    """Two parts meet while both run; the third gets their answers; the whole is complete."""
    both = asyncio.Barrier(2)

    async def supervise(payload: dict[str, Any], task: Task) -> Any:
        plan = await task.plan(
            subtask("read", contract=WORK, to="reader"),
            subtask("check", contract=WORK, to="checker"),
            subtask("write", contract=WORK, to="writer", after=("read", "check")),
        )
        join = await plan.run(
            {
                "read": {**payload, "n": 1},
                "check": {**payload, "n": 2},
                "write": lambda answers: {**payload, "n": sum(one.value["n"] for one in answers.values())},
            }
        )
        return join.label({"n": join.answers["write"].value["n"]})

    async def meet(payload: dict[str, Any], task: Task) -> Any:
        await both.wait()
        return payload

    play = troupe.play(supervisor=supervise, reader=meet, checker=meet, writer=echo)
    root = await troupe.begin(play, WORK, "supervisor")
    ended = await troupe.stage.ended(root.crossing.task)

    assert ("complete", ()) == (ended.outcome, ended.gaps), await troupe.stage.story(root.crossing.task)
    assert {"n": 3} == await troupe.answer(root.crossing.task)


async def test_a_lost_part_makes_the_whole_partial_whatever_the_supervisor_says(troupe: Troupe) -> None:
    """It returns the value as if it were whole; the router holds it against the plan and labels it."""

    async def supervise(payload: dict[str, Any], task: Task) -> Any:
        plan = await task.plan(
            subtask("read", contract=WORK, to="reader"),
            subtask("check", contract=WORK, to="checker"),
            subtask("write", contract=WORK, to="writer", critical=False),
        )
        await plan.run({"read": payload, "check": payload})
        return {"whole": True}

    async def fault(payload: dict[str, Any], task: Task) -> Any:
        return task.error("broken", "it broke")

    root = await troupe.begin(
        troupe.play(supervisor=supervise, reader=echo, checker=fault), WORK, "supervisor"
    )
    task = root.crossing.task
    ended = await troupe.stage.ended(task)
    answer = await troupe.stage.said("inbox.tree-chief.v1", Answer, key=task)
    gaps = (Gap(step="check", why="error"), Gap(step="write", why="missing", critical=False))

    assert ("partial", gaps) == (ended.outcome, ended.gaps)
    assert ("partial", gaps) == (answer.outcome, answer.gaps)
    await assert_traced(troupe.stage, SHOWN[0], task)


async def test_a_plan_is_held_for_a_person_before_anything_runs(troupe: Troupe) -> None:
    """Nothing is handed on until somebody has read what is planned and agreed."""

    async def supervise(payload: dict[str, Any], task: Task) -> Any:
        plan = await task.plan(subtask("publish", contract=WORK, to="writer"))
        return (await plan.run({"publish": payload})).label({})

    play = troupe.play(supervisor=supervise, writer=echo)
    root = await troupe.begin(play, WORK, "supervisor")
    task = root.crossing.task
    asked = await troupe.stage.said("approvals.v1", ApprovalRequest, key=task)
    before = list(play.seen)
    await troupe.stage.say("edith", "answers.v1", task, partial(approval, asked))

    assert "divide it into 1 subtask: publish to writer under tree-work 1.0.0" == asked.proposed
    assert ["supervisor@1.0.0"] == before
    assert "complete" == (await troupe.stage.ended(task)).outcome


async def test_what_was_not_planned_is_not_handed_on(troupe: Troupe) -> None:
    """The supervisor is told by which rule."""

    async def supervise(payload: dict[str, Any], task: Task) -> Any:
        plan = await task.plan(subtask("read", contract=WORK, to="reader"))
        with pytest.raises(Refused) as refused:
            await task.delegate(contract=WORK, to="checker", payload=payload, step="more")
        return (await plan.run({"read": payload})).label({"rule": refused.value.rule})

    root = await troupe.begin(troupe.play(supervisor=supervise, reader=echo), WORK, "supervisor")

    assert {"rule": "not-in-plan"} == await troupe.answer(root.crossing.task)


async def test_an_overwhelmed_supervisor_is_bounded_and_what_it_lost_is_labelled(troupe: Troupe) -> None:
    """Five at once where three may be open: two are refused by name, and the whole is no more than a part."""
    go = asyncio.Event()

    async def supervise(payload: dict[str, Any], task: Task) -> Any:
        plan = await task.plan(*(subtask("read", contract=WORK, to="reader", ordinal=n) for n in range(5)))
        join = await plan.run({part.name: payload for part in plan.parts})
        return {"lost": sorted({error.rule for error in join.lost.values()}), "whole": join.complete}

    async def wait(payload: dict[str, Any], task: Task) -> Any:
        await go.wait()
        return payload

    root = await troupe.begin(troupe.play(supervisor=supervise, reader=wait), WORK, "supervisor")
    task = root.crossing.task
    refused = await troupe.stage.decided(task, RefusedDecision, lambda one: one.rule == "fan-out")
    await troupe.stage.decided(task, RefusedDecision, lambda one: one.crossing != refused.crossing)
    go.set()
    ended = await troupe.stage.ended(task)

    assert "3 handoffs are open below this dispatch, 3 may be at once" == refused.reason
    assert ("partial", {"refused"}) == (ended.outcome, {gap.why for gap in ended.gaps})
    assert {"lost": ["fan-out"], "whole": False} == await troupe.answer(task)
    await assert_traced(troupe.stage, SHOWN[1], task)


async def test_a_supervisor_that_paces_itself_is_not_overwhelmed(troupe: Troupe) -> None:
    """Three at a time all five go through."""

    async def supervise(payload: dict[str, Any], task: Task) -> Any:
        plan = await task.plan(*(subtask("read", contract=WORK, to="reader", ordinal=n) for n in range(5)))
        join = await plan.run({part.name: payload for part in plan.parts}, at_once=3)
        return join.label({"whole": join.complete})

    ended = await troupe.whole(troupe.play(supervisor=supervise, reader=echo), WORK, "supervisor")

    assert ("complete", ()) == (ended.outcome, ended.gaps)
