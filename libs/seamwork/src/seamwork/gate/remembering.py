"""
Judge with a memory: a gate that keeps a journal, as ours do that remember anything.

Rule 1: what a function noted is kept together with what it said, or not at all; one that fails has noted nothing.
Rule 2: nobody is asked about a crossing whose sender, place, body and time are not proved: it must not change what
is remembered. And each is remembered for as long as it could be sent again.
Rule 3: one process remembers for the whole platform, because a customer or a team has no partition.
Rule 4: it is as late as the log says: a note is timed, and looked at, by when the log took the record at hand. So
what is judged late, or from the topics' beginning by a gate that is new, is judged as it would have been then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from seamwork.catalog import Context
from seamwork.decider import DECISIONS, Input, Tick
from seamwork.gate.asking import Asking, Question
from seamwork.gate.crossing import Crossing
from seamwork.gate.memory import Memory
from seamwork.gate.opinion import Opinion, deny
from seamwork.gate.remembered import (
    Event,
    Followed,
    Judged,
    Living,
    Remembered,
    due_by,
    machine,
    noted,
    place_of,
)
from seamwork.grants.entitlement import entitlement
from seamwork.grants.stamps import StampProblem
from seamwork.ids import sha256_hex
from seamwork.records.base import tag_of
from seamwork.records.crossing import Handoff, Plan, Result, content_digest
from seamwork.records.decision import AnyDecision
from seamwork.records.partition import partition_of
from seamwork.records.verdict import Verdict
from seamwork.records.wire import Received
from seamwork.runtime.spec import MachineSpec, Site

HORIZON_MS = 15 * 60 * 1000
"""How long after its end something may still be redelivered."""
DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, kw_only=True)
class Decision:
    """
    What the router decided. Tests make one of the fields that matter to them.

    Attributes:
        what: ``dispatched``, ``refused``, ``held``, ``accepted``, ``closed``, ``task-ended`` or another of those
            that the wire's page lists.
        task, crossing: What it concerns, empty where nothing. An id is its sender's: another may use the same.
        source: The agent that sent what was dispatched or refused, or whose answer was accepted; else empty.
        rule: By which rule.
        why: Why a dispatch was closed, empty of all others.
        outcome: Of what was accepted, or of a task that ended.
        receiver: The agent that got it, empty where nobody did.
        at: When the log took it (UTC).
    """

    what: str
    task: str = ""
    crossing: str = ""
    source: str = ""
    rule: str = ""
    why: str = ""
    outcome: str = ""
    receiver: str = ""
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)


Judge = Callable[[Crossing, Memory], Opinion]
"""What an author writes: it looks at nothing but the crossing and the memory."""
Follower = Callable[[Decision, Memory], None]
"""What an author may write besides: it notes what became of what was judged."""


class Remembering:
    """
    The core of a gate with a memory, but for what it remembers.

    Args:
        asking: Asks the function, and says what it said.
        judge: The function.
        follow: What notes the router's decisions; null where nothing does.
        site: The platform: signatures cover its id, and its partitions say where a record belongs.
    """

    def __init__(self, asking: Asking, judge: Judge, follow: Follower | None, site: Site) -> None:
        self._asking = asking
        self._judge = judge
        self._follow = follow
        self._site = site

    @property
    def spec(self) -> MachineSpec:
        """The machine that the runtime runs."""
        return machine(self._asking.name, self._decide, follows=self._follow is not None)

    def _decide(self, remembered: Remembered, given: Input, context: Context) -> Sequence[Event]:
        asked = self._asking.asked_for(given, context)
        if asked is not None:
            if remembered.seen.get(place_of(asked.subject), 0) >= asked.subject.attempt:
                return ()
            return (self._answered(remembered, asked, context),)
        match given:
            case Tick():
                return due_by(remembered, context.now)
            case Received(record=record) if isinstance(record, AnyDecision) and given.raw.topic == DECISIONS:
                return self._followed(remembered, record, given.raw.appended_at)
            case _:
                return ()

    def _answered(self, remembered: Remembered, asked: Question | Verdict, context: Context) -> Judged:
        if isinstance(asked, Verdict):
            return Judged(verdict=asked, until=context.now + HORIZON_MS)
        unproved = _unproved(asked, self._site, context)
        if unproved is not None:
            # It is over. Else whoever writes what nobody admits could have us remember it for a day.
            return Judged(
                verdict=self._asking.verdict(asked, unproved, context), until=context.now + HORIZON_MS
            )
        memory = Memory(Living(remembered, asked.asked_at))
        try:
            found: object = self._judge(asked.crossing, memory)
        except Exception as error:  # noqa: BLE001  # whatever it is, it was no opinion
            found = self._asking.failed(asked.crossing.id, error)
            memory = Memory()
        verdict = self._asking.verdict(asked, self._asking.checked(asked.crossing, found), context)
        content, place = _content(asked), place_of(asked.subject)
        is_first = isinstance(found, Opinion) and remembered.contents.get(content, place) == place
        notes = noted(memory.notes, asked.asked_at) if is_first else {}
        return Judged(
            verdict=verdict, content=content, notes=notes, until=asked.record.expires_at + HORIZON_MS
        )

    def _followed(self, remembered: Remembered, record: AnyDecision, at: int) -> Sequence[Event]:
        if self._follow is None:
            return ()
        memory = Memory(Living(remembered, at))
        try:
            self._follow(_shown(record, at), memory)
        except Exception as error:  # noqa: BLE001  # whatever it is, what it noted is half of something
            self._asking.failed(record.crossing or "", error)
            return ()
        return (Followed(notes=noted(memory.notes, at)),) if memory.notes else ()


def _unproved(asked: Question, site: Site, context: Context) -> Opinion | None:
    """Return why a crossing counts for nobody's task, or None where all of it is proved."""
    catalog, record, raw = context.catalog, asked.record, asked.received.raw
    stamp = entitlement(asked.received, record, site.platform, catalog.key)
    if isinstance(stamp, StampProblem):
        return deny("sender-not-proved", f"the gate was not asked about it: {stamp.reason} ({stamp.rule})")
    if asked.received.key != record.task or raw.partition != partition_of(raw.key or b"", site.partitions):
        # Else whoever sends a copy elsewhere first could have what is noted of the original dropped as a repeat.
        return deny(
            "misplaced", "the gate was not asked about it: it does not lie where its task's records do"
        )
    payload = asked.received.payload
    if len(payload) != record.payload_bytes or sha256_hex(payload) != record.payload_sha256:
        return deny(
            "payload-digest", "the gate was not asked about it: the body is not the one that was signed"
        )
    if not raw.appended_at <= record.expires_at <= raw.appended_at + DAY_MS:
        # Else it could be sent again when it has been forgotten.
        return deny("expired", "the gate was not asked about it: it has expired, or would in more than a day")
    root = catalog.agent(record.source) if stamp is None else None
    if stamp is None and (root is None or not root.spec.initiator):
        return deny("not-an-initiator", "a handoff without a stamp comes only from an agent marked initiator")
    return None


def _content(asked: Question) -> str:
    sent = asked.received.record
    assert isinstance(sent, Handoff | Result | Plan)  # noqa: S101  # or nobody is asked about it
    return f"{sent.source.agent} {sent.id} {content_digest(sent)}"


def _shown(record: AnyDecision, appended_at: int) -> Decision:
    source, receiver = getattr(record, "source", None), getattr(record, "receiver", None)
    return Decision(
        what=tag_of(record),
        task=record.task or "",
        crossing=record.crossing or "",
        source="" if source is None else source.agent,
        rule=record.rule,
        why=getattr(record, "why", ""),
        outcome=getattr(record, "outcome", ""),
        receiver="" if receiver is None else receiver.agent,
        at=datetime.fromtimestamp(appended_at / 1000, UTC),
    )
