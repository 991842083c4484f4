"""
Write the documents of the simulated platform: contracts with every kind of failure handling, and what changes.

``first`` is there from the start; ``change`` is what a plan may publish or activate while work is on its way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from seamwork.broker.principal import SERVICES
from seamwork.documents import Agent, AnyDocument
from seamwork.platform.trust import Trust, first_documents, key_documents
from seamwork.testing.documents import document
from seamwork.testing.keys import key_of

PLAN_WORK, DO_WORK, RISKY_WORK = "plan-work/1.0.0", "do-work/1.0.0", "risky-work/1.0.0"
SHIP_WORK = "ship-work/1.0.0"
"""Work for which something must have been done before, in the same task."""
CONTRACTS = (PLAN_WORK, DO_WORK, RISKY_WORK, SHIP_WORK)
OPERATOR, PEOPLE = "operator", ("ada", "bob")
CLERK = "eve"
"""Somebody whom nobody asks, and who answers all the same."""
PAY = "pay"
"""An effect that cannot be undone: whoever would get it with work under ``do-work`` waits for a person."""
BOTH = ["handoff", "result"]
HIDDEN = "what nobody may read"
"""Stands in fields that contracts hide from people."""
SHIPPERS = ("planner",)
"""Who may hand work on under ``ship-work``."""
_OBJECT: dict[str, Any] = {"type": "object"}
_SENSITIVE: dict[str, Any] = {"type": "string", "x-sensitive": True}
_ANSWER: dict[str, Any] = {
    "schema": {
        "type": "object",
        "properties": {
            "flaw": {"type": "boolean"},
            "value": {},
            "sure": {"type": "number"},
            "secret": _SENSITIVE,
        },
    },
    "rules": [
        {"name": "no-flaw", "expr": "!has(this.flaw)", "message": "the answer says itself that it is flawed"}
    ],
}
_OUTPUTS = {"success": _ANSWER, "partial": _ANSWER, "error": {"schema": _OBJECT}}
_INPUT = {
    "schema": {
        "type": "object",
        "properties": {"script": _OBJECT, "dubious": {"type": "boolean"}, "secret": _SENSITIVE},
    },
    "rules": [{"name": "not-dubious", "expr": "!has(this.dubious)", "message": "whoever asks has doubts"}],
}
# Both are asked, one after the other; a case of theirs is soon over.
_OWNERS = {"team": "seams", "contact": "seams@example.org", "escalation": list(PEOPLE), "answerSeconds": 5}
NEXT = "policy-next"
"""The gate that may come to stand in for the policy engine."""
SERVICE_GATES = ("contract-validator", "policy-engine", "cost-cap", "approval-workflow")


@dataclass(frozen=True)
class Change:
    """What a plan's ``document`` does: publish, or activate what was published."""

    documents: tuple[AnyDocument, ...] = ()
    kind: str = ""
    name: str = ""
    version: str = ""
    status: Literal["active", "revoked", "retired", "deprecated"] = "active"
    mode: Literal["enforce", "canary", "shadow", "breaker-open", "breaker-closed", "paused"] | None = None
    share: int | None = None


ROOT = key_of("root")


def trust() -> Trust:
    """Return the keys of the simulated platform, the same on every run."""
    return Trust(
        root=ROOT,
        publisher=key_of("publisher"),
        services={name: key_of(f"service:{name}") for name in SERVICES},
        operator=key_of(f"agent:{OPERATOR}"),
        desk=key_of("agent:desk"),
    )


def keys() -> tuple[AnyDocument, ...]:
    """Return what the root signs."""
    return key_documents(trust())


def first(*, paying: bool = False, by_hour: bool = False) -> tuple[AnyDocument, ...]:
    """
    Return the documents that are in force from the start.

    Args:
        paying: Some agents may pay.
        by_hour: The budgets of agents begin anew with each hour.
    """
    effects = (PAY,) if paying else ()
    anew = {"period": "hour"} if by_hour else {}
    return (
        *_standing(effects),
        *contracts("1.0.0"),
        _agent("planner", (), effects=effects),
        _agent("worker", ("able",)),
        _agent("worker", ("able",), "2.0.0", effects=effects),
        _agent("helper", ("able",), effects=effects),
        _agent("rogue", ()),
        *(document("Person", name, roles=["lawyer"]) for name in PEOPLE),
        document("Person", CLERK, roles=["clerk"]),
        flow("1.0.0"),
        policy("1.0.0"),
        document("Budget", "planner-money", scope="agent", holder="planner", limitMicroUsd=2_000, **anew),
        document("Budget", "worker-money", scope="agent", holder="worker", limitMicroUsd=1_000_000, **anew),
    )


def _standing(effects: tuple[str, ...]) -> tuple[AnyDocument, ...]:
    # Deadlines of seconds, so that a history of a minute sees them all.
    gates = (
        document("Gate", "contract-validator", role="validator", requiredFor=BOTH, deadlineSeconds=6),
        document("Gate", "policy-engine", role="policy", requiredFor=BOTH, deadlineSeconds=6),
        document("Gate", "cost-cap", role="cost", requiredFor=["handoff"], deadlineSeconds=6),
        document("Gate", "approval-workflow", role="approval", requiredFor=[], deadlineSeconds=20),
    )  # fmt: skip
    others = (one for one in first_documents(trust()) if one.kind != "Gate")
    return (
        *gates,
        *(_with_effects(one, effects) if one.metadata.name == OPERATOR else one for one in others),
    )


def _with_effects(one: AnyDocument, effects: tuple[str, ...]) -> AnyDocument:
    if not isinstance(one, Agent):
        return one
    authority = one.spec.authority.model_copy(update={"effects": effects})
    return one.model_copy(update={"spec": one.spec.model_copy(update={"authority": authority})})


def contracts(version: str) -> tuple[AnyDocument, ...]:
    """Return the four contracts."""
    plan = {"action": "retry", "attempts": 2, "backoffSeconds": 1, "otherwise": "degrade"}
    return (
        document(
            "Contract", "plan-work", version, input=_INPUT, outputs=_OUTPUTS, owners=_OWNERS,
            onViolation={"action": "correct", "attempts": 1, "otherwise": "fail"},
            onTimeout=plan, onError={"action": "fail"}, undeclared="strip",
            escalateWhen={"planGrowth": {"steps": 2}},
            limits={"timeSeconds": 25, "costMicroUsd": 10},
        ),
        document(
            "Contract", "do-work", version, input=_INPUT, outputs=_OUTPUTS, owners=_OWNERS,
            onViolation={"action": "correct", "attempts": 2, "otherwise": "fallback"},
            onTimeout={"action": "retry", "attempts": 2, "backoffSeconds": 1, "otherwise": "fallback"},
            onError={"action": "fallback", "otherwise": "escalate"},
            fallbacks=[{"agent": "helper"}], undeclared="strip", escalateWhen={"irreversible": [PAY]},
            limits={
                "timeSeconds": 7, "costMicroUsd": 100,
                "contextTokens": {"counter": "words", "atMost": 500},
            },
        ),
        document(
            "Contract", "risky-work", version, input=_INPUT, outputs=_OUTPUTS, owners=_OWNERS,
            onViolation={"action": "escalate"}, onTimeout={"action": "degrade"}, onError={"action": "fail"},
            escalateWhen={"confidence": {"field": "/sure", "below": 0.5}},
            summary={"state": "the work is ready, and hides {{ this.secret }}"},
            limits={"timeSeconds": 12, "costMicroUsd": 50},
        ),
        document(
            "Contract", "ship-work", version, input=_INPUT, outputs=_OUTPUTS, owners=_OWNERS,
            onViolation={"action": "fail"}, onTimeout={"action": "fail"}, onError={"action": "fail"},
            preconditions=[{"contract": "do-work"}], limits={"timeSeconds": 7, "costMicroUsd": 10},
            producers=[{"agent": name} for name in SHIPPERS],
        ),
    )  # fmt: skip


def _agent(
    name: str, offers: tuple[str, ...], version: str = "1.0.0", effects: tuple[str, ...] = ()
) -> AnyDocument:
    accepts = [{"contract": one.partition("/")[0], "versions": "*"} for one in CONTRACTS]
    return document(
        "Agent",
        name,
        version,
        accepts=accepts,
        offers=list(offers),
        authority={"depth": 6, "effects": list(effects)},
    )


def flow(version: str, *, without: str = "", mode: str = "enforce") -> AnyDocument:
    """Return who may hand what to whom, how bindingly; *without* leaves one receiver out."""
    edges = [
        {"from": source, **to, "contract": contract.partition("/")[0]}
        for source in (OPERATOR, "planner", "worker", "helper", "rogue")
        for to in ({"to": "planner"}, {"to": "worker"}, {"to": "helper"}, {"capability": "able"})
        for contract in CONTRACTS
        if to.get("to") != without
    ]
    return document("Flow", "everything", version, edges=edges, mode=mode)


def strict() -> AnyDocument:
    """Return the flow that stays enforced while the other is not: what is risky."""
    edges = [
        {"from": source, "to": to, "contract": RISKY_WORK.partition("/")[0]}
        for source in (OPERATOR, "planner", "worker", "helper", "rogue")
        for to in ("worker", "helper")
    ]
    return document("Flow", "risky", "1.0.0", edges=edges)


def policy(version: str) -> AnyDocument:
    """
    Return the policy: what is risky needs a lawyer and pays for nothing, what is done is watched.

    Its second version slows planning down, too, and wants two lawyers.
    """
    risky = {
        "name": "risky-needs-a-lawyer",
        "when": 'envelope.contract == "risky-work"',
        "effect": "require-approval",
        "message": "risky work needs a lawyer",
        "approvers": {"roles": ["lawyer"], "count": 1 if version == "1.0.0" else len(PEOPLE)},
    }
    modest = {
        "name": "risky-pays-nothing",
        "when": 'envelope.contract == "risky-work"',
        "effect": "constrain",
        "message": "who does what is risky pays for nothing",
        "authority": {"depth": 3},
    }
    watched = {
        "name": "work-is-watched",
        "when": 'envelope.contract == "do-work"',
        "effect": "constrain",
        "message": "somebody watches",
        "constraints": [{"name": "watched", "value": "yes"}],
    }
    slow = {
        "name": "plan-slowly",
        "when": 'envelope.contract == "plan-work"',
        "effect": "throttle",
        "message": "planning is slow today",
        "delaySeconds": 2,
    }
    rules = [risky, modest, watched] if version == "1.0.0" else [risky, modest, watched, slow]
    return document("Policy", "prudence", version, match={"kinds": ["handoff"]}, rules=rules)


def change(name: str) -> Change:
    """Return what a plan means by *name*."""
    later = _LATER.get(name)
    if later is not None:
        return later()
    match name:
        case "policy-2":
            return Change((policy("2.0.0"),))
        case "policy-1":
            return Change(kind="Policy", name="prudence", version="1.0.0")
        case "budget-small":
            small = document(
                "Budget", "planner-money", "2.0.0", scope="agent", holder="planner", limitMicroUsd=15
            )
            return Change((small,))
        case "budget-1":
            return Change(kind="Budget", name="planner-money", version="1.0.0")
        case "worker-2-revoked":
            return Change(kind="Agent", name="worker", version="2.0.0", status="revoked")
        case "worker-2":
            return Change(kind="Agent", name="worker", version="2.0.0")
        case "gate-slow":
            slow = document(
                "Gate",
                "policy-engine",
                "2.0.0",
                role="policy",
                requiredFor=["handoff", "result"],
                deadlineSeconds=3,
            )
            return Change((slow,))
        case "shadow-gate":
            return Change(
                (document("Gate", "onlooker", role="policy", requiredFor=["handoff"]),), mode="shadow"
            )
        case "contract-2":
            return Change(contracts("2.0.0"))
        case _:
            message = f"no change is called {name}"
            raise ValueError(message)


def _by_hand(agent: str, mode: Literal["breaker-open", "breaker-closed", "paused"] | None) -> Change:
    return Change(kind="Agent", name=agent, version="1.0.0", mode=mode)


def _out(agent: str, version: str = "1.0.0") -> Change:
    return Change(kind="Agent", name=agent, version=version, status="retired")


def _trial(mode: Literal["enforce", "canary", "shadow"], share: int | None = None) -> Change:
    return Change(kind="Gate", name=NEXT, version="1.0.0", mode=mode, share=share)


_LATER: dict[str, Callable[[], Change]] = {
    "next-tried": lambda: Change(
        (
            document(
                "Gate", NEXT, role="policy", requiredFor=BOTH, deadlineSeconds=6, replaces="policy-engine"
            ),
        ),
        mode="shadow",
    ),
    "next-for-some": lambda: _trial("canary", 30),
    "next-for-more": lambda: _trial("canary", 70),
    "next-for-all": lambda: _trial("enforce"),
    "next-for-none": lambda: _trial("shadow"),
    "flow-2": lambda: Change((flow("2.0.0", without="helper"),)),
    "flow-observed": lambda: Change((flow("3.0.0", mode="observe"), strict())),
    "flow-shadow": lambda: Change((flow("4.0.0", mode="shadow"),)),
    "worker-2-retired": lambda: _out("worker", "2.0.0"),
    "worker-retired": lambda: _out("worker"),
    "worker-back": lambda: _by_hand("worker", None),
    "helper-retired": lambda: _out("helper"),
    "helper-back": lambda: _by_hand("helper", None),
    "planner-retired": lambda: _out("planner"),
    "planner-back": lambda: _by_hand("planner", None),
    "ada-gone": lambda: Change(kind="Person", name="ada", version="1.0.0", status="revoked"),
    "ada-back": lambda: Change(kind="Person", name="ada", version="1.0.0"),
    "worker-broken": lambda: _by_hand("worker", "breaker-open"),
    "helper-broken": lambda: _by_hand("helper", "breaker-open"),
    "worker-kept-closed": lambda: _by_hand("worker", "breaker-closed"),
    "worker-paused": lambda: _by_hand("worker", "paused"),
    "helper-paused": lambda: _by_hand("helper", "paused"),
    "worker-freed": lambda: _by_hand("worker", None),
    "helper-freed": lambda: _by_hand("helper", None),
    "flow-paused": lambda: Change(kind="Flow", name="everything", version="1.0.0", mode="paused"),
    "flow-enforced": lambda: Change(kind="Flow", name="everything", version="1.0.0"),
}
