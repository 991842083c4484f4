"""What a machine wants published. Signing and the bytes of forwarded crossings are the wiring's work."""

from dataclasses import dataclass

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
