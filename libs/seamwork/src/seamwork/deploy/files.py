"""Put an installation together as files, the same every time."""

import io
import json
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML

from seamwork.broker.topics import TopicSpec
from seamwork.deploy.alerts import rule_file
from seamwork.deploy.compose import compose
from seamwork.deploy.dashboard import dashboard
from seamwork.deploy.installation import Installation
from seamwork.deploy.jobs import journals, tidying
from seamwork.deploy.kubernetes import manifests, namespace
from seamwork.deploy.strimzi import kafka_topics, kafka_users
from seamwork.deploy.workload import workloads

NOTE = "# Written by `seamwork deploy render`; do not edit.\n"


def files(specs: Sequence[TopicSpec], installation: Installation) -> dict[str, str]:
    """Return path → content of everything that is generated, below one folder."""
    running = workloads(installation)
    kubernetes: dict[str, list[dict[str, Any]]] = {
        "namespace": namespace(installation),
        "topics": kafka_topics(specs, installation),
        "users": kafka_users(specs, installation),
        **{one.name: manifests(one, installation) for one in running},
    }
    for number, one in enumerate(journals(running, installation)):
        kubernetes.setdefault(one.name, []).extend(tidying(one, installation, minute=number))
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{name}.yaml" for name in kubernetes],
    }
    written = {f"kubernetes/{name}.yaml": as_yaml(objects) for name, objects in kubernetes.items()}
    return {
        **written,
        "kubernetes/kustomization.yaml": as_yaml([kustomization]),
        "prometheus/alerts.yaml": as_yaml([rule_file([one.name for one in running])]),
        "grafana/seamwork.json": json.dumps(dashboard(), indent=2) + "\n",
        "compose.yaml": as_yaml([compose(running, installation)]),
    }


def is_ours(text: str) -> bool:
    """Say whether a file was written by this: it says so, or is the dashboard, which has no place for a note."""
    return text.startswith((NOTE, json.dumps({"uid": dashboard()["uid"]}, indent=2).rstrip("\n}")))


def as_yaml(documents: Sequence[dict[str, Any]], note: str = NOTE) -> str:
    """Write documents as one YAML file, the same every time."""
    writer = YAML()
    writer.default_flow_style = False
    writer.width = 4096  # a value is never folded
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.representer.ignore_aliases = lambda _data: True
    parts = []
    for document in documents:
        text = io.StringIO()
        writer.dump(document, text)
        parts.append(text.getvalue())
    return note + "---\n" + "---\n".join(parts)
