"""
Sign and verify records with Ed25519 (RFC 8032).

A key is named by its ``kid``. Verification needs nothing but the record and the public key, so anyone can do it
offline. libsodium does the arithmetic: it takes half of the time that OpenSSL does, and refuses keys of small order
and signatures in more than one form (``benchmarks/JOURNAL.md``).
"""

import base64
import binascii
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256

from nacl import bindings as sodium
from nacl.exceptions import BadSignatureError

from seamwork.errors import MisconfiguredError
from seamwork.records.wire import Received, signed_bytes

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_MOST_CHECKED = 4096  # about 1 MB: digests are kept, not what was signed

_Name = tuple[bytes, bytes, bytes]
"""A public key, a signature and the SHA-256 of what was signed."""


class _Checked:
    """Which of the latest signatures hold; *own* is whether those count that this process has made."""

    def __init__(self) -> None:
        self.own = False
        self._known: dict[_Name, bool] = {}

    def get(self, name: _Name) -> bool | None:
        return self._known.get(name)

    def put(self, name: _Name, *, sound: bool) -> None:
        if len(self._known) >= _MOST_CHECKED:
            self._known.clear()
        self._known[name] = sound


_checked = _Checked()


def remember_signed(*, own: bool) -> None:
    """
    Say whether this process need not verify what it has signed itself, from now on.

    A router's stamps come back to the gates that share its process.
    """
    _checked.own = own


class SigningKey:
    """A private key and the id under which its public half is known."""

    def __init__(self, kid: str, seed: bytes) -> None:
        if len(seed) != _KEY_BYTES:
            message = f"the private key {kid} has {len(seed)} bytes, an Ed25519 seed has {_KEY_BYTES}"
            raise MisconfiguredError(message)
        self._kid = kid
        self._public, self._private = sodium.crypto_sign_seed_keypair(seed)

    @property
    def kid(self) -> str:
        """The key's id."""
        return self._kid

    @property
    def public(self) -> str:
        """The public key, 32 bytes as base64: what a document carries."""
        return base64.b64encode(self._public).decode("ascii")

    def sign(self, data: bytes) -> str:
        """Return the signature over *data* as base64."""
        signature = sodium.crypto_sign(data, self._private)[:_SIGNATURE_BYTES]
        if _checked.own:
            _checked.put((self._public, signature, sha256(data).digest()), sound=True)
        return base64.b64encode(signature).decode("ascii")


@lru_cache(maxsize=4096)
def _public_key(public: str) -> bytes | None:
    try:
        key = base64.b64decode(public, validate=True)
    except (ValueError, binascii.Error):
        return None
    return key if len(key) == _KEY_BYTES else None


def verifies(public: str, data: bytes, sig: str) -> bool:
    """Say whether *sig* (base64) is the signature of the holder of *public* (base64) over *data*."""
    key = _public_key(public)
    if key is None:
        return False
    try:
        signature = base64.b64decode(sig, validate=True)
    except (ValueError, binascii.Error):
        return False
    return len(signature) == _SIGNATURE_BYTES and _sound(key, signature, data)


def _sound(key: bytes, signature: bytes, data: bytes) -> bool:
    """Check a signature, or remember: where gates share a process, one check serves them all."""
    name = (key, signature, sha256(data).digest())
    known = _checked.get(name)
    if known is None:
        known = _check(key, signature, data)
        _checked.put(name, sound=known)
    return known


def _check(key: bytes, signature: bytes, data: bytes) -> bool:
    try:
        sodium.crypto_sign_open(signature + data, key)
    except (BadSignatureError, ValueError):
        return False
    return True


def record_verifies(received: Received, platform: str, public_of: Callable[[str], str | None]) -> bool:  # type: ignore[type-arg]  # any envelope
    """Say whether a record is signed by the key that its ``sw_kid`` names; *public_of* finds the public half."""
    if received.sig is None or received.kid is None:
        return False
    public = public_of(received.kid)
    if public is None:
        return False
    data = signed_bytes(platform, received.raw.topic, received.raw.key or b"", received.envelope)
    return verifies(public, data, received.sig)
