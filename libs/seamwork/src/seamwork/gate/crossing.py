"""Show a gate's function what crosses, without what only the platform needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast

from seamwork.contracts.facts import envelope_facts, plan_facts
from seamwork.contracts.payload import read_payload
from seamwork.documents.contract import MAX_PAYLOAD_BYTES
from seamwork.records.base import tag_of
from seamwork.records.crossing import Handoff, Plan, Result
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.wire import Received

Kind = Literal["handoff", "result", "plan"]


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """
    A handoff, a result or a plan on its way. Tests make one of the fields that matter to them.

    Nothing of it is proved when a gate sees it: the contract validator judges it at the same time, and only what
    both let pass goes on.

    Attributes:
        kind: ``handoff``, ``result`` or ``plan``.
        contract, version: The contract that it crosses under.
        source: The agent that sent it.
        payload: What crosses, read from its JSON; of a plan its subtasks.
        target: The agent that a handoff names, empty where it asks for a capability.
        capability: What a handoff asks for, empty where it names an agent.
        outcome: Of a result: ``success``, ``partial`` or ``error``.
        intent: What the task is for, as its initiator said.
        task, id: Which task, and which crossing of it.
        at: When the log took it (UTC).
        attempt: 1 for the first time that it is judged.
        candidates: Of a handoff: the agents that could get it, by name, whom it is meant for first.
        envelope: All that the sender says of it, as rules of policies see it.
    """

    kind: Kind = "handoff"
    contract: str = ""
    version: str = "1.0.0"
    source: str = ""
    payload: Any = None
    target: str = ""
    capability: str = ""
    outcome: str = ""
    intent: str = ""
    task: str = ""
    id: str = ""
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    attempt: int = 1
    candidates: tuple[str, ...] = ()
    envelope: Mapping[str, Any] = field(default_factory=dict)


def shown(
    received: Received[AnyEnvelope],
    record: Handoff | Result | Plan,
    attempt: int,
    candidates: tuple[str, ...],
) -> Crossing:
    """
    Return what a gate's function sees of a record.

    Args:
        received: The record as it lies in the log.
        record: What it says; of a handoff that left the version open, with the version that it goes under.
        attempt: Which judgement it is.
        candidates: Names of those who could get it.

    Raises:
        PayloadError: Its payload is no JSON that anybody could judge.
    """
    payload = (
        plan_facts(record)["subtasks"]
        if isinstance(record, Plan)
        else read_payload(received.payload, MAX_PAYLOAD_BYTES)
    )
    target = record.target if isinstance(record, Handoff) else None
    return Crossing(
        kind=cast("Kind", tag_of(record)),
        contract=record.contract.name,
        version=record.contract.version,
        source=record.source.agent,
        payload=payload,
        target=(target.agent or "") if target else "",
        capability=(target.capability or "") if target else "",
        outcome=record.outcome if isinstance(record, Result) else "",
        intent=record.intent,
        task=record.task,
        id=record.id,
        at=datetime.fromtimestamp(received.raw.appended_at / 1000, UTC),
        attempt=attempt,
        candidates=candidates,
        envelope=envelope_facts(record),
    )
