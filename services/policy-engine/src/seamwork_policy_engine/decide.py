"""
Decide what the policies in force demand of a handoff, a result or a plan.

Rule 1: deny overrides. Of all rules that apply the strictest effect is the verdict; what the others ask for
(constraints, approvers, delays) comes with it.
Rule 2: what cannot be known is denied: no policy in force, no flow in force, an edge in no flow, a rule that cannot
be evaluated, a sender that is not proved.
Rule 3: an attempt is judged once, and a second judgement of a crossing replaces what the first added to the risk of
its task. What is sent twice under one id counts once.
Rule 4: a rule postpones a crossing once. Asked again, it only repeats until when.
Rule 5: everything is judged by what was in force when the record was appended that asks for the judgement.
Rule 6: a flow in ``observe`` or ``shadow`` spares what rules deny, and nothing else: what narrows, delays or asks
people counts there too, and so does what a policy that is ``always`` enforced denies.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from seamwork.catalog import Catalog, Context, settled, settled_on, standing_of_handoff, standing_of_plan
from seamwork.contracts.compiled import number_plans
from seamwork.contracts.facts import envelope_facts, plan_facts, task_facts
from seamwork.contracts.payload import PayloadError, read_payload
from seamwork.decider import DECISIONS, Input, Output, Tick, WithCrossing, vote
from seamwork.documents.contract import MAX_PAYLOAD_BYTES
from seamwork.documents.shape import AuthoritySpec
from seamwork.grants.authority import narrowed, one_deeper, united
from seamwork.grants.entitlement import entitlement
from seamwork.grants.stamps import StampProblem, seam_sender
from seamwork.records.authority import Authority, Constraint
from seamwork.records.crossing import Handoff, Plan, Result
from seamwork.records.decision import JudgeAgain, TaskEnded
from seamwork.records.enforcement import Enforcement, Spared
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.inbox import Work
from seamwork.records.parties import AgentRef, ContractRef, DocumentRef, Subject
from seamwork.records.verdict import Approvers, Verdict, Warned
from seamwork.records.wire import Malformed, Received
from seamwork.rules import Facts
from seamwork_policy_engine import __version__
from seamwork_policy_engine.flows import drawn
from seamwork_policy_engine.policies import Applied, Matter, ask
from seamwork_policy_engine.state import (
    HORIZON_MS,
    Event,
    Forgotten,
    Judged,
    Memory,
    TaskOver,
    others,
    place_key,
)

GATE = "policy-engine"
DAY_MS = 24 * 60 * 60 * 1000
MONTH_MS = 30 * DAY_MS
"""So long a task's risk is kept that nobody says the end of: as long as what it was sent by lies on the bus."""
FORGOTTEN_AT_ONCE = 500


class Asked(msgspec.Struct, frozen=True):
    """One attempt of a crossing to be judged; *at* is the append time of the record that asks."""

    subject: Subject
    crossing: Handoff | Result | Plan
    received: Received[AnyEnvelope]
    at: int
    exclude: Sequence[AgentRef] = ()


class Demand(msgspec.Struct, frozen=True):
    """What the policies come to, with what it adds to the task's risk and which rules postpone it until when."""

    outcome: str
    rule: str
    reason: str
    candidates: tuple[AgentRef, ...] | None = None
    constraints: tuple[Constraint, ...] = ()
    authority: Authority | None = None
    not_before: int | None = None
    approvers: tuple[Approvers, ...] = ()
    warnings: tuple[Warned, ...] = ()
    consulted: tuple[DocumentRef, ...] = ()
    risk: int = 0
    throttled: tuple[tuple[str, int], ...] = ()
    spared: Spared | None = None


def policy_engine(platform: str) -> Callable[[Memory, Input, Context], Sequence[Event]]:
    """Return ``decide`` for the platform with this id; signatures cover it."""

    def decide(memory: Memory, given: Input, context: Context) -> Sequence[Event]:
        """
        Vote on a handoff, result or plan, or follow the end of a task.

        Returns:
            ``(Judged,)``, or ``()`` when the attempt was judged before.
        """
        match given:
            case WithCrossing(decision=Received(record=JudgeAgain() as again) as decision, crossing=crossing):
                return tuple(_again(memory, platform, decision, again, crossing, context))
            case Received(record=Handoff() | Result() | Plan() as crossing) if (
                given.raw.topic == "handoffs.v1"
            ):
                return tuple(_first(memory, platform, crossing, given, context))
            case Received(record=TaskEnded(task=str() as task)) if (
                given.raw.topic == DECISIONS and task in memory.tasks
            ):
                return (TaskOver(task=task),)
            case Tick():
                due = sorted({due for due in map(int, (*memory.due, *memory.ends)) if due <= context.now})
                return tuple(Forgotten(due=one) for one in due[:FORGOTTEN_AT_ONCE])
            case _:
                return ()

    return decide


def outputs(event: Event) -> Sequence[Output]:
    """Return the verdict, to the partition of its subject."""
    return (vote(event.verdict),) if isinstance(event, Judged) else ()


# ── judging ──────────────────────────────────────────────────────────────────────────


def _first(
    memory: Memory,
    platform: str,
    crossing: Handoff | Result | Plan,
    received: Received[AnyEnvelope],
    context: Context,
) -> Iterator[Event]:
    place = received.position
    if place_key(place.partition, place.offset) in memory.seen:
        return
    subject = Subject(partition=place.partition, offset=place.offset, digest=received.digest)
    yield _judge(memory, platform, Asked(subject, crossing, received, received.raw.appended_at), context)


def _again(
    memory: Memory,
    platform: str,
    decision: Received[AnyEnvelope],
    again: JudgeAgain,
    crossing: Received[AnyEnvelope] | Malformed,
    context: Context,
) -> Iterator[Event]:
    subject = again.subject
    if subject is None or GATE not in again.gates:
        return
    seen = memory.seen.get(place_key(subject.partition, subject.offset))
    if seen is not None and seen.attempt >= subject.attempt:
        return
    record = crossing.record if isinstance(crossing, Received) else None
    at = decision.raw.appended_at
    if (
        isinstance(crossing, Received)
        and isinstance(record, Handoff | Result | Plan)
        and crossing.digest == subject.digest
    ):
        yield _judge(memory, platform, Asked(subject, record, crossing, at, again.exclude), context)
        return
    changed = Demand(
        "DENY", "crossing-changed", "the record at the subject's position is not the one judged before"
    )
    verdict = _verdict(subject, again.task, again.crossing, changed, 0, context)
    yield Judged(verdict=verdict, task=None, until=at + HORIZON_MS)


def _judge(memory: Memory, platform: str, asked: Asked, context: Context) -> Judged:
    crossing = asked.crossing
    until = min(crossing.expires_at, asked.received.raw.appended_at + DAY_MS) + HORIZON_MS
    # What is denied is over: else whoever writes what nobody admits could have us remember it for a day.
    denied_until = min(until, asked.at + HORIZON_MS)
    stamp = _entitled(asked, platform, context)
    if isinstance(stamp, Demand):
        verdict = _verdict(asked.subject, crossing.task, crossing.id, stamp, 0, context)
        return Judged(verdict=verdict, task=None, until=denied_until)
    if isinstance(crossing, Handoff):
        appended_at = asked.received.raw.appended_at
        asked = replace(asked, crossing=settled(context.catalog, crossing, appended_at))
    demand = _demand(memory, asked, stamp, context)
    before = others(memory, crossing.task, crossing.id, asked.subject).risk
    return Judged(
        verdict=_verdict(
            asked.subject,
            crossing.task,
            crossing.id,
            demand,
            before + demand.risk,
            context,
            settled_on(asked.crossing),
        ),
        task=crossing.task,
        risk=demand.risk,
        throttled=dict(demand.throttled),
        until=denied_until if demand.outcome == "DENY" and demand.spared is None else until,
        risk_until=max(until, _ends(asked, stamp) + HORIZON_MS),
    )


def _ends(asked: Asked, stamp: Work | None) -> int:
    """
    Return until when the task may go on, as far as the crossing proves it.

    A root says it for the whole task, a stamp for its dispatch, and both within a month. When a crossing expires
    does not matter: that is up to its sender, who could let the risk be forgotten while the task goes on.
    """
    crossing, most = asked.crossing, asked.received.raw.appended_at + MONTH_MS
    if stamp is not None:
        return min(stamp.not_after, most)
    return min(crossing.deadline_at, most) if isinstance(crossing, Handoff) else 0


def _entitled(asked: Asked, platform: str, context: Context) -> Work | Demand | None:
    """Return the stamp of a crossing, None for a root of an initiator, or why it counts for nobody's task."""
    catalog, crossing = context.catalog, asked.crossing
    stamp = entitlement(asked.received, crossing, platform, catalog.key)
    if isinstance(stamp, StampProblem):
        return Demand(
            "DENY", "sender-not-proved", f"no policy is asked about it: {stamp.reason} ({stamp.rule})"
        )
    root = catalog.agent(crossing.source) if stamp is None else None
    if stamp is None and (root is None or not root.spec.initiator):
        return Demand(
            "DENY", "not-an-initiator", "a handoff without a stamp comes only from an agent marked initiator"
        )
    return stamp


def _demand(memory: Memory, asked: Asked, stamp: Work | None, context: Context) -> Demand:
    catalog, crossing = context.catalog, asked.crossing
    policies = catalog.policies(asked.at)
    if not policies:
        return Demand(
            "DENY", "no-policy", "no Policy is in force; publish one, if only to say that all is well"
        )
    # What a desk answers is its own: its stamp names in whose place it hands work on, and that is who waits.
    sender = seam_sender(crossing, stamp) if isinstance(crossing, Handoff) else crossing.source
    candidates: tuple[AgentRef, ...] = ()
    consulted: tuple[DocumentRef, ...] = ()
    if isinstance(crossing, Handoff):
        found = _led_to(asked, crossing, sender, context)
        if isinstance(found, Demand):
            return found
        candidates, consulted = found
    root = catalog.agent(crossing.source) if stamp is None else None
    task = task_facts(crossing, stamp, root)
    authority = _authority(crossing, stamp, _held(root.spec.authority) if root else Authority())
    senders = frozenset((crossing.source.agent, sender.agent))
    matter = Matter(crossing, senders, candidates, task["tenant"], task["team"], task["labels"], authority)
    known = others(memory, crossing.task, crossing.id, asked.subject)
    task |= {"risk": known.risk, "crossings": known.crossings}

    def facts(uses: frozenset[str]) -> Facts:
        if isinstance(crossing, Plan):
            this: Any = plan_facts(crossing)
        else:
            this = read_payload(asked.received.payload, MAX_PAYLOAD_BYTES)
            this = _typed(catalog, crossing, this) if "this" in uses else this
        return Facts(this=this, envelope=envelope_facts(crossing, authority), task=task, now_ms=asked.at)

    try:
        answer = ask(catalog, policies, matter, facts)
    except PayloadError as error:
        return Demand("DENY", error.finding.rule, error.finding.message, consulted=consulted)
    applied = [one for one in answer.applied if one.mode != "shadow"]
    if isinstance(crossing, Handoff):
        along = standing_of_handoff(catalog, crossing, sender, asked.at)
        demand = _of_handoff(memory, asked, crossing, applied, candidates, along.mode, context)
    else:
        mode = stamp.enforcement if stamp is not None else "enforce"
        if isinstance(crossing, Plan):
            mode = standing_of_plan(catalog, crossing.source, crossing.subtasks, asked.at).mode
        demand = _of_answer(memory, asked, applied, mode, context)
    aside = tuple(
        Warned(rule=one.id, reason=one.message, would=one.effect)
        for one in answer.applied
        if one.mode == "shadow"
    )
    return replace(
        demand,
        consulted=(*consulted, *answer.consulted),
        risk=sum(one.rule.risk for one in applied),
        warnings=(*demand.warnings, *aside),
    )


def _typed(catalog: Catalog, crossing: Handoff | Result, value: Any) -> Any:
    """Return a payload with its numbers as the rules of its contract see them."""
    contract = catalog.contract(crossing.contract)
    if contract is None:
        return value  # the validator denies it
    plans = catalog.compiled("numbers", contract, lambda: number_plans(contract))
    plan = plans.get(crossing.outcome if isinstance(crossing, Result) else "input")
    return value if plan is None else plan.apply(value)


def _of_handoff(  # what applies to whom, and how binding it is
    memory: Memory,
    asked: Asked,
    handoff: Handoff,
    applied: Sequence[Applied],
    candidates: tuple[AgentRef, ...],
    mode: Enforcement,
    context: Context,
) -> Demand:
    """Return what the rules demand of a handoff, which may go to those candidates alone that no rule denies."""
    if not applied:
        return replace(_NOTHING, candidates=candidates)
    denials = [one for one in applied if one.effect == "deny"]
    # Where some have failed it is for whoever is left.
    meant = set() if asked.exclude else set(context.catalog.primary(handoff, asked.at))
    meant = meant or set(candidates)
    admitted = _not_denied(candidates, denials)
    spared: Sequence[Applied] = ()
    if denials and not meant & set(admitted):
        admitted, spared = _not_denied(candidates, _binding(denials, mode)), denials
        if not meant & set(admitted):
            return _denied(denials)
    kept = [one for one in applied if one.effect != "deny" and any(one.concerns(ref) for ref in admitted)]
    return _sparing(replace(_combined(memory, asked, kept, context), candidates=admitted), spared)


def _of_answer(
    memory: Memory, asked: Asked, applied: Sequence[Applied], mode: Enforcement, context: Context
) -> Demand:
    """Return what the rules demand of a result or a plan, of which no candidate is left to choose."""
    denials = [one for one in applied if one.effect == "deny"]
    if _binding(denials, mode):
        return _denied(denials)
    kept = [one for one in applied if one.effect != "deny"]
    return _sparing(_combined(memory, asked, kept, context), denials)


def _binding(denials: Sequence[Applied], mode: Enforcement) -> Sequence[Applied]:
    """Return the denials that count along a flow in *mode*."""
    return denials if mode == "enforce" else [one for one in denials if one.mode == "always"]


def _not_denied(candidates: tuple[AgentRef, ...], denials: Sequence[Applied]) -> tuple[AgentRef, ...]:
    return tuple(ref for ref in candidates if not any(one.concerns(ref) for one in denials))


def _sparing(demand: Demand, spared: Sequence[Applied]) -> Demand:
    """Return *demand* as the denial that it would be if the flow were enforced."""
    if not spared:
        return demand
    denied = _denied(spared)
    return replace(
        demand,
        outcome=denied.outcome,
        rule=denied.rule,
        reason=denied.reason,
        spared=Spared(mode="shadow", outcome=demand.outcome),
    )


def _led_to(
    asked: Asked, handoff: Handoff, sender: AgentRef, context: Context
) -> tuple[tuple[AgentRef, ...], tuple[DocumentRef, ...]] | Demand:
    """Return the candidates that a flow leads to, and the flows; or why there are none."""
    catalog = context.catalog
    flows = catalog.flows(asked.at)
    if not flows:
        return Demand(
            "DENY", "no-flow", "no Flow is in force, so no agent may hand work to another; publish one"
        )
    candidates = catalog.candidates(handoff, asked.at)
    if set(candidates) <= set(asked.exclude):
        return Demand("DENY", "no-candidate", "nobody in force may take the handoff")
    # Of all of them: whoever stands in for somebody needs that one's edge, also when that one has failed.
    led = drawn(catalog, handoff, sender, candidates, asked.at)
    if not led.candidates:
        reason = "no Flow in force has an edge from source to the target under this contract and version"
        return Demand("DENY", "no-flow-edge", reason, consulted=tuple(map(catalog.reference, flows)))
    return tuple(ref for ref in led.candidates if ref not in asked.exclude), led.consulted


_NOTHING = Demand("ALLOW", "no-rule-objects", "no rule of the policies in force objects")


def _combined(memory: Memory, asked: Asked, applied: Sequence[Applied], context: Context) -> Demand:
    """Put together what several rules demand of one crossing besides denying it."""
    if not applied:
        return _NOTHING
    by_effect = {
        effect: [one for one in applied if one.effect == effect]
        for effect in ("require-approval", "throttle", "constrain", "warn")
    }
    seen = memory.seen.get(place_key(asked.subject.partition, asked.subject.offset))
    served = dict(seen.throttled) if seen else {}
    waits = {
        one.id: served.get(one.id, context.now + (one.rule.delay_seconds or 0) * 1000)
        for one in by_effect["throttle"]
    }
    new = [one for one in by_effect["throttle"] if one.id not in served]
    decisive = by_effect["require-approval"] or new or by_effect["constrain"]
    outcome = "ALLOW"
    if by_effect["require-approval"]:
        outcome = "REQUIRE_APPROVAL"
    elif new:
        outcome = "THROTTLE"
    elif by_effect["constrain"]:
        outcome = "ALLOW_WITH_CONSTRAINTS"
    limits = [_held(one.rule.authority) for one in by_effect["constrain"] if one.rule.authority is not None]
    pending = [until for until in waits.values() if until > context.now]
    return Demand(
        outcome,
        decisive[0].id if decisive else _NOTHING.rule,
        _reason(decisive) if decisive else _NOTHING.reason,
        constraints=united(
            Constraint(name=spec.name, value=spec.value)
            for one in by_effect["constrain"]
            for spec in one.rule.constraints
        ),
        authority=narrowed(*limits) if limits else None,
        not_before=max(pending, default=None),
        approvers=_approvers(by_effect["require-approval"]),
        warnings=tuple(Warned(rule=one.id, reason=one.message) for one in by_effect["warn"]),
        throttled=tuple(sorted((one.id, waits[one.id]) for one in new)),
    )


def _denied(denials: Sequence[Applied]) -> Demand:
    return Demand("DENY", denials[0].id, _reason(denials))


def _reason(applied: Sequence[Applied]) -> str:
    others = ", ".join(one.id for one in applied[1:])
    return f"{applied[0].message} (so do {others})" if others else applied[0].message


def _approvers(applied: Sequence[Applied]) -> tuple[Approvers, ...]:
    asked = (
        Approvers(roles=tuple(sorted(set(spec.roles))), count=spec.count)
        for spec in (one.rule.approvers for one in applied)
        if spec is not None
    )
    return tuple(dict.fromkeys(asked))


def _authority(crossing: Handoff | Result | Plan, stamp: Work | None, root: Authority) -> Authority:
    """Return what the crossing's authority comes to: what is asked, never more than what is held."""
    if isinstance(crossing, Result | Plan):
        return stamp.authority if stamp is not None else Authority()
    if stamp is None:
        held = root
    else:
        held = one_deeper(stamp.authority) if crossing.mode == "delegate" else stamp.authority
    return narrowed(crossing.authority, held) if crossing.authority is not None else held


def _held(spec: AuthoritySpec) -> Authority:
    return Authority(tools=spec.tools, data=spec.data, effects=spec.effects, depth=spec.depth)


def _verdict(
    subject: Subject,
    task: str | None,
    crossing: str | None,
    demand: Demand,
    risk: int,
    context: Context,
    contract: ContractRef | None = None,
) -> Verdict:
    return Verdict(
        gate=GATE,
        gate_version=__version__,
        subject=subject,
        task=task,
        crossing=crossing,
        outcome=demand.outcome,
        rule=demand.rule,
        reason=demand.reason,
        contract=contract,
        candidates=demand.candidates,
        constraints=demand.constraints,
        authority=demand.authority,
        not_before=demand.not_before,
        approvers=demand.approvers,
        warnings=demand.warnings,
        consulted=demand.consulted,
        revision=context.catalog.revision,
        judged_at=context.now,
        risk=risk,
        spared=demand.spared,
    )
