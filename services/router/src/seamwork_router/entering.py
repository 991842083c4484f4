"""
Count verdicts, and give a crossing its place once its sender is proved.

Rule 1: the first verdict of a gate on a subject counts; a second, a late or a misplaced one is only recorded.
Rule 2: an id is taken only when a required validator vouches for the sender, so nobody can use up another's id.
Rule 3: the same content again is answered with what became of it the first time; other content is refused. What was
refused for its stamp alone is new under the next one.
Rule 4: of a task so many ids are remembered and no more. What comes on top is refused anew each time it comes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from seamwork.catalog import Context, GateInForce
from seamwork.catalog.canary import drawn, seated
from seamwork.documents.agent import Agent
from seamwork.records.authority import Authority
from seamwork.records.inbox import LAPSED
from seamwork.records.parties import AgentRef, ContractRef
from seamwork.records.verdict import Verdict
from seamwork_router import events as ev
from seamwork_router.checks import ENTRY, PLACE, first_problem, remembers_enough
from seamwork_router.facts import Facts, Kind
from seamwork_router.judging import answered_by_people, judge, woken
from seamwork_router.memory import APPROVAL, VALIDATOR, Errand, Known, Live, State, Task, aim_of
from seamwork_router.problem import Problem
from seamwork_router.refusing import refuse
from seamwork_router.saying import What, notice, refused
from seamwork_router.scene import Place, Scene, Waiting, last_of, waiting_for
from seamwork_router.state import opened, settle
from seamwork_router.tally import counted_as, counts, tally_of

_JUDGES_OF_PLANS = frozenset({"validator", "policy"})
_PLACED = frozenset({"handoff", "result", "plan"})
_LOST: dict[ev.End | None, What] = {
    "refused": "refused", "failed": "failed", "expired": "expired", "cancelled": "cancelled",
}  # fmt: skip
"""What is said of a handoff of which nothing comes back, by how it ended."""


def seats_for(state: State, context: Context, facts: Facts) -> tuple[ev.Seat, ...]:
    """
    Return the gates that judge a crossing, as they stood when it was appended.

    Results go before the gates that are required for results; plans before validators and policies; what only
    accompanies work, or cannot be read, before the validators alone. Without a validator nobody is required, which
    means that we are not ready. A task keeps the canaries that it began under.
    """
    catalog, kind, at = context.catalog, facts.kind, facts.appended_at
    taking = _taking(state, catalog.canaries(at), facts.task)
    return catalog.once(("seats", kind, taking), at, lambda: _seats(kind, seated(catalog.gates(at), taking)))


def _taking(state: State, canaries: Sequence[GateInForce], name: str) -> frozenset[str]:
    """Return by their titles the canaries that count for a task."""
    if not canaries:
        return frozenset()
    task = state.tasks.get(name)
    if task is None:
        return frozenset(gate.title for gate in canaries if drawn(name, gate))
    return frozenset(gate.title for gate in canaries if gate.title in task.canaries)


def _seats(kind: Kind, gates: Sequence[GateInForce]) -> tuple[ev.Seat, ...]:
    def required(role: str, wanted: tuple[str, ...], mode: str) -> bool:
        if mode == "shadow" or role == APPROVAL:
            return False
        if kind == "plan":
            return role in _JUDGES_OF_PLANS
        return kind in wanted if kind in {"handoff", "result"} else role == "validator"

    seats = tuple(
        ev.Seat(
            gate=gate.name,
            version=gate.version,
            role=gate.role,
            mode=gate.mode,
            required=required(gate.role, gate.required_for, gate.mode),
            deadline_ms=gate.deadline_ms,
        )
        for gate in gates
    )
    guarded = any(seat.required and seat.role == VALIDATOR for seat in seats)
    return seats if guarded else tuple(msgspec.structs.replace(seat, required=False) for seat in seats)


def late(
    live: Live | None, verdict: Verdict
) -> Literal["decided", "second", "another-digest", "not-asked"] | None:
    """Say why a verdict does not count any more, or return None where it does."""
    if live is None or live.phase == "dispatched" or verdict.subject.attempt != live.attempt:
        return "decided"
    if verdict.subject.digest != live.facts.digest:
        return "another-digest"
    if verdict.gate in live.votes:
        return "second"
    seat = live.seat(verdict.gate)
    if seat is None:
        return "not-asked" if live.required else None
    return "not-asked" if seat.role == APPROVAL and live.phase != "held" else None


def count(
    scene: Scene, verdict: Verdict, at: int, then: Callable[[Scene], Iterator[ev.Event]] | None = None
) -> tuple[Scene, list[ev.Event], bool]:
    """
    Count one verdict.

    Args:
        scene: The crossing it is about.
        verdict: What the gate says.
        at: When it was appended (ms).
        then: What is done with the votes there are, whoever has voted; to decide by them, unless something is said.

    Returns:
        The scene after it, what follows, and whether the crossing is decided.
    """
    live = scene.live
    why = late(live, verdict)
    if why is not None:
        return scene, [ev.VerdictLate(gate=verdict.gate, subject=verdict.subject, why=why)], False
    events: list[ev.Event] = [ev.VerdictCounted(verdict=verdict)]
    ahead = msgspec.structs.replace(live, votes={**live.votes, verdict.gate: verdict})
    seat = live.seat(verdict.gate)
    if seat is not None and seat.role == APPROVAL:
        scene = scene.ahead(ahead)
        if counts(seat):
            events += answered_by_people(scene, verdict, at) if then is None else then(scene)
        return scene, events, len(events) > 1
    chosen = _chosen(live.facts, seat, verdict)
    if chosen is not None:
        events.append(ev.ContractSettled(offset=live.facts.offset, contract=chosen))
        settle(ahead, chosen)
    scene, more, done = _take_place(scene.ahead(ahead))
    events += more
    if done:
        return scene, events, True
    follows = list((then or judge)(scene)) if ahead.phase == "judging" else []
    return scene, events + follows, bool(follows)


def _chosen(facts: Facts, seat: ev.Seat | None, verdict: Verdict) -> ContractRef | None:
    """Return the version that a required validator settled a handoff on which left it open, where that is new."""
    asked = facts.handoff
    if asked is None or asked.contract_versions is None or verdict.contract in {None, asked.contract}:
        return None
    counted = seat is not None and seat.required and seat.role == VALIDATOR
    return verdict.contract if counted else None


def take_up(scene: Scene) -> Iterator[ev.Event]:
    """Go on with a crossing whose timer rang; one that found its gates late gets its place first."""
    done = False
    if scene.live.phase == "judging":
        scene, events, done = _take_place(scene)
        yield from events
    if not done:
        yield from woken(scene)


def _take_place(scene: Scene) -> tuple[Scene, list[ev.Event], bool]:
    """Give a handoff, result or plan its place as soon as some vote proves its sender."""
    live = scene.live
    if live.claimed or scene.facts.kind not in _PLACED:
        return scene, [], False
    vouching = next((vote for vote in live.votes.values() if _vouches(live, vote)), None)
    return (scene, [], False) if vouching is None else _enter(scene, vouching)


def _vouches(live: Live, verdict: Verdict) -> bool:
    """Say whether a verdict proves the sender: a required validator's that says so."""
    seat = live.seat(verdict.gate)
    return seat is not None and seat.role == VALIDATOR and seat.required and verdict.sender_verified


def _enter(scene: Scene, verdict: Verdict) -> tuple[Scene, list[ev.Event], bool]:
    facts = scene.facts
    denied = counted_as(verdict, VALIDATOR, scene.enforcement) == "DENY"
    misplaced = first_problem(PLACE, scene)
    known = _known(scene)
    if misplaced is not None and (known is not None or not denied):
        # A replay is no repeat: what came too late, or elsewhere, is not answered with an earlier outcome.
        why = Problem(verdict.rule, verdict.reason, verdict.gate) if denied else misplaced
        return scene, list(refuse(scene, tally_of(scene), why, verified=True)), True
    if known is not None:
        return scene, list(_again(scene, known)), True
    claim = ev.Claimed(offset=facts.offset, at=scene.now, joins=False)
    forgettable = remembers_enough(scene)
    if denied:
        # A refused answer is dealt with by its contract, and only one that has its place.
        answers = facts.result is not None and scene.named is not None and scene.named.is_open
        return (scene, [], False) if forgettable and not answers else (_claimed(scene), [claim], False)
    problem = first_problem(ENTRY, scene)
    begun = _opening(scene) if problem is None and scene.is_root else None
    if isinstance(begun, Problem):
        problem = begun
    if problem is not None and forgettable:
        return scene, list(refuse(scene, tally_of(scene), problem, verified=True)), True
    if problem is not None:
        scene = _claimed(scene)
        return scene, [claim, *refuse(scene, tally_of(scene), problem, verified=True)], True
    joins = ev.Claimed(offset=facts.offset, at=scene.now, joins=True)
    if isinstance(begun, ev.TaskOpened):
        return _claimed(scene, opened(begun)), [begun, joins], False
    return _claimed(scene, scene.task), [joins], False


def _claimed(scene: Scene, task: Task | None = None) -> Scene:
    """Return the scene with the crossing's id taken; with *task*, it has its place there."""
    live = msgspec.structs.replace(scene.live, claimed=True)
    facts, own = scene.facts, scene.own
    if task is not None and facts.handoff is not None:
        own = Errand(facts=facts)
    if task is not None:
        task = msgspec.structs.replace(task, crossings=task.crossings + 1)
    if task is not None and scene.task is None and own is not None:
        task.errands[facts.id] = own
    return Scene(scene.place, scene.state, scene.context, live, scene.task if task is None else task, own)


def _opening(scene: Scene) -> ev.TaskOpened | Problem:
    facts, asked = scene.facts, scene.facts.handoff
    agent = None if facts.source is None else scene.catalog.agent(facts.source)
    if agent is None or asked is None or facts.source is None or not agent.spec.initiator:
        return Problem("not-an-initiator", "only an agent whose document says initiator begins a task")
    return ev.TaskOpened(
        task=facts.task,
        root=facts.id,
        partition=facts.partition,
        offset=facts.offset,
        intent_sha256=facts.intent_sha256,
        initiator=scene.catalog.compiled("initiator", agent, lambda: _initiator(agent)),
        deadline_at=asked.deadline_at,
        at=scene.now,
        aimed=aim_of(asked.target),
        canaries=tuple([f"{seat.gate}@{seat.version}" for seat in scene.live.seats if seat.mode == "canary"]),
    )


def _initiator(agent: Agent) -> ev.Initiator:
    spec = agent.spec
    most = spec.authority
    return ev.Initiator(
        ref=AgentRef(agent=agent.name, version=agent.version),
        authority=Authority(tools=most.tools, data=most.data, effects=most.effects, depth=most.depth),
        tenant=spec.tenant,
        team=spec.team,
        labels=dict(agent.metadata.labels),
        budgets=() if spec.budget is None else (spec.budget,),
        limits=ev.TaskLimits(**spec.limits.model_dump(by_alias=False)),
    )


# ── Seen before ──────────────────────────────────────────────────────────────────────────


def known_as(state: State, facts: Facts) -> Known | None:
    """Return what is remembered of the crossing's id, or None where it is new."""
    if facts.task in state.tasks:
        return state.tasks[facts.task].ids.get(facts.own_key)
    if facts.task in state.over:
        return state.over[facts.task].ids.get(facts.own_key)
    return state.strays.get(facts.own_key)


def _known(scene: Scene) -> Known | None:
    """
    Return what the crossing's id means by now, or None where it means nothing yet.

    What was refused because the dispatch it was sent under was lost, or it came too late for that, is not what the
    next one's is: a content says neither when nor under which stamp it was sent.
    """
    known, task, named = known_as(scene.state, scene.facts), scene.task, scene.named
    told = None if known is None or known.answer is not None else known.notice
    if told is None or told.what != "refused" or told.rule not in LAPSED:
        return known
    bound = task is not None and scene.facts.id in task.errands
    anew = named is not None and named.is_open and named.id != told.dispatch
    return None if anew and not bound else known


def _again(scene: Scene, known: Known) -> Iterator[ev.Event]:
    facts = scene.facts
    tally = tally_of(scene)
    if known.content != facts.content:
        problem = Problem("conflict", f"the id was used at offset {known.offset} before, for another content")
        yield from refuse(scene, tally, problem, verified=True)
        return
    again = Problem(
        "repeat", f"the same content came at offset {known.offset} before; its outcome is sent again"
    )
    yield refused(scene, tally, again, facts.source)
    yield from _outcome(scene, known)
    yield ev.CrossingClosed(offset=facts.offset, refused=False, at=scene.now)


def _outcome(scene: Scene, known: Known) -> Iterator[ev.Event]:
    """
    Send what is recorded to who waits *now*: the sender may have got the work a second time since.

    That a place was given away is told to whoever gave it, and to nobody else: who waits goes on waiting.
    """
    task, facts = scene.task, scene.facts
    changes: dict[str, str | None] = {}
    errand = None if task is None else task.errands.get(facts.id)
    if errand is not None and errand.facts.own_key != facts.own_key:
        errand = None  # another agent's: an id belongs to whoever signed it
    if facts.plan is not None and facts.source is not None:
        changes = {"version": facts.source.version, "dispatch": facts.dispatch}
    waiting = None
    if task is not None and errand is not None and not _gave_away(known):
        waiting = waiting_for(task, errand)
        if waiting is not None:
            changes = {
                "agent": waiting.ref.agent,
                "version": waiting.ref.version,
                "dispatch": waiting.dispatch,
            }
    if known.answer is not None and known.source is not None:
        yield ev.AnswerForwarded(
            answer=msgspec.structs.replace(known.answer, **changes), source=known.source, known=facts.own_key
        )
    elif known.notice is not None:
        yield ev.NoticeGiven(
            notice=msgspec.structs.replace(known.notice, **changes),
            known=facts.own_key,
            trace_of=facts.position,
        )
    elif task is not None and errand is not None and waiting is not None:
        yield from _ended_unheard(scene, task, errand, waiting)


def _ended_unheard(scene: Scene, task: Task, errand: Errand, waiting: Waiting) -> Iterator[ev.NoticeGiven]:
    """Tell *waiting* that nothing comes back, where *errand* ended while nobody worked on what it was for."""
    last = last_of(task, errand)
    what = _LOST.get(last.ended)
    if what is None:
        return
    why = None if last.dispatch is None else last.dispatch.why
    rule = what if why in {None, "accepted"} else str(why)
    said = Problem(rule, "it ended while nobody worked on what it was handed on for")
    yield notice(
        scene.context, waiting.ref, what, errand.facts, waiting.dispatch, said, remember=True,
        attempt=last.attempt,
    )  # fmt: skip


def _gave_away(known: Known) -> bool:
    """Say whether what is known is word to whoever gave a place away."""
    return known.notice is not None and known.notice.what == "accepted"


def scene_of(place: Place, state: State, context: Context, live: Live) -> Scene:
    """Lay out the scene of a crossing that is remembered or was just read."""
    return Scene(place, state, context, live, state.tasks.get(live.facts.task))
