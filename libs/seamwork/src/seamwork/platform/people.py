"""Let a person of this machine say something, signed with the person's own key."""

import re
from collections.abc import Callable, Sequence

from seamwork.bus.port import Confirmed, Log
from seamwork.catalog import Catalog
from seamwork.catalog.follower import read_catalog
from seamwork.documents import Person
from seamwork.errors import MisconfiguredError, RetryableError, UnprocessableError
from seamwork.grants.keys import SigningKey
from seamwork.platform.door import Door
from seamwork.platform.members import person_kid
from seamwork.records.base import Envelope
from seamwork.records.verdict import Approvers
from seamwork.records.wire import Outgoing, compose

_PERSONS = re.compile(r"person-(.+)-[1-9]\d*")
"""The id of a person's key, the first or a later one."""


def people_here(door: Door) -> tuple[str, ...]:
    """Return the people whose keys this machine keeps, in order."""
    found = (_PERSONS.fullmatch(path.stem) for path in sorted(door.home.keys.glob("*.key")))
    return tuple(dict.fromkeys(one[1] for one in found if one is not None))


def people_in(catalog: Catalog, now: int) -> tuple[Person, ...]:
    """Return everybody in force, each as the version says that counts."""
    names = dict.fromkeys(entry.document.name for entry in catalog.entries("Person"))
    return tuple(person for name in names if (person := catalog.person(name, now)) is not None)


async def ask(
    door: Door,
    person: str | None,
    topic: str,
    task: str,
    record: Callable[[str], Envelope],
    asked: Sequence[Approvers] = (),
) -> str:
    """
    Publish what *person* says of *task*, and return who it was.

    Args:
        door: The platform.
        person: The name; the one person of this machine if null.
        topic: ``answers.v1`` or ``commands.v1``.
        task: The task's id, which is the key.
        record: Makes the record in that person's name.
        asked: Who may say it; anybody unless given.

    Raises:
        UnprocessableError: Nobody was named, and nobody has a key here, or several have; or it would not count.
        MisconfiguredError: The key of whoever was named is not kept here.
        RetryableError: The log did not take it.
    """
    person, outgoing = signed(door, person, topic, task, record)
    async with door.log("people") as log:
        await see_that_it_counts(door, log, person, asked)
        (confirmation,) = await log.publish([outgoing])
    if not isinstance(confirmation, Confirmed):
        raise RetryableError(f"{topic} did not take it ({confirmation.error}); say it again")
    return person


def signed(
    door: Door, person: str | None, topic: str, task: str, record: Callable[[str], Envelope]
) -> tuple[str, Outgoing]:
    """
    Return who speaks, and what they say, signed with their key; the arguments are those of ``ask``.

    Raises:
        UnprocessableError: Nobody was named, and nobody has a key here, or several have.
        MisconfiguredError: The key of whoever was named is not kept here.
    """
    here = people_here(door)
    if person is None:
        if len(here) != 1:
            known = ", ".join(here) or "nobody"
            raise UnprocessableError(
                f"say who you are with --by; keys of {known} are kept here (`seamwork people add`)"
            )
        (person,) = here
    elif person not in here:
        raise MisconfiguredError(
            f"the key of {person} is not kept on this machine; answer from where it is, or `seamwork people add`"
        )
    key = door.home.latest_key(person_kid(person))
    return person, compose(door.identity.id, topic, task, record(person), signer=key)


async def see_that_it_counts(door: Door, log: Log, person: str, asked: Sequence[Approvers] = ()) -> None:
    """
    See that what *person* says from here will be believed: whoever left keeps the key's file.

    Where somebody is *asked*, it must be one of them.

    Raises:
        UnprocessableError: It will not; whoever reads it would pass over it, and tell nobody.
    """
    catalog = await read_catalog(log, door.identity.id, door.identity.root_public)
    refuse_unheard(catalog, person, door.home.latest_key(person_kid(person)))
    refuse_unasked(catalog, person, asked)


def refuse_unheard(catalog: Catalog, person: str, key: SigningKey) -> None:
    """
    Refuse what nobody would believe: signed by somebody who is not in force, or with another key than theirs.

    Raises:
        UnprocessableError: It is.
    """
    known = catalog.person(person)  # as was said last: the broker's clock may be ahead of ours
    if known is None:
        raise UnprocessableError(
            f"{person} is not in force, so nothing that {person} signs counts; see `seamwork people list`"
        )
    if (known.spec.key.kid, known.spec.key.public) != (key.kid, key.public):
        raise UnprocessableError(
            f"the key {key.kid} here is not the one of {known.title}, so nothing that it signs counts; say it from "
            "where that one is"
        )


def refuse_unasked(catalog: Catalog, person: str, asked: Sequence[Approvers]) -> None:
    """
    Refuse what would not count, because others are asked.

    Raises:
        UnprocessableError: They are.
    """
    known = catalog.person(person)
    roles = known.spec.roles if known is not None else ()
    if asked and not any(person in one.people or not set(one.roles).isdisjoint(roles) for one in asked):
        named = "; ".join(f"{one.count} of {one.named}" for one in asked)
        raise UnprocessableError(
            f"{person} is {', '.join(roles) or 'nothing'}, and asked is {named}, so the answer would not count"
        )
