"""Work for what is paused waits, goes elsewhere where it may, and goes on when it is resumed."""

from typing import Any

import pytest

from seamwork.catalog.catalog import Catalog
from seamwork.catalog.entries import Activation
from seamwork.decider import CatalogChanged
from seamwork.records.decision import Escalated
from seamwork.records.parties import Revision
from seamwork.testing.documents import document

Bench = Any  # the class of conftest; importlib mode cannot import it

EXTRACTOR = ("Agent", "extractor", "1.0.0")
MAIN, ASIDE = ("Flow", "main", "1.0.0"), ("Flow", "aside", "1.0.0")


def flows() -> list[Any]:
    """Draw two flows that share their only edge."""
    edge = {
        "from": "planner", "to": "extractor", "contract": "licence-facts", "versions": "*", "reason": "it reads"
    }  # fmt: skip
    return [document("Flow", name, edges=[edge]) for _, name, _ in (MAIN, ASIDE)]


def pause(bench: Bench, *what: tuple[str, str, str]) -> None:
    """Let exactly these be paused from now on."""
    revision = Revision(contracts=1, registry=bench.catalog.revision.registry + 1, policies=1)
    bench.catalog = Catalog.of(
        bench.documents, {one: (Activation("active", "paused", 0),) for one in what}, revision
    )
    bench.step(CatalogChanged(revision=revision))


@pytest.mark.parametrize("paused", [(EXTRACTOR,), (MAIN, ASIDE)], ids=["agent", "flow"])
def test_what_waits_goes_on_when_it_is_resumed(new_bench: Bench, paused: tuple[Any, ...]) -> None:
    """Nobody is told anything; the work comes later, once."""
    bench = new_bench(flows())
    pause(bench, *paused)
    bench.admit(bench.send("handoff"))
    bench.pass_time(60_000)
    waited = len(bench.works)
    pause(bench)
    bench.pass_time(0)

    assert (0, ["extractor"]) == (waited, [work.agent for work in bench.works])
    assert [] == bench.told


def test_another_flow_carries_what_a_paused_one_would(new_bench: Bench) -> None:
    """One of two flows with the same edge is paused, which keeps nothing."""
    bench = new_bench(flows())
    pause(bench, MAIN)

    assert "extractor" == bench.begin().agent


def test_a_fallback_gets_what_the_paused_agent_would(bench: Bench) -> None:
    """Who stands in for a failure stands in for a pause."""
    pause(bench, EXTRACTOR)

    assert "backup" == bench.begin(contract="transient@1.0.0").agent


def test_what_is_in_hand_is_finished_all_the_same(bench: Bench) -> None:
    """Answers open nothing, so a pause keeps none back."""
    work = bench.begin()
    pause(bench, EXTRACTOR)
    bench.answer(work)

    assert "complete" == bench.decisions[-1].outcome


def test_a_document_that_changed_in_the_meantime_is_asked_for_again(new_bench: Bench) -> None:
    """A gate whose policy is not in force any more judges once more before the work goes on."""
    bench = new_bench([document("Policy", "old")])
    pause(bench, EXTRACTOR)
    crossing = bench.send("handoff")
    consulted = [{"kind": "Policy", "name": "old", "version": "1.0.0", "digest": "0" * 64}]
    bench.vote(crossing, "contract-validator")
    bench.vote(crossing, "policy-engine", consulted=consulted)
    bench.vote(crossing, "cost-cap")
    bench.documents = [one for one in bench.documents if one.name != "old"]
    pause(bench)
    bench.pass_time(0)

    assert "judge-again: release" == bench.said[-1]
    assert [] == bench.works


def test_a_pause_that_outlasts_the_deadline_is_a_refusal(bench: Bench) -> None:
    """Whoever asked is told why, and the task ends."""
    pause(bench, EXTRACTOR)
    bench.admit(bench.send("handoff", deadline_at=bench.now + 5_000))
    bench.pass_time(5_000)

    assert "refused: agent-paused" == bench.said[0]


def test_what_was_ordered_for_somebody_who_is_paused_asks_nobody_else(bench: Bench) -> None:
    """The case waits with it: who was asked has answered, and what they ordered goes on after the pause."""
    bench.begin(contract="guarded@1.0.0")
    bench.pass_time(60_000)
    desk = bench.works[-1]
    pause(bench, EXTRACTOR)
    bench.admit(bench.resolve(desk))
    bench.pass_time(600_000)
    asked = [one.level for one in bench.decisions if isinstance(one, Escalated)]
    pause(bench)
    bench.pass_time(0)

    assert ("desk", [0]) == (desk.agent, asked)
    assert ["dispatched: admitted", "closed: case-resolved"] == bench.said[-2:]


def test_a_case_goes_on_where_what_was_ordered_is_refused_after_a_pause(bench: Bench) -> None:
    """The next of its people is asked at once: the time of those before is over."""
    bench.begin(contract="guarded@1.0.0")
    bench.pass_time(60_000)
    pause(bench, EXTRACTOR)
    bench.admit(bench.resolve(bench.works[-1]))
    bench.pass_time(90_000)
    bench.publish(revoke=EXTRACTOR)
    bench.pass_time(0)

    assert ["refused: no-candidate", "escalated: timeout"] == bench.said[-2:]
    assert 1 == bench.decisions[-1].level


def activate(bench: Bench, *activations: Activation, of: tuple[str, str, str] = EXTRACTOR) -> None:
    """Publish the activations of one version; each may begin later than it is heard of."""
    revision = Revision(contracts=1, registry=bench.catalog.revision.registry + 1, policies=1)
    bench.catalog = Catalog.of(bench.documents, {of: activations}, revision)
    bench.step(CatalogChanged(revision=revision))


def test_a_resume_that_the_brokers_clock_dates_ahead_of_ours_wakes_what_waits(bench: Bench) -> None:
    """It is heard of before it holds: what waits goes on when it does, and not at its deadline."""
    paused = Activation("active", "paused", 0)
    activate(bench, paused)
    bench.admit(bench.send("handoff"))
    activate(bench, paused, Activation("active", None, bench.now + 50))
    bench.pass_time(49)
    before = len(bench.works)
    bench.pass_time(1)

    assert (0, ["extractor"]) == (before, [work.agent for work in bench.works])


@pytest.mark.parametrize("begun", ["before", "between"])
def test_a_revocation_takes_work_away_from_when_it_holds(bench: Bench, begun: str) -> None:
    """Whatever begins to hold before it, and whether the work was begun before it was heard of or after."""
    active = Activation("active", None, 0)
    if begun == "before":
        bench.begin()
    activate(
        bench,
        active,
        Activation("deprecated", None, bench.now + 50),
        Activation("revoked", None, bench.now + 9_000),
    )
    bench.pass_time(1_000)
    if begun == "between":
        bench.begin()
    bench.pass_time(7_999)
    before = list(bench.told)
    bench.pass_time(1)

    assert ([], ("extractor", "cancelled", "revoked")) == (before, bench.told[0])
    assert {} == bench.state.tasks


def test_what_begins_to_hold_is_looked_at_alone(bench: Bench) -> None:
    """A crossing that is decided at the same instant is not woken once more after its end."""
    activate(bench, Activation("active", "paused", 0))
    waiting = bench.send("handoff", deadline_at=bench.now + 50)
    bench.admit(waiting)
    activate(bench, Activation("active", "paused", 0), Activation("active", None, bench.now + 50))
    bench.pass_time(60_000)

    assert ({}, {}) == (bench.state.tasks, bench.state.live)
    assert 1 == sum(one.startswith("task-ended") for one in bench.said)
