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
from seamwork.errors import SeamworkError, UnprocessableError
from seamwork.platform.door import Door
from seamwork.platform.keys import forget, refuse_the_last, who_signs_with
from seamwork.platform.known import lagging
from seamwork.platform.members import follow_platform
from seamwork.platform.withdrawal import REVOCABLE, WITHDRAWN, withdrawal

_NAME = click.argument("name", metavar="NAME[@VERSION]")
_REASON = click.option("--reason", default="", help="Kept with the activation.")


@click.command()
@click.argument("kind", type=click.Choice(WITHDRAWN, case_sensitive=False))
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
@click.argument("kind", type=click.Choice(REVOCABLE, case_sensitive=False))
@_NAME
@_REASON
@platform_option
@json_option
@running_loop
async def revoke(kind: str, name: str, reason: str, platform: str) -> None:
    """
    Take a document out of force because it is trusted no longer, whatever relies on it.

    The open work of an agent is given to others or refused; what a person signed and nothing was done upon yet
    counts no more. Nor does what is signed with a key that somebody else may have: `seamwork keys renew` makes its
    holder the next one first.

    \b
      seamwork revoke Agent extractor@2.0.0 --reason "drops licences"
      seamwork revoke Person ada --reason "has left"
      seamwork revoke Key router-1 --reason "lay in a copy"
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
        now = SystemClock().now_ms()
        found = withdrawal(catalog, kind, called, version or None, status, now)
        if kind == "Key":
            refuse_the_last(catalog, called, now)
        for one in found.stopped:
            tell(f"{one.kind} {one.what} is left without it: {one.how}")
        if found.stopped and asks:
            raise UnprocessableError(f"{kind} {name} stays in force; --anyway retires it all the same")
        revision = await publisher.withdraw(found.versions, status, reason)
    tell_who_lags(status, await lagging(door.home, revision))
    if kind == "Key":
        await _let_go(door, called)
    versions = ", ".join(one.version for one in found.versions)
    value = {
        "kind": kind, "name": called, "status": status, "versions": [one.version for one in found.versions],
        "left_without": msgspec.to_builtins(found.stopped),
    }  # fmt: skip
    answer(value, lambda: f"{kind} {called} {versions} is {status}")


async def _let_go(door: Door, kid: str) -> None:
    """Keep nothing here of a key that was revoked, and say who still signs with it."""
    try:
        async with door.log("people") as log:
            signs = await who_signs_with(log, door.identity.id, kid, SystemClock().now_ms())
    except SeamworkError as error:  # it is revoked all the same
        signs = ()
        tell(f"whether somebody still signs with {kid} cannot be told: {error}")
    for instance in signs:
        tell(f"{instance} still signs with {kid}: nothing that it says counts until it is started again")
    if forget(door.home, kid):
        tell(f"its private half is removed from {door.home.keys}")
    for line in follow_platform(door):
        tell(f"warning: {line}")
