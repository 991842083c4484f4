"""Know whose key a record's ``kid`` is: pinned in the settings, or followed from the catalog."""

from collections.abc import Callable, Mapping
from typing import Protocol

from seamwork.grants.stamps import ROUTER, KnownKey


class KeyRing(Protocol):
    """
    Where the router's public keys come from.

    It must answer for the keys of ``service:router`` alone: who else signs an inbox record is refused.
    """

    def public_of(self, kid: str, at: int) -> str | None:
        """
        Return the router's public key *kid* (32 bytes as base64), or None where the router had no such key at *at*.

        That is when the broker took what it signed (ms), not now: keys may change while a record lies unread.
        """


class PinnedKeys:
    """The router's keys as the settings name them."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = dict(keys)

    def public_of(self, kid: str, at: int) -> str | None:  # noqa: ARG002  # a pinned key counts at any time
        """Return the pinned key, or None."""
        return self._keys.get(kid)


class FollowedKeys:
    """
    The router's keys as the documents name them, so that they can be changed while agents run.

    Args:
        key_of: Finds a key by its ``kid``, in the current view of a catalog that is being followed.
    """

    def __init__(self, key_of: Callable[[str], KnownKey | None]) -> None:
        self._key_of = key_of

    def public_of(self, kid: str, at: int) -> str | None:
        """Return the key if it is the router's and counted at *at*, or None."""
        key = self._key_of(kid)
        if key is None or key.holder != ROUTER or not key.valid_at(at):
            return None
        return key.public
