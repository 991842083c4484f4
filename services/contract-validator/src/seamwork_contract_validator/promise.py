"""Check what is said: the contract, the target, the payload, the outcome, the plan."""

from msgspec.structs import replace

from seamwork.catalog import (
    Context,
    Standing,
    range_problem,
    settled,
    settled_on,
    standing_of_handoff,
    standing_of_plan,
)
from seamwork.catalog.entries import NOT_YET
from seamwork.contracts.acceptance import may_produce
from seamwork.contracts.compiled import CompiledContract, compile_contract
from seamwork.contracts.facts import envelope_facts, task_facts
from seamwork.contracts.findings import Finding, Findings
from seamwork.contracts.payload import PayloadError, read_payload
from seamwork.contracts.plan import plan_problem
from seamwork.contracts.projection import cut, too_much
from seamwork.documents import Contract
from seamwork.documents.contract import MAX_PAYLOAD_BYTES
from seamwork.grants.stamps import seam_sender
from seamwork.records.crossing import Handoff, Plan, Result, Subtask
from seamwork.records.delivery import Delivered
from seamwork.records.enforcement import Enforcement, Spared, most_lenient, spares
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.inbox import Work
from seamwork.records.parties import AgentRef, ContractRef, DocumentRef
from seamwork.records.verdict import Approvers, Warned
from seamwork.records.wire import Received, rfc3339
from seamwork_contract_validator.confidence import sure_enough
from seamwork_contract_validator.fitting import fit_contract, fit_receivers, fit_waiting
from seamwork_contract_validator.judged import Allowed, Denied
from seamwork_contract_validator.requests import Answerable, Request

_SHOWN = 5


def judge_handoff(
    crossing: Received[AnyEnvelope], handoff: Handoff, work: Work | None, context: Context
) -> Allowed | Denied:
    """Judge whether the contract is in force, the target can take it, and the payload is what it promises."""
    at = crossing.raw.appended_at
    problem = range_problem(handoff)
    if problem is not None:
        return _denied("contract-versions", problem, ())
    handoff = settled(context.catalog, handoff, at)
    found = _judge_settled(crossing, handoff, work, context)
    if isinstance(found, Denied) and found.sparing is not None:
        found = _spared_handoff(found, found.sparing, crossing, handoff, work, context)
    return replace(found, contract=settled_on(handoff))


def _judge_settled(
    crossing: Received[AnyEnvelope], handoff: Handoff, work: Work | None, context: Context
) -> Allowed | Denied:
    at = crossing.raw.appended_at
    contract = _usable(handoff.contract, context, at)
    if isinstance(contract, Denied):
        return contract
    consulted = (context.catalog.reference(contract),)
    candidates = _candidates(handoff, consulted, context, at)
    if isinstance(candidates, Denied):
        return candidates
    sender = seam_sender(handoff, work)
    if not may_produce(contract, sender.agent, sender.version):
        reason = "the contract does not list source among its producers"
        return _denied("not-a-producer", reason, consulted, "shadow")
    compiled = _compiled(contract, context)
    initiator = context.catalog.agent(handoff.source)
    findings = compiled.judge_input(
        crossing.payload,
        envelope=envelope_facts(handoff) if compiled.uses("input", "envelope") else {},
        task=task_facts(handoff, work, initiator) if compiled.uses("input", "task") else {},
        now_ms=at,
    )
    judged = _judged(findings, consulted, _deprecation(contract, context, at), candidates)
    if isinstance(judged, Denied):
        return judged
    fitting = fit_contract(contract, handoff, crossing.payload, findings.projection, judged)
    if isinstance(fitting, Denied):
        return fitting
    return fit_receivers(handoff, crossing.payload, fitting.delivered, fitting, context)


def _candidates(
    handoff: Handoff, consulted: tuple[DocumentRef, ...], context: Context, at: int
) -> tuple[AgentRef, ...] | Denied:
    target = handoff.target
    if target.agent is not None and target.capability is not None:
        return _denied("ambiguous-target", "target names an agent and a capability; name one", consulted)
    if target.agent is None and target.capability is None:
        return _denied("empty-target", "target names neither an agent nor a capability", consulted)
    candidates = context.catalog.candidates(handoff, at)
    return candidates or _denied(
        "no-candidate", "no agent in force that target names takes this contract version", consulted
    )


def _spared_handoff(  # what was found, in which mode it is spared, and what it was found in
    denied: Denied,
    sparing: Enforcement,
    crossing: Received[AnyEnvelope],
    handoff: Handoff,
    work: Work | None,
    context: Context,
) -> Denied:
    """Return the refusal as one that does not count, where a flow says so and nothing else is wrong."""
    at = crossing.raw.appended_at
    along = standing_of_handoff(context.catalog, handoff, seam_sender(handoff, work), at)
    if not spares(along.mode, sparing):
        return denied
    candidates = _candidates(handoff, denied.consulted, context, at)
    if isinstance(candidates, Denied):
        return candidates
    consulted = tuple(dict.fromkeys((*denied.consulted, *along.flows)))
    contract = context.catalog.contract(handoff.contract)
    unreadable = _unreadable(crossing.payload, contract, consulted)
    if unreadable is not None:
        return unreadable
    going = Allowed(denied.rule, denied.reason, candidates, consulted, denied.warnings)
    fitting = _fitting(contract, "input", handoff, crossing.payload, going, context)
    if not isinstance(fitting, Denied):
        fitting = fit_receivers(handoff, crossing.payload, fitting.delivered, fitting, context)
    if isinstance(fitting, Denied):
        return fitting
    return replace(
        denied,
        spared=Spared(mode=sparing),
        candidates=fitting.candidates,
        consulted=consulted,
        delivered=fitting.delivered,
    )


def _fitting(  # a crossing, by which promise it goes on, and as what it counts
    contract: Contract | None,
    on: str,
    crossing: Handoff | Result,
    payload: bytes,
    going: Allowed,
    context: Context,
) -> Allowed | Denied:
    """Return what is delivered of a crossing that goes on although it does not hold: sizes count all the same."""
    if contract is None:
        return going
    projection = _compiled(contract, context).undeclared(on, payload)
    if too_much(projection):
        return _denied("undeclared-field", "more is undeclared than is stripped", going.consulted)
    return fit_contract(contract, crossing, payload, projection, going)


def _unreadable(
    payload: bytes, contract: Contract | None, consulted: tuple[DocumentRef, ...]
) -> Denied | None:
    """Return why a payload cannot be read at all: no flow's mode spares that."""
    limit = MAX_PAYLOAD_BYTES if contract is None else contract.spec.limits.payload_bytes
    try:
        read_payload(payload, limit)
    except PayloadError as error:
        return _denied(error.finding.rule, error.finding.message, consulted)
    return None


def judge_result(
    crossing: Received[AnyEnvelope],
    result: Result,
    work: Work,
    asked: Answerable,
    context: Context,
) -> Allowed | Denied:
    """Judge a result against its dispatch's contract, and those of the places taken over, each with its request."""
    if result.contract != work.contract:
        return _denied("contract-not-the-stamps", "contract is not the one that the stamp was made under", ())
    projection = _undeclared(result.outcome, crossing.payload, asked, context)
    if too_much(projection):
        return _denied("undeclared-field", "more is undeclared than is stripped", ())
    consulted: list[DocumentRef] = []
    warnings: list[Warned] = []
    spared: list[Denied] = []
    given: Delivered | None = None
    unsure: Allowed | Denied | None = None
    asks: dict[Approvers, None] = {}
    for request in asked.requests:
        judged = _judge_answer(request, crossing, result, work, projection, context)
        if isinstance(judged, Denied) and (
            judged.sparing is None or not spares(work.enforcement, judged.sparing)
        ):
            return replace(judged, consulted=(*consulted, *judged.consulted))
        consulted += judged.consulted
        warnings += judged.warnings
        if isinstance(judged, Denied):
            spared.append(judged)
        if judged.asks is not None:
            # Said is what the first found; asked are the owners of each contract, whose word is their own.
            unsure = unsure or judged
            asks |= dict.fromkeys(judged.asks)
        if given is None or given.counter is None:
            # Counted as the first contract that names a counter wants it: the dispatch's before those taken over.
            given = judged.delivered
    held = unsure if isinstance(unsure, Allowed) else Allowed("holds", "the outcome's schema and rules hold")
    consulted = list(dict.fromkeys(consulted))
    warnings = list(dict.fromkeys(warnings))
    everybody = tuple(asks) or None
    held = replace(
        held, consulted=tuple(consulted), warnings=tuple(warnings), delivered=given, asks=everybody
    )
    fitting = fit_waiting(asked.first, result, crossing.payload, given, held, context)
    if spared and isinstance(fitting, Allowed):
        return replace(
            spared[0],
            consulted=tuple(consulted),
            warnings=tuple(warnings),
            spared=Spared(
                mode=most_lenient(*(one.sparing for one in spared if one.sparing is not None)),
                outcome="ALLOW" if everybody is None else "REQUIRE_APPROVAL",
            ),
            delivered=given,
            asks=everybody,
        )
    return fitting


def _undeclared(outcome: str, payload: bytes, asked: Answerable, context: Context) -> tuple[str, ...]:
    """Return all that one of these contracts strips."""
    refs = dict.fromkeys(request.contract for request in asked.requests)
    contracts = (context.catalog.contract(ref) for ref in refs)
    stripped = (_compiled(one, context).undeclared(outcome, payload) for one in contracts if one is not None)
    return tuple(dict.fromkeys(path for paths in stripped for path in paths))


def _judge_answer(  # the contract, and all that a rule of it may ask
    request: Request,
    crossing: Received[AnyEnvelope],
    result: Result,
    work: Work,
    projection: tuple[str, ...],
    context: Context,
) -> Allowed | Denied:
    # What was dispatched under a version may be answered under it, in whatever status that is by now.
    ref = request.contract
    contract = context.catalog.contract(ref)
    if contract is None:
        reason = f"no document describes the contract {ref.name} {ref.version}"
        return _unreadable(crossing.payload, None, ()) or _denied("unknown-contract", reason, (), "observe")
    compiled = _compiled(contract, context)
    findings = compiled.judge_output(
        result.outcome,
        cut(crossing.payload, projection),
        request=request.payload,
        envelope=envelope_facts(result) if compiled.uses(result.outcome, "envelope") else {},
        task=task_facts(result, work, None) if compiled.uses(result.outcome, "task") else {},
        now_ms=crossing.raw.appended_at,
    )
    consulted = (context.catalog.reference(contract),)
    judged = _judged(findings, consulted, (), None)
    if isinstance(judged, Denied) and work.enforcement != "enforce":
        return _spared_answer(judged, contract, crossing, result, work, projection, context)
    if isinstance(judged, Denied):
        return judged
    judged = sure_enough(contract, result, work, findings.value, judged, context, crossing.raw.appended_at)
    if isinstance(judged, Denied):
        return judged
    return fit_contract(contract, result, crossing.payload, projection, judged)


def _spared_answer(  # what was found in which answer, and by which contract
    denied: Denied,
    contract: Contract,
    crossing: Received[AnyEnvelope],
    result: Result,
    work: Work,
    projection: tuple[str, ...],
    context: Context,
) -> Denied:
    """Return the refusal with what counts all the same: sizes, and whom the contract wants asked."""
    unreadable = _unreadable(crossing.payload, contract, denied.consulted)
    if unreadable is not None:
        return unreadable
    value = read_payload(cut(crossing.payload, projection), MAX_PAYLOAD_BYTES)
    going = Allowed(denied.rule, denied.reason, None, denied.consulted, denied.warnings)
    asked = sure_enough(contract, result, work, value, going, context, crossing.raw.appended_at)
    if isinstance(asked, Denied):
        return asked
    fitting = fit_contract(contract, result, crossing.payload, projection, asked)
    if isinstance(fitting, Denied):
        return fitting
    return replace(denied, delivered=fitting.delivered, asks=asked.asks)


def judge_plan(
    crossing: Received[AnyEnvelope], plan: Plan, work: Work | None, context: Context
) -> Allowed | Denied:
    """Judge whether a plan can be followed: sound in itself, each contract in force, somebody there for it."""
    if work is None or plan.contract != work.contract:
        return _denied("contract-not-the-stamps", "contract is not the one that the stamp was made under", ())
    problem = plan_problem(plan.subtasks)
    if problem is not None:
        return _denied(problem.rule, problem.message, ())
    at = crossing.raw.appended_at
    consulted: dict[DocumentRef, None] = {}
    spared: list[Denied] = []
    along: Standing | None = None
    for number, subtask in enumerate(plan.subtasks):
        denied = _subtask_problem(subtask, plan, context, at)
        if isinstance(denied, Denied):
            denied = replace(denied, reason=f"subtasks[{number}]: {denied.reason}")
            along = along or standing_of_plan(context.catalog, plan.source, plan.subtasks, at)
            if denied.sparing is None or not spares(along.mode, denied.sparing):
                return replace(denied, consulted=tuple(dict.fromkeys((*consulted, *denied.consulted))))
            spared.append(denied)
            consulted |= dict.fromkeys((*denied.consulted, *along.flows))
        else:
            consulted[denied] = None
    if spared:
        mode = most_lenient(*(one.sparing for one in spared if one.sparing is not None))
        return replace(spared[0], consulted=tuple(consulted), spared=Spared(mode=mode))
    return Allowed("plan-holds", "every subtask has a contract and somebody to do it", None, tuple(consulted))


def _subtask_problem(subtask: Subtask, plan: Plan, context: Context, at: int) -> DocumentRef | Denied:
    """Return why a subtask could not be handed on as the plan says, or the contract that it would go under."""
    contract = _usable(subtask.contract, context, at)
    if isinstance(contract, Denied):
        return contract
    consulted = (context.catalog.reference(contract),)
    if not may_produce(contract, plan.source.agent, plan.source.version):
        reason = "the contract does not list source among its producers"
        return _denied("not-a-producer", reason, consulted, "shadow")
    if not context.catalog.candidates(subtask, at):
        return _denied(
            "no-candidate", "no agent in force that target names takes this contract version", consulted
        )
    return consulted[0]


def _usable(ref: ContractRef, context: Context, at: int) -> Contract | Denied:
    contract = context.catalog.contract(ref)
    fault = context.catalog.contract_fault(ref)
    if fault is not None:
        reason = (
            f"the contract was published, and is refused by all who read it: {fault.code} at {fault.path}"
        )
        return _denied("contract-refused", reason, ())
    if contract is None:
        known = ", ".join(context.catalog.contract_versions(ref.name)) or "none"
        reason = f"no such contract version; known versions of this name: {known}"
        return _denied("unknown-contract", reason, (), "observe")
    status = context.catalog.contract_status(ref, at)
    if status not in {"active", "deprecated"}:
        consulted = (context.catalog.reference(contract),)
        if status == "retired":
            instead = context.catalog.successor(ref, at)
            hint = f"; its successor is {ref.name} {instead}" if instead else "; it named no successor"
            return _denied("contract-retired", f"the contract version is retired{hint}", consulted)
        if context.catalog.contract_waits(ref, at):
            reason = "the contract version breaks the one before, and its consumers have not agreed yet"
            return _denied("contract-waits", reason, consulted)
        reason = f"the contract version is {status or 'not activated'}"
        # What was taken back stays away along every flow; what was never put in force is only not there yet.
        unborn: Enforcement | None = "observe" if status in NOT_YET else None
        return _denied("contract-not-active", reason, consulted, unborn)
    return contract


def _compiled(contract: Contract, context: Context) -> CompiledContract:
    return context.catalog.compiled("contract", contract, lambda: compile_contract(contract))


def _deprecation(contract: Contract, context: Context, at: int) -> tuple[Warned, ...]:
    entry = context.catalog.entry("Contract", contract.name, contract.version)
    told = None if entry is None else entry.activation(at)
    if told is None or told.status != "deprecated":
        return ()
    ends = "" if told.ends_at is None else f" and ends {rfc3339(told.ends_at)}"
    reason = (
        f"the contract version is deprecated{ends}; move to {contract.name} {told.successor or '(unnamed)'}"
    )
    return (Warned(rule="contract-deprecated", reason=reason),)


def _judged(
    findings: Findings,
    consulted: tuple[DocumentRef, ...],
    also: tuple[Warned, ...],
    candidates: tuple[AgentRef, ...] | None,
) -> Allowed | Denied:
    warnings = (*also, *(Warned(rule=found.rule, reason=_said(found)) for found in findings.warnings))
    if findings.admitted:
        return Allowed("holds", "the schema and the rules hold", candidates, consulted, warnings)
    refusals = findings.refusals
    # The verdict's own rule is the first finding's; only what follows must name its own.
    told = "; ".join((_said(refusals[0]), *(str(found) for found in refusals[1:_SHOWN])))
    more = f"; and {len(refusals) - _SHOWN} more" if len(refusals) > _SHOWN else ""
    return Denied(
        refusals[0].rule,
        told + more,
        sender_verified=True,
        consulted=consulted,
        warnings=warnings,
        sparing="shadow",
    )


def _denied(
    rule: str, reason: str, consulted: tuple[DocumentRef, ...], sparing: Enforcement | None = None
) -> Denied:
    return Denied(rule, reason, sender_verified=True, consulted=consulted, sparing=sparing)


def _said(finding: Finding) -> str:
    return f"{finding.pointer}: {finding.message}" if finding.pointer else finding.message
