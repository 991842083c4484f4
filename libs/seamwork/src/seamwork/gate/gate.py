"""
Turn a function that judges crossings into a gate.

Rule 1: each handoff, result and plan is judged once, and again whenever the router asks, by what lies in the log.
Rule 2: a function that fails has refused: what nobody could judge does not pass.
Rule 3: nothing that an error says is passed on, for it may quote the payload; where it arose is.
"""

import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import structlog

from seamwork.catalog import Context, settled, settled_on
from seamwork.contracts.payload import PayloadError
from seamwork.decider import DECISIONS, Input, Output, WithCrossing, asked_again, vote
from seamwork.documents.shape import NAME_PATTERN
from seamwork.documents.versions import VersionError, parse_version
from seamwork.errors import MisconfiguredError
from seamwork.gate.crossing import Crossing, shown
from seamwork.gate.opinion import Opinion, deny
from seamwork.records.authority import Constraint
from seamwork.records.crossing import Handoff, Plan, Result
from seamwork.records.decision import JudgeAgain
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import AgentRef, Subject
from seamwork.records.verdict import Approvers, Verdict
from seamwork.records.wire import Malformed, Received
from seamwork.runtime.run import run
from seamwork.runtime.spec import HANDOFFS, GateSpec, Service, Site
from seamwork.settings.environment import ServiceSettings

Judge = Callable[[Crossing], Opinion]
"""What an author writes: it looks at nothing but the crossing, so the same crossing is judged alike each time."""

_CHANGED = deny(
    "crossing-changed", "the record at the subject's position is not the one that the router means"
)
_FAILED = "gate-error"
_EX_CONFIG = 78  # sysexits.h


class _Settings(ServiceSettings, frozen=True, kw_only=True):
    """A gate of one's own has no settings but those that every service has."""


class Gate:
    """
    A gate of one's own.

    Args:
        name: As in its ``Gate`` document.
        version: Of the program; verdicts name it.

    Raises:
        MisconfiguredError: No gate can be called so, or the version is none.
    """

    def __init__(self, name: str, version: str) -> None:
        if re.fullmatch(NAME_PATTERN, name) is None:
            raise MisconfiguredError(
                f"no gate can be called {name!r}; lower-case letters, digits and hyphens"
            )
        try:
            parse_version(version)
        except VersionError as error:
            raise MisconfiguredError(f"gate {name} has no version {version!r}: {error}") from error
        self.name = name
        self.version = version
        self._judge: Judge | None = None

    def judges(self, judge: Judge) -> Judge:
        """
        Decorate the function that judges.

        Raises:
            MisconfiguredError: There is one already.
        """
        if self._judge is not None:
            raise MisconfiguredError(
                f"gate {self.name} is judged by {self._judge.__name__}; a gate has one judge"
            )
        self._judge = judge
        return judge

    def run(self, environ: Mapping[str, str] | None = None) -> NoReturn:
        """Run until SIGTERM or SIGINT; a program's last line. `seamwork gates run` says where, and as whom."""
        given = os.environ if environ is None else environ
        if "KAFKA_BOOTSTRAP_SERVERS" not in given:
            sys.stderr.write(
                f"{self.name}: nothing says where the platform is; start it with "
                f"`seamwork gates run {self.name} -- COMMAND`\n"
            )
            raise SystemExit(_EX_CONFIG)
        run(self.service, given)

    @property
    def service(self) -> Service[_Settings]:
        """What the runtime runs."""
        return Service(
            name=self.name,
            settings=_Settings,
            build=self._build,
            reads=(HANDOFFS, DECISIONS),
            writes=("verdicts.{gate}.v1",),
            version=self.version,
        )

    def _build(self, settings: _Settings, site: Site) -> GateSpec:
        del settings, site
        return self.spec

    @property
    def spec(self) -> GateSpec:
        """
        The gate without its surroundings: what it reads, and what it says of each record.

        Raises:
            MisconfiguredError: Nothing judges.
        """
        if self._judge is None:
            raise MisconfiguredError(
                f"gate {self.name} has no judge; decorate a function with `@gate.judges`"
            )
        judge = self._judge

        def decide(given: Input, context: Context) -> Sequence[Output]:
            return tuple(vote(verdict) for verdict in self._verdicts(judge, given, context))

        return GateSpec(
            name=self.name, decide=decide, unhurried=(DECISIONS,), needs_crossing=asked_again(self.name)
        )

    def _verdicts(self, judge: Judge, given: Input, context: Context) -> Sequence[Verdict]:
        match given:
            case WithCrossing(
                decision=Received(record=JudgeAgain(subject=Subject() as subject) as again), crossing=crossing
            ) if self.name in again.gates:
                if isinstance(crossing, Malformed) or crossing.digest != subject.digest:
                    return (self._verdict(subject, None, _CHANGED, (), context),)
                return (self._judged(judge, crossing, subject, context, again.exclude),)
            case Received(record=Handoff() | Result() | Plan()) if given.raw.topic == HANDOFFS:
                place = given.position
                subject = Subject(partition=place.partition, offset=place.offset, digest=given.digest)
                return (self._judged(judge, given, subject, context),)
            case _:
                return ()  # what nobody can read the validator refuses; what only accompanies work is not judged

    def _judged(
        self,
        judge: Judge,
        received: Received[AnyEnvelope],
        subject: Subject,
        context: Context,
        exclude: Sequence[AgentRef] = (),
    ) -> Verdict:
        record = received.record
        if not isinstance(record, Handoff | Result | Plan):
            return self._verdict(subject, None, _CHANGED, (), context)
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
            return self._verdict(subject, record, found, candidates, context)
        return self._verdict(subject, record, self._asked(judge, crossing), candidates, context)

    def _asked(self, judge: Judge, crossing: Crossing) -> Opinion:
        try:
            found: object = judge(crossing)
        except Exception as error:  # noqa: BLE001  # whatever it is, it was no opinion
            frames = traceback.extract_tb(error.__traceback__)
            where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
            structlog.get_logger("gate").error(
                "judge-failed", gate=self.name, crossing=crossing.id, error=type(error).__name__, where=where
            )
            return deny(_FAILED, f"the gate could not judge it: its function raised {type(error).__name__}")
        if isinstance(found, Opinion):
            return found
        structlog.get_logger("gate").error(
            "no-opinion", gate=self.name, crossing=crossing.id, returned=type(found).__name__
        )
        return deny(_FAILED, f"the gate could not judge it: its function returned {type(found).__name__}")

    def _verdict(
        self,
        subject: Subject,
        record: Handoff | Result | Plan | None,
        found: Opinion,
        candidates: tuple[AgentRef, ...],
        context: Context,
    ) -> Verdict:
        admitted = None if found.only is None else tuple(one for one in candidates if one.agent in found.only)
        approvers = Approvers(roles=found.roles, people=found.people, count=found.count)
        return Verdict(
            gate=self.name,
            gate_version=self.version,
            subject=subject,
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
