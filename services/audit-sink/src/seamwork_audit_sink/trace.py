"""
Draw the tree of a task: who handed what to whom, who said what of it, how long it took, what it cost; pure.

Nothing is judged here: what the records say is put side by side. A record that fits nowhere is shown beside the
tree and never left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import msgspec
from msgspec.structs import replace

from seamwork.ids import accompaniment_id
from seamwork.platform.views import (
    AskedView,
    AttemptView,
    CaseView,
    CrossingView,
    DecisionView,
    DeliveredView,
    DispatchView,
    PlanView,
    ResultView,
    StrayView,
    Trace,
    VerdictView,
)
from seamwork.records.crossing import AnyCrossing, Gap, Handoff, Plan, Progress, Result, Subtask, Usage
from seamwork.records.decision import (
    Accepted,
    AnyDecision,
    Closed,
    Decision,
    Dispatched,
    Escalated,
    Held,
    JudgeAgain,
    Noted,
    Refused,
)
from seamwork.records.delivery import Delivered
from seamwork.records.parties import Position, Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Malformed, Received
from seamwork_audit_sink.history import History, Kept, history_of
from seamwork_audit_sink.names import agent_name, contract_name, document_name, place, target_name
from seamwork_audit_sink.troubles import troubles_of

_JUDGING = (Dispatched, Refused, Held, Accepted, Noted)
_DEEPEST = 64  # far deeper than any authority's depth
_CASE_ENDS = {"case-resolved": "resolved", "case-expired": "expired"}
_TRIED_AGAIN = frozenset({"retry", "reroute", "requeue"})


def trace(task: str, records: Iterable[Kept], errors: Mapping[Position, str] | None = None) -> Trace:
    """
    Return what became of *task*.

    Args:
        task: The task's id.
        records: All of its records, in any order; inbox records may be missing.
        errors: What answers of the outcome ``error`` say, as people may read it, by their positions.
    """
    return _Tracing(history_of(task, records, errors)).whole()


def state_of(history: History) -> str:
    """Say where a task stands."""
    if history.end is not None:
        return history.end.record.outcome
    return "running" if history.refusal is None else "refused"


class _Tracing:
    """One task on its way to a trace."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._by_crossing: dict[str, list[Received[AnyDecision]]] = {}
        self._by_dispatch: dict[str, list[Received[AnyDecision]]] = {}
        self._by_subject: dict[Subject, list[Received[AnyDecision]]] = {}
        for one in history.decisions:
            record = one.record
            concerned = record.answers if isinstance(record, Accepted) else record.crossing
            if concerned is not None:
                self._by_crossing.setdefault(concerned, []).append(one)
            dispatch = getattr(record, "dispatch", None)
            if dispatch is not None:
                self._by_dispatch.setdefault(dispatch, []).append(one)
            if record.subject is not None:
                self._by_subject.setdefault(record.subject, []).append(one)
        self._drawn: set[str] = set()

    def whole(self) -> Trace:
        history = self._history
        handoffs = [sent[0] for sent in history.handoffs.values()]
        begun = history.begun
        known = history.handoffs.keys()
        tops = [one for one in handoffs if one.record.parent is None or one.record.parent not in known]
        roots = [self._crossing(one) for one in tops]
        # A ring of parents hangs on no root, a chain without end would end us: only a forger makes either, and both
        # are shown all the same.
        for one in handoffs:
            if one.record.id not in self._drawn:
                roots.append(self._crossing(one))  # noqa: PERF401  # each drawing draws others
        ended = history.end
        over = ended or history.refusal
        return Trace(
            task=history.task,
            state=state_of(history),
            initiator=None if begun is None else agent_name(begun.record.source),
            intent=None if begun is None else begun.record.intent,
            begun_at=None if begun is None else begun.raw.appended_at,
            ended_at=None if over is None else over.raw.appended_at,
            crossings=len(history.handoffs) + len(history.results),
            refused=len({one.record.crossing or one.record.subject for one in history.refusals}),
            retries=sum(
                isinstance(one.record, JudgeAgain) and one.record.why in _TRIED_AGAIN
                for one in history.decisions
            ),
            spent_micro_usd=self._spent_by_all(),
            gaps=() if ended is None else tuple(map(_gap, ended.record.gaps)),
            roots=tuple(roots),
            strays=tuple(self._strays()),
            troubles=troubles_of(history),
            ungoverned=sum(
                isinstance(one.record, Dispatched) and one.record.enforcement != "enforce"
                for one in history.decisions
            ),
            would_refuse=len(
                {
                    one.record.subject.position
                    for one in history.decisions
                    if one.record.subject is not None
                    and any(vote.spared is not None for vote in one.record.votes)
                    and not isinstance(one.record, Refused)
                }
            ),
            drill=begun is not None and begun.record.drill is not None,
        )

    # ── handoffs ─────────────────────────────────────────────────────────────────────────

    def _crossing(self, received: Received[Handoff], depth: int = 0) -> CrossingView:
        record = received.record
        self._drawn.add(record.id)
        sent = self._history.handoffs[record.id]
        decisions = self._by_crossing.get(record.id, [])
        dispatches = tuple(
            self._dispatch(one.raw.appended_at, one.record)
            for one in decisions
            if isinstance(one.record, Dispatched)
        )
        status, outcome, ended_at = self._status(decisions, sent)
        return CrossingView(
            id=record.id,
            mode=record.mode,
            step=record.step,
            ordinal=record.ordinal,
            contract=contract_name(record.contract),
            source=agent_name(record.source),
            target=target_name(record.target),
            status=status,
            at=received.raw.appended_at,
            position=place(received.raw),
            parent=record.parent,
            outcome=outcome,
            ended_at=ended_at,
            latency_ms=None if ended_at is None else ended_at - received.raw.appended_at,
            repeats=len(sent) - 1,
            attempts=self._attempts(sent),
            gaps=next(
                (_gaps(one.record) for one in reversed(decisions) if isinstance(one.record, Accepted)), ()
            ),
            dispatches=dispatches,
            cases=tuple(self._cases(decisions)),
            plans=tuple(self._plan(sent) for sent in self._plans.get(record.id, ())),
            children=tuple(
                self._crossing(child, depth + 1)
                for child in self._children.get(record.id, ())
                if depth < _DEEPEST and child.record.id not in self._drawn
            ),
        )

    @cached_property
    def _children(self) -> dict[str, list[Received[Handoff]]]:
        children: dict[str, list[Received[Handoff]]] = {}
        for sent in self._history.handoffs.values():
            if sent[0].record.parent is not None:
                children.setdefault(sent[0].record.parent, []).append(sent[0])
        return children

    @cached_property
    def _plans(self) -> dict[str, list[list[Received[Plan]]]]:
        plans: dict[str, list[list[Received[Plan]]]] = {}
        for sent in self._history.plans.values():
            plans.setdefault(sent[0].record.parent, []).append(sent)
        return plans

    @cached_property
    def _answers(self) -> dict[str, list[list[Received[Result]]]]:
        answers: dict[str, list[list[Received[Result]]]] = {}
        for sent in self._history.results.values():
            answers.setdefault(sent[0].record.dispatch, []).append(sent)
        return answers

    def _status(
        self, decisions: Sequence[Received[AnyDecision]], sent: Sequence[Received[Handoff]]
    ) -> tuple[str, str | None, int | None]:
        """Return where a handoff stands, the outcome of its answer, and when it came to an end."""
        status: tuple[str, str | None, int | None] = ("waiting for verdicts", None, None)
        for one in decisions:
            at = one.raw.appended_at
            match one.record:
                case Accepted(outcome=outcome):  # an answer that says error may lead to another try
                    status = ("accepted", outcome, at)
                case Closed(final=True, why=why):
                    status = (f"closed ({why})", None, at)
                case Refused(kind="handoff"):
                    if self._is_repeat(one.record, sent):
                        continue
                    status = ("refused", None, at)
                case Dispatched():
                    status = ("dispatched", None, None)
                case Held():
                    status = ("held", None, None)
                case JudgeAgain(why=why):
                    status = (f"judged again ({why})", None, None)
                case Escalated(to=to) if status[2] is None:
                    status = (f"escalated to {to}", None, None)
                case _:
                    pass
        return status

    @staticmethod
    def _is_repeat(refused: Refused, sent: Sequence[Received[Handoff]]) -> bool:
        """Say whether what was refused is another record under the same id: the first content keeps the id."""
        return refused.subject is not None and refused.subject.position != sent[0].position

    def _dispatch(self, at: int, record: Dispatched) -> DispatchView:
        status, outcome, ended_at, spent, notes = "open", None, None, None, 0
        # Not a note of the function's: the SDK sends it where the work takes its time.
        acceptance = accompaniment_id(record.dispatch, "progress", 0)
        for one in self._by_dispatch.get(record.dispatch, ()):
            match one.record:
                case Accepted() as accepted:
                    status, outcome, ended_at = "accepted", accepted.outcome, one.raw.appended_at
                    spent = _money(accepted, spent)
                case Closed() as closed if ended_at is None:
                    status, ended_at = closed.why, one.raw.appended_at
                case Noted() as noted:
                    spent = _money(noted, spent)
                    notes += noted.what == "progress" and noted.crossing != acceptance
                case _:
                    pass
        results = [self._result(sent) for sent in self._answers.get(record.dispatch, ())]
        return DispatchView(
            id=record.dispatch,
            number=record.dispatch_number,
            receiver=agent_name(record.receiver),
            at=at,
            status=status,
            ended_at=ended_at,
            latency_ms=None if ended_at is None else ended_at - at,
            outcome=outcome,
            ceiling_micro_usd=record.ceiling_micro_usd,
            spent_micro_usd=spent,
            progress=notes,
            delivered=_delivered(record.delivered),
            results=tuple(results),
            enforcement=record.enforcement,
        )

    def _cases(self, decisions: Sequence[Received[AnyDecision]]) -> Iterator[CaseView]:
        opened: dict[str, list[Received[AnyDecision]]] = {}
        for one in decisions:
            if isinstance(one.record, Escalated) and one.record.case is not None:
                opened.setdefault(one.record.case, []).append(one)
        for case, said in opened.items():
            first = said[0].record
            if not isinstance(first, Escalated):
                continue
            asked = (
                AskedView(to=one.record.to, at=one.raw.appended_at, position=place(one.raw))
                for one in said
                if isinstance(one.record, Escalated)
            )
            view = CaseView(
                id=case,
                at=said[0].raw.appended_at,
                why=first.why,
                rule=first.rule,
                chain=first.chain,
                asked=tuple(asked),
                expires_at=first.expires_at or 0,
                results=tuple(self._result(sent) for sent in self._answers.get(case, ())),
            )
            for one in self._by_dispatch.get(case, ()):
                if isinstance(one.record, Accepted | Closed) and view.ended_at is None:
                    status = _CASE_ENDS.get(one.record.rule, "withdrawn")
                    view = replace(view, status=status, ended=one.record.reason, ended_at=one.raw.appended_at)
            yield view

    def _plan(self, sent: Sequence[Received[Plan]]) -> PlanView:
        first = sent[0]
        record = first.record
        self._drawn.add(record.id)
        status = "waiting"
        for one in self._history.about.get(record.id, ()):
            match one.record:
                case Noted():
                    status = "adopted"
                case Held():
                    status = "held"
                case Refused() if status != "adopted":
                    status = "refused"
                case _:
                    pass
        return PlanView(
            id=record.id,
            source=agent_name(record.source),
            status=status,
            at=first.raw.appended_at,
            position=place(first.raw),
            subtasks=tuple(map(_subtask, record.subtasks)),
            repeats=len(sent) - 1,
            attempts=self._attempts(sent),
        )

    def _result(self, sent: Sequence[Received[Result]]) -> ResultView:
        first = sent[0]
        record = first.record
        self._drawn.add(record.id)
        said = [one.record for one in self._history.about.get(record.id, ())]
        status = "waiting"
        if any(isinstance(one, Accepted) for one in said):
            status = "accepted"
        elif any(isinstance(one, Refused) for one in said):
            status = "refused"
        return ResultView(
            id=record.id,
            source=agent_name(record.source),
            outcome=record.outcome,
            status=status,
            at=first.raw.appended_at,
            position=place(first.raw),
            error=self._history.errors.get(first.position, ""),
            repeats=len(sent) - 1,
            delivered=next((_delivered(one.delivered) for one in said if isinstance(one, Accepted)), None),
            attempts=self._attempts(sent),
        )

    # ── judgements ───────────────────────────────────────────────────────────────────────

    def _attempts(self, sent: Sequence[Kept]) -> tuple[AttemptView, ...]:
        return tuple(
            self._attempt(one, subject)
            for one in sent
            for subject in self._history.subjects.get(one.position, ())
        )

    def _attempt(self, judged: Kept, subject: Subject) -> AttemptView:
        asked = self._history.asked.get(subject)
        since = judged.raw.appended_at if asked is None else asked.raw.appended_at
        decisions = [one for one in self._by_subject.get(subject, ()) if _judges(one.record)]
        modes = {vote.gate: vote.mode for one in decisions for vote in one.record.votes}
        spared = {vote.gate: vote.spared for one in decisions for vote in one.record.votes}
        # Who is not among the votes of what closed the attempt had not voted by then; a hold closes nothing.
        closed = any(one.record.votes for one in decisions if not isinstance(one.record, Held))
        seen: set[str] = set()
        verdicts = []
        for one in self._history.verdicts.get(subject, ()):
            verdicts.append(
                _verdict(
                    one,
                    since,
                    counted=one.record.gate not in seen and (not closed or one.record.gate in modes),
                    mode=modes.get(one.record.gate, "enforce"),
                    spared=spared.get(one.record.gate),
                )
            )
            seen.add(one.record.gate)
        return AttemptView(
            attempt=subject.attempt,
            position=place(judged.raw),
            why=None if asked is None else asked.record.why,
            verdicts=tuple(verdicts),
            decisions=tuple(_decision(one) for one in decisions),
        )

    # ── the rest ─────────────────────────────────────────────────────────────────────────

    def _strays(self) -> Iterable[StrayView]:
        for kept in self._history.sent.values():
            if isinstance(kept, Malformed):
                yield StrayView(
                    kind="unreadable",
                    position=place(kept.raw),
                    at=kept.raw.appended_at,
                    rule=kept.rule,
                    attempts=self._attempts([kept]),
                )
                continue
            record = kept.record
            refused = any(
                isinstance(one.record, Refused)
                for subject in self._history.subjects.get(kept.position, ())
                for one in self._by_subject.get(subject, ())
            )
            is_stray = (isinstance(record, Result | Plan) and record.id not in self._drawn) or (
                isinstance(record, Progress | Usage) and refused
            )
            if isinstance(record, AnyCrossing) and is_stray:
                yield StrayView(
                    kind=str(record.__struct_config__.tag),
                    position=place(kept.raw),
                    at=kept.raw.appended_at,
                    id=record.id,
                    source=agent_name(record.source),
                    attempts=self._attempts([kept]),
                )

    def _spent_by_all(self) -> int | None:
        ended = self._history.end
        if ended is not None and ended.record.spent_micro_usd is not None:
            return ended.record.spent_micro_usd
        by_dispatch: dict[str, int] = {}
        for one in self._history.decisions:
            if isinstance(one.record, Accepted | Noted):
                spent = _money(one.record, None)
                if spent is not None:
                    by_dispatch[one.record.dispatch] = spent
        return sum(by_dispatch.values()) if by_dispatch else None


def _verdict(
    received: Received[Verdict], since: int, *, counted: bool, mode: str, spared: str | None
) -> VerdictView:
    record = received.record
    return VerdictView(
        gate=record.gate,
        gate_version=record.gate_version,
        outcome=record.outcome,
        rule=record.rule,
        reason=record.reason,
        latency_ms=received.raw.appended_at - since,
        counted=counted,
        shadow=mode == "shadow",
        canary=mode == "canary",
        spared=spared,
        warnings=tuple(f"{one.rule}: {one.reason}" for one in record.warnings),
        consulted=tuple(map(document_name, record.consulted)),
    )


def _judges(decision: AnyDecision) -> bool:
    """Say whether a decision was taken on votes: a further try that is refused closes nothing but itself."""
    return isinstance(decision, _JUDGING) or (isinstance(decision, Closed) and decision.why == "refused")


def _decision(received: Received[AnyDecision]) -> DecisionView:
    record: Decision = received.record
    return DecisionView(
        kind=str(record.__struct_config__.tag),
        at=received.raw.appended_at,
        rule=record.rule,
        reason=record.reason,
    )


def _delivered(part: Delivered | None) -> DeliveredView | None:
    return None if part is None else DeliveredView(**msgspec.structs.asdict(part))


def _gaps(accepted: Accepted) -> tuple[str, ...]:
    return tuple(map(_gap, accepted.gaps))


def _gap(gap: Gap) -> str:
    return f"{gap.step} ({gap.why})" if gap.critical else f"{gap.step} (left out, {gap.why})"


def _subtask(subtask: Subtask) -> str:
    after = f" after {', '.join(subtask.after)}" if subtask.after else ""
    spare = "" if subtask.critical else " (may be left out)"
    return f"{subtask.name} → {target_name(subtask.target)}{after}{spare}"


def _money(record: Accepted | Noted, before: int | None) -> int | None:
    """Return what a dispatch has spent by now: figures are cumulative, and silence changes nothing."""
    if record.spent is None or record.spent.micro_usd is None:
        return before
    return record.spent.micro_usd
