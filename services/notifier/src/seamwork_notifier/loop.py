"""
Follow what was decided and set aside, and keep what somebody must be told.

It stands beside the path of work: it reads, and nothing waits for it. The database decides how far was read.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from seamwork.bus.gathering import Gathering
from seamwork.bus.port import Partition
from seamwork.catalog import Context
from seamwork.decider import kind_of
from seamwork.documents.webhook import Webhook
from seamwork.errors import MisconfiguredError
from seamwork.records.decision import AnyDecision, Closed, Escalated
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.platform import DeadLetter
from seamwork.records.wire import RawRecord, Received, read
from seamwork.runtime import Host
from seamwork_notifier.budgets import Burn, burn_of, pages
from seamwork_notifier.courier import Couriers
from seamwork_notifier.decide import decider
from seamwork_notifier.settings import Settings
from seamwork_notifier.state import Nothing, Notified
from seamwork_notifier.store import Account, Store

DEAD_LETTERS = "dead-letters.v1"
READS = ("decisions.v1", DEAD_LETTERS)
_BATCH = 500
_WAIT_MS = 250
_NOTE_S = 1.0
"""So long may a position wait to be kept on which nothing hangs: each write waits for the disk, others with it."""
_USE_S = 60.0
"""So often it is noted that the database is in use: what waits is given up for the time of which that is known."""
_NOTHING = Nothing()
_DRILL = {False: "no", True: "yes"}


class Loop:
    """
    The life of one process.

    Args:
        settings: Where notifications wait.
        host: What the runtime lends.
    """

    def __init__(self, settings: Settings, host: Host) -> None:
        self._settings = settings
        self._host = host
        self._decide = decider(settings.platform_team)
        self._pending: set[str] = set()

    async def run(self) -> None:
        """Read and deliver until the host stops."""
        host = self._host
        # To open and to close waits for the disk as well.
        store = await asyncio.to_thread(Store, self._settings.database, host.platform, host.clock.now_ms())
        try:
            await self._work(store)
        finally:
            await asyncio.to_thread(store.close)

    async def _work(self, store: Store) -> None:
        host = self._host
        couriers = Couriers(
            self._settings, store, self._webhook_of, host.clock.now_ms,
            lambda owner, outcome: host.metrics.count("seamwork_deliveries", owner, outcome),
        )  # fmt: skip
        reading = asyncio.create_task(self._read(store, couriers), name="notifier-read")
        stopping = asyncio.create_task(host.stopping.wait(), name="notifier-stopping")
        watched: list[asyncio.Future[Any]] = [reading, stopping, couriers.broken]
        try:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            for one in watched:
                if one.done():
                    one.result()
        finally:
            reading.cancel()
            stopping.cancel()
            await asyncio.gather(reading, stopping, return_exceptions=True)
            await couriers.stop()

    async def _read(self, store: Store, couriers: Couriers) -> None:
        host = self._host
        positions = await self._positions(store)
        for owner in store.owners():
            couriers.wake(owner)
        reader = Gathering(await host.log.reader())
        unkept: dict[Partition, int] = {}
        keep_at = _now_s() + _NOTE_S
        use_at = _now_s() + _USE_S
        host.reading(lambda: positions)
        host.ready()
        try:
            while True:
                found = await reader.fetch(positions, max_records=_BATCH, max_wait_ms=_WAIT_MS)
                records = [raw for batch in found.values() for raw in batch]
                readable = list(filter(None, map(self._readable, records)))
                for received in readable:
                    # What the router knew as it decided: without the contract somebody else would be told.
                    if isinstance(received.record, AnyDecision):
                        await host.catalog.catch_up(received.record.revision)
                burned: dict[Account, int] = {}
                told = []
                once: set[str] = set()
                taken: set[str] = set()
                for received in readable:
                    for one in self._news(received, store, burned, taken, once):
                        if one.once is None or not (one.once in once or store.was_told(one.once)):
                            told.append(one)
                            once |= {one.once} if one.once else set()
                moved = {at: batch[-1].offset + 1 for at, batch in found.items() if batch}
                positions |= moved
                unkept |= moved
                due = _now_s() >= keep_at
                if told or once or burned or (unkept and due):
                    keep = [one for one in told if self._webhook_of(one.owner) is not None]
                    await store.take(keep, unkept, host.clock.now_ms(), once=once, burned=burned, taken=taken)
                    unkept.clear()
                    self._say(told)
                    for owner in {one.owner for one in keep}:
                        couriers.wake(owner)
                elif _now_s() >= use_at:
                    await store.note_use(host.clock.now_ms())
                    use_at = _now_s() + _USE_S
                if told or due:
                    self._measure(store)
                    keep_at = _now_s() + _NOTE_S
                host.metrics.count_each(
                    "seamwork_crossings", [(one.raw.topic, kind_of(one)) for one in readable]
                )
                host.progressed(len(records))
        finally:
            await reader.stop()  # what was not kept led to nothing, and is read again

    def _readable(self, raw: RawRecord) -> Received[AnyEnvelope] | None:
        """Return a record that the router wrote, or that was set aside; each lies in the topic of its own."""
        received = read(raw, self._host.platform)
        if not isinstance(received, Received):
            return None  # a decision that cannot be read stops machines; nobody is told by us
        return received if isinstance(received.record, DeadLetter) is (raw.topic == DEAD_LETTERS) else None

    def _is_too_old(self, received: Received[AnyEnvelope], store: Store) -> bool:
        return received.raw.appended_at < store.begun_at - self._settings.oldest_s * 1000

    def _news(
        self,
        received: Received[AnyEnvelope],
        store: Store,
        burned: dict[Account, int],
        taken: set[str],
        once: set[str],
    ) -> Iterator[Notified]:
        """Yield what a record is to be told of; one that its writer published again, after a crash, is none."""
        record, found = received.record, self._judge(received, store)
        burn = burn_of(record, self._host.catalog.catalog, received.raw.appended_at)
        if isinstance(record, Escalated) and record.case is not None:
            once.add(_case(record.case))
        if isinstance(record, Closed) and burn is not None:
            case = _case(record.dispatch or "")
            if case in once or store.was_told(case):
                burn = None  # it lay with people: no receiver was late
        if burn is not None or any(one.once is None for one in found):
            if received.digest in taken or store.was_taken(received.digest):
                return
            taken.add(received.digest)
        yield from found
        if burn is not None:
            yield from self._burn(received, burn, store, burned)

    def _judge(self, received: Received[AnyEnvelope], store: Store) -> Sequence[Notified]:
        if self._is_too_old(received, store):
            return ()
        context = Context(now=self._host.clock.now_ms(), catalog=self._host.catalog.catalog)
        return self._decide(_NOTHING, received, context)

    def _burn(
        self, received: Received[AnyEnvelope], burn: Burn, store: Store, burned: dict[Account, int]
    ) -> Iterator[Notified]:
        """Take what a decision costs from its seam's error budget; page the owner where it is used up."""
        account = burn.account
        burned[account] = used = burned.get(account, store.burned(account)) + 1
        self._host.metrics.count("seamwork_error_budget_burned", burn.contract.name, burn.what)
        self._host.metrics.set(
            "seamwork_error_budget_left", burn.allowed - used, burn.contract.name, burn.what
        )
        if used > burn.allowed and not self._is_too_old(received, store):
            yield from pages(received, burn, self._host.catalog.catalog)

    async def _positions(self, store: Store) -> dict[Partition, int]:
        log, places = self._host.log, []
        for topic in READS:
            count = await log.partitions_of(topic)
            if count is None:
                raise MisconfiguredError(
                    f"there is no topic {topic}; the registrar makes it: run `seamwork up`"
                )
            places += [Partition(topic, number) for number in range(count)]
        kept, starts = store.positions(), await log.start_offsets(places)
        for at, start in starts.items():
            if kept.get(at, start) < start:
                self._host.logger.error(
                    "records were trimmed before anybody was told of them",
                    topic=at.topic, partition=at.partition, missed=start - kept[at],
                )  # fmt: skip
        return {at: max(kept.get(at, start), start) for at, start in starts.items()}

    def _webhook_of(self, owner: str) -> Webhook | None:
        kind, _, name = owner.partition(":")
        catalog, now = self._host.catalog.catalog, self._host.clock.now_ms()
        document = catalog.team(name, now) if kind == "team" else catalog.person(name, now)
        return None if document is None else document.spec.webhook

    def _say(self, told: Sequence[Notified]) -> None:
        for one in told:
            if one.kind == "deprecated" and one.contract is not None:
                self._host.metrics.count(
                    "seamwork_deprecated_seams", one.contract.name, one.contract.version, one.owner
                )
            self._host.metrics.count("seamwork_notifications", one.kind, one.owner, _DRILL[one.drill])
            self._host.logger.info(
                one.kind, owner=one.owner, task=one.task, crossing=one.crossing, rule=one.rule, case=one.case,
                notification=one.id, **({"drill": True} if one.drill else {}),
            )  # fmt: skip

    def _measure(self, store: Store) -> None:
        waiting = store.owners()
        for owner in self._pending | set(waiting):
            self._host.metrics.set("seamwork_notifications_pending", waiting.get(owner, 0), owner)
        self._pending = set(waiting)


def _case(dispatch: str) -> str:
    """Name a case among what is told once."""
    return f"case {dispatch}"


def _now_s() -> float:
    return asyncio.get_running_loop().time()  # by which it sleeps, too
