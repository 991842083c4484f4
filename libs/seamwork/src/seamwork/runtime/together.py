"""
Run several services in one process and one event loop: ``python -m seamwork.runtime.together FILE``.

The file says with which environment each runs, as JSON: name → variables; secrets go by file, as ever. Each
service has its own principal, its own connections, its own journal and its own pages, and speaks to the others
through Kafka alone; but what one of them has read there, or written and been confirmed, lies on a shelf for the
others, so that it is fetched once, and its bytes are read once. What one process saves is that, memory, and the
change from process to process; what it costs is that they start and end together: when one ends, the others finish
what they hold and end with it, and whoever started the process starts all of them again.
"""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import structlog

from seamwork.bus.shelf import Shelf
from seamwork.errors import MisconfiguredError
from seamwork.grants.keys import remember_signed
from seamwork.records.wire import remember_readings
from seamwork.runtime.exits import OK, ended
from seamwork.runtime.logs import configure_logs
from seamwork.runtime.memory import settle_memory
from seamwork.runtime.run import serve
from seamwork.runtime.spec import Service
from seamwork.runtime.threads import settle_threads
from seamwork.settings.common import CommonSettings
from seamwork.settings.environment import ServiceSettings, read_settings

_READINGS = 4096
"""A second's records: the audit sink reads what the others read up to half a second before."""

Told = Mapping[str, Mapping[str, str]]
"""Name of a service → its environment."""


@dataclass(frozen=True)
class _Part:
    service: Service[Any]
    common: CommonSettings
    settings: ServiceSettings


def run_together(told: Told) -> NoReturn:
    """Run the services that *told* names until a signal or an error ends one; leave with the code that says why."""
    try:
        parts = [_part(name, environ) for name, environ in told.items()]
    except MisconfiguredError as error:
        configure_logs("info", service="together")
        sys.exit(ended(structlog.get_logger("service"), error))
    configure_logs(parts[0].common.log_level)
    settle_memory()
    settle_threads()
    remember_readings(_READINGS)
    remember_signed(own=True)
    sys.exit(asyncio.run(_serve_all(parts)))


def main() -> NoReturn:
    """Run what the file named on the command line describes."""
    run_together(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=dict[str, dict[str, str]]))


async def _serve_all(parts: list[_Part]) -> int:
    stop, shelf = asyncio.Event(), Shelf()
    serving = [asyncio.create_task(_serve(part, stop, shelf), name=part.service.name) for part in parts]
    first, _ = await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    codes = [task.result() for task in first]
    codes += await asyncio.gather(*(task for task in serving if task not in first))
    return next((code for code in codes if code != OK), OK)


async def _serve(part: _Part, stop: asyncio.Event, shelf: Shelf) -> int:
    # Each task has a context of its own, so that each line of the log names its service.
    structlog.contextvars.bind_contextvars(service=part.service.name, instance=part.common.instance)
    return await serve(part.service, part.common, part.settings, stop, shelf)


def _part(name: str, environ: Mapping[str, str]) -> _Part:
    found = [point for point in entry_points(group="seamwork.services") if point.name == name]
    if not found:
        raise MisconfiguredError(f"no service {name} is installed; install seamwork-{name}")
    service: Service[Any] = found[0].load()
    return _Part(
        service, CommonSettings.from_environ(name, environ), read_settings(service.settings, name, environ)
    )


if __name__ == "__main__":
    main()
