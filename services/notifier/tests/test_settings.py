"""What can be set, and what is refused."""

import tomllib
from pathlib import Path

import pytest

from seamwork.errors import MisconfiguredError
from seamwork.settings.environment import read_settings
from seamwork_notifier import __version__
from seamwork_notifier.settings import Settings
from seamwork_notifier.wiring import SERVICE


def test_an_unknown_setting_is_refused() -> None:
    """A misspelt setting must not look as if it counted."""
    given = {"SEAMWORK_NOTIFIER_DATABASE": "x.db", "SEAMWORK_NOTIFIER_SECRET_DIR": "x"}
    with pytest.raises(MisconfiguredError, match="is no setting of"):
        read_settings(Settings, SERVICE.name, given)


def test_the_version_is_that_of_the_distribution() -> None:
    """Heartbeats name the version that was installed."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["project"]["version"] == __version__
    assert project["project"]["entry-points"]["seamwork.services"] == {
        SERVICE.name: "seamwork_notifier.wiring:SERVICE"
    }
