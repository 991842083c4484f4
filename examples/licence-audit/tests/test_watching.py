"""What can be seen of a task from where people stand."""

import asyncio

from licence_audit.show.watching import Course, Refusal
from seamwork.records.decision import AnyDecision
from seamwork.testing.builders import decision

STEP = "extract/samples/x-1.dist-info"


def said(tag: str, **fields: object) -> AnyDecision:
    """One decision of the router."""
    return decision(tag, **fields).record


def test_a_refused_result_is_told_by_the_step_that_it_answers() -> None:
    """The refusal names a dispatch, and the dispatch was made for a step."""
    course = Course()
    course.see(said("dispatched", dispatch="d-1", step=STEP))

    told = course.see(
        said("refused", dispatch="d-1", kind="result", gate="contract-validator", rule="rule:r", reason="why")
    )

    assert isinstance(told, Refusal)
    assert (STEP, "contract-validator", "rule:r", "why") == (told.step, told.gate, told.rule, told.reason)
    assert [told] == course.refusals


def test_a_refused_handoff_is_not_told_by_its_senders_step() -> None:
    """It names the dispatch under which it was sent, which is another piece of work."""
    course = Course()
    course.see(said("dispatched", dispatch="d-1", step=STEP))

    told = course.see(said("refused", dispatch="d-1", kind="handoff", gate="router", rule="r"))

    assert isinstance(told, Refusal)
    assert ("", "handoff") == (told.step, told.kind)


def test_what_is_given_and_not_answered_is_under_way() -> None:
    """An accepted result and a closed dispatch end it, however it ended."""
    course = Course()
    for number in range(3):
        course.see(said("dispatched", dispatch=f"d-{number}", step=STEP))
    course.see(said("accepted", dispatch="d-0", outcome="success"))
    course.see(said("closed", dispatch="d-1", why="violation", final=True))

    assert (3, 1) == (course.dispatches, course.open)


async def test_waiting_for_more_work_ends_with_the_next_dispatch_and_not_before() -> None:
    """Other decisions do not count, and without one the answer is no."""
    course = Course()

    assert not await course.goes_on(0.01)

    waiting = asyncio.create_task(course.goes_on(5))
    await asyncio.sleep(0)
    course.see(said("noted", dispatch="d-1", what="progress"))
    await asyncio.sleep(0)
    assert not waiting.done()

    course.see(said("dispatched", dispatch="d-1", step=STEP))
    assert await waiting
