"""What a crossing costs is held against a fixed piece of work: a third of the speed is not lost unseen."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USUAL = 23
"""
References a crossing on an idle machine: 20 to 23 in nine runs. On a full one it takes 25 to 28, less than half as
much again; whoever measures from there lets an idle one take nearly twice as much.
"""
LOST_A_THIRD = 1.5
SEEN = 1.25
"""Half as long again was seen as 1.3 to 1.75 in five runs; a measurement that is blind to it would see 1."""


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

    What disturbs a measurement hardly does so twice: there is a second one only where the first says that something
    is lost, or saw nothing of what was added.
    """
    runs = [measured()]
    if not (_keeps(runs[0]) and _sees(runs[0])):
        runs.append(measured())

    assert any(_keeps(run) for run in runs), f"a crossing takes {runs}; see benchmarks/JOURNAL.md"
    assert any(_sees(run) for run in runs), f"a slow crossing was not seen: {runs}"


def _keeps(run: dict[str, float]) -> bool:
    return run["references"] <= USUAL * LOST_A_THIRD


def _sees(run: dict[str, float]) -> bool:
    return run["burdened"] >= SEEN * run["references"]
