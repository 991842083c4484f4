"""
Run a service: what its ``wiring.py`` describes and its ``__main__.py`` starts.

A machine (state on a journal)::

    # wiring.py
    COST_CAP: Decider[Ledger, Input, Event, Context] = Decider(name="cost-cap", initial=Ledger, …)

    def build(settings: Settings, site: Site) -> MachineSpec:
        return MachineSpec(
            decider=COST_CAP,
            lead=None, single_owner=True,             # or lead="handoffs.v1" (the default)
            also=("handoffs.v1", "decisions.v1"),     # or lambda catalog: [...], asked again on every change
            needs_crossing=None,                      # or (Received) -> Position | None; then WithCrossing comes
        )

    SERVICE = Service(
        name="cost-cap", version=__version__, settings=Settings, build=build,
        reads=("handoffs.v1", "decisions.v1"), writes=("verdicts.{gate}.v1",),
    )

    # __main__.py
    from seamwork.runtime.run import run

    def main() -> NoReturn:
        run(SERVICE)

    # settings.py: SEAMWORK_COST_CAP_MAX_OPEN_TASKS, …; what has no default must be given
    class Settings(ServiceSettings, frozen=True, kw_only=True):
        max_open_tasks: Annotated[int, Meta(ge=1, description="…")] = 100_000

A stateless gate gives ``GateSpec(name=…, decide=(input, context) -> outputs, needs_crossing=…)``, a service with a
loop of its own ``LoopSpec(run=async (host) -> None, routes={"/v1/": (Request) -> Response})``.

The core gets ``Received``, ``Malformed``, ``WithCrossing``, ``Tick``, ``CatalogChanged``, ``HealthChanged``,
``Undeliverable``; its outputs are ``Publish``, ``Forward``, ``SetAside``. Signing, forwarded bytes, dead-letter
provenance, ``traceparent`` and the dedupe mark ``sw_src`` are the runtime's work. Topic names carry no prefix and
do carry their version: ``decisions.v1``.
"""

from seamwork.decider import DECISIONS
from seamwork.runtime.exits import exit_code
from seamwork.runtime.gate import Gate
from seamwork.runtime.http import Request, Response, Route
from seamwork.runtime.machine import Machine
from seamwork.runtime.spec import (
    HANDOFFS,
    Footprint,
    GateSpec,
    Host,
    LoopSpec,
    MachineSpec,
    Part,
    Service,
    Site,
    Standing,
    journal_topic,
    snapshots_topic,
)
from seamwork.settings.environment import ServiceSettings

__all__ = [
    "DECISIONS",
    "HANDOFFS",
    "Footprint",
    "Gate",
    "GateSpec",
    "Host",
    "LoopSpec",
    "Machine",
    "MachineSpec",
    "Part",
    "Request",
    "Response",
    "Route",
    "Service",
    "ServiceSettings",
    "Site",
    "Standing",
    "exit_code",
    "journal_topic",
    "snapshots_topic",
]
