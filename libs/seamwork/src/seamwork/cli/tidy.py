"""``seamwork tidy``: trim journals and snapshots to what a restore and the audit need."""

import asyncio
from dataclasses import asdict

import click

from seamwork.catalog.follower import read_catalog
from seamwork.cli.terminal import answer, door_of, json_option, platform_option, running_loop, table
from seamwork.journal import Trimmed
from seamwork.platform.audit import Audit
from seamwork.platform.janitor import machine_specs, one_of
from seamwork.platform.janitor import tidy as one_pass
from seamwork.runtime.spec import Site


@click.command()
@click.option("--machine", multiple=True, help="Only this one's; all unless given.")
@platform_option
@json_option
@running_loop
async def tidy(machine: tuple[str, ...], platform: str) -> None:
    """
    Trim each machine's journal up to its last but one snapshot, where the audit has what goes.

    The snapshot is restored and replayed first; a journal where it does not come out as the last one stays whole,
    and the exit status is 1. `seamwork up` does this every ten minutes.

    \b
      seamwork tidy
      seamwork tidy --machine router
    """
    door = door_of(platform)
    site = Site(platform=door.identity.id, partitions=door.identity.partitions)
    kept = await asyncio.to_thread(Audit.of(door).positions)
    async with door.log("tools") as log:
        specs = machine_specs(await read_catalog(log, door.identity.id, door.identity.root_public), site)
        done = await one_pass(log, [one_of(specs, name) for name in machine or specs], kept)
    answer([asdict(one) for one in done], lambda: _text(done))


def _text(done: list[Trimmed]) -> str:
    if not done:
        return "nothing to trim: a journal is trimmed once it has two snapshots that the audit has passed"
    rows = [[one.place, str(one.journal_from), str(one.snapshots_from), str(one.gone)] for one in done]
    return table(["journal", "begins at", "snapshots begin at", "offsets gone"], rows)
