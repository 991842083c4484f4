"""The show says so when the story came out differently: a promise that cannot be broken promises nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from licence_audit.facts import AuditEntry, AuditReport, DistributionRef, EntryStatus, ReportRequest
from licence_audit.report import compose
from licence_audit.show.acts import Act, Answers, Outage, Ungoverned
from licence_audit.show.checks import SILENT, Story, checks
from licence_audit.show.closing import service_lines, since
from licence_audit.show.watching import Course, Refusal
from licence_audit.ungoverned import falsehoods
from seamwork.agent import Submitted
from seamwork.platform.views import CrossingView, Summary, Tally, Trace

HIDDEN, PLAIN = "copyleft", "plain"


def report(**found: tuple[str | None, EntryStatus]) -> AuditReport:
    """A report with these expressions and statuses by name."""
    entries = (
        AuditEntry(
            ref=DistributionRef(name=name, version="1", source="samples", metadata_dir=f"{name}-1.dist-info"),
            status=status,
            expression=expression,
            rule="r",
            reason="because",
            step="done",
        )
        for name, (expression, status) in found.items()
    )
    return compose(ReportRequest(title="t", entries=tuple(entries)))


def act(
    outcome: str, told: AuditReport, *, ended_at: int | None = 1, refusals: tuple[Refusal, ...] = ()
) -> Act:
    """What came of one task with one handoff."""
    root = CrossingView(
        id="c", mode="delegate", step="root", ordinal=0, contract="c@1", source="s", target="t",
        status="accepted", at=0, position="handoffs.v1 0/0", ended_at=ended_at,
    )  # fmt: skip
    trace = Trace(task="t", state="complete", roots=(root,))
    return Act(Submitted("t", "c"), told, outcome, Course(refusals=list(refusals)), trace, 1.0)


TOLD = report(copyleft=("MIT", "allowed"), plain=("MIT", "allowed"))
TRUE = report(copyleft=("MIT AND GPL-3.0-only", "needs-approval"), plain=("MIT", "allowed"))
PARTIAL = report(copyleft=(None, "incomplete"), plain=("MIT", "allowed"))
FINAL = report(copyleft=("MIT AND GPL-3.0-only", "not-approved"), plain=("MIT", "allowed"))
GONE = Refusal("extract/x", "a@1", "handoff", "policy-engine", SILENT, "it was silent")


def as_promised() -> Story:
    """A story that came out as it should."""
    return Story(
        first=Ungoverned(TOLD, TRUE, falsehoods(TOLD, TRUE)),
        second=act("partial", PARTIAL),
        outage=Outage(before=3, during=0, watched_s=3.0, away_s=5.0, went_on=True),
        third=act("success", FINAL),
        answers=Answers({"r": "expired"}),
    )


def test_a_story_that_came_out_right_breaks_nothing() -> None:
    """Every check holds."""
    assert [] == [each for each in checks(as_promised()) if not each.holds]


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        pytest.param(
            lambda s: replace(s, first=Ungoverned(TRUE, TRUE, ())), "ungoverned, the report", id="no drift"
        ),
        pytest.param(
            lambda s: replace(
                s, second=act("partial", report(copyleft=(None, "incomplete"), plain=(None, "incomplete")))
            ),
            "just the packages",
            id="one too many refused",
        ),
        pytest.param(
            lambda s: replace(s, second=act("partial", TOLD)), "just the packages", id="nothing refused"
        ),
        pytest.param(
            lambda s: replace(s, second=act("success", PARTIAL)), "labelled partial", id="gaps without label"
        ),
        pytest.param(
            lambda s: replace(s, outage=replace(s.outage, during=1)), "nothing was admitted", id="a leak"
        ),
        pytest.param(
            lambda s: replace(s, outage=replace(s.outage, went_on=False)), "came back in time", id="it hangs"
        ),
        pytest.param(
            lambda s: replace(s, second=act("partial", PARTIAL, refusals=(GONE,))),
            "came back in time",
            id="too late",
        ),
        pytest.param(
            lambda s: replace(s, third=act("partial", PARTIAL)), "the report is complete", id="still gaps"
        ),
        pytest.param(lambda s: replace(s, answers=Answers()), "put before a person", id="nobody was asked"),
        pytest.param(
            lambda s: replace(s, answers=Answers({"r": "approved"})),
            "put before a person",
            id="another answer than reported",
        ),
        pytest.param(
            lambda s: replace(s, third=act("success", TRUE)), "put before a person", id="nothing came of it"
        ),
        pytest.param(
            lambda s: replace(
                s,
                third=act(
                    "success",
                    report(copyleft=("MIT AND GPL-3.0-only", "not-approved"), plain=("ISC", "allowed")),
                ),
            ),
            "everything else",
            id="another finding",
        ),
        pytest.param(
            lambda s: replace(s, third=act("success", FINAL, ended_at=None)), "nothing was lost", id="lost"
        ),
    ],
)
def test_a_story_that_came_out_differently_is_told(change: Callable[[Story], Story], broken: str) -> None:
    """The promise that does not hold is named."""
    found = [each.promise for each in checks(change(as_promised())) if not each.holds]

    assert [each for each in found if broken in each], found


def tally(name: str, records: int, detail: str = "") -> Tally:
    """One line of a summary."""
    return Tally(name=name, records=records, detail=detail)


def test_a_run_counts_what_it_did_and_not_what_was_done_before() -> None:
    """What an earlier run left in the audit is taken off, and what stood still is left out."""
    before = Summary(records=10, verdicts=(tally("cost-cap", 4, "ALLOW"), tally("cost-cap", 1, "DENY")))
    verdicts = (
        tally("cost-cap", 6, "ALLOW"),
        tally("cost-cap", 1, "DENY"),
        tally("policy-engine", 2, "ALLOW"),
    )
    after = Summary(records=30, verdicts=verdicts)

    done = since(before, after)

    assert (20, (tally("cost-cap", 2, "ALLOW"), tally("policy-engine", 2, "ALLOW"))) == (
        done.records,
        done.verdicts,
    )


def test_every_service_has_its_line() -> None:
    """One that did nothing says so."""
    lines: Any = dict(line.split(None, 1) for line in service_lines(Summary(records=0)))

    assert {
        "contract-validator", "policy-engine", "cost-cap", "approval-workflow", "router", "audit-sink",
    } == set(lines)  # fmt: skip
    assert lines["cost-cap"].endswith("nothing")
