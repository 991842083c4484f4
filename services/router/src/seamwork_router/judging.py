"""
Decide on a crossing once its votes are in.

Rule 1: nothing is decided before every required gate has voted, or let its deadline pass, which is a no.
Rule 2: nothing is decided before our catalog has seen what the gates' catalogs had seen; where that takes longer
than the gates had, it is a no as well.
Rule 3: the order is: a gate's no, our own checks, people, waiting, going on.
"""

from collections.abc import Iterator, Sequence

import msgspec

from seamwork.records.decision import Held, JudgeAgain
from seamwork.records.parties import AgentRef, DocumentRef
from seamwork.records.verdict import Verdict
from seamwork_router import events as ev
from seamwork_router.accepting import accept, adopt, note
from seamwork_router.approvals import agreed
from seamwork_router.breakers import tried_at
from seamwork_router.cases import open_case
from seamwork_router.checks import ENTRY, HANDOFF, PLACE, PLAN, RESULT, STILL_HELD, first_problem
from seamwork_router.dispatching import dispatch
from seamwork_router.drills import rehearse
from seamwork_router.facts import Asked
from seamwork_router.failure import fallbacks_left
from seamwork_router.limits import halts_first
from seamwork_router.memory import APPROVAL, Agreement, Live
from seamwork_router.pick import PAUSED, plan_back, plan_handoff
from seamwork_router.problem import Problem
from seamwork_router.refusing import refuse
from seamwork_router.saying import common, decided, drilled
from seamwork_router.scene import Scene
from seamwork_router.state import move
from seamwork_router.tally import SILENT, Tally, counts, tally_of
from seamwork_router.thresholds import held_by_contract

LEAST_WAIT_MS = 1000
"""A throttled crossing waits at least so long, or two services would ask each other in a loop."""
MOST_ATTEMPTS_TO_SETTLE = 10
"""So often are gates asked again that judged by different versions of a contract."""
_SETTLING = frozenset({"validator", "policy", "cost"})
_COST = "cost"
_SEVERAL_VERSIONS = frozenset({"Contract", "Agent"})
_NOTE = (*PLACE, *ENTRY)
_CHECKS = {"handoff": HANDOFF, "result": RESULT, "plan": PLAN, "progress": _NOTE, "usage": _NOTE}


def complete(live: Live) -> bool:
    """Say whether every required gate has voted on this attempt."""
    required = [seat.gate for seat in live.seats if seat.required]
    return bool(required) and all(gate in live.votes for gate in required)


def reached(scene: Scene) -> bool:
    """Say whether our catalog has seen all that the catalogs of those whose votes count had seen."""
    revision = scene.catalog.revision
    return all(revision.reaches(vote.revision) for vote in _counted(scene))


def _unseen(scene: Scene) -> Problem | None:
    """Say whose documents we have not seen, or return None; a gate that says no needs none of them."""
    revision, tally = scene.catalog.revision, tally_of(scene)
    ahead = next((vote.gate for vote in _counted(scene) if not revision.reaches(vote.revision)), None)
    if ahead is None:
        return None
    if tally.outcome == "DENY":
        return Problem(tally.rule, tally.reason, tally.gate)
    return Problem(
        "revision-unseen", f"the gate {ahead} judged by documents that the router had not seen in time", ahead
    )


def _counted(scene: Scene) -> Iterator[Verdict]:
    """Yield the votes that count: a gate on trial neither decides anything nor holds it up."""
    votes = scene.live.votes
    for seat in scene.live.seats:
        if counts(seat) and seat.gate in votes:
            yield votes[seat.gate]


def judge(scene: Scene, silent: Sequence[str] = ()) -> Iterator[ev.Event]:
    """Decide, or yield nothing while votes or documents are missing; *silent* gates count as a no."""
    live = scene.live
    if not silent and not (complete(live) and reached(scene)):
        return
    tally = tally_of(scene, silent)
    if tally.outcome == "DENY":
        yield from refuse(scene, tally, Problem(tally.rule, tally.reason, tally.gate))
        return
    if not tally.sender_verified:
        problem = Problem("sender-not-verified", "no required gate says that the signature proves the sender")
        yield from refuse(scene, tally, problem)
        return
    found = first_problem(_CHECKS.get(scene.facts.kind, _NOTE), scene)
    if found is None and unsettled(scene):
        if live.attempt < MOST_ATTEMPTS_TO_SETTLE:
            yield from ask_again(scene, "release", live.required)
            return
        found = Problem("contract-unsettled", "the gates do not settle on one version of the contract")
    if found is not None:
        yield from refuse(scene, tally, found)
    elif scene.is_note:
        yield from note(scene, tally)
    else:
        yield from _go_on(scene, tally)


def unsettled(scene: Scene) -> bool:
    """
    Say whether the gates judged a handoff, which left the version open, by different versions of its contract.

    A version that becomes active meanwhile is known to one gate before another; asked again they agree.
    """
    asked, live = scene.facts.handoff, scene.live
    if asked is None or asked.contract_versions is None:
        return False
    said = {
        vote.contract
        for seat in live.seats
        if seat.required and seat.role in _SETTLING and (vote := live.votes.get(seat.gate)) is not None
    }
    return said != {asked.contract}


def _go_on(scene: Scene, tally: Tally) -> Iterator[ev.Event]:
    handoff = scene.facts.handoff is not None
    plan = plan_handoff(scene, tally) if handoff else plan_back(scene, tally)
    if isinstance(plan, Problem):
        yield from _wait_or_refuse(scene, tally, plan)
        return
    if handoff and drilled(scene) and scene.task is not None and scene.errand is not None:
        # Nobody will act on it, so nobody is asked first and nothing is waited for.
        yield from rehearse(scene, scene.task, scene.errand, plan)
        return
    tally = held_by_contract(scene, tally, plan)
    wait = tally.not_before or 0
    if tally.outcome == "REQUIRE_APPROVAL":
        wanted = Agreement(plan.action_sha256, tally.approvers)
        if scene.live.agreement != wanted:
            # People have answered this attempt, and one answer to an attempt counts: it takes another one.
            answered = any(seat.gate in scene.live.votes for seat in _desks(scene))
            yield from ask_again(scene, "release", ()) if answered else _hold(scene, tally, plan)
            return
    if tally.calm == "THROTTLE":
        until = _in_time(scene, max(wait, scene.now + LEAST_WAIT_MS))
        yield _postponed(scene, until, "throttle")
    elif wait > scene.now:
        yield _postponed(scene, _in_time(scene, wait), "dispatch")
    elif scene.task is None or scene.errand is None:
        yield from refuse(scene, tally, Problem("unknown-task", "no task of this id was begun here"))
    elif handoff:
        yield from dispatch(scene, scene.task, scene.errand, tally, plan)
    elif scene.facts.plan is not None:
        yield from adopt(scene, scene.task, scene.errand, scene.facts.plan, tally)
    elif scene.named is not None and halts_first(scene.task, scene.errand):
        yield ev.Postponed(offset=scene.facts.offset, until=scene.now, then="dispatch")
    elif scene.named is not None:
        yield from accept(scene, scene.task, scene.errand, scene.named, tally)


def _in_time(scene: Scene, until: int) -> int:
    """Return how long to wait at most: whoever asked for it hears at its deadline; a root's ends its task."""
    asked = scene.facts.handoff
    return until if asked is None or scene.is_root else min(until, asked.deadline_at)


def _postponed(scene: Scene, until: int, then: ev.Then) -> ev.Postponed:
    return ev.Postponed(offset=scene.facts.offset, until=until, then=then, rerouted=scene.live.rerouted)


def _wait_or_refuse(scene: Scene, tally: Tally, problem: Problem) -> Iterator[ev.Event]:
    """
    Let wait until its deadline what is only paused; the catalog wakes it earlier.

    So does the end of a breaker's rest: whoever could not have it when all others were paused may have it then.
    """
    asked, task = scene.facts.handoff, scene.task
    if problem.rule in PAUSED and asked is not None and task is not None and not task.is_drill:
        until = min(asked.deadline_at, task.deadline_at)
        if until > scene.now:
            tries = [tried_at(scene.state, scene.context, ref) for ref in _not_paused(scene, asked)]
            until = min([until, *(at for at in tries if at is not None)])
            yield _postponed(scene, until, "resume")
            return
    yield from refuse(scene, tally, problem)


def _not_paused(scene: Scene, asked: Asked) -> list[AgentRef]:
    everybody = scene.catalog.candidates(asked, scene.now)
    return [ref for ref in everybody if not scene.catalog.agent_paused(ref, scene.now)]


def resumes(scene: Scene) -> bool:
    """Say whether what waited because something was paused can go on."""
    plan = plan_handoff(scene, tally_of(scene))
    return not (isinstance(plan, Problem) and plan.rule in PAUSED)


# ── People ───────────────────────────────────────────────────────────────────────────────


def _hold(scene: Scene, tally: Tally, plan: ev.Plan) -> Iterator[ev.Event]:
    desks = _desks(scene)
    if not desks:
        yield from refuse(scene, tally, Problem("no-approval-gate", "no gate in force can ask people"))
        return
    if not tally.approvers:
        yield from refuse(
            scene,
            tally,
            Problem("no-approvers", f"nobody can be asked, and somebody must be: {tally.reason}"),
        )
        return
    own_limit = scene.now + max(seat.deadline_ms for seat in desks)
    expires_at = min(own_limit, _needed_until(scene, plan))
    decision = Held(
        **common(scene, tally),
        rule=tally.rule,
        reason=tally.reason,
        approvers=tally.approvers,
        action_sha256=plan.action_sha256,
        authority=plan.authority,
        constraints=plan.constraints,
        receiver=plan.receiver,
        contract=plan.contract,
        expires_at=expires_at,
    )
    yield decided(scene, decision)
    yield ev.Held(
        offset=scene.facts.offset, plan=plan, approvers=tally.approvers,
        gates=tuple(seat.gate for seat in desks), expires_at=expires_at, at=scene.now,
    )  # fmt: skip


def _needed_until(scene: Scene, plan: ev.Plan) -> int:
    """Return when it is too late to go on: with an answer its sender's time is over, and not that of who waits."""
    task, errand, asked = scene.task, scene.errand, scene.facts.handoff
    if asked is not None:
        return asked.deadline_at
    if scene.facts.result is None or task is None or errand is None:
        return plan.not_after
    return min(errand.asked.deadline_at, task.deadline_at)


def _desks(scene: Scene) -> list[ev.Seat]:
    """Return the gates that can ask people."""
    return [seat for seat in scene.live.seats if seat.role == APPROVAL and counts(seat)]


def answered_by_people(scene: Scene, verdict: Verdict, at: int) -> Iterator[ev.Event]:
    """End a hold by the approval workflow's verdict, which is counted already."""
    live = scene.live
    tally = tally_of(scene)
    if tally.outcome == "DENY":
        yield from refuse(scene, tally, Problem(tally.rule, tally.reason, tally.gate))
        return
    if live.holding is None:
        return
    if verdict.outcome != "ALLOW":
        yield from refuse(
            scene, tally, Problem("approval-unclear", "a hold ends with ALLOW or DENY", verdict.gate)
        )
        return
    people = agreed(scene, live.holding, verdict, at)
    if isinstance(people, Problem):
        yield from refuse(scene, tally, people)
        return
    event = ev.Approved(
        offset=scene.facts.offset, action_sha256=live.holding.plan.action_sha256,
        approvers=live.holding.approvers, people=people,
    )  # fmt: skip
    yield event
    yield from _released(looking_ahead(scene, event))


def _released(scene: Scene) -> Iterator[ev.Event]:
    """Go on after a wait: gates that stood on a document that changed since are asked again."""
    changed = [vote.gate for vote in _counted(scene) if any(_changed(scene, ref) for ref in vote.consulted)]
    if changed:
        yield from ask_again(scene, "release", changed)
    else:
        yield from judge(scene)


def _changed(scene: Scene, ref: DocumentRef) -> bool:
    """Say whether a document that a vote stood on is not in force any more."""
    if ref.kind in _SEVERAL_VERSIONS:
        entry = scene.catalog.entry(ref.kind, ref.name, ref.version)
        return entry is None or not entry.in_force(scene.now)
    current = scene.catalog.current(ref.kind, ref.name, scene.now)
    return current is None or current.document.version != ref.version


# ── Again ────────────────────────────────────────────────────────────────────────────────


def ask_again(
    scene: Scene, why: ev.Again, gates: Sequence[str], exclude: tuple[AgentRef, ...] = ()
) -> Iterator[ev.Event]:
    """Open the next attempt: gates that guard costs are always asked, others keep their vote if not named."""
    live = scene.live
    wanted = {*gates, *(seat.gate for seat in live.seats if seat.role == _COST)}
    asked = tuple(gate for gate in live.required if gate in wanted)
    attempt = live.attempt + 1
    said = {**common(scene), "subject": scene.facts.subject(attempt)}
    decision = JudgeAgain(
        **said, rule=why, why=why, gates=asked, not_before=live.until or None, exclude=exclude
    )
    yield ev.AttemptOpened(offset=scene.facts.offset, attempt=attempt, gates=asked, at=scene.now)
    yield decided(scene, decision)


def woken(scene: Scene) -> Iterator[ev.Event]:
    """Take up a crossing whose timer rang."""
    live = scene.live
    gone = first_problem(STILL_HELD, scene) if live.claimed and scene.facts.handoff is None else None
    if gone is not None:
        yield from refuse(scene, tally_of(scene), gone)
        return
    match live.phase:
        case "held":
            gate = live.holding.gates[0] if live.holding is not None else APPROVAL
            problem = Problem(SILENT, f"the gate {gate} did not say how the request ended", gate)
            yield from refuse(scene, tally_of(scene), problem)
        case "waiting":
            yield from _waited(scene)
        case "judging" if not live.required:
            problem = Problem("not-ready", "no validator is in force, so nothing can be admitted")
            yield from refuse(scene, None, problem)
        case "judging":
            silent = [gate for gate in live.missing if live.asked.get(gate, 0) <= scene.now]
            unseen = _unseen(scene) if not live.missing and live.asked_until <= scene.now else None
            if unseen is not None:
                yield from refuse(scene, tally_of(scene), unseen)
            else:
                yield from judge(scene, silent)
        case _:
            return


def _waited(scene: Scene) -> Iterator[ev.Event]:
    live = scene.live
    match live.then:
        case "dispatch":
            yield from judge(scene)
        case "throttle":
            yield from ask_again(scene, "throttle", tally_of(scene).throttling)
        case "retry":
            errand = scene.errand
            yield from ask_again(scene, "retry", (), () if errand is None else errand.excluded)
        case "reroute":
            yield from _reroute(scene)
        case "case":
            yield from open_case(scene)
        case "resume":
            yield from _resumed(scene)


def _resumed(scene: Scene) -> Iterator[ev.Event]:
    """Take up what waited for a resume; at its deadline the pause itself is what it is refused for."""
    tally = tally_of(scene)
    plan = plan_handoff(scene, tally)
    if isinstance(plan, Problem) and plan.rule in PAUSED:
        yield from _wait_or_refuse(scene, tally, plan)
    else:
        yield from _released(scene)


def _reroute(scene: Scene) -> Iterator[ev.Event]:
    """Ask for another agent: every gate again where none of the fallbacks was admitted, else costs alone."""
    errand, live = scene.errand, scene.live
    if errand is None:
        return
    admitted = tally_of(scene).candidates
    inside = any(admitted is None or ref in admitted for ref in fallbacks_left(scene.context, errand))
    had = tuple(dict.fromkeys(dispatch.plan.receiver for dispatch in errand.dispatches.values()))
    yield from ask_again(scene, "reroute", () if inside else live.required, had)


def looking_ahead(scene: Scene, *events: ev.Held | ev.Approved | ev.Postponed | ev.AttemptOpened) -> Scene:
    """Return the scene as it will be after *events*, without changing what is remembered."""
    live = msgspec.structs.replace(scene.live, votes=dict(scene.live.votes), asked=dict(scene.live.asked))
    for event in events:
        move(live, event)
    return scene.ahead(live)
