"""
Turn what a core wants published into records: sign, carry crossings on, give dead letters their provenance.

An output is *resolved* before the append, so that the journal holds its signature, and *composed* after it, from
the journal alone and from the records that it points to: publishing again after a crash gives the same bytes.
"""

import base64

import msgspec

from seamwork.bus.port import Log
from seamwork.contracts.projection import cut
from seamwork.decider import MOST_REASON, Forward, Output, Publish, SetAside, TooMuch, written_out
from seamwork.errors import MisconfiguredError
from seamwork.journal import Aside, Emitted
from seamwork.records.base import Envelope
from seamwork.records.envelope import MAX_ENVELOPE_BYTES, decode, encode, to_ascii
from seamwork.records.inbox import Answer, Work
from seamwork.records.parties import Position
from seamwork.records.platform import DeadLetter, RawHeader
from seamwork.records.wire import (
    SW_CHILDREN,
    SW_CROSSING,
    SW_CROSSING_KID,
    SW_CROSSING_SIG,
    SW_ENVELOPE,
    SW_KID,
    SW_SIG,
    TRACEPARENT,
    Header,
    Malformed,
    Outgoing,
    RawRecord,
    Received,
    Signer,
    cloud_event,
    signed_bytes,
    traceparent_of,
)
from seamwork.runtime.cache import RecordCache, read_one

SW_SRC = "sw_src"
"""``journal topic/partition/epoch/seq/index``: readers drop what is not past the highest they have seen."""

DEAD_LETTERS = "dead-letters.v1"
_HEADER_ROOM = MAX_ENVELOPE_BYTES // 2  # what a dead letter's envelope spends on the headers of its record
_MAX_HEADERS = 64
_NAME_ROOM = 100
_KEY_ROOM = 1024

_encoder = msgspec.json.Encoder()


class Composer:
    """
    Resolve and compose the outputs of one service.

    Args:
        platform: The platform's id, which every signature covers.
        signer: The service's key; null for one that signs nothing.
        crossings: The records of ``handoffs``.
    """

    def __init__(self, platform: str, signer: Signer | None, crossings: RecordCache, log: Log) -> None:
        self._platform = platform
        self._signer = signer
        self._crossings = crossings
        self._log = log

    def resolve(self, output: Output, traceparent: str | None) -> Emitted:
        """
        Make an output final: its envelope's bytes and signature.

        Args:
            output: What the core wants.
            traceparent: That of the input that led to it; the crossing's own goes before, where it is at hand.
        """
        match output:
            case Publish():
                envelope = written_out(output.record)
                sig, kid = self._sign(output.topic, output.key, envelope) if output.signed else (None, None)
                return Emitted(
                    topic=output.topic,
                    key=output.key,
                    partition=output.partition,
                    envelope=envelope.decode("ascii"),
                    payload=output.payload,
                    sig=sig,
                    kid=kid,
                    traceparent=self._trace(output.trace_of) or traceparent,
                )
            case Forward():
                envelope = encode(output.record)
                sig, kid = self._sign(output.topic, output.key, envelope)
                return Emitted(
                    topic=output.topic,
                    key=output.key,
                    partition=output.partition,
                    envelope=envelope.decode("ascii"),
                    sig=sig,
                    kid=kid,
                    traceparent=self._trace(output.source) or traceparent,
                    forward=output.source,
                    children=output.children,
                )
            case SetAside():
                aside = Aside(
                    topic=output.topic,
                    source=output.source,
                    digest=output.digest,
                    gate=output.gate,
                    rule=output.rule,
                    reason=output.reason,
                    set_aside_at=output.set_aside_at,
                )
                return Emitted(topic=DEAD_LETTERS, key="", traceparent=traceparent, aside=aside)

    async def compose(self, emitted: Emitted, src: str | None, record: Envelope | None = None) -> Outgoing:
        """
        Return the record to publish; the same one each time. *record* spares decoding the envelope.

        Raises:
            LogGapError: A record that it carries on is no longer in the log.
        """
        if emitted.aside is not None:
            return await self._dead_letter(emitted, emitted.aside, src)
        envelope = emitted.envelope.encode("ascii")
        carried: tuple[Header, ...] = ()
        payload: bytes | None = emitted.payload
        if emitted.forward is not None:
            crossing = await self._crossings.fetch(emitted.forward)
            carried = _carried(crossing, emitted.children)
            payload = crossing.value
        record = decode(envelope) if record is None else record
        if payload is not None and isinstance(record, Work | Answer) and record.delivered is not None:
            payload = cut(payload, record.delivered.projection)
        return self._outgoing(
            emitted, emitted.key.encode(), envelope, record, (*carried, *_src(src)), payload
        )

    async def _dead_letter(self, emitted: Emitted, aside: Aside, src: str | None) -> Outgoing:
        if aside.topic == self._crossings.topic:
            raw = await self._crossings.fetch(aside.source)
        else:
            raw = await read_one(self._log, aside.topic, aside.source)
        record = dead_letter(raw, aside)
        out = self._outgoing(emitted, raw.key or b"", encode(record), record, _src(src), raw.value)
        if len(out.key) <= _KEY_ROOM:
            return out
        # A key may be as large as a record, and there is no room for it twice; CloudEvents does without a subject.
        headers = tuple(header for header in out.headers if header[0] != "ce_subject")
        return msgspec.structs.replace(out, headers=headers)

    def _outgoing(
        self,
        emitted: Emitted,
        key: bytes,
        envelope: bytes,
        record: Envelope,
        extra: tuple[Header, ...],
        payload: bytes | None,
    ) -> Outgoing:
        headers = [
            *cloud_event(self._platform, emitted.topic, key, envelope, record),
            (SW_ENVELOPE, envelope),
        ]
        if emitted.sig is not None and emitted.kid is not None:
            headers += [(SW_SIG, emitted.sig.encode()), (SW_KID, emitted.kid.encode())]
        if emitted.traceparent is not None:
            headers.append((TRACEPARENT, emitted.traceparent.encode()))
        headers += extra
        return Outgoing(emitted.topic, key, payload, tuple(headers), emitted.partition)

    def _sign(self, topic: str, key: str, envelope: bytes) -> tuple[str, str]:
        if self._signer is None:
            raise MisconfiguredError(
                f"the service signs what it writes to {topic} but has no key; set SEAMWORK_SIGNING_KEY_FILE"
            )
        return self._signer.sign(
            signed_bytes(self._platform, topic, key.encode(), envelope)
        ), self._signer.kid

    def _trace(self, position: Position | None) -> str | None:
        raw = None if position is None else self._crossings.get(position)
        return None if raw is None else traceparent_of(raw)


def cause_trace(given: object) -> str | None:
    """Return the ``traceparent`` that the outputs of an input carry on."""
    if isinstance(given, TooMuch):
        return cause_trace(given.given)
    if isinstance(given, Received):
        return given.traceparent
    return traceparent_of(given.raw) if isinstance(given, Malformed) else None


def dead_letter(raw: RawRecord, aside: Aside) -> DeadLetter:
    """
    Describe a record that is set aside.

    Headers that an envelope has no room for keep their names alone, as far as it has room for those: whoever writes
    a record may make any part of it large, and a letter that nobody can read is none.
    """
    letter = DeadLetter(
        topic=aside.topic,
        position=aside.source,
        appended_at=raw.appended_at,
        digest=aside.digest,
        headers=(),
        key=None if raw.key is None else raw.key[:_KEY_ROOM].decode("utf-8", "backslashreplace"),
        tombstone=raw.value is None,
        gate=aside.gate,
        rule=aside.rule,
        reason=_cut(aside.reason, MOST_REASON),
        set_aside_at=aside.set_aside_at,
    )
    left, room = MAX_ENVELOPE_BYTES - len(encode(letter)), _HEADER_ROOM
    headers = []
    for name, value in raw.headers[:_MAX_HEADERS]:
        cost = len(name) + len(value or b"") * 4 // 3
        header = RawHeader(name=name, value=_base64(value)) if cost <= room else RawHeader(name=name)
        if _written(header) > left:
            header = RawHeader(name=_cut(name, _NAME_ROOM))
        if _written(header) > left:
            break
        left -= _written(header)
        room -= cost if cost <= room else len(name)
        headers.append(header)
    return msgspec.structs.replace(letter, headers=tuple(headers))


def _written(header: RawHeader) -> int:
    """Return how many bytes of an envelope a header takes."""
    return len(to_ascii(_encoder.encode(header))) + 1


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "…"


def _carried(crossing: RawRecord, children: str | None) -> tuple[Header, ...]:
    theirs_by_name = dict(crossing.headers)
    headers: list[Header] = [(SW_CROSSING, theirs_by_name.get(SW_ENVELOPE))]
    for theirs, ours in ((SW_SIG, SW_CROSSING_SIG), (SW_KID, SW_CROSSING_KID)):
        value = theirs_by_name.get(theirs)
        if value is not None:
            headers.append((ours, value))
    if children is not None:
        headers.append((SW_CHILDREN, children.encode("ascii")))
    return tuple(headers)


def _src(src: str | None) -> tuple[Header, ...]:
    return () if src is None else ((SW_SRC, src.encode("ascii")),)


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode("ascii")
