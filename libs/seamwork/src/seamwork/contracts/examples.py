"""Judge a contract's own examples, and payloads that are made up."""

from collections.abc import Callable
from typing import Any

from seamwork.contracts.compiled import CompiledContract, ContractError, compile_contract
from seamwork.contracts.findings import Findings
from seamwork.documents.canonical import canonical_json
from seamwork.documents.contract import Contract, Example
from seamwork.documents.shape import instant_ms


def judge_example(compiled: CompiledContract, example: Example) -> Findings:
    """Judge an example as the gate would judge the crossing that it stands for."""
    payload, now_ms = canonical_json(example.payload), instant_ms(example.now)
    if example.on == "input":
        return compiled.judge_input(payload, envelope=example.envelope, task=example.task, now_ms=now_ms)
    return compiled.judge_output(
        example.on,
        payload,
        request=None if example.request is None else canonical_json(example.request),
        envelope=example.envelope,
        task=example.task,
        now_ms=now_ms,
    )


def crossing(contract: Contract, on: str) -> Callable[[Any], bool]:
    """
    Return what says whether a payload may cross as *on*: whether the contract admits it.

    Of one that is judged by more than itself nobody knows; then it may.
    """
    try:
        compiled = compile_contract(contract)
    except ContractError:
        return lambda _: True
    if any(compiled.uses(on, variable) for variable in ("envelope", "task", "now", "request")):
        return lambda _: True

    def crosses(value: Any) -> bool:
        payload = canonical_json(value)
        if on == "input":
            return compiled.judge_input(payload, envelope={}, task={}, now_ms=0).admitted
        return compiled.judge_output(on, payload, envelope={}, task={}, now_ms=0).admitted

    return crosses
