"""Judge what crosses a seam by its contract, and check contracts before anyone relies on them."""

from seamwork.contracts.acceptance import (
    accepts_version,
    may_consume,
    may_produce,
    party_accepts,
    shared_version,
)
from seamwork.contracts.check import check_contract, checked_contract, errors, faults
from seamwork.contracts.compiled import CompiledContract, ContractError, compile_contract
from seamwork.contracts.examples import judge_example
from seamwork.contracts.findings import Finding, Findings
from seamwork.contracts.masking import Mask
from seamwork.contracts.summary import Readable

__all__ = [
    "CompiledContract",
    "ContractError",
    "Finding",
    "Findings",
    "Mask",
    "Readable",
    "accepts_version",
    "check_contract",
    "checked_contract",
    "compile_contract",
    "errors",
    "faults",
    "judge_example",
    "may_consume",
    "may_produce",
    "party_accepts",
    "shared_version",
]
