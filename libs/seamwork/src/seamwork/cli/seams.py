"""``seamwork review``, ``audit-handoffs``, ``ready``, ``impact``, ``topology``, ``flow``: look at seams in time."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from seamwork.authoring.folder import read_folder
from seamwork.cli import NO
from seamwork.cli.flow_steps import propose, report
from seamwork.cli.flows import read_flow
from seamwork.cli.ours import is_page, leave_alone
from seamwork.cli.terminal import answer, door_of, json_option, platform_option, table, tell
from seamwork.clock import SystemClock
from seamwork.contracts.shelf import Shelf
from seamwork.documents import DocumentError, Flow, Review, parse_version
from seamwork.documents.yaml_text import write_yaml
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.platform.audit import Audit
from seamwork.records.wire import rfc3339
from seamwork.seams.audit import SeamAudit, audit_seams
from seamwork.seams.conformance import conformance
from seamwork.seams.impact import impact as impact_of
from seamwork.seams.measured import Measured
from seamwork.seams.page import Page, as_html, as_markdown
from seamwork.seams.pages import audit_page, ready_page, review_page, topology_page
from seamwork.seams.readiness import DAY_MS, seven_points
from seamwork.seams.review import measured_words, overdue, sign_off
from seamwork.seams.review import review as review_of
from seamwork.seams.seam import latest_flows
from seamwork.seams.study import Study, study
from seamwork.seams.topology import MANY_FIELDS, Coordination, State
from seamwork.seams.topology import topology as topology_of

P = ParamSpec("P")
T = TypeVar("T")

_PATHS = click.Path(exists=True, path_type=Path)


def _flow_arguments(command: Callable[P, T]) -> Callable[P, T]:
    for decorate in (
        click.argument("paths", nargs=-1, type=_PATHS),
        click.argument("flow"),
    ):
        command = decorate(command)
    return command


def _page_options(command: Callable[P, T]) -> Callable[P, T]:
    for decorate in (
        json_option,
        click.option(
            "--html",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Write the page as HTML, too; only such a page may be there already.",
        ),
    ):
        command = decorate(command)
    return command


def _measured_options(command: Callable[P, T]) -> Callable[P, T]:
    for decorate in (
        platform_option,
        click.option("--offline", is_flag=True, help="Ask no platform, though one runs."),
    ):
        command = decorate(command)
    return command


@click.command()
@_flow_arguments
@click.option(
    "--since",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The last sign-off: show what changed after it.",
)
@click.option(
    "--sign",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the sign-off of this review; only one of this flow may be there already.",
)
@click.option("--by", "signed", multiple=True, metavar="NAME", help="Who signs; repeatable.")
@click.option(
    "--due", metavar="DATE", help="When the next review is due, as in 2026-12-31; in 90 days unless said."
)
@_page_options
@_measured_options
def review(  # noqa: PLR0913, PLR0917  # one argument for each thing a review is asked
    flow: str,
    paths: tuple[Path, ...],
    since: Path | None,
    sign: Path | None,
    signed: tuple[str, ...],
    due: str | None,
    html: Path | None,
    offline: bool,
    platform: str,
) -> None:
    """
    Review the seams of FLOW: four questions each, open points first, as a page for a meeting of thirty minutes.

    FLOW is a file or a folder with one flow, or the name of one in PATHS. What is produced, what is assumed of the
    other side, what the error budget is, where observability ends: answered from the documents and, where the
    platform runs, from what was measured. --sign writes the sign-off, a document to keep with the others. Exit
    status 1 while the sign-off is missing or overdue.

    \b
      seamwork review documents contracts --html review.html
      seamwork review documents contracts --sign documents/review.yaml --by ada --by grace --due 2026-12-31
      seamwork review documents contracts --since documents/review.yaml
    """
    _refuse_half_a_sign_off(sign, signed, due, html)
    last = () if since is None else _sign_offs(since)
    seen = _study(flow, paths, platform, offline, last)
    found = review_of(seen, None if since is None else _of(seen.flow, last, since))
    page = review_page(found)
    if sign is not None:
        now = datetime.fromtimestamp(seen.now_ms / 1000, UTC)
        leave_alone(sign, lambda path: _is_sign_off(path, seen.flow), f"sign-off of {seen.flow.name}")
        before = _sign_offs(sign) if sign.is_file() and sign.stat().st_size else ()
        document = sign_off(seen, found, signed, _instant(now), _due(due, now), before)
        # The page first: a sign-off is what whoever signs believes, and stays out where anything else fails.
        _write(page, html)
        sign.write_text(write_yaml(document.model_dump(mode="json", by_alias=True)), encoding="utf-8")
        tell(
            f"{sign}: signed off by {', '.join(signed)}; the next review is due on {document.spec.next_due[:10]}"
        )
    else:
        _write(page, html)
    answer(found, lambda: as_markdown(page))
    if found.overdue and sign is None:
        sys.exit(NO)


@click.command("audit-handoffs")
@click.argument("paths", nargs=-1, required=True, type=_PATHS)
@_page_options
@_measured_options
def audit_handoffs(paths: tuple[Path, ...], html: Path | None, offline: bool, platform: str) -> None:
    """
    Ask every seam in PATHS whether it is documented, versioned, owned, instrumented, and has a failure path.

    The riskiest come first. Exit status 1 where an answer is no.

    \b
      seamwork audit-handoffs contracts documents
    """
    documents = read_folder(*paths)
    measured, why = _measured(platform, offline)
    now = SystemClock().now_ms()
    flows = latest_flows(Shelf(documents))
    if not flows:
        raise UnprocessableError("there is no flow among these documents, so there is no seam to audit")
    found: list[SeamAudit] = []
    for flow in flows:
        seen = study(flow, documents, now, measured, why)
        found += audit_seams(seen)
        late = [one for one in seen.reviews[-1:] if overdue(one, now)]
        if late:
            tell(f"{flow.title}: its review was due on {late[0].spec.next_due[:10]}")
    found.sort(key=lambda one: -one.points)
    _show(found, audit_page(found), html)
    if not all(one.whole for one in found):
        sys.exit(NO)


@click.command()
@_flow_arguments
@click.option(
    "--within", "days", type=click.IntRange(1, 3650), default=30, show_default=True,
    help="How many days a proof holds.",
)  # fmt: skip
@click.option("--proven", is_flag=True, help="Exit with 1 unless every point is proven, not only declared.")
@_page_options
@_measured_options
def ready(
    flow: str,
    paths: tuple[Path, ...],
    days: int,
    proven: bool,
    html: Path | None,
    offline: bool,
    platform: str,
) -> None:
    """
    Say in seven points how ready FLOW is for production, and what each is proven by.

    A point is proven only by something that happened on the platform within the stated days; a document alone
    declares it. Exit status 1 where a point is missing.

    \b
      seamwork ready documents contracts --within 7
    """
    seen = _study(flow, paths, platform, offline)
    points = seven_points(seen, days)
    value = [
        {"point": p.number, "name": p.name, "state": p.state, "asks": p.asks, "seams": list(p.seams)}
        for p in points
    ]
    _show(value, ready_page(seen.flow.title, points, days, measured_words(seen)), html)
    wanted = {"proven"} if proven else {"proven", "declared"}
    if not {point.state for point in points} <= wanted:
        sys.exit(NO)


@click.command()
@click.argument("name", metavar="NAME[@VERSION]")
@click.argument("paths", nargs=-1, required=True, type=_PATHS)
@_measured_options
@json_option
def impact(name: str, paths: tuple[Path, ...], offline: bool, platform: str) -> None:
    """
    List what a change or the retirement of NAME touches: agents, flows, contracts, policies, tasks that run.

    NAME is a document of any kind in PATHS. `stops` marks what would be left without what it needs.

    \b
      seamwork impact licence-facts@1.0.0 contracts documents
    """
    measured, why = _measured(platform, offline)
    if why and not offline:
        tell(f"tasks that run are not listed: {why}")
    if measured is not None and not measured.whole:
        tell(f"of tasks that run those are listed that began after {rfc3339(measured.since)}")
    called, _, version = name.partition("@")
    found = impact_of(Shelf(read_folder(*paths)), called, version or None, measured)
    if found is None:
        raise UnprocessableError(f"there is no document {name} in {', '.join(map(str, paths))}")
    rows = [[one.kind, one.what, one.how, "stops" if one.stops else ""] for one in found]
    answer(found, lambda: table(["kind", "what", "how", "if retired"], rows))


@click.command()
@_flow_arguments
@click.option("--state", type=click.Choice(["shared", "completed"]), help="What your agents work on.")
@click.option("--coordination", type=click.Choice(["one", "self"]), help="Who hands work out.")
@click.option("--blast-radius", type=click.IntRange(0), help="How many agents one failing agent may stop.")
@click.option(
    "--fields", type=click.IntRange(1), default=MANY_FIELDS, show_default=True,
    help="More required fields than these are too many for one agent.",
)  # fmt: skip
@_page_options
def topology(
    flow: str,
    paths: tuple[Path, ...],
    state: State | None,
    coordination: Coordination | None,
    blast_radius: int | None,
    fields: int,
    html: Path | None,
) -> None:
    """
    Draw FLOW, name its shape, and hold your answers to three questions against what the documents say.

    Shared, evolving state or completed outputs; one coordinator or self-organising; how far one failing agent
    reaches. Steps whose output no check can verify, and agents that need too many fields, are remarked on.

    \b
      seamwork topology documents contracts --coordination one --blast-radius 2
    """
    the_flow, documents = read_flow(flow, paths)
    found = topology_of(the_flow, Shelf(documents), state, coordination, blast_radius, fields)
    _show(found, topology_page(found), html)


@click.group()
def flow() -> None:
    """Compare flows with what ran, and take them from observing to being enforced."""


flow.add_command(report)
flow.add_command(propose)


@flow.command("conformance")
@_flow_arguments
@platform_option
@json_option
def flow_conformance(flow: str, paths: tuple[Path, ...], platform: str) -> None:
    """
    Compare edges, versions, owners, exceptions and re-entries of FLOW with what ran on the platform.

    Exit status 1 where they contradict each other; a note is no contradiction.

    \b
      seamwork flow conformance documents contracts
    """
    the_flow, documents = read_flow(flow, paths)
    found = conformance(the_flow, Shelf(documents), Audit.of(door_of(platform)).seams())
    rows = [[one.severity, one.code, one.seam, one.text] for one in found]
    answer(
        found, lambda: table(["", "code", "seam", "what"], rows) if rows else "what ran is what is written"
    )
    if any(one.severity == "error" for one in found):
        sys.exit(NO)


def _study(
    flow: str, paths: tuple[Path, ...], platform: str, offline: bool, reviews: tuple[Review, ...] = ()
) -> Study:
    the_flow, documents = read_flow(flow, paths)
    known = {document.title for document in documents}
    documents += tuple(one for one in reviews if one.title not in known)
    measured, why = _measured(platform, offline)
    return study(the_flow, documents, SystemClock().now_ms(), measured, why)


def _measured(platform: str, offline: bool) -> tuple[Measured | None, str]:
    """Return what the running platform measured, or why there is nothing; the page says which."""
    if offline:
        return None, "no platform was asked"
    try:
        return Audit.of(door_of(platform)).seams(), ""
    except MisconfiguredError as error:
        return None, str(error)


def _show(value: object, page: Page, html: Path | None) -> None:
    _write(page, html)
    answer(value, lambda: as_markdown(page))


def _write(page: Page, html: Path | None) -> None:
    if html is not None:
        leave_alone(html, is_page, "page of ours")
        html.write_text(as_html(page), encoding="utf-8")
        tell(f"wrote {html}")


def _refuse_half_a_sign_off(
    sign: Path | None, signed: tuple[str, ...], due: str | None, html: Path | None
) -> None:
    """Refuse what would let somebody believe that they have signed."""
    if sign is None:
        if signed or due is not None:
            raise click.UsageError(
                "--by and --due belong to a sign-off: say where to write it, with --sign FILE"
            )
        return
    if not signed or not all(name.strip() for name in signed):
        raise click.UsageError("--sign: say who signs, with --by NAME")
    if html is not None and html.resolve() == sign.resolve():
        raise click.UsageError("--sign and --html name one file; the sign-off and the page are two")


def _is_sign_off(path: Path, flow: Flow) -> bool:
    try:
        documents = read_folder(path)
    except DocumentError:
        return False
    return all(isinstance(one, Review) and one.spec.flow == flow.name for one in documents)


def _sign_offs(path: Path) -> tuple[Review, ...]:
    if not path.exists():
        raise click.UsageError(
            f"--since: there is no file {path}; name the last sign-off, which --sign wrote"
        )
    return tuple(document for document in read_folder(path) if isinstance(document, Review))


def _of(flow: Flow, reviews: tuple[Review, ...], path: Path) -> Review:
    found = [one for one in reviews if one.spec.flow == flow.name]
    if not found:
        raise UnprocessableError(f"{path} holds no review of the flow {flow.name}")
    return max(found, key=lambda one: parse_version(one.version))


def _due(written: str | None, now: datetime) -> str:
    if written is None:
        return _instant(now + timedelta(milliseconds=90 * DAY_MS))
    try:
        due = datetime.fromisoformat(written)
        due = due.replace(tzinfo=UTC) if due.tzinfo is None else due.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.UsageError("--due: a date is written as 2026-12-31") from error
    if due <= now:
        raise click.UsageError(f"--due: {written} is past; a sign-off says when the next review is due")
    return _instant(due)


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
