"""Say which topics there are to read: everything but what this service writes itself, pulses and snapshots."""

from seamwork.broker.principal import GATES, MACHINES
from seamwork.catalog import Catalog

FIXED = (
    "answers.v1",
    "approvals.v1",
    "commands.v1",
    "contracts.v1",
    "dead-letters.v1",
    "decisions.v1",
    "handoffs.v1",
    "policies.v1",
    "registry.v1",
)
LEAD = "audit.v1"
READS = (*FIXED, "inbox.{agent}.v1", "journal.{machine}.v1", "verdicts.{gate}.v1")


def topics_of(catalog: Catalog) -> tuple[str, ...]:
    """Return every topic that a platform with these documents has and that is kept, each once."""
    # The topics of the gates that every platform has exist before the first ``Gate`` is published.
    gates = dict.fromkeys((*GATES, *catalog.gate_names()))
    return (
        *FIXED,
        *(f"journal.{machine}.v1" for machine in MACHINES),
        *(f"verdicts.{gate}.v1" for gate in gates),
        *(f"inbox.{agent}.v1" for agent in catalog.agent_names()),
    )
