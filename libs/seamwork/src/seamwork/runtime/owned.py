"""
Run one owned partition: gather inputs, decide, append, publish; one batch is one commit.

Rule 1: a batch's time and catalog are fixed before the core sees the first of its inputs.
Rule 2: nothing new is read before everything that the journal promised is published.
Rule 3: what can never be published, or read, is the core's business (``Undeliverable``), unless the topic is one
        that the platform itself needs; then we are set up wrongly, and stop.
Rule 4: a batch from which nothing is to be published stays open for a moment, so that what comes next shares its
        append. Nobody has heard of it: a crash means that its inputs are read and decided again.
Rule 5: what one input leads to is in one commit. Where it does not fit, the core is told so in the input's place,
        and the record is set aside; whether it fits does not depend on what else is in the batch.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from seamwork.bus.port import Log, Partition, Rejected
from seamwork.catalog import Catalog, Context
from seamwork.clock import Clock
from seamwork.decider import (
    CatalogChanged,
    HealthChanged,
    Input,
    Output,
    Tick,
    TooMuch,
    Undeliverable,
    WithCrossing,
    kind_of,
    set_aside,
)
from seamwork.errors import MisconfiguredError, OutcomeUnknownError, SeamworkError
from seamwork.journal import Commit, Emitted, Journal, Taken
from seamwork.journal.records import Mark
from seamwork.records.base import Envelope, tag_of
from seamwork.records.envelope import MAX_ENVELOPE_BYTES
from seamwork.records.wire import Outgoing, RawRecord, Received, read
from seamwork.runtime.cache import RecordCache
from seamwork.runtime.metrics import Metrics
from seamwork.runtime.outgoing import Composer, cause_trace
from seamwork.runtime.spec import MachineSpec, crossing_of
from seamwork.runtime.stamps import Stamps
from seamwork.runtime.telling import tell

SOFT_BYTES = 2 * 1024 * 1024  # a batch ends with the input that passes this; the record takes 7 MiB
_MOST_HELD_BYTES = 8 * 1024 * 1024
"""Of payloads in one batch: of those that came and are to be decided, and of those that go out with it."""
_MOST_BUFFERED_BYTES = 2 * 1024 * 1024
"""Of payloads that wait in one partition's buffer; a fetch brings half of it."""
_TRIES = 5
_PAUSE_S = 0.1
_IDLE_S = 1.0
_POSITIONS_ONLY_S = 1.0  # as lazily as a group's offsets: nothing is lost but reading again
_STUCK_TIMER_S = 1.0
_SHARE_PAUSE_S = 0.005
"""Between two shares of a snapshot, which take a millisecond each: for all else that lives in this process."""
MAX_TAIL_BYTES = 96 * 1024 * 1024
"""Of commits behind a snapshot: to read them again takes one to three seconds."""
_NEVER_MS = 2**53
"""When a timer rings at the latest: instants come out of records, where a whole number may have any length."""
_INBOX = "inbox."
_MAX_BOUNCES = 20  # each in answer to the one before
_encoder = msgspec.json.Encoder()

Feeds = Callable[[Catalog], Awaitable[Sequence[Partition]]]
"""Says which partitions a catalog asks to be read; a topic that is not there yet is left out."""


class _About(msgspec.Struct):
    """What an output that cannot be published says of itself, whatever else it says."""

    task: str | None = None
    crossing: str | None = None
    dispatch: str | None = None


class Given(msgspec.Struct):
    """One input on its way to the core; *source* is the buffer it lies in."""

    input: Input
    taken: Taken
    source: Partition | None = None
    appended_at: int | None = None


class Made(msgspec.Struct):
    """
    What the core makes of one input: the events *found*, and all of it as it will be written.

    *size* is about how long that is, *written* exactly.
    """

    found: tuple[Any, ...]
    events: list[msgspec.Raw] = []
    outputs: list[Emitted] = []
    records: list[Envelope | None] = []
    size: int = 0

    def encode(self, event: Any) -> None:
        """Write an event."""
        encoded = _encoder.encode(event)
        self.events.append(msgspec.Raw(encoded))
        self.size += len(encoded)

    def say(self, emitted: Emitted, output: Output) -> None:
        """Add an output, made final."""
        self.outputs.append(emitted)
        self.records.append(getattr(output, "record", None))
        self.size += len(emitted.envelope) + len(emitted.payload) + 300

    @property
    def written(self) -> int:
        """How many bytes of a commit it takes."""
        return _written(self.events, self.outputs)


@dataclass(slots=True)
class Batch:
    """What will be one commit: inputs, in the order in which they were decided, and what they led to."""

    context: Context
    begun: float
    positions: dict[Partition, int]
    given: list[Given] = field(default_factory=list)
    events: list[msgspec.Raw] = field(default_factory=list)
    outputs: list[Emitted] = field(default_factory=list)
    records: list[Envelope | None] = field(default_factory=list)
    size: int = 0
    held: int = 0
    decide_s: float = 0.0
    pressing: bool = False

    def add(self, made: "Made", patient: Container[str]) -> None:
        """Take in what one input led to; nobody waits for a record whose kind is *patient*."""
        self.pressing = self.pressing or not all(
            record is not None and tag_of(record) in patient for record in made.records
        )
        self.events += made.events
        self.outputs += made.outputs
        self.records += made.records
        self.size += made.size

    def may_wait(self, hold_s: float, max_inputs: int) -> bool:
        """Whether nobody waits for what it publishes, and it is neither large nor of the platform's own."""
        return (
            hold_s > 0
            and not self.pressing
            and len(self.given) < max_inputs
            and self.size <= SOFT_BYTES
            and self.held <= _MOST_HELD_BYTES
            and all(one.source is not None for one in self.given)
        )

    def until(self, hold_s: float) -> float:
        """Return the instant (the event loop's) up to which it may wait for company."""
        return self.begun + (hold_s if self.events else _POSITIONS_ONLY_S)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What all partitions of one machine share."""

    log: Log
    clock: Clock
    platform: str
    crossings: RecordCache
    composer: Composer
    catalog: Callable[[], Catalog]
    metrics: Metrics
    note_position: Callable[[Partition, int], None]


class Owned:
    """One partition of one machine, restored and running. Its partitions to read are those of *feeds*."""

    def __init__(
        self,
        spec: MachineSpec,
        journal: Journal[Any, Any],
        around: Surroundings,
        feeds: Feeds,
    ) -> None:
        self.spec = spec
        self.journal = journal
        self._around = around
        self._decider = spec.decider
        self._stamps = Stamps(around.metrics, around.clock, around.crossings)
        self._feeds = feeds
        self._buffers: dict[Partition, deque[RawRecord]] = {}
        self._buffered: dict[Partition, int] = {}
        self._positions = {_partition(name): at for name, at in journal.positions.items()}
        self._fetched: dict[Partition, int] = {}
        self._open: Batch | None = None
        self._undeliverable: list[Undeliverable] = []
        self._given_up: set[tuple[Mark, int]] = set()
        self._unmarked = journal.published
        self._bounces: dict[Mark, int] = {}
        self._health: HealthChanged | None = None
        self._look_again = False
        self._tick_ends: dict[Partition, int] | None = None
        self._tick_not_before = 0.0
        self._wake = asyncio.Event()
        self._stopping = False
        self._since_snapshot = journal.replayed
        self._share_at_s = 0.0
        self._logger = structlog.get_logger("machine").bind(
            machine=spec.decider.name, partition=journal.place.number
        )
        self.last_progress = time.monotonic()
        self.stepping = False
        self.hungry: Callable[[], None] = lambda: None

    @property
    def positions(self) -> dict[Partition, int]:
        """The next offsets, as of the last commit."""
        return self._positions

    @property
    def backlog(self) -> int:
        """How many records lie here undecided."""
        return sum(map(len, tuple(self._buffers.values()))) + len(self._undeliverable)

    @property
    def sizes(self) -> Mapping[str, int]:
        """How much of what the state holds."""
        return self._decider.sizes(self.journal.state)

    @property
    def at_work(self) -> bool:
        """Whether a step is under way, or must be: what comes meanwhile is for the next."""
        return self.stepping or any(self._buffers.values())

    async def open_feeds(self) -> None:
        """
        Begin reading what the spec names by now; a topic new to the journal is read from its start.

        While it runs nothing else calls it but a step: two at once would lose positions and read records twice.
        """
        self._look_again = False
        wanted = [at for at in await self._feeds(self._around.catalog()) if at not in self._fetched]
        unread = [at for at in wanted if at not in self._positions]
        starts = await self._around.log.start_offsets(unread) if unread else {}
        for at in wanted:
            position = self._positions.setdefault(at, starts.get(at, 0))
            self._fetched[at] = position
            self._buffers[at] = deque()
            self._buffered[at] = 0
            if starts.get(at, 0):
                self._logger.warning("reading-from-trimmed-start", topic=at.topic, position=position)
        if wanted:
            self._tick_ends = None  # they know nothing of what has joined
        self.hungry()

    def wants(self) -> Iterable[tuple[Partition, int]]:
        """Say what to fetch next: all but the partitions whose buffers are full."""
        full = self.spec.max_batch
        return (
            (at, position)
            for at, position in self._fetched.items()
            if len(self._buffers[at]) < full and self._buffered[at] < _MOST_BUFFERED_BYTES
        )

    def offer(self, at: Partition, records: Sequence[RawRecord]) -> None:
        """Take records that were fetched; those already here are passed over."""
        expected = self._fetched[at]
        fresh = [raw for raw in records if raw.offset >= expected]
        if not fresh:
            return
        for raw in fresh:
            self._around.crossings.put(raw)
        self._stamps.taken(fresh)
        self._buffers[at].extend(fresh)
        self._buffered[at] += sum(len(raw.value or b"") for raw in fresh)
        self._fetched[at] = fresh[-1].offset + 1
        self._wake.set()

    def health(self, changed: HealthChanged) -> None:
        """Let the core know at the next step; only the latest counts."""
        self._health = changed
        self._wake.set()

    def nudge(self) -> None:
        """Look again: the catalog moved, or it is time to stop."""
        self._wake.set()

    def look_again(self) -> None:
        """Open what was missing: a topic that the catalog names has come."""
        self._look_again = True
        self._wake.set()

    def stop(self) -> None:
        """Finish the step that runs, and return from `run`."""
        self._stopping = True
        self._wake.set()

    def resume(self) -> None:
        """Take back what `stop` asked for: the partition was handed straight back."""
        self._stopping = False

    async def republish(self) -> None:
        """Publish what the journal promises and nobody confirmed, before anything new is read."""
        # What bounced may be answered over several commits; what the core was told of as lost stays lost.
        bodies = (taken.body for commit in self.journal.pending for taken in commit.inputs)
        self._given_up = {
            ((body.epoch, body.seq), body.index) for body in bodies if isinstance(body, Undeliverable)
        }
        while self.journal.pending:
            commit = self.journal.pending.popleft()
            await self._publish(commit, [None] * len(commit.outputs))

    async def run(self) -> None:
        """Step until stopped; sleep until there is something to do."""
        while not self._stopping:
            self._wake.clear()
            self.stepping = True
            stepped = await self.step()
            self.stepping = False
            if stepped:
                self.hungry()
            if not (stepped and self._has_more):
                await self._rest()
        await self.settle()

    @property
    def _has_more(self) -> bool:
        """Whether the next step has something to do already; what comes later wakes us."""
        return (
            any(self._buffers.values())
            or bool(self._undeliverable)
            or self._health is not None
            or self._look_again
            or self._tick_ends is not None
            or self._share_is_due
            or self._around.catalog().revision != self.journal.catalog
        )

    async def _rest(self) -> None:
        """Sleep until something comes, or a timer may be due."""
        alarm = asyncio.get_running_loop().call_later(self._idle_s(), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            alarm.cancel()

    async def step(self) -> bool:
        """Take what is there and make at most one commit; say whether anything was done."""
        catalog = self._around.catalog()
        now = max(self._around.clock.now_ms(), self.journal.now)
        await self._begin_tick(now)
        tick = self._tick(now)
        if (tick is not None or self._must_close(catalog)) and await self.settle():
            return True
        # A commit takes the revision that it was decided at: what is new to the core it hears of before it rings.
        if tick is not None and catalog.revision == self.journal.catalog:
            return await self._ring(tick, Context(now, catalog))
        batch = self._open or Batch(Context(now, catalog), _loop_s(), dict(self._positions))
        given = await self._gather(batch)
        self.last_progress = time.monotonic()
        if not given:
            return await self._write_on()
        if not batch.events:
            # What led to nothing is bound to no instant; what comes now is decided by the present one.
            batch.context = Context(now, catalog)
        quiet = not batch.events
        full = self._decide(batch, given)
        if quiet and batch.events:
            batch.begun = _loop_s()
        if not full and batch.may_wait(self.spec.hold_s, self.spec.max_batch):
            self._open = batch
        else:
            self._open = None
            await self._finish(batch)
        return True

    async def settle(self) -> bool:
        """Commit what is held open; say whether there was anything."""
        batch, self._open = self._open, None
        if batch is None:
            return False
        await self._finish(batch)
        return True

    def _must_close(self, catalog: Catalog) -> bool:
        batch = self._open
        if batch is None:
            return False
        return (
            catalog.revision != batch.context.catalog.revision
            or _loop_s() >= batch.until(self.spec.hold_s)
            or bool(self._undeliverable)
            or self._health is not None
            or self._look_again
        )

    async def _ring(self, tick: Given, context: Context) -> bool:
        batch = Batch(context, _loop_s(), dict(self._positions))
        self._decide(batch, [tick])
        self._tick_ends = None
        if not batch.events:
            self._logger.warning("timer-stuck", due=self._due)
            self._tick_not_before = time.monotonic() + _STUCK_TIMER_S
            return False
        self._around.metrics.count("seamwork_ticks")
        await self._finish(batch)
        return True

    async def _finish(self, batch: Batch) -> None:
        decided = time.perf_counter()
        concerned = self._stamps.concerned(batch.outputs, batch.records)
        self._stamps.reached("decided", concerned)
        commit = await self._commit(batch)
        committed = time.perf_counter()
        self._stamps.reached("journalled", concerned)
        await self._publish(commit, batch.records)
        self._stamps.reached("out", concerned)
        for record in batch.records:
            tell(self._logger, record)
        self._measure(batch, commit, (decided, committed))
        await self._snapshot()
        self.last_progress = time.monotonic()

    # ── Inputs ───────────────────────────────────────────────────────────────────────────

    async def _gather(self, batch: Batch) -> list[Given]:
        given: list[Given] = []
        revision = batch.context.catalog.revision
        begins = self._open is None
        moved = begins and revision != self.journal.catalog
        if moved or (begins and self._look_again):
            await self.open_feeds()
            batch.positions = dict(self._positions)
        if moved:
            changed = CatalogChanged(revision=revision)
            # Before all else: what the batch leaves for the next one finds a journal that knows of this revision.
            given.append(Given(input=changed, taken=_taken_body(changed)))
        given += [Given(input=one, taken=_taken_body(one)) for one in self._undeliverable]
        if self._health is not None:
            given.append(Given(input=self._health, taken=_taken_body(self._health)))
        if self._undeliverable:
            return given  # no records beside them: what bounces then is an answer to what bounced before
        # The whole batch first: while a crossing is read again, more records come into the buffers.
        read_now = [self._read(at, raw) for at, raw in self._records()]
        return given + await self._bring(read_now)

    def _records(self) -> Iterable[tuple[Partition, RawRecord]]:
        # A share for each partition that has something, so that a busy topic starves no other; within a partition
        # the log's order, across them that of the spec, and the commit says which it was.
        ready = [(at, buffer) for at, buffer in self._buffers.items() if buffer]
        room = self.spec.max_batch - (0 if self._open is None else len(self._open.given))
        for left, (at, buffer) in zip(range(len(ready), 0, -1), ready, strict=True):
            share = min(len(buffer), max(1, room // left))
            room -= share
            for raw in itertools.islice(buffer, share):
                yield at, raw

    def _read(self, at: Partition, raw: RawRecord) -> Given:
        received = read(raw, self._around.platform)
        taken = Taken(topic=raw.topic, partition=raw.partition, offset=raw.offset, digest=received.digest)
        return Given(received, taken, source=at, appended_at=raw.appended_at)

    async def _bring(self, given: list[Given]) -> list[Given]:
        """
        Put beside each record the crossing that the core wants to see with it, if there is one.

        Returns as many as may be held at once: crossings may be large, and what is left comes with the next batch.
        """
        needed = {
            number: position
            for number, one in enumerate(given)
            if (position := crossing_of(self.spec.needs_crossing, one.input)) is not None
        }
        crossings, room = self._around.crossings.along(needed.values()), _MOST_HELD_BYTES
        for number, position in needed.items():
            if room <= 0:
                return given[:number]
            one, crossing = given[number], await crossings.next()
            if crossing is not None and isinstance(one.input, Received):
                one.input = WithCrossing(one.input, read(crossing, self._around.platform))
                one.taken = msgspec.structs.replace(one.taken, crossing=position)
                room -= len(crossing.value or b"")
        return given

    @property
    def _due(self) -> int | None:
        """When the core's next timer rings, within what can be reckoned with; null where none is set."""
        due = self._decider.timer(self.journal.state)
        return None if due is None else min(max(due, 0), _NEVER_MS)

    async def _begin_tick(self, now: int) -> None:
        if self._tick_ends is not None:
            return
        due = self._due
        if due is not None and due <= now and time.monotonic() >= self._tick_not_before:
            # Read after the timer fell due: no deadline fires over a record that lies unread.
            self._tick_ends = await self._around.log.end_offsets(list(self._fetched))

    def _tick(self, now: int) -> Given | None:
        ends = self._tick_ends
        taken = self._positions if self._open is None else self._open.positions
        if ends is None or self._undeliverable or any(taken.get(at, 0) < end for at, end in ends.items()):
            return None
        due = self._due
        if due is None or due > now:
            self._tick_ends = None  # what was read meanwhile settled it
            return None
        tick = Tick(read_to={_name(at): end for at, end in ends.items()})
        return Given(input=tick, taken=_taken_body(tick))

    def _idle_s(self) -> float:
        most_s = _IDLE_S
        if self._open is not None:
            most_s = max(0.0, self._open.until(self.spec.hold_s) - _loop_s())
        if self.journal.writing:
            most_s = min(most_s, max(0.0, self._share_at_s - _loop_s()))
        due = self._due
        if due is None or self._tick_ends is not None:
            return most_s
        wait_s = max((due - self._around.clock.now_ms()) / 1000, self._tick_not_before - time.monotonic())
        return min(most_s, max(0.0, wait_s))

    # ── The core ─────────────────────────────────────────────────────────────────────────

    def _decide(self, batch: Batch, given: list[Given]) -> bool:
        """Decide on what is given, on the first of it at least, and say whether the batch takes no more."""
        full = False
        started = time.perf_counter()
        evolve = self._decider.evolve
        state = self.journal.state
        for one in given:
            full = batch.size > SOFT_BYTES
            if full:
                break
            made = self._made(state, one.input, batch.context)
            # A record is at most twice as long as what it is made of: quotes are escaped, bodies are base64.
            if 2 * (batch.size + made.size) > self.spec.max_commit_bytes:
                full = bool(batch.given)
                if full:
                    break  # it gets a commit of its own
                made = self._that_fits(state, one, made, batch)
            self._take(batch, one)
            if made.size:
                batch.add(made, self.spec.patient)
            for event in made.found:
                state = evolve(state, event)
        self.journal.state = state
        batch.decide_s += time.perf_counter() - started
        return full

    def _made(self, state: Any, given: Input, context: Context) -> Made:
        """Let the core decide, and encode all that follows, before any of it happens."""
        made = Made(tuple(self._decider.decide(state, given, context)))
        if made.found:
            trace = cause_trace(given)
            for event in made.found:
                made.encode(event)
                for output in self._decider.outputs(event):
                    made.say(self._around.composer.resolve(output, trace), output)
        return made

    def _that_fits(self, state: Any, one: Given, made: Made, batch: Batch) -> Made:
        """Return *made* if the commit holds it, else what the core makes of less, or of being told of it."""
        room = self.spec.max_commit_bytes - _written(batch.events, batch.outputs)
        if made.written <= room:
            return made
        if isinstance(one.input, Tick) and one.input.most != 1:
            one.input = msgspec.structs.replace(one.input, most=1)
            one.taken = _taken_body(one.input)
            return self._that_fits(state, one, self._made(state, one.input, batch.context), batch)
        size = made.written
        told = TooMuch(one.input, size)  # type: ignore[arg-type]  # it is never told twice
        self._logger.error(
            "too-much", input=kind_of(one.input), topic=one.taken.topic, offset=one.taken.offset, size=size
        )
        self._around.metrics.count("seamwork_too_much")
        one.input, one.taken = told, msgspec.structs.replace(one.taken, too_much=size)
        made = self._made(state, told, batch.context)
        aside = set_aside(told, self._decider.name, batch.context.now)
        if aside is not None:
            made.say(self._around.composer.resolve(aside, cause_trace(told)), aside)
        return made

    def _take(self, batch: Batch, one: Given) -> None:
        batch.given.append(one)
        if one.source is not None:
            batch.positions[one.source] = one.taken.offset + 1
            taken = len(self._buffers[one.source].popleft().value or b"")
            self._buffered[one.source] -= taken
            batch.held += taken
            if isinstance(one.input, WithCrossing):
                batch.held += len(one.input.crossing.raw.value or b"")
        elif isinstance(one.taken.body, HealthChanged) and one.taken.body is self._health:
            self._health = None

    # ── The journal ──────────────────────────────────────────────────────────────────────

    async def _commit(self, batch: Batch) -> Commit:
        answered = [given for one in batch.given if (given := _undeliverable(one.input)) is not None]
        if answered and len(answered) == len(self._undeliverable):
            self.journal.published = self._unmarked  # these inputs stand in for what could not be published
        commit = await self.journal.commit(
            now=batch.context.now,
            catalog=batch.context.catalog.revision,
            inputs=[one.taken for one in batch.given],
            positions={_name(at): position for at, position in batch.positions.items()},
            events=batch.events,
            outputs=batch.outputs,
        )
        self._positions = batch.positions
        for given in answered:
            self._undeliverable.remove(given)
        if self.spec.lead is not None:
            at = Partition(self.spec.lead, self.journal.place.number)
            self._around.note_position(at, batch.positions.get(at, 0))
        return commit

    async def _publish(self, commit: Commit, records: Sequence[Envelope | None]) -> None:
        if commit.outputs:
            place = self.journal.place
            stem = f"{place.journal_topic}/{place.number}/{commit.epoch}/{commit.seq}"
            outputs = commit.outputs
            crossings = self._around.crossings.along(
                emitted.forward for emitted in outputs if emitted.forward is not None
            )
            batch: dict[int, Outgoing] = {}
            held = 0
            for index, (emitted, record) in enumerate(zip(outputs, records, strict=True)):
                if emitted.forward is not None:
                    await crossings.next()  # at hand now, or gone for good
                if (commit.mark, index) in self._given_up:
                    continue
                if len(emitted.envelope) > MAX_ENVELOPE_BYTES:
                    # Nobody could read it, we neither when it is published again.
                    self._undeliverable.append(self._cannot(commit, index, "too-large"))
                    continue
                batch[index] = await self._around.composer.compose(emitted, f"{stem}/{index}", record)
                held += len(batch[index].value or b"")
                if held > _MOST_HELD_BYTES:
                    await self._publish_some(commit, batch)
                    batch, held = {}, 0
            if batch:
                await self._publish_some(commit, batch)
            self._refuse_bouncing(commit)
        self._unmarked = commit.mark
        if not self._undeliverable:
            self.journal.published = commit.mark

    async def _publish_some(self, commit: Commit, batch: dict[int, Outgoing]) -> None:
        """Publish some of a commit's outputs, by their numbers."""
        numbers = list(batch)
        rejected = await self._confirmed(list(batch.values()))
        self._undeliverable += [self._cannot(commit, numbers[index], error) for index, error in rejected]

    def _refuse_bouncing(self, commit: Commit) -> None:
        answered = [taken.body for taken in commit.inputs if isinstance(taken.body, Undeliverable)]
        before = max((self._bounces.get((one.epoch, one.seq), 0) for one in answered), default=-1)
        known = self._bounces | {commit.mark: before + 1}
        bounced = {(one.epoch, one.seq) for one in self._undeliverable}
        self._bounces = {mark: known.get(mark, 0) for mark in bounced}
        if self._bounces.get(commit.mark, 0) > _MAX_BOUNCES:
            raise SeamworkError(
                f"{self._decider.name} answers each undeliverable output with another one, the last to "
                f"{self._undeliverable[-1].topic}; that is a bug of the machine"
            )

    async def _confirmed(self, batch: list[Outgoing]) -> list[tuple[int, str]]:
        for tried in range(1, _TRIES + 1):
            try:
                answers = await self._around.log.publish(batch)
                break
            except OutcomeUnknownError:
                if tried == _TRIES:
                    raise
                self._logger.warning("publish-unknown", tried=tried)
                await asyncio.sleep(_PAUSE_S * tried)
        confirmed = [
            (out.topic,)
            for out, answer in zip(batch, answers, strict=True)
            if not isinstance(answer, Rejected)
        ]
        self._around.metrics.count_each("seamwork_outputs", confirmed)
        return [(index, answer.error) for index, answer in enumerate(answers) if isinstance(answer, Rejected)]

    def _cannot(self, commit: Commit, index: int, error: str) -> Undeliverable:
        emitted = commit.outputs[index]
        if error != "too-large" and not emitted.topic.startswith(_INBOX):
            raise MisconfiguredError(
                f"{self._decider.name} cannot write to {emitted.topic} ({error}); the platform's topics and rights "
                "are incomplete: run `seamwork up`, or the registrar, again"
            )
        self._around.metrics.count("seamwork_undeliverable", error)
        self._logger.error("undeliverable", topic=emitted.topic, error=error, seq=commit.seq, index=index)
        about = msgspec.json.decode(emitted.envelope, type=_About) if emitted.envelope else _About()
        return Undeliverable(
            epoch=commit.epoch,
            seq=commit.seq,
            index=index,
            topic=emitted.topic,
            error=error,
            task=about.task,
            crossing=about.crossing,
            dispatch=about.dispatch,
        )

    async def _snapshot(self) -> None:
        self._since_snapshot += 1
        tail, worth_it = self.journal.tail_bytes, self.spec.snapshot_tail * self.journal.snapshot_bytes
        often = self._since_snapshot >= self.spec.snapshot_every
        due = (often and tail >= worth_it) or tail >= MAX_TAIL_BYTES
        if due and not self._undeliverable and not self.journal.writing:
            self._since_snapshot = 0
            self.journal.begin_snapshot()
        await self._write_on()

    @property
    def _share_is_due(self) -> bool:
        return self.journal.writing and _loop_s() >= self._share_at_s

    async def _write_on(self) -> bool:
        """Write a share of the snapshot that is under way, if it is time for one; say whether it was."""
        if not self._share_is_due:
            return False
        started = time.perf_counter()
        try:
            whole = await self.journal.write_on(self.spec.snapshot_share)
        except OutcomeUnknownError as error:
            self._logger.warning("snapshot-unknown", error=str(error))
            whole = False
        self._around.metrics.observe("seamwork_stage_seconds", time.perf_counter() - started, "snapshot")
        self._share_at_s = _loop_s() + _SHARE_PAUSE_S
        await asyncio.sleep(0)  # whoever else lives in this process goes on, too
        if whole:
            self._around.metrics.count("seamwork_snapshots")
        return True

    def _measure(self, batch: Batch, commit: Commit, at: tuple[float, float]) -> None:
        metrics = self._around.metrics
        decided, committed = at
        published = time.perf_counter()
        metrics.observe("seamwork_stage_seconds", batch.decide_s, "decide")
        metrics.observe("seamwork_stage_seconds", committed - decided, "append")
        metrics.observe("seamwork_stage_seconds", published - committed, "publish")
        metrics.observe("seamwork_batch_inputs", len(batch.given))
        metrics.observe("seamwork_commit_bytes", batch.size)
        metrics.set("seamwork_lag_records", self.backlog, str(self.journal.place.number))
        for of, number in self.sizes.items():
            metrics.set("seamwork_remembered", number, str(self.journal.place.number), of)
        now = self._around.clock.now_ms()
        kinds = [(one.taken.topic, kind_of(one.input)) for one in batch.given]
        metrics.count_each("seamwork_crossings", kinds)
        oldest = min((one.appended_at for one in batch.given if one.appended_at is not None), default=None)
        if oldest is not None:
            metrics.observe("seamwork_input_age_seconds", max(0, now - oldest) / 1000)
        self._logger.debug("committed", seq=commit.seq, inputs=len(batch.given), outputs=len(commit.outputs))


def _undeliverable(given: Input | TooMuch) -> Undeliverable | None:
    """Return the output that bounced, where the core is given one or told that it is too much."""
    bounced = given.given if isinstance(given, TooMuch) else given
    return bounced if isinstance(bounced, Undeliverable) else None


def _written(events: Sequence[msgspec.Raw], outputs: Sequence[Emitted]) -> int:
    """Return how many bytes these take in a record, commas too."""
    return sum(len(bytes(event)) + 1 for event in events) + sum(
        len(_encoder.encode(one)) + 1 for one in outputs
    )


def _loop_s() -> float:
    return asyncio.get_running_loop().time()  # by which it sleeps, too


def _taken_body(body: Tick | CatalogChanged | HealthChanged | Undeliverable) -> Taken:
    return Taken(body=body)


def _name(at: Partition) -> str:
    return f"{at.topic}/{at.partition}"


def _partition(name: str) -> Partition:
    topic, _, number = name.rpartition("/")
    if not topic or not number.isdigit():
        raise SeamworkError(f"a journal names the position {name!r}, which is no topic and partition")
    return Partition(topic, int(number))
