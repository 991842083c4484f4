"""A platform that holds an earlier state of the example is kept, and not in the way."""

import sys
from pathlib import Path

import pytest

from licence_audit.run import main, set_aside
from seamwork.platform.home import PlatformHome


def test_a_platform_of_an_earlier_state_is_kept_beside(tmp_path: Path) -> None:
    """Nothing of it is lost, and its name is free for the next."""
    home = PlatformHome(tmp_path / "licence-audit")
    home.root.mkdir()
    (home.root / "audit.db").write_text("what was")

    beside = set_aside(home, "2026-11-21T10:55:03.250Z")

    assert tmp_path / "licence-audit-until-20261121t105503" == beside
    assert "what was" == (beside / "audit.db").read_text()
    assert not home.root.exists()


@pytest.mark.parametrize("limit", ["0", "-3", "401", "9" * 20, "ten"])
def test_a_limit_that_is_none_is_said_before_anything_begins(
    limit: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentence and exit status 2."""
    monkeypatch.setattr(sys, "argv", ["run", f"--limit={limit}"])

    with pytest.raises(SystemExit, match="2"):
        main()
    assert f"{limit} is no number from 1 to 400" in capsys.readouterr().err
