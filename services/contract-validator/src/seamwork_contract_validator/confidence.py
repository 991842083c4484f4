"""Want a person to see an answer that says itself that it is not sure."""

from typing import Any

from msgspec.structs import replace

from seamwork.catalog import Context
from seamwork.documents import Contract
from seamwork.records.crossing import Result
from seamwork.records.inbox import Work
from seamwork.records.verdict import Approvers
from seamwork.rules.walk import is_index
from seamwork_contract_validator.judged import Allowed, Denied


def sure_enough(
    contract: Contract, result: Result, work: Work, value: Any, judged: Allowed, context: Context, at: int
) -> Allowed | Denied:
    """
    Ask the owners' chain where an answer is less sure than its contract wants, or does not say how sure it is.

    Where nobody of the chain is known the answer is refused, along any flow: whoever else is asked about it, by a
    policy or by another contract that it must keep, does not stand for them.

    Args:
        contract: One that the answer must keep.
        result: The answer.
        work: Its stamp, verified. A desk's says whose work it puts back, and the router lets none of that through
            without the order of a person; an order beside any other stamp says nothing.
        value: Its payload.
        judged: What the other checks came to.
        context: The catalog, for who is meant by the chain.
        at: The append time of the answer.
    """
    when = contract.spec.escalate_when
    if when is None or when.confidence is None or result.outcome == "error":
        return judged
    if result.order is not None and work.in_place_of is not None:
        return judged
    stated = _at(value, when.confidence.field)
    said = _doubt(stated, when.confidence.below)
    if said is None:
        return judged
    people = tuple(sorted(context.catalog.owners_people(contract, at)))
    field = when.confidence.field
    if not people:
        reason = f"nobody can be asked, and somebody must be: {field} {said}"
        return Denied("no-approvers", reason, sender_verified=True, consulted=judged.consulted)
    asks = (*(judged.asks or ()), Approvers(people=people))
    return replace(judged, rule="confidence-low", reason=f"{field} {said}", asks=asks)


def _doubt(stated: Any, below: float) -> str | None:
    """Say why an answer is not sure enough, or None; what is no number from 0 to 1 states nothing."""
    if stated is None:
        return "is not stated"
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not 0 <= stated <= 1:
        return "is no number between 0 and 1"
    return None if stated >= below else f"is below {below}"


def _at(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and is_index(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
