"""Payloads as bytes, and the findings that they must lead to."""

from pathlib import Path
from typing import Any

import pytest

from seamwork.contracts.compiled import compile_contract
from seamwork.documents import Contract, parse_documents
from seamwork.documents.yaml_text import read_yaml

HERE = Path(__file__).parent
REFUND = HERE / "refund-request.yaml"
CASES = [
    pytest.param(case, id=f"{path.stem}-{index}")
    for path in sorted((HERE / "cases").glob("*.yaml"))
    for index, case in enumerate(read_yaml(path.read_text(encoding="utf-8"), path.name)[0].value)  # type: ignore[arg-type]  # a list
]
NOW_MS = 1_772_500_000_000


def refund() -> Contract:
    """Read the contract that the cases are about."""
    (contract,) = parse_documents(REFUND.read_text(encoding="utf-8"), REFUND.name)
    assert isinstance(contract, Contract)
    return contract


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    """The payload in *when* (text, or bytes in hexadecimal) leads to exactly the findings in *then*."""
    when = case["when"]
    payload = bytes.fromhex(when["hex"]) if "hex" in when else when["payload"].encode()
    compiled = compile_contract(refund())
    facts: dict[str, Any] = {"envelope": {}, "task": {}, "now_ms": NOW_MS}

    on = when.get("on", "input")
    if on == "input":
        judged = compiled.judge_input(payload, **facts)
    else:
        request = when.get("request")
        judged = compiled.judge_output(on, payload, request=request and request.encode(), **facts)

    assert case["then"] == [f"{f.severity} {f.rule} {f.pointer}".strip() for f in judged.findings]
    assert judged.admitted is all(entry.startswith("warn") for entry in case["then"])
