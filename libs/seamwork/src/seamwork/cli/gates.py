"""``seamwork gates``: who judges crossings, and how one takes the place of another."""

import os
import sys
from pathlib import Path

import click
import msgspec

from seamwork.broker.principal import GATES, like_of
from seamwork.cli.documents import checked
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
from seamwork.documents import Gate
from seamwork.errors import UnprocessableError
from seamwork.platform.files import read_files
from seamwork.platform.known import lagging
from seamwork.platform.members import add_gates
from seamwork.platform.services import service_environ
from seamwork.platform.supervisor import service_modules


@click.group()
def gates() -> None:
    """Look at the gates that judge crossings, and swap them."""


@gates.command("list")
@platform_option
@json_option
@running_loop
async def list_gates(platform: str) -> None:
    """
    List the gates in force, what they are required for, and how long the router waits for them.

    \b
      seamwork gates list
    """
    now = SystemClock().now_ms()
    async with door_of(platform).publisher() as publisher:
        gates = (await publisher.catalog()).gates(now)
    found = [
        {
            "name": gate.name,
            "version": gate.version,
            "role": gate.role,
            "mode": gate.mode,
            "share": gate.share,
            "replaces": gate.replaces,
            "required_for": list(gate.required_for),
            "deadline_seconds": gate.deadline_ms // 1000,
        }
        for gate in gates
    ]
    rows = [
        [
            gate.name,
            gate.version,
            gate.role,
            gate.mode if gate.share is None else f"{gate.mode}, {gate.share} of 100 tasks of {gate.replaces}",
            ", ".join(gate.required_for) or "what is held",
            f"{gate.deadline_ms // 1000} s",
        ]
        for gate in gates
    ]
    answer(found, lambda: table(["gate", "version", "role", "mode", "judges", "deadline"], rows))


@gates.command("activate")
@click.argument("name")
@click.argument("version")
@click.option("--mode", type=click.Choice(["enforce", "canary", "shadow"]), required=True)
@click.option("--share", type=click.IntRange(1, 99), help="Of a hundred tasks, for which a canary counts.")
@click.option("--reason", default="", help="Kept with the activation.")
@platform_option
@json_option
@running_loop
async def activate_gate(
    name: str, version: str, mode: str, share: int | None, reason: str, platform: str
) -> None:
    """
    Put a gate into force or into the shadow; the last activation wins, so this rolls back too.

    In canary it stands in for the gate that it replaces, for some of all tasks; in force it retires that one.

    \b
      seamwork gates activate policy-engine-2 1.0.0 --mode shadow
      seamwork gates activate policy-engine-2 1.0.0 --mode canary --share 10
      seamwork gates activate policy-engine-2 1.0.0 --mode enforce
    """
    if (share is not None) != (mode == "canary"):
        raise click.UsageError("--mode canary and --share belong together")
    door = door_of(platform)
    async with door.publisher() as publisher:
        revision = await publisher.activate("Gate", name, version, "active", mode, reason, share=share)  # type: ignore[arg-type]  # one of click's choices
    tell_who_lags("said", await lagging(door.home, revision))
    told = "" if share is None else f", for {share} of 100 tasks"
    answer({"revision": msgspec.to_builtins(revision)}, lambda: f"gate {name} {version} is in {mode}{told}")


@gates.command("add")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@platform_option
@json_option
@running_loop
async def add(paths: tuple[Path, ...], platform: str) -> None:
    """
    Bring gates of your own in: topics, rights, a credential, a key; and their documents, in the shadow.

    A gate in the shadow judges everything and counts for nothing. `gates run` starts its program.

    \b
      seamwork gates add gates/policy-next.yaml
    """
    door = door_of(platform)
    documents = checked(read_files(paths, door.home))
    found = tuple(document for document in documents if isinstance(document, Gate))
    if not found or len(found) != len(documents):
        raise UnprocessableError("there are documents of other kinds than Gate, or none, in what was given")
    joined, told, behind = await add_gates(door, found)
    tell_who_lags("published", behind)
    new = {(one.name, one.version) for one in told}
    rows = [
        [one.gate, one.version, one.role, "in the shadow" if (one.gate, one.version) in new else "unchanged"]
        for one in joined
    ]
    answer(msgspec.to_builtins(joined), lambda: table(["gate", "version", "role", ""], rows))


@gates.command("run", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@platform_option
@running_loop
async def run_gate(name: str, command: tuple[str, ...], platform: str) -> None:
    """
    Start a gate's program with what it is to be told: where, as whom, with which key.

    Without a COMMAND, ours of the same role runs under that name. It runs until it is stopped, in this terminal.

    \b
      seamwork gates run policy-next
      seamwork gates run office-hours -- python office_hours.py
    """
    door = door_of(platform)
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
    entry = catalog.current("Gate", name, SystemClock().now_ms())
    if entry is None or name in GATES or not isinstance(entry.document, Gate):
        there = ", ".join(one for one in catalog.gate_names() if one not in GATES) or "none"
        raise UnprocessableError(
            f"no gate {name} was brought in (there are: {there}); `seamwork gates add` does that"
        )
    environ = {**service_environ(door, name, 0), "SEAMWORK_GATE": name}
    if not command:
        module = service_modules().get(like_of(entry.document.spec.role))
        command = (sys.executable, "-m", str(module))
    try:
        os.execvpe(command[0], command, environ)  # noqa: S606  # what was typed is what runs
    except OSError as error:
        raise UnprocessableError(f"{command[0]} cannot be started: {error.strerror}") from error
