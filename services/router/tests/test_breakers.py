"""Breakers of agent versions: what opens them, who gets the work then, and how they close."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwork.catalog.catalog import Catalog
from seamwork.catalog.entries import Activation
from seamwork.decider import CatalogChanged
from seamwork.records.decision import BreakerMoved
from seamwork.records.inbox import Work
from seamwork.records.parties import Revision
from seamwork.testing.documents import document

Bench = Any  # the class of conftest; importlib mode cannot import it

TERMS = {"failures": 2, "restSeconds": 30, "probes": 2}
FAIL = {"action": "fail", "otherwise": "fail"}
SPEC: dict[str, Any] = {
    "offers": ["extraction"],
    "breaker": TERMS,
    "accepts": [{"contract": name, "versions": "*"} for name in ("licence-facts", "helped")],
}


def fragile(new_bench: Bench) -> Bench:
    """Return a platform whose extractor has a breaker that opens soon, and a contract that falls back."""
    helped = document(
        "Contract", "helped", onError=FAIL, onTimeout=FAIL, onViolation=FAIL, fallbacks=[{"agent": "spare"}]
    )
    bench = new_bench()
    bench.documents = [one for one in bench.documents if one.name != "extractor"]
    bench.publish(
        document("Agent", "extractor", **SPEC), document("Agent", "spare", accepts=SPEC["accepts"]), helped
    )
    return bench


def task(bench: Bench, number: int, contract: str = "helped@1.0.0") -> Work:
    """Begin a task of its own."""
    work = bench.begin(task=f"t-{number}", id=f"h-{number}", contract=contract)
    assert isinstance(work, Work)
    return work


def end(bench: Bench, work: Work, how: str) -> None:
    """Let the holder of *work* answer, badly or well, or not at all."""
    match how:
        case "timeout":
            bench.now = work.not_after
            bench.pass_time(0)
        case "violation":
            crossing = bench.result(work, task=work.task)
            bench.vote(crossing, "contract-validator", "DENY", rule="schema", sender_verified=True)
            bench.vote(crossing, "policy-engine")
        case outcome:
            bench.answer(work, outcome, task=work.task)


def moves(bench: Bench) -> list[str]:
    """Return where the breaker moved, in order."""
    return [one.state for one in bench.decisions if isinstance(one, BreakerMoved)]


def by_hand(bench: Bench, mode: str | None, agent: str = "extractor") -> None:
    """Let a person set an agent's breaker, or pause it."""
    revision = Revision(contracts=1, registry=bench.catalog.revision.registry + 1, policies=1)
    activation = Activation("active", mode, 0)  # type: ignore[arg-type]  # one of the modes
    bench.catalog = Catalog.of(bench.documents, {("Agent", agent, "1.0.0"): (activation,)}, revision)
    bench.step(CatalogChanged(revision=revision))


@pytest.mark.parametrize("how", ["timeout", "violation", "error"])
def test_failures_in_a_row_open_it_and_the_fallback_gets_the_work(new_bench: Bench, how: str) -> None:
    """Each kind of failure counts; what comes next goes to whom the contract falls back to."""
    bench = fragile(new_bench)
    for number in (1, 2):
        end(bench, task(bench, number), how)

    assert "spare" == task(bench, 3).agent
    assert ["open"] == moves(bench)


@pytest.mark.parametrize("how", ["success", "partial"])
def test_an_answer_sets_the_count_back(new_bench: Bench, how: str) -> None:
    """Only failures in a row open it."""
    bench = fragile(new_bench)
    for number, outcome in enumerate(("error", how, "error", how, "error")):
        end(bench, task(bench, number), outcome)

    assert "extractor" == task(bench, 9).agent
    assert [] == moves(bench)


def test_without_a_fallback_the_handoff_is_refused_by_name(new_bench: Bench) -> None:
    """Nobody is let wait for an agent that does not answer."""
    bench = fragile(new_bench)
    for number in (1, 2):
        end(bench, task(bench, number, "licence-facts@1.0.0"), "error")
    bench.admit(bench.send("handoff", task="t-3", id="h-3"))

    assert "refused: breaker-open" == bench.said[-2]


def test_so_many_probes_try_it_and_close_it(new_bench: Bench) -> None:
    """After its rest two handoffs go through, the third goes elsewhere; both answered, it works as before."""
    bench = fragile(new_bench)
    for number in (1, 2):
        end(bench, task(bench, number), "error")
    bench.pass_time(30_000)
    first, second, third = (task(bench, number) for number in (3, 4, 5))
    end(bench, first, "success")
    end(bench, second, "success")

    assert ["extractor", "extractor", "spare"] == [work.agent for work in (first, second, third)]
    assert "extractor" == task(bench, 6).agent
    assert ["open", "half-open", "closed"] == moves(bench)


def test_what_waited_for_a_resume_are_no_more_probes_than_others(new_bench: Bench) -> None:
    """They go on at one instant, and each counts those before it."""
    bench = fragile(new_bench)
    for number in (1, 2):
        end(bench, task(bench, number, "licence-facts@1.0.0"), "error")
    bench.pass_time(30_000)
    by_hand(bench, "paused")
    for number in range(3, 8):
        bench.admit(bench.send("handoff", task=f"t-{number}", id=f"h-{number}"))
    before = len(bench.works)
    by_hand(bench, None)
    bench.pass_time(0)

    assert TERMS["probes"] == len(bench.works) - before
    assert 3 == bench.said.count("refused: breaker-open")


@pytest.mark.parametrize("probes", ["free", "taken"])
def test_what_waits_because_others_are_paused_goes_on_after_a_rest(new_bench: Bench, probes: str) -> None:
    """It is nobody's pause that keeps it then; while others probe the agent it waits for what becomes of them."""
    bench = fragile(new_bench)
    for number in (1, 2):
        end(bench, task(bench, number), "error")
    by_hand(bench, "paused", "spare")
    bench.admit(bench.send("handoff", task="t-3", id="h-3", contract="helped@1.0.0"))
    bench.pass_time(29_999)
    begun = len(bench.works)
    if probes == "taken":
        bench.now += 1
        others = [task(bench, 4), task(bench, 5)]
        bench.pass_time(0)
        begun = len(bench.works) - len(others)
        for work in others:
            end(bench, work, "success")
    bench.pass_time(30_000)

    assert (2, "h-3") == (begun, bench.works[-1].crossing)


def test_a_probe_that_fails_opens_it_again(new_bench: Bench) -> None:
    """Its rest begins anew."""
    bench = fragile(new_bench)
    for number in (1, 2):
        end(bench, task(bench, number), "error")
    bench.pass_time(30_000)
    end(bench, task(bench, 3), "error")

    assert "spare" == task(bench, 4).agent
    assert ["open", "half-open", "open"] == moves(bench)


def test_what_a_person_set_goes_before_what_was_counted(new_bench: Bench) -> None:
    """Open by hand it gets nothing though it answers; closed by hand it gets work though it fails."""
    bench = fragile(new_bench)
    by_hand(bench, "breaker-open")
    first = task(bench, 1)
    by_hand(bench, "breaker-closed")
    for number in (2, 3):
        end(bench, task(bench, number), "error")
    second = task(bench, 4)
    by_hand(bench, None)

    assert ["spare", "extractor", "spare"] == [first.agent, second.agent, task(bench, 5).agent]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["begin", "success", "error", "timeout", "rest"]), max_size=24))
def test_probes_are_bounded_and_an_open_breaker_lets_nothing_through(
    new_bench: Bench, steps: list[str]
) -> None:
    """Law: while it is open no work goes to it, half open never more than its probes at once."""
    bench = fragile(new_bench)
    held: list[Work] = []
    for number, step in enumerate(steps):
        breaker = bench.state.breakers.get("extractor@1.0.0")
        resting = breaker is not None and breaker.open_until > bench.now
        match step:
            case "begin":
                work = task(bench, number)
                held += [work] if work.agent == "extractor" else []
                assert not (resting and work.agent == "extractor")
            case "rest":
                bench.pass_time(30_000)
            case how:
                if held:
                    work = held.pop(0)
                    if work.task in bench.state.tasks:
                        end(bench, work, how)
        after = bench.state.breakers.get("extractor@1.0.0")
        assert after is None or len(after.probes) <= TERMS["probes"]


def test_what_people_give_up_breaks_no_desk(bench: Bench) -> None:
    """A desk has no breaker: nothing is kept from it."""
    for number in range(10):
        work = bench.begin(id=f"h{number}", task=f"t{number}", contract="guarded@1.0.0")
        result = bench.result(work, task=work.task)
        bench.vote(result, "contract-validator", "DENY", rule="schema", sender_verified=True)
        bench.vote(result, "policy-engine")
        bench.pass_time(1)
        bench.admit(bench.resolve(bench.works[-1], "fail"))

    assert {"extractor"} == {one.agent.agent for one in bench.decisions if isinstance(one, BreakerMoved)}
    assert ["extractor@1.0.0"] == list(bench.state.breakers)
