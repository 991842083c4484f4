"""
Lay out what rules, policies and summaries may ask of the envelope and of the task.

One shape for all three, so that an expression that was tried in a contract's example means the same in a policy.
What is absent is an empty text and not null: a comparison with it is false instead of an error.
"""

from collections.abc import Collection
from typing import Any

from seamwork.documents.agent import Agent
from seamwork.records.authority import Authority
from seamwork.records.base import tag_of
from seamwork.records.crossing import Handoff, Plan, Result
from seamwork.records.inbox import Work


def envelope_facts(crossing: Handoff | Result | Plan, authority: Authority | None = None) -> dict[str, Any]:
    """
    Return the variable ``envelope``: what the sender says of the crossing.

    Args:
        crossing: The handoff, result or plan.
        authority: The authority that it comes to, where somebody has worked it out; else what it asks for.
    """
    facts: dict[str, Any] = {
        "id": crossing.id,
        "task": crossing.task,
        "type": tag_of(crossing),
        "source": crossing.source.agent,
        "source_version": crossing.source.version,
        "contract": crossing.contract.name,
        "contract_version": crossing.contract.version,
        "intent": crossing.intent,
        "model": crossing.model or "",
        "payload_bytes": crossing.payload_bytes,
        "constraints": {constraint.name: constraint.value for constraint in crossing.constraints},
        "steps": [],
    }
    if not isinstance(crossing, Plan):
        facts["steps"] = [{"name": step.name, "state": step.state} for step in crossing.steps]
    if isinstance(crossing, Handoff):
        held = authority or crossing.authority or Authority()
        facts |= {
            "step": crossing.step,
            "mode": crossing.mode,
            "target": crossing.target.agent or "",
            "capability": crossing.target.capability or "",
            "ceiling_micro_usd": crossing.ceiling_micro_usd,
            "deadline_at": crossing.deadline_at,
        }
    else:
        held = authority or Authority()
        facts |= {"outcome": crossing.outcome} if isinstance(crossing, Result) else plan_facts(crossing)
    facts["authority"] = {
        "tools": list(held.tools),
        "data": list(held.data),
        "effects": list(held.effects),
        "depth": held.depth,
    }
    return facts


def plan_facts(plan: Plan) -> dict[str, Any]:
    """Return what rules and people may know of a plan: what is to be done, by whom, after what."""
    return {
        "subtasks": [
            {
                "name": subtask.name,
                "step": subtask.step,
                "contract": subtask.contract.name,
                "target": subtask.target.agent or "",
                "capability": subtask.target.capability or "",
                "after": list(subtask.after),
                "critical": subtask.critical,
            }
            for subtask in plan.subtasks
        ]
    }


def task_facts(
    crossing: Handoff | Result | Plan, stamp: Work | None, initiator: Agent | None
) -> dict[str, Any]:
    """
    Return the variable ``task``: who began it, for whom, and how deep it is by now.

    Args:
        crossing: The handoff or result.
        stamp: What its verified stamp says; null at the root.
        initiator: At the root, the document of the agent that begins the task.
    """
    if stamp is not None:
        return {
            "id": stamp.task,
            "initiator": stamp.initiator.agent,
            "tenant": stamp.tenant or "",
            "team": stamp.team or "",
            "labels": dict(stamp.labels),
            "depth": len(stamp.lineage),
        }
    return {
        "id": crossing.task,
        "initiator": crossing.source.agent,
        "tenant": (initiator.spec.tenant if initiator else None) or "",
        "team": (initiator.spec.team if initiator else None) or "",
        "labels": dict(initiator.metadata.labels) if initiator else {},
        "depth": 0,
    }


_TEXT, _NUMBER, _ANY_TEXTS = {"type": "string"}, {"type": "integer"}, {"type": "object"}
_TEXTS = {"type": "array", "items": _TEXT}


def _closed(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "additionalProperties": False}


_OF_ALL = {
    **dict.fromkeys(
        ("id", "task", "type", "source", "source_version", "contract", "contract_version", "intent", "model"),
        _TEXT,
    ),
    "payload_bytes": _NUMBER,
    "constraints": _ANY_TEXTS,
    "steps": {"type": "array", "items": _closed(name=_TEXT, state=_TEXT)},
    "authority": _closed(tools=_TEXTS, data=_TEXTS, effects=_TEXTS, depth=_NUMBER),
}
_SUBTASK = _closed(
    **dict.fromkeys(("name", "step", "contract", "target", "capability"), _TEXT),
    after=_TEXTS,
    critical={"type": "boolean"},
)
_OF_ONE: dict[str, dict[str, Any]] = {
    "handoff": {
        **dict.fromkeys(("step", "mode", "target", "capability"), _TEXT),
        "ceiling_micro_usd": _NUMBER,
        "deadline_at": _NUMBER,
    },
    "result": {"outcome": _TEXT},
    "plan": {"subtasks": {"type": "array", "items": _SUBTASK}},
}
_TASK = _closed(
    **dict.fromkeys(("id", "initiator", "tenant", "team"), _TEXT), labels=_ANY_TEXTS, depth=_NUMBER
)


def schemas_of_facts(kinds: Collection[str]) -> dict[str, Any]:
    """Return the JSON Schemas of ``envelope`` and ``task``, for crossings of any of these *kinds*."""
    own = {name: field for kind in kinds for name, field in _OF_ONE[kind].items()}
    return {"envelope": _closed(**_OF_ALL, **own), "task": _TASK}
