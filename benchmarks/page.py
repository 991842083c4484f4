"""Write the page that people read from the figures that machines keep."""

from collections.abc import Mapping
from typing import Any

_MB = 1_000_000
_GB = 1_000_000_000

_HEAD = """\
# Benchmarks

Written by `make bench` from `results/latest.json`; do not edit.

What a crossing costs through the whole platform, next to what the same broker takes for a plain record, in the
same run. The roads take turns, round by round, so that what disturbs one disturbs the other; the figures are
medians over the rounds. **Compare the ratios: the absolute figures belong to one machine at one hour.**

- *raw*: a record of {payload} bytes, by plain aiokafka, from before `send` (acks=all) until a waiting consumer has
  it.
- *handed*: a governed handoff with a payload of {payload} bytes, from before `submit` until the receiving agent's
  function is called, in a process of its own: signed, judged by three gates, tallied, stamped, verified.
- *answered*: the same, until the agent's result, judged as well, is back with the initiator. Two crossings.

Broker, six services, agent and initiator are nine processes, and they share the machine's {cores} cores.
"""

_WHERE = """\
Where it goes, by the services' own metrics while one was in flight. To decide takes about a
millisecond; the rest is waiting for the broker to have what was decided before the next may rest on it.
"""

_TAIL = """
## Measure again

`make bench` takes less than three minutes, brings a platform of its own up in a temporary folder, and writes
`results/latest.json` and this page. It needs Linux (it reads `/proc`) and a machine that does nothing else: the
load average above says how far that was so. Nothing is left running.

## What this is not

One embedded broker with one copy of everything and no fsync per record, as Kafka does by default: figures of a
cluster with three copies are its own. One kind of task, without delegation, and without policies that look at the
payload. It measures no overload: the closed loop waits for each answer before it begins the next task.
"""


def page(found: Mapping[str, Any]) -> str:
    """Return the page as Markdown."""
    machine, settings = found["machine"], found["settings"]
    head = _HEAD.format(payload=settings["payload_bytes"], cores=machine["cores"])
    measured = (
        f"Measured {found['measured_at']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / _GB:.0f} GB, {machine['system']}, Python {machine['python']}; load average "
        f"{machine['load_before']} before and {machine['load_after']} after."
    )
    taken = (
        f"Processor time per crossing while {settings['in_flight']} tasks were in flight, and memory at the end of "
        "the run."
    )
    return "\n".join((
        head,
        measured,
        "",
        "## One in flight",
        "",
        *_latencies(found),
        "",
        _WHERE.rstrip(),
        "",
        *_stages(found),
        "",
        f"## {settings['in_flight']} in flight",
        "",
        *_throughput(found),
        "",
        "## What it takes of the machine",
        "",
        taken,
        "",
        *_processes(found),
        "",
        _busy(found),
        _TAIL,
    ))  # fmt: skip


def _latencies(found: Mapping[str, Any]) -> list[str]:
    latency, raw = found["latency_ms"], found["latency_ms"]["raw"]
    rows = ["| | p50 | p99 | p50 ÷ raw | p50 of each round |", "|---|---:|---:|---:|---|"]
    for name in ("raw", "handed", "answered"):
        one = latency[name]
        rounds = ", ".join(f"{value:.1f}" for value in one["p50_by_round"])
        rows.append(
            f"| {name} | {one['p50']:.1f} ms | {one['p99']:.1f} ms | {one['p50'] / raw['p50']:.0f} | {rounds} |"
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
    rows = ["| | per second | each round |", "|---|---:|---|"]
    for name, called in (("raw_records", "raw records"), ("governed_crossings", "governed crossings")):
        one = found["throughput_per_s"][name]
        rounds = ", ".join(f"{value:.0f}" for value in one["by_round"])
        rows.append(f"| {called} | {one['median']:.0f} | {rounds} |")
    return rows


def _busy(found: Mapping[str, Any]) -> str:
    cores = sum(found["cpu_ms_per_crossing"].values()) / 1000
    cores *= found["throughput_per_s"]["governed_crossings"]["median"]
    return (
        f"At the median throughput that is {cores:.1f} of {found['machine']['cores']} cores: where the two are "
        "close, the processor is the limit, and not the broker's disk or somebody's waiting."
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
