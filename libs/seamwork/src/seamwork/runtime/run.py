"""Run a service from its environment to its exit code: what every ``__main__`` calls."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

import structlog
from faststream import FastStream

from seamwork.bus.faststream import new_broker
from seamwork.bus.kafka import KafkaLog
from seamwork.bus.port import Log
from seamwork.bus.sharing import SharingLog
from seamwork.bus.shelf import Shelf
from seamwork.clock import SystemClock
from seamwork.decider import DECISIONS
from seamwork.errors import MisconfiguredError
from seamwork.runtime.bell import ring_later
from seamwork.runtime.exits import ended
from seamwork.runtime.frame import Frame
from seamwork.runtime.logs import configure_logs
from seamwork.runtime.memory import settle_memory
from seamwork.runtime.spec import HANDOFFS, Service, Site, as_gate
from seamwork.runtime.threads import settle_threads
from seamwork.settings.common import CommonSettings
from seamwork.settings.environment import ServiceSettings, read_settings

S = TypeVar("S", bound=ServiceSettings)


def run(service: Service[Any], environ: Mapping[str, str] | None = None) -> NoReturn:
    """Run *service* until a signal or an error ends it, and leave with the code that says which."""
    given = os.environ if environ is None else environ
    try:
        common = CommonSettings.from_environ(service.name, given)
        settings = read_settings(service.settings, service.name, given)
    except MisconfiguredError as error:
        configure_logs("info", service=service.name)
        sys.exit(ended(structlog.get_logger("service"), error))
    configure_logs(common.log_level, service=common.gate or service.name, instance=common.instance)
    settle_memory()
    settle_threads()
    sys.exit(asyncio.run(serve(service, common, settings)))


async def serve(
    service: Service[S],
    common: CommonSettings,
    settings: S,
    stop: asyncio.Event | None = None,
    shelf: Shelf | None = None,
) -> int:
    """
    Run *service* in this event loop and return its exit code; the last line of its log says why it ended.

    Args:
        service: What runs.
        common: What every service is told.
        settings: What this one is told.
        stop: Ends it when set, as a signal does.
        shelf: What it shares with the other services of the process, if there are any.
    """
    logger = structlog.get_logger("service")
    log: KafkaLog | None = None
    frame: Frame | None = None
    beside: list[asyncio.Task[None]] = []
    error: BaseException | None = None
    told = asyncio.Event()
    if stop is None:
        _heed(told)
    try:
        log = KafkaLog(common.kafka, prefix=common.prefix, client_id=common.instance)
        await log.start()
        part = service.build(settings, await _site(service, log, common))
        if common.gate is not None:
            part, service = as_gate(part, common.gate), replace(service, name=common.gate)
        app = _App(new_broker(common.kafka, client_id=common.instance), logger=None)
        seen = log if shelf is None else SharingLog(log, shelf)
        frame = Frame(service, part, common, log=seen, clock=SystemClock(), ended=app.exit)
        beside.append(asyncio.create_task(_bell(frame), name="bell"))
        if stop is not None:
            beside.append(asyncio.create_task(_stopped(stop, app.exit), name="stop"))
        app.lifespan_context = frame.running  # each needs the other, so one of them comes late
        await app.run()
        error = frame.error
    except asyncio.CancelledError:
        if not told.is_set():
            raise
    except Exception as failure:  # noqa: BLE001  # whatever it is becomes a code and a line
        error = failure if frame is None or frame.error is None else frame.error
    finally:
        if log is not None:
            await log.stop()
        for task in beside:
            task.cancel()
    return ended(logger, error)


class _App(FastStream):
    """What frames a service. Its bell is armed as soon as it is told to stop, for it may hang while it starts."""

    def exit(self) -> None:
        """Stop."""
        ring_later()
        super().exit()


def _heed(told: asyncio.Event) -> None:
    """
    Stop at a signal until the app heeds it, which it does once the log is found; *told* says that one came.

    The first process of a container is not ended by one that it has no answer to.
    """
    serving = asyncio.current_task()
    assert serving is not None  # noqa: S101  # of a coroutine that runs

    def leave() -> None:
        told.set()
        serving.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave)


async def _bell(frame: Frame) -> None:
    await frame.stopping.wait()
    ring_later()


async def _stopped(stop: asyncio.Event, leave: Callable[[], None]) -> None:
    await stop.wait()
    leave()


async def _site(service: Service[Any], log: Log, common: CommonSettings) -> Site:
    # Decisions have the partitions of handoffs; not everybody may see those.
    topic = HANDOFFS if HANDOFFS in service.reads else DECISIONS
    partitions = await log.partitions_of(topic)
    if partitions is None:
        raise MisconfiguredError(
            f"{common.kafka.username} sees no topic {topic} with the prefix {common.prefix}; the registrar "
            "makes topics and rights: run `seamwork up`"
        )
    return Site(platform=common.platform, partitions=partitions)
