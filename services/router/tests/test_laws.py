"""What holds whatever agents, gates, people and clocks do."""

from collections.abc import Callable
from typing import Any, get_args

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seamwork.decider import Forward, HealthChanged, InstanceHealth, read_all
from seamwork.grants.authority import dropped, widened
from seamwork.records.decision import Accepted, Dispatched, TaskEnded
from seamwork.records.envelope import decode
from seamwork.records.inbox import Work
from seamwork.records.people import Command
from seamwork.records.wire import Received
from seamwork.testing.builders import HOUR_MS, NOW, received
from seamwork_router import events as ev
from seamwork_router.state import _CHANGES

Bench = Any  # the class of conftest; importlib mode cannot import it
GATES = ("contract-validator", "policy-engine", "cost-cap", "approval-workflow")
OUTCOMES = ("ALLOW", "ALLOW", "ALLOW", "ALLOW", "DENY", "THROTTLE", "REQUIRE_APPROVAL", "MAYBE")
TASKS = ("t-1", "t-2", "t-3")
INSTANTS = (0, NOW // 1000, NOW - HOUR_MS, NOW + HOUR_MS, 2**53)
"""What a sender may write for an instant: never, seconds, long ago, in time, and the last that the wire takes."""


def _pending(bench: Bench) -> list[Received[Any]]:
    offsets = sorted(map(int, bench.state.live))
    read = {given.raw.offset: given for given, _ in bench.log if _is_crossing(given)}
    return [read[offset] for offset in offsets]


def _is_crossing(given: Any) -> bool:
    return isinstance(given, Received) and given.raw.topic == "handoffs.v1"


def begin(bench: Bench, n: int) -> None:
    """Begin one of three tasks, perhaps a second time."""
    contract = ("licence-facts", "transient", "guarded")[n % 3]
    bench.send("handoff", task=TASKS[n % 3], id=f"root-{n % 4}", contract=contract)


def mistime(bench: Bench, n: int) -> None:
    """Begin a task, or hand something on, by a clock that is wrong; often the validator says at once that it is."""
    names = ("expires_at", "deadline_at", "sent_at")
    wrong = {name: INSTANTS[(n + place * (n // 5)) % len(INSTANTS)] for place, name in enumerate(names)}
    if n % 3 == 0 and bench.works:
        work = bench.works[n % len(bench.works)]
        sent = bench.child(work, f"late-{n % 2}", task=work.task, **wrong)
    else:
        sent = bench.send("handoff", task=f"late-{n % 2}", id=f"late-{n % 4}", **wrong)
    if n % 4:
        bench.vote(sent, "contract-validator", "DENY", rule="expired")
        bench.pass_time(n % 2)


def child(bench: Bench, n: int) -> None:
    """Hand something on under any stamp that was ever given."""
    if bench.works:
        work = bench.works[n % len(bench.works)]
        mode = "transfer" if n % 5 == 0 else "delegate"
        target = ("reader", "backup", "extractor", "planner")[n % 4]
        bench.child(work, f"step-{n % 2}", task=work.task, mode=mode, target=target, contract="transient")


def answer(bench: Bench, n: int) -> None:
    """Answer under any stamp that was ever given."""
    if bench.works:
        work = bench.works[n % len(bench.works)]
        outcome = ("success", "partial", "error")[n % 3]
        bench.result(work, outcome, n % 2, task=work.task, spent={"micro_usd": n})


def resolve(bench: Bench, n: int) -> None:
    """Let somebody who is asked, or somebody who is not, order what becomes of a case."""
    cases = [work for work in bench.works if work.agent == "desk"]
    if cases:
        work = cases[n % len(cases)]
        how = ("retry", "reroute", "replace", "skip", "fail")[n % 5]
        bench.resolve(work, how, ("ada", "bob", "eve")[n % 3], ordinal=n % 2)


def spend(bench: Bench, n: int) -> None:
    """Report usage under any stamp that was ever given."""
    if bench.works:
        work = bench.works[n % len(bench.works)]
        bench.send(
            "usage", id=f"u-{n}", task=work.task, source=work.agent, dispatch=work.dispatch, ordinal=n,
            stamp=bench.stamp(work), spent={"micro_usd": 10 * n},
        )  # fmt: skip


def vote(bench: Bench, n: int) -> None:
    """Let some gate say something of something that waits."""
    pending = _pending(bench)
    if pending:
        crossing = pending[n % len(pending)]
        outcome = OUTCOMES[n % len(OUTCOMES)]
        live = bench.state.live[str(crossing.raw.offset)]
        approvers = [{"roles": ["lawyer"]}] if outcome == "REQUIRE_APPROVAL" else []
        bench.vote(crossing, GATES[n % 4], outcome, live.attempt, approvers=approvers)


def admit(bench: Bench, n: int) -> None:
    """Let every gate that is still asked say yes."""
    pending = _pending(bench)
    if pending:
        crossing = pending[n % len(pending)]
        live = bench.state.live[str(crossing.raw.offset)]
        for gate in live.missing:
            bench.vote(crossing, gate, attempt=live.attempt)


def wait(bench: Bench, n: int) -> None:
    """Let time pass, from a moment to half an hour."""
    bench.pass_time(n * n * 2)


def cancel(bench: Bench, n: int) -> None:
    """Let a person cancel a task, now and then."""
    if n % 7 == 0:
        bench.step(received("command", task=TASKS[n % 3], topic="commands.v1", appended_at=bench.now))


def revoke(bench: Bench, n: int) -> None:
    """Revoke an agent version, now and then."""
    if n % 11 == 0:
        bench.publish(revoke=("Agent", ("extractor", "reader")[n % 2], "1.0.0"))


def health(bench: Bench, n: int) -> None:
    """Let an agent's last instance go, or its first come."""
    alive = InstanceHealth(agent=("extractor", "backup")[n % 2], version="1.0.0", alive=n % 3)
    bench.step(HealthChanged(instances=(alive,)))


ACTIONS: tuple[Callable[[Bench, int], None], ...] = (
    begin, mistime, child, answer, spend, vote, admit, admit, admit, wait, cancel, revoke, health, resolve,
)  # fmt: skip
scripts = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 1000)), min_size=5, max_size=60)
law = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def play(new_bench: Bench, script: list[tuple[Callable[[Bench, int], None], int]]) -> Bench:
    """Live through a script that begins with a task in hand."""
    bench = new_bench()
    bench.begin(contract="transient")
    bench.answer(bench.begin(contract="guarded", task="t-2", id="root-9"), "error")
    bench.pass_time(1)
    for act, number in script:
        act(bench, number)
    return bench


def frozen(state: Any) -> bytes:
    """Return all that is remembered as bytes."""
    read_all(state)
    return msgspec.json.encode(state, order="deterministic")


def test_every_event_that_there_is_changes_the_state_in_one_way() -> None:
    """The table of changes names each kind of event, and nothing that is none."""
    assert set(get_args(ev.Event)) == set(_CHANGES)


@law
@given(scripts)
def test_a_redelivered_record_changes_nothing(new_bench: Bench, script: Any) -> None:
    """Every crossing and verdict, read once more, leaves the memory as it is and says nothing."""
    bench = play(new_bench, script)
    said = len(bench.outputs)
    before = frozen(bench.state)
    for one, _ in list(bench.log):
        if isinstance(one, Received) and one.raw.topic != "commands.v1":
            bench.step(one)

    assert before == frozen(bench.state)
    assert said == len(bench.outputs)


@law
@given(scripts)
def test_replaying_the_journal_gives_the_same_state(new_bench: Bench, script: Any) -> None:
    """Through the bytes that a journal holds, and from the bytes of a snapshot in the middle."""
    bench = play(new_bench, script)
    event = msgspec.json.Decoder(bench.machine.event_type)
    state = msgspec.json.Decoder(bench.machine.state_type)
    read = [event.decode(msgspec.json.encode(one)) for one in bench.events]
    half = len(read) // 2
    snapshot = state.decode(frozen(bench.machine.fold(read[:half])))

    assert read == bench.events
    assert frozen(bench.state) == frozen(bench.machine.fold(read))
    assert frozen(bench.state) == frozen(bench.machine.fold(read[half:], snapshot))


@law
@given(scripts)
def test_the_same_inputs_are_decided_the_same_way(new_bench: Bench, script: Any) -> None:
    """Deciding once more on the recorded inputs yields the recorded events."""
    bench = play(new_bench, script)
    again = new_bench()
    events: list[ev.Event] = []
    for one, context in bench.log:
        again.state, more, _ = again.machine.step(again.state, one, context)
        events += more

    assert bench.events == events


@law
@given(scripts)
def test_nothing_is_dispatched_without_every_required_verdict(new_bench: Bench, script: Any) -> None:
    """Each required gate has a counted yes on the very record, of this attempt or one before that stood."""
    bench = play(new_bench, script)
    counted = [one.verdict for one in bench.events if isinstance(one, ev.VerdictCounted)]
    seats = {one.crossing.offset: one.seats for one in bench.events if isinstance(one, ev.CrossingSeen)}
    for decision in bench.decisions:
        if not isinstance(decision, Dispatched) or decision.subject is None:
            continue
        subject = decision.subject
        yes = {
            vote.gate
            for vote in counted
            if (vote.subject.offset, vote.subject.digest) == (subject.offset, subject.digest)
            and vote.subject.attempt <= subject.attempt
            and vote.outcome in {"ALLOW", "ALLOW_WITH_CONSTRAINTS"}
        }
        assert {seat.gate for seat in seats[subject.offset] if seat.required} <= yes


@law
@given(scripts)
def test_every_task_ends_when_its_deadlines_pass(new_bench: Bench, script: Any) -> None:
    """Exactly once, however it was left; and nothing of it stays for ever."""
    bench = play(new_bench, script)
    bench.pass_time(30 * 3_600_000)
    begun = [one.task for one in bench.events if isinstance(one, ev.TaskOpened | ev.TaskNeverBegan)]
    ended = [str(one.task) for one in bench.decisions if isinstance(one, TaskEnded)]

    assert sorted(begun) == sorted(ended)
    assert ({}, {}, {}, {}) == (bench.state.tasks, bench.state.live, bench.state.over, bench.state.timers.due)


@law
@given(scripts)
def test_authority_never_grows_down_a_chain(new_bench: Bench, script: Any) -> None:
    """Nor do constraints shrink, nor does anybody get more time than who asked."""
    bench = play(new_bench, script)
    last: dict[str, Work] = {}
    for output in bench.outputs:
        if not isinstance(output, Forward) or not isinstance(output.record, Work):
            continue
        work = output.record
        if work.parent is not None:
            above = last[work.parent]
            assert widened(work.authority, above.authority) is None
            assert dropped(work.constraints, above.constraints) is None
            assert work.not_after <= above.not_after
        last[work.crossing] = work


@law
@given(scripts)
def test_a_result_is_accepted_only_from_who_got_the_dispatch(new_bench: Bench, script: Any) -> None:
    """And each dispatch brings one answer at most."""
    bench = play(new_bench, script)
    given_to = {work.dispatch: work.agent for work in bench.works}
    accepted = [one for one in bench.decisions if one.__struct_config__.tag == "accepted"]

    assert len(accepted) == len({one.dispatch for one in accepted})
    assert all(given_to[one.dispatch] == one.source.agent for one in accepted)


@law
@given(scripts)
def test_every_crossing_is_decided_once_time_has_passed(new_bench: Bench, script: Any) -> None:
    """Nothing is skipped: each record that was read has a decision that names its place."""
    bench = play(new_bench, script)
    bench.pass_time(30 * 3_600_000)
    read = {one.raw.offset for one, _ in bench.log if _is_crossing(one)}
    decided = {one.subject.offset for one in bench.decisions if one.subject is not None}

    assert read == decided


@law
@given(scripts)
def test_every_case_ends_in_time(new_bench: Bench, script: Any) -> None:
    """What was opened at the desk is resolved, withdrawn or expired by the instant that the case names."""
    bench = play(new_bench, script)
    bench.pass_time(30 * 3_600_000)
    cases = [one for one in bench.events if isinstance(one, ev.DispatchOpened) and one.case is not None]
    closed = {one.dispatch: one for one in bench.events if isinstance(one, ev.DispatchClosed)}
    held_up = {one.crossing.dispatch for one in bench.events if isinstance(one, ev.CrossingSeen)}

    assert all(one.case is not None and one.case.expires_at <= one.plan.not_after for one in cases)
    assert all(one.dispatch in closed for one in cases)
    for one in cases:
        # An order that is being judged at that instant is decided first.
        if one.dispatch not in held_up and one.case is not None:
            assert closed[one.dispatch].at <= one.case.expires_at


@law
@given(scripts)
def test_a_desk_puts_work_back_only_with_the_order_of_somebody_who_is_asked(
    new_bench: Bench, script: Any
) -> None:
    """Whatever is dispatched or accepted from a desk carries the signature of a person of the chain."""
    bench = play(new_bench, script)
    for decision in bench.decisions:
        if not isinstance(decision, Dispatched | Accepted) or decision.source.agent != "desk":
            continue
        (order,) = (
            one.crossing.order
            for one in bench.events
            if isinstance(one, ev.CrossingSeen)
            and decision.subject is not None
            and one.crossing.offset == decision.subject.offset
        )
        assert order is not None
        command = decode(order.envelope.encode())
        assert isinstance(command, Command)
        assert command.person in {"ada", "bob"}
