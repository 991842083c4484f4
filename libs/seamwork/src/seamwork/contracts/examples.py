"""Judge a contract's own examples."""

from seamwork.contracts.compiled import CompiledContract
from seamwork.contracts.findings import Findings
from seamwork.documents.canonical import canonical_json
from seamwork.documents.contract import Example
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
