"""
Choose a record's partition as Java's default partitioner does, whatever the client.

murmur2 as in Apache Kafka's ``Utils.murmur2`` (seed 0x9747b28c, 32 bit), then the positive remainder.
"""

from functools import lru_cache

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 of *data*, unsigned."""
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for i in range(0, whole, 4):
        k = (int.from_bytes(data[i : i + 4], "little") * _M) & _MASK
        k ^= k >> 24
        h = ((h * _M) & _MASK) ^ ((k * _M) & _MASK)
    tail = data[whole:]
    if tail:
        h = ((h ^ int.from_bytes(tail, "little")) * _M) & _MASK
    h ^= h >> 13
    h = (h * _M) & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=8192)  # the records of a task come close together, and all have its key
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of *key* in a topic of *partitions* partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
