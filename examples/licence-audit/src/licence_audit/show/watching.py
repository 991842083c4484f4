"""
Watch one task from where people stand: what the router decides, and what is asked.

``Course`` folds what was seen; ``watched`` keeps one up to date while a task runs.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from seamwork.bus.port import Log
from seamwork.cli.tasks import followed
from seamwork.platform.door import Door
from seamwork.records.decision import Accepted, Closed, Dispatched, Held, Refused, TaskEnded
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import AgentRef
from seamwork.records.people import ApprovalEnd, ApprovalRequest


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that was refused: at which step, whose it was, by which gate and rule."""

    step: str
    source: str
    kind: str
    gate: str
    rule: str
    reason: str


Seen = Refusal | ApprovalRequest | ApprovalEnd | TaskEnded
Look = Callable[[Seen], None]


@dataclass
class Course:
    """
    How far a task has come.

    Attributes:
        dispatched: How much work was given to each agent, by ``name@version``.
        accepted: How many of each agent's results were.
        outcomes: How many results of each outcome were accepted.
    """

    dispatched: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    requests: list[ApprovalRequest] = field(default_factory=list)
    ends: list[ApprovalEnd] = field(default_factory=list)
    held: int = 0
    ended: TaskEnded | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _steps: dict[str, str] = field(default_factory=dict, repr=False)
    _open: set[str] = field(default_factory=set, repr=False)

    @property
    def dispatches(self) -> int:
        """How often work was given to an agent."""
        return self.dispatched.total()

    @property
    def open(self) -> int:
        """How many dispatches are not answered yet."""
        return len(self._open)

    def see(self, record: AnyEnvelope) -> Seen | None:
        """Take down one record, and return what is worth telling at once."""
        told: Seen | None = None
        match record:
            case Dispatched():
                self.dispatched[_name(record.receiver)] += 1
                self._steps[record.dispatch] = record.step
                self._open.add(record.dispatch)
            case Accepted():
                self.accepted[_name(record.source)] += 1
                self.outcomes[record.outcome] += 1
                self._open.discard(record.dispatch)
            case Closed():
                self._open.discard(record.dispatch or "")
            case Refused():
                # A refused handoff names the dispatch that it came from, a refused result the one that it answers.
                answers = record.dispatch if record.kind == "result" else None
                told = Refusal(
                    step=self._steps.get(answers or "", ""),
                    source=_name(record.source) if record.source is not None else "nobody known",
                    kind=record.kind,
                    gate=record.gate,
                    rule=record.rule,
                    reason=record.reason,
                )
                self.refusals.append(told)
            case Held():
                self.held += 1
            case ApprovalRequest():
                self.requests.append(record)
                told = record
            case ApprovalEnd():
                self.ends.append(record)
                told = record
            case TaskEnded():
                self.ended = told = record
            case _:
                pass
        self.changed.set()
        return told

    async def until(self, holds: Callable[["Course"], bool], within_s: float) -> bool:
        """Wait until the course is as wanted, and say whether it came to that in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not holds(self):
                    self.changed.clear()
                    await self.changed.wait()
        return holds(self)

    async def goes_on(self, within_s: float) -> bool:
        """Wait for one more dispatch, and say whether it came in time."""
        seen = self.dispatches
        return await self.until(lambda course: course.dispatches > seen, within_s)


@asynccontextmanager
async def watched(door: Door, task: str, look: Look) -> AsyncIterator[Course]:
    """Follow a task until it has ended or the caller has; *look* is shown what is worth telling."""
    course = Course()
    async with door.log("people") as log:
        watching = asyncio.create_task(_follow(door, log, task, course, look), name="watch-task")
        try:
            yield course
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


async def _follow(door: Door, log: Log, task: str, course: Course, look: Look) -> None:
    async for received in followed(door, log, task):
        told = course.see(received.record)
        if told is not None:
            look(told)
        if course.ended is not None:
            return


def _name(ref: AgentRef) -> str:
    return f"{ref.agent}@{ref.version}"
