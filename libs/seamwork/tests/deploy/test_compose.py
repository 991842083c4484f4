"""Containers on one machine run under the same rules as on a cluster."""

from importlib.metadata import entry_points
from typing import Any

import pytest
from ruamel.yaml import YAML

SERVICES = sorted(point.name for point in entry_points(group="seamwork.services"))


@pytest.fixture(scope="session")
def composed(rendered: dict[str, str]) -> dict[str, Any]:
    """Return the Compose file."""
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(rendered["compose.yaml"])
    return loaded


def test_every_installed_service_is_in_it(composed: dict[str, Any]) -> None:
    """Each from the one recipe."""
    assert SERVICES == sorted(composed["services"])
    for name, service in composed["services"].items():
        assert {"SERVICE": name} == service["build"]["args"]
        assert "deploy/Dockerfile" == service["build"]["dockerfile"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_confined(composed: dict[str, Any], name: str) -> None:
    """No root, no capability, nothing to write to, no port of the machine, bounds on what it takes."""
    service = composed["services"][name]

    assert service["read_only"] is True
    assert ["ALL"] == service["cap_drop"]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert "SEAMWORK_USER" in service["user"]
    assert {"mem_limit", "pids_limit", "stop_grace_period"} <= set(service)
    assert not {"privileged", "ports", "network_mode", "pid", "cap_add"} & set(service)


@pytest.mark.parametrize("name", SERVICES)
def test_a_secret_is_a_file_and_only_its_owner_gets_it(composed: dict[str, Any], name: str) -> None:
    """No variable holds one."""
    service = composed["services"][name]
    sources = {secret["source"] for secret in service["secrets"]}

    assert {f"{name}-key", f"{name}-password", "kafka-ca"} == sources
    assert sources <= set(composed["secrets"])
    assert not any("PASSWORD" in key and not key.endswith("_FILE") for key in service["environment"])
    assert ("volumes" in service) == (name in {"audit-sink", "notifier"})
