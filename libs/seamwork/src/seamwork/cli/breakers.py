"""``seamwork breakers``: agent versions that get no work because they fail, or because a person says so."""

import click

from seamwork.cli.terminal import (
    answer,
    door_of,
    json_option,
    platform_option,
    running_loop,
    table,
    tell_who_lags,
)
from seamwork.clock import SystemClock
from seamwork.platform.breakers import By, breakers_of, set_breaker
from seamwork.platform.views import BreakerLine
from seamwork.records.wire import rfc3339


@click.group()
def breakers() -> None:
    """See which agent versions get no work because they fail, and set that by hand."""


@breakers.command("list")
@platform_option
@json_option
@running_loop
async def list_breakers(platform: str) -> None:
    """
    List the breakers that are not closed, for each partition of the router, and those set by hand.

    \b
      seamwork breakers list
    """
    found = await breakers_of(door_of(platform))
    now = SystemClock().now_ms()
    rows = [[name, "all", how, "set by hand", ""] for name, how in sorted(found.by_hand.items())]
    rows += [
        [
            f"{one.agent}@{one.version}",
            str(one.partition),
            _state(one, now),
            f"{one.failures} failures",
            _until(one),
        ]
        for one in found.counted
    ]
    answer(found, lambda: table(["agent", "partition", "breaker", "because", "until (UTC)"], rows))


@breakers.command("open")
@click.argument("agent")
@click.option("--reason", default="", help="Kept with the activation.")
@platform_option
@json_option
@running_loop
async def open_breaker(agent: str, reason: str, platform: str) -> None:
    """
    Give AGENT (NAME or NAME@VERSION) no more work: its fallbacks get it, or the handoff is refused.

    \b
      seamwork breakers open extractor@2.0.0 --reason "drops identifiers"
    """
    await _set(platform, agent, "open", reason)


@breakers.command("close")
@click.argument("agent")
@click.option("--reason", default="", help="Kept with the activation.")
@platform_option
@json_option
@running_loop
async def close_breaker(agent: str, reason: str, platform: str) -> None:
    """
    Give AGENT work however it fares, until it is left to what is counted again.

    \b
      seamwork breakers close extractor@2.0.0
    """
    await _set(platform, agent, "closed", reason)


@breakers.command("auto")
@click.argument("agent")
@click.option("--reason", default="", help="Kept with the activation.")
@platform_option
@json_option
@running_loop
async def leave_breaker(agent: str, reason: str, platform: str) -> None:
    """
    Leave the breaker of AGENT to what is counted again.

    \b
      seamwork breakers auto extractor@2.0.0
    """
    await _set(platform, agent, "auto", reason)


async def _set(platform: str, agent: str, how: By, reason: str) -> None:
    ref, behind = await set_breaker(door_of(platform), agent, how, reason)
    tell_who_lags("said", behind)
    name = f"{ref.agent}@{ref.version}"
    told = {
        "open": f"{name} gets no more work",
        "closed": f"{name} gets work however it fares",
        "auto": f"{name} gets work as it fares",
    }
    answer({"agent": ref.agent, "version": ref.version, "breaker": how}, lambda: told[how])


def _state(line: BreakerLine, now: int) -> str:
    rested = line.state == "open" and line.open_until is not None and line.open_until <= now
    return "rested" if rested else line.state


def _until(line: BreakerLine) -> str:
    return "" if line.open_until is None else rfc3339(line.open_until)[:19]
