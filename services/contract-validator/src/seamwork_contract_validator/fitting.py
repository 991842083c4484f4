"""
Check that a crossing fits into the context of who gets it, and say what exactly they will get.

Counted are the payload as it is delivered, the tool outputs, and of a handoff the intent: what a receiver has to
read. The contract's limit counts by the contract's counter, an agent's declared context by the agent's own.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec.structs import replace

from seamwork.catalog import Context
from seamwork.contracts.counters import COUNTERS
from seamwork.contracts.projection import cut, delivered
from seamwork.documents import Contract
from seamwork.documents.shape import ContextTokens
from seamwork.records.crossing import Handoff, Result
from seamwork.records.delivery import Delivered
from seamwork.records.parties import AgentRef
from seamwork_contract_validator.judged import Allowed, Denied


def fit_contract(
    contract: Contract, crossing: Handoff | Result, payload: bytes, projection: Sequence[str], judged: Allowed
) -> Allowed | Denied:
    """
    Say what is delivered, unless it takes up more context than the contract allows.

    Args:
        contract: The contract of the seam.
        crossing: What was sent.
        payload: Its body, all of it.
        projection: What is cut out of the body.
        judged: What the other checks came to.
    """
    limit = contract.spec.limits.context_tokens
    if limit is None:
        given = delivered(payload, projection) if projection else None
        return replace(judged, delivered=given)
    body = cut(payload, projection)
    counter = COUNTERS.get(limit.counter)
    if counter is None:
        return _denied("context-tokens", f"there is no counter {limit.counter}", judged)
    taken = _taken(counter, crossing, body)
    if taken > limit.at_most:
        return _denied(
            "context-tokens",
            f"the crossing takes up {taken} of context ({limit.counter}), its contract allows {limit.at_most}",
            judged,
        )
    return replace(judged, delivered=delivered(payload, projection, limit.counter, counter(body)))


def fit_receivers(
    handoff: Handoff, payload: bytes, given: Delivered | None, judged: Allowed, context: Context
) -> Allowed | Denied:
    """Admit only those receivers whose declared context holds the handoff."""
    body = payload if given is None else cut(payload, given.projection)
    admitted, short = [], []
    for ref in judged.candidates or ():
        agent = context.catalog.agent(ref)
        declared = None if agent is None else agent.spec.context_tokens
        lacking = None if declared is None else _lacking(ref, declared, handoff, body)
        if lacking is None:
            admitted.append(ref)
        else:
            short.append(lacking)
    if short and not admitted:
        return _denied("context-exceeded", "; ".join(short), judged)
    return replace(judged, candidates=tuple(admitted)) if short else judged


def fit_waiting(
    handoff: Handoff,
    result: Result,
    payload: bytes,
    given: Delivered | None,
    judged: Allowed,
    context: Context,
) -> Allowed | Denied:
    """
    Refuse an answer that the declared context of whoever asked cannot hold.

    *handoff* is the one that began the place, before it was handed over: its sender waits.
    """
    agent = context.catalog.agent(handoff.source)
    declared = None if agent is None else agent.spec.context_tokens
    if declared is None:
        return judged
    body = payload if given is None else cut(payload, given.projection)
    lacking = _lacking(handoff.source, declared, result, body)
    return judged if lacking is None else _denied("context-exceeded", lacking, judged)


def _lacking(ref: AgentRef, declared: ContextTokens, crossing: Handoff | Result, body: bytes) -> str | None:
    counter = COUNTERS.get(declared.counter)
    if counter is None:
        return f"{ref.agent} {ref.version} counts its context by {declared.counter}, which is no counter"
    taken = _taken(counter, crossing, body)
    if taken <= declared.at_most:
        return None
    return (
        f"the crossing takes up {taken} of context ({declared.counter}), "
        f"{ref.agent} {ref.version} can hold {declared.at_most}"
    )


def _taken(counter: Callable[[bytes], int], crossing: Handoff | Result, body: bytes) -> int:
    return sum(map(counter, _read(crossing, body)))


def _read(crossing: Handoff | Result, body: bytes) -> Iterable[bytes]:
    """Yield what a receiver reads of a crossing."""
    yield body
    if isinstance(crossing, Handoff):
        yield crossing.intent.encode()
    for output in crossing.tool_outputs:
        yield msgspec.json.encode(output)


def _denied(rule: str, reason: str, judged: Allowed) -> Denied:
    return Denied(
        rule,
        reason,
        sender_verified=True,
        consulted=judged.consulted,
        warnings=judged.warnings,
    )
