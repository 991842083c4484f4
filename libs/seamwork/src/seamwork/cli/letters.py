"""``seamwork dead-letters``: records that nobody could be told of, with where they came from and why."""

from typing import Any

import click
import msgspec

from seamwork.cli.terminal import answer, door_of, json_option, platform_option, running_loop, table
from seamwork.platform.letters import Letter, letter_of, letters_of
from seamwork.platform.letters import requeue as put_back
from seamwork.records.wire import rfc3339


@click.group("dead-letters")
def dead_letters() -> None:
    """See records that were set aside, and put one back."""


@dead_letters.command("list")
@platform_option
@json_option
@running_loop
async def list_letters(platform: str) -> None:
    """
    List the dead letters, the oldest first.

    \b
      seamwork dead-letters list
    """
    found = await letters_of(door_of(platform))
    rows = [
        [one.id, rfc3339(one.record.set_aside_at)[:19], _place(one), one.record.gate, one.record.rule]
        for one in found
    ]
    answer(
        [_public(one) for one in found], lambda: table(["letter", "at (UTC)", "lay in", "gate", "rule"], rows)
    )


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
    record, size = found.record, len(found.raw.value or b"")
    lines = [
        f"letter    {found.id}",
        f"lay in    {_place(found)}, appended {rfc3339(record.appended_at)}",
        f"why       {record.gate}: {record.rule}: {record.reason}",
        f"digest    {record.digest}",
        f"key       {'none' if record.key is None else record.key}",
        f"headers   {', '.join(header.name for header in record.headers) or 'none'}",
        f"body      {'none' if record.tombstone else f'{size} bytes'}",
    ]
    answer(_public(found), lambda: "\n".join(lines))


@dead_letters.command("requeue")
@click.argument("letter")
@platform_option
@json_option
@running_loop
async def requeue(letter: str, platform: str) -> None:
    """
    Put a record back as it was, after its cause is mended; it is judged as if it came for the first time.

    \b
      seamwork dead-letters requeue 3/17
    """
    door = door_of(platform)
    found = letter_of(await letters_of(door), letter)
    await put_back(door, found)
    key = found.record.key
    answer({"letter": found.id, "task": key}, lambda: f"put back; follow it with: seamwork watch {key}")


def _place(letter: Letter) -> str:
    at = letter.record.position
    return f"{letter.record.topic}/{at.partition}/{at.offset}"


def _public(letter: Letter) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(letter.record)
    said["headers"] = [header.name for header in letter.record.headers]
    return {"id": letter.id, **said}
