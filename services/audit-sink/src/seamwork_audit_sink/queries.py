"""Ask the archive what people ask: one method a question."""

from itertools import islice

from seamwork.platform.views import Blame, BreakerLine, Summary, Tally, TaskLine, Trace
from seamwork.records.decision import BreakerMoved
from seamwork.records.wire import Received
from seamwork_audit_sink.archive import Archive
from seamwork_audit_sink.blame import blame
from seamwork_audit_sink.rows import record_of
from seamwork_audit_sink.tasks import task_line
from seamwork_audit_sink.trace import trace

LOOKED_AT = 10_000
"""How many tasks are looked at for a list, so that a state that no task is in does not read everything."""


class Queries:
    """The questions that this service answers, on one archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def tasks(self, limit: int, state: str | None = None) -> tuple[TaskLine, ...]:
        """Return the newest tasks, those in *state* alone if it is given."""
        seen: set[str] = set()
        lines: list[TaskLine] = []
        for begun, ended in islice(self._archive.beginnings(), LOOKED_AT):
            refused = None if ended is not None else self._archive.was_refused(begun.crossing or "")
            line = task_line(
                record_of(begun),
                None if ended is None else record_of(ended),
                None if refused is None else record_of(refused),
            )
            if line is None or line.task in seen or state not in {None, line.state}:
                continue
            seen.add(line.task)
            lines.append(line)
            if len(lines) == limit:
                break
        return tuple(lines)

    def trace(self, task: str) -> Trace | None:
        """Return the trace of a task, or None where nothing of it was ever recorded."""
        rows = self._archive.task_rows(task)
        return trace(task, map(record_of, rows)) if rows else None

    def blame(self, task: str) -> Blame | None:
        """Return what explains the outcome of a task, or None where nothing of it was ever recorded."""
        found = self.trace(task)
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
            last.setdefault((line.agent, line.version, line.partition), line)
        return tuple(line for _, line in sorted(last.items()) if line.state != "closed")

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
