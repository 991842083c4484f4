"""
The last step: join what was found, and what was not, into one report that a person can read.

A distribution whose check stopped stands in the report like every other; the report never looks
complete by leaving it out.
"""

from collections.abc import Iterable, Iterator

from licence_audit.facts import (
    MAX_MARKDOWN_CHARS,
    AuditEntry,
    AuditReport,
    Counts,
    DistributionRef,
    EntryStatus,
    ReportRequest,
)

INCOMPLETE = "compliance check incomplete, manual review required"

_CUT = "\n\nThe text ends here because it is too long; the entries are complete.\n"

_SECTIONS: tuple[tuple[EntryStatus, str, str], ...] = (
    ("incomplete", "Manual review required", INCOMPLETE),
    ("not-approved", "Not approved", "may not be used"),
    ("needs-approval", "Waiting for approval", "copyleft; nobody has answered"),
    ("no-licence", "No licence", "nothing says under which terms it may be used"),
    ("unknown", "Unknown", "the policy does not know the licence"),
    ("allowed-by-exception", "Allowed by exception", "copyleft; a person approved its use"),
)
_WORDS: dict[EntryStatus, str] = {
    "allowed": "allowed",
    "allowed-by-exception": "allowed by exception",
    "needs-approval": "needs approval",
    "not-approved": "not approved",
    "unknown": "unknown",
    "no-licence": "no licence",
    "incomplete": INCOMPLETE,
}


def compose(request: ReportRequest) -> AuditReport:
    """Join this audit's entries with the carried ones and write the report."""
    entries = join(request.carried, request.entries)
    counts = Counts.of(entries)
    return AuditReport(
        title=request.title,
        entries=entries,
        counts=counts,
        left_out=request.left_out,
        markdown=_bounded(_lines(request.title, entries, counts, request.left_out)),
    )


def join(earlier: Iterable[AuditEntry], later: Iterable[AuditEntry]) -> tuple[AuditEntry, ...]:
    """Let the later entry of a distribution replace the earlier one, and put all in order of name."""
    by_ref: dict[DistributionRef, AuditEntry] = {entry.ref: entry for entry in (*earlier, *later)}
    return tuple(sorted(by_ref.values(), key=lambda entry: (entry.ref.name.lower(), entry.ref.version)))


def headline(counts: Counts) -> str:
    """Say in one line how the audit ended."""
    total = sum(counts.model_dump().values())
    parts = [f"{total} distributions", f"{counts.allowed} allowed"]
    for status, _, _ in reversed(_SECTIONS):
        number = getattr(counts, status.replace("-", "_"))
        if number:
            words = "incomplete" if status == "incomplete" else _WORDS[status]
            parts.append(f"{number} {words}")
    return ", ".join(parts)


def says(entry: AuditEntry | None) -> str:
    """Say in one line what a report says of a distribution; a dash where it says nothing."""
    return "-" if entry is None else f"{entry.expression or '-'}: {_WORDS[entry.status]}"


def side_by_side(left: AuditReport, right: AuditReport) -> str:
    """Write, as a Markdown table, the distributions about which two reports say different things."""
    ours = {entry.ref: entry for entry in left.entries}
    theirs = {entry.ref: entry for entry in right.entries}
    refs = [entry.ref for entry in join(left.entries, right.entries)]
    lines = [f"| distribution | {_cell(left.title)} | {_cell(right.title)} |", "|---|---|---|"]
    for ref in refs:
        told = tuple(says(side.get(ref)) for side in (ours, theirs))
        if told[0] != told[1]:
            lines.append(f"| {_cell(f'{ref.name} {ref.version}')} | {_cell(told[0])} | {_cell(told[1])} |")
    lines.append(f"| **together** | {headline(left.counts)} | {headline(right.counts)} |")
    return "\n".join(lines) + "\n"


def _bounded(lines: Iterable[str]) -> str:
    text = "\n".join(lines) + "\n"
    if len(text) <= MAX_MARKDOWN_CHARS:
        return text
    # The entries hold everything; only the reading copy ends early, and says so.
    return text[: MAX_MARKDOWN_CHARS - len(_CUT)].rpartition("\n")[0] + _CUT


def _lines(title: str, entries: tuple[AuditEntry, ...], counts: Counts, left_out: int) -> Iterator[str]:
    yield f"# {_cell(title)}"
    yield ""
    yield f"{headline(counts)}."
    if left_out:
        yield ""
        yield (
            f"{left_out} more distributions were found and not audited: they are beyond the request's limit, or "
            "the name of their directory cannot be passed on."
        )
    for status, heading, meaning in _SECTIONS:
        chosen = [entry for entry in entries if entry.status == status]
        if chosen:
            yield ""
            yield f"## {heading}"
            yield ""
            yield f"{meaning[0].upper()}{meaning[1:]}."
            yield ""
            yield from (_item(entry) for entry in chosen)
    yield ""
    yield "## All distributions"
    yield ""
    yield "| distribution | version | licence | status |"
    yield "|---|---|---|---|"
    for entry in entries:
        cells = (entry.ref.name, entry.ref.version, entry.expression or "-", _WORDS[entry.status])
        yield f"| {' | '.join(map(_cell, cells))} |"


def _item(entry: AuditEntry) -> str:
    licence = "" if entry.expression is None else f" ({_cell(entry.expression)})"
    return f"- **{_cell(entry.ref.name)} {_cell(entry.ref.version)}**{licence}: {_cell(entry.reason)}"


def _cell(text: str) -> str:
    # A name is the author's text: it may not open a column, a line, a link or a tag in our report.
    flat = " ".join(text.split())
    return "".join(f"\\{each}" if each in "\\|`*_[]<>" else each for each in flat)
