"""
Write what every pod of ours is, whatever runs in it.

Rule 1: it has an account without a token, no root, no capability, a file system that is read-only, and memory that
        is bounded by what it asks for; a processor that is free may be used.
Rule 2: it reaches names and Kafka, and beyond them what is said; whom it answers is said, too.
Rule 3: its secrets are files of one volume, mounted read-only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from seamwork.deploy.installation import Installation
from seamwork.deploy.workload import CA, PASSWORD, SECRETS, USER

Manifest = dict[str, Any]

PLATFORM = "seamwork-platform"
"""The ConfigMap that says what the platform is; `seamwork deploy identity` writes it."""

READS_PAGES = "seamwork.dev/reads-pages"
"""The label of pods that may ask a service for its pages: a person's tools, a dashboard."""

PART_OF = {"app.kubernetes.io/part-of": "seamwork"}

_DNS_PORT = 53
_NODES_DNS = "169.254.20.10/32"
"""Where the cache of names listens that many clusters run on each node (NodeLocal DNSCache)."""
_KAFKA_PORT = 9093


def labels(name: str) -> Manifest:
    """Return the labels of whatever has this name."""
    return {"app.kubernetes.io/name": name, **PART_OF}


def selector(name: str) -> Manifest:
    """Select the pods of this name."""
    return {"matchLabels": labels(name)}


def meta(name: str, installation: Installation) -> Manifest:
    """Return how an object is called, and what it belongs to."""
    return {"name": name, "namespace": installation.namespace, "labels": labels(name)}


def account(name: str, installation: Installation) -> Manifest:
    """Return an account that Kubernetes itself gives nothing to."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": meta(name, installation),
        "automountServiceAccountToken": False,
    }


def network(
    name: str, installation: Installation, *, ingress: Sequence[Manifest], egress: Sequence[Manifest]
) -> Manifest:
    """Return who may reach the pods of this name, and whom they may reach besides names and Kafka."""
    kafka = {
        "to": [
            {"podSelector": {"matchLabels": {"strimzi.io/cluster": installation.cluster}}},
        ],
        "ports": [tcp(_KAFKA_PORT)],
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": meta(name, installation),
        "spec": {
            "podSelector": selector(name),
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [*ingress],
            "egress": [_names(), kafka, *egress],
        },
    }


def tcp(port: int) -> Manifest:
    """Return a port of a rule."""
    return {"protocol": "TCP", "port": port}


def pod(name: str, container: Manifest, volumes: Sequence[Manifest], grace_s: int) -> Manifest:
    """Return what a pod is made of; *grace_s* is how long it may take to end when it is told to."""
    return {
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_s,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [*volumes, {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }


def container(  # one argument for each thing that is one's own
    name: str,
    image: str,
    told: Mapping[str, str],
    installation: Installation,
    *,
    cpu_m: int,
    memory_mib: int,
    does: Mapping[str, Any],
    mounts: Sequence[Manifest] = (),
) -> Manifest:
    """
    Return a container.

    Args:
        name: How it is called.
        image: What it is made from.
        told: Its variables, besides those that every pod has.
        installation: Where it runs.
        cpu_m: Thousandths of a processor that it is sure to have.
        memory_mib: The memory that it is sure to have and may not exceed.
        does: What it runs, and how it is asked: command, ports, probes.
        mounts: Volumes besides secrets and ``/tmp``.
    """
    everybody = {
        "SEAMWORK_PREFIX": installation.prefix,
        "SEAMWORK_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "SEAMWORK_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "SEAMWORK_KAFKA_CA_FILE": CA,
    }
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "envFrom": [{"configMapRef": {"name": PLATFORM}}],
        "env": [
            *({"name": name, "value": value} for name, value in {**told, **everybody}.items()),
            # The pod's name is unique among running ones, and `kubectl logs` knows it.
            {"name": "SEAMWORK_INSTANCE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        **does,
        "resources": {
            "requests": {"cpu": f"{cpu_m}m", "memory": f"{memory_mib}Mi"},
            "limits": {"memory": f"{memory_mib}Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "secrets", "mountPath": SECRETS, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # the container's own
            *mounts,
        ],
    }


def secrets(user: str, installation: Installation, more: Sequence[tuple[str, str, str]] = ()) -> Manifest:
    """
    Return the volume of a pod's secrets.

    Args:
        user: Its principal at the broker, whose password Strimzi keeps in a Secret of that name.
        installation: Whose Kafka's certificate is to be trusted.
        more: Further ones: the Secret, the key in it, the path that it gets.
    """
    return {
        "name": "secrets",
        "projected": {
            "defaultMode": 0o440,
            "sources": [
                _taken(user, "password", PASSWORD),
                *(_taken(*each) for each in more),
                _taken(f"{installation.cluster}-cluster-ca-cert", "ca.crt", CA),
            ],
        },
    }


def _taken(secret: str, key: str, path: str) -> Manifest:
    return {"secret": {"name": secret, "items": [{"key": key, "path": path.rpartition("/")[2]}]}}


def _names() -> Manifest:
    of_system = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    caches = [
        {"namespaceSelector": of_system, "podSelector": {"matchLabels": {"k8s-app": app}}}
        for app in ("kube-dns", "node-local-dns")
    ]
    return {
        "to": [*caches, {"ipBlock": {"cidr": _NODES_DNS}}],
        "ports": [{"protocol": "UDP", "port": _DNS_PORT}, tcp(_DNS_PORT)],
    }
