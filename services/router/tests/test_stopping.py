"""What thousands of handoffs hang below is stopped in pieces, and ends as whole as anything else."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from seamwork.catalog import Context
from seamwork.decider import Publish, Tick, TooMuch, Undeliverable
from seamwork.records.decision import Closed, TaskEnded
from seamwork.records.envelope import encode
from seamwork.records.inbox import Work
from seamwork.testing.builders import received
from seamwork_router import events as ev
from seamwork_router.ending import AT_ONCE

MANY = AT_ONCE + 30


def fan_out(bench: Any, work: Work, count: int = MANY, **fields: str) -> list[Work]:
    """Let the holder of *work* hand on *count* pieces, all of which are under way."""
    return [bench.delegate(work, "read", ordinal=number, **fields) for number in range(count)]


def written(bench: Any, events: tuple[ev.Event, ...]) -> int:
    """Return about how many bytes of a commit these events take, with what is published because of them."""
    outputs = [output for event in events for output in bench.machine.outputs(event)]
    records = [encode(one.record).decode() for one in outputs if isinstance(one, Publish)]
    return sum(len(msgspec.json.encode(one)) for one in (*events, *records))


def cancel(bench: Any, **fields: str) -> tuple[ev.Event, ...]:
    """Let a person cancel the task, and return what that one decision led to."""
    events: tuple[ev.Event, ...] = bench.step(
        received("command", signed_by="person:ada", digest=None, appended_at=bench.now, **fields)
    )
    return events


def closed(bench: Any) -> Counter[str]:
    """Count the last word on each handoff."""
    return Counter(str(one.crossing) for one in bench.decisions if isinstance(one, Closed) and one.final)


def test_cancelling_thousands_is_worked_off_in_pieces(bench: Any) -> None:
    """Each step is bounded, each handoff ends once, and the task ends after the last of them."""
    work = bench.begin()
    below = fan_out(bench, work, 2 * AT_ONCE + 30)
    largest = len(cancel(bench))
    while (due := bench.machine.timer(bench.state)) is not None and due <= bench.now:
        assert not any(isinstance(one, TaskEnded) for one in bench.decisions)
        largest = max(largest, len(bench.step(Tick())))

    assert {one.crossing: 1 for one in (work, *below)} == dict(closed(bench))
    assert ["task-ended: task-cancelled"] == [one for one in bench.said if one.startswith("task-ended")]
    assert isinstance(bench.decisions[-1], TaskEnded)
    assert {(one.agent, one.dispatch) for one in (work, *below)} == {
        (one.agent, one.dispatch)
        for one in bench.notices
        if one.dispatch is not None and one.what == "cancelled"
    }
    assert {} == bench.state.tasks
    assert largest <= 6 * AT_ONCE


def test_nothing_comes_of_what_is_being_stopped(bench: Any) -> None:
    """Neither new work nor an answer nor work whose gates took their time: the order to stop stands before them."""
    work = bench.begin()
    below = fan_out(bench, work)
    judged = bench.child(below[0], "late")
    cancel(bench)
    dispatched = len(bench.works)
    bench.admit(judged)
    bench.admit(bench.child(below[-1], "more"))
    bench.admit(bench.result(below[-1]))
    bench.admit(bench.result(work, ordinal=0))

    assert dispatched == len(bench.works)
    assert [] == bench.answers
    assert 4 * ["refused: stopping"] == [one for one in bench.said if one.startswith("refused")]


def test_an_order_given_twice_ends_the_task_once(bench: Any) -> None:
    """While it is worked off, the task is in nobody's hand any more."""
    fan_out(bench, bench.begin())
    cancel(bench)

    assert ["task-not-in-hand"] == [one.rule for one in cancel(bench) if isinstance(one, ev.CommandIgnored)]
    bench.pass_time(0)
    assert 1 == sum(isinstance(one, TaskEnded) for one in bench.decisions)


def test_who_gets_the_work_next_is_not_stopped_with_what_its_predecessor_left(bench: Any) -> None:
    """What the first had handed on is worked off; what the second hands on meanwhile goes its way."""
    root = bench.send("handoff", contract="transient@1.0.0")
    bench.admit(root)
    work = bench.works[-1]
    below = fan_out(bench, work)
    bench.step(
        Undeliverable(
            epoch=0, seq=1, index=0, topic="inbox.extractor.v1", error="too-large", task=work.task,
            crossing=work.crossing, dispatch=work.dispatch,
        )
    )  # fmt: skip
    bench.pass_time(1_000)
    bench.admit(root, attempt=2, gates=("cost-cap",))
    second = bench.works[-1]
    own = bench.delegate(second, "own")
    bench.pass_time(0)

    assert "backup" == second.agent
    assert {one.crossing: 1 for one in below} == dict(closed(bench))
    assert bench.state.tasks[work.task].errands[own.crossing].open_dispatch is not None
    assert [] == bench.state.tasks[work.task].stopping


def test_beside_what_is_stopped_work_goes_on(bench: Any) -> None:
    """Only what hangs below the handoff that was given up takes nothing new."""
    work = bench.begin()
    given_up = bench.delegate(work, "a")
    beside = bench.delegate(work, "b", target="backup")
    fan_out(bench, given_up, target="backup")
    bench.step(
        Undeliverable(
            epoch=0, seq=1, index=0, topic="inbox.reader.v1", error="too-large", task=work.task,
            crossing=given_up.crossing, dispatch=given_up.dispatch,
        )
    )  # fmt: skip
    more = bench.delegate(beside, "more")

    assert [given_up.crossing] == [one.crossing for one in bench.state.tasks[work.task].stopping]
    assert ("reader", beside.crossing) == (
        more.agent,
        bench.state.tasks[work.task].errands[more.crossing].asked.parent,
    )


@pytest.mark.parametrize("open_work", [AT_ONCE, AT_ONCE + 1])
def test_at_the_bound_it_is_one_decision_or_two(bench: Any, open_work: int) -> None:
    """Nothing changes for what fits."""
    fan_out(bench, bench.begin(), open_work)
    events = cancel(bench)

    assert (open_work > AT_ONCE) == any(isinstance(one, ev.StopBegun) for one in events)
    bench.pass_time(0)
    assert open_work + 1 == sum(closed(bench).values())


LONG = "\u00e4" * 3_000
"""An id as long as an envelope takes: that of a task stands in it several times, three bytes and more a letter."""
A_PIECE = 2 * 1024 * 1024
"""Of the 7 MiB that a commit holds, whatever hangs below."""


@pytest.mark.parametrize("most", [0, 1])
def test_long_ids_make_smaller_pieces(bench: Any, most: int) -> None:
    """A commit holds 7 MiB, and what does not fit is not said at all."""
    work = bench.begin(task=LONG)
    below = fan_out(bench, work, 50, task=LONG)
    largest = written(bench, cancel(bench, task=LONG))
    while (due := bench.machine.timer(bench.state)) is not None and due <= bench.now:
        largest = max(largest, written(bench, bench.step(Tick(most=most))))

    assert {one.crossing: 1 for one in (work, *below)} == dict(closed(bench))
    assert isinstance(bench.decisions[-1], TaskEnded)
    assert largest < A_PIECE


def test_each_piece_is_one_handoff_at_least(bench: Any) -> None:
    """Whatever a step is called, the order to stop comes to an end."""
    work = bench.begin()
    below = [bench.delegate(work, letter * 200_000) for letter in "abc"]
    cancel(bench)
    bench.pass_time(0)

    assert {one.crossing: 1 for one in (work, *below)} == dict(closed(bench))
    assert {} == bench.state.tasks


def test_a_receiver_that_is_revoked_is_no_more_than_a_commit_either(bench: Any) -> None:
    """Whether the router fails the work as its contract says or, where that is too much, in few words."""
    middle = bench.delegate(bench.begin(task=LONG), "middle", task=LONG)
    fan_out(bench, middle, 50, task=LONG, target="backup")
    bench.publish(revoke=("Agent", middle.agent, middle.version))
    first = bench.machine.decide(bench.state, Tick(most=1), Context(bench.now, bench.catalog))
    instead = bench.step(TooMuch(Tick(most=1), 1))

    assert written(bench, first) < A_PIECE
    assert 0 < written(bench, instead) < A_PIECE


@pytest.mark.parametrize("open_work", [3, MANY])
def test_what_is_too_much_even_in_pieces_is_stopped_one_by_one(bench: Any, open_work: int) -> None:
    """A timer to which nothing followed would ring for ever, and no other one in its partition after it."""
    work = bench.begin()
    below = fan_out(bench, work, open_work)
    cancel(bench)
    for _ in range(open_work + 3):
        if (due := bench.machine.timer(bench.state)) is not None and due <= bench.now:
            assert () != bench.step(TooMuch(Tick(most=1), 1))

    assert {one.crossing: 1 for one in (work, *below)} == dict(closed(bench))
    assert isinstance(bench.decisions[-1], TaskEnded)
    assert {} == bench.state.tasks


def test_what_bounced_fails_its_work_also_where_that_is_too_much(bench: Any) -> None:
    """Its holder never got it, and whoever waits need not wait for a deadline."""
    work = bench.delegate(bench.begin(), "middle")
    below = bench.delegate(work, "below", target="backup")
    lost = Undeliverable(
        epoch=0, seq=1, index=0, topic="inbox.reader.v1", error="too-large", task=work.task,
        crossing=work.crossing, dispatch=work.dispatch,
    )  # fmt: skip
    bench.step(TooMuch(lost, 1))
    again = bench.step(TooMuch(lost, 1))

    assert {work.crossing: 1, below.crossing: 1} == dict(closed(bench))
    assert ("extractor", "failed", "too-much") in bench.told
    assert [ev.DeliveryFailed] == [type(one) for one in again]
