from hypothesis import given
from hypothesis import strategies as st

from seamwork.agent.lane import Lane

TRUST_S = 5.0


def lane(goal: int = 0) -> Lane:
    """Return a lane of an inbox that ended at *goal* when it was assigned, at the instant 0."""
    return Lane(0, 0, goal, 0.0, TRUST_S)


def test_work_begins_when_the_inbox_is_read_to_its_end() -> None:
    """Not before, and not while the partition may be taken away."""
    one = lane(goal=3)
    before = one.may_run(1.0)
    one.prefix.read(2)
    one.heard(1.0)
    after = one.may_run(1.0)
    one.suspended = True

    assert (False, True, False) == (before, after, one.may_run(1.0))


def test_what_was_heard_long_ago_is_asked_for_again() -> None:
    """Nothing begins until what lies there now is read."""
    one = lane()
    one.heard(0.5)
    one.heard(1.0)
    lost = one.out_of_touch(1.0 + TRUST_S), one.out_of_touch(1.1 + TRUST_S)
    one.read_to(2, 7.0)
    one.heard(7.0)
    unread = one.may_run(7.1)
    one.prefix.read(1)
    one.heard(7.1)

    assert ((False, True), False, True) == (lost, unread, one.may_run(7.2))


def test_an_answer_to_a_question_of_before_the_pause_says_nothing() -> None:
    """Asked, stopped, woken: what comes then was on its way already."""
    one = lane()
    one.heard(19.0)
    one.heard(20.0)

    one.heard(21.0)  # asked at 21, answered at 60

    assert (False, True) == (one.may_run(60.0), one.out_of_touch(60.0))


def test_a_goal_that_was_reached_late_is_no_longer_the_end() -> None:
    """However new the last answer is: what came behind the goal on the way there is not read."""
    one = lane(goal=2)
    one.prefix.read(0)
    one.heard(1.0)
    one.prefix.read(1)
    one.heard(60.0)

    assert (False, True) == (one.may_run(60.0), one.out_of_touch(60.0))


@given(st.lists(st.floats(0.0, 4.0), max_size=30), st.integers(0, 29))
def test_nothing_begins_after_a_pause_without_a_look(waits: list[float], at: int) -> None:
    """Whatever rounds came before: after a pause as long as the trust, only an end asked for after it counts."""
    one, now = lane(), 0.0
    for number, wait in enumerate(waits):
        asked_at = now
        if number == at:
            now += TRUST_S + 0.1
        now += wait
        one.heard(asked_at)
        if number == at:
            assert not one.may_run(now)
            return
        if one.out_of_touch(now):
            one.read_to(0, now)
