"""
Say how one service runs elsewhere, from what it says of itself: how many, with which files, volumes and variables.

Rule 1: a service that keeps a file (a setting without a default that is a path) is a ``StatefulSet`` with one
        instance and a volume; every other keeps its state in Kafka and is a ``Deployment``.
Rule 2: secrets are files, mounted read-only for the one user that the image has; no variable holds one.
Rule 3: a service listens on one port, for health, metrics and read-only pages, and calls Kafka and nothing else
        unless its footprint says so.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec

from seamwork.broker.principal import gate as further
from seamwork.broker.principal import is_role_of_ours, like_of
from seamwork.broker.principal import service as principal_of
from seamwork.deploy.installation import Installation, installed
from seamwork.platform.trust import service_kid
from seamwork.runtime.spec import Footprint, LoopSpec, MachineSpec, Part, Service, Site
from seamwork.settings.environment import variable_prefix

HTTP_PORT = 8080
USER = 10001
"""The image's user and group: no root, and no user of the machine below."""

KEEPS = "/var/lib/seamwork"
SECRETS = "/run/seamwork"
PASSWORD = f"{SECRETS}/kafka-password"
SIGNING_KEY = f"{SECRETS}/signing.key"
CA = f"{SECRETS}/kafka-ca.crt"

_REPLICAS = 2


@dataclass(frozen=True, kw_only=True)
class Workload:
    """
    One service as an installation runs it.

    Attributes:
        service: What it is.
        user: Its principal at the broker.
        kid: The id of its signing key.
        replicas: How many run at once; never more than there are partitions to own.
        environ: Its variables, besides those that the whole platform shares.
        keeps: Whether it keeps a file between restarts.
        owns_partitions: Whether a rolling change must stop one before it starts another.
        shows: The paths of pages besides health and metrics.
        gate: The name of the gate that it runs as, where that is not the service's own.
    """

    service: Service[Any]
    user: str
    kid: str
    replicas: int
    environ: tuple[tuple[str, str], ...]
    keeps: bool
    owns_partitions: bool
    shows: tuple[str, ...]
    gate: str | None = None

    @property
    def name(self) -> str:
        """The one name: service, Deployment, ServiceAccount, label."""
        return self.gate or self.service.name

    @property
    def image(self) -> str:
        """The service whose image it runs."""
        return self.service.name

    @property
    def footprint(self) -> Footprint:
        """What one instance needs."""
        return self.service.footprint


def workloads(installation: Installation) -> list[Workload]:
    """Return everything that runs in *installation*: each service, and ours under the names of further gates."""
    ours = {service.name: service for service in installed()}
    named = (
        (one.name, ours.get(like_of(one.role)))
        for one in installation.gates
        if is_role_of_ours(one.role) and not one.memory
    )
    return [
        *(workload(service, installation) for service in ours.values()),
        *(workload(service, installation, gate=name) for name, service in named if service is not None),
    ]


def workload(service: Service[Any], installation: Installation, *, gate: str | None = None) -> Workload:
    """Return how *service* runs in *installation*, as the further gate of that name if it is one."""
    kept = {
        variable_prefix(service.name) + field.encode_name.upper(): f"{KEEPS}/{field.encode_name}"
        for field in msgspec.structs.fields(service.settings)
        if field.required and _is_path(field.type)
    }
    keeps = bool(kept)
    part = _part(service, installation)
    principal = principal_of(service.name)
    if gate is not None:
        kept["SEAMWORK_GATE"] = gate
        principal = further(gate, like=service.name)
    return Workload(
        service=service,
        user=principal.user(installation.prefix),
        kid=service_kid(gate or service.name),
        replicas=_replicas(service, part, keeps=keeps, installation=installation),
        environ=tuple(sorted(kept.items())),
        keeps=keeps,
        gate=gate,
        owns_partitions=isinstance(part, MachineSpec),
        shows=tuple(part.routes) if isinstance(part, LoopSpec) else (),
    )


def _part(service: Service[Any], installation: Installation) -> Part:
    # Building is values only. A path that must be given is never opened by it.
    given = {
        field.name: Path(KEEPS, field.encode_name)
        for field in msgspec.structs.fields(service.settings)
        if field.required and _is_path(field.type)
    }
    return service.build(service.settings(**given), Site(platform="none", partitions=installation.partitions))


def _replicas(service: Service[Any], part: Part, *, keeps: bool, installation: Installation) -> int:
    if service.footprint.replicas is not None:
        return service.footprint.replicas
    # A loop of a service's own says nothing of how several would share the work; a file has one owner.
    return 1 if keeps or isinstance(part, LoopSpec) else min(_REPLICAS, installation.partitions)


def _is_path(kind: Any) -> bool:
    return kind is Path or (bool(get_args(kind)) and get_args(kind)[0] is Path)
