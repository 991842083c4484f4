"""Bring a team in: its people, and where it wants to be told."""

import secrets

from seamwork.broker.secret import write_private
from seamwork.documents.shape import Metadata
from seamwork.documents.team import Team, TeamSpec
from seamwork.documents.webhook import Webhook
from seamwork.grants.webhooks import webhook_secret
from seamwork.platform.door import Door
from seamwork.platform.known import lagging
from seamwork.platform.members import making, refuse_if_out
from seamwork.platform.publisher import Published


async def add_team(
    door: Door, name: str, members: tuple[str, ...], url: str | None = None, version: str = "1.0.0"
) -> tuple[Team, Published, tuple[str, ...]]:
    """
    Publish a team; for a webhook the secret is made here, in the folder that this machine's notifier reads.

    Returns:
        The document, whether it was written, and the services that do not know of it yet.

    Raises:
        VersionConflictError: The team is known in this version with other content.
        UnprocessableError: No team can be called so, or no webhook be there; or this version is retired.
    """
    with making("team"):
        webhook = None if url is None else Webhook(url=url, secret=name)
        metadata, spec = Metadata(name=name, version=version), TeamSpec(members=members, webhook=webhook)
        team = Team(metadata=metadata, spec=spec)
    path = door.home.webhooks / name
    if webhook is not None and not path.exists():
        write_private(path, webhook_secret(secrets.token_bytes(32)) + "\n")
    async with door.publisher() as publisher:
        (told,), revision = await publisher.publish((team,))
    refuse_if_out(told)
    return team, told, await lagging(door.home, revision)


async def strangers(door: Door, members: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of *members* who are nobody in force: they can be told of nothing, and sign nothing."""
    async with door.publisher() as publisher:
        catalog = await publisher.catalog()
    return tuple(name for name in members if catalog.person(name) is None)
