"""The counter as a service of its own: what ``__main__`` of every service is like."""

from seamwork.runtime import MachineSpec, Service, ServiceSettings, Site
from seamwork.runtime.run import run
from seamwork.testing.counter import counter


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """What the counter can be told."""

    batch: int = 500


def build(settings: Settings, _site: Site) -> MachineSpec:
    """Make the machine."""
    return MachineSpec(decider=counter("policy-engine"), max_batch=settings.batch)


SERVICE = Service(
    name="policy-engine",
    settings=Settings,
    build=build,
    reads=("handoffs.v1",),
    writes=("verdicts.{gate}.v1",),
    version="1.0.0",
)

if __name__ == "__main__":
    run(SERVICE)
