"""Read what processes take of the machine: memory, and processor time."""

import os
from dataclasses import dataclass
from pathlib import Path

from seamwork.errors import MisconfiguredError
from seamwork.testing.stage import Stage

_KB = 1024
_UTIME, _STIME = 11, 12  # fields 14 and 15 of proc_pid_stat(5), counted after the name in brackets


@dataclass(frozen=True)
class Taken:
    """What one process takes: resident bytes now and at most, processor seconds so far."""

    resident_bytes: int
    peak_bytes: int
    cpu_s: float


def taken(pid: int) -> Taken:
    """
    Read one process.

    Raises:
        MisconfiguredError: This system has no /proc.
    """
    place = Path("/proc") / str(pid)
    try:
        status = (place / "status").read_text(encoding="utf-8")
        stat = (place / "stat").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MisconfiguredError(
            f"process {pid} cannot be measured: {error.filename} is not there. The benchmark needs Linux, "
            "and every process of it alive"
        ) from error
    numbers = dict(line.split(":", 1) for line in status.splitlines())
    ticks = stat.rpartition(")")[2].split()
    cpu_ticks = int(ticks[_UTIME]) + int(ticks[_STIME])
    return Taken(
        resident_bytes=int(numbers["VmRSS"].split()[0]) * _KB,
        peak_bytes=int(numbers["VmHWM"].split()[0]) * _KB,
        cpu_s=cpu_ticks / os.sysconf("SC_CLK_TCK"),
    )


def proportional_bytes(pid: int) -> int:
    """Return what a process holds, of what it shares with others its share: sums count nothing twice."""
    rollup = (Path("/proc") / str(pid) / "smaps_rollup").read_text(encoding="utf-8")
    (pss,) = (line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(pss) * _KB


def service_pids(stage: Stage) -> dict[str, int]:
    """Return the processes that hold the services, by name."""
    return {name: one.pid for name, one in stage.running.supervisor.processes.items() if one.pid}


def broker_pid(home: Path) -> int:
    """
    Find the embedded broker's process.

    Raises:
        MisconfiguredError: There is none; nothing else is measured.
    """
    for listed in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = listed.read_bytes().split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        if words[0].endswith(b"java") and any(str(home).encode() in word for word in words):
            return int(listed.parent.name)
    raise MisconfiguredError(
        "the broker's process is not to be found; the benchmark measures an embedded one"
    )


def processor() -> str:
    """Name the machine's processor, as the kernel does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def memory_bytes() -> int:
    """Return how much memory the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
