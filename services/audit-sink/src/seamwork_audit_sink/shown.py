"""
Show a record to people: what a contract marks is hidden, and of what no known contract describes, everything.

Payloads are masked by the contract that they crossed under; the values of tool outputs, and of the headers of dead
letters, which no contract describes, are hidden whole.
"""

from typing import Any

import msgspec

from seamwork.catalog import Catalog, crosses_under
from seamwork.contracts.compiled import CompiledContract, ContractError, compile_contract
from seamwork.contracts.masking import HIDDEN
from seamwork.records.crossing import Handoff, Result
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.inbox import Answer, Work
from seamwork.records.parties import ContractRef
from seamwork.records.platform import DeadLetter
from seamwork.records.wire import Received
from seamwork_audit_sink.rows import Row, record_of

_MOST_OF_AN_ERROR = 500  # characters


def shown(leaf: int, row: Row, catalog: Catalog | None) -> dict[str, Any]:
    """
    Return a record as people may see it, as JSON's own types.

    Args:
        leaf: Its place in the tree.
        row: The record.
        catalog: Where contracts are looked up; without one every payload is hidden.
    """
    found = record_of(row)
    facts: dict[str, Any] = {
        "leaf": leaf,
        "topic": row.topic,
        "partition": row.partition,
        "offset": row.offset,
        "appended_at": row.appended_at,
        "type": row.type,
        "crossing": row.crossing,
        "dispatch": row.dispatch,
        "digest": row.digest,
        "rule": row.rule,
        "reason": row.reason,
        "payload_bytes": row.value_bytes,
        "payload_sha256": row.value_sha256,
        "envelope": None,
        "payload": None,
    }
    if isinstance(found, Received):
        facts["envelope"] = _envelope(found.record)
        facts["payload"] = _payload(found, catalog) if row.value_bytes else None
    elif row.value_bytes:
        facts["payload"] = HIDDEN
    return facts


def _envelope(record: AnyEnvelope) -> Any:
    fields = msgspec.to_builtins(record)
    for output in fields.get("tool_outputs", ()):
        output["value"] = HIDDEN
    if isinstance(record, DeadLetter):
        # One of them is the envelope of what was set aside, with its tool outputs and its stamp.
        fields["headers"] = [{**header, "value": HIDDEN} for header in fields["headers"]]
    stamp = getattr(record, "stamp", None)
    if stamp is not None:
        fields["stamp"] = {"kid": stamp.kid}  # a signed grant is nobody's to copy from a page
    return fields


def shown_payload(row: Row, catalog: Catalog | None) -> Any:
    """Return a record's payload as people may see it."""
    found = record_of(row)
    return _payload(found, catalog) if isinstance(found, Received) and row.value_bytes else HIDDEN


def error_in(row: Row, catalog: Catalog | None) -> str:
    """Return what an answer of the outcome ``error`` says, as people may see it; nothing where that is hidden."""
    payload = shown_payload(row, catalog)
    error = payload.get("error") if isinstance(payload, dict) else None
    if not isinstance(error, dict):
        return ""
    parts = (error.get(name) for name in ("type", "message"))
    said = ": ".join(part for part in parts if isinstance(part, str) and part)
    return said if len(said) <= _MOST_OF_AN_ERROR else f"{said[:_MOST_OF_AN_ERROR]}…"


def _payload(found: Received[AnyEnvelope], catalog: Catalog | None) -> Any:
    if catalog is None or found.raw.value is None:
        return HIDDEN
    match found.record:
        case Handoff() as handoff:
            ref, on = crosses_under(catalog, handoff, found.raw.appended_at), "input"
        case Work(contract=ref):
            on = "input"
        case Result(contract=ref, outcome=outcome) | Answer(contract=ref, outcome=outcome):
            on = outcome
        case _:
            return HIDDEN
    compiled = _compiled(ref, catalog)
    return HIDDEN if compiled is None else compiled.masked(found.raw.value, on)


def _compiled(ref: ContractRef, catalog: Catalog) -> CompiledContract | None:
    contract = catalog.contract(ref)
    if contract is None:
        return None
    try:
        return catalog.compiled("audit-mask", contract, lambda: compile_contract(contract))
    except ContractError:
        return None  # it was published past the check; what it would mask cannot be known
