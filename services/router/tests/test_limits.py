"""How far a task may spread, and how long it may go round."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwork.records.decision import Closed, Escalated, Refused, TaskEnded
from seamwork.records.inbox import Work
from seamwork.testing.documents import document
from seamwork_router import events as ev
from seamwork_router.scene import terminal

Bench = Any  # the class of conftest; importlib mode cannot import it


def limited(new_bench: Bench, *documents: Any, **limits: int) -> Bench:
    """Return a platform whose initiator's tasks have these limits."""
    accepts = [{"contract": name, "versions": "*"} for name in ("licence-facts", "transient")]
    authority = {"tools": ["reader"], "effects": ["send-mail"], "depth": 9}
    planner = document(
        "Agent",
        "planner",
        initiator=True,
        budget="audit",
        accepts=accepts,
        authority=authority,
        limits=limits,
    )
    bench = new_bench([planner, *documents])
    bench.documents = [one for one in bench.documents if one.name != "planner" or one is planner]
    bench.publish()
    return bench


def refusal(bench: Bench) -> Refused:
    """Return the last refusal."""
    found = next(one for one in reversed(bench.decisions) if isinstance(one, Refused))
    assert isinstance(found, Refused)
    return found


def test_a_task_touches_so_many_agents_and_no_more(new_bench: Bench) -> None:
    """Whoever had work of it may get more; a further one may not."""
    bench = limited(new_bench, agents=2)
    work = bench.begin()
    bench.answer(bench.delegate(work, "a"))
    bench.admit(bench.child(work, "b", target="backup"))
    bench.answer(bench.delegate(work, "c"))

    assert "too-many-agents" == refusal(bench).rule
    assert "planner → extractor → backup" in refusal(bench).reason
    assert ["extractor", "reader", "reader"] == [one.agent for one in bench.works]


@pytest.mark.parametrize("where", ["contract", "initiator"])
def test_so_much_may_be_open_below_one_dispatch(new_bench: Bench, where: str) -> None:
    """What is answered makes room again."""
    contract = document("Contract", "licence-facts", "2.0.0", limits={"fanOut": 2})
    bench = limited(new_bench, contract) if where == "contract" else limited(new_bench, fanOut=2)
    work = bench.begin(contract="licence-facts@2.0.0" if where == "contract" else "licence-facts@1.0.0")
    first = bench.delegate(work, "a")
    bench.delegate(work, "b")
    bench.admit(bench.child(work, "c"))
    bench.answer(first)
    bench.delegate(work, "d")

    assert "fan-out" == refusal(bench).rule
    assert 4 == len(bench.works)


def test_the_same_payload_goes_down_unchanged_only_so_far(new_bench: Bench) -> None:
    """Agents that hand a hot potato on are stopped, and the way is shown."""
    bench = limited(new_bench, unchangedHops=2)
    work = bench.begin()
    below = bench.delegate(work, "a")
    bench.admit(bench.child(below, "b", target="backup"))

    assert "no-progress" == refusal(bench).rule
    assert "planner → extractor → reader → backup" in refusal(bench).reason


def test_the_same_question_without_an_answer_ends(new_bench: Bench) -> None:
    """Asked again and again, nothing whole comes back: the way is closed for that payload alone."""
    bench = limited(new_bench, fruitless=2)
    work = bench.begin()
    for step in ("a", "b"):
        bench.answer(bench.delegate(work, step), "partial")
    bench.admit(bench.child(work, "c"))
    bench.delegate(work, "d", payload_sha256="of something else")

    assert "no-progress" == refusal(bench).rule
    assert ["extractor", "reader", "reader", "reader"] == [one.agent for one in bench.works]


def test_a_further_try_is_bounded_by_its_contract_alone(new_bench: Bench) -> None:
    """It is the same payload on the same way each time, and that is what was agreed."""
    edge = {"from": "extractor", "to": "reader", "contract": "transient", "atMost": 1}
    bench = limited(new_bench, document("Flow", "line", edges=[edge]), fruitless=1)
    work = bench.begin()
    crossing = bench.child(work, "a", contract="transient@1.0.0")
    bench.admit(crossing)
    for attempt in (2, 3):
        bench.answer(bench.works[-1], "error")
        bench.pass_time(2_000)
        bench.admit(crossing, attempt=attempt, gates=("cost-cap",))

    assert ["extractor", "reader", "reader", "reader"] == [one.agent for one in bench.works]


def test_a_whole_answer_is_progress(new_bench: Bench) -> None:
    """It sets the count back."""
    bench = limited(new_bench, fruitless=2)
    work = bench.begin()
    for step, outcome in (("a", "error"), ("b", "success"), ("c", "error"), ("d", "success")):
        bench.answer(bench.delegate(work, step), outcome)

    assert 5 == len(bench.works)


def test_an_edge_is_gone_so_often(new_bench: Bench) -> None:
    """A flow bounds how often one task may come an edge."""
    flow = document("Flow", "line", edges=[{"from": "extractor", "to": "reader", "atMost": 1}])
    bench = limited(new_bench, flow)
    work = bench.begin()
    bench.answer(bench.delegate(work, "a"))
    bench.admit(bench.child(work, "b"))
    bench.delegate(work, "c", target="backup")

    assert "edge-at-most" == refusal(bench).rule
    assert ["extractor", "reader", "backup"] == [one.agent for one in bench.works]


def test_a_task_that_fails_too_often_halts_and_escalates(new_bench: Bench) -> None:
    """What is open is stopped, its owner is asked, and the reason names where it went wrong."""
    bench = limited(new_bench, failures=2)
    work = bench.begin()
    bench.delegate(work, "open")
    for step in ("a", "b", "c"):
        bench.answer(bench.delegate(work, step), "error")
    bench.pass_time(0)
    escalated = next(one for one in bench.decisions if isinstance(one, Escalated) and one.crossing == "h-1")
    ended = bench.decisions[-1]

    assert ("too-many-failures", "seams@example.org") == (escalated.rule, escalated.to)
    assert "extractor > reader > licence-facts: 3" in escalated.reason
    assert isinstance(ended, TaskEnded)
    assert "failed" == ended.outcome
    assert 2 == sum(isinstance(one, Closed) and one.final for one in bench.decisions)
    assert ("planner", "failed", "too-many-failures") in bench.told


def failed_too_often_beside_a_desk(new_bench: Bench) -> tuple[Bench, Work]:
    """Begin work below which one more has failed than may, where people can be asked."""
    owners = {"team": "seams", "contact": "seams@example.org", "escalation": ["lawyer"]}
    desk = document("Agent", "desk", desk=True, team="seams")
    contract = document("Contract", "licence-facts", "1.1.0", owners=owners)
    bench = limited(new_bench, desk, contract, failures=1)
    work = bench.begin(contract="licence-facts@1.1.0")
    for step in ("a", "b"):
        bench.answer(bench.delegate(work, step), "error")
    return bench, work


def test_an_answer_for_the_whole_does_not_come_before_the_halt(new_bench: Bench) -> None:
    """Whoever got so many errors may have caught them all and answered at once: what is too much stays so."""
    bench = limited(new_bench, failures=2)
    work = bench.begin()
    for step in ("a", "b", "c"):
        bench.answer(bench.delegate(work, step), "error")
    bench.answer(work)
    for _ in range(3):
        bench.pass_time(0)
    ends = [one for one in bench.decisions if isinstance(one, TaskEnded)]

    assert ["failed"] == [one.outcome for one in ends]
    assert any(isinstance(one, Escalated) and one.rule == "too-many-failures" for one in bench.decisions)
    assert not bench.state.live
    assert not bench.state.tasks


def test_an_answer_that_waited_for_the_halt_is_refused_where_people_are_asked(new_bench: Bench) -> None:
    """The dispatch that it was for is closed by then, and whoever resolves the case answers instead."""
    bench, work = failed_too_often_beside_a_desk(new_bench)
    bench.answer(work)
    for _ in range(3):
        bench.pass_time(0)
    case = bench.works[-1]
    bench.admit(bench.resolve(case))
    bench.answer(bench.works[-1])

    assert "desk" == case.agent
    assert "refused: stamp-closed" in bench.said
    assert "task-ended: task-complete" == bench.said[-1]
    assert not bench.state.live


def test_a_halted_task_is_put_before_people_where_there_is_a_desk(new_bench: Bench) -> None:
    """It does not end: what they put back may fail as often again."""
    bench, _ = failed_too_often_beside_a_desk(new_bench)
    bench.pass_time(0)
    case = bench.works[-1]
    bench.admit(bench.resolve(case))
    bench.answer(bench.works[-1])

    assert "desk" == case.agent
    assert ("extractor", "cancelled", "too-many-failures") in bench.told
    assert "task-ended: task-complete" == bench.said[-1]


def test_a_case_of_a_part_does_not_keep_a_task_from_halting(new_bench: Bench) -> None:
    """It may be raised just when too much has failed: what its people decide says nothing about the rest."""
    bench = limited(new_bench, failures=2)
    work = bench.begin()
    part = bench.result(bench.delegate(work, "part", contract="guarded@1.0.0"))
    for step in ("a", "b", "c"):
        bench.answer(bench.delegate(work, step), "error")
    bench.vote(part, "contract-validator", "DENY", rule="schema", sender_verified=True)
    bench.vote(part, "policy-engine")
    raised = [one.crossing for one in bench.events if isinstance(one, ev.CaseRaised)]
    bench.pass_time(0)

    assert [part.record.parent] == raised
    assert "too-many-failures" in [one.rule for one in bench.decisions if isinstance(one, Escalated)]


def test_a_loop_of_refused_handoffs_ends_too(new_bench: Bench) -> None:
    """What its gates refuse never has its place in the task, and counts all the same."""
    bench = limited(new_bench, failures=2)
    work = bench.begin()
    for number in range(3):
        crossing = bench.child(work, "again", ordinal=number)
        bench.vote(crossing, "contract-validator", "DENY", rule="schema", sender_verified=True)
        bench.vote(crossing, "policy-engine")
        bench.vote(crossing, "cost-cap")
    bench.pass_time(0)

    assert "task-ended: task-failed" == bench.said[-1]


def test_a_cycle_shows_the_loop(bench: Bench) -> None:
    """The refusal names the way round."""
    work = bench.begin()
    bench.admit(bench.child(bench.delegate(work), "back", target="extractor"))

    assert "planner → extractor → reader → extractor" in refusal(bench).reason


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["down", "success", "error", "over", "wait"])),
        max_size=14,
    )
)
def test_what_is_counted_is_what_is_there(new_bench: Bench, moves: list[tuple[int, str]]) -> None:
    """Law: the count of open children is that of the tree, and no count goes past its bound."""
    bench = limited(new_bench, fanOut=3, agents=3, failures=3)
    bench.begin()
    for number, (which, move) in enumerate(moves):
        work = bench.works[which % len(bench.works)]
        match move:
            case "down":
                bench.admit(bench.child(work, f"s{number}", target=("reader", "backup")[which % 2]))
            case "over":
                bench.admit(bench.child(work, f"s{number}", target="backup", mode="transfer"))
            case "wait":
                bench.pass_time(20_000)
            case outcome:
                bench.answer(work, outcome, ordinal=number % 3)
        for task in bench.state.tasks.values():
            for errand in task.errands.values():
                delegated = [task.errands[name] for name in errand.children]
                still = sum(not terminal(task, child) for child in delegated)
                if errand.ended is None:
                    assert still == errand.open_children
            assert len(task.touched) <= 3
            assert task.failures <= task.initiator.limits.failures + len(task.errands)


@pytest.mark.parametrize("proved", [False, True])
def test_what_strangers_have_refused_is_no_failure_of_a_task(bench: Any, proved: bool) -> None:  # noqa: FBT001  # a case
    """Nobody ends another's work by sending what is refused under its task's id."""
    work = bench.begin()
    for number in range(3):
        for source, fields in (
            ("backup", {"parent": work.crossing, "stamp": bench.stamp(work)}),
            ("planner", {}),
        ):
            forged = bench.send("handoff", id=f"x-{number}", source=source, task=work.task, **fields)
            bench.vote(forged, "contract-validator", "DENY", rule="forged", sender_verified=proved)
            bench.vote(forged, "policy-engine")
            bench.vote(forged, "cost-cap")
    before = bench.state.tasks["t-1"].failures
    mine = bench.child(work)
    bench.vote(mine, "contract-validator", "DENY", rule="schema", sender_verified=True)
    bench.vote(mine, "policy-engine")
    bench.vote(mine, "cost-cap")

    assert (0, 1) == (before, bench.state.tasks["t-1"].failures)
