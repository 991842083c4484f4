"""Topics to decisions, and nothing else."""

from seamwork.catalog import Catalog
from seamwork.runtime import HANDOFFS, MachineSpec, Service, Site
from seamwork_router import __version__
from seamwork_router.decide import COMMANDS, router
from seamwork_router.settings import Settings

_TAKEN_DOWN = frozenset({"noted"})
"""Progress and usage: the agent goes on whether they were taken down or not."""


def also(catalog: Catalog) -> tuple[str, ...]:
    """Return what the router reads besides crossings: verdicts of every gate there ever was, and commands."""
    return (*(f"verdicts.{gate}.v1" for gate in catalog.gate_names()), COMMANDS)


def build(settings: Settings, site: Site) -> MachineSpec:
    """Make the machine for one platform."""
    del settings  # nothing of its own to set
    return MachineSpec(
        decider=router(site.partitions, site.platform),
        lead=HANDOFFS,
        also=also,
        health=True,
        patient=_TAKEN_DOWN,
    )


SERVICE = Service(
    name="router",
    version=__version__,
    settings=Settings,
    build=build,
    reads=("handoffs.v1", "verdicts.{gate}.v1", "commands.v1"),
    writes=("decisions.v1", "inbox.{agent}.v1", "dead-letters.v1"),
)
