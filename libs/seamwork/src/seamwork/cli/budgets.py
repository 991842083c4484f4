"""``seamwork budgets``: what is left."""

from dataclasses import asdict

import click

from seamwork.catalog import Context
from seamwork.catalog.follower import read_catalog
from seamwork.cli.terminal import answer, door_of, json_option, platform_option, running_loop, table
from seamwork.clock import SystemClock
from seamwork.errors import MisconfiguredError
from seamwork.platform.janitor import machine_spec
from seamwork.platform.replay import Replay, Trusted
from seamwork.runtime.spec import Site

_KEEPER = "cost-cap"


@click.group()
def budgets() -> None:
    """See what is left of the budgets of agents and teams."""


@budgets.command("list")
@platform_option
@json_option
@running_loop
async def list_budgets(platform: str) -> None:
    """
    List the budgets of agents and teams in force, and what is left of them, in micro-USD.

    It is what the cost cap's journal says at this moment. Budgets of tasks have as many accounts as there are
    tasks; a refusal says what is left of one.

    \b
      seamwork budgets list
    """
    door = door_of(platform)
    trusted = Trusted(platform=door.identity.id, root_public=door.identity.root_public)
    spec = machine_spec(_KEEPER, Site(platform=door.identity.id, partitions=door.identity.partitions))
    if spec.standing is None:
        raise MisconfiguredError(f"the {_KEEPER} that is installed here does not say how budgets stand")
    async with door.log("tools") as log:
        catalog = await read_catalog(log, trusted.platform, trusted.root_public)
        replay = Replay(log, spec, 0, trusted)
        await replay.run()
    found = spec.standing(replay.state, Context(SystemClock().now_ms(), catalog))
    rows = [
        [
            one.budget, one.version, f"{one.scope} {one.holder}", one.since or "ever",
            *map(str, (one.limit, one.reserved, one.spent, one.overrun, one.left)),
        ]
        for one in found
    ]  # fmt: skip
    heads = ["budget", "version", "of", "since", "limit", "reserved", "spent", "overrun", "left"]
    answer([{**asdict(one), "left": one.left} for one in found], lambda: table(heads, rows))
