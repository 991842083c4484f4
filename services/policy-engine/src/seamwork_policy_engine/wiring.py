"""Topics to decisions, and nothing else."""

from seamwork.decider import asked_again
from seamwork.runtime import DECISIONS, HANDOFFS, MachineSpec, Service, Site
from seamwork_policy_engine import __version__
from seamwork_policy_engine.decide import GATE
from seamwork_policy_engine.machine import machine
from seamwork_policy_engine.settings import Settings


def build(settings: Settings, site: Site) -> MachineSpec:
    """Make the gate for one platform."""
    del settings  # nothing of its own to set
    return MachineSpec(
        decider=machine(site.platform),
        also=(DECISIONS,),
        unhurried=(DECISIONS,),
        needs_crossing=asked_again(GATE),
    )


SERVICE = Service(
    name=GATE,
    version=__version__,
    settings=Settings,
    build=build,
    reads=(HANDOFFS, DECISIONS),
    writes=("verdicts.{gate}.v1",),
)
