"""The table on the page on reliability is what the kept result says."""

import json
from pathlib import Path

from tests.chaos.telling import page

HERE = Path(__file__).parent


def test_the_table_is_that_of_the_last_run_kept(tmp_path: Path) -> None:
    """Nobody writes figures by hand."""
    shown = HERE.parents[1] / "docs" / "reliability.md"
    copy = tmp_path / "page.md"
    copy.write_text(shown.read_text(encoding="utf-8"), encoding="utf-8")
    page(copy, json.loads((HERE / "results.json").read_text(encoding="utf-8")))

    assert shown.read_text(encoding="utf-8") == copy.read_text(encoding="utf-8")
