"""The table on the page on reliability is what the kept result says."""

import json
from pathlib import Path

from tests.chaos import overload
from tests.chaos.telling import between, page

HERE = Path(__file__).parent


def test_the_table_is_that_of_the_last_run_kept(tmp_path: Path) -> None:
    """Nobody writes figures by hand."""
    shown = HERE.parents[1] / "docs" / "reliability.md"
    copy = tmp_path / "page.md"
    copy.write_text(shown.read_text(encoding="utf-8"), encoding="utf-8")
    page(copy, json.loads((HERE / "results.json").read_text(encoding="utf-8")))

    assert shown.read_text(encoding="utf-8") == copy.read_text(encoding="utf-8")


def test_the_table_of_the_overload_is_that_of_the_last_run_kept(tmp_path: Path) -> None:
    """Nor these."""
    shown = HERE.parents[1] / "docs" / "reliability.md"
    copy = tmp_path / "page.md"
    copy.write_text(shown.read_text(encoding="utf-8"), encoding="utf-8")
    between(copy, overload.MARKS, overload.table(json.loads(overload.KEPT.read_text(encoding="utf-8"))))

    assert shown.read_text(encoding="utf-8") == copy.read_text(encoding="utf-8")
