"""Lay out what a contract's rules may ask of the envelope and of the task."""

from typing import Any

from seamwork.catalog import Context
from seamwork.records.crossing import Handoff, Result
from seamwork.records.inbox import Work


def envelope_facts(record: Handoff | Result) -> dict[str, Any]:
    """Return the variable ``envelope`` of a rule: what the sender says of the crossing."""
    facts: dict[str, Any] = {
        "id": record.id,
        "task": record.task,
        "type": "handoff" if isinstance(record, Handoff) else "result",
        "source": record.source.agent,
        "source_version": record.source.version,
        "contract": record.contract.name,
        "contract_version": record.contract.version,
        "intent": record.intent,
        "payload_bytes": record.payload_bytes,
        "constraints": {constraint.name: constraint.value for constraint in record.constraints},
        "steps": [{"name": step.name, "state": step.state} for step in record.steps],
    }
    if isinstance(record, Handoff):
        facts |= {
            "step": record.step,
            "mode": record.mode,
            "target": record.target.agent or "",
            "capability": record.target.capability or "",
            "ceiling_micro_usd": record.ceiling_micro_usd,
        }
    else:
        facts["outcome"] = record.outcome
    return facts


def task_facts(record: Handoff | Result, work: Work | None, context: Context) -> dict[str, Any]:
    """Return the variable ``task`` of a rule: who began it, for whom, and how deep it is by now."""
    if work is not None:
        return {
            "id": work.task,
            "initiator": work.initiator.agent,
            "tenant": work.tenant or "",
            "team": work.team or "",
            "labels": work.labels,
            "depth": len(work.lineage),
        }
    agent = context.catalog.agent(record.source)
    spec = agent.spec if agent else None
    return {
        "id": record.task,
        "initiator": record.source.agent,
        "tenant": (spec.tenant if spec else None) or "",
        "team": (spec.team if spec else None) or "",
        "labels": dict(agent.metadata.labels) if agent else {},
        "depth": 0,
    }
