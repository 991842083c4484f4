"""Each finding is shown on a copy of the audit's own documents in which exactly that is wrong."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from seamwork.authoring.trials import Trial, trials
from seamwork.cli.contracts import check_what_was_read
from seamwork.contracts.against import bump_problems
from seamwork.contracts.check import faults
from seamwork.contracts.codes import CHAPTERS, CODES
from seamwork.contracts.together import check_documents
from seamwork.documents import (
    AnyDocument,
    Contract,
    DocumentError,
    canonical,
    from_canonical,
    parse_documents,
)
from seamwork.documents.canonical import canonical_json
from seamwork.documents.problems import Problem
from seamwork.documents.yaml_text import read_yaml
from seamwork.platform.files import gather, with_any_key

HERE = Path(__file__).parents[1]
AUDIT, FACTS, METADATA = "licence-audit.yaml", "licence-facts.yaml", "licence-metadata.yaml"
COMPLIANCE, FLOW = "licence-compliance.yaml", "flow.yaml"
PLANNER, OPERATOR = "agent-planner-1.0.0.yaml", "agent-operator-1.1.0.yaml"
POLICY = "policy-copyleft-exceptions.yaml"

INPUT, OUTPUT, RULES = "/spec/input/schema", "/spec/outputs/success/schema", "/spec/outputs/success/rules"
FILE = f"{INPUT}/properties/licence_files/items"
FIELD = f"{INPUT}/properties/added"  # an optional field, so that no example has to change
WHEN = {"type": "string", "format": "date-time"}
GONE = object()
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)
PERSON = {
    "apiVersion": "seamwork.dev/v1", "kind": "Person", "metadata": {"name": "ada", "version": "1.0.0"},
    "spec": {"roles": ["engineering"], "key": {"kid": "ada", "public": "A" * 43 + "="}},
}  # fmt: skip
GATES = [
    {
        "apiVersion": "seamwork.dev/v1", "kind": "Gate", "metadata": {"name": name, "version": "1.0.0"},
        "spec": {"role": "policy", "requiredFor": ["handoff"], "replaces": "policy-engin"},
    }
    for name in ("policy-engine-2", "policy-engine-3")
]  # fmt: skip


@dataclass(frozen=True)
class Broken:
    """
    One copy: in *file* each JSON pointer gets another value.

    *beside* are further documents; *whole* checks the copy among all documents of the audit.
    """

    code: str
    file: str
    changes: dict[str, Any]
    whole: bool = False
    beside: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """Name the copy for the test's report."""
        return self.code


TEXTS: list[tuple[str, Callable[[str], str]]] = [
    ("not-yaml", lambda text: text.replace("spec:\n", "spec: [\n")),
    ("empty", lambda text: "# " + text.replace("\n", "\n# ")),
    ("duplicate-key", lambda text: text.replace("  onError:", "  onError: {action: fail}\n  onError:")),
    ("key", lambda text: text.replace("spec:\n", "1: one\nspec:\n", 1)),
    ("merge-key", lambda text: text.replace("spec:\n", "spec:\n  <<: {}\n", 1)),
    ("tag", lambda text: text.replace("kind: Contract", "kind: !!python/name:os.system Contract")),
    ("alias", lambda text: text.replace("request: *parsed", "request: *parse", 1)),
    ("number", lambda text: text.replace("costMicroUsd: 500", "costMicroUsd: .inf")),
    ("text", lambda text: text.replace("team: open-source-office", 'team: "\\ud800"')),
    ("too-deep", lambda text: text.replace("spec:\n", f"deep: {'[' * 70}{']' * 70}\nspec:\n", 1)),
    ("too-large", lambda text: BOMB + text),
    ("not-a-document", lambda text: "- a list\n---\n" + text),
    ("unknown-kind", lambda text: text.replace("kind: Contract", "kind: Contarct")),
    ("unknown-version", lambda text: text.replace("seamwork.dev/v1", "seamwork.dev/v9")),
    ("unknown-field", lambda text: text.replace("{payloadBytes", "{fields: 9, payloadBytes")),
    ("unknown-value", lambda text: text.replace("onError: {action: fail}", "onError: {action: hope}")),
    ("invalid", lambda text: text.replace("version: 1.0.0}", "version: 1.0}", 1)),
]
PUBLISHED: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("not-json", lambda data: data[:-1]),
    ("not-canonical", lambda data: data.replace(b":", b": ", 1)),
    ("not-canonical", lambda data: data.replace(b'{"apiVersion"', b'{"apiVersion":"","apiVersion"', 1)),
    ("too-large", lambda data: data + b" " * 1024 * 1024),
    ("unknown-field", lambda data: data.replace(b'"input"', b'"inputt"')),
]
COPIES = [
    Broken("missing-field", FACTS, {"/spec/owners": GONE}),
    Broken("not-built-yet", FACTS, {"/spec/compensation": {}}),
    # Schemas.
    Broken("unknown-keyword", FACTS, {FIELD: {"type": "string", "maxLength": 9, "maxLen": 9}}),
    Broken("unknown-dialect", FACTS, {f"{INPUT}/$schema": "http://json-schema.org/draft-07/schema#"}),
    Broken("unknown-format", FACTS, {FIELD: {"type": "string", "maxLength": 9, "format": "e-mail"}}),
    Broken("nested-id", FACTS, {FIELD: {"$id": "inner", "const": 1}}),
    Broken("remote-reference", FACTS, {FIELD: {"$ref": "https://example.org/size.json"}}),
    Broken("remote-reference", FACTS, {FIELD: {"$ref": "file:///etc/hostname"}}),
    Broken("broken-reference", FACTS, {FIELD: {"$ref": "#/$defs/size"}}),
    Broken("endless-reference", FACTS, {FIELD: {"$ref": "#/properties/added"}}),
    Broken("schema-tangled", FACTS, {
        FIELD: {"properties": {"a": {"allOf": [{"$ref": "#/properties/added"}] * 2}}}}),
    Broken("schema-too-large", FACTS, {
        f"{INPUT}/$defs": {f"d{i}": {"pattern": f"^a{{{i}}}$"} for i in range(201)}}),
    Broken("schema-too-large", FACTS, {
        f"{INPUT}/$defs": {f"d{i}": {"pattern": f"^(a{{1,{100 + i}}}){{1,30}}$"} for i in range(21)}}),
    Broken("pattern-not-linear", FACTS, {FIELD: {"type": "string", "pattern": "^(?=a)(a+)+$"}}),
    Broken("pattern-too-large", FACTS, {FIELD: {"type": "string", "pattern": "^(a{1,1000}){1,1000}$"}}),
    Broken("schema-invalid", FACTS, {FIELD: {"type": "string", "maxLength": "nine"}}),
    # Rules.
    Broken("rule-does-not-compile", FACTS, {f"{RULES}/1/expr": "request.expression_identifiers.all(i, "}),
    Broken("rule-unknown-field", FACTS, {f"{RULES}/1/expr": "request.expression_identifier.all(i, true)"}),
    Broken("rule-unknown-fact", FACTS, {
        f"{RULES}/1/expr": "(size(this.identifiers) >= 0 || task.tennant == 'acme') && "
        "request.expression_identifiers.all(i, i in this.identifiers)",
    }),
    Broken("rule-type", FACTS, {f"{RULES}/1/expr": "request.ref.name > 7"}),
    Broken("rule-absent-field", FACTS, {
        FIELD: {"const": 1},
        f"{RULES}/1/expr": "request.added == 1 && request.expression_identifiers.all(i, i in this.identifiers)",
    }),
    Broken("rule-dates-as-text", FACTS, {
        FIELD: WHEN, f"{OUTPUT}/properties/added": WHEN,
        f"{RULES}/1/expr": "!has(this.added) || this.added > request.added ? "
        "request.expression_identifiers.all(i, i in this.identifiers) : false",
    }),
    Broken("rule-unbounded", FACTS, {
        FIELD: {"type": "array", "items": {"const": 1}, "maxItems": 5, "allOf": [{"type": "array"}]},
        f"{OUTPUT}/properties/added": {"anyOf": [{"type": "array"}, {"type": "null"}]},
        f"{RULES}/1/expr": "(!has(this.added) || this.added.all(a, a == 1)) && "
        "request.expression_identifiers.all(i, i in this.identifiers)",
    }),
    Broken("rule-too-long", FACTS, {
        f"{RULES}/1/expr": "request.expression_identifiers.all(i, i in this.identifiers && this.evidence.all(e, "
        "e.identifiers.all(x, x != '')))",
    }),
    # What a contract says of itself.
    Broken("example-differs", FACTS, {"/spec/examples/2/violates": []}),
    Broken("example-unknown-rule", FACTS, {"/spec/examples/2/violates": ["every-identifer"]}),
    Broken("example-unknown-outcome", FACTS, {"/spec/examples/-": {"name": "x", "on": "partial", "payload": {}}}),
    Broken("masking-unknown-field", FACTS, {"/spec/masking": ["/licence_fild"]}),
    Broken("summary-slot", FACTS, {"/spec/summary/asks": "May {{ ref.name }} be read?"}),
    Broken("summary-unknown-field", FACTS, {"/spec/summary/asks": "May {{ this.reff }} be read?"}),
    Broken("unknown-owner", FACTS, {"/spec/onError/to": "somebody else"}),
    Broken("open-object", FACTS, {f"{FILE}/additionalProperties": GONE}),
    Broken("unbounded-string", FACTS, {f"{FILE}/properties/head/maxLength": GONE}),
    Broken("unbounded-string", FACTS, {FIELD: {"type": "string", "pattern": "^[a-z]+$"}}),
    Broken("unbounded-array", FACTS, {f"{INPUT}/properties/licence_files/maxItems": GONE}),
    Broken("unbounded-integer", FACTS, {f"{FILE}/properties/size_bytes/maximum": GONE}),
    Broken("prose-only-output", METADATA, {
        OUTPUT: {"type": "object", "additionalProperties": False,
                 "properties": {"answer": {"type": "string", "maxLength": 4000}}},
        RULES: [], "/spec/input/schema": {"const": 1}, "/spec/input/rules": [], "/spec/summary/state": "x",
        "/spec/examples": [{"name": "x", "payload": 1},
                           {"name": "said", "on": "success", "payload": {"answer": "It is MIT."}}],
    }),
    Broken("missing-outcome", FACTS, {"/spec/waivers": []}),
    Broken("partial-without-assumptions", AUDIT, {"/spec/outputs/partial/assume": []}),
    Broken("rule-without-example", FACTS, {"/spec/examples/4": GONE}),
    Broken("output-without-example", FACTS, {"/spec/examples/1": GONE}),
    # Documents that go together.
    Broken("precondition-unknown-outcome", FACTS, {
        "/spec/preconditions": [{"contract": "licence-metadata", "outcome": ["partial"]}]}, whole=True),
    Broken("unknown-contract", POLICY, {"/spec/match/contracts": ["licence-exceptoin"]}, whole=True),
    Broken("no-such-version", FLOW, {"/spec/edges/3/passesOn/0/versions": ">=2 <3"}, whole=True),
    Broken("unknown-agent", FLOW, {"/spec/edges/0/from": "operater"}, whole=True),
    Broken("unknown-capability", FLOW, {"/spec/edges/5/capability": "compose-reprot"}, whole=True),
    Broken("unknown-budget", OPERATOR, {"/spec/budget": "audits"}, whole=True),
    Broken("unknown-gate", POLICY, {}, beside=tuple(GATES)),
    Broken("owner-not-named", FACTS, {"/spec/owners/team": "nobody-yet"}),
    Broken("policy-not-enforced", POLICY, {"/spec/mode": "shadow"}),
    Broken("approvers-missing", POLICY, {}, beside=(PERSON,)),
    # Flows.
    Broken("edge-not-a-producer", AUDIT, {"/spec/producers/0/agent": "someone"}, whole=True),
    Broken("edge-not-a-consumer", AUDIT, {"/spec/consumers/0/versions": ">=2 <3"}, whole=True),
    Broken("edge-version-unaccepted", AUDIT, {"/metadata/version": "1.1.0", "/spec/consumers/0/versions": ">=2"},
           whole=True, beside=(AUDIT,)),
    Broken("edge-does-not-fit", COMPLIANCE, {f"{INPUT}/properties/basis/enum": ["expression", "field"]},
           whole=True),
    Broken("edge-does-not-fit", FLOW, {"/spec/edges/2/transfers": ["licence-metadata"]}, whole=True),
    Broken("edge-owner-differs", METADATA, {"/spec/owners/team": "legal"}, whole=True),
    Broken("edge-without-deadline", FACTS, {"/spec/limits/timeSeconds": GONE}, whole=True),
    Broken("edge-without-failure-handling", FACTS, {"/spec/onTimeout": GONE}, whole=True),
    Broken("edge-without-fallback", FLOW, {"/spec/waivers/0/at": "$.spec.edges[1]"}, whole=True),
    Broken("edge-without-escalation", FACTS, {"/spec/owners/escalation": []}, whole=True),
    Broken("cycle-without-bound", FLOW, {"/spec/edges": [
        {"from": a, "to": b, "contract": "c", "versions": "*", "reason": "x", "because": "domain"}
        for a, b in ("ab", "bc", "ca")]}),
    Broken("flow-not-enforced", FLOW, {"/spec/mode": "observe"}, whole=True),
    Broken("agent-without-reason", FLOW, {"/spec/edges/5/because": GONE}, whole=True),
    Broken(
        "unknown-counter",
        PLANNER,
        {"/spec/contextTokens": {"atMost": 9000, "counter": "wrods"}},
    ),
    Broken("unknown-counter", FACTS, {"/spec/limits/contextTokens": {"atMost": 9000, "counter": "wrods"}}),
    Broken(
        "escalation-unknown-field",
        FACTS,
        {"/spec/escalateWhen": {"confidence": {"field": "/sure", "below": 0.7}}},
    ),
    # Waivers.
    Broken("waiver-not-possible", FACTS, {"/spec/waivers/-": {"finding": "rule-type", "reason": "x"}}),
    Broken("waiver-unused", FACTS, {"/spec/waivers/-": {"finding": "open-object", "reason": "x"}}),
]  # fmt: skip
# Errors that a contract shows by itself; all others need the documents beside it.
REFUSED_BY_READERS = {
    code.name for chapter in ("Schemas", "Rules", "What a contract says of itself") for code in CHAPTERS[chapter]
    if code.severity == "error"
} | {"missing-field", "not-built-yet"}  # fmt: skip
# What the check could not foresee has no copy.
WITHOUT_COPY = {"check-failed", "not-utf-8", "version-conflict", "version-bump-too-small"}


@cache
def text_of(file: str) -> str:
    """Return one of the audit's documents as it is written."""
    (path,) = HERE.glob(f"*/{file}")
    return path.read_text(encoding="utf-8")


@cache
def originals() -> dict[str, AnyDocument]:
    """Read the audit's documents, by the names of their files."""
    paths = sorted([*(HERE / "contracts").glob("*.yaml"), *(HERE / "documents").glob("*.yaml")])
    return {path.name: read_one(path.read_text(encoding="utf-8"), path.name) for path in paths}


def read_one(text: str, source: str) -> AnyDocument:
    """Read the one document of a text."""
    (document,) = parse_documents(text, source, with_any_key)
    return document


def changed(file: str, changes: dict[str, Any]) -> str:
    """Return the document with other values at the JSON pointers; JSON is YAML."""
    value: Any = json.loads(json.dumps(read_yaml(text_of(file), file)[0].value))
    for pointer, new in changes.items():
        *above, last = pointer.split("/")[1:]
        place = value
        for part in above:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if isinstance(place, list) and last == "-":
            place.append(new)
        elif new is GONE:
            del place[int(last) if isinstance(place, list) else last]
        elif isinstance(place, list):
            place[int(last)] = new
        else:
            place[last] = new
    return json.dumps(value)


def problems_of(broken: Broken) -> tuple[Problem, ...]:
    """Check the copy, alone or among the others."""
    try:
        copy = read_one(changed(broken.file, broken.changes), broken.file)
    except DocumentError as error:
        return error.problems
    beside = [
        originals()[each] if isinstance(each, str) else read_one(json.dumps(each), "beside.yaml")
        for each in broken.beside
    ]
    others = [d for name, d in originals().items() if name != broken.file] if broken.whole else []
    return (
        check_documents((copy, *beside), others).problems
        if not broken.whole
        else among((copy, *beside), others)
    )


def among(mine: tuple[AnyDocument, ...], others: list[AnyDocument]) -> tuple[Problem, ...]:
    """Check all documents, for a copy may break what another one says."""
    return check_documents((*mine, *others)).problems


def test_the_audits_documents_are_clean() -> None:
    """What is not waived with a reason is mended."""
    documents, unread = gather([HERE / "contracts", HERE / "documents"], with_any_key)
    checked = check_what_was_read(documents, unread)

    assert () == checked.problems
    assert {"missing-outcome", "edge-without-fallback"} == {waived.problem.code for waived in checked.waived}
    assert all(waived.reason for waived in checked.waived)


@pytest.mark.parametrize("trial", tuple(trials(originals().values(), examples=6)), ids=str)
def test_the_audits_contracts_pass_every_trial(trial: Trial) -> None:
    """What ``contracts check`` calls clean is what ``contracts test`` tries."""
    trial.run()


@pytest.mark.parametrize("broken", COPIES, ids=str)
def test_a_broken_copy_is_caught_by_exactly_its_code(broken: Broken) -> None:
    """One thing is wrong, and one thing is said."""
    assert {broken.code} == {problem.code for problem in problems_of(broken)}


# An agent's counter that nobody has is refused at each crossing, where others may still get the work.
AT_THE_TOPIC = [
    one
    for one in COPIES
    if one.code in REFUSED_BY_READERS and (one.code, one.file[:6]) != ("unknown-counter", "agent-")
]


@pytest.mark.parametrize("broken", AT_THE_TOPIC, ids=str)
def test_the_topics_reader_refuses_a_broken_copy_by_the_same_code(broken: Broken) -> None:
    """Whoever writes past the publisher gains nothing, and no gate is handed what it would stumble over."""
    written = canonical_json(json.loads(changed(broken.file, broken.changes)))
    try:
        document = from_canonical(written)
    except DocumentError as refused:
        found = {problem.code for problem in refused.problems}
    else:
        assert isinstance(document, Contract)
        found = {problem.code for problem in faults(document)}

    assert broken.code in found


@pytest.mark.parametrize(("code", "change"), TEXTS, ids=[code for code, _ in TEXTS])
def test_a_text_that_is_no_document_is_refused(code: str, change: Callable[[str], str]) -> None:
    """The author's file is read strictly."""
    with pytest.raises(DocumentError) as refused:
        parse_documents(change(text_of(FACTS)), FACTS, with_any_key)

    assert code in {problem.code for problem in refused.value.problems}


@pytest.mark.parametrize(("code", "change"), PUBLISHED, ids=[code for code, _ in PUBLISHED])
def test_published_bytes_that_are_no_document_are_refused(
    code: str, change: Callable[[bytes], bytes]
) -> None:
    """What the command refuses the topic's reader refuses too."""
    with pytest.raises(DocumentError) as refused:
        from_canonical(change(canonical(originals()[FACTS])))

    assert code in {problem.code for problem in refused.value.problems}


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    """No editor may guess at an encoding."""
    (tmp_path / "latin.yaml").write_bytes("kind: Vertrag für alle".encode("latin-1"))
    documents, problems = gather([tmp_path])

    assert () == documents
    assert ["not-utf-8"] == [problem.code for problem in problems]


def test_a_published_version_has_one_content() -> None:
    """Among the files given, and against what is published."""
    other = read_one(changed(FACTS, {"/spec/limits/costMicroUsd": 501}), "other.yaml")
    mine = originals()[FACTS]

    assert ["version-conflict"] == [p.code for p in check_documents((mine, other)).problems]
    assert ["version-conflict"] == [p.code for p in bump_problems([other], [mine])]
    assert [] == list(bump_problems([mine], [mine]))


@pytest.mark.parametrize(
    ("version", "changes", "demanded"),
    [
        ("1.0.1", {"/spec/purpose": "Other words."}, None),
        ("1.0.1", {f"{OUTPUT}/properties/basis/enum": ["expression", "field"]}, "1.1.0"),
        ("1.1.0", {f"{INPUT}/properties/added": {"type": "boolean"}}, None),
        ("1.0.1", {f"{INPUT}/properties/added": {"type": "boolean"}}, "1.1.0"),
        ("1.1.0", {f"{OUTPUT}/properties/added": {"type": "boolean"}}, "2.0.0"),
        ("1.1.0", {f"{INPUT}/properties/ref/properties/source/enum": ["samples"]}, "2.0.0"),
        ("1.1.0", {f"{RULES}/1/expr": "request.expression_identifiers == this.identifiers"}, "2.0.0"),
        ("2.0.0", {f"{INPUT}/properties/ref/properties/source/enum": ["samples"]}, None),
    ],
)
def test_the_version_says_how_large_the_change_is(
    version: str, changes: dict[str, Any], demanded: str | None
) -> None:
    """Whoever trusts the number is not surprised."""
    new = read_one(changed(FACTS, {"/metadata/version": version} | changes), FACTS)
    problems = list(bump_problems([new], [originals()[FACTS]]))

    assert ([] if demanded is None else ["version-bump-too-small"]) == [p.code for p in problems]
    assert demanded is None or f"call it {demanded}" in problems[0].mend


def test_every_code_has_its_copy() -> None:
    """A finding that nobody has seen might never come."""
    shown = {broken.code for broken in COPIES}
    shown |= {code for code, _ in (*TEXTS, *PUBLISHED)}

    assert set(CODES) == shown | WITHOUT_COPY
