"""How the router is set up and found."""

import tomllib
from pathlib import Path

import pytest

from seamwork.catalog import Catalog
from seamwork.errors import MisconfiguredError
from seamwork.runtime import MachineSpec, Site
from seamwork.settings.environment import read_settings
from seamwork.testing.documents import document
from seamwork_router import __version__
from seamwork_router.settings import Settings
from seamwork_router.wiring import SERVICE


def test_an_unknown_setting_is_refused() -> None:
    """A misspelt setting must not look as if it counted."""
    with pytest.raises(MisconfiguredError, match="is no setting of"):
        read_settings(Settings, SERVICE.name, {"SEAMWORK_ROUTER_DEPTH": "1"})


def test_the_version_is_that_of_the_distribution() -> None:
    """Heartbeats and journals name the version that was installed."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["project"]["version"] == __version__
    assert {SERVICE.name: "seamwork_router.wiring:SERVICE"} == project["project"]["entry-points"][
        "seamwork.services"
    ]


def test_it_reads_the_verdicts_of_every_gate_there_is() -> None:
    """A gate joins by its document; nothing is configured."""
    spec = SERVICE.build(Settings(), Site(platform="p", partitions=4))
    catalog = Catalog.of([document("Gate", "policy-engine"), document("Gate", "house-rules", role="house")])

    assert isinstance(spec, MachineSpec)
    assert spec.health
    assert (
        "handoffs.v1", "verdicts.house-rules.v1", "verdicts.policy-engine.v1", "commands.v1"
    ) == spec.topics(catalog)  # fmt: skip
