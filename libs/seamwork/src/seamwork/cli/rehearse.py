"""``seamwork rehearse``: run a flow through the real gates before its agents exist."""

import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import structlog

from seamwork.authoring.own import own_agent, with_document
from seamwork.authoring.rehearsal import Rehearsed, Shown, rehearse
from seamwork.authoring.scenes import scenes_of
from seamwork.authoring.seams import Layout, lay_out
from seamwork.cli import NO
from seamwork.cli.documents import checked
from seamwork.cli.flows import read_flow
from seamwork.cli.terminal import answer, json_option, running_loop, table, tell
from seamwork.platform.home import PlatformHome
from seamwork.platform.up import bring_up


@click.command("rehearse")
@click.argument("flow")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--with", "own", multiple=True, metavar="MODULE:AGENT",
    help="An agent of your own that plays itself; repeatable.",
)  # fmt: skip
@json_option
@running_loop
async def rehearse_flow(flow: str, paths: tuple[Path, ...], own: tuple[str, ...]) -> None:
    """
    Run FLOW through the real gates, with stand-ins for agents that do not exist yet.

    FLOW is a file or a folder with one flow, or the name of one in PATHS; contracts, policies and agents are
    those in PATHS, or beside it. Each example of each contract crosses the seam that it is for, or is refused by
    the rule that it names. The platform is made for this and gone afterwards. Exit status 1 when something came
    out otherwise.

    \b
      seamwork rehearse documents
      seamwork rehearse documents --with word_count_agent:agent
      seamwork rehearse orders flows/ contracts/
    """
    the_flow, documents = read_flow(flow, paths)
    agents = [own_agent(name) for name in own]
    for agent in agents:
        documents = with_document(agent, the_flow, documents)
    documents = checked(documents)
    names = {agent.name: agent for agent in agents}
    layout = lay_out(the_flow, documents, names)
    scenes = scenes_of(layout, names)
    _alone()
    _quiet()
    with tempfile.TemporaryDirectory(prefix="seamwork-rehearsal-", ignore_cleanup_errors=True) as folder:
        running = await bring_up(PlatformHome(Path(folder) / "rehearsal"), tell=tell)
        try:
            tell(f"rehearsing {the_flow.name}: {len(scenes)} scenes, {len(layout.seams)} seams")
            rehearsed = await rehearse(running.door, layout, scenes, documents, names)
        finally:
            await running.stop()
    answer(public(layout, rehearsed), lambda: screen(layout, rehearsed))
    if not rehearsed.kept:
        sys.exit(NO)


def public(layout: Layout, rehearsed: Rehearsed) -> dict[str, Any]:
    """Return what a program is told of a rehearsal."""
    return {
        "flow": layout.flow.name,
        "version": layout.flow.version,
        "kept": rehearsed.kept,
        "stand_ins": list(rehearsed.stand_ins),
        "notes": list(rehearsed.notes),
        "scenes": [
            {
                "seam": None if one.scene.seam is None else str(one.scene.seam),
                "contract": None if one.scene.seam is None else _contract(one),
                "example": one.scene.example,
                "tried": one.scene.tried if one.scene.seam is not None else "whole-flow",
                "kept": one.kept,
                "became": one.became,
                "gate": one.gate,
                "rule": one.rule,
                "held_for": list(one.held_for),
            }
            for one in rehearsed.shown
        ],
        "led_by_your_agents": [{"seam": str(seam), "crossed": times} for seam, times in rehearsed.led],
    }


def screen(layout: Layout, rehearsed: Rehearsed) -> str:
    """Write a rehearsal for a person: what came out otherwise first, then every seam."""
    wrong = [one for one in rehearsed.shown if not one.kept]
    total = len(rehearsed.shown)
    kept = f"{total - len(wrong)} of {total} scenes came out as the contracts say"
    stood_in = ", ".join(rehearsed.stand_ins) or "nobody"
    lines = [f"{layout.flow.name} {layout.flow.version}: {kept}; stood in for: {stood_in}"]
    lines += [f"  note: {note}" for note in rehearsed.notes]
    for one in wrong:
        where = "the whole flow" if one.scene.seam is None else f"{one.scene.seam} under {_contract(one)}"
        wanted = "" if one.scene.seam is None else f"; expected that {one.scene.says}{_by(one)}"
        lines += ["", f"OTHERWISE  {where}, example {one.scene.example}", f"  {one.became}{wanted}"]
    by_seam = [[one for one in rehearsed.shown if one.scene.seam == seam] for seam in layout.seams]
    rows = [
        [
            str(seam),
            f"{seam.contract.name} {seam.contract.version}",
            *(str(sum(s.kept and s.scene.tried == tried for s in shown)) for tried in _TRIED),
            str(sum(not s.kept for s in shown)),
            ", ".join(sorted({role for s in shown for role in s.held_for})) or "-",
        ]
        for seam, shown in zip(layout.seams, by_seam, strict=True)
        if seam.path is not None
    ]
    heads = ["seam", "contract", "crossed", "refused there", "refused back", "otherwise", "held for"]
    lines += ["", table(heads, rows)]
    for seam, times in rehearsed.led:
        crossed = f"crossed {times} times" if times else "was not crossed, with the examples there are"
        lines.append(f"{seam}: led by {seam.source} itself, {crossed}")
    for one in rehearsed.shown:
        if one.scene.seam is None:
            lines.append(f"the whole flow, beginning with {one.scene.example}: {one.became}")
    return "\n".join(lines)


_TRIED = ("crosses", "input-refused", "answer-refused")


def _contract(one: Shown) -> str:
    contract = one.scene.seam.contract if one.scene.seam is not None else None
    return f"{contract.name} {contract.version}" if contract is not None else ""


def _by(one: Shown) -> str:
    return f" by {' or '.join(sorted(one.scene.rules))}" if one.scene.rules else ""


def _quiet() -> None:
    """Let agents in this process say what ends them, and leave what belongs to the play to the answer."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _alone() -> None:
    """Leave the Kafka that the environment names, and whoever works there, out of a rehearsal."""
    for name in list(os.environ):
        if name.startswith(("KAFKA_", "SEAMWORK_KAFKA_")):
            del os.environ[name]
    os.environ["SEAMWORK_BROKER"] = "embedded"
