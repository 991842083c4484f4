"""Join the sink to the platform: what it reads, what it writes, its loop and its pages."""

from importlib.metadata import version

from seamwork.catalog import Catalog
from seamwork.runtime import Footprint, Host, LoopSpec, Service, Site
from seamwork_audit_sink.archive import Archive
from seamwork_audit_sink.pages import PREFIX, Pages
from seamwork_audit_sink.settings import Settings
from seamwork_audit_sink.sink import Sink
from seamwork_audit_sink.topics import LEAD, READS

VERSION = version("seamwork-audit-sink")


class _Part:
    """One process: the loop, and the pages that come to know the catalog when the loop begins."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._host: Host | None = None
        self.pages = Pages(Archive(settings.database), self._catalog)

    async def run(self, host: Host) -> None:
        """Run the loop."""
        self._host = host
        await Sink(self._settings, host).run()

    def _catalog(self) -> Catalog | None:
        return None if self._host is None else self._host.catalog.catalog


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
