"""``seamwork cases``: work that could not be done as agreed, put before people, and what they make of it."""

import sys
from collections.abc import Callable
from typing import BinaryIO

import click
import msgspec

from seamwork.cli import NO
from seamwork.cli.payloads import patched, payload_of
from seamwork.cli.terminal import (
    answer,
    door_of,
    json_option,
    platform_option,
    readable,
    running_loop,
    table,
)
from seamwork.platform.cases import Case, Work, cases_of, decided_on, decided_so_far, one_of, resolve, work_of
from seamwork.platform.wording import plain
from seamwork.records.crossing import Outcome
from seamwork.records.decision import Closed, Dispatched, Held, Refused, Tried
from seamwork.records.parties import Target
from seamwork.records.people import How
from seamwork.records.wire import rfc3339

_WITHIN_S = 30.0


@click.group()
def cases() -> None:
    """See work that was escalated, and say what becomes of it."""


@cases.command("list")
@click.option("--all", "every", is_flag=True, help="Those that are over, too.")
@platform_option
@json_option
@running_loop
async def list_cases(every: bool, platform: str) -> None:
    """
    List the open cases, the oldest first.

    \b
      seamwork cases list
    """
    found = (await cases_of(door_of(platform))).values()
    shown = [case for case in found if every or case.state == "open"]
    rows = [
        [
            case.id,
            case.state + drill_mark(case),
            case.owner,
            f"{case.rule}: {case.reason}",
            rfc3339(case.expires_at)[:19],
        ]
        for case in shown
    ]
    answer(shown, lambda: table(["case", "", "asked of", "reason", "until (UTC)"], rows))


@cases.command("show")
@click.argument("case")
@platform_option
@json_option
@running_loop
async def show(case: str, platform: str) -> None:
    """
    Show one case: what it is about (masked), why, what was tried, who is asked until when.

    \b
      seamwork cases show 4f0c...
    """
    door = door_of(platform)
    found = one_of((await cases_of(door)).values(), case)
    work = await work_of(door, found)
    answer({**msgspec.to_builtins(found), "work": msgspec.to_builtins(work)}, lambda: text_of(found, work))


@cases.command("resolve")
@click.argument("case")
@click.argument("how", type=click.Choice(["retry", "replace", "reroute", "skip", "fail"]))
@click.option("--by", "person", help="Who orders it; the one person of this machine unless given.")
@click.option("--reason", default="", help="Kept with the order.")
@click.option("--to", help="For reroute: the agent that gets the work.")
@click.option("--capability", help="For reroute: what whoever gets the work must offer.")
@click.option(
    "--payload", type=click.File("rb"),
    help="A JSON file (- for standard input): what is carried instead, or what skip and fail answer.",
)  # fmt: skip
@click.option(
    "--patch", type=click.File("rb"),
    help="For replace: only what changes, as a JSON merge patch (RFC 7396); the rest keeps its bytes, unseen.",
)  # fmt: skip
@click.option(
    "--partial",
    is_flag=True,
    help="For skip: the answer is the contract's partial outcome instead of its error.",
)
@platform_option
@json_option
@running_loop
async def resolve_case(  # noqa: PLR0913, PLR0917  # a resolution has that many parts
    case: str,
    how: How,
    person: str | None,
    reason: str,
    to: str | None,
    capability: str | None,
    payload: BinaryIO | None,
    patch: BinaryIO | None,
    partial: bool,
    platform: str,
) -> None:
    """
    Put the work of a case back: as a new crossing, signed and judged like any other.

    retry sends it again, replace sends something else, reroute sends it to somebody else; skip and fail answer
    whoever waits. What is not admitted leaves the case open, with exit status 1.

    \b
      seamwork cases resolve 4f0c... retry --by ada
      seamwork cases resolve 4f0c... replace --patch mended.json --by ada
      seamwork cases resolve 4f0c... reroute --to reader-2 --by ada
      seamwork cases resolve 4f0c... skip --reason "not needed for this release" --by ada
    """
    door = door_of(platform)
    found = one_of((await cases_of(door)).values(), case)
    target = None if to is None and capability is None else Target(agent=to, capability=capability)
    outcome: Outcome = "partial" if partial else "error"
    since = await decided_so_far(door, found.task)
    done = await resolve(
        door, found, how, person=person, reason=reason, target=target, payload=change_of(payload, patch),
        outcome=outcome,
    )  # fmt: skip
    decision = await decided_on(door, done.crossing, since, _WITHIN_S)
    tag = "pending" if decision is None else str(decision.__struct_config__.tag)
    value = {"case": found.id, "crossing": done.crossing, "ordered_by": done.person, "decision": tag}
    match decision:
        case Refused():
            value |= {"gate": decision.gate, "rule": decision.rule, "reason": decision.reason}
            said = f"refused by {decision.gate} ({decision.rule}): {decision.reason}; the case stays open"
            answer(value, lambda: plain(said))
            sys.exit(NO)
        case Dispatched():
            went = f"{decision.receiver.agent}@{decision.receiver.version}"
            answer(value, lambda: f"{done.person} ordered {how}: the work went to {went}")
        case Held():
            answer(
                value, lambda: f"{done.person} ordered {how}: it waits for approval (seamwork approvals list)"
            )
        case Closed(drill=True):
            answer(value, lambda: f"{done.person} ordered {how}: the drill is over; nobody got the work")
        case None:
            answer(
                value,
                lambda: f"{done.person} ordered {how}; it is not decided yet (seamwork watch {found.task})",
            )
        case _:
            answer(value, lambda: f"{done.person} ordered {how}: {tag}")


def text_of(case: Case, work: Work) -> str:
    """Write a case as a person reads it."""
    target = work.target.agent or f"whoever offers {work.target.capability}"
    lines = [
        f"case      {case.id}   {case.state}{drill_mark(case)}" + (f": {case.ended}" if case.ended else ""),
        f"asked of  {', '.join(case.asked)}",
        f"then      {', '.join(case.chain[len(case.asked) :]) or 'nobody else'}",
        f"next at   {rfc3339(case.answer_by)}",
        f"until     {rfc3339(case.expires_at)}",
        f"task      {case.task}",
        f"intent    {plain(work.intent)}",
        f"seam      {work.sender} → {target} under {work.contract}, step {plain(work.step)}",
        f"why       {': '.join(dict.fromkeys((case.why, case.rule)))}: {plain(case.reason)}",
        "",
        f"State:     {work.summary}",
        f"Proposed:  {work.proposed}",
        "",
        "Tried:",
        *(f"  {each.receiver.agent}@{each.receiver.version}: {_came_to(each)}" for each in case.tried),
        *(f"  an order, refused by {each.gate} ({each.rule}): {plain(each.reason)}" for each in case.refused),
        "",
        "Payload (masked):",
        readable(work.payload),
    ]
    return "\n".join(lines)


def _came_to(tried: Tried) -> str:
    # The answer was accepted as what it is, and the outcome is what brings it before people.
    return {"accepted": "answered with an error", None: "open"}.get(tried.why, str(tried.why))


def drill_mark(case: Case) -> str:
    """Return what is written beside the state of a case that was opened on purpose."""
    return " (a drill)" if case.drill else ""


def change_of(payload: BinaryIO | None, patch: BinaryIO | None) -> Callable[[bytes], bytes] | None:
    """
    Return what makes the new payload from the old one; null where it stays.

    Raises:
        UsageError: Both are given.
        UnprocessableError: What is given could not cross.
    """
    if payload is not None and patch is not None:
        raise click.UsageError("give the whole payload or a patch, not both")
    if payload is not None:
        whole = payload.read()
        payload_of(whole)
        return lambda _: whole
    if patch is None:
        return None
    change = patch.read()
    payload_of(change, "the patch")
    return lambda before: patched(before, change)
