"""``seamwork keys``: who signs with what, and the next key of somebody."""

import click
import msgspec

from seamwork.cli.terminal import (
    answer,
    door_of,
    json_option,
    platform_option,
    running_loop,
    table,
    tell,
    tell_who_lags,
)
from seamwork.clock import SystemClock
from seamwork.platform.keys import KnownHere, Renewed, keys_known
from seamwork.platform.keys import renew as make_next
from seamwork.records.wire import rfc3339


@click.group()
def keys() -> None:
    """Look at the keys with which services, agents and people sign, and make somebody the next one."""


@keys.command("list")
@platform_option
@json_option
@running_loop
async def list_keys(platform: str) -> None:
    """
    List every key that was published, whether it counts, and whether its private half is kept here.

    \b
      seamwork keys list
    """
    door = door_of(platform)
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
    found = keys_known(door.home, catalog, SystemClock().now_ms())
    rows = [[one.kid, one.holder, _state(one), _where(one)] for one in found]
    answer(msgspec.to_builtins(found), lambda: table(["key", "of", "counts", "private half"], rows))


def _state(key: KnownHere) -> str:
    match key.state:
        case "counts":
            return "yes" if key.ends_at is None else f"until {rfc3339(key.ends_at)}"
        case "not-yet":
            return "not yet"
        case _:
            return f"no: {key.state}"


def _where(key: KnownHere) -> str:
    if not key.here:
        return "-"
    return "here, signs" if key.signs else "here"


@keys.command()
@click.argument("holder", metavar="SERVICE|publisher|person:NAME|agent:NAME")
@platform_option
@json_option
@running_loop
async def renew(holder: str, platform: str) -> None:
    """
    Make the next key of a service, of the publisher, of a person or of an agent.

    It counts from now on, beside the former one. A service signs with it once it is started again; then `seamwork
    revoke Key` ends the former one. A person signs with it at once, and with the former one no more. Of an agent,
    the next version of its document lists it.

    \b
      seamwork keys renew router
      seamwork keys renew person:ada
    """
    made = await make_next(door_of(platform), holder)
    tell_who_lags("published", made.behind)
    for line in made.left:
        tell(f"warning: {line}")
    answer(
        msgspec.to_builtins(made), lambda: "\n".join([f"{made.holder} has the key {made.kid}", *_next(made)])
    )


def _next(made: Renewed) -> list[str]:
    """Return what is left to do."""
    kind = made.holder.partition(":")[0]
    ends = f"seamwork revoke Key {made.former}"
    match kind:
        case "person":
            return [f"{made.holder.partition(':')[2]} signs with it from now on, here"]
        case "publisher":
            return [f"documents are signed with it from now on, here; then: {ends}"]
        case "agent":
            return [
                "list it in the next version of its document:",
                f'  keys: [{{kid: {made.kid}, public: "{made.public}"}}]',
            ]
        case "router":
            return [
                f'agents elsewhere have to believe it first: {made.kid} = "{made.public}"',
                "then start the agents and the router again; what is open was signed with the former key;",
                f"when it is done: {ends}",
            ]
        case _:
            return [f"start {made.holder} again, then: {ends}"]
