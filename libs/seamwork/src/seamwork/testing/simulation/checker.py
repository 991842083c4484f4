"""Watch everything that is written, and say what is wrong with it as soon as it is."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seamwork.bus.port import Partition
from seamwork.decider import Decider
from seamwork.records.partition import partition_of
from seamwork.records.wire import RawRecord
from seamwork.testing.simulation.evidence import envelope_of, header, signer_of
from seamwork.testing.simulation.journals import Committed, Journals
from seamwork.testing.simulation.memories import Memories
from seamwork.testing.simulation.money import Money
from seamwork.testing.simulation.process import START_MS
from seamwork.testing.simulation.runs import Runs
from seamwork.testing.simulation.scenery import HIDDEN, NEXT
from seamwork.testing.simulation.seams import Seams

TAIL = 80
SHOWN = ("approvals.v1", "decisions.v1")
"""Besides verdicts: what commands and pages show to people."""
DOCUMENT_TOPICS = ("contracts.v1", "registry.v1", "policies.v1")


@dataclass(frozen=True)
class Violation:
    """Something that may never be."""

    invariant: str
    message: str
    at_s: float


class Checker:
    """
    The observer of one simulation.

    Attributes:
        records: Everything that was written, but pulses.

    Args:
        deciders: The machines' cores.
        now_s: The simulated time.
        partitions: How many partitions ``handoffs`` has.
        by_hour: The budgets of agents begin anew with each hour.
        remembers: What may take the policy engine's place is a gate that remembers what it notes.
    """

    def __init__(
        self,
        deciders: dict[str, Decider[Any, Any, Any, Any]],
        now_s: Callable[[], float],
        partitions: int,
        *,
        remembers: bool = False,
        by_hour: bool = False,
    ) -> None:
        self.violations: list[Violation] = []
        self.tail: deque[tuple[float, RawRecord | str]] = deque(maxlen=TAIL)
        self.halt: Callable[[], None] = lambda: None
        self._now_s = now_s
        self.records: dict[Partition, list[RawRecord]] = {}
        self.money = Money(self.complain, by_hour=by_hour)
        self.seams = Seams(self.complain, self.money, partitions)
        self.runs = Runs(self.complain, now_s)
        self.memories = Memories(self.complain, self._flaw_of) if remembers else None
        self.journals = Journals(deciders, self.complain, self._committed, self.record_at)
        self._validated: dict[Partition, int] = {}

    def complain(self, invariant: str, message: str) -> None:
        """Take down a violation, and stop the simulation: what follows from one says nothing more."""
        self.violations.append(Violation(invariant, message, round(self._now_s(), 3)))
        self.halt()

    def happened(self, what: str) -> None:
        """Keep an event for the trace."""
        self.tail.append((self._now_s(), what))

    def record_at(self, at: Partition, offset: int) -> RawRecord | None:
        """Return a record that was written, trimmed or not."""
        records = self.records.get(at, [])
        return records[offset] if offset < len(records) else None

    def written(self, record: RawRecord) -> None:
        """Take a record."""
        topic = record.topic
        if topic == "heartbeats.v1":
            return
        self.tail.append((self._now_s(), record))
        self.records.setdefault(Partition(topic, record.partition), []).append(record)
        if topic.startswith("journal."):
            self.journals.appended(record)
        elif topic.startswith("snapshots."):
            self.journals.snapshot(record)
        elif topic == "handoffs.v1":
            self.seams.crossed(record)
            self.money.asked[f"{record.partition}/{record.offset}#1"] = record.appended_at
            if self.seams.crossings[record.partition, record.offset].flaw is None:
                self.runs.crossed(record)
        elif topic in DOCUMENT_TOPICS:
            self.seams.modes.published(record)
        else:
            self._output(record)

    def _output(self, record: RawRecord) -> None:
        if record.topic.startswith("inbox.") and signer_of(record) != "service:router":
            return  # whoever reads an inbox must see that; what they do is looked at
        src = header(record, "sw_src")
        if src is not None:
            self.journals.published(record, src.decode("ascii"))
        elif record.topic in ("decisions.v1", "dead-letters.v1") or record.topic.startswith("inbox."):
            self.complain("admission", f"{record.topic}@{record.offset} comes from no journal")
        if record.topic == "decisions.v1":
            self._asked_again(record)
        if record.topic in SHOWN or record.topic.startswith("verdicts."):
            self._require_hidden(record)
        if record.topic.startswith("verdicts."):
            self.seams.voted(record)
        elif record.topic.startswith("inbox."):
            self.seams.delivered(record)
            self.runs.delivered(record)
        elif record.topic == "answers.v1":
            self.seams.answered(record)
        elif record.topic == "commands.v1":
            self.seams.ordered(record)

    def _asked_again(self, record: RawRecord) -> None:
        said = envelope_of(record)
        if said["type"] == "judge-again" and (subject := said.get("subject")) is not None:
            attempt = f"{subject['partition']}/{subject['offset']}#{subject.get('attempt', 1)}"
            # What is published again after a crash asks for nothing new.
            self.money.asked.setdefault(attempt, record.appended_at)

    def _require_hidden(self, record: RawRecord) -> None:
        """What a contract hides stands in no record that is read to people."""
        if HIDDEN.encode() in (header(record, "sw_envelope") or b"") + (record.value or b""):
            self.complain("hidden", f"{record.topic}/{record.partition}@{record.offset} shows what is hidden")

    def _flaw_of(self, place: tuple[int, int]) -> str | None:
        crossing = self.seams.crossings.get(place)
        if crossing is None or crossing.flaw is not None:
            return None if crossing is None else crossing.flaw
        key = crossing.raw.key or b""
        at_home = partition_of(key, self.seams.partitions) == place[0]
        return None if at_home and key == crossing.said["task"].encode() else "lies elsewhere than its task"

    def _committed(self, machine: str, commit: Committed) -> None:
        if machine == "router":
            self.seams.committed(commit)
        elif machine == "cost-cap":
            self.seams.charged(commit)
            self.money.committed(commit)
            self.money.compare(self.journals.journal(commit.place).state.accounts, commit)
        elif machine == NEXT and self.memories is not None:
            self.memories.committed(commit)

    def noted(self, group: str, partition: Partition, position: int) -> None:
        """Take a group's committed position."""
        self.journals.noted(group, partition, position)
        if group.startswith("agent-"):
            self._require_finished(group, partition, position)
        if group.startswith("contract-validator"):
            self._require_verdicts(partition, position)

    def _require_finished(self, group: str, at: Partition, position: int) -> None:
        """Hold an agent to its promise: an offset passes only work that is over, or whose stamp ran out."""
        for offset in range(self._validated.get(at, 0), position):
            raw = self.record_at(at, offset)
            said = {} if raw is None else envelope_of(raw)
            mine = group == f"agent-{said.get('agent')}.{str(said.get('version')).replace('.', '-')}"
            if said.get("type") != "work" or not mine:
                continue
            dispatch = self.seams.dispatches.get(said["dispatch"])
            ran_out = said["not_after"] <= START_MS + self._now_s() * 1000
            if dispatch is not None and not dispatch.ends and not ran_out:
                self.complain("I8", f"{group} committed {position} and dispatch {dispatch.id} is open")

    def _require_verdicts(self, at: Partition, position: int) -> None:
        """Hold a gate without a journal to its promise: an offset follows the confirmed verdicts (I8)."""
        for offset in range(self._validated.get(at, 0), position):
            raw = self.record_at(at, offset)
            if raw is None:
                self.complain("I8", f"contract-validator committed {position} of {at}, which ends before")
            elif at.topic == "handoffs.v1":
                self._require_verdict(at.partition, offset, 1)
            elif (said := envelope_of(raw)).get("type") == "judge-again" and "contract-validator" in said[
                "gates"
            ]:
                subject = said["subject"]
                self._require_verdict(subject["partition"], subject["offset"], subject.get("attempt", 1))
        self._validated[at] = max(position, self._validated.get(at, 0))

    def _require_verdict(self, partition: int, offset: int, attempt: int) -> None:
        votes = self.seams.verdicts.get(("contract-validator", partition, offset), ())
        if not any(vote["subject"].get("attempt", 1) == attempt for vote in votes):
            self.complain(
                "I8",
                f"contract-validator passed handoffs {partition}/{offset} by, attempt {attempt}, unjudged",
            )

    def unfinished(self) -> list[str]:
        """Name what is in flight."""
        ended = {name for name, dispatch in self.seams.dispatches.items() if dispatch.ends}
        return [*self.seams.unfinished(), *self.journals.unpublished(), *self.money.left(ended)]

    def trace(self) -> list[str]:
        """Return the last things that happened, one line each."""
        return [f"{at:9.3f} {what if isinstance(what, str) else _line(what)}" for at, what in self.tail]


def _line(raw: RawRecord) -> str:
    place = f"{raw.topic}/{raw.partition}@{raw.offset}"
    if raw.topic.startswith("journal."):
        text = (raw.value or b"")[:90].decode("utf-8", "replace")
        return f"{place} {text}"
    said = envelope_of(raw)
    words = [str(said.get("type", "?"))]
    named = ("crossing", "id", "dispatch", "outcome", "rule", "what")
    words += [f"{name}={said[name]}" for name in named if said.get(name)]
    subject = said.get("subject")
    if subject:
        words.append(f"subject={subject['partition']}/{subject['offset']}#{subject.get('attempt', 1)}")
    return f"{place} {' '.join(words)}"
