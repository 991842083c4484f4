"""Say what people ask about tasks as plain text: the trace as a tree, the blame, the list."""

import textwrap
from collections.abc import Iterator, Sequence

from seamwork.platform.views import (
    AttemptView,
    Blame,
    CaseView,
    CrossingView,
    DeliveredView,
    DispatchView,
    PlanView,
    ResultView,
    StrayView,
    TaskLine,
    Trace,
    TroubleView,
)
from seamwork.records.wire import rfc3339

WIDTH = 100
_SECOND_MS = 1000
_MINUTE_MS = 60 * _SECOND_MS
_MICRO = 1_000_000
_JOINERS = "\u200c\u200d"
_DRILL = {False: "", True: " (a drill)"}
_APPROVED = "approved"  # of the yeses the one whose reason is asked for: who agreed
_LEAST_TEXT = 20  # however deep the tree, so much room is left for words


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
    return plain(_blame_line(blame))


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


def _heard(task: TaskLine) -> str:
    """Say what a task that runs is at: who waits for people does so whatever else is reported meanwhile."""
    if task.asks:
        return ": people are asked"
    return "" if task.last is None else f": {task.last}"


def render_tasks(tasks: Sequence[TaskLine], width: int = WIDTH) -> str:
    """Draw a table of tasks."""
    if not tasks:
        return "There are no tasks.\n"
    head = ("TASK", "STATE", "BEGUN", "TOOK", "CROSSINGS", "REFUSED", "SPENT", "INTENT")
    rows = [
        (
            plain(task.task),
            plain(task.state + _DRILL[task.drill] + _heard(task)),
            _clock(task.begun_at), _span(task.begun_at, task.ended_at),
            _number(task.crossings), _number(task.refused), _money(task.spent_micro_usd), plain(task.intent),
        )
        for task in tasks
    ]  # fmt: skip
    widths = column_widths([row[:-1] for row in (head, *rows)])
    left = max(_LEAST_TEXT, width - sum(widths) - 2 * len(widths))
    lines = []
    for row in (head, *rows):
        cells = [cell.ljust(size) for cell, size in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, _short(row[-1], left)]).rstrip())
    return "\n".join(lines) + "\n"


def column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide the columns of a table are; one very long cell spoils its own line, not the others."""
    return [min(WIDTH, max(map(len, column))) for column in zip(*rows, strict=True)]


def ungoverned_words(dispatches: int, would_refuse: int) -> str:
    """Say how much of a task nobody governed."""
    crossings = _counted(would_refuse, "crossing", "crossings")
    return (
        f"UNGOVERNED: {_counted(dispatches, 'dispatch', 'dispatches')} along flows that are not enforced; "
        + (f"{crossings} would have been refused" if would_refuse else "nothing would have been refused")
    )


def _trace_lines(trace: Trace, width: int) -> Iterator[str]:
    yield plain(f"task {trace.task}: {trace.state}{_DRILL[trace.drill]}")
    if trace.intent is not None:
        yield from _wrapped(f"“{plain(trace.intent)}”, by {trace.initiator}", width, "  ")
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
    if result.error:
        yield f"it says {result.error}"
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
            mark += " (canary)" if verdict.canary else ""
            mark += f" (not enforced: the flow is in {verdict.spared})" if verdict.spared else ""
            telling = verdict.outcome != "ALLOW" or verdict.rule == _APPROVED
            reason = f": {verdict.reason}" if verdict.reason and telling else ""
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
    yield plain(f"Task {blame.task} is {blame.state}{_DRILL[blame.drill]}.")
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
        plain(text),
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


def plain(text: str) -> str:
    """Return *text* as one line that a terminal shows and does not obey: other characters become spaces."""
    return text if text.isprintable() else "".join(c if is_shown(c) else " " for c in text)


def is_shown(char: str) -> bool:
    """Say whether a terminal shows it: not a command to it, nor what turns a line around; joiners join letters."""
    return char.isprintable() or char in _JOINERS


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


def people_waited_for(trace: Trace) -> Iterator[str]:
    """Yield, for everything of a task that waits for people, what waits and where they answer."""
    below = list(trace.roots)
    while below:
        one = below.pop()
        below += one.children
        who = f"{one.step}: {one.source} → {one.target}"
        held = [who] if one.status == "held" else []
        held += [f"{who}: the plan of {plan.source}" for plan in one.plans if plan.status == "held"]
        held += [
            f"{who}: the answer of {result.source}"
            for dispatch in one.dispatches
            for result in dispatch.results
            if result.status == "waiting" and _is_held(result.attempts)
        ]
        for what in held:
            yield f"{what} is held until people agree; see `seamwork approvals list`"
        for case in one.cases:
            if case.status == "open":
                asked = ", ".join(asked.to for asked in case.asked) or "nobody yet"
                why = case.why if case.rule in {"", case.why} else f"{case.why}, {case.rule}"
                yield f"{who} waits for people ({why}), asked of {asked}; see `seamwork cases show {case.id[:8]}`"


def _is_held(attempts: Sequence[AttemptView]) -> bool:
    kinds = [decision.kind for attempt in attempts for decision in attempt.decisions]
    return bool(kinds) and kinds[-1] == "held"
