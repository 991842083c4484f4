"""``seamwork retire`` and ``seamwork revoke``: take documents out of force."""

from typing import Literal

import click
import msgspec

from seamwork.cli.terminal import (
    answer,
    door_of,
    json_option,
    platform_option,
    running_loop,
    tell,
    tell_who_lags,
)
from seamwork.clock import SystemClock
from seamwork.errors import UnprocessableError
from seamwork.platform.known import lagging
from seamwork.platform.withdrawal import WITHDRAWN, withdrawal

_KIND = click.argument("kind", type=click.Choice(WITHDRAWN, case_sensitive=False))
_NAME = click.argument("name", metavar="NAME[@VERSION]")
_REASON = click.option("--reason", default="", help="Kept with the activation.")


@click.command()
@_KIND
@_NAME
@click.option("--anyway", is_flag=True, help="Even where something is left without what it needs.")
@_REASON
@platform_option
@json_option
@running_loop
async def retire(kind: str, name: str, anyway: bool, reason: str, platform: str) -> None:
    """
    Take a document out of force: nothing new relies on it, and what was admitted may end.

    Of agents and contracts, of which several versions stand side by side, NAME@VERSION is one of them. If anything
    would be left without what it needs, the document stays in force, unless told otherwise.

    \b
      seamwork retire Agent extractor@2.0.0
      seamwork retire Policy night-shift --reason "the day has it now"
    """
    await _withdraw(kind, name, "retired", reason, platform, asks=not anyway)


@click.command()
@_KIND
@_NAME
@_REASON
@platform_option
@json_option
@running_loop
async def revoke(kind: str, name: str, reason: str, platform: str) -> None:
    """
    Take a document out of force because it is trusted no longer, whatever relies on it.

    The open work of an agent is given to others or refused; what a person signed and nothing was done upon yet
    counts no more.

    \b
      seamwork revoke Agent extractor@2.0.0 --reason "drops licences"
      seamwork revoke Person ada --reason "has left"
    """
    await _withdraw(kind, name, "revoked", reason, platform, asks=False)


async def _withdraw(
    kind: str, name: str, status: Literal["retired", "revoked"], reason: str, platform: str, *, asks: bool
) -> None:
    called, at, version = name.partition("@")
    if at and not version:  # an empty variable of a script, which must not take all versions
        raise click.UsageError(f"{name} names no version; without the @ all versions are meant")
    door = door_of(platform)
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
        found = withdrawal(catalog, kind, called, version or None, status, SystemClock().now_ms())
        for one in found.stopped:
            tell(f"{one.kind} {one.what} is left without it: {one.how}")
        if found.stopped and asks:
            raise UnprocessableError(f"{kind} {name} stays in force; --anyway retires it all the same")
        revision = await publisher.withdraw(found.versions, status, reason)
    tell_who_lags(status, await lagging(door.home, revision))
    versions = ", ".join(one.version for one in found.versions)
    value = {
        "kind": kind, "name": called, "status": status, "versions": [one.version for one in found.versions],
        "left_without": msgspec.to_builtins(found.stopped),
    }  # fmt: skip
    answer(value, lambda: f"{kind} {called} {versions} is {status}")
