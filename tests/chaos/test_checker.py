"""The checker finds each thing that must not be: a check that nothing fails proves nothing."""

import base64
import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nacl.signing import SigningKey
from tests.chaos.checker import GATES, KEPT_BYTES, check
from tests.chaos.readings import Record, Whole

SUBJECT = {"partition": 0, "offset": 0, "digest": "d"}
MARK = "journal.router.v1/0/0/1/0"
PLATFORM = "p"
CLERK = SigningKey(b"c" * 32)
ACTION: dict[str, Any] = {"receiver": {"agent": "worker"}, "authority": {"depth": 1}}


def said(topic: str, offset: int, value: bytes = b"", source: str | None = None, **says: Any) -> Record:
    """Write a record of the story."""
    headers: list[tuple[str, bytes | None]] = [("sw_envelope", json.dumps(says).encode())]
    if source is not None:
        headers.append(("sw_src", source.encode()))
    return Record(topic, 0, offset, 1000 + offset, b"t", value, tuple(headers))


def settled(seq: int, micro_usd: int) -> dict[str, Any]:
    """Write a commit of the cost cap."""
    event = {"type": "settled", "dispatch": "x", "micro_usd": micro_usd, "why": "accepted"}
    return {"type": "commit", "epoch": 0, "seq": seq, "positions": {}, "events": [event]}


def asked(told: list[Record], *answers: Record, action: dict[str, Any] = ACTION) -> list[Record]:
    """Let the policy engine ask for a person, and these answer."""
    topic = "verdicts.policy-engine.v1"
    vote = said(topic, 0, type="verdict", subject=SUBJECT, outcome="REQUIRE_APPROVAL")
    held = said("decisions.v1", 9, type="held", crossing="h", subject=SUBJECT, action_sha256="a", **action)
    public = base64.b64encode(bytes(CLERK.verify_key)).decode()
    document = json.dumps({"spec": {"key": {"kid": "clerk", "public": public}}}).encode()
    person = said("registry.v1", 0, document, type="document", kind="Person", name="clerk")
    return [*without(told, topic, "verdict"), vote, held, person, *answers]


def agreed(action: str = "a", signer: SigningKey = CLERK) -> Record:
    """Let the clerk agree to an action."""
    says = json.dumps(
        {"type": "reply", "answer": "approve", "action_sha256": action, "person": "clerk"}
    ).encode()
    parts = (b"application/vnd.seamwork.record.v1", PLATFORM.encode(), b"answers.v1", b"t", says)
    signed = signer.sign(b"DSSEv1" + b"".join(b" %d %b" % (len(part), part) for part in parts)).signature
    headers = (("sw_envelope", says), ("sw_kid", b"clerk"), ("sw_sig", base64.b64encode(signed)))
    return Record("answers.v1", 0, 0, 1000, b"t", b"", headers)


def story() -> list[Record]:
    """Tell of one task that went as it should."""
    commit = {"type": "commit", "epoch": 0, "seq": 1, "positions": {"handoffs.v1/0": 1}}
    commit |= {"outputs": [{"topic": "decisions.v1"}]}
    return [
        said("handoffs.v1", 0, b"{}", type="handoff", id="h", task="t"),
        said("handoffs.v1", 1, type="result", id="r", task="t", spent={"micro_usd": 7}),
        *(
            said(f"verdicts.{gate}.v1", 0, type="verdict", subject=SUBJECT, outcome="ALLOW")
            for gate in sorted(GATES)
        ),
        Record("journal.router.v1", 0, 0, 1000, None, b'{"type":"claim"}'),
        Record("journal.router.v1", 0, 1, 1001, None, json.dumps(commit).encode()),
        said(
            "decisions.v1",
            0,
            source=MARK,
            type="dispatched",
            crossing="h",
            dispatch="x",
            subject=SUBJECT,
            **ACTION,
        ),
        said("inbox.worker.v1", 0, b"{}", type="work", crossing="h", dispatch="x", platform=PLATFORM),
        said(
            "decisions.v1", 1, type="accepted", crossing="r", dispatch="x", subject={**SUBJECT, "offset": 1}
        ),
        said("inbox.worker.v1", 1, type="notice", what="accepted", about="r", dispatch="x"),
        Record("journal.cost-cap.v1", 0, 0, 1000, None, b'{"type":"claim"}'),
        Record("journal.cost-cap.v1", 0, 1, 1002, None, json.dumps(settled(1, 7)).encode()),
        said("decisions.v1", 2, type="task-ended", task="t", outcome="complete"),
    ]


def row(number: int, record: Record) -> tuple[Any, ...]:
    """Return what the audit keeps of a record."""
    headers = msgspec.msgpack.encode(
        [[name] if name == "sw_envelope" else [name, value] for name, value in record.headers]
    )
    body, envelope = record.value or b"", dict(record.headers).get("sw_envelope")
    return (
        number, record.topic, record.partition, record.offset, record.key, record.value,
        None if record.value is None else len(body), hashlib.sha256(body).hexdigest(), headers,
        None if envelope is None else envelope.decode(),
    )  # fmt: skip


def held(
    folder: Path,
    told: list[Record],
    kept: list[Record],
    notes: tuple[str, ...] = (),
    chief: str = "",
    spoil: str = "",
) -> list[str]:
    """Check a story, with what the audit kept of it, *spoil*ed by a statement."""
    whole = Whole()
    for record in told:
        whole.records.setdefault((record.topic, record.partition), []).append(record)
    with closing(sqlite3.connect(folder / "audit.db")) as base:
        base.execute(
            'CREATE TABLE records (leaf, topic, "partition", "offset", key, value, value_bytes, value_sha256, '
            "headers, envelope)"
        )
        base.executemany(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [row(number, record) for number, record in enumerate(kept)],
        )
        base.execute(spoil or "SELECT 1")
        base.commit()
    return check(whole, folder / "audit.db", ["h"], notes, chief).violations


def without(told: list[Record], topic: str, kind: str) -> list[Record]:
    """Leave records out."""
    return [record for record in told if (record.topic, record.kind) != (topic, kind)]


UNGOVERNED = said("inbox.worker.v1", 2, b"{}", type="work", crossing="h", dispatch="x", enforcement="shadow")


def refused_by(gate: str, told: list[Record]) -> list[Record]:
    """Let a gate refuse what went on, and say that a flow spares it."""
    refusal = said(
        f"verdicts.{gate}.v1", 0, type="verdict", subject=SUBJECT, outcome="DENY", spared={"mode": "shadow"}
    )
    return [*without(told, f"verdicts.{gate}.v1", "verdict"), refusal]


def test_what_a_flow_spares_is_admitted_but_never_what_guards_money(tmp_path: Path) -> None:
    """A flow that is not enforced says so in its document."""
    flow = said("registry.v1", 0, b'{"spec":{"mode":"shadow"}}', type="document", kind="Flow")
    spared = [
        flow,
        *refused_by("contract-validator", without(story(), "inbox.worker.v1", "work")),
        UNGOVERNED,
    ]
    unpaid = [flow, *refused_by("cost-cap", without(story(), "inbox.worker.v1", "work")), UNGOVERNED]

    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()

    assert [] == held(tmp_path / "1", spared, spared)
    assert [] != [each for each in held(tmp_path / "2", unpaid, unpaid) if "cost-cap said DENY" in each]


def test_a_story_that_went_well_has_no_violation(tmp_path: Path) -> None:
    """What the defects below are defects of is sound."""
    asking = asked(story(), agreed())

    assert [] == held(tmp_path, story(), story(), ("900 x k",))
    (tmp_path / "audit.db").unlink()
    assert [] == held(tmp_path, asking, asking)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        pytest.param(lambda told: without(told, "handoffs.v1", "handoff"), "not in the log", id="lost"),
        pytest.param(lambda told: without(told, "decisions.v1", "task-ended"), "never ended", id="no-end"),
        pytest.param(
            lambda told: without(told, "decisions.v1", "dispatched"), "never published", id="unsaid"
        ),
        pytest.param(
            lambda told: without(told, "verdicts.cost-cap.v1", "verdict"), "cost-cap said None", id="unjudged"
        ),
        pytest.param(
            lambda told: refused_by("contract-validator", told), "contract-validator said DENY", id="spared"
        ),
        pytest.param(
            lambda told: [*without(told, "inbox.worker.v1", "work"), UNGOVERNED],
            "no flow says so",
            id="ungoverned",
        ),
        pytest.param(
            lambda told: [*told, said("inbox.worker.v1", 1, b"{}", type="work", crossing="h", dispatch="y")],
            "work without a decision",
            id="unadmitted",
        ),
        pytest.param(
            lambda told: [*told, said("inbox.worker.v1", 1, b"[]", type="work", crossing="h", dispatch="x")],
            "other bytes",
            id="other-bytes",
        ),
        pytest.param(
            lambda told: [
                *told,
                said("decisions.v1", 3, type="accepted", crossing="r2", dispatch="x", subject=SUBJECT),
            ],
            "accepted twice",
            id="accepted-twice",
        ),
        pytest.param(
            lambda told: [*told, said("decisions.v1", 3, source=MARK, type="noted")],
            "different bytes",
            id="another-under-its-mark",
        ),
        pytest.param(
            lambda told: [
                *told,
                said("decisions.v1", 3, source=MARK.replace("0/0/1", "0/9/1"), type="noted"),
            ],
            "no valid commit",
            id="a-zombie's-output",
        ),
        pytest.param(asked, "nobody agreed", id="unasked"),
        pytest.param(
            lambda told: asked(told, agreed("b")),
            "nobody agreed",
            id="another-action",
        ),
        pytest.param(
            lambda told: asked(told, agreed(signer=SigningKey(b"m" * 32))), "nobody agreed", id="a-forged-yes"
        ),
        pytest.param(
            lambda told: asked(
                told, said("answers.v1", 0, answer="approve", action_sha256="a", person="clerk")
            ),
            "nobody agreed",
            id="an-unsigned-yes",
        ),
        pytest.param(
            lambda told: asked(told, agreed(), action={**ACTION, "receiver": {"agent": "another"}}),
            "nobody agreed",
            id="a-yes-to-another-receiver",
        ),
        pytest.param(
            lambda told: [
                *told,
                said(
                    "decisions.v1",
                    8,
                    type="judge-again",
                    crossing="h",
                    gates=["policy-engine"],
                    subject={**SUBJECT, "attempt": 2},
                ),
                said(
                    "decisions.v1",
                    9,
                    type="dispatched",
                    crossing="h",
                    dispatch="y",
                    subject={**SUBJECT, "attempt": 2},
                ),
                said("inbox.worker.v1", 2, b"{}", type="work", crossing="h", dispatch="y", platform=PLATFORM),
            ],
            "policy-engine said None",
            id="asked-again-and-not-heard",
        ),
        pytest.param(
            lambda told: [
                *told,
                said(
                    "verdicts.cost-cap.v1", 1, source=MARK, type="verdict", subject=SUBJECT, outcome="ALLOW"
                ),
            ],
            "different bytes",
            id="another-topic-under-its-mark",
        ),
        pytest.param(
            lambda told: [
                *without(told, "decisions.v1", "accepted"),
            ],
            "was never decided",
            id="undecided",
        ),
        pytest.param(
            lambda told: [*told, said("decisions.v1", 3, type="task-ended", task="t", outcome="failed")],
            "task-ended twice",
            id="ended-twice",
        ),
        pytest.param(
            lambda told: [
                *told,
                said("decisions.v1", 3, type="dispatched", crossing="h", dispatch="y", subject=SUBJECT),
            ],
            "dispatched twice",
            id="dispatched-twice",
        ),
        pytest.param(
            lambda told: [
                *without(told, "handoffs.v1", "handoff"),
                said("handoffs.v1", 0, b"{}", type="handoff", id="other", task="t"),
            ],
            "does not lie where the decision says",
            id="elsewhere",
        ),
        pytest.param(
            lambda told: [
                *told,
                Record(
                    "journal.router.v1",
                    0,
                    2,
                    1002,
                    None,
                    b'{"type":"commit","epoch":0,"seq":2,"positions":{"handoffs.v1/0":0}}',
                ),
            ],
            "went back",
            id="a-position-that-goes-back",
        ),
        pytest.param(
            lambda told: [
                *without(told, "decisions.v1", "dispatched"),
                said("approvals.v1", 0, source=MARK, type="dispatched"),
            ],
            "was promised to decisions.v1",
            id="promised-elsewhere",
        ),
        pytest.param(
            lambda told: [
                *told,
                Record("journal.cost-cap.v1", 0, 2, 1003, None, json.dumps(settled(2, 7)).encode()),
            ],
            "settled as [7, 7]",
            id="settled-twice",
        ),
    ],
)
def test_each_defect_of_a_log_is_found(
    tmp_path: Path, spoil: Callable[[list[Record]], list[Record]], expected: str
) -> None:
    """The audit has the same, so it is the log itself that tells."""
    told = spoil(story())

    assert [] != [each for each in held(tmp_path, told, told) if expected in each]


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        pytest.param(story()[1:], "handoffs.v1/0/0 is not in the audit", id="missing"),
        pytest.param([*story(), said("decisions.v1", 3)], "not in the log", id="invented"),
        pytest.param(story()[::-1], "behind its successor", id="out-of-order"),
        pytest.param(
            [said("handoffs.v1", 0, b"[]"), *story()[1:]], "otherwise in the audit", id="other-bytes"
        ),
    ],
)
def test_each_defect_of_the_audit_is_found(tmp_path: Path, kept: list[Record], expected: str) -> None:
    """The log is whole and the audit is not."""
    assert [] != [each for each in held(tmp_path, story(), kept) if expected in each]


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE records SET headers = x'90' WHERE leaf = 0",
        "UPDATE records SET envelope = '{}' WHERE leaf = 0",
        "UPDATE records SET value = NULL WHERE leaf = 0",
        "UPDATE records SET value = NULL, value_bytes = 1 WHERE leaf = 0",
        "UPDATE records SET value = NULL, value_sha256 = '' WHERE leaf = 0",
        "UPDATE records SET key = x'00' WHERE leaf = 0",
    ],
)
def test_whatever_of_a_row_is_otherwise_is_found(tmp_path: Path, spoil: str) -> None:
    """The signature is among the headers; a body is kept whole, unless it is too large for that."""
    found = held(tmp_path, story(), story(), spoil=spoil)

    assert ["handoffs.v1/0/0 is otherwise in the audit"] == found


def test_a_body_too_large_to_keep_is_known_by_its_length_and_digest(tmp_path: Path) -> None:
    """Which is no difference."""
    large = [*story(), said("handoffs.v1", 2, b" " * (KEPT_BYTES + 1))]
    lost = "UPDATE records SET value = NULL WHERE length(value) > 2000000"

    assert [] == held(tmp_path, large, large, spoil=lost)


def squares(answer: bytes | None) -> list[Record]:
    """Tell of a task whose answer is known beforehand: five is one and four."""
    says = b'{"type":"handoff","id":"h","task":"t","source":{"agent":"chief"}}'
    root = Record("handoffs.v1", 0, 0, 1000, b"t", b'{"parts":3}', (("sw_envelope", says),))
    work = said(
        "inbox.worker.v1", 0, b'{"parts":3}', type="work", crossing="h", dispatch="x", platform=PLATFORM
    )
    told = [root, work, *without(without(story(), "handoffs.v1", "handoff"), "inbox.worker.v1", "work")]
    got = said("inbox.chief.v1", 0, answer or b"", type="answer", child="h", outcome="success")
    return told if answer is None else [*told, got]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(b'{"sum":5}', []), (b'{"sum":4}', ["another sum"]), (None, ["reached nobody"])],
)
def test_an_answer_is_right_and_reaches_who_asked(
    tmp_path: Path, answer: bytes | None, expected: list[str]
) -> None:
    """A run in which nobody is answered proves nothing."""
    told = squares(answer)
    found = held(tmp_path, told, told, chief="chief")

    assert len(expected) == len(found)
    assert all(words in one for words, one in zip(expected, found, strict=True))


def test_a_run_after_the_end_is_found(tmp_path: Path) -> None:
    """A dispatch whose result was accepted is never begun again, and its key stays the same."""
    found = held(tmp_path, story(), story(), ("900 x k", "2500 x other"))

    assert 2 == len(found)
