"""What the guide on seams tells people to type is typed, offline."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
_BLOCKS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_guide_on_seams_can_be_typed_from_top_to_bottom(tmp_path: Path) -> None:
    """Every command ends as it says, and answers what the page shows."""
    text = (ROOT / "docs" / "guide" / "seams.md").read_text(encoding="utf-8")
    environ = os.environ | {
        "TMPDIR": str(tmp_path),
        "SEAMWORK_HOME": str(tmp_path / "home"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(_BLOCKS.findall(text))],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    for sentence in (
        "Open points (7)",
        "signed off by ada, grace",
        "Changed since licence-audit 1.0.0",
        "6 of 6 seams answer all five questions with yes",
        "| 7 changeable   | declared |",
        "passed on along planner → [judge-licence]  stops",
        "blast-radius: planner stops 5 others",
    ):
        assert sentence in done.stdout + done.stderr
    assert (tmp_path / "review.html").read_text(encoding="utf-8").startswith("<!doctype html>")
