"""Documents, and what was measured, lead to the answers that people act on."""

import re
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from seamwork.contracts.shelf import Shelf
from seamwork.documents import Agent, AnyDocument, Flow, from_canonical
from seamwork.documents.canonical import canonical
from seamwork.documents.contract import Promise
from seamwork.documents.yaml_text import write_yaml
from seamwork.platform.files import gather, with_any_key
from seamwork.seams.audit import audit_seams
from seamwork.seams.conformance import conformance
from seamwork.seams.impact import impact
from seamwork.seams.measured import Followed, Measured, SeamMeasure
from seamwork.seams.page import Heading, Page, Points, Table, Verbatim, Words, as_html, as_markdown
from seamwork.seams.pages import audit_page, ready_page, review_page, topology_page
from seamwork.seams.readiness import DAY_MS, seven_points
from seamwork.seams.review import review, sign_off
from seamwork.seams.seam import holds_against_request, seams_of
from seamwork.seams.study import Study, study
from seamwork.seams.topology import topology
from seamwork.testing.documents import document
from seamwork.testing.html import faults

NOW = 1_800_000_000_000
AUDIT = Path(__file__).parents[4] / "examples" / "licence-audit"


@cache
def documents_of_the_example() -> tuple[AnyDocument, ...]:
    """Read the documents of the licence audit."""
    documents, problems = gather([AUDIT / "contracts", AUDIT / "documents"], with_any_key)
    assert not problems
    return documents


def flow_of(*edges: tuple[str, str] | tuple[str, str, dict[str, Any]]) -> Flow:
    """Make a flow of edges between agents, all under one contract."""
    written = [
        {
            "from": edge[0],
            "to": edge[1],
            "contract": "c",
            "versions": ">=1 <2",
            "reason": "they work together",
            **(edge[2] if len(edge) > 2 else {}),
        }
        for edge in edges
    ]
    made = document("Flow", "f", edges=written)
    assert isinstance(made, Flow)
    return made


def measure(source: str = "a", to: str = "b", **fields: Any) -> SeamMeasure:
    """Make what was measured at a seam."""
    return SeamMeasure(
        **{
            "source": source,
            "to": to,
            "contract": "c",
            "version": "1.0.0",
            "handoffs": 1,
            "dispatched": 1,
            **fields,
        }
    )


def measured(*seams: SeamMeasure) -> Measured:
    """Make what a platform measured, over a day."""
    return Measured(since=NOW - DAY_MS, until=NOW, seams=seams)


def seen(*documents: AnyDocument, asked: Measured | None = None) -> Study:
    """Study the only flow among *documents*."""
    (flow,) = (one for one in documents if isinstance(one, Flow))
    return study(flow, documents, NOW, asked)


@pytest.mark.parametrize(
    ("shape", "edges"),
    [
        ("hierarchical", [("u", "lead"), ("lead", "x"), ("lead", "y")]),
        ("pipeline", [("u", "x"), ("x", "y"), ("y", "z")]),
        ("peer-to-peer", [("u", "x"), ("x", "y"), ("y", "z"), ("z", "x")]),
        ("mixed", [("u", "lead"), ("lead", "x"), ("lead", "y"), ("x", "y"), ("y", "x")]),
        ("mixed", [("u", "lead"), ("lead", "x"), ("lead", "y"), ("x", "y")]),
        ("pipeline", [("u", "x")]),
    ],
)
def test_a_flow_is_named_by_its_shape(shape: str, edges: list[tuple[str, str]]) -> None:
    """Four names, read off the edges between agents."""
    assert shape == topology(flow_of(*edges), Shelf([])).shape


@pytest.mark.parametrize(
    ("edges", "asked", "codes"),
    [
        ([("u", "lead"), ("lead", "x"), ("lead", "y")], {}, []),
        (
            [("u", "lead"), ("lead", "x"), ("lead", "y")],
            {"state": "shared"},
            ["state-and-shape-stated", "state-and-shape"],
        ),
        (
            [("u", "lead"), ("lead", "x"), ("lead", "y")],
            {"coordination": "self"},
            ["coordination-and-shape-stated", "coordination-and-shape"],
        ),
        (
            [("u", "x"), ("x", "y"), ("y", "x")],
            {"state": "completed"},
            ["state-and-shape-stated", "state-and-shape"],
        ),
        ([("u", "lead"), ("lead", "x"), ("lead", "y")], {"blast_radius": 1}, ["blast-radius"]),
        ([("u", "lead"), ("lead", "x"), ("lead", "y")], {"blast_radius": 2}, []),
        ([("u", "lead"), ("lead", "x"), ("x", "deep"), ("lead", "y")], {}, ["coordination-and-shape"]),
    ],
)
def test_answers_that_disagree_with_the_shape_are_remarked_on(
    edges: list[tuple[str, str]], asked: dict[str, Any], codes: list[str]
) -> None:
    """What a team says is held against the documents, and both against the shape."""
    assert codes == [remark.code for remark in topology(flow_of(*edges), Shelf([]), **asked).remarks]


def test_a_step_that_nobody_can_verify_and_an_agent_that_needs_too_much_are_marked() -> None:
    """No rule holds the answer against its request; three required fields are more than two."""
    fields = {"type": "object", "required": ["x", "y", "z"], "properties": {"x": {}, "y": {}, "z": {}}}
    contract = document("Contract", "c", input={"schema": fields})
    agents = [document("Agent", name, accepts=[{"contract": "c", "versions": ">=1 <2"}]) for name in "ab"]

    found = topology(flow_of(("a", "b")), Shelf([contract, *agents]), many_fields=2)

    assert ["unverifiable-step", "many-fields"] == [remark.code for remark in found.remarks]
    assert not topology(flow_of(("a", "b")), Shelf([contract, *agents]), many_fields=3).heavy


@pytest.mark.parametrize(
    ("edges", "ran", "codes"),
    [
        ([("a", "b")], [measure()], []),
        ([("a", "b")], [], ["edge-not-run"]),
        ([("a", "b")], [measure(), measure("a", "z")], ["edge-not-written"]),
        ([("a", "b")], [measure(), measure("a", "z", dispatched=0, refused=1)], ["edge-refused"]),
        ([("a", "b")], [measure(), measure("desk", "b")], []),
        ([("a", "b")], [measure(version="2.0.0")], ["version-not-written"]),
        ([("a", "b")], [measure(receivers=("z@1.0.0",))], ["receiver-not-written"]),
        ([("a", "b")], [measure(escalated_to=("the-king",))], ["owner-differs"]),
        ([("a", "b")], [measure(escalated_to=("seams",))], []),
        (
            [("a", "b")],
            [measure(followed=(Followed(why="timeout", what="retry", times=2),))],
            ["exception-differs"],
        ),
        ([("a", "b")], [measure(followed=(Followed(why="timeout", what="escalate", times=2),))], []),
        ([("a", "b", {"atMost": 2})], [measure(most_per_task=3)], ["re-entry-past-bound"]),
        ([("a", "b")], [measure(reentries=1)], ["re-entry-not-written"]),
    ],
)
def test_what_ran_is_compared_with_what_is_written(
    edges: Any, ran: list[SeamMeasure], codes: list[str]
) -> None:
    """Edges, versions, receivers, owners, exceptions, re-entries."""
    shelf = Shelf([document("Contract", "c"), *(document("Agent", name) for name in "ab")])

    assert codes == [one.code for one in conformance(flow_of(*edges), shelf, measured(*ran))]


def test_of_two_edges_that_lead_the_same_way_each_has_the_versions_that_it_names() -> None:
    """While a seam moves to the next version both are drawn; what neither names contradicts both."""
    flow = flow_of(("a", "b", {"versions": ">=1 <2"}), ("a", "b", {"versions": ">=2 <3"}))
    shelf = Shelf([document("Contract", "c"), *(document("Agent", name) for name in "ab")])
    ran = [measure(version="1.0.0"), measure(version="2.0.0")]

    assert [("1.0.0",), ("2.0.0",)] == [
        tuple(one.version for one in seam.measures) for seam in seams_of(flow, shelf, measured(*ran))
    ]
    assert () == conformance(flow, shelf, measured(*ran))
    assert 2 == len(conformance(flow, shelf, measured(*ran, measure(version="3.0.0"))))


def test_what_went_to_any_desk_follows_no_edge() -> None:
    """A team may have a desk of its own, called as it likes."""
    desk = document("Agent", "night-desk", desk=True)
    shelf = Shelf([flow_of(("a", "b")), document("Contract", "c"), document("Agent", "b"), desk])
    ran = measured(measure(receivers=("b@1.0.0", "night-desk@1.0.0")), measure("night-desk", "b"))

    assert () == conformance(flow_of(("a", "b")), shelf, ran)


def test_a_point_is_proven_only_by_what_happened_lately() -> None:
    """The same documents are declared without a crossing, with an old one, and proven with a young one."""
    documents = documents_of_the_example()
    bare = seven_points(example_seen(), 30)
    full = [
        SeamMeasure(
            source=seam.edge.source, to=seam.edge.to, capability=seam.edge.capability, contract=seam.edge.contract,
            version="1.0.0", receivers=("x@1.0.0", "x@2.0.0"), p50_ms=3, last_at=NOW - 1, proven_at=NOW - 1,
            refused_at=NOW - 1, handled_at=NOW - 1, asked_at=NOW - 1, spent_at=NOW - 40 * DAY_MS,
        )
        for seam in example_seen().seams
    ]  # fmt: skip

    proven = seven_points(seen(*documents, asked=measured(*full)), 30)

    assert ["declared"] * 7 == [point.state for point in bare]
    assert {5: "declared"} == {p.number: p.state for p in proven if p.state != "proven"}
    assert "too long ago" in proven[4].seams[0].says


@pytest.mark.parametrize(
    ("answered", "unanswered", "state", "says"),
    [
        (None, NOW - 2, "declared", "nobody answered the drill of"),
        (NOW - 2, NOW - 1, "declared", "nobody answered the drill of"),
        (NOW - 1, NOW - 2, "proven", "by a drill"),
        (NOW - 1, None, "proven", "by a drill"),
    ],
    ids=["never", "the-last-one-not", "the-last-one", "always"],
)
def test_a_drill_proves_that_people_answer_if_they_answered_the_last_one(
    answered: int | None, unanswered: int | None, state: str, says: str
) -> None:
    """One that nobody answered stands against them until another one is answered."""
    drilled = [
        SeamMeasure(
            source=seam.edge.source, to=seam.edge.to, capability=seam.edge.capability, contract=seam.edge.contract,
            version="1.0.0", drills=1, drill_answered_at=answered, drill_unanswered_at=unanswered,
        )
        for seam in example_seen().seams
    ]  # fmt: skip

    points = seven_points(seen(*documents_of_the_example(), asked=measured(*drilled)), 30)
    point = next(one for one in points if one.name == "answered for")

    assert state == point.state
    assert says in point.seams[0].says


def test_what_never_crossed_is_an_open_point_once_somebody_looked() -> None:
    """Where nothing was measured nobody knows."""
    documents = (document("Contract", "c"), document("Agent", "b"), flow_of(("a", "b")))
    looked = (None, measured(), measured(measure("a", "b")))

    assert [False, True, False] == [
        "never-crossed" in {point.code for point in review(seen(*documents, asked=one)).open}
        for one in looked
    ]


def test_what_is_not_enforced_is_open_and_not_ready() -> None:
    """A flow in shadow, and a policy in shadow along it, are points of the review; nothing guards such a seam."""
    loose = document("Flow", "f", mode="shadow", edges=[{"from": "a", "to": "b", "contract": "c"}])
    tried = document("Policy", "p", mode="shadow")
    study = seen(document("Contract", "c"), document("Agent", "b"), loose, tried)

    found = {point.code: point.grave for point in review(study).open}
    guarded = next(point for point in seven_points(study, 30) if point.name == "guarded")

    assert (True, False) == (found["flow-not-enforced"], found["policy-not-enforced"])
    assert ("missing", "not enforced: the flow is in 'shadow'") == (guarded.state, guarded.seams[0].says)


def policies_along(match: dict[str, Any]) -> int:
    """Count the policies with this ``match`` that may judge what crosses the seam from ``a`` to ``b``."""
    policy = document("Policy", "p", match=match)
    study = seen(document("Contract", "c"), document("Agent", "b"), flow_of(("a", "b")), policy)
    return len(study.policies_of(study.seams[0]))


@pytest.mark.parametrize(
    "match",
    [{}, {"sources": ["a"]}, {"sources": ["b"]}, {"targets": ["b"]}, {"kinds": ["result"], "sources": ["b"]}],
    ids=str,
)
def test_a_policy_may_judge_what_is_sent_along_a_seam_or_what_comes_back(match: dict[str, Any]) -> None:
    """Whoever receives is the one that answers."""
    assert 1 == policies_along(match)


@pytest.mark.parametrize(
    "match",
    [
        {"sources": ["other"]},
        {"contracts": ["other"]},
        {"kinds": ["plan"]},
        {"kinds": ["handoff"], "sources": ["b"]},
        {"kinds": ["result"], "sources": ["a"]},
        {"kinds": ["result"], "targets": ["b"]},
    ],
    ids=str,
)
def test_a_policy_about_something_else_judges_nothing_along_a_seam(match: dict[str, Any]) -> None:
    """What only ``a`` answers crosses another seam, and an answer has no target that a policy could name."""
    assert 0 == policies_along(match)


def test_a_point_that_no_document_makes_is_missing() -> None:
    """A contract that says nothing of failure, people and limits is not ready."""
    documents = (
        document("Contract", "c"),
        document("Agent", "b", accepts=[{"contract": "c", "versions": "*"}]),
        flow_of(("a", "b")),
    )

    states = {point.name: point.state for point in seven_points(seen(*documents), 30)}

    assert {"guarded", "failing well", "answered for", "bounded", "changeable"} <= {
        name for name, state in states.items() if state == "missing"
    }


@pytest.mark.parametrize(
    ("spec", "state", "because"),
    [
        ({}, "missing", ["its receiver may do whatever its sender may"]),
        ({"authority": {}}, "declared", []),
    ],
    ids=["unstated", "none at all"],
)
def test_a_receiver_that_states_no_authority_is_not_bounded(
    spec: dict[str, Any], state: str, because: list[str]
) -> None:
    """It gets whatever its sender passes on; one that states an empty one gets nothing."""
    limits = {"timeSeconds": 60, "costMicroUsd": 10}
    taking = {"accepts": [{"contract": "c", "versions": "*"}], **spec}
    documents = (
        document("Contract", "c", limits=limits),
        document("Agent", "b", **taking),
        flow_of(("a", "b")),
    )
    (bounded,) = (one for one in seven_points(seen(*documents), 30) if one.name == "bounded")
    (audited,) = audit_seams(seen(*documents))

    assert state == bounded.state
    assert because == [one for one in audited.because if "sender" in one]


def test_the_audit_puts_the_riskiest_seam_first_and_says_what_is_lacking() -> None:
    """A bare contract answers no question; the example's all answer with yes."""
    bare = (document("Contract", "c"), document("Agent", "b"), flow_of(("a", "b")))

    (audited,) = audit_seams(seen(*bare))
    example = audit_seams(example_seen())

    assert ("high", False) == (audited.risk, audited.whole)
    assert all(one.whole for one in example)
    assert sorted(example, key=lambda one: -one.points) == list(example)


def test_the_audit_says_what_a_seam_lacks_and_what_raises_its_risk() -> None:
    """What came late and was refused often is named with its number."""
    nobody = document("Contract", "c", owners={"team": "t", "contact": "t@example.org"})
    documents = (nobody, document("Agent", "b"), flow_of(("a", "b")))
    poor = measure("a", "b", handoffs=20, dispatched=18, refused=2, late=3)

    (audited,) = audit_seams(seen(*documents, asked=measured(poor)))
    (unmeasured,) = audit_seams(seen(*documents, asked=measured()))

    assert ("nobody to escalate to",) == next(one.lacks for one in audited.checks if one.question == "owned")
    assert {"2 refusals in 20 handoffs", "3 answers came late"} <= set(audited.because)
    assert "nothing was ever measured" in next(
        one.lacks for one in unmeasured.checks if one.question == "instrumented"
    )


@pytest.mark.parametrize(
    ("name", "version", "touched"),
    [
        ("licence-facts", "1.0.0", {("flow", True), ("agent", True), ("contract", True), ("agent", False)}),
        ("extractor", "2.0.0", {("flow", False), ("contract", False)}),
        ("extractor", None, {("flow", True), ("contract", False)}),
        ("audit", None, {("agent", True)}),
        ("copyleft-exceptions", None, {("contract", False), ("role", True)}),
    ],
)
def test_an_impact_says_what_would_stop(
    name: str, version: str | None, touched: set[tuple[str, bool]]
) -> None:
    """One of two versions may go; the last one takes the seam with it."""
    found = impact(Shelf(documents_of_the_example()), name, version)

    assert found is not None
    assert touched == {(one.kind, one.stops) for one in found}


@pytest.mark.parametrize("end", [{"to": "b"}, {"capability": "work"}], ids=["by name", "by capability"])
@pytest.mark.parametrize(
    ("left", "stops"),
    [
        ({"accepts": [{"contract": "c", "versions": ">=1 <2"}]}, False),
        ({"accepts": [{"contract": "c", "versions": ">=2 <3"}]}, True),
        ({"accepts": [{"contract": "d", "versions": "*"}]}, True),
    ],
    ids=["takes it", "takes the next version", "takes something else"],
)
def test_a_version_that_takes_something_else_does_not_stand_in(
    end: dict[str, str], left: dict[str, Any], *, stops: bool
) -> None:
    """Whoever retires the last version that takes a contract leaves the flow without a receiver."""
    edge = {"from": "a", "contract": "c", "versions": "*", **end}
    shelf = Shelf([
        document("Contract", "c"), document("Contract", "c", "2.0.0"), document("Contract", "d"),
        document("Agent", "b", offers=["work"], accepts=[{"contract": "c", "versions": ">=1 <2"}]),
        document("Agent", "b", "2.0.0", offers=["work"], **left),
        document("Flow", "f", edges=[{**edge, "versions": ">=1 <2"}]),
    ])  # fmt: skip

    found = impact(shelf, "b", "1.0.0") or ()

    assert [stops] == [one.stops for one in found if one.kind == "flow"]


@pytest.mark.parametrize(("taken", "targets", "stops"), [
    ({"contract": "c", "versions": ">=1 <2"}, ["b", "d"], ()),
    ({"contract": "c", "versions": ">=2 <3"}, ["b"], ("a",)),
    ({"contract": "other", "versions": ">=1 <2"}, ["b"], ("a",)),
])  # fmt: skip
def test_who_offers_a_capability_and_takes_something_else_is_no_way_of_work(
    taken: dict[str, Any], targets: list[str], stops: tuple[str, ...]
) -> None:
    """Nor does it stand in for who fails: nobody would be picked."""
    flow = document("Flow", "f", edges=[
        {"from": "operator", "to": "a", "contract": "c", "versions": ">=1 <2"},
        {"from": "a", "capability": "work", "contract": "c", "versions": ">=1 <2"},
    ])  # fmt: skip
    takes = [{"contract": "c", "versions": ">=1 <2"}]
    agents = [
        document("Agent", "a", accepts=takes),
        document("Agent", "b", offers=["work"], accepts=takes),
        document("Agent", "d", offers=["work"], accepts=[taken]),
    ]
    assert isinstance(flow, Flow)
    found = topology(flow, Shelf([document("Contract", "c"), *agents]))

    assert targets == [line.target for line in found.lines if line.source == "a"]
    assert [stops] == [one.stops for one in found.blast if one.agent == "b"]


def test_an_agent_that_offers_a_capability_no_more_does_not_stand_in() -> None:
    """Of two versions the first may be the only one that is chosen."""
    takes = [{"contract": "c", "versions": "*"}]
    shelf = Shelf([
        document("Agent", "b", offers=["work"], accepts=takes), document("Agent", "b", "2.0.0", accepts=takes),
        document("Flow", "f", edges=[{"from": "a", "capability": "work", "contract": "c"}]),
    ])  # fmt: skip

    assert [True] == [one.stops for one in impact(shelf, "b", "1.0.0") or ()]


@pytest.mark.parametrize(
    ("other", "stops"),
    [
        ({}, False),
        ({"versions": ">=1 <3"}, False),
        ({"versions": ">=1.1 <2"}, True),
        ({"to": "c"}, True),
        ({"contract": "d"}, True),
    ],
    ids=["the same", "more versions", "fewer versions", "to another", "under another contract"],
)
def test_a_flow_that_another_one_draws_as_well_may_go(other: dict[str, str], *, stops: bool) -> None:
    """As where it was published under another name."""
    edge = {"from": "a", "to": "b", "contract": "c", "versions": ">=1 <2"}
    shelf = Shelf([document("Flow", "f", edges=[edge]), document("Flow", "g", edges=[{**edge, **other}])])

    found = impact(shelf, "f") or ()

    assert {stops} == {one.stops for one in found if one.kind == "agent"}


def test_an_impact_names_what_counts_on_a_person() -> None:
    """By name or by role: contracts whose chain asks, teams, policies; each stops where too few are left."""
    rule = {"name": "sees", "when": "true", "effect": "require-approval", "message": "m"}
    asking = [{**rule, "approvers": {"roles": ["lawyer"]}}, {**rule, "name": "two", "approvers": {
        "roles": ["lawyer"], "count": 2}}]  # fmt: skip
    shelf = Shelf([
        document("Person", "ada", roles=["lawyer"]), document("Person", "grace", roles=["lawyer"]),
        document("Team", "legal", members=["ada"]), document("Team", "others", members=["grace"]),
        document("Team", "both", members=["ada", "grace"]), document("Policy", "wary", rules=asking),
        document("Contract", "named", owners={"team": "t", "contact": "c", "escalation": ["lawyer"]}),
        document("Contract", "first", onError={"action": "escalate", "to": "ada"}),
        document("Contract", "other", owners={"team": "lawyer", "contact": "c"}),
        document("Contract", "by-team", owners={"escalation": ["legal"]}),
        document("Contract", "then", onError={"action": "escalate", "to": "ada"}, owners={"escalation": ["both"]}),
    ])  # fmt: skip

    found = impact(shelf, "ada")

    assert found is not None
    assert {
        ("policy", "wary 1.0.0", "asks it by two", True), ("policy", "wary 1.0.0", "asks it by sees", False),
        ("team", "legal 1.0.0", "has it as a member", True),
        ("team", "both 1.0.0", "has it as a member", False),
        ("contract", "named 1.0.0", "is answered for by it", False),
        ("contract", "first 1.0.0", "is answered for by it", True),
        ("contract", "by-team 1.0.0", "is answered for by it", True),
        ("contract", "then 1.0.0", "is answered for by it", False),
    } == {(one.kind, one.what, one.how, one.stops) for one in found}  # fmt: skip


def test_an_impact_of_a_team_or_a_desk_says_who_is_left_to_answer() -> None:
    """A chain that nobody is in, and a case that lies nowhere, are what nobody finds out in time."""
    chain = {"escalation": ["legal"]}
    shelf = Shelf([
        document("Person", "ada"), document("Team", "legal", members=["ada"]), document("Agent", "desk", desk=True),
        document("Contract", "theirs", owners=chain),
        document("Contract", "shared", owners={"escalation": ["legal", "ada"]}),
    ])  # fmt: skip

    team, desk = impact(shelf, "legal") or (), impact(shelf, "desk") or ()
    two = impact(Shelf([*shelf.everything, document("Agent", "other", desk=True)]), "desk") or ()

    assert {("theirs 1.0.0", True), ("shared 1.0.0", False)} == {(one.what, one.stops) for one in team}
    assert [("desk", True)] == [(one.what, one.stops) for one in desk]
    assert [("desk", False)] == [(one.what, one.stops) for one in two]


def test_an_impact_names_the_tasks_that_run_and_knows_nothing_of_strangers() -> None:
    """A running task is touched; a name that no document has is no answer."""
    shelf = Shelf([document("Contract", "c")])

    assert impact(shelf, "d") is None
    running = impact(shelf, "c", "1.0.0", measured(measure(running=("t-1",))))
    assert ["t-1"] == [one.what for one in running or () if one.kind == "task"]


def test_a_review_puts_open_points_first_and_shows_what_changed_since_its_sign_off() -> None:
    """What was settled, what was opened, which documents are others by now; and whether the next one is overdue."""
    contract = document("Contract", "c")
    flow = flow_of(("a", "b"))
    before = seen(contract, document("Agent", "b", accepts=[{"contract": "c", "versions": "*"}]), flow)
    first = review(before)
    signed = sign_off(before, first, ("ada",), "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z")
    better = document("Contract", "c", owners={"escalation": ["head"]})
    accepting = document("Agent", "b", accepts=[{"contract": "c", "versions": "*"}])

    after = review(seen(better, accepting, flow, signed), signed)

    assert first.overdue
    assert [point.grave for point in first.open] == sorted((p.grave for p in first.open), reverse=True)
    assert after.changes is not None
    assert ("other content: Contract c 1.0.0",) == after.changes.documents
    assert "no-escalation" in {point.code for point in after.changes.settled}
    assert () == after.changes.opened
    assert after.overdue
    assert "was due on 2026-04-01" in after.due
    assert canonical(signed) == canonical(from_canonical(canonical(signed)))


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({}, "whatever its sender passes on; its document sets no bound"),
        ({"authority": {}}, "nothing; delegates no further"),
        ({"authority": {"effects": ["mail"], "depth": 1}}, "effects mail; depth 1"),
    ],
)
def test_a_review_says_what_a_receiver_may_do(stated: dict[str, Any], said: str) -> None:
    """A document that says nothing of authority bounds nothing, and one that says an empty one allows nothing."""
    found = seen(
        flow_of(("a", "b")),
        document("Contract", "c"),
        document("Agent", "a"),
        document("Agent", "b", accepts=[{"contract": "c", "versions": "*"}], **stated),
    )
    text = as_markdown(review_page(review(found)))

    assert f"authority of b 1.0.0: {said}" in text


def test_a_review_names_who_is_asked_in_their_order() -> None:
    """The owner is told, and asked where the chain names it."""
    owners = {"team": "seams", "contact": "seams@example.org", "escalation": ["ada", "on-call"]}
    for chain, said in ((owners, "ada → on-call"), ({**owners, "escalation": []}, "nobody")):
        found = seen(flow_of(("a", "b")), document("Contract", "c", owners=chain), document("Agent", "a"))

        assert f"asked at two in the morning: {said} (seams@example.org)" in as_markdown(
            review_page(review(found))
        )


def test_a_burnt_error_budget_is_a_grave_point() -> None:
    """Three refusals on a day that allows one."""
    budget = {"per": "day", "refusals": 1, "late": 5}
    documents = (
        document("Contract", "c", errorBudget=budget),
        document("Agent", "b", accepts=[{"contract": "c", "versions": "*"}]),
        flow_of(("a", "b")),
    )

    found = review(seen(*documents, asked=measured(measure(refused=3, late=1))))

    burnt = [point for point in found.open if point.code == "error-budget-burnt"]
    assert ["3 refusals in 1.0 days, 1 per day were agreed"] == [point.text for point in burnt]


@cache
def example_seen() -> Study:
    """Study the example once."""
    return seen(*documents_of_the_example())


def pages() -> list[Page]:
    """Make every page of the example."""
    one = example_seen()
    return [
        review_page(review(one)),
        audit_page(audit_seams(one)),
        ready_page(one.flow.title, seven_points(one, 30), 30, "nothing measured"),
        topology_page(topology(one.flow, one.shelf)),
    ]


@pytest.mark.parametrize("number", range(4))
def test_a_page_is_one_file_that_fetches_nothing(number: int) -> None:
    """No script, no address, landmarks, headings in order, enough contrast; Markdown begins with the title."""
    page = pages()[number]
    html = as_html(page)

    assert [] == faults(html)
    assert as_markdown(page).startswith(f"# {page.title}\n")


def test_what_documents_say_cannot_become_markup() -> None:
    """A reason is a text, whatever it looks like."""
    flow = flow_of(("a", "b", {"reason": "<script>alert(1)</script>"}))

    page = review_page(review(seen(document("Contract", "c"), flow)))

    assert "<script>" not in as_html(page)
    assert "<script>" not in as_markdown(page)


READS = MarkdownIt("commonmark").enable(["table", "strikethrough"])
SIGNS = st.lists(
    st.sampled_from([*"`*_~[]()!|\\<>&#-+=:.1a ", "&lt;", "](", "__", "1. ", "# ", "- ", "http"]), max_size=12
)


@given(SIGNS.map("".join))
@example("this.a*this.b*2 == this.total")
@example('this.x.matches("a\\|b") && this.__y__')
@example("[click](http://example.org) ![x](y)")
@example("1. no list")
def test_no_text_becomes_markup_in_markdown(text: str) -> None:
    """A rule that lost its asterisks on the way to a wiki says something else."""
    wanted = " ".join(text.split())
    blocks = (Words(text), Points((text,)), Table("c", ("rule", "says"), (("r", text),)), Heading(text))
    for block in blocks if wanted else ():
        shown = READS.render(as_markdown(Page("p", (block,))).partition("\n\n")[2])
        plain = unescape(re.sub(r"</?(?:p|ul|li|h2|table|thead|tbody|tr|th|td)>|\n", "\0", shown)).split("\0")
        assert wanted in [part.strip() for part in plain], shown


def test_a_document_does_not_steer_its_readers_terminal() -> None:
    """Neither in a sentence nor in a cell, nor in what is shown as it is; lines and tabs stay there."""
    text = "a\x1b[2J\x9b\x00"
    shown = as_markdown(
        Page(text, (Words(text), Table("c", (text,), ((text,),)), Verbatim("c", f"b\n\t{text}")))
    )

    assert all(sign.isprintable() or sign in "\n\t" for sign in shown)
    assert "b\n\ta\ufffd[2J\ufffd\ufffd" in shown


def test_what_is_shown_as_it_is_stays_inside_of_its_fence() -> None:
    """However many backticks it holds."""
    shown = READS.render(as_markdown(Page("p", (Verbatim("c", "a\n`````\n# b"),))))

    assert '<pre><code class="language-text">a\n`````\n# b\n</code></pre>' in shown


def test_what_is_wrong_with_a_contract_is_told_of_its_own_seam_alone(tmp_path: Path) -> None:
    """Also where both contracts stand in one file."""
    good = {
        "kind": "Contract",
        "apiVersion": "seamwork.dev/v1",
        **GOOD,
        "metadata": {"name": "good", "version": "1.0.0"},
    }
    bad = {**good, "metadata": {"name": "bad", "version": "1.0.0"}, "spec": {**GOOD["spec"], "examples": [
        {"name": "wrong", "payload": {}, "violates": ["schema"]}
    ]}}  # fmt: skip
    edges = [
        {"from": "operator", "to": "a", "contract": name, "versions": ">=1 <2", "reason": "it is needed"}
        for name in ("good", "bad")
    ]
    flow = {**good, "kind": "Flow", "metadata": {"name": "f", "version": "1.0.0"}, "spec": {"edges": edges}}
    (tmp_path / "all.yaml").write_text("---\n".join(map(write_yaml, (good, bad, flow))))
    documents, problems = gather([tmp_path])
    (the_flow,) = (one for one in documents if isinstance(one, Flow))
    found = study(the_flow, documents, NOW)

    assert () == problems
    of_good, of_bad = ({problem.code for problem in found.problems_of(seam)} for seam in found.seams)
    assert "example-differs" in of_bad
    assert "example-differs" not in of_good


GOOD: dict[str, Any] = {
    "spec": {
        "purpose": "It is agreed.",
        "owners": {"team": "seams", "contact": "here", "escalation": ["ada"]},
        "input": {"schema": {}},
        "outputs": {"success": {"schema": {}}, "error": {"schema": {}}},
        "summary": {
            "state": "s",
            "proposedAction": "p",
            "asks": "a",
            "answers": {"approve": "y", "reject": "n"},
        },
    }
}


def test_two_agents_that_offer_one_capability_prove_no_change() -> None:
    """Two versions of one of them do, and two versions of the contract."""
    lately: dict[str, Any] = {"proven_at": NOW - 1}

    def stands(*seams: SeamMeasure) -> str:
        (point,) = (p for p in seven_points(seen(*CHANGEABLE, asked=measured(*seams)), 30) if p.number == 7)
        return point.state

    assert "declared" == stands(measure(receivers=("b@1.0.0", "d@1.0.0"), **lately))
    assert "proven" == stands(measure(receivers=("b@1.0.0", "b@1.0.1"), **lately))
    assert "proven" == stands(
        measure(receivers=("b@1.0.0",), **lately), measure(receivers=("b@1.0.0",), version="1.1.0", **lately)
    )


CHANGEABLE = (
    flow_of(("a", "b")),
    document("Contract", "c"),
    document("Agent", "b", accepts=[{"contract": "c", "versions": ">=1 <2"}]),
)


def test_the_operator_begins_beside_initiators_and_nobody_waits_for_it() -> None:
    """It has no document in anybody's folder, and is no agent that could fail."""
    flow = flow_of(("operator", "a"), ("cron", "a"), ("a", "b"))
    for documents in ([], [document("Agent", "cron", initiator=True), document("Agent", "a")]):
        found = topology(flow, Shelf(documents))

        assert (("cron", "operator"), ("a", "b")) == (found.begins, found.agents)


def test_names_stay_in_their_boxes() -> None:
    """As long as a name may be."""
    long, longer = "a" * 41, "b" * 41
    drawn = as_html(topology_page(topology(flow_of(("operator", long), ("operator", longer)), Shelf([]))))

    assert all(int(wide) >= 41 * 9 for wide in re.findall(r'<rect [^>]*width="(\d+)"', drawn))


class _Counting(Shelf):
    """Counts how often it is looked through for agents."""

    asked = 0

    def agents(self, name: str) -> tuple[Agent, ...]:
        """Return the versions of an agent."""
        self.asked += 1
        return super().agents(name)


def test_a_large_flow_is_looked_at_once_and_not_once_for_each_agent() -> None:
    """Five hundred edges are allowed; for each of their agents anew they took a quarter of an hour."""
    names = [f"a-{number}" for number in range(60)]
    flow = flow_of(*((names[(number - 1) // 2], name) for number, name in enumerate(names) if number))
    shelf = _Counting([flow, document("Contract", "c"), *(document("Agent", name) for name in names)])
    topology(flow, shelf)

    assert shelf.asked < 10 * len(names)


@pytest.mark.parametrize(
    ("expr", "held"),
    [
        ("this.n == request.n", True),
        ("this.n == 1", False),
        ("this.n == requested.n", False),
        ("this.n == request.", False),
    ],
)
def test_a_rule_that_cannot_be_read_holds_no_answer_against_its_request(expr: str, *, held: bool) -> None:
    """A slip of the pen is no check."""
    rule = {"name": "rule", "expr": expr, "message": "It does not hold."}

    assert held is holds_against_request(Promise.model_validate({"schema": {}, "rules": (rule,)}))
