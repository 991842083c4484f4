"""
Hold one running service together: log, catalog, part, pages, pulse; and know why it ended.

FastStream frames it: ``FastStream(broker, lifespan=frame.running)``. Its signals stop the app, and the way out
finishes what is in flight.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog

from seamwork.bus.port import Log, Partition
from seamwork.catalog import Catalog
from seamwork.catalog.follower import CatalogFollower
from seamwork.clock import Clock
from seamwork.errors import SeamworkError
from seamwork.records.platform import Obstacle
from seamwork.runtime.agents_health import AgentsHealth
from seamwork.runtime.gate import Gate
from seamwork.runtime.heartbeat import Pulse
from seamwork.runtime.http import HttpServer, Request, Response, Route, metrics_page
from seamwork.runtime.lag import Lag
from seamwork.runtime.machine import Identity, Machine
from seamwork.runtime.metrics import Metrics
from seamwork.runtime.parent import watch_parent
from seamwork.runtime.spec import GateSpec, Host, LoopSpec, MachineSpec, Part, Service
from seamwork.runtime.standings import Standings
from seamwork.settings.common import CommonSettings

STALLED_S = 60.0
_LOOP_S = 30.0
_TICK_S = 1.0
_LAST_BEAT_S = 2.0


class Frame:
    """
    One running service.

    Args:
        service: What it is.
        part: What its ``build`` made.
        common: What it was told.
        log: The log, as its principal sees it; the frame does not close it.
        clock: What time it is.
        ended: Called once when something ends the service; `error` says what.
    """

    def __init__(
        self,
        service: Service[Any],
        part: Part,
        common: CommonSettings,
        *,
        log: Log,
        clock: Clock,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.service = service
        self.metrics = Metrics(service.name)
        self.error: BaseException | None = None
        self.stopping = asyncio.Event()
        self._part = part
        self._common = common
        self._log = log
        self._clock = clock
        self._ended = ended
        self._key = common.signing_key()
        self._follower = CatalogFollower(log, common.platform, common.root_public)
        self._running: Machine | Gate | _Loop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._beating: asyncio.Task[None] | None = None
        self._loop_seen = time.monotonic()
        self._state = "starting"
        self._obstacles: tuple[Obstacle, ...] = ()
        self._health: AgentsHealth | None = None
        self._logger = structlog.get_logger("service")
        self._http = HttpServer(common.http_host, common.http_port, self._routes(), self._page_failed)

    @property
    def http_port(self) -> int:
        """Where the pages are."""
        return self._http.port

    @property
    def ready(self) -> bool:
        """Whether it can do its work."""
        return self._state == "ready" and self._running is not None and self._running.ready

    @property
    def alive(self) -> bool:
        """Whether it makes progress wherever there is something to do."""
        return self.stuck is None

    @property
    def stuck(self) -> str | None:
        """What has not gone on for so long that only another process helps; null while all goes on."""
        stood_s = time.monotonic() - self._loop_seen
        if stood_s > _LOOP_S:
            return f"the event loop has stood still for {stood_s:.0f} s"
        waited_s = 0.0 if self._running is None else self._running.stalled_s
        if waited_s < STALLED_S:
            return None
        return f"work was there, or was asked for, and nothing has come of it for {waited_s:.0f} s"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run while the block runs."""
        self._http.start()
        self._logger.info("starting", http_port=self.http_port, instance=self._common.instance)
        try:
            self._task(self._notice_loop(), "loop")
            if self._common.parent_pid is not None:
                self._task(watch_parent(self._common.parent_pid, self._orphaned), "parent")
            await self._follower.start()
            self._task(self._follower.wait(), "catalog")
            await self._start()
            self._state = "ready"
            yield
        finally:
            self._state = "draining"
            await self._stop()

    async def _start(self) -> None:
        self._running = running = self._make()
        await running.start()
        self._task(running.wait(), "part")
        if not isinstance(running, _Loop):
            self._show_lag(lambda: running.positions)
        if isinstance(running, Machine) and running.spec.health:
            health = AgentsHealth(
                self._log, self._common.platform, lambda: self._follower.catalog, self._clock, running.health
            )
            self._health = health
            self._task(health.run(), "health")
        if isinstance(running, Machine) and running.spec.standing is not None:
            self._task(
                Standings(self.metrics, lambda: running.standing(self._clock.now_ms())).run(), "budgets"
            )
        if self._key is not None:
            self._pulse = Pulse(
                self._log,
                platform=self._common.platform,
                name=self.service.name,
                instance=self._common.instance,
                version=self.service.version,
                key=self._key,
                clock=self._clock,
            )
            self._beating = asyncio.create_task(self._pulse.run(self._facts, self.stopping), name="pulse")
            self._beating.add_done_callback(self._task_ended)

    async def _stop(self) -> None:
        self.stopping.set()
        try:
            if self._running is not None:
                await self._running.stop()
            if self._beating is not None:
                await asyncio.wait({self._beating}, timeout=_LAST_BEAT_S)
        finally:
            if self._beating is not None:
                self._tasks.append(self._beating)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._follower.stop()
            self._http.stop()

    def _make(self) -> "Machine | Gate | _Loop":
        identity = Identity(
            platform=self._common.platform,
            instance=self._common.instance,
            version=self.service.version,
            signer=self._key,
        )
        match self._part:
            case MachineSpec():
                return Machine(
                    self._part,
                    log=self._log,
                    follower=self._follower,
                    identity=identity,
                    clock=self._clock,
                    metrics=self.metrics,
                )
            case GateSpec():
                return Gate(
                    self._part,
                    log=self._log,
                    follower=self._follower,
                    identity=identity,
                    clock=self._clock,
                    metrics=self.metrics,
                )
            case LoopSpec():
                return _Loop(self._part, self._host)

    def _host(self, progressed: Callable[[int], None], ready: Callable[[], None]) -> Host:
        return Host(
            name=self.service.name,
            version=self.service.version,
            instance=self._common.instance,
            platform=self._common.platform,
            log=self._log,
            catalog=self._follower,
            clock=self._clock,
            settings=self._common,
            signing_key=self._key,
            stopping=self.stopping,
            progressed=progressed,
            ready=ready,
            hinders=self._hinders,
            metrics=self.metrics,
            logger=structlog.get_logger(self.service.name),
            reading=self._show_lag,
        )

    def _routes(self) -> dict[str, Route]:
        own = self._part.routes if isinstance(self._part, LoopSpec) else {}
        return {
            **own,
            "/health/live": self._live_page,
            "/health/ready": self._ready_page,
            "/metrics": metrics_page(self.metrics.registry),
        }

    def _live_page(self, _request: Request) -> Response:
        stuck = self.stuck
        return _page(stuck is None, {"alive": True} if stuck is None else {"alive": False, "why": stuck})

    def _ready_page(self, _request: Request) -> Response:
        facts = {"ready": self.ready, "state": self._state, "revision": self._follower.catalog.revision}
        return _page(self.ready, facts)

    def _facts(self) -> tuple[Catalog, tuple[int, ...], int]:
        running = self._running
        in_flight = sum(one.backlog for one in running.owned.values()) if isinstance(running, Machine) else 0
        partitions: tuple[int, ...] = ()
        if isinstance(running, Machine):
            partitions = tuple(sorted(running.owned))
        elif isinstance(running, Gate):
            partitions = running.partitions
        if not self.stopping.is_set():
            self._pulse.state = "ready" if self.ready else "starting"
        # Also what nobody else can say, for whoever looks: how long a service has been silent.
        self._pulse.obstacles = (*self._obstacles, *(self._health.found if self._health is not None else ()))
        if isinstance(running, Machine):
            self._pulse.detail = ", ".join(f"{of} {number}" for of, number in running.sizes.items() if number)
        return self._follower.catalog, partitions, in_flight

    def _hinders(self, obstacles: Sequence[Obstacle]) -> None:
        if tuple(obstacles) != self._obstacles:
            self._obstacles = tuple(obstacles)
            self._logger.warning("obstacles-changed", obstacles=[one.reason for one in obstacles])

    async def _notice_loop(self) -> None:
        while True:
            self._loop_seen = time.monotonic()
            revision = self._follower.catalog.revision
            for topic in ("contracts", "registry", "policies"):
                self.metrics.set("seamwork_catalog_offset", getattr(revision, topic), topic)
            self.metrics.set("seamwork_documents_rejected", self._follower.rejected)
            await asyncio.sleep(_TICK_S)

    def _show_lag(self, positions: Callable[[], Mapping[Partition, int]]) -> None:
        self._task(Lag(self._log, self.metrics, positions).run(), "lag")

    def _orphaned(self) -> None:
        self._logger.warning("parent-gone", parent=self._common.parent_pid)
        self._ended()

    def _page_failed(self, path: str, error: Exception) -> None:
        self._logger.error("page-failed", path=path, exc_info=error)

    def _task(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._task_ended)
        self._tasks.append(task)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self.error is None:
            self.error = error
            self._ended()


class _Loop:
    """A part with a loop of its own, seen as the others are."""

    def __init__(
        self, spec: LoopSpec, host: Callable[[Callable[[int], None], Callable[[], None]], Host]
    ) -> None:
        self.ready = False
        self._left = 0
        self._last = time.monotonic()
        self._spec = spec
        self._host = host(self._progressed, self._is_ready)
        self._task: asyncio.Task[None] | None = None

    @property
    def stalled_s(self) -> float:
        return time.monotonic() - self._last if self._left else 0.0

    async def start(self) -> None:
        self._task = asyncio.create_task(_as_coroutine(self._spec, self._host), name=self._host.name)

    async def wait(self) -> None:
        assert self._task is not None  # noqa: S101  # started
        await asyncio.shield(self._task)
        if not self._host.stopping.is_set():
            raise SeamworkError(f"the loop of {self._host.name} ended by itself; that is a bug")

    async def stop(self) -> None:
        self._host.stopping.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _progressed(self, left: int) -> None:
        self._left = left
        self._last = time.monotonic()

    def _is_ready(self) -> None:
        self.ready = True


async def _as_coroutine(spec: LoopSpec, host: Host) -> None:
    await spec.run(host)


def _page(good: bool, facts: dict[str, Any]) -> Response:  # noqa: FBT001  # a status is what the page is about
    status = "200 OK" if good else "503 Service Unavailable"
    return Response(msgspec.json.encode(facts) + b"\n", status)
