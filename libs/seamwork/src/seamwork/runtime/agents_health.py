"""
Know which agent versions are alive, from their signed heartbeats, and tell the machine when that changes.

Liveness is no decision: a router that starts hears of it anew, so nothing of it is kept but what its journal took.
"""

from collections.abc import Callable

import structlog

from seamwork.bus.port import Log, Partition, Reader
from seamwork.catalog import Catalog
from seamwork.clock import Clock
from seamwork.decider import HealthChanged, InstanceHealth
from seamwork.grants.keys import record_verifies
from seamwork.records.envelope import AnyEnvelope
from seamwork.records.platform import Heartbeat
from seamwork.records.wire import RawRecord, Received, read
from seamwork.runtime.heartbeat import HEARTBEATS

_MISSED = 3  # one lost beat is the network's, three are the agent's
_LOOK_BACK = 2_000
_WAIT_MS = 1_000
_LOGGER = structlog.get_logger("health")


class AgentsHealth:
    """
    The liveness of agents.

    Args:
        log: Where heartbeats are read.
        platform: The platform's id.
        catalog: The current view, for the agents' keys.
        clock: What time it is.
        changed: Told of every change.
    """

    def __init__(
        self,
        log: Log,
        platform: str,
        catalog: Callable[[], Catalog],
        clock: Clock,
        changed: Callable[[HealthChanged], None],
    ) -> None:
        self._log = log
        self._platform = platform
        self._catalog = catalog
        self._clock = clock
        self._changed = changed
        self._beats: dict[str, tuple[Heartbeat, int]] = {}
        self._told: HealthChanged | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        at = Partition(HEARTBEATS, 0)
        start = (await self._log.start_offsets([at]))[at]
        end = (await self._log.end_offsets([at]))[at]
        position = max(start, end - _LOOK_BACK)
        reader: Reader = await self._log.reader()
        try:
            while True:
                found = await reader.fetch({at: position}, max_records=_LOOK_BACK, max_wait_ms=_WAIT_MS)
                for raw in found.get(at, ()):
                    position = raw.offset + 1
                    self.take(raw)
                if position >= end:
                    self.tell()
        finally:
            await reader.stop()

    def take(self, raw: RawRecord) -> None:
        """Take one heartbeat; what is not an agent's own counts for nothing."""
        received = read(raw, self._platform)
        if not isinstance(received, Received) or not isinstance(received.record, Heartbeat):
            return
        beat = received.record
        if beat.kind != "agent" or not self._is_own(received, beat.name):
            return
        if beat.state in ("draining", "failed"):
            self._beats.pop(beat.instance, None)
        else:
            self._beats[beat.instance] = (beat, raw.appended_at)

    def tell(self) -> None:
        """Count who is alive by now, and tell if that is news."""
        now = self._clock.now_ms()
        self._beats = {
            instance: (beat, at)
            for instance, (beat, at) in self._beats.items()
            if now - at <= _MISSED * max(beat.every_ms, 1_000)
        }
        alive: dict[tuple[str, str], int] = {}
        for beat, _ in self._beats.values():
            version = (beat.name, beat.version)
            alive[version] = alive.get(version, 0) + 1
        health = HealthChanged(
            instances=tuple(
                InstanceHealth(agent=agent, version=version, alive=count)
                for (agent, version), count in sorted(alive.items())
            )
        )
        if health != self._told:
            self._told = health
            self._changed(health)

    def _is_own(self, received: Received[AnyEnvelope], agent: str) -> bool:
        catalog, at = self._catalog(), received.raw.appended_at
        return record_verifies(
            received, self._platform, lambda kid: catalog.public_of(kid, f"agent:{agent}", at)
        )
