"""
Write a service's Kubernetes objects.

Each workload stands alone in a file: its ServiceAccount without a token, who may reach it and whom it may reach,
the Service by which it is scraped and asked, its pods, and their budget for disruptions.
"""

from typing import Any

from seamwork.deploy.installation import Installation
from seamwork.deploy.workload import CA, HTTP_PORT, KEEPS, PASSWORD, SECRETS, SIGNING_KEY, USER, Workload

Manifest = dict[str, Any]

PLATFORM = "seamwork-platform"
"""The ConfigMap that says what the platform is; `seamwork deploy identity` writes it."""

READS_PAGES = "seamwork.dev/reads-pages"
"""The label of pods that may ask a service for its pages: a person's tools, a dashboard."""

_PART_OF = "seamwork"
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
_DNS_PORT = 53
_NODES_DNS = "169.254.20.10/32"
"""Where the cache of names listens that many clusters run on each node (NodeLocal DNSCache)."""
_KAFKA_PORT = 9093
_OTLP_PORT = 4318
_HTTPS_PORT = 443
# What is no address of the internet: the cluster's own networks and the machines' metadata services.
_NOT_OUTSIDE = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]


def namespace(installation: Installation) -> list[Manifest]:
    """Return the namespace, which refuses pods that are not confined, and its closed doors."""
    meta = {
        "name": installation.namespace,
        "labels": {
            "app.kubernetes.io/part-of": _PART_OF,
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/enforce-version": "latest",
        },
    }
    closed = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed-unless-said", "namespace": installation.namespace, "labels": _labels()},
        # Of our pods alone: where Kafka shares the namespace, its operator keeps its own doors.
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": _PART_OF}},
            "policyTypes": ["Ingress", "Egress"],
        },
    }
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": meta}, closed]


def manifests(workload: Workload, installation: Installation) -> list[Manifest]:
    """Return all objects of one workload, in the order in which they are made."""
    found = [_account(workload, installation), _network(workload, installation)]
    found.append(_service(workload, installation))
    found.append(_stateful(workload, installation) if workload.keeps else _deployment(workload, installation))
    found.append(_budget(workload, installation))
    return found


def _labels(workload: Workload | None = None) -> dict[str, str]:
    labels = {"app.kubernetes.io/part-of": _PART_OF}
    if workload is not None:
        labels = {"app.kubernetes.io/name": workload.name, **labels}
    return labels


def _meta(workload: Workload, installation: Installation) -> Manifest:
    return {"name": workload.name, "namespace": installation.namespace, "labels": _labels(workload)}


def _selector(workload: Workload) -> Manifest:
    return {"matchLabels": _labels(workload)}


def _account(workload: Workload, installation: Installation) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _meta(workload, installation),
        "automountServiceAccountToken": False,
    }


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
        "metadata": _meta(workload, installation),
        "spec": {
            "replicas": workload.replicas,
            "minReadySeconds": _STEADY_S,
            "revisionHistoryLimit": 3,
            "selector": _selector(workload),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": _pod(workload, installation),
        },
    }


def _stateful(workload: Workload, installation: Installation) -> Manifest:
    claim = {
        "metadata": {"name": "keeps", "labels": _labels(workload)},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": f"{max(1, workload.footprint.disk_gib)}Gi"}},
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": _meta(workload, installation),
        "spec": {
            "replicas": workload.replicas,
            "minReadySeconds": _STEADY_S,
            "revisionHistoryLimit": 3,
            "serviceName": workload.name,
            "selector": _selector(workload),
            "updateStrategy": {"type": "RollingUpdate"},
            # What was kept outlives the set that kept it.
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "template": _pod(workload, installation),
            "volumeClaimTemplates": [claim],
        },
    }


def _pod(workload: Workload, installation: Installation) -> Manifest:
    spec: Manifest = {
        "serviceAccountName": workload.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(workload, installation)],
        "volumes": [_secrets(workload, installation), {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }
    if workload.replicas > 1:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": _SPREAD_OVER,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": _selector(workload),
            }
        ]
    scraped = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(HTTP_PORT),
        "prometheus.io/path": "/metrics",
    }
    return {"metadata": {"labels": _labels(workload), "annotations": scraped}, "spec": spec}


def _container(workload: Workload, installation: Installation) -> Manifest:
    footprint = workload.footprint
    mounts = [
        {"name": "secrets", "mountPath": SECRETS, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # the container's own
    ]
    if workload.keeps:
        mounts.append({"name": "keeps", "mountPath": KEEPS})
    return {
        "name": workload.name,
        "image": installation.image(workload.name),
        "imagePullPolicy": "IfNotPresent",
        "envFrom": [{"configMapRef": {"name": PLATFORM}}],
        "env": [*_environ(workload, installation), _instance()],
        "ports": [{"name": _METRICS, "containerPort": HTTP_PORT, "protocol": "TCP"}],
        "startupProbe": _probe("/health/ready", _START_EVERY_S, _START_TRIES),
        "livenessProbe": _probe("/health/live", _LIVE_EVERY_S, _LIVE_TRIES),
        "readinessProbe": _probe("/health/ready", _LIVE_EVERY_S, 1),
        # Memory is bounded by what is asked for; a processor that is free may be used.
        "resources": {
            "requests": {"cpu": f"{footprint.cpu_m}m", "memory": f"{footprint.memory_mib}Mi"},
            "limits": {"memory": f"{footprint.memory_mib}Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


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


def _environ(workload: Workload, installation: Installation) -> list[Manifest]:
    told = {
        **variables(workload, installation.bootstrap),
        "SEAMWORK_PREFIX": installation.prefix,
        "SEAMWORK_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "SEAMWORK_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "SEAMWORK_KAFKA_CA_FILE": CA,
    }
    return [{"name": name, "value": value} for name, value in told.items()]


def _instance() -> Manifest:
    # The pod's name is unique among running ones, and `kubectl logs` knows it.
    return {"name": "SEAMWORK_INSTANCE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}


def _secrets(workload: Workload, installation: Installation) -> Manifest:
    def taken(secret: str, key: str, path: str) -> Manifest:
        return {"secret": {"name": secret, "items": [{"key": key, "path": path.rpartition("/")[2]}]}}

    return {
        "name": "secrets",
        "projected": {
            "defaultMode": 0o440,
            "sources": [
                taken(workload.user, "password", PASSWORD),
                taken(f"{workload.name}-signing-key", KEY_FILE, SIGNING_KEY),
                taken(f"{installation.cluster}-cluster-ca-cert", "ca.crt", CA),
            ],
        },
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
        "selector": _labels(workload),
        "ports": [{"name": _METRICS, "port": HTTP_PORT, "targetPort": _METRICS, "protocol": "TCP"}],
    }
    if workload.keeps:
        spec = {"clusterIP": "None", **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(workload, installation), "spec": spec}


def _budget(workload: Workload, installation: Installation) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _meta(workload, installation),
        "spec": {"maxUnavailable": 1, "selector": _selector(workload)},
    }


def _network(workload: Workload, installation: Installation) -> Manifest:
    pages: Manifest = {
        "from": [
            {
                "namespaceSelector": {},
                "podSelector": {"matchLabels": {READS_PAGES: "true"}},
            }
        ],
        "ports": [_tcp(HTTP_PORT)],
    }
    of_system = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    caches = [
        {"namespaceSelector": of_system, "podSelector": {"matchLabels": {"k8s-app": app}}}
        for app in ("kube-dns", "node-local-dns")
    ]
    dns = {
        "to": [*caches, {"ipBlock": {"cidr": _NODES_DNS}}],
        "ports": [{"protocol": "UDP", "port": _DNS_PORT}, _tcp(_DNS_PORT)],
    }
    kafka = {
        "to": [
            {"podSelector": {"matchLabels": {"strimzi.io/cluster": installation.cluster}}},
        ],
        "ports": [_tcp(_KAFKA_PORT)],
    }
    collector = {
        "to": [
            {
                "namespaceSelector": {},
                "podSelector": {"matchLabels": {"seamwork.dev/receives-traces": "true"}},
            }
        ],
        "ports": [_tcp(_OTLP_PORT)],
    }
    egress = [dns, kafka, collector]
    if workload.footprint.calls_out:
        outside = {"ipBlock": {"cidr": "0.0.0.0/0", "except": _NOT_OUTSIDE}}
        egress.append({"to": [outside], "ports": [_tcp(_HTTPS_PORT)]})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _meta(workload, installation),
        "spec": {
            "podSelector": _selector(workload),
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [pages],
            "egress": egress,
        },
    }


def _tcp(port: int) -> Manifest:
    return {"protocol": "TCP", "port": port}
