"""What a machine wants published. Signing and the bytes of forwarded crossings are the wiring's work."""

from dataclasses import dataclass

from seamwork.decider.inputs import TooMuch
from seamwork.records.base import Envelope
from seamwork.records.parties import Position


@dataclass(frozen=True, slots=True)
class Publish:
    """
    A record of the machine's own.

    *topic* is named without prefix. *partition* null lets the key decide; verdicts and decisions go to the
    partition of their subject. *payload* is the body. *signed* says that the service signs it.
    """

    topic: str
    key: str
    record: Envelope
    partition: int | None = None
    payload: bytes = b""
    signed: bool = False
    trace_of: Position | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """
    A record that carries a crossing on: ``work`` or ``answer``, signed by the router.

    The crossing's envelope goes unchanged, its body without what *record* says is cut out of it.

    *source* is the crossing's position in ``handoffs``; the journal keeps the position, not the bytes. *children*
    is the exact text of the header ``sw_children``.
    """

    topic: str
    key: str
    record: Envelope
    source: Position
    children: str | None = None
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class SetAside:
    """
    A dead letter: the record at *source* of *topic*, kept with its provenance.

    The wiring reads its bytes and builds the ``dead-letter`` record.
    """

    topic: str
    source: Position
    digest: str
    gate: str
    rule: str
    reason: str
    set_aside_at: int


Output = Publish | Forward | SetAside

TOO_MUCH = "too-much"
"""The rule by which an input is set aside of which more would follow than fits into one commit."""


def set_aside(given: TooMuch, machine: str, now: int) -> SetAside | None:
    """Return the dead letter of an input that was too much for *machine*, None where it is no record."""
    record = given.record
    if record is None:
        return None
    return SetAside(
        topic=record.raw.topic,
        source=record.position,
        digest=record.digest,
        gate=machine,
        rule=TOO_MUCH,
        reason=f"what {machine} would have made of it takes {given.size} bytes, more than one commit holds",
        set_aside_at=now,
    )
