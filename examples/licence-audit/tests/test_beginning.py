"""A platform that holds an earlier state of the example is kept, and not in the way."""

from pathlib import Path

from licence_audit.run import set_aside
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
