"""Topics to decisions, and nothing else."""

from seamwork.decider import asked_again
from seamwork.runtime import DECISIONS, HANDOFFS, MachineSpec, Service, Site
from seamwork_cost_cap import __version__
from seamwork_cost_cap.decide import GATE
from seamwork_cost_cap.machine import machine
from seamwork_cost_cap.settings import Settings
from seamwork_cost_cap.standing import standing


def build(settings: Settings, site: Site) -> MachineSpec:
    """Make the gate for one platform: one owner for the whole, because a team's money has no partition."""
    del settings  # nothing of its own to set
    return MachineSpec(
        decider=machine(site.platform),
        lead=None,
        single_owner=True,
        also=(HANDOFFS, DECISIONS),
        needs_crossing=asked_again(GATE),
        standing=standing,
    )


SERVICE = Service(
    name=GATE,
    version=__version__,
    settings=Settings,
    build=build,
    reads=(HANDOFFS, DECISIONS),
    writes=("verdicts.{gate}.v1",),
)
