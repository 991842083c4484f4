"""
Compare what stands at the broker with the topic files: topics, their settings, rights, credentials.

The registrar makes it so at every start; between two starts somebody with an administrator's password may have
changed it. Nothing is changed here.
"""

import asyncio

from seamwork.broker.further import further_gates
from seamwork.broker.principal import Principal, standing
from seamwork.broker.principal import agent as agent_principal
from seamwork.catalog import Catalog
from seamwork.documents import Agent
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


def _finding(name: str, what: str) -> Finding:
    mend = (
        "`seamwork down` and `seamwork up` mend topics and rights, `seamwork publish` those of an agent; "
        "a count of partitions is never changed: restore a backup"
    )
    return Finding(name=name, closes=False, what=what, mend=mend)
