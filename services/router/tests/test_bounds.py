"""What the router remembers is bounded by what is under way, and goes when that has ended."""

from typing import Any

import pytest

from seamwork.decider import Tick, written
from seamwork.decider.entries import Packed
from seamwork.records.decision import Refused
from seamwork.testing.builders import HOUR_MS, received
from seamwork.testing.documents import document
from seamwork_router import checks
from seamwork_router.decide import MAX_MADE, MOST_AHEAD

Bench = Any  # the class of conftest; importlib mode cannot import it


def begin(bench: Bench, number: int, target: str = "extractor") -> None:
    """Begin one more task, if the router lets it."""
    bench.admit(bench.send("handoff", task=f"t-{number}", id=f"r-{number}", target=target))


def test_no_more_tasks_are_begun_than_may_be_under_way(new_bench: Bench) -> None:
    """The next one is refused with the reason; when one has ended, another may begin."""
    bench = new_bench(most_tasks=2)
    first = bench.begin(task="t-1", id="r-1")
    begin(bench, 2, "reader")
    for number in (3, 4):
        begin(bench, number, "backup")
    rules = [one.rule for one in bench.decisions if isinstance(one, Refused)]
    bench.answer(first, task="t-1")
    works = len(bench.works)
    begin(bench, 5)

    assert ["too-many-tasks", "too-many-tasks"] == rules
    assert works + 1 == len(bench.works)


def test_a_receiver_that_is_slow_uses_up_its_own_share_alone(new_bench: Bench) -> None:
    """Tasks for others go on beginning; the refusal names whose share is used up."""
    bench = new_bench(most_aimed=2)
    for number in range(3):
        begin(bench, number)
    (refused,) = (one for one in bench.decisions if isinstance(one, Refused))
    works = len(bench.works)
    begin(bench, 3, "reader")

    assert ("too-many-tasks", True) == (refused.rule, "for extractor" in refused.reason)
    assert works + 1 == len(bench.works)


def test_an_agent_says_how_many_tasks_may_wait_for_it(bench: Bench) -> None:
    """Its document does; a later version of it may take more."""
    accepts = [{"contract": "licence-facts", "versions": "*"}]
    bench.publish(document("Agent", "extractor", accepts=accepts, mostTasks=1))
    for number in range(2):
        begin(bench, number)
    (refused,) = (one for one in bench.decisions if isinstance(one, Refused))
    bench.publish(document("Agent", "extractor", "1.1.0", accepts=accepts, mostTasks=2))
    works = len(bench.works)
    begin(bench, 2)

    assert ("too-many-tasks", True) == (refused.rule, refused.reason.startswith("1 tasks for extractor"))
    assert works + 1 == len(bench.works)


def test_a_verdict_on_what_lies_far_ahead_is_not_kept(bench: Bench) -> None:
    """No crossing may ever come there; what is near is kept until its crossing is read."""
    near = received("verdict", subject=f"0/{MOST_AHEAD - 1}#1", gate="policy-engine")
    far = received("verdict", subject=f"0/{MOST_AHEAD}#1", gate="policy-engine")
    (kept,), (late,) = bench.step(near), bench.step(far)

    assert ("VerdictKept", "too-early") == (type(kept).__name__, late.why)
    assert 1 == bench.machine.sizes(bench.state)["early verdicts"]


def test_what_has_ended_leaves_memory(bench: Bench) -> None:
    """Whole, refused, cancelled with its children: after the redelivery horizon nothing of it is left."""
    empty = b"".join(written(bench.state))
    whole = bench.begin(task="t-1", id="r-1")
    child = bench.delegate(whole, task="t-1")
    bench.answer(child, task="t-1")
    bench.answer(whole, task="t-1")
    bench.vote(bench.send("handoff", task="t-2", id="r-2"), "contract-validator", "DENY")
    abandoned = bench.begin(task="t-3", id="r-3")
    bench.child(abandoned, task="t-3")
    held = dict(bench.machine.sizes(bench.state))
    bench.pass_time(26 * HOUR_MS)

    assert 1 == held["tasks"]
    assert {0} == set(bench.machine.sizes(bench.state).values())
    assert None is bench.machine.timer(bench.state)
    # A breaker's count is one an agent version, whatever its tasks; and how far was read is a number.
    bench.state.breakers, bench.state.read_to = {}, 0
    assert empty == b"".join(written(bench.state))


def test_a_tick_makes_no_more_than_fits_into_a_commit(bench: Bench) -> None:
    """Hundreds of tasks that expire at one instant end in several ticks, each at the same instant."""
    for number in range(300):
        begin(bench, number)
    before = len(bench.events)
    bench.now = bench.machine.timer(bench.state) or 0
    made = []
    while (due := bench.machine.timer(bench.state)) is not None and due <= bench.now:
        made.append(len(bench.step(Tick())))

    assert 1 < len(made)
    assert max(made) < MAX_MADE + 100
    assert sum(made) == len(bench.events) - before


def test_what_is_over_is_packed_and_has_no_timer_of_its_own(bench: Bench) -> None:
    """A finished task is kept for whoever repeats what it said, also when its last word comes later."""
    for number in range(3):
        work = bench.begin(task=f"t-{number}", id=f"r-{number}")
        bench.answer(work, task=work.task)
    late = bench.send(
        "usage", id="u-1", source="extractor", dispatch=work.dispatch, task=work.task, stamp=bench.stamp(work),
        spent={"requests": 3},
    )  # fmt: skip
    bench.vote(late, "contract-validator")

    assert {Packed} == {type(one) for one in dict.values(bench.state.over)}
    assert (3, 1) == (len(bench.state.over), len(bench.state.timers.due))
    assert "u-1" in bench.state.over[work.task].dispatches[work.dispatch].noted


@pytest.mark.parametrize("task", ["in hand", "over"])
def test_who_is_refused_in_a_loop_takes_no_more_room_than_a_task_may(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """Every id of what was refused is remembered for a day: an agent that begins anew each time would fill it."""
    monkeypatch.setattr(checks, "MAX_IDS", 20)
    work = bench.begin()
    if task == "over":
        bench.answer(work)
    for number in range(40):
        denied = bench.child(work, ordinal=number)
        bench.vote(denied, "contract-validator", "DENY" if number % 2 else "ALLOW")
        bench.vote(denied, "policy-engine", "DENY")
        bench.vote(denied, "cost-cap")
    known = (bench.state.over if task == "over" else bench.state.tasks)[work.task].ids
    told = [one for one in bench.notices if one.what == "refused"]

    assert 20 == len(known)
    assert 40 == len(told) == len({one.about for one in told})
    assert {} == bench.state.live or set(bench.state.live) == {"0"}
    if task == "in hand":
        bench.admit(bench.child(work, "more"))
        assert "refused: too-many-crossings" == bench.said[-1]
        bench.answer(work)
        assert "task-ended: task-complete" == bench.said[-1]
