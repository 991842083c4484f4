"""Say where and when something was measured."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.processes import memory_bytes, processor

from seamwork.clock import SystemClock
from seamwork.platform.interpreter import interpreter
from seamwork.records.wire import rfc3339

ROOT = Path(__file__).parents[1]


def described(load_before: float) -> dict[str, Any]:
    """Return the instant, the machine and the code that was measured."""
    return {
        "measured_at": rfc3339(SystemClock().now_ms())[:19] + "Z",
        "revision": _revision(),
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "memory_bytes": memory_bytes(),
            "system": f"{platform.system()} {platform.release()}",
            "python": interpreter(),
            "load_before": round(load_before, 2),
            "load_after": round(os.getloadavg()[0], 2),
        },
    }


def _revision() -> str:
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607  # wherever the machine has it
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stdout.strip() or "unknown"
