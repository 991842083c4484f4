"""Hold what all gates do alike: hear that they are to judge again, and say what they found."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from seamwork.decider.inputs import Input, TooMuch, WithCrossing
from seamwork.decider.outputs import Output, Publish
from seamwork.records.base import Envelope
from seamwork.records.decision import JudgeAgain
from seamwork.records.envelope import MAX_ENVELOPE_BYTES, AnyEnvelope, encode
from seamwork.records.parties import Position, Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Received

DECISIONS = "decisions.v1"
"""Where the router alone writes. Nobody is believed who calls something a decision elsewhere, as any agent may."""

MOST_REASON = 4_000
"""Characters of a reason. A refusal repeats what each gate says, and has to fit into a record as well."""


def vote(verdict: Verdict) -> Publish:
    """Publish a verdict in its gate's topic, to the partition of its subject."""
    if len(verdict.reason) > MOST_REASON:
        verdict = msgspec.structs.replace(verdict, reason=verdict.reason[:MOST_REASON] + "…")
    subject = verdict.subject
    return Publish(
        f"verdicts.{verdict.gate}.v1",
        verdict.task or "",
        verdict,
        partition=subject.partition,
        trace_of=subject.position,
    )


def written_out(record: Envelope) -> bytes:
    """Return the envelope of a record as it is published: of a verdict that fits into none, what counts."""
    envelope = encode(record)
    if len(envelope) > MAX_ENVELOPE_BYTES and isinstance(record, Verdict):
        return encode(shortened(record))
    return envelope


def shortened(verdict: Verdict) -> Verdict:
    """
    Return a verdict that did not fit into a record without what only explains it.

    A vote that nobody can read counts as none, and the gate would be taken for silent.
    """
    left_out = f"{len(verdict.warnings)} warnings and {len(verdict.consulted)} documents that were consulted"
    return msgspec.structs.replace(
        verdict,
        reason=f"{verdict.reason} (left out, for there is no room: {left_out})",
        warnings=(),
        consulted=(),
    )


def asked_again(gate: str) -> Callable[[Received[AnyEnvelope]], Position | None]:
    """Return what names the crossing that must be at hand: the one that *gate* is asked to judge again."""

    def needs_crossing(received: Received[AnyEnvelope]) -> Position | None:
        match received:
            case Received(record=JudgeAgain(gates=gates, subject=Subject() as subject)) if (
                gate in gates and received.raw.topic == DECISIONS
            ):
                return subject.position
            case _:
                return None

    return needs_crossing


def addressed(given: Input, gate: str, name: str) -> Input:
    """
    Return what the gate called *name* is given, as the core of *gate* reads it.

    A core knows one name, its own. Who is asked to judge again is asked by the other; and what is asked of the gate
    that has the core's name does not concern this one.
    """
    match given:
        case TooMuch(given=alone, size=size):
            inner = addressed(alone, gate, name)
            return given if isinstance(inner, TooMuch) else TooMuch(inner, size)
        case WithCrossing(decision=decision):
            return replace(given, decision=_readdressed(decision, gate, name))
        case Received():
            return _readdressed(given, gate, name)
        case _:
            return given


def _readdressed(received: Received[AnyEnvelope], gate: str, name: str) -> Received[AnyEnvelope]:
    record = received.record
    if not isinstance(record, JudgeAgain) or (gate not in record.gates and name not in record.gates):
        return received
    gates = tuple(gate if one == name else one for one in record.gates if one != gate)
    return msgspec.structs.replace(received, record=msgspec.structs.replace(record, gates=gates))


def in_the_name_of(outputs: Sequence[Output], name: str) -> tuple[Output, ...]:
    """Return *outputs* with the verdicts among them as those of the gate called *name*."""
    return tuple(
        replace(one, topic=f"verdicts.{name}.v1", record=msgspec.structs.replace(one.record, gate=name))
        if isinstance(one, Publish) and isinstance(one.record, Verdict)
        else one
        for one in outputs
    )
