"""
Set a run as one page to look at: what was believed and what is so, the reports, the topology, a refusal's trace.

It is one file that fetches nothing, so it can be mailed to whoever was not there.
"""

from collections.abc import Iterator

from licence_audit.facts import AuditEntry, AuditReport, EntryStatus
from licence_audit.report import headline, join, says
from licence_audit.show.acts import Act
from licence_audit.show.checks import Check, Story, crossings_of
from seamwork.contracts.shelf import Shelf
from seamwork.documents import AnyDocument
from seamwork.platform.views import AttemptView, Blame, CrossingView
from seamwork.platform.wording import blame_line, render_crossing
from seamwork.records.wire import rfc3339
from seamwork.seams.drawing import drawing
from seamwork.seams.page import Block, Cell, Folded, Heading, Page, Points, Table, Tone, Verbatim, Words
from seamwork.seams.seam import latest_flows
from seamwork.seams.topology import topology

TITLE = "The licence audit, ungoverned and governed"
_TONES: dict[EntryStatus, Tone] = {
    "allowed": "good",
    "allowed-by-exception": "good",
    "needs-approval": "fair",
    "not-approved": "bad",
    "unknown": "fair",
    "no-licence": "fair",
    "incomplete": "bad",
}
_WIDTH = 88


def run_page(  # a page of all that a run came to
    story: Story,
    blame: Blame,
    found: tuple[Check, ...],
    documents: tuple[AnyDocument, ...],
    service_lines: tuple[str, ...],
) -> Page:
    """Set what the three acts came to."""
    first, second, third = story.first, story.second, story.third
    kept = sum(each.holds for each in found)
    blocks: list[Block] = [
        Words(
            "The same agents audited the licences of one Python environment three times: wired to each other as "
            "everybody wires them, then through Seamwork, then once more after the faulty agent was replaced."
        ),
        Words(f"{kept} of {len(found)} promises of the story held.", "good" if kept == len(found) else "bad"),
        Heading("What was believed, and what is so"),
        Words(
            f"Without gates the report was all green and wrong about {len(first.false)} distributions. Through "
            "Seamwork just those were refused at the seam where they went wrong, and once the agent was mended "
            "they were audited again."
        ),
        _side_by_side(first.report, third.report),
        Heading("The ungoverned report"),
        *_report(first.report, "wrong about what the table above lists, and not one check failed"),
        Heading("The governed report"),
        *_report(second.report, "what could not be trusted says so"),
        Heading("The report once it was mended"),
        *_report(third.report, "only what was open was done again"),
        Heading("Who hands work to whom"),
        *_topology(documents),
        Heading("The trace of a refused crossing"),
        *_refused(second, blame),
        Heading("What each service did"),
        Points(tuple(" ".join(line.split()) for line in service_lines)),
        Heading("As promised?"),
        Table(
            "What was to be shown, and whether it was",
            ("promise", "held"),
            tuple(
                (each.promise, Cell("yes", "good") if each.holds else Cell(f"no: {each.found}", "bad"))
                for each in found
            ),
        ),
    ]
    begun = second.trace.begun_at
    when = "" if begun is None else f" on {rfc3339(begun)[:10]}"
    return Page(TITLE, tuple(blocks), f"Written by make run{when}. Task {second.submitted.task}.")


def _side_by_side(left: AuditReport, right: AuditReport) -> Table:
    ours, theirs = ({entry.ref: entry for entry in each.entries} for each in (left, right))
    rows = [
        (f"{ref.name} {ref.version}", _said(ours.get(ref)), _said(theirs.get(ref)))
        for ref in (entry.ref for entry in join(left.entries, right.entries))
        if says(ours.get(ref)) != says(theirs.get(ref))
    ]
    together = ("together", headline(left.counts), headline(right.counts))
    return Table(
        "Distributions about which the first and the last report differ",
        ("distribution", "ungoverned", "governed and mended"),
        (*rows, together),
    )


def _said(entry: AuditEntry | None) -> Cell:
    return Cell("-") if entry is None else Cell(says(entry), _TONES[entry.status])


def _report(report: AuditReport, remark: str) -> Iterator[Block]:
    yield Words(f"{headline(report.counts)}: {remark}.")
    odd = [entry for entry in report.entries if entry.status != "allowed"]
    if odd:
        yield Points(tuple(f"{entry.ref.name} {entry.ref.version}: {entry.reason}" for entry in odd))
    rows = tuple(
        (entry.ref.name, entry.ref.version, entry.expression or "-", Cell(entry.status, _TONES[entry.status]))
        for entry in report.entries
    )
    heads = ("distribution", "version", "licence", "status")
    table = Table(f"Every distribution of the report {report.title}", heads, rows)
    yield Folded(f"All {len(rows)} distributions", (table,))


def _topology(documents: tuple[AnyDocument, ...]) -> Iterator[Block]:
    shelf = Shelf(documents)
    for flow in latest_flows(shelf):
        found = topology(flow, shelf)
        yield Words(
            f"The flow {flow.name} is {found.shape}: {', '.join(found.begins)} begins, and each way of work is a "
            "contract. Between any two agents stand the gates and the router."
        )
        yield drawing(found)


def _refused(act: Act, blame: Blame) -> Iterator[Block]:
    refused = next((each for each in crossings_of(act.trace) if _answers_refused(each)), None)
    if refused is None:
        yield Words("Nothing was refused.", "bad")
        return
    yield Words(f"First to go wrong: {blame_line(blame).rstrip('.')}.")
    yield Words("Each line below is a record that anybody may read again at the place named.")
    heads = ("record", "who", "said", "rule and reason", "took")
    yield Table("One handoff, its answer, and what was said of both", heads, tuple(_told(refused)))
    tree = Verbatim("The same crossing as seamwork trace draws it", render_crossing(refused, _WIDTH))
    yield Folded("As seamwork trace draws it", (tree,))


def _answers_refused(crossing: CrossingView) -> bool:
    return any(result.status == "refused" for each in crossing.dispatches for result in each.results)


def _told(crossing: CrossingView) -> Iterator[tuple[Cell | str, ...]]:
    way = f"{crossing.source} → {crossing.target}"
    yield (f"handoff {crossing.step}", way, f"under {crossing.contract}", f"at {crossing.position}", "")
    yield from _judged(crossing.attempts)
    for dispatch in crossing.dispatches:
        spent = "" if dispatch.latency_ms is None else f"{dispatch.latency_ms} ms"
        yield (f"dispatch {dispatch.number}", "router", f"to {dispatch.receiver}", dispatch.status, spent)
        for result in dispatch.results:
            yield ("result", result.source, result.outcome, f"at {result.position}", "")
            yield from _judged(result.attempts)


def _judged(attempts: tuple[AttemptView, ...]) -> Iterator[tuple[Cell | str, ...]]:
    for attempt in attempts:
        for verdict in attempt.verdicts:
            told: Tone = "good" if verdict.outcome.startswith("ALLOW") else "bad"
            reason = verdict.rule if told == "good" else f"{verdict.rule}: {verdict.reason}"
            gate = f"{verdict.gate}@{verdict.gate_version}"
            yield ("verdict", gate, Cell(verdict.outcome, told), reason, f"{verdict.latency_ms} ms")
        for decision in attempt.decisions:
            tone: Tone = "bad" if decision.kind == "refused" else "plain"
            yield ("decision", "router", Cell(decision.kind, tone), decision.rule or decision.reason, "")
