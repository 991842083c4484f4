"""
Trim a machine's journal from within its image: ``python -m seamwork.deploy.janitor router``.

What `seamwork tidy` does on one machine, for a platform that runs past it: told by its environment as a service is,
and as the principal ``tools``. ``SEAMWORK_GATE`` names a gate that runs ours under another name; for the machine
``memory`` it names one of one's own that remembers. Its last line and its exit code say why it ended, as those of
a service do.
"""

import asyncio
import os
import sys

import structlog

from seamwork.bus.kafka import KafkaLog
from seamwork.errors import MisconfiguredError
from seamwork.gate.remembered import memory_spec
from seamwork.journal import Trimmed
from seamwork.platform.audit import Audit
from seamwork.platform.janitor import machine_spec, tidy
from seamwork.runtime.exits import ended
from seamwork.runtime.logs import configure_logs
from seamwork.runtime.spec import HANDOFFS, MachineSpec, Part, Site, as_gate
from seamwork.settings.common import CommonSettings

MEMORY = "memory"
"""The machine of a gate that ``seamwork.gate`` remembers for; whose, the settings say."""


def main(machine: str) -> int:
    """Make one pass over the journal of *machine*, and return the exit code."""
    name = f"tidy-{machine}"
    configure_logs("info", service=name)
    logger = structlog.get_logger("janitor")
    try:
        common = CommonSettings.from_environ(machine, os.environ)
        configure_logs(common.log_level, service=name, instance=common.instance)
        trimmed = asyncio.run(_trim(machine, common))
    except Exception as error:  # noqa: BLE001  # whatever it is becomes a code and a line
        return ended(logger, error)
    return ended(logger, None, trimmed=len(trimmed))


async def _trim(machine: str, common: CommonSettings) -> list[Trimmed]:
    if machine == MEMORY and common.gate is None:
        raise MisconfiguredError("nothing says whose memory; set SEAMWORK_GATE to the gate's name")
    audit = Audit.elsewhere(common.platform)
    async with KafkaLog(common.kafka, prefix=common.prefix, client_id=common.instance) as log:
        partitions = await log.partitions_of(HANDOFFS)
        if partitions is None:
            raise MisconfiguredError(
                f"{common.kafka.username} sees no topic {HANDOFFS} with the prefix {common.prefix}; is it the user "
                "of the platform's tools?"
            )
        spec = _spec(machine, common, partitions)
        return await tidy(log, [spec], await asyncio.to_thread(audit.positions))


def _spec(machine: str, common: CommonSettings, partitions: int) -> MachineSpec:
    if machine == MEMORY and common.gate is not None:
        return memory_spec(common.gate)
    spec: Part = machine_spec(machine, Site(platform=common.platform, partitions=partitions))
    if common.gate is not None:
        spec = as_gate(spec, common.gate)
    assert isinstance(spec, MachineSpec)  # noqa: S101  # under every name it keeps a journal
    return spec


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
