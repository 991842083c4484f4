"""Sort the records of one task by what they speak of; pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from seamwork.records.crossing import Handoff, Plan, Progress, Result, Usage
from seamwork.records.decision import (
    Accepted,
    AnyDecision,
    Dispatched,
    Held,
    JudgeAgain,
    Noted,
    Refused,
    TaskEnded,
)
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Position, Subject
from seamwork.records.people import Command
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Malformed, Received
from seamwork_audit_sink.order import Once, in_order

HANDOFFS = "handoffs.v1"
REPEAT = "repeat"
"""The router's rule where the same content came before: its outcome is sent again."""

_WENT_ON = (Dispatched, Held, Accepted, Noted)

Kept = Received[AnyEnvelope] | Malformed
"""A record as it reads."""


@dataclass
class History:
    """
    The records of one task, in the order of the log.

    *sent* are those of ``handoffs`` by position. *handoffs*, *results* and *plans* are by id, first the one that it
    is known by: which of them went on, else which came first and was not refused as nobody's. Ids can be guessed,
    and whoever is quicker than the sender is refused.
    """

    task: str
    errors: Mapping[Position, str] = field(default_factory=dict)
    sent: dict[Position, Kept] = field(default_factory=dict)
    handoffs: dict[str, list[Received[Handoff]]] = field(default_factory=lambda: defaultdict(list))
    results: dict[str, list[Received[Result]]] = field(default_factory=lambda: defaultdict(list))
    plans: dict[str, list[Received[Plan]]] = field(default_factory=lambda: defaultdict(list))
    verdicts: dict[Subject, list[Received[Verdict]]] = field(default_factory=lambda: defaultdict(list))
    decisions: list[Received[AnyDecision]] = field(default_factory=list)
    commands: list[Received[Command]] = field(default_factory=list)

    def put_first_what_went_on(self) -> None:
        """Sort the records of each id; all are there."""
        kinds: tuple[dict[str, list[Any]], ...] = (self.handoffs, self.results, self.plans)
        for sent in (sent for kind in kinds for sent in kind.values() if len(sent) > 1):
            sent.sort(key=self._standing)

    def _standing(self, sent: Kept) -> int:
        """Rank what lies under one id: what went on comes first, what nobody is proven to have sent last."""
        return 0 if sent.position in self._went_on else 2 if sent.position in self._unproven else 1

    @cached_property
    def _went_on(self) -> set[Position]:
        return {
            one.record.subject.position
            for one in self.decisions
            if isinstance(one.record, _WENT_ON) and one.record.subject is not None
        }

    @cached_property
    def _unproven(self) -> set[Position]:
        return {
            one.record.subject.position
            for one in self._refused
            if one.record.subject is not None and one.record.told is None
        }

    @cached_property
    def begun(self) -> Received[Handoff] | None:
        """The handoff that began the task, or was to; of several that say so, whichever it is known by."""
        roots = (sent[0] for sent in self.handoffs.values() if sent[0].record.stamp is None)
        return min(roots, key=self._standing, default=None)

    @cached_property
    def subjects(self) -> dict[Position, list[Subject]]:
        """The attempts at the record at each position, the first first."""
        decided = (one.record.subject for one in self.decisions if one.record.subject is not None)
        found: dict[Position, list[Subject]] = defaultdict(list)
        for subject in sorted({*self.verdicts, *decided}, key=lambda one: (one.attempt, one.digest)):
            found[subject.position].append(subject)
        return found

    @cached_property
    def asked(self) -> dict[Subject, Received[JudgeAgain]]:
        """The decision that asked for an attempt; the first attempt needs none."""
        return {
            one.record.subject: cast("Received[JudgeAgain]", one)
            for one in reversed(self.decisions)
            if isinstance(one.record, JudgeAgain) and one.record.subject is not None
        }

    @cached_property
    def about(self) -> dict[str, list[Received[AnyDecision]]]:
        """The decisions on each record by its id."""
        found: dict[str, list[Received[AnyDecision]]] = defaultdict(list)
        for one in self.decisions:
            if one.record.crossing is not None:
                found[one.record.crossing].append(one)
        return found

    @cached_property
    def refusals(self) -> list[Received[Refused]]:
        """What was refused; a repeat, whose sender got the recorded outcome again, is none."""
        return [one for one in self._refused if one.record.rule != REPEAT]

    @cached_property
    def refusal(self) -> Received[Refused] | None:
        """
        The decision that refused the task as a whole.

        There is none as long as one record of its root was not refused: whoever sends that again, in doubt or with
        another content, is refused the second time, and the task goes on.
        """
        places = {one.record.subject.position for one in self._refused if one.record.subject is not None}
        alone = {one.record.crossing for one in self._refused if one.record.subject is None}
        roots = [sent for sent in self.handoffs.values() if sent[0].record.stamp is None]
        ids = {sent[0].record.id for sent in roots}
        if not self.handoffs:  # none could be read: a refusal of what there is refuses the whole
            return next(iter(self._refused), None)
        if any(one.position not in places for sent in roots for one in sent if one.record.id not in alone):
            return None
        return next((one for one in self._refused if one.record.crossing in ids), None)

    @cached_property
    def _refused(self) -> list[Received[Refused]]:
        return [cast("Received[Refused]", one) for one in self.decisions if isinstance(one.record, Refused)]

    @cached_property
    def end(self) -> Received[TaskEnded] | None:
        """The task's end."""
        found = (one for one in self.decisions if isinstance(one.record, TaskEnded))
        return cast("Received[TaskEnded] | None", next(found, None))


def history_of(task: str, records: Iterable[Kept], errors: Mapping[Position, str] | None = None) -> History:
    """Sort *records*, which may come in any order, into the history of *task*."""
    history = History(task, errors or {})
    once = Once()
    for kept in _in_log_order(records):
        if kept.raw.topic == HANDOFFS:
            history.sent[kept.position] = kept
        if isinstance(kept, Malformed):
            continue
        match kept.record:
            case Handoff(id=crossing):
                history.handoffs[crossing].append(cast("Received[Handoff]", kept))
            case Result(id=crossing):
                history.results[crossing].append(cast("Received[Result]", kept))
            case Plan(id=crossing):
                history.plans[crossing].append(cast("Received[Plan]", kept))
            case Verdict(subject=subject):
                history.verdicts[subject].append(cast("Received[Verdict]", kept))
            case Command():
                history.commands.append(cast("Received[Command]", kept))
            case Progress() | Usage():
                pass  # they are in `sent`, and speak through the decisions that note them
            case record if isinstance(record, AnyDecision) and once.is_new(kept.digest):
                history.decisions.append(cast("Received[AnyDecision]", kept))
            case _:
                pass  # inbox copies, questions and answers to people: the decisions tell what came of them, once
    history.put_first_what_went_on()
    return history


@dataclass(frozen=True)
class _Placed:
    kept: Kept

    @property
    def topic(self) -> str:
        return self.kept.raw.topic

    @property
    def appended_at(self) -> int:
        return self.kept.raw.appended_at


def _in_log_order(records: Iterable[Kept]) -> Iterable[Kept]:
    runs: dict[tuple[str, int], list[_Placed]] = defaultdict(list)
    for kept in records:
        runs[kept.raw.topic, kept.raw.partition].append(_Placed(kept))
    sorted_runs: list[Sequence[_Placed]] = [
        sorted(run, key=lambda placed: placed.kept.raw.offset) for run in runs.values()
    ]
    return (placed.kept for placed in in_order(sorted_runs))
