"""
Read every topic and keep every record, once, in the order of its partition.

Whoever is assigned the one partition of ``audit.v1`` reads everything; the others stand by. The database decides
what was read: a crash at any instant leaves whole batches with their positions, and reading goes on behind them.
"""

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, TypeVar

from seamwork.bus.gathering import Gathering
from seamwork.bus.port import LogGapError, Partition, Reader, Rejected
from seamwork.errors import MisconfiguredError, OutcomeUnknownError, RetryableError, SeamworkError
from seamwork.ids import uuid7
from seamwork.records.parties import Revision
from seamwork.records.platform import TreeHead
from seamwork.records.wire import RawRecord, Received, compose, read
from seamwork.runtime import Host
from seamwork.runtime.database import using
from seamwork_audit_sink.rows import Mark, mark_of
from seamwork_audit_sink.settings import Settings
from seamwork_audit_sink.store import Store
from seamwork_audit_sink.topics import LEAD, topics_of
from seamwork_audit_sink.tracing import tracing
from seamwork_audit_sink.watch import Watch

_WAIT_MS = 250
_BUSY_S = 0.2
"""
What lies together in one transaction shares its pages and its wait for the disk. Under load nobody waits for the
sink; who has just had one answer and asks what became of it should not have to.
"""
_LOOK_AGAIN_MS = 5_000
_UUID_RANDOM_BYTES = 10
_HEADS_LOOKED_AT = 100
_READS_AT_ONCE = 16

T = TypeVar("T")


class Sink:
    """
    The loop of one process: `run` is its life.

    Args:
        settings: Where and how to keep records.
        host: What the runtime lends.
    """

    def __init__(self, settings: Settings, host: Host) -> None:
        self._settings = settings
        self._host = host
        # SQLite waits for the disk, and reading envelopes takes the processor: neither may hold up the event loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit-store")
        self._turn: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._positions: dict[Partition, int] = {}
        self._moved = asyncio.Condition()
        self._looked: tuple[Revision, int] | None = None
        self._measured_at = 0
        self._missing: frozenset[str] = frozenset()
        self._head: tuple[int, int] | None = None
        self._tracing = tracing(settings, host)

    async def run(self) -> None:
        """Join, read while the partition is ours, leave when the host stops; an error of the turn is ours."""
        host = self._host
        self._ended = asyncio.get_running_loop().create_future()
        log_id = uuid7(host.clock.now_ms(), secrets.token_bytes(_UUID_RANDOM_BYTES))
        helpers: list[asyncio.Task[Any]] = [asyncio.create_task(host.stopping.wait(), name="audit-stopping")]
        store: Store | None = None
        try:
            store = await self._on_thread(lambda: Store(self._settings.database, host.platform, log_id))
            self._store = store
            membership = await host.log.own(host.name, LEAD, self._assigned, self._revoked)
            helpers.append(asyncio.create_task(membership.wait(), name="audit-membership"))
            await asyncio.wait([*helpers, self._ended], return_when=asyncio.FIRST_COMPLETED)
            was_ours = self._turn is not None
            await self._end_turn()
            if was_ours and not self._ended.done():
                await self._publish_head(at_once=True)
            await membership.stop()
            for helper in helpers:
                if helper.done():
                    helper.result()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await self._end_turn()
            if store is not None:
                # Behind all else that its thread does: SQLite does not survive being closed under a transaction.
                await self._on_thread(store.close)
            self._thread.shutdown()
            if self._tracing is not None:
                await asyncio.to_thread(self._tracing.stop)
        if self._ended.done():
            self._ended.result()

    async def catch_up(self, within_s: float) -> bool:
        """
        Wait until all that lies in the topics now is kept, for no longer than *within_s*; say whether it is.

        Who stands by keeps nothing, and waits for nothing.

        Raises:
            SeamworkError: The broker does not say where its topics end.
        """
        try:
            async with asyncio.timeout(within_s):
                ends = await self._host.log.end_offsets(list(self._positions))
                async with self._moved:
                    await self._moved.wait_for(
                        lambda: all(self._positions.get(at, end) >= end for at, end in ends.items())
                    )
        except TimeoutError:
            return False
        return True

    async def _assigned(self, partitions: frozenset[int]) -> None:
        await self._end_turn()
        if partitions:
            self._head = None  # until this turn has compared database and log, nothing is signed
            self._turn = asyncio.create_task(self._take_turn(), name="audit-turn")
            self._turn.add_done_callback(self._turn_ended)
        else:
            self._host.logger.info("standing-by")
            self._host.hinders(())  # whoever has the partition looks for itself
            self._host.ready()

    async def _revoked(self, _partitions: frozenset[int]) -> None:
        # What was found stands: who ends, or is about to get the partition back, has not found that it is gone.
        await self._end_turn()

    async def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()
            await asyncio.wait({turn})

    def _turn_ended(self, turn: "asyncio.Task[None]") -> None:
        assert self._ended is not None  # noqa: S101  # made before the first turn
        if turn.cancelled() or self._ended.done():
            return
        error = turn.exception() or SeamworkError("the audit sink's turn ended by itself; that is a bug")
        self._ended.set_exception(error)

    # ── A turn ───────────────────────────────────────────────────────────────────────────

    async def _take_turn(self) -> None:
        host = self._host
        self._positions = await self._on_thread(lambda: self._store.take_over(host.instance))
        self._looked = None
        self._watch = Watch(self._settings, host.log, host.clock)
        host.logger.info("taking-over", partitions=len(self._positions), records=self._store.tree.size)
        reader = Gathering(await host.log.reader(), busy_s=_BUSY_S)
        try:
            await self._discover()
            await self._require_ends()
            await self._require_same()
            await self._require_own_heads()
            self._head = await self._on_thread(self._store.last_head)
            # First, because one that is ready and names nothing opens admission, whatever others had found.
            await self._measure()
            host.ready()
            await self._read_on(reader)
        except LogGapError:
            # Whoever has the database by now may well have kept what is gone here, before it was trimmed.
            await self._on_thread(self._store.require_owner)
            raise
        finally:
            await reader.stop()

    async def _read_on(self, reader: Reader) -> None:
        ahead = dict(self._positions)
        kept: asyncio.Task[None] | None = None
        try:
            while True:
                found = await reader.fetch(
                    ahead, max_records=self._settings.batch_records, max_wait_ms=_WAIT_MS
                )
                # One batch is written while the next is fetched; more are never on the way.
                if kept is not None:
                    await asyncio.shield(kept)
                    kept = None
                if any(found.values()):
                    ahead |= {at: records[-1].offset + 1 for at, records in found.items() if records}
                    kept = asyncio.create_task(self._keep(found), name="audit-keep")
                    self._host.progressed(sum(map(len, found.values())))
                else:
                    self._host.progressed(0)
                if await self._discover():
                    ahead = {**self._positions, **ahead}
                if self._is_up(self._measured_at, _LOOK_AGAIN_MS):
                    await self._measure()
                await self._publish_head()
        finally:
            if kept is not None:
                # Never let go of a transaction that runs: the next owner would meet it half-way.
                await asyncio.wait({kept})
                if not kept.cancelled() and (error := kept.exception()) is not None:
                    raise error

    async def _keep(self, found: Mapping[Partition, Sequence[RawRecord]]) -> None:
        runs, metrics = list(found.values()), self._host.metrics
        begun = time.perf_counter()
        keep_bytes, follow = (
            self._settings.keep_value_bytes,
            None if self._tracing is None else self._tracing.follow,
        )
        taken = await self._on_thread(lambda: self._store.append(runs, keep_bytes, follow))
        metrics.observe("seamwork_stage_seconds", time.perf_counter() - begun, "write")
        metrics.observe("seamwork_batch_inputs", taken.total())
        for (topic, kind), number in taken.items():
            metrics.count("seamwork_crossings", topic, kind, by=number)
        for at, records in found.items():
            if records:
                self._positions[at] = records[-1].offset + 1
        async with self._moved:
            self._moved.notify_all()

    async def _measure(self) -> None:
        """Say how far each topic is ahead of what was kept, and what stands against new tasks."""
        self._measured_at = self._host.clock.now_ms()
        lag: dict[str, int] = defaultdict(int)
        waiting: dict[Partition, int] = {}
        for at, end in (await self._host.log.end_offsets(list(self._positions))).items():
            lag[at.topic] += max(0, end - self._positions[at])
            if end > self._positions[at]:
                waiting[at] = self._positions[at]
        self._host.hinders(await self._watch.look(waiting))
        for topic, records in lag.items():
            self._host.metrics.set("seamwork_lag_records", records, topic)

    async def _discover(self) -> bool:
        """Begin partitions of topics that are new; say whether there were any."""
        catalog, now = self._host.catalog.catalog, self._host.clock.now_ms()
        if self._looked is not None:
            revision, looked_at = self._looked
            if revision == catalog.revision and not (
                self._missing and self._is_up(looked_at, _LOOK_AGAIN_MS)
            ):
                return False
        self._looked = (catalog.revision, now)
        log = self._host.log
        read = {at.topic for at in self._positions}
        names = [name for name in topics_of(catalog) if name not in read]
        counts = dict(zip(names, await asyncio.gather(*map(log.partitions_of, names)), strict=True))
        missing = frozenset(name for name, number in counts.items() if number is None)
        if missing != self._missing:
            self._missing = missing
            if missing:
                self._host.logger.warning("topics-missing", topics=sorted(missing))
        fresh = [Partition(name, number) for name, total in counts.items() for number in range(total or 0)]
        if not fresh:
            return False
        starts = await log.start_offsets(fresh)
        accept = self._settings.accept_trimmed_start
        await self._on_thread(lambda: self._store.watch(starts, now, accept_gaps=accept))
        if trimmed := {at.name: start for at, start in starts.items() if start}:
            self._host.logger.error("gaps-accepted", gaps=trimmed)
        self._positions |= starts
        return True

    async def _require_ends(self) -> None:
        """Refuse a log that ends before what was kept of it: it was made anew, or lost its end."""
        ends = await self._host.log.end_offsets(list(self._positions))
        for at, position in self._positions.items():
            if ends[at] < position:
                raise LogGapError(
                    f"{at.name} ends at offset {ends[at]}, and {position} records of it were kept: "
                    "the topic was made anew or lost its end. Compare it with the database before starting again"
                )

    async def _require_same(self) -> None:
        """Refuse a log in which others lie where the last were kept: it ended before them, and grew again."""
        log, positions = self._host.log, self._positions
        starts = await log.start_offsets(list(positions))
        at_once = asyncio.Semaphore(_READS_AT_ONCE)

        async def last(at: Partition, offset: int) -> list[tuple[Partition, int, Mark]]:
            async with at_once:
                found = await log.read(at, offset, offset + 1, most_bytes=1)
            return [(at, offset, mark_of(raw)) for raw in found]

        looked = await asyncio.gather(
            *(last(at, position - 1) for at, position in positions.items() if position > starts[at])
        )
        await self._on_thread(lambda: self._store.require_same(chain(*looked)))

    async def _require_own_heads(self) -> None:
        """Refuse a database that is older than a head signed over it: the log would fork under one name."""
        store, log, place = self._store, self._host.log, Partition(LEAD, 0)
        end = (await log.end_offsets([place]))[place]
        for raw in await log.read(place, max(0, end - _HEADS_LOOKED_AT), end):
            found = read(raw, self._host.platform)
            head = found.record if isinstance(found, Received) else None
            if isinstance(head, TreeHead) and head.log == store.log_id and head.size > store.tree.size:
                raise MisconfiguredError(
                    f"the database has {store.tree.size} records, and a tree head over {head.size} of them was "
                    "published: it is an old copy. Restore a later one, or move it away and begin a new one"
                )

    async def _publish_head(self, *, at_once: bool = False) -> None:
        """Sign the tree as it stands and publish it, if it has grown enough or for long enough."""
        host, store = self._host, self._store
        if host.signing_key is None or self._head is None:
            return
        tree, now = store.tree, host.clock.now_ms()
        size, signed_at = self._head
        late = self._is_up(signed_at, self._settings.head_interval_ms)
        if tree.size == size or not (at_once or late or tree.size - size >= self._settings.head_records):
            return
        head = TreeHead(log=store.log_id, size=tree.size, root_sha256=tree.root.hex(), signed_at=now)
        record = compose(host.platform, LEAD, store.log_id, head, signer=host.signing_key)
        try:
            (answer,) = await host.log.publish([record])
        except (OutcomeUnknownError, RetryableError) as error:
            # The next look signs again, over no less than this: a head that comes twice contradicts nothing.
            host.logger.warning("head-unknown", size=head.size, error=str(error))
            return
        if isinstance(answer, Rejected):
            raise MisconfiguredError(
                f"a tree head cannot be published ({answer.error}); furnish {LEAD} again"
            )
        await self._on_thread(lambda: store.published(head.size, head.root_sha256, head.signed_at))
        self._head = (head.size, head.signed_at)
        host.metrics.count("seamwork_outputs", LEAD)

    def _is_up(self, since: int, pause_ms: int) -> bool:
        """Say whether a pause is over. Where the clock was set back to before it began, it is."""
        return not 0 <= self._host.clock.now_ms() - since < pause_ms

    async def _on_thread(self, work: Callable[[], T]) -> T:
        """Run *work* on the one thread that may touch the database, and wait for its end whatever happens."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            with using(self._settings.database):
                return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait({running})
            running.exception()  # seen here; who was cancelled has no use for it
            raise
