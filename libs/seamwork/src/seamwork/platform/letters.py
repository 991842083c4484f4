"""
Read dead letters, put one back as it was, or discard it; either leaves a mark, signed by whoever did it.

The marks lie in the topic of the letters, which keeps everything for ever: a letter that was dealt with stays so.
"""

import base64
import secrets
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import msgspec

from seamwork.agent.post import post
from seamwork.bus.port import Log, Partition
from seamwork.catalog import Catalog
from seamwork.clock import SystemClock
from seamwork.errors import UnprocessableError
from seamwork.grants.keys import record_verifies
from seamwork.ids import uuid7
from seamwork.platform.door import Door
from seamwork.platform.people import see_that_it_counts, signed
from seamwork.platform.trust import DESK
from seamwork.platform.views import View
from seamwork.platform.whole import whole
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Position
from seamwork.records.people import Command
from seamwork.records.platform import DeadLetter
from seamwork.records.wire import SW_ENVELOPE, Outgoing, Received, read

DEAD_LETTERS = "dead-letters.v1"
HANDOFFS = "handoffs.v1"
Done = Literal["put-back", "discard"]
_JUDGED_BY = ("sw_", "ce_")
"""How the names begin of headers that say what a record is."""


class Mark(View, frozen=True, kw_only=True):
    """What a person did with a letter, and when (ms)."""

    what: Done
    person: str
    reason: str
    at: int


@dataclass(frozen=True)
class Letter:
    """
    One dead letter. *id* is its place in the topic, ``partition/offset``, which *position* is as well.

    *size* is that of the body in bytes, which is not held: of all together a command may not have memory for them.
    *mark* is the last word on it, None while it is open.
    """

    id: str
    record: DeadLetter
    position: Position
    key: bytes | None
    size: int
    mark: Mark | None = None


async def letters_of(door: Door) -> list[Letter]:
    """Return every dead letter that the log has, the oldest first."""
    letters: list[Letter] = []
    said: list[Received[AnyEnvelope]] = []
    places = [Partition(DEAD_LETTERS, number) for number in range(door.identity.partitions)]
    async with door.log("people") as log:
        async for raw in whole(log, places):
            match read(raw, door.identity.id):
                case Received(record=DeadLetter() as record):
                    at, size = f"{raw.partition}/{raw.offset}", len(raw.value or b"")
                    letters.append(Letter(at, record, raw.position, raw.key, size))
                case Received(record=Command()) as one:
                    said.append(one)
                case _:
                    pass
    if said:
        async with door.publisher() as publisher:
            marks = _marks(door, await publisher.catalog(), said)
        letters = [replace(one, mark=marks.get(one.position)) for one in letters]
    return sorted(letters, key=lambda letter: letter.record.set_aside_at)


def _marks(door: Door, catalog: Catalog, found: list[Received[AnyEnvelope]]) -> dict[Position, Mark]:
    """Return the last mark of each letter; one that nobody known has signed does not count."""
    marks: dict[Position, Mark] = {}
    for one in sorted(found, key=lambda each: (each.raw.appended_at, each.raw.offset)):
        said, at = one.record, one.raw.appended_at
        if not isinstance(said, Command) or said.letter is None or said.action not in {"put-back", "discard"}:
            continue
        public_of = partial(catalog.public_of, holder=f"person:{said.person}", at=at)
        if record_verifies(one, door.identity.id, public_of):
            what: Done = "put-back" if said.action == "put-back" else "discard"
            marks[said.letter] = Mark(what=what, person=said.person, reason=said.reason, at=at)
    return marks


def letter_of(letters: list[Letter], wanted: str) -> Letter:
    """
    Return the letter with this id.

    Raises:
        UnprocessableError: There is none.
    """
    for letter in letters:
        if letter.id == wanted:
            return letter
    raise UnprocessableError(f"there is no dead letter {wanted}; see `seamwork dead-letters list`")


def unkept(letter: Letter) -> tuple[str, ...]:
    """Name the headers of a letter's record that hold nothing, or held more than the letter had room for."""
    return tuple(header.name for header in letter.record.headers if header.value is None)


def _lost_for_good(letter: Letter, why: str) -> UnprocessableError:
    return UnprocessableError(
        f"{why}; let go of it: `seamwork dead-letters discard {letter.id} --reason WHY`"
    )


async def requeue(door: Door, letter: Letter, person: str | None = None, reason: str = "") -> str:
    """
    Put a letter's record back into ``handoffs``, byte for byte; its sender's signature is all that speaks for it.

    Headers that were not kept are left out, but for those by which it is judged.

    Returns:
        Who put it back.

    Raises:
        UnprocessableError: It was no crossing, or not all of it was kept; or the mark would not count.
    """
    record = letter.record
    if record.topic != HANDOFFS:
        raise _lost_for_good(
            letter, f"the record lay in {record.topic}; only what lay in {HANDOFFS} can be judged again"
        )
    if record.key is None or letter.key is None:
        raise _lost_for_good(letter, "the record had no key, so it can never be admitted")
    headers = tuple(
        (header.name, base64.b64decode(header.value)) for header in record.headers if header.value is not None
    )
    lost = [name for name in unkept(letter) if name.startswith(_JUDGED_BY)]
    if lost or SW_ENVELOPE not in dict(headers):
        raise _lost_for_good(
            letter, f"the record's header {', '.join(lost) or SW_ENVELOPE} was missing or too large to keep"
        )
    who, mark = _mark(door, letter, "put-back", person, reason)
    async with door.log("people") as people:
        await see_that_it_counts(door, people, who)
        value = None if record.tombstone else await _body(people, letter)
        async with door.log(f"agent-{DESK}") as log:
            await post(log, Outgoing(HANDOFFS, letter.key, value, headers))
        # Afterwards: a mark without the record would hide what was never put back.
        await post(people, mark)
    return who


async def _body(log: Log, letter: Letter) -> bytes | None:
    at = letter.position
    (raw,) = await log.read(Partition(DEAD_LETTERS, at.partition), at.offset, at.offset + 1)
    return raw.value


async def discard(door: Door, letter: Letter, person: str | None, reason: str) -> str:
    """
    Say that nothing is to become of a letter, and why; it stays where it is.

    Returns:
        Who discarded it.

    Raises:
        UnprocessableError: Somebody dealt with it before, or no reason is given; or the mark would not count.
    """
    if letter.mark is not None:
        raise UnprocessableError(f"the dead letter {letter.id} was dealt with by {letter.mark.person} before")
    if not reason.strip():
        raise UnprocessableError("say why nothing is to become of it: --reason")
    who, mark = _mark(door, letter, "discard", person, reason)
    async with door.log("people") as log:
        await see_that_it_counts(door, log, who)
        await post(log, mark)
    return who


def _mark(door: Door, letter: Letter, what: Done, person: str | None, reason: str) -> tuple[str, Outgoing]:
    now = SystemClock().now_ms()
    key = letter.record.key or letter.id
    identity = uuid7(now, secrets.token_bytes(10))

    def command(name: str) -> Command:
        return Command(
            id=identity, task=key, person=name, action=what, reason=reason, letter=letter.position,
            ordered_at=now,
        )  # fmt: skip

    who, said = signed(door, person, DEAD_LETTERS, key, command)
    return who, msgspec.structs.replace(said, partition=letter.position.partition)
