"""
Turn a function that judges crossings into a gate.

Rule 1: each handoff, result and plan is judged once, and again whenever the router asks, by what lies in the log.
Rule 2: a function that fails has refused: what nobody could judge does not pass.
Rule 3: nothing that an error says is passed on, for it may quote the payload; where it arose is.
"""

import asyncio
import os
import re
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable, iscoroutinefunction
from typing import NoReturn, TypeVar

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
Inquirer = Callable[[Crossing], Awaitable[Opinion]]
"""The same where it asks somebody else: a model, a service. What it said first counts, whatever it says later."""
J = TypeVar("J", bound=Judge | Inquirer)

_CHANGED = deny(
    "crossing-changed", "the record at the subject's position is not the one that the router means"
)
_FAILED = "gate-error"
_EX_CONFIG = 78  # sysexits.h
_MOST = 500


class _Settings(ServiceSettings, frozen=True, kw_only=True):
    """A gate of one's own has no settings but those that every service has."""


class Gate:
    """
    A gate of one's own.

    Args:
        name: As in its ``Gate`` document.
        version: Of the program; verdicts name it.
        at_once: How many crossings an async function is asked about at a time.
        within_s: How long it may take for one, in seconds; then it has refused. The router waits for the deadline
            that the ``Gate`` document says, and for no longer.

    Raises:
        MisconfiguredError: No gate can be called so, the version is none, or it could never be asked.
    """

    def __init__(self, name: str, version: str, *, at_once: int = 16, within_s: float = 30.0) -> None:
        if re.fullmatch(NAME_PATTERN, name) is None:
            raise MisconfiguredError(
                f"no gate can be called {name!r}; lower-case letters, digits and hyphens"
            )
        try:
            parse_version(version)
        except VersionError as error:
            raise MisconfiguredError(f"gate {name} has no version {version!r}: {error}") from error
        if at_once < 1 or not within_s > 0:
            raise MisconfiguredError(f"gate {name}: at_once and within_s are more than 0")
        self.name = name
        self.version = version
        self._at_once = at_once
        self._within_s = within_s
        self._judge: Judge | Inquirer | None = None

    def judges(self, judge: J) -> J:
        """
        Decorate the function that judges, async where it asks somebody else.

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

        async def inquire(given: Input, context: Context) -> Sequence[Output]:
            asked = self._asked_for(given, context)
            if isinstance(asked, _Question):
                asked = self._verdict(asked, await self._inquired(judge, asked.crossing), context)
            return () if asked is None else (vote(asked),)

        def decide(given: Input, context: Context) -> Sequence[Output]:
            asked = self._asked_for(given, context)
            if isinstance(asked, _Question):
                asked = self._verdict(asked, self._judged(judge, asked.crossing), context)
            return () if asked is None else (vote(asked),)

        waits = iscoroutinefunction(judge)
        return GateSpec(
            name=self.name,
            decide=decide,
            inquire=inquire if waits else None,
            at_once=self._at_once,
            max_batch=self._at_once if waits else _MOST,
            unhurried=(DECISIONS,),
            needs_crossing=asked_again(self.name),
        )

    def _asked_for(self, given: Input, context: Context) -> "_Question | Verdict | None":
        """Return what the function is to be asked, or what is said without it; nothing of what is not judged."""
        match given:
            case WithCrossing(
                decision=Received(record=JudgeAgain(subject=Subject() as subject) as again), crossing=crossing
            ) if self.name in again.gates:
                if isinstance(crossing, Malformed) or crossing.digest != subject.digest:
                    return self._verdict(_Nothing(subject), _CHANGED, context)
                return self._question(crossing, subject, context, again.exclude)
            case Received(record=Handoff() | Result() | Plan()) if given.raw.topic == HANDOFFS:
                place = given.position
                subject = Subject(partition=place.partition, offset=place.offset, digest=given.digest)
                return self._question(given, subject, context)
            case _:
                return None  # what nobody can read the validator refuses; what accompanies work is not judged

    def _question(
        self,
        received: Received[AnyEnvelope],
        subject: Subject,
        context: Context,
        exclude: Sequence[AgentRef] = (),
    ) -> "_Question | Verdict":
        record = received.record
        if not isinstance(record, Handoff | Result | Plan):
            return self._verdict(_Nothing(subject), _CHANGED, context)
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
            return self._verdict(_Nothing(subject, record), found, context)
        return _Question(subject, record, crossing, candidates)

    def _judged(self, judge: Judge | Inquirer, crossing: Crossing) -> Opinion:
        try:
            found: object = judge(crossing)
        except Exception as error:  # noqa: BLE001  # whatever it is, it was no opinion
            return self._failed(crossing, error)
        return self._checked(crossing, found)

    async def _inquired(self, judge: Judge | Inquirer, crossing: Crossing) -> Opinion:
        try:
            async with asyncio.timeout(self._within_s):
                asked = judge(crossing)
                found: object = await asked if isawaitable(asked) else asked
        except Exception as error:  # noqa: BLE001  # whatever it is, it was no opinion
            return self._failed(crossing, error)
        return self._checked(crossing, found)

    def _failed(self, crossing: Crossing, error: Exception) -> Opinion:
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
        structlog.get_logger("gate").error(
            "judge-failed", gate=self.name, crossing=crossing.id, error=type(error).__name__, where=where
        )
        return deny(_FAILED, f"the gate could not judge it: its function raised {type(error).__name__}")

    def _checked(self, crossing: Crossing, found: object) -> Opinion:
        if isinstance(found, Opinion):
            return found
        structlog.get_logger("gate").error(
            "no-opinion", gate=self.name, crossing=crossing.id, returned=type(found).__name__
        )
        return deny(_FAILED, f"the gate could not judge it: its function returned {type(found).__name__}")

    def _verdict(self, asked: "_Question | _Nothing", found: Opinion, context: Context) -> Verdict:
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


@dataclass(frozen=True)
class _Question:
    """What a gate's function is asked about: an attempt of a crossing, and who could get it."""

    subject: Subject
    record: Handoff | Result | Plan
    crossing: Crossing
    candidates: tuple[AgentRef, ...]


@dataclass(frozen=True)
class _Nothing:
    """What nobody can be asked about."""

    subject: Subject
    record: Handoff | Result | Plan | None = None
    candidates: tuple[AgentRef, ...] = ()
