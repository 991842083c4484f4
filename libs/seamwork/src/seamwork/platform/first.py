"""Publish what every platform needs before anybody's own documents."""

from seamwork.platform.publisher import Publisher
from seamwork.platform.trust import Trust, first_documents, key_documents


async def publish_first(publisher: Publisher, trust: Trust) -> None:
    """Make the services' keys, the gates and the first agents known; what is known already stays as it is."""
    known = await publisher.catalog()
    await publisher.publish(key_documents(trust))
    # Whoever has published an operator or gates of their own keeps them in force over a restart.
    missing = [d for d in first_documents(trust) if known.entry(d.kind, d.name, d.version) is None]
    await publisher.publish(missing)
