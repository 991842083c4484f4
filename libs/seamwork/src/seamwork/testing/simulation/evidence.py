"""Read records for the checker without any code of the platform: headers, digests, signatures, JSON."""

import base64
import hashlib
from functools import lru_cache
from typing import Any

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from seamwork.records.wire import RawRecord
from seamwork.testing.keys import key_of

PLATFORM = "simulated"
MADE_UP = "somebody made this up"
"""The reason that forgeries give: nobody is ever refused for it."""
_TYPE = b"application/vnd.seamwork.record.v1"


def header(raw: RawRecord, name: str) -> bytes | None:
    """Return a header's value."""
    return next((value for known, value in raw.headers if known == name), None)


def signed(topic: str, key: bytes, envelope: bytes) -> bytes:
    """Return what a signature covers: DSSE's pre-authentication encoding of what binds a record."""
    parts = (_TYPE, PLATFORM.encode(), topic.encode(), key, envelope)
    return b"DSSEv1" + b"".join(b" %d %b" % (len(part), part) for part in parts)


def digest_of(raw: RawRecord) -> str:
    """Return a record's digest."""
    envelope = header(raw, "sw_envelope") or b""
    return hashlib.sha256(signed(raw.topic, raw.key or b"", envelope)).hexdigest()


def parsed(text: str | bytes) -> Any:
    """Return what a JSON text says."""
    return msgspec.json.decode(text)


def envelope_of(raw: RawRecord) -> dict[str, Any]:
    """Return the envelope, or nothing where it cannot be read."""
    try:
        found = parsed(header(raw, "sw_envelope") or b"")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=20_000)
def holds(holder: str, topic: str, key: bytes, envelope: bytes, sig: str) -> bool:
    """Say whether *holder* signed this."""
    public = VerifyKey(base64.b64decode(key_of(holder).public))  # the checker verifies by itself
    try:
        public.verify(signed(topic, key, envelope), base64.b64decode(sig))
    except (BadSignatureError, ValueError):
        return False
    return True


def signer_of(raw: RawRecord) -> str | None:
    """Return who provably signed the record: the kid of a test key is its holder's name."""
    kid, sig = header(raw, "sw_kid"), header(raw, "sw_sig")
    if kid is None or sig is None:
        return None
    envelope = header(raw, "sw_envelope") or b""
    good = holds(kid.decode(), raw.topic, raw.key or b"", envelope, sig.decode())
    return kid.decode() if good else None
