"""
Write the jobs that come and go beside the services: whoever trims a machine's journal.

A journal is kept for ever but for what this takes away, and a crossing leaves some ten kilobytes of it. The job
runs in the image of the machine, which knows how its state comes about, and as somebody else: whoever writes
journals may not delete (``seamwork.deploy.janitor``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from seamwork.broker.principal import user_name
from seamwork.deploy.installation import Installation
from seamwork.deploy.janitor import MEMORY
from seamwork.deploy.pods import (
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
from seamwork.deploy.workload import HTTP_PORT, PASSWORD, Workload

_AUDIT = "audit-sink"
_ANY = "router"
"""Whose image trims what a gate of one's own remembers: each has what is needed for it."""
_TOOLS = "tools"
_EVERY_MIN = 10
_LATE_S = 300
_LONGEST_S = 540  # it is over before the next one comes; what it had not proved by then, nobody deleted
_GRACE_S = 5
_STATES = 2  # the last but one is replayed until it is the last, which is held against it


@dataclass(frozen=True, kw_only=True)
class Trimmed:
    """
    A machine whose journal is trimmed.

    Attributes:
        name: Its name.
        image: The service in whose image that is done.
        machine: What the janitor calls it, as that image has it.
        gate: The name of the gate that it is, where that is another.
        cpu_m, memory_mib: What one instance of it has.
    """

    name: str
    image: str
    machine: str
    gate: str | None
    cpu_m: int
    memory_mib: int


def journals(running: Sequence[Workload], installation: Installation) -> list[Trimmed]:
    """Return whose journals are trimmed: of what runs, and of gates of one's own that remember."""
    of_ours = [
        Trimmed(
            name=one.name,
            image=one.image,
            machine=one.image,
            gate=one.gate,
            cpu_m=one.footprint.cpu_m,
            memory_mib=one.footprint.memory_mib,
        )
        for one in running
        if one.owns_partitions
    ]
    like = next(one for one in of_ours if one.name == _ANY)
    return [
        *of_ours,
        *(
            replace(like, name=one.name, machine=MEMORY, gate=one.name)
            for one in installation.gates
            if one.memory
        ),
    ]


def tidying(trimmed: Trimmed, installation: Installation, *, minute: int) -> list[Manifest]:
    """
    Return what trims the journal of one machine every ten minutes.

    Args:
        trimmed: The machine.
        installation: Where it runs.
        minute: Of each ten, so that those of several machines come one after the other.
    """
    name = f"tidy-{trimmed.name}"
    asked = {"to": [{"podSelector": selector(_AUDIT)}], "ports": [tcp(HTTP_PORT)]}
    return [
        account(name, installation),
        network(name, installation, ingress=[], egress=[asked]),
        _cron_job(name, trimmed, installation, minute),
    ]


def _cron_job(name: str, trimmed: Trimmed, installation: Installation, minute: int) -> Manifest:
    job: dict[str, Any] = {
        "backoffLimit": 0,  # the next one comes soon enough
        "activeDeadlineSeconds": _LONGEST_S,
        "template": {
            "metadata": {"labels": {**labels(name), READS_PAGES: "true"}},
            "spec": {**_pod(name, trimmed, installation), "restartPolicy": "Never"},
        },
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": meta(name, installation),
        "spec": {
            "schedule": f"{minute}-59/{_EVERY_MIN} * * * *",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": _LATE_S,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"spec": job},
        },
    }


def _pod(name: str, trimmed: Trimmed, installation: Installation) -> Manifest:
    user = user_name(installation.prefix, _TOOLS)
    told = {
        "KAFKA_BOOTSTRAP_SERVERS": installation.bootstrap,
        "SEAMWORK_KAFKA_SASL_USERNAME": user,
        "SEAMWORK_KAFKA_SASL_PASSWORD_FILE": PASSWORD,
        **({} if trimmed.gate is None else {"SEAMWORK_GATE": trimmed.gate}),
        "SEAMWORK_AUDIT_URL": f"http://{_AUDIT}.{installation.namespace}.svc:{HTTP_PORT}",
    }
    runs = container(
        name,
        installation.image(trimmed.image),
        told,
        installation,
        cpu_m=trimmed.cpu_m,
        memory_mib=_STATES * trimmed.memory_mib,
        does={"command": ["/opt/seamwork/bin/python", "-m", "seamwork.deploy.janitor", trimmed.machine]},
    )
    return pod(name, runs, [secrets(user, installation)], _GRACE_S)
