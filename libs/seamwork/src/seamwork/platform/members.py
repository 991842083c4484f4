"""
Bring agents and people in: a key, a credential, an inbox, a document.

The inbox exists before the document says so, so whoever learns of the agent can already write to it; nothing has to
be restarted.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seamwork.agent.settings import AgentSettings, believing, kid_in, readdressed, render, tuning_in
from seamwork.broker.further import own_gate
from seamwork.broker.principal import GATES, Principal, agent_name, further_gate, like_of
from seamwork.broker.principal import agent as agent_principal
from seamwork.broker.secret import write_private
from seamwork.documents import Agent, AnyDocument, Gate, Key, Person, parse_version
from seamwork.documents.person import PersonSpec
from seamwork.documents.shape import NAME_PATTERN, Metadata, VerifyingKey
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.platform.door import Door
from seamwork.platform.home import PlatformHome
from seamwork.platform.known import lagging
from seamwork.platform.publisher import Published
from seamwork.platform.trust import agent_kid, key_document, service_kid


@dataclass(frozen=True, kw_only=True)
class Joined:
    """What an agent got: its settings file is all that its program needs."""

    agent: str
    version: str
    settings: Path


@contextmanager
def making(kind: str) -> Iterator[None]:
    """Let a document that is made of what was typed be refused as one that is read: by the field, in a sentence."""
    try:
        yield
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise UnprocessableError(f"this is no {kind}: {found}; nothing was published") from error


def person_kid(person: str) -> str:
    """Return the id of the key that `seamwork people add` makes for a person."""
    return f"person-{person}-1"


def with_own_key(home: PlatformHome, written: dict[str, Any]) -> dict[str, Any]:
    """
    Return the agent's document as it was written, with the key that this machine keeps for it where it names none.

    One whose name no agent can have gets none: a key's file is named after it. Whoever reads it refuses it.

    Args:
        home: Where keys are kept; a missing one is made.
        written: The document as a mapping (camelCase).
    """
    spec, metadata = written.get("spec") or {}, written.get("metadata") or {}
    if not (isinstance(spec, dict) and isinstance(metadata, dict)):
        return written
    name, spec = metadata.get("name"), dict(spec)
    if not spec.get("keys") and isinstance(name, str) and re.fullmatch(NAME_PATTERN, name):
        key = home.ensure_key(agent_kid(name))
        spec["keys"] = [{"kid": key.kid, "public": key.public}]
    return {**written, "spec": spec}


def principals_for(agents: Iterable[Agent]) -> tuple[Principal, ...]:
    """
    Return the principals of agents, one for all versions of a name.

    Raises:
        UnprocessableError: Two versions of an agent want inboxes of different sizes; there is one.
    """
    counts: dict[str, int] = {}
    for agent in agents:
        count = agent.spec.inbox_partitions
        if counts.setdefault(agent.name, count) != count:
            raise UnprocessableError(
                f"{agent.title} wants {count} partitions of the inbox of {agent.name} and another version wants "
                f"{counts[agent.name]}; a topic is never repartitioned, so all versions say the same. Nothing was "
                "published"
            )
    return tuple(agent_principal(name, partitions=count) for name, count in counts.items())


async def add_agents(
    door: Door, agents: tuple[Agent, ...], *, publish: tuple[AnyDocument, ...] = (), again: bool = False
) -> tuple[list[Joined], tuple[Published, ...], tuple[str, ...]]:
    """
    Bring agents in: topics, rights and credentials first, then the documents, then their settings files.

    Args:
        door: The platform.
        agents: Their documents, with keys.
        publish: Documents to publish before them, in their order.
        again: Whether what was retired or revoked comes back in force.

    Returns:
        What each got, what became of each document, and the services that do not know of it yet.

    Raises:
        MisconfiguredError: The platform cannot be furnished.
        VersionConflictError: A version exists with other content.
        UnprocessableError: Versions of one agent want inboxes of different sizes.
    """
    await door.furnish(principals_for(agents))
    async with door.publisher() as publisher:
        told, revision = await publisher.publish((*publish, *agents), again=again)
    behind = await lagging(door.home, revision)
    written = write_settings_of(door, agents)
    joined = [
        Joined(agent=agent.name, version=agent.version, settings=written[agent.name]) for agent in agents
    ]
    return joined, told, behind


@dataclass(frozen=True, kw_only=True)
class GateJoined:
    """What a gate got: *like* names the service of ours that has its role."""

    gate: str
    version: str
    role: str
    like: str


async def furnish_gates(door: Door, gates: Iterable[Gate]) -> tuple[Key, ...]:
    """
    See to it that gates have topics, rights, a credential and a key; those of every platform have them.

    Returns:
        What makes their keys known, to be published before them.

    Raises:
        UnprocessableError: A name is another principal's, or a role cannot stand beside another of its kind.
        MisconfiguredError: The platform cannot be furnished, or the root key, which vouches for keys, is not here.
    """
    wanted = {gate.name: own_gate(gate) for gate in gates if gate.name not in GATES}
    principals = [further_gate(one) for _, one in sorted(wanted.items())]
    if not principals:
        return ()
    if door.home.root_key() is None:
        raise MisconfiguredError(
            "a gate signs with a key that the root makes known, and the root's private key is not here; "
            "bring the gate in from where the platform was founded"
        )
    await door.furnish(principals)
    keys = [(name, door.home.ensure_latest(service_kid(name))) for name in sorted(wanted)]
    return tuple(key_document(key, "service", name) for name, key in keys)


async def add_gates(
    door: Door, gates: tuple[Gate, ...]
) -> tuple[list[GateJoined], tuple[Published, ...], tuple[str, ...]]:
    """
    Bring gates in: topics, rights, credentials and keys first, then the documents, in the shadow.

    One that was brought in before stays in the mode that it has.

    Returns:
        What each got, what became of each document, and the services that do not know of it yet.

    Raises:
        UnprocessableError: A gate cannot be called so, or cannot have this role.
        VersionConflictError: A version exists with other content.
    """
    keys = await furnish_gates(door, gates)
    async with door.publisher() as publisher:
        await publisher.publish(keys)
        known = await publisher.catalog()
        new = [gate for gate in gates if known.entry("Gate", gate.name, gate.version) is None]
        told, revision = await publisher.publish(new, mode="shadow")
    behind = await lagging(door.home, revision)
    joined = [
        GateJoined(gate=one.name, version=one.version, role=one.spec.role, like=like_of(one.spec.role))
        for one in gates
    ]
    return joined, told, behind


def refuse_if_out(told: Published) -> None:
    """
    Refuse to bring in what somebody took out of force, for a reason that nobody has to remember.

    Raises:
        UnprocessableError: It is out of force.
    """
    if told.before is not None and not told.activated:
        raise UnprocessableError(
            f"{told.kind} {told.name} {told.version} is {told.before} and stays so; "
            "what comes back has another version (--version)"
        )


def write_settings_of(door: Door, agents: Iterable[Agent]) -> dict[str, Path]:
    """Write the settings file of each agent by its highest version, and return where they lie, by name."""
    highest: dict[str, Agent] = {}
    for agent in sorted(agents, key=lambda one: parse_version(one.version)):
        highest[agent.name] = agent
    return {
        name: write_agent_settings(door, name, _kid_of(door.home, agent)) for name, agent in highest.items()
    }


def _kid_of(home: PlatformHome, agent: Agent) -> str:
    """Return with which of its keys an agent signs: one that is kept here, if any of them is."""
    kids = [key.kid for key in agent.spec.keys]
    ours = [kid for kid in (agent_kid(agent.name), *kids) if kid in kids and home.key_file(kid).exists()]
    return (*ours, *kids)[0]


def write_agent_settings(door: Door, name: str, kid: str | None = None) -> Path:
    """
    Write the one file that an agent's program needs: where, as whom, with which key, whom to believe.

    What somebody has set in it besides, such as its ``concurrency``, stays.

    Args:
        door: The platform.
        name: The agent's.
        kid: Its key; unless given the one that it had, or that this machine makes for an agent without keys.
    """
    access = door.access(agent_name(name))
    path = door.home.agents / f"{name}.toml"
    kid = kid or kid_in(path) or agent_kid(name)
    write_private(
        path,
        render(
            name=name,
            platform=door.identity.id,
            prefix=door.identity.prefix,
            kid=kid,
            key_file=str(Path("..") / "keys" / f"{kid}.key"),
            bootstrap=access.bootstrap,
            username=access.username,
            password=access.password,
            protocol=access.protocol,
            mechanism=access.mechanism,
            router_keys=router_keys(door.home),
            ca_file=str(access.ca_file) if access.ca_file else None,
            tuning=tuning_in(path),
        ),
    )
    return path


def router_keys(home: PlatformHome) -> dict[str, str]:
    """
    Return the public halves of the router's keys, by their ids: of all that are kept here.

    So agents believe the next one before the router signs with it, and the former one until it is revoked.

    Raises:
        MisconfiguredError: There is none.
    """
    first = service_kid("router")
    keys = [home.key(kid) for kid in home.kids_of(first) or (first,)]
    return {key.kid: key.public for key in keys}


def follow_platform(door: Door) -> tuple[str, ...]:
    """
    Let every agent's settings say where the broker is now and how it is spoken to, and which keys the router has.

    Returns:
        A sentence for each file that does not say so, because it is damaged or was written by hand.
    """
    left: list[str] = []
    for path in sorted(door.home.agents.glob("*.toml")):
        try:
            if _leads_to(path, door):
                continue
            text = path.read_text(encoding="utf-8")
            led = readdressed(text, door.bootstrap, door.protocol, door.mechanism, door.ca_file)
            write_private(path, believing(led, router_keys(door.home)))
            if _leads_to(path, door):
                continue
            write_private(path, text)
            why = "it is not written as `seamwork agents add` writes it"
        except (MisconfiguredError, OSError) as error:
            why = str(error)
        left.append(
            f"{path} does not say that the broker is at {door.bootstrap} and which keys the router has: {why}"
        )
    return tuple(left)


def _leads_to(path: Path, door: Door) -> bool:
    settings = AgentSettings.from_file(path)
    kafka = settings.kafka
    return settings.router_keys == router_keys(door.home) and (
        kafka.bootstrap, kafka.protocol, kafka.mechanism, kafka.ca_file,
    ) == (door.bootstrap, door.protocol, door.mechanism, door.ca_file)  # fmt: skip


async def add_person(
    door: Door, name: str, roles: tuple[str, ...], version: str = "1.0.0"
) -> tuple[Person, Published, tuple[str, ...]]:
    """
    Bring a person in: a key that stays on this machine, and the document that says what the person may be asked as.

    Returns:
        The document, whether it was written, and the services that do not know of it yet.

    Raises:
        VersionConflictError: The person is known in this version with other roles.
        KeyTakenError: The person's key is kept on another machine; none was made here.
        UnprocessableError: Nobody can be called so, or asked as that; or this version is revoked.
    """
    if not roles:
        raise UnprocessableError(f"{name} needs at least one role; approvals are asked of roles")
    with making("person"):
        metadata = Metadata(name=name, version=version)  # before there is a key's file of this name
        file = door.home.key_file(door.home.latest_kid(person_kid(name)))
        is_new = not file.exists()
        key = door.home.ensure_latest(person_kid(name))
        spec = PersonSpec(roles=roles, key=VerifyingKey(kid=key.kid, public=key.public))
        person = Person(metadata=metadata, spec=spec)
    async with door.publisher() as publisher:
        try:
            (told,), revision = await publisher.publish((person,))
        except UnprocessableError:
            if is_new:  # it is nobody's, and who has a key's file here is taken for somebody who may speak
                file.unlink()
            raise
    refuse_if_out(told)
    return person, told, await lagging(door.home, revision)
