"""Measure seams: what crossed from whom to whom under which contract, how it ended, and how long it took; pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from seamwork.records.crossing import Handoff, Plan, Result
from seamwork.records.decision import (
    Accepted,
    AnyDecision,
    Closed,
    Dispatched,
    Escalated,
    Held,
    JudgeAgain,
    Overrun,
    Refused,
    TaskEnded,
)
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Position
from seamwork.records.wire import Malformed, Received
from seamwork.seams.measured import Followed, SeamMeasure
from seamwork_audit_sink.counts import is_name
from seamwork_audit_sink.history import REPEAT
from seamwork_audit_sink.order import Once

Reading = Callable[[Sequence[str]], Iterable[Received[AnyEnvelope] | Malformed]]
"""Reads the records of some types in the order of taking in, each time anew; all at once they fill the memory."""

_DECIDED = (
    "dispatched",
    "refused",
    "held",
    "judge-again",
    "accepted",
    "overrun",
    "escalated",
    "closed",
    "task-ended",
)
_MOST_TASKS = 100
_FAILURES = frozenset({"violation", "timeout", "error"})


@dataclass
class _Seam:
    counts: Counter[str] = field(default_factory=Counter)
    receivers: set[str] = field(default_factory=set)
    rules: Counter[str] = field(default_factory=Counter)
    escalated_to: set[str] = field(default_factory=set)
    followed: Counter[tuple[str, str]] = field(default_factory=Counter)
    latencies: list[int] = field(default_factory=list)
    at: dict[str, int] = field(default_factory=dict)
    first_at: int = 0
    last_at: int = 0
    root: bool = False
    tasks: Counter[str] = field(default_factory=Counter)  # how often each came this way
    open: Counter[str] = field(default_factory=Counter)  # how many records of each were not refused

    def last(self, what: str, at: int) -> None:
        self.at[what] = max(at, self.at.get(what, 0))


_Key = tuple[str, str | None, str | None, str, str]


def measures(records: Reading) -> tuple[SeamMeasure, ...]:
    """Return what was measured of each seam that is in *records*."""
    return _Measuring().over(records)


class _Measuring:
    """One pass over the records."""

    def __init__(self) -> None:
        self._seams: dict[_Key, _Seam] = {}
        self._at: dict[tuple[str, Position], tuple[_Seam, str | None]] = {}
        self._of: dict[str, _Seam] = {}
        self._parents: dict[str, str | None] = {}
        self._counted: set[tuple[str, _Key]] = set()
        self._dispatched: dict[str, tuple[int, str]] = {}
        self._cases: dict[str, str] = {}
        self._held: dict[Position, list[int]] = defaultdict(list)
        self._receiver: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._ended: set[str] = set()

    def over(self, records: Reading) -> tuple[SeamMeasure, ...]:
        # Decisions may be taken in before the handoff that they are about: one topic is not ahead of the other.
        left_open: set[tuple[str, Position]] = set()
        for handoff, position, at in _handoffs(records):
            if handoff.contract_versions is None:
                self._handed(handoff, handoff.contract.version, position, at)
            else:
                left_open.add((handoff.id, position))
        versions = _settled_on(records, left_open) if left_open else {}
        for handoff, position, at in _handoffs(records) if left_open else ():
            if (handoff.id, position) in left_open:
                version = versions.get((handoff.id, position), handoff.contract.version)
                self._handed(handoff, version, position, at)
        once = Once()
        for one in records(_DECIDED):
            if not isinstance(one, Received) or not once.is_new(one.digest):
                continue
            if isinstance(one.record, TaskEnded) and one.record.task is not None:
                self._ended.add(one.record.task)
            elif isinstance(one.record, AnyDecision):
                self._decided(one.record, one.raw.appended_at)
        # An answer, or a plan, that waits for people: its decision does not say of which work it is.
        for one in records(("result", "plan")) if self._held else ():
            if isinstance(one, Received) and isinstance(one.record, Result | Plan):
                self._asked_about(one.record, one.position)
        return tuple(
            self._measure(key, seam) for key, seam in sorted(self._seams.items(), key=lambda s: str(s[0]))
        )

    def _handed(self, handoff: Handoff, version: str, position: Position, at: int) -> None:
        if not is_name(handoff.source.agent) or not is_name(handoff.contract.name):
            return  # it is refused: there is no such seam, and each would be one of its own
        drill = handoff.drill
        key = (
            handoff.source.agent if drill is None else drill.in_place_of.agent,
            handoff.target.agent,
            handoff.target.capability,
            handoff.contract.name,
            version,
        )
        seam = self._seams.setdefault(key, _Seam(first_at=at, last_at=at))
        self._at[handoff.id, position] = seam, handoff.parent
        self._of.setdefault(handoff.id, seam)
        self._parents.setdefault(handoff.id, handoff.parent)
        if drill is None:
            seam.open[handoff.task] += 1
        if (handoff.id, key) in self._counted:
            return  # a repeat counts once
        self._counted.add((handoff.id, key))
        if drill is not None:
            seam.counts["drills"] += 1  # and as nothing else: nobody's work crossed there
            return
        seam.counts["handoffs"] += 1
        seam.root = seam.root or handoff.stamp is None
        seam.first_at, seam.last_at = min(seam.first_at, at), max(seam.last_at, at)

    def _decided_in_drill(self, record: AnyDecision, at: int) -> None:
        seam = self._of.get((record.answers if isinstance(record, Accepted) else record.crossing) or "")
        if seam is None:
            return
        match record:
            case Escalated(case=str()):
                seam.last("drilled_at", at)
            case Accepted(rule="case-resolved") | Closed(rule="case-resolved"):
                seam.last("drill_answered_at", at)
            case Closed(rule="case-expired"):
                seam.last("drill_unanswered_at", at)
            case _:
                pass

    def _decided(self, record: AnyDecision, at: int) -> None:
        if record.drill:
            self._decided_in_drill(record, at)
            return
        crossing, seam = self._seam_of(record)
        if isinstance(record, Held) and seam is None and record.subject is not None:
            self._held[record.subject.position].append(at)
        if seam is None or crossing is None:
            return
        match record:
            case Dispatched():
                seam.counts["dispatched"] += 1
                seam.tasks[record.task or ""] += record.dispatch_number == 1
                seam.receivers.add(f"{record.receiver.agent}@{record.receiver.version}")
                self._dispatched[record.dispatch] = (at, crossing)
                self._receiver[crossing] = record.receiver.agent
                seam.counts["reentries"] += self._stands_above(crossing, record.receiver.agent)
            case Refused(rule=rule) if rule == REPEAT:
                self._refused(record)  # its sender got the recorded outcome again
            case Refused(kind="handoff" | "result" as kind):
                seam.counts["refused" if kind == "handoff" else "answers_refused"] += 1
                self._refused(record)
                seam.rules[record.rule] += 1
                seam.last("refused_at", at)
            case Held():
                seam.counts["held"] += 1
                seam.last("asked_at", at)
            case Accepted():
                seam.counts[record.outcome] += 1
                begun = self._dispatched.get(record.dispatch)
                if begun is not None:
                    seam.latencies.append(at - begun[0])
                if record.outcome == "success" and record.enforcement == "enforce":
                    seam.last("proven_at", at)
                if record.spent is not None and record.spent.micro_usd is not None:
                    seam.last("spent_at", at)
            case _:
                self._went_wrong(record, seam, crossing, at)

    def _seam_of(self, record: AnyDecision) -> tuple[str | None, _Seam | None]:
        """Return the handoff that a decision is about, by its id, and its seam."""
        crossing = record.answers if isinstance(record, Accepted) else record.crossing
        if crossing is not None and record.subject is not None:
            sent = self._at.get((crossing, record.subject.position))
            if sent is not None:
                if isinstance(record, Dispatched | Held):
                    # Ids can be guessed, and whoever is quicker than the sender is refused: what goes on counts.
                    self._of[crossing], self._parents[crossing] = sent
                return crossing, sent[0]
        if crossing not in self._of:  # an answer, or a report: told by the work that it is of
            dispatch = getattr(record, "dispatch", None) or ""
            crossing = self._cases.get(dispatch) or self._dispatched.get(dispatch, (0, crossing))[1]
        return crossing, self._of.get(crossing or "")

    def _refused(self, refused: Refused) -> None:
        """Take down that a handoff is over, if one was refused, and with it what its task had open there."""
        place = None if refused.subject is None else refused.subject.position
        sent = None if place is None else self._at.get((refused.crossing or "", place))
        if sent is not None:
            sent[0].open[refused.task or ""] -= 1

    def _asked_about(self, said: Result | Plan, position: Position) -> None:
        """Count that people were asked about an answer or a plan, at the seam of its work."""
        seam = self._of.get(said.parent)
        if seam is None:
            return
        for at in self._held.get(position, ()):
            seam.counts["held"] += 1
            seam.last("asked_at", at)

    def _went_wrong(self, record: AnyDecision, seam: _Seam, crossing: str, at: int) -> None:
        match record:
            case Overrun():
                seam.counts["overrun"] += 1
            case Escalated():
                if record.level == 0:
                    seam.counts["escalated"] += 1
                if record.case is not None:
                    self._cases[record.case] = crossing
                seam.escalated_to.add(record.to)
                seam.last("asked_at", at)
                self._followed(seam, record.why, "escalate", at)
            case JudgeAgain(why="retry" | "reroute" as what):
                self._followed(seam, self._failed.get(crossing, ""), what, at)
            case Closed():
                if record.why in {"timeout", "expired"} and record.dispatch in self._dispatched:
                    seam.counts["late"] += 1
                if record.why in _FAILURES:
                    self._failed[crossing] = record.why
                if record.final:
                    self._followed(seam, record.why, "fail", at)
            case _:
                pass

    def _followed(self, seam: _Seam, why: str, what: str, at: int) -> None:
        if why in _FAILURES:
            seam.followed[why, what] += 1
            seam.last("handled_at", at)

    def _stands_above(self, crossing: str, receiver: str) -> bool:
        seen = {crossing}
        above = self._parents[crossing]
        while above is not None and above not in seen:
            seen.add(above)
            if self._receiver.get(above) == receiver:
                return True
            above = self._parents.get(above)
        return False

    def _measure(self, key: _Key, seam: _Seam) -> SeamMeasure:
        source, to, capability, contract, version = key
        latencies = sorted(seam.latencies)
        return SeamMeasure(
            source=source,
            to=to,
            capability=capability,
            contract=contract,
            version=version,
            root=seam.root,
            receivers=tuple(sorted(seam.receivers)),
            rules=tuple(sorted(seam.rules.items())),
            escalated_to=tuple(sorted(seam.escalated_to)),
            followed=tuple(
                Followed(why=why, what=what, times=times)
                for (why, what), times in sorted(seam.followed.items())
            ),
            p50_ms=_percentile(latencies, 50),
            p95_ms=_percentile(latencies, 95),
            p99_ms=_percentile(latencies, 99),
            first_at=seam.first_at,
            last_at=max([seam.last_at, *seam.at.values()]),
            most_per_task=max(seam.tasks.values(), default=0),
            running=tuple(sorted({task for task in seam.open if seam.open[task] > 0} - self._ended))[
                :_MOST_TASKS
            ],
            **seam.counts,
            **seam.at,
        )


def _handoffs(records: Reading) -> Iterator[tuple[Handoff, Position, int]]:
    for one in records(("handoff",)):
        if isinstance(one, Received) and isinstance(one.record, Handoff):
            yield one.record, one.position, one.raw.appended_at


def _settled_on(
    records: Reading, left_open: Container[tuple[str, Position]]
) -> dict[tuple[str, Position], str]:
    """Return the version that each handoff went under whose sender left a choice, as decisions say."""
    found: dict[tuple[str, Position], str] = {}
    for one in records(("dispatched", "refused", "held")):
        record = one.record if isinstance(one, Received) else None
        if not isinstance(record, Dispatched | Refused | Held) or record.contract is None:
            continue
        handoff = None if record.subject is None else (record.crossing or "", record.subject.position)
        if handoff is not None and handoff in left_open:
            found[handoff] = record.contract.version
    return found


def _percentile(ordered: list[int], percent: int) -> int | None:
    """Return the smallest value that *percent* of all do not exceed (nearest rank)."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
