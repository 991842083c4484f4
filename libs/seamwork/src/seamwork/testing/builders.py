"""
Make records in a test with nothing said but what the test is about.

``envelope("handoff", id="h-1")`` is the struct, ``received("handoff", id="h-1", at="0/5")`` the record as a machine
gets it. Every field has a default that fits the others: a root handoff of task ``t-1`` from ``planner`` to
``extractor`` under the contract ``licence-facts``.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from seamwork.decider.inputs import CatalogChanged, HealthChanged, Tick, Undeliverable
from seamwork.ids import sha256_hex
from seamwork.records.base import Envelope
from seamwork.records.crossing import AnyCrossing, CarriedStamp, Handoff, Progress, Result, Usage
from seamwork.records.decision import AnyDecision
from seamwork.records.envelope import AnyEnvelope, encode
from seamwork.records.inbox import Work
from seamwork.records.people import Command, Reply
from seamwork.records.verdict import SignedRecord, Verdict
from seamwork.records.wire import Malformed, RawRecord, Received, compose, record_digest, signed_bytes
from seamwork.testing.keys import key_of
from seamwork.testing.shorthand import digest_at, place_of, spelled_out

PLATFORM = "test-platform"
NOW = 1_000_000
"""When a test happens, unless it says otherwise (ms)."""
HOUR_MS = 3_600_000
INTENT = "audit the licences"

_INTENT = {"intent": INTENT, "intent_sha256": sha256_hex(INTENT.encode())}
_CONTRACT = "licence-facts@1.0.0"
_SENT: dict[str, Any] = {"task": "t-1", "sent_at": NOW, "expires_at": NOW + HOUR_MS, **_INTENT}
_DECIDED: dict[str, Any] = {
    "task": "t-1", "crossing": "h-1", "subject": "0/0", "decided_at": NOW, "revision": [0, 0, 0],
}  # fmt: skip
_AUTHORITY: dict[str, Any] = {"depth": 5}

DEFAULTS: dict[str, dict[str, Any]] = {
    "handoff": {
        **_SENT, "id": "h-1", "source": "planner", "step": "extract", "contract": _CONTRACT, "target": "extractor",
        "deadline_at": NOW + HOUR_MS,
    },
    "result": {
        **_SENT, "id": "r-1", "source": "extractor", "parent": "h-1", "dispatch": "w-1", "contract": _CONTRACT,
        "outcome": "success",
    },
    "plan": {
        **_SENT, "id": "pl-1", "source": "extractor", "parent": "h-1", "dispatch": "w-1", "contract": _CONTRACT,
        "subtasks": [{"step": "read", "contract": _CONTRACT, "target": "reader"}],
    },
    "progress": {**_SENT, "id": "p-1", "source": "extractor", "dispatch": "w-1", "ordinal": 0, "note": "working"},
    "usage": {**_SENT, "id": "u-1", "source": "extractor", "dispatch": "w-1", "ordinal": 0, "spent": {}},
    "work": {
        "platform": PLATFORM, "task": "t-1", "crossing": "h-1", "position": "0/0", "digest": digest_at(0, 0),
        "dispatch": "w-1", "attempt": 1, "mode": "delegate", "agent": "extractor", "version": "1.0.0",
        "contract": _CONTRACT, "authority": _AUTHORITY, "ceiling_micro_usd": 0, "issued_at": NOW,
        "not_after": NOW + HOUR_MS, "intent_sha256": _INTENT["intent_sha256"], "initiator": "planner",
        "lineage": ["planner"],
    },
    "answer": {
        "task": "t-1", "agent": "planner", "version": "1.0.0", "child": "h-1", "step": "extract", "ordinal": 0,
        "result": "r-1", "position": "0/1", "digest": digest_at(0, 1), "outcome": "success", "contract": _CONTRACT,
        "issued_at": NOW,
    },
    "notice": {
        "id": "n-1", "task": "t-1", "agent": "planner", "version": "1.0.0", "what": "accepted", "about": "h-1",
        "issued_at": NOW,
    },
    "verdict": {
        "gate": "contract-validator", "gate_version": "1.0.0", "subject": "0/0", "task": "t-1", "crossing": "h-1",
        "outcome": "ALLOW", "rule": "fits", "reason": "it fits", "revision": [0, 0, 0], "judged_at": NOW,
    },
    "dispatched": {
        **_DECIDED, "dispatch": "w-1", "dispatch_number": 1, "receiver": "extractor", "source": "planner",
        "contract": _CONTRACT, "mode": "delegate", "step": "extract", "ceiling_micro_usd": 0,
        "not_after": NOW + HOUR_MS, "authority": _AUTHORITY,
    },
    "refused": {**_DECIDED, "gate": "router", "kind": "handoff"},
    "held": {
        **_DECIDED, "approvers": [{"roles": ["lawyer"]}], "action_sha256": "a-1", "authority": _AUTHORITY,
        "receiver": "extractor", "contract": _CONTRACT, "expires_at": NOW + HOUR_MS,
    },
    "judge-again": {**_DECIDED, "subject": "0/0#2", "why": "retry", "gates": ["cost-cap"]},
    "accepted": {
        **_DECIDED, "crossing": "r-1", "subject": "0/1", "dispatch": "w-1", "answers": "h-1", "outcome": "success",
        "source": "extractor",
    },
    "noted": {**_DECIDED, "crossing": "u-1", "subject": "0/1", "what": "usage", "dispatch": "w-1"},
    "overrun": {**_DECIDED, "dispatch": "w-1", "ceiling_micro_usd": 0, "spent": {"micro_usd": 1}},
    "escalated": {**_DECIDED, "to": "owner", "why": "failed"},
    "closed": {**_DECIDED, "why": "failed", "final": True},
    "breaker-moved": {
        **_DECIDED, "task": None, "crossing": None, "subject": None, "agent": "extractor", "state": "open",
        "partition": 0,
    },
    "task-ended": {
        **_DECIDED, "crossing": None, "subject": None, "outcome": "complete", "crossings": 1, "refused": 0,
    },
    "approval-request": {
        "id": "q-1", "task": "t-1", "crossing": "h-1", "subject": "0/0", "action_sha256": "a-1",
        "approvers": [{"roles": ["lawyer"]}], "source": "planner", "receiver": "extractor", "contract": _CONTRACT,
        "authority": _AUTHORITY, "intent": INTENT, "state": "", "proposed": "", "asked": "", "on_approve": "",
        "on_reject": "", "asked_at": NOW, "expires_at": NOW + HOUR_MS,
    },
    "approval-end": {"id": "q-1", "task": "t-1", "how": "approved", "ended_at": NOW},
    "reply": {
        "id": "y-1", "request": "q-1", "task": "t-1", "action_sha256": "a-1", "person": "ada", "answer": "approve",
        "answered_at": NOW,
    },
    "command": {"id": "c-1", "task": "t-1", "person": "ada", "action": "cancel", "ordered_at": NOW},
    "document": {
        "kind": "Budget", "name": "b", "version": "1.0.0", "payload_sha256": "", "published_at": 0,
        "publisher": "test",
    },
    "activation": {
        "id": "v-1", "kind": "Budget", "name": "b", "version": "1.0.0", "published_at": 0, "publisher": "test",
    },
    "heartbeat": {
        "instance": "i-1", "name": "extractor", "kind": "agent", "version": "1.0.0", "state": "ready",
        "sent_at": NOW, "every_ms": 1000,
    },
    "dead-letter": {
        "topic": "handoffs.v1", "position": "0/0", "appended_at": NOW, "digest": digest_at(0, 0), "headers": [],
        "gate": "contract-validator", "rule": "no-envelope", "reason": "", "set_aside_at": NOW,
    },
    "tree-head": {"log": "log-1", "size": 0, "root_sha256": "", "signed_at": NOW},
}  # fmt: skip
"""What a record says where a test is silent, by the tag of its envelope."""

_TOPICS = {
    "approval-request": "approvals.v1", "approval-end": "approvals.v1", "reply": "answers.v1",
    "command": "commands.v1", "document": "registry.v1", "activation": "registry.v1", "heartbeat": "heartbeats.v1",
    "dead-letter": "dead-letters.v1", "tree-head": "audit.v1",
}  # fmt: skip


def envelope(tag: str, /, **fields: Any) -> AnyEnvelope:
    """
    Make the envelope with this *tag*; *fields* stand over the defaults.

    The ``stamp`` of a crossing may be given as a mapping: the fields of the ``work`` record it carries. So may its
    ``order``: those of the person's command.
    """
    if tag not in DEFAULTS:
        message = f"no record has the tag {tag!r}; there are {', '.join(DEFAULTS)}"
        raise ValueError(message)
    if isinstance(fields.get("stamp"), Mapping):
        fields = {**fields, "stamp": carried(**fields["stamp"])}
    if isinstance(fields.get("order"), Mapping):
        fields = {**fields, "order": ordered(**fields["order"])}
    given = {**DEFAULTS[tag], **fields}
    if tag in {"handoff", "result", "plan", "progress", "usage"}:
        given.setdefault("payload_sha256", sha256_hex(b""))
        given.setdefault("payload_bytes", 0)
    made: AnyEnvelope = msgspec.convert(spelled_out(AnyEnvelope, {"type": tag, **given}), AnyEnvelope)
    return made


def carried(**fields: Any) -> CarriedStamp:
    """Return the stamp of a ``work`` record with these *fields*, signed by the test's router."""
    work = cast("Work", envelope("work", **fields))
    data = encode(work)
    router = key_of("service:router")
    signature = router.sign(signed_bytes(PLATFORM, f"inbox.{work.agent}.v1", work.task.encode(), data))
    return CarriedStamp(envelope=data.decode("ascii"), kid=router.kid, sig=signature)


def ordered(**fields: Any) -> SignedRecord:
    """Return a person's command to resolve a case, unless another is named, signed, as a crossing carries it."""
    resolving = {"action": "resolve", "how": "retry", "payload_sha256": sha256_hex(b"")}
    command = cast("Command", envelope("command", **{**resolving, **fields}))
    data = encode(command)
    person = key_of(f"person:{command.person}")
    signature = person.sign(signed_bytes(PLATFORM, "commands.v1", command.task.encode(), data))
    return SignedRecord(
        topic="commands.v1", key=command.task, envelope=data.decode("ascii"), kid=person.kid, sig=signature
    )


def received(  # one argument for each part of a record
    tag: str,
    /,
    *,
    at: str = "0/0",
    topic: str | None = None,
    key: str | None = None,
    payload: Any = b"",
    appended_at: int = NOW,
    digest: str | None = "",
    signed_by: str | None = None,
    **fields: Any,
) -> Received[AnyEnvelope]:
    """
    Make the record with this *tag* as a machine gets it.

    Args:
        tag: The envelope's tag.
        at: Its place, ``partition/offset``.
        topic: Where it lies; by default where such records lie.
        key: Its key; by default the task's id.
        payload: Its body: bytes, or anything that JSON can hold. A crossing's envelope names its digest.
        appended_at: The broker's time (ms).
        digest: Its digest; by default the one that ``0/5`` stands for in short forms, None for the real one.
        signed_by: Who signs (``agent:extractor``); by default the source of a crossing and the person of a reply or
            command; ``""`` leaves it unsigned.
        fields: Fields of the envelope.
    """
    body = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
    if tag in {"handoff", "result"} and body:
        fields = {"payload_sha256": sha256_hex(body), "payload_bytes": len(body), **fields}
    record = envelope(tag, **fields)
    return as_received(
        record,
        at=at,
        topic=topic,
        key=key,
        body=body,
        appended_at=appended_at,
        digest=digest,
        signed_by=signed_by,
    )


def as_received(  # one argument for each part of a record
    record: Envelope,
    *,
    at: str = "0/0",
    topic: str | None = None,
    key: str | None = None,
    body: bytes = b"",
    appended_at: int = NOW,
    digest: str | None = "",
    signed_by: str | None = None,
) -> Received[AnyEnvelope]:
    """Put *record* at a place of a topic; the arguments are those of ``received``."""
    partition, offset = place_of(at)
    signer = _signer(record) if signed_by is None else signed_by
    outgoing = compose(
        PLATFORM, topic or topic_of(record), key or _key(record), record,
        payload=body, signer=key_of(signer) if signer else None,
    )  # fmt: skip
    raw = RawRecord(
        topic=outgoing.topic, partition=partition, offset=offset, appended_at=appended_at,
        key=outgoing.key, value=outgoing.value, headers=outgoing.headers,
    )  # fmt: skip
    headers = dict(outgoing.headers)
    data = headers["sw_envelope"] or b""
    sig, kid = headers.get("sw_sig"), headers.get("sw_kid")
    if digest == "":
        digest = digest_at(partition, offset)
    return Received(
        raw=raw,
        key=outgoing.key.decode(),
        envelope=data,
        record=cast("AnyEnvelope", record),
        digest=digest or record_digest(PLATFORM, outgoing.topic, outgoing.key, data),
        kid=kid.decode() if kid else None,
        sig=sig.decode() if sig else None,
    )


def malformed(
    at: str = "0/0",
    topic: str = "handoffs.v1",
    rule: str = "no-envelope",
    reason: str = "the record has no header sw_envelope",
    appended_at: int = NOW,
) -> Malformed:
    """Make a record that could not be read."""
    partition, offset = place_of(at)
    raw = RawRecord(topic, partition, offset, appended_at, b"t-1", b"")
    return Malformed(raw=raw, digest=digest_at(partition, offset), rule=rule, reason=reason)


def topic_of(record: Envelope) -> str:
    """Name the topic where a record of this kind lies."""
    if isinstance(record, AnyCrossing):
        return "handoffs.v1"
    if isinstance(record, AnyDecision):
        return "decisions.v1"
    if isinstance(record, Verdict):
        return f"verdicts.{record.gate}.v1"
    tag = str(record.__struct_config__.tag)
    return _TOPICS[tag] if tag in _TOPICS else f"inbox.{getattr(record, 'agent', 'planner')}.v1"


def handoff(**fields: Any) -> Received[Handoff]:
    """Make a handoff as a machine gets it; see ``received``."""
    return cast("Received[Handoff]", received("handoff", **fields))


def result(**fields: Any) -> Received[Result]:
    """Make a result as a machine gets it; see ``received``."""
    return cast("Received[Result]", received("result", **fields))


def progress(**fields: Any) -> Received[Progress]:
    """Make a progress record as a machine gets it; see ``received``."""
    return cast("Received[Progress]", received("progress", **fields))


def usage(**fields: Any) -> Received[Usage]:
    """Make a usage record as a machine gets it; see ``received``."""
    return cast("Received[Usage]", received("usage", **fields))


def verdict(**fields: Any) -> Received[Verdict]:
    """Make a verdict as a machine gets it; see ``received``."""
    return cast("Received[Verdict]", received("verdict", **fields))


def decision(tag: str, /, **fields: Any) -> Received[AnyDecision]:
    """Make a decision as a machine gets it; see ``received``."""
    return cast("Received[AnyDecision]", received(tag, **fields))


def reply(**fields: Any) -> Received[Reply]:
    """Make a person's reply as a machine gets it; see ``received``."""
    return cast("Received[Reply]", received("reply", **fields))


def command(**fields: Any) -> Received[Command]:
    """Make a person's command as a machine gets it; see ``received``."""
    return cast("Received[Command]", received("command", **fields))


Given = Received[AnyEnvelope] | Malformed | Tick | CatalogChanged | HealthChanged | Undeliverable


def _signer(record: Envelope) -> str:
    if isinstance(record, AnyCrossing):
        return f"agent:{record.source.agent}"
    if isinstance(record, Reply | Command):
        return f"person:{record.person}"
    return ""


def _key(record: Envelope) -> str:
    task = getattr(record, "task", None)
    return str(task) if task else str(getattr(record, "instance", "none"))
