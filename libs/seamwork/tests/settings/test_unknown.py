"""A variable that nobody reads is refused, wherever Seamwork begins: commands, services, agents."""

import re
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from click.testing import CliRunner

from seamwork.agent import AgentSettings
from seamwork.cli import seamwork
from seamwork.errors import MisconfiguredError
from seamwork.settings.common import CommonSettings
from seamwork.settings.unknown import refuse_unknown
from seamwork.settings.variables import SERVICES, VARIABLES


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SEAMWORK_HOEM", "did you mean SEAMWORK_HOME?"),
        ("SEAMWORK_PLATFROM", "did you mean SEAMWORK_PLATFORM?"),
        ("SEAMWORK_AGENT_CONCURENCY", "did you mean SEAMWORK_AGENT_CONCURRENCY?"),
        ("SEAMWORK_KAFKA_CAFILE", "did you mean SEAMWORK_KAFKA_CA_FILE?"),
        ("SEAMWORK_KAFKA_BOOTSTRAP_SERVERS", "did you mean KAFKA_BOOTSTRAP_SERVERS?"),
        ("SEAMWORK_KAFKA_BOOTSTRAP_PORT", "nobody reads SEAMWORK_KAFKA_BOOTSTRAP_PORT"),
        ("SEAMWORK_QQQQ", "docs/generated/settings.md lists what there is"),
    ],
)
def test_what_was_meant_is_named(name: str, meant: str) -> None:
    """The variable is named, never what it holds."""
    with pytest.raises(MisconfiguredError) as refused:
        refuse_unknown({name: "canary", "PATH": "/bin"})

    assert f"nobody reads {name}" in str(refused.value)
    assert meant in str(refused.value)
    assert re.search(r"[?.] Correct it, or unset it$", str(refused.value))
    assert "canary" not in str(refused.value)


def test_what_somebody_reads_is_passed_over() -> None:
    """Each variable that there is, those of services, which judge them when they start, and those of others."""
    environ = {variable.name: "x" for variable in VARIABLES} | {"SEAMWORK": "x", "HOME": "x"}
    environ |= {f"SEAMWORK_{name.upper().replace('-', '_')}_ANYTHING": "x" for name in SERVICES}

    refuse_unknown(environ)
    refuse_unknown({"SEAMWORK_HOUSE_GATE_LIMIT": "1"}, "house-gate")


def test_what_kubernetes_says_of_a_service_is_passed_over() -> None:
    """A Kafka named ``seamwork`` in the namespace of an agent is told to it by names that begin like ours."""
    base = "SEAMWORK_KAFKA_BOOTSTRAP"
    links = (
        "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_TCP_CLIENTSTLS", "PORT", "PORT_9093_TCP",
        "PORT_9093_TCP_ADDR",
    )  # fmt: skip
    refuse_unknown({f"{base}_{name}": "10.0.0.1" for name in links})

    with pytest.raises(MisconfiguredError, match="SEAMWORK_KAFKA_BOOT;"):
        refuse_unknown({f"{base}_SERVICE_HOST": "10.0.0.1", "SEAMWORK_KAFKA_BOOT": "x"})


def test_our_services_are_those_that_are_installed() -> None:
    """A list that one forgets to lengthen would refuse the settings of the service that is missing in it."""
    ours = {
        point.name for point in entry_points(group="seamwork.services") if point.value.startswith("seamwork_")
    }

    assert set(SERVICES) == ours


def test_commands_services_and_agents_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is done."""
    monkeypatch.setenv("SEAMWORK_HOEM", "somewhere")

    done = CliRunner().invoke(seamwork, ["contracts", "check", "."])
    assert "did you mean SEAMWORK_HOME?" in str(done.exception)
    with pytest.raises(MisconfiguredError, match="SEAMWORK_HOME"):
        AgentSettings.load("anybody")
    with pytest.raises(MisconfiguredError, match="SEAMWORK_HOME"):
        CommonSettings.from_environ("router", {"SEAMWORK_HOEM": "x"})


def test_the_command_says_it_in_a_line_and_could_not_run() -> None:
    """As a person meets it; help is still to be had."""
    command = [sys.executable, "-m", "seamwork.cli", "tasks"]
    refused = subprocess.run(
        command, env={"SEAMWORK_HOEM": "x", "PATH": "/bin"}, capture_output=True, text=True, check=False
    )

    assert (2, "") == (refused.returncode, refused.stdout)
    assert (
        "seamwork: nobody reads SEAMWORK_HOEM; did you mean SEAMWORK_HOME? Correct it, or unset it\n"
        == refused.stderr
    )
