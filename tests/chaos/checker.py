"""
Hold a whole log against what was promised: nothing lost, nothing twice, nothing unadmitted, all of it in the audit.

Knows records by their JSON and the journal protocol by its rules; shares no code with the services.
"""

import base64
import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from tests.chaos.readings import Record, Whole

GATES = frozenset({"contract-validator", "policy-engine", "cost-cap"})
ADMITTING = frozenset({"ALLOW", "ALLOW_WITH_CONSTRAINTS"})
ASKING = "REQUIRE_APPROVAL"
_CROSSINGS = ("handoff", "result")
_LAST = ("refused", "accepted", "dispatched", "closed", "escalated")
_SIGNED = b"application/vnd.seamwork.record.v1"
_UNAUDITED = ("audit.", "heartbeats.", "snapshots.")
_ROWS = (
    'SELECT leaf, topic, "partition", "offset", key, value, value_bytes, value_sha256, headers, envelope '
    "FROM records ORDER BY leaf"
)
KEPT_BYTES = 2 * 1024 * 1024
"""Bodies up to this size the audit sink keeps whole, unless its settings say otherwise."""
_GRANTED_MS = 1000
"""Between an agent's look at its inbox and its function's first line a word may still come."""


@dataclass
class Found:
    """What the log tells: counts, and sentences about what must not be."""

    sent: int = 0
    in_log: int = 0
    admitted: int = 0
    refused: int = 0
    tasks: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    stale_commits: int = 0
    claims: int = 0
    duplicates_of_bytes: int = 0
    runs: int = 0
    runs_again: int = 0
    audited: int = 0
    poisoned: int = 0
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    unadmitted: list[str] = field(default_factory=list)
    unaudited: list[str] = field(default_factory=list)
    broken_journal: list[str] = field(default_factory=list)
    wrong_answers: list[str] = field(default_factory=list)
    ran_after_end: list[str] = field(default_factory=list)
    approved: int = 0
    spent_micro_usd: int = 0
    wrong_money: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """Every sentence about what must not be."""
        return [
            *self.lost, *self.repeated, *self.unadmitted, *self.unaudited, *self.broken_journal,
            *self.wrong_answers, *self.ran_after_end, *self.wrong_money,
        ]  # fmt: skip


def check(
    whole: Whole, audit: Path, sent: Collection[str], notes: Iterable[str] = (), chief: str = ""
) -> Found:
    """
    Check everything.

    Args:
        whole: The log, read to its end after everything stopped.
        audit: The audit sink's database.
        sent: The ids of the crossings that were confirmed to the load.
        notes: What agents noted of each run: time, dispatch, key.
        chief: The initiator whose answers are known beforehand.
    """
    found = Found(sent=len(sent))
    decisions = whole.of("decisions.v1")
    _crossings(whole, decisions, sent, found)
    _once(decisions, found)
    _same_bytes(whole, found)
    _admission(whole, decisions, found)
    _journals(whole, found)
    _money(whole, decisions, found)
    _audit(whole, audit, found)
    _runs(whole, decisions, notes, found)
    if chief:
        _answers(whole, chief, found)
    return found


def _crossings(whole: Whole, decisions: list[Record], sent: Collection[str], found: Found) -> None:
    crossings = {r.says["id"]: r for r in whole.of("handoffs.v1") if r.kind in _CROSSINGS and "id" in r.says}
    decided: dict[str, set[str]] = defaultdict(set)
    for record in decisions:
        if "crossing" in record.says:
            decided[record.says["crossing"]].add(record.kind)
    found.poisoned = len({(r.says["topic"], str(r.says["position"])) for r in whole.of("dead-letters.v1")})
    ended = {r.says["task"]: r for r in decisions if r.kind == "task-ended"}
    found.in_log = len(crossings)
    found.admitted = sum("dispatched" in kinds or "accepted" in kinds for kinds in decided.values())
    found.refused = sum("refused" in kinds for kinds in decided.values())
    found.lost += [f"{one} was confirmed and is not in the log" for one in sent if one not in crossings]
    found.lost += [
        f"{record.at}: {record.kind} {one} was never decided"
        for one, record in crossings.items()
        if not decided[one] & set(_LAST)
    ]
    roots = {r.says["task"] for r in crossings.values() if r.kind == "handoff" and "stamp" not in r.says}
    found.tasks = len(roots)
    found.lost += [f"task {task} never ended" for task in roots if task not in ended]
    for record in ended.values():
        outcome = record.says["outcome"]
        found.outcomes[outcome] = found.outcomes.get(outcome, 0) + 1


def _once(decisions: list[Record], found: Found) -> None:
    accepted: dict[str, set[str]] = defaultdict(set)
    dispatched: dict[tuple[str, int], set[str]] = defaultdict(set)
    ends: dict[str, set[str]] = defaultdict(set)
    for record in decisions:
        says = record.says
        text = json.dumps(says, sort_keys=True)
        if record.kind == "accepted":
            accepted[says["dispatch"]].add(text)
        elif record.kind == "dispatched":
            dispatched[says["crossing"], says["subject"].get("attempt", 1)].add(text)
        elif record.kind == "task-ended":
            ends[says["task"]].add(text)
    for what, groups in (("accepted", accepted), ("dispatched", dispatched), ("task-ended", ends)):
        found.repeated += [f"{what} twice: {key}" for key, texts in groups.items() if len(texts) > 1]


def _same_bytes(whole: Whole, found: Found) -> None:
    """Whatever is published again, by whichever machine and to whichever topic, is published as it was."""
    marks: dict[str, tuple[Any, ...]] = {}
    for record in whole.matching(""):
        mark = record.source
        if mark is None:
            continue
        content = (record.topic, record.partition, record.key, record.value, record.headers)
        found.duplicates_of_bytes += record.topic == "decisions.v1" and mark in marks
        if marks.setdefault(mark, content) != content:
            found.repeated.append(f"{record.at}: {mark} was published twice with different bytes")


def _admission(whole: Whole, decisions: list[Record], found: Found) -> None:
    by_dispatch = {r.says["dispatch"]: r for r in decisions if r.kind == "dispatched"}
    lenient = _lenient(whole)
    verdicts = _verdicts(whole, lenient=lenient)
    crossings = {(r.partition, r.offset): r for r in whole.of("handoffs.v1")}
    agreed = _agreed(whole)
    held = {_action(r.says): r.says["action_sha256"] for r in decisions if r.kind == "held"}
    asked = {
        (r.says["crossing"], r.says["subject"].get("attempt", 1)): r.says["gates"]
        for r in decisions
        if r.kind == "judge-again"
    }
    for work in whole.matching("inbox."):
        if work.kind != "work":
            continue
        decision = by_dispatch.get(work.says["dispatch"])
        if decision is None:
            found.unadmitted.append(f"{work.at}: work without a decision")
            continue
        modes = {said.get("enforcement", "enforce") for said in (work.says, decision.says)}
        if modes != {"enforce"} and not lenient:
            found.unadmitted.append(f"{work.at}: ungoverned, and no flow says so")
        subject = decision.says["subject"]
        crossing = crossings.get((subject["partition"], subject["offset"]))
        if crossing is None or crossing.says.get("id") != work.says["crossing"]:
            found.unadmitted.append(f"{work.at}: its crossing does not lie where the decision says")
        elif crossing.value != work.value:
            found.unadmitted.append(f"{work.at}: delivered other bytes than were judged")
        for gate in GATES:
            # After a retry a gate that was not asked again keeps its verdict on the attempt before.
            attempt = subject.get("attempt", 1)
            while attempt > 1 and gate not in asked.get((work.says["crossing"], attempt), ()):
                attempt -= 1
            last = verdicts.get(_subject(gate, {**subject, "attempt": attempt}))
            if last == ASKING:
                found.approved += 1
                if held.get(_action(decision.says)) not in agreed:
                    found.unadmitted.append(f"{work.at}: nobody agreed to it")
            elif last not in ADMITTING:
                found.unadmitted.append(f"{work.at}: {gate} said {last} of it")


def _action(says: dict[str, Any]) -> str:
    """Name what a decision holds, or dispatches: this record, to this receiver, by this authority, so bound."""
    parts = (
        says["subject"]["digest"],
        *(says.get(part) for part in ("receiver", "authority", "constraints")),
    )
    return json.dumps(parts, sort_keys=True)


def _agreed(whole: Whole) -> set[str]:
    """Return the actions that somebody has approved under a key of their own document."""
    keys = {
        (r.says["name"], key["kid"]): key["public"]
        for r in whole.of("registry.v1")
        if r.kind == "document" and r.says.get("kind") == "Person"
        for key in [json.loads(r.value or b"{}")["spec"]["key"]]
    }
    platform = next((r.says["platform"] for r in whole.matching("inbox.") if "platform" in r.says), "")
    return {
        r.says["action_sha256"]
        for r in whole.of("answers.v1")
        if r.says.get("answer") == "approve" and _signed(r, platform, keys)
    }


def _signed(record: Record, platform: str, keys: dict[tuple[str, str], str]) -> bool:
    """Say whether the person whom an answer names has signed it: DSSE's encoding of what binds a record."""
    headers = dict(record.headers)
    envelope, kid, sig = (headers.get(name) or b"" for name in ("sw_envelope", "sw_kid", "sw_sig"))
    public = keys.get((record.says["person"], kid.decode()))
    parts = (_SIGNED, platform.encode(), record.topic.encode(), record.key or b"", envelope)
    data = b"DSSEv1" + b"".join(b" %d %b" % (len(part), part) for part in parts)
    try:
        VerifyKey(base64.b64decode(public or "")).verify(data, base64.b64decode(sig))
    except (BadSignatureError, ValueError):
        return False
    return True


def _lenient(whole: Whole) -> bool:
    """Say whether any flow is not enforced; which was in force when is the simulator's to check."""
    return any(
        json.loads(record.value or b"{}")["spec"].get("mode", "enforce") != "enforce"
        for record in whole.of("registry.v1")
        if record.kind == "document" and record.says.get("kind") == "Flow"
    )


def _verdicts(whole: Whole, *, lenient: bool) -> dict[tuple[str, int, int, str, int], str]:
    """Return what each verdict counts as, the first on each attempt; what guards money is never spared."""
    found: dict[tuple[str, int, int, str, int], str] = {}
    for record in whole.matching("verdicts."):
        gate = record.topic.split(".")[1]
        if record.kind == "verdict":
            spared = record.says.get("spared") if lenient and gate != "cost-cap" else None
            counts = record.says["outcome"] if spared is None else spared.get("outcome", "ALLOW")
            found.setdefault(_subject(gate, record.says["subject"]), counts)
    return found


def _subject(gate: str, subject: dict[str, Any]) -> tuple[str, int, int, str, int]:
    return (gate, subject["partition"], subject["offset"], subject["digest"], subject.get("attempt", 1))


def _journals(whole: Whole, found: Found) -> None:
    promised: dict[str, str] = {}
    for (topic, partition), records in whole.records.items():
        if topic.startswith("journal."):
            promised |= _promised(f"{topic}/{partition}", records, found)
    published = defaultdict(set)
    for record in whole.matching(""):
        if record.source is not None:
            published[record.source].add(record.topic)
            if record.source not in promised:
                found.repeated.append(f"{record.at}: published by no valid commit ({record.source})")
    found.lost += [f"{mark} was never published" for mark in promised if mark not in published]
    found.broken_journal += [
        f"{mark} was promised to {promised[mark]} and lies in {topics}"
        for mark, topics in published.items()
        if mark in promised and topics != {promised[mark]}
    ]


def _counting(records: list[Record]) -> Iterator[tuple[Record, dict[str, Any], bool | None]]:
    """Read one journal by its rule: true with commits that count, false with others, null with claims."""
    epoch, last = None, 0
    for record in records:
        says = json.loads(record.value or b"{}")
        if says.get("type") == "claim":
            epoch, last = record.offset, 0
            yield record, says, None
        elif says.get("epoch") == epoch and says.get("seq") == last + 1:
            last += 1
            yield record, says, True
        else:
            yield record, says, False


def _promised(stem: str, records: list[Record], found: Found) -> dict[str, str]:
    """Return the outputs of the commits of one journal that count."""
    promised: dict[str, str] = {}
    positions: dict[str, int] = {}
    for record, says, counts in _counting(records):
        found.claims += counts is None
        found.stale_commits += counts is False
        if not counts:
            continue
        for place, offset in says["positions"].items():
            if offset < positions.get(place, 0):
                found.broken_journal.append(f"{record.at}: its position in {place} went back")
            positions[place] = offset
        for index, output in enumerate(says.get("outputs", ())):
            promised[f"{stem}/{says['epoch']}/{says['seq']}/{index}"] = output["topic"]
    return promised


def _money(whole: Whole, decisions: list[Record], found: Found) -> None:
    """Hold what the cost cap settled against what the accepted results say that was spent: once each."""
    settled: dict[str, list[int | None]] = defaultdict(list)
    for (topic, _), records in whole.records.items():
        if topic != "journal.cost-cap.v1":
            continue
        for _, says, counts in _counting(records):
            for event in says.get("events", ()) if counts else ():
                if event["type"] == "settled":
                    settled[event["dispatch"]].append(event["micro_usd"])
    results = {(r.partition, r.offset): r.says for r in whole.of("handoffs.v1") if r.kind == "result"}
    accepted = {r.says["dispatch"]: r.says["subject"] for r in decisions if r.kind == "accepted"}
    for dispatch, subject in accepted.items():
        result = results.get((subject["partition"], subject["offset"]), {})
        spent = (result.get("spent") or {}).get("micro_usd")
        found.spent_micro_usd += spent or 0
        if settled[dispatch] != [spent]:
            found.wrong_money.append(
                f"dispatch {dispatch} spent {spent} and was settled as {settled[dispatch]}"
            )


def _audit(whole: Whole, database: Path, found: Found) -> None:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as base:
        rows = base.execute(_ROWS).fetchall()
        if base.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            found.unaudited.append("the audit's database is damaged")
    found.audited = len(rows)
    kept: dict[tuple[str, int, int], tuple[Any, ...]] = {}
    reached: dict[tuple[str, int], int] = {}
    for number, (leaf, topic, partition, offset, *rest) in enumerate(rows):
        if leaf != number:
            found.unaudited.append(f"leaf {number} is missing")
            break
        if offset <= reached.get((topic, partition), -1):
            found.unaudited.append(f"{topic}/{partition}/{offset} was taken in behind its successor")
        reached[topic, partition] = offset
        kept[topic, partition, offset] = tuple(rest)
    for record in whole.matching(""):
        if record.topic.startswith(_UNAUDITED):
            continue
        row = kept.pop((record.topic, record.partition, record.offset), None)
        if row is None:
            found.unaudited.append(f"{record.at} is not in the audit")
        elif not _is_kept(record, *row):
            found.unaudited.append(f"{record.at} is otherwise in the audit")
    found.unaudited += [f"{place} is in the audit and not in the log" for place in kept]


def _is_kept(  # a row has that many columns
    record: Record,
    key: bytes | None,
    value: bytes | None,
    size: int | None,
    sha256: str,
    packed: bytes,
    envelope: str | None,
) -> bool:
    """Hold a row against its record; of a body that is too large to keep its length and digest are there."""
    body = record.value or b""
    same = (key, size, sha256) == (
        record.key,
        None if record.value is None else len(body),
        hashlib.sha256(body).hexdigest(),
    )
    # A header without a value is the envelope, which has a column of its own.
    whole = (envelope or "").encode("ascii")
    headers = tuple((one[0], one[1] if len(one) > 1 else whole) for one in msgspec.msgpack.decode(packed))
    lost = value is None and len(body) > KEPT_BYTES
    return same and headers == record.headers and (lost or value == record.value)


def _runs(whole: Whole, decisions: list[Record], notes: Iterable[str], found: Found) -> None:
    """Hold what ran against the word, in the agent's inbox, that its result was accepted: that ends a dispatch."""
    results = {
        record.says["crossing"]: record.says["dispatch"] for record in decisions if record.kind == "accepted"
    }
    accepted: dict[str, int] = {}
    for record in whole.matching("inbox."):
        dispatch = results.get(record.says.get("about", "")) if record.kind == "notice" else None
        if dispatch is not None and record.says["what"] == "accepted":
            accepted.setdefault(dispatch, record.appended_at)
    seen: dict[str, str] = {}
    for line in notes:
        at, dispatch, key = line.split()
        found.runs += 1
        found.runs_again += dispatch in seen
        if seen.setdefault(dispatch, key) != key:
            found.ran_after_end.append(f"dispatch {dispatch} had two idempotency keys")
        if dispatch in accepted and int(at) > accepted[dispatch] + _GRANTED_MS:
            found.ran_after_end.append(f"dispatch {dispatch} ran again after its result was accepted")


def _answers(whole: Whole, chief: str, found: Found) -> None:
    asked = {
        r.says["id"]: {**json.loads(r.value or b"{}"), "task": r.says["task"]}
        for r in whole.of("handoffs.v1")
        if r.kind == "handoff" and r.says.get("source", {}).get("agent") == chief
    }
    ends = {r.says["task"]: r.says["outcome"] for r in whole.of("decisions.v1") if r.kind == "task-ended"}
    left = {name for name, request in asked.items() if ends.get(request["task"]) == "complete"}
    for record in whole.of(f"inbox.{chief}.v1"):
        if record.kind != "answer" or record.says["outcome"] != "success":
            continue
        left.discard(record.says["child"])
        request = asked.get(record.says["child"], {"parts": 0})
        right = sum(n * n for n in range(int(request["parts"])))
        if json.loads(record.value or b"{}") != {"sum": right}:
            found.wrong_answers.append(f"{record.at} has another sum than was asked for")
    found.wrong_answers += [f"{name} is complete, and its answer has reached nobody" for name in sorted(left)]
