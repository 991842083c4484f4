"""Timers ring once, in order, and what was moved does not ring at the old time."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from seamwork_router.timers import Timers, parts_of, work_of, work_timer

moves = st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.integers(0, 20)), max_size=60)


@given(moves, st.integers(0, 20))
def test_timers_are_a_dictionary_that_knows_its_least(script: list[tuple[str, int | None]], now: int) -> None:
    """Whatever was armed, moved and disarmed, also after a snapshot."""
    timers, model = Timers(), dict[str, int]()
    for name, at in script:
        if at is None:
            timers.disarm(name)
            model.pop(name, None)
        else:
            timers.arm(name, at)
            model[name] = at
    timers = msgspec.json.decode(msgspec.json.encode(timers), type=Timers)

    assert min(model.values(), default=None) == timers.earliest()
    assert sorted((at, name) for name, at in model.items() if at <= now) == timers.ringing(now)


def test_moving_one_timer_for_ever_takes_no_room() -> None:
    """A heap of stale entries is swept."""
    timers = Timers()
    timers.arm("first", 0)
    for at in range(1, 10_000):
        timers.arm("moved", at)

    assert len(timers.heap) < 2_000


@given(st.text("|:1a"), st.text("|:1a"), st.text("|:1a"), st.text("|:1a"))
def test_the_name_of_a_work_timer_reads_back_whatever_the_ids_are(
    task: str, crossing: str, other: str, below: str
) -> None:
    """Ids are free text, so a bar in one neither ends it nor makes it another's."""
    timer = work_timer(task, crossing)

    assert ("work", (task, crossing)) == (
        parts_of(timer)[0],
        work_of(timer, lambda *one: one == (task, crossing)),
    )
    assert (timer == work_timer(other, below)) == ((task, crossing) == (other, below))
