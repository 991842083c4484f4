"""Found an installation at a Kafka that is given: topics, rights, users, and the first documents."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from seamwork.broker.principal import OwnGate, agent, agent_of, further_gate, standing, user_name
from seamwork.broker.registrar import Registrar
from seamwork.broker.secret import Credential
from seamwork.broker.topics import Sizing
from seamwork.bus.kafka import KafkaLog
from seamwork.clock import SystemClock
from seamwork.deploy.private import write_passwords
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.platform.door import Door
from seamwork.platform.first import publish_first
from seamwork.platform.founded import Founded, read_founded, write_founded
from seamwork.platform.home import Identity, PlatformHome
from seamwork.platform.members import follow_platform, write_agent_settings
from seamwork.platform.publisher import Publisher
from seamwork.platform.trust import FIRST_AGENTS, agent_kid, ensure_trust, service_kid
from seamwork.settings.kafka import KafkaAccess


async def found(
    home: PlatformHome,
    folder: Path,
    *,
    furnish: bool,
    replication: int,
    tell: Callable[[str], None],
    gates: Sequence[OwnGate] = (),
) -> Sequence[Path]:
    """
    Make what an installation needs before its services start; every step can be repeated.

    Args:
        home: The platform's folder, with its keys.
        folder: Where the services' passwords are written.
        furnish: Whether the variables are the registrar's, who makes topics, rights and users; else the
            publisher's.
        replication: Copies of every topic.
        tell: Told of what the founding left as it was, in words.
        gates: Gates of one's own, which run there as well.

    Raises:
        MisconfiguredError: No Kafka is named, it refuses, or the platform is one that runs on this machine.
    """
    identity = home.identity()
    if home.has_data:
        raise MisconfiguredError(
            f"platform {home.name} is one that {home.typed('up')} runs on this machine; found another, with a "
            "--platform of its own"
        )
    access = KafkaAccess.from_environ(os.environ)
    if access is None:
        raise MisconfiguredError("KAFKA_BOOTSTRAP_SERVERS is not set; say where the installation's Kafka is")
    publisher = access
    written: tuple[Path, ...] = ()
    if furnish:
        publisher, written = await asyncio.to_thread(
            _furnish, home, identity, access, folder, replication, gates
        )
    trust = ensure_trust(home)
    async with KafkaLog(publisher, identity.prefix, client_id=f"{identity.prefix}-founding") as log:
        signing = Publisher(
            log, identity.id, identity.root_public, trust.publisher, SystemClock(), trust.root
        )
        await publish_first(signing, trust)
    # From here on this machine's commands speak to it.
    note = Founded(
        bootstrap=access.bootstrap,
        protocol=access.protocol,
        mechanism=publisher.mechanism,
        ca_file=str(access.ca_file.resolve()) if access.ca_file else None,
        replication=replication,
        furnished=furnish,
    )
    write_founded(home.founded_file, note)
    door = Door.of(home)
    for line in follow_platform(door):
        tell(f"warning: {line}")
    if furnish:
        for name in FIRST_AGENTS:
            write_agent_settings(door, name)
    elif publisher.username == user_name(identity.prefix, "publisher"):
        home.credentials.keep(Credential(publisher.username, publisher.password))
    return written


def _furnish(
    home: PlatformHome,
    identity: Identity,
    admin: KafkaAccess,
    folder: Path,
    replication: int,
    gates: Sequence[OwnGate],
) -> tuple[KafkaAccess, tuple[Path, ...]]:
    sizing = Sizing(crossing_partitions=identity.partitions, replication=replication)
    made = Registrar(admin, prefix=identity.prefix, sizing=sizing).furnish(
        (*standing(), *map(further_gate, gates), *map(agent, FIRST_AGENTS)), home.credentials
    )
    written = tuple(write_passwords(made, folder, identity.prefix, [one.name for one in gates]))
    publisher = next(c for c in made.values() if c.username == user_name(identity.prefix, "publisher"))
    return KafkaAccess(
        admin.bootstrap,
        publisher.username,
        publisher.password,
        admin.protocol,
        admin.scram,
        admin.ca_file,
    ), written


def keep_credential(home: PlatformHome, principal: str, password: str) -> Path | None:
    """
    Keep the password of a principal whom somebody else made, so that this machine's commands can speak as it.

    Args:
        home: The platform, which was founded.
        principal: ``people``, ``publisher``, a service's name, ``agent-NAME``.
        password: Without a line's end.

    Returns:
        The settings file of an agent that was brought in, which its program needs; None for others.

    Raises:
        MisconfiguredError: The platform was not founded past this machine.
        UnprocessableError: There is no such principal, or no password.
    """
    if read_founded(home.founded_file) is None:
        raise MisconfiguredError(
            f"platform {home.name} was not founded past this machine, which makes the credentials of its own; "
            f"{home.typed('deploy found')} comes first"
        )
    door = Door.of(home)
    name = agent_of(principal)
    brought_in = home.key_file(service_kid(principal)).exists()
    if name is None and not brought_in and principal not in (known := [one.name for one in standing()]):
        raise UnprocessableError(
            f"there is no principal {principal}; there are {', '.join(known)}, agent-NAME, and gates that were "
            "brought in from this machine (`seamwork gates add`)"
        )
    if name is not None:
        agent(name)  # refuses what is no name
    if not password or not password.isprintable():
        raise UnprocessableError(f"nothing that could be a password was given for {principal}")
    home.credentials.keep(Credential(user_name(door.identity.prefix, principal), password))
    if name is None or not home.key_file(agent_kid(name)).exists():
        return None
    return write_agent_settings(door, name)
