"""Read dead letters, and put one back: its bytes as they were, to be judged as if they came for the first time."""

import base64
from dataclasses import dataclass

from seamwork.agent.post import post
from seamwork.bus.port import Partition
from seamwork.errors import UnprocessableError
from seamwork.platform.door import Door
from seamwork.platform.trust import DESK
from seamwork.records.platform import DeadLetter
from seamwork.records.wire import SW_ENVELOPE, Outgoing, RawRecord, Received, read

DEAD_LETTERS = "dead-letters.v1"
HANDOFFS = "handoffs.v1"


@dataclass(frozen=True)
class Letter:
    """One dead letter. *id* is its place in the topic, ``partition/offset``; *raw* holds the body, unmasked."""

    id: str
    record: DeadLetter
    raw: RawRecord


async def letters_of(door: Door) -> list[Letter]:
    """Return every dead letter that the log has, the oldest first."""
    found: list[Letter] = []
    places = [Partition(DEAD_LETTERS, number) for number in range(door.identity.partitions)]
    async with door.log("people") as log:
        starts, ends = await log.start_offsets(places), await log.end_offsets(places)
        for place in places:
            for raw in await log.read(place, starts[place], ends[place]):
                received = read(raw, door.identity.id)
                if isinstance(received, Received) and isinstance(received.record, DeadLetter):
                    found.append(Letter(f"{raw.partition}/{raw.offset}", received.record, raw))
    return sorted(found, key=lambda letter: letter.record.set_aside_at)


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


async def requeue(door: Door, letter: Letter) -> None:
    """
    Put a letter's record back into ``handoffs``, byte for byte; its sender's signature is all that speaks for it.

    Raises:
        UnprocessableError: It was no crossing, or not all of it was kept.
    """
    record = letter.record
    if record.topic != HANDOFFS:
        raise UnprocessableError(
            f"the record lay in {record.topic}; only what lay in {HANDOFFS} can be judged again"
        )
    if record.key is None or letter.raw.key is None:
        raise UnprocessableError("the record had no key, so it can never be admitted")
    headers = tuple(
        (header.name, None if header.value is None else base64.b64decode(header.value))
        for header in record.headers
    )
    if dict(headers).get(SW_ENVELOPE) is None:
        raise UnprocessableError(f"the record's header {SW_ENVELOPE} was missing or too large to keep")
    value = None if record.tombstone else letter.raw.value
    async with door.log(f"agent-{DESK}") as log:
        await post(log, Outgoing(HANDOFFS, letter.raw.key, value, headers))
