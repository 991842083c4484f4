"""Topics to decisions, and nothing else."""

from importlib.metadata import version

from seamwork.runtime import GateSpec, Service, Site
from seamwork_contract_validator.decide import GATE, needs_crossing, stands_on, validator
from seamwork_contract_validator.settings import Settings

VERSION = version("seamwork-contract-validator")


def build(settings: Settings, site: Site) -> GateSpec:
    """Make the gate for one platform."""
    del settings  # nothing of its own to set
    return GateSpec(
        name=GATE,
        decide=validator(site.platform, site.partitions, VERSION),
        unhurried=("decisions.v1",),
        needs_crossing=needs_crossing,
        stands_on=stands_on(site.platform),
    )


SERVICE = Service(
    name=GATE,
    version=VERSION,
    settings=Settings,
    build=build,
    reads=("handoffs.v1", "decisions.v1"),
    writes=("verdicts.{gate}.v1",),
)
