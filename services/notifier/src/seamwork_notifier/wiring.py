"""Join the notifier to the platform: what it reads, and its loop."""

from seamwork.runtime import Footprint, Host, LoopSpec, Service, Site
from seamwork_notifier import __version__
from seamwork_notifier.loop import READS, Loop
from seamwork_notifier.settings import Settings


def build(settings: Settings, site: Site) -> LoopSpec:
    """Make the loop."""
    del site  # the host says it again when the loop begins

    async def run(host: Host) -> None:
        await Loop(settings, host).run()

    return LoopSpec(run=run)


SERVICE = Service(
    name="notifier",
    version=__version__,
    settings=Settings,
    build=build,
    reads=READS,
    writes=(),
    footprint=Footprint(disk_gib=1, replicas=1, calls_out=True),
)
