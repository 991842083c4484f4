"""What ``seamwork deploy`` writes is one installation's, whole, and such that its cluster takes it."""

from pathlib import Path

from click.testing import CliRunner, Result

from seamwork.cli import seamwork
from seamwork.deploy.files import NOTE


def deploy(*arguments: str) -> Result:
    """Run a command of the group."""
    return CliRunner().invoke(seamwork, ["deploy", *arguments])


def test_what_is_no_longer_written_goes_and_an_installation_below_stays(tmp_path: Path) -> None:
    """A service that is gone must not be applied again; another installation's folder is not ours to empty."""
    assert 0 == deploy("render", str(tmp_path / "eu"), "--namespace", "eu").exit_code
    below = {path: path.read_text() for path in (tmp_path / "eu").rglob("*.yaml")}
    gone = [tmp_path / "gone.yaml", tmp_path / "kubernetes" / "gone.yaml"]
    for path in gone:
        path.parent.mkdir(exist_ok=True)
        path.write_text(NOTE)

    assert 0 == deploy("render", str(tmp_path)).exit_code

    assert not any(path.exists() for path in gone)
    assert below == {path: path.read_text() for path in (tmp_path / "eu").rglob("*.yaml")}
    assert 0 == deploy("render", str(tmp_path), "--check").exit_code
