"""Write the page that people read from the figures that machines keep."""

from collections.abc import Mapping
from typing import Any

from benchmarks.goals import goals

_MB = 1_000_000
_GB = 1_000_000_000

_HEAD = """\
# Benchmarks

Written by `make bench` from `results/latest.json`; do not edit.

What a crossing costs through the whole platform, next to what the same broker takes for a plain record and for a
hop that nobody governs, in the same run. The contestants take turns, round by round, so that what disturbs one
disturbs the others; the figures are medians over {rounds} rounds. **Compare the ratios: the absolute figures
belong to one machine at one hour.**

- *raw*: a record of {payload} bytes, by plain aiokafka, from before `send` (acks=all) until a waiting consumer has
  it. The same by librdkafka (confluent-kafka), and by the log port that every service has.
- *hop*: two of them with a FastStream subscriber between, in a process of its own, that takes a record and
  publishes it: with the default acknowledgement, which loses what is in hand when the process dies, and with the
  safe one.
- *handed*: a governed handoff with a payload of {payload} bytes, from before `submit` until the receiving agent's
  function is called, in a process of its own: signed, judged by three gates, tallied, journalled, stamped.
- *answered*: the same, until the agent's result, judged as well, is back with the initiator. Two crossings.

Broker, services, agent, hop and initiator share the machine's {cores} cores. Each layout of the services (a process
for each, two, one for all) is a run of its own on a platform of its own.
"""

_WHERE = """\
Where it goes, by the services' own metrics while one was in flight: the rest is waiting for the broker to have what
was decided before the next may rest on it.
"""

_TAIL = """
## Measure again

`make bench` takes five minutes, brings platforms of its own up in a temporary folder, and writes
`results/latest.json` and this page. It needs Linux (it reads `/proc`) and a machine that does nothing else: the
load average above says how far that was so. Nothing is left running. What was tried to make it faster, and what it
brought, is in [JOURNAL.md](JOURNAL.md); `python -m benchmarks.tunnel` measures the code alone.

## What this is not

One embedded broker with one copy of everything and no fsync per record, as Kafka does by default: figures of a
cluster with three copies are its own. One kind of task, without delegation, and without policies that look at the
payload. Not measured: EggAI and Calfkit beside it, each gate or the journals taken away, the cost by size of
catalog and number of live tasks, other counts of partitions, a million crossings, payloads of 10 KB.
"""

_CALLED = {
    "raw": "raw, aiokafka",
    "librdkafka": "raw, librdkafka",
    "port": "raw, the platform's own client",
    "hop_default": "hop, default acknowledgement",
    "hop_safe": "hop, safe acknowledgement",
    "handed": "handed",
    "answered": "answered",
    "governed_crossings": "governed crossings",
}


def page(found: Mapping[str, Any]) -> str:
    """Return the page as Markdown."""
    machine, settings, layouts = found["machine"], found["settings"], found["layouts"]
    head = _HEAD.format(payload=settings["payload_bytes"], cores=machine["cores"], rounds=settings["rounds"])
    measured = (
        f"Measured {found['measured_at']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / _GB:.0f} GB, {machine['system']}, Python {machine['python']}; load average "
        f"{machine['load_before']} before and {machine['load_after']} after."
    )
    lines = [head, measured, "", "## The goals", "", *_goals(layouts)]
    for name, layout in layouts.items():
        lines += [
            "", f"## Layout `{name}`", "",
            *_latencies(layout), "",
            _opened(layout["open_loop"]), "",
            f"With {settings['in_flight']} in flight:", "",
            *_throughput(layout), "",
            "Processor time per crossing meanwhile, and memory at the end of the run:", "",
            *_processes(layout), "",
            _busy(layout, machine["cores"]), "",
            _WHERE.rstrip(), "",
            *_stages(layout),
        ]  # fmt: skip
    return "\n".join((*lines, _TAIL))


def _goals(layouts: Mapping[str, Any]) -> list[str]:
    by_layout = [goals(layout) for layout in layouts.values()]
    rows = [
        f"| goal | bound | {' | '.join(f'`{name}`' for name in layouts)} |",
        "|---|---:|" + "---:|" * len(layouts),
    ]
    for same in zip(*by_layout, strict=True):
        bound = f"{'at least' if same[0].at_least else 'at most'} {same[0].bound:.0f}{same[0].unit}"
        rows.append(f"| {same[0].says} | {bound} | {' | '.join(one.cell() for one in same)} |")
    return rows


def _opened(one: Mapping[str, Any]) -> str:
    return (
        f"At half of the maximum, {one['tasks_per_s']:.0f} tasks a second begun at a fixed pace and timed from "
        f"when each was due: handed p50 {one['handed_p50_ms']:.1f} ms, p99 {one['handed_p99_ms']:.1f} ms "
        f"({one['tasks']} tasks)."
    )


def _latencies(found: Mapping[str, Any]) -> list[str]:
    latency = found["latency_ms"]
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


def _stages(found: Mapping[str, Any]) -> list[str]:
    by_service: dict[str, dict[str, str]] = {}
    for one in found["stages"]:
        said = f"{one['ms']:.1f} ms, {one['per_crossing']:.1f} times"
        by_service.setdefault(one["service"], {})[one["stage"]] = said
    names = ("decide", "append", "publish", "write")
    rows = [f"| service | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    rows += [
        f"| {service} | {' | '.join(said.get(name, '') for name in names)} |"
        for service, said in by_service.items()
    ]
    return [*rows, "", "Mean time of a batch, and batches for each crossing. `append` is the journal's."]


def _throughput(found: Mapping[str, Any]) -> list[str]:
    rows = ["| | a second | each round |", "|---|---:|---|"]
    for name, one in found["throughput_per_s"].items():
        rounds = ", ".join(f"{value:.0f}" for value in one["by_round"])
        rows.append(f"| {_CALLED[name]} | {one['median']:.0f} | {rounds} |")
    return rows


def _busy(found: Mapping[str, Any], of: int) -> str:
    cores = sum(found["cpu_ms_per_crossing"].values()) / 1000
    cores *= found["throughput_per_s"]["governed_crossings"]["median"]
    return (
        f"At the median throughput that is {cores:.1f} of {of} cores. A fixed piece of work took "
        f"{found['reference_ms']['median']:.3f} ms of the processor in the same run (`benchmarks/reference.py`)."
    )


def _processes(found: Mapping[str, Any]) -> list[str]:
    cpu, memory = found["cpu_ms_per_crossing"], found["memory_bytes"]
    rows = ["| process | CPU per crossing | resident | at most |", "|---|---:|---:|---:|"]
    rows += [
        f"| {name} | {cpu[name]:.2f} ms | {memory[name]['resident'] / _MB:.0f} MB "
        f"| {memory[name]['peak'] / _MB:.0f} MB |"
        for name in cpu
    ]
    total = sum(one["resident"] for one in memory.values())
    rows.append(f"| all | {sum(cpu.values()):.2f} ms | {total / _MB:.0f} MB | |")
    return rows
