"""
Run a gate without state: read, judge, publish, and only then let the group's offsets follow.

A crash between publishing and committing repeats verdicts; the router keeps the first per subject and gate. A gate
that could not publish stops: silence past the gate's deadline is a denial that names it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from seamwork.bus.again import again_until_known
from seamwork.bus.gathering import Gathering
from seamwork.bus.port import Log, Membership, Partition, Reader, Rejected
from seamwork.catalog import Context
from seamwork.clock import Clock
from seamwork.decider import Input, Output, WithCrossing, kind_of
from seamwork.errors import MisconfiguredError
from seamwork.records.base import Envelope
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.wire import Malformed, Outgoing, RawRecord, Received, read
from seamwork.runtime.cache import RecordCache
from seamwork.runtime.machine import Following, Identity
from seamwork.runtime.metrics import Metrics
from seamwork.runtime.outgoing import Composer, cause_trace
from seamwork.runtime.spec import HANDOFFS, GateSpec, crossing_of
from seamwork.runtime.stamps import Stamps
from seamwork.runtime.telling import Teller

_FETCH_WAIT_MS = 500  # a record ends it; a longer one costs an idle platform less
_MOST_BEHIND = 64  # more than the places that one piece of work may be taken over from


class Gate:
    """
    A gate on a log: `running` is its life.

    Args:
        spec: What it is.
        log: The log, as its principal sees it.
        follower: The catalog that it judges by.
        identity: Who runs it.
        clock: What time it is.
        metrics: Where to count.
    """

    def __init__(
        self,
        spec: GateSpec,
        *,
        log: Log,
        follower: Following,
        identity: Identity,
        clock: Clock,
        metrics: Metrics | None = None,
    ) -> None:
        self.spec = spec
        self.name = spec.name
        self.log = log
        self._follower = follower
        self._clock = clock
        self._platform = identity.platform
        self._metrics = Metrics(spec.name) if metrics is None else metrics
        self._crossings = RecordCache(log, HANDOFFS)
        self._stamps = Stamps(self._metrics, clock, self._crossings)
        self._composer = Composer(identity.platform, identity.signer, self._crossings, log)
        self._subscriptions: list[_Subscription] = []
        self._failed: asyncio.Future[None] | None = None
        self._logger = structlog.get_logger("gate").bind(gate=spec.name)
        self._teller = Teller(self._metrics)

    @property
    def ready(self) -> bool:
        """Whether every topic's group has been joined."""
        return bool(self._subscriptions) and all(one.assigned for one in self._subscriptions)

    @property
    def stalled_s(self) -> float:
        """
        For how long a topic has been asked for more without an answer.

        The log answers in half a second, with nothing if need be, even when the broker is away: what has got no
        answer for a minute will get none, however much work lies there.
        """
        asked = [one.asked_at for one in self._subscriptions if one.asked_at is not None]
        return time.monotonic() - min(asked) if asked else 0.0

    @property
    def partitions(self) -> tuple[int, ...]:
        """The owned partitions of the first topic."""
        return tuple(sorted(at.partition for one in self._subscriptions[:1] for at in one.positions))

    @property
    def positions(self) -> dict[Partition, int]:
        """What is read, and what of it is judged next."""
        return {at: position for one in self._subscriptions for at, position in one.positions.items()}

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Gate"]:
        """Run while the block runs; leaving it finishes the batch in hand."""
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def start(self) -> None:
        """Join a group for each topic."""
        self._failed = asyncio.get_running_loop().create_future()
        for number, topic in enumerate(self.spec.reads):
            # Each topic is a subscription of its own: judging needs no co-partitioning, and a group's members
            # subscribe to one thing.
            group = self.name if number == 0 else f"{self.name}.{topic.removesuffix('.v1')}"
            subscription = _Subscription(self, group, topic)
            self._subscriptions.append(subscription)
            await subscription.start()

    async def wait(self) -> None:
        """Wait until something ends the gate, and raise it."""
        assert self._failed is not None  # noqa: S101  # started
        await asyncio.shield(self._failed)

    async def stop(self) -> None:
        """Finish the batches in hand, leave the groups."""
        for subscription in self._subscriptions:
            await subscription.stop()
        self._subscriptions.clear()
        if self._failed is not None and self._failed.done():
            self._failed.exception()

    def fail(self, error: BaseException) -> None:
        """End the gate with *error*."""
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def judge(self, records: Sequence[RawRecord]) -> None:
        """Judge records in order and confirm what follows from them."""
        started = time.perf_counter()
        for raw in records:
            self._crossings.put(raw)
        self._stamps.taken(records)
        context = Context(self._clock.now_ms(), self._follower.catalog)
        batch: list[Outgoing] = []
        told: list[Envelope | None] = []
        kinds: list[tuple[str, str]] = []
        received = [read(raw, self._platform) for raw in records]
        needed = [crossing_of(self.spec.needs_crossing, one) for one in received]
        crossings = self._crossings.along(position for position in needed if position is not None)
        inputs: list[Input] = []
        for raw, one, position in zip(records, received, needed, strict=True):
            given: Input = one
            if isinstance(one, Received) and position is not None:
                given = await self._beside(one, await crossings.next(), context)
            inputs.append(given)
            kinds.append((raw.topic, kind_of(given)))
        for given, outputs in zip(inputs, await self._decided(inputs, context), strict=True):
            trace = cause_trace(given.decision if isinstance(given, WithCrossing) else given)
            for output in outputs:
                record: Envelope | None = getattr(output, "record", None)
                told.append(record)
                batch.append(
                    await self._composer.compose(self._composer.resolve(output, trace), None, record)
                )
        decided = time.perf_counter()
        self._metrics.observe("seamwork_stage_seconds", decided - started, "decide")
        if batch:
            judged = self._stamps.judged(told)
            self._stamps.reached("decided", judged)
            await self._publish(batch)
            self._stamps.reached("out", judged)
            self._teller.tell(told, self._logger)
            self._metrics.observe("seamwork_stage_seconds", time.perf_counter() - decided, "publish")
        self._metrics.count_each("seamwork_crossings", kinds)
        self._metrics.observe("seamwork_batch_inputs", len(records))
        now = self._clock.now_ms()
        self._metrics.observe("seamwork_input_age_seconds", max(0, now - records[0].appended_at) / 1000)

    async def _decided(self, inputs: Sequence[Input], context: Context) -> list[Sequence[Output]]:
        """Decide on inputs, in their order; where that waits for somebody else, on several at once."""
        inquire = self.spec.inquire
        if inquire is None:
            return [self.spec.decide(given, context) for given in inputs]
        at_once = asyncio.Semaphore(self.spec.at_once)

        async def asked(given: Input) -> Sequence[Output]:
            async with at_once:
                return await inquire(given, context)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asked(given)) for given in inputs]
        return [task.result() for task in tasks]

    async def _beside(
        self, received: Received[AnyEnvelope], crossing: RawRecord | None, context: Context
    ) -> Input:
        """Put the crossing that the gate wants to see with a record beside it, if there is one."""
        if crossing is None:
            return received
        found = read(crossing, self._platform)
        return WithCrossing(received, found, await self._behind(found, context))

    async def _behind(
        self, crossing: Received[AnyEnvelope] | Malformed, context: Context
    ) -> tuple[Received[AnyEnvelope] | Malformed, ...]:
        """Read what *crossing* stands on, and what that stands on, to the first or to what is no longer there."""
        found: list[Received[AnyEnvelope] | Malformed] = []
        while self.spec.stands_on and isinstance(crossing, Received) and len(found) < _MOST_BEHIND:
            position = self.spec.stands_on(crossing, context)
            raw = None if position is None else await self._crossings.find(position)
            if raw is None:
                break
            crossing = read(raw, self._platform)
            found.append(crossing)
        return tuple(found)

    async def _publish(self, batch: list[Outgoing]) -> None:
        answers = await again_until_known(lambda: self.log.publish(batch), "publish-unknown", self._logger)
        for out, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Rejected):
                raise MisconfiguredError(
                    f"{self.name} cannot write to {out.topic} ({answer.error}); the platform's topics and rights "
                    "are incomplete: run `seamwork up`, or the registrar, again"
                )
        self._metrics.count_each("seamwork_outputs", [(out.topic,) for out in batch])


class _Subscription:
    """One topic of a gate: what of it is owned, and how far it was judged."""

    def __init__(self, gate: Gate, group: str, topic: str) -> None:
        self.assigned = False
        self.positions: dict[Partition, int] = {}
        self.asked_at: float | None = None
        self._gate = gate
        self._log = gate.log
        self._group = group
        self._topic = topic
        self._lock = asyncio.Lock()  # a rebalance waits for the batch in hand
        self._some = asyncio.Event()
        self._reader: Reader | None = None
        self._membership: Membership | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> None:
        reader = await self._log.reader()
        self._reader = Gathering(reader) if self._topic in self._gate.spec.unhurried else reader
        self._membership = await self._log.own(self._group, self._topic, self._assign, self._revoke)
        for work in (self._run(), self._membership.wait()):
            task = asyncio.create_task(work, name=f"{self._group}-{self._topic}")
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def stop(self) -> None:
        async with self._lock:
            self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._membership is not None:
            await self._membership.stop()
        if self._reader is not None:
            await self._reader.stop()

    async def _assign(self, numbers: frozenset[int]) -> None:
        partitions = [Partition(self._topic, number) for number in sorted(numbers)]
        committed = await self._log.committed(self._group, partitions)
        unread = [at for at in partitions if at not in committed]
        starts = await self._log.start_offsets(unread) if unread else {}
        async with self._lock:
            self.positions |= {**starts, **committed}
            self.assigned = True
            self._some.set()

    async def _revoke(self, numbers: frozenset[int]) -> None:
        async with self._lock:
            for number in numbers:
                self.positions.pop(Partition(self._topic, number), None)

    async def _run(self) -> None:
        assert self._reader is not None  # noqa: S101  # started
        while True:
            if not self.positions:
                self._some.clear()
                await self._some.wait()
            self.asked_at = time.monotonic()
            asked = dict(self.positions)
            found = await self._reader.fetch(
                asked, max_records=self._gate.spec.max_batch, max_wait_ms=_FETCH_WAIT_MS
            )
            self.asked_at = None
            async with self._lock:
                if self._stopping:
                    return
                # What was revoked or moved while we waited is somebody else's, or will come again. The first record
                # may lie behind what was asked for: a transaction's marker is none.
                mine = {
                    at: records
                    for at, records in found.items()
                    if records and self.positions.get(at) == asked[at]
                }
                batch = [raw for at in sorted(mine) for raw in mine[at]]
                if batch:
                    await self._gate.judge(batch)
                    self._advance(mine)

    def _advance(self, judged: dict[Partition, Sequence[RawRecord]]) -> None:
        for at, records in judged.items():
            self.positions[at] = records[-1].offset + 1
            if self._membership is not None:
                self._membership.note_position(at, self.positions[at])

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._gate.fail(error)
