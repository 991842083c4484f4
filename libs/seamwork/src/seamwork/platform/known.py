"""
Wait until the services that run here know what was published.

A gate that has not read a document yet refuses by the ones it has: rightly, and to the surprise of whoever
published a moment ago. So publishing ends when it is known.
"""

import asyncio
import json
import time
import urllib.error
from http.client import HTTPException

import msgspec

from seamwork.platform.asking import opened
from seamwork.platform.home import PlatformHome
from seamwork.platform.state import ServiceState, read_state
from seamwork.records.parties import Revision

WITHIN_S = 30.0
_POLL_S = 0.05


async def lagging(home: PlatformHome, revision: Revision, within_s: float = WITHIN_S) -> tuple[str, ...]:
    """
    Wait until every running service has reached *revision*.

    Returns:
        The names of those that run and had not when the time was up; empty where nothing runs on this machine.
    """
    state = read_state(home.state_file)
    waiting = [] if state is None else [service for service in state.services if service.pid is not None]
    deadline = time.monotonic() + within_s
    while waiting:
        reached = [await asyncio.to_thread(_reached, service, revision) for service in waiting]
        waiting = [service for service, is_there in zip(waiting, reached, strict=True) if not is_there]
        if not waiting or time.monotonic() > deadline:
            break
        await asyncio.sleep(_POLL_S)
    return tuple(service.name for service in waiting)


def _reached(service: ServiceState, revision: Revision) -> bool:
    address = f"http://127.0.0.1:{service.http_port}/health/ready"
    try:
        try:
            with opened(address, 2) as got:
                page = json.loads(got.read())
        except urllib.error.HTTPError as error:
            page = json.loads(error.read())  # not ready, and says how far it has read all the same
        return msgspec.convert(page["revision"], Revision).reaches(revision)
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return False  # it starts or ends just now, or somebody else answers at its port
