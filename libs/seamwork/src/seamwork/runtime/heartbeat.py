"""Say every two seconds that this instance lives, signed, so that people and the router can tell."""

import asyncio
from collections.abc import Callable
from typing import Literal

import structlog

from seamwork.bus.port import Log, Rejected
from seamwork.catalog import Catalog
from seamwork.clock import Clock
from seamwork.errors import SeamworkError
from seamwork.grants.keys import SigningKey
from seamwork.records.platform import Heartbeat, Obstacle
from seamwork.records.wire import compose

EVERY_MS = 2_000
HEARTBEATS = "heartbeats.v1"
State = Literal["starting", "ready", "draining", "failed"]


class Pulse:
    """
    The heartbeat of one service.

    Args:
        log: Where to.
        platform, name, instance, version: Who lives.
        key: Signs it.
        clock: The instance's own time, which is data.
    """

    def __init__(  # one argument for each field of the record
        self,
        log: Log,
        *,
        platform: str,
        name: str,
        instance: str,
        version: str,
        key: SigningKey,
        clock: Clock,
    ) -> None:
        self.state: State = "starting"
        self.detail = ""
        self.obstacles: tuple[Obstacle, ...] = ()
        self._log = log
        self._platform = platform
        self._name = name
        self._instance = instance
        self._version = version
        self._key = key
        self._clock = clock
        self._logger = structlog.get_logger("heartbeat")

    async def beat(self, catalog: Catalog, partitions: tuple[int, ...], in_flight: int) -> None:
        """Write one heartbeat. That it cannot be written stops nobody: the work says more than the pulse."""
        record = Heartbeat(
            instance=self._instance,
            name=self._name,
            kind="service",
            version=self._version,
            state=self.state,
            sent_at=self._clock.now_ms(),
            every_ms=EVERY_MS,
            in_flight=in_flight,
            partitions=partitions,
            revision=catalog.revision,
            detail=self.detail,
            obstacles=self.obstacles,
        )
        out = compose(self._platform, HEARTBEATS, self._instance, record, signer=self._key)
        try:
            answer = (await self._log.publish([out]))[0]
        except SeamworkError as error:
            self._logger.warning("heartbeat-unsent", error=str(error))
            return
        if isinstance(answer, Rejected):
            self._logger.warning("heartbeat-refused", error=answer.error)

    async def run(
        self, facts: Callable[[], tuple[Catalog, tuple[int, ...], int]], stopping: asyncio.Event
    ) -> None:
        """Beat until *stopping*, and say then that it ends."""
        while not stopping.is_set():
            await self.beat(*facts())
            try:
                async with asyncio.timeout(EVERY_MS / 1000):
                    await stopping.wait()
            except TimeoutError:
                pass  # time for the next
        self.state = "draining"
        await self.beat(*facts())
