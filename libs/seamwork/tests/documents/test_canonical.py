import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwork.documents import (
    Agent,
    Budget,
    Contract,
    DocumentError,
    canonical,
    digest,
    from_canonical,
    from_value,
    parse_documents,
    record_key,
)
from seamwork.documents.agent import AgentSpec
from seamwork.documents.canonical import canonical_json
from seamwork.documents.shape import Metadata, VerifyingKey
from seamwork.testing.documents import document

REFUND = Path(__file__).parents[1] / "contracts" / "refund-request.yaml"
PUBLIC = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

BUDGET = """\
apiVersion: seamwork.dev/v1
kind: Budget
metadata: {name: small, version: 1.0.0}
spec: {scope: task, limitMicroUsd: 100}
"""

SAME_BUDGET = """\
# the same budget in another hand
spec:
  limitMicroUsd: 0x64
  scope: "task"
metadata:
  version: '1.0.0'
  name: small
kind: Budget
apiVersion: seamwork.dev/v1
"""

names = st.from_regex(r"[a-z][a-z0-9-]{0,40}", fullmatch=True)
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(text, below, max_size=3),
    max_leaves=8,
)


def _contract(schema: dict[str, Any], payload: Any) -> dict[str, Any]:
    return {
        "apiVersion": "seamwork.dev/v1",
        "kind": "Contract",
        "metadata": {"name": "any", "version": "1.0.0"},
        "spec": {
            "input": {"schema": schema},
            "outputs": {"success": {"schema": {}}, "error": {"schema": {}}},
            "owners": {"team": "care", "contact": "care@example.org"},
            "summary": {
                "state": "s",
                "proposedAction": "p",
                "asks": "a",
                "answers": {"approve": "y", "reject": "n"},
            },
            "examples": [{"name": "one", "payload": payload}],
        },
    }


def test_the_layout_of_the_yaml_changes_no_byte() -> None:
    """Order, quotes, comments and spellings of a number are not content."""
    (one,), (other,) = parse_documents(BUDGET, "a.yaml"), parse_documents(SAME_BUDGET, "b.yaml")

    assert canonical(one) == canonical(other)
    assert digest(one) == digest(other)
    assert record_key(one) == "Budget/small/1.0.0"


@given(st.dictionaries(text, json_values, max_size=4), json_values)
def test_what_was_published_reads_back_to_the_same_bytes(schema: dict[str, Any], payload: Any) -> None:
    """Reading the canonical bytes and writing them again changes nothing, whatever stands in schema and payload."""
    (written,) = parse_documents(json.dumps(_contract(schema, payload)), "c.json")
    data = canonical(written)
    read = from_canonical(data)

    assert data == canonical(read)
    assert isinstance(read, Contract)
    assert payload == read.spec.examples[0].payload
    assert schema == read.spec.input.json_schema


def test_a_document_made_in_code_has_the_bytes_of_one_that_was_written() -> None:
    """``agents add`` makes documents without any YAML."""
    made = Agent(
        metadata=Metadata(name="parser", version="1.0.0"),
        spec=AgentSpec(keys=(VerifyingKey(kid="parser-1", public=PUBLIC),)),
    )
    (written,) = parse_documents(
        f"""
apiVersion: seamwork.dev/v1
kind: Agent
metadata: {{name: parser, version: 1.0.0}}
spec: {{keys: [{{kid: parser-1, public: {PUBLIC}}}]}}
""",
        "a.yaml",
    )

    assert canonical(written) == canonical(made)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-json"),
        (b"\xff", "not-json"),
        (b"[" * 100_000, "not-json"),
        (b'{"kind": "Budget"}', "not-canonical"),
        (b'{"kind":"Budget","kind":"Budget"}', "not-canonical"),
        (b'{"kind":NaN}', "not-json"),
        (b"[]", "not-a-document"),
        (b'{"kind":"Budgie"}', "unknown-kind"),
        (b"[" * 70 + b"]" * 70, "too-large"),
    ],
)
def test_bytes_of_another_form_are_refused(data: bytes, code: str) -> None:
    """Two encodings of one document must never pass for two documents."""
    with pytest.raises(DocumentError) as refused:
        from_canonical(data)

    assert [code] == [problem.code for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("field", "value", "canonically"),
    [
        ("irreversible", ["pay", "delete"], ["delete", "pay"]),
        ("confidence", {"field": "/sure", "below": 1}, {"field": "/sure", "below": 1.0}),
    ],
)
def test_the_same_document_in_other_bytes_is_refused(field: str, value: Any, canonically: Any) -> None:
    """Its digest would be another one than everybody works out who has read it."""
    (contract,) = parse_documents(REFUND.read_text(encoding="utf-8"), REFUND.name)
    written = json.loads(canonical(contract))
    written["spec"]["escalateWhen"] = {field: canonically}
    assert canonical(from_value(written)) == canonical(from_canonical(canonical_json(written)))
    written["spec"]["escalateWhen"] = {field: value}

    with pytest.raises(DocumentError) as refused:
        from_canonical(canonical_json(written))

    assert ["not-canonical"] == [problem.code for problem in refused.value.problems]


def test_what_is_not_built_yet_is_refused_in_the_topic_too() -> None:
    """The reader of the topic refuses what the command refuses."""
    value = json.loads(canonical(document("Person", "ada")))
    value["spec"]["absent"] = {"deputy": "bob"}
    data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    with pytest.raises(DocumentError) as refused:
        from_canonical(data)

    assert ["not-built-yet"] == [problem.code for problem in refused.value.problems]


def test_a_documents_parts_know_their_place() -> None:
    """A part that was left out is told by the part above it; a published document by its title."""
    (document,) = parse_documents(BUDGET, "a.yaml")

    assert str(document.place("spec", "limitMicroUsd")) == "a.yaml:4:36"
    assert str(document.place("spec", "holder")) == "a.yaml:4:7"
    assert str(from_canonical(canonical(document)).place("spec")) == "Budget/small/1.0.0:1:1"
    assert isinstance(document, Budget)


def test_reading_what_was_published_needs_no_yaml_library() -> None:
    """Services start without it; it is imported when the first YAML is read."""
    code = "import sys, seamwork.documents, seamwork.contracts; sys.exit('ruamel.yaml' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
