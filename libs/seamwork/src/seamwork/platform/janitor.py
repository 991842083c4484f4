"""
Tidy up behind the machines: what neither a restore nor the audit needs any more leaves the log.

Whoever writes journals may not delete, and whoever deletes may not write: it runs as the principal ``tools``, one
pass at a time, and asks the audit sink first. Topics of the path of work are not its business: their retention is a
time, and admission stops before it could overtake the audit.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

import structlog

from seamwork.broker.further import further_machines
from seamwork.broker.principal import MACHINES
from seamwork.bus.port import Log
from seamwork.catalog import Catalog
from seamwork.documents.problems import did_you_mean
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.gate.remembered import memory_spec
from seamwork.journal import Place, Trimmed, trim
from seamwork.runtime.spec import MachineSpec, Service, Site, as_gate
from seamwork.settings.environment import read_settings


def machine_spec(machine: str, site: Site) -> MachineSpec:
    """
    Return what the installed machine of this name is.

    Raises:
        MisconfiguredError: It is not installed here, or keeps no journal.
    """
    found = {point.name: point for point in entry_points(group="seamwork.services")}
    if machine not in found:
        raise MisconfiguredError(f"{machine} is not installed here; install seamwork-{machine}")
    service: Service[Any] = found[machine].load()
    part = service.build(read_settings(service.settings, machine, os.environ), site)
    if not isinstance(part, MachineSpec):
        raise MisconfiguredError(f"{machine} keeps no journal")
    return part


def machine_specs(catalog: Catalog, site: Site) -> dict[str, MachineSpec]:
    """
    Return what keeps a journal on a platform, by name: ours, gates that run ours under another name, memories.

    Raises:
        MisconfiguredError: One is not installed here.
    """
    named = {name: machine_spec(name, site) for name in MACHINES}
    for name, like in further_machines(catalog).items():
        part = memory_spec(name) if like is None else as_gate(named[like], name)
        assert isinstance(part, MachineSpec)  # noqa: S101  # what keeps a journal does so under every name
        named[name] = part
    return named


def one_of(specs: Mapping[str, MachineSpec], name: str) -> MachineSpec:
    """
    Return the machine called *name*.

    Raises:
        UnprocessableError: There is none.
    """
    if name not in specs:
        meant = did_you_mean(name, specs) or f"there are {', '.join(specs)}"
        raise UnprocessableError(f"nothing called {name} keeps a journal; {meant}")
    return specs[name]


async def tidy(log: Log, machines: Sequence[MachineSpec], kept: Mapping[str, int]) -> list[Trimmed]:
    """
    Make one pass over every partition of these machines' journals.

    Args:
        log: The log, as the tools see it.
        machines: Whose journals.
        kept: What the audit sink has: ``topic/partition`` → next offset. A journal that is not in it stays whole.

    Raises:
        UnprocessableError: A journal does not replay to its snapshot; all others are tidied.
    """
    logger = structlog.get_logger("janitor")
    done = []
    failed: UnprocessableError | None = None
    for spec in machines:
        for number in range(await log.partitions_of(spec.journal) or 0):
            place = Place(spec.journal, spec.snapshots, number)
            try:
                found = await trim(log, spec.decider, place, kept.get(str(place), 0))
            except UnprocessableError as error:
                logger.warning("not-trimmed", journal=str(place), error=str(error))
                failed = failed or error
                continue
            if found is not None:
                logger.info("trimmed", journal=found.place, journal_from=found.journal_from, gone=found.gone)
                done.append(found)
            await asyncio.sleep(0)
    if failed is not None:
        raise failed
    return done
