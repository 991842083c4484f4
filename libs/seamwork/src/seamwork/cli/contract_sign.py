"""``seamwork contracts sign``: agree to a breaking version of a contract, for a team that consumes it."""

import click

from seamwork.cli.terminal import answer, door_of, json_option, platform_option, running_loop, tell_who_lags
from seamwork.clock import SystemClock
from seamwork.documents import Contract
from seamwork.errors import MisconfiguredError, UnprocessableError
from seamwork.platform.consent import consent, waiting_for
from seamwork.platform.known import lagging
from seamwork.platform.members import person_kid
from seamwork.platform.people import people_here, refuse_unheard


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--team", required=True, help="For whose agents you speak; you are one of its members.")
@click.option("--by", "person", required=True, help="Who you are; your key is kept on this machine.")
@platform_option
@json_option
@running_loop
async def sign(name: str, version: str, team: str, person: str, platform: str) -> None:
    """
    Say, for a team, that its agents are ready for a breaking version that was published as a draft.

    \b
      seamwork contracts sign licence-facts 2.0.0 --team reports --by rosa
    """
    door = door_of(platform)
    if person not in people_here(door):
        raise MisconfiguredError(f"the key of {person} is not kept on this machine; sign where it is")
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
        entry = catalog.entry("Contract", name, version)
        if entry is None or not isinstance(entry.document, Contract):
            known = ", ".join(catalog.contract_versions(name)) or "none"
            raise UnprocessableError(f"{name} {version} was never published; known versions: {known}")
        known_team = catalog.team(team, SystemClock().now_ms())
        if known_team is None or person not in known_team.spec.members:
            raise UnprocessableError(f"{person} is no member of a team {team}; see `seamwork teams list`")
        key = door.home.latest_key(person_kid(person))
        refuse_unheard(catalog, person, key)
        document = consent(door.identity.id, entry.document, entry.digest, team, person, key)
        _, revision = await publisher.publish((document,))
        left = waiting_for(
            await publisher.catalog(), entry.document, entry.digest, door.identity.id, SystemClock().now_ms()
        )
    tell_who_lags("signed", await lagging(door.home, revision))
    waited_for = list(left.teams) if left is not None else []
    value = {
        "contract": name, "version": version, "team": team, "person": person, "sha256": entry.digest,
        "waited_for": waited_for,
    }  # fmt: skip
    still = (
        f"waited for still: {', '.join(waited_for)}"
        if waited_for
        else "nobody is waited for: publish it again"
    )
    answer(value, lambda: f"{person} agrees to contract {name} {version} for the team {team}; {still}")
