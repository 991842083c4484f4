"""``seamwork teams`` and ``seamwork webhooks``: who owns seams, and how they are told."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import click

from seamwork.cli.terminal import (
    answer,
    as_json,
    door_of,
    home_of,
    json_option,
    platform_option,
    running_loop,
    table,
    tell,
    tell_who_lags,
    text_of_file,
)
from seamwork.clock import SystemClock
from seamwork.errors import MisconfiguredError
from seamwork.grants.webhooks import WebhookSecretError
from seamwork.platform.receiver import Receiver
from seamwork.platform.teams import add_team, strangers
from seamwork.platform.wording import plain


@click.group()
def teams() -> None:
    """Bring teams in and see them."""


@teams.command("add")
@click.argument("name")
@click.option("--member", "members", multiple=True, help="A person of the team; may be repeated.")
@click.option("--webhook", "url", help="Where it wants to be told; the secret is made on this machine.")
@click.option("--version", default="1.0.0", show_default=True, help="The version of the document.")
@platform_option
@json_option
@running_loop
async def add(name: str, members: tuple[str, ...], url: str | None, version: str, platform: str) -> None:
    """
    Publish a team: its people, and where it is told of refusals, holds, cases at its seams.

    \b
      seamwork teams add seams --member ada --webhook https://hooks.example.org/seams
    """
    door = door_of(platform)
    team, told, behind = await add_team(door, name, members, url, version)
    tell_who_lags("published", behind)
    for member in await strangers(door, members):
        tell(f"{member} is nobody in force yet: `seamwork people add {member} --role ROLE`")
    secret = None if team.spec.webhook is None else str(door.home.webhooks / team.spec.webhook.secret)
    value = {"team": name, "version": version, "written": told.written, "secret_file": secret}
    more = "" if secret is None else f"\nthe secret of its webhook is in {secret}"
    answer(value, lambda: f"{name} {version} is in force{more}")


@teams.command("list")
@platform_option
@json_option
@running_loop
async def list_teams(platform: str) -> None:
    """
    List the teams in force.

    \b
      seamwork teams list
    """
    now = SystemClock().now_ms()
    async with door_of(platform).publisher() as publisher:
        catalog = await publisher.catalog()
    names = dict.fromkeys(entry.document.name for entry in catalog.entries("Team"))
    found = [team for name in names if (team := catalog.team(name, now)) is not None]
    value = [
        {"team": team.name, "version": team.version, **team.spec.model_dump(mode="json")} for team in found
    ]
    rows = [
        [
            team.name,
            team.version,
            ", ".join(team.spec.members),
            team.spec.webhook.url if team.spec.webhook else "",
        ]
        for team in found
    ]
    answer(value, lambda: table(["team", "version", "members", "webhook"], rows))


@click.group()
def webhooks() -> None:
    """Try out how owners are told."""


@webhooks.command("listen")
@click.argument("secret")
@click.option("--port", type=click.IntRange(0, 65535), default=8900, show_default=True, help="On loopback.")
@click.option("--count", type=click.IntRange(1), help="End after so many notifications.")
@click.option("--seconds", type=click.IntRange(1), help="End after so long.")
@platform_option
@json_option
def listen(secret: str, port: int, count: int | None, seconds: int | None, platform: str) -> None:
    """
    Receive notifications on this machine, verify them, print each once: a receiver to test with.

    SECRET is the name of a webhook's secret, which for a team is the team's name, or a file that holds it.

    \b
      seamwork webhooks listen seams --port 8900 --count 1
    """
    path = home_of(platform).webhooks / secret
    path = path if path.is_file() else Path(secret)
    if not path.is_file():
        raise MisconfiguredError(f"there is no secret {secret} here; `seamwork teams add` makes one")
    got: list[str] = []
    unread: list[BrokenPipeError] = []

    def take(identity: str, said: dict[str, Any]) -> None:
        try:
            click.echo(json.dumps({"id": identity, **said}) if as_json_here else plain(line_of(said)))
        except BrokenPipeError as error:
            unread.append(error)
            raise
        got.append(identity)

    as_json_here = as_json()  # notifications come on other threads, which have no command
    until = None if seconds is None else time.monotonic() + seconds

    def pass_over() -> None:
        tell(f"one was passed over: it is not signed with the secret of {path}, or too old")

    with contextlib.ExitStack() as stack:
        try:
            receiver = Receiver(text_of_file(path).split(), take, passed_over=pass_over)
            address = stack.enter_context(receiver.listening(port))
        except WebhookSecretError as error:
            raise MisconfiguredError(f"{path} holds no secret of a webhook: {error}") from error
        except OSError as error:
            raise MisconfiguredError(
                f"port {port} of this machine cannot be had ({error.strerror}); name another with --port, and in "
                "the webhook's address"
            ) from error
        click.echo(f"listening at {address}", err=True)
        while (count is None or len(got) < count) and (until is None or time.monotonic() < until):
            if unread:
                raise unread[0]
            time.sleep(0.05)


def line_of(said: dict[str, Any]) -> str:
    """Write a notification as a line for a person."""
    data = said["data"]
    what = said["type"].removeprefix("seamwork.")
    why = f"{data['rule']}: {data['reason']}" if data.get("reason") else data.get("rule", "")
    about = (
        data.get("case") or data.get("crossing") or f"{data['topic']}/{data['partition']}/{data['offset']}"
    )
    drill = "DRILL  " if data.get("drill") else ""
    return f"{said['timestamp'][11:19]}  {drill}{what:<12} {data['owner']:<16} {about}  {why}"
