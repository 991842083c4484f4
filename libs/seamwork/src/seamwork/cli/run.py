"""``seamwork up``, ``down``, ``status``."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import click

from seamwork.cli import NO
from seamwork.cli.terminal import answer, home_of, json_option, platform_option, running_loop, table, tell
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.platform.audit import Audit
from seamwork.platform.home import PlatformHome
from seamwork.platform.state import RunState, ServiceState, is_alive, read_state
from seamwork.platform.supervisor import last_words
from seamwork.platform.up import DEFAULT_PARTITIONS, DEFAULT_PREFIX, bring_up
from seamwork.platform.views import BreakerLine

_READY_WITHIN_S = 180.0
_GONE_WITHIN_S = 90.0
_POLL_S = 0.1


@click.command()
@platform_option
@json_option
@click.option("--detach", is_flag=True, help="Leave it running and return once it is ready.")
@click.option("--port", type=click.IntRange(1, 65535), help="The embedded Kafka's port; chosen unless given.")
@click.option("--prefix", help="Begins topics, groups and principals; never changes later.")
@click.option("--partitions", type=click.IntRange(1, 256), help="Of the path of work; never changes later.")
@running_loop
async def up(
    platform: str, detach: bool, port: int | None, prefix: str | None, partitions: int | None
) -> None:  # click's own form
    """
    Start Kafka and the services, and wait until they are ready.

    \b
      seamwork up                  stay in the foreground; Ctrl-C stops everything
      seamwork up --detach         leave it running; `seamwork down` stops it
      seamwork up --platform lab   another platform beside it, with data of its own
    """
    home = home_of(platform)
    state = read_state(home.state_file)
    if state is not None:
        if state.state == "ready":
            answer(state, lambda: f"platform {platform} runs already; {_where(state)}")
            return
        raise MisconfiguredError(
            f"platform {platform} is {state.state} in process {state.supervisor}; wait for it"
        )
    if detach:
        _detached(home, port, prefix, partitions)
        return
    identity = home.identity() if home.exists else None
    running = await bring_up(
        home,
        prefix=prefix or (identity.prefix if identity else DEFAULT_PREFIX),
        partitions=partitions or (identity.partitions if identity else DEFAULT_PARTITIONS),
        port=port,
        tell=tell,
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    ready = read_state(home.state_file)
    answer(ready, lambda: f"platform {platform} is ready; {_where(ready)}\nCtrl-C stops it.")
    await stopping.wait()
    tell("stopping")
    await running.stop()


@click.command()
@platform_option
@json_option
def down(platform: str) -> None:
    """
    Stop the services in order, then Kafka. The data stay.

    \b
      seamwork down
    """
    home = home_of(platform)
    state = read_state(home.state_file)
    if state is None:
        answer({"stopped": False}, lambda: f"platform {platform} does not run")
        return
    os.kill(state.supervisor, signal.SIGTERM)
    deadline = time.monotonic() + _GONE_WITHIN_S
    while is_alive(state.supervisor):
        if time.monotonic() > deadline:
            raise MisconfiguredError(
                f"process {state.supervisor} has not stopped within {_GONE_WITHIN_S:.0f} s; "
                f"look at {home.logs}, or end it"
            )
        time.sleep(_POLL_S)
    answer({"stopped": True}, lambda: f"platform {platform} has stopped; its data stay in {home.root}")


@click.command()
@platform_option
@json_option
def status(platform: str) -> None:
    """
    Say whether the platform admits work, and if not, why. Exit status 1 when it does not.

    \b
      seamwork status
      seamwork status --json
    """
    home = home_of(platform)
    state = read_state(home.state_file)
    if state is None:
        why = "it does not run; start it with `seamwork up`"
        answer(
            {"platform": platform, "admits_work": False, "why": why}, lambda: f"platform {platform}: {why}"
        )
        sys.exit(NO)
    services = [_looked_at(service) for service in state.services]
    lacking = [str(service["name"]) for service in services if not service["ready"]]
    admits = state.state == "ready" and not lacking
    why = "" if admits else (f"not ready: {', '.join(lacking)}" if lacking else f"it is {state.state}")
    resting = _resting(state)
    value = {
        "platform": platform,
        "admits_work": admits,
        "why": why,
        "state": state.state,
        "bootstrap": state.kafka.bootstrap if state.kafka else None,
        "home": str(home.root),
        "services": services,
        "breakers": resting,
    }
    answer(value, lambda: _screen(platform, home, state, services, admits=admits, why=why) + _rests(resting))
    if not admits:
        sys.exit(NO)


def _resting(state: RunState) -> list[BreakerLine] | None:
    """Return the breakers that are not closed, or None where the record cannot be asked now."""
    sink = state.service("audit-sink")
    try:
        return None if sink is None else Audit(f"http://127.0.0.1:{sink.http_port}").breakers()
    except (MisconfiguredError, UnprocessableError):
        return None


def _rests(resting: Sequence[BreakerLine] | None) -> str:
    names = sorted({f"{one.agent}@{one.version}" for one in resting or ()})
    return f"\nbreakers not closed: {', '.join(names)}; see `seamwork breakers list`" if names else ""


def _detached(home: PlatformHome, port: int | None, prefix: str | None, partitions: int | None) -> None:
    home.logs.mkdir(parents=True, exist_ok=True)
    log = home.logs / "up.log"
    options = {"--port": port, "--prefix": prefix, "--partitions": partitions}
    command = [sys.executable, "-m", "seamwork.cli", "up", "--platform", home.name]
    command += [part for name, value in options.items() if value is not None for part in (name, str(value))]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    deadline = time.monotonic() + _READY_WITHIN_S
    said = 0
    while time.monotonic() < deadline:
        said = _pass_on(log, said)
        state = read_state(home.state_file)
        if state is not None and state.state == "ready":
            where = _where(state)
            answer(state, lambda: f"platform {home.name} is ready; {where}")  # noqa: B023  # answered at once
            return
        if process.poll() is not None:
            raise MisconfiguredError(f"the platform did not start: {last_words(log)}. The whole story: {log}")
        time.sleep(_POLL_S)
    process.terminate()
    raise MisconfiguredError(f"the platform was not ready within {_READY_WITHIN_S:.0f} s; look at {log}")


def _pass_on(log: Path, said: int) -> int:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines[said:]:
        if line.startswith(("starting", "furnishing", "publishing", "fetching")):
            tell(line)
    return len(lines)


def _where(state: RunState | None) -> str:
    if state is None:
        return "its note is gone"
    where = state.kafka.where if state.kafka else "unknown"
    return f"Kafka ({state.kafka.rung if state.kafka else '-'}) at {where}; {len(state.services)} services"


def _looked_at(service: ServiceState) -> dict[str, object]:
    ready, detail = _health(service.http_port)
    return {
        "name": service.name,
        "ready": ready and service.pid is not None,
        "detail": detail,
        "pid": service.pid,
        "restarts": service.restarts,
        "exit_code": service.exit_code,
        "http": f"http://127.0.0.1:{service.http_port}",
        "log": service.log,
    }


def _health(port: int) -> tuple[bool, object]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as got:
            return True, _body(got.read())
    except urllib.error.HTTPError as error:
        return False, _body(error.read())
    except (urllib.error.URLError, OSError) as error:
        return False, f"does not answer ({error})"


def _body(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace").strip()


def _screen(
    platform: str,
    home: PlatformHome,
    state: RunState,
    services: list[dict[str, object]],
    *,
    admits: bool,
    why: str,
) -> str:
    first = f"platform {platform} admits work" if admits else f"platform {platform} admits no work: {why}"
    rows = [
        [
            str(service["name"]),
            "ready" if service["ready"] else "not ready",
            str(service["pid"] or "-"),
            str(service["restarts"]),
            str(service["http"]),
        ]
        for service in services
    ]
    return "\n".join(
        (
            first,
            _where(state),
            f"data and logs in {home.root}",
            "",
            table(["service", "state", "pid", "restarts", "health and metrics"], rows),
        )
    )
