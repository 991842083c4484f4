"""
Replace keys: make the next one known before anybody signs with it, and end the former one when all use the next.

Keys of a holder are a series, ``router-1``, ``router-2``. The next private half of a service, the publisher or a
person is kept here only once its public half is published, so the latest that is kept is the one it signs with.
With which of its keys an agent signs, its settings say, for its version lists them.
"""

import secrets
from dataclasses import dataclass
from typing import Literal, cast

from seamwork.agent.settings import kid_in
from seamwork.broker.further import own_gates
from seamwork.broker.principal import SERVICES
from seamwork.bus.port import Log
from seamwork.catalog import Catalog
from seamwork.catalog.entries import KeyEntry
from seamwork.documents import Key, Person, parse_version
from seamwork.documents.shape import VerifyingKey
from seamwork.errors import UnprocessableError
from seamwork.grants.keys import SigningKey
from seamwork.platform.door import Door
from seamwork.platform.home import PlatformHome
from seamwork.platform.known import lagging
from seamwork.platform.members import follow_platform, person_kid
from seamwork.platform.publisher import Publisher
from seamwork.platform.trust import PUBLISHER, agent_kid, key_document, service_kid
from seamwork.records.wire import Received, read
from seamwork.runtime.agents_health import HEARTBEATS_AT

_SEED_BYTES = 32
_LIVES_MS = 15_000
_LOOK_BACK = 500
_OF = {"agent": agent_kid, "person": person_kid, "service": service_kid}


@dataclass(frozen=True, kw_only=True)
class KnownHere:
    """
    A key as it is published, and whether its private half is kept here.

    *holder* is ``router``, ``publisher``, ``agent:parser``, ``person:ada``; *signs* whether its holder, started
    from here, signs with it; *ends_at* (ms) is null where nothing ends it.
    """

    kid: str
    holder: str
    state: Literal["counts", "not-yet", "ended", "revoked"]
    ends_at: int | None
    here: bool
    signs: bool


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """
    The next key of *holder*, and which one it had.

    *version* is the document's that makes it known, null where its holder's next document has to. *behind* are
    services that do not know of it yet, *left* agents' settings that could not be brought up to date, in words.
    """

    holder: str
    kid: str
    public: str
    former: str | None
    version: str | None
    behind: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def keys_known(home: PlatformHome, catalog: Catalog, now: int) -> tuple[KnownHere, ...]:
    """Return every key that was ever published, by holder and then in the order of each series."""
    found = []
    for key in catalog.all_keys():
        here = home.key_file(key.kid).exists()
        state = _state(catalog, key, now)
        found.append(
            KnownHere(
                kid=key.kid,
                holder=_named(key.holder),
                state=state,
                ends_at=key.not_after,
                here=here,
                signs=here and state == "counts" and _signing(home, key.holder) == key.kid,
            )
        )
    return tuple(sorted(found, key=lambda one: (":" in one.holder, one.holder, len(one.kid), one.kid)))


async def renew(door: Door, holder: str) -> Renewed:
    """
    Make the next key of *holder*: of a service, of the ``publisher``, of a person or of an agent.

    Of a service and the publisher the root makes it known; of a person the next version of the person's document,
    with the same roles. An agent's key stands in its own document, so it is made here and published with the next
    version of that.

    Raises:
        UnprocessableError: There is nobody of this name, or the former key is not kept here, and so the next one
            does not belong here.
        MisconfiguredError: The root's private key is not here.
    """
    kind, _, name = _holder(holder).partition(":")
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
        _refuse_strangers(catalog, kind, name)
        first = _first(f"{kind}:{name}")
        former = door.home.kids_of(first)
        if not former and kind != "agent":
            raise UnprocessableError(
                f"no key of {holder} is kept in {door.home.keys}; renew it where its key is, so that the next one "
                "is where it is needed"
            )
        kid, seed = next_kid(door.home, catalog, first), secrets.token_bytes(_SEED_BYTES)
        key = SigningKey(kid, seed)
        version = await _made_known(publisher, catalog, kind, name, key)
        door.home.keep_key(kid, seed)
        revision = (await publisher.catalog()).revision
    return Renewed(
        holder=_named(f"{kind}:{name}"),
        kid=kid,
        public=key.public,
        former=former[-1] if former else None,
        version=version,
        behind=() if version is None else await lagging(door.home, revision),
        left=follow_platform(door) if name == "router" and kind == "service" else (),
    )


async def _made_known(
    publisher: Publisher, catalog: Catalog, kind: str, name: str, key: SigningKey
) -> str | None:
    """Publish the key, and return the version of the document that does so; None where its holder has to."""
    document: Key | Person
    match kind:
        case "service":
            document = key_document(key, "service", name)
        case "publisher":
            document = key_document(key, "publisher", name)
        case "person":
            document = _with_key(catalog, cast("Person", catalog.person(name)), key)
        case _:
            return None
    await publisher.publish((document,))
    return document.version


def forget(home: PlatformHome, kid: str) -> bool:
    """
    Remove the private half of a key that counts no longer; say whether it was here.

    Nobody can sign with it any more, and agents that are brought in from here do not believe it.
    """
    path = home.key_file(kid)
    was_here = path.exists()
    path.unlink(missing_ok=True)
    return was_here


def refuse_the_last(catalog: Catalog, kid: str, now: int) -> None:
    """
    Refuse to revoke the one key with which a service or the publisher can sign.

    Raises:
        UnprocessableError: It is; the next one has to be made first.
    """
    mine = catalog.key(kid)
    if mine is None:
        return
    others = (key for key in catalog.all_keys() if key.holder == mine.holder and key.kid != kid)
    if not any(_state(catalog, key, now) == "counts" for key in others):
        holder = _named(mine.holder)
        raise UnprocessableError(
            f"{kid} is the one key of {holder} that counts, and {holder} would be believed no more; "
            f"`seamwork keys renew {holder}` makes the next one"
        )


async def who_signs_with(log: Log, platform: str, kid: str, now: int) -> tuple[str, ...]:
    """
    Return the instances whose heartbeats of the last 15 s are signed with *kid*.

    Args:
        log: As a principal that may read heartbeats.
        platform: The platform's id.
        kid: The key's.
        now: The present (ms).
    """
    start = (await log.start_offsets([HEARTBEATS_AT]))[HEARTBEATS_AT]
    end = (await log.end_offsets([HEARTBEATS_AT]))[HEARTBEATS_AT]
    raws = await log.read(HEARTBEATS_AT, max(start, end - _LOOK_BACK), end)
    signed: dict[str, str | None] = {}
    for raw in raws:
        received = read(raw, platform)
        if isinstance(received, Received) and raw.appended_at > now - _LIVES_MS:
            signed[(raw.key or b"").decode(errors="replace")] = received.kid
    return tuple(sorted(instance for instance, by in signed.items() if by == kid))


def _holder(told: str) -> str:
    """Return the holder as the catalog names it."""
    if told == "publisher":
        return "publisher:publisher"
    return told if ":" in told else f"service:{told}"


def _named(holder: str) -> str:
    """Return the holder as people name it."""
    kind, _, name = holder.partition(":")
    return name if kind in {"service", "publisher"} else holder


def _first(holder: str) -> str:
    kind, _, name = holder.partition(":")
    return PUBLISHER if kind == "publisher" else _OF[kind](name)


def _signing(home: PlatformHome, holder: str) -> str | None:
    """Return the id of the key with which *holder* signs from here."""
    kind, _, name = holder.partition(":")
    return kid_in(home.agents / f"{name}.toml") if kind == "agent" else home.latest_kid(_first(holder))


def _refuse_strangers(catalog: Catalog, kind: str, name: str) -> None:
    match kind:
        case "service":
            known = {*SERVICES, *(one.name for one in own_gates(catalog))}
        case "publisher":
            known = {"publisher"}
        case "person":
            known = {e.document.name for e in catalog.entries("Person") if catalog.person(e.document.name)}
        case "agent":
            known = {entry.document.name for entry in catalog.entries("Agent")}
        case _:
            raise UnprocessableError(
                f"there are no keys of the kind {kind!r}; name a service, publisher, person:NAME or agent:NAME"
            )
    if name not in known:
        there = ", ".join(sorted(known)) or "none"
        raise UnprocessableError(f"there is no {kind} {name} in force; there are {there}")


def next_kid(home: PlatformHome, catalog: Catalog, first: str) -> str:
    """Return an id that nobody has: the file of one that is published may have been lost."""
    stem = first.removesuffix("-1")
    number = max((int(kid.rpartition("-")[2]) for kid in home.kids_of(first)), default=0) + 1
    while catalog.key(f"{stem}-{number}") is not None:
        number += 1
    return f"{stem}-{number}"


def _with_key(catalog: Catalog, person: Person, key: SigningKey) -> Person:
    """Return the next version of a person's document: the same person, signing with *key*."""
    versions = [e.document.version for e in catalog.entries("Person") if e.document.name == person.name]
    last = parse_version(max(versions, key=parse_version))
    listed = VerifyingKey(kid=key.kid, public=key.public)
    return Person(
        metadata=person.metadata.model_copy(update={"version": f"{last.major}.{last.minor + 1}.0"}),
        spec=person.spec.model_copy(update={"key": listed}),
    )


def _state(catalog: Catalog, key: KeyEntry, now: int) -> Literal["counts", "not-yet", "ended", "revoked"]:
    if key.revoked(now):
        return "revoked"
    if key.not_before is not None and now < key.not_before:
        return "not-yet"
    if not key.valid_at(now):
        return "ended"
    # Of a person the version in force must list it.
    return "counts" if catalog.public_of(key.kid, key.holder, now) is not None else "ended"
