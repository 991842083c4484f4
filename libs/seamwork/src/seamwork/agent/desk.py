"""
Run one agent: read its inbox, start its functions, commit what is finished, say that it lives.

Rule 1: a partition is read to the end it had when it was assigned before anything of it runs; and again by whoever
has not heard of it for a while (stopped, starved or cut off), to the end that it has then. A fetch that brings
nothing has heard nothing.
Rule 2: only the contiguous prefix of finished work is committed; a crash redelivers the rest and loses nothing.
Rule 3: what is not the router's is counted, logged and passed over; it never stops what lies behind it. What is the
router's and cannot be read ends the agent: passed over, it would be work that nobody does and nobody hears of.
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import structlog

from seamwork.agent.dispatch import Dispatch, Handlers, How
from seamwork.agent.inbox import Answered, Elsewhere, Offer, Suspect, Told, Unknown, Unreadable, examine
from seamwork.agent.keyring import KeyRing
from seamwork.agent.lane import Lane
from seamwork.agent.meters import DISPATCHES, SUSPECTS, counted, stage
from seamwork.agent.pen import Author
from seamwork.agent.post import post
from seamwork.agent.raised import told
from seamwork.agent.seats import Seat, Seats
from seamwork.bus.again import again_until_back
from seamwork.bus.port import Log, Membership, Partition, Reader, Rejected
from seamwork.clock import Clock
from seamwork.errors import MisconfiguredError, OutcomeUnknownError, RetryableError, SeamworkError
from seamwork.grants.stamps import inbox_topic
from seamwork.ids import uuid7
from seamwork.records.inbox import LAPSED, Notice
from seamwork.records.platform import Heartbeat
from seamwork.records.wire import Outgoing, RawRecord, compose

HEARTBEATS = "heartbeats.v1"

_BATCH = 500
_WAIT_MS = 250
_BREATHE_EVERY = 32  # records examined, some 0.1 ms each, before others get the loop
_TRUSTED = (
    0.5  # of a session, which begins anew with each heartbeat, six of them in it: others take over after it
)
_REMEMBERED = 10_000  # dispatches that are over, by id
_LAST_BEAT_S = 2.0
_STANDSTILL_S = 1.0  # a loop that is merely busy comes round in less
_LOOK_S = 1.0  # an end is told in milliseconds; nothing is read meanwhile
_HELD_BYTES = 32 * 1024 * 1024  # records of queued work; beyond it they are read again when their turn comes


class Desk:
    """
    One running agent.

    Args:
        author: Who it is and with which key it signs.
        handlers: Its functions by contract.
        log: The log, as the agent's principal sees it.
        ring: The router's keys.
        clock: Tells the time.
        concurrency: How many functions may compute at once.
        heartbeat_ms: How often it says that it lives.
    """

    def __init__(
        self,
        author: Author,
        handlers: Handlers,
        log: Log,
        ring: KeyRing,
        clock: Clock,
        *,
        concurrency: int,
        heartbeat_ms: int,
    ) -> None:
        self.author = author
        self.handlers = handlers
        self.clock = clock
        self._seats = Seats(concurrency, self._pump)
        self._log = log
        self._ring = ring
        self._heartbeat_ms = heartbeat_ms
        self._topic = inbox_topic(author.me.agent)
        self._lanes: dict[int, Lane] = {}
        self._open: dict[str, Dispatch] = {}
        self._crossings: dict[str, Dispatch] = {}
        self._queue: dict[str, Dispatch] = {}
        self._busy: set[Dispatch] = set()  # their functions run, though some of them may be over
        self._over: OrderedDict[str, None] = OrderedDict()
        self._held_bytes = 0
        self._membership: Membership | None = None
        self._reader: Reader | None = None
        self._assigned = asyncio.Event()
        self._heard = asyncio.Event()
        self._quiet = asyncio.Event()
        self._joined = False
        self._said_ready = False
        self._other_versions = set[str]()
        self._draining = False
        self._broken: asyncio.Future[None] | None = None
        self._work: list[asyncio.Task[None]] = []
        self._instance = f"{author.me.agent}-{uuid7(clock.now_ms(), secrets.token_bytes(10))}"
        self._labels = (author.me.agent, author.me.version)
        self._logger = structlog.get_logger("agent").bind(agent=author.me.agent, version=author.me.version)

    @property
    def group(self) -> str:
        """The consumer group of this agent version, without the platform's prefix."""
        return f"agent-{self.author.me.agent}.{self.author.me.version.replace('.', '-')}"

    # ── Start and stop ───────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Join the group, begin to read."""
        self._broken = asyncio.get_running_loop().create_future()
        self._broken.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._reader = await self._log.reader()
        self._membership = await self._log.own(self.group, self._topic, self._on_assigned, self._on_revoked)
        for name, body in (
            ("read", self._read()),
            ("pulse", self._pulse()),
            ("group", self._membership.wait()),
        ):
            task = asyncio.create_task(body, name=f"{self._instance}-{name}")
            task.add_done_callback(self._on_done)
            self._work.append(task)

    async def wait_broken(self) -> None:
        """
        Wait for ever, or raise what ended the agent.

        Raises:
            SeamworkError: Its inbox was trimmed unread, or it may not do what it must.
        """
        if self._broken is None:
            raise MisconfiguredError("the agent was not started")
        await asyncio.shield(self._broken)

    async def stop(self, grace_s: float) -> None:
        """
        Take nothing new, let functions finish for up to *grace_s*, commit, leave the group.

        What is not finished then runs again at the next start, or elsewhere.
        """
        self._draining = True
        self._settle_quiet()
        try:
            async with asyncio.timeout(grace_s):
                await self._quiet.wait()
        except TimeoutError:
            self._logger.warning(
                "functions were still running when the agent had to stop", running=self._running
            )
        left = {*self._open.values(), *self._busy}
        for dispatch in left:
            dispatch.leave()
        await asyncio.gather(*(dispatch.stopped() for dispatch in left))
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        if self._membership is not None:
            self._commit(self._lanes.values())
            await self._say_goodbye()
            await self._membership.stop()
        if self._reader is not None:
            await self._reader.stop()
        if self._broken is not None and not self._broken.done():
            self._broken.cancel()

    # ── The group ────────────────────────────────────────────────────────────────────────

    async def _on_assigned(self, partitions: frozenset[int]) -> None:
        # What was ours before this rebalance and is not named now belongs to somebody else.
        for number in [number for number, lane in self._lanes.items() if lane.suspended]:
            if number not in partitions:
                self._drop(self._lanes.pop(number))
        fresh = [Partition(self._topic, number) for number in sorted(partitions) if number not in self._lanes]
        for number in partitions & self._lanes.keys():
            # Handed straight back: its functions ran on and go on, whether the others can be read yet or not.
            self._lanes[number].suspended = False
        self._assigned.set()
        self._pump()
        if fresh:
            lanes = await again_until_back(
                partial(self._lanes_of, fresh),
                "where the inbox begins and ends cannot be read; trying again",
                self._logger,
            )
            self._lanes |= {lane.partition: lane for lane in lanes}
            self._assigned.set()
        self._joined = True
        if not self._lanes:
            self._logger.info("agent stands by: other instances of this version have the whole inbox")

    async def _lanes_of(self, places: Sequence[Partition]) -> list[Lane]:
        committed = await self._log.committed(self.group, places)
        starts = await self._log.start_offsets(places)
        asked_at = time.monotonic()
        ends = await self._log.end_offsets(places)
        trust_s = self._log.session_s * _TRUSTED
        # A committed position that was trimmed is read all the same: the port reports the gap, and we stop.
        return [
            Lane(place.partition, committed.get(place, starts[place]), ends[place], asked_at, trust_s)
            for place in places
        ]

    async def _on_revoked(self, partitions: frozenset[int]) -> None:
        for number in partitions:
            lane = self._lanes.get(number)
            if lane is not None:
                lane.suspended = True
                lane.committed = None  # what was noted last may not have been committed

    def _drop(self, lane: Lane) -> None:
        for dispatch in list(lane.dispatches.values()):
            dispatch.leave()
            self._forget(dispatch)

    # ── Reading ──────────────────────────────────────────────────────────────────────────

    async def _read(self) -> None:
        reader = self._reader
        if reader is None:
            raise MisconfiguredError("the agent was not started")
        while True:
            asked = {
                Partition(self._topic, lane.partition): lane
                for lane in self._lanes.values()
                if not lane.suspended
            }
            if not asked:
                self._assigned.clear()
                await self._assigned.wait()
                continue
            positions = {place: lane.prefix.position for place, lane in asked.items()}
            asked_at, fetched = await again_until_back(
                partial(self._fetch, reader, asked, positions),
                "the inbox cannot be read; trying again",
                self._logger,
            )
            for place, records in fetched.items():
                lane = asked[place]
                if self._lanes.get(place.partition) is lane and lane.prefix.position == positions[place]:
                    await self._take(lane, records)
                    lane.heard(asked_at)
            self._commit(asked.values())
            self._pump()
            self._say_ready()
            self._heard.set()  # wakes those who wait now
            self._heard.clear()

    async def _fetch(
        self, reader: Reader, asked: Mapping[Partition, Lane], positions: Mapping[Partition, int]
    ) -> tuple[float, Mapping[Partition, Sequence[RawRecord]]]:
        """Return what has come, and when it was asked for (monotonic, seconds)."""
        asked_at = time.monotonic()
        await self._look_again(asked)
        return asked_at, await reader.fetch(positions, max_records=_BATCH, max_wait_ms=_WAIT_MS)

    async def _look_again(self, asked: Mapping[Partition, Lane]) -> None:
        """
        Ask where those partitions end of which nothing was heard for a while.

        A fetch that brings nothing does not say that there is nothing: for half a minute it says the same of a
        broker that is silent. One that is, or has no leader just now, must not hold up the others.
        """
        now = time.monotonic()
        quiet = [(place, lane) for place, lane in asked.items() if lane.is_quiet(now)]
        if quiet:
            await asyncio.gather(*(self._ask_for_end(place, lane) for place, lane in quiet))

    async def _ask_for_end(self, place: Partition, lane: Lane) -> None:
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(_LOOK_S):
                end = (await self._log.end_offsets([place]))[place]
        except (TimeoutError, RetryableError):
            return  # it stays as it is, and nothing begins once that is too long ago
        if lane.out_of_touch(time.monotonic()):
            self._logger.warning(
                "the inbox was out of reach; it is read to its end before anything begins",
                partition=place.partition,
            )
            lane.read_to(end, asked_at)
        if lane.prefix.position >= end:
            lane.heard(asked_at)  # all of it, mostly

    async def _take(self, lane: Lane, records: Iterable[RawRecord]) -> None:
        for count, raw in enumerate(records, start=1):
            self._take_one(lane, raw)
            lane.prefix.read(raw.offset)  # not before: nothing is committed past what could not be taken
            if count % _BREATHE_EVERY == 0:
                await asyncio.sleep(0)
                if self._lanes.get(lane.partition) is not lane:
                    return  # somebody else's meanwhile, who reads all of it

    def _take_one(self, lane: Lane, raw: RawRecord) -> None:
        found = examine(raw, self.author.platform, self.author.me, self._ring)
        what = type(found).__name__.lower()
        match found:
            case Suspect():
                SUSPECTS.labels(*self._labels, found.rule).inc()
                self._logger.error(
                    "an inbox record was not believed and is passed over",
                    rule=found.rule, reason=found.reason, partition=raw.partition, offset=raw.offset,
                )  # fmt: skip
            case Elsewhere():
                self._note_version(found.version)
            case Unknown():
                pass
            case Unreadable():
                # Whoever knows more reads it here once more: nothing is committed past it.
                lane.prefix.begin(raw.offset)
                self.broken(found.error(raw))
            case Offer():
                if self._is_known(found):
                    what = "repeat"
                else:
                    age_ms = max(0, self.clock.now_ms() - raw.appended_at)
                    stage("received").observe(age_ms / 1000)
                    self._open_dispatch(lane, raw.offset, found)
            case Answered():
                dispatch = self._dispatch_of(found.answer.dispatch, found.answer.task, found.answer.child)
                if dispatch is not None:
                    dispatch.take_answer(found)
            case Told():
                self._tell(found.notice)
        counted(*self._labels, what).inc()

    def _note_version(self, version: str) -> None:
        """Say once of a version that its records are passed over: it may be a program that is called otherwise."""
        if version not in self._other_versions:
            self._other_versions.add(version)
            self._logger.info("what is for another version of this agent is passed over", other=version)

    def _is_known(self, offer: Offer) -> bool:
        newest = self._crossings.get(offer.work.crossing)
        # A router that was taken over from may still write what it had in hand, behind what came after it.
        overtaken = newest is not None and offer.work.attempt < newest.work.attempt
        return overtaken or offer.work.dispatch in self._open or offer.work.dispatch in self._over

    def _open_dispatch(self, lane: Lane, offset: int, offer: Offer) -> None:
        older = self._crossings.get(offer.work.crossing)
        if older is not None:
            # A newer dispatch of the same crossing: nothing sent under the older stamp counts any more.
            older.end("superseded")
        dispatch = Dispatch(offer, lane.partition, offset, self)
        lane.prefix.begin(offset)
        lane.dispatches[offer.work.dispatch] = dispatch
        self._open[offer.work.dispatch] = dispatch
        self._crossings[offer.work.crossing] = dispatch
        self._held_bytes += dispatch.held_bytes
        if self._held_bytes > _HELD_BYTES:
            self._held_bytes -= dispatch.held_bytes
            dispatch.put_down()
        self._queue[offer.work.dispatch] = dispatch

    def _tell(self, notice: Notice) -> None:
        dispatch = self._dispatch_of(notice.dispatch, notice.task, notice.about)
        if dispatch is None:
            return
        earlier = notice.dispatch not in {None, dispatch.work.dispatch}
        if earlier and notice.what == "refused" and notice.rule in LAPSED:
            return  # handed on again under this dispatch's stamp it is judged anew
        dispatch.take_notice(notice)

    def _dispatch_of(self, named: str | None, task: str, crossing: str) -> Dispatch | None:
        found = self._open.get(named or "")
        if found is not None:
            return found
        # Said of an earlier dispatch of a crossing that was dispatched again: the child's id is the same. Word of
        # that earlier dispatch itself is over with it, and may come again long after.
        return next(
            (
                each
                for each in self._open.values()
                if each.work.task == task
                and each.knows(crossing)
                and (named is None or crossing != each.work.crossing)
            ),
            None,
        )

    # ── Running ──────────────────────────────────────────────────────────────────────────

    def _pump(self) -> None:
        """Start queued work while there are seats."""
        while not self._draining:
            dispatch = self._next()
            if dispatch is None:
                return
            now = self.clock.now_ms()
            if dispatch.work.not_after <= now:
                self._logger.warning(
                    "work had run out before it was begun; if that is not so, this machine's clock is wrong",
                    task=dispatch.work.task, late_ms=now - dispatch.work.not_after,
                )  # fmt: skip
                dispatch.end("expired")
                continue
            seat = Seat(self._seats)
            if not seat.take_at_once():
                return
            del self._queue[dispatch.work.dispatch]
            self._held_bytes -= dispatch.held_bytes
            dispatch.start(seat)
            self._busy.add(dispatch)

    def _next(self) -> Dispatch | None:
        now = time.monotonic()
        runnable = {lane.partition for lane in self._lanes.values() if lane.may_run(now)}
        if not runnable:
            return None
        return next((each for each in self._queue.values() if each.partition in runnable), None)

    @property
    def _running(self) -> int:
        return sum(dispatch.is_running for dispatch in self._busy)

    # ── What a dispatch needs (`Office`) ─────────────────────────────────────────────────

    async def send(self, outgoing: Outgoing) -> None:
        """Publish, as often as it takes."""
        try:
            await post(self._log, outgoing)
        except MisconfiguredError as error:
            self.broken(error)
            raise

    async def known(self, dispatch: Dispatch) -> None:
        """Wait until the inbox is read as it is now, where this instance has been away."""
        while True:
            lane = self._lanes.get(dispatch.partition)
            if lane is not None and lane.may_run(time.monotonic()):
                return
            await self._heard.wait()

    async def fetch(self, dispatch: Dispatch) -> Offer:
        """Read a queued dispatch's record again."""
        place = Partition(self._topic, dispatch.partition)
        records = await self._read_again(place, dispatch.offset)
        found = examine(records[0], self.author.platform, self.author.me, self._ring) if records else None
        if not isinstance(found, Offer):
            raise MisconfiguredError(
                f"the record at {place.topic}/{place.partition}/{dispatch.offset} is not what was read there first"
            )
        return found

    async def _read_again(self, place: Partition, offset: int) -> Sequence[RawRecord]:
        return await again_until_back(
            lambda: self._log.read(place, offset, offset + 1),
            "queued work cannot be read; trying again",
            self._logger,
            partition=place.partition,
        )

    def again(self, dispatch: Dispatch) -> None:
        """Queue the dispatch once more."""
        self._held_bytes += 0 if dispatch.work.dispatch in self._queue else dispatch.held_bytes
        self._queue[dispatch.work.dispatch] = dispatch
        self._pump()

    def over(self, dispatch: Dispatch, how: How) -> None:
        """Let the prefix pass it, and remember that it is over."""
        DISPATCHES.labels(*self._labels, how).inc()
        self._over[dispatch.work.dispatch] = None
        while len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)
        lane = self._lanes.get(dispatch.partition)
        if lane is not None and lane.dispatches.get(dispatch.work.dispatch) is dispatch:
            lane.prefix.finish(dispatch.offset)
        self._forget(dispatch)

    def idle(self, dispatch: Dispatch) -> None:
        """Go on stopping, if that is what we wait for."""
        if not dispatch.is_running:
            self._busy.discard(dispatch)
        self._settle_quiet()

    def broken(self, error: Exception) -> None:
        """End the agent."""
        if self._broken is None or self._broken.done():
            return
        # A bug comes with its trace; what Seamwork says of itself is a sentence that stands alone.
        trace = {} if isinstance(error, SeamworkError) else {"exception": told(error)}
        self._logger.error("the agent cannot go on", error=str(error), **trace)
        self._broken.set_exception(error)

    def _forget(self, dispatch: Dispatch) -> None:
        key = dispatch.work.dispatch
        if self._queue.pop(key, None) is not None:
            self._held_bytes -= dispatch.held_bytes
        self._open.pop(key, None)
        if self._crossings.get(dispatch.work.crossing) is dispatch:
            del self._crossings[dispatch.work.crossing]
        lane = self._lanes.get(dispatch.partition)
        if lane is not None:
            lane.dispatches.pop(key, None)

    # ── Saying how it goes ───────────────────────────────────────────────────────────────

    def _say_ready(self) -> None:
        """Say once that work is taken from now on, and of which kind."""
        if self._caught_up and not self._said_ready:
            self._said_ready = True
            accepts = sorted(f"{contract.name}/{contract.version}" for contract in self.handlers)
            self._logger.info("agent ready", accepts=accepts, partitions=sorted(self._lanes))

    def _commit(self, lanes: Iterable[Lane]) -> None:
        if self._membership is None:
            return
        for lane in lanes:
            position = lane.prefix.committable
            if not lane.suspended and lane.committed != position:
                lane.committed = position
                self._membership.note_position(Partition(self._topic, lane.partition), position)

    async def _pulse(self) -> None:
        while True:
            await self._say_alive(
                "draining" if self._draining else "ready" if self._caught_up else "starting"
            )
            asleep_at = time.monotonic()
            await asyncio.sleep(self._heartbeat_ms / 1000)
            self._note_standstill(time.monotonic() - asleep_at - self._heartbeat_ms / 1000)
            for dispatch in list(self._open.values()):
                await dispatch.sweep()
            self._commit(self._lanes.values())

    def _note_standstill(self, late_s: float) -> None:
        if late_s > _STANDSTILL_S:
            self._logger.warning(
                "nothing ran for a while, and it looked dead; an async function must not block, a plain one may",
                for_s=round(late_s, 1),
            )

    @property
    def _caught_up(self) -> bool:
        return self._joined and all(lane.caught_up for lane in self._lanes.values())

    async def _say_alive(self, state: str) -> None:
        heartbeat = Heartbeat(
            instance=self._instance,
            name=self.author.me.agent,
            kind="agent",
            version=self.author.me.version,
            state=state,  # type: ignore[arg-type]  # one of the literals, by the callers above
            sent_at=self.clock.now_ms(),
            every_ms=self._heartbeat_ms,
            in_flight=self._running,
            partitions=tuple(sorted(self._lanes)),
        )
        outgoing = compose(
            self.author.platform, HEARTBEATS, self._instance, heartbeat, signer=self.author.signer
        )
        try:
            (confirmation,) = await self._log.publish([outgoing])
        except (OutcomeUnknownError, RetryableError) as error:
            self._logger.warning("a heartbeat may not have arrived", error=str(error))
            return
        if isinstance(confirmation, Rejected):
            self._logger.error("heartbeats cannot be written", error=confirmation.error)

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(_LAST_BEAT_S):
                await self._say_alive("draining")
        except TimeoutError:
            self._logger.warning("the log does not answer; gone without a last heartbeat")

    def _settle_quiet(self) -> None:
        if self._draining and self._running == 0:
            self._quiet.set()

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            self.broken(error)
