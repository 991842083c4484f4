"""What a crossing costs is held against a fixed piece of work: a third of the speed is not lost unseen."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USUAL = 30
"""References a crossing when this was written, in five runs 27 to 31 on a machine that was six times overbooked."""
LOST_A_THIRD = 1.5
SEEN = 1.35
"""Half as long again is seen as 1.5 on an idle machine, and never as less than this on a crowded one."""


def measured() -> dict[str, float]:
    """Measure in a process of its own, so that nothing else is counted: all cores, on a log in memory."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.tunnel"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=290,
        check=True,
    )
    found: dict[str, float] = ast.literal_eval(ran.stdout.strip().splitlines()[-1])
    return found


@pytest.mark.timeout(600)
def test_no_third_of_the_speed_is_lost() -> None:
    """
    A crossing takes no half as long again as it used to; one that is made to do so is found out.

    What disturbs a measurement only adds to it, so of two the lower one is believed, and there is a second one only
    where the first says that something is lost.
    """
    found = measured()
    if found["references"] > USUAL * LOST_A_THIRD:
        found = min(found, measured(), key=lambda one: one["references"])

    assert USUAL * LOST_A_THIRD >= found["references"], f"a crossing takes {found}; see benchmarks/JOURNAL.md"
    assert found["burdened"] >= SEEN * found["references"], f"a slow crossing was not seen: {found}"
