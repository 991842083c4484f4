"""
Know how large a record may be before it is sent, and which topics have holes.

A producer that learns it from the broker is too late: one refused record breaks an idempotent producer for its
partition. The numbers are those of the topic files; a test holds the two together, because an agent has no YAML.
"""

from collections.abc import Sequence
from functools import lru_cache

from seamwork.records.wire import Header

_MEBIBYTE = 1024 * 1024
DEFAULT_LIMIT = _MEBIBYTE
_FAMILIES = {
    "journal.": 8 * _MEBIBYTE,
    "snapshots.": 8 * _MEBIBYTE,
    "inbox.": 1_179_648,  # a crossing of full size, and the stamp beside it
    "dead-letters.": 2 * _MEBIBYTE,  # a record of full size, and its provenance
}
_COMPACTED = ("snapshots.",)

# Record batch header 61, and at most 5 length, 1 attributes, 10 timestamp, 5 offset.
_FRAME = 61 + 21
# Varints of lengths: 5 bytes at most each, for key, value and the number of headers.
_LENGTHS = 3 * 5
_HEADER_LENGTHS = 2 * 5


def limit_of(topic: str) -> int:
    """Return the largest record batch, in bytes, that *topic* (without prefix) takes."""
    family = topic.partition(".")[0] + "."
    return _FAMILIES.get(family, DEFAULT_LIMIT)


def is_compacted(topic: str) -> bool:
    """Whether compaction may take records out of the middle of *topic* (without prefix)."""
    return topic.startswith(_COMPACTED)


def record_bytes(key: bytes | None, value: bytes | None, headers: Sequence[Header] = ()) -> int:
    """Return how many bytes a record takes at most when it travels alone in its batch."""
    size = _FRAME + _LENGTHS + len(key or b"") + len(value or b"")
    for name, content in headers:
        size += _HEADER_LENGTHS + _name_bytes(name) + len(content or b"")
    return size


@lru_cache(maxsize=1024)  # headers have few names, and every record has a dozen of them
def _name_bytes(name: str) -> int:
    return len(name.encode())
