"""Find the way into a platform, as each of its principals."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from seamwork.agent.settings import AgentSettings
from seamwork.broker.ladder import Kafka
from seamwork.broker.principal import Principal, agent_name, agent_of, standing, user_name
from seamwork.broker.registrar import Registrar
from seamwork.broker.topics import Sizing
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Log
from seamwork.clock import SystemClock
from seamwork.errors import MisconfiguredError
from seamwork.grants.stamps import inbox_topic
from seamwork.platform.founded import Founded, read_founded
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

    *protocol* and *ca_file* are the cluster's, *mechanism* its principals': ``SASL_PLAINTEXT`` and SCRAM at the
    embedded broker; *replication* is how many copies it keeps, needed only where topics are made; *given* whether
    the cluster is one that the variables ``KAFKA_BOOTSTRAP_SERVERS`` and the like gave, which then say who rules
    it; *founded* is null for what `seamwork up` runs on this machine.
    """

    home: PlatformHome
    identity: Identity
    bootstrap: str
    protocol: str = "SASL_PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    ca_file: Path | None = None
    replication: int = 1
    given: bool = False
    founded: Founded | None = None

    @classmethod
    def of(cls, home: PlatformHome) -> "Door":
        """
        Return the way into the platform of *home*, wherever it runs.

        Raises:
            MisconfiguredError: There is no such platform, or it is one of this machine and does not run.
        """
        founded = read_founded(home.founded_file)
        if founded is None:
            return cls.of_running(home)
        ca_file = Path(founded.ca_file) if founded.ca_file else None
        return cls(
            home, home.identity(), founded.bootstrap, founded.protocol, founded.mechanism, ca_file,
            founded.replication, given=True, founded=founded,
        )  # fmt: skip

    @classmethod
    def at(cls, home: PlatformHome, identity: Identity, kafka: Kafka) -> "Door":
        """Return the way in at the cluster that was found."""
        admin = kafka.admin
        return cls(
            home,
            identity,
            admin.bootstrap,
            admin.protocol,
            admin.scram,
            admin.ca_file,
            kafka.replication,
            kafka.rung == "given",
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
        if state is None:
            raise MisconfiguredError(f"platform {home.name} does not run; start it with {home.typed('up')}")
        if state.kafka is None:
            raise MisconfiguredError(
                f"platform {home.name} is {state.state} and has no Kafka yet; wait for it"
            )
        kafka = state.kafka
        ca_file = Path(kafka.ca_file) if kafka.ca_file else None
        return cls(
            home,
            identity,
            kafka.bootstrap,
            kafka.protocol,
            kafka.mechanism,
            ca_file,
            kafka.replication,
            kafka.rung == "given",
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
                f"{self._brought_in(principal)}"
            )
        return KafkaAccess(
            self.bootstrap,
            credential.username,
            credential.password,
            self.protocol,
            self.mechanism,
            self.ca_file,
        )

    def _brought_in(self, principal: str) -> str:
        if self.founded is None:
            return "an agent is brought in with `seamwork agents add`"
        user = user_name(self.identity.prefix, principal)
        keep = self.home.typed(f"deploy credential {principal}")
        return f"give {keep} the password of the user {user}; Strimzi keeps it in the Secret {user}"

    def agent_settings(self, agent: str) -> AgentSettings:
        """
        Return the settings of an agent in whose name something is done from this machine.

        Raises:
            MisconfiguredError: The agent was not brought in here.
        """
        path = self.home.agents / f"{agent}.toml"
        if not path.exists():
            self.access(agent_name(agent))  # says what is missing, and how it is brought in
        return AgentSettings.from_file(path)

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
            key = self.home.latest_key(PUBLISHER)
            root = self.home.root_key()
            yield Publisher(log, self.identity.id, self.identity.root_public, key, SystemClock(), root)

    async def furnish(self, principals: Sequence[Principal]) -> None:
        """
        See to it that *principals* have topics, rights and credentials.

        Where somebody else makes them, look whether they are there.

        Raises:
            MisconfiguredError: They cannot be made, or are not there; says what to do.
        """
        if self.founded is None or self.founded.furnished:
            await asyncio.to_thread(self.registrar().furnish, principals, self.home.credentials)
            return
        for principal in principals:
            await self._look_for(principal)

    async def _look_for(self, principal: Principal) -> None:
        agent = agent_of(principal.name)
        if agent is None:
            await self._look_for_gate(principal.name)
            return
        async with self.log(principal.name) as log:
            there = await log.partitions_of(inbox_topic(agent))
        if there != principal.partitions:
            wanted = f"{agent}:{principal.partitions}"
            raise MisconfiguredError(
                f"the inbox of {agent} has {there or 'no'} partitions at {self.bootstrap} and its document wants "
                f"{principal.partitions}; render with `--agent {wanted}` and apply, then publish again"
            )

    async def _look_for_gate(self, name: str) -> None:
        if name in {one.name for one in standing()}:
            return
        async with self.log("tools") as log:
            if await log.partitions_of(f"verdicts.{name}.v1") is None:
                raise MisconfiguredError(
                    f"there is no topic for the verdicts of {name} at {self.bootstrap}; render with "
                    f"`--gate {name}:ROLE` and apply, then bring it in again"
                )

    def admin(self) -> KafkaAccess:
        """
        Return the way in as the super user.

        At a broker of ours that is the registrar, whatever the variables say: they may be another program's. At a
        cluster that was given it is whoever they name.

        Raises:
            MisconfiguredError: They name nobody, or the registrar has no credential here.
        """
        if not self.given:
            return self.access(REGISTRAR)
        named = KafkaAccess.from_environ(os.environ)
        if named is None:
            first = "deploy found" if self.founded is not None else "up"
            raise MisconfiguredError(
                f"platform {self.home.name} stands on a Kafka that was given ({self.bootstrap}); set "
                f"KAFKA_BOOTSTRAP_SERVERS and SEAMWORK_KAFKA_* as for `seamwork {first}`, to say who rules it"
            )
        return KafkaAccess(
            self.bootstrap, named.username, named.password, self.protocol, named.mechanism, self.ca_file
        )

    def registrar(self) -> Registrar:
        """Return the one who may create topics, rights and credentials."""
        sizing = Sizing(crossing_partitions=self.identity.partitions, replication=self.replication)
        return Registrar(self.admin(), prefix=self.identity.prefix, sizing=sizing)
