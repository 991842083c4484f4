from pathlib import Path
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from seamwork.contracts.acceptance import accepts_version, may_consume, may_produce, shared_version
from seamwork.contracts.compiled import compile_contract
from seamwork.documents import Agent, Contract, parse_documents
from seamwork.testing.documents import document

REFUND = Path(__file__).parent / "refund-request.yaml"
SECRET = "s3cr3t-value"

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.just(SECRET)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ordered_at", "refund_minor", "lines", "customer", "other"]), below
        )
    ),
    max_leaves=10,
)


def refund(old: str = "\0", new: str = "") -> Contract:
    """Read the refund contract, with a part of its text replaced."""
    (contract,) = parse_documents(REFUND.read_text(encoding="utf-8").replace(old, new), REFUND.name)
    assert isinstance(contract, Contract)
    return contract


@given(values)
def test_findings_never_quote_a_value(value: Any) -> None:
    """A finding goes to logs, metrics and senders; the payload does not."""
    judged = compile_contract(refund()).judge_input(orjson.dumps(value), envelope={}, task={}, now_ms=0)

    assert SECRET not in "".join(str(finding) for finding in judged.findings) + repr(judged)


def test_what_refuses_is_no_warning() -> None:
    """A verdict tells both apart: of its warnings nothing has to be mended before it crosses."""
    contract = refund()
    good = contract.spec.examples[0].payload
    many = good | {"refund_minor": 99_999, "lines": good["lines"] * 21}
    judged = compile_contract(contract).judge_input(orjson.dumps(many), envelope={}, task={}, now_ms=0)

    assert ["rule:within-lines"] == [finding.rule for finding in judged.refusals]
    assert ["rule:small-basket"] == [finding.rule for finding in judged.warnings]


@given(values)
def test_judging_again_finds_the_same(value: Any) -> None:
    """A replay decides as the first run did, however the payload was laid out."""
    compiled = compile_contract(refund())
    first = compiled.judge_input(orjson.dumps(value), envelope={}, task={}, now_ms=0)
    again = compiled.judge_input(
        orjson.dumps(value, option=orjson.OPT_INDENT_2), envelope={}, task={}, now_ms=0
    )

    assert first.findings == again.findings


def test_a_rule_that_cannot_be_evaluated_refuses() -> None:
    """An optional field that is absent makes its rule an error, and an error is never a pass."""
    contract = refund("size(this.lines) <= 20", "this.customer != ''").model_copy()
    payload = orjson.dumps(contract.spec.examples[0].payload)

    judged = compile_contract(contract).judge_input(payload, envelope={}, task={}, now_ms=0)

    assert ["rule:small-basket"] == [finding.rule for finding in judged.findings]
    assert "could not be evaluated" in judged.findings[0].message


def test_only_outcomes_whose_rules_ask_for_it_need_the_request() -> None:
    """A gate fetches the payload answered only where a rule looks at it."""
    compiled = compile_contract(refund())

    assert compiled.uses_request("success")
    assert not compiled.uses_request("error")
    assert not compiled.uses_request("partial")


def test_parties_are_named_with_their_versions() -> None:
    """An empty list leaves a side to the policies; fallbacks are receivers too."""
    contract = refund(
        "  owners:",
        '  producers: [{agent: triage, versions: ">=2 <3"}]\n'
        '  consumers: [{agent: desk, versions: ">=1"}]\n'
        "  fallbacks: [{agent: night-desk}]\n  owners:",
    )

    assert may_produce(contract, "triage", "2.5.0")
    assert not may_produce(contract, "triage", "3.0.0")
    assert not may_produce(contract, "desk", "2.5.0")
    assert may_consume(contract, "desk", "1.0.0")
    assert may_consume(contract, "night-desk", "0.1.0")
    assert not may_consume(contract, "triage", "2.5.0")
    assert may_produce(refund(), "anybody", "1.0.0")


def test_both_sides_share_the_highest_version_that_both_accept() -> None:
    """A rolling change keeps several versions alive side by side."""
    (agent,) = parse_documents(
        """
apiVersion: seamwork.dev/v1
kind: Agent
metadata: {name: desk, version: 1.0.0}
spec:
  accepts: [{contract: refund-request, versions: ">=1.1 <2"}]
  keys: [{kid: desk-1, public: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}]
""",
        "agent.yaml",
    )
    assert isinstance(agent, Agent)

    assert accepts_version(agent, "refund-request", "1.4.0")
    assert not accepts_version(agent, "refund-request", "2.0.0")
    assert not accepts_version(agent, "another", "1.4.0")
    assert shared_version(["1.0.0", "1.2.0", "1.3.0", "2.0.0"], ">=1.1 <2", "<1.3") == "1.2.0"
    assert shared_version(["1.0.0"], ">=2") is None


def test_no_finding_carries_more_of_a_senders_keys_than_people_read() -> None:
    """A verdict that has no room for its reason would be no verdict."""
    item = {
        "type": "object", "required": ["a", "b"], "additionalProperties": False,
        "properties": {"a": {"$ref": "#"}, "b": {"type": "string"}},
    }  # fmt: skip
    contract = document(
        "Contract", "kept", input={"schema": {"type": "object", "additionalProperties": item}}
    )
    assert isinstance(contract, Contract)
    compiled = compile_contract(contract)
    deep: Any = 5
    for _ in range(30):
        deep = {"k" * 500: {"a": deep, "b": 1, "c" * 500: 1}}
    findings = compiled.judge_input(orjson.dumps(deep), envelope={}, task={}, now_ms=0).findings

    assert findings
    assert all(len(str(found)) < 2_000 for found in findings)
