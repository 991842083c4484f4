"""
Say what people ask about tasks, as values and as plain text: the trace, the blame, the list.

These are answers of the audit sink's pages, not records: nothing here is on the wire between services. Agents and
contracts are named as ``name@version``, places as ``topic partition/offset``, instants are milliseconds.
"""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from seamwork.records.wire import rfc3339

WIDTH = 100
_SECOND_MS = 1000
_MINUTE_MS = 60 * _SECOND_MS
_MICRO = 1_000_000
_DRILL = {False: "", True: " (a drill)"}
_LEAST_TEXT = 20  # however deep the tree, so much room is left for words


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer."""


class VerdictView(View, frozen=True, kw_only=True):
    """
    What one gate said.

    *latency_ms* runs from the append of what asked for it (the crossing, or the decision to judge again) to its
    own. *counted* is false for a second verdict of the same gate, *shadow* true for one that is only compared.
    *spared* is the flow's mode in which a refusal was not enforced.
    """

    gate: str
    gate_version: str
    outcome: str
    rule: str
    reason: str
    latency_ms: int
    counted: bool = True
    shadow: bool = False
    spared: str | None = None
    warnings: tuple[str, ...] = ()
    consulted: tuple[str, ...] = ()


class DecisionView(View, frozen=True, kw_only=True):
    """What the router decided on one attempt."""

    kind: str
    at: int
    rule: str = ""
    reason: str = ""


class AttemptView(View, frozen=True, kw_only=True):
    """One judgement of one record; *why* says what asked for it again."""

    attempt: int
    position: str
    why: str | None = None
    verdicts: tuple[VerdictView, ...] = ()
    decisions: tuple[DecisionView, ...] = ()


class DeliveredView(View, frozen=True, kw_only=True):
    """
    What a receiver got, where that is not simply all that was sent, or was counted.

    *sent_sha256* is of what was sent, *sha256* of what was delivered, *projection* what was cut out in between.
    """

    sent_sha256: str
    sha256: str
    bytes: int
    projection: tuple[str, ...] = ()
    counter: str | None = None
    tokens: int | None = None


class ResultView(View, frozen=True, kw_only=True):
    """One answer to a dispatch; *status* is ``accepted``, ``refused`` or ``waiting``."""

    id: str
    source: str
    outcome: str
    status: str
    at: int
    position: str
    repeats: int = 0
    delivered: DeliveredView | None = None
    attempts: tuple[AttemptView, ...] = ()


class DispatchView(View, frozen=True, kw_only=True):
    """
    One time that the work was handed to somebody.

    *status* is ``open``, ``accepted``, or why it was closed; *latency_ms* runs from dispatch to its end.
    *progress* counts the notes of its function, the acceptance not among them.
    *enforcement* other than ``enforce`` marks ungoverned work.
    """

    id: str
    number: int
    receiver: str
    at: int
    status: str
    ended_at: int | None = None
    latency_ms: int | None = None
    outcome: str | None = None
    ceiling_micro_usd: int = 0
    spent_micro_usd: int | None = None
    progress: int = 0
    delivered: DeliveredView | None = None
    results: tuple[ResultView, ...] = ()
    enforcement: str = "enforce"


class AskedView(View, frozen=True, kw_only=True):
    """One of a chain who was asked, and where the decision lies that says so."""

    to: str
    at: int
    position: str


class CaseView(View, frozen=True, kw_only=True):
    """
    One time that the work was put before people: who was asked and when (ms), and what became of it.

    *status* is ``open``, ``resolved``, ``expired`` or ``withdrawn``; *ended* says who ordered what. *results* are
    what the desk answered.
    """

    id: str
    at: int
    why: str
    rule: str
    chain: tuple[str, ...]
    asked: tuple[AskedView, ...]
    expires_at: int
    status: str = "open"
    ended: str = ""
    ended_at: int | None = None
    results: tuple[ResultView, ...] = ()


class PlanView(View, frozen=True, kw_only=True):
    """How an agent meant to divide its work; *status* is ``adopted``, ``refused``, ``held`` or ``waiting``."""

    id: str
    source: str
    status: str
    at: int
    position: str
    subtasks: tuple[str, ...]
    repeats: int = 0
    attempts: tuple[AttemptView, ...] = ()


class CrossingView(View, frozen=True, kw_only=True):
    """
    One handoff with all that became of it; *children* are the handoffs made while working on it.

    *gaps* are what its answer lacks, by the path of steps.
    """

    id: str
    mode: str
    step: str
    ordinal: int
    contract: str
    source: str
    target: str
    status: str
    at: int
    position: str
    parent: str | None = None
    outcome: str | None = None
    ended_at: int | None = None
    latency_ms: int | None = None
    repeats: int = 0
    attempts: tuple[AttemptView, ...] = ()
    gaps: tuple[str, ...] = ()
    dispatches: tuple[DispatchView, ...] = ()
    cases: tuple[CaseView, ...] = ()
    plans: tuple[PlanView, ...] = ()
    children: "tuple[CrossingView, ...]" = ()


class StrayView(View, frozen=True, kw_only=True):
    """A record of the task that hangs nowhere in its tree: unreadable, or an answer to nothing known."""

    kind: str
    position: str
    at: int
    id: str | None = None
    source: str | None = None
    rule: str | None = None
    attempts: tuple[AttemptView, ...] = ()


class TroubleView(View, frozen=True, kw_only=True):
    """
    One thing that went wrong, in the order of the log.

    *what* is ``refused``, ``overrun``, ``escalated``, an outcome (``error``, ``partial``), why a dispatch closed
    (``timeout``, ``cancelled``, …) or how the task ended. *crossing* is the handoff concerned, *record* what went
    wrong itself. *source* and *target* are the two sides of the seam, as the record crossed it. *proven* is false
    where no signature showed who sent it.
    """

    what: str
    at: int
    crossing: str | None = None
    record: str | None = None
    record_kind: str = "handoff"
    source: str | None = None
    target: str | None = None
    contract: str | None = None
    step: str | None = None
    gate: str = "router"
    gate_version: str = ""
    rule: str = ""
    reason: str = ""
    position: str | None = None
    consulted: tuple[str, ...] = ()
    proven: bool = True


class Trace(View, frozen=True, kw_only=True):
    """
    One task whole.

    *state* is ``running``, ``refused`` (its first crossing was) or how the task ended. *crossings* counts handoffs
    and results by id, *retries* the times that something was judged again to be tried again. *gaps* are what its
    answer lacks. *drill* says that it was begun to try who answers. *ungoverned* counts the dispatches along flows
    that are not enforced, *would_refuse* the crossings that would have been refused otherwise.
    """

    task: str
    state: str
    initiator: str | None = None
    intent: str | None = None
    begun_at: int | None = None
    ended_at: int | None = None
    crossings: int = 0
    refused: int = 0
    retries: int = 0
    spent_micro_usd: int | None = None
    gaps: tuple[str, ...] = ()
    roots: tuple[CrossingView, ...] = ()
    strays: tuple[StrayView, ...] = ()
    troubles: tuple[TroubleView, ...] = ()
    drill: bool = False
    ungoverned: int = 0
    would_refuse: int = 0


class Blame(View, frozen=True, kw_only=True):
    """
    What explains how a task ended: the first trouble that nothing mended, or null.

    *others* counts the further crossings that ended badly, *mended* those that went wrong and were put right.
    *would_refuse* counts those that went on although contract or policy speaks against them.
    """

    task: str
    state: str
    trouble: TroubleView | None = None
    others: int = 0
    mended: int = 0
    drill: bool = False
    would_refuse: int = 0


class TaskLine(View, frozen=True, kw_only=True):
    """One task in a list; of one that runs, the type of the record that was heard *last*, and when (ms)."""

    task: str
    state: str
    initiator: str
    intent: str
    begun_at: int
    ended_at: int | None = None
    crossings: int | None = None
    refused: int | None = None
    spent_micro_usd: int | None = None
    last: str | None = None
    heard_at: int | None = None
    drill: bool = False


class BreakerLine(View, frozen=True, kw_only=True):
    """Where the breaker of one agent version stands in one partition, since its last move (ms)."""

    agent: str
    version: str
    partition: int
    state: Literal["closed", "half-open", "open"]
    failures: int
    since: int
    open_until: int | None = None


class Tally(View, frozen=True, kw_only=True):
    """How many records there are of one sort; *detail* divides *name* further."""

    name: str
    records: int
    detail: str = ""


class Summary(View, frozen=True, kw_only=True):
    """
    What the platform has done, in numbers.

    *agents* counts what each sent, by kind; *dispatched* what each was handed; *verdicts* by gate and outcome;
    *refusals* by gate and rule.
    """

    records: int
    topics: tuple[Tally, ...] = ()
    types: tuple[Tally, ...] = ()
    agents: tuple[Tally, ...] = ()
    dispatched: tuple[Tally, ...] = ()
    verdicts: tuple[Tally, ...] = ()
    decisions: tuple[Tally, ...] = ()
    refusals: tuple[Tally, ...] = ()
    tasks: tuple[Tally, ...] = ()
    journals: tuple[Tally, ...] = ()


# ── as text ──────────────────────────────────────────────────────────────────────────────


def render_trace(trace: Trace, width: int = WIDTH) -> str:
    """Draw *trace* as a tree, with lines no longer than *width* as far as its words allow."""
    return "\n".join(_trace_lines(trace, width)) + "\n"


def render_crossing(crossing: CrossingView, width: int = WIDTH) -> str:
    """Draw one handoff with all that became of it, as it stands in the tree of its task."""
    return "\n".join(_branch(_crossing_lines(crossing, width), True, width)) + "\n"  # noqa: FBT003  # the only one


def render_blame(blame: Blame, width: int = WIDTH) -> str:
    """Say in sentences what explains the outcome of a task."""
    return "\n".join(_blame_lines(blame, width)) + "\n"


def blame_line(blame: Blame) -> str:
    """Say the same in one line."""
    return _line(_blame_line(blame))


def _blame_line(blame: Blame) -> str:
    trouble = blame.trouble
    if trouble is None:
        return (
            f"{blame.task} is {blame.state}{_DRILL[blame.drill]}: nothing to blame"
            + _mended(blame)
            + _spared(blame)
        )
    seam = _seam(trouble)
    under = f" under {trouble.contract}" if trouble.contract else ""
    why = f": {trouble.reason}" if trouble.reason else ""
    state = f"{blame.state}{_DRILL[blame.drill]}"
    return f"{blame.task} is {state}: {_what(trouble)}{seam}{under} by {_judge(trouble)}{why}" + _spared(
        blame
    )


def render_tasks(tasks: Sequence[TaskLine], width: int = WIDTH) -> str:
    """Draw a table of tasks."""
    if not tasks:
        return "There are no tasks.\n"
    head = ("TASK", "STATE", "BEGUN", "TOOK", "CROSSINGS", "REFUSED", "SPENT", "INTENT")
    rows = [
        (
            _line(task.task),
            _line(task.state + _DRILL[task.drill] + ("" if task.last is None else f": {task.last}")),
            _clock(task.begun_at), _span(task.begun_at, task.ended_at),
            _number(task.crossings), _number(task.refused), _money(task.spent_micro_usd), _line(task.intent),
        )
        for task in tasks
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head) - 1)]
    left = max(_LEAST_TEXT, width - sum(widths) - 2 * len(widths))
    lines = []
    for row in (head, *rows):
        cells = [cell.ljust(size) for cell, size in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, _short(row[-1], left)]).rstrip())
    return "\n".join(lines) + "\n"


def ungoverned_words(dispatches: int, would_refuse: int) -> str:
    """Say how much of a task nobody governed."""
    crossings = _counted(would_refuse, "crossing", "crossings")
    return (
        f"UNGOVERNED: {_counted(dispatches, 'dispatch', 'dispatches')} along flows that are not enforced; "
        + (f"{crossings} would have been refused" if would_refuse else "nothing would have been refused")
    )


def _trace_lines(trace: Trace, width: int) -> Iterator[str]:
    yield _line(f"task {trace.task}: {trace.state}{_DRILL[trace.drill]}")
    if trace.intent is not None:
        yield from _wrapped(f"“{_line(trace.intent)}”, by {trace.initiator}", width, "  ")
    facts = [
        _counted(trace.crossings, "crossing", "crossings"),
        f"{trace.refused} refused",
        _counted(trace.retries, "retry", "retries"),
    ]
    if trace.begun_at is not None:
        facts.insert(0, f"begun {rfc3339(trace.begun_at)}, took {_span(trace.begun_at, trace.ended_at)}")
    facts.append(f"spent {_money(trace.spent_micro_usd)}")
    yield from _wrapped(", ".join(facts), width, "  ")
    if trace.ungoverned:
        yield from _wrapped(ungoverned_words(trace.ungoverned, trace.would_refuse), width, "  ")
    if trace.gaps:
        yield from _wrapped(f"without {'; '.join(trace.gaps)}", width, "  ")
    for index, root in enumerate(trace.roots):
        last = index == len(trace.roots) - 1 and not trace.strays
        yield from _branch(_crossing_lines(root, width), last, width)
    for index, stray in enumerate(trace.strays):
        yield from _branch(_stray_lines(stray), index == len(trace.strays) - 1, width)


_Lines = Iterator["str | tuple[bool, _Lines]"]
"""The lines of one node; a pair is a node below it, true for the last."""


def _crossing_lines(crossing: CrossingView, width: int) -> _Lines:
    step = crossing.step + (f"#{crossing.ordinal}" if crossing.ordinal else "")
    mode = "" if crossing.mode == "delegate" else f" ({crossing.mode})"
    outcome = f" {crossing.outcome}" if crossing.outcome else ""
    took = "" if crossing.latency_ms is None else f", {duration(crossing.latency_ms)}"
    seam = f"{crossing.source} → {crossing.target}{mode} [{crossing.contract}]"
    yield f"{step}: {seam} {crossing.status}{outcome}{took}"
    yield f"id {crossing.id} at {crossing.position}" + _repeats(crossing.repeats)
    if crossing.gaps:
        yield f"without {'; '.join(crossing.gaps)}"
    yield from _attempt_lines(crossing.attempts)
    below: list[_Lines] = [_dispatch_lines(dispatch) for dispatch in crossing.dispatches]
    below += [_case_lines(case) for case in crossing.cases]
    below += [_plan_lines(plan) for plan in crossing.plans]
    below += [_crossing_lines(child, width) for child in crossing.children]
    for index, node in enumerate(below):
        yield index == len(below) - 1, node


def _dispatch_lines(dispatch: DispatchView) -> _Lines:
    took = "" if dispatch.latency_ms is None else f" after {duration(dispatch.latency_ms)}"
    outcome = f" {dispatch.outcome}" if dispatch.outcome else ""
    spent = f", spent {_money(dispatch.spent_micro_usd)}" if dispatch.spent_micro_usd is not None else ""
    notes = f", {_counted(dispatch.progress, 'note', 'notes')}" if dispatch.progress else ""
    loose = "" if dispatch.enforcement == "enforce" else f" (UNGOVERNED: {dispatch.enforcement})"
    status = f"{dispatch.status}{outcome}{took}{spent}{notes}"
    yield f"dispatch {dispatch.number} to {dispatch.receiver}{loose}: {status}"
    yield from _delivered_lines(dispatch.delivered)
    for index, result in enumerate(dispatch.results):
        yield index == len(dispatch.results) - 1, _result_lines(result)


def _case_lines(case: CaseView) -> _Lines:
    first, *others = case.asked
    asked = "".join(f", then {one.to} after {duration(one.at - case.at)}" for one in others)
    took = "" if case.ended_at is None else f" after {duration(case.ended_at - case.at)}"
    ended = f": {case.ended}" if case.ended else ""
    yield f"case {case.id}, {case.why} ({case.rule}): asked {first.to}{asked}; {case.status}{took}{ended}"
    for index, result in enumerate(case.results):
        yield index == len(case.results) - 1, _result_lines(result)


def _plan_lines(plan: PlanView) -> _Lines:
    parts = _counted(len(plan.subtasks), "subtask", "subtasks")
    yield f"plan of {plan.source}, {parts}: {plan.status}" + _repeats(plan.repeats)
    yield "; ".join(plan.subtasks)
    yield f"id {plan.id} at {plan.position}"
    yield from _attempt_lines(plan.attempts)


def _result_lines(result: ResultView) -> _Lines:
    yield f"result {result.outcome} of {result.source}: {result.status}" + _repeats(result.repeats)
    yield f"id {result.id} at {result.position}"
    yield from _delivered_lines(result.delivered)
    yield from _attempt_lines(result.attempts)


def _delivered_lines(delivered: DeliveredView | None) -> Iterator[str]:
    if delivered is None:
        return
    counted = "" if delivered.tokens is None else f", {delivered.tokens} by {delivered.counter}"
    yield f"delivered {delivered.bytes} bytes{counted}, sha256 {delivered.sha256}"
    if delivered.projection:
        yield f"of what was sent, sha256 {delivered.sent_sha256}, without {', '.join(delivered.projection)}"


def _stray_lines(stray: StrayView) -> _Lines:
    source = f" of {stray.source}" if stray.source else ""
    rule = f": {stray.rule}" if stray.rule else ""
    yield f"{stray.kind}{source} at {stray.position}{rule}"
    yield from _attempt_lines(stray.attempts)


def _attempt_lines(attempts: Sequence[AttemptView]) -> Iterator[str]:
    for attempt in attempts:
        if len(attempts) > 1 or attempt.why:
            why = f", {attempt.why}" if attempt.why else ""
            yield f"attempt {attempt.attempt} of the record at {attempt.position}{why}"
        for verdict in attempt.verdicts:
            mark = " (shadow)" if verdict.shadow else "" if verdict.counted else " (not counted)"
            mark += f" (not enforced: the flow is in {verdict.spared})" if verdict.spared else ""
            reason = f": {verdict.reason}" if verdict.reason and verdict.outcome != "ALLOW" else ""
            gate = f"{verdict.gate}@{verdict.gate_version}"
            yield f"{gate} {verdict.outcome}{mark} {verdict.rule}, {duration(verdict.latency_ms)}{reason}"
            for warning in verdict.warnings:
                yield f"  warns: {warning}"
        for decision in attempt.decisions:
            rule = f" {decision.rule}" if decision.rule else ""
            reason = f": {decision.reason}" if decision.reason else ""
            yield f"= {decision.kind}{rule}{reason}"


def _branch(node: _Lines, last: bool, width: int, indent: str = "") -> Iterator[str]:  # noqa: FBT001  # where it hangs
    first = True
    beneath = indent + ("   " if last else "│  ")
    for line in node:
        if isinstance(line, tuple):
            yield from _branch(line[1], line[0], width, beneath)
        elif first:
            yield from _wrapped(line, width, indent + ("└─ " if last else "├─ "), beneath + "  ")
            first = False
        else:
            yield from _wrapped(line, width, beneath + "  ", beneath + "    ")


def _blame_lines(blame: Blame, width: int) -> Iterator[str]:
    trouble = blame.trouble
    if trouble is None:
        yield blame_line(blame) + "."
        return
    yield _line(f"Task {blame.task} is {blame.state}{_DRILL[blame.drill]}.")
    yield from _wrapped(f"First to go wrong: {_what(trouble)}{_seam(trouble)}", width, "")
    step = f", step {trouble.step}" if trouble.step else ""
    known = {
        "contract": f"{trouble.contract}{step}" if trouble.contract else "",
        "by": _judge(trouble),
        "because": trouble.reason,
        "consulted": ", ".join(trouble.consulted),
        "where": ", ".join(filter(None, (trouble.position, rfc3339(trouble.at)))),
        "crossing": trouble.crossing or "",
    }
    for name, value in known.items():
        if value:
            yield from _wrapped(value, width, f"  {name:<10}", " " * 12)
    if blame.others:
        yield f"{_counted(blame.others, 'further crossing', 'further crossings')} ended badly; see the trace."
    if blame.would_refuse:
        yield f"{_counted(blame.would_refuse, 'crossing', 'crossings')} went on ungoverned; see the trace."


def _what(trouble: TroubleView) -> str:
    whose = (
        f"{trouble.source}'s {trouble.record_kind}"
        if trouble.source
        else f"{_article(trouble.record_kind)} {trouble.record_kind}"
    )
    unproven = "" if trouble.proven else ", whose sender nothing proves,"
    match trouble.what:
        case "refused":
            said = "was refused"
        case "error" | "partial":
            said = f"says {trouble.what}"
        case "overrun":
            said = "spent more than its ceiling"
        case "escalated":
            said = "was put before people"
        case "timeout":
            said = "was not answered in time"
        case "expired":
            said = "expired"
        case "cancelled":
            said = "was cancelled"
        case other:
            said = f"was closed ({other})"
    return f"{whose}{unproven} {said}"


def _seam(trouble: TroubleView) -> str:
    if trouble.source is None or trouble.target is None:
        return ""
    return f" at the seam {trouble.source} → {trouble.target}"


def _judge(trouble: TroubleView) -> str:
    version = f"@{trouble.gate_version}" if trouble.gate_version else ""
    return f"{trouble.gate}{version}" + (f", rule {trouble.rule}" if trouble.rule else "")


def _mended(blame: Blame) -> str:
    if not blame.mended:
        return ""
    return (
        f" ({_counted(blame.mended, 'crossing', 'crossings')} went wrong on the way and the outcome stands)"
    )


def _spared(blame: Blame) -> str:
    if not blame.would_refuse:
        return ""
    crossings = _counted(blame.would_refuse, "crossing", "crossings")
    return f"; {crossings} went on ungoverned and would have been refused, see the trace"


def _wrapped(text: str, width: int, first: str, rest: str | None = None) -> list[str]:
    rest = first if rest is None else rest
    room = max(width, len(rest) + _LEAST_TEXT)
    return textwrap.wrap(
        _line(text),
        room,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def _article(noun: str) -> str:
    return "an" if noun[:1] in "aeiou" else "a"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _repeats(count: int) -> str:
    return f" (sent {count + 1} times)" if count else ""


def _line(text: str) -> str:
    """Return *text* without line breaks and control characters, which a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _money(micro_usd: int | None) -> str:
    return "-" if micro_usd is None else f"${micro_usd / _MICRO:.6f}".rstrip("0").rstrip(".")


def _clock(at: int) -> str:
    return rfc3339(at)[:19] + "Z"


def _span(begun_at: int, ended_at: int | None) -> str:
    return "-" if ended_at is None else duration(ended_at - begun_at)


def duration(ms: int) -> str:
    """Write how long something took."""
    if ms < _SECOND_MS:
        return f"{ms} ms"
    if ms < _MINUTE_MS:
        return f"{ms / _SECOND_MS:.1f} s"
    minutes, seconds = divmod(ms // _SECOND_MS, 60)
    return f"{minutes} min {seconds} s"
