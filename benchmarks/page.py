"""Write the page that people read from the figures that machines keep."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.goals import Goal, common_goals, goals, missed, watched_longest
from benchmarks.memory import DEFAULT, ENDURANCE, LEVEL_AFTER_S, STEADY
from benchmarks.plots import plots

PARTS = ("sides", "gates", "flat", "memory")
_BESIDE = "beside"  # what programs of their own had measured when the page was written
_MB = 1_000_000
_GB = 1_000_000_000

_HEAD = """\
# Benchmarks

Written by `make bench` from `results/`; do not edit.

What a crossing costs through the whole platform, next to what the same broker takes for a plain record, and for
hops that nobody governs, in the same run. The contestants take turns, round by round, so that what disturbs one
disturbs the others; figures are medians over the rounds. **Compare the ratios: the absolute figures belong to one
machine at one hour.**

- *raw*: a record of {payload} bytes, by plain aiokafka, from before `send` (acks=all) until a waiting consumer has
  it. The same by librdkafka (confluent-kafka), and by the log port that every service has.
- *hop*: two of them with a FastStream subscriber between, in a process of its own, that takes a record and
  publishes it: with the default acknowledgement, which loses what is in hand when the process dies, and with the
  safe one.
- *EggAI*, *Calfkit*: the same through an agent of each, as its own documentation shows one for Kafka, in a process
  and an environment of its own, acks=all. EggAI's handler publishes what it gets. Calfkit's client executes and its
  agent answers, by a model that is a function and costs nothing; 32 at most in flight, for its worker takes one at
  a time.
- *handed*: a governed handoff with a payload of {payload} bytes, from before `submit` until the receiving agent's
  function is called, in a process of its own: signed, judged by three gates, tallied, journalled, stamped.
- *answered*: the same, until the agent's result, judged as well, is back with the initiator. Two crossings.
- *governed crossings*: with many in flight, until the last is answered and the audit sink has kept all that was
  said of them: a record that falls behind would make everything else faster.

Broker, services, agents, hops and drivers share the machine's {cores} cores. Each layout of the services (a process
for each, two, one for all, as many as were measured) is a run of its own on a platform of its own.
"""

_PATH = """\
The stages of a crossing's path, by the metrics that the services and the agent show
(`seamwork_crossing_age_seconds`, counted from the crossing's append; `seamwork_agent_stage_seconds`). Handoffs and
results together; quantiles are those of the metrics' buckets.
"""

_WHERE = """\
What the services were busy with meanwhile, and how often:
"""

_GATES = """\
A process for each service. A gate is taken away as an operator does it: its document is retired, its service
stopped. The contract validator cannot be taken away: without one nothing is admitted; what it takes is in its
process's line above. Journals are answered without being written by a patch that is here and nowhere else
([without_journals](without_journals/sitecustomize.py)). CPU is that of services and broker, in references.
"""

_FLAT = """\
Processor time of a crossing in references (`reference.py`), every core in one process on a log in memory
(`python -m benchmarks.tunnel`), the sizes of one kind in turn; *rules* are ten to a policy, one of which is about
the work that is measured, as where every team writes policies for its own seams; *live* are tasks handed to an
agent that has not answered. The band in the plot is the 20 % that are promised.
"""

_MEMORY = """\
Resident memory (a page that processes share counts for each), read while tasks go through. What is over is
remembered until nobody can send it again, at the deadline of these tasks for up to {minutes} minutes. So memory
grows for as long, and levels off at the tasks of that time; whether it is flat is judged by what was watched after
that alone, at a steady pace where that was measured, and a run that was shorter does not say.
"""

_TAIL = """
## Measure again

`make bench` takes less than ten minutes, `make bench-full` an hour and as long as a million crossings take
(`CROSSINGS=100000` for fewer); `python -m benchmarks --only gates` measures one part. Platforms of their own come
up in a temporary folder, and nothing is left running. It needs Linux (it reads `/proc`), and a machine that does
nothing else: the load average beside each part says how far that was so. Raw figures are in `results/`. What was
tried to make it faster, and what it brought, is in [JOURNAL.md](JOURNAL.md); judging alone is measured in
[CONTRACTS.md](CONTRACTS.md), taking over a partition in [RECOVERY.md](RECOVERY.md). What a crossing cannot cost
less than, as long as it writes what it does, is in [FLOOR.md](FLOOR.md).

## What this is not

One embedded broker with one copy of everything and no fsync per record, as Kafka does by default: figures of a
cluster with three copies are its own. One kind of task, without delegation, and without policies that look at the
payload.
"""

_CALLED = {
    "raw": "raw, aiokafka",
    "librdkafka": "raw, librdkafka",
    "port": "raw, the platform's own client",
    "hop_default": "hop, default acknowledgement",
    "hop_safe": "hop, safe acknowledgement",
    "eggai": "EggAI, ungoverned",
    "calfkit": "Calfkit, ungoverned",
    "handed": "handed",
    "answered": "answered",
    "governed_crossings": "governed crossings",
}
_PEERS = {"eggai": "EggAI", "calfkit": "Calfkit"}


def kept(results: Path) -> dict[str, Any]:
    """Return what is kept of each part, and what the page knows of others."""
    return {
        part: json.loads((results / f"{part}.json").read_text(encoding="utf-8"))
        for part in (*PARTS, _BESIDE)
        if (results / f"{part}.json").exists()
    }


def take_in(results: Path) -> None:
    """Take over what programs of their own have measured: their files may change without the page being written."""
    told = {}
    recovery, endurance = results / "recovery.json", results / ENDURANCE.name
    if recovery.exists():
        told["recovery"] = json.loads(recovery.read_text(encoding="utf-8"))["figures"]
    for name, file in (("endurance", endurance), ("steady", results / STEADY.name)):
        if file.exists():
            told[name] = json.loads(file.read_text(encoding="utf-8"))
    if told:
        (results / f"{_BESIDE}.json").write_text(json.dumps(told) + "\n", encoding="utf-8")


def write(folder: Path, found: Mapping[str, Any]) -> str:
    """Write plots and page into *folder*; return the page."""
    (folder / "plots").mkdir(exist_ok=True)
    for name, drawn in plots(found).items():
        (folder / "plots" / name).write_text(drawn, encoding="utf-8")
    text = page(found)
    (folder / "README.md").write_text(text, encoding="utf-8")
    return text


def page(found: Mapping[str, Any]) -> str:
    """Return the page as Markdown."""
    sides = found["sides"]
    cores, settings, layouts = sides["machine"]["cores"], sides["settings"], sides["layouts"]
    lines = [
        _HEAD.format(payload=settings["payload_bytes"], cores=cores),
        _described(sides),
        *_smoke(found),
        *_absent(layouts),
        "", "## The goals", "", *_goals(found, layouts),
        "", "![Throughput and lateness against offered load](plots/load.svg)",
        "", "![How old a crossing is at each stage](plots/stages.svg)",
    ]  # fmt: skip
    for name, layout in layouts.items():
        lines += ["", f"## Layout `{name}`", "", *_layout(layout, settings, cores)]
    parts: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
        "gates": _gates,
        "flat": _flat,
        "memory": partial(_memory, found),
    }
    titles = {
        "gates": "Each gate taken away, and the journals",
        "flat": "What size costs",
        "memory": "Memory over time",
    }
    for part, told in parts.items():
        lines += ["", f"## {titles[part]}", ""]
        lines += (
            told(found[part])
            if part in found
            else [f"**Not measured**: `python -m benchmarks --only {part}`."]
        )
    return "\n".join((*lines, _TAIL))


def _described(part: Mapping[str, Any]) -> str:
    machine = part["machine"]
    return (
        f"{_measured(part)}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / _GB:.0f} GB, {machine['system']}, Python {machine['python']}."
    )


def _smoke(found: Mapping[str, Any]) -> list[str]:
    only = [part for part in PARTS if found.get(part, {}).get("scale") == "smoke"]
    if not only:
        return []
    return [
        "",
        f"**Scale `smoke`, on a busy machine: {', '.join(only)}. It shows that all is measured, and no figure.**",
    ]


def _measured(part: Mapping[str, Any]) -> str:
    load = part["machine"]
    return (
        f"Measured {part['measured_at']} at {part['revision']}, scale `{part['scale']}`, in {part['took_s']} s, "
        f"load average {load['load_before']} before and {load['load_after']} after"
    )


def _absent(layouts: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, layout in layouts.items():
        for peer, told in layout["peers"].items():
            if told["missing"] is not None:
                lines += [
                    "",
                    f"**{_PEERS[peer]} {told['version']} was NOT measured** in layout `{name}`: {told['missing']}",
                ]
    if not lines:
        told = next(iter(layouts.values()))["peers"]
        lines = ["", ", ".join(f"{_PEERS[peer]} {one['version']}" for peer, one in told.items()) + "."]
    return lines


def _goals(found: Mapping[str, Any], layouts: Mapping[str, Any]) -> list[str]:
    by_layout = {name: goals(layout) for name, layout in layouts.items()}
    rows = [
        f"| goal | bound | {' | '.join(f'`{name}`' for name in layouts)} |",
        "|---|---:|" + "---:|" * len(layouts),
    ]
    rows += [
        f"| {same[0].says} | {same[0].limit()} | {' | '.join(one.cell() for one in same)} |"
        for same in zip(*by_layout.values(), strict=True)
    ]
    common = common_goals(found)
    rows += ["", "| whatever the layout | bound | |", "|---|---:|---:|"]
    rows += [f"| {goal.says} | {goal.limit()} | {goal.cell()} |" for goal in common]
    best = [_best(same) for same in zip(*by_layout.values(), strict=True)]
    misses = missed([*best, *common])
    rows += [
        "",
        f"Missed in every layout, or not measured: {'; '.join(misses)}." if misses else "None is missed.",
    ]
    return rows


def _best(same: tuple[Goal, ...]) -> Goal:
    return next((goal for goal in same if goal.met), same[0])


def _layout(layout: Mapping[str, Any], settings: Mapping[str, Any], cores: int) -> list[str]:
    large = layout["large"]
    return [
        *_latencies(layout["latency_ms"]), "",
        f"With {settings['in_flight']} in flight:", "",
        *_throughput(layout["throughput_per_s"]), "",
        _record(layout["record_late_s"]), "",
        "At a fixed pace, timed from when each was due (open loop):", "",
        *_load(layout["load"]), "",
        f"With payloads of {settings['large_bytes']:,} bytes:", "",
        *_large(large), "",
        "Processor time per crossing with many in flight, and memory at the end of the run:", "",
        *_processes(layout), "",
        _busy(layout, cores), "",
        _PATH,
        *_path(layout["path"]), "",
        _WHERE,
        *_stages(layout["stages"]),
    ]  # fmt: skip


def _latencies(latency: Mapping[str, Any]) -> list[str]:
    raw, fast = latency["raw"]["p50"], latency["librdkafka"]["p50"]
    rows = [
        "| one in flight | p50 | p99 | p50 ÷ raw | p50 ÷ librdkafka | p50 of each round |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, one in latency.items():
        rounds = ", ".join(f"{value:.1f}" for value in one["p50_by_round"])
        rows.append(
            f"| {_CALLED[name]} | {one['p50']:.1f} ms | {one['p99']:.1f} ms | {one['p50'] / raw:.1f} "
            f"| {one['p50'] / fast:.1f} | {rounds} |"
        )
    return rows


def _throughput(per_s: Mapping[str, Any]) -> list[str]:
    crossings = per_s["governed_crossings"]["median"]
    rows = ["| | a second | governed crossings ÷ it | each round |", "|---|---:|---:|---|"]
    for name, one in per_s.items():
        rounds = ", ".join(f"{value:.0f}" for value in one["by_round"])
        rows.append(f"| {_CALLED[name]} | {one['median']:.0f} | {crossings / one['median']:.2f} | {rounds} |")
    return rows


def _record(late: Mapping[str, Any]) -> str:
    rounds = ", ".join(f"{value:.1f}" for value in late["by_round"])
    return (
        f"The record was complete {late['median']:.1f} s after the last answer ({rounds}); that counts, too."
    )


def _load(rows: list[Mapping[str, Any]]) -> list[str]:
    return [
        "| of the maximum | offered, crossings a second | done | handed p50 | handed p99 | tasks |",
        "|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {row['share']:.0%} | {2 * row['offered_tasks_per_s']:.0f} | {2 * row['done_tasks_per_s']:.0f} "
            f"| {row['handed_p50_ms']:.1f} ms | {row['handed_p99_ms']:.1f} ms | {row['tasks']} |"
            for row in rows
        ),
    ]


def _large(large: Mapping[str, Any]) -> list[str]:
    latency, per_s = large["latency_ms"], large["throughput_per_s"]
    rows = ["| | p50 | p99 | p50 ÷ raw | a second |", "|---|---:|---:|---:|---:|"]
    for name, one in latency.items():
        fast = per_s.get(name) or (per_s["governed_crossings"] if name == "handed" else None)
        rate = f"{fast['median']:.0f}" if fast else ""
        ratio = one["p50"] / latency["raw"]["p50"]
        rows.append(f"| {_CALLED[name]} | {one['p50']:.1f} ms | {one['p99']:.1f} ms | {ratio:.1f} | {rate} |")
    rounds = len(latency["raw"]["p50_by_round"])
    return [*rows, "", f"Rounds: {rounds}. A second, with many in flight; beside *handed* stand crossings."]


def _path(rows: list[Mapping[str, Any]]) -> list[str]:
    return [
        "| stage | whose | mean | p50 | p99 | crossings |",
        "|---|---|---:|---:|---:|---:|",
        *(
            f"| {row['stage']} | {row['whose']} | {row['mean_ms']:.1f} ms | {row['p50_ms']:.1f} ms "
            f"| {row['p99_ms']:.1f} ms | {row['count']} |"
            for row in rows
        ),
    ]


def _stages(stages: list[Mapping[str, Any]]) -> list[str]:
    by_service: dict[str, dict[str, str]] = {}
    for one in stages:
        said = f"{one['ms']:.1f} ms, {one['per_crossing']:.1f} times"
        by_service.setdefault(one["service"], {})[one["stage"]] = said
    names = ("decide", "append", "publish", "write")
    rows = [f"| service | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    rows += [
        f"| {service} | {' | '.join(said.get(name, '') for name in names)} |"
        for service, said in by_service.items()
    ]
    return [*rows, "", "Mean time of a batch, and batches for each crossing. `append` is the journal's."]


def _processes(found: Mapping[str, Any]) -> list[str]:
    cpu, memory = found["cpu_ms_per_crossing"], found["memory_bytes"]
    rows = ["| process | CPU per crossing | resident | at most |", "|---|---:|---:|---:|"]
    rows += [
        f"| {name} | {cpu[name]:.2f} ms | {memory[name]['resident'] / _MB:.0f} MB "
        f"| {memory[name]['peak'] / _MB:.0f} MB |"
        for name in cpu
    ]
    total = sum(one["resident"] for one in memory.values())
    services = sum(one["resident"] for one in memory.values() if one["service"])
    rows.append(f"| all | {sum(cpu.values()):.2f} ms | {total / _MB:.0f} MB | |")
    rows.append(f"| of these, the services | | {services / _MB:.0f} MB | |")
    return rows


def _busy(found: Mapping[str, Any], of: int) -> str:
    cores = sum(found["cpu_ms_per_crossing"].values()) / 1000
    cores *= found["throughput_per_s"]["governed_crossings"]["median"]
    return (
        f"At the median throughput that is {cores:.1f} of {of} cores. A fixed piece of work took "
        f"{found['reference_ms']['median']:.3f} ms of the processor in the same run (`benchmarks/reference.py`)."
    )


def _gates(found: Mapping[str, Any]) -> list[str]:
    whole = found["variants"]["all"]
    rows = [
        "| gates | handed p50 | ÷ all | crossings a second | ÷ all | CPU a crossing | ÷ all |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for variant, one in found["variants"].items():
        cells = [
            cell
            for name, digits, unit in (
                ("handed_p50_ms", 1, " ms"),
                ("crossings_per_s", 0, ""),
                ("cpu_references", 1, ""),
            )
            for cell in (
                f"{one[name]['median']:.{digits}f}{unit}",
                f"{one[name]['median'] / whole[name]['median']:.2f}",
            )
        ]
        rows.append(f"| {variant} | {' | '.join(cells)} |")
    return [_GATES, f"{_measured(found)}; {found['rounds']} rounds.", "", *rows]


def _flat(found: Mapping[str, Any]) -> list[str]:
    rows = [
        "| | references a crossing, by size | largest median ÷ that of the smallest size |",
        "|---|---|---:|",
    ]
    for kind, one in found["sizes"].items():
        said = "; ".join(
            f"{int(size):,}: {told['median']:.1f} ({min(told['by_round']):.1f} to {max(told['by_round']):.1f})"
            for size, told in one["references"].items()
        )
        rows.append(f"| {kind} | {said} | {one['most_over_smallest']:.2f} |")
    return [
        _FLAT,
        f"{_measured(found)}; {found['rounds']} rounds of {found['tasks_a_round']} tasks.",
        "", "![What a crossing costs by size](plots/flat.svg)", "", *rows,
    ]  # fmt: skip


def _memory(found: Mapping[str, Any], part: Mapping[str, Any]) -> list[str]:
    longest, lines = watched_longest(found), [_MEMORY.format(minutes=LEVEL_AFTER_S // 60)]
    steady = found.get("beside", {}).get("steady")
    for one in (longest if "measured_at" in longest else None, steady):
        if one is None:
            continue
        load, minutes, pace = one["machine"], one["took_s"] / 60, one.get("pace")
        measured = (
            f"Measured {one['measured_at']} at {one['revision']}, load average {load['load_before']} "
            f"before and {load['load_after']} after; `python -m benchmarks.memory {minutes:.0f} --in-flight "
            f"{one['in_flight']}{f' --pace {pace:.0f}' if pace else ''}` measures it again."
        )
        said = f"at a steady {pace:.0f} crossings a second" if pace else "as quickly as it could"
        head = f"Layout `{DEFAULT}` for {minutes:.0f} minutes, {said}:"
        lines += [head, "", *_watched(one), "", measured, ""]
    lines += [f"{_measured(part)}.", "", "![Memory over time](plots/memory.svg)"]
    for name, layout in part["layouts"].items():
        lines += ["", f"Layout `{name}`:", "", *_watched(layout)]
    return lines


def _watched(found: Mapping[str, Any]) -> list[str]:
    series, services = found["series"], found["services"]
    points = [series[(len(series) - 1) * quarter // 4] for quarter in range(5)]
    held = ", ".join(f"{count:.0f} {of}" for of, count in sorted(found["remembered"].items()))
    shared, more = sum(found.get("proportional_bytes", {}).values()), found["grown_bytes"]
    says = [
        f"what processes share counted once, {shared / _MB:.0f} MB at the end" if shared else "",
        "not watched for long enough to say whether it is flat" if more is None
        else f"after {LEVEL_AFTER_S // 60} minutes, the second half over the first: {more / _MB:+.1f} MB",
        f"when all tasks had ended the router's state held {held}",
    ]  # fmt: skip
    return [
        _row("crossings", (f"{point['crossings']:,}" for point in points)),
        "|---|" + "---:|" * len(points),
        _row("after", (f"{point['s']:.0f} s" for point in points)),
        _row("services, resident", (_total(point, services) for point in points)),
        _row("records that the audit sink had yet to keep", (f"{point['unkept']:,}" for point in points)),
        "", _sentence("; ".join(one for one in says if one)),
    ]  # fmt: skip


def _row(name: str, cells: Iterable[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _total(point: Mapping[str, Any], services: list[str]) -> str:
    return f"{sum(point['bytes'][name] for name in services) / _MB:.0f} MB"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
