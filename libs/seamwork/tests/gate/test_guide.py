"""What the guide shows of gates is what lies beside it, and its tests hold."""

import re
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[4] / "docs" / "guide"
FILES = sorted((GUIDE / "gates").glob("*.py"))
PAGE = (GUIDE / "gates.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
TESTS = [block for block in BLOCKS if "assert " in block]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_page_shows_a_gate_as_it_is(file: Path) -> None:
    """Its functions, word for word."""
    source = file.read_text(encoding="utf-8")
    assert [True] == [block in source for block in BLOCKS if f"def {file.stem}(" in block]


@pytest.mark.parametrize("block", TESTS, ids=lambda block: block.split()[1])
def test_its_tests_hold(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As somebody would type them beside the file."""
    monkeypatch.syspath_prepend(GUIDE / "gates")
    try:
        exec(compile(block, "gates.md", "exec"), {})  # noqa: S102  # what the page says is what is tried
    finally:
        for file in FILES:
            sys.modules.pop(file.stem, None)


def test_there_is_something_to_hold() -> None:
    """A page that was taken apart would hold of itself."""
    assert {"manners", "pace"} == {file.stem for file in FILES}
    assert len(FILES) == len(TESTS)
