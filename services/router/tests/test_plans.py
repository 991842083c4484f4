"""Plans that bind what is handed on, and joins that are held against them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwork.decider import Forward, Publish, Undeliverable
from seamwork.records.crossing import Gap
from seamwork.records.decision import Accepted, TaskEnded
from seamwork.records.envelope import decode, encode
from seamwork.testing.builders import received
from seamwork.testing.documents import document

Bench = Any  # the class of conftest; importlib mode cannot import it

A, B, C = {"step": "a"}, {"step": "b"}, {"step": "c"}


def last(bench: Bench, kind: Any) -> Any:
    """Return the last decision of a kind."""
    return next(one for one in reversed(bench.decisions) if isinstance(one, kind))


def deny(bench: Bench, crossing: Any, rule: str) -> None:
    """Let the validator refuse, and the others not."""
    bench.vote(crossing, "contract-validator", "DENY", rule=rule, sender_verified=True)
    bench.vote(crossing, "policy-engine")
    bench.vote(crossing, "cost-cap")


def test_a_plan_is_adopted_and_its_sender_told(bench: Bench) -> None:
    """Validator and policies judge it; what it names may be handed on."""
    work = bench.begin()
    bench.adopt(work, A, B)

    assert "noted: plan-adopted" == bench.said[-1]
    assert [("extractor", "accepted", "plan-adopted")] == bench.told


def test_a_join_of_all_that_was_planned_is_complete(bench: Bench) -> None:
    """Every critical child answered in full: so is the whole."""
    work = bench.begin()
    bench.adopt(work, A, B)
    first, second = bench.delegate(work, "a"), bench.delegate(work, "b")
    bench.answer(second)
    bench.answer(first)
    bench.answer(work)

    assert ("complete", ()) == (last(bench, TaskEnded).outcome, last(bench, TaskEnded).gaps)
    assert ["success"] * 3 == [answer.outcome for answer in bench.answers]


@pytest.mark.parametrize("how", ["missing", "partial", "refused", "error"])
def test_a_critical_gap_makes_the_whole_partial(bench: Bench, how: str) -> None:
    """Whatever the result says of itself: the router holds it against the plan and labels it."""
    work = bench.begin()
    bench.adopt(work, A, B)
    bench.answer(bench.delegate(work, "a"))
    if how == "refused":
        deny(bench, bench.child(work, "b"), "schema")
    elif how != "missing":
        bench.answer(bench.delegate(work, "b"), how)
    bench.answer(work)
    ended, answer = last(bench, TaskEnded), bench.answers[-1]

    assert ("partial", (Gap(step="b", why=how),)) == (ended.outcome, ended.gaps)  # type: ignore[arg-type]  # one of them
    assert ("partial", ended.gaps) == (answer.outcome, answer.gaps)
    assert "accepted-in-part" == last(bench, Accepted).rule


def test_what_is_not_critical_may_be_left_out_and_the_result_says_so(bench: Bench) -> None:
    """The whole is complete, with the label of what is not in it."""
    work = bench.begin()
    bench.adopt(work, A, {**B, "critical": False})
    bench.answer(bench.delegate(work, "a"))
    bench.answer(work)

    assert ("complete", (Gap(step="b", why="missing", critical=False),)) == (
        last(bench, TaskEnded).outcome, last(bench, TaskEnded).gaps
    )  # fmt: skip


def test_labels_go_all_the_way_up(bench: Bench) -> None:
    """A gap two levels below is named by its path in what the initiator gets."""
    work = bench.begin()
    bench.adopt(work, A)
    below = bench.delegate(work, "a")
    bench.adopt(below, {"step": "deep", "target": "backup"})
    bench.answer(below)
    bench.answer(work)

    assert ("partial", (Gap(step="a/deep", why="missing"),)) == (
        last(bench, TaskEnded).outcome, last(bench, TaskEnded).gaps
    )  # fmt: skip


def test_what_may_be_left_out_below_may_be_left_out_of_the_whole(bench: Bench) -> None:
    """The part that it was left out of is critical; it is whole without it, and so is all above."""
    work = bench.begin()
    bench.adopt(work, A)
    child = bench.delegate(work, "a")
    bench.adopt(child, {**B, "critical": False})
    bench.answer(child)
    bench.answer(work)

    assert ("complete", (Gap(step="a/b", why="missing", critical=False),)) == (
        last(bench, TaskEnded).outcome, last(bench, TaskEnded).gaps
    )  # fmt: skip


def test_without_a_plan_a_part_is_labelled_all_the_same(bench: Bench) -> None:
    """What came back as a part does not become whole by who passes it on."""
    work = bench.begin()
    bench.answer(bench.delegate(work, "a"), "partial")
    bench.answer(work)

    assert ("partial", (Gap(step="a", why="partial"),)) == (
        last(bench, TaskEnded).outcome, last(bench, TaskEnded).gaps
    )  # fmt: skip


def test_who_takes_over_answers_for_the_plan_of_the_place(bench: Bench) -> None:
    """A transfer does not lose what was planned and not done."""
    work = bench.begin()
    bench.adopt(work, A)
    taken = bench.delegate(work, "over", mode="transfer")
    bench.answer(taken)

    assert ("partial", (Gap(step="a", why="missing"),)) == (
        last(bench, TaskEnded).outcome, last(bench, TaskEnded).gaps
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"step": "x"}, "not-in-plan"),
        ({"step": "a", "target": "backup"}, "plan-differs"),
        ({"step": "a", "contract": "transient@1.0.0"}, "plan-differs"),
        ({"step": "b"}, "dependency-unmet"),
    ],
    ids=["another-step", "another-target", "another-contract", "too-early"],
)
def test_what_the_plan_does_not_say_is_refused(bench: Bench, fields: dict[str, str], rule: str) -> None:
    """Each difference by its name."""
    work = bench.begin()
    bench.adopt(work, A, {**B, "after": ["a"]})
    bench.admit(bench.child(work, **fields))

    assert f"refused: {rule}" == bench.said[-1]
    assert 1 == len(bench.works)


def test_a_subtask_begins_when_what_it_needs_is_there(bench: Bench) -> None:
    """In order, and past what was left out."""
    work = bench.begin()
    bench.adopt(work, A, {**B, "critical": False}, {**C, "after": ["a", "b"]})
    bench.answer(bench.delegate(work, "a"))
    bench.answer(bench.delegate(work, "c"))
    bench.answer(work)

    assert "complete" == last(bench, TaskEnded).outcome


def test_nothing_runs_before_a_held_plan_is_agreed_to(bench: Bench) -> None:
    """While a person thinks, what the plan names is refused, and so is an answer."""
    work = bench.begin()
    plan = bench.plan(work, A)
    bench.vote(plan, "contract-validator")
    bench.vote(plan, "policy-engine", "REQUIRE_APPROVAL", approvers=[{"roles": ["lawyer"]}])
    bench.admit(bench.child(work, "a"))
    bench.admit(bench.result(work))

    assert ["held: fits", "refused: plan-pending", "refused: plan-pending"] == bench.said[1:]
    assert 1 == len(bench.works)


@pytest.mark.parametrize("what", ["progress", "usage"])
def test_what_is_reported_while_a_plan_is_held_is_noted(bench: Bench, what: str) -> None:
    """The function that planned has taken the work up, and says so; that is no second plan."""
    work = bench.begin()
    plan = bench.plan(work, A)
    bench.vote(plan, "contract-validator")
    bench.vote(plan, "policy-engine", "REQUIRE_APPROVAL", approvers=[{"roles": ["lawyer"]}])
    said: dict[str, Any] = {"note": "taken up"} if what == "progress" else {"spent": {"micro_usd": 5}}
    told = bench.send(
        what, id=f"{what}-1", ordinal=0, source="extractor", dispatch=work.dispatch,
        stamp=bench.stamp(work), **said,
    )  # fmt: skip
    bench.vote(told, "contract-validator")

    assert "held: fits" == bench.said[1]
    assert ["noted"] == [one.split(":")[0] for one in bench.said[2:]]


def test_a_refused_plan_may_be_followed_by_another(bench: Bench) -> None:
    """Its sender is told, and nothing is bound."""
    work = bench.begin()
    deny(bench, bench.plan(work, A), "plan-circular")
    bench.adopt(work, B, ordinal=1)
    bench.answer(bench.delegate(work, "b"))
    bench.answer(work)

    assert [("refused", "plan-circular"), ("accepted", "plan-adopted")] == [t[1:] for t in bench.told[:2]]
    assert "complete" == last(bench, TaskEnded).outcome


def test_a_plan_comes_before_the_work_and_once(bench: Bench) -> None:
    """Neither a second one nor one for what was handed on already."""
    work = bench.begin()
    below = bench.delegate(work, "a")
    bench.adopt(work, A)
    bench.adopt(below, A)
    bench.adopt(below, B, ordinal=1)

    assert ["refused: plan-late", "noted: plan-adopted", "refused: plan-late"] == bench.said[2:]


def test_a_plan_that_comes_again_is_answered_again(bench: Bench) -> None:
    """Whoever runs again after a crash plans again, under the dispatch it has now."""
    work = bench.begin()
    bench.adopt(work, A)
    bench.vote(bench.plan(work, A), "contract-validator")

    assert "refused: repeat" == bench.said[-1]
    assert [("extractor", "accepted", "plan-adopted")] * 2 == bench.told


def test_a_plan_that_comes_again_is_answered_where_its_sender_is_now(bench: Bench) -> None:
    """Word of an earlier dispatch is none for whoever has got the work once more."""
    root = bench.send("handoff", contract="transient@1.0.0")
    bench.admit(root)
    first = bench.works[-1]
    bench.adopt(first, A)
    bench.answer(first, "error")
    bench.pass_time(2_000)
    bench.admit(root, attempt=2, gates=("cost-cap",))
    second = bench.works[-1]
    bench.vote(bench.plan(second, A), "contract-validator")

    assert [first.dispatch, second.dispatch] == [
        one.dispatch for one in bench.notices if one.rule == "plan-adopted"
    ]


@pytest.mark.parametrize(("how", "outcome"), [("skip", "partial"), ("fail", "complete")])
def test_what_people_skip_is_missing_from_the_whole(bench: Bench, how: str, outcome: str) -> None:
    """Whoever waits gets an error either way and may make do without; what was skipped is labelled even so."""
    work = bench.begin()
    deny(bench, bench.result(bench.delegate(work, contract="guarded@1.0.0")), "schema")
    bench.pass_time(0)
    bench.admit(bench.resolve(bench.works[-1], how))
    bench.answer(work)

    assert outcome == last(bench, TaskEnded).outcome


def test_what_was_given_up_and_comes_back_whole_after_all_is_missing_from_nothing(bench: Bench) -> None:
    """A person had it taken up again; that it was done without, once, is over."""
    degrade = {"action": "degrade"}
    bench.publish(document("Contract", "guarded", "1.1.0", onViolation=degrade, limits={"timeSeconds": 60}))
    work = bench.begin()
    child = bench.child(work, contract="guarded@1.1.0")
    bench.admit(child)
    deny(bench, bench.result(bench.works[-1]), "schema")
    bench.step(received("command", action="requeue", crossing=child.record.id, appended_at=bench.now))
    bench.admit(child, attempt=2)
    bench.answer(bench.works[-1])
    bench.answer(work)

    assert ("complete", ()) == (last(bench, TaskEnded).outcome, last(bench, TaskEnded).gaps)


def test_what_a_person_has_done_anew_lacks_nothing_of_an_earlier_plan(bench: Bench) -> None:
    """Whoever gets it from the desk divides it for itself; what is missing below that is missing still."""
    work = bench.begin(contract="guarded@1.0.0")
    bench.adopt(work, A, B)
    bench.answer(bench.delegate(work, "a"))
    bench.pass_time(60_000)
    bench.admit(bench.resolve(bench.works[-1], "retry"))
    anew = bench.works[-1]
    bench.adopt(anew, C)
    bench.answer(anew)

    assert (Gap(step="c", why="missing"),) == last(bench, TaskEnded).gaps


def test_another_agent_divides_the_work_for_itself(new_bench: Bench) -> None:
    """A fallback is not bound by the plan of whom it stands in for."""
    bench = new_bench()
    crossing = bench.send("handoff", contract="transient")
    bench.admit(crossing)
    bench.adopt(bench.works[-1], A)
    for attempt in (2, 3, 4):
        bench.pass_time(63_000)
        bench.vote(crossing, "cost-cap", attempt=attempt)
    bench.answer(bench.works[-1])

    assert "backup" == bench.works[-1].agent
    assert "complete" == last(bench, TaskEnded).outcome


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(["success", "partial", "error", "none"])),
        min_size=1,
        max_size=6,
    )
)
def test_a_join_with_a_critical_gap_is_never_complete(
    new_bench: Bench, parts: list[tuple[bool, str]]
) -> None:
    """Law: complete if and only if every critical subtask has a whole answer, and every gap is named."""
    bench = new_bench([document("Budget", "unused")])
    work = bench.begin()
    bench.adopt(work, *({"step": f"s{n}", "critical": critical} for n, (critical, _) in enumerate(parts)))
    for number, (_, how) in enumerate(parts):
        if how != "none":
            bench.answer(bench.delegate(work, f"s{number}"), how)
    bench.answer(work)
    ended = last(bench, TaskEnded)
    whole = all(how == "success" for critical, how in parts if critical)

    assert ("complete" if whole else "partial") == ended.outcome
    assert {(f"s{n}", critical) for n, (critical, how) in enumerate(parts) if how != "success"} == {
        (gap.step, gap.critical) for gap in ended.gaps
    }


@pytest.mark.parametrize(("letter", "length"), [("s", 3000), ("\u00e4", 400), ("\U0001f9e9", 200)])
def test_labels_of_long_steps_leave_every_record_readable(bench: Bench, letter: str, length: int) -> None:
    """A decision that is no envelope is read by nobody: no budget is settled by it, and no trace shows it."""
    work = bench.begin()
    steps = [f"{number} {letter * length} {number}" for number in range(20)]
    bench.adopt(work, *({"step": step} for step in steps))
    below = bench.delegate(work, steps[0])
    for child in [below, *(bench.delegate(work, step) for step in steps[1:])]:
        bench.answer(child, "error")
    before = len(bench.outputs)
    bench.answer(work)
    records = [one.record for one in bench.outputs[before:] if isinstance(one, Publish | Forward)]
    gaps = last(bench, TaskEnded).gaps

    assert records == [decode(encode(record)) for record in records]
    assert "partial" == last(bench, Accepted).outcome
    assert 5 < len(gaps) <= 20
    assert all(
        gap.step[:9] == steps[at][:9] and gap.step[-2:] == steps[at][-2:] for at, gap in enumerate(gaps)
    )


@pytest.mark.parametrize("now", [A, B], ids=["the-same", "another"])
def test_a_plan_of_a_dispatch_that_was_lost_binds_nobody_any_more(bench: Bench, now: dict[str, str]) -> None:
    """It is refused at once, so that nobody is asked about it, and whoever has the work now plans and answers."""
    first = bench.begin(contract="transient@1.0.0")
    held = bench.plan(first, A)
    bench.vote(held, "contract-validator")
    bench.vote(held, "policy-engine", "REQUIRE_APPROVAL", rule="see", approvers=[{"roles": ["lawyer"]}])
    bench.step(
        Undeliverable(
            epoch=1, seq=1, index=0, topic="inbox.extractor.v1", error="x", task=first.task,
            crossing=first.crossing, dispatch=first.dispatch,
        )
    )  # fmt: skip
    accepts = [{"contract": "transient", "versions": "*"}]
    bench.publish(document("Agent", "extractor", "1.1.0", accepts=accepts, authority={"depth": 4}))
    bench.pass_time(1000)
    refused_by_then = bench.said.count("refused: stamp-closed")
    bench.vote(received("handoff", at="0/0"), "cost-cap", attempt=2)
    second = bench.works[-1]
    bench.adopt(second, now)
    adopted = bench.said[-1]
    bench.answer(bench.delegate(second, now["step"]))
    bench.answer(second)

    assert (1, "1.1.0", "noted: plan-adopted") == (refused_by_then, second.version, adopted)
    assert "complete" == last(bench, TaskEnded).outcome


def test_a_plan_that_was_held_while_its_task_ended_is_refused(bench: Bench) -> None:
    """Nobody is asked about it any more."""
    work = bench.begin()
    held = bench.plan(work, A)
    bench.vote(held, "contract-validator")
    bench.vote(held, "policy-engine", "REQUIRE_APPROVAL", rule="see", approvers=[{"roles": ["lawyer"]}])
    bench.step(received("command", appended_at=bench.now))
    bench.pass_time(1)

    assert ["task-ended: task-cancelled", "refused: task-over"] == bench.said[-2:]
    assert {} == bench.state.live
