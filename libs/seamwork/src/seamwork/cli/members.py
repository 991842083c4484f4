"""``seamwork agents``, ``people``: who takes part."""

import sys
from pathlib import Path

import click

from seamwork.cli import NO
from seamwork.cli.documents import again_option, checked, tell_what_is_out
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
from seamwork.documents import Agent
from seamwork.errors import UnprocessableError
from seamwork.platform.files import read_files
from seamwork.platform.members import add_agents, add_person
from seamwork.platform.people import people_in


@click.group()
def agents() -> None:
    """Look at the agents of the platform, and bring new ones in."""


@agents.command("add")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@again_option
@platform_option
@json_option
@running_loop
async def add(paths: tuple[Path, ...], again: bool, platform: str) -> None:
    """
    Bring agents in: an inbox, a credential, a key, and the settings file that their program needs.

    A document without keys gets the one that this machine keeps for the agent. Nothing has to be restarted. An
    agent that was retired or revoked stays so without --again (exit status 1).

    \b
      seamwork agents add agents/extractor.yaml
    """
    door = door_of(platform)
    documents = checked(read_files(paths, door.home))
    found = tuple(document for document in documents if isinstance(document, Agent))
    if not found:
        raise UnprocessableError("there is no document of the kind Agent in what was given")
    others = tuple(document for document in documents if not isinstance(document, Agent))
    joined, told, behind = await add_agents(door, found, publish=others, again=again)
    tell_who_lags("published", behind)
    tell_what_is_out(told)
    value = [{"agent": j.agent, "version": j.version, "settings": str(j.settings)} for j in joined]
    rows = [[j.agent, j.version, str(j.settings)] for j in joined]
    answer(value, lambda: table(["agent", "version", "settings (private)"], rows))
    if any(one.kind == "Agent" and one.before is not None and not one.activated for one in told):
        sys.exit(NO)


@agents.command("list")
@platform_option
@json_option
@running_loop
async def list_agents(platform: str) -> None:
    """
    List the agent versions in force: what they take and offer, and whether they may begin tasks.

    \b
      seamwork agents list
    """
    now = SystemClock().now_ms()
    async with door_of(platform).publisher() as publisher:
        catalog = await publisher.catalog()
    found = [
        {
            "agent": entry.ref.agent,
            "version": entry.ref.version,
            "status": catalog.agent_status(entry.ref, now),
            "team": entry.document.spec.team or "",
            "accepts": [f"{a.contract} {a.versions}" for a in entry.document.spec.accepts],
            "offers": list(entry.document.spec.offers),
            "initiator": entry.document.spec.initiator,
        }
        for entry in catalog.agents(now)
    ]
    rows = [
        [
            str(a["agent"]),
            str(a["version"]),
            str(a["status"]),
            ", ".join(a["accepts"]) or "-",  # type: ignore[arg-type]  # a list of ours
            ", ".join(a["offers"]) or "-",  # type: ignore[arg-type]  # a list of ours
            "yes" if a["initiator"] else "-",
        ]
        for a in found
    ]
    answer(found, lambda: table(["agent", "version", "status", "accepts", "offers", "initiator"], rows))


@click.group()
def people() -> None:
    """Look at the people who are asked, and bring new ones in."""


@people.command("add")
@click.argument("name")
@click.option(
    "--role", "roles", multiple=True, required=True, help="What the person may be asked as; repeatable."
)
@click.option("--version", default="1.0.0", show_default=True, help="The version of the document.")
@platform_option
@json_option
@running_loop
async def add_one(name: str, roles: tuple[str, ...], version: str, platform: str) -> None:
    """
    Bring a person in. The key that signs the person's answers stays on this machine.

    Other roles later are another version; the key stays.

    \b
      seamwork people add ada --role legal
      seamwork people add ada --role legal --role finance --version 1.1.0
    """
    person, told, behind = await add_person(door_of(platform), name, roles, version)
    tell_who_lags("published", behind)
    value = {
        "person": person.name, "version": version, "roles": list(person.spec.roles), "written": told.written,
    }  # fmt: skip
    answer(value, lambda: f"{person.name} may be asked as {', '.join(person.spec.roles)}")


@people.command("list")
@platform_option
@json_option
@running_loop
async def list_people(platform: str) -> None:
    """
    List the people in force and their roles.

    \b
      seamwork people list
    """
    now = SystemClock().now_ms()
    async with door_of(platform).publisher() as publisher:
        catalog = await publisher.catalog()
    found = [
        {"person": one.name, "version": one.version, "roles": list(one.spec.roles)}
        for one in people_in(catalog, now)
    ]
    rows = [[str(p["person"]), str(p["version"]), ", ".join(p["roles"])] for p in found]
    answer(found, lambda: table(["person", "version", "roles"], rows))
