"""
Judge what crossed once more, with documents in force that nobody has published yet.

The gates' own cores decide, on the records as they lie in the log and in the order in which it took them: once
under the documents that were in force at each moment, once with the new ones in force all along. What does not come
out the first time as it did then proves nothing, and is counted apart: what belongs to a task that began before the
first record that is read, for one.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from seamwork.bus.port import Log, Partition
from seamwork.catalog import Catalog, Context
from seamwork.decider import DECISIONS, Decider, Input, Publish, Tick, WithCrossing
from seamwork.records.crossing import Handoff, Plan, Result
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Malformed, RawRecord, Received, read
from seamwork.runtime.spec import HANDOFFS, MachineSpec, crossing_of

GATES = ("policy-engine", "cost-cap")
"""The gates that judge by documents which change under a crossing; its contract it names itself, by version."""

_WINDOW = 500
_FIELDS = ("outcome", "rule", "candidates", "constraints", "authority", "not_before", "approvers", "spared")
"""What of a verdict decides what becomes of a crossing."""

Attempt = tuple[int, int, int]
"""Partition and offset of a crossing, and which attempt of it was judged."""


@dataclass(frozen=True, kw_only=True)
class Vote:
    """What a gate says, as far as people ask."""

    outcome: str
    rule: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Otherwise:
    """
    A crossing that would be judged otherwise.

    *seam* says who hands what to whom, *differs* which parts of the verdict are others, *at* (ms) when the log had
    it.
    """

    gate: str
    task: str
    crossing: str
    seam: str
    at: int
    then: Vote
    now: Vote
    differs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class GateTested:
    """
    What one gate came to: *compared* verdicts, of which some come out *otherwise*.

    *unlike* were not compared, because even under the documents of their time they come out as they did not then.
    """

    gate: str
    compared: int
    unlike: int
    otherwise: tuple[Otherwise, ...]


@dataclass(frozen=True, kw_only=True)
class Backtested:
    """What was judged again: how many records of how many tasks, from when until when (ms; null where none was)."""

    records: int
    tasks: int
    since: int | None
    until: int | None
    gates: tuple[GateTested, ...]

    @property
    def same(self) -> bool:
        """Whether nothing that was compared would be judged otherwise."""
        return not any(one.otherwise for one in self.gates)

    @property
    def says_nothing(self) -> bool:
        """Whether there were verdicts and none of them could be compared."""
        return any(one.unlike for one in self.gates) and not any(one.compared for one in self.gates)


@dataclass(kw_only=True)
class Recorded:
    """
    A stretch of the log: crossings and decisions in the order in which it took them, and what gates said of them.

    *crossings* are the records of ``handoffs.v1`` by partition and offset; *said* is by gate, the first verdict on
    each attempt, *said_at* when the log took it (ms).
    """

    inputs: list[Received[AnyEnvelope] | Malformed] = field(default_factory=list)
    crossings: dict[tuple[int, int], Received[AnyEnvelope] | Malformed] = field(default_factory=dict)
    said: dict[str, dict[Attempt, Verdict]] = field(default_factory=dict)
    said_at: dict[str, dict[Attempt, int]] = field(default_factory=dict)


async def recorded(log: Log, platform: str, gates: Iterable[str], last: int) -> Recorded:
    """
    Read the *last* records of ``handoffs.v1``, and what was decided and judged since the first of them.

    Args:
        log: As the principal ``tools``, who may read all of these.
        platform: The platform's id.
        gates: Whose verdicts are read.
        last: Records, over all partitions.

    Raises:
        LogGapError: Retention overtook the reading.
    """
    found = Recorded()
    streams: list[list[RawRecord]] = []
    partitions = await _partitions(log, HANDOFFS)
    share = -(-last // max(1, len(partitions)))
    for partition in partitions:
        start, end = await _bounds(log, partition)
        streams.append(await _stretch(log, partition, max(start, end - share), end))
    # All begin at one instant: that of the partition whose records reach back least.
    since = max((stream[0].appended_at for stream in streams if len(stream) == share), default=0)
    streams = [[raw for raw in stream if raw.appended_at >= since] for stream in streams]
    for partition in await _partitions(log, DECISIONS):
        streams.append(await _since(log, partition, since))
    for raw in heapq.merge(*streams, key=lambda one: one.appended_at):
        one = read(raw, platform)
        found.inputs.append(one)
        if raw.topic == HANDOFFS:
            found.crossings[raw.partition, raw.offset] = one
    for gate in gates:
        said, said_at = found.said.setdefault(gate, {}), found.said_at.setdefault(gate, {})
        for partition in await _partitions(log, f"verdicts.{gate}.v1"):
            for raw in await _since(log, partition, since):
                one = read(raw, platform)
                if isinstance(one, Received) and isinstance(one.record, Verdict):
                    attempt = _attempt(one.record)
                    if attempt[:2] in found.crossings:  # others were sent before the first that is read
                        said.setdefault(attempt, one.record)
                        said_at.setdefault(attempt, raw.appended_at)
    return found


def backtest(
    found: Recorded, specs: Sequence[MachineSpec], as_was: Catalog, as_would_be: Catalog
) -> Backtested:
    """
    Judge what was recorded under both catalogs, and compare.

    Args:
        found: What was read.
        specs: The gates, with decisions of their own on a journal.
        as_was: All documents with their activations, so that each moment has its own.
        as_would_be: The same with the new ones in force all along.
    """
    times = [one.raw.appended_at for one in found.crossings.values()]
    return Backtested(
        records=len(found.crossings),
        tasks=len({one.key for one in found.crossings.values() if isinstance(one, Received)}),
        since=min(times, default=None),
        until=max(times, default=None),
        gates=tuple(_tested(found, spec, as_was, as_would_be) for spec in specs),
    )


def _tested(found: Recorded, spec: MachineSpec, as_was: Catalog, as_would_be: Catalog) -> GateTested:
    gate = spec.decider.name
    then, now = (dict(judged(found, spec, catalog)) for catalog in (as_was, as_would_be))
    said = found.said.get(gate, {})
    compared = {at for at, one in then.items() if at in said and _same(one, said[at])}
    return GateTested(
        gate=gate,
        compared=len(compared),
        unlike=len(then.keys() | said.keys()) - len(compared),
        otherwise=tuple(
            _otherwise(found, gate, at, one, now.get(at))
            for at, one in then.items()
            if at in compared and _differs(one, now.get(at))
        ),
    )


def judged(found: Recorded, spec: MachineSpec, catalog: Catalog) -> Iterator[tuple[Attempt, Verdict]]:
    """Yield what a gate that begins with nothing says of each attempt, under this catalog."""
    core: Decider[Any, Input, Any, Context] = spec.decider
    state, now = core.initial(), 0
    for one in found.inputs:
        now = max(now, one.raw.appended_at)
        context = Context(now, catalog)
        due = core.timer(state)
        while due is not None and due <= now:
            state, events, _ = core.step(state, Tick(), context)
            due = core.timer(state) if events else None
        state, _, outputs = core.step(state, _given(found, spec, one), context)
        for output in outputs:
            if isinstance(output, Publish) and isinstance(output.record, Verdict):
                verdict = output.record
                attempt = _attempt(verdict)
                if attempt[:2] in found.crossings:
                    yield attempt, verdict


def _given(found: Recorded, spec: MachineSpec, one: Received[AnyEnvelope] | Malformed) -> Input:
    at = crossing_of(spec.needs_crossing, one)
    crossing = None if at is None else found.crossings.get((at.partition, at.offset))
    return one if crossing is None or not isinstance(one, Received) else WithCrossing(one, crossing)


def _attempt(verdict: Verdict) -> Attempt:
    return verdict.subject.partition, verdict.subject.offset, verdict.subject.attempt


def _same(one: Verdict, other: Verdict) -> bool:
    return (one.outcome, one.rule) == (other.outcome, other.rule)


def _differs(then: Verdict, now: Verdict | None) -> tuple[str, ...]:
    if now is None:
        return ("outcome",)
    return tuple(name for name in _FIELDS if getattr(then, name) != getattr(now, name))


def _otherwise(found: Recorded, gate: str, at: Attempt, then: Verdict, now: Verdict | None) -> Otherwise:
    received = found.crossings[at[0], at[1]]
    return Otherwise(
        gate=gate,
        task=then.task or "",
        crossing=then.crossing or "",
        seam=seam_of(received.record) if isinstance(received, Received) else "",
        at=received.raw.appended_at,
        then=vote_of(then),
        now=Vote(outcome="none", rule="", reason="the gate says nothing") if now is None else vote_of(now),
        differs=_differs(then, now),
    )


def vote_of(verdict: Verdict) -> Vote:
    """Return what people ask of a verdict."""
    return Vote(outcome=verdict.outcome, rule=verdict.rule, reason=verdict.reason)


def seam_of(record: AnyEnvelope) -> str:
    """Say who hands what to whom."""
    match record:
        case Handoff():
            to = record.target.agent or f"whoever offers {record.target.capability}"
            return f"{record.source.agent} -> {to}, {record.contract.name} {record.contract.version}"
        case Result():
            return f"what {record.source.agent} answers"
        case Plan():
            return f"a plan of {record.source.agent}"
        case _:
            return ""


# ── Reading ──────────────────────────────────────────────────────────────────────────


async def _partitions(log: Log, topic: str) -> list[Partition]:
    return [Partition(topic, number) for number in range(await log.partitions_of(topic) or 0)]


async def _bounds(log: Log, partition: Partition) -> tuple[int, int]:
    start = (await log.start_offsets([partition]))[partition]
    return start, (await log.end_offsets([partition]))[partition]


async def _stretch(log: Log, partition: Partition, start: int, end: int) -> list[RawRecord]:
    found: list[RawRecord] = []
    for at in range(start, end, _WINDOW):
        found += await log.read(partition, at, min(at + _WINDOW, end))
    return found


async def _since(log: Log, partition: Partition, since: int) -> list[RawRecord]:
    """Return what a partition took from *since* (ms) on; its records lie in the order of their instants."""
    start, end = await _bounds(log, partition)
    low, high = start, end
    while low < high:
        middle = (low + high) // 2
        found = await log.read(partition, middle, min(middle + _WINDOW, end))
        if not found or found[0].appended_at >= since:
            high = middle
        else:
            low = middle + 1
    return await _stretch(log, partition, low, end)
