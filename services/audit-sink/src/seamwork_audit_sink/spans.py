"""
Tell from the record what OpenTelemetry calls spans: one for each crossing, and one for each stage it went through.

Rule 1: nothing but the log's records goes in. Ids are derived from the ids of crossings and dispatches, instants
        are append times: the same records give the same spans, whoever tells them and however often. Topics are
        read one beside the other, so what is said of a crossing may come before it, and after its end.
Rule 2: all crossings of a task are in the trace that its root began, whatever the agents on the way wrote.
Rule 3: what is open is bounded; of what was forgotten there is no span, and everything else goes on.

Names follow the conventions for messaging (``process`` and ``send``, with the topic) and for generative AI
(``invoke_agent``). For what neither has there is ``seamwork.*``. No payload, no intent and no note is told.
"""

import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar

import msgspec

from seamwork.ids import span_id, trace_id
from seamwork.records.authority import Spent
from seamwork.records.crossing import Handoff, Plan, Progress, Result, Usage
from seamwork.records.decision import (
    Accepted,
    AnyDecision,
    Closed,
    Dispatched,
    Held,
    JudgeAgain,
    Refused,
    TaskEnded,
)
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.inbox import Answer, Work
from seamwork.records.parties import Position
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Received
from seamwork_audit_sink.rows import lean

Kind = Literal["internal", "client", "producer", "consumer"]
Value = str | int | float
V = TypeVar("V")

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")
_ROUTER = "router"
_MOST_OPEN = 50_000
_MOST_EARLY = 64  # records of one crossing that were read before it
_MOST_EVENTS = 64
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in the middle of a span."""

    name: str
    at: int
    attributes: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """
    One span, finished.

    Attributes:
        service: Who did it, with its version: a gate, the router, an agent.
        begun, ended: Append times (ms).
        error: The rule by which it failed, null where it did not.
        said: The reason that goes with it.
    """

    service: tuple[str, str]
    name: str
    kind: Kind
    trace: str
    id: str
    parent: str | None
    begun: int
    ended: int
    attributes: dict[str, Value]
    events: tuple[Event, ...] = ()
    error: str | None = None
    said: str = ""


@dataclass(slots=True)
class _Crossing:
    """
    A crossing that is under way: what its span will say, and since when its next stage runs.

    *source* sent it; *meant* is whom a handoff names, null for a result.
    """

    id: str
    task: str
    trace: str
    source: tuple[str, str]
    meant: tuple[str, str] | None
    place: Position
    parent: str | None
    begun: int
    attributes: dict[str, Value]
    judged_at: int
    asked: dict[int, int] = field(default_factory=dict)
    held_at: int | None = None
    receiver: tuple[str, str] | None = None
    told: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Dispatch:
    """One run of an agent, from its ``work`` record to its last word."""

    id: str
    crossing: str
    task: str
    trace: str
    receiver: tuple[str, str]
    begun: int
    attributes: dict[str, Value]
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=_MOST_EVENTS))
    answered_at: int | None = None


W = TypeVar("W", _Crossing, _Dispatch)


class _Open(Generic[W]):
    """What is under way, by its id and by its task; where there is too much, the oldest is forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_id: OrderedDict[str, W] = OrderedDict()
        self._by_task: dict[str, dict[str, W]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, name: str) -> bool:
        return name in self._by_id

    def get(self, name: str) -> W | None:
        return self._by_id.get(name)

    def put(self, one: W) -> None:
        self._by_id[one.id] = one
        self._by_task.setdefault(one.task, {})[one.id] = one
        while len(self._by_id) > self._most:
            self.pop(next(iter(self._by_id)))

    def pop(self, name: str) -> W | None:
        one = self._by_id.pop(name, None)
        if one is not None:
            beside = self._by_task[one.task]
            del beside[name]
            if not beside:
                del self._by_task[one.task]
        return one

    def of_task(self, task: str | None) -> list[W]:
        return list(self._by_task.get(task or "", {}).values())


class _Stamp(msgspec.Struct):
    """What of a carried stamp is of interest here."""

    dispatch: str


_stamp = msgspec.json.Decoder(_Stamp)


class Spans:
    """
    Everything that is under way; `take` is given the records in the order in which they are kept.

    Args:
        prefix: The platform's, which begins the topics' names on the wire.
        most: How many crossings may be open before the oldest is forgotten.
    """

    def __init__(self, prefix: str, most: int = _MOST_OPEN) -> None:
        self._prefix = prefix
        self._most = most
        self._traces: OrderedDict[str, tuple[str, bool]] = OrderedDict()
        self._crossings: _Open[_Crossing] = _Open(most)
        self._dispatches: _Open[_Dispatch] = _Open(most)
        self._past: OrderedDict[str, _Crossing] = OrderedDict()
        self._ended: OrderedDict[str, int] = OrderedDict()
        self._notes: OrderedDict[str, None] = OrderedDict()
        self._early: OrderedDict[str, list[Received[AnyEnvelope]]] = OrderedDict()
        self._drills: OrderedDict[str, None] = OrderedDict()

    @property
    def open(self) -> int:
        """How many crossings are under way."""
        return len(self._crossings)

    def take(self, found: Received[AnyEnvelope]) -> list[Span]:
        """Take one record in and return the spans that it ends; those of a drill all say so."""
        told = self._take(found)
        if not self._drills:
            return told
        return [
            replace(span, attributes={**span.attributes, "seamwork.drill": True})
            if span.trace in self._drills
            else span
            for span in told
        ]

    def _take(self, found: Received[AnyEnvelope]) -> list[Span]:
        record = found.record
        match record:
            case Handoff() | Result():
                return self._begin(found, record)
            case Progress() | Usage() | Plan():
                self._note(record, found.raw.appended_at)
                return []
            case Verdict() if record.crossing is not None:
                return self._about(record.crossing, found)
            case Work():
                return self._about(record.crossing, found)
            case Answer():
                return self._answer(found, record)
            case TaskEnded():
                return self._task_ended(record, found.raw.appended_at)
            case _ if isinstance(record, AnyDecision) and record.crossing is not None:
                return self._about(record.crossing, found)
            case _:
                return []

    # ── Crossings ────────────────────────────────────────────────────────────────────────

    def _begin(self, found: Received[AnyEnvelope], record: Handoff | Result) -> list[Span]:
        if record.id in self._crossings or record.id in self._ended:
            return []  # said again
        trace, sampled = self._trace_of(found, record)
        if not sampled:
            self._end(record.id, found.raw.appended_at)
            return []
        if isinstance(record, Handoff) and record.drill is not None:
            _put(self._drills, trace, None, self._most)
        at = found.raw.appended_at
        crossing = _Crossing(
            id=record.id,
            task=record.task,
            trace=trace,
            source=(record.source.agent, record.source.version),
            meant=_meant(record),
            place=found.position,
            parent=_working_on(record),
            begun=at,
            attributes=self._crossing_attributes(found, record),
            judged_at=at,
            asked={1: at},
        )
        self._crossings.put(crossing)
        if isinstance(record, Result) and (dispatch := self._dispatches.get(record.dispatch)) is not None:
            dispatch.answered_at = at
            dispatch.attributes |= _spent(record.spent)
            if record.model is not None:
                dispatch.attributes["gen_ai.request.model"] = record.model
        told: list[Span] = []
        for early in self._early.pop(record.id, ()):
            told += self.take(early)
        return told

    def _trace_of(self, found: Received[AnyEnvelope], record: Handoff | Result) -> tuple[str, bool]:
        known = self._traces.get(record.task)
        if known is None:
            match = _TRACEPARENT.fullmatch(found.traceparent or "")
            known = (trace_id(record.id), True) if match is None else (match[1], bool(int(match[2], 16) & 1))
            _put(self._traces, record.task, known, self._most)
        return known

    def _end_crossing(
        self, crossing: _Crossing, at: int, *, error: str | None = None, said: str = ""
    ) -> Span:
        self._crossings.pop(crossing.id)
        _put(self._past, crossing.id, crossing, self._most)
        self._end(crossing.id, at)
        # What is said late needs none of it, and there are many of which something may be said late.
        attributes, crossing.attributes = crossing.attributes, {}
        if crossing.meant is not None:
            receiver = crossing.receiver or crossing.meant
            name, kind = f"invoke_agent {receiver[0]}", "client"
            attributes |= {"gen_ai.agent.name": receiver[0], "seamwork.handoff.target": receiver[0]}
            if crossing.receiver is not None:
                attributes["gen_ai.agent.version"] = receiver[1]
        else:
            name, kind = f"send {self._wire('handoffs.v1')}", "producer"
        return Span(
            service=crossing.source,
            name=name,
            kind=kind,  # type: ignore[arg-type]  # one of the two words above
            trace=crossing.trace,
            id=span_id(crossing.id),
            parent=crossing.parent,
            begun=min(crossing.begun, at),
            ended=at,
            attributes=attributes,
            error=error,
            said=said,
        )

    def _end(self, name: str, at: int) -> None:
        """Remember that something is over, and the instant from which what still comes of it counts."""
        _put(self._ended, name, at, self._most)
        self._early.pop(name, None)

    # ── What is said of a crossing ───────────────────────────────────────────────────────

    def _about(self, name: str, found: Received[AnyEnvelope]) -> list[Span]:
        crossing = self._crossings.get(name) or self._past.get(name)
        if crossing is None:
            # What is said of progress, usage or a plan is no stage of a crossing.
            if name not in self._ended and name not in self._notes:
                self._wait(name, found)
            return []
        record, at = found.record, found.raw.appended_at
        match record:
            case Verdict():
                return self._judged(crossing, record, found)
            case Work():
                return self._sent(crossing, record, found)
            case _ if isinstance(record, AnyDecision):
                told = self._decided(crossing, record, found)
                return told + (self._settle(crossing, record, at) if name in self._crossings else [])
            case _:
                return []

    def _wait(self, behind: str, found: Received[AnyEnvelope]) -> None:
        """Keep what was read too early: topics are read one after the other, and this one came first."""
        early = self._early.setdefault(behind, [])
        if len(early) < _MOST_EARLY:
            early.append(lean(found))  # work has a body, and thousands may wait after a restart
        while len(self._early) > self._most:
            self._early.popitem(last=False)

    def _judged(self, crossing: _Crossing, verdict: Verdict, found: Received[AnyEnvelope]) -> list[Span]:
        at = found.raw.appended_at
        name = span_id(crossing.id, "verdict", verdict.gate, verdict.gate_version, verdict.subject.attempt)
        if name in crossing.told:
            return []  # the first counts
        crossing.told.add(name)
        denied = verdict.outcome == "DENY" and verdict.spared is None
        crossing.judged_at = max(crossing.judged_at, at)
        begun = crossing.asked.get(verdict.subject.attempt, crossing.begun)
        if crossing.held_at is not None and crossing.held_at <= at:
            begun = max(begun, crossing.held_at)  # it is a person's answer
        attributes = {
            **self._messaging("process", "handoffs.v1", verdict.subject.partition, verdict.subject.offset),
            "messaging.consumer.group.name": self._wire(verdict.gate),
            "seamwork.policy.decision": verdict.outcome,
            "seamwork.rule": verdict.rule,
            "seamwork.attempt": verdict.subject.attempt,
        }
        if verdict.spared is not None:
            attributes["seamwork.spared"] = verdict.spared.mode
        return [
            Span(
                service=(verdict.gate, verdict.gate_version),
                name=f"process {self._wire('handoffs.v1')}",
                kind="consumer",
                trace=crossing.trace,
                id=name,
                parent=span_id(crossing.id),
                begun=min(begun, at),
                ended=at,
                attributes=attributes,
                error=verdict.rule if denied else None,
                said=verdict.reason if denied else "",
            )
        ]

    def _decided(
        self, crossing: _Crossing, decision: AnyDecision, found: Received[AnyEnvelope]
    ) -> list[Span]:
        at = found.raw.appended_at
        tag = str(decision.__struct_config__.tag)
        attempt = 0 if decision.subject is None else decision.subject.attempt
        name = span_id(crossing.id, "decision", tag, attempt, decision.decided_at)
        if name in crossing.told:
            return []
        crossing.told.add(name)
        refused = isinstance(decision, Refused) or (
            isinstance(decision, Closed) and decision.why not in _FINE
        )
        span = Span(
            service=(_ROUTER, ""),
            name=f"send {self._wire('decisions.v1')}",
            kind="producer",
            trace=crossing.trace,
            id=name,
            parent=span_id(crossing.id),
            begun=min(max(crossing.judged_at, crossing.asked.get(attempt, crossing.begun)), at),
            ended=at,
            attributes={
                **self._messaging("send", "decisions.v1", found.raw.partition, found.raw.offset),
                "seamwork.decision": tag,
                "seamwork.rule": decision.rule,
                "seamwork.attempt": attempt,
            },
            error=decision.rule if refused else None,
            said=decision.reason if refused else "",
        )
        return [span]

    def _settle(self, crossing: _Crossing, decision: AnyDecision, at: int) -> list[Span]:
        match decision:
            case Held():
                crossing.held_at = at
                return []
            case JudgeAgain() if decision.subject is not None:
                crossing.asked[decision.subject.attempt] = at
                crossing.held_at = None
                return []
            case Dispatched():
                crossing.receiver = (decision.receiver.agent, decision.receiver.version)
                self._open_dispatch(crossing, decision, at)
                return [span for early in self._early.pop(decision.dispatch, ()) for span in self.take(early)]
            case Refused(subject=subject) if subject is not None and subject.position != crossing.place:
                return []  # another record under its id, which goes on as before
            case Refused():
                return [self._end_crossing(crossing, at, error=decision.rule, said=decision.reason)]
            case Accepted():
                told = [self._end_crossing(crossing, at)]
                error = decision.outcome if decision.outcome == "error" else None
                told += self._end_dispatch(decision.dispatch, at, error=error)
                answered = self._crossings.get(decision.answers)
                # What ended in an error may be tried again: the answer, or the task's end, says that it was not.
                if answered is not None and error is None:
                    told.append(self._end_crossing(answered, at))
                return told
            case Closed():
                fine = decision.why in _FINE
                why, said = (None, "") if fine else (decision.why, decision.reason)
                told = []
                if decision.dispatch is not None:
                    told += self._end_dispatch(decision.dispatch, at, error=why, said=said)
                if decision.final:
                    told.append(self._end_crossing(crossing, at, error=why, said=said))
                return told
            case _:
                return []

    # ── Dispatches ───────────────────────────────────────────────────────────────────────

    def _open_dispatch(self, crossing: _Crossing, decision: Dispatched, at: int) -> None:
        if decision.dispatch in self._dispatches or decision.dispatch in self._ended:
            return
        agent, version = decision.receiver.agent, decision.receiver.version
        dispatch = _Dispatch(
            id=decision.dispatch,
            crossing=crossing.id,
            task=crossing.task,
            trace=crossing.trace,
            receiver=(agent, version),
            begun=at,
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": agent,
                "gen_ai.agent.version": version,
                "gen_ai.agent.id": f"{agent}@{version}",
                "gen_ai.conversation.id": crossing.task,
                "messaging.system": "kafka",
                "messaging.destination.name": self._wire(f"inbox.{agent}.v1"),
                "seamwork.crossing": crossing.id,
                "seamwork.dispatch": decision.dispatch,
                "seamwork.dispatch.number": decision.dispatch_number,
                "seamwork.contract": f"{decision.contract.name}@{decision.contract.version}",
            },
        )
        self._dispatches.put(dispatch)

    def _sent(self, crossing: _Crossing, work: Work, found: Received[AnyEnvelope]) -> list[Span]:
        at, topic = found.raw.appended_at, found.raw.topic
        dispatch = self._dispatches.get(work.dispatch)
        begun = self._ended.get(work.dispatch) if dispatch is None else dispatch.begun
        if begun is None:
            self._wait(work.dispatch, found)
            return []
        name = span_id(crossing.id, "work", work.dispatch)
        if name in crossing.told:
            return []
        crossing.told.add(name)
        if dispatch is not None:
            dispatch.begun = at
        return [
            Span(
                service=(_ROUTER, ""),
                name=f"send {self._wire(topic)}",
                kind="producer",
                trace=crossing.trace,
                id=name,
                parent=span_id(crossing.id),
                begun=min(begun, at),
                ended=at,
                attributes=self._messaging("send", topic, found.raw.partition, found.raw.offset),
            )
        ]

    def _end_dispatch(self, name: str, at: int, *, error: str | None = None, said: str = "") -> list[Span]:
        dispatch = self._dispatches.pop(name)
        if dispatch is None:
            return []
        self._end(name, dispatch.begun)
        ended = at if dispatch.answered_at is None else dispatch.answered_at
        return [
            Span(
                service=dispatch.receiver,
                name=f"invoke_agent {dispatch.receiver[0]}",
                kind="internal",
                trace=dispatch.trace,
                id=span_id(dispatch.id),
                parent=span_id(dispatch.crossing),
                begun=min(dispatch.begun, ended),
                ended=ended,
                attributes=dispatch.attributes,
                events=tuple(dispatch.events),
                error=error,
                said=said,
            )
        ]

    def _note(self, record: Progress | Usage | Plan, at: int) -> None:
        dispatch = self._dispatches.get(record.dispatch)
        again = record.id in self._notes
        _put(self._notes, record.id, None, self._most)
        self._early.pop(record.id, None)
        if dispatch is None or again:
            return
        if isinstance(record, Usage):
            spent = _spent(record.spent)
            dispatch.attributes |= spent
            dispatch.events.append(Event(name="seamwork.usage", at=at, attributes=spent))
        elif isinstance(record, Progress):
            dispatch.events.append(Event(name="seamwork.progress", at=at))

    def _answer(self, found: Received[AnyEnvelope], answer: Answer) -> list[Span]:
        at, told = found.raw.appended_at, []
        waiting = self._crossings.get(answer.child)
        if waiting is not None and answer.outcome == "error":
            told.append(self._end_crossing(waiting, at, error="error"))
        trace = self._traces.get(answer.task)
        begun = self._ended.get(answer.result)
        name = span_id(answer.child, "answer", answer.result)
        if trace is None or not trace[1] or begun is None or name in self._ended:
            return told
        self._end(name, at)
        told.append(
            Span(
                service=(_ROUTER, ""),
                name=f"send {self._wire(found.raw.topic)}",
                kind="producer",
                trace=trace[0],
                id=name,
                parent=span_id(answer.child),
                begun=min(begun, at),
                ended=at,
                attributes=self._messaging("send", found.raw.topic, found.raw.partition, found.raw.offset),
            )
        )
        return told

    def _task_ended(self, ended: TaskEnded, at: int) -> list[Span]:
        error = None if ended.outcome == "complete" else ended.outcome
        told: list[Span] = []
        for dispatch in self._dispatches.of_task(ended.task):
            told += self._end_dispatch(dispatch.id, at, error=error, said=ended.reason)
        for crossing in self._crossings.of_task(ended.task):
            told.append(self._end_crossing(crossing, at, error=error, said=ended.reason))
        return told

    # ── Attributes ───────────────────────────────────────────────────────────────────────

    def _crossing_attributes(
        self, found: Received[AnyEnvelope], record: Handoff | Result
    ) -> dict[str, Value]:
        attributes = {
            **self._messaging("send", "handoffs.v1", found.raw.partition, found.raw.offset),
            "messaging.kafka.message.key": record.task,
            "gen_ai.conversation.id": record.task,
            "seamwork.crossing": record.id,
            "seamwork.handoff.source": f"{record.source.agent}@{record.source.version}",
            "seamwork.handoff.contract": f"{record.contract.name}@{record.contract.version}",
        }
        if isinstance(record, Handoff):
            attributes |= {
                "gen_ai.operation.name": "invoke_agent",
                "seamwork.handoff.mode": record.mode,
                "seamwork.handoff.step": record.step,
            }
        else:
            attributes |= {"seamwork.result.outcome": record.outcome, "seamwork.dispatch": record.dispatch}
        return attributes

    def _messaging(self, operation: str, topic: str, partition: int, offset: int) -> dict[str, Value]:
        return {
            "messaging.system": "kafka",
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "messaging.destination.name": self._wire(topic),
            "messaging.destination.partition.id": str(partition),
            "messaging.kafka.offset": offset,
        }

    def _wire(self, name: str) -> str:
        return f"{self._prefix}.{name}"


_FINE = frozenset({"accepted", "transferred"})


def _meant(record: Handoff | Result) -> tuple[str, str] | None:
    """Return whom a handoff names, an agent or a capability, and in which versions."""
    if isinstance(record, Result):
        return None
    target = record.target
    return target.agent or target.capability or "", target.versions or ""


def _working_on(record: Handoff | Result) -> str | None:
    """Return the span of the dispatch under whose stamp a crossing was written; a root has none above it."""
    if isinstance(record, Result):
        return span_id(record.dispatch)
    if record.stamp is None:
        return None
    try:
        return span_id(_stamp.decode(record.stamp.envelope).dispatch)
    except msgspec.MsgspecError:
        return None  # a gate refuses it; here it hangs under nothing


def _spent(spent: Spent | None) -> dict[str, Value]:
    if spent is None:
        return {}
    found: dict[str, Value | None] = {
        "gen_ai.usage.input_tokens": spent.input_tokens,
        "gen_ai.usage.output_tokens": spent.output_tokens,
        "seamwork.cost.usd": None if spent.micro_usd is None else spent.micro_usd / _MICRO,
    }
    return {name: value for name, value in found.items() if value is not None}


def _put(into: OrderedDict[str, V], name: str, value: V, most: int) -> None:
    into[name] = value
    while len(into) > most:
        into.popitem(last=False)
