"""Own the counter's partitions in a process of its own, until killed; told on standard input where."""

import asyncio
import json
import sys

from seamwork.bus.kafka import KafkaLog
from seamwork.catalog.follower import CatalogFollower
from seamwork.clock import SystemClock
from seamwork.runtime import Machine, MachineSpec, exit_code
from seamwork.runtime.machine import Identity
from seamwork.settings.kafka import KafkaAccess
from seamwork.testing.builders import PLATFORM
from seamwork.testing.counter import counter
from seamwork.testing.keys import key_of


async def own(given: dict[str, str]) -> int:
    """Run the counter; say ``working`` after its first commit."""
    access = KafkaAccess(given["bootstrap"], given["username"], given["password"])
    log = KafkaLog(access, given["prefix"], client_id=given["instance"], session_timeout_ms=3_000)
    async with log:
        follower = CatalogFollower(log, PLATFORM, key_of("root").public)
        await follower.start()
        machine = Machine(
            MachineSpec(decider=counter("policy-engine")),
            log=log,
            follower=follower,
            identity=Identity(platform=PLATFORM, instance=given["instance"], version="test"),
            clock=SystemClock(),
        )
        await machine.start()
        ending = asyncio.create_task(machine.wait())
        while not any(owned.journal.seq for owned in machine.owned.values()) and not ending.done():  # noqa: ASYNC110  # what a test does
            await asyncio.sleep(0.005)
        sys.stdout.write("working\n")
        sys.stdout.flush()
        try:
            await ending
        except Exception as error:  # noqa: BLE001  # the test reads the code
            await machine.stop()
            return exit_code(error)[0]
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(own(json.loads(sys.stdin.readline()))))
