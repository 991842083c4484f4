"""
Run a machine: take the partitions that the group hands out, feed each from one reader, stop when one is lost.

Every owned partition runs on its own, so their appends overlap; within one there is never more than one in flight.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import structlog

from seamwork.bus.gathering import Gathering
from seamwork.bus.port import Log, Membership, Partition, Reader
from seamwork.catalog import Catalog, Context
from seamwork.clock import Clock
from seamwork.decider import HealthChanged
from seamwork.errors import FencedError, MisconfiguredError
from seamwork.journal import Journal, Ownership, Place
from seamwork.records.parties import Revision
from seamwork.records.wire import Signer
from seamwork.runtime.cache import RecordCache
from seamwork.runtime.intake import Feeds
from seamwork.runtime.metrics import Metrics
from seamwork.runtime.outgoing import Composer
from seamwork.runtime.owned import Owned
from seamwork.runtime.spec import HANDOFFS, MachineSpec, Standing
from seamwork.runtime.surroundings import Surroundings
from seamwork.runtime.telling import Teller

_FETCH_RECORDS = 2000
_FETCH_WAIT_MS = 500  # a record ends it; a longer one costs an idle platform less
_TOPIC_RETRY_S = 5.0
_WORK_S = 0.05


class Following(Protocol):
    """A catalog that is kept up to date (``CatalogFollower``)."""

    @property
    def catalog(self) -> Catalog:
        """The view at the current revision."""

    async def changed(self, since: Revision) -> Catalog:
        """Wait until the view is newer than *since* and return it."""

    async def catch_up(self, revision: Revision) -> Catalog:
        """Wait until the catalog reaches *revision* and return the view."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """
    Who runs the machine.

    Attributes:
        platform: The platform's id.
        instance: Unique among running processes; claims carry it.
        version: The code's version.
        signer: The service's key; null where nothing is signed.
    """

    platform: str
    instance: str
    version: str = ""
    signer: Signer | None = None


class Machine:
    """
    A machine on a log: `running` is its life, for FastStream's lifespan or a test.

    Args:
        spec: What it is.
        log: The log, as its principal sees it.
        follower: The catalog that it decides by.
        identity: Who runs it.
        clock: What time it is.
        metrics: Where to count.
        check_contiguity: Never false but in the test that shows what the check is for.
    """

    def __init__(
        self,
        spec: MachineSpec,
        *,
        log: Log,
        follower: Following,
        identity: Identity,
        clock: Clock,
        metrics: Metrics | None = None,
        check_contiguity: bool = True,
    ) -> None:
        self.spec = spec
        self.name = spec.decider.name
        self._log = log
        self._follower = follower
        self._metrics = Metrics(self.name) if metrics is None else metrics
        crossings = RecordCache(log, HANDOFFS)
        self._around = Surroundings(
            log=log,
            clock=clock,
            platform=identity.platform,
            crossings=crossings,
            composer=Composer(identity.platform, identity.signer, crossings, log),
            catalog=lambda: follower.catalog,
            metrics=self._metrics,
            teller=Teller(self._metrics),
            note_position=self._note_position,
        )
        self._ownership = Ownership(
            identity.instance, identity.version, clock.now_ms, check_contiguity=check_contiguity
        )
        self._membership: Membership | None = None
        self._readers: list[Reader] = []
        self._owned: dict[int, Owned] = {}
        self._parked: dict[int, Owned] = {}
        self._lives: dict[int, asyncio.Task[None]] = {}
        self._helpers: list[asyncio.Task[None]] = []
        self._hungry: list[asyncio.Event] = []
        self._failed: asyncio.Future[None] | None = None
        self._health: HealthChanged | None = None
        self._obstacles: set[str] = set()
        self._assigned_once = False
        self._asked_at: dict[str, float] = {}
        self._missing: dict[int, set[str]] = {}
        self._logger = structlog.get_logger("machine").bind(machine=self.name)

    @property
    def owned(self) -> dict[int, Owned]:
        """The partitions that are restored and running."""
        return self._owned

    @property
    def positions(self) -> dict[Partition, int]:
        """What is read, and what of it is decided next."""
        return {at: position for owned in self._owned.values() for at, position in owned.reading.items()}

    @property
    def sizes(self) -> dict[str, int]:
        """How much of what the states of all owned partitions hold."""
        held: Counter[str] = Counter()
        for owned in self._owned.values():
            held.update(owned.sizes)
        return dict(held)

    def standing(self, now: int) -> tuple[Standing, ...]:
        """Return how budgets stand at *now* (ms), as the states of all owned partitions have it."""
        say, context = self.spec.standing, Context(now, self._follower.catalog)
        if say is None:
            return ()
        return tuple(one for owned in self._owned.values() for one in say(owned.journal.state, context))

    @property
    def ready(self) -> bool:
        """Whether every assigned partition is restored; one without partitions stands by, which is ready too."""
        # Asked from a page's thread: copied in one step, while the loop may add and remove.
        return self._assigned_once and all(number in self._owned for number in tuple(self._lives))

    @property
    def stalled_s(self) -> float:
        """
        For how long the slowest partition with work has begun nothing, or the log was asked and has not answered.

        A step that waits for the broker is none: a broker that is away must not restart the fleet, and the log's
        calls end by themselves. Asked for more it answers in half a second, with nothing if need be.
        """
        owned = tuple(self._owned.values())  # asked from a page's thread, as `ready` is
        waiting = [one.last_progress for one in owned if one.backlog and not one.stepping]
        waiting += tuple(self._asked_at.values())
        return time.monotonic() - min(waiting) if waiting else 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Machine"]:
        """Run while the block runs; leaving it finishes what is in flight and gives the partitions back."""
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def start(self) -> None:
        """
        Join the group; partitions are restored and run as they come.

        Raises:
            MisconfiguredError: A topic is missing, or the partition counts do not fit.
        """
        await self._check_partitions()
        self._failed = asyncio.get_running_loop().create_future()
        await self._feed_from(await self._log.reader(), "feed", unhurried=False)
        if self.spec.unhurried:
            await self._feed_from(Gathering(await self._log.reader()), "gather", unhurried=True)
        self._helper(self._watch_catalog(), "catalog")
        self._membership = await self._log.own(self.name, self.spec.leads, self._assign, self._revoke)
        self._helper(self._membership.wait(), "membership")

    async def wait(self) -> None:
        """
        Wait until something ends the machine, and raise it.

        Raises:
            FencedError: Another owner took a partition over.
        """
        assert self._failed is not None  # noqa: S101  # started
        await asyncio.shield(self._failed)

    async def stop(self) -> None:
        """Finish the steps in flight with their outputs, stop reading, leave the group."""
        await self._drain(frozenset(self._lives))
        for task in self._helpers:
            task.cancel()
        await asyncio.gather(*self._helpers, return_exceptions=True)
        self._helpers.clear()
        if self._membership is not None:
            await self._membership.stop()
            self._membership = None
        for reader in self._readers:
            await reader.stop()
        self._readers.clear()
        self._parked.clear()
        if self._failed is not None and self._failed.done():
            self._failed.exception()  # whoever waits has it; nobody needs to

    def health(self, changed: HealthChanged) -> None:
        """Hand a change of the agents' health to every partition."""
        self._health = changed
        standing = {one.rule for one in changed.obstacles}
        for rule in self._obstacles - standing:
            self._metrics.forget("seamwork_obstacles", rule)
        for rule in standing:
            self._metrics.set("seamwork_obstacles", 1, rule)
        self._obstacles = standing
        for owned in self._owned.values():
            owned.health(changed)

    # ── Membership ───────────────────────────────────────────────────────────────────────

    async def _assign(self, partitions: frozenset[int]) -> None:
        self._assigned_once = True
        if self._failed is not None and self._failed.done():
            return  # on its way out it takes up nothing
        for number in set(self._parked) - partitions:
            del self._parked[number]
        for number in sorted(partitions - set(self._lives)):
            task = asyncio.create_task(
                self._live(number, self._parked.pop(number, None)), name=f"partition-{number}"
            )
            self._lives[number] = task
            task.add_done_callback(self._ended)

    async def _revoke(self, partitions: frozenset[int]) -> None:
        await self._drain(partitions)

    async def _drain(self, partitions: frozenset[int]) -> None:
        draining: dict[int, tuple[asyncio.Task[None], Owned | None]] = {}
        for number in partitions & set(self._lives):
            task = self._lives.pop(number)
            owned = self._owned.pop(number, None)
            if owned is None:
                task.cancel()  # still restoring: an abandoned claim harms nobody
            else:
                owned.stop()
            draining[number] = task, owned
        await asyncio.gather(*(task for task, _ in draining.values()), return_exceptions=True)
        for number, (task, owned) in draining.items():
            # What an error ended has decided on more than its journal holds.
            if owned is not None and not task.cancelled() and task.exception() is None:
                self._parked[number] = owned
            # Whoever has it now says how it stands; what was said here would stand beside it for ever.
            self._metrics.forget("seamwork_remembered", str(number))
        self._metrics.set("seamwork_owned_partitions", len(self._owned))

    async def _live(self, number: int, parked: Owned | None) -> None:
        if parked is not None and await parked.journal.undisturbed():
            owned = parked
            owned.resume()
        else:
            owned = await self._restored(number)
        owned.hungry = self._feed_again
        await owned.republish()
        await owned.open_feeds()
        if self._health is not None:
            owned.health(self._health)
        self._owned[number] = owned
        self._feed_again()
        self._metrics.set("seamwork_owned_partitions", len(self._owned))
        await owned.run()

    async def _restored(self, number: int) -> Owned:
        started = time.perf_counter()
        place = Place(self.spec.journal, self.spec.snapshots, number)
        journal = await Journal.own(self._log, self.spec.decider, place, self._ownership)
        # The catalog never goes back: what the journal has decided by, the next decision knows too.
        await self._follower.catch_up(journal.catalog)
        took_s = time.perf_counter() - started
        self._metrics.count("seamwork_claims")
        self._metrics.observe("seamwork_restore_seconds", took_s)
        self._logger.info(
            "restored",
            partition=number,
            epoch=journal.epoch,
            commits=journal.replayed,
            republishing=sum(len(commit.outputs) for commit in journal.pending),
            seconds=round(took_s, 3),
        )
        return Owned(self.spec, journal, self._around, self._feeds_of(number))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            if isinstance(error, FencedError):
                self._metrics.count("seamwork_fenced")
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    def _note_position(self, partition: Partition, position: int) -> None:
        if self._membership is not None:
            self._membership.note_position(partition, position)

    # ── Feeding ──────────────────────────────────────────────────────────────────────────

    def _feeds_of(self, number: int) -> Feeds:
        async def feeds(catalog: Catalog) -> Sequence[Partition]:
            found: list[Partition] = []
            missing: set[str] = set()
            for topic in self.spec.topics(catalog):
                count = await self._log.partitions_of(topic)
                if count is None:
                    missing.add(topic)
                elif self.spec.single_owner:
                    found += [Partition(topic, each) for each in range(count)]
                else:
                    found.append(Partition(topic, number))
            if missing and missing != self._missing.get(number, set()):
                self._logger.warning("topics-missing", partition=number, topics=sorted(missing))
            self._missing[number] = missing
            return found

        return feeds

    async def _feed_from(self, reader: Reader, name: str, *, unhurried: bool) -> None:
        hungry = asyncio.Event()
        self._readers.append(reader)
        self._hungry.append(hungry)
        self._helper(self._feed(reader, hungry, name, unhurried=unhurried), name)

    def _feed_again(self) -> None:
        for hungry in self._hungry:
            hungry.set()

    async def _feed(self, reader: Reader, hungry: asyncio.Event, name: str, *, unhurried: bool) -> None:
        while True:
            hungry.clear()
            wanted: dict[Partition, int] = {}
            homes: dict[Partition, Owned] = {}
            for owned in self._owned.values():
                for at, position in owned.wants():
                    if (at.topic in self.spec.unhurried) is unhurried:
                        wanted[at] = position
                        homes[at] = owned
            if not wanted:
                await hungry.wait()
                continue
            self._asked_at[name] = time.monotonic()
            found = await reader.fetch(wanted, max_records=_FETCH_RECORDS, max_wait_ms=_FETCH_WAIT_MS)
            del self._asked_at[name]
            for at, records in found.items():
                if records:
                    homes[at].offer(at, records)
            if found and not unhurried:
                await self._worked_off(hungry)

    async def _worked_off(self, hungry: asyncio.Event) -> None:
        """
        Wait until no partition is at work: a busy machine asks once for what has gathered for all of them.

        An idle one asks again at once, for its steps are short; and a partition whose leader is away does not hold
        up the others for longer than a moment.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WORK_S):
                while any(one.at_work for one in self._owned.values()):
                    hungry.clear()
                    await hungry.wait()

    async def _watch_catalog(self) -> None:
        since = self._follower.catalog.revision
        while True:
            try:
                async with asyncio.timeout(_TOPIC_RETRY_S):
                    since = (await self._follower.changed(since)).revision
            except TimeoutError:
                await self._look_for_missing()
                continue
            for owned in tuple(self._owned.values()):
                owned.nudge()

    async def _look_for_missing(self) -> None:
        """Look whether a topic that the catalog names is there by now; who lacked it opens it in a step."""
        lacking = {topic for number in self._owned for topic in self._missing.get(number, ())}
        there = {topic for topic in sorted(lacking) if await self._log.partitions_of(topic) is not None}
        for number, owned in self._owned.items():
            if not there.isdisjoint(self._missing.get(number, ())):
                owned.look_again()

    def _helper(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=f"{self.name}-{name}")
        task.add_done_callback(self._ended)
        self._helpers.append(task)

    async def _check_partitions(self) -> None:
        expected = await self._log.partitions_of(self.spec.journal)
        if expected is None:
            raise MisconfiguredError(
                f"there is no topic {self.spec.journal}; run `seamwork up`, or the registrar, to make the topics. "
                "A gate of one's own that remembers says so in its document (memory: true)"
            )
        if self.spec.single_owner and expected != 1:
            raise MisconfiguredError(
                f"{self.spec.journal} has {expected} partitions, and one process owns all that {self.name} "
                "remembers: the topic was made for other code. Bring the gate in under another name"
            )
        counts = {self.spec.snapshots: await self._log.partitions_of(self.spec.snapshots)}
        if not self.spec.single_owner:
            for topic in self.spec.topics(self._follower.catalog):
                counts[topic] = await self._log.partitions_of(topic) or expected  # may come later
        wrong = {topic: count for topic, count in counts.items() if count != expected}
        if wrong:
            raise MisconfiguredError(
                f"{self.spec.journal} has {expected} partitions, but {wrong}; a journal is never repartitioned: "
                "make the topics as they were"
            )
