"""``seamwork dead-letters``: records that nobody could be told of, with where they came from and why."""

from shlex import quote
from typing import Any

import click
import msgspec

from seamwork.cli.terminal import answer, door_of, json_option, platform_option, running_loop, table, tell
from seamwork.platform.letters import Letter, letter_of, letters_of, unkept
from seamwork.platform.letters import discard as throw_away
from seamwork.platform.letters import requeue as put_back
from seamwork.platform.wording import plain
from seamwork.records.wire import rfc3339


@click.group("dead-letters")
def dead_letters() -> None:
    """See records that were set aside, put one back, or discard it."""


@dead_letters.command("list")
@click.option("--all", "every", is_flag=True, help="Those that somebody has dealt with, too.")
@platform_option
@json_option
@running_loop
async def list_letters(every: bool, platform: str) -> None:
    """
    List the dead letters that nobody has dealt with, the oldest first.

    \b
      seamwork dead-letters list
      seamwork dead-letters list --all
    """
    found = [one for one in await letters_of(door_of(platform)) if every or one.mark is None]
    rows = [
        [one.id, rfc3339(one.record.set_aside_at)[:19], _place(one), one.record.gate, one.record.rule, _stands(one)]
        for one in found
    ]  # fmt: skip
    heads = ["letter", "at (UTC)", "lay in", "gate", "rule", ""]
    answer([_public(one) for one in found], lambda: table(heads, rows))


@dead_letters.command("show")
@click.argument("letter")
@platform_option
@json_option
@running_loop
async def show(letter: str, platform: str) -> None:
    """
    Show one dead letter: where it came from and why. Its body is not shown: no contract says what to mask.

    \b
      seamwork dead-letters show 3/17
    """
    found = letter_of(await letters_of(door_of(platform)), letter)
    answer(_public(found), lambda: text_of(found))


@dead_letters.command("requeue")
@click.argument("letter")
@click.option("--by", "person", help="Who puts it back; the one person of this machine unless given.")
@click.option("--reason", default="", help="Kept with the mark.")
@platform_option
@json_option
@running_loop
async def requeue(letter: str, person: str | None, reason: str, platform: str) -> None:
    """
    Put a record back as it was, after its cause is mended; it is judged as if it came for the first time.

    Headers of the sender's own that were too large to keep are left out, and named.

    \b
      seamwork dead-letters requeue 3/17 --by ada
    """
    door = door_of(platform)
    found = letter_of(await letters_of(door), letter)
    who = await put_back(door, found, person, reason)
    if without := unkept(found):
        tell(plain(f"it is without what it had in the headers {', '.join(without)}, which was not kept"))
    key = found.record.key
    answer(
        {"letter": found.id, "task": key, "by": who},
        lambda: plain(f"put back; follow it with: seamwork watch {quote(key or '')}"),
    )


@dead_letters.command("discard")
@click.argument("letter")
@click.option("--reason", required=True, help="Why nothing is to become of it; kept with the mark.")
@click.option("--by", "person", help="Who discards it; the one person of this machine unless given.")
@platform_option
@json_option
@running_loop
async def discard(letter: str, reason: str, person: str | None, platform: str) -> None:
    """
    Say that nothing is to become of a record: it stays on record with your reason, and is listed as open no more.

    \b
      seamwork dead-letters discard 3/17 --reason "a test of ours" --by ada
    """
    door = door_of(platform)
    found = letter_of(await letters_of(door), letter)
    who = await throw_away(door, found, person, reason)
    answer({"letter": found.id, "by": who, "reason": reason}, lambda: f"{who} discarded {found.id}: {reason}")


def text_of(letter: Letter) -> str:
    """Write a letter as a person reads it; key, headers and reason are whoever's who wrote the record."""
    record = letter.record
    lines = [
        f"letter    {letter.id}   {_stands(letter)}",
        f"lay in    {_place(letter)}, appended {rfc3339(record.appended_at)}",
        f"why       {record.gate}: {record.rule}: {record.reason}",
        f"digest    {record.digest}",
        f"key       {'none' if record.key is None else record.key}",
        f"headers   {', '.join(header.name for header in record.headers) or 'none'}",
        f"body      {'none' if record.tombstone else f'{letter.size} bytes'}",
    ]
    return "\n".join(map(plain, lines))


def _stands(letter: Letter) -> str:
    mark = letter.mark
    if mark is None:
        return "open"
    done = {"put-back": "put back", "discard": "discarded"}[mark.what]
    return f"{done} by {mark.person}" + (f": {mark.reason}" if mark.reason else "")


def _place(letter: Letter) -> str:
    at = letter.record.position
    return f"{letter.record.topic}/{at.partition}/{at.offset}"


def _public(letter: Letter) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(letter.record)
    said["headers"] = [header.name for header in letter.record.headers]
    return {"id": letter.id, **said, "mark": msgspec.to_builtins(letter.mark)}
