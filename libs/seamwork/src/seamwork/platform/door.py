"""Find the way into a platform, as each of its principals."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

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
from seamwork.platform.trust import PUBLISHER, ROOT
from seamwork.settings.kafka import KafkaAccess

REGISTRAR = "registrar"


@dataclass(frozen=True)
class Door:
    """
    A platform that can be reached.

    *protocol* and *mechanism* are those of the cluster, ``SASL_PLAINTEXT`` and SCRAM for the embedded broker.
    """

    home: PlatformHome
    identity: Identity
    bootstrap: str
    protocol: str = "SASL_PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"

    @classmethod
    def of_running(cls, home: PlatformHome) -> "Door":
        """
        Return the way into the platform of *home* as it runs now.

        Raises:
            MisconfiguredError: There is no such platform, or it does not run.
        """
        identity = home.identity()
        state = read_state(home.state_file)
        if state is None or not state.bootstrap:
            raise MisconfiguredError(f"platform {home.name} does not run; start it with `seamwork up`")
        return cls(home, identity, state.bootstrap)

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
            self.bootstrap, credential.username, credential.password, self.protocol, self.mechanism
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
            root = self.home.key(ROOT) if self.home.key_file(ROOT).exists() else None
            key = self.home.key(PUBLISHER)
            yield Publisher(log, self.identity.id, self.identity.root_public, key, SystemClock(), root)

    def registrar(self) -> Registrar:
        """Return the one who may create topics, rights and credentials."""
        sizing = Sizing(crossing_partitions=self.identity.partitions)
        return Registrar(self.access(REGISTRAR), prefix=self.identity.prefix, sizing=sizing)
