"""List what went wrong in a task, in the order of the log; pure."""

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from seamwork.platform.views import TroubleView
from seamwork.records.crossing import AnyCrossing, Handoff, Result
from seamwork.records.decision import (
    Accepted,
    AnyDecision,
    Closed,
    Dispatched,
    Escalated,
    Held,
    JudgeAgain,
    Noted,
    Overrun,
    Refused,
    TaskEnded,
)
from seamwork.records.people import Command
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Malformed, Received
from seamwork_audit_sink.history import REPEAT, History
from seamwork_audit_sink.names import agent_name, contract_name, document_name, place, target_name

ROUTER = "router"
_NOBODY_ANSWERED = "approval-expired"  # of the workflow; a deadline of the work comes after it
_NO_TROUBLE = frozenset({"accepted", "transferred"})


def troubles_of(history: History) -> tuple[TroubleView, ...]:
    """
    Return everything that went wrong, in the order of the log.

    A refused crossing is its sender's, at the seam that it was to cross; a dispatch that was not answered is its
    receiver's; a task that a person cancelled is that person's.
    """
    return tuple(_Troubles(history).found())


class _Troubles:
    def __init__(self, history: History) -> None:
        self._history = history
        self._dispatched = {
            one.record.dispatch: one.record for one in history.decisions if isinstance(one.record, Dispatched)
        }

    def found(self) -> Iterator[TroubleView]:
        for one in self._history.decisions:
            match one.record:
                case Refused(rule=rule) if rule != REPEAT:
                    yield self._refused(one, one.record)
                case Accepted() as accepted if accepted.outcome != "success":
                    yield self._unsuccessful(one, accepted)
                case Closed(why="cancelled") if (order := self._order(one)) is not None:
                    yield order
                case Overrun() | Closed() | Escalated():
                    yield from self._unanswered(one)
                case TaskEnded() as ended if ended.outcome != "complete":
                    yield TroubleView(
                        what=ended.outcome,
                        at=one.raw.appended_at,
                        record_kind="task",
                        rule=ended.rule,
                        reason=ended.reason,
                        position=place(one.raw),
                    )
                case _:
                    pass

    def _order(self, closed: Received[AnyDecision]) -> TroubleView | None:
        """
        Return the order by which a dispatch was cancelled, as far as the router says that it followed one.

        Anybody among the people may write commands; only what the router names was one that counted.
        """
        given = self._orders.get(closed.record.reason.partition(" ")[0], [])
        # The router follows an order within moments; what the same person was said to order before came to nothing.
        before = [one for one in given if one.raw.appended_at <= closed.raw.appended_at]
        for one in before[-1:] or given[:1]:
            command = one.record
            return TroubleView(
                what="cancelled",
                at=one.raw.appended_at,
                crossing=command.crossing,
                record_kind="task",
                gate=f"person:{command.person}",
                reason=command.reason,
                position=place(one.raw),
            )
        return None

    @cached_property
    def _orders(self) -> dict[str, list[Received[Command]]]:
        """What was ordered to be cancelled, by the person who is said to have ordered it."""
        found: dict[str, list[Received[Command]]] = defaultdict(list)
        for one in self._history.commands:
            if one.record.action == "cancel":
                found[one.record.person].append(one)
        return found

    def _refused(self, one: Received[AnyDecision], refused: Refused) -> TroubleView:
        subject = refused.subject
        sent = None if subject is None else self._history.sent.get(subject.position)
        vote = next((v for v in refused.votes if v.gate == refused.gate), None)
        verdict = self._verdict(refused)
        said = [one for one in (vote, verdict) if one is not None]
        record = sent.record if isinstance(sent, Received) else None
        handoff = self._handoff_of(record, refused)
        source = refused.source
        if source is None and isinstance(record, AnyCrossing):
            source = record.source
        consulted = refused.consulted or (() if verdict is None else verdict.consulted)
        return TroubleView(
            what="refused",
            at=one.raw.appended_at,
            crossing=None if handoff is None else handoff.id,
            record=refused.crossing,
            record_kind="unreadable record" if refused.kind == "unreadable" else refused.kind,
            source=None if source is None else agent_name(source),
            target=_target(record, handoff),
            contract=_contract(record, handoff),
            step=None if handoff is None else handoff.step,
            gate=refused.gate,
            gate_version=_first(*(one.gate_version for one in said)),
            rule=_first(refused.rule, *(one.rule for one in said)),
            reason=_first(refused.reason, *(one.reason for one in said), _why_unreadable(sent)),
            position=place(one.raw if sent is None else sent.raw),
            consulted=tuple(map(document_name, consulted)),
            proven=refused.told is not None,
        )

    def _unsuccessful(self, one: Received[AnyDecision], accepted: Accepted) -> TroubleView:
        subject = accepted.subject
        sent = None if subject is None else self._history.sent.get(subject.position)
        handoff = self._handoff(accepted.answers)
        return TroubleView(
            what=accepted.outcome,
            at=one.raw.appended_at,
            crossing=accepted.answers,
            record=accepted.crossing,
            record_kind="result",
            source=agent_name(accepted.source),
            target=None if handoff is None else agent_name(handoff.source),
            contract=None if handoff is None else contract_name(handoff.contract),
            step=None if handoff is None else handoff.step,
            gate=accepted.source.agent,
            gate_version=accepted.source.version,
            rule=accepted.rule,
            reason=_first(
                accepted.reason, "" if sent is None else self._history.errors.get(sent.position, "")
            ),
            position=place(one.raw if sent is None else sent.raw),
        )

    def _unanswered(self, one: Received[AnyDecision]) -> Iterator[TroubleView]:
        """Tell of what ended without an answer: on the receiver's account where there was one."""
        record = one.record
        if isinstance(record, Closed) and record.why in _NO_TROUBLE:
            return
        dispatched = self._dispatched.get(getattr(record, "dispatch", None) or "")
        crossing = record.crossing if dispatched is None else dispatched.crossing
        handoff = self._handoff(crossing)
        what = record.why if isinstance(record, Closed) else str(record.__struct_config__.tag)
        # The work went over the seam and nothing came back: the sides stand as the answer would have crossed it.
        receiver = None if dispatched is None else agent_name(dispatched.receiver)
        sender = None if handoff is None else agent_name(handoff.source)
        source, target = (sender, _target(handoff, handoff)) if receiver is None else (receiver, sender)
        yield TroubleView(
            what=what,
            at=one.raw.appended_at,
            crossing=crossing,
            record=crossing,
            record_kind="handoff" if receiver is None else "work",
            source=source,
            target=target,
            contract=None if handoff is None else contract_name(handoff.contract),
            step=None if handoff is None else handoff.step,
            rule=record.rule,
            reason=record.reason + self._while_held(crossing, dispatched, what),
            position=place(one.raw),
        )

    def _while_held(self, crossing: str | None, dispatched: Dispatched | None, what: str) -> str:
        """Say for whom waited what ran out of time: the handoff, or the plan or answer of whoever had it."""
        if what != "expired":
            return ""
        held = self._held.get(crossing or "")
        if held is None and dispatched is not None:
            below = (one for one in self._held.values() if self._dispatch_of(one) == dispatched.dispatch)
            held = next(below, None)
        if held is None:
            return ""
        asked = "; ".join(f"{one.count} of {one.named}" for one in held.approvers)
        return f"; it waited for people, {asked}, because of {held.rule}: {held.reason}"

    def _dispatch_of(self, held: Held) -> str | None:
        sent = None if held.subject is None else self._history.sent.get(held.subject.position)
        return getattr(getattr(sent, "record", None), "dispatch", None)

    @cached_property
    def _held(self) -> dict[str, Held]:
        """The handoffs, plans and answers that nobody let go on, by their ids."""
        found: dict[str, Held] = {}
        for one in self._history.decisions:
            match one.record:
                case Held(crossing=str(crossing)) as held:
                    found[crossing] = held
                case (
                    Dispatched(crossing=str(crossing))
                    | JudgeAgain(crossing=str(crossing))
                    | Noted(crossing=str(crossing))
                    | Accepted(crossing=str(crossing))
                ):
                    found.pop(crossing, None)
                case Refused(crossing=str(crossing), rule=rule) if rule != _NOBODY_ANSWERED:
                    found.pop(crossing, None)
                case _:
                    pass
        return found

    def _handoff(self, crossing: str | None) -> Handoff | None:
        sent = self._history.handoffs.get(crossing or "")
        return sent[0].record if sent else None

    def _handoff_of(self, record: object, refused: Refused) -> Handoff | None:
        """Return the handoff that a refused record is about, as far as it is known."""
        if isinstance(record, Handoff):
            return record
        if isinstance(record, Result):
            return self._handoff(record.parent)
        dispatch = getattr(record, "dispatch", None) or refused.dispatch
        dispatched = self._dispatched.get(dispatch or "")
        return self._handoff(refused.crossing if dispatched is None else dispatched.crossing)

    def _verdict(self, refused: Refused) -> Verdict | None:
        if refused.subject is None:
            return None
        said = self._history.verdicts.get(refused.subject, ())
        return next((one.record for one in said if one.record.gate == refused.gate), None)


def _target(record: object, handoff: Handoff | None) -> str | None:
    """Name the far side of the seam: whoever would have got the record."""
    if isinstance(record, Handoff):
        return target_name(record.target)
    if isinstance(record, Result):
        return None if handoff is None else agent_name(handoff.source)
    return None


def _contract(record: object, handoff: Handoff | None) -> str | None:
    if isinstance(record, Handoff | Result):
        return contract_name(record.contract)
    return None if handoff is None else contract_name(handoff.contract)


def _why_unreadable(sent: object) -> str:
    return f"{sent.rule}: {sent.reason}" if isinstance(sent, Malformed) else ""


def _first(*texts: str) -> str:
    return next((text for text in texts if text), "")
