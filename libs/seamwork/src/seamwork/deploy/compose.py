"""
Write a Compose file: the services in containers on one machine, at a Kafka that is given.

The same images under the same rules as on Kubernetes: no root, nothing to write to but a volume, no capability.
Whatever is private comes from the files that `seamwork deploy identity` and `found` wrote.
"""

from collections.abc import Sequence
from typing import Any

from seamwork.deploy.installation import Installation
from seamwork.deploy.kubernetes import variables
from seamwork.deploy.workload import CA, KEEPS, PASSWORD, SIGNING_KEY, Workload

_NEEDED = "${%s:?write it with `seamwork deploy identity`}"
_PROCESSES = 256


def compose(workloads: Sequence[Workload], installation: Installation) -> dict[str, Any]:
    """Return the Compose file."""
    secrets: dict[str, Any] = {"kafka-ca": {"file": "${SEAMWORK_KAFKA_CA_FILE:-/dev/null}"}}
    for workload in workloads:
        for kind in ("key", "password"):
            secrets[f"{workload.name}-{kind}"] = {"file": f"${{SEAMWORK_PRIVATE}}/{workload.name}.{kind}"}
    services = {workload.name: _service(workload, installation) for workload in workloads}
    return {"name": "seamwork", "services": services, "secrets": secrets}


def _service(workload: Workload, installation: Installation) -> dict[str, Any]:
    told = {
        **variables(workload, "${KAFKA_BOOTSTRAP_SERVERS:?where is Kafka}"),
        "SEAMWORK_PLATFORM_ID": _NEEDED % "SEAMWORK_PLATFORM_ID",
        "SEAMWORK_ROOT_PUBLIC_KEY": _NEEDED % "SEAMWORK_ROOT_PUBLIC_KEY",
        "SEAMWORK_PREFIX": _NEEDED % "SEAMWORK_PREFIX",
        "SEAMWORK_KAFKA_SASL_USERNAME": f"${{SEAMWORK_PREFIX}}-{workload.name}",
        "SEAMWORK_KAFKA_SECURITY_PROTOCOL": "${SEAMWORK_KAFKA_SECURITY_PROTOCOL:-SASL_SSL}",
        "SEAMWORK_KAFKA_SASL_MECHANISM": "${SEAMWORK_KAFKA_SASL_MECHANISM:-SCRAM-SHA-512}",
    }
    footprint = workload.footprint
    service: dict[str, Any] = {
        "image": installation.image(workload.image),
        "build": {
            "context": "..",
            "dockerfile": "deploy/Dockerfile",
            "args": {"SERVICE": workload.image},
        },
        "user": _NEEDED % "SEAMWORK_USER",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": ["/tmp:size=64m,mode=1777"],  # noqa: S108  # the container's own
        "pids_limit": _PROCESSES,
        "mem_limit": f"{footprint.memory_mib}m",
        "restart": "unless-stopped",
        "stop_grace_period": "60s",
        "environment": {**told, "SEAMWORK_KAFKA_CA_FILE": "${SEAMWORK_KAFKA_CA_FILE:+" + CA + "}"},
        "secrets": [
            {"source": f"{workload.name}-key", "target": SIGNING_KEY},
            {"source": f"{workload.name}-password", "target": PASSWORD},
            {"source": "kafka-ca", "target": CA},
        ],
        "expose": ["8080"],
    }
    if workload.keeps:
        service["volumes"] = [
            {
                "type": "bind",
                "source": f"${{SEAMWORK_PRIVATE}}/{workload.name}",
                "target": KEEPS,
                "bind": {"create_host_path": False},
            }
        ]
    return service
