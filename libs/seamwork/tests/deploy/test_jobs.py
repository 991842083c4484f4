"""Beside each machine a job trims its journal: as somebody else, with no more than it needs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamwork.broker.principal import MACHINES
from seamwork.platform.audit import Audit
from seamwork.settings.common import CommonSettings

Manifest = dict[str, Any]
OfKind = Callable[[str], dict[str, Manifest]]

_NOT_IN_AN_IMAGE = ("click", "confluent_kafka", "hypothesis", "jgo", "rich", "testcontainers")
_WITHOUT = """
import sys
for name in {absent}:
    sys.modules[name] = None
import seamwork.deploy.janitor
"""


def pod_of(of_kind: OfKind, machine: str) -> Manifest:
    """Return the pods of a machine's job."""
    job = of_kind("CronJob")[f"tidy-{machine}"]["spec"]["jobTemplate"]["spec"]
    template: Manifest = job["template"]
    return template


def test_every_machine_has_a_job_and_nobody_else(of_kind: OfKind) -> None:
    """With an account and doors of its own; they come one after the other, and never twice at once."""
    jobs = of_kind("CronJob")
    specs = [job["spec"] for job in jobs.values()]

    assert {f"tidy-{machine}" for machine in MACHINES} == set(jobs)
    assert set(jobs) <= set(of_kind("ServiceAccount"))
    assert set(jobs) <= set(of_kind("NetworkPolicy"))
    assert len(MACHINES) == len({spec["schedule"] for spec in specs})
    assert {"Forbid"} == {spec["concurrencyPolicy"] for spec in specs}
    assert all(spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 600 for spec in specs)


@pytest.mark.parametrize("machine", MACHINES)
def test_it_is_confined_as_a_service_is_and_has_the_machines_image(of_kind: OfKind, machine: str) -> None:
    """The image knows how the state comes about; twice its memory, for two states are held against each other."""
    service = of_kind("Deployment")[machine]["spec"]["template"]["spec"]
    spec = pod_of(of_kind, machine)["spec"]
    (ours,), (theirs,) = spec["containers"], service["containers"]
    memory = [int(one["resources"]["limits"]["memory"].removesuffix("Mi")) for one in (ours, theirs)]

    assert theirs["image"] == ours["image"]
    assert theirs["securityContext"] == ours["securityContext"]
    assert service["securityContext"] == spec["securityContext"]
    assert spec["automountServiceAccountToken"] is False
    assert f"tidy-{machine}" == spec["serviceAccountName"]
    assert [machine] == ours["command"][-1:]
    assert [2 * memory[1], memory[1]] == memory
    assert "Never" == spec["restartPolicy"]


@pytest.mark.parametrize("machine", MACHINES)
def test_it_has_the_password_of_the_tools_and_no_key(of_kind: OfKind, machine: str) -> None:
    """Who writes journals may not delete, and who deletes signs nothing."""
    secrets, _ = pod_of(of_kind, machine)["spec"]["volumes"]
    taken = {source["secret"]["name"] for source in secrets["projected"]["sources"]}

    assert {"seamwork-tools", "seamwork-cluster-ca-cert"} == taken
    assert taken - {"seamwork-cluster-ca-cert"} <= set(of_kind("KafkaUser"))


@pytest.mark.parametrize("machine", MACHINES)
def test_it_reaches_the_record_and_nobody_reaches_it(of_kind: OfKind, machine: str) -> None:
    """Its own door leads to the audit sink, whose door is open for pods with its label."""
    policies = of_kind("NetworkPolicy")
    own = policies[f"tidy-{machine}"]["spec"]
    (asked,) = [rule for rule in own["egress"] if [8080] == [port["port"] for port in rule["ports"]]]
    (target,) = [to["podSelector"]["matchLabels"] for to in asked["to"]]
    (let_in,) = policies["audit-sink"]["spec"]["ingress"]
    sink = of_kind("StatefulSet")["audit-sink"]["spec"]["template"]["metadata"]["labels"]
    labels = pod_of(of_kind, machine)["metadata"]["labels"]

    assert [53, 53, 9093, 8080] == [port["port"] for rule in own["egress"] for port in rule["ports"]]
    assert [] == own["ingress"]
    assert target.items() <= sink.items()
    assert own["podSelector"]["matchLabels"].items() <= labels.items()
    assert let_in["from"][0]["podSelector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("machine", MACHINES)
def test_it_understands_what_its_pod_tells_it(
    of_kind: OfKind, machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables are those that the code reads."""
    (container,) = pod_of(of_kind, machine)["spec"]["containers"]
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("secret\n")
    environ = {one["name"]: one.get("value", "tidy-1-x") for one in container["env"]} | {
        "SEAMWORK_PLATFORM_ID": "01980000-0000-7000-8000-000000000000",
        "SEAMWORK_ROOT_PUBLIC_KEY": "A" * 43 + "=",
        "SEAMWORK_KAFKA_SASL_PASSWORD_FILE": str(password),
    }
    monkeypatch.setenv("SEAMWORK_AUDIT_URL", environ["SEAMWORK_AUDIT_URL"])

    common = CommonSettings.from_environ(machine, environ)
    Audit.elsewhere(common.platform)

    assert "seamwork-tools" == common.kafka.username
    assert "SASL_SSL" == common.kafka.protocol
    assert "tidy-1-x" == common.instance
    assert common.signing_key() is None


def test_an_image_has_all_that_it_needs() -> None:
    """No broker, no command line: what a service is installed with."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(absent=_NOT_IN_AN_IMAGE)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
