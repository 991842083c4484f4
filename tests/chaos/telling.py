"""Tell what a run found: its closing lines, and the table of the page on reliability."""

import statistics
from pathlib import Path
from typing import Any

_BEGIN, _END = "<!-- chaos: begin -->", "<!-- chaos: end -->"


def _faults(result: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for one in result["happened"]:
        by_kind.setdefault(one["fault"], []).append(one)
    return dict(sorted(by_kind.items()))


def _recovery(happened: list[dict[str, Any]]) -> tuple[str, str]:
    times = [one["recovered_s"] for one in happened if one["recovered_s"] is not None]
    if not times:
        return "never", "never"
    return f"{statistics.median(times):.1f}", f"{max(times):.1f}"


def closing(result: dict[str, Any]) -> str:
    """Return the lines that a run ends with."""
    found = result["found"]
    lines = ["", f"{'fault':20} {'times':>5} {'recovery, s: median':>20} {'longest':>8}"]
    for kind, happened in _faults(result).items():
        median, longest = _recovery(happened)
        lines.append(f"{kind:20} {len(happened):5} {median:>20} {longest:>8}")
    lines += [
        "",
        (
            f"seed {result['seed']}, {result['brokers']} broker(s), {result['seconds']:.0f} s; "
            f"exits: {', '.join(f'{n} {name}' for name, n in sorted(result['exits'].items())) or 'none'}"
        ),
        (
            f"{found['tasks']} tasks, {found['in_log']} crossings, {found['admitted']} admitted, "
            f"{found['refused']} refused; "
            f"tasks ended: {', '.join(f'{n} {name}' for name, n in sorted(found['outcomes'].items()))}"
        ),
        (
            f"{found['claims']} claims, {found['stale_commits']} commits of the fenced ignored, "
            f"{found['duplicates_of_bytes']} decisions published again, {found['runs']} runs of agents "
            f"({found['runs_again']} again)"
        ),
        (
            f"{len(found['lost'])} lost, {len(found['repeated'])} effects repeated, "
            f"{len(found['unadmitted'])} deliveries without admission, "
            f"{len(found['unaudited'])} audit records missing "
            f"of {found['audited']}, {len(result['violations'])} violations"
        ),
        *(f"VIOLATION {each}" for each in result["violations"][:40]),
    ]
    return "\n".join(lines)


def table(result: dict[str, Any]) -> str:
    """Return the table of faults against outcomes."""
    found = result["found"]
    lines = [
        (
            f"Run of {result['at'][:10]}: seed {result['seed']}, {result['brokers']} broker(s), "
            f"{result['seconds'] / 60:.0f} minutes, {len(result['happened'])} faults."
        ),
        "",
        "| fault | times | new work done after, s: median | longest |",
        "|---|---:|---:|---:|",
    ]
    for kind, happened in _faults(result).items():
        lines.append("| " + " | ".join((kind, str(len(happened)), *_recovery(happened))) + " |")
    rows = {
        "tasks begun": found["tasks"],
        "crossings in the log": found["in_log"],
        "crossings admitted": found["admitted"],
        "crossings refused": found["refused"],
        "poisoned records, each a dead letter": found["poisoned"],
        "crossings lost": len(found["lost"]),
        "effects repeated": len(found["repeated"]),
        "deliveries without admission": len(found["unadmitted"]),
        "audit records": found["audited"],
        "audit records missing, other or twice": len(found["unaudited"]),
        "faults in journals": len(found["broken_journal"]),
        "wrong answers": len(found["wrong_answers"]),
        "dispatches run after they were finished": len(found["ran_after_end"]),
        "commits of fenced owners, ignored by all": found["stale_commits"],
        "decisions published again, byte for byte": found["duplicates_of_bytes"],
        "runs of an agent's function": found["runs"],
        "of these again, after a crash": found["runs_again"],
    }
    if "audits" in result:  # a result that was kept before there were any has none
        rows |= {
            "licence audits whole, labelled, refused": " / ".join(
                str(result["audits"][how]) for how in ("whole", "labelled", "refused")
            ),
            "of these untrue, or with gaps that nothing says": len(result["audits"]["wrong"]),
            "crossings that a person agreed to": found["approved"],
            "micro-USD spent, each settled once": found["spent_micro_usd"],
            "dispatches settled wrongly": len(found["wrong_money"]),
        }
    lines += ["", "| outcome | |", "|---|---:|", *(f"| {name} | {number} |" for name, number in rows.items())]
    exits = ", ".join(f"{name} {n}" for name, n in sorted(result["exits"].items()))
    ends = ", ".join(f"{name} {n}" for name, n in sorted(found["outcomes"].items()))
    return "\n".join([*lines, "", f"Services left by: {exits or 'none'}. Tasks ended: {ends}."])


def page(path: Path, result: dict[str, Any]) -> None:
    """Write the table between its marks on a page."""
    between(path, (_BEGIN, _END), table(result))


def between(path: Path, marks: tuple[str, str], table: str) -> None:
    """Write a table between its marks on a page."""
    begin, end = marks
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{path} has no marks {begin} … {end}")
    path.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")
