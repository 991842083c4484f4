"""
Compare what stands at the broker with the topic files: topics, their settings, rights, credentials.

The registrar makes it so at every start; between two starts somebody with an administrator's password may have
changed it. Nothing is changed here.
"""

import asyncio

from seamwork.broker.principal import GATES, Principal, further_gate, like_of, standing
from seamwork.broker.principal import agent as agent_principal
from seamwork.catalog import Catalog
from seamwork.documents import Agent, Gate
from seamwork.errors import SeamworkError
from seamwork.platform.door import Door
from seamwork.platform.findings import Finding
from seamwork.platform.vitals import Vitals

_AT_MOST = 5


async def compare(vitals: Vitals) -> tuple[Finding, ...]:
    """Return what differs at the broker of a platform that runs; nothing where it cannot be asked."""
    if vitals.state is None or vitals.state.kafka is None or vitals.catalog is None:
        return ()
    door = Door.of_running(vitals.home)
    try:
        found = await asyncio.to_thread(door.registrar().departures, principals_of(vitals.catalog))
    except SeamworkError as error:
        return (_finding("unfurnished", f"topics and rights could not be compared: {error}"),)
    if not found:
        return ()
    told = "; ".join(found[:_AT_MOST]) + (
        f"; and {len(found) - _AT_MOST} more" if len(found) > _AT_MOST else ""
    )
    return (_finding("unfurnished", f"the broker is not as the topic files want it: {told}"),)


def principals_of(catalog: Catalog) -> tuple[Principal, ...]:
    """Return everybody whom a platform has: who is always there, every agent and gate that was ever published."""
    inboxes: dict[str, int] = {}
    for document in catalog.documents():
        if isinstance(document, Agent):
            inboxes[document.name] = max(inboxes.get(document.name, 0), document.spec.inbox_partitions)
    return (
        *standing(),
        *further_gates(catalog),
        *(agent_principal(name, partitions=count) for name, count in sorted(inboxes.items())),
    )


def further_gates(catalog: Catalog) -> tuple[Principal, ...]:
    """Return the gates that were ever brought in beside those of every platform, by name."""
    return tuple(further_gate(name, role) for name, role in further_roles(catalog).items())


def further_roles(catalog: Catalog) -> dict[str, str]:
    """Return the roles of the gates that were ever brought in beside those of every platform, by name."""
    gates = [gate for gate in catalog.documents() if isinstance(gate, Gate)]
    roles = {gate.name: gate.spec.role for gate in sorted(gates, key=lambda gate: gate.name)}
    return {
        name: role
        for name, role in roles.items()
        if name not in GATES and like_of(role) != "approval-workflow"
    }


def _finding(name: str, what: str) -> Finding:
    mend = (
        "`seamwork down` and `seamwork up` mend topics and rights, `seamwork publish` those of an agent; "
        "a count of partitions is never changed: restore a backup"
    )
    return Finding(name=name, closes=False, what=what, mend=mend)
