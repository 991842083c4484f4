import tomllib
from pathlib import Path

import pytest

from seamwork.errors import MisconfiguredError
from seamwork.settings.environment import read_settings
from seamwork_approval_workflow import __version__
from seamwork_approval_workflow.settings import Settings
from seamwork_approval_workflow.wiring import SERVICE


def test_an_unknown_setting_is_refused() -> None:
    """A misspelt setting must not look as if it counted."""
    with pytest.raises(MisconfiguredError, match="is no setting of"):
        read_settings(Settings, SERVICE.name, {"SEAMWORK_APPROVAL_WORKFLOW_CAPP": "1"})


def test_the_version_is_that_of_the_distribution() -> None:
    """Verdicts name the version that was installed."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["project"]["version"] == __version__
    assert project["project"]["entry-points"]["seamwork.services"] == {
        SERVICE.name: "seamwork_approval_workflow.wiring:SERVICE"
    }
