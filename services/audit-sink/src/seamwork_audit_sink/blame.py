"""
Name what explains how a task ended: the first thing that went wrong and that nothing mended; pure.

Rule 1: nothing is to blame where the task is complete.
Rule 2: what was put right explains nothing: a corrected answer, a retry that held, a child whose parent coped.
Rule 3: a record that nobody is proven to have sent is blamed last; anybody who may write could have planted it.
Rule 4: a task that a person cancelled was ended by that person.
Rule 5: a handoff that ran out of time while it waited for another goes back to that other.
Rule 6: what nobody had asked for, or was only told to wait, is blamed last: the work does not hang on it.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from seamwork.platform.views import Blame, CrossingView, Trace, TroubleView

_ASIDE = frozenset({"progress", "usage", "unreadable record"})
"""Records that bring no work: that one was refused explains nothing unless nothing else does."""
_END = "task"
_NO_HARM = frozenset({
    "answer-pending", "conflict", "open-children", "plan-pending",  # the sender goes on as before
    "stamp-closed", "stamp-not-yours", "stamp-unknown", "stopping",  # nobody asked, or nobody asks any more
    "task-exists", "task-over", "unknown-task",
})  # fmt: skip
"""Rules of refusals of what the work does not hang on: it goes on without, or ended for another reason."""
_PASSED_ON = "closed (transferred)"
_OUT_OF_TIME = frozenset({"timeout", "expired"})
_BESIDE_TIME = frozenset({"refused", "escalated"})
"""What does not say of work that was waited for who had it."""


def blame(trace: Trace) -> Blame:
    """Return what explains the state of the task in *trace*."""
    if trace.state == "complete":
        return Blame(
            task=trace.task,
            state=trace.state,
            mended=len({t.crossing for t in trace.troubles if t.crossing}),
            drill=trace.drill,
            would_refuse=trace.would_refuse,
        )
    carried = {crossing.id: crossing for crossing in _all(trace.roots)}
    open_ended = _not_mended(trace.roots)
    unmended = [
        t
        for t in trace.troubles
        if t.crossing is None or t.crossing in open_ended or t.crossing not in carried
    ]
    # A task that ended badly although everything in it was put right: what happened is all there is to say.
    only_its_end = trace.state != "running" and all(t.record_kind == _END for t in unmended)
    candidates = list(trace.troubles) if only_its_end else unmended
    found = _led_to(_pick(trace.state, candidates, carried), candidates)
    found = _waited_for(found, candidates, carried)
    touched = {t.crossing for t in candidates if t.crossing is not None}
    return Blame(
        task=trace.task,
        state=trace.state,
        trouble=found,
        others=len(touched - {None if found is None else found.crossing}),
        mended=len({t.crossing for t in trace.troubles if t.crossing is not None} - touched),
        drill=trace.drill,
        would_refuse=trace.would_refuse,
    )


def _pick(
    state: str, troubles: Sequence[TroubleView], carried: Mapping[str, CrossingView]
) -> TroubleView | None:
    """Return the first of the best sort there is."""
    if state == "cancelled":
        ordered = next((t for t in troubles if t.what == "cancelled" and t.record_kind == _END), None)
        overrun = next((t for t in troubles if t.what == "overrun"), None)
        if ordered is not None and overrun is None:
            return ordered
    return min(troubles, key=lambda trouble: _rank(trouble, carried), default=None)


def _led_to(found: TroubleView | None, troubles: Sequence[TroubleView]) -> TroubleView | None:
    """Go back from work that was put before people to how its receiver failed, which may be told after that."""
    if found is None or found.what != "escalated":
        return found
    failed = (t for t in troubles if t.crossing == found.crossing and t.record_kind == "work")
    return next((t for t in failed if t.rule == found.rule), found)


def _waited_for(
    found: TroubleView | None, troubles: Sequence[TroubleView], carried: Mapping[str, CrossingView]
) -> TroubleView | None:
    """Go down from a handoff that ran out of time to the one below it that was still open then."""
    if found is None or found.what not in _OUT_OF_TIME:
        return found
    ran_out = found.at
    while True:
        above = carried.get(found.crossing or "")
        below = set() if above is None else set(_open_then(above.children, ran_out))
        late = next(
            (t for t in troubles if t.crossing in below and t.what not in _BESIDE_TIME and t.at >= ran_out),
            None,
        )
        if late is None:
            return found
        reason = "it was still open when the handoff above it ran out of time"
        answered = {"record_kind": "work", "gate": "router", "gate_version": ""}  # later, which helped nobody
        found = msgspec.structs.replace(
            late, what=found.what, rule=found.rule, reason=reason,
            **(answered if late.record_kind == "result" else {}),
        )  # fmt: skip


def _open_then(crossings: Iterable[CrossingView], at: int) -> Iterable[str]:
    """Yield those of *crossings* that somebody worked on at that instant, or whoever had their place by then."""
    for crossing in crossings:
        if crossing.at > at:
            continue
        if crossing.ended_at is None or crossing.ended_at >= at:
            yield crossing.id
        if crossing.status == _PASSED_ON:
            yield from _open_then((one for one in crossing.children if one.mode == "transfer"), at)


def _rank(trouble: TroubleView, carried: Mapping[str, CrossingView]) -> int:
    """Sort troubles; ``min`` keeps the first of equals, and so the order of the log."""
    if trouble.record_kind == _END:
        return 3
    if trouble.what == "refused" and (trouble.record_kind in _ASIDE or trouble.rule in _NO_HARM):
        return 2
    if trouble.record_kind == "handoff" and _is_beside(trouble, carried.get(trouble.crossing or "")):
        return 2
    return 0 if trouble.proven else 1


def _is_beside(trouble: TroubleView, crossing: CrossingView | None) -> bool:
    """Say whether what was refused is another record than the one that its id is known by."""
    return trouble.what == "refused" and crossing is not None and trouble.position != crossing.position


def _not_mended(crossings: Iterable[CrossingView]) -> set[str]:
    """Return the crossings that ended badly with nobody above them having coped."""
    found: set[str] = set()
    for crossing in crossings:
        if not _is_well(crossing):
            found.add(crossing.id)
            found |= _not_mended(crossing.children)
    return found


def _is_well(crossing: CrossingView) -> bool:
    """Say whether a handoff was answered with success, by its receiver or by whom that passed its place to."""
    if crossing.status == "accepted":
        return crossing.outcome == "success"
    if crossing.status == _PASSED_ON:
        return any(child.mode == "transfer" and _is_well(child) for child in crossing.children)
    return False


def _all(crossings: Iterable[CrossingView]) -> Iterable[CrossingView]:
    for crossing in crossings:
        yield crossing
        yield from _all(crossing.children)
