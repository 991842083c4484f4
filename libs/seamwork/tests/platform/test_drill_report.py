"""What a drill found out is put together from the record, the documents and what the notifier did."""

import pytest
from msgspec.structs import replace

from seamwork.catalog import Catalog
from seamwork.ids import derived
from seamwork.platform.drilled import Told, report
from seamwork.platform.drills import SEAM
from seamwork.platform.views import AskedView, CaseView, CrossingView, Trace, TroubleView
from seamwork.testing.documents import document

HOOK = {"url": "https://hooks.example.org/x", "secret": "x"}
CATALOG = Catalog.of(
    (
        document(
            "Contract", "facts",
            owners={"team": "seams", "contact": "c", "escalation": ["ada", "on-call", "ghost"]},
        ),
        document("Person", "ada", roles=["legal"], webhook=HOOK),
        document("Person", "bob", roles=["on-call"]),
        document("Team", "seams", members=["bob"], webhook=HOOK),
    )
)  # fmt: skip
CASE = CaseView(
    id="d-1", at=1_100, why="violation", rule="drill", chain=("ada", "on-call", "ghost"), expires_at=200_000,
    asked=(
        AskedView(to="ada", at=1_100, position="decisions.v1 0/7"),
        AskedView(to="on-call", at=61_100, position="decisions.v1 0/9"),
    ),
)  # fmt: skip


def drilled(case: CaseView | None, *troubles: TroubleView, ended_at: int | None = None) -> Trace:
    """Return the record of a drill that began at 1,000."""
    root = CrossingView(
        id="c-1", mode="delegate", step="drill", ordinal=0, contract="facts@1.0.0", source="operator",
        target="extractor", status="open", at=1_000, position="handoffs.v1 0/1", ended_at=ended_at,
        cases=() if case is None else (case,),
    )  # fmt: skip
    return Trace(
        task="t-1",
        state="running",
        intent=f"{SEAM}planner → extractor",
        roots=(root,),
        drill=True,
        troubles=troubles,
    )


def trouble(what: str) -> TroubleView:
    """Return what went wrong with it."""
    return TroubleView(what=what, at=1_050, gate="policy-engine", rule="no-drills", reason="not today")


def test_whoever_was_asked_stands_with_who_was_told_and_after_how_long() -> None:
    """By the id that the notifier gave it; who has no webhook is told by log and metric alone."""
    sent = derived("notification", "decisions.v1", 0, 7, "person:ada")
    found = report(CATALOG, drilled(CASE), {sent: ("delivered", 2, 1_400)})
    ada, on_call = found.reached

    assert ("planner → extractor", "open", "d-1", False) == (found.seam, found.state, found.case, found.over)
    assert (("ada",), 100, ("bob",), 60_100) == (ada.people, ada.after_ms, on_call.people, on_call.after_ms)
    assert (
        Told(owner="person:ada", carried="delivered", after_ms=300, tries=2),
        Told(owner="team:seams", carried="waiting"),
    ) == ada.told
    assert (
        Told(owner="person:bob", carried="no-webhook"),
        Told(owner="team:seams", carried="waiting"),
    ) == on_call.told
    assert (("ghost",), ("ghost",)) == (found.not_reached, found.unknown)


def test_where_the_notifier_is_elsewhere_nothing_is_said_for_it() -> None:
    """Its metrics are."""
    found = report(CATALOG, drilled(CASE), None)

    assert ["unknown", "unknown", "no-webhook", "unknown"] == [
        told.carried for one in found.reached for told in one.told
    ]


@pytest.mark.parametrize(
    ("troubles", "state", "said"),
    [
        ((), "pending", ""),
        ((trouble("refused"),), "refused", "by policy-engine, no-drills: not today"),
        ((trouble("escalated"),), "nobody", "no desk is in force"),
    ],
    ids=["nothing", "refused", "nobody"],
)
def test_a_drill_without_a_case_says_why(troubles: tuple[TroubleView, ...], state: str, said: str) -> None:
    """It was refused, or nobody could be asked: then real work would have failed."""
    found = report(CATALOG, drilled(None, *troubles, ended_at=1_060), {})

    assert (state, state != "pending") == (found.state, found.over)
    assert said in found.said
    assert (None if state == "pending" else 60) == found.ended_after_ms


def test_what_became_of_the_case_is_what_became_of_the_drill() -> None:
    """Somebody answered, after so long; of an open one nothing is said yet."""
    over = report(CATALOG, drilled(replace(CASE, status="resolved", ended="ada: retry", ended_at=3_000)), {})

    assert ("resolved", "ada: retry", 2_000, True) == (over.state, over.said, over.ended_after_ms, over.over)
    assert (None, "") == (
        report(CATALOG, drilled(CASE), {}).ended_after_ms,
        report(CATALOG, drilled(CASE), {}).said,
    )
