"""What fits along a flow's edges, as the gate would see it."""

import json
from typing import Any

import orjson
import pytest

from seamwork.contracts.compiled import compile_contract
from seamwork.contracts.together import check_documents
from seamwork.documents import AnyDocument, Contract, parse_documents
from seamwork.testing.documents import document

CLOSED: dict[str, Any] = {
    "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False,
}  # fmt: skip
WIDER = CLOSED | {"properties": {"a": {"type": "integer"}, "b": {"type": "string", "maxLength": 9}}}
FLOW = """
apiVersion: seamwork.dev/v1
kind: Flow
metadata: {name: line, version: 1.0.0}
spec:
  edges:
    - {from: one, to: two, contract: target, versions: "*", reason: it goes on, passesOn: [{contract: source}]}
"""


def read(text: str) -> AnyDocument:
    """Read the one document of a text."""
    (document,) = parse_documents(text, "a test")
    return document


def contract(name: str, taken: Any, given: Any, undeclared: str) -> Contract:
    """Make a contract of its schemas alone."""
    spec = {
        "input": {"schema": taken}, "outputs": {"success": {"schema": given}, "error": {"schema": {}}},
        "owners": {"team": "t", "contact": "t"}, "undeclared": undeclared,
        "summary": {"state": "s", "proposedAction": "p", "asks": "a", "answers": {"approve": "y", "reject": "n"}},
    }  # fmt: skip
    metadata = {"name": name, "version": "1.0.0"}
    document = read(
        json.dumps({"apiVersion": "seamwork.dev/v1", "kind": "Contract", "metadata": metadata, "spec": spec})
    )
    assert isinstance(document, Contract)
    return document


@pytest.mark.parametrize(
    ("undeclared", "taken", "fits"),
    [
        ("refuse", WIDER, True),
        ("refuse", CLOSED, False),
        ("strip", CLOSED, True),
        ("strip", CLOSED | {"properties": {"a": {}, "c": {}}, "required": ["a", "c"]}, False),
        ("strip", CLOSED | {"properties": {"a": {"type": "string"}}}, False),
    ],
)
def test_what_the_target_strips_fits(undeclared: str, taken: Any, *, fits: bool) -> None:
    """The check says of what is handed on what the gate will say."""
    source, target = contract("source", CLOSED, WIDER, "refuse"), contract("target", taken, {}, undeclared)
    codes = {problem.code for problem in check_documents((read(FLOW), source, target)).errors}
    sent = orjson.dumps({"a": 1, "b": "x"})

    assert ("edge-does-not-fit" not in codes) is fits
    assert compile_contract(target).judge_input(sent, envelope={}, task={}, now_ms=0).admitted is fits


def test_what_is_more_than_the_target_strips_does_not_fit() -> None:
    """Of a long list the field of each entry is more than a gate cuts out of one payload."""

    def listed(**fields: Any) -> dict[str, Any]:
        entry = {"type": "object", "properties": fields, "additionalProperties": False}
        return {"type": "object", "properties": {"l": {"type": "array", "items": entry, "maxItems": 65}}}

    target = contract("target", listed(), {}, "strip")
    source = contract("source", CLOSED, listed(a={}), "refuse")
    sent = orjson.dumps({"l": [{"a": 1}] * 65})

    (problem,) = check_documents((read(FLOW), source, target)).errors

    assert "edge-does-not-fit" == problem.code
    assert not compile_contract(target).judge_input(sent, envelope={}, task={}, now_ms=0).admitted


@pytest.mark.parametrize(
    ("edge", "told"),
    [
        ({"passesOn": [{"contract": "source"}]}, []),
        ({"passesOn": [{"contract": "whole", "outcomes": ["partial"]}]}, []),
        ({"passesOn": [{"contract": "sauce"}]}, ["there is no contract 'sauce'"]),
        (
            {"passesOn": [{"contract": "source", "versions": ">=2"}]},
            ["there is no contract 'source' in this range"],
        ),
        (
            {"passesOn": [{"contract": "source", "outcomes": ["partial"]}]},
            ["source 1.0.0 has no outcome 'partial'"],
        ),
        ({"transfers": ["whole"]}, []),
        ({"transfers": ["source"]}, ["source 1.0.0 has no outcome 'partial'"]),
        ({"transfers": ["sauce"]}, ["there is no contract 'sauce'"]),
    ],
)
def test_what_is_handed_on_is_there(edge: dict[str, Any], told: list[str]) -> None:
    """The contract that it comes from, or is owed under, and each outcome that it may have."""
    flow = document("Flow", "line", edges=[{"from": "one", "to": "two", "contract": "whole"} | edge])
    whole, source = document("Contract", "whole"), document("Contract", "source", outputs={"partial": None})
    problems = check_documents((flow, whole, source)).problems

    assert told == [one.message for one in problems if one.path.startswith("$.spec.edges[0].")]


@pytest.mark.parametrize(("taken", "circles"), [("there", True), ("back", False)])
def test_work_comes_back_only_by_who_takes_it(taken: str, *, circles: bool) -> None:
    """Who offers the capability under another contract closes no cycle."""
    edges = [
        {"from": "one", "capability": "work", "contract": "there"},
        {"from": "two", "to": "one", "contract": "back"},
    ]
    takes = {name: [{"contract": name, "versions": ">=1 <2"}] for name in ("there", "back")}
    agents = (
        document("Agent", "one", accepts=takes["back"]),
        document("Agent", "two", offers=["work"], accepts=takes[taken]),
        document("Agent", "three", offers=["work"], accepts=takes["there"]),
    )
    documents = (
        document("Flow", "line", edges=edges),
        *agents,
        document("Contract", "there"),
        document("Contract", "back"),
    )
    codes = {problem.code for problem in check_documents(documents).problems}

    assert circles is ("cycle-without-bound" in codes)
