"""
A machine small enough to see through: it counts the handoffs of each task and rings for those with a timer.

Tests of the journal and the runtime run it; what they prove holds for every machine, because none of it knows what
a machine decides.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from seamwork.catalog import Context
from seamwork.decider import Decider, Input, Output, Publish, Tick, Undeliverable, Upcast, WithCrossing
from seamwork.records.crossing import Handoff
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Subject
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Received

WITH_TIMER = "timer"
"""The step of handoffs that ring at their ``deadline_at``."""
QUIET = "quiet"
"""The step of handoffs that are counted and not answered."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one task."""

    task: str
    subject: Subject
    at: int
    revision: tuple[int, int, int]


class Counted(Event, frozen=True, kw_only=True, tag="counted"):
    """A handoff of the task was read; *due* is when it rings, null for never; a *quiet* one is not answered."""

    due: int | None = None
    quiet: bool = False


class Rang(Event, frozen=True, kw_only=True, tag="rang"):
    """The task's timer fell due."""


class Bounced(msgspec.Struct, frozen=True, kw_only=True, tag="bounced"):
    """An output could never be published."""

    topic: str
    error: str


AnyEvent = Counted | Rang | Bounced


class Counts(msgspec.Struct):
    """How many handoffs each task had, what is to ring, and what bounced."""

    tasks: dict[str, int] = {}
    timers: dict[str, Rang] = {}
    bounced: int = 0


def counter(name: str, verdicts: str | None = None) -> Decider[Counts, Input, AnyEvent, Context]:
    """
    Make the machine *name*.

    Args:
        name: As in ``journal.<name>.v1``.
        verdicts: The topic it answers to; ``verdicts.<name>.v1`` unless given.
    """
    topic = f"verdicts.{name}.v1" if verdicts is None else verdicts

    def outputs(event: AnyEvent) -> Sequence[Output]:
        if isinstance(event, Bounced) or (isinstance(event, Counted) and event.quiet):
            return ()
        contracts, registry, policies = event.revision
        verdict = Verdict(
            gate=name,
            gate_version="1.0.0",
            subject=event.subject,
            task=event.task,
            outcome="ALLOW",
            rule="rang" if isinstance(event, Rang) else "counted",
            reason="",
            revision={"contracts": contracts, "registry": registry, "policies": policies},  # type: ignore[arg-type]
            judged_at=event.at,
        )
        return (Publish(topic, event.task, verdict, partition=event.subject.partition),)

    return Decider(
        name=name,
        initial=Counts,
        decide=_decide,
        evolve=_evolve,
        outputs=outputs,
        event_type=AnyEvent,
        state_type=Counts,
        timer=lambda counts: min((ring.at for ring in counts.timers.values()), default=None),
    )


def _decide(counts: Counts, given: Input, context: Context) -> Sequence[AnyEvent]:
    at = context.catalog.revision
    revision = (at.contracts, at.registry, at.policies)
    match given:
        case WithCrossing():
            return _decide(counts, given.decision, context)
        case Received(record=Handoff() as handoff):
            subject = _subject(given)
            due = handoff.deadline_at if handoff.step == WITH_TIMER else None
            quiet = handoff.step == QUIET
            return (
                Counted(
                    task=handoff.task,
                    subject=subject,
                    at=context.now,
                    revision=revision,
                    due=due,
                    quiet=quiet,
                ),
            )
        case Tick():
            due_now = [ring for ring in counts.timers.values() if ring.at <= context.now]
            return sorted(due_now, key=lambda ring: (ring.at, ring.task))
        case Undeliverable():
            return (Bounced(topic=given.topic, error=given.error),)
        case _:
            return ()


def _evolve(counts: Counts, event: AnyEvent) -> Counts:
    match event:
        case Counted():
            counts.tasks[event.task] = counts.tasks.get(event.task, 0) + 1
            if event.due is not None:
                counts.timers[event.task] = Rang(
                    task=event.task, subject=event.subject, at=event.due, revision=event.revision
                )
        case Rang():
            counts.timers.pop(event.task, None)
        case Bounced():
            counts.bounced += 1
    return counts


def _subject(given: Received[AnyEnvelope]) -> Subject:
    position = given.position
    return Subject(partition=position.partition, offset=position.offset, digest=given.digest)


# ── The next version ─────────────────────────────────────────────────────────────────────


class Tallied(Counted, frozen=True, kw_only=True, tag="tallied"):
    """What ``counted`` is called from version 2 on; it says how much the handoff weighs."""

    weight: int


NextEvent = Tallied | Rang | Bounced


class Tally(msgspec.Struct):
    """What version 2 remembers of a task."""

    handoffs: int = 0
    weight: int = 0


class Tallies(msgspec.Struct):
    """The state from version 2 on."""

    tasks: dict[str, Tally] = {}
    timers: dict[str, Rang] = {}
    bounced: int = 0


def next_counter(name: str) -> Decider[Tallies, Input, NextEvent, Context]:
    """Make the machine *name* as its next release has it: other events, another state, and the way to both."""
    first = counter(name)

    def decide(tallies: Tallies, given: Input, context: Context) -> Sequence[NextEvent]:
        found = first.decide(Counts(timers=tallies.timers), given, context)
        return [
            Tallied(**{name: getattr(event, name) for name in Counted.__struct_fields__}, weight=1)
            if isinstance(event, Counted)
            else event
            for event in found
        ]

    def evolve(tallies: Tallies, event: NextEvent) -> Tallies:
        rest = first.evolve(Counts(timers=tallies.timers, bounced=tallies.bounced), event)
        tallies.bounced = rest.bounced
        if isinstance(event, Tallied):
            tally = tallies.tasks.setdefault(event.task, Tally())
            tally.handoffs += 1
            tally.weight += event.weight
        return tallies

    return Decider(
        name=name,
        initial=Tallies,
        decide=decide,
        evolve=evolve,
        outputs=first.outputs,
        event_type=NextEvent,
        state_type=Tallies,
        timer=lambda tallies: min((ring.at for ring in tallies.timers.values()), default=None),
        version=2,
        upcasts={1: Upcast(event=_tallied, state=_tallies)},
    )


def _tallied(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "type": "tallied", "weight": 1} if event["type"] == "counted" else event


def _tallies(state: dict[str, Any]) -> dict[str, Any]:
    tasks = {task: {"handoffs": count, "weight": count} for task, count in state.get("tasks", {}).items()}
    return {**state, "tasks": tasks}
