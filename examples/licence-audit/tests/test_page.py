"""The page of a run says what it came to, and reads anywhere: offline, by keyboard, in the dark, on a telephone."""

from dataclasses import replace
from pathlib import Path

import pytest

from licence_audit.facts import AuditEntry, AuditReport, DistributionRef, EntryStatus, ReportRequest
from licence_audit.report import compose
from licence_audit.show.acts import Act, Answers, Outage, Ungoverned
from licence_audit.show.checks import Story, checks
from licence_audit.show.governed import read_documents
from licence_audit.show.page import run_page
from licence_audit.show.watching import Course
from licence_audit.ungoverned import falsehoods
from seamwork.agent import Submitted
from seamwork.platform.views import (
    AttemptView,
    Blame,
    CrossingView,
    DecisionView,
    DispatchView,
    ResultView,
    Trace,
    TroubleView,
    VerdictView,
)
from seamwork.seams.page import as_html, as_markdown
from seamwork.testing.html import browser, faults, measured

NAME = "a-distribution-with-a-name-that-is-longer-than-any-telephone-is-wide-and-has-no-place-to-break"
RULE = "rule:every-identifier-accounted-for"
REASON = "An identifier that the declared expression mentions is missing in the facts."


def report(title: str, expression: str | None, status: EntryStatus) -> AuditReport:
    """A report with one distribution that matters, and others."""
    entries = [
        AuditEntry(
            ref=DistributionRef(name=name, version="1", source="samples", metadata_dir="a-1.dist-info"),
            status=said, expression=expression if name == NAME else "MIT", rule="r", reason="because <b>",
            step="done",
        )
        for name, said in ((NAME, status), ("plain", "allowed"), ("other", "no-licence"))
    ]  # fmt: skip
    return compose(ReportRequest(title=title, entries=tuple(entries)))


def judged(at: str, outcome: str, rule: str, reason: str, kind: str) -> AttemptView:
    """One judgement of a record."""
    verdict = VerdictView(
        gate="contract-validator",
        gate_version="0.1.0",
        outcome=outcome,
        rule=rule,
        reason=reason,
        latency_ms=7,
    )
    decision = DecisionView(kind=kind, at=2, rule=rule, reason=reason)
    return AttemptView(attempt=1, position=at, verdicts=(verdict,), decisions=(decision,))


def refused() -> CrossingView:
    """A handoff whose answer was refused."""
    answer = ResultView(
        id="r", source="extractor@2.0.0", outcome="success", status="refused", at=2, position="handoffs.v1 1/72",
        attempts=(judged("handoffs.v1 1/72", "DENY", RULE, REASON, "refused"),),
    )  # fmt: skip
    dispatch = DispatchView(
        id="d",
        number=1,
        receiver="extractor@2.0.0",
        at=1,
        status="violation",
        latency_ms=186,
        results=(answer,),
    )
    return CrossingView(
        id="c", mode="delegate", step=f"extract/{NAME}", ordinal=0, contract="licence-facts@1.0.0",
        source="planner@1.0.0", target="any extract-licence", status="closed", at=0, position="handoffs.v1 1/51",
        ended_at=3, attempts=(judged("handoffs.v1 1/51", "ALLOW", "holds", "", "dispatched"),),
        dispatches=(dispatch,),
    )  # fmt: skip


def act(outcome: str, told: AuditReport, *roots: CrossingView) -> Act:
    """What came of one task."""
    trace = Trace(task="t", state="complete", begun_at=1_767_225_600_000, roots=roots)
    return Act(Submitted("t", "c"), told, outcome, Course(), trace, 1.0)


def story() -> Story:
    """A run in which one distribution was believed, refused and put right."""
    told = report("Ungoverned", "MIT", "allowed")
    true = report("True", "MIT AND GPL-3.0-only", "needs-approval")
    return Story(
        first=Ungoverned(told, true, falsehoods(told, true)),
        second=act("partial", report("Governed", None, "incomplete"), refused()),
        outage=Outage(before=3, during=0, watched_s=3.0, away_s=5.0, went_on=True),
        third=act("success", report("Mended", "MIT AND GPL-3.0-only", "not-approved")),
        answers=Answers({"r": "expired"}),
    )


def page_of(told: Story) -> str:
    """The page as a file."""
    trouble = TroubleView(
        what="refused", at=2, record_kind="result", source="extractor@2.0.0", rule=RULE, reason=REASON
    )
    blame = Blame(task="t", state="partial", trouble=trouble)
    page = run_page(told, blame, checks(told), read_documents(), ("    router   decided 3: 1 refused",))
    assert as_markdown(page).startswith(f"# {page.title}\n")
    return as_html(page)


def test_it_shows_the_reports_the_topology_and_the_refusal() -> None:
    """What was believed beside what is so; who hands work to whom; which rule refused, and where in the log."""
    html = page_of(story())

    assert f"{NAME} 1</th>" in html
    assert "MIT: allowed</td>" in html
    assert "MIT AND GPL-3.0-only: not approved</td>" in html
    assert 3 == html.count("<summary>All 3 distributions</summary>")
    assert "<svg " in html
    assert all(f">{agent}</text>" in html for agent in ("operator", "planner", "extractor", "compliance"))
    assert f"{RULE}: {REASON}</td>" in html
    assert "at handoffs.v1 1/72" in html
    assert "because &lt;b&gt;" in html
    assert "10 of 10 promises of the story held." in html


def test_it_does_not_hide_what_was_not_kept() -> None:
    """A promise that was broken is named, and nothing is shown where nothing was refused."""
    html = page_of(replace(story(), second=act("success", report("Governed", None, "incomplete"))))

    assert "9 of 10 promises of the story held." in html
    assert "no: success</td>" in html
    assert "Nothing was refused." in html


def test_it_reads_anywhere() -> None:
    """Landmarks, headings in order, tables with captions, contrast in light and dark, and nothing to fetch."""
    assert [] == faults(page_of(story()))


@pytest.mark.skipif(browser() is None, reason="there is no Chromium or Chrome here to look at the page with")
@pytest.mark.parametrize(("width", "dark"), [(360, False), (1200, True)], ids=["telephone", "desk, dark"])
def test_it_is_looked_at_in_a_browser(tmp_path: Path, width: int, dark: bool) -> None:  # noqa: FBT001  # a case
    """No wider than its window, nothing cut off, all that scrolls in reach of the keyboard, dark where asked."""
    seen = measured(browser() or "", page_of(story()), tmp_path, width=width, dark=dark)

    assert {"overflow": 0, "clipped": 0, "cannot": 0, "fetched": 0} == {
        name: seen[name] for name in ("overflow", "clipped", "cannot", "fetched")
    }
    assert ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)") == seen["ground"]
    assert seen["height"] > 500
