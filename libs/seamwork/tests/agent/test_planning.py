"""A plan is run as far as it can be, beside each other what needs nothing, and the join says what became of it."""

import asyncio
from typing import Any, cast

import pytest

from seamwork.agent import Join, Labelled, Partial, Planned, Refused, subtask
from seamwork.agent.handing import Handing
from seamwork.contracts.plan import plan_problem
from seamwork.errors import MisconfiguredError
from seamwork.records.crossing import Subtask

WORK = "work/1.0.0"


class Asked:
    """A task whose handoffs end as the test says: by step, an answer or an error."""

    def __init__(self, **ends: Any) -> None:
        self.ends = ends
        self.given: dict[str, Any] = {}
        self.said: dict[str, dict[str, Any]] = {}
        self.open = 0
        self.most = 0

    async def ask(self, *, payload: object, step: str, **how: Any) -> Labelled[Any]:
        """Answer in a later turn of the loop, so that others are asked meanwhile."""
        assert {"contract", "returns", "to", "versions", "capability", "ordinal"} <= how.keys()
        self.given[step] = payload
        self.said[step] = how
        self.open += 1
        self.most = max(self.most, self.open)
        for _ in range(3):
            await asyncio.sleep(0)
        self.open -= 1
        end = self.ends.get(step, Labelled(step, "success"))
        if isinstance(end, Exception):
            raise end
        assert isinstance(end, Labelled)
        return end


def parts(*more: Subtask) -> tuple[Subtask, ...]:
    """Return two parts that need nothing, and *more*."""
    return (subtask("a", contract=WORK, to="x"), subtask("b", contract=WORK, to="y"), *more)


async def run(task: Asked, given: dict[str, Any], *more: Subtask, **how: Any) -> Join:
    """Run a plan."""
    return await Planned(task, parts(*more)).run(given, **how)


async def test_what_needs_nothing_runs_at_once_and_the_rest_gets_its_answers() -> None:
    """The third part is made of the answers of the first two."""
    task = Asked()
    last = subtask("c", contract=WORK, to="z", after=("a", "b"))
    join = await run(task, {"a": 1, "b": 2, "c": sorted}, last)

    assert 2 == task.most
    assert ["a", "b"] == task.given["c"]
    assert join.complete
    assert "whole" == join.label("whole")


async def test_what_comes_after_a_lost_critical_part_is_not_begun() -> None:
    """Nothing is raised: the join says what was lost."""
    task = Asked(a=Refused("a", "schema", "it does not fit"))
    join = await run(task, {"a": 1, "b": 2, "c": 3}, subtask("c", contract=WORK, to="z", after=("a",)))

    assert {"a", "b"} == task.given.keys()
    assert "schema" == join.lost["a"].rule
    assert Partial("part") == join.label("part")


async def test_what_is_not_critical_may_be_lost_left_out_or_come_back_in_part() -> None:
    """The whole does not depend on it, nor does what comes after it."""
    task = Asked(c=Labelled("c", "partial"))
    more = (
        subtask("c", contract=WORK, to="z", critical=False),
        subtask("d", contract=WORK, to="z", critical=False),
        subtask("e", contract=WORK, to="z", after=("c", "d")),
    )
    join = await run(task, {"a": 1, "b": 2, "c": 3, "e": 5}, *more)

    assert join.complete
    assert {"a", "b", "c", "e"} == join.answers.keys()


async def test_so_many_are_open_at_a_time() -> None:
    """As a contract's fan-out demands."""
    task = Asked()
    await run(task, {"a": 1, "b": 2}, at_once=1)

    assert 1 == task.most


@pytest.mark.parametrize("at_once", [0, -1])
async def test_none_at_a_time_is_the_authors_mistake(at_once: int) -> None:
    """All at once would be the opposite of what is meant."""
    task = Asked()
    with pytest.raises(MisconfiguredError, match="at_once"):
        await run(task, {"a": 1, "b": 2}, at_once=at_once)

    assert {} == task.given


async def test_each_part_is_handed_on_as_is_said_of_it() -> None:
    """Whom it goes to stands in the plan, whatever is said besides."""
    task = Asked()
    await run(task, {"a": 1, "b": 2}, returns={"a": int}, how={"a": {"ceiling_micro_usd": 7, "to": "z"}})

    assert (7, "x", int) == tuple(task.said["a"][name] for name in ("ceiling_micro_usd", "to", "returns"))
    assert ("y", None) == (task.said["b"]["to"], task.said["b"]["returns"])
    assert "ceiling_micro_usd" not in task.said["b"]


@pytest.mark.parametrize(
    "said", [{}, {"returns": {"d": int}}, {"how": {"d": {}}}], ids=["payload", "type", "how"]
)
async def test_what_is_said_of_no_part_is_the_authors_mistake(said: dict[str, Any]) -> None:
    """A part that is not critical would be left out for a slip of the pen."""
    task, part = Asked(), subtask("c", contract=WORK, to="z", critical=False)
    with pytest.raises(MisconfiguredError, match="the plan has no part 'd'; it has a, b, c"):
        await run(task, {"a": 1, "b": 2, **({} if said else {"d": 3})}, part, **said)

    assert {} == task.given


async def test_what_no_handoff_has_is_the_authors_mistake() -> None:
    """A bound that is misspelt would bound nothing; said before anything is handed on."""
    task, misspelt = Asked(), cast("Handing", {"timeout": 5})
    with pytest.raises(MisconfiguredError, match="step b: a handoff has no 'timeout'"):
        await run(task, {"a": 1, "b": 2}, how={"b": misspelt})

    assert {} == task.given


async def test_a_critical_part_needs_a_payload() -> None:
    """Said before anything is handed on."""
    task = Asked()
    with pytest.raises(MisconfiguredError, match="critical parts b of the plan"):
        await run(task, {"a": 1})

    assert {} == task.given


@pytest.mark.parametrize(
    ("plan", "rule"),
    [
        ((), "plan-size"),
        (parts(subtask("a", contract=WORK, to="x")), "plan-names"),
        (parts(subtask("c", contract=WORK, to="x", after=("nobody",))), "plan-after-unknown"),
        (parts(subtask("c", contract=WORK)), "empty-target"),
        (parts(subtask("c", contract=WORK, to="x", capability="y")), "ambiguous-target"),
        (
            parts(
                subtask("c", contract=WORK, to="x", after=("d",)),
                subtask("d", contract=WORK, to="x", after=("c",)),
            ),
            "plan-circular",
        ),
    ],
    ids=["empty", "two-of-a-name", "unknown", "to-nobody", "to-two", "in-a-circle"],
)
def test_a_plan_that_cannot_be_followed_is_told_by_name(plan: tuple[Subtask, ...], rule: str) -> None:
    """The SDK says it before it sends, the gate before it votes."""
    problem = plan_problem(plan)

    assert problem is not None
    assert rule == problem.rule
