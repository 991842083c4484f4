"""``seamwork pause`` and ``seamwork resume``: let work for an agent or along a flow wait."""

import click
import msgspec

from seamwork.cli.terminal import answer, door_of, json_option, platform_option, running_loop, tell_who_lags
from seamwork.platform.pauses import set_pause


@click.command()
@click.argument("name", metavar="AGENT|FLOW")
@click.option("--flow", is_flag=True, help="The flow of this name, where an agent has it as well.")
@click.option("--reason", default="", help="Kept with the activation.")
@platform_option
@json_option
@running_loop
async def pause(name: str, flow: bool, reason: str, platform: str) -> None:
    """
    Let new work for an agent (NAME or NAME@VERSION), or along a flow, wait.

    What is admitted waits until its deadline, and is refused then; a fallback that is not paused gets it at once.
    What the agent holds it may finish.

    \b
      seamwork pause extractor --reason "its database moves"
    """
    await _set(platform, name, reason, flow=flow, paused=True)


@click.command()
@click.argument("name", metavar="AGENT|FLOW")
@click.option("--flow", is_flag=True, help="The flow of this name, where an agent has it as well.")
@click.option("--reason", default="", help="Kept with the activation.")
@platform_option
@json_option
@running_loop
async def resume(name: str, flow: bool, reason: str, platform: str) -> None:
    """
    Let work that waits because of a pause go on.

    \b
      seamwork resume extractor
    """
    await _set(platform, name, reason, flow=flow, paused=False)


async def _set(platform: str, name: str, reason: str, *, flow: bool, paused: bool) -> None:
    done, behind = await set_pause(door_of(platform), name, reason, paused=paused, flow=flow)
    tell_who_lags("said", behind)
    what = "paused" if paused else "resumed"
    named = ", ".join(map(str, done))
    answer(
        {what: msgspec.to_builtins(done)},
        lambda: f"{what}: {named}" if done else f"{name} is {'paused' if paused else 'not paused'} already",
    )
