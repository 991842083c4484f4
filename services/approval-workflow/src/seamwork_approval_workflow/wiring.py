"""Topics to decisions, and nothing else."""

from seamwork.runtime import DECISIONS, HANDOFFS, MachineSpec, Service, Site
from seamwork_approval_workflow import __version__
from seamwork_approval_workflow.decide import ANSWERS, APPROVALS, GATE, needs_crossing
from seamwork_approval_workflow.machine import machine
from seamwork_approval_workflow.settings import Settings


def build(settings: Settings, site: Site) -> MachineSpec:
    """Make the gate for one platform; what is held is read from ``handoffs`` by position."""
    return MachineSpec(
        decider=machine(site.platform, settings.wait_s),
        lead=DECISIONS,
        also=(ANSWERS,),
        unhurried=(DECISIONS, ANSWERS),
        needs_crossing=needs_crossing,
    )


SERVICE = Service(
    name=GATE,
    version=__version__,
    settings=Settings,
    build=build,
    reads=(DECISIONS, ANSWERS, HANDOFFS),
    writes=("verdicts.{gate}.v1", APPROVALS),
)
