"""The benchmark itself, with counts that say nothing: whether all of it can be measured and written down."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLOTS = {"flat.svg", "load.svg", "memory.svg", "stages.svg"}


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_every_part_is_measured_kept_and_shown(tmp_path: Path) -> None:
    """Platforms come up, are loaded, have gates and journals taken away, and leave a page with four plots."""
    subprocess.run(
        [sys.executable, "-m", "benchmarks", "--scale", "smoke", "--into", str(tmp_path)],
        cwd=ROOT,
        check=True,
        timeout=850,
    )

    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert PLOTS == {path.name for path in (tmp_path / "plots").iterdir()}
    assert "Not measured" not in text
    assert "without journals" in text
