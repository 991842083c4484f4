"""``seamwork backtest``: judge what crossed once more, under documents that are not published yet."""

import sys
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import click

from seamwork.catalog import Catalog
from seamwork.catalog.follower import read_catalog
from seamwork.cli import NO
from seamwork.cli.documents import checked
from seamwork.cli.terminal import answer, door_of, json_option, platform_option, running_loop, table, tell
from seamwork.clock import SystemClock
from seamwork.documents import AnyDocument, DocumentError
from seamwork.errors import UnprocessableError
from seamwork.platform.backtest import GATES, Backtested, GateTested, Otherwise, backtest, recorded
from seamwork.platform.files import gather, with_any_key, with_published_keys
from seamwork.platform.janitor import machine_spec
from seamwork.platform.withdrawal import without_what_is_out
from seamwork.records.wire import rfc3339
from seamwork.runtime.spec import Site

last_option = click.option(
    "--last",
    type=click.IntRange(1, 100_000),
    default=10_000,
    show_default=True,
    help="Records of the path of work.",
)
"""How far back what crossed is judged once more, or compared."""


@click.command("backtest")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@last_option
@platform_option
@json_option
@running_loop
async def backtest_documents(paths: tuple[Path, ...], last: int, platform: str) -> None:
    """
    Judge what crossed once more, as if the documents in PATHS had been in force all along.

    Policies, flows, budgets, agents: whatever the policy engine and the cost cap look at. The gates' own code
    judges the records as they lie in the log, and nothing is published. What would be judged otherwise is listed
    by seam; what followed from it is not, for nobody knows what an agent would have done. Exit status 1 if there is
    any, or if there was nothing that could be compared.

    \b
      seamwork backtest policies/
      seamwork backtest night-shift.yaml --last 50000 --json
    """
    door = door_of(platform)
    site = Site(platform=door.identity.id, partitions=door.identity.partitions)
    specs = [machine_spec(gate, site) for gate in GATES]
    async with door.log("tools") as log:
        as_was = await read_catalog(log, door.identity.id, door.identity.root_public)
        as_would_be = as_was.with_in_force(_would_be(paths, as_was))
        found = await recorded(log, door.identity.id, GATES, last)
    tested = backtest(found, specs, as_was, as_would_be)
    if tested.says_nothing:
        raise UnprocessableError(
            f"none of the verdicts on the last {tested.records} records comes out as it did, even with what was in "
            "force then, so nothing follows for what would be: other gates judged them, or it was another release"
        )
    answer({**asdict(tested), "same": tested.same}, lambda: _text(tested))
    if not tested.same:
        sys.exit(NO)


def _would_be(paths: tuple[Path, ...], catalog: Catalog) -> list[AnyDocument]:
    """Return what publishing these paths would put in force; what was put out of it stays so."""
    documents, problems = gather(paths, with_any_key)
    if problems:
        raise DocumentError(problems)
    published = catalog.documents()
    now = SystemClock().now_ms()
    there = without_what_is_out(catalog, now)
    documents = checked(with_published_keys(documents, published), published, there)
    left = []
    for one in documents:
        known = catalog.entry(one.kind, one.name, one.version)
        status = None if known is None else known.status(now)
        if status in {"deprecated", "retired", "revoked"}:
            tell(f"{one.title} is {status} and is left out")
        else:
            left.append(one)
    return left


def _text(tested: Backtested) -> str:
    if tested.since is None or tested.until is None:
        return "nothing has crossed yet"
    lines = [
        f"{tested.records} records of {tested.tasks} tasks, {rfc3339(tested.since)} to {rfc3339(tested.until)}",
        *(_gate(one) for one in tested.gates),
    ]
    rows = [row for gate in tested.gates for row in _rows(gate)]
    if rows:
        heads = ["gate", "crossing", "then", "now", "how many", "tasks", "the last one"]
        lines += ["", table(heads, rows)]
    return "\n".join(lines)


def _gate(one: GateTested) -> str:
    said = f"{one.gate}: {one.compared - len(one.otherwise)} verdicts stay as they are, {len(one.otherwise)} do not"
    if not one.unlike:
        return said
    return f"{said}; {one.unlike} do not come out as they did even with what was in force, and are left out"


def _rows(gate: GateTested) -> list[list[str]]:
    """Return one line for all that would be judged otherwise in the same way, the most frequent first."""
    alike: dict[tuple[str, str, str], list[Otherwise]] = defaultdict(list)
    for one in gate.otherwise:
        then, now = (f"{vote.outcome} {vote.rule}".rstrip() for vote in (one.then, one.now))
        alike[one.seam, then, now if now != then else f"{now}, other {', '.join(one.differs)}"].append(one)
    return [
        [gate.gate, *what, str(len(ones)), str(len({one.task for one in ones})), ones[-1].task]
        for what, ones in sorted(alike.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
