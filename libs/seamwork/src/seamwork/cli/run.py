"""``seamwork up`` and ``down``."""

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import click

from seamwork.cli.status import where
from seamwork.cli.terminal import answer, home_of, json_option, platform_option, prefix_of, running_loop, tell
from seamwork.errors import MisconfiguredError
from seamwork.platform.alone import alone
from seamwork.platform.founded import read_founded
from seamwork.platform.home import PlatformHome
from seamwork.platform.rolling import keep_small
from seamwork.platform.state import RunState, read_state, runs
from seamwork.platform.supervisor import last_words
from seamwork.platform.up import (
    DEFAULT_LAYOUT,
    DEFAULT_PARTITIONS,
    DEFAULT_PREFIX,
    Layout,
    bring_up,
)

_READY_WITHIN_S = 180.0
_GONE_WITHIN_S = 90.0
_POLL_S = 0.1
TIDY_EVERY_S = 600.0


def _finite(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """Refuse what is no number of seconds; a pause of NaN is none."""
    if not math.isfinite(value):
        raise click.BadParameter("is no number of seconds", ctx, param)
    return value


@click.command()
@platform_option
@json_option
@click.option("--detach", is_flag=True, help="Leave it running and return once it is ready.")
@click.option("--port", type=click.IntRange(1, 65535), help="The embedded Kafka's port; chosen unless given.")
@click.option(
    "--prefix", callback=prefix_of, help="Begins topics, groups and principals; never changes later."
)
@click.option(
    "--partitions",
    type=click.IntRange(1, 256),
    help=f"Of the path of work, {DEFAULT_PARTITIONS} unless given; never changes later.",
)
@click.option(
    "--layout", type=click.Choice(get_args(Layout)), help="A process for each service, two, or one for all."
)
@click.option(
    "--tidy-every",
    type=click.FloatRange(min=0),
    default=TIDY_EVERY_S,
    show_default=True,
    callback=_finite,
    help="Seconds between two passes of `seamwork tidy`; 0 for none.",
)
@running_loop
async def up(  # one argument for each option
    platform: str,
    detach: bool,
    port: int | None,
    prefix: str | None,
    partitions: int | None,
    layout: Layout | None,
    tidy_every: float,
) -> None:
    """
    Start Kafka and the services, and wait until they are ready.

    \b
      seamwork up                  stay in the foreground; Ctrl-C stops everything
      seamwork up --detach         leave it running; `seamwork down` stops it
      seamwork up --platform lab   another platform beside it, with data of its own
      seamwork up --layout apart     a process for each service, instead of one for all
    """
    home = home_of(platform)
    state = read_state(home.state_file)
    if state is not None:
        if state.state == "ready":
            answer(state, lambda: f"platform {platform} runs already; {where(state)}")
            return
        raise MisconfiguredError(
            f"platform {platform} is {state.state} in process {state.supervisor}; wait for it"
        )
    founded = read_founded(home.founded_file)
    if founded is not None:
        raise MisconfiguredError(
            f"platform {platform} was founded at {founded.bootstrap} and its services run past this machine; "
            f"see {home.typed('status')}, or begin another with --platform"
        )
    if detach:
        told = {"--port": port, "--prefix": prefix, "--partitions": partitions, "--layout": layout}
        await _detached(home, {**told, "--tidy-every": tidy_every})
        return
    identity = home.identity() if home.exists else None
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def heed() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)

    running = await bring_up(
        home,
        prefix=prefix or (identity.prefix if identity else DEFAULT_PREFIX),
        partitions=partitions or (identity.partitions if identity else DEFAULT_PARTITIONS),
        port=port,
        layout=layout or DEFAULT_LAYOUT,
        tell=tell,
        up=heed,
    )
    ready = read_state(home.state_file)
    answer(ready, lambda: f"platform {platform} is ready; {where(ready)}\nCtrl-C stops it.")
    beside = [
        keep_small(home.logs),
        running.keep_kafka(tell),
        *([running.keep_tidy(tidy_every)] if tidy_every else []),
    ]
    chores = [asyncio.create_task(chore) for chore in beside]
    await stopping.wait()
    tell("stopping")
    for chore in chores:
        chore.cancel()
    await asyncio.gather(*chores, return_exceptions=True)
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
    with contextlib.suppress(ProcessLookupError):  # it ended by itself this moment
        os.kill(state.supervisor, signal.SIGTERM)
    deadline = time.monotonic() + _GONE_WITHIN_S
    while runs(state):
        if time.monotonic() > deadline:
            raise MisconfiguredError(
                f"process {state.supervisor} has not stopped within {_GONE_WITHIN_S:.0f} s; "
                f"look at {home.logs}, or end it"
            )
        time.sleep(_POLL_S)
    answer({"stopped": True}, lambda: f"platform {platform} has stopped; its data stay in {home.root}")


async def _detached(home: PlatformHome, options: Mapping[str, float | str | None]) -> None:
    with alone(home, "detached"):  # whoever else begins now would write into this one's story
        home.logs.mkdir(exist_ok=True)
        log = home.logs / "up.log"
        process = _begun(home, options, log)
        try:
            ready = await _until_ready(process, home, log)
        except BaseException:
            # Whoever gives up waiting, by Ctrl-C too, wants none of it; what it started ends with it.
            process.terminate()
            process.wait()
            raise
    answer(ready, lambda: f"platform {home.name} is ready; {where(ready)}")


def _begun(
    home: PlatformHome, options: Mapping[str, float | str | None], log: Path
) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "seamwork.cli", "up", "--platform", home.name]
    command += [part for name, value in options.items() if value is not None for part in (name, str(value))]
    log.unlink(missing_ok=True)  # a start tells its own story
    with log.open("ab") as file:  # to append: it is rolled while it is written
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )


async def _until_ready(process: "subprocess.Popen[bytes]", home: PlatformHome, log: Path) -> RunState:
    deadline = time.monotonic() + _READY_WITHIN_S
    said = 0
    while time.monotonic() < deadline:
        said = _pass_on(log, said)
        state = read_state(home.state_file)
        if state is not None and state.state == "ready":
            return state
        if process.poll() is not None:
            raise MisconfiguredError(f"the platform did not start: {last_words(log)}. The whole story: {log}")
        await asyncio.sleep(_POLL_S)
    raise MisconfiguredError(f"the platform was not ready within {_READY_WITHIN_S:.0f} s; look at {log}")


def _pass_on(log: Path, said: int) -> int:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines[said:]:
        if line.startswith(("starting", "furnishing", "publishing", "fetching", "warning:")):
            tell(line)
    return len(lines)
