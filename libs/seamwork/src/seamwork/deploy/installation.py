"""Say what one installation chooses; everything else follows from the topic files and the services."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from typing import Any

from seamwork.broker.principal import SERVICES, OwnGate, Principal, agent, further_gate, service, standing
from seamwork.broker.topics import Sizing
from seamwork.errors import MisconfiguredError
from seamwork.platform.trust import FIRST_AGENTS
from seamwork.runtime.spec import Service

_MOST_CHARS = 63
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_IMAGES = re.compile(r"[A-Za-z0-9._:/-]*")


@dataclass(frozen=True, kw_only=True)
class Installation:
    """
    What an operator decides.

    Raises:
        MisconfiguredError: Kubernetes would refuse a name, or an agent stands there twice.

    Attributes:
        namespace: The Kubernetes namespace that holds everything, the Kafka cluster and its secrets too.
        prefix: Begins topics, groups and principals.
        cluster: The name of the Strimzi ``Kafka`` resource.
        images: What an image's name begins with; the service's name and the release follow.
        partitions: Of the topics of the path of work; never changed later.
        replication: Copies of every topic.
        agents: Agents with the partitions of their inboxes, beside those that every platform has.
        gates: Gates of one's own.
    """

    namespace: str = "seamwork"
    prefix: str = "seamwork"
    cluster: str = "seamwork"
    images: str = "seamwork-"
    partitions: int = 12
    replication: int = 3
    agents: tuple[tuple[str, int], ...] = ()
    gates: tuple[OwnGate, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would be found out only by whoever applies the manifests."""
        for problem in self._problems():
            raise MisconfiguredError(f"{problem}; nothing was written")

    @property
    def sizing(self) -> Sizing:
        """How large the platform is, as the registrar would be told."""
        return Sizing(crossing_partitions=self.partitions, replication=self.replication)

    @property
    def bootstrap(self) -> str:
        """Where the cluster's encrypted, authenticated listener is."""
        return f"{self.cluster}-kafka-bootstrap.{self.namespace}.svc:9093"

    def image(self, name: str) -> str:
        """Return the image of the service *name*, by the release that this is."""
        return f"{self.images}{name}:{version('seamwork')}"

    def principals(self) -> tuple[Principal, ...]:
        """Return everybody who has topics, rights and credentials."""
        known = standing()
        services = (service(one.name) for one in installed())
        agents = (agent(name, partitions=count) for name, count in self._inboxes())
        gates = map(further_gate, self.gates)
        return tuple(dict.fromkeys((*known, *services, *gates, *agents)))

    def _inboxes(self) -> tuple[tuple[str, int], ...]:
        return (*((first, 1) for first in FIRST_AGENTS), *self.agents)

    def _problems(self) -> Iterator[str]:
        agents = ((f"the agent's name {name!r}", name) for name, _ in self.agents)
        for what, name in (
            (f"the namespace {self.namespace!r}", self.namespace),
            (f"the cluster {self.cluster!r}", self.cluster),
            *((f"the gate's name {one.name!r}", one.name) for one in self.gates),
            *agents,
        ):
            if len(name) > _MOST_CHARS or _LABEL.fullmatch(name) is None:
                yield (
                    f"{what} is none that Kubernetes takes: at most {_MOST_CHARS} lower-case letters, digits and "
                    "hyphens, no hyphen first or last"
                )
        if _IMAGES.fullmatch(self.images) is None:
            yield f"no image's name can begin with {self.images!r}; give a registry and a path, without spaces"
        counts: dict[str, int] = {}
        for name, count in self._inboxes():
            if counts.setdefault(name, count) != count:
                yield (
                    f"the inbox of the agent {name} cannot have {counts[name]} and {count} partitions; "
                    f"name it once ({', '.join(FIRST_AGENTS)} are there with one each)"
                )


def installed() -> tuple[Service[Any], ...]:
    """Return every service that is installed, in the order in which a crossing meets them."""
    points = {point.name: point for point in entry_points(group="seamwork.services")}
    order = {name: number for number, name in enumerate(SERVICES)}
    names = sorted(points, key=lambda name: (order.get(name, len(order)), name))
    return tuple(points[name].load() for name in names)
