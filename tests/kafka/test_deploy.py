"""An installation is founded at a given Kafka, and its services start on what the Compose file tells them."""

import re
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from seamwork.cli import seamwork
from seamwork.platform.supervisor import free_ports, is_ready, service_modules
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.testbed import KafkaTestbed

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0
PREFIX = "deployed"
STARTED = ("contract-validator", "audit-sink")
"""One that keeps nothing and one that keeps a file; the others are told in the same words."""

_VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?+])([^}]*))?\}")


def filled(text: str, known: Mapping[str, str]) -> str:
    """Fill variables in as Compose does; a needed one that is missing fails."""

    def value(match: re.Match[str]) -> str:
        name, operator, other = match.groups()
        if operator == "+":
            return other if known.get(name) else ""
        if operator == "-":
            return known.get(name) or other
        return known[name]

    return _VARIABLE.sub(value, text)


@pytest.fixture
def private(
    kafka: KafkaTestbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, dict[str, str]]:
    """Write an identity and found the installation, by the two commands, as its registrar."""
    folder = tmp_path / "private"
    admin: KafkaAccess = kafka.admin
    told = {
        "SEAMWORK_HOME": str(tmp_path / "home"),
        "KAFKA_BOOTSTRAP_SERVERS": admin.bootstrap,
        "SEAMWORK_KAFKA_SECURITY_PROTOCOL": admin.protocol,
        "SEAMWORK_KAFKA_SASL_USERNAME": admin.username,
        "SEAMWORK_KAFKA_SASL_PASSWORD": admin.password,
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    sizes = ["--prefix", PREFIX, "--partitions", "2"]
    founding = ["found", str(folder), "--replication", "1"]
    # Twice, because a founding that was cut short is simply done again.
    for command in (["identity", str(folder), *sizes], founding, founding):
        done = CliRunner().invoke(seamwork, ["deploy", *command, "--platform", "prod"])
        assert 0 == done.exit_code, done.output
    lines = (folder / "platform.env").read_text(encoding="utf-8").splitlines()
    env_file = dict(line.split("=", 1) for line in lines)
    monkeypatch.delenv("SEAMWORK_KAFKA_SASL_PASSWORD")
    return folder, {**{name: told[name] for name in told if "SASL" not in name}, **env_file}


def environ_of(
    service: Mapping[str, Any], secrets: Mapping[str, Any], known: Mapping[str, str]
) -> dict[str, str]:
    """Return a container's environment, its mounts replaced by what they mount."""
    told = {name: filled(value, known) for name, value in service["environment"].items()}
    mounts = {one["target"]: filled(secrets[one["source"]]["file"], known) for one in service["secrets"]}
    mounts |= {one["target"]: filled(one["source"], known) for one in service.get("volumes", ())}
    return {
        name: next(
            (value.replace(at, source) for at, source in mounts.items() if value.startswith(at)), value
        )
        for name, value in told.items()
    }


def test_services_start_on_what_the_compose_file_tells_them(private: tuple[Path, dict[str, str]]) -> None:
    """Without a container, on the very variables and files that one would have."""
    folder, known = private
    composed = YAML(typ="safe", pure=True).load(
        (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    )
    modules = service_modules()
    with ExitStack() as running:
        ports = free_ports(len(STARTED))
        for name, port in zip(STARTED, ports, strict=True):
            environ = environ_of(composed["services"][name], composed["secrets"], known)
            log = running.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", modules[name]],
                env={**environ, "SEAMWORK_HTTP_HOST": "127.0.0.1", "SEAMWORK_HTTP_PORT": str(port)},
                stdout=log,
                stderr=log,
            )
            running.callback(process.wait, 30)
            running.callback(process.terminate)
        deadline = time.monotonic() + WITHIN_S
        for name, port in zip(STARTED, ports, strict=True):
            while not is_ready(port):
                assert time.monotonic() < deadline, (folder / f"{name}.log").read_text(encoding="utf-8")
                time.sleep(0.05)

    assert (folder / "audit-sink" / "database").stat().st_size
