"""
Run one owned partition: gather inputs, decide, append, publish; one batch is one commit.

Rule 1: a batch's time and catalog are fixed before the core sees the first of its inputs.
Rule 2: nothing new is read before everything that the journal promised is published (``delivery``).
Rule 3: a batch from which nothing is to be published stays open for a moment, so that what comes next shares its
        append. Nobody has heard of it: a crash means that its inputs are read and decided again.
Rule 4: what one input leads to is in one commit. Where it does not fit, the core is told so in the input's place,
        and the record is set aside; whether it fits does not depend on what else is in the batch.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from seamwork.bus.port import Partition
from seamwork.catalog import Catalog, Context
from seamwork.decider import (
    CatalogChanged,
    HealthChanged,
    Input,
    Tick,
    TooMuch,
    Undeliverable,
    kind_of,
    set_aside,
)
from seamwork.errors import OutcomeUnknownError, RetryableError
from seamwork.journal import Commit, Journal, Taken
from seamwork.records.wire import RawRecord
from seamwork.runtime.batch import SOFT_BYTES, Batch, Given, Made, given_body
from seamwork.runtime.delivery import Delivery
from seamwork.runtime.intake import Feeds, Intake
from seamwork.runtime.outgoing import cause_trace
from seamwork.runtime.spec import MachineSpec
from seamwork.runtime.stamps import Stamps
from seamwork.runtime.surroundings import Surroundings

_IDLE_S = 1.0
_STUCK_TIMER_S = 1.0
_MARKER_S, _LOOK_S = 5.0, 0.5
"""What lies unread is read in less, unless its broker is away. To look whether anything does takes an instant."""
_SHARE_PAUSE_S = 0.005
"""Between two shares of a snapshot, which take a millisecond each: for all else that lives in this process."""
MAX_TAIL_BYTES = 96 * 1024 * 1024
"""Of commits behind a snapshot: to read them again takes one to three seconds."""
_NEVER_MS = 2**53
"""When a timer rings at the latest: instants come out of records, where a whole number may have any length."""


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
        self._intake = Intake(spec, around, feeds, journal.positions)
        self._delivery = Delivery(journal, around, spec.decider.name)
        self._open: Batch | None = None
        self._health: HealthChanged | None = None
        self._look_again = False
        self._tick_ends: dict[Partition, int] | None = None
        self._tick_looks_at = 0.0
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
        return self._intake.positions

    @property
    def reading(self) -> dict[Partition, int]:
        """The same of what is being read; a journal remembers topics that nobody asks for any more."""
        return {at: self._intake.positions[at] for at in self._intake.partitions}

    @property
    def backlog(self) -> int:
        """How many records lie here undecided."""
        return self._intake.backlog + len(self._delivery.bounced)

    @property
    def sizes(self) -> Mapping[str, int]:
        """How much of what the state holds."""
        return self._decider.sizes(self.journal.state)

    @property
    def at_work(self) -> bool:
        """Whether a step is under way, or must be: what comes meanwhile is for the next."""
        return self.stepping or self._intake.waiting

    async def open_feeds(self) -> None:
        """
        Begin reading what the spec names by now; a topic new to the journal is read from its start.

        While it runs nothing else calls it but a step: two at once would lose positions and read records twice.
        """
        self._look_again = False
        if await self._intake.open(self._around.catalog()):
            self._tick_ends = None  # they know nothing of what has joined
        self.hungry()

    def wants(self) -> Iterable[tuple[Partition, int]]:
        """Say what to fetch next: all but the partitions whose buffers are full."""
        return self._intake.wants()

    def offer(self, at: Partition, records: Sequence[RawRecord]) -> None:
        """Take records that were fetched; those already here are passed over."""
        fresh = self._intake.offer(at, records)
        if fresh:
            self._stamps.taken(fresh)
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
        await self._delivery.republish()

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
            self._intake.waiting
            or bool(self._delivery.bounced)
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
        await self._pass_markers()
        tick = self._tick(now)
        if (tick is not None or self._must_close(catalog)) and await self.settle():
            return True
        # A commit takes the revision that it was decided at: what is new to the core it hears of before it rings.
        if tick is not None and catalog.revision == self.journal.catalog:
            return await self._ring(tick, Context(now, catalog))
        batch = self._open or Batch(Context(now, catalog), _loop_s(), dict(self._intake.positions))
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
            or bool(self._delivery.bounced)
            or self._health is not None
            or self._look_again
        )

    async def _ring(self, tick: Given, context: Context) -> bool:
        batch = Batch(context, _loop_s(), dict(self._intake.positions))
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
        await self._delivery.publish(commit, batch.records)
        self._stamps.reached("out", concerned)
        self._around.teller.tell(batch.records, self._logger)
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
            batch.positions = dict(self._intake.positions)
        if moved:
            changed = CatalogChanged(revision=revision)
            # Before all else: what the batch leaves for the next one finds a journal that knows of this revision.
            given.append(given_body(changed))
        given += map(given_body, self._delivery.bounced)
        if self._health is not None:
            given.append(given_body(self._health))
        if self._delivery.bounced:
            return given  # no records beside them: what bounces then is an answer to what bounced before
        room = self.spec.max_batch - (0 if self._open is None else len(self._open.given))
        return given + await self._intake.gather(room)

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
            self._tick_ends = await self._around.log.end_offsets(self._intake.partitions)
            self._tick_looks_at = _loop_s() + _MARKER_S

    async def _pass_markers(self) -> None:
        """
        Take for read what holds no record.

        The marker of a transaction takes an offset, and no reader is ever given it: where it is the last, a timer
        would wait for it until something else comes.
        """
        ends = self._tick_ends
        if ends is None or _loop_s() < self._tick_looks_at:
            return
        # What is away is not waited for: there may be work from elsewhere, and the reader ends us if it stays away.
        with contextlib.suppress(TimeoutError, RetryableError):
            async with asyncio.timeout(_LOOK_S):
                log, ahead = self._around.log, self._intake.ahead(ends)
                known = await log.end_offsets(list(ahead)) if ahead else {}
                for at, position in ahead.items():
                    # Whoever leads by now may know of less for a while, and has nothing there either.
                    if known[at] >= ends[at] and not await log.read(at, position, ends[at], most_bytes=1):
                        ends[at] = position
        self._tick_looks_at = _loop_s() + _MARKER_S

    def _tick(self, now: int) -> Given | None:
        ends = self._tick_ends
        taken = self._intake.positions if self._open is None else self._open.positions
        if ends is None or self._delivery.bounced or any(taken.get(at, 0) < end for at, end in ends.items()):
            return None
        due = self._due
        if due is None or due > now:
            self._tick_ends = None  # what was read meanwhile settled it
            return None
        return given_body(Tick(read_to={at.name: end for at, end in ends.items()}))

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
        room = self.spec.max_commit_bytes - batch.written
        if made.written <= room:
            return made
        if isinstance(one.input, Tick) and one.input.most != 1:
            alone = msgspec.structs.replace(one.input, most=1)
            one.input, one.taken = alone, Taken(body=alone)
            return self._that_fits(state, one, self._made(state, alone, batch.context), batch)
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
            batch.held += self._intake.taken(one, one.source)
        elif isinstance(one.taken.body, HealthChanged) and one.taken.body is self._health:
            self._health = None

    # ── The journal ──────────────────────────────────────────────────────────────────────

    async def _commit(self, batch: Batch) -> Commit:
        answered = [given for one in batch.given if (given := _undeliverable(one.input)) is not None]
        self._delivery.answering(answered)
        commit = await self.journal.commit(
            now=batch.context.now,
            catalog=batch.context.catalog.revision,
            inputs=[one.taken for one in batch.given],
            positions={at.name: position for at, position in batch.positions.items()},
            events=batch.events,
            outputs=batch.outputs,
        )
        self._intake.positions = batch.positions
        self._delivery.answered(answered)
        if self.spec.lead is not None:
            at = Partition(self.spec.lead, self.journal.place.number)
            self._around.note_position(at, batch.positions.get(at, 0))
        return commit

    async def _snapshot(self) -> None:
        self._since_snapshot += 1
        tail, worth_it = self.journal.tail_bytes, self.spec.snapshot_tail * self.journal.snapshot_bytes
        often = self._since_snapshot >= self.spec.snapshot_every
        due = (often and tail >= worth_it) or tail >= MAX_TAIL_BYTES
        if due and not self._delivery.bounced and not self.journal.writing:
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


def _loop_s() -> float:
    return asyncio.get_running_loop().time()  # by which it sleeps, too
