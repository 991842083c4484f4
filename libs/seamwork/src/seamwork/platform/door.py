"""Find the way into a platform, as each of its principals."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from seamwork.broker.principal import user_name
from seamwork.broker.registrar import Registrar
from seamwork.broker.topics import Sizing
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Log
from seamwork.clock import SystemClock
from seamwork.errors import MisconfiguredError
from seamwork.platform.home import Identity, PlatformHome
from seamwork.platform.publisher import Publisher
from seamwork.platform.state import read_state
from seamwork.platform.trust import PUBLISHER
from seamwork.settings.kafka import KafkaAccess

REGISTRAR = "registrar"


@dataclass(frozen=True)
class Door:
    """
    A platform that can be reached.

    *protocol*, *mechanism* and *ca_file* are the cluster's, ``SASL_PLAINTEXT`` and SCRAM for the embedded broker;
    *replication* is how many copies it keeps, needed only where topics are made.
    """

    home: PlatformHome
    identity: Identity
    bootstrap: str
    protocol: str = "SASL_PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    ca_file: Path | None = None
    replication: int = 1

    @classmethod
    def at(cls, home: PlatformHome, identity: Identity, admin: KafkaAccess, replication: int) -> "Door":
        """Return the way in at the cluster that the registrar reaches by *admin*."""
        return cls(
            home, identity, admin.bootstrap, admin.protocol, admin.mechanism, admin.ca_file, replication
        )

    @classmethod
    def of_running(cls, home: PlatformHome) -> "Door":
        """
        Return the way into the platform of *home* as it runs now.

        Raises:
            MisconfiguredError: There is no such platform, or it does not run.
        """
        identity = home.identity()
        state = read_state(home.state_file)
        if state is None or state.kafka is None:
            raise MisconfiguredError(f"platform {home.name} does not run; start it with {home.typed('up')}")
        kafka = state.kafka
        ca_file = Path(kafka.ca_file) if kafka.ca_file else None
        return cls(
            home, identity, kafka.bootstrap, kafka.protocol, kafka.mechanism, ca_file, kafka.replication
        )

    def access(self, principal: str) -> KafkaAccess:
        """
        Return the way in as *principal* (``router``, ``people``, ``agent-parser``).

        Raises:
            MisconfiguredError: The principal has no credential here.
        """
        credential = self.home.credentials.load(user_name(self.identity.prefix, principal))
        if credential is None:
            raise MisconfiguredError(
                f"platform {self.home.name} has no credential of {principal} in {self.home.root}; "
                "an agent is brought in with `seamwork agents add`"
            )
        return KafkaAccess(
            self.bootstrap,
            credential.username,
            credential.password,
            self.protocol,
            self.mechanism,
            self.ca_file,
        )

    @asynccontextmanager
    async def log(self, principal: str) -> AsyncIterator[Log]:
        """Open the log as *principal* and close it again."""
        client_id = f"{self.identity.prefix}-cli-{principal}"
        async with KafkaLog(self.access(principal), self.identity.prefix, client_id=client_id) as log:
            yield log

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[Publisher]:
        """Open a publisher with the keys that this machine keeps."""
        async with self.log("publisher") as log:
            key = self.home.key(PUBLISHER)
            root = self.home.root_key()
            yield Publisher(log, self.identity.id, self.identity.root_public, key, SystemClock(), root)

    def registrar(self) -> Registrar:
        """
        Return the one who may create topics, rights and credentials.

        At a cluster that was given it is whoever ``SEAMWORK_KAFKA_SASL_USERNAME`` names.
        """
        access = KafkaAccess.from_environ(os.environ) or self.access(REGISTRAR)
        sizing = Sizing(crossing_partitions=self.identity.partitions, replication=self.replication)
        return Registrar(access, prefix=self.identity.prefix, sizing=sizing)
