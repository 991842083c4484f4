"""Know whose key a record's ``kid`` is: pinned in the settings, or followed from the catalog."""

from collections.abc import Mapping
from typing import Protocol


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
