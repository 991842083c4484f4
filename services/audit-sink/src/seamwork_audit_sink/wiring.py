"""Join the sink to the platform: what it reads, what it writes, its loop and its pages."""

import asyncio
from concurrent.futures import CancelledError
from importlib.metadata import version

from seamwork.catalog import Catalog
from seamwork.errors import SeamworkError
from seamwork.runtime import Footprint, Host, LoopSpec, Service, Site
from seamwork_audit_sink.archive import Archive
from seamwork_audit_sink.pages import PREFIX, Pages
from seamwork_audit_sink.settings import Settings
from seamwork_audit_sink.sink import Sink
from seamwork_audit_sink.topics import LEAD, READS

VERSION = version("seamwork-audit-sink")

_CATCH_UP_S = 1.0
"""Longer than records gather for; a sink that is further behind answers with what it has."""
_PATIENCE_S = 3 * _CATCH_UP_S
"""A loop that does not even get to its own clock holds up no page."""


class _Part:
    """One process: the loop, and the pages that come to know the catalog when the loop begins."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._host: Host | None = None
        self._running: tuple[Sink, asyncio.AbstractEventLoop] | None = None
        self.pages = Pages(Archive(settings.database), self._catalog, catch_up=self._catch_up)

    async def run(self, host: Host) -> None:
        """Run the loop."""
        self._host = host
        sink = Sink(self._settings, host)
        self._running = (sink, asyncio.get_running_loop())
        try:
            await sink.run()
        finally:
            self._running = None

    def _catalog(self) -> Catalog | None:
        return None if self._host is None else self._host.catalog.catalog

    def _catch_up(self) -> None:
        """Let the loop keep what lies in the topics now; called by a page's thread."""
        if self._host is None or self._running is None:
            return
        sink, loop = self._running
        waiting = asyncio.run_coroutine_threadsafe(sink.catch_up(_CATCH_UP_S), loop)
        try:
            waiting.result(_PATIENCE_S)
        except (SeamworkError, TimeoutError, CancelledError) as error:
            # What is kept can be read without a broker, and is asked for most when there is none.
            waiting.cancel()
            self._host.logger.debug("not-caught-up", error=repr(error))


def build(settings: Settings, site: Site) -> LoopSpec:
    """Make the loop and its pages."""
    del site  # the host says it again when the loop begins
    part = _Part(settings)
    return LoopSpec(run=part.run, routes={PREFIX: part.pages})


SERVICE = Service(
    name="audit-sink",
    version=VERSION,
    settings=Settings,
    build=build,
    reads=(*READS, LEAD),
    writes=(LEAD,),
    footprint=Footprint(disk_gib=50),
)
