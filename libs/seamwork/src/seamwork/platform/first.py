"""Publish what every platform needs before anybody's own documents."""

from collections.abc import Iterator

from seamwork.catalog import Catalog
from seamwork.documents import AnyDocument, Key
from seamwork.errors import MisconfiguredError
from seamwork.platform.publisher import Publisher, keys_of
from seamwork.platform.trust import Trust, first_documents, key_documents


async def publish_first(publisher: Publisher, trust: Trust) -> None:
    """
    Make the services' keys, the gates and the first agents known; what is known already stays as it is.

    Raises:
        MisconfiguredError: A key was published before with another public half: its file was lost, and what was
            made in its place signs nothing that counts.
    """
    known = await publisher.catalog()
    first = first_documents(trust)
    for document in (*key_documents(trust), *first):
        _refuse_other_keys(known, document)
    await publisher.publish(key_documents(trust))
    # Whoever has published an operator or gates of their own keeps them in force over a restart.
    await publisher.publish([d for d in first if known.entry(d.kind, d.name, d.version) is None])


def _refuse_other_keys(known: Catalog, ours: AnyDocument) -> None:
    entry = known.entry(ours.kind, ours.name, ours.version)
    published = {} if entry is None else dict(_keys_of(entry.document))
    for kid, public in _keys_of(ours):
        if published.get(kid, public) != public:
            raise MisconfiguredError(
                f"the private key {kid} here is not the one that was published: its file was lost or replaced; "
                f"restore keys/{kid}.key from a backup"
            )


def _keys_of(document: AnyDocument) -> Iterator[tuple[str, str]]:
    """Yield id and public half of each key that a document makes known."""
    for key in (document.spec,) if isinstance(document, Key) else keys_of(document):
        yield key.kid, key.public
