"""
Write the topics, rights and credentials of an installation for Strimzi, in its API ``kafka.strimzi.io/v1``.

They are what the registrar makes on a laptop, from the same two functions; here Strimzi's operators make them. A
``KafkaUser`` without a password gets one, in a Secret of its own name.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from seamwork.broker.acls import Acl, acls
from seamwork.broker.principal import Principal
from seamwork.broker.topics import TopicSpec, topics
from seamwork.deploy.installation import Installation

_API = "kafka.strimzi.io/v1"
_OPERATIONS = {"READ": "Read", "WRITE": "Write", "DELETE": "Delete"}
_PATTERNS = {"LITERAL": "literal", "PREFIXED": "prefix"}


def kafka_topics(specs: Sequence[TopicSpec], installation: Installation) -> list[dict[str, Any]]:
    """Return a ``KafkaTopic`` for every topic that the installation's principals need."""
    wanted = topics(specs, installation.principals(), prefix=installation.prefix, sizing=installation.sizing)
    return [
        {
            "apiVersion": _API,
            "kind": "KafkaTopic",
            "metadata": _meta(topic.name, installation),
            "spec": {
                "partitions": topic.partitions,
                "replicas": topic.replication,
                "config": {name: _number_or_text(value) for name, value in topic.config},
            },
        }
        for topic in wanted
    ]


def kafka_users(specs: Sequence[TopicSpec], installation: Installation) -> list[dict[str, Any]]:
    """Return a ``KafkaUser`` for everybody, with the rights that the topic files give and no other."""
    return [_user(specs, principal, installation) for principal in installation.principals()]


def _user(specs: Sequence[TopicSpec], principal: Principal, installation: Installation) -> dict[str, Any]:
    given = acls(specs, [principal], prefix=installation.prefix)
    return {
        "apiVersion": _API,
        "kind": "KafkaUser",
        "metadata": _meta(principal.user(installation.prefix), installation),
        "spec": {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {"type": "simple", "acls": _rules(given)},
        },
    }


def _rules(given: Iterable[Acl]) -> list[dict[str, Any]]:
    """Write one rule for each resource, its operations together."""
    together: dict[tuple[str, str, str], list[str]] = {}
    for acl in sorted(given):
        at = (acl.resource.lower(), acl.name, _PATTERNS[acl.pattern])
        together.setdefault(at, []).append(_OPERATIONS[acl.operation])
    return [
        {"resource": {"type": kind, "name": name, "patternType": pattern}, "operations": sorted(operations)}
        for (kind, name, pattern), operations in sorted(together.items())
    ]


def _meta(name: str, installation: Installation) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": installation.namespace,
        "labels": {
            "app.kubernetes.io/part-of": "seamwork",
            "strimzi.io/cluster": installation.cluster,
        },
    }


def _number_or_text(value: str) -> int | str:
    return int(value) if value.lstrip("-").isdigit() else value
