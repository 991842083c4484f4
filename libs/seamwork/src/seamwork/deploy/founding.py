"""Found an installation at a Kafka that is given: topics, rights, users, and the first documents."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from seamwork.broker.principal import agent, standing, user_name
from seamwork.broker.registrar import Registrar
from seamwork.broker.topics import Sizing
from seamwork.bus.kafka import KafkaLog
from seamwork.clock import SystemClock
from seamwork.deploy.private import write_passwords
from seamwork.errors import MisconfiguredError
from seamwork.platform.first import publish_first
from seamwork.platform.home import Identity, PlatformHome
from seamwork.platform.publisher import Publisher
from seamwork.platform.trust import FIRST_AGENTS, ensure_trust
from seamwork.settings.kafka import KafkaAccess


async def found(home: PlatformHome, folder: Path, *, furnish: bool, replication: int) -> Sequence[Path]:
    """
    Make what an installation needs before its services start; every step can be repeated.

    Args:
        home: The platform's folder, with its keys.
        folder: Where the services' passwords are written.
        furnish: Whether the variables are the registrar's, who makes topics, rights and users; else the
            publisher's.
        replication: Copies of every topic.

    Raises:
        MisconfiguredError: No Kafka is named, or it refuses.
    """
    identity = home.identity()
    access = KafkaAccess.from_environ(os.environ)
    if access is None:
        raise MisconfiguredError("KAFKA_BOOTSTRAP_SERVERS is not set; say where the installation's Kafka is")
    publisher = access
    written: tuple[Path, ...] = ()
    if furnish:
        publisher, written = await asyncio.to_thread(_furnish, home, identity, access, folder, replication)
    trust = ensure_trust(home)
    async with KafkaLog(publisher, identity.prefix, client_id=f"{identity.prefix}-founding") as log:
        signing = Publisher(
            log, identity.id, identity.root_public, trust.publisher, SystemClock(), trust.root
        )
        await publish_first(signing, trust)
    return written


def _furnish(
    home: PlatformHome, identity: Identity, admin: KafkaAccess, folder: Path, replication: int
) -> tuple[KafkaAccess, tuple[Path, ...]]:
    sizing = Sizing(crossing_partitions=identity.partitions, replication=replication)
    made = Registrar(admin, prefix=identity.prefix, sizing=sizing).furnish(
        (*standing(), *map(agent, FIRST_AGENTS)), home.credentials
    )
    written = tuple(write_passwords(made, folder, identity.prefix))
    publisher = next(c for c in made.values() if c.username == user_name(identity.prefix, "publisher"))
    return KafkaAccess(
        admin.bootstrap,
        publisher.username,
        publisher.password,
        admin.protocol,
        admin.mechanism,
        admin.ca_file,
    ), written
