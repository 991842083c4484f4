"""Ask the archive what people ask: one method a question."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock

import msgspec

from seamwork.catalog import Catalog, crosses_under
from seamwork.platform.views import Blame, BreakerLine, Summary, Tally, TaskLine, Trace
from seamwork.records.crossing import Handoff, Result
from seamwork.records.decision import BreakerMoved
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.parties import Position
from seamwork.records.wire import Malformed, Received
from seamwork.seams.measured import Measured
from seamwork.seams.steps import FlowReport, Refusal
from seamwork_audit_sink.archive import Archive
from seamwork_audit_sink.blame import blame
from seamwork_audit_sink.history import Kept, history_of
from seamwork_audit_sink.rows import Row, lean, record_of
from seamwork_audit_sink.seams import measures
from seamwork_audit_sink.shown import error_in, shown_payload
from seamwork_audit_sink.steps import flow_report
from seamwork_audit_sink.tasks import task_line
from seamwork_audit_sink.trace import trace

LOOKED_AT = 10_000
"""
How many tasks are looked at for a list, so that a state that no task is in does not read everything.

Where none that is over is wanted, those are not among them: what hangs is older than thousands that came and went.
"""

MOST_ERRORS = 100
"""How many answers of a task that say error are read for what they say."""

MEASURED = 100_000
"""How many records are looked at to measure seams, the latest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    Which tasks a list is to have; what is not given leaves nothing out.

    *since* is when they began at the earliest (ms). *quiet_since* leaves those that run and of which nothing was
    recorded from then on. *refused* leaves those in which a crossing was refused. *owner* names a team: those that
    cross a seam that its contracts own, or that its initiator began.
    """

    state: str | None = None
    since: int | None = None
    quiet_since: int | None = None
    refused: bool = False
    owner: str | None = None

    @property
    def is_of_unended(self) -> bool:
        """Whether no task that has an end can be among them."""
        return self.quiet_since is not None or self.state in {"running", "refused"}


EVERY = Wanted()


class Queries:
    """The questions that this service answers, on one archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        # What is measured takes seconds and a good part of the memory; whoever asks meanwhile waits.
        self._measuring = Lock()

    def tasks(
        self, limit: int, wanted: Wanted = EVERY, catalog: Catalog | None = None
    ) -> tuple[TaskLine, ...]:
        """Return the newest of the tasks that are *wanted*; owners are those that *catalog* names."""
        seen: set[str] = set()
        lines: list[TaskLine] = []
        looked_at = self._archive.beginnings(without_end=wanted.is_of_unended)
        for begun, ended, more in islice(looked_at, LOOKED_AT):
            if len(lines) >= limit:
                break
            task = begun.task or ""
            if task in seen:
                continue
            seen.add(task)
            line = self._line(task, begun, ended, several=more)
            if line is None or not _begun_as(line, wanted):
                continue
            line = self._counted(line)
            if self._fits(line, wanted, catalog):
                lines.append(line)
        return tuple(lines)

    def _line(self, task: str, begun: Row, ended: Row | None, *, several: bool) -> TaskLine | None:
        """Return the line of a task; where *several* handoffs say that they began it, by the one it is known by."""
        first, last = record_of(begun), None if ended is None else record_of(ended)
        if ended is not None and not several:
            return task_line(first, last, None)
        history = history_of(task, map(record_of, self._archive.begun(task)))
        return task_line(history.begun or first, last, history.refusal if ended is None else None)

    def _counted(self, line: TaskLine) -> TaskLine:
        """Return a task with what is recorded of it in figures; one that runs with what it is at."""
        crossings, refused = self._archive.counted(line.task)
        last, heard_at, asks = None, None, 0
        if line.state == "running":
            last, heard_at = self._archive.last_of(line.task) or (None, None)
            asks = self._archive.asks(line.task)
        return msgspec.structs.replace(
            line, crossings=crossings, refused=refused, last=last, heard_at=heard_at, asks=asks
        )

    def _fits(self, line: TaskLine, wanted: Wanted, catalog: Catalog | None) -> bool:
        quiet = wanted.quiet_since
        if quiet is not None and (line.heard_at is None or line.heard_at >= quiet):
            return False
        if wanted.refused and not line.refused:
            return False
        return wanted.owner is None or wanted.owner in self._owners(line.task, catalog)

    def _owners(self, task: str, catalog: Catalog | None) -> set[str]:
        """Return the teams that own the seams of a task, and that of its initiator."""
        found: set[str] = set()
        for row in self._archive.handed(task):
            received = record_of(row)
            handoff = received.record if isinstance(received, Received) else None
            if catalog is None or not isinstance(received, Received) or not isinstance(handoff, Handoff):
                continue
            contract = catalog.contract(crosses_under(catalog, handoff, received.raw.appended_at))
            agent = catalog.agent(handoff.source) if handoff.stamp is None else None
            found |= set() if contract is None else {contract.spec.owners.team}
            found |= set() if agent is None or agent.spec.team is None else {agent.spec.team}
        return found

    def trace(self, task: str, catalog: Catalog | None = None) -> Trace | None:
        """Return the trace of a task, or None where nothing of it was recorded; *catalog* says what is masked."""
        # A task may have a hundred thousand records: each is let go of but for what was read from it.
        records = [
            lean(found) if isinstance(found, Received) else found
            for found in map(record_of, self._archive.task_rows(task))
        ]
        return trace(task, records, self._errors(records, catalog)) if records else None

    def _errors(self, records: Iterable[Kept], catalog: Catalog | None) -> dict[Position, str]:
        """Return what the first answers that say error say, by their positions; bodies were left where they lie."""
        found: dict[Position, str] = {}
        for kept in records:
            record = kept.record if isinstance(kept, Received) else None
            if not isinstance(record, Result) or record.outcome != "error":
                continue
            row = self._archive.crossing(kept.position.partition, kept.position.offset)
            if row is not None:
                found[kept.position] = error_in(row, catalog)
            if len(found) >= MOST_ERRORS:
                break
        return found

    def blame(self, task: str, catalog: Catalog | None = None) -> Blame | None:
        """Return what explains the outcome of a task, or None where nothing was recorded; *catalog* as above."""
        found = self.trace(task, catalog)
        return None if found is None else blame(found)

    def breakers(self) -> tuple[BreakerLine, ...]:
        """Return the breakers that are not closed, as their last moves left them."""
        last: dict[tuple[str, str, int], BreakerLine] = {}
        for row in self._archive.breaker_moves(LOOKED_AT):
            received = record_of(row)
            move = received.record if isinstance(received, Received) else None
            if not isinstance(move, BreakerMoved):
                continue
            line = BreakerLine(
                agent=move.agent.agent,
                version=move.agent.version,
                partition=move.partition,
                state=move.state,
                failures=move.failures,
                since=move.decided_at,
                open_until=move.open_until,
            )
            after = last.setdefault((line.agent, line.version, line.partition), line)
            if line.since > after.since:  # that one lies behind it because it was published again
                last[line.agent, line.version, line.partition] = line
        return tuple(line for _, line in sorted(last.items()) if line.state != "closed")

    def seams(self) -> Measured:
        """Return what was measured of each seam, over the latest records."""
        with self._measuring:
            latest = _Latest(self._archive)
            seams = measures(latest)
        return Measured(since=latest.since or 0, until=latest.until, whole=latest.whole, seams=seams)

    def flow(self, name: str, catalog: Catalog, now: int) -> FlowReport | None:
        """Return what each step of a flow refused, or would have; None where *catalog* has no such flow."""
        with self._measuring:
            latest = _Latest(self._archive)
            report = flow_report(name, latest, catalog, now, whole=latest.whole)
        if report is None:
            return None
        steps = (
            msgspec.structs.replace(
                step, refusals=tuple(self._with_payloads(one, catalog) for one in step.refusals)
            )
            for step in report.steps
        )
        return msgspec.structs.replace(report, steps=tuple(steps))

    def _with_payloads(self, refusal: Refusal, catalog: Catalog) -> Refusal:
        """Return a line of the report whose examples show what crossed, as far as people may see it."""
        shown = []
        for example in refusal.examples:
            partition, _, offset = example.position.partition("/")
            row = self._archive.crossing(int(partition), int(offset))
            payload = None if row is None or refusal.kind == "plan" else shown_payload(row, catalog)
            shown.append(msgspec.structs.replace(example, payload=payload))
        return msgspec.structs.replace(refusal, examples=tuple(shown))

    def summary(self) -> Summary:
        """Return what the platform has done, in numbers."""
        counted: dict[str, list[Tally]] = {}
        for what, name, detail, records in self._archive.counts():
            counted.setdefault(what, []).append(Tally(name=name, detail=detail, records=records))

        def of(what: str) -> tuple[Tally, ...]:
            return tuple(counted.get(what, ()))

        return Summary(
            records=sum(tally.records for tally in of("topic")),
            topics=of("topic"),
            types=of("type"),
            agents=of("agent"),
            dispatched=of("dispatched"),
            verdicts=of("verdict"),
            decisions=of("decision"),
            refusals=of("refusal"),
            tasks=of("task"),
            journals=of("journal"),
        )


class _Latest:
    """
    The latest records, read by type and anew each time.

    *whole* says whether they are all there are; *since* and *until* are the first and the last instant of what was
    read.
    """

    def __init__(self, archive: Archive) -> None:
        self.since: int | None = None
        self.until = 0
        self._archive = archive
        self._end = archive.size
        self._begin = max(0, self._end - MEASURED)
        self.whole = self._begin == 0

    def __call__(self, types: Sequence[str]) -> Iterator[Received[AnyEnvelope] | Malformed]:
        for row in self._archive.between(self._begin, self._end, types):
            self.since = row.appended_at if self.since is None else min(row.appended_at, self.since)
            self.until = max(row.appended_at, self.until)
            yield record_of(row)


def _begun_as(line: TaskLine, wanted: Wanted) -> bool:
    """Say whether a task fits as far as its beginning and its end tell."""
    if wanted.state not in {None, line.state} or (wanted.since is not None and line.begun_at < wanted.since):
        return False
    return wanted.quiet_since is None or line.state == "running"
