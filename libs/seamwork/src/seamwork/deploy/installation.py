"""Say what one installation chooses; everything else follows from the topic files and the services."""

from dataclasses import dataclass
from importlib.metadata import entry_points, version
from typing import Any

from seamwork.broker.principal import SERVICES, Principal, agent, service, standing
from seamwork.broker.topics import Sizing
from seamwork.platform.trust import FIRST_AGENTS
from seamwork.runtime.spec import Service


@dataclass(frozen=True, kw_only=True)
class Installation:
    """
    What an operator decides.

    Attributes:
        namespace: The Kubernetes namespace that holds everything, the Kafka cluster and its secrets too.
        prefix: Begins topics, groups and principals.
        cluster: The name of the Strimzi ``Kafka`` resource.
        images: What an image's name begins with; the service's name and the release follow.
        partitions: Of the topics of the path of work; never changed later.
        replication: Copies of every topic.
        agents: Agents with the partitions of their inboxes, beside those that every platform has.
    """

    namespace: str = "seamwork"
    prefix: str = "seamwork"
    cluster: str = "seamwork"
    images: str = "seamwork-"
    partitions: int = 12
    replication: int = 3
    agents: tuple[tuple[str, int], ...] = ()

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
        agents = (
            agent(name, partitions=count)
            for name, count in (*((first, 1) for first in FIRST_AGENTS), *self.agents)
        )
        return tuple(dict.fromkeys((*known, *services, *agents)))


def installed() -> tuple[Service[Any], ...]:
    """Return every service that is installed, in the order in which a crossing meets them."""
    points = {point.name: point for point in entry_points(group="seamwork.services")}
    order = {name: number for number, name in enumerate(SERVICES)}
    names = sorted(points, key=lambda name: (order.get(name, len(order)), name))
    return tuple(points[name].load() for name in names)
