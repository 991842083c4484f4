"""Write down what a check found: for people, for programs, and as SARIF 2.1.0 for review tools."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from seamwork.contracts.codes import CHAPTERS, CODES, Code
from seamwork.contracts.waivers import Checked, Waived
from seamwork.documents.problems import Problem

PAGE = "docs/generated/findings.md"
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_text(checked: Checked, documents: int) -> str:
    """Return a line for each finding, its reason and its mend, and a last line that counts."""
    lines: list[str] = []
    for problem in ordered(checked.problems):
        lines.append(f"{problem.place}: {problem.severity} {problem.code}: {problem.path}: {problem.message}")
        code = CODES.get(problem.code)
        if code is not None:
            lines.append(f"    why:  {code.why}")
        lines.append(f"    mend: {problem.mend or (code.mend if code else '')}")
    lines.append(
        f"{documents} documents: {len(checked.errors)} errors, {len(checked.warnings)} warnings, "
        f"{len(checked.waived)} waived"
    )
    return "\n".join(lines)


def check_as_json(checked: Checked, documents: int) -> dict[str, Any]:
    """Return the findings and what was waived, as JSON."""
    return {
        "documents": documents,
        "findings": [_finding(problem) for problem in ordered(checked.problems)],
        "waived": [{**_finding(one.problem), "reason": one.reason} for one in checked.waived],
    }


def as_sarif(checked: Checked, version: str) -> dict[str, Any]:
    """
    Return the findings as SARIF.

    Args:
        checked: What was found; what was waived is there as suppressed.
        version: Ours.
    """
    rules = [code for chapter in CHAPTERS.values() for code in chapter]
    index = {code.name: position for position, code in enumerate(rules)}
    results = [_result(problem, index) for problem in ordered(checked.problems)]
    results += [_suppressed(waived, index) for waived in checked.waived]
    driver = {
        "name": "seamwork contracts check",
        "semanticVersion": version,
        "informationUri": "https://seamwork.dev",
        "rules": [_rule(code) for code in rules],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def page() -> str:
    """Return the page of all codes, which the findings refer to."""
    lines = [
        "# Findings of `seamwork contracts check`",
        "",
        "<!-- Written by `make docs` from seamwork.contracts.codes. -->",
        "",
        "An error keeps a document from being published, and the topic's readers refuse it alike. A warning stops",
        "nothing; leave one standing with `waivers: [{finding: CODE, at: $.PATH, reason: ...}]` in the `spec` of",
        "the contract or the flow.",
    ]
    for title, codes in CHAPTERS.items():
        lines += ["", f"## {title}", "", "| code | severity | why | mend |", "|---|---|---|---|"]
        lines += [f"| `{code.name}` | {code.severity} | {code.why} | {code.mend} |" for code in codes]
    return "\n".join(lines) + "\n"


def ordered(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems as they stand in the files, each once."""
    return sorted(
        dict.fromkeys(problems), key=lambda p: (p.place.source, p.place.line, p.place.column, p.code)
    )


def _finding(problem: Problem) -> dict[str, Any]:
    code = CODES.get(problem.code)
    return {
        "code": problem.code,
        "severity": problem.severity,
        "file": problem.place.source,
        "line": problem.place.line,
        "column": problem.place.column,
        "path": problem.path,
        "message": problem.message,
        "why": code.why if code else "",
        "mend": problem.mend or (code.mend if code else ""),
    }


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.name,
        "shortDescription": {"text": code.why},
        "help": {"text": code.mend},
        "helpUri": f"https://seamwork.dev/{PAGE}#{code.name}",
        "defaultConfiguration": {"level": code.severity},
    }


def _result(problem: Problem, index: dict[str, int]) -> dict[str, Any]:
    where = {
        "artifactLocation": {"uri": quote(PurePath(problem.place.source).as_posix())},
        "region": {"startLine": problem.place.line, "startColumn": problem.place.column},
    }
    mend = f" Mend: {problem.mend}." if problem.mend else ""
    result: dict[str, Any] = {
        "ruleId": problem.code,
        "level": problem.severity,
        "message": {"text": f"{problem.message}.{mend}"},
        "locations": [
            {"physicalLocation": where, "logicalLocations": [{"fullyQualifiedName": problem.path}]}
        ],
    }
    return result | ({"ruleIndex": index[problem.code]} if problem.code in index else {})


def _suppressed(waived: Waived, index: dict[str, int]) -> dict[str, Any]:
    why = {"kind": "inSource", "status": "accepted", "justification": waived.reason}
    return {**_result(waived.problem, index), "suppressions": [why]}
