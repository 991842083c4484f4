"""
Find a Kafka: the one that is given, else one in Docker, else a real one as a child process.

There is no fourth rung: nothing in the product pretends to be Kafka.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from seamwork.broker.embedded import BrokerHandle, ensure_broker, running_broker
from seamwork.broker.jars import Progress
from seamwork.broker.probe import AccessDenied, NotReady, NotTrusted, probe
from seamwork.errors import MisconfiguredError, RetryableError
from seamwork.settings.kafka import KafkaAccess

Rung = Literal["given", "docker", "embedded"]

_MOST_COPIES = 3
_GIVEN_TRIES = 5  # of a second each: a cluster that is starting beside us may take a moment


@dataclass(frozen=True)
class Kafka:
    """
    A Kafka that answers.

    Attributes:
        rung: How it was found.
        admin: The way in for the registrar.
        replication: How many copies of each record it can keep, three at most.
        where: For people: the address and, where it is ours, the log.
        stop: Ends it, if it is ours to end; does nothing to one that was given.
        again: Starts it again where it is a child process that has ended by itself, on the same data and at the
            same address, and returns it; null while it runs, and where somebody else looks after it.
    """

    rung: Rung
    admin: KafkaAccess
    replication: int
    where: str
    stop: Callable[[], None] = field(repr=False, compare=False)
    again: "Callable[[], Kafka | None]" = field(default=lambda: None, repr=False, compare=False)

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return self.admin.bootstrap


def find_kafka(
    home: Path,
    *,
    port: int | None = None,
    admin: str = "seamwork-registrar",
    detach: bool = False,
    environ: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Kafka:
    """
    Return the first Kafka that the ladder comes to, started if need be.

    ``KAFKA_BOOTSTRAP_SERVERS`` gives one; ``SEAMWORK_BROKER`` (``docker``, ``embedded``) insists on a rung.
    A broker that is running already on *home* is used, however it was started.

    Args:
        home: The platform's folder, where a broker of ours keeps its data.
        port: For clients of a broker of ours; chosen unless given.
        admin: The super user's name at a broker of ours.
        detach: Leave a broker of ours running when this process ends.
        environ: The environment; the process's own unless given.
        progress: Told of each jar that is downloaded.

    Raises:
        MisconfiguredError: No rung holds; says why and what to do.
    """
    surroundings = os.environ if environ is None else environ
    wish = surroundings.get("SEAMWORK_BROKER", "")
    if wish not in ("", "docker", "embedded"):
        raise MisconfiguredError(
            "SEAMWORK_BROKER is neither `docker` nor `embedded`; correct it or leave it out"
        )
    given = KafkaAccess.from_environ(surroundings)
    if given is not None:
        return Kafka("given", given, _copies(_knock(given)), given.bootstrap, _leave_alone)

    def embedded(at: int | None) -> BrokerHandle:
        return ensure_broker(
            home, port=at, admin=admin, detach=detach, environ=surroundings, progress=progress
        )

    if wish != "docker":
        running = running_broker(home, port=port, admin=admin)
        if running is not None:
            return _embedded(running, embedded)
    if wish == "docker" and not _daemon_answers():
        raise MisconfiguredError(
            "SEAMWORK_BROKER is `docker`, and no Docker daemon answers; start it, correct DOCKER_HOST, or leave "
            "SEAMWORK_BROKER out to have a broker without Docker"
        )
    if wish == "docker" or (wish == "" and _has_docker()):
        return _in_docker(home, port=port, admin=admin, detach=detach)
    return _embedded(embedded(port), embedded)


def _embedded(broker: BrokerHandle, start: Callable[[int], BrokerHandle]) -> Kafka:
    def again() -> Kafka | None:
        if broker.is_alive:
            return None
        port = broker.ports.client  # its clients know no other
        broker.let_go()
        return _embedded(start(port), start)

    where = f"{broker.bootstrap}, log in {broker.log_file}"
    return Kafka("embedded", broker.admin, 1, where, broker.stop, again)


def _in_docker(home: Path, *, port: int | None, admin: str, detach: bool) -> Kafka:
    # testcontainers takes a third of a second to import, which machines without Docker need not pay.
    from seamwork.broker.container import ensure_container  # noqa: PLC0415

    broker = ensure_container(home, port=port, admin=admin, detach=detach)
    where = f"{broker.admin.bootstrap}, container {broker.name}"
    return Kafka("docker", broker.admin, 1, where, broker.stop)


def _has_docker() -> bool:
    # Asking costs an import; where there is neither a socket nor a setting there is nobody to ask.
    if "DOCKER_HOST" not in os.environ and not Path("/var/run/docker.sock").exists():
        return False
    return _daemon_answers()


def _daemon_answers() -> bool:
    from seamwork.broker.container import daemon_answers  # noqa: PLC0415

    return daemon_answers()


def _knock(access: KafkaAccess) -> int:
    untrusted = False
    for _ in range(_GIVEN_TRIES):
        try:
            return probe(access)
        except AccessDenied as error:
            raise MisconfiguredError(
                f"the Kafka at {access.bootstrap} refuses {access.username} (wrong-password); correct "
                "SEAMWORK_KAFKA_SASL_USERNAME, SEAMWORK_KAFKA_SASL_PASSWORD and SEAMWORK_KAFKA_SASL_MECHANISM"
            ) from error
        except NotTrusted:
            untrusted = True  # or it was starting, and is trusted a moment later
        except NotReady:
            continue
    if untrusted:
        raise MisconfiguredError(
            f"the Kafka at {access.bootstrap} shows a certificate that nobody vouches for, or speaks no TLS there; "
            "correct SEAMWORK_KAFKA_CA_FILE or SEAMWORK_KAFKA_SECURITY_PROTOCOL"
        )
    raise RetryableError(
        f"nobody answers at {access.bootstrap} in {access.protocol}; check KAFKA_BOOTSTRAP_SERVERS and "
        "SEAMWORK_KAFKA_SECURITY_PROTOCOL, or leave the address out to have a broker started"
    )


def _copies(brokers: int) -> int:
    return max(1, min(_MOST_COPIES, brokers))


def _leave_alone() -> None:
    """Do nothing: a Kafka that was given is its owner's to stop."""
