"""Know whose key a record's ``kid`` is: pinned in the settings, or followed from the catalog."""

from collections.abc import Callable, Mapping
from typing import Protocol

from seamwork.clock import Clock
from seamwork.grants.stamps import ROUTER, KnownKey


class KeyRing(Protocol):
    """
    Where the router's public keys come from.

    It must answer for the keys of ``service:router`` alone: who else signs an inbox record is refused.
    """

    def public_of(self, kid: str) -> str | None:
        """Return the router's public key *kid* (32 bytes as base64), or None where the router has no such key."""


class PinnedKeys:
    """The router's keys as the settings name them."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = dict(keys)

    def public_of(self, kid: str) -> str | None:
        """Return the pinned key, or None."""
        return self._keys.get(kid)


class FollowedKeys:
    """
    The router's keys as the documents name them now, so that they can be changed while agents run.

    Args:
        key_of: Finds a key by its ``kid``, in the current view of a catalog that is being followed.
        clock: Tells the time at which a key must count.
    """

    def __init__(self, key_of: Callable[[str], KnownKey | None], clock: Clock) -> None:
        self._key_of = key_of
        self._clock = clock

    def public_of(self, kid: str) -> str | None:
        """Return the key if it is the router's and counts now, or None."""
        key = self._key_of(kid)
        if key is None or key.holder != ROUTER or not key.valid_at(self._clock.now_ms()):
            return None
        return key.public
