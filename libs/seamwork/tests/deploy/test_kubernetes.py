"""What is rendered is what Kubernetes takes, and no pod has more than it needs."""

import re
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from seamwork.deploy.installation import Installation, installed
from seamwork.deploy.kubernetes import manifests
from seamwork.deploy.workload import workload
from seamwork.runtime import Footprint
from seamwork.settings.common import CommonSettings
from seamwork.settings.environment import read_settings

VERSIONS = ("1.33", "1.37")
"""The oldest and the newest Kubernetes whose schemas the manifests fit."""

STRIMZI = YAML(typ="safe", pure=True).load(Path(__file__).with_name("strimzi.schema.yaml"))
GUIDE = Path(__file__).parents[4] / "docs" / "guide" / "deploy.md"
SERVICES = sorted(point.name for point in entry_points(group="seamwork.services"))

Manifest = dict[str, Any]
OfKind = Callable[[str], dict[str, Manifest]]


def is_kubernetes(manifest: Manifest) -> bool:
    """Say whether Kubernetes itself knows the object; the rest is Strimzi's, or a tool's own file."""
    return "strimzi" not in manifest["apiVersion"] and "kustomize" not in manifest["apiVersion"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_the_schemas_of_kubernetes(objects: list[Manifest], version: str) -> None:
    """Strictly: a field that Kubernetes does not know would be dropped in silence."""
    found = [manifest for manifest in objects if is_kubernetes(manifest)]

    assert len(found) > 5 * len(SERVICES)
    for manifest in found:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_field_is_noticed(of_kind: OfKind) -> None:
    """The check above refuses something."""
    wrong = of_kind("Deployment")["router"]
    wrong = {**wrong, "spec": {**wrong["spec"], "minReadySecond": 1}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_every_topic_and_user_fits_what_we_know_of_strimzi(objects: list[Manifest]) -> None:
    """Its first version serves nothing but ``kafka.strimzi.io/v1``."""
    validator = jsonschema_rs.Draft202012Validator(STRIMZI)
    found = [manifest for manifest in objects if "strimzi" in manifest["apiVersion"]]

    assert {"KafkaTopic", "KafkaUser"} == {manifest["kind"] for manifest in found}
    for manifest in found:
        validator.validate(manifest)
    with pytest.raises(jsonschema_rs.ValidationError):
        validator.validate({**found[0], "apiVersion": "kafka.strimzi.io/v1beta2"})


def test_every_installed_service_has_its_six_objects(of_kind: OfKind) -> None:
    """Nobody lists the services: whoever installs one has manifests for it."""
    pods = {**of_kind("Deployment"), **of_kind("StatefulSet")}

    assert SERVICES == sorted(pods)
    for kind in ("ServiceAccount", "PodDisruptionBudget", "Service", "NetworkPolicy"):
        assert set(SERVICES) <= set(of_kind(kind)), kind
    assert {f"seamwork-{name}" for name in SERVICES} <= set(of_kind("KafkaUser"))


def test_what_keeps_a_file_is_a_stateful_set_of_one_with_a_volume(of_kind: OfKind) -> None:
    """Everybody else's state is a journal in Kafka."""
    assert {"audit-sink", "notifier"} == set(of_kind("StatefulSet"))
    sink = of_kind("StatefulSet")["audit-sink"]["spec"]
    mounts = sink["template"]["spec"]["containers"][0]["volumeMounts"]

    assert 1 == sink["replicas"]
    assert "50Gi" == sink["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]
    assert {"name": "keeps", "mountPath": "/var/lib/seamwork"} in mounts


@pytest.mark.parametrize("name", SERVICES)
def test_a_pod_is_confined(of_kind: OfKind, name: str) -> None:
    """No root, no token, no capability, no file system to write to, a bound on its memory."""
    pods = {**of_kind("Deployment"), **of_kind("StatefulSet")}
    spec = pods[name]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    rights = container["securityContext"]

    assert spec["automountServiceAccountToken"] is False
    assert of_kind("ServiceAccount")[name]["automountServiceAccountToken"] is False
    assert name == spec["serviceAccountName"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert 0 != spec["securityContext"]["runAsUser"]
    assert {"type": "RuntimeDefault"} == spec["securityContext"]["seccompProfile"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert ["ALL"] == rights["capabilities"]["drop"]
    assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
    assert not container["image"].endswith(":latest")
    assert not any("hostPath" in volume for volume in spec["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_pod_stops_slowly_and_is_asked_for_progress(of_kind: OfKind, name: str) -> None:
    """It starts when it is restored, lives while it makes progress, and has time for what is in flight."""
    pods = {**of_kind("Deployment"), **of_kind("StatefulSet")}
    spec = pods[name]["spec"]["template"]["spec"]
    (container,) = spec["containers"]

    assert "/health/ready" == container["startupProbe"]["httpGet"]["path"]
    assert "/health/live" == container["livenessProbe"]["httpGet"]["path"]
    assert "/health/ready" == container["readinessProbe"]["httpGet"]["path"]
    assert 60 <= spec["terminationGracePeriodSeconds"]
    assert 1 == of_kind("PodDisruptionBudget")[name]["spec"]["maxUnavailable"]


def test_an_owner_of_partitions_goes_before_its_successor_comes(of_kind: OfKind) -> None:
    """A gate without a journal may overlap; two owners of one journal would fence each other."""
    rolling = {
        name: each["spec"]["strategy"]["rollingUpdate"] for name, each in of_kind("Deployment").items()
    }

    assert {"maxSurge": 0, "maxUnavailable": 1} == rolling["router"] == rolling["cost-cap"]
    assert {"maxSurge": 1, "maxUnavailable": 0} == rolling["contract-validator"]


def test_doors_are_closed_unless_they_are_said_to_be_open(of_kind: OfKind) -> None:
    """Names, Kafka and a collector may be called; a service's pages are for pods with a label."""
    policies = of_kind("NetworkPolicy")
    closed = policies.pop("closed-unless-said")["spec"]

    assert {"Ingress", "Egress"} == set(closed["policyTypes"])
    assert not {"ingress", "egress"} & set(closed)
    for name in SERVICES:
        spec = policies[name]["spec"]
        inside = [rule for rule in spec["egress"] if [443] != [port["port"] for port in rule["ports"]]]
        assert (name == "notifier") == (inside != spec["egress"])
        assert [53, 53, 9093, 4318] == [port["port"] for rule in inside for port in rule["ports"]]
        assert all("podSelector" in to for rule in inside[1:] for to in rule["to"])
        (rule,) = spec["ingress"]
        assert [8080] == [port["port"] for port in rule["ports"]]
        assert all(peer["podSelector"]["matchLabels"] for peer in rule["from"])


def test_names_are_asked_for_wherever_the_cluster_answers(of_kind: OfKind) -> None:
    """By its own server, or by the cache on each node, which no selector meets: its address is the node's."""
    policies = of_kind("NetworkPolicy")
    for name in SERVICES:
        (rule,) = [one for one in policies[name]["spec"]["egress"] if one["ports"][0]["port"] == 53]
        apps = {to["podSelector"]["matchLabels"]["k8s-app"] for to in rule["to"] if "podSelector" in to}
        assert {"kube-dns", "node-local-dns"} == apps
        assert ["169.254.20.10/32"] == [to["ipBlock"]["cidr"] for to in rule["to"] if "ipBlock" in to]


def test_a_service_that_calls_out_may_reach_the_internet_and_not_the_cluster() -> None:
    """A webhook's address is somebody's input; what is inside must not be reachable by it."""
    service = next(one for one in installed() if one.name == "contract-validator")
    object.__setattr__(changed := type(service)(**vars(service)), "footprint", Footprint(calls_out=True))

    found = manifests(workload(changed, Installation()), Installation())
    (policy,) = [each for each in found if each["kind"] == "NetworkPolicy"]
    block = policy["spec"]["egress"][-1]["to"][0]["ipBlock"]

    assert "0.0.0.0/0" == block["cidr"]
    assert {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"} <= set(block["except"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_understands_what_its_pod_tells_it(of_kind: OfKind, tmp_path: Path, name: str) -> None:
    """The variables are those that the code reads: its own settings refuse any other."""
    pods = {**of_kind("Deployment"), **of_kind("StatefulSet")}
    (container,) = pods[name]["spec"]["template"]["spec"]["containers"]
    environ = {one["name"]: one.get("value", "router-5d9c") for one in container["env"]}
    environ |= {
        "SEAMWORK_PLATFORM_ID": "01980000-0000-7000-8000-000000000000",
        "SEAMWORK_ROOT_PUBLIC_KEY": "A" * 43 + "=",
    }
    for variable in ("SEAMWORK_KAFKA_SASL_PASSWORD_FILE", "SEAMWORK_SIGNING_KEY_FILE"):
        path = tmp_path / Path(environ[variable]).name
        path.write_text("A" * 43 + "=\n", encoding="ascii")
        path.chmod(0o600)
        environ[variable] = str(path)
    service = next(one for one in installed() if one.name == name)

    common = CommonSettings.from_environ(name, environ)
    key = common.signing_key()

    assert key is not None
    assert f"{name}-1" == key.kid
    assert f"seamwork-{name}" == common.kafka.username
    assert "SASL_SSL" == common.kafka.protocol
    assert 8080 == common.http_port
    read_settings(service.settings, name, environ)


def test_the_overlay_of_the_guide_fits_what_is_rendered(of_kind: OfKind) -> None:
    """Each patch is of an object that there is, at a place that it has; each variable is read by its service."""
    (block,) = re.findall(r"```yaml\n(apiVersion: kustomize.*?)```", GUIDE.read_text(), re.DOTALL)
    yaml = YAML(typ="safe", pure=True)
    patches = yaml.load(block)["patches"]

    assert {"audit-sink", "notifier", "router"} == {patch["target"]["name"] for patch in patches}
    for patch in patches:
        target = of_kind(patch["target"]["kind"])[patch["target"]["name"]]
        service = next(one for one in installed() if one.name == patch["target"]["name"])
        known = {
            f"SEAMWORK_{service.name}_{field}".upper().replace("-", "_")
            for field in service.settings.__struct_fields__
        }
        for step in yaml.load(patch["patch"]):
            *way, last = step["path"].strip("/").split("/")
            at: Any = target
            for part in way:
                at = at[int(part)] if isinstance(at, list) else at[part]
            assert isinstance(at, list) if last == "-" else last in at
            if way[-1] == "env":
                assert step["value"]["name"] in known
