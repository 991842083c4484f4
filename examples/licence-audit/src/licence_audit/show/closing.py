"""Tell the end: the two reports side by side, the blame, what each service did, what it took, what to try next."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from licence_audit.report import side_by_side
from licence_audit.show.acts import Act
from licence_audit.show.checks import Check, Story, handoffs, names, unended
from licence_audit.show.screen import Screen
from seamwork.platform.views import Blame, Summary, Tally
from seamwork.platform.wording import blame_line
from seamwork.seams.page import Page, as_html

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process holds, in MB."""

    name: str
    mb: int | None


def rss_mb(pid: int | None) -> int | None:
    """Return the resident memory of a process, or None where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    return None


def tell_end(
    screen: Screen, story: Story, blame: Blame, done: Summary, memory: list[Memory], found: tuple[Check, ...]
) -> None:
    """Tell what came of it all."""
    screen.act("Side by side: what was believed, and what is so")
    screen.say(side_by_side(story.first.report, story.third.report).rstrip())
    screen.act("Blame: why act two has gaps")
    screen.say(blame_line(blame).rstrip())
    screen.act("What each service did")
    for line in service_lines(done):
        screen.say(line)
    screen.act("What it took")
    screen.say(
        f"{screen.seconds:.0f} s in all; act two {story.second.took_s:.1f} s, act three {story.third.took_s:.1f} s"
    )
    held = ", ".join(f"{each.name} {each.mb or 'unknown'}" for each in memory)
    screen.say(textwrap.fill(f"memory in MB: {held}", _WIDTH, break_on_hyphens=False))
    screen.act("As promised?")
    for each in found:
        differs = "" if each.holds else f" ({each.found})"
        screen.say(f"    {'yes' if each.holds else 'NO '}  {each.promise}{differs}")


def tell_next(screen: Screen, platform: str, task: str, folder: str, page: str, command: str) -> None:
    """Name three commands to try next, and where to look."""
    screen.act("To try next")
    for words, what in (
        ("up --detach", "start the same platform again; it has kept everything"),
        (f"trace {task}", "act two as a tree: who said what of each crossing, and how long it took"),
        ("approvals list --all", "what a person was asked, and how it ended"),
    ):
        screen.say(f"    {command} {words} --platform {platform}")
        screen.say(f"        {what}")
    screen.say("")
    screen.say(f"The reports of this run: {folder}")
    screen.say(f"All of it as one page, for a browser: {page}")


def service_lines(done: Summary) -> Iterator[str]:
    """Say in one line what each service did."""
    for gate in ("contract-validator", "policy-engine", "cost-cap"):
        said = {each.detail: each.records for each in done.verdicts if each.name == gate}
        refused = [f"{each.detail} {each.records}" for each in done.refusals if each.name == gate]
        why = f" ({', '.join(refused)})" if refused else ""
        yield f"    {gate:<18} judged {sum(said.values())}: {_listed(said)}{why}"
    ends = {each.detail: each.records for each in done.verdicts if each.name == "approval-workflow"}
    asked = sum(each.records for each in done.types if each.name == "approval-request")
    yield f"    {'approval-workflow':<18} asked {asked}: {_listed(ends)}"
    decided = {each.name: each.records for each in done.decisions}
    yield f"    {'router':<18} decided {sum(decided.values())}: {_listed(decided)}"
    yield f"    {'audit-sink':<18} kept {done.records} records of {len(done.topics)} topics, each exactly once"


def since(before: Summary, after: Summary) -> Summary:
    """Return what was done between two summaries."""
    return Summary(
        records=after.records - before.records,
        **{
            name: _minus(getattr(after, name), getattr(before, name))
            for name in Summary.__struct_fields__
            if name != "records"
        },
    )


def write_files(folder: Path, story: Story, blame: Blame, found: tuple[Check, ...], seconds: float) -> None:
    """Write down the reports as they are read, and the run as data."""
    folder.mkdir(parents=True, exist_ok=True)
    reports = {
        "1-ungoverned": story.first.report,
        "2-governed": story.second.report,
        "3-mended": story.third.report,
    }
    for name, report in reports.items():
        (folder / f"{name}.md").write_text(report.markdown, encoding="utf-8")
    table = side_by_side(story.first.report, story.third.report)
    (folder / "side-by-side.md").write_text(table, encoding="utf-8")
    content = {
        "seconds": round(seconds, 1),
        "wrong": sorted(each.name for each in story.first.false),
        "outage": {
            "before": story.outage.before,
            "on_their_way": story.outage.on_their_way,
            "during": story.outage.during,
            "watched_s": round(story.outage.watched_s, 2),
            "away_s": round(story.outage.away_s, 2),
            "went_on": story.outage.went_on,
        },
        "governed": _act(story.second),
        "mended": _act(story.third),
        "answers": sorted(story.answers.how.values()),
        "blame": msgspec.to_builtins(blame),
        "checks": {each.promise: each.holds for each in found},
    }
    (folder / "run.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_page(folder: Path, page: Page) -> Path:
    """Write the run as one file for a browser."""
    path = folder / "run.html"
    path.write_text(as_html(page), encoding="utf-8")
    return path


def _act(act: Act) -> dict[str, Any]:
    return {
        "task": act.submitted.task,
        "outcome": act.outcome,
        "seconds": round(act.took_s, 1),
        "handoffs": handoffs(act.trace),
        "crossings": act.trace.crossings,
        "without_end": unended(act.trace),
        "refused": [
            {"step": each.step, "rule": each.rule, "gate": each.gate} for each in act.course.refusals
        ],
        "incomplete": sorted(names(act.report, "incomplete")),
        "findings": {
            f"{entry.ref.source}/{entry.ref.name}": {"expression": entry.expression, "status": entry.status}
            for entry in act.report.entries
        },
    }


def _minus(after: tuple[Tally, ...], before: tuple[Tally, ...]) -> tuple[Tally, ...]:
    known = {(each.name, each.detail): each.records for each in before}
    left = (
        msgspec.structs.replace(each, records=each.records - known.get((each.name, each.detail), 0))
        for each in after
    )
    return tuple(each for each in left if each.records)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"
