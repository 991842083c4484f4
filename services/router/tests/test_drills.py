"""A drill goes the way of work that failed, and reaches nobody but the people who are asked."""

from typing import Any

import pytest

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Activation
from seamwork.decider import CatalogChanged
from seamwork.ids import sha256_hex
from seamwork.records.decision import Closed, Dispatched, Escalated, TaskEnded
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Revision
from seamwork.records.wire import Received

Bench = Any  # the class is given as a fixture
MINUTE_MS = 60_000


def begun(bench: Bench, **fields: Any) -> Received[AnyEnvelope]:
    """Begin a drill of the seam under ``guarded``, in place of the planner."""
    order = {
        "action": "drill", "crossing": "h-1", "target": "extractor", "how": None, **fields.pop("order", {}),
    }  # fmt: skip
    drill = {"in_place_of": "planner", **fields.pop("drill", {})}
    sent: Received[AnyEnvelope] = bench.send(
        "handoff", **{"contract": "guarded@1.0.0", "order": order, "drill": drill, **fields}
    )
    return sent


def opened(bench: Bench, **fields: Any) -> Any:
    """Begin a drill and let every gate admit it; return what the desk got."""
    bench.admit(begun(bench, **fields))
    bench.pass_time(0)
    return bench.works[-1]


def test_a_drill_opens_a_case_and_is_marked_wherever_anything_is_said_of_it(bench: Bench) -> None:
    """The chain is asked as after a failure, and no agent but the desk gets anything."""
    work = opened(bench)
    (said,) = bench.decisions

    assert isinstance(said, Escalated)
    assert ("ada", ("lawyer", "ada"), "drill", "violation") == (
        bench.catalog.asked_as(said.to, bench.now)[0], said.chain, said.rule, said.why
    )  # fmt: skip
    assert "a drill, ordered by ada; nobody's work has failed" == said.reason
    assert said.drill
    assert ["desk"] == [one.agent for one in bench.works]
    assert "planner" == work.in_place_of.agent
    assert 0 == work.ceiling_micro_usd


@pytest.mark.parametrize("how", ["retry", "replace", "reroute"])
def test_what_is_put_back_of_a_drill_ends_it_and_is_dispatched_to_nobody(bench: Bench, how: str) -> None:
    """The order is judged and counts, as a real one would; the agent gets no work."""
    work = opened(bench)
    bench.admit(bench.resolve(work, how, target="reader" if how == "reroute" else "extractor"))
    closed = [one for one in bench.decisions if isinstance(one, Closed)]

    assert [("case-resolved", f"ada ordered {how}"), ("drill", closed[1].reason)] == [
        (one.rule, one.reason) for one in closed
    ]
    assert "does not get it" in closed[1].reason
    assert ["desk"] == [one.agent for one in bench.works]
    assert not [one for one in bench.decisions if isinstance(one, Dispatched)]
    assert "complete" == bench.decisions[-1].outcome
    assert all(one.drill for one in bench.decisions)
    assert not bench.state.tasks


@pytest.mark.parametrize("how", ["skip", "fail"])
def test_a_drill_may_be_skipped_or_given_up(bench: Bench, how: str) -> None:
    """The answer is accepted, and the task over."""
    bench.admit(bench.resolve(opened(bench), how))

    assert isinstance(bench.decisions[-1], TaskEnded)
    assert all(one.drill for one in bench.decisions)
    assert not bench.state.tasks


def test_a_drill_that_nobody_answers_climbs_and_expires(bench: Bench) -> None:
    """In the time that the contract gives each of the chain, or in less where the drill says so."""
    opened(bench, drill={"answer_ms": 1000})
    bench.pass_time(MINUTE_MS)

    assert ["lawyer", "ada"] == [one.to for one in bench.decisions if isinstance(one, Escalated)]
    assert ["case-expired", "task-failed"] == [one.rule for one in bench.decisions[-2:]]
    assert 2000 == bench.decisions[-1].decided_at - bench.decisions[0].decided_at
    assert all(one.drill for one in bench.decisions)


def test_a_drill_gives_nobody_more_time_than_the_contract(bench: Bench) -> None:
    """It shows what would happen, not something kinder."""
    opened(bench, drill={"answer_ms": 10 * MINUTE_MS})

    assert MINUTE_MS == bench.decisions[0].answer_by - bench.now


def test_a_drill_of_a_seam_where_nobody_can_be_asked_fails_at_once(bench: Bench) -> None:
    """As real work would: that is what it finds out."""
    bench.admit(begun(bench, contract="licence-facts@1.0.0"))

    assert ["escalated: drill", "closed: drill", "task-ended: task-failed"] == bench.said
    assert bench.decisions[0].case is None


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"order": {"action": "resolve"}}, "begins a drill"),
        ({"order": {"crossing": "h-9"}}, "another drill"),
        ({"order": {"target": "reader"}}, "another drill"),
        ({"order": {"payload_sha256": sha256_hex(b"else")}}, "another drill"),
        ({"order": {"person": "mallory"}}, "key of the order"),
        ({"parent": "h-0", "stamp": {}}, ""),
    ],
    ids=["another-action", "another-crossing", "another-target", "another-payload", "nobody-known", "within"],
)
def test_a_drill_counts_only_with_a_persons_own_order(
    bench: Bench, fields: dict[str, Any], word: str
) -> None:
    """Whoever may begin tasks may not ring people up in the name of others."""
    sent = begun(bench, **fields)
    bench.vote(sent, "contract-validator")

    assert "refused" == bench.decisions[0].__struct_config__.tag
    assert all(one.drill for one in bench.decisions)
    assert word in bench.decisions[0].reason
    assert not bench.works


def test_a_drill_without_an_order_is_refused(bench: Bench) -> None:
    """Nobody answers for it."""
    sent = bench.send("handoff", contract="guarded@1.0.0", drill={"in_place_of": "planner"})
    bench.vote(sent, "contract-validator")

    assert "refused: order-invalid" == bench.said[0]


@pytest.mark.parametrize("ended", ["refused at its root", "carried to its end"])
def test_what_comes_under_a_drill_that_is_over_is_still_said_to_be_of_one(bench: Bench, ended: str) -> None:
    """Whoever counts real work by this mark must not find what came late among it."""
    if ended == "refused at its root":
        root = bench.send("handoff", contract="guarded@1.0.0", drill={"in_place_of": "planner"})
        bench.vote(root, "contract-validator")
    else:
        bench.admit(bench.resolve(opened(bench), "fail"))
    late = bench.send("handoff", id="h-2", contract="guarded@1.0.0")
    bench.vote(late, "contract-validator")

    assert ("h-2", "task-exists", True) == (
        bench.decisions[-1].crossing, bench.decisions[-1].rule, bench.decisions[-1].drill
    )  # fmt: skip


def test_a_drill_is_refused_where_work_would_wait_for_who_is_paused(new_bench: Any) -> None:
    """There is nothing to wait for: nobody would get it."""
    bench = new_bench()
    revision = Revision(contracts=0, registry=1, policies=0)
    paused = {("Agent", "extractor", "1.0.0"): (Activation("active", "paused", 0),)}
    bench.catalog = Catalog.of(bench.documents, paused, revision)
    bench.step(CatalogChanged(revision=revision))
    bench.admit(begun(bench))

    assert "refused: agent-paused" == bench.said[0]
