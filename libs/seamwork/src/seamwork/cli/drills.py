"""``seamwork drill``: open a case on purpose, to see who answers and how long it takes."""

import asyncio
import sys
from collections.abc import Sequence
from typing import BinaryIO

import click

from seamwork.cli import NO
from seamwork.cli.payloads import payload_of
from seamwork.cli.terminal import (
    answer,
    door_of,
    json_option,
    platform_option,
    running_loop,
    table,
    tell,
)
from seamwork.clock import SystemClock
from seamwork.errors import UnprocessableError
from seamwork.platform.audit import Audit
from seamwork.platform.door import Door
from seamwork.platform.drilled import Reached, Report, Told, report_of
from seamwork.platform.drills import Begun, Cause, begin, example_of, seams_to_try
from seamwork.platform.wording import duration, plain
from seamwork.records.wire import rfc3339

_POLL_S = 0.25
_SILENCE_MS = 30_000
_LOOKED_AT = 1000


@click.command()
@click.argument("name", metavar="FLOW|CONTRACT")
@click.option("--from", "source", help="Only the seams of this sender.")
@click.option("--to", help="Only the seams that lead to this agent or capability.")
@click.option(
    "--as", "cause", type=click.Choice(["violation", "timeout", "error"]), default="violation", show_default=True,
    help="What the work counts as having failed of; a contract may name another person for each.",
)  # fmt: skip
@click.option(
    "--answer-seconds",
    type=click.IntRange(1),
    help="Less time for each of the chain than the contract gives.",
)
@click.option(
    "--payload", type=click.File("rb"),
    help="A JSON file (- for standard input) that the case is about; else the contract's first admitted example.",
)  # fmt: skip
@click.option("--by", "person", help="Who orders it; the one person of this machine unless given.")
@click.option("--wait", is_flag=True, help="Wait until somebody has answered, or all were asked in vain.")
@platform_option
@json_option
@running_loop
async def drill(  # noqa: PLR0913, PLR0917  # one argument for each option
    name: str,
    source: str | None,
    to: str | None,
    cause: Cause,
    answer_seconds: int | None,
    payload: BinaryIO | None,
    person: str | None,
    wait: bool,
    platform: str,
) -> None:
    """
    Prove who answers: open a case on purpose at each seam of FLOW, or at each that has CONTRACT.

    It is judged and put before people as work that failed there is, is marked as a drill wherever it is seen, and
    reaches no agent. Resolve it like any case, or leave it to climb the chain and expire. Exit status 1 where it
    was refused, nobody could be asked, or (with --wait) nobody answered.

    \b
      seamwork drill licence-audit --by ada
      seamwork drill licence-facts --from planner --answer-seconds 60 --by ada --wait
    """
    door = door_of(platform)
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
    seams = seams_to_try(catalog, name, source, to, SystemClock().now_ms())
    about = None if payload is None else payload.read()
    if about is not None:
        payload_of(about)
    carried = [example_of(tried) if about is None else about for tried in seams]
    begun = []
    for tried, body in zip(seams, carried, strict=True):
        answer_ms = None if answer_seconds is None else answer_seconds * 1000
        one = await begin(door, catalog, tried, person=person, payload=body, cause=cause, answer_ms=answer_ms)
        tell(f"{one.person} began a drill of {tried}")
        begun.append(one)
    found = await _followed(door, begun, to_the_end=wait)
    answer(found, lambda: "\n\n".join(map(text_of, found)))
    if any(report.state not in {"open", "resolved"} or (wait and report.state == "open") for report in found):
        sys.exit(NO)


@click.group()
def drills() -> None:
    """See the drills that were, and what each found out."""


@drills.command("list")
@platform_option
@json_option
@running_loop
async def list_drills(platform: str) -> None:
    """
    List the drills among the latest tasks, the newest first.

    \b
      seamwork drills list
    """
    door = door_of(platform)
    found = [await report_of(door, line.task) for line in Audit.of(door).tasks(_LOOKED_AT) if line.drill]
    rows = [
        [one.task, rfc3339(one.begun_at)[:19], one.state, one.seam, ", ".join(each.asked for each in one.reached)]
        for one in found
    ]  # fmt: skip
    answer(found, lambda: table(["task", "begun (UTC)", "", "seam", "asked"], rows))


@drills.command("show")
@click.argument("task")
@platform_option
@json_option
@running_loop
async def show_drill(task: str, platform: str) -> None:
    """
    Report one drill: who was asked after how long, who was told, who answered.

    \b
      seamwork drills show 0199...
    """
    found = await report_of(door_of(platform), task)
    answer(found, lambda: text_of(found))


def text_of(report: Report) -> str:
    """Write the report of a drill as a person reads it."""
    lines = [f"DRILL     {report.seam}", f"task      {report.task}, begun {rfc3339(report.begun_at)}"]
    lines += [] if report.case is None else [f"case      {report.case}"]
    for one in report.reached:
        lines.append(f"asked     {_reached(one)}")
        lines += [f"            {_told(told)}" for told in one.told]
    if report.not_reached:
        lines.append(f"not yet   {', '.join(report.not_reached)}")
    if report.unknown:
        lines.append(
            f"unknown   {', '.join(report.unknown)}: in the contract's chain, and nobody's name or role"
        )
    took = "" if report.ended_after_ms is None else f"after {duration(report.ended_after_ms)}"
    said = ", ".join(part for part in (took, report.said) if part)
    return "\n".join(map(plain, [*lines, f"{report.state:<9} {said}".rstrip()]))


def _reached(one: Reached) -> str:
    people = ", ".join(one.people)
    who = one.asked if people == one.asked else f"{one.asked} ({people})"
    return f"{who} after {duration(one.after_ms)}"


def _told(told: Told) -> str:
    match told.carried:
        case "delivered":
            tries = "" if told.tries == 1 else f", at try {told.tries}"
            how = f"webhook delivered after {duration(told.after_ms or 0)}{tries}"
        case "waiting":
            how = "webhook not delivered yet"
        case "given-up":
            how = f"webhook given up after {told.tries} tries"
        case "no-webhook":
            how = "no webhook; log and metric alone"
        case "unknown":
            how = "the notifier does not run on this machine; its metrics say"
    return f"{told.owner}: {how}"


async def _followed(door: Door, begun: Sequence[Begun], *, to_the_end: bool) -> list[Report]:
    """Wait until every drill has come to where it is to be reported; of one that says nothing, for a while."""
    found: dict[str, Report] = {}
    clock = SystemClock()
    until = clock.now_ms() + _SILENCE_MS
    while True:
        for one in begun:
            report = found.get(one.task)
            if report is None or not report.over:
                found[one.task] = await _report(door, one)
        reports = [found[one.task] for one in begun]
        silent = any(report.state == "pending" for report in reports) and clock.now_ms() > until
        if silent or all(report.over or (report.state == "open" and not to_the_end) for report in reports):
            return reports
        await asyncio.sleep(_POLL_S)


async def _report(door: Door, begun: Begun) -> Report:
    try:
        return await report_of(door, begun.task)
    except UnprocessableError:  # the audit has not read it yet
        now = SystemClock().now_ms()
        said = "nothing is on record of it; see `seamwork status`"
        return Report(task=begun.task, seam=str(begun.tried), state="pending", begun_at=now, said=said)
