from licence_audit.agents import extractor
from licence_audit.discover import Roots, discover
from licence_audit.facts import (
    MAX_MARKDOWN_CHARS,
    AuditEntry,
    AuditRequest,
    DistributionRef,
    EntryStatus,
    ReportRequest,
)
from licence_audit.report import INCOMPLETE, compose, side_by_side
from licence_audit.ungoverned import audit, falsehoods


def entry(name: str, status: EntryStatus, reason: str = "because") -> AuditEntry:
    """One row."""
    ref = DistributionRef(name=name, version="1", source="samples", metadata_dir="x-1.dist-info")
    return AuditEntry(ref=ref, status=status, expression="MIT", rule="r", reason=reason, step="done")


def test_a_later_entry_replaces_the_earlier_one() -> None:
    """A follow-up's finding stands where the incomplete check stood."""
    report = compose(
        ReportRequest(
            title="t",
            entries=(entry("a", "allowed"),),
            carried=(entry("a", "incomplete"), entry("b", "unknown")),
        )
    )

    assert [("a", "allowed"), ("b", "unknown")] == [(each.ref.name, each.status) for each in report.entries]
    assert (1, 1, 0) == (report.counts.allowed, report.counts.unknown, report.counts.incomplete)


def test_an_incomplete_check_is_said_in_words() -> None:
    """Nobody takes a check that stopped for a finding."""
    report = compose(ReportRequest(title="t", entries=(entry("a", "incomplete", "the answer was refused"),)))

    assert f"| a | 1 | MIT | {INCOMPLETE} |" in report.markdown
    assert "- **a 1** (MIT): the answer was refused" in report.markdown


def test_a_name_cannot_change_the_report() -> None:
    """Markdown in a distribution's name stays text."""
    report = compose(ReportRequest(title="t", entries=(entry("a|[x](y)\n# z", "allowed"),)))

    assert "| a\\|\\[x\\](y) # z | 1 | MIT | allowed |" in report.markdown


def test_a_report_that_is_too_long_says_so() -> None:
    """The reading copy ends early; entries and counts are complete."""
    entries = tuple(entry(f"{number:03}{'n' * 120}", "unknown", "r" * 400) for number in range(400))

    report = compose(ReportRequest(title="t", entries=entries))

    assert 400 == len(report.entries) == report.counts.unknown
    assert len(report.markdown) <= MAX_MARKDOWN_CHARS
    assert report.markdown.endswith("the entries are complete.\n")


async def test_the_ungoverned_report_is_false_about_named_distributions() -> None:
    """Every check succeeds, one copyleft is called allowed, and only a comparison can say so."""
    request = AuditRequest(environment=False)
    report = await audit(request)
    wrong = falsehoods(report, await audit(request, extractor.agent))

    assert 0 == report.counts.incomplete == report.counts.needs_approval == report.counts.not_approved
    assert ["sample-joined-copyleft"] == [each.name for each in wrong if each.hides_a_problem]
    assert {"sample-either-branch", "sample-joined-copyleft", "sample-with-exception"} == {
        each.name for each in wrong
    }


async def test_the_samples_guarantee_their_three_findings(roots: Roots) -> None:
    """On every machine one package needs a person, some are hit by the drift, one has no licence."""
    report = await audit(AuditRequest(environment=False), extractor.agent)

    assert (1, 1) == (report.counts.needs_approval, report.counts.no_licence)
    assert len(discover(AuditRequest(environment=False), roots).refs) == len(report.entries)


def test_two_reports_are_compared_where_they_differ() -> None:
    """Rows that agree are left out."""
    left = compose(ReportRequest(title="before", entries=(entry("a", "allowed"), entry("b", "allowed"))))
    right = compose(ReportRequest(title="after", entries=(entry("a", "allowed"), entry("b", "not-approved"))))

    table = side_by_side(left, right)

    assert "| b 1 | MIT: allowed | MIT: not approved |" in table
    assert "| a 1 |" not in table
