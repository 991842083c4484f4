"""
Write ``contracts/wire/vectors.json``: records in full, for authors of agents in other languages.

Run ``python libs/seamwork/tests/records/make_vectors.py`` after a deliberate change of the wire; the test reads the
committed file both ways and never calls this.
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from seamwork.contracts.counters import COUNTERS
from seamwork.contracts.projection import cut, delivered
from seamwork.grants.keys import SigningKey
from seamwork.ids import (
    accompaniment_id,
    answer_id,
    child_id,
    derived,
    dispatch_id,
    plan_id,
    request_id,
    sha256_hex,
    uuid7,
)
from seamwork.records.authority import Authority, Constraint, Spent
from seamwork.records.base import Envelope
from seamwork.records.crossing import (
    CarriedStamp,
    Handoff,
    Plan,
    Progress,
    Result,
    StepState,
    Subtask,
    ToolOutput,
    Usage,
)
from seamwork.records.delivery import TakenIn
from seamwork.records.inbox import Answer, Notice, Work
from seamwork.records.parties import AgentRef, ContractRef, Position, Revision, Subject, Target
from seamwork.records.partition import partition_of
from seamwork.records.people import Reply
from seamwork.records.platform import Heartbeat
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Outgoing, base64_text, compose, record_digest

PLATFORM = "01936f2e-0000-7000-8000-000000000001"
TASK = "01936f2e-0000-7000-8000-0000000000aa"
ROOT = "01936f2e-0000-7000-8000-0000000000ab"
# Seeds that open nothing stand in the vectors too: whoever signs with them must get these very signatures.
SEEDS = {
    "agent-planner-1": bytes(range(32)),
    "router-1": bytes(range(32, 64)),
    "person-ada-1": bytes(range(64, 96)),
}
AGENT, ROUTER, PERSON = (SigningKey(kid, seed) for kid, seed in SEEDS.items())
INTENT = "Prüfe die Lizenzen — “all of them” 🧾"
NOW = 1_767_225_600_000
WORDY = "01936f2e-0000-7000-8000-0000000000ac"
WHOLE = '{"distribution": "example", "note": "not for you", "version": "1.0"}'
PROJECTION = ("/note",)
_PROJECTIONS = (
    (WHOLE, list(PROJECTION)),
    ('{ "a": [ {"b":1.10, "x": "}"}, {"x":[1,{"b":2}] , "b":2} ], "c": 1e2 }', ["/a/0/x", "/a/1/x"]),
    ('{"a~b/c":1,"\\u0061":{"x":{}}}', ["/a~0b~1c", "/a/x"]),
    ('{"x":1}', ["/x"]),
)
PARTS = ContractRef(name="parse-metadata", version="1.0.0")
PLANNER = AgentRef(agent="planner", version="1.0.0")


def main(path: Path) -> None:
    """Write the vectors to *path*."""
    vectors = {
        "about": "Byte-exact records; every text is UTF-8 of what travels, signatures and keys are base64.",
        "keys": {
            key.kid: {"public": key.public, "seed": base64_text(SEEDS[key.kid])}
            for key in (AGENT, ROUTER, PERSON)
        },
        "partitions": [
            {"key": key, "of_4": partition_of(key.encode(), 4), "of_12": partition_of(key.encode(), 12)}
            for key in ("", "a", "ab", "abc", "abcd", "21", "foobar", TASK, "ключ", "x" * 37)
        ],
        "ids": _ids(),
        "projections": [
            {"payload": payload, "projection": projection, "is": cut(payload.encode(), projection).decode()}
            for payload, projection in _PROJECTIONS
        ],
        "counters": [
            {"counter": name, "payload": WHOLE, "is": count(WHOLE.encode())}
            for name, count in COUNTERS.items()
        ],
        "records": [_vector(name, key, outgoing) for name, key, outgoing in _records()],
    }
    path.write_text(json.dumps(vectors, indent=2, ensure_ascii=True) + "\n")


def _ids() -> list[dict[str, Any]]:
    return [
        {
            "make": "uuid7",
            "from": [NOW, "000102030405060708ff"],
            "is": uuid7(NOW, bytes.fromhex("000102030405060708ff")),
        },
        {"make": "derived", "from": ["child", "p", "a", "s", 0], "is": derived("child", "p", "a", "s", 0)},
        {
            "make": "child_id",
            "from": [ROOT, "planner", "parse", 3],
            "is": child_id(ROOT, "planner", "parse", 3),
        },
        {"make": "answer_id", "from": ["dispatch", 1], "is": answer_id("dispatch", 1)},
        {"make": "plan_id", "from": [ROOT, "planner", 0], "is": plan_id(ROOT, "planner", 0)},
        {
            "make": "accompaniment_id",
            "from": ["dispatch", "usage", 2],
            "is": accompaniment_id("dispatch", "usage", 2),
        },
        {"make": "dispatch_id", "from": [ROOT, 2, 17, 1], "is": dispatch_id(ROOT, 2, 17, 1)},
        {"make": "request_id", "from": [2, 17, "ab" * 32], "is": request_id(2, 17, "ab" * 32)},
    ]


def _records() -> list[tuple[str, SigningKey | None, Outgoing]]:
    body = b'{"distribution":"example","version":"1.0"}'
    root = Handoff(
        id=ROOT, task=TASK, source=AgentRef(agent="operator", version="1.0.0"), intent=INTENT,
        intent_sha256=sha256_hex(INTENT.encode()), payload_sha256=sha256_hex(body), payload_bytes=len(body),
        sent_at=NOW, expires_at=NOW + 3_600_000, step="root", contract=ContractRef(name="audit", version="1.0.0"),
        target=Target(agent="planner", versions=">=1 <2"), ceiling_micro_usd=50_000, deadline_at=NOW + 600_000,
        authority=Authority(tools=("fs.read",), effects=("accept-copyleft",), depth=3),
    )  # fmt: skip
    out_root = compose(PLATFORM, "handoffs.v1", TASK, root, payload=body, signer=AGENT)
    digest = record_digest(PLATFORM, "handoffs.v1", TASK.encode(), _header(out_root, "sw_envelope"))
    dispatch = dispatch_id(ROOT, 1, 42, 1)
    work = Work(
        platform=PLATFORM, task=TASK, crossing=ROOT, position=Position(partition=1, offset=42), digest=digest,
        dispatch=dispatch, attempt=1, mode="delegate", agent="planner", version="1.0.0",
        contract=ContractRef(name="audit", version="1.0.0"),
        authority=Authority(tools=("fs.read",), effects=("accept-copyleft",), depth=3),
        constraints=(Constraint(name="region", value="eu"),), ceiling_micro_usd=50_000, issued_at=NOW + 5,
        not_after=NOW + 600_000, intent_sha256=root.intent_sha256,
        initiator=AgentRef(agent="operator", version="1.0.0"), lineage=("operator",), tenant="acme",
        team="platform", labels={"stage": "test"}, budgets=("audit-task",),
    )  # fmt: skip
    out_work = compose(
        PLATFORM, "inbox.planner.v1", TASK, work, payload=body, signer=ROUTER, extra=_beside(out_root)
    )
    stamp = CarriedStamp(
        envelope=_header(out_work, "sw_envelope").decode(),
        kid="router-1",
        sig=_header(out_work, "sw_sig").decode(),
    )
    child = Handoff(
        id=child_id(ROOT, "planner", "parse", 0), task=TASK, source=PLANNER, intent=INTENT,
        intent_sha256=root.intent_sha256, payload_sha256=sha256_hex(body), payload_bytes=len(body),
        sent_at=NOW + 20, expires_at=NOW + 600_000, stamp=stamp, model="none", parent=ROOT, step="parse",
        contract=PARTS, target=Target(capability="parse"), ceiling_micro_usd=100,
        steps=(StepState(name="plan", state="completed", by="planner"),),
        tool_outputs=(ToolOutput(tool="fs.read", call="1", value={"bytes": 12}),),
        constraints=(Constraint(name="region", value="eu"),), deadline_at=NOW + 300_000,
    )  # fmt: skip
    took = TakenIn(sha256=sha256_hex(body), bytes=len(body))
    answer_body = b'{"findings":[]}'
    result = Result(
        id=answer_id(dispatch, 0), task=TASK, source=PLANNER, intent=INTENT, intent_sha256=root.intent_sha256,
        payload_sha256=sha256_hex(answer_body), payload_bytes=len(answer_body), sent_at=NOW + 90,
        expires_at=NOW + 600_000, stamp=stamp, parent=ROOT, dispatch=dispatch,
        contract=ContractRef(name="audit", version="1.0.0"), outcome="partial",
        constraints=(Constraint(name="region", value="eu"),), spent=Spent(micro_usd=None, requests=3), took=took,
    )  # fmt: skip
    out_result = compose(PLATFORM, "handoffs.v1", TASK, result, payload=answer_body, signer=AGENT)
    result_digest = record_digest(PLATFORM, "handoffs.v1", TASK.encode(), _header(out_result, "sw_envelope"))
    empty = sha256_hex(b"")
    plan = Plan(
        id=plan_id(ROOT, "planner", 0), task=TASK, source=PLANNER, intent=INTENT,
        intent_sha256=root.intent_sha256, payload_sha256=empty, payload_bytes=0, sent_at=NOW + 10,
        expires_at=NOW + 600_000, stamp=stamp, parent=ROOT, dispatch=dispatch,
        contract=ContractRef(name="audit", version="1.0.0"), constraints=(Constraint(name="region", value="eu"),),
        subtasks=(
            Subtask(step="parse", contract=PARTS, target=Target(capability="parse")),
            Subtask(step="sum", contract=PARTS, target=Target(agent="adder"), after=("parse",), critical=False),
        ),
    )  # fmt: skip
    progress = Progress(
        id=accompaniment_id(dispatch, "progress", 0), task=TASK, source=PLANNER, intent=INTENT,
        intent_sha256=root.intent_sha256, payload_sha256=empty, payload_bytes=0, sent_at=NOW + 30,
        expires_at=NOW + 600_000, stamp=stamp, dispatch=dispatch, ordinal=0, note="started", accepted_work=True,
        took=took,
    )  # fmt: skip
    usage = Usage(
        id=accompaniment_id(dispatch, "usage", 0), task=TASK, source=PLANNER, intent=INTENT,
        intent_sha256=root.intent_sha256, payload_sha256=empty, payload_bytes=0, sent_at=NOW + 40,
        expires_at=NOW + 600_000, stamp=stamp, dispatch=dispatch, ordinal=0,
        spent=Spent(micro_usd=120, input_tokens=10, output_tokens=2, requests=1),
    )  # fmt: skip
    subject = Subject(partition=1, offset=42, digest=digest, attempt=1)
    verdict = Verdict(
        gate="contract-validator", gate_version="1.0.0", subject=subject, task=TASK, crossing=ROOT, outcome="ALLOW",
        rule="holds", reason="schema and 2 rules hold", candidates=(PLANNER,),
        revision=Revision(contracts=7, registry=9), judged_at=NOW + 3, sender_verified=True,
    )  # fmt: skip
    answer = Answer(
        task=TASK, agent="operator", version="1.0.0", child=ROOT, step="root", ordinal=0, result=result.id,
        position=Position(partition=1, offset=50), digest=result_digest, outcome="partial",
        contract=ContractRef(name="audit", version="1.0.0"), issued_at=NOW + 100,
    )  # fmt: skip
    notice = Notice(
        id=derived("notice", "x"), task=TASK, agent="planner", version="1.0.0", what="refused", about=child.id,
        dispatch=dispatch, step="parse", ordinal=0, gate="contract-validator", rule="schema",
        reason="/version: is required", issued_at=NOW + 60,
    )  # fmt: skip
    reply = Reply(
        id="r-1", request=request_id(1, 42, "ab" * 32), task=TASK, action_sha256="ab" * 32, person="ada",
        answer="approve", note="seen", answered_at=NOW + 70,
    )  # fmt: skip

    out_answer = compose(
        PLATFORM,
        "inbox.operator.v1",
        TASK,
        answer,
        payload=answer_body,
        signer=ROUTER,
        extra=_beside(out_result),
    )
    instance = "planner-1.0.0-host-4711"
    heartbeat = Heartbeat(
        instance=instance, name="planner", kind="agent", version="1.0.0", state="ready", sent_at=NOW + 5_000,
        every_ms=5_000, in_flight=1, partitions=(0,),
    )  # fmt: skip
    out_heartbeat = compose(PLATFORM, "heartbeats.v1", instance, heartbeat, signer=AGENT)

    def made(topic: str, record: Envelope, payload: bytes, signer: SigningKey | None) -> Outgoing:
        return compose(PLATFORM, topic, TASK, record, payload=payload, signer=signer)

    whole = WHOLE.encode()
    part = delivered(whole, PROJECTION, "words", COUNTERS["words"](cut(whole, PROJECTION)))
    wordy = msgspec.structs.replace(
        root, id=WORDY, payload_sha256=sha256_hex(whole), payload_bytes=len(whole)
    )
    out_wordy = compose(PLATFORM, "handoffs.v1", TASK, wordy, payload=whole, signer=AGENT)
    lean = msgspec.structs.replace(
        work, crossing=WORDY, dispatch=dispatch_id(WORDY, 1, 43, 1), position=Position(partition=1, offset=43),
        digest=record_digest(PLATFORM, "handoffs.v1", TASK.encode(), _header(out_wordy, "sw_envelope")),
        delivered=part,
    )  # fmt: skip
    out_lean = compose(
        PLATFORM, "inbox.planner.v1", TASK, lean, payload=cut(whole, PROJECTION), signer=ROUTER,
        extra=_beside(out_wordy),
    )  # fmt: skip
    accepted = msgspec.structs.replace(
        progress, id=accompaniment_id(lean.dispatch, "progress", 0), dispatch=lean.dispatch,
        stamp=CarriedStamp(
            envelope=_header(out_lean, "sw_envelope").decode(), kid="router-1",
            sig=_header(out_lean, "sw_sig").decode(),
        ),
        took=TakenIn(sha256=part.sha256, bytes=part.bytes, tokens=part.tokens),
    )  # fmt: skip

    return [
        ("a root handoff", AGENT, out_root),
        ("the work it becomes, whose envelope is the stamp", ROUTER, out_work),
        ("a child handoff that carries the stamp", AGENT, made("handoffs.v1", child, body, AGENT)),
        ("a partial result", AGENT, out_result),
        ("a plan", AGENT, made("handoffs.v1", plan, b"", AGENT)),
        ("progress", AGENT, made("handoffs.v1", progress, b"", AGENT)),
        ("usage", AGENT, made("handoffs.v1", usage, b"", AGENT)),
        ("a verdict", None, made("verdicts.contract-validator.v1", verdict, b"", None)),
        ("an answer", ROUTER, out_answer),
        ("a notice", ROUTER, made("inbox.planner.v1", notice, b"", ROUTER)),
        ("a person's reply", PERSON, made("answers.v1", reply, b"", PERSON)),
        ("a heartbeat", AGENT, out_heartbeat),
        ("a handoff with a field that its contract strips", AGENT, out_wordy),
        ("work of which that field was cut out", ROUTER, out_lean),
        ("the acceptance of that work", AGENT, made("handoffs.v1", accepted, b"", AGENT)),
    ]


def _beside(crossing: Outgoing) -> tuple[tuple[str, bytes], ...]:
    """Return the headers in which a crossing travels beside a record of the router's."""
    named = (("sw_crossing", "sw_envelope"), ("sw_crossing_sig", "sw_sig"), ("sw_crossing_kid", "sw_kid"))
    return tuple((name, _header(crossing, source)) for name, source in named)


def _header(outgoing: Outgoing, name: str) -> bytes:
    value = dict(outgoing.headers)[name]
    if value is None:
        raise ValueError(name)
    return value


def _vector(name: str, signer: SigningKey | None, outgoing: Outgoing) -> dict[str, Any]:
    envelope = _header(outgoing, "sw_envelope")
    return {
        "name": name,
        "platform": PLATFORM,
        "topic": outgoing.topic,
        "key": outgoing.key.decode(),
        "signer": signer.kid if signer else None,
        "headers": [[header, (value or b"").decode()] for header, value in outgoing.headers],
        "body": (outgoing.value or b"").decode(),
        "fields": json.loads(envelope),
        "digest": record_digest(PLATFORM, outgoing.topic, outgoing.key, envelope),
    }


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[4]
    main(root / "contracts" / "wire" / "vectors.json")
    sys.stdout.write("wrote contracts/wire/vectors.json\n")
