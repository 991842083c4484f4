"""
Put escalated work before people: open a case at a desk, ask up the contract's chain, end what nobody answers.

Rule 1: a case is a dispatch to a desk. What the desk sends is a crossing like any other, signed and judged.
Rule 2: a desk's crossing counts only with the signed order of somebody whom the chain names.
Rule 3: who was asked stays asked; each level that does not answer in time adds the next one.
Rule 4: a case that nobody answers ends as expired, in time for whoever waits. It never stays open for ever. While
what somebody ordered is judged, held or kept by a pause, nobody else is asked.
Rule 5: where no desk is in force, or nobody of the chain is known, there is no case: the work fails at once.
Rule 6: a drill comes this very way; what is put back of it ends there and reaches nobody.
"""

from collections.abc import Iterator
from typing import Literal

from seamwork.catalog import Context
from seamwork.grants.action import action_sha256
from seamwork.grants.keys import verifies
from seamwork.ids import derived
from seamwork.records.decision import Escalated, Tried, Why
from seamwork.records.envelope import EnvelopeError, decode
from seamwork.records.people import Command
from seamwork.records.verdict import SignedRecord
from seamwork.records.wire import signed_bytes
from seamwork_router import events as ev
from seamwork_router.ending import conclude
from seamwork_router.facts import Asked, Facts
from seamwork_router.memory import Dispatch, Errand, Task
from seamwork_router.problem import Problem
from seamwork_router.scene import Scene, first_sender, last_of, waiting_for
from seamwork_router.stamping import stamp
from seamwork_router.timers import work_timer

COMMANDS = "commands.v1"
_SENDS_ON = frozenset({"retry", "replace", "reroute"})
_ORDERS = {"resolve": "resolves a case", "drill": "begins a drill"}


def chain_of(context: Context, errand: Errand, first: str | None) -> tuple[str, ...]:
    """Return who is asked, in order, *first* first, as far as the platform knows anybody by that name or role."""
    contract = context.catalog.contract(errand.asked.contract)
    owners = () if contract is None else contract.spec.owners.escalation
    if first in owners:
        owners = owners[owners.index(first) :]
    named = (errand.asked.fallback_owner, first, *owners)
    return tuple(dict.fromkeys(one for one in named if one and context.catalog.asked_as(one, context.now)))


def raised(  # a case has that many parts
    context: Context,
    task: Task,
    errand: Errand,
    why: Why,
    problem: Problem,
    first: str | None,
    untried: ev.Plan | None = None,
) -> ev.CaseRaised | None:
    """
    Say what people will be asked, or return None where nobody can be: then the work fails.

    Args:
        context: The instant and the documents.
        task: The task in hand.
        errand: The handoff that could not be done as agreed.
        why: What ended its dispatch.
        problem: What was wrong, and who found it.
        first: Whom the contract names to be asked first for this sort of failure.
        untried: For a drill, which nobody ever had, the plan that it came to.
    """
    contract = context.catalog.contract(errand.asked.contract)
    last = errand.dispatch
    tried = untried is not None if last is None else last.case is None
    if contract is None or not tried or context.now >= _ends(task, errand):
        return None
    owners, drill = contract.spec.owners, errand.asked.drill
    answer_ms = owners.answer_seconds * 1000
    if drill is not None and drill.answer_ms is not None:
        answer_ms = min(answer_ms, drill.answer_ms)
    desk, chain = context.catalog.desk(owners.team, context.now), chain_of(context, errand, first)
    if desk is None or not chain:
        return None
    return ev.CaseRaised(
        task=task.id, crossing=errand.facts.id, why=why, rule=problem.rule, reason=problem.reason, desk=desk,
        chain=chain, answer_ms=answer_ms, untried=untried, at=context.now,
        of_part=errand is not last_of(task, task.errands[task.root]),
    )  # fmt: skip


def announce(context: Context, errand: Errand, case: ev.CaseRaised) -> Iterator[ev.Event]:
    """Let the case be opened with the next tick: whatever else this decision does to the task stands by then."""
    yield case
    yield ev.Postponed(offset=errand.facts.offset, until=context.now, then="case")


def open_case(scene: Scene) -> Iterator[ev.Event]:
    """Give escalated work to the desk, and ask the first of the chain."""
    task, errand = scene.task, scene.errand
    if task is None or errand is None or errand.raised is None:
        return
    case, last = errand.raised, errand.dispatch
    agreed = case.untried if last is None else last.plan
    if agreed is None:
        return
    ends = _ends(task, errand)
    each = min(case.answer_ms, (ends - scene.now) // len(case.chain))
    if each <= 0:
        problem = Problem(case.rule, f"no time is left to ask anybody: {case.reason}")
        yield from conclude(scene.context, task, errand, case.why, problem)
        return
    plan = ev.Plan(
        receiver=case.desk,
        contract=errand.asked.contract,
        authority=agreed.authority,
        constraints=agreed.constraints,
        ceiling_micro_usd=0,
        not_after=ends,
        action_sha256=action_sha256(errand.facts.digest, case.desk, agreed.authority, agreed.constraints),
        enforcement=agreed.enforcement,
        delivered=agreed.delivered,
    )
    terms = ev.CaseTerms(
        raised=case, level=0, answer_by=scene.now + each, expires_at=scene.now + each * len(case.chain)
    )
    opened = ev.DispatchOpened(
        task=task.id,
        crossing=errand.facts.id,
        dispatch=derived("case", errand.facts.id, len(errand.dispatches)),
        number=len(errand.dispatches) + 1,
        attempt=errand.attempt,
        plan=plan,
        mode=errand.asked.mode,
        return_contracts=() if last is None else last.return_contracts,
        lineage=(task.initiator.ref.agent,) if last is None else last.lineage,
        case=terms,
        at=scene.now,
    )
    yield _said(scene.context, task, errand, opened.dispatch, terms)
    yield opened
    work = stamp(scene, task, errand, opened, in_place_of=first_sender(task, errand))
    yield ev.WorkIssued(work=work, source=errand.facts.position)


def climb(context: Context, task: Task, errand: Errand, dispatch: Dispatch) -> Iterator[ev.Event]:
    """Ask the next of the chain, or end the case where everybody was asked."""
    case = dispatch.case
    if case is None or context.now < case.answer_by:
        return
    if context.now < dispatch.plan.not_after and _is_put_back(task, errand):
        yield ev.Woken(timers=(work_timer(task.id, errand.facts.id),), at=dispatch.plan.not_after)
        return
    if context.now >= case.expires_at or case.level + 1 >= len(case.raised.chain):
        asked = ", then ".join(case.raised.chain)
        problem = Problem("case-expired", f"nobody resolved the case in time; asked were {asked}")
        yield from conclude(context, task, errand, "expired", problem)
        return
    each = (case.expires_at - case.answer_by) // (len(case.raised.chain) - case.level - 1)
    terms = ev.CaseTerms(
        raised=case.raised,
        level=case.level + 1,
        answer_by=case.answer_by + each,
        expires_at=case.expires_at,
    )
    yield _said(context, task, errand, dispatch.id, terms)
    yield ev.CaseClimbed(task=task.id, crossing=errand.facts.id, dispatch=dispatch.id, terms=terms)


def _is_put_back(task: Task, errand: Errand) -> bool:
    """Say whether what a desk sent is neither dispatched nor refused: nothing else is open below its case."""
    children = (task.errands[child] for child in errand.children)
    return any(child.asked.mode == "transfer" and child.ended is None for child in children)


def order_problem(scene: Scene) -> str | None:
    """What a desk sends, and a drill, was ordered by somebody who may, just so; nothing else carries an order."""
    asked, dispatch = scene.facts.handoff, scene.named
    if asked is not None and asked.drill is not None:
        return _drill_problem(scene, asked)
    order = scene.facts.order
    if dispatch is None or dispatch.case is None:
        reason = "only what a desk puts back, and a drill, goes with the order of a person"
        return None if order is None else reason
    if scene.is_note:
        return None
    if order is None:
        return "work of a case is put back only with the order of a person, and there is none"
    command = _command(scene, order, "resolve")
    return command if isinstance(command, str) else _misfit(scene, dispatch, command)


def resolution(facts: Facts) -> Problem | None:
    """Say who ordered what, where a desk's crossing was ordered; ``order_problem`` has verified it."""
    command = _read(facts)
    return None if command is None else Problem("case-resolved", f"{command.person} ordered {command.how}")


def ordered_by(facts: Facts) -> str:
    """Name who ordered a drill; ``order_problem`` has verified it."""
    command = _read(facts)
    return "nobody" if command is None else command.person


def _read(facts: Facts) -> Command | None:
    try:
        command = None if facts.order is None else decode(facts.order.envelope.encode("ascii"))
    except (EnvelopeError, UnicodeEncodeError):
        return None  # refused on entry
    return command if isinstance(command, Command) else None


def _command(scene: Scene, order: SignedRecord, action: Literal["resolve", "drill"]) -> Command | str:
    try:
        envelope = order.envelope.encode("ascii")
        command = decode(envelope)
    except (EnvelopeError, UnicodeEncodeError):
        return "order.envelope cannot be read"
    if not isinstance(command, Command) or order.topic != COMMANDS or command.action != action:
        return "order is not a command that " + _ORDERS[action]
    at = scene.facts.appended_at
    public = scene.catalog.public_of(order.kid, f"person:{command.person}", at)
    if public is None:
        return "the key of the order is not that person's, or does not count any more"
    data = signed_bytes(scene.place.platform, order.topic, order.key.encode(), envelope)
    return command if verifies(public, data, order.sig) else "the signature of the order does not verify"


def _drill_problem(scene: Scene, asked: Asked) -> str | None:
    facts = scene.facts
    if asked.parent is not None:
        return "a drill begins a task; it is not handed on within one"
    if facts.order is None:
        return "a drill begins only with the order of a person, and there is none"
    command = _command(scene, facts.order, "drill")
    if isinstance(command, str):
        return command
    same = (command.task, command.crossing, command.target) == (facts.task, facts.id, asked.target)
    return (
        None if same and command.payload_sha256 == asked.payload_sha256 else "the order is for another drill"
    )


def _misfit(scene: Scene, dispatch: Dispatch, command: Command) -> str | None:
    facts, case = scene.facts, dispatch.case
    if command.case != dispatch.id or command.task != facts.task:
        return "the order is about another case"
    chain = () if case is None else case.raised.chain
    if not any(command.person in scene.catalog.asked_as(one, facts.appended_at) for one in chain):
        return f"the order is of somebody whom the case does not ask; it asks {', '.join(chain)}"
    if command.payload_sha256 != facts.payload_sha256:
        return "the payload is not the one that was ordered"
    if facts.handoff is not None:
        if command.how not in _SENDS_ON or facts.handoff.mode != "transfer":
            return "a case is put back by a transfer, ordered as retry, replace or reroute"
        return None if command.target == facts.handoff.target else "target is not the one that was ordered"
    return "a case is ended by a result, ordered as skip or fail" if command.how in _SENDS_ON else None


def _ends(task: Task, errand: Errand) -> int:
    """Return until when whoever waits still waits."""
    ends, waiting = min(errand.asked.deadline_at, task.deadline_at), waiting_for(task, errand)
    if waiting is None or waiting.dispatch is None:
        return ends
    above = task.errands[task.by_dispatch[waiting.dispatch]]
    return min(ends, above.dispatches[waiting.dispatch].plan.not_after)


def _said(context: Context, task: Task, errand: Errand, dispatch: str, terms: ev.CaseTerms) -> ev.Decided:
    case = terms.raised
    before = (each for each in errand.dispatches.values() if each.case is None)
    decision = Escalated(
        task=task.id,
        crossing=errand.facts.id,
        subject=errand.facts.subject(errand.attempt),
        decided_at=context.now,
        revision=context.catalog.revision,
        rule=case.rule,
        reason=case.reason,
        to=case.chain[terms.level],
        why=case.why,
        case=dispatch,
        desk=case.desk,
        level=terms.level,
        chain=case.chain,
        tried=tuple(Tried(dispatch=each.id, receiver=each.plan.receiver, why=each.why) for each in before),
        opened_at=case.at,
        answer_by=terms.answer_by,
        expires_at=terms.expires_at,
        contract=errand.asked.contract,
        drill=task.is_drill,
    )
    return ev.Decided(decision=decision, partition=task.partition, trace_of=errand.facts.position)
