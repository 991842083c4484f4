"""``seamwork flow report`` and ``seamwork flow propose``: take a flow from observing to being enforced."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec

from seamwork.authoring.proposed import Proposal, proposals
from seamwork.authoring.recorded import recorded_crossings
from seamwork.catalog import Catalog
from seamwork.cli import NO
from seamwork.cli.terminal import answer, door_of, json_option, platform_option, running_loop, table, tell
from seamwork.clock import SystemClock
from seamwork.documents import Flow
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.platform.audit import Audit
from seamwork.platform.wording import plain
from seamwork.records.wire import rfc3339
from seamwork.seams.steps import FlowReport, Refusal, Step

_MODES = {"observe": "observe (ungoverned)", "shadow": "shadow (ungoverned)", "enforce": "enforce"}


@click.command("report")
@click.argument("flow")
@click.option("--examples", is_flag=True, help="Show the latest crossings of each line, masked.")
@platform_option
@json_option
def report(flow: str, examples: bool, platform: str) -> None:  # click's own form
    """
    Say what each step of FLOW refused, or would have refused: by seam, agent, gate and rule.

    A step is a version of the flow in its mode: observe, shadow or enforce. Exit status 1 while the version in
    force would have refused something that went on.

    \b
      seamwork flow report licence-audit
      seamwork flow report licence-audit --examples
    """
    found = Audit.of(door_of(platform)).flow(flow)
    answer(found, lambda: "\n".join(lines_of(found, examples=examples)))
    if any(step.in_force and step.would_refuse for step in found.steps):
        sys.exit(NO)


def lines_of(found: FlowReport, *, examples: bool) -> Iterator[str]:
    """Yield the lines of a report; agents and the ids of crossings are whoever's who wrote them."""
    part = "" if found.whole else f", looked at from {rfc3339(found.since)} on"
    yield f"flow {found.flow}{part}"
    for step in found.steps:
        yield ""
        yield _step_line(step)
        if not step.refusals:
            continue
        heads = ["", "times", "what", "of", "to", "under", "gate", "rule"]
        yield table(heads, [_row(one) for one in step.refusals])
        for line in step.refusals if examples else ():
            yield from _examples(line)


def _step_line(step: Step) -> str:
    now = ", in force" if step.in_force else ""
    over = (
        f"{step.judged} crossings judged, {step.refused} refused, {step.would_refuse} would have been refused"
        if step.judged
        else "nothing crossed"
    )
    return f"{step.version} {_MODES[step.mode]}{now}: {over}"


def _row(one: Refusal) -> list[str]:
    what = "refused" if one.enforced else "would refuse"
    rule = one.rule if one.effect == "deny" else f"{one.rule} ({one.effect})"
    return [what, str(one.times), one.kind, one.agent, one.to, one.contract, one.gate, rule]


def _examples(line: Refusal) -> Iterator[str]:
    yield ""
    yield plain(f"{line.kind} of {line.agent} under {line.contract}, {line.gate}: {line.rule}")
    for one in line.examples:
        yield plain(f"  {rfc3339(one.at)}  task {one.task}  crossing {one.crossing}")
        yield plain(f"    {one.reason}")
        if one.payload is not None:
            yield plain(f"    {json.dumps(one.payload, ensure_ascii=False)}")


@click.command("propose")
@click.argument("flow")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The folder to write to; a file that is there is left alone.",
)
@click.option("--all", "every", is_flag=True, help="Propose contracts that are in force, too.")
@click.option(
    "--last", type=click.IntRange(1, 1_000_000), default=50_000, show_default=True,
    help="How many of the latest records are looked at.",
)  # fmt: skip
@platform_option
@json_option
@running_loop
async def propose(flow: str, out: Path | None, every: bool, last: int, platform: str) -> None:
    """
    Propose a contract for each that FLOW names and that is not in force, from what crossed along it.

    The schemas admit what crossed and little else; texts of few values become lists of them. No payload is copied:
    the examples are made up. The owner is left to be named, which `contracts check` says.

    \b
      seamwork flow propose complaints --out contracts
    """
    door, now = door_of(platform), SystemClock().now_ms()
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
    found = proposals(
        _flow(catalog, flow, now), await recorded_crossings(door, last), catalog, now, every=every
    )
    if not found:
        tell(f"nothing to propose: nothing crossed the flow {flow} under a contract that is not in force")
    written = [None] * len(found) if out is None else _write(out, found)
    value = [{**msgspec.to_builtins(one), "file": path} for one, path in zip(found, written, strict=True)]
    texts = [path or one.yaml for one, path in zip(found, written, strict=True)]
    answer(value, lambda: ("---\n" if out is None else "\n").join(texts))


def _flow(catalog: Catalog, name: str, now: int) -> Flow:
    entry = catalog.current("Flow", name, now)
    if entry is None or not isinstance(entry.document, Flow):
        known = ", ".join(flow.name for flow in catalog.flows(now)) or "none"
        raise UnprocessableError(f"there is no flow {name} in force; in force are: {known}")
    return entry.document


def _write(folder: Path, found: Sequence[Proposal]) -> list[str]:
    """Write all proposals, or none where a file of one's name is there."""
    paths = [folder / f"{one.contract}-{one.version}.yaml" for one in found]
    there = [str(path) for path in paths if path.exists() or path.is_symlink()]
    if there:
        raise UnprocessableError(f"already there: {', '.join(there)}; nothing was written")
    for path, one in zip(paths, found, strict=True):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(one.yaml)
        except OSError as error:
            raise MisconfiguredError(f"{path} cannot be written: {error.strerror}") from error
    return [str(path) for path in paths]
