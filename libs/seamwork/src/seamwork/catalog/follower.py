"""
Keep a catalog fed: read the three document topics from their start and go on reading.

The registry is read first, and again to its end before anything else is folded in, so that a record is judged by
all that was said before it, and readers that came at different times agree. Services and agents hold one follower
each and ask it for the current view; nothing on the path of work waits for it.
"""

import asyncio
from typing import NoReturn

import structlog

from seamwork.bus.port import Log, Partition, Reader
from seamwork.catalog.builder import DOCUMENT_TOPICS, CatalogBuilder
from seamwork.catalog.catalog import Catalog
from seamwork.catalog.soundness import examine
from seamwork.errors import SeamworkError
from seamwork.records.parties import Revision
from seamwork.records.wire import RawRecord

_REGISTRY = "registry.v1"
_CONTRACTS = "contracts.v1"
_BATCH = 500
_WAIT_MS = 500


class CatalogFollower:
    """
    Follow the documents of one platform.

    Args:
        log: The log, as the principal that follows sees it.
        platform: The platform's id.
        root_public: The pinned root key, base64.
    """

    def __init__(self, log: Log, platform: str, root_public: str) -> None:
        self._log = log
        self._builder = CatalogBuilder(platform, root_public)
        self._changed = asyncio.Event()
        self._reader: Reader | None = None
        self._task: asyncio.Task[None] | None = None
        self._logger = structlog.get_logger("catalog")

    @property
    def catalog(self) -> Catalog:
        """The view at the current revision."""
        return self._builder.view()

    @property
    def rejected(self) -> int:
        """How many records of the document topics did not count."""
        return self._builder.rejected

    async def start(self) -> None:
        """
        Read all there is, then keep following in the background.

        Raises:
            LogGapError: A document topic does not start at its first record; documents are kept for ever.
        """
        self._reader = await self._log.reader()
        ends = await self._log.end_offsets([Partition(topic, 0) for topic in DOCUMENT_TOPICS])
        await self._read_to(_REGISTRY, ends[Partition(_REGISTRY, 0)])
        for topic in DOCUMENT_TOPICS:
            await self._read_to(topic, ends[Partition(topic, 0)])
        self._task = asyncio.create_task(self._follow(), name="catalog-follower")

    async def stop(self) -> None:
        """Stop following; the last view stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._reader is not None:
            await self._reader.stop()
            self._reader = None

    async def wait(self) -> NoReturn:
        """
        Wait until it follows no more, and raise why: its owner must stop, a stale catalog is no catalog.

        Raises:
            SeamworkError: The follower broke, or was stopped.
        """
        task = self._task
        if task is not None:
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()
        raise SeamworkError("the catalog follower has stopped; restart the service")

    async def changed(self, since: Revision) -> Catalog:
        """
        Wait until the view is newer than *since* and return it.

        Raises:
            SeamworkError: The follower broke, or was stopped; its owner must stop, a stale catalog is no catalog.
        """
        while self.catalog.revision == since:
            task = self._task
            if task is None or task.done():
                await self.wait()
            self._changed.clear()
            waiting = asyncio.create_task(self._changed.wait())
            try:
                await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()  # who waits may give up
        return self.catalog

    async def catch_up(self, revision: Revision) -> Catalog:
        """Wait until the catalog reaches *revision* and return the view."""
        while not self.catalog.revision.reaches(revision):
            await self.changed(self.catalog.revision)
        return self.catalog

    async def _follow(self) -> None:
        while True:
            wanted = {Partition(topic, 0): at for topic, at in self._builder.positions.items()}
            assert self._reader is not None  # noqa: S101  # started
            found = await self._reader.fetch(wanted, max_records=_BATCH, max_wait_ms=_WAIT_MS)
            registry = found.pop(Partition(_REGISTRY, 0), ())
            for raw in registry:
                await self._apply_live(raw)
            if any(found.values()):
                await self._read_registry()
            for records in found.values():
                for raw in records:
                    await self._apply_live(raw)
            if registry or any(found.values()):
                self._changed.set()

    async def _read_to(self, topic: str, end: int) -> None:
        at = self._builder.positions[topic]
        while at < end:
            upto = min(end, at + _BATCH)
            found = await self._log.read(Partition(topic, 0), at, upto)
            if found and topic != _REGISTRY:
                await self._read_registry()
            for raw in found:
                self._apply(raw)
            at = upto  # no record lies at the marker of a transaction

    async def _read_registry(self) -> None:
        """
        Read the registry to its end, because of what has come from another topic.

        Topics are asked, and answer, one after the other. What was said in the registry before a record was
        appended may come later: whose key it was and that it is revoked, who takes a contract, who agreed.
        """
        end = await self._log.end_offsets([Partition(_REGISTRY, 0)])
        await self._read_to(_REGISTRY, end[Partition(_REGISTRY, 0)])

    async def _apply_live(self, raw: RawRecord) -> None:
        if raw.topic == _CONTRACTS and raw.value:
            # Checking takes tens of milliseconds; done beside the loop, it pauses nobody's work.
            await asyncio.to_thread(examine, raw.value)
        elif raw.topic == _CONTRACTS:
            await asyncio.to_thread(self._builder.compare_ahead, raw)
        self._apply(raw, examine=True)

    def _apply(self, raw: RawRecord, *, examine: bool = False) -> None:
        rejection = self._builder.apply(raw, examine=examine)
        if rejection is not None:
            self._logger.error(
                "document-rejected",
                topic=rejection.topic,
                offset=rejection.offset,
                rule=rejection.rule,
                reason=rejection.reason,
            )


async def read_catalog(log: Log, platform: str, root_public: str) -> Catalog:
    """
    Return the documents as they are at this moment, for whoever asks once; the arguments are the follower's.

    Raises:
        LogGapError: A document topic does not start at its first record.
    """
    follower = CatalogFollower(log, platform, root_public)
    try:
        await follower.start()
    finally:
        await follower.stop()
    return follower.catalog
