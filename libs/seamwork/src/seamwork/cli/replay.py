"""``seamwork replay``: rebuild what a machine knows from its journal, and decide it all again."""

import sys
from dataclasses import asdict
from typing import Any

import click

from seamwork.broker.further import further_machines
from seamwork.catalog.follower import read_catalog
from seamwork.cli import NO
from seamwork.cli.terminal import answer, door_of, json_option, platform_option, running_loop, table
from seamwork.errors import UnprocessableError
from seamwork.platform.janitor import machine_specs, one_of
from seamwork.platform.replay import Replay, Replayed, Trusted
from seamwork.records.wire import rfc3339
from seamwork.runtime.spec import Site


@click.command()
@click.argument("machine")
@click.option("--partition", default=0, show_default=True, help="Of its journal.")
@click.option("--to", type=int, help="The last offset to apply; the whole journal unless given.")
@click.option("--verify", is_flag=True, help="Decide every input again and compare the events byte for byte.")
@platform_option
@json_option
@running_loop
async def replay(machine: str, partition: int, to: int | None, verify: bool, platform: str) -> None:
    """
    Rebuild a machine's state from its journal, and print its digest.

    Snapshots are what the owner had in memory: where one lies on the way, the two states are compared. The exit
    status is 1 where something differs.

    \b
      seamwork replay router --partition 0
      seamwork replay cost-cap --verify
    """
    door = door_of(platform)
    trusted = Trusted(platform=door.identity.id, root_public=door.identity.root_public)
    async with door.log("tools") as log:
        site = Site(platform=door.identity.id, partitions=door.identity.partitions)
        catalog = await read_catalog(log, door.identity.id, door.identity.root_public)
        spec = one_of(machine_specs(catalog, site), machine)
        if verify and further_machines(catalog).get(machine, machine) is None:
            raise UnprocessableError(
                f"what {machine} says is decided by its own program, which this command does not have: without "
                "--verify its state is rebuilt, and compared with its snapshots"
            )
        found = await Replay(log, spec, partition, trusted).run(to, verify=verify)
    answer(_public(found), lambda: _text(found))
    if not found.good:
        sys.exit(NO)


def _public(found: Replayed) -> dict[str, Any]:
    return {**asdict(found), "good": found.good}


def _text(found: Replayed) -> str:
    until = rfc3339(found.now) if found.now else "nothing was ever committed"
    rows = [
        ["journal", f"{found.place}, offsets {found.began_at} to {found.next_offset}"],
        [
            "commits",
            f"{found.commits}, with {found.events} events; {found.claims} claims; {found.ignored} ignored",
        ],
        ["as of", f"{until}, epoch {found.epoch}, seq {found.seq}"],
        ["state", f"sha256 {found.state_sha256}"],
    ]
    rows += [
        ["snapshot", f"at {one.next_offset}: {'equal' if one.equal else 'DIFFERS, ' + one.state_sha256}"]
        for one in found.snapshots
    ]
    if found.verified is not None:
        rows.append(
            ["verified", f"{found.verified} inputs decided again, {len(found.differences)} commits differ"]
        )
    rows += [["differs", f"offset {one.offset}: {one.what}"] for one in found.differences]
    return table(["", ""], rows)
