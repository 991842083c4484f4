"""
The three acts: the same audit without a platform, on it, and on it again once the extractor is mended.

Each act does its part, tells it on the way, and returns what it came to; whether that is what was to be shown,
``licence_audit.show.closing`` says.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from licence_audit import ungoverned
from licence_audit.agents import extractor
from licence_audit.discover import Roots, discover
from licence_audit.facts import AuditReport, AuditRequest
from licence_audit.planner import follow_up
from licence_audit.report import INCOMPLETE, headline
from licence_audit.show.asking import ask_at_terminal, can_ask
from licence_audit.show.governed import Governed, document
from licence_audit.show.screen import Screen
from licence_audit.show.watching import Course, Refusal, Seen, watched
from licence_audit.ungoverned import Falsehood
from seamwork.agent import Submitted
from seamwork.platform.views import Trace
from seamwork.records.decision import TaskEnded
from seamwork.records.people import ApprovalEnd, ApprovalRequest

INTENT = (
    "Say under which licences everything in this Python environment may be used, and what needs a person."
)
GATE = "policy-engine"
EXTRACTOR, DRIFTED, MENDED = "extractor", "2.0.0", "2.0.1"
MENDED_DOCUMENT = "agent-extractor-2.0.1.yaml"

# The agents of act two by their modules, a process each: they share nothing but the platform.
AGENTS = ("planner", "parser", "extractor_drifted", "compliance", "exceptions", "report")

Interference = Callable[[Course], Coroutine[Any, Any, None]]

STEPS_EACH = 3
_TASK_WITHIN_S = 150.0
_QUIET_S = 1.0
_QUIET_WITHIN_S = 8.0
_LOOKED_AT_S = 2.5
_ANSWER_AT_TERMINAL_S = 20
_ANSWER_NOWHERE_S = 6
_LONGEST_ANSWER_S = 60
_AUDIT_WITHIN_S = 20.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Ungoverned:
    """What act one came to: the report, the one that reads everything, and where they differ."""

    report: AuditReport
    true: AuditReport
    false: tuple[Falsehood, ...]


@dataclass(slots=True)
class Outage:
    """What happened while a gate was away: how much was dispatched before, on its way out, during, and after."""

    before: int = 0
    on_their_way: int = 0
    during: int = -1
    watched_s: float = 0.0
    away_s: float = 0.0
    went_on: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """What an act on the platform came to."""

    submitted: Submitted
    report: AuditReport
    outcome: str
    course: Course
    trace: Trace
    took_s: float


@dataclass(slots=True)
class Answers:
    """What became of the questions to a person: by the request's id, how it ended."""

    how: dict[str, str] = field(default_factory=dict)


async def act_one(screen: Screen, limit: int) -> Ungoverned:
    """Wire the agents to each other directly, and compare what they say with what is so."""
    screen.act("Act one. Ungoverned: the agents call each other, as everybody wires them")
    request = AuditRequest(title="Ungoverned", limit=limit)
    report = await ungoverned.audit(request)
    screen.note(
        f"planner, parser, extractor {DRIFTED}, compliance, report: every call returned, every type fitted"
    )
    screen.note(f"the report: {headline(report.counts)}. Not one check failed.")
    true = await ungoverned.audit(request, extractor.agent)
    false = ungoverned.falsehoods(report, true)
    screen.say("")
    screen.say(f"It is wrong about {len(false)} of them, and nothing in it says so:", "bold")
    for each in false:
        hidden = "   <- calls copyleft allowed" if each.hides_a_problem else ""
        screen.say(f"    {each.name} {each.version}: says {each.reported}, is {each.actual}{hidden}")
    return Ungoverned(report, true, false)


async def act_two(screen: Screen, governed: Governed, limit: int) -> tuple[Act, Outage]:
    """Let the same agents work through the platform, and take a gate away in the middle."""
    request = AuditRequest(title="Governed", limit=limit, exceptions="report")
    count = len((await asyncio.to_thread(discover, request, Roots.of_this_process())).refs)
    outage = Outage()

    async def interfere(course: Course) -> None:
        await _take_the_gate_away(screen, governed, course, outage, count)

    act = await _audit(screen, governed, request, STEPS_EACH * count + 2, interfere)
    screen.note(f"the report: {headline(act.report.counts)}", "bold")
    for entry in act.report.entries:
        if entry.status == "incomplete":
            screen.say(f"    {entry.ref.name} {entry.ref.version}: {INCOMPLETE}")
    return act, outage


async def mend(screen: Screen, governed: Governed) -> None:
    """Let the mended extractor join, and take the drifted one out of force; nothing else is touched."""
    await governed.publish([document(MENDED_DOCUMENT)])
    await governed.start_agent("extractor")
    await governed.retire(EXTRACTOR, DRIFTED, "keeps only the first identifier of a compound expression")
    await governed.agents.stop("extractor_drifted")
    screen.note(f"extractor {MENDED} has joined, {DRIFTED} is retired; no service was restarted")


async def act_three(
    screen: Screen, governed: Governed, before: AuditReport, questions: int
) -> tuple[Act, Answers]:
    """
    Audit again just what act two left open, ask a person about copyleft, and join the two.

    All *questions* are open at once and somebody at a terminal answers one after the other.
    """
    in_turn = min(_LONGEST_ANSWER_S, _ANSWER_AT_TERMINAL_S * max(1, questions))
    seconds = in_turn if can_ask() else _ANSWER_NOWHERE_S
    request = follow_up(before, "Mended").model_copy(update={"answer_within_s": seconds})
    screen.note(f"a new task over just the {len(request.only)} that are open: {_names(request)}")
    answers = Answers()

    async def nothing(course: Course) -> None:
        """Let it run."""

    act = await _audit(screen, governed, request, STEPS_EACH * len(request.only) + 2, nothing, answers)
    screen.note(f"joined with act two: {headline(act.report.counts)}", "bold")
    for entry in act.report.entries:
        if entry.status in {"not-approved", "allowed-by-exception"}:
            screen.say(f"    {entry.ref.name} {entry.ref.version} ({entry.expression}): {entry.reason}")
    return act, answers


async def _audit(  # an audit is told, governed, wanted, measured, disturbed and asked about
    screen: Screen,
    governed: Governed,
    request: AuditRequest,
    expected: int,
    interfere: Interference,
    answers: Answers | None = None,
) -> Act:
    began = screen.seconds
    submitted = await governed.submit(request, INTENT, _TASK_WITHIN_S)
    screen.note(f"task {submitted.task} submitted")
    kept = Answers() if answers is None else answers
    questions: asyncio.Queue[ApprovalRequest] = asyncio.Queue()

    rules: set[str] = set()

    def look(seen: Seen) -> None:
        _tell(screen, seen, rules)
        if isinstance(seen, ApprovalRequest):
            questions.put_nowait(seen)
        elif isinstance(seen, ApprovalEnd):
            kept.how[seen.id] = seen.how

    async with (
        watched(governed.door, submitted.task, look) as course,
        screen.following(course, expected),
        _asking(screen, governed, questions),
    ):
        disturbing = asyncio.create_task(interfere(course), name="interfere")
        try:
            async with asyncio.timeout(_TASK_WITHIN_S + 10):
                labelled = await governed.result(submitted)
                await disturbing
            await course.until(lambda seen: seen.ended is not None, _AUDIT_WITHIN_S)
        finally:
            disturbing.cancel()
    trace = await _traced(governed, submitted.task)
    return Act(submitted, labelled.value, labelled.outcome, course, trace, screen.seconds - began)


async def _take_the_gate_away(
    screen: Screen, governed: Governed, course: Course, outage: Outage, after: int
) -> None:
    if not await course.until(
        lambda seen: seen.dispatches >= after or seen.ended is not None, _TASK_WITHIN_S
    ):
        return
    began = screen.seconds
    outage.before = course.dispatches
    await governed.running.supervisor.stop(GATE)
    gone = course.dispatches
    screen.note(f"{GATE} is stopped, in the middle of the work, after {outage.before} dispatches", "bold")
    # What it had judged before it went is still admitted; then nothing may be.
    quiet_until = screen.seconds + _QUIET_WITHIN_S
    while screen.seconds < quiet_until:
        if not await course.goes_on(_QUIET_S):
            break
    outage.on_their_way = course.dispatches - outage.before
    at = course.dispatches
    looked = screen.seconds
    await course.goes_on(_LOOKED_AT_S)
    outage.watched_s = screen.seconds - looked + (_QUIET_S if at >= gone else 0)
    outage.during = course.dispatches - at
    screen.note(
        f"{outage.on_their_way} more had been judged already and went out; then nothing was admitted for "
        f"{outage.watched_s:.1f} s: no gate, no dispatch"
    )
    await governed.running.start_services([GATE])
    outage.away_s = screen.seconds - began
    screen.note(f"{GATE} is back after {outage.away_s:.1f} s; a gate may be silent for 30 s", "bold")
    outage.went_on = await course.until(lambda now: now.dispatches > at, _TASK_WITHIN_S)
    if outage.went_on:
        screen.note("the work goes on where it stood")


@asynccontextmanager
async def _asking(
    screen: Screen, governed: Governed, questions: asyncio.Queue[ApprovalRequest]
) -> AsyncIterator[None]:
    asking = asyncio.create_task(_ask_each(screen, governed, questions), name="asking")
    try:
        yield
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking


async def _ask_each(screen: Screen, governed: Governed, questions: asyncio.Queue[ApprovalRequest]) -> None:
    while True:
        request = await questions.get()
        if not can_ask():
            screen.note("nobody is at a terminal to answer; the question will expire")
            continue
        said = await ask_at_terminal(request, screen)
        if said is not None:
            await governed.answer(request, said)


async def _traced(governed: Governed, task: str) -> Trace:
    # The audit sink reads what the others wrote, so it is last to know that a task has ended.
    deadline = asyncio.get_running_loop().time() + _AUDIT_WITHIN_S
    while True:
        trace = await asyncio.to_thread(governed.audit.trace, task)
        if trace.ended_at is not None or asyncio.get_running_loop().time() > deadline:
            return trace
        await asyncio.sleep(_POLL_S)


def _tell(screen: Screen, seen: Seen, rules: set[str]) -> None:
    match seen:
        case Refusal():
            what = seen.step or f"a {seen.kind}"
            screen.note(f"refused   {what}, from {seen.source}, by {seen.gate}: {seen.rule}")
            if seen.rule not in rules:
                rules.add(seen.rule)
                screen.say(f"                    {seen.reason.removeprefix(f'{seen.rule}: ')}")
        case ApprovalRequest():
            roles = ", ".join(role for each in seen.approvers for role in each.roles)
            screen.note(f"held      {seen.state} {seen.asked} Asked of: {roles}")
        case ApprovalEnd():
            who = f" by {', '.join(seen.people)}" if seen.people else ""
            screen.note(f"answered  {seen.how}{who}")
        case TaskEnded():
            screen.note(f"ended     {seen.outcome}: {seen.crossings} crossings, {seen.refused} refused")


def _names(request: AuditRequest) -> str:
    return ", ".join(ref.name for ref in request.only)
