"""Whole tasks, played through with scripted agents and gates."""

from hashlib import sha256
from typing import Any

import pytest

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Activation
from seamwork.decider import Undeliverable
from seamwork.ids import dispatch_id, sha256_hex
from seamwork.records.authority import Spent
from seamwork.records.decision import Accepted, Dispatched, Overrun, Refused, TaskEnded
from seamwork.records.parties import AgentRef
from seamwork.testing.builders import HOUR_MS, NOW, received
from seamwork.testing.documents import document
from seamwork_router import events as ev
from seamwork_router.checks import MAX_CROSSINGS, MAX_NOTES
from seamwork_router.memory import HORIZON_MS, LOT_MS

Bench = Any  # the class of conftest; importlib mode cannot import it

GATES = ("contract-validator", "policy-engine", "cost-cap")


def test_a_task_goes_down_and_comes_up_again(bench: Bench) -> None:
    """Root to extractor, child to reader, answer up, root's answer to the initiator, task complete."""
    first = bench.begin(ceiling_micro_usd=500)
    second = bench.delegate(first)
    bench.answer(second, spent=Spent(micro_usd=7))
    bench.answer(first, spent=Spent(micro_usd=30))

    assert ["extractor", "reader"] == [work.agent for work in bench.works]
    assert [("extractor", first.dispatch), ("planner", None)] == [
        (a.agent, a.dispatch) for a in bench.answers
    ]
    assert [
        "dispatched: admitted", "dispatched: admitted", "accepted: accepted", "accepted: accepted",
        "task-ended: task-complete",
    ] == bench.said  # fmt: skip
    ended = bench.decisions[-1]
    assert isinstance(ended, TaskEnded)
    assert (4, 0, 37) == (ended.crossings, ended.refused, ended.spent_micro_usd)
    assert [("reader", "accepted", "accepted"), ("extractor", "accepted", "accepted")] == bench.told


def test_a_stamp_says_what_the_receiver_may_do(bench: Bench) -> None:
    """Identity, limits and the initiator's own facts, none of them from the crossing's body."""
    work = bench.begin(ceiling_micro_usd=500)

    assert dispatch_id("h-1", 0, 0, 1) == work.dispatch
    assert ("acme", "seams", ("audit",)) == (work.tenant, work.team, work.budgets)
    assert (("planner",), 4, bench.now + 60_000, 500) == (
        work.lineage, work.authority.depth, work.not_after, work.ceiling_micro_usd
    )  # fmt: skip


def test_a_child_gets_less_than_its_parent(bench: Bench) -> None:
    """One level less, and never longer than the parent has."""
    first = bench.begin()
    bench.now += 30_000
    second = bench.delegate(first)

    assert (3, first.not_after) == (second.authority.depth, second.not_after)
    assert ("planner", "extractor") == second.lineage


def test_a_handoff_that_asks_for_no_ceiling_gets_the_contracts(bench: Bench) -> None:
    """The contract's limit stands in."""
    assert 1000 == bench.begin().ceiling_micro_usd


def test_a_transfer_hands_its_place_over(bench: Bench) -> None:
    """The receiver answers to who waited for the sender, under both contracts."""
    first = bench.begin()
    taken = bench.delegate(first, "take-over", mode="transfer", contract="transient")
    bench.answer(taken)

    assert (first.contract,) == taken.return_contracts
    assert first.authority.depth == taken.authority.depth
    assert ("extractor", "accepted", "transferred") in bench.told
    assert [("planner", "h-1")] == [(answer.agent, answer.child) for answer in bench.answers]
    assert "task-ended: task-complete" == bench.said[-1]


def test_what_was_spent_before_a_transfer_is_spent(bench: Bench) -> None:
    """Who gives work away says its final figure with it; the task's sum has both."""
    first = bench.begin()
    taken = bench.delegate(first, "take-over", mode="transfer", spent=Spent(micro_usd=7))
    bench.answer(taken, spent=Spent(micro_usd=5))

    assert 12 == bench.decisions[-1].spent_micro_usd


def test_a_transfer_takes_back_nothing_of_what_was_reported(bench: Bench) -> None:
    """Whoever gives work away may have begun anew and count from nothing; the larger figure is what was spent."""
    first = bench.begin()
    report = bench.send(
        "usage", id="u-1", source="extractor", dispatch=first.dispatch, stamp=bench.stamp(first),
        spent=Spent(micro_usd=90),
    )  # fmt: skip
    bench.vote(report, "contract-validator")
    taken = bench.delegate(first, "take-over", mode="transfer", spent=Spent(micro_usd=20))
    bench.answer(taken, spent=Spent(micro_usd=5))

    assert 95 == bench.decisions[-1].spent_micro_usd


@pytest.mark.parametrize("reported", [0, 1])
def test_a_transfer_above_the_ceiling_is_an_overrun(bench: Bench, reported: int) -> None:
    """Of the dispatch that is given up, as with the final figure of an answer; the work goes on."""
    first = bench.begin()
    spent = Spent(micro_usd=first.ceiling_micro_usd + 1 - reported)
    taken = bench.delegate(first, "take-over", mode="transfer", spent=spent)
    over = [] if reported else [(first.dispatch, "h-1", spent)]

    assert over == [
        (one.dispatch, one.crossing, one.spent) for one in bench.decisions if isinstance(one, Overrun)
    ]
    assert ("reader", "closed: transferred") == (taken.agent, bench.said[-1])


def test_a_final_figure_above_the_ceiling_is_an_overrun(bench: Bench) -> None:
    """Its answer counts, for the work is done; that it cost more than it might is said."""
    work = bench.begin()
    bench.answer(work, spent=Spent(micro_usd=work.ceiling_micro_usd + 1))

    assert ["accepted: accepted", "overrun: overrun", "task-ended: task-complete"] == bench.said[-3:]


def test_what_was_answered_is_not_taken_up_again(bench: Bench) -> None:
    """An order to requeue is for what was given up; what came back counts once."""
    work = bench.begin()
    child = bench.delegate(work)
    bench.answer(child)
    bench.step(received("command", action="requeue", crossing=child.crossing, appended_at=bench.now))

    assert "judge-again: requeue" not in bench.said
    assert "nothing-to-requeue" == bench.events[-1].rule


def test_nothing_is_tried_again_after_the_deadline(bench: Bench) -> None:
    """The error was sent in time and judged too late: nobody could finish another try."""
    work = bench.begin(contract="transient", deadline_at=bench.now + 50_000)
    bench.now += 49_000
    failed = bench.result(work, "error")
    bench.now += 2_000
    bench.admit(failed)

    assert "task-ended: task-failed" == bench.said[-1]
    assert 1 == len(bench.works)


def test_a_transfer_that_comes_again_is_answered_to_its_sender(bench: Bench) -> None:
    """That its place is given away is its own affair; whoever waits for the work goes on waiting."""
    first = bench.begin()
    second = bench.delegate(first)
    bench.delegate(second, "take-over", mode="transfer", target="backup")
    bench.vote(
        bench.child(second, "take-over", mode="transfer", target="backup", sent_at=5), "contract-validator"
    )

    told = [(notice.agent, notice.dispatch, notice.what) for notice in bench.notices]
    assert "refused: repeat" == bench.said[-1]
    assert [("reader", second.dispatch, "accepted")] * 2 == told


def test_a_timeout_is_retried_with_backoff_then_falls_back(bench: Bench) -> None:
    """Three dispatches to the first agent, one second and two seconds apart, then the fallback."""
    crossing = bench.send("handoff", contract="transient")
    bench.admit(crossing)
    for attempt, wait in ((2, 1000), (3, 2000)):
        bench.pass_time(60_000)
        bench.pass_time(wait)
        bench.vote(crossing, "cost-cap", attempt=attempt)
    bench.pass_time(60_000)
    bench.vote(crossing, "cost-cap", attempt=4)

    assert ["extractor", "extractor", "extractor", "backup"] == [work.agent for work in bench.works]
    assert [1, 2, 3, 4] == [d.dispatch_number for d in bench.decisions if isinstance(d, Dispatched)]
    assert ["judge-again: retry", "judge-again: retry", "judge-again: reroute"] == [
        said for said in bench.said if said.startswith("judge-again")
    ]
    assert [("extractor", "expired", "timeout")] * 3 == bench.told


@pytest.mark.parametrize("outcome", ["ALLOW", "THROTTLE"])
def test_what_a_gate_admits_after_its_deadline_alone_is_refused_at_its_deadline(
    bench: Bench, outcome: str
) -> None:
    """Whoever asked for it has time left then, and none to lose."""
    child = bench.child(bench.begin(), deadline_at=bench.now + 10_000)
    bench.admit(child, gates=("contract-validator", "cost-cap"))
    bench.vote(child, "policy-engine", outcome, not_before=bench.now + 40_000)
    bench.pass_time(10_000)
    for gate in ("policy-engine", "cost-cap"):
        bench.vote(child, gate, attempt=2)

    assert [("extractor", "refused", "deadline-passed")] == bench.told


def test_a_retry_that_would_come_after_the_deadline_goes_to_what_comes_otherwise(new_bench: Any) -> None:
    """There is time left for the fallback, and none for another wait."""
    retry = {"action": "retry", "attempts": 2, "backoffSeconds": 30, "otherwise": "fallback"}
    accepts = [{"contract": "slow", "versions": "*"}]
    bench = new_bench([
        document("Contract", "slow", fallbacks=[{"agent": "spare"}], limits={"timeSeconds": 10}, onTimeout=retry),
        *(document("Agent", name, accepts=accepts) for name in ("worker", "spare")),
    ])  # fmt: skip
    child = bench.child(bench.begin(), contract="slow", target="worker", deadline_at=bench.now + 30_000)
    bench.admit(child)
    bench.pass_time(10_000)
    bench.vote(child, "cost-cap", attempt=2)

    assert "spare" == bench.works[-1].agent


def test_a_fallback_that_is_asked_for_after_a_refusal_gets_the_work_however_it_waits(bench: Bench) -> None:
    """A gate that is asked once more says again whom it admits; whoever had failed at it is no fallback by that."""
    root = bench.send("handoff", contract="transient@1.0.0")
    bench.admit(root)
    bench.pass_time(61_000)
    bench.vote(root, "cost-cap", "DENY", attempt=2)
    bench.pass_time(0)
    bench.vote(root, "cost-cap", "THROTTLE", attempt=3, candidates=["backup@1.0.0"])
    bench.pass_time(1_000)
    bench.vote(root, "cost-cap", attempt=4, candidates=["extractor@1.0.0", "backup@1.0.0"])

    assert ["extractor", "backup"] == [work.agent for work in bench.works]


def test_a_fallback_that_offers_what_was_asked_for_gets_its_turn(new_bench: Any) -> None:
    """Another of those who offer it had the work first; what the fallback fails of is retried where it is."""
    retry = {"action": "retry", "attempts": 2, "otherwise": "fail"}
    accepts = [{"contract": "helped", "versions": "*"}]
    bench = new_bench([
        *(document("Agent", name, offers=["sorting"], accepts=accepts) for name in ("first", "second", "third")),
        document(
            "Contract", "helped", fallbacks=[{"agent": "second"}], limits={"timeSeconds": 60},
            onTimeout={"action": "fallback"}, onError=retry,
        ),
    ])  # fmt: skip
    crossing = bench.send("handoff", contract="helped", target={"capability": "sorting"})
    bench.admit(crossing)
    bench.pass_time(60_000)
    bench.vote(crossing, "cost-cap", attempt=2)
    bench.answer(bench.works[-1], "error")
    bench.pass_time(2_000)
    bench.vote(crossing, "cost-cap", attempt=3)

    assert ["first", "second", "second"] == [work.agent for work in bench.works]


def test_a_retry_is_told_what_is_finished_already(bench: Bench) -> None:
    """The children list lies beside the new stamp, which binds it, and the answers follow."""
    crossing = bench.send("handoff", contract="transient")
    bench.admit(crossing)
    child = bench.delegate(bench.works[-1])
    bench.answer(child)
    bench.pass_time(61_000)
    bench.vote(crossing, "cost-cap", attempt=2)

    again = bench.works[-1]
    forward = next(one for one in reversed(bench.outputs) if getattr(one, "children", None))
    assert "extractor" == again.agent
    assert again.children_sha256 == sha256_hex(forward.children.encode())
    assert (child.crossing, again.dispatch) == (bench.answers[-1].child, bench.answers[-1].dispatch)


def test_an_agent_that_runs_again_gets_the_recorded_answer(bench: Bench) -> None:
    """The same child id and content leads to no second dispatch, only to the answer once more."""
    first = bench.begin()
    second = bench.delegate(first)
    bench.answer(second)
    bench.vote(bench.child(first, sent_at=5), "contract-validator")

    assert 2 == len(bench.works)
    assert [second.crossing, second.crossing] == [answer.child for answer in bench.answers]
    assert "refused: repeat" == bench.said[-1]


def test_a_refused_answer_may_be_corrected_as_often_as_agreed(bench: Bench) -> None:
    """The contract allows one correction; the second bad answer fails the task."""
    work = bench.begin(contract="transient")
    for ordinal in (0, 1):
        crossing = bench.result(work, ordinal=ordinal)
        bench.vote(crossing, "contract-validator", "DENY", rule="schema")
        bench.vote(crossing, "policy-engine")

    left = [notice.corrections_left for notice in bench.notices if notice.agent == "extractor"]
    assert [1, 0] == left
    assert [
        "refused: schema", "refused: schema", "closed: schema", "task-ended: task-failed"
    ] == bench.said[1:]  # fmt: skip
    assert ("planner", "failed", "schema") == bench.told[-1]


def test_a_revoked_agent_loses_its_dispatches(bench: Bench) -> None:
    """Its work goes to the fallback once the catalog says so, and it does not come back."""
    crossing = bench.send("handoff", contract="transient")
    bench.admit(crossing)
    bench.publish(revoke=("Agent", "extractor", "1.0.0"))
    bench.pass_time(0)
    bench.pass_time(1000)
    bench.vote(crossing, "cost-cap", attempt=2)

    assert ("extractor", "cancelled", "revoked") in bench.told
    assert ["extractor", "backup"] == [work.agent for work in bench.works]


def test_spending_more_than_the_ceiling_stops_the_tree(bench: Bench) -> None:
    """An overrun ends the dispatch and everything below it."""
    first = bench.begin(ceiling_micro_usd=100)
    second = bench.delegate(first)
    crossing = bench.send(
        "usage", id="u-1", source="extractor", dispatch=first.dispatch, stamp=bench.stamp(first),
        spent={"micro_usd": 101},
    )  # fmt: skip
    bench.vote(crossing, "contract-validator")

    assert [
        "noted: noted", "overrun: overrun", "closed: overrun", "closed: cancelled", "task-ended: task-failed"
    ] == bench.said[2:]  # fmt: skip
    assert (second.agent, "cancelled", "cancelled") in bench.told


def test_finished_tasks_leave_memory(bench: Bench) -> None:
    """Ids stay until nobody can send them again; then nothing is left of fifty tasks."""
    for number in range(50):
        work = bench.begin(task=f"t-{number}", id=f"h-{number}")
        bench.answer(bench.delegate(work, task=work.task), task=work.task)
        bench.answer(work, task=work.task)

    assert {} == bench.state.tasks
    assert {} == bench.state.live
    assert 50 == len(bench.state.over)
    bench.pass_time(2 * 3_600_000)
    assert ({}, {}, {}) == (bench.state.over, bench.state.strays, bench.state.timers.due)
    assert bench.machine.timer(bench.state) is None


def test_late_usage_still_counts_after_the_task(bench: Bench) -> None:
    """Under a dispatch of a task that is over, until it is forgotten."""
    work = bench.begin()
    bench.answer(work)
    crossing = bench.send(
        "usage",
        id="u-1",
        source="extractor",
        dispatch=work.dispatch,
        stamp=bench.stamp(work),
        spent={"requests": 3},
    )
    bench.vote(crossing, "contract-validator")

    assert "noted: noted" == bench.said[-1]


def test_an_answer_that_comes_between_two_dispatches_waits_for_the_next(new_bench: Bench) -> None:
    """Whoever asked was revoked; the version that goes on gets the answer with its work."""
    bench = new_bench()
    accepts = [{"contract": name, "versions": "*"} for name in ("licence-facts", "transient")]
    bench.publish(document("Agent", "extractor", "1.0.1", accepts=accepts, authority={"depth": 4}))
    crossing = bench.send("handoff", contract="transient")
    bench.admit(crossing)
    child = bench.delegate(bench.works[-1])
    bench.publish(revoke=("Agent", "extractor", "1.0.1"))
    bench.pass_time(0)
    bench.answer(child)
    bench.pass_time(1_000)
    bench.vote(crossing, "cost-cap", attempt=2)

    assert "extractor@1.0.0" == f"{bench.works[-1].agent}@{bench.works[-1].version}"
    assert [("1.0.0", child.crossing)] == [(one.version, one.child) for one in bench.answers]


@pytest.mark.parametrize("how", ["lost", "given-away", "denied", "stopped"])
def test_whoever_asks_again_for_what_ended_between_two_dispatches_is_told(bench: Bench, how: str) -> None:
    """Nobody was there to hear of it; without a word they would now wait for it until their deadline."""
    root = bench.send("handoff", id="0", contract="transient")
    bench.admit(root)
    bench.now += 40_000
    asked = bench.child(bench.works[0])
    bench.vote(asked, "contract-validator")
    if how in {"lost", "given-away"}:
        bench.admit(asked)
    if how == "given-away":
        bench.delegate(bench.works[-1], "take-over", mode="transfer", target="backup")
    bench.pass_time(20_000)
    if how in {"denied", "stopped"}:
        bench.vote(asked, "policy-engine", "DENY" if how == "denied" else "ALLOW", rule="not-today")
        bench.vote(asked, "cost-cap")
    told = len(bench.notices)
    bench.pass_time(1_000)
    bench.vote(root, "cost-cap", attempt=2)
    second = bench.works[-1]
    for _ in range(2):
        bench.vote(bench.child(second), "contract-validator")
    what, rule = ("refused", "refused") if how in {"denied", "stopped"} else ("failed", "timeout")

    assert ("extractor", "0", 2) == (second.agent, second.crossing, second.attempt)
    assert [("extractor", second.dispatch, asked.record.id, what, rule)] * 2 == [
        (one.agent, one.dispatch, one.about, one.what, one.rule) for one in bench.notices[told:]
    ]


@pytest.mark.parametrize("late", ["closed", "ran-out", "expired"])
def test_what_was_refused_for_its_stamp_alone_may_be_sent_under_the_next_one(bench: Bench, late: str) -> None:
    """Nothing was wrong with the work; under the same stamp it stays refused, and other refusals stand."""
    root = bench.send("handoff", contract="transient")
    bench.admit(root)
    first = bench.works[0]
    wrong = bench.child(first, "wrong")
    bench.vote(wrong, "contract-validator", "DENY", rule="schema", sender_verified=True)
    bench.admit(wrong, gates=("policy-engine", "cost-cap"))
    bench.pass_time(60_000)
    asked = bench.child(first)
    if late == "closed":
        bench.vote(asked, "contract-validator")
    else:
        rule = "expired" if late == "expired" else "stamp-ran-out"
        bench.vote(asked, "contract-validator", "DENY", rule=rule, sender_verified=True)
        bench.admit(asked, gates=("policy-engine", "cost-cap"))
    bench.vote(bench.child(first), "contract-validator")
    again = bench.said[-1]
    bench.pass_time(1_000)
    bench.vote(root, "cost-cap", attempt=2)
    second = bench.works[-1]
    bench.vote(bench.child(second, "wrong"), "contract-validator")
    still = bench.said[-1]
    child = bench.delegate(second)
    bench.answer(child)

    assert ("refused: repeat", "refused: repeat", "reader") == (again, still, child.agent)
    assert [(second.dispatch, child.crossing)] == [(one.dispatch, one.child) for one in bench.answers]


def test_a_fallback_to_another_version_of_the_agent_goes_on_with_what_it_has_asked_for(
    new_bench: Bench,
) -> None:
    """It asks by the same ids, so what was stopped when the first version lost the work would be lost to it."""
    accepts = [{"contract": name, "versions": "*"} for name in ("steady", "licence-facts")]
    bench = new_bench([
        document("Agent", "extractor", "1.0.1", accepts=accepts, authority={"depth": 4}),
        document("Agent", "extractor", "1.1.0", accepts=accepts, authority={"depth": 4}),
        document(
            "Contract", "steady", limits={"timeSeconds": 60}, onError={"action": "fallback"},
            fallbacks=[{"agent": "extractor", "versions": "<1.1.0"}],
        ),
    ])  # fmt: skip
    root = bench.send("handoff", contract="steady")
    bench.admit(root)
    first = bench.works[-1]
    child = bench.delegate(first)
    bench.step(
        Undeliverable(
            epoch=1, seq=1, index=0, topic="inbox.extractor.v1", error="x", task=first.task,
            crossing=first.crossing, dispatch=first.dispatch,
        )
    )  # fmt: skip
    bench.pass_time(0)
    bench.vote(root, "cost-cap", attempt=2)
    second = bench.works[-1]
    bench.vote(bench.child(second), "contract-validator")
    bench.answer(child)

    assert ("extractor", "1.0.1") == (second.agent, second.version)
    assert [(second.dispatch, child.crossing)] == [(one.dispatch, one.child) for one in bench.answers]


def test_every_accepted_answer_names_the_final_figure(bench: Bench) -> None:
    """cost-cap settles by it."""
    work = bench.begin()
    bench.answer(work, spent=Spent(micro_usd=3))
    accepted = next(one for one in bench.decisions if isinstance(one, Accepted))

    assert (Spent(micro_usd=3), AgentRef(agent="extractor", version="1.0.0")) == (
        accepted.spent, accepted.source
    )  # fmt: skip


def test_a_second_root_that_is_denied_does_not_end_a_finished_task_again(bench: Bench) -> None:
    """The task has ended once; another root under its id is only refused."""
    bench.answer(bench.begin())
    bench.vote(
        bench.send("handoff", id="h-2"), "contract-validator", "DENY", rule="schema", sender_verified=True
    )
    bench.pass_time(31_000)

    assert 1 == sum(said.startswith("task-ended") for said in bench.said)


def test_gates_that_come_late_still_judge_what_waited(new_bench: Bench) -> None:
    """A crossing that found no gate in force is taken up when they are published, votes included."""
    bench = new_bench()
    gates = [one for one in bench.documents if one.kind == "Gate"]
    bench.documents = [one for one in bench.documents if one.kind != "Gate"]
    bench.publish()
    crossing = bench.send("handoff")
    bench.vote(crossing, "contract-validator")
    bench.publish(*gates)
    bench.vote(crossing, "policy-engine")
    bench.vote(crossing, "cost-cap")
    bench.pass_time(0)

    assert "dispatched: admitted" == bench.said[-1]


def test_a_contract_that_is_revoked_while_its_gates_judge_is_not_dispatched(bench: Bench) -> None:
    """They looked at it while it was in force; what counts is the instant at which work would begin."""
    crossing = bench.send("handoff")
    bench.vote(crossing, "contract-validator")
    bench.vote(crossing, "policy-engine")
    bench.publish(revoke=("Contract", "licence-facts", "1.0.0"))
    bench.vote(crossing, "cost-cap")

    assert [] == bench.works
    assert ("planner", "refused", "contract-not-in-force") == bench.told[0]
    assert "the contract is revoked at dispatch" == bench.notices[0].reason


def test_an_answer_stands_under_the_contract_that_was_asked_for(bench: Bench) -> None:
    """Another one has other outputs, so the gates would hold the answer to something that nobody agreed to."""
    work = bench.begin(contract="transient@1.0.0")
    bench.admit(bench.result(work, contract="licence-facts@1.0.0"))
    bench.answer(work, ordinal=1)

    assert ["dispatched: admitted", "refused: contract-changed", "accepted: accepted"] == bench.said[:3]
    assert 1 == len(bench.answers)


def test_what_is_not_done_in_its_own_time_has_expired(bench: Bench) -> None:
    """Whoever waits is told that it was too late, not that it failed; the task has time left."""
    first = bench.begin()
    bench.delegate(first, deadline_at=bench.now + 10_000)
    bench.pass_time(10_000)

    assert ("extractor", "expired", "timeout") in bench.told
    assert first.task in bench.state.tasks


def test_what_bounces_after_its_task_is_over_is_only_recorded(bench: Bench) -> None:
    """Nobody waits for it any more, and the router must not stop over it."""
    work = bench.begin()
    bench.answer(work)
    lost = Undeliverable(
        epoch=0, seq=1, index=0, topic="inbox.extractor.v1", error="too-large", task=work.task,
        crossing=work.crossing, dispatch=work.dispatch,
    )  # fmt: skip

    assert [ev.DeliveryFailed] == [type(one) for one in bench.step(lost)]


def test_a_person_may_have_a_failed_handoff_taken_up_again(bench: Bench) -> None:
    """While whoever asked for it still works, every gate is asked once more."""
    first = bench.begin()
    crossing = bench.child(first)
    bench.vote(crossing, "contract-validator")
    bench.vote(crossing, "cost-cap")
    bench.vote(crossing, "policy-engine", "DENY", rule="not-today")
    bench.step(received("command", action="requeue", crossing=crossing.record.id, appended_at=bench.now))
    bench.admit(crossing, attempt=2)

    assert "judge-again: requeue" in bench.said
    assert [("reader", 2)] == [(work.agent, work.attempt) for work in bench.works[1:]]


def test_nothing_is_taken_up_again_below_what_lies_before_people(bench: Bench) -> None:
    """Nobody works on what it was asked for, and it would keep them from putting that back."""
    first = bench.begin(contract="guarded@1.0.0")
    child = bench.child(first)
    bench.vote(child, "contract-validator")
    bench.vote(child, "cost-cap")
    bench.vote(child, "policy-engine", "DENY")
    bench.pass_time(60_000)
    desk = bench.works[-1]
    bench.step(received("command", action="requeue", crossing=child.record.id, appended_at=bench.now))
    ignored = bench.events[-1]
    bench.admit(bench.resolve(desk))

    assert ("desk", "nobody-waits") == (desk.agent, ignored.rule)
    assert ("extractor", "case-resolved") == (bench.works[-1].agent, bench.decisions[-1].rule)


def test_a_task_has_an_end_of_crossings(bench: Bench) -> None:
    """A loop between agents ends at the bound at the latest."""
    first = bench.begin()
    bench.state.tasks["t-1"].crossings = MAX_CROSSINGS
    bench.vote(bench.child(first), "contract-validator")

    assert "refused: too-many-crossings" == bench.said[-1]


def test_a_child_of_a_cancelled_handoff_is_stopped_before_its_dispatch(bench: Bench) -> None:
    """What its gates still think about never reaches an agent."""
    first = bench.begin()
    crossing = bench.child(first)
    bench.vote(crossing, "contract-validator")
    bench.step(received("command", appended_at=bench.now))
    bench.vote(crossing, "policy-engine")
    bench.vote(crossing, "cost-cap")

    assert 1 == len(bench.works)
    assert "task-ended: task-cancelled" == bench.said[-1]


@pytest.mark.parametrize("task", ["billing|17", "|", "a|b|", "work:3|x"])
def test_a_task_may_be_called_anything(bench: Bench, task: str) -> None:
    """Its timers find it."""
    bench.begin(task=task)
    bench.pass_time(61_000)

    assert {} == bench.state.tasks
    assert "task-ended: task-failed" == bench.said[-1]


@pytest.mark.parametrize("stale_too", [False, True])
def test_a_timer_that_an_older_release_named_still_finds_its_task(bench: Bench, stale_too: bool) -> None:  # noqa: FBT001  # a case
    """Until the name said where the id ends, who knows the tasks could say it."""
    bench.begin(task="billing|17")
    timers = bench.state.timers
    timers.arm("work|billing|17|h-1", timers.due["work:10|billing|17|h-1"])
    timers.disarm("work:10|billing|17|h-1")
    if stale_too:
        timers.arm("work|gone|18|h-1", bench.now + 1)
    bench.pass_time(61_000)

    assert {} == bench.state.tasks
    assert [] == [name for name in timers.due if name.startswith("work")]


def test_an_error_is_retried_and_then_passed_on(bench: Bench) -> None:
    """Two retries, the fallback, and at last the error itself goes to who waits."""
    crossing = bench.send("handoff", contract="transient")
    bench.admit(crossing)
    for attempt in (2, 3, 4):
        bench.answer(bench.works[-1], "error")
        bench.pass_time(2000)
        bench.vote(crossing, "cost-cap", attempt=attempt)
    bench.answer(bench.works[-1], "error")

    assert ["extractor", "extractor", "extractor", "backup"] == [work.agent for work in bench.works]
    assert ["error"] == [answer.outcome for answer in bench.answers]
    assert "task-ended: task-failed" == bench.said[-1]


FRAGILE: dict[str, Any] = {
    "limits": {"timeSeconds": 60}, "owners": {"escalation": ["ada"]}, "fallbacks": [{"agent": "backup"}],
}  # fmt: skip


def refused_again(new_bench: Any, otherwise: str, gate: str = "") -> Any:
    """Play a handoff of which a first try timed out and a second one is refused, by *gate* or by a breaker."""
    retry = {"action": "retry", "attempts": 2, "backoffSeconds": 1, "otherwise": otherwise}
    accepts = [{"contract": "fragile", "versions": "*"}]
    bench = new_bench([
        document("Contract", "fragile", onTimeout=retry, **FRAGILE),
        document("Agent", "frail", accepts=accepts, breaker={"failures": 1, "restSeconds": 600}),
        document("Agent", "backup", "1.1.0", accepts=accepts),
    ])  # fmt: skip
    root = bench.send("handoff", contract="fragile", target="frail")
    bench.vote(root, "contract-validator", candidates=["frail@1.0.0"])
    bench.admit(root, gates=("policy-engine", "cost-cap"))
    bench.pass_time(61_000)
    bench.vote(root, "cost-cap", "DENY" if gate else "ALLOW", attempt=2, rule="over-budget")
    bench.pass_time(0)
    return bench


@pytest.mark.parametrize("gate", ["", "cost-cap"])
def test_a_second_try_that_is_refused_is_put_before_people(new_bench: Any, gate: str) -> None:
    """The contract said whom to ask when it cannot be done; whoever waits goes on waiting."""
    bench = refused_again(new_bench, "escalate", gate)
    rule = "over-budget" if gate else "breaker-open"

    assert ("desk", "h-1") == (bench.works[-1].agent, bench.works[-1].crossing)
    assert [f"closed: {rule}", f"escalated: {rule}"] == bench.said[-2:]
    assert [("frail", "expired", "timeout")] == bench.told
    bench.admit(bench.resolve(bench.works[-1], "fail", task="t-1"))
    assert "task-ended: task-failed" == bench.said[-1]


@pytest.mark.parametrize("how", ["skip", "fail"])
def test_what_a_person_answers_is_recorded_by_the_persons_name(new_bench: Any, how: str) -> None:
    """The desk only carried it; whoever asks why the work was given up is told who said so."""
    bench = refused_again(new_bench, "escalate", "cost-cap")
    bench.admit(bench.resolve(bench.works[-1], how, task="t-1"))
    accepted = next(one for one in bench.decisions if isinstance(one, Accepted))

    assert ("case-resolved", f"ada ordered {how}") == (accepted.rule, accepted.reason)


def test_a_second_try_that_is_refused_goes_to_the_fallback_where_the_contract_says_so(new_bench: Any) -> None:
    """Once: what is refused there too is put before people."""
    bench = refused_again(new_bench, "fallback")
    root = received("handoff", at="0/0")
    for gate in ("contract-validator", "policy-engine", "cost-cap"):
        bench.vote(root, gate, attempt=3, candidates=["backup@1.1.0"])

    assert ["closed: breaker-open", "judge-again: reroute", "dispatched: admitted"] == bench.said[-3:]
    assert "backup" == bench.works[-1].agent
    other = refused_again(new_bench, "fallback")
    for gate in ("contract-validator", "policy-engine", "cost-cap"):
        other.vote(root, gate, "DENY" if gate == "cost-cap" else "ALLOW", attempt=3, rule="over-budget")
    other.pass_time(0)
    assert ("desk", "escalated: over-budget") == (other.works[-1].agent, other.said[-1])


@pytest.mark.parametrize("waits", ["throttle", "pause"])
def test_a_second_try_that_waits_and_is_refused_goes_to_the_fallback_too(bench: Bench, waits: str) -> None:
    """What it waited for meanwhile takes no step of the contract away."""
    extractor = ("Agent", "extractor", "1.0.0")
    root = bench.send("handoff", contract="transient@1.0.0")
    bench.vote(root, "contract-validator", candidates=["extractor@1.0.0"])
    bench.admit(root, gates=("policy-engine", "cost-cap"))
    bench.pass_time(61_000)
    if waits == "throttle":
        bench.vote(root, "cost-cap", "THROTTLE", attempt=2)
        bench.pass_time(1_000)
        bench.vote(root, "cost-cap", "DENY", attempt=3, rule="over-budget")
    else:
        paused = {extractor: (Activation("active", "paused", 0),)}
        bench.catalog = Catalog.of(bench.documents, paused, bench.catalog.revision)
        bench.vote(root, "cost-cap", attempt=2)
        bench.publish(revoke=extractor)
    bench.pass_time(0)

    assert "judge-again: reroute" == bench.said[-1]


@pytest.mark.parametrize("otherwise", ["fail", "degrade"])
def test_a_second_try_that_is_refused_ends_as_the_contract_says(new_bench: Any, otherwise: str) -> None:
    """Nobody is asked where the contract asks nobody."""
    bench = refused_again(new_bench, otherwise)

    assert ["refused: breaker-open", "task-ended: task-failed"] == bench.said[-2:]
    assert ({}, [("planner", "failed", "breaker-open")]) == (bench.state.tasks, bench.told[1:])


@pytest.mark.parametrize("when", ["late", "nobody"])
def test_a_second_try_that_is_refused_fails_where_nobody_can_be_asked(new_bench: Any, when: str) -> None:
    """Its owner is told that nobody could be, and whoever waits that it failed."""
    retry = {"action": "retry", "attempts": 2, "backoffSeconds": 1, "otherwise": "escalate"}
    owners: dict[str, Any] = {} if when == "nobody" else {"owners": {"escalation": ["ada"]}}
    bench = new_bench([
        document("Contract", "fragile", limits={"timeSeconds": 60}, onTimeout=retry, **owners),
        document("Agent", "frail", accepts=[{"contract": "fragile", "versions": "*"}]),
    ])  # fmt: skip
    root = bench.send("handoff", contract="fragile", target="frail", deadline_at=bench.now + 62_000)
    bench.admit(root)
    bench.pass_time(61_000)
    bench.now += 1_000 if when == "late" else 0
    bench.vote(root, "cost-cap", "DENY", attempt=2, rule="over-budget")

    assert [
        "refused: over-budget", "escalated: over-budget", "task-ended: task-failed"
    ] == bench.said[-3:]  # fmt: skip
    assert ("planner", "failed", "over-budget") == bench.told[-1]


def test_what_was_spent_before_a_crash_is_not_taken_back(bench: Bench) -> None:
    """A function that runs again counts from nothing; the larger figure stands, and what is unknown stays so."""
    work = bench.begin()
    mine = {
        "task": work.task,
        "source": "extractor@1.0.0",
        "dispatch": work.dispatch,
        "stamp": bench.stamp(work),
    }
    for number, spent in enumerate((Spent(micro_usd=90, requests=3), Spent(micro_usd=20, requests=4))):
        crossing = bench.send("usage", id=f"u-{number}", spent=spent, **mine)
        bench.vote(crossing, "contract-validator")
    bench.answer(work, spent=Spent(micro_usd=70))
    noted = [one.spent for one in bench.decisions if one.__struct_config__.tag == "noted"]
    (accepted,) = (one for one in bench.decisions if isinstance(one, Accepted))

    assert [(90, 3), (90, 4)] == [(one.micro_usd, one.requests) for one in noted]
    assert Spent(micro_usd=90) == accepted.spent
    assert 90 == bench.decisions[-1].spent_micro_usd


def test_nobody_else_tells_an_agent_that_its_work_was_refused(bench: Bench) -> None:
    """A repeat of a stranger's refused crossing is answered to the stranger, whatever id it took."""
    work = bench.begin()
    child = bench.child(work)
    bench.vote(child, "contract-validator")
    for sent_at in (1, 2):
        forged = bench.send("handoff", id=child.record.id, source="backup", task=work.task, sent_at=sent_at)
        bench.vote(forged, "contract-validator", "DENY", rule="not-an-initiator", sender_verified=True)
        bench.vote(forged, "policy-engine")
        bench.vote(forged, "cost-cap")

    assert [("backup", "refused", "not-an-initiator")] * 2 == bench.told


@pytest.mark.parametrize("taken", ["its-own-task", "a-task-in-hand"])
def test_what_expires_too_late_is_forgotten_all_the_same(bench: Bench, taken: str) -> None:
    """A sender that writes microseconds fills nobody's memory: nothing is remembered for more than a day."""
    if taken == "a-task-in-hand":
        bench.begin()
    crossing = bench.send("handoff", id="h-2", expires_at=1_700_000_000_000_000)
    bench.vote(crossing, "contract-validator", "DENY", rule="expires-too-late", sender_verified=True)
    bench.vote(crossing, "policy-engine")
    bench.vote(crossing, "cost-cap")
    bench.pass_time(24 * HOUR_MS + HORIZON_MS - 1)
    kept = bench.machine.sizes(bench.state)
    bench.pass_time(2 * LOT_MS)
    left = bench.machine.sizes(bench.state)

    assert (1, {"over": 0, "strays": 0}) == (kept["over"], {name: left[name] for name in ("over", "strays")})


@pytest.mark.parametrize("expires_at", [0, NOW // 1000, NOW - HORIZON_MS, NOW - HORIZON_MS - 1])
def test_a_root_that_expired_long_ago_is_refused_like_any_other(bench: Bench, expires_at: int) -> None:
    """A sender that writes seconds stops nobody: its id is forgotten before the last gate has said no."""
    for _ in range(2):
        crossing = bench.send("handoff", expires_at=expires_at)
        bench.vote(crossing, "contract-validator", "DENY", rule="expired", sender_verified=True)
        bench.pass_time(0)
        bench.vote(crossing, "policy-engine")
        bench.vote(crossing, "cost-cap")
    bench.begin(task="t-2", id="h-2")

    assert [("planner", "refused", "expired")] * 2 == bench.told
    assert [
        "refused: expired", "task-ended: task-failed", "refused: expired", "dispatched: admitted"
    ] == bench.said  # fmt: skip


def test_late_reports_are_bounded_too(bench: Bench) -> None:
    """As those of an open dispatch are; those that came before its task's end count."""
    work = bench.begin()
    for ordinal in range(MAX_NOTES + 3):
        if ordinal == 3:
            bench.answer(work)
        report = bench.send(
            "usage", id=f"u-{ordinal}", ordinal=ordinal, source="extractor", dispatch=work.dispatch,
            stamp=bench.stamp(work), spent=Spent(micro_usd=0),
        )  # fmt: skip
        bench.vote(report, "contract-validator")

    assert ["refused: too-many-notes"] * 4 == [one for one in bench.said if one.startswith("refused")]


def test_a_transfer_gives_away_only_the_dispatch_that_it_was_sent_under(bench: Bench) -> None:
    """The second try of the same work is somebody else's by now, and no fault of theirs either."""
    first = bench.begin(contract="transient@1.0.0")
    transfer = bench.child(first, "give", mode="transfer")
    bench.vote(transfer, "contract-validator")
    bench.vote(transfer, "policy-engine")
    accepts = [{"contract": "transient", "versions": "*"}]
    bench.publish(document("Agent", "extractor", "1.1.0", accepts=accepts, authority={"depth": 4}))
    bench.step(
        Undeliverable(
            epoch=1, seq=1, index=0, topic="inbox.extractor.v1", error="x", task=first.task,
            crossing=first.crossing, dispatch=first.dispatch,
        )
    )  # fmt: skip
    bench.pass_time(1000)
    bench.vote(received("handoff", at="0/0"), "cost-cap", attempt=2)
    second = bench.works[-1]
    bench.vote(transfer, "cost-cap")
    held = bench.state.tasks["t-1"].errands["h-1"]

    assert ("1.1.0", second.dispatch, True, 0) == (
        second.version, held.current, held.open_dispatch is not None, held.corrections,
    )  # fmt: skip
    assert "refused: stamp-closed" == bench.said[-1]


def test_a_root_that_transfers_and_is_refused_ends_its_task(bench: Bench) -> None:
    """It gives nobody's place away, so it ends as any other root does, and its initiator is told."""
    root = bench.send("handoff", mode="transfer")
    bench.vote(root, "contract-validator")
    bench.vote(root, "policy-engine", "DENY")
    bench.vote(root, "cost-cap")

    assert (["planner"], {}) == ([one.agent for one in bench.notices], bench.state.tasks)
    assert "task-ended: task-failed" == bench.said[-1]


def test_an_order_given_twice_changes_nothing_the_second_time(bench: Bench) -> None:
    """The same signed bytes at a later offset order nothing more; a new order of the same person does."""
    work = bench.begin()
    child = bench.child(work)
    for number, order in enumerate(("c-1", "c-1", "c-2", "c-1"), start=1):
        attempt = 1 + bench.said.count("judge-again: requeue")
        for gate in ("contract-validator", "cost-cap"):
            bench.vote(child, gate, attempt=attempt)
        bench.vote(child, "policy-engine", "DENY", attempt=attempt)
        bench.step(
            received("command", at=f"0/{number}", action="requeue", crossing=child.record.id, id=order)
        )

    assert 2 == bench.said.count("judge-again: requeue")
    assert ["repeat"] * 2 == [one.rule for one in bench.events if isinstance(one, ev.CommandIgnored)]


@pytest.mark.parametrize("when", ["at-once", "after-a-wait"])
def test_a_gate_on_trial_holds_nothing_up(new_bench: Any, when: str) -> None:
    """It is recorded and not counted, whatever revision it says it stood at and whatever it consulted."""
    bench = new_bench([document("Gate", "novel", role="policy", requiredFor=["handoff"])])
    on_trial = {("Gate", "novel", "1.0.0"): (Activation("active", "shadow", 0),)}
    bench.catalog = Catalog.of(bench.documents, on_trial)
    root = bench.send("handoff")
    bench.vote(
        root,
        "novel",
        revision=[10**9, 0, 0],
        consulted=[{"kind": "Policy", "name": "gone", "version": "1.0.0"}],
    )
    if when == "at-once":
        bench.admit(root)
    else:
        bench.admit(root, gates=("contract-validator", "policy-engine"))
        bench.vote(root, "cost-cap", "ALLOW", not_before=bench.now + 1000)
        bench.pass_time(1000)

    assert 1 == len(bench.works)


AHEAD = {"revision": [10**9, 1, 1]}


@pytest.mark.parametrize("ahead", GATES)
def test_documents_that_nobody_has_seen_hold_nothing_up_for_longer_than_the_gates_had(
    bench: Bench, ahead: str
) -> None:
    """A gate that names them is broken, or we are far behind: not admitted, with the gate's name."""
    crossing = bench.send("handoff")
    for gate in GATES:
        bench.vote(crossing, gate, **(AHEAD if gate == ahead else {}))
    bench.publish()  # wakes it, and is not enough
    bench.pass_time(29_999)
    before = list(bench.said)
    bench.pass_time(1)
    (refused,) = (one for one in bench.decisions if isinstance(one, Refused))

    assert [] == before
    assert ("revision-unseen", ahead) == (refused.rule, refused.gate)
    assert {} == bench.state.live


def test_an_answer_and_what_belongs_to_no_task_end_there_too(bench: Bench) -> None:
    """Nothing else would ever look at them again."""
    answer = bench.result(bench.begin())
    stray = bench.send("progress", id="p", task="unknown", dispatch="d", source="extractor")
    for crossing in (answer, stray):
        bench.vote(crossing, "contract-validator", sender_verified=crossing is answer, **AHEAD)
    bench.vote(answer, "policy-engine")
    bench.pass_time(30_000)

    assert 2 == bench.said.count("refused: revision-unseen")
    assert {} == bench.state.live


@pytest.mark.parametrize("outcome", ["ALLOW", "DENY"])
def test_documents_that_are_seen_in_time_are_all_that_it_waits_for(bench: Bench, outcome: str) -> None:
    """Then the votes count as ever, and a no by its own name even where they never come."""
    crossing = bench.send("handoff")
    bench.vote(crossing, "contract-validator", revision=[1, 3, 1])
    bench.vote(crossing, "policy-engine", outcome, rule="not-today" if outcome == "DENY" else "fits")
    bench.vote(crossing, "cost-cap")
    for _ in range(2 if outcome == "ALLOW" else 1):
        bench.pass_time(10_000)
        bench.publish()
    bench.pass_time(20_000)

    assert ("dispatched: admitted" if outcome == "ALLOW" else "refused: not-today") == bench.said[0]


NOVEL = "policy-next"


def _trying(bench: Bench, share: int | None, *, mode: Any = "canary") -> None:
    """Put the gate that is new beside the policy engine, from now on."""
    said = (Activation("active", mode, bench.now, 2, share=share),)
    bench.catalog = Catalog.of(bench.documents, {("Gate", NOVEL, "1.0.0"): said})


@pytest.fixture
def trial(new_bench: Any) -> Bench:
    """Return a platform with a gate that would take the place of the policy engine."""
    novel = document(
        "Gate", NOVEL, role="policy", requiredFor=["handoff", "result"], replaces="policy-engine"
    )
    return new_bench([novel])


def _in(task: str, share: int) -> bool:
    """Reckon whether a task is of the share, as anybody can."""
    return int.from_bytes(sha256(f"{task}\n{NOVEL}@1.0.0".encode()).digest()[:8], "big") % 100 < share


def _task_of(share: int, *, inside: bool) -> str:
    """Find a task that is, or is not, of the share for which the new gate counts."""
    return next(name for name in map("t-{}".format, range(1000)) if _in(name, share) == inside)


@pytest.mark.parametrize("inside", [True, False])
def test_a_canary_counts_for_its_share_and_the_other_gate_for_all_else(trial: Bench, *, inside: bool) -> None:
    """Who does not count is recorded: its vote stands in the decision, and says what it is."""
    _trying(trial, 30)
    crossing = trial.send("handoff", task=_task_of(30, inside=inside))
    said = {NOVEL: "ALLOW" if inside else "DENY", "policy-engine": "DENY" if inside else "ALLOW"}
    for gate, outcome in said.items():
        trial.vote(crossing, gate, outcome)
    assert [] == trial.works
    trial.admit(crossing, gates=("contract-validator", "cost-cap"))

    assert 1 == len(trial.works)
    modes = {vote.gate: vote.mode for vote in trial.decisions[-1].votes}
    assert ("canary" if inside else "shadow", "shadow" if inside else "enforce") == (
        modes[NOVEL], modes["policy-engine"],
    )  # fmt: skip


def test_a_canary_that_says_nothing_is_a_no_for_its_share_alone(trial: Bench) -> None:
    """It is waited for like the gate in whose place it stands."""
    _trying(trial, 30)
    for number, inside in enumerate((True, False)):
        crossing = trial.send("handoff", id=f"h-{number}", task=_task_of(30, inside=inside))
        trial.admit(crossing)
    trial.pass_time(30_000)

    (refused,) = (one for one in trial.decisions if isinstance(one, Refused))
    assert ("gate-silent", NOVEL, _task_of(30, inside=True)) == (refused.rule, refused.gate, refused.task)


@pytest.mark.parametrize(
    ("before", "after", "judged_by"),
    [
        (None, 99, "policy-engine"),
        (1, 99, "policy-engine"),
        (99, 1, NOVEL),
        (99, None, "policy-engine"),
    ],
    ids=["began before it", "not of the smaller share", "of the larger share", "taken back"],
)
def test_a_task_keeps_the_gate_that_it_began_under(
    trial: Bench, before: int | None, after: int | None, judged_by: str
) -> None:
    """However large the share becomes; a canary that is none any more counts for nobody."""
    if before is None:
        _trying(trial, None, mode="shadow")
    else:
        _trying(trial, before)
    name = next(
        one for one in map("t-{}".format, range(1000)) if (_in(one, 99), _in(one, 1)) == (True, False)
    )
    root = trial.send("handoff", task=name)
    trial.admit(root, gates=("contract-validator", "cost-cap", NOVEL, "policy-engine"))
    trial.now += 1000
    if after is None:
        _trying(trial, None, mode="shadow")
    else:
        _trying(trial, after)
    child = trial.child(trial.works[-1], task=name)
    trial.vote(child, "policy-engine", "ALLOW" if judged_by == "policy-engine" else "DENY")
    trial.vote(child, NOVEL, "ALLOW" if judged_by == NOVEL else "DENY")
    trial.admit(child, gates=("contract-validator", "cost-cap"))

    assert ["dispatched: admitted"] * 2 == trial.said
