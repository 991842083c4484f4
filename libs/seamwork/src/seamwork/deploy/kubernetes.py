"""
Write a service's Kubernetes objects.

Each workload stands alone in a file: its ServiceAccount without a token, who may reach it and whom it may reach,
the Service by which it is scraped and asked, its pods, and their budget for disruptions.
"""

from seamwork.deploy.installation import Installation
from seamwork.deploy.pods import (
    PART_OF,
    READS_PAGES,
    Manifest,
    account,
    container,
    labels,
    meta,
    network,
    pod,
    secrets,
    selector,
    tcp,
)
from seamwork.deploy.workload import HTTP_PORT, KEEPS, PASSWORD, SIGNING_KEY, Workload

KEY_FILE = "signing.key"
_GRACE_S = 60  # the batch in hand, its outputs, the group's goodbye: 25 s at most, and slack
_START_EVERY_S = 5
_START_TRIES = 120  # ten minutes: a journal is restored, and a Kafka that is away comes back
_LIVE_EVERY_S = 10
_LIVE_TRIES = 3
_PROBE_TIMEOUT_S = 5
_STEADY_S = 10
_SPREAD_OVER = "kubernetes.io/hostname"
_METRICS = "metrics"
_OTLP_PORT = 4318
_HTTPS_PORT = 443
# What is no address of the internet: the cluster's own networks and the machines' metadata services.
_NOT_OUTSIDE = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]


def namespace(installation: Installation) -> list[Manifest]:
    """Return the namespace, which refuses pods that are not confined, and its closed doors."""
    described = {
        "name": installation.namespace,
        "labels": {
            **PART_OF,
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/enforce-version": "latest",
        },
    }
    closed = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed-unless-said", "namespace": installation.namespace, "labels": PART_OF},
        # Of our pods alone: where Kafka shares the namespace, its operator keeps its own doors.
        "spec": {
            "podSelector": {"matchLabels": PART_OF},
            "policyTypes": ["Ingress", "Egress"],
        },
    }
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": described}, closed]


def manifests(workload: Workload, installation: Installation) -> list[Manifest]:
    """Return all objects of one workload, in the order in which they are made."""
    found = [account(workload.name, installation), _network(workload, installation)]
    found.append(_service(workload, installation))
    found.append(_stateful(workload, installation) if workload.keeps else _deployment(workload, installation))
    found.append(_budget(workload, installation))
    return found


def _deployment(workload: Workload, installation: Installation) -> Manifest:
    # Whoever owns partitions gives them back before another takes them: two claims for one move cost a fence.
    rolling = (
        {"maxSurge": 0, "maxUnavailable": 1}
        if workload.owns_partitions
        else {"maxSurge": 1, "maxUnavailable": 0}
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta(workload.name, installation),
        "spec": {
            "replicas": workload.replicas,
            "minReadySeconds": _STEADY_S,
            "revisionHistoryLimit": 3,
            "selector": selector(workload.name),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": _pod(workload, installation),
        },
    }


def _stateful(workload: Workload, installation: Installation) -> Manifest:
    claim = {
        "metadata": {"name": "keeps", "labels": labels(workload.name)},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": f"{max(1, workload.footprint.disk_gib)}Gi"}},
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": meta(workload.name, installation),
        "spec": {
            "replicas": workload.replicas,
            "minReadySeconds": _STEADY_S,
            "revisionHistoryLimit": 3,
            "serviceName": workload.name,
            "selector": selector(workload.name),
            "updateStrategy": {"type": "RollingUpdate"},
            # What was kept outlives the set that kept it.
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "template": _pod(workload, installation),
            "volumeClaimTemplates": [claim],
        },
    }


def _pod(workload: Workload, installation: Installation) -> Manifest:
    keys = [(f"{workload.name}-signing-key", KEY_FILE, SIGNING_KEY)]
    spec = pod(
        workload.name,
        _container(workload, installation),
        [secrets(workload.user, installation, keys)],
        _GRACE_S,
    )
    if workload.replicas > 1:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": _SPREAD_OVER,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": selector(workload.name),
            }
        ]
    scraped = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(HTTP_PORT),
        "prometheus.io/path": "/metrics",
    }
    return {"metadata": {"labels": labels(workload.name), "annotations": scraped}, "spec": spec}


def _container(workload: Workload, installation: Installation) -> Manifest:
    return container(
        workload.name,
        installation.image(workload.image),
        variables(workload, installation.bootstrap),
        installation,
        cpu_m=workload.footprint.cpu_m,
        memory_mib=workload.footprint.memory_mib,
        does={
            "ports": [{"name": _METRICS, "containerPort": HTTP_PORT, "protocol": "TCP"}],
            "startupProbe": _probe("/health/ready", _START_EVERY_S, _START_TRIES),
            "livenessProbe": _probe("/health/live", _LIVE_EVERY_S, _LIVE_TRIES),
            "readinessProbe": _probe("/health/ready", _LIVE_EVERY_S, 1),
        },
        mounts=[{"name": "keeps", "mountPath": KEEPS}] if workload.keeps else [],
    )


def variables(workload: Workload, bootstrap: str) -> dict[str, str]:
    """Return what one service is told besides what the platform is, whatever runs it."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "SEAMWORK_KAFKA_SASL_USERNAME": workload.user,
        "SEAMWORK_KAFKA_SASL_PASSWORD_FILE": PASSWORD,
        "SEAMWORK_SIGNING_KEY_FILE": SIGNING_KEY,
        "SEAMWORK_SIGNING_KID": workload.kid,
        "SEAMWORK_HTTP_HOST": "0.0.0.0",  # noqa: S104  # the pod's own; a policy says who reaches it
        "SEAMWORK_HTTP_PORT": str(HTTP_PORT),
        **dict(workload.environ),
    }


def _probe(path: str, every_s: int, tries: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": _METRICS},
        "periodSeconds": every_s,
        "timeoutSeconds": _PROBE_TIMEOUT_S,
        "failureThreshold": tries,
    }


def _service(workload: Workload, installation: Installation) -> Manifest:
    spec: Manifest = {
        "selector": labels(workload.name),
        "ports": [{"name": _METRICS, "port": HTTP_PORT, "targetPort": _METRICS, "protocol": "TCP"}],
    }
    if workload.keeps:
        spec = {"clusterIP": "None", **spec}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(workload.name, installation),
        "spec": spec,
    }


def _budget(workload: Workload, installation: Installation) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": meta(workload.name, installation),
        "spec": {"maxUnavailable": 1, "selector": selector(workload.name)},
    }


def _network(workload: Workload, installation: Installation) -> Manifest:
    pages: Manifest = {
        "from": [
            {
                "namespaceSelector": {},
                "podSelector": {"matchLabels": {READS_PAGES: "true"}},
            }
        ],
        "ports": [tcp(HTTP_PORT)],
    }
    collector = {
        "to": [
            {
                "namespaceSelector": {},
                "podSelector": {"matchLabels": {"seamwork.dev/receives-traces": "true"}},
            }
        ],
        "ports": [tcp(_OTLP_PORT)],
    }
    egress = [collector]
    if workload.footprint.calls_out:
        outside = {"ipBlock": {"cidr": "0.0.0.0/0", "except": _NOT_OUTSIDE}}
        egress.append({"to": [outside], "ports": [tcp(_HTTPS_PORT)]})
    return network(workload.name, installation, ingress=[pages], egress=egress)
