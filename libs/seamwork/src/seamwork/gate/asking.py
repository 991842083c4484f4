"""
Find out what a gate's function is to be asked of a record, ask it, and say what it said as a verdict.

Rule 1: each handoff, result and plan is judged once, and again whenever the router asks, by what lies in the log.
Rule 2: a function that fails has refused: what nobody could judge does not pass.
Rule 3: nothing that an error says is passed on, for it may quote the payload; where it arose is.
"""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from seamwork.catalog import Context, settled, settled_on
from seamwork.contracts.payload import PayloadError
from seamwork.decider import Input, WithCrossing
from seamwork.gate.crossing import Crossing, shown
from seamwork.gate.opinion import Opinion, deny
from seamwork.records.authority import Constraint
from seamwork.records.crossing import Handoff, Plan, Result
from seamwork.records.decision import JudgeAgain
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import AgentRef, Subject
from seamwork.records.verdict import Approvers, Verdict
from seamwork.records.wire import Malformed, Received
from seamwork.runtime.spec import HANDOFFS

_CHANGED = deny(
    "crossing-changed", "the record at the subject's position is not the one that the router means"
)
_FAILED = "gate-error"


@dataclass(frozen=True)
class Question:
    """
    What a gate's function is asked about: an attempt of a crossing, and who could get it.

    *asked_at* is the append time (ms) of the record that asks.
    """

    subject: Subject
    record: Handoff | Result | Plan
    crossing: Crossing
    candidates: tuple[AgentRef, ...]
    received: Received[AnyEnvelope]
    asked_at: int


@dataclass(frozen=True)
class _Nothing:
    """What nobody can be asked about."""

    subject: Subject
    record: Handoff | Result | Plan | None = None
    candidates: tuple[AgentRef, ...] = ()


class Asking:
    """
    What the gate called *name* asks and says; *version* is its program's.

    Everything here is a function of the log, the catalog and what the gate's own function answers.
    """

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version

    def asked_for(self, given: Input, context: Context) -> Question | Verdict | None:
        """Return what the function is to be asked, or what is said without it; nothing of what is not judged."""
        match given:
            case WithCrossing(
                decision=Received(record=JudgeAgain(subject=Subject() as subject) as again) as decision,
                crossing=crossing,
            ) if self.name in again.gates:
                if isinstance(crossing, Malformed) or crossing.digest != subject.digest:
                    return self.verdict(_Nothing(subject), _CHANGED, context)
                return self._question(crossing, subject, context, decision.raw.appended_at, again.exclude)
            case Received(record=Handoff() | Result() | Plan()) if given.raw.topic == HANDOFFS:
                place = given.position
                subject = Subject(partition=place.partition, offset=place.offset, digest=given.digest)
                return self._question(given, subject, context, given.raw.appended_at)
            case _:
                return None  # what nobody can read the validator refuses; what accompanies work is not judged

    def _question(
        self,
        received: Received[AnyEnvelope],
        subject: Subject,
        context: Context,
        asked_at: int,
        exclude: Sequence[AgentRef] = (),
    ) -> Question | Verdict:
        record = received.record
        if not isinstance(record, Handoff | Result | Plan):
            return self.verdict(_Nothing(subject), _CHANGED, context)
        candidates: tuple[AgentRef, ...] = ()
        if isinstance(record, Handoff):
            record = settled(context.catalog, record, received.raw.appended_at)
            able = context.catalog.candidates(record, received.raw.appended_at)
            candidates = tuple(one for one in able if one not in exclude)
        names = tuple(dict.fromkeys(one.agent for one in candidates))
        try:
            crossing = shown(received, record, subject.attempt, names)
        except PayloadError as error:
            found = deny(error.finding.rule, error.finding.message)
            return self.verdict(_Nothing(subject, record), found, context)
        return Question(subject, record, crossing, candidates, received, asked_at)

    def judged(self, judge: Callable[[Crossing], object], crossing: Crossing) -> Opinion:
        """Return what *judge* says of a crossing; one that raises has refused."""
        try:
            found = judge(crossing)
        except Exception as error:  # noqa: BLE001  # whatever it is, it was no opinion
            return self.failed(crossing.id, error)
        return self.checked(crossing, found)

    def failed(self, crossing: str, error: Exception) -> Opinion:
        """Say where a function failed in the log, and that it did in an opinion."""
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
        structlog.get_logger("gate").error(
            "judge-failed", gate=self.name, crossing=crossing, error=type(error).__name__, where=where
        )
        return deny(_FAILED, f"the gate could not judge it: its function raised {type(error).__name__}")

    def checked(self, crossing: Crossing, found: object) -> Opinion:
        """Return what a function answered, if that is an opinion."""
        if isinstance(found, Opinion):
            return found
        structlog.get_logger("gate").error(
            "no-opinion", gate=self.name, crossing=crossing.id, returned=type(found).__name__
        )
        return deny(_FAILED, f"the gate could not judge it: its function returned {type(found).__name__}")

    def verdict(self, asked: Question | _Nothing, found: Opinion, context: Context) -> Verdict:
        """Return what was found of an attempt, as the router reads it."""
        record = asked.record
        admitted = (
            None if found.only is None else tuple(one for one in asked.candidates if one.agent in found.only)
        )
        approvers = Approvers(roles=found.roles, people=found.people, count=found.count)
        return Verdict(
            gate=self.name,
            gate_version=self.version,
            subject=asked.subject,
            task=None if record is None else record.task,
            crossing=None if record is None else record.id,
            outcome=found.outcome,
            rule=found.rule,
            reason=found.reason,
            contract=None if record is None else settled_on(record),
            candidates=admitted if isinstance(record, Handoff) else None,
            constraints=tuple(
                Constraint(name=name, value=value) for name, value in sorted(found.constraints.items())
            ),
            not_before=context.now + int(found.delay_s * 1000) if found.delay_s else None,
            approvers=(approvers,) if found.outcome == "REQUIRE_APPROVAL" else (),
            revision=context.catalog.revision,
            judged_at=context.now,
        )
