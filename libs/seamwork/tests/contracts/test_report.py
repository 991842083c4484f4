"""What a check found can be read by people, by programs and by review tools."""

import json
from typing import Any

import jsonschema_rs

from seamwork.contracts.codes import CODES
from seamwork.contracts.counters import COUNTERS
from seamwork.contracts.report import as_sarif, as_text, check_as_json, page
from seamwork.contracts.waivers import Checked, Waived
from seamwork.documents.problems import Place, Problem

WRONG = Problem(
    Place("contracts/a b.yaml", 7, 3), "$.spec.input", "rule-type", "no", "compare like with like"
)
OPEN = Problem(
    Place("contracts/a b.yaml", 5, 1), "$.spec.input", "open-object", "this object is open", "", "warning"
)
CHECKED = Checked((WRONG, OPEN, WRONG), (Waived(OPEN, "a log takes anything"),))

CLOSED = {"type": "object", "additionalProperties": False}
TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
# The parts of the OASIS schema of SARIF 2.1.0 that these logs use, closed so that a misspelt name shows.
SARIF: dict[str, Any] = {
    **CLOSED, "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"}, "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": {
            **CLOSED, "required": ["tool"],
            "properties": {
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "tool": {**CLOSED, "required": ["driver"], "properties": {
                    "driver": {**CLOSED, "required": ["name"], "properties": {
                        "name": {"type": "string"}, "semanticVersion": {"type": "string"},
                        "informationUri": {"type": "string", "format": "uri"},
                        "rules": {"type": "array", "uniqueItems": True, "items": {
                            **CLOSED, "required": ["id"], "properties": {
                                "id": {"type": "string"}, "shortDescription": TEXT, "help": TEXT,
                                "helpUri": {"type": "string", "format": "uri"},
                                "defaultConfiguration": {"type": "object", "properties": {
                                    "level": {"enum": ["none", "note", "warning", "error"]}}}}}}}}}},
                "results": {"type": "array", "items": {
                    **CLOSED, "required": ["message"], "properties": {
                        "ruleId": {"type": "string"}, "ruleIndex": {"type": "integer", "minimum": -1},
                        "level": {"enum": ["none", "note", "warning", "error"]}, "message": TEXT,
                        "locations": {"type": "array", "items": {
                            **CLOSED, "properties": {
                                "logicalLocations": {"type": "array", "items": {
                                    "type": "object", "required": ["fullyQualifiedName"]}},
                                "physicalLocation": {**CLOSED, "properties": {
                                    "artifactLocation": {"type": "object", "properties": {
                                        "uri": {"type": "string", "format": "uri-reference"}}},
                                    "region": {**CLOSED, "properties": {
                                        "startLine": {"type": "integer", "minimum": 1},
                                        "startColumn": {"type": "integer", "minimum": 1}}}}}}}},
                        "suppressions": {"type": "array", "items": {
                            **CLOSED, "required": ["kind"], "properties": {
                                "kind": {"enum": ["inSource", "external"]},
                                "status": {"enum": ["accepted", "underReview", "rejected"]},
                                "justification": {"type": "string"}}}}}}}}}},
    },
}  # fmt: skip


def test_the_text_says_place_reason_and_mend_and_counts() -> None:
    """Once each, in the order of the file."""
    assert as_text(CHECKED, 3).splitlines() == [
        "contracts/a b.yaml:5:1: warning open-object: $.spec.input: this object is open",
        "    why:  Fields that nobody declared may cross.",
        "    mend: Say `additionalProperties: false`.",
        "contracts/a b.yaml:7:3: error rule-type: $.spec.input: no",
        "    why:  The types never go together, so the rule never holds.",
        "    mend: compare like with like",
        "3 documents: 2 errors, 1 warnings, 1 waived",
    ]


def test_the_json_has_everything() -> None:
    """What a person reads a program can read too."""
    told = check_as_json(CHECKED, 3)

    assert ["open-object", "rule-type"] == [finding["code"] for finding in told["findings"]]
    assert ["code", "severity", "file", "line", "column", "path", "message", "why", "mend"] == list(
        told["findings"][0]
    )
    assert "a log takes anything" == told["waived"][0]["reason"]
    json.dumps(told)


def test_the_sarif_is_sarif() -> None:
    """Review tools are strict; what was waived is there as suppressed, with its reason."""
    log = as_sarif(CHECKED, "0.1.0")
    validator = jsonschema_rs.Draft202012Validator(SARIF, validate_formats=True)

    assert [] == [error.message for error in validator.iter_errors(log)]
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert all(result["ruleId"] == rules[result["ruleIndex"]]["id"] for result in run["results"])
    assert ["warning", "error", "warning"] == [result["level"] for result in run["results"]]
    assert (
        "contracts/a%20b.yaml"
        == run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    )
    assert "a log takes anything" == run["results"][-1]["suppressions"][0]["justification"]


def test_a_finding_without_a_page_is_reported_all_the_same() -> None:
    """A document that cannot be read is told beside those that can; its code has no rule to point to."""
    strange = Checked((Problem(Place("a.yaml", 1, 1), "$", "no-such-code", "no", "begin anew"),), ())
    (result,) = as_sarif(strange, "0.1.0")["runs"][0]["results"]

    assert "no-such-code" == result["ruleId"]
    assert "ruleIndex" not in result
    assert "    mend: begin anew" in as_text(strange, 1).splitlines()
    assert "" == check_as_json(strange, 1)["findings"][0]["why"]


def test_every_code_is_on_the_page() -> None:
    """A code that nobody explains is an insult."""
    written = page()

    assert all(f"| `{code}` |" in written for code in CODES)
    assert all(code.why.endswith(".") and code.mend for code in CODES.values())


def test_counters_count_the_same_everywhere() -> None:
    """A limit that two machines count differently is none."""
    payload = b'{"name":"Ada Lovelace","n":[1,2]}'

    assert {"quarter-of-bytes": 9, "bytes": 33, "words": 6} == {
        name: c(payload) for name, c in COUNTERS.items()
    }
