"""
Say whether a published contract may be relied on at all, by the same check that its publisher should have made.

A contract is checked when it is first needed, not when it is read: a service that starts with thousands of versions
needs few of them. What the check says depends on the contract's bytes alone, so every reader comes to the same.
"""

from seamwork.contracts.check import faults
from seamwork.documents.contract import Contract
from seamwork.documents.problems import DocumentError, Problem
from seamwork.documents.reading import from_canonical
from seamwork.ids import sha256_hex

_KEPT = 50_000
_told: dict[str, Problem | None] = {}


def first_fault(contract: Contract, sha256: str) -> Problem | None:
    """
    Return the first thing that forbids to use *contract*, or None.

    Args:
        contract: The contract.
        sha256: The digest of its bytes, under which the answer is remembered.
    """
    try:
        return _told[sha256]
    except KeyError:
        pass
    found = next(iter(faults(contract)), None)
    if len(_told) >= _KEPT:
        _told.clear()
    _told[sha256] = found
    return found  # and not what stands there: another thread may have made room meanwhile


def examine(body: bytes) -> None:
    """Check the contract in *body*, so that the answer is there before anybody asks."""
    try:
        document = from_canonical(body)
    except DocumentError:
        return  # whoever folds the record in says so
    if isinstance(document, Contract):
        first_fault(document, sha256_hex(body))
