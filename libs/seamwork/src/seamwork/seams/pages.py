"""Set what was found out about seams as pages: the review, the audit, the readiness, the topology."""

from collections.abc import Sequence

from seamwork.seams.audit import QUESTIONS, SeamAudit
from seamwork.seams.drawing import drawing
from seamwork.seams.page import Block, Cell, Heading, Page, Points, Table, Tone, Words
from seamwork.seams.questions import OpenPoint
from seamwork.seams.readiness import Point
from seamwork.seams.review import Changes, SeamReview
from seamwork.seams.topology import Topology

_RISKS: dict[str, Tone] = {"high": "bad", "medium": "fair", "low": "good"}
_STATES: dict[str, Tone] = {"missing": "bad", "declared": "fair", "proven": "good"}


def review_page(found: SeamReview) -> Page:
    """Set a review: what is open first, what changed, then seam by seam."""
    blocks: list[Block] = [Words(found.purpose)] if found.purpose else []
    blocks.append(Words(f"Sign-off: {found.due}.", "bad" if found.overdue else "good"))
    blocks.append(Words(found.measured))
    blocks.append(Heading(f"Open points ({len(found.open)})"))
    blocks.append(_open(found.open) if found.open else Words("None.", "good"))
    if found.changes is not None:
        blocks += _changes(found.changes)
    for seam in found.seams:
        blocks += [Heading(seam.seam), Words(f"{seam.reason} Owned by {seam.owner}.")]
        for answer in seam.answers:
            blocks += [Heading(answer.title, 3), Points(answer.said)]
            if answer.measured:
                blocks.append(Words("Measured: " + "; ".join(answer.measured) + "."))
    return Page(f"Seam review: {found.flow}", tuple(blocks))


def audit_page(found: Sequence[SeamAudit]) -> Page:
    """Set an audit: one line a seam, the riskiest first, then what is lacking."""
    whole = sum(one.whole for one in found)
    rows = tuple(
        (
            Cell(one.seam),
            Cell(one.risk, _RISKS[one.risk]),
            *(Cell("yes" if c.yes else "no", "good" if c.yes else "bad") for c in one.checks),
        )
        for one in found
    )
    blocks: list[Block] = [
        Words(f"{whole} of {len(found)} seams answer all five questions with yes."),
        Table("Seams by risk", ("seam", "risk", *QUESTIONS), rows),
        Heading("What is lacking, and what raises the risk"),
    ]
    for one in found:
        lines = [f"{check.question}: {', '.join(check.lacks)}" for check in one.checks if not check.yes]
        lines += [f"risk: {because}" for because in one.because]
        if lines:
            blocks += [Heading(one.seam, 3), Points(tuple(lines))]
    return Page("Audit of handoffs", tuple(blocks))


def ready_page(flow: str, points: Sequence[Point], max_age_days: int, measured: str) -> Page:
    """Set the seven points, then each seam that is not proven."""
    rows = tuple(
        (
            f"{point.number} {point.name}",
            Cell(point.state, _STATES[point.state]),
            f"{sum(seam.state == 'proven' for seam in point.seams)} of {len(point.seams)} seams proven",
            point.asks,
        )
        for point in points
    )
    blocks: list[Block] = [
        Words(measured),
        Words(f"What proves a point is at most {max_age_days} days old; a document alone declares it."),
        Table("The seven points", ("point", "state", "how far", "what is asked"), rows),
    ]
    if any(seam.state != "proven" for point in points for seam in point.seams):
        blocks.append(Heading("What is not proven"))
    for point in points:
        waiting = [seam for seam in point.seams if seam.state != "proven"]
        if waiting:
            blocks += [
                Heading(f"{point.number} {point.name}", 3),
                Words(f"Proven by {point.proof}."),
                Points(tuple(f"{seam.seam}: {seam.state}; {seam.says}" for seam in waiting)),
            ]
    proven = [
        f"{point.number} {point.name}: {seam.seam}, {seam.says}"
        for point in points
        for seam in point.seams
        if seam.state == "proven"
    ]
    if proven:
        blocks += [Heading("What is proven, and by when"), Points(tuple(proven))]
    return Page(f"Production readiness: {flow}", tuple(blocks))


def topology_page(found: Topology) -> Page:
    """Set a topology: its name and drawing, the three questions, the remarks."""
    rows = tuple(
        (asked.question, asked.documents, asked.because, asked.stated or "not said")
        for asked in found.questions
    )
    blocks: list[Block] = [
        Words(
            f"The shape is {found.shape}; {', '.join(found.begins)} begins, {len(found.agents)} agents take part."
        ),
        drawing(found),
        Heading("Three questions"),
        Table("Three questions", ("question", "the documents say", "because", "you say"), rows),
        Heading("Blast radius"),
        Table(
            "Who stops when one agent fails",
            ("agent", "stops"),
            tuple((one.agent, ", ".join(one.stops) or "nobody else") for one in found.blast),
        ),
        Heading(f"Remarks ({len(found.remarks)})"),
        Points(tuple(f"{remark.code}: {remark.text}" for remark in found.remarks))
        if found.remarks
        else Words("None.", "good"),
    ]
    return Page(f"Topology: {found.flow}", tuple(blocks))


def _open(points: Sequence[OpenPoint]) -> Table:
    rows = tuple(
        (
            point.seam,
            Cell("grave" if point.grave else "open", "bad" if point.grave else "fair"),
            point.code,
            point.text,
        )
        for point in points
    )
    return Table("Open points, the grave ones first", ("seam", "how", "code", "what"), rows)


def _changes(changes: Changes) -> list[Block]:
    lines = [
        *changes.documents,
        *(f"opened: {point.seam}: {point.text} ({point.code})" for point in changes.opened),
        *(f"settled: {point.seam}: {point.text} ({point.code})" for point in changes.settled),
    ]
    return [
        Heading(f"Changed since {changes.since}"),
        Points(tuple(lines)) if lines else Words("Nothing.", "good"),
    ]
