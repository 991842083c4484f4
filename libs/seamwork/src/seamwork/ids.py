"""
Make ids from arguments: no clock and no randomness lives here.

Free ids are UUIDv7 (RFC 9562, section 5.7), so that they sort by time. Ids that must come out the same on every
run are UUIDv8 (section 5.8) over a SHA-256 of their parts, each part with its length before it, so that no two
lists of parts can share an encoding.
"""

import hashlib

_RANDOM_BYTES = 10


def length_prefixed(*parts: bytes) -> bytes:
    """
    Join byte strings so that the parts can be told apart again.

    The form is the pre-authentication encoding of DSSE (``DSSEv1``, then length, space, bytes for each part),
    with as many parts as given where DSSE has two.
    """
    return b"DSSEv1" + b"".join([b" %d %b" % (len(part), part) for part in parts])


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of *data* as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def uuid7(unix_ms: int, random: bytes) -> str:
    """
    Make a UUIDv7.

    Args:
        unix_ms: Milliseconds since 1970 (UTC), 48 bits.
        random: Ten random bytes.
    """
    if len(random) != _RANDOM_BYTES or not 0 <= unix_ms < 1 << 48:
        message = "uuid7 takes 48 bits of milliseconds and 10 random bytes"
        raise ValueError(message)
    raw = bytearray(unix_ms.to_bytes(6, "big") + random)
    return _dashed(_stamped(raw, 7))


def derived(purpose: str, *parts: str | int) -> str:
    """Make the UUIDv8 that the same *purpose* and *parts* always yield."""
    return _dashed(_derived(purpose, *parts))


def child_id(parent_crossing: str, agent: str, step: str, ordinal: int) -> str:
    """Name the handoff that *agent* makes under *parent_crossing* for one step of its plan."""
    return derived("child", parent_crossing, agent, step, ordinal)


def answer_id(dispatch: str, ordinal: int) -> str:
    """Name the result that closes *dispatch*; a correction after a refusal takes the next ordinal."""
    return derived("answer", dispatch, ordinal)


def plan_id(parent_crossing: str, agent: str, ordinal: int) -> str:
    """Name a plan that *agent* makes of its work on *parent_crossing*; the next ordinal follows a refused one."""
    return derived("plan", parent_crossing, agent, ordinal)


def accompaniment_id(dispatch: str, kind: str, ordinal: int) -> str:
    """Name a ``progress`` or ``usage`` that accompanies the work of *dispatch*."""
    return derived(kind, dispatch, ordinal)


def dispatch_id(crossing: str, partition: int, offset: int, attempt: int) -> str:
    """Name the dispatch that *attempt* of the crossing at this position led to."""
    return derived("dispatch", crossing, partition, offset, attempt)


def request_id(partition: int, offset: int, action_sha256: str) -> str:
    """Name an approval request: the position of the crossing and the digest of the action asked for."""
    return derived("approval", partition, offset, action_sha256)


def _derived(purpose: str, *parts: str | int) -> str:
    encoded = length_prefixed(purpose.encode(), *[str(part).encode() for part in parts])
    return _stamped(bytearray(hashlib.sha256(encoded).digest()[:16]), 8)


def _stamped(raw: bytearray, version: int) -> str:
    raw[6] = (raw[6] & 0x0F) | (version << 4)
    raw[8] = (raw[8] & 0x3F) | 0x80
    return raw.hex()


def _dashed(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


# The version bits of a UUID keep either of these from being all zeros, which the standard forbids; for the span
# they lie in the first half.
def trace_id(begins_with: str) -> str:
    """Name the trace that begins with a crossing (W3C Trace Context: 32 hexadecimal digits, not all zero)."""
    return _derived("trace", begins_with)


def span_id(*of: str | int) -> str:
    """
    Name the span of a crossing, of a dispatch, or of one stage of either: 16 hexadecimal digits, not all zero.

    Whatever is sent, read or replayed again is the same span.
    """
    return _derived("span", *of)[:16]
